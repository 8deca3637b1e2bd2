/* SPDX-License-Identifier: ISC */
/*
 * Unit tests of sys.c: what it promises of sockets, poll, files, signals and
 * the log, tried on the system itself, on loopback only.  Each test runs in a
 * process of its own, so that limits, signals and standard error may be changed
 * in it.
 */
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../connectd.h"

#define COUNT(table) ((int)(sizeof (table) / sizeof (table)[0]))
#define READY_MS	10000		/* what is to come comes before that */

static char path[256];			/* of a temporary file */

/* ---- sockets ----------------------------------------------------------- */

static struct addr
address(const char *text, uint16_t port)
{
	struct addr a;

	ck_assert(addr_parse(text, strlen(text), &a));
	a.port = port;
	return a;
}

static int
descriptors(void)
{
	int fd, n = 0;

	for (fd = 0; fd < 512; fd++)
		n += fcntl(fd, F_GETFD) != -1;
	return n;
}

static bool
ready(int fd, short events)
{
	struct pollfd p = { fd, events, 0 };

	return poll(&p, 1, READY_MS) == 1;
}

static int
option(int fd, int level, int name)
{
	int value = -1;
	socklen_t len = sizeof value;

	ck_assert_int_eq(getsockopt(fd, level, name, &value, &len), 0);
	return value;
}

static int
listen_on(const char *text, struct addr *bound)
{
	struct addr a = address(text, 0);
	int fd = sys_listen(&a, bound);

	ck_assert_int_ge(fd, 0);
	return fd;
}

/* Two ends of a connection; small buffers if `buffer` is not 0. */
static void
connect_pair(int fd[2], int buffer)
{
	struct addr bound, peer;
	int listener = listen_on("127.0.0.1", &bound), i;

	if (buffer > 0)
		ck_assert_int_eq(setsockopt(listener, SOL_SOCKET, SO_RCVBUF,
		    &buffer, sizeof buffer), 0);
	fd[0] = sys_connect(&bound);
	ck_assert_int_ge(fd[0], 0);
	ck_assert(ready(listener, POLLIN));
	fd[1] = sys_accept(listener, &peer);
	ck_assert_int_ge(fd[1], 0);
	ck_assert(ready(fd[0], POLLOUT));
	ck_assert_int_eq(sys_connected(fd[0]), 1);
	for (i = 0; buffer > 0 && i < 2; i++)
		ck_assert_int_eq(setsockopt(fd[i], SOL_SOCKET, SO_SNDBUF,
		    &buffer, sizeof buffer), 0);
	(void)close(listener);
}

static int
receive(int fd, void *p, size_t n)
{
	struct part part = { p, n };

	return sys_recv(fd, &part, 1);
}

static int
transmit(int fd, const char *text)
{
	char copy[64];
	struct part part = { (unsigned char *)copy, strlen(text) };

	memcpy(copy, text, part.n);
	return sys_send(fd, &part, 1);
}

static bool
has_ipv6(void)
{
	struct addr a = address("::1", 0), bound;
	int fd = sys_listen(&a, &bound);

	if (fd >= 0)
		(void)close(fd);
	return fd >= 0;
}

/* No new descriptors from here to the end of the test. */
static void
forbid_descriptors(void)
{
	struct rlimit limit;

	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
	limit.rlim_cur = 0;
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

static void
allow_descriptors(void)
{
	struct rlimit limit;

	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
	limit.rlim_cur = limit.rlim_max;
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

static struct sockaddr_in
loopback(uint16_t port)
{
	struct sockaddr_in s;

	memset(&s, 0, sizeof s);
	s.sin_family = AF_INET;
	s.sin_port = htons(port);
	s.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	return s;
}

static void
check_flags(int fd)
{
	ck_assert_int_ne(fcntl(fd, F_GETFL) & O_NONBLOCK, 0);
	ck_assert_int_ne(fcntl(fd, F_GETFD) & FD_CLOEXEC, 0);
}

static void
check_stream_options(int fd)
{
	check_flags(fd);
	ck_assert_int_ne(option(fd, IPPROTO_TCP, TCP_NODELAY), 0);
	ck_assert_int_ne(option(fd, SOL_SOCKET, SO_KEEPALIVE), 0);
	ck_assert_int_ne(option(fd, SOL_SOCKET, SO_OOBINLINE), 0);
}

START_TEST(a_listener_tells_the_port_that_it_got)
{
	struct addr bound, again;
	int fd = listen_on("127.0.0.1", &bound);

	check_flags(fd);
	ck_assert_uint_eq(bound.family, 4);
	ck_assert_uint_ne(bound.port, 0);
	again = address("127.0.0.1", bound.port);
	ck_assert_mem_eq(&bound, &again, sizeof bound);
	ck_assert_int_eq(sys_accept(fd, &again), -EAGAIN);
	(void)close(fd);
}
END_TEST

START_TEST(a_listener_that_cannot_be_is_an_error_and_leaves_nothing)
{
	struct addr bound, a = address("192.0.2.1", 0);
	int before, fd = listen_on("127.0.0.1", &bound);

	before = descriptors();
	ck_assert_int_eq(sys_listen(&bound, &bound), -EADDRINUSE);
	ck_assert_int_eq(sys_listen(&a, &bound), -EADDRNOTAVAIL);
	ck_assert_int_eq(descriptors(), before);
	(void)close(fd);
	forbid_descriptors();
	ck_assert_int_eq(sys_listen(&bound, &a), -EMFILE);
}
END_TEST

START_TEST(an_ipv6_listener_leaves_ipv4_alone)
{
	struct addr six, four, bound;
	int i, fd[2] = { -1, -1 };

	if (!has_ipv6())
		return;
	/* somebody else may have that port */
	for (i = 0; i < 50 && fd[1] < 0; i++) {
		fd[0] = listen_on("::", &six);
		four = address("0.0.0.0", six.port);
		fd[1] = sys_listen(&four, &bound);
		(void)close(fd[0]);
	}
	ck_assert_int_ge(fd[1], 0);
	ck_assert_uint_eq(bound.port, six.port);
	(void)close(fd[1]);
}
END_TEST

START_TEST(accept_tells_who_it_is_and_sets_the_socket_up)
{
	const char *text = _i == 0 ? "127.0.0.1" : "::1";
	struct addr bound, client, expected = address(text, 0);
	union {
		struct sockaddr	sa;
		struct sockaddr_in in;
		struct sockaddr_in6 in6;
	} s;
	socklen_t len = sizeof s;
	int listener, fd, accepted;

	if (_i == 1 && !has_ipv6())
		return;
	listener = listen_on(text, &bound);
	fd = sys_connect(&bound);
	ck_assert_int_ge(fd, 0);
	check_stream_options(fd);
	ck_assert(ready(listener, POLLIN));
	accepted = sys_accept(listener, &client);
	ck_assert_int_ge(accepted, 0);
	check_stream_options(accepted);
	ck_assert_int_eq(getsockname(fd, &s.sa, &len), 0);
	expected.port = ntohs(_i == 0 ? s.in.sin_port : s.in6.sin6_port);
	ck_assert_mem_eq(&client, &expected, sizeof client);
	ck_assert_int_eq(sys_accept(listener, &client), -EAGAIN);
	(void)close(accepted);
	(void)close(fd);
	(void)close(listener);
}
END_TEST

START_TEST(a_client_in_mapped_form_is_told_as_ipv4)
{
	int off = 0, fd, accepted, listener = socket(AF_INET6, SOCK_STREAM, 0);
	struct addr to, client, expected = address("127.0.0.1", 0);
	struct sockaddr_in6 s;
	socklen_t len = sizeof s;

	memset(&s, 0, sizeof s);
	s.sin6_family = AF_INET6;
	if (listener == -1 || setsockopt(listener, IPPROTO_IPV6, IPV6_V6ONLY,
	    &off, sizeof off) == -1 || bind(listener, (struct sockaddr *)&s,
	    len) == -1)
		return;			/* no IPv6 here */
	ck_assert_int_eq(listen(listener, 1), 0);
	ck_assert_int_eq(getsockname(listener, (struct sockaddr *)&s, &len), 0);
	to = address("127.0.0.1", ntohs(s.sin6_port));
	fd = sys_connect(&to);
	ck_assert(ready(listener, POLLIN));
	accepted = sys_accept(listener, &client);
	ck_assert_int_ge(accepted, 0);
	expected.port = client.port;
	ck_assert_mem_eq(&client, &expected, sizeof client);
	(void)close(accepted);
	(void)close(fd);
	(void)close(listener);
}
END_TEST

START_TEST(accept_tells_a_lack_of_descriptors_from_nothing_to_accept)
{
	struct addr bound, client;
	int listener = listen_on("127.0.0.1", &bound);
	int fd = sys_connect(&bound);

	ck_assert(ready(listener, POLLIN));
	forbid_descriptors();
	ck_assert_int_eq(sys_accept(listener, &client), -EMFILE);
	ck_assert_int_eq(sys_accept(-1, &client), -EAGAIN);
	(void)close(fd);
	(void)close(listener);
}
END_TEST

START_TEST(a_connection_is_pending_established_or_failed)
{
	struct addr bound;
	int listener = listen_on("127.0.0.1", &bound), fd = sys_connect(&bound);
	struct sockaddr_in s = loopback(0);
	socklen_t len = sizeof s;

	ck_assert(ready(fd, POLLOUT));
	ck_assert_int_eq(sys_connected(fd), 1);
	ck_assert_int_eq(sys_connected(fd), 1);
	(void)close(fd);

	/* a port that is bound and does not listen refuses */
	(void)close(listener);
	listener = socket(AF_INET, SOCK_STREAM, 0);
	fd = socket(AF_INET, SOCK_STREAM, 0);
	ck_assert_int_eq(sys_connected(fd), 0);
	(void)close(fd);
	ck_assert_int_eq(bind(listener, (struct sockaddr *)&s, len), 0);
	ck_assert_int_eq(getsockname(listener, (struct sockaddr *)&s, &len), 0);
	bound.port = ntohs(s.sin_port);
	fd = sys_connect(&bound);
	if (fd >= 0) {
		ck_assert(ready(fd, POLLOUT));
		ck_assert_int_eq(sys_connected(fd), -ECONNREFUSED);
		(void)close(fd);
	} else
		ck_assert_int_eq(fd, -ECONNREFUSED);
	(void)close(listener);
	ck_assert_int_lt(sys_connected(fd), 0);
}
END_TEST

/* The queue is full, so its system drops SYNs. */
START_TEST(a_connection_without_an_answer_is_pending)
{
	struct addr bound;
	int i, fd[8], listener = listen_on("127.0.0.1", &bound);
	struct pollfd p = { -1, POLLOUT, 0 };

	ck_assert_int_eq(listen(listener, 0), 0);
	for (i = 0; i < COUNT(fd); i++) {
		p.fd = fd[i] = sys_connect(&bound);
		ck_assert_int_ge(fd[i], 0);
		if (poll(&p, 1, 100) == 0) {
			ck_assert_int_eq(sys_connected(fd[i]), 0);
			break;
		}
	}
	while (--i >= 0)
		(void)close(fd[i]);
	(void)close(listener);
}
END_TEST

START_TEST(a_socket_that_met_itself_is_not_connected)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	struct sockaddr_in s = loopback(0);
	socklen_t len = sizeof s;

	ck_assert_int_eq(bind(fd, (struct sockaddr *)&s, len), 0);
	ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&s, &len), 0);
	if (connect(fd, (struct sockaddr *)&s, len) == 0)
		ck_assert_int_eq(sys_connected(fd), -ELOOP);
	(void)close(fd);
}
END_TEST

START_TEST(connect_fails_at_once_without_a_route_or_descriptors)
{
	struct addr a = address("224.0.0.1", 443);	/* not for TCP */
	int before = descriptors();

	ck_assert_int_lt(sys_connect(&a), 0);
	ck_assert_int_ne(sys_connect(&a), -EAGAIN);
	ck_assert_int_eq(descriptors(), before);
	a = address("127.0.0.1", 443);
	forbid_descriptors();
	ck_assert_int_eq(sys_connect(&a), -EMFILE);
}
END_TEST

START_TEST(bytes_go_from_two_parts_into_two_parts)
{
	unsigned char in[] = "abcdefgh", out[] = "........";
	struct part from[2] = { { in + 5, 3 }, { in, 4 } };
	struct part to[2] = { { out + 6, 2 }, { out + 1, 4 } };
	int fd[2];

	connect_pair(fd, 0);
	ck_assert_int_eq(sys_send(fd[0], from, 2), 7);
	ck_assert(ready(fd[1], POLLIN));
	ck_assert_int_eq(sys_recv(fd[1], to, 2), 6);
	ck_assert_str_eq((char *)out, ".habc.fg");
	ck_assert_int_eq(sys_recv(fd[1], to, 1), 1);
	ck_assert_str_eq((char *)out, ".habc.dg");
	ck_assert_int_eq(sys_recv(fd[1], to, 1), -EAGAIN);
	sys_close(&fd[0]);
	sys_close(&fd[1]);
}
END_TEST

START_TEST(send_to_a_full_socket_is_not_now)
{
	static unsigned char bytes[64 * 1024];
	struct part part = { bytes, sizeof bytes };
	int fd[2], n, total = 0;

	connect_pair(fd, 8192);
	while ((n = sys_send(fd[0], &part, 1)) > 0) {
		total += n;
		ck_assert_int_lt(total, 64 * 1024 * 1024);
	}
	ck_assert_int_eq(n, -EAGAIN);
	ck_assert_int_gt(total, 0);
	sys_close(&fd[0]);
	sys_close(&fd[1]);
}
END_TEST

START_TEST(shutdown_is_seen_as_the_end_and_may_be_repeated)
{
	char buf[8];
	int fd[2];

	connect_pair(fd, 0);
	ck_assert_int_eq(transmit(fd[0], "last"), 4);
	sys_shutdown(fd[0]);
	sys_shutdown(fd[0]);
	ck_assert(ready(fd[1], POLLIN));
	ck_assert_int_eq(receive(fd[1], buf, sizeof buf), 4);
	ck_assert(ready(fd[1], POLLIN));
	ck_assert_int_eq(receive(fd[1], buf, sizeof buf), 0);

	/* the other direction lives */
	ck_assert_int_eq(transmit(fd[1], "yes"), 3);
	ck_assert(ready(fd[0], POLLIN));
	ck_assert_int_eq(receive(fd[0], buf, sizeof buf), 3);
	sys_close(&fd[0]);
	sys_close(&fd[1]);
	sys_shutdown(-1);
}
END_TEST

START_TEST(close_closes_once)
{
	int fd[2], was;

	connect_pair(fd, 0);
	was = fd[0];
	sys_close(&fd[0]);
	ck_assert_int_eq(fd[0], -1);
	ck_assert_int_eq(fcntl(was, F_GETFD), -1);
	/* whoever has the number now is left alone */
	ck_assert_int_eq(dup2(fd[1], was), was);
	sys_close(&fd[0]);
	sys_reset(&fd[0]);
	ck_assert_int_ne(fcntl(was, F_GETFD), -1);
	(void)close(was);
	sys_close(&fd[1]);
}
END_TEST

START_TEST(a_reset_is_an_error_to_the_peer_and_no_signal)
{
	char buf[8];
	int fd[2], i, rc;

	(void)signal(SIGPIPE, SIG_DFL);
	connect_pair(fd, 0);
	sys_reset(&fd[1]);
	ck_assert_int_eq(fd[1], -1);
	ck_assert(ready(fd[0], POLLIN));
	ck_assert_int_eq(receive(fd[0], buf, sizeof buf), -ECONNRESET);
	for (i = 0; i < 3; i++) {
		rc = transmit(fd[0], "x");
		ck_assert(rc == -EPIPE || rc == -ECONNRESET);
	}
	sys_close(&fd[0]);

	connect_pair(fd, 0);
	sys_reset(&fd[1]);
	ck_assert(ready(fd[0], POLLIN));
	for (i = 0; i < 3; i++) {
		rc = transmit(fd[0], "x");
		ck_assert(rc == -EPIPE || rc == -ECONNRESET);
	}
	sys_close(&fd[0]);
}
END_TEST

START_TEST(what_the_peer_has_not_taken_is_unsent)
{
	static unsigned char bytes[64 * 1024];
	struct part part = { bytes, sizeof bytes };
	int fd[2];

	connect_pair(fd, 8192);
	if (sys_unsent(fd[0]) == -ENOSYS)
		return;
	ck_assert_int_eq(sys_unsent(fd[0]), 0);
	while (sys_send(fd[0], &part, 1) > 0)
		;
	ck_assert_int_gt(sys_unsent(fd[0]), 0);
	while (sys_unsent(fd[0]) > 0) {
		ck_assert(ready(fd[1], POLLIN));
		while (receive(fd[1], bytes, sizeof bytes) > 0)
			;
		(void)ready(fd[0], POLLOUT);
	}
	/* and what it never will take is no number */
	ck_assert_int_gt(sys_send(fd[0], &part, 1), 0);
	sys_reset(&fd[1]);
	ck_assert(ready(fd[0], POLLIN));
	ck_assert_int_lt(sys_unsent(fd[0]), 0);
	sys_close(&fd[0]);
	ck_assert_int_lt(sys_unsent(fd[0]), 0);
}
END_TEST

START_TEST(an_address_of_this_machine_is_local)
{
	struct addr bound, a;
	int listener = listen_on("127.0.0.1", &bound);

	ck_assert(sys_is_local(&bound));
	a = address("127.0.0.1", 0);
	ck_assert(sys_is_local(&a));
	a = address("192.0.2.1", bound.port);
	ck_assert(!sys_is_local(&a));
	if (has_ipv6()) {
		a = address("::1", 443);
		ck_assert(sys_is_local(&a));
		a = address("2001:db8::1", 443);
		ck_assert(!sys_is_local(&a));
	}
	(void)close(listener);
}
END_TEST

START_TEST(an_address_of_which_nothing_is_known_is_local)
{
	struct addr a = address("192.0.2.1", 443);
	int before = descriptors();

	ck_assert(!sys_is_local(&a));
	ck_assert_int_eq(descriptors(), before);
	forbid_descriptors();
	ck_assert(sys_is_local(&a));
}
END_TEST

/* ---- waiting ----------------------------------------------------------- */

static struct pollfd pfd[4];
static uint32_t owner[4];

static struct waits
no_waits(void)
{
	struct waits w = { pfd, owner, 0, COUNT(pfd), WAIT_FOREVER };

	memset(pfd, 0xEE, sizeof pfd);
	return w;
}

START_TEST(a_wish_is_an_entry_and_no_wish_is_none)
{
	struct waits w = no_waits();

	ck_assert_int_eq(sys_want(&w, 7, POLLIN, 70), 0);
	ck_assert_int_eq(sys_want(&w, 8, 0, 80), -1);
	ck_assert_int_eq(sys_want(&w, 9, POLLIN | POLLOUT, 90), 1);
	ck_assert_uint_eq(w.n, 2);
	ck_assert_int_eq(pfd[0].fd, 7);
	ck_assert_int_eq(pfd[0].events, POLLIN);
	ck_assert_int_eq(pfd[0].revents, 0);
	ck_assert_uint_eq(owner[0], 70);
	ck_assert_int_eq(pfd[1].fd, 9);
	ck_assert_int_eq(pfd[1].events, POLLIN | POLLOUT);
	ck_assert_int_eq(pfd[1].revents, 0);
	ck_assert_uint_eq(owner[1], 90);
}
END_TEST

START_TEST(a_full_table_takes_nothing)
{
	struct waits w = no_waits();
	struct pollfd guard;

	w.max = 2;
	guard = pfd[2];
	ck_assert_int_eq(sys_want(&w, 1, POLLIN, 0), 0);
	ck_assert_int_eq(sys_want(&w, 2, POLLIN, 0), 1);
	ck_assert_int_eq(sys_want(&w, 3, POLLIN, 0), -1);
	ck_assert_uint_eq(w.n, 2);
	ck_assert_mem_eq(&pfd[2], &guard, sizeof guard);
}
END_TEST

START_TEST(a_deadline_is_only_ever_lowered)
{
	struct waits w = no_waits();

	sys_due(&w, WAIT_FOREVER);
	ck_assert_int_eq(w.deadline, WAIT_FOREVER);
	sys_due(&w, 100);
	ck_assert_int_eq(w.deadline, 100);
	sys_due(&w, 101);
	ck_assert_int_eq(w.deadline, 100);
	sys_due(&w, 99);
	ck_assert_int_eq(w.deadline, 99);
	sys_due(&w, -5);
	ck_assert_int_eq(w.deadline, -5);
}
END_TEST

START_TEST(what_poll_said_is_told_by_entry)
{
	struct waits w = no_waits();

	(void)sys_want(&w, 1, POLLIN, 0);
	(void)sys_want(&w, 2, POLLOUT, 0);
	pfd[0].revents = POLLHUP;
	pfd[1].revents = POLLOUT | POLLERR;
	ck_assert_int_eq(sys_got(&w, 0), POLLHUP);
	ck_assert_int_eq(sys_got(&w, 1), POLLOUT | POLLERR);
	ck_assert_int_eq(sys_got(&w, -1), 0);
}
END_TEST

START_TEST(poll_returns_when_something_is_ready)
{
	struct waits w = no_waits();
	int fd[2];

	ck_assert_int_eq(pipe(fd), 0);
	ck_assert_int_eq(write(fd[1], "x", 1), 1);
	(void)sys_want(&w, fd[0], POLLIN, 0);
	(void)sys_want(&w, fd[1], POLLOUT, 0);
	sys_poll(&w, sys_now());	/* deadline: never */
	ck_assert_int_eq(sys_got(&w, 0), POLLIN);
	ck_assert_int_eq(sys_got(&w, 1), POLLOUT);
	(void)close(fd[0]);
	(void)close(fd[1]);
}
END_TEST

START_TEST(poll_returns_at_once_when_the_deadline_has_passed)
{
	static const int64_t ago[] = { 0, 1, 1000, 1000 * 1000 };
	struct waits w = no_waits();
	int64_t now = sys_now();
	int fd[2], i;

	ck_assert_int_eq(pipe(fd), 0);
	(void)sys_want(&w, fd[0], POLLIN, 0);
	for (i = 0; i < COUNT(ago); i++) {
		w.deadline = now - ago[i];
		pfd[0].revents = POLLIN;
		sys_poll(&w, now);
		ck_assert_int_eq(sys_got(&w, 0), 0);
	}
	w.deadline = INT64_MIN;
	sys_poll(&w, now);
	ck_assert_int_eq(sys_got(&w, 0), 0);
	ck_assert_int_lt(sys_now() - now, READY_MS);
	(void)close(fd[0]);
	(void)close(fd[1]);
}
END_TEST

/* Rounded up: never a turn for nothing just before the deadline. */
START_TEST(poll_never_returns_before_the_deadline)
{
	struct waits w = no_waits();
	int64_t now;
	int i;

	for (i = 0; i < 20; i++) {
		now = sys_now();
		w.deadline = now + 1 + i % 5;
		sys_poll(&w, now);
		ck_assert_int_ge(sys_now(), w.deadline);
	}
}
END_TEST

static void
on_alarm(int number)
{
	(void)number;
}

/* The deadline is far, so only the signal can end this; what was said before
 * counts no more. */
START_TEST(poll_returns_for_a_signal_and_nothing_is_ready_then)
{
	struct sigaction action;
	struct waits w = no_waits();
	int fd[2];

	memset(&action, 0, sizeof action);
	action.sa_handler = on_alarm;
	ck_assert_int_eq(sigaction(SIGALRM, &action, NULL), 0);
	ck_assert_int_eq(pipe(fd), 0);
	(void)sys_want(&w, fd[0], POLLIN, 0);
	pfd[0].revents = POLLIN;
	(void)alarm(1);
	sys_poll(&w, sys_now());
	ck_assert_int_eq(sys_got(&w, 0), 0);
	(void)close(fd[0]);
	(void)close(fd[1]);
}
END_TEST

/* poll itself fails when it is given more than the limit. */
START_TEST(a_poll_that_fails_does_not_spin)
{
	struct waits w = no_waits();
	int64_t before = sys_now();

	(void)sys_want(&w, 0, POLLIN, 0);
	(void)sys_want(&w, 1, POLLOUT, 0);
	pfd[0].revents = pfd[1].revents = POLLIN;
	forbid_descriptors();
	if (poll(pfd, 2, 0) != -1)
		return;			/* not on this system */
	pfd[0].revents = pfd[1].revents = POLLIN;
	sys_poll(&w, before);
	ck_assert_int_eq(sys_got(&w, 0), 0);
	ck_assert_int_eq(sys_got(&w, 1), 0);
	ck_assert_int_ge(sys_now() - before, 5);
}
END_TEST

START_TEST(the_clock_does_not_go_back)
{
	int64_t now = sys_now(), next;
	int i;

	ck_assert_int_ge(now, 0);
	for (i = 0; i < 10000; i++, now = next) {
		next = sys_now();
		ck_assert_int_ge(next, now);
	}
}
END_TEST

/* ---- signals ----------------------------------------------------------- */

/* Those that are told until there is none, as a set of bits. */
static unsigned
told_signals(bool woken)
{
	unsigned told = 0;
	int number;

	while ((number = sys_signal(woken)) != 0) {
		woken = false;
		ck_assert_uint_eq(told & 1u << number, 0);
		told |= 1u << number;
	}
	return told;
}

START_TEST(a_signal_wakes_poll_and_is_told_once)
{
	static const int numbers[] = { SIGHUP, SIGINT, SIGTERM, SIGUSR1 };
	struct pollfd p = { sys_signals(), POLLIN, 0 };
	int number = numbers[_i];

	ck_assert_int_ge(p.fd, 0);
	check_flags(p.fd);
	ck_assert_int_eq(poll(&p, 1, 0), 0);
	ck_assert_uint_eq(told_signals(false), 0);
	ck_assert_uint_eq(told_signals(true), 0);	/* nothing blocks */
	errno = EDOM;
	ck_assert_int_eq(raise(number), 0);
	ck_assert_int_eq(errno, EDOM);
	ck_assert_int_eq(poll(&p, 1, 0), 1);
	ck_assert_uint_eq(told_signals(true), 1u << number);
	ck_assert_int_eq(poll(&p, 1, 0), 0);
	ck_assert_uint_eq(told_signals(false), 0);

	/* and again, also if poll did not say so */
	ck_assert_int_eq(raise(number), 0);
	ck_assert_uint_eq(told_signals(false), 1u << number);
	ck_assert_int_eq(raise(number), 0);
	ck_assert_uint_eq(told_signals(true), 1u << number);
	ck_assert_int_eq(poll(&p, 1, 0), 0);
}
END_TEST

START_TEST(signals_that_come_together_are_all_told)
{
	struct pollfd p = { sys_signals(), POLLIN, 0 };

	ck_assert_int_ge(p.fd, 0);
	ck_assert_int_eq(raise(SIGUSR1), 0);
	ck_assert_int_eq(raise(SIGTERM), 0);
	ck_assert_int_eq(raise(SIGHUP), 0);
	ck_assert_int_eq(raise(SIGINT), 0);
	ck_assert_int_eq(raise(SIGHUP), 0);
	ck_assert_uint_eq(told_signals(true), 1u << SIGUSR1 | 1u << SIGTERM |
	    1u << SIGHUP | 1u << SIGINT);
	ck_assert_int_eq(poll(&p, 1, 0), 0);
}
END_TEST

/* Its descriptor may stay ready for some turns, but not for ever. */
START_TEST(a_flood_of_signals_does_not_block_and_loses_none)
{
	struct pollfd p = { sys_signals(), POLLIN, 0 };
	int i;

	ck_assert_int_ge(p.fd, 0);
	for (i = 0; i < 200 * 1000; i++)
		ck_assert_int_eq(raise(SIGUSR1), 0);
	ck_assert_int_eq(raise(SIGTERM), 0);
	ck_assert_uint_eq(told_signals(true), 1u << SIGUSR1 | 1u << SIGTERM);
	for (i = 0; poll(&p, 1, 0) == 1; i++) {
		ck_assert_int_lt(i, 100 * 1000);
		ck_assert_uint_eq(told_signals(true), 0);
	}
}
END_TEST

/* A parent may have blocked or ignored what we count on. */
START_TEST(inherited_dispositions_are_undone)
{
	struct sigaction action;
	sigset_t all;
	int fd[2];

	sigfillset(&all);
	ck_assert_int_eq(sigprocmask(SIG_BLOCK, &all, NULL), 0);
	(void)signal(SIGCHLD, SIG_IGN);
	(void)signal(SIGTERM, SIG_IGN);
	(void)signal(SIGPIPE, SIG_DFL);
	ck_assert_int_ge(sys_signals(), 0);
	ck_assert_int_eq(raise(SIGTERM), 0);
	ck_assert_int_eq(sys_signal(true), SIGTERM);
	ck_assert_int_eq(sigaction(SIGCHLD, NULL, &action), 0);
	ck_assert(action.sa_handler == SIG_DFL);
	ck_assert_int_eq(sigprocmask(SIG_BLOCK, NULL, &all), 0);
	ck_assert(!sigismember(&all, SIGTERM) && !sigismember(&all, SIGCHLD));

	ck_assert_int_eq(pipe(fd), 0);
	(void)close(fd[0]);
	ck_assert_int_eq(write(fd[1], "x", 1), -1);
	ck_assert_int_eq(errno, EPIPE);
}
END_TEST

START_TEST(without_sys_signals_there_is_no_signal)
{
	ck_assert_int_eq(sys_signal(false), 0);
	ck_assert_int_eq(sys_signal(true), 0);
}
END_TEST

/* ---- files and limits -------------------------------------------------- */

static void
name_file(void)
{
	const char *dir = getenv("TMPDIR");
	int fd;

	(void)snprintf(path, sizeof path, "%s/check_sys.XXXXXX",
	    dir != NULL ? dir : "/tmp");
	fd = mkstemp(path);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, "0123456789", 10), 10);
	(void)close(fd);
}

static void
remove_file(void)
{
	(void)unlink(path);
}

START_TEST(a_file_is_read_whole_or_not_at_all)
{
	char buf[16];
	long max;
	int before = descriptors();

	for (max = 0; max <= 12; max++) {
		memset(buf, 'x', sizeof buf);
		ck_assert_int_eq(sys_read_file(path, buf, (size_t)max),
		    max < 10 ? -EFBIG : 10);
		if (max >= 10)
			ck_assert_mem_eq(buf, "0123456789xxxxxx", sizeof buf);
		ck_assert_int_eq(buf[max], 'x');
	}
	ck_assert_int_eq(sys_file_size(path), 10);
	ck_assert_int_eq(descriptors(), before);
}
END_TEST

START_TEST(an_empty_file_has_no_bytes)
{
	char byte = 'x';

	ck_assert_int_eq(truncate(path, 0), 0);
	ck_assert_int_eq(sys_file_size(path), 0);
	ck_assert_int_eq(sys_read_file(path, &byte, 0), 0);
	ck_assert_int_eq(sys_read_file(path, &byte, 1), 0);
	ck_assert_int_eq(sys_read_file("/dev/null", &byte, 1), 0);
	ck_assert_int_eq(byte, 'x');
}
END_TEST

START_TEST(a_large_file_is_read_whole)
{
	const size_t n = 3 * 1000 * 1000;
	char *text = malloc(n), *copy = malloc(n);
	FILE *f = fopen(path, "w");
	size_t i;

	ck_assert(text != NULL && copy != NULL && f != NULL);
	for (i = 0; i < n; i++)
		text[i] = (char)(i * 31 + i / 256);
	ck_assert_uint_eq(fwrite(text, 1, n, f), n);
	ck_assert_int_eq(fclose(f), 0);
	ck_assert_int_eq(sys_file_size(path), (long)n);
	ck_assert_int_eq(sys_read_file(path, copy, n), (long)n);
	ck_assert_mem_eq(copy, text, n);
	free(text);
	free(copy);
}
END_TEST

START_TEST(what_cannot_be_read_is_an_error)
{
	char byte;
	int before = descriptors();

	ck_assert_int_eq(unlink(path), 0);
	ck_assert_int_eq(sys_read_file(path, &byte, 1), -ENOENT);
	ck_assert_int_eq(sys_file_size(path), -ENOENT);
	ck_assert_int_eq(sys_read_file("/", &byte, 1), -EISDIR);
	ck_assert_int_eq(sys_read_file("/dev/null/x", &byte, 1), -ENOTDIR);
	ck_assert_int_eq(descriptors(), before);
	forbid_descriptors();
	ck_assert_int_eq(sys_read_file("/dev/null", &byte, 1), -EMFILE);
}
END_TEST

START_TEST(random_bytes_differ)
{
	unsigned char a[64], b[64], c[64];
	int i, same = 0;

	memset(a, 0, sizeof a);
	memset(b, 0, sizeof b);
	memset(c, 0, sizeof c);
	ck_assert_int_eq(sys_random(a, sizeof a), 0);
	ck_assert_int_eq(sys_random(b, sizeof b - 32), 0);
	for (i = 0; i < 32; i++)
		same += a[i] == b[i];
	ck_assert_int_lt(same, 16);
	ck_assert_mem_eq(b + 32, c, 32);
}
END_TEST

/* Once it was asked it needs no descriptor any more. */
START_TEST(random_bytes_need_a_descriptor_once)
{
	unsigned char a[4];

	if (_i == 1)
		ck_assert_int_eq(sys_random(a, sizeof a), 0);
	forbid_descriptors();
	ck_assert_int_eq(sys_random(a, sizeof a), _i == 1 ? 0 : -EMFILE);
}
END_TEST

static rlim_t
soft_limit(void)
{
	struct rlimit limit;

	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
	return limit.rlim_cur;
}

START_TEST(the_limit_of_descriptors_is_raised_if_that_is_allowed)
{
	struct rlimit limit = { 64, 128 };

	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
	ck_assert_uint_eq(sys_descriptors(1), 0);
	ck_assert_uint_eq(sys_descriptors(64), 0);
	ck_assert_uint_eq(soft_limit(), 64);
	ck_assert_uint_eq(sys_descriptors(65), 0);
	ck_assert_uint_eq(soft_limit(), 65);
	ck_assert_uint_eq(sys_descriptors(128), 0);
	ck_assert_uint_eq(soft_limit(), 128);
	ck_assert_uint_eq(sys_descriptors(129), 128);
	ck_assert_uint_eq(sys_descriptors(1000 * 1000), 128);
	ck_assert_uint_eq(soft_limit(), 128);
	ck_assert_uint_eq(sys_descriptors(100), 0);
	ck_assert_uint_eq(soft_limit(), 128);
}
END_TEST

/* In a child, with those descriptors closed whose bit is set in _i. */
START_TEST(standard_descriptors_are_open_afterwards)
{
	int status, fd, free_before;
	pid_t child = fork();

	ck_assert_int_ge(child, 0);
	if (child == 0) {
		free_before = dup(0);
		(void)close(free_before);
		for (fd = 0; fd < 3; fd++)
			if (_i & 1 << fd)
				(void)close(fd);
		if (sys_stdio() != 0)
			_exit(8);
		for (fd = 0; fd < 3; fd++)
			if (fcntl(fd, F_GETFD) == -1)
				_exit(1 + fd);
		/* and nothing else was opened */
		_exit(dup(0) == free_before ? 0 : 9);
	}
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert(WIFEXITED(status));
	ck_assert_int_eq(WEXITSTATUS(status), 0);
}
END_TEST

/* A limit that was inherited may leave no room for them. */
START_TEST(standard_descriptors_that_cannot_be_opened_are_an_error)
{
	int status;
	pid_t child = fork();

	ck_assert_int_ge(child, 0);
	if (child == 0) {
		(void)close(0);
		forbid_descriptors();
		_exit(sys_stdio() == -EMFILE ? 0 : 1);
	}
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert(WIFEXITED(status));
	ck_assert_int_eq(WEXITSTATUS(status), 0);
}
END_TEST

/* ---- log --------------------------------------------------------------- */

/*
 * What standard error may be.  Of the sockets the log has no description of
 * its own.  Of the datagrams each holds one write.
 */
enum sink { PIPE, STREAM, DATAGRAM, SINKS };

static int reader;

/* Make standard error such a thing and open the log on it. */
static void
open_log(enum sink sink, enum log_level level)
{
	int fd[2];

	if (sink == PIPE)
		ck_assert_int_eq(pipe(fd), 0);
	else
		ck_assert_int_eq(socketpair(AF_UNIX, sink == STREAM ?
		    SOCK_STREAM : SOCK_DGRAM, 0, fd), 0);
	ck_assert_int_eq(dup2(fd[1], 2), 2);
	(void)close(fd[1]);
	reader = fd[0];
	ck_assert_int_ne(fcntl(reader, F_SETFL, O_NONBLOCK), -1);
	sys_log_open(level);
}

/* All that was written, as a string. */
static const char *
logged(void)
{
	static char text[1024 * 1024];
	size_t n = 0;
	ssize_t got;

	while ((got = read(reader, text + n, sizeof text - 1 - n)) > 0)
		n += (size_t)got;
	text[n] = '\0';
	return text;
}

START_TEST(a_line_is_one_write_with_its_newline)
{
	char text[LOG_LINE_MAX + 1];
	ssize_t n;

	open_log(DATAGRAM, LEVEL_INFO);
	sys_log(LEVEL_INFO, "one %d %s", 1, "two");
	sys_log(LEVEL_INFO, "%s", "");
	n = read(reader, text, sizeof text);
	ck_assert_int_eq(n, 10);
	ck_assert_mem_eq(text, "one 1 two\n", 10);
	n = read(reader, text, sizeof text);
	ck_assert_int_eq(n, 1);
	ck_assert_mem_eq(text, "\n", 1);
	ck_assert_uint_eq(sys_log_lost(), 0);
}
END_TEST

START_TEST(lines_above_the_level_are_dropped)
{
	static const char *const words[] = { "error\n", "warning\n",
	    "notice\n", "info\n", "debug\n" };
	char expected[64] = "";
	int level;

	open_log(PIPE, (enum log_level)_i);
	for (level = LEVEL_ERROR; level <= LEVEL_DEBUG; level++) {
		sys_log((enum log_level)level, "%.*s",
		    (int)strlen(words[level]) - 1, words[level]);
		if (level <= _i)
			strcat(expected, words[level]);
	}
	ck_assert_str_eq(logged(), expected);
	ck_assert_uint_eq(sys_log_lost(), 0);
}
END_TEST

START_TEST(a_line_of_more_than_512_bytes_is_cut_and_says_so)
{
	static const size_t lengths[] = { 1, 507, 508, 509, 510, 511, 512, 513,
	    514, 1023, 1024, 5000 };
	char long_text[5001], expected[LOG_LINE_MAX + 1];
	size_t n = lengths[_i], i;

	for (i = 0; i < n; i++)
		long_text[i] = (char)('a' + i % 26);
	long_text[n] = '\0';
	memcpy(expected, long_text, n < 511 ? n : 511);
	if (n > 511)
		memcpy(expected + 508, "...", 3);
	(void)strcpy(expected + (n < 511 ? n : 511), "\n");

	open_log(DATAGRAM, LEVEL_INFO);
	sys_log(LEVEL_INFO, "%s", long_text);
	sys_log(LEVEL_INFO, "next");
	ck_assert_int_eq(read(reader, long_text, sizeof long_text),
	    (ssize_t)strlen(expected));
	ck_assert_mem_eq(long_text, expected, strlen(expected));
	ck_assert_int_eq(read(reader, long_text, sizeof long_text), 5);
}
END_TEST

/* Lines until one is lost; each has its number. */
static unsigned
fill_log(void)
{
	unsigned n = 0;

	while (sys_log_lost() == 0) {
		sys_log(LEVEL_INFO, "line %u of many to fill the sink", n++);
		ck_assert_uint_lt(n, 1000 * 1000);
	}
	return n - 1;
}

START_TEST(a_sink_that_nobody_reads_costs_lines_and_no_time)
{
	char line[64];
	const char *text;
	unsigned n, i;

	open_log((enum sink)_i, LEVEL_INFO);
	n = fill_log();
	ck_assert_uint_gt(n, 0);
	for (i = 0; i < 1000; i++)
		sys_log(LEVEL_INFO, "lost");
	ck_assert_uint_eq(sys_log_lost(), 1001);
	sys_log(LEVEL_DEBUG, "this one nobody wanted");
	ck_assert_uint_eq(sys_log_lost(), 1001);

	/* What is there is whole. */
	text = logged();
	for (i = 0; i < n; i++) {
		(void)snprintf(line, sizeof line,
		    "line %u of many to fill the sink\n", i);
		ck_assert_msg(strncmp(text, line, strlen(line)) == 0,
		    "line %u: %.60s", i, text);
		text += strlen(line);
	}
	ck_assert_str_eq(text, "");

	sys_log(LEVEL_INFO, "back");
	ck_assert_str_eq(logged(), "log: 1001 lines lost\nback\n");
	sys_log(LEVEL_INFO, "again");
	ck_assert_str_eq(logged(), "again\n");
	ck_assert_uint_eq(sys_log_lost(), 1001);
}
END_TEST

START_TEST(losses_are_told_once_each_time)
{
	int i;

	open_log((enum sink)_i, LEVEL_INFO);
	(void)fill_log();
	(void)logged();
	sys_log(LEVEL_INFO, "first");
	ck_assert_str_eq(logged(), "log: 1 lines lost\nfirst\n");
	for (i = 0; sys_log_lost() < 4; i++) {
		sys_log(LEVEL_INFO, "more lines to fill the sink");
		ck_assert_int_lt(i, 1000 * 1000);
	}
	(void)logged();
	sys_log(LEVEL_INFO, "second");
	ck_assert_str_eq(logged(), "log: 3 lines lost\nsecond\n");
}
END_TEST

/* O_NONBLOCK belongs to the description, and that is shared with others. */
START_TEST(standard_error_itself_stays_blocking)
{
	int before;

	open_log((enum sink)_i, LEVEL_INFO);
	before = fcntl(2, F_GETFL);
	ck_assert_int_eq(before & O_NONBLOCK, 0);
	(void)fill_log();
	ck_assert_int_eq(fcntl(2, F_GETFL), before);
}
END_TEST

START_TEST(a_sink_without_a_reader_costs_lines_and_no_life)
{
	ck_assert_int_ge(sys_signals(), 0);
	open_log((enum sink)_i, LEVEL_INFO);
	sys_log(LEVEL_INFO, "one");
	(void)close(reader);
	sys_log(LEVEL_INFO, "two");
	sys_log(LEVEL_INFO, "three");
	ck_assert_uint_eq(sys_log_lost(), 2);
}
END_TEST

/* Whoever else holds standard error writes behind our lines, and we behind
 * his: also where the file was not opened for appending. */
START_TEST(in_a_file_nobody_overwrites_anybody)
{
	static const char expected[] = "0123456789one\nother\ntwo\n";
	char text[64];
	int fd = open(path, _i == 0 ? O_WRONLY : O_WRONLY | O_APPEND);

	ck_assert_int_ge(lseek(fd, 0, _i == 0 ? SEEK_END : SEEK_SET), 0);
	ck_assert_int_eq(dup2(fd, 2), 2);
	sys_log_open(LEVEL_INFO);
	sys_log(LEVEL_INFO, "one");
	ck_assert_int_eq(write(fd, "other\n", 6), 6);
	sys_log(LEVEL_INFO, "two");
	ck_assert_int_eq(sys_read_file(path, text, sizeof text),
	    (long)strlen(expected));
	ck_assert_mem_eq(text, expected, strlen(expected));
	(void)close(fd);
}
END_TEST

START_TEST(before_it_is_opened_the_log_is_standard_error)
{
	int fd[2];

	ck_assert_int_eq(pipe(fd), 0);
	ck_assert_int_eq(dup2(fd[1], 2), 2);
	reader = fd[0];
	ck_assert_int_ne(fcntl(reader, F_SETFL, O_NONBLOCK), -1);
	sys_log(LEVEL_INFO, "early");
	sys_log(LEVEL_DEBUG, "not this");
	ck_assert_str_eq(logged(), "early\n");
}
END_TEST

START_TEST(without_standard_error_lines_are_lost)
{
	(void)close(2);
	sys_log_open(LEVEL_INFO);
	sys_log(LEVEL_INFO, "nowhere");
	ck_assert_uint_eq(sys_log_lost(), 1);
}
END_TEST

static TCase *
new_case(Suite *s, const char *name)
{
	TCase *tc = tcase_create(name);

	tcase_add_checked_fixture(tc, NULL, allow_descriptors);
	tcase_set_timeout(tc, 60);
	suite_add_tcase(s, tc);
	return tc;
}

static void
add_socket_tests(Suite *s)
{
	TCase *tc = new_case(s, "sockets");

	tcase_add_test(tc, a_listener_tells_the_port_that_it_got);
	tcase_add_test(tc,
	    a_listener_that_cannot_be_is_an_error_and_leaves_nothing);
	tcase_add_test(tc, an_ipv6_listener_leaves_ipv4_alone);
	tcase_add_loop_test(tc, accept_tells_who_it_is_and_sets_the_socket_up,
	    0, 2);
	tcase_add_test(tc, a_client_in_mapped_form_is_told_as_ipv4);
	tcase_add_test(tc,
	    accept_tells_a_lack_of_descriptors_from_nothing_to_accept);
	tcase_add_test(tc, a_connection_is_pending_established_or_failed);
	tcase_add_test(tc, a_connection_without_an_answer_is_pending);
	tcase_add_test(tc, a_socket_that_met_itself_is_not_connected);
	tcase_add_test(tc,
	    connect_fails_at_once_without_a_route_or_descriptors);
	tcase_add_test(tc, bytes_go_from_two_parts_into_two_parts);
	tcase_add_test(tc, send_to_a_full_socket_is_not_now);
	tcase_add_test(tc, shutdown_is_seen_as_the_end_and_may_be_repeated);
	tcase_add_test(tc, close_closes_once);
	tcase_add_test(tc, a_reset_is_an_error_to_the_peer_and_no_signal);
	tcase_add_test(tc, what_the_peer_has_not_taken_is_unsent);
	tcase_add_test(tc, an_address_of_this_machine_is_local);
	tcase_add_test(tc, an_address_of_which_nothing_is_known_is_local);
}

static void
add_waiting_tests(Suite *s)
{
	TCase *tc = new_case(s, "waiting");

	tcase_add_test(tc, a_wish_is_an_entry_and_no_wish_is_none);
	tcase_add_test(tc, a_full_table_takes_nothing);
	tcase_add_test(tc, a_deadline_is_only_ever_lowered);
	tcase_add_test(tc, what_poll_said_is_told_by_entry);
	tcase_add_test(tc, poll_returns_when_something_is_ready);
	tcase_add_test(tc, poll_returns_at_once_when_the_deadline_has_passed);
	tcase_add_test(tc, poll_never_returns_before_the_deadline);
	tcase_add_test(tc, poll_returns_for_a_signal_and_nothing_is_ready_then);
	tcase_add_test(tc, a_poll_that_fails_does_not_spin);
	tcase_add_test(tc, the_clock_does_not_go_back);

	tc = new_case(s, "signals");
	tcase_add_loop_test(tc, a_signal_wakes_poll_and_is_told_once, 0, 4);
	tcase_add_test(tc, signals_that_come_together_are_all_told);
	tcase_add_test(tc, a_flood_of_signals_does_not_block_and_loses_none);
	tcase_add_test(tc, inherited_dispositions_are_undone);
	tcase_add_test(tc, without_sys_signals_there_is_no_signal);
}

static void
add_file_tests(Suite *s)
{
	TCase *tc = new_case(s, "files");

	tcase_add_checked_fixture(tc, name_file, remove_file);
	tcase_add_test(tc, a_file_is_read_whole_or_not_at_all);
	tcase_add_test(tc, an_empty_file_has_no_bytes);
	tcase_add_test(tc, a_large_file_is_read_whole);
	tcase_add_test(tc, what_cannot_be_read_is_an_error);
	tcase_add_loop_test(tc, in_a_file_nobody_overwrites_anybody, 0, 2);

	tc = new_case(s, "limits");
	tcase_add_test(tc, random_bytes_differ);
	tcase_add_loop_test(tc, random_bytes_need_a_descriptor_once, 0, 2);
	tcase_add_test(tc,
	    the_limit_of_descriptors_is_raised_if_that_is_allowed);
	tcase_add_loop_test(tc, standard_descriptors_are_open_afterwards, 0, 8);
	tcase_add_test(tc,
	    standard_descriptors_that_cannot_be_opened_are_an_error);
}

static void
add_log_tests(Suite *s)
{
	TCase *tc = new_case(s, "log");

	tcase_add_test(tc, a_line_is_one_write_with_its_newline);
	tcase_add_loop_test(tc, lines_above_the_level_are_dropped, LEVEL_ERROR,
	    LEVEL_DEBUG + 1);
	tcase_add_loop_test(tc,
	    a_line_of_more_than_512_bytes_is_cut_and_says_so, 0, 12);
	tcase_add_loop_test(tc,
	    a_sink_that_nobody_reads_costs_lines_and_no_time, 0, SINKS);
	tcase_add_loop_test(tc, losses_are_told_once_each_time, 0, SINKS);
	tcase_add_loop_test(tc, standard_error_itself_stays_blocking, 0, SINKS);
	tcase_add_loop_test(tc,
	    a_sink_without_a_reader_costs_lines_and_no_life, 0, SINKS);
	tcase_add_test(tc, before_it_is_opened_the_log_is_standard_error);
	tcase_add_test(tc, without_standard_error_lines_are_lost);
}

static Suite *
sys_suite(void)
{
	Suite *s = suite_create("sys");

	add_socket_tests(s);
	add_waiting_tests(s);
	add_file_tests(s);
	add_log_tests(s);
	return s;
}

int
main(void)
{
	SRunner *sr = srunner_create(sys_suite());
	int failed;

	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
