/* SPDX-License-Identifier: ISC */
/*
 * bench-dns.c - the fast ends for bench-dns.py.
 *
 *	bench-dns server ADDRESS
 *		a name server that says ADDRESS to every A, and nothing to the
 *		rest; prints its port
 *	bench-dns sink
 *		a target that holds each connection until its peer leaves;
 *		prints its port
 *	bench-dns client PORT AT-A-TIME FIRST COUNT FORMAT
 *		CONNECT to FORMAT with each number from FIRST on, through the
 *		proxy on PORT; prints seconds, answers with 200, others
 */
#define _DEFAULT_SOURCE

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define SLOTS 512

static void
die(const char *what)
{
	perror(what);
	exit(1);
}

static double
now(void)
{
	struct timespec t;

	if (clock_gettime(CLOCK_MONOTONIC, &t) == -1)
		die("clock");
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static struct sockaddr_in
loopback(int port)
{
	struct sockaddr_in sin;

	memset(&sin, 0, sizeof sin);
	sin.sin_family = AF_INET;
	sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	sin.sin_port = htons((unsigned short)port);
	return sin;
}

/* A socket on a port that the kernel chose, which is printed. */
static int
open_port(int type)
{
	struct sockaddr_in sin = loopback(0);
	socklen_t len = sizeof sin;
	int fd = socket(AF_INET, type, 0);

	if (fd == -1 || bind(fd, (struct sockaddr *)&sin, sizeof sin) == -1 ||
	    (type == SOCK_STREAM && listen(fd, 1024) == -1) ||
	    getsockname(fd, (struct sockaddr *)&sin, &len) == -1)
		die("port");
	printf("%d\n", ntohs(sin.sin_port));
	fflush(stdout);
	return fd;
}

/* ---- server --------------------------------------------------------------- */

/* Turn the query p[0..n) into its answer; its length. */
static size_t
answer(unsigned char *p, size_t n, const unsigned char address[4])
{
	static const unsigned char a[] = { 0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60,
	    0, 4 };
	static const unsigned char soa[] = { 0, 0, 6, 0, 1, 0, 0, 0, 60, 0, 22,
	    0, 0, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 60 };
	int is_a = p[n - 3] == 1;

	p[2] = 0x81;
	p[3] = 0x80;
	p[is_a ? 7 : 9] = 1;
	if (!is_a) {
		memcpy(p + n, soa, sizeof soa);
		return n + sizeof soa;
	}
	memcpy(p + n, a, sizeof a);
	memcpy(p + n + sizeof a, address, 4);
	return n + sizeof a + 4;
}

static void
serve(const char *address)
{
	unsigned char p[1024], ip[4];
	struct sockaddr_in peer;
	socklen_t len;
	ssize_t n;
	int room = 4 << 20, fd = open_port(SOCK_DGRAM);

	if (inet_pton(AF_INET, address, ip) != 1)
		die(address);
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof room);
	for (;;) {
		len = sizeof peer;
		n = recvfrom(fd, p, 512, 0, (struct sockaddr *)&peer, &len);
		if (n < 17)
			continue;
		(void)sendto(fd, p, answer(p, (size_t)n, ip), 0,
		    (struct sockaddr *)&peer, len);
	}
}

/* ---- sink ----------------------------------------------------------------- */

/* Close without a TIME_WAIT, of which there would be too many. */
static void
drop(int fd)
{
	struct linger at_once = { 1, 0 };

	(void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
	(void)close(fd);
}

static void
sink(void)
{
	struct pollfd p[1 + SLOTS];
	char buffer[4096];
	int i, n = 1;

	p[0].fd = open_port(SOCK_STREAM);
	p[0].events = POLLIN;
	for (;;) {
		p[0].events = n <= SLOTS ? POLLIN : 0;
		if (poll(p, (nfds_t)n, -1) == -1)
			die("poll");
		for (i = n - 1; i > 0; i--)
			if (p[i].revents != 0 &&
			    recv(p[i].fd, buffer, sizeof buffer, 0) <= 0) {
				drop(p[i].fd);
				p[i] = p[--n];
			}
		if (p[0].revents != 0) {
			p[n].fd = accept(p[0].fd, NULL, NULL);
			p[n].events = POLLIN;
			p[n].revents = 0;
			n += p[n].fd != -1;
		}
	}
}

/* ---- client --------------------------------------------------------------- */

static struct {
	int		port, last, next;
	const char	*format;
	long		good, other;
} load;

/* Ask for the next one; -1 if there is none. */
static int
begin(void)
{
	struct sockaddr_in sin = loopback(load.port);
	char target[300], head[700];
	int n, fd;

	if (load.next == load.last)
		return -1;
	(void)snprintf(target, sizeof target, load.format, load.next++);
	n = snprintf(head, sizeof head, "CONNECT %s HTTP/1.1\r\nHost: %s\r\n"
	    "\r\n", target, target);
	fd = socket(AF_INET, SOCK_STREAM, 0);
	if (fd == -1 || connect(fd, (struct sockaddr *)&sin, sizeof sin) == -1 ||
	    send(fd, head, (size_t)n, 0) != n)
		die("connection");
	return fd;
}

/* The answer is there: short, so all of it. */
static void
end(int fd)
{
	char buffer[2048];
	ssize_t n = recv(fd, buffer, sizeof buffer, 0);

	if (n >= 12 && memcmp(buffer, "HTTP/1.1 200", 12) == 0)
		load.good++;
	else
		load.other++;
	drop(fd);
}

static void
ask(int at_a_time)
{
	struct pollfd p[SLOTS];
	double start = now();
	int i, busy = 0;

	for (i = 0; i < at_a_time; i++) {
		p[i].fd = begin();
		p[i].events = POLLIN;
		busy += p[i].fd != -1;
	}
	while (busy > 0) {
		if (poll(p, (nfds_t)at_a_time, -1) == -1)
			die("poll");
		for (i = 0; i < at_a_time; i++) {
			if (p[i].fd == -1 || p[i].revents == 0)
				continue;
			end(p[i].fd);
			p[i].fd = begin();
			busy -= p[i].fd == -1;
		}
	}
	printf("%.6f %ld %ld\n", now() - start, load.good, load.other);
}

int
main(int argc, char *argv[])
{
	int at_a_time;

	if (argc == 3 && strcmp(argv[1], "server") == 0)
		serve(argv[2]);
	if (argc == 2 && strcmp(argv[1], "sink") == 0)
		sink();
	if (argc != 7 || strcmp(argv[1], "client") != 0)
		return 2;
	load.port = atoi(argv[2]);
	at_a_time = atoi(argv[3]);
	load.next = atoi(argv[4]);
	load.last = load.next + atoi(argv[5]);
	load.format = argv[6];
	if (at_a_time < 1 || at_a_time > SLOTS)
		return 2;
	ask(at_a_time);
	return 0;
}
