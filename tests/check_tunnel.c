/* SPDX-License-Identifier: ISC */
/*
 * Unit tests of tunnel.c with all that is below it: real TCP connections on
 * loopback, and virtual time.  A test plays the loop, the clients and the
 * targets.  What state a tunnel is in is seen from outside: in what it waits
 * for, in its deadline, in what the peers get, and in the access line, for
 * which standard error is a file.  At the end of every test all tunnels are
 * stopped and no descriptor may be left.
 */
#include <sys/resource.h>
#include <sys/socket.h>
#include <netinet/in.h>

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../connectd.h"

#define COUNT(table) ((int)(sizeof (table) / sizeof (table)[0]))
#define NOW		((int64_t)50 * 1000 * 1000)
#define SECOND		((int64_t)1000)
#define READY_MS	10000		/* what is to come comes before that */
#define KEPT_MAX	256
#define TEXT_MAX	8192
#define CLIENT_IP	"192.0.2.10"
#define CLIENT_PORT	50000

/* Everything is allowed that the tests dial. */
#define OPEN_RULES	"allow from any to loopback port any\n"

struct client {
	int		fd;		/* our end */
	int		proxy;		/* the tunnel's, to look for in waits */
};

static struct config cfg;
static struct addr own[4];
static unsigned owns;
static void *arena, *table, *book, *rings, *hosts;
static struct waits w;
static int door = -1;			/* where clients connect */
static struct addr door_addr;
static int kept[KEPT_MAX], keeps;	/* closed when the test ends */
static int stderr_before = -1, descriptors_before;
static int server = -1;			/* of names: it says nothing */
static char hosts_path[256];
static int small_buffer;		/* of sockets, for slow readers */
static int log_fd = -1;			/* of the file that is the log */
static int64_t stopped_at;

/* ---- sockets ----------------------------------------------------------- */

static int
keep(int fd)
{
	ck_assert_msg(fd >= 0, "%s", strerror(errno));
	ck_assert_int_lt(keeps, KEPT_MAX);
	kept[keeps++] = fd;
	return fd;
}

/* Close one that is kept. */
static void
drop(int fd)
{
	int i;

	for (i = 0; i < keeps; i++)
		if (kept[i] == fd)
			kept[i--] = kept[--keeps];
	(void)close(fd);
}

static void
reset(int fd)
{
	struct linger now = { 1, 0 };

	ck_assert_int_eq(setsockopt(fd, SOL_SOCKET, SO_LINGER, &now,
	    sizeof now), 0);
	drop(fd);
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
ready(int fd, short events, int ms)
{
	struct pollfd p = { fd, events, 0 };

	return poll(&p, 1, ms) == 1;
}

static struct addr
address(const char *text, uint16_t port)
{
	struct addr a;

	ck_assert(addr_parse(text, strlen(text), &a));
	a.port = port;
	return a;
}

static int
listen_on(const char *text, struct addr *bound)
{
	struct addr a = address(text, 0);

	return keep(sys_listen(&a, bound));
}

static int
accepted(int listener)
{
	struct addr a;

	ck_assert(ready(listener, POLLIN, READY_MS));
	return keep(sys_accept(listener, &a));
}

static struct sockaddr_in
loopback(const char *ip, uint16_t port)
{
	struct addr a = address(ip, port);
	struct sockaddr_in s;

	memset(&s, 0, sizeof s);
	s.sin_family = AF_INET;
	s.sin_port = htons(port);
	memcpy(&s.sin_addr, a.ip, 4);
	return s;
}

/* A port that refuses: it is bound, and nobody listens. */
static uint16_t
refusing_port(void)
{
	int fd = keep(socket(AF_INET, SOCK_STREAM, 0));
	struct sockaddr_in s = loopback("127.0.0.1", 0);
	socklen_t len = sizeof s;

	ck_assert_int_eq(bind(fd, (struct sockaddr *)&s, len), 0);
	ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&s, &len), 0);
	return ntohs(s.sin_port);
}

/* A port that does not answer, since its queue is full; 0 if this system
 * answers in spite of that. */
static uint16_t
silent_port(void)
{
	struct addr bound;
	int i, fd, listener = listen_on("127.0.0.1", &bound);

	ck_assert_int_eq(listen(listener, 0), 0);
	for (i = 0; i < 8; i++) {
		fd = keep(sys_connect(&bound));
		if (!ready(fd, POLLOUT, 100))
			return bound.port;
	}
	return 0;
}

/* ---- set-up ------------------------------------------------------------ */

/* A new file with this text; its descriptor. */
static int
temporary(char path[256], const char *text)
{
	const char *dir = getenv("TMPDIR");
	int fd;

	(void)snprintf(path, 256, "%s/check_tunnel.XXXXXX",
	    dir != NULL ? dir : "/tmp");
	fd = mkstemp(path);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, text, strlen(text)), (int)strlen(text));
	return fd;
}

static void *
allocate(size_t n)
{
	void *p = calloc(1, n);

	ck_assert_ptr_nonnull(p);
	return p;
}

/* The log goes into a file, from here to the end of the test. */
static void
catch_log(void)
{
	char path[256];

	log_fd = temporary(path, "");
	stderr_before = fcntl(2, F_DUPFD, 10);
	ck_assert_int_eq(dup2(log_fd, 2), 2);
	sys_log_open(cfg.log_level);
	(void)unlink(path);
}

/* A name server that nobody answers for. */
static int
silent_server(struct addr *a)
{
	int fd = keep(socket(AF_INET, SOCK_DGRAM, 0));
	struct sockaddr_in s = loopback("127.0.0.1", 0);
	socklen_t len = sizeof s;

	ck_assert_int_eq(bind(fd, (struct sockaddr *)&s, len), 0);
	ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&s, &len), 0);
	*a = address("127.0.0.1", ntohs(s.sin_port));
	return fd;
}

/* A table with this configuration and hosts file. */
static void
start_with_hosts(const char *text, const char *hosts_text)
{
	size_t room = config_memory(strlen(text));
	char error[CONFIG_ERROR_MAX];
	unsigned waits;

	arena = allocate(room);
	config_init(&cfg, arena, room);
	if (!config_file(&cfg, "test.conf", text, strlen(text), error))
		ck_abort_msg("%s", error);
	config_finish(&cfg);
	catch_log();
	book = allocate(relay_memory(cfg.tunnels));
	rings = allocate(2 * cfg.tunnels * cfg.buffer);
	relay_pool(cfg.tunnels, cfg.buffer, book, rings);
	(void)close(temporary(hosts_path, hosts_text));
	cfg.hosts = hosts_path;
	cfg.servers = 1;
	server = silent_server(&cfg.server[0].addr);
	hosts = allocate(resolver_memory(strlen(hosts_text)));
	resolver_init(&cfg, hosts, strlen(hosts_text), NOW);
	reach_init(&cfg, own, owns);
	table = allocate(tunnel_memory(cfg.tunnels));
	tunnel_init(&cfg, table);
	/* one for the test */
	waits = resolver_waits() + tunnel_waits(cfg.tunnels) + 1;
	w.pfd = allocate(waits * sizeof *w.pfd);
	w.owner = allocate(waits * sizeof *w.owner);
	w.max = waits;
	door = listen_on("127.0.0.1", &door_addr);
	stopped_at = NOW;
	descriptors_before = descriptors() - keeps;
}

static void
start(const char *text)
{
	start_with_hosts(text, "127.0.0.1 target.example\n");
}

static void
finish(void)
{
	int i;

	tunnel_stop(stopped_at);
	ck_assert_uint_eq(tunnel_count(), 0);
	resolver_stop();
	(void)unlink(hosts_path);
	for (i = 0; i < keeps; i++)
		(void)close(kept[i]);
	keeps = 0;
	ck_assert_int_eq(descriptors(), descriptors_before);
	ck_assert_int_eq(dup2(stderr_before, 2), 2);
	(void)close(stderr_before);
	(void)close(log_fd);
	free(arena);
	free(book);
	free(rings);
	free(hosts);
	free(table);
	free(w.pfd);
	free(w.owner);
	owns = 0;
	small_buffer = 0;
}

/* ---- turns ------------------------------------------------------------- */

static void
interest(void)
{
	w.n = 0;
	w.deadline = WAIT_FOREVER;
	resolver_interest(&w);
	tunnel_interest(&w);
}

static void
step(int64_t now)
{
	stopped_at = now;
	resolver_step(&w, now);
	tunnel_step(&w, now);
}

/* What was sent is acknowledged: to a virtual clock that takes no time. */
static void
let_it_arrive(void)
{
	unsigned i, tries;

	for (i = 0; i < w.n; i++)
		if (w.pfd[i].events & POLLOUT)
			return;		/* its reader is slow on purpose */
	for (i = 0; i < w.n; i++)
		for (tries = 0; sys_unsent(w.pfd[i].fd) > 0 && tries < 200;
		    tries++)
			(void)poll(NULL, 0, 1);
}

/* A turn in which nothing is ready: only time has passed. */
static void
quiet_turn(int64_t now)
{
	interest();
	let_it_arrive();
	step(now);
}

/* A turn with what is ready now, if anything is. */
static void
short_turn(int64_t now)
{
	interest();
	(void)poll(w.pfd, w.n, 20);
	step(now);
}

/* Wait until something is ready or due, which must happen. */
static void
wait_ready(int64_t now)
{
	bool due = w.deadline <= now;

	ck_assert_msg(poll(w.pfd, w.n, due ? 0 : READY_MS) > 0 || due,
	    "%u tunnels, and nothing happens", tunnel_count());
}

/* Turns until this descriptor of the test is ready. */
static void
turns_until(int fd, short events, int64_t now)
{
	int entry, ready_now, i;
	bool due;

	for (i = 0; i < 100000; i++) {
		interest();
		entry = sys_want(&w, fd, events, 0);
		due = w.deadline <= now;
		ready_now = poll(w.pfd, w.n, due ? 0 : READY_MS);
		ck_assert(due || ready_now > 0);
		if (sys_got(&w, entry) != 0)
			return;
		step(now);
	}
	ck_abort_msg("turns without end");
}

/* Turns until so many tunnels are left. */
static void
turns_until_count(unsigned n, int64_t now)
{
	int i;

	for (i = 0; i < 100000 && tunnel_count() != n; i++) {
		interest();
		wait_ready(now);
		step(now);
	}
	ck_assert_uint_eq(tunnel_count(), n);
}

/* What is asked of that descriptor of the proxy. */
static short
asked(int fd)
{
	unsigned i;

	for (i = 0; i < w.n; i++)
		if (w.pfd[i].fd == fd)
			return w.pfd[i].events;
	return 0;
}

static void
check_deadline(int64_t when)
{
	interest();
	ck_assert_int_eq(w.deadline, when);
}

/* ---- clients ----------------------------------------------------------- */

static void
set_buffer(int fd, int name)
{
	if (small_buffer > 0)
		ck_assert_int_eq(setsockopt(fd, SOL_SOCKET, name,
		    &small_buffer, sizeof small_buffer), 0);
}

static int
connect_to_door(void)
{
	int fd = keep(socket(AF_INET, SOCK_STREAM, 0));
	struct sockaddr_in s = loopback("127.0.0.1", door_addr.port);

	set_buffer(fd, SO_RCVBUF);
	ck_assert_int_eq(connect(fd, (struct sockaddr *)&s, sizeof s), 0);
	ck_assert_int_ne(fcntl(fd, F_SETFL, O_NONBLOCK), -1);
	return fd;
}

static struct client
new_client_from(const char *ip, uint16_t port, int64_t now)
{
	struct addr from, as = address(ip, port);
	struct client c;

	c.fd = connect_to_door();
	ck_assert(ready(door, POLLIN, READY_MS));
	c.proxy = sys_accept(door, &from);
	ck_assert_int_ge(c.proxy, 0);
	set_buffer(c.proxy, SO_SNDBUF);
	stopped_at = now;
	tunnel_open(c.proxy, &as, now);
	return c;
}

static struct client
new_client(int64_t now)
{
	return new_client_from(CLIENT_IP, CLIENT_PORT, now);
}

static void
say(int fd, const char *text)
{
	size_t n = strlen(text);

	ck_assert_int_eq(send(fd, text, n, MSG_NOSIGNAL), (ssize_t)n);
}

static void
request(struct client c, const char *target)
{
	char text[1024];

	(void)snprintf(text, sizeof text,
	    "CONNECT %s HTTP/1.1\r\nHost: %s\r\n\r\n", target, target);
	say(c.fd, text);
}

static void
request_port(struct client c, uint16_t port)
{
	char target[32];

	(void)snprintf(target, sizeof target, "127.0.0.1:%u", port);
	request(c, target);
}

/* Turns until fd has got exactly that. */
static void
hear(int fd, const char *text, int64_t now)
{
	char buf[TEXT_MAX];
	size_t n = strlen(text), at = 0;
	ssize_t got;

	while (at < n) {
		turns_until(fd, POLLIN, now);
		got = recv(fd, buf + at, n - at, 0);
		ck_assert_msg(got > 0, "%zu bytes are missing", n - at);
		at += (size_t)got;
	}
	ck_assert_mem_eq(buf, text, n);
}

static void
hear_end(int fd, int64_t now)
{
	char byte;

	turns_until(fd, POLLIN, now);
	ck_assert_int_eq(recv(fd, &byte, 1, 0), 0);
}

static void
hear_reset(int fd, int64_t now)
{
	char byte;

	turns_until(fd, POLLIN, now);
	ck_assert_int_eq(recv(fd, &byte, 1, 0), -1);
	ck_assert_int_eq(errno, ECONNRESET);
}

static void
hear_nothing(int fd)
{
	char byte;

	ck_assert_int_eq(recv(fd, &byte, 1, 0), -1);
	ck_assert_int_eq(errno, EAGAIN);
}

/* Read and forget all that there is, up to the end. */
static void
hear_all(int fd, int64_t now)
{
	char buf[TEXT_MAX];
	ssize_t got;

	do {
		turns_until(fd, POLLIN, now);
		got = recv(fd, buf, sizeof buf, 0);
		ck_assert_int_ge(got, 0);
	} while (got > 0);
}

/* The whole reply to the client, which then has its FIN. */
static const char *
reply_to(struct client c, int64_t now)
{
	static char text[TEXT_MAX];
	size_t n = 0;
	ssize_t got;

	do {
		turns_until(c.fd, POLLIN, now);
		got = recv(c.fd, text + n, sizeof text - 1 - n, 0);
		ck_assert_int_ge(got, 0);
		n += (size_t)got;
	} while (got > 0);
	text[n] = '\0';
	return text;
}

static void
check_reply(struct client c, int status, const char *error, const char *body,
    int64_t now)
{
	const char *text = reply_to(c, now), *got_body;
	char line[256];

	(void)snprintf(line, sizeof line, "HTTP/1.1 %d ", status);
	ck_assert_msg(strncmp(text, line, strlen(line)) == 0, "%s", text);
	(void)snprintf(line, sizeof line,
	    "\r\nProxy-Status: connectd; error=%s\r\n", error);
	ck_assert_msg(strstr(text, line) != NULL, "%s", text);
	ck_assert_ptr_nonnull(strstr(text, "\r\nConnection: close\r\n"));
	got_body = strstr(text, "\r\n\r\n");
	ck_assert_ptr_nonnull(got_body);
	(void)snprintf(line, sizeof line, "%s\n", body);
	ck_assert_str_eq(got_body + 4, line);
}

/* A tunnel that stands; *target gets its other end. */
static struct client
established(int *target, int64_t now)
{
	struct addr bound;
	int listener = listen_on("127.0.0.1", &bound);
	struct client c = new_client(now);

	set_buffer(listener, SO_RCVBUF);
	request_port(c, bound.port);
	hear(c.fd, HTTP_ESTABLISHED, now);
	*target = accepted(listener);
	drop(listener);
	return c;
}

/* Of the only tunnel, which stands and may send both ways: the proxy's socket
 * to the target. */
static int
target_proxy(struct client c)
{
	interest();
	ck_assert_uint_eq(w.n, 2);
	return w.pfd[0].fd == c.proxy ? w.pfd[1].fd : w.pfd[0].fd;
}

/* ---- the access line --------------------------------------------------- */

static const char *
log_text(void)
{
	static char text[64 * 1024];
	ssize_t n = pread(log_fd, text, sizeof text - 1, 0);

	ck_assert_int_ge(n, 0);
	text[n] = '\0';
	return text;
}

/* The log, all of it, is that. */
static void
check_log(const char *format, ...)
{
	char expected[TEXT_MAX];
	va_list args;

	va_start(args, format);
	(void)vsnprintf(expected, sizeof expected, format, args);
	va_end(args);
	ck_assert_str_eq(log_text(), expected);
}

/* A line with these fields, for a tunnel of CLIENT_IP that never stood. */
#define REFUSED_LINE "tunnel client=" CLIENT_IP ":50000 user=- target=%s " \
    "via=- address=- status=%d end=%s up=0 down=0 ms=%d setup-ms=- dns-ms=%s\n"

/* The same for one to 127.0.0.1:%u that stood. */
#define RELAY_LINE "tunnel client=" CLIENT_IP ":50000 user=- " \
    "target=127.0.0.1:%u via=- address=127.0.0.1:%u status=200 end=%s " \
    "up=%d down=%d ms=%d setup-ms=%d dns-ms=-\n"

static unsigned
log_lines(void)
{
	const char *p = log_text();
	unsigned n = 0;

	for (; *p != '\0'; p++)
		n += *p == '\n';
	return n;
}

/* The only line has this field. */
static void
check_field(const char *field)
{
	char word[128];

	ck_assert_uint_eq(log_lines(), 1);
	(void)snprintf(word, sizeof word, " %s ", field);
	ck_assert_msg(strstr(log_text(), word) != NULL, "no %s in %s", field,
	    log_text());
}

/* ---- T_REQUEST --------------------------------------------------------- */

START_TEST(a_new_connection_waits_for_its_head)
{
	struct client c;

	start(OPEN_RULES);
	check_deadline(WAIT_FOREVER);
	ck_assert_uint_eq(w.n, 0);
	c = new_client(NOW);
	ck_assert_uint_eq(tunnel_count(), 1);
	check_deadline(NOW + 10 * SECOND);
	ck_assert_uint_eq(w.n, 1);
	ck_assert_int_eq(asked(c.proxy), POLLIN);
	ck_assert_uint_eq(tunnel_totals()->accepted, 1);
	ck_assert_str_eq(log_text(), "");
}
END_TEST

START_TEST(a_head_may_come_byte_by_byte_and_renews_nothing)
{
	struct addr bound;
	struct client c;
	char text[128], byte[2] = "";
	int i, n;

	start(OPEN_RULES);
	(void)listen_on("127.0.0.1", &bound);
	n = snprintf(text, sizeof text,
	    "CONNECT 127.0.0.1:%u HTTP/1.1\r\nHost: x\r\n\r\n", bound.port);
	c = new_client(NOW);
	for (i = 0; i < n - 1; i++) {
		byte[0] = text[i];
		say(c.fd, byte);
		ck_assert(ready(c.proxy, POLLIN, READY_MS));
		short_turn(NOW + i);
		check_deadline(NOW + 10 * SECOND);
		ck_assert_uint_eq(w.n, 1);
	}
	say(c.fd, "\n");
	hear(c.fd, HTTP_ESTABLISHED, NOW + n);
}
END_TEST

START_TEST(a_silent_client_is_dropped_after_timeout_request)
{
	struct client c;

	start("timeout request 7s\n");
	c = new_client(NOW);
	quiet_turn(NOW + 7 * SECOND - 1);
	ck_assert_uint_eq(tunnel_count(), 1);
	quiet_turn(NOW + 7 * SECOND);
	ck_assert_uint_eq(tunnel_count(), 0);
	hear_end(c.fd, NOW + 7 * SECOND);
	check_log(REFUSED_LINE, "-", 0, "idle", 7000, "-");
	ck_assert_uint_eq(tunnel_totals()->refused, 0);
}
END_TEST

START_TEST(half_a_head_is_answered_after_timeout_request)
{
	struct client c;

	start("timeout request 7s\n");
	c = new_client(NOW);
	say(c.fd, "CONNECT 127.0.0.1:443 HTTP");
	ck_assert(ready(c.proxy, POLLIN, READY_MS));
	short_turn(NOW + 1);
	check_deadline(NOW + 7 * SECOND);
	quiet_turn(NOW + 7 * SECOND);
	check_reply(c, 408, "http_request_error",
	    "the request head took too long", NOW + 7 * SECOND);
	drop(c.fd);
	turns_until_count(0, NOW + 7 * SECOND + 5);
	check_log(REFUSED_LINE, "-", 408, "http_request_error", 7005, "-");
}
END_TEST

START_TEST(a_client_that_leaves_without_a_head_leaves_a_line)
{
	struct client c;

	start(OPEN_RULES);
	c = new_client(NOW);
	if (_i == 0)
		drop(c.fd);
	else
		reset(c.fd);
	turns_until_count(0, NOW + 3);
	check_log(REFUSED_LINE, "-", 0, "client-gone", 3, "-");
}
END_TEST

START_TEST(readiness_without_a_byte_changes_nothing)
{
	struct client c;
	int i;

	start(OPEN_RULES);
	c = new_client(NOW);
	for (i = 0; i < 3; i++) {
		interest();
		w.pfd[0].revents = i == 0 ? POLLIN : POLLIN | POLLHUP | POLLERR;
		step(NOW + i);
		check_deadline(NOW + 10 * SECOND);
		ck_assert_int_eq(asked(c.proxy), POLLIN);
		if (i == 0)
			say(c.fd, "CONNECT ");
		short_turn(NOW);
	}
	ck_assert_str_eq(log_text(), "");
}
END_TEST

/* The reply has nobody to go to. */
START_TEST(a_client_that_is_gone_when_it_is_answered_leaves_a_line)
{
	struct client c;

	start(OPEN_RULES);
	c = new_client(NOW);
	say(c.fd, "nonsense\r\n\r\n");
	reset(c.fd);
	turns_until_count(0, NOW + 1);
	ck_assert_uint_eq(log_lines(), 1);
}
END_TEST

START_TEST(an_end_in_the_middle_of_a_head_is_answered)
{
	struct client c;

	start(OPEN_RULES);
	c = new_client(NOW);
	say(c.fd, "CONNECT 127.0.0.1:443 HTTP/1.1\r\n");
	ck_assert_int_eq(shutdown(c.fd, SHUT_WR), 0);
	check_reply(c, 400, "http_request_error",
	    "the request head is incomplete", NOW);
	turns_until_count(0, NOW);
	check_log(REFUSED_LINE, "-", 400, "http_request_error", 0, "-");
}
END_TEST

/* The texts are those of http.c; here it is what becomes of them. */
static const struct {
	const char	*text;
	int		 status;
	const char	*target;	/* in the access line */
} heads[] = {
	{ "\x16\x03\x01", 400, "-" },
	{ "GET http://target.example/ HTTP/1.1\r\nHost: target.example\r\n\r\n",
	    405, "-" },
	{ "BREW x:443 HTTP/1.1\r\nHost: x\r\n\r\n", 501, "-" },
	{ "CONNECT target.example:443 HTTP/2.0\r\nHost: x\r\n\r\n", 505, "-" },
	{ "CONNECT target.example HTTP/1.1\r\nHost: x\r\n\r\n", 400, "-" },
	{ "CONNECT target.example:0 HTTP/1.1\r\nHost: x\r\n\r\n", 400, "-" },
	{ "CONNECT 127.1:443 HTTP/1.1\r\nHost: x\r\n\r\n", 400, "-" },
	{ "CONNECT target.example:443 HTTP/1.1\r\n\r\n", 400, "-" },
	{ "CONNECT [::ffff:127.0.0.1]:443 HTTP/1.1\r\nHost: x\r\n"
	    "Content-Length: 5\r\n\r\n", 400, "-" }
};

START_TEST(a_head_that_is_no_good_is_answered)
{
	struct client c;
	const char *reply;
	char line[32];

	start(OPEN_RULES);
	c = new_client(NOW);
	say(c.fd, heads[_i].text);
	reply = reply_to(c, NOW + 2);
	(void)snprintf(line, sizeof line, "HTTP/1.1 %d ", heads[_i].status);
	ck_assert_msg(strncmp(reply, line, strlen(line)) == 0, "%s", reply);
	ck_assert_ptr_nonnull(strstr(reply, "error=http_request_error\r\n"));
	ck_assert((strstr(reply, "\r\nAllow: CONNECT\r\n") != NULL) ==
	    (heads[_i].status == 405));
	drop(c.fd);
	turns_until_count(0, NOW + 9);
	check_log(REFUSED_LINE, heads[_i].target, heads[_i].status,
	    "http_request_error", 9, "-");
	ck_assert_uint_eq(tunnel_totals()->refused, 1);
}
END_TEST

START_TEST(the_reply_to_head_has_no_body)
{
	struct client c;

	start(OPEN_RULES);
	c = new_client(NOW);
	say(c.fd, "HEAD / HTTP/1.1\r\nHost: x\r\n\r\n");
	ck_assert_str_eq(strstr(reply_to(c, NOW), "\r\n\r\n"), "\r\n\r\n");
}
END_TEST

/* It may be as large as the buffer, at most 16k. */
START_TEST(a_head_may_be_as_large_as_the_ring)
{
	static const size_t limits[] = { 4096, 8192, 16384, 16384 };
	size_t limit = limits[_i / 2], n = limit + (size_t)(_i % 2), at;
	char config[64], *text = allocate(n + 1);
	struct addr bound;
	struct client c;

	(void)snprintf(config, sizeof config, "%sbuffer %uk\n", OPEN_RULES,
	    4u << _i / 2);
	start(config);
	(void)listen_on("127.0.0.1", &bound);
	at = (size_t)snprintf(text, n, "CONNECT 127.0.0.1:%u HTTP/1.1\r\n"
	    "Host: x\r\nX: ", bound.port);
	memset(text + at, 'x', n - at);
	memcpy(text + n - 4, "\r\n\r\n", 4);
	c = new_client(NOW);
	say(c.fd, text);
	if (n == limit)
		hear(c.fd, HTTP_ESTABLISHED, NOW);
	else
		ck_assert_ptr_nonnull(strstr(reply_to(c, NOW),
		    "HTTP/1.1 431 "));
	free(text);
}
END_TEST

/* ---- T_RESOLVE and the rules ------------------------------------------- */

#define NET_TARGET "10.1.2.3:443"

static const struct {
	const char	*rules;
	const char	*client;
	const char	*target;
	int		 status;
	const char	*error;
	const char	*body;
	const char	*rule;		/* end of the access line */
} denials[] = {
	{ "allow from 10.0.0.0/8 to any\n", CLIENT_IP, NET_TARGET, 403,
	    "http_request_denied", "this client is not allowed by the rules",
	    "-" },
	{ "allow from 10.0.0.0/8 to any\n", CLIENT_IP, "target.example:443",
	    403, "http_request_denied",
	    "this client is not allowed by the rules", "-" },
	{ "allow to any\n", CLIENT_IP, "10.1.2.3:8443", 403,
	    "http_request_denied", "port 8443 is not allowed by the rules",
	    "-" },
	{ "allow to any\n", CLIENT_IP, "target.example:80", 403,
	    "http_request_denied", "port 80 is not allowed by the rules", "-" },
	{ "allow to any\n", CLIENT_IP, "127.0.0.1:443", 403,
	    "destination_ip_prohibited",
	    "127.0.0.1 is a loopback address: a rule must name it", "-" },
	{ "allow to any\n", CLIENT_IP, "[::1]:443", 403,
	    "destination_ip_prohibited",
	    "::1 is a loopback address: a rule must name it", "-" },
	{ "allow to any\n", CLIENT_IP, "[::ffff:127.0.0.1]:443", 403,
	    "destination_ip_prohibited",
	    "127.0.0.1 is a loopback address: a rule must name it", "-" },
	{ "allow to any\n", CLIENT_IP, "169.254.169.254:443", 403,
	    "destination_ip_prohibited",
	    "169.254.169.254 is a link-local address: a rule must name it",
	    "-" },
	{ "allow to any\n", CLIENT_IP, "0.0.0.0:443", 403,
	    "destination_ip_prohibited",
	    "0.0.0.0 is a special address: a rule must name it", "-" },
	{ "allow to public\n", CLIENT_IP, NET_TARGET, 403,
	    "destination_ip_prohibited",
	    "this target is not allowed by the rules", "-" },
	{ "deny to 10.0.0.0/8\nallow\n", CLIENT_IP, NET_TARGET, 403,
	    "destination_ip_prohibited", "the rules deny this target",
	    "- rule=test.conf:1" },
	{ "# one\ndeny\n", CLIENT_IP, NET_TARGET, 403, "http_request_denied",
	    "the rules deny this target", "- rule=test.conf:2" },
	{ "allow to any port any\n\ndeny\n", CLIENT_IP, "127.0.0.1:1", 403,
	    "http_request_denied", "the rules deny this target",
	    "- rule=test.conf:3" },

	/* a name, before and after it is resolved */
	{ "deny to .example\nallow\n", CLIENT_IP, "target.example:443", 403,
	    "http_request_denied", "the rules deny this target",
	    "- rule=test.conf:1" },
	{ "allow to other.example\n", CLIENT_IP, "target.example:443", 403,
	    "http_request_denied", "this target is not allowed by the rules",
	    "-" },
	{ "deny to loopback\nallow\n", CLIENT_IP, "target.example:443", 403,
	    "destination_ip_prohibited", "the rules deny this target",
	    "0 rule=test.conf:1" },
	{ "allow to public\n", CLIENT_IP, "private.example:443", 403,
	    "destination_ip_prohibited",
	    "this target is not allowed by the rules", "0" },

	/* without a rule the built-in one is for clients of this machine */
	{ "", CLIENT_IP, NET_TARGET, 403, "http_request_denied",
	    "this client is not allowed by the rules", "-" }
};

START_TEST(what_is_denied_is_told_in_the_words_of_the_user)
{
	struct client c;

	start_with_hosts(denials[_i].rules,
	    "127.0.0.1 target.example\n10.1.2.3 private.example\n");
	c = new_client_from(denials[_i].client, CLIENT_PORT, NOW);
	request(c, denials[_i].target);
	check_reply(c, denials[_i].status, denials[_i].error, denials[_i].body,
	    NOW);
	drop(c.fd);
	turns_until_count(0, NOW);
	check_log(REFUSED_LINE, strncmp(denials[_i].target, "[::ff", 5) == 0 ?
	    "127.0.0.1:443" : denials[_i].target, denials[_i].status,
	    denials[_i].error, 0, denials[_i].rule);
	ck_assert_uint_eq(tunnel_totals()->refused, 1);
	ck_assert_uint_eq(tunnel_totals()->established, 0);
}
END_TEST

/* Where a name leads to is for the resolver to know, not for the client. */
START_TEST(a_denial_does_not_tell_the_address_of_a_name)
{
	struct client c;
	const char *reply;

	start("allow to any\n");
	c = new_client(NOW);
	request(c, "target.example:443");
	reply = reply_to(c, NOW);
	ck_assert_msg(strncmp(reply, "HTTP/1.1 403 ", 13) == 0, "%s", reply);
	ck_assert_ptr_null(strstr(reply, "127.0.0.1"));
	ck_assert_ptr_nonnull(strstr(reply,
	    " is a loopback address: a rule must name it\n"));
}
END_TEST

START_TEST(a_name_that_cannot_be_is_told)
{
	struct client c;

	start("allow\n");
	c = new_client(NOW);
	request(c, "a.invalid:443");
	check_reply(c, 502, "dns_error; rcode=\"NXDOMAIN\"",
	    "there is no such name", NOW);
	drop(c.fd);
	turns_until_count(0, NOW);
	check_log(REFUSED_LINE, "a.invalid:443", 502, "dns_error", 0,
	    "0 rcode=NXDOMAIN");
}
END_TEST

START_TEST(a_name_that_no_rule_can_allow_is_not_asked_for)
{
	struct client c;

	start("deny to private\nallow to .example\n");
	c = new_client(NOW);
	request(c, "target.test:443");
	check_reply(c, 403, "http_request_denied",
	    "this target is not allowed by the rules", NOW);
	ck_assert(!ready(server, POLLIN, 0));
}
END_TEST

/* The time is that of connecting, over all of it. */
START_TEST(a_name_that_nobody_answers_for_is_told_after_timeout_connect)
{
	struct client c;

	start("timeout connect 3s\nallow\n");
	c = new_client(NOW);
	request(c, "silent.test:443");
	ck_assert(ready(c.proxy, POLLIN, READY_MS));
	short_turn(NOW + SECOND);
	ck_assert(ready(server, POLLIN, READY_MS));
	check_deadline(NOW + 4 * SECOND);
	quiet_turn(NOW + 4 * SECOND - 1);
	hear_nothing(c.fd);
	quiet_turn(NOW + 4 * SECOND);
	check_reply(c, 504, "dns_timeout", "the name was not resolved in time",
	    NOW + 4 * SECOND);
	drop(c.fd);
	turns_until_count(0, NOW + 4 * SECOND);
	check_log(REFUSED_LINE, "silent.test:443", 504, "dns_timeout", 4000,
	    "-");
}
END_TEST

START_TEST(a_client_that_leaves_takes_its_lookup_with_it)
{
	struct client c;
	int before;

	start("allow\n");
	c = new_client(NOW);
	before = descriptors();
	request(c, "silent.test:443");
	ck_assert(ready(c.proxy, POLLIN, READY_MS));
	short_turn(NOW);
	ck_assert_int_eq(descriptors(), before + 2);
	reset(c.fd);
	turns_until_count(0, NOW);
	ck_assert_int_eq(descriptors(), before - 2);
}
END_TEST

START_TEST(a_name_of_the_hosts_file_is_reached)
{
	struct addr bound;
	struct client c;
	char target[64];

	start(OPEN_RULES);
	(void)listen_on("127.0.0.1", &bound);
	(void)snprintf(target, sizeof target, "Target.EXAMPLE.:%u",
	    bound.port);
	c = new_client(NOW);
	request(c, target);
	hear(c.fd, HTTP_ESTABLISHED, NOW);
	drop(c.fd);
	tunnel_stop(NOW);
	(void)snprintf(target, sizeof target, "target=target.example:%u",
	    bound.port);
	check_field(target);
	(void)snprintf(target, sizeof target, "address=127.0.0.1:%u",
	    bound.port);
	check_field(target);
}
END_TEST

/* Addresses that are denied are left out, the others are tried. */
START_TEST(of_several_addresses_only_the_allowed_ones_are_dialled)
{
	struct addr bound;
	struct client c;
	char target[64];

	start_with_hosts("deny to 127.0.0.2,127.0.0.3\n" OPEN_RULES,
	    "127.0.0.2 mixed.example\n169.254.1.1 mixed.example\n"
	    "127.0.0.1 mixed.example\n127.0.0.3 mixed.example\n");
	(void)listen_on("127.0.0.1", &bound);
	(void)snprintf(target, sizeof target, "mixed.example:%u", bound.port);
	c = new_client(NOW);
	request(c, target);
	ck_assert(ready(c.proxy, POLLIN, READY_MS));
	short_turn(NOW);
	interest();
	ck_assert_uint_eq(w.n, 2);	/* client, one attempt */
	ck_assert_int_eq(w.deadline, NOW + 30 * SECOND);
	hear(c.fd, HTTP_ESTABLISHED, NOW);
}
END_TEST

START_TEST(if_no_address_is_left_the_first_refusal_is_told)
{
	struct client c;

	start_with_hosts("deny to 127.0.0.2\nallow to any\n",
	    "169.254.1.1 mixed.example\n127.0.0.2 mixed.example\n");
	c = new_client(NOW);
	request(c, "mixed.example:443");
	ck_assert_ptr_nonnull(strstr(reply_to(c, NOW),
	    " is a link-local address: a rule must name it\n"));
}
END_TEST

static const struct {
	const char	*own;
	const char	*target;	/* without the port */
	bool		 is_own;
} owned[] = {
	{ "127.0.0.1", "127.0.0.1", true },
	{ "127.0.0.1", "[::ffff:127.0.0.1]", true },
	{ "127.0.0.1", "target.example", true },
	{ "127.0.0.1", "0.0.0.0", true },
	{ "127.0.0.1", "127.0.0.2", false },
	{ "0.0.0.0", "127.0.0.1", true },
	{ "0.0.0.0", "0.0.0.0", true },
	{ "::1", "[::1]", true },
	{ "::1", "[::]", true },
	{ "::1", "127.0.0.1", false }
};

START_TEST(our_own_listeners_are_never_a_target)
{
	struct client c;
	char target[64];

	own[0] = address("127.0.0.99", 9);
	own[1] = address(owned[_i].own, refusing_port());
	owns = 2;
	start("allow to any,loopback,0.0.0.0,:: port any\n");
	(void)snprintf(target, sizeof target, "%s:%u", owned[_i].target,
	    own[1].port);
	c = new_client(NOW);
	request(c, target);
	if (owned[_i].is_own)
		check_reply(c, 502, "proxy_loop_detected",
		    "the target is this proxy itself", NOW);
	else
		ck_assert_ptr_null(strstr(reply_to(c, NOW), "proxy_loop"));
}
END_TEST

START_TEST(another_port_of_our_own_address_is_a_target)
{
	struct addr bound;
	struct client c;

	own[0] = address("0.0.0.0", 9);
	owns = 1;
	start(OPEN_RULES);
	(void)listen_on("127.0.0.1", &bound);
	c = new_client(NOW);
	request_port(c, bound.port);
	hear(c.fd, HTTP_ESTABLISHED, NOW);
}
END_TEST

/* ---- T_CONNECT --------------------------------------------------------- */

START_TEST(a_target_that_refuses_is_told)
{
	struct client c;
	uint16_t port;
	char target[32];

	start(OPEN_RULES);
	port = refusing_port();
	c = new_client(NOW);
	request_port(c, port);
	check_reply(c, 502, "connection_refused",
	    "the target refused the connection", NOW + 4);
	drop(c.fd);
	turns_until_count(0, NOW + 6);
	(void)snprintf(target, sizeof target, "127.0.0.1:%u", port);
	check_log(REFUSED_LINE, target, 502, "connection_refused", 6, "-");
}
END_TEST

START_TEST(a_target_without_a_route_is_told)
{
	struct client c;

	start("allow to 224.0.0.1\n");
	c = new_client(NOW);
	request(c, "224.0.0.1:443");
	check_reply(c, 502, "destination_ip_unroutable",
	    "the proxy has no route to the target", NOW);
}
END_TEST

/* Counted from the end of the head, over all addresses, renewed by nothing. */
START_TEST(a_silent_target_is_told_after_timeout_connect)
{
	struct client c;
	uint16_t port;

	start("timeout connect 20s\n" OPEN_RULES);
	if ((port = silent_port()) == 0)
		return;
	c = new_client(NOW);
	request_port(c, port);
	ck_assert(ready(c.proxy, POLLIN, READY_MS));
	short_turn(NOW + 5 * SECOND);
	check_deadline(NOW + 25 * SECOND);
	ck_assert_uint_eq(w.n, 2);
	ck_assert_int_eq(asked(c.proxy), POLLIN);

	say(c.fd, "early");
	ck_assert(ready(c.proxy, POLLIN, READY_MS));
	short_turn(NOW + 15 * SECOND);
	check_deadline(NOW + 25 * SECOND);
	quiet_turn(NOW + 25 * SECOND - 1);
	hear_nothing(c.fd);
	quiet_turn(NOW + 25 * SECOND);
	check_reply(c, 504, "connection_timeout",
	    "the target did not answer in time", NOW + 25 * SECOND);
	drop(c.fd);
	turns_until_count(0, NOW + 25 * SECOND);
	check_field("status=504");
	check_field("end=connection_timeout");
	check_field("up=0");
}
END_TEST

START_TEST(the_next_address_is_tried_after_250_ms)
{
	struct sockaddr_in s;
	struct client c;
	uint16_t port;
	char target[32];
	int listener;

	start_with_hosts(OPEN_RULES, "127.0.0.1 two\n127.0.0.2 two\n");
	if ((port = silent_port()) == 0)
		return;
	listener = keep(socket(AF_INET, SOCK_STREAM, 0));
	s = loopback("127.0.0.2", port);
	if (bind(listener, (struct sockaddr *)&s, sizeof s) == -1)
		return;			/* this system has one address there */
	ck_assert_int_eq(listen(listener, 1), 0);
	(void)snprintf(target, sizeof target, "two:%u", port);
	c = new_client(NOW);
	request(c, target);
	ck_assert(ready(c.proxy, POLLIN, READY_MS));
	short_turn(NOW);
	check_deadline(NOW + 250);
	quiet_turn(NOW + 250);
	check_deadline(NOW + 30 * SECOND);
	ck_assert_uint_eq(w.n, 3);
	hear(c.fd, HTTP_ESTABLISHED, NOW + 300);
	tunnel_stop(NOW + 400);
	(void)snprintf(target, sizeof target, "address=127.0.0.2:%u", port);
	check_field(target);
	ck_assert_ptr_nonnull(strstr(log_text(), " setup-ms=300 dns-ms=0\n"));
}
END_TEST

/* Of two addresses one refuses and the other is silent: the first is known. */
START_TEST(a_refusal_is_told_rather_than_silence)
{
	struct client c;
	uint16_t port;
	char target[32];

	start_with_hosts(OPEN_RULES, "127.0.0.2 two\n127.0.0.1 two\n");
	if ((port = silent_port()) == 0)
		return;
	(void)snprintf(target, sizeof target, "two:%u", port);
	c = new_client(NOW);
	request(c, target);
	ck_assert(ready(c.proxy, POLLIN, READY_MS));
	short_turn(NOW);
	short_turn(NOW + 1);
	quiet_turn(NOW + 30 * SECOND);
	check_reply(c, 502, "connection_refused",
	    "the target refused the connection", NOW + 30 * SECOND);
}
END_TEST

START_TEST(a_client_that_resets_while_we_dial_is_gone)
{
	struct client c;
	uint16_t port;

	start(OPEN_RULES);
	if ((port = silent_port()) == 0)
		return;
	c = new_client(NOW);
	request_port(c, port);
	ck_assert(ready(c.proxy, POLLIN, READY_MS));
	short_turn(NOW);
	reset(c.fd);
	turns_until_count(0, NOW + 8);
	check_field("status=0");
	check_field("end=client-gone");
	check_field("ms=8");
}
END_TEST

/* Its FIN behind the head is no farewell: it is passed on. */
START_TEST(a_client_that_ends_while_we_dial_gets_its_answer)
{
	struct addr bound;
	struct client c;
	int listener, target;

	start(OPEN_RULES);
	listener = listen_on("127.0.0.1", &bound);
	c = new_client(NOW);
	request_port(c, bound.port);
	say(c.fd, "early");
	ck_assert_int_eq(shutdown(c.fd, SHUT_WR), 0);
	hear(c.fd, HTTP_ESTABLISHED, NOW);
	target = accepted(listener);
	hear(target, "early", NOW);
	hear_end(target, NOW);
	say(target, "answer");
	hear(c.fd, "answer", NOW + 5);
	drop(target);
	hear_end(c.fd, NOW + 5);
	ck_assert_uint_eq(tunnel_count(), 0);
	check_log(RELAY_LINE, bound.port, bound.port, "client-fin", 5, 6, 5, 0);
}
END_TEST

START_TEST(a_client_that_has_ended_is_not_waited_for_while_we_dial)
{
	struct client c;
	uint16_t port;

	start(OPEN_RULES);
	if ((port = silent_port()) == 0)
		return;
	c = new_client(NOW);
	request_port(c, port);
	ck_assert_int_eq(shutdown(c.fd, SHUT_WR), 0);
	ck_assert(ready(c.proxy, POLLIN, READY_MS));
	short_turn(NOW);
	short_turn(NOW);
	interest();
	ck_assert_uint_eq(w.n, 1);
	ck_assert_int_eq(asked(c.proxy), 0);
	ck_assert_uint_eq(tunnel_count(), 1);
}
END_TEST

START_TEST(early_data_is_kept_and_is_the_first_that_the_target_gets)
{
	struct addr bound;
	struct client c;
	char text[256];
	int listener, target;

	start(OPEN_RULES);
	listener = listen_on("127.0.0.1", &bound);
	c = new_client(NOW);
	/* in the segment of the head, and behind it */
	(void)snprintf(text, sizeof text, "CONNECT 127.0.0.1:%u HTTP/1.1\r\n"
	    "Host: x\r\n\r\nGET / HTTP/1.1\r\n\r\n", bound.port);
	say(c.fd, text);
	ck_assert(ready(c.proxy, POLLIN, READY_MS));
	short_turn(NOW);
	say(c.fd, "more");
	hear(c.fd, HTTP_ESTABLISHED, NOW);
	target = accepted(listener);
	hear(target, "GET / HTTP/1.1\r\n\r\nmore", NOW);
}
END_TEST

START_TEST(early_data_beyond_the_ring_waits)
{
	char text[1025];
	struct client c;
	uint16_t port;
	int i;

	start("buffer 4k\n" OPEN_RULES);
	if ((port = silent_port()) == 0)
		return;
	c = new_client(NOW);
	request_port(c, port);
	ck_assert(ready(c.proxy, POLLIN, READY_MS));
	short_turn(NOW);
	memset(text, 'e', sizeof text - 1);
	text[1024] = '\0';
	for (i = 0; i < 8; i++) {
		interest();
		ck_assert_int_eq(asked(c.proxy), i < 4 ? POLLIN : 0);
		say(c.fd, text);
		ck_assert(ready(c.proxy, POLLIN, READY_MS));
		short_turn(NOW);
	}
	ck_assert_uint_eq(tunnel_count(), 1);
}
END_TEST

START_TEST(a_lack_of_descriptors_is_told)
{
	struct rlimit limit, none;
	struct client c;

	start(OPEN_RULES);
	c = new_client(NOW);
	request_port(c, 9);
	ck_assert(ready(c.proxy, POLLIN, READY_MS));
	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
	none = limit;
	none.rlim_cur = 0;
	interest();
	ck_assert_int_eq(poll(w.pfd, w.n, READY_MS), 1);
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
	step(NOW);
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
	check_reply(c, 503, "proxy_internal_error",
	    "the proxy is out of descriptors, ports or memory", NOW);
}
END_TEST

/* ---- T_RELAY ----------------------------------------------------------- */

START_TEST(a_tunnel_carries_bytes_both_ways)
{
	struct addr bound;
	struct client c;
	int listener, target, i;

	start(OPEN_RULES);
	listener = listen_on("127.0.0.1", &bound);
	c = new_client(NOW);
	request_port(c, bound.port);
	hear(c.fd, HTTP_ESTABLISHED, NOW + 2);
	target = accepted(listener);
	for (i = 0; i < 20; i++) {
		say(c.fd, "ping!");
		hear(target, "ping!", NOW + 3);
		say(target, "pong");
		hear(c.fd, "pong", NOW + 3);
	}
	interest();
	ck_assert_uint_eq(w.n, 2);
	ck_assert_int_eq(asked(c.proxy), POLLIN);
	tunnel_stop(NOW + 50);
	check_log(RELAY_LINE, bound.port, bound.port, "stopped", 100, 80, 50,
	    2);
	ck_assert_uint_eq(tunnel_totals()->up, 100);
	ck_assert_uint_eq(tunnel_totals()->down, 80);
	ck_assert_uint_eq(tunnel_totals()->established, 1);
}
END_TEST

START_TEST(ipv6_clients_and_targets_are_logged_in_brackets)
{
	struct addr at = address("::1", 0), bound;
	struct client c;
	char target[64];
	int listener = sys_listen(&at, &bound);

	start(OPEN_RULES);
	if (listener < 0)
		return;
	keep(listener);
	descriptors_before--;		/* it was open when they were counted */
	(void)snprintf(target, sizeof target, "[::1]:%u", bound.port);
	c = new_client_from("2001:db8::7", 1234, NOW);
	request(c, target);
	hear(c.fd, HTTP_ESTABLISHED, NOW);
	tunnel_stop(NOW);
	check_log("tunnel client=[2001:db8::7]:1234 user=- target=[::1]:%u "
	    "via=- address=[::1]:%u status=200 end=stopped up=0 down=0 ms=0 "
	    "setup-ms=0 dns-ms=-\n", bound.port, bound.port);
}
END_TEST

/* By bytes in either direction, and not by readiness. */
START_TEST(a_tunnel_is_idle_since_its_last_byte)
{
	int target, i;
	struct client c;

	start("timeout idle 60s\n" OPEN_RULES);
	c = established(&target, NOW);
	check_deadline(NOW + 60 * SECOND);
	say(c.fd, "x");
	hear(target, "x", NOW + 10 * SECOND);
	check_deadline(NOW + 70 * SECOND);
	say(target, "y");
	hear(c.fd, "y", NOW + 30 * SECOND);
	check_deadline(NOW + 90 * SECOND);

	for (i = 0; i < (int)w.n; i++)
		w.pfd[i].revents = POLLIN | POLLOUT | POLLERR | POLLHUP;
	step(NOW + 80 * SECOND);
	check_deadline(NOW + 90 * SECOND);

	quiet_turn(NOW + 90 * SECOND - 1);
	ck_assert_uint_eq(tunnel_count(), 1);
	quiet_turn(NOW + 90 * SECOND);
	ck_assert_uint_eq(tunnel_count(), 0);
	hear_reset(c.fd, NOW);
	hear_reset(target, NOW);
	check_field("end=idle");
	check_field("ms=90000");
}
END_TEST

/* Each has its own time, whatever the order in which they moved. */
START_TEST(of_several_idle_tunnels_the_right_one_ends)
{
	int target[3], i;
	struct client c[3];

	start("timeout idle 60s\n" OPEN_RULES);
	for (i = 0; i < 3; i++)
		c[i] = established(&target[i], NOW + i);
	say(c[0].fd, "x");
	hear(target[0], "x", NOW + 10);
	check_deadline(NOW + 1 + 60 * SECOND);
	quiet_turn(NOW + 1 + 60 * SECOND);
	ck_assert_uint_eq(tunnel_count(), 2);
	hear_reset(c[1].fd, NOW);
	hear_nothing(c[0].fd);
	hear_nothing(c[2].fd);
	check_deadline(NOW + 2 + 60 * SECOND);
	quiet_turn(NOW + 2 + 60 * SECOND);
	ck_assert_uint_eq(tunnel_count(), 1);
	check_deadline(NOW + 10 + 60 * SECOND);
	quiet_turn(NOW + 10 + 60 * SECOND);
	ck_assert_uint_eq(tunnel_count(), 0);
}
END_TEST

START_TEST(both_ends_in_one_turn_end_the_tunnel)
{
	int target;
	struct client c;

	start(OPEN_RULES);
	c = established(&target, NOW);
	ck_assert_int_eq(shutdown(c.fd, SHUT_WR), 0);
	ck_assert_int_eq(shutdown(target, SHUT_WR), 0);
	ck_assert(ready(c.proxy, POLLIN, READY_MS));
	interest();
	ck_assert_int_eq(poll(w.pfd, w.n, READY_MS), 2);
	step(NOW + 1);
	ck_assert_uint_eq(tunnel_count(), 0);
	hear_end(c.fd, NOW);
	hear_end(target, NOW);
	check_field("end=client-fin");
}
END_TEST

/* ---- T_HALF ------------------------------------------------------------ */

/* The end that speaks first, by _i: the client or the target. */
static const char *const fin_words[] = { "end=client-fin", "end=target-fin" };
static const char *const reset_words[] = { "end=client-reset",
    "end=target-reset" };

static int
end_of(struct client c, int target, int i)
{
	return i == 0 ? c.fd : target;
}

static void
end_first(struct client c, int target, int i, int64_t now)
{
	ck_assert_int_eq(shutdown(end_of(c, target, i), SHUT_WR), 0);
	hear_end(end_of(c, target, !i), now);
}

START_TEST(after_one_end_the_other_direction_has_timeout_half)
{
	int target, first, second;
	struct client c;

	start("timeout half 40s\n" OPEN_RULES);
	c = established(&target, NOW);
	first = end_of(c, target, _i);
	second = end_of(c, target, !_i);
	end_first(c, target, _i, NOW + 5 * SECOND);
	check_deadline(NOW + 45 * SECOND);
	ck_assert_uint_eq(w.n, 1);
	say(second, "still here");
	hear(first, "still here", NOW + 30 * SECOND);
	check_deadline(NOW + 70 * SECOND);

	drop(second);
	hear_end(first, NOW + 31 * SECOND);
	ck_assert_uint_eq(tunnel_count(), 0);
	check_field(fin_words[_i]);
	check_field("ms=31000");
}
END_TEST

START_TEST(a_half_that_carries_nothing_ends_after_timeout_half)
{
	int target;
	struct client c;

	start("timeout half 40s\n" OPEN_RULES);
	c = established(&target, NOW);
	end_first(c, target, _i, NOW);
	quiet_turn(NOW + 40 * SECOND - 1);
	ck_assert_uint_eq(tunnel_count(), 1);
	quiet_turn(NOW + 40 * SECOND);
	ck_assert_uint_eq(tunnel_count(), 0);
	/* who waits for more must not take this for the end of it */
	hear_reset(end_of(c, target, _i), NOW);
	check_field("end=half");
}
END_TEST

/*
 * Send until the sink takes no more, whose reader sleeps: some bytes are in the
 * ring then and none in front of it.  An acknowledgement may be late, and makes
 * room when it comes, so some time must pass without a byte.  How many went.
 */
static size_t
fill_sink(int from, int source, int sink)
{
	static char text[1000];
	size_t n = 0;
	int quiet = 0;

	set_buffer(sink, SO_SNDBUF);
	while (quiet < 5) {
		interest();
		if ((asked(sink) & POLLOUT) == 0) {
			ck_assert_int_eq(send(from, text, sizeof text,
			    MSG_NOSIGNAL), (ssize_t)sizeof text);
			ck_assert(ready(source, POLLIN, READY_MS));
			n += sizeof text;
			quiet = 0;
			ck_assert_uint_lt(n, 64 * 1000 * 1000);
		}
		short_turn(NOW);
		interest();
		quiet += (asked(sink) & POLLOUT) != 0 &&
		    !ready(source, POLLIN, 0);
	}
	ck_assert_int_ne(asked(source) & POLLIN, 0);
	return n;
}

/* Until that socket of the proxy can receive so much. */
static void
await_bytes(int fd, size_t n)
{
	static char sink[128 * 1024];
	ssize_t there;

	do {
		ck_assert(ready(fd, POLLIN, READY_MS));
		there = recv(fd, sink, sizeof sink, MSG_PEEK);
		ck_assert_int_ge(there, 0);
	} while ((size_t)there < n);
}

/* Receive something; how much. */
static size_t
swallow(int fd, size_t most)
{
	char buf[TEXT_MAX];
	ssize_t n = recv(fd, buf, most < sizeof buf ? most : sizeof buf, 0);

	ck_assert_msg(n > 0, "%s", n == 0 ? "the end" : strerror(errno));
	return (size_t)n;
}

/* The last bytes are with the kernel, and their reader is slow. */
START_TEST(a_half_whose_bytes_are_still_delivered_does_not_end)
{
	int target, sink, unsent, periods;
	size_t left;
	struct client c;
	int64_t now = NOW;

	small_buffer = 8192;
	start("timeout half 40s\nbuffer 4k\n" OPEN_RULES);
	c = established(&target, NOW);
	sink = target_proxy(c);
	if (sys_unsent(sink) < 0)
		return;			/* this system cannot tell */
	left = fill_sink(c.fd, c.proxy, sink);
	ck_assert_int_eq(shutdown(c.fd, SHUT_WR), 0);
	do {
		if (ready(target, POLLIN, 0))
			left -= swallow(target, 500);
		short_turn(NOW);
		interest();
	} while (asked(c.proxy) != 0 || asked(sink) != POLLIN);
	check_deadline(NOW + 40 * SECOND);

	for (periods = 0; (unsent = sys_unsent(sink)) > 1; periods++) {
		while (sys_unsent(sink) >= unsent && left > 0) {
			ck_assert(ready(target, POLLIN, READY_MS));
			left -= swallow(target, left < 500 ? left : 500);
		}
		if (sys_unsent(sink) >= unsent)
			break;
		now += 40 * SECOND;
		quiet_turn(now);
		ck_assert_uint_eq(tunnel_count(), 1);
		check_deadline(now + 40 * SECOND);
	}
	ck_assert_int_gt(periods, 0);
	while (left > 0)
		left -= swallow(target, left < 500 ? left : 500);
	hear_end(target, now);

	/* When all is delivered its time is over. */
	quiet_turn(now + 40 * SECOND);
	quiet_turn(now + 80 * SECOND);
	ck_assert_uint_eq(tunnel_count(), 0);
	check_field("end=half");
}
END_TEST

START_TEST(the_live_side_of_a_half_may_be_reset)
{
	int target;
	struct client c;

	start(OPEN_RULES);
	c = established(&target, NOW);
	end_first(c, target, _i, NOW);
	say(end_of(c, target, !_i), "last");
	reset(end_of(c, target, !_i));
	hear(end_of(c, target, _i), "last", NOW + 1);
	turns_until_count(0, NOW + 20);
	hear_reset(end_of(c, target, _i), NOW + 20);
	check_field(reset_words[!_i]);
}
END_TEST

/* ---- `timeout half 0` -------------------------------------------------- */

START_TEST(strictly_what_the_other_side_still_sends_is_dropped)
{
	int target, first, second;
	struct client c;

	start("timeout half 0\n" OPEN_RULES);
	c = established(&target, NOW);
	first = end_of(c, target, _i);
	second = end_of(c, target, !_i);
	say(first, "all of this");
	ck_assert_int_eq(shutdown(first, SHUT_WR), 0);
	hear(second, "all of this", NOW);
	hear_end(second, NOW);
	check_deadline(NOW + 2 * SECOND);
	say(second, "nobody wants this");
	short_turn(NOW + 1 * SECOND);
	hear_nothing(first);
	check_deadline(NOW + 2 * SECOND);
	drop(second);
	turns_until_count(0, NOW + 1 * SECOND);
	hear_end(first, NOW + 1 * SECOND);
	check_field(fin_words[_i]);
}
END_TEST

START_TEST(strictly_a_half_is_over_after_two_seconds)
{
	int target;
	struct client c;

	start("timeout half 0\n" OPEN_RULES);
	c = established(&target, NOW);
	end_first(c, target, _i, NOW);
	quiet_turn(NOW + 2 * SECOND - 1);
	ck_assert_uint_eq(tunnel_count(), 1);
	quiet_turn(NOW + 2 * SECOND);
	ck_assert_uint_eq(tunnel_count(), 0);
	hear_end(end_of(c, target, _i), NOW);
	check_field(fin_words[_i]);
}
END_TEST

/* Both have ended; the one whose reader is slow is owed its bytes. */
START_TEST(strictly_both_ends_are_delivered_to_a_slow_reader)
{
	int target, first, second, source, sink;
	struct client c;
	size_t left;

	small_buffer = 8192;
	start("timeout half 0\nbuffer 4k\n" OPEN_RULES);
	c = established(&target, NOW);
	first = end_of(c, target, _i);
	second = end_of(c, target, !_i);
	source = _i == 0 ? c.proxy : target_proxy(c);
	sink = _i == 0 ? target_proxy(c) : c.proxy;
	left = fill_sink(first, source, sink);
	ck_assert_int_eq(shutdown(first, SHUT_WR), 0);
	while (asked(source) != 0) {	/* until its end has come */
		short_turn(NOW);
		interest();
	}
	ck_assert_int_ne(asked(sink) & POLLOUT, 0);
	ck_assert_int_eq(shutdown(second, SHUT_WR), 0);
	hear_end(first, NOW + SECOND);
	while (left > 0) {
		turns_until(second, POLLIN, NOW + SECOND);
		left -= swallow(second, left < 500 ? left : 500);
	}
	hear_end(second, NOW + SECOND);
	turns_until_count(0, NOW + SECOND);
}
END_TEST

/* Its bytes are lost, and it must not take what it has for all. */
START_TEST(strictly_a_reader_that_is_too_slow_sees_a_reset)
{
	int target, first, second, source, sink, periods;
	char buf[TEXT_MAX];
	struct client c;
	size_t left;
	ssize_t n = 0;

	small_buffer = 8192;
	start("timeout half 0\nbuffer 4k\n" OPEN_RULES);
	c = established(&target, NOW);
	first = end_of(c, target, _i);
	second = end_of(c, target, !_i);
	source = _i == 0 ? c.proxy : target_proxy(c);
	sink = _i == 0 ? target_proxy(c) : c.proxy;
	left = fill_sink(first, source, sink);
	ck_assert_int_eq(shutdown(first, SHUT_WR), 0);
	while (asked(source) != 0) {
		short_turn(NOW);
		interest();
	}
	ck_assert_int_eq(shutdown(second, SHUT_WR), 0);
	hear_end(first, NOW);
	/* a late acknowledgement of the end may count as a byte, once */
	for (periods = 1; tunnel_count() == 1 && periods < 4; periods++)
		quiet_turn(NOW + periods * 2 * SECOND);
	ck_assert_uint_eq(tunnel_count(), 0);
	while (ready(second, POLLIN, READY_MS) &&
	    (n = recv(second, buf, sizeof buf, 0)) > 0)
		left -= (size_t)n;
	ck_assert_uint_gt(left, 0);
	ck_assert_msg(n == -1 && errno == ECONNRESET,
	    "%zu bytes are missing, and the end was orderly", left);
}
END_TEST

/* ---- T_CUT ------------------------------------------------------------- */

START_TEST(a_reset_of_one_side_reaches_the_other_behind_its_bytes)
{
	int target;
	struct client c;

	start(OPEN_RULES);
	c = established(&target, NOW);
	say(end_of(c, target, _i), "before the end");
	reset(end_of(c, target, _i));
	hear(end_of(c, target, !_i), "before the end", NOW);
	turns_until_count(0, NOW + 20);
	hear_reset(end_of(c, target, !_i), NOW + 20);
	check_field(reset_words[_i]);
	ck_assert_uint_eq(log_lines(), 1);
}
END_TEST

/* Nobody starves for the sake of the dead: a few rings' worth a turn, also
 * when there are several. */
START_TEST(cuts_are_flushed_a_little_each_turn)
{
	static char text[60000];
	int target[3], i;
	struct client c[3];
	size_t most = 5 * 4096, left[3];

	start("buffer 4k\n" OPEN_RULES);
	for (i = 0; i < 3; i++)
		c[i] = established(&target[i], NOW);
	for (i = 0; i < 3; i++) {
		left[i] = sizeof text;
		ck_assert_int_eq(send(c[i].fd, text, left[i], MSG_NOSIGNAL),
		    (ssize_t)left[i]);
		say(target[i], "x");	/* to be sent to one who is gone */
		await_bytes(c[i].proxy, left[i]);
		reset(c[i].fd);
	}
	interest();
	ck_assert_int_eq(poll(w.pfd, w.n, READY_MS), 6);
	step(NOW);
	ck_assert_uint_eq(tunnel_count(), 3);
	for (i = 0; i < 3; i++)
		while (ready(target[i], POLLIN, 0)) {
			left[i] -= swallow(target[i], left[i]);
			ck_assert_msg(sizeof text - left[i] <= most,
			    "%zu bytes in one turn", sizeof text - left[i]);
		}
	for (i = 0; i < 3; i++) {
		while (left[i] > 0) {
			turns_until(target[i], POLLIN, NOW);
			left[i] -= swallow(target[i], left[i]);
		}
	}
	for (i = 0; tunnel_count() > 0; i++) {
		ck_assert_int_lt(i, 100);
		short_turn(NOW + i * SECOND);
	}
	for (i = 0; i < 3; i++)
		hear_reset(target[i], stopped_at);
}
END_TEST

/* The reader sleeps for ever. */
START_TEST(a_cut_that_cannot_be_delivered_ends_after_timeout_half)
{
	int target, source, sink, periods;
	struct client c;
	int64_t now = NOW + SECOND;

	small_buffer = 8192;
	start("timeout half 40s\nbuffer 4k\n" OPEN_RULES);
	c = established(&target, NOW);
	source = _i == 0 ? c.proxy : target_proxy(c);
	sink = _i == 0 ? target_proxy(c) : c.proxy;
	(void)fill_sink(end_of(c, target, _i), source, sink);
	reset(end_of(c, target, _i));
	while (asked(source) != 0) {
		short_turn(now);
		interest();
	}
	ck_assert_int_eq(asked(sink), POLLOUT);
	check_deadline(now + 40 * SECOND);
	quiet_turn(now + 40 * SECOND - 1);
	ck_assert_uint_eq(tunnel_count(), 1);
	/* its system may take a little more before it is full for good */
	for (periods = 1; tunnel_count() == 1 && periods < 4; periods++)
		quiet_turn(now + periods * 40 * SECOND);
	ck_assert_uint_eq(tunnel_count(), 0);
	check_field(reset_words[_i]);
}
END_TEST

/* As long as something goes its time begins again. */
START_TEST(a_cut_that_is_delivered_slowly_does_not_end)
{
	int target, source, sink, second, unsent;
	struct client c;
	int64_t now = NOW;
	size_t left;

	small_buffer = 8192;
	start("timeout half 40s\nbuffer 4k\n" OPEN_RULES);
	c = established(&target, NOW);
	source = _i == 0 ? c.proxy : target_proxy(c);
	sink = _i == 0 ? target_proxy(c) : c.proxy;
	second = end_of(c, target, !_i);
	if (sys_unsent(sink) < 0)
		return;			/* this system cannot tell */
	left = fill_sink(end_of(c, target, _i), source, sink);
	reset(end_of(c, target, _i));
	do {
		if (ready(second, POLLIN, 0))
			left -= swallow(second, 500);
		short_turn(NOW);
		interest();
	} while (w.n > 0);		/* all of it is with the kernel */
	while ((unsent = sys_unsent(sink)) > 0) {
		while (sys_unsent(sink) >= unsent && left > 0) {
			ck_assert(ready(second, POLLIN, READY_MS));
			left -= swallow(second, left < 500 ? left : 500);
		}
		if (left == 0 || sys_unsent(sink) == 0)
			break;		/* nothing is left to be delivered */
		now += 39 * SECOND;
		quiet_turn(now);
		ck_assert_uint_eq(tunnel_count(), 1);
	}
	while (tunnel_count() == 1) {
		ck_assert_int_lt(now, NOW + 24 * 3600 * SECOND);
		short_turn(now += SECOND);
	}
	while (left > 0)
		left -= swallow(second, left < 500 ? left : 500);
	hear_reset(second, now);
	check_field(reset_words[_i]);
}
END_TEST

/* ---- T_REFUSE ---------------------------------------------------------- */

static struct client
refused(int64_t now)
{
	struct client c = new_client(now);

	say(c.fd, "nonsense\r\n\r\n");
	(void)reply_to(c, now);
	return c;
}

START_TEST(a_refused_client_has_two_seconds_to_leave)
{
	struct client c;

	start(OPEN_RULES);
	c = refused(NOW);
	check_deadline(NOW + 2 * SECOND);
	ck_assert_int_eq(asked(c.proxy), POLLIN);
	quiet_turn(NOW + 2 * SECOND - 1);
	ck_assert_uint_eq(tunnel_count(), 1);
	quiet_turn(NOW + 2 * SECOND);
	ck_assert_uint_eq(tunnel_count(), 0);
	check_field("status=400");
	check_field("ms=2000");
}
END_TEST

START_TEST(a_refused_client_that_speaks_has_ten_seconds_in_all)
{
	static const int64_t speaks[] = { 1900, 3800, 5700, 7600, 8000, 9900 };
	struct client c;
	int i;

	start(OPEN_RULES);
	c = refused(NOW);
	for (i = 0; i < COUNT(speaks); i++) {
		say(c.fd, "and another thing");
		ck_assert(ready(c.proxy, POLLIN, READY_MS));
		short_turn(NOW + speaks[i]);
		check_deadline(NOW + (speaks[i] <= 8000 ? speaks[i] + 2000 :
		    10 * SECOND));
		ck_assert_uint_eq(tunnel_count(), 1);
	}
	quiet_turn(NOW + 10 * SECOND);
	ck_assert_uint_eq(tunnel_count(), 0);
}
END_TEST

/* What it still sends is dropped, and a megabyte of it is enough. */
START_TEST(a_refused_client_that_pours_is_not_kept)
{
	static char text[16 * 1024];
	size_t n = 0;
	struct client c;
	ssize_t k;

	start("buffer 16k\n");
	c = refused(NOW);
	while (n < 2 * 1024 * 1024) {	/* some may still be on its way */
		ck_assert(ready(c.fd, POLLOUT, READY_MS));
		k = send(c.fd, text, sizeof text, MSG_NOSIGNAL);
		ck_assert_int_gt(k, 0);
		n += (size_t)k;
		await_bytes(c.proxy, (size_t)k);
		short_turn(NOW + SECOND);
	}
	say(c.fd, "and one more");
	ck_assert(ready(c.proxy, POLLIN, READY_MS));
	short_turn(NOW + SECOND + 500);
	check_deadline(NOW + 3 * SECOND);
	quiet_turn(NOW + 3 * SECOND);
	ck_assert_uint_eq(tunnel_count(), 0);
}
END_TEST

START_TEST(a_refused_client_that_leaves_is_done)
{
	struct client c;

	start(OPEN_RULES);
	c = refused(NOW);
	if (_i == 0)
		drop(c.fd);
	else
		reset(c.fd);
	turns_until_count(0, NOW + 1);
	check_field("end=http_request_error");
	check_field("ms=1");
}
END_TEST

/* Unread input would turn the close into a reset, and that destroys it. */
START_TEST(a_reply_survives_what_is_sent_behind_the_head)
{
	static char text[100 * 1000 + 1];
	struct client c;

	start("buffer 4k\n");
	c = new_client(NOW);
	request(c, "192.0.2.99:443");
	memset(text, 'b', sizeof text - 1);
	say(c.fd, text);
	check_reply(c, 403, "http_request_denied",
	    "this client is not allowed by the rules", NOW);
	ck_assert_int_eq(shutdown(c.fd, SHUT_WR), 0);
	turns_until_count(0, NOW);
	check_field("up=0");
}
END_TEST

START_TEST(nothing_behind_a_refused_request_is_parsed)
{
	struct addr bound;
	struct client c;
	int listener;
	char text[256];

	start(OPEN_RULES);
	listener = listen_on("127.0.0.1", &bound);
	c = new_client(NOW);
	(void)snprintf(text, sizeof text, "CONNECT 192.0.2.1:443 HTTP/1.1\r\n"
	    "Host: x\r\n\r\nCONNECT 127.0.0.1:%u HTTP/1.1\r\nHost: x\r\n\r\n",
	    bound.port);
	say(c.fd, text);
	ck_assert_ptr_null(strstr(reply_to(c, NOW) + 1, "HTTP/1.1"));
	short_turn(NOW);
	ck_assert(!ready(listener, POLLIN, 0));
	ck_assert_uint_eq(tunnel_totals()->established, 0);
}
END_TEST

/* ---- the table --------------------------------------------------------- */

START_TEST(a_client_over_its_limit_is_told_so)
{
	struct client c[3], other;

	start("tunnels-per-client 2\n" OPEN_RULES);
	c[0] = new_client(NOW);
	c[1] = new_client(NOW);
	c[2] = new_client(NOW);
	check_reply(c[2], 503, "connection_limit_reached",
	    "this client has too many tunnels open", NOW);
	hear_nothing(c[0].fd);
	hear_nothing(c[1].fd);
	ck_assert_uint_eq(tunnel_totals()->limited, 1);
	ck_assert_uint_eq(tunnel_totals()->refused, 1);
	ck_assert_uint_eq(tunnel_totals()->accepted, 3);
	other = new_client_from("192.0.2.11", 1, NOW);
	short_turn(NOW);
	hear_nothing(other.fd);

	/* when one has gone there is room for one */
	drop(c[2].fd);
	drop(c[0].fd);
	turns_until_count(2, NOW);
	c[0] = new_client(NOW);
	short_turn(NOW);
	hear_nothing(c[0].fd);
	ck_assert_uint_eq(tunnel_totals()->limited, 1);
}
END_TEST

START_TEST(a_client_far_over_its_limit_is_closed_without_a_word)
{
	struct client c;
	int i;

	start("tunnels-per-client 2\n" OPEN_RULES);
	for (i = 0; i < 2 + 8; i++)
		(void)new_client(NOW);
	ck_assert_uint_eq(tunnel_count(), 10);
	c = new_client(NOW);
	ck_assert_uint_eq(tunnel_count(), 10);
	hear_end(c.fd, NOW);
	ck_assert_uint_eq(tunnel_totals()->limited, 9);
	ck_assert_uint_eq(tunnel_totals()->refused, 8);
	ck_assert_uint_eq(tunnel_totals()->accepted, 11);
	tunnel_stop(NOW);
	ck_assert_uint_eq(log_lines(), 10);
}
END_TEST

static const struct {
	const char	*first;
	const char	*second;
	bool		 same;
} same_clients[] = {
	{ "192.0.2.1", "192.0.2.1", true },
	{ "192.0.2.1", "192.0.2.2", false },
	{ "192.0.2.1", "192.0.3.1", false },
	{ "2001:db8::1", "2001:db8::1", true },
	{ "2001:db8::1", "2001:db8::ffff:ffff:ffff:ffff", true },
	{ "2001:db8::1", "2001:db8:0:1::1", false },
	{ "2001:db8::1", "2001:db9::1", false },
	{ "2001:db8::1", "192.0.2.1", false },
	{ "::", "0.0.0.0", false }
};

START_TEST(a_client_is_an_ipv4_address_or_an_ipv6_64)
{
	start("tunnels-per-client 1\n" OPEN_RULES);
	(void)new_client_from(same_clients[_i].first, 1, NOW);
	(void)new_client_from(same_clients[_i].second, 2, NOW);
	ck_assert_uint_eq(tunnel_totals()->limited, same_clients[_i].same);
}
END_TEST

/* More of them than the hash has chains: they are told apart in those. */
START_TEST(many_clients_are_counted_apart)
{
	struct client c[60];
	char ip[32];
	int i, round;

	start("tunnels 64\ntunnels-per-client 1\n" OPEN_RULES);
	for (round = 0; round < 3; round++) {
		for (i = 0; i < COUNT(c); i++) {
			(void)snprintf(ip, sizeof ip, i % 2 == 0 ?
			    "192.0.%d.1" : "2001:db8:%x::1", i);
			c[i] = new_client_from(ip, 1, NOW);
		}
		ck_assert_uint_eq(tunnel_totals()->limited, 0);
		/* leave in another order than they came */
		for (i = 0; i < COUNT(c); i++)
			drop(c[(i * 7 + round) % COUNT(c)].fd);
		turns_until_count(0, NOW);
	}
}
END_TEST

START_TEST(without_a_limit_a_client_may_have_the_whole_table)
{
	int i;

	start("tunnels 40\ntunnels-per-client 0\n" OPEN_RULES);
	for (i = 0; i < 40; i++)
		(void)new_client(NOW);
	ck_assert_uint_eq(tunnel_count(), 40);
	ck_assert_uint_eq(tunnel_totals()->limited, 0);
	ck_assert_uint_eq(tunnel_totals()->most, 40);
}
END_TEST

START_TEST(a_full_table_has_room_when_a_head_is_a_second_old)
{
	struct client c[3];

	start("tunnels 2\n" OPEN_RULES);
	interest();
	ck_assert(tunnel_room(&w, NOW));
	c[0] = new_client(NOW);
	c[1] = new_client(NOW + 400);
	interest();
	ck_assert(!tunnel_room(&w, NOW + SECOND - 1));
	ck_assert_int_eq(w.deadline, NOW + SECOND);
	interest();
	ck_assert(tunnel_room(&w, NOW + SECOND));
	ck_assert_int_eq(w.deadline, NOW + 10 * SECOND);

	c[2] = new_client(NOW + SECOND);
	ck_assert_uint_eq(tunnel_count(), 2);
	hear_reset(c[0].fd, NOW + SECOND);
	short_turn(NOW + SECOND);
	hear_nothing(c[1].fd);
	hear_nothing(c[2].fd);
	ck_assert_uint_eq(tunnel_totals()->evicted, 1);
	check_log(REFUSED_LINE, "-", 0, "evicted", 1000, "-");
	interest();
	ck_assert(!tunnel_room(&w, NOW + SECOND));
	ck_assert_int_eq(w.deadline, NOW + 400 + SECOND);
}
END_TEST

START_TEST(half_closed_tunnels_go_first_and_the_oldest_of_them)
{
	int target[2];
	struct client old, half[2], c;

	start("tunnels 3\n" OPEN_RULES);
	old = new_client(NOW);
	half[0] = established(&target[0], NOW + 1);
	half[1] = established(&target[1], NOW + 2);
	end_first(half[1], target[1], 0, NOW + 3);
	end_first(half[0], target[0], 1, NOW + 4);
	interest();
	ck_assert(tunnel_room(&w, NOW + 5));

	/* half[1] has been half-closed for longer */
	c = new_client(NOW + 5);
	hear_reset(half[1].fd, NOW + 5);
	check_field("end=evicted");
	(void)new_client(NOW + 5);
	hear_reset(target[0], NOW + 5);
	ck_assert_uint_eq(tunnel_totals()->evicted, 2);
	interest();
	ck_assert(!tunnel_room(&w, NOW + 6));
	short_turn(NOW + 6);
	hear_nothing(old.fd);
	hear_nothing(c.fd);
}
END_TEST

/* A tunnel that works is not ended for a newcomer. */
START_TEST(a_table_full_of_tunnels_has_no_room)
{
	int target[2];
	struct client c[2], late;
	uint16_t port;

	start("tunnels 2\n" OPEN_RULES);
	if ((port = silent_port()) == 0)
		return;
	c[0] = established(&target[0], NOW);
	c[1] = new_client(NOW);
	request_port(c[1], port);
	ck_assert(ready(c[1].proxy, POLLIN, READY_MS));
	short_turn(NOW);
	interest();
	ck_assert_int_eq(w.deadline, NOW + 30 * SECOND);
	ck_assert(!tunnel_room(&w, NOW + 20 * SECOND));
	ck_assert_int_eq(w.deadline, NOW + 30 * SECOND);

	/* whoever is accepted in spite of that is closed */
	late = new_client(NOW + 20 * SECOND);
	ck_assert_uint_eq(tunnel_count(), 2);
	hear_end(late.fd, NOW + 20 * SECOND);
	ck_assert_uint_eq(tunnel_totals()->evicted, 0);
	ck_assert_str_eq(log_text(), "");
	say(c[0].fd, "fine");
	hear(target[0], "fine", NOW + 20 * SECOND);
}
END_TEST

START_TEST(nobody_is_evicted_for_a_client_over_its_limit)
{
	struct client c[2], late;

	start("tunnels 2\ntunnels-per-client 2\n" OPEN_RULES);
	c[0] = new_client(NOW);
	c[1] = new_client(NOW);
	interest();
	ck_assert(tunnel_room(&w, NOW + 5 * SECOND));
	late = new_client(NOW + 5 * SECOND);
	ck_assert_uint_eq(tunnel_count(), 2);
	hear_end(late.fd, NOW + 5 * SECOND);
	short_turn(NOW + 5 * SECOND);
	hear_nothing(c[0].fd);
	hear_nothing(c[1].fd);
	ck_assert_uint_eq(tunnel_totals()->evicted, 0);
}
END_TEST

/* All in T_DIAL with two attempts each is the most that can be wanted. */
START_TEST(the_waits_are_never_more_than_was_said)
{
	struct client c;
	uint16_t port;
	char target[32];
	int i;

	start_with_hosts("tunnels 5\n" OPEN_RULES,
	    "127.0.0.1 many\n127.0.0.2 many\n127.0.0.3 many\n");
	if ((port = silent_port()) == 0)
		return;
	(void)snprintf(target, sizeof target, "many:%u", port);
	for (i = 0; i < 5; i++) {
		c = new_client(NOW);
		request(c, target);
		ck_assert(ready(c.proxy, POLLIN, READY_MS));
	}
	short_turn(NOW);
	quiet_turn(NOW + 250);
	interest();
	ck_assert_uint_le(w.n, tunnel_waits(5));
	for (i = 0; i < (int)w.n; i++)
		ck_assert_int_ne(w.pfd[i].events, 0);
	ck_assert_uint_eq(tunnel_waits(5), 15);
}
END_TEST

/* Entries of others in the waits, before and behind, are left alone. */
START_TEST(only_our_own_entries_are_looked_at)
{
	struct client c;
	int mine;

	start(OPEN_RULES);
	c = new_client(NOW);
	w.n = 0;
	w.deadline = WAIT_FOREVER;
	mine = sys_want(&w, door, POLLIN, 999);
	tunnel_interest(&w);
	ck_assert_uint_eq(w.n, 2);
	w.pfd[mine].revents = POLLIN;
	step(NOW);
	ck_assert_uint_eq(tunnel_count(), 1);
	short_turn(NOW);
	hear_nothing(c.fd);
}
END_TEST

START_TEST(slots_and_memory_are_used_again)
{
	static const char nonsense[] = "nonsense\r\n\r\n";
	struct addr bound;
	struct client c;
	int listener, target, i, before;

	start("tunnels 3\nbuffer 4k\ntimeout half 5s\n" OPEN_RULES);
	listener = listen_on("127.0.0.1", &bound);
	before = descriptors();
	for (i = 0; i < 300; i++) {
		c = new_client(NOW + i);
		if (i % 4 == 0) {
			say(c.fd, nonsense);
			hear_all(c.fd, NOW + i);
		} else if (i % 4 != 1) {
			request_port(c, bound.port);
			say(c.fd, "early");
			hear(c.fd, HTTP_ESTABLISHED, NOW + i);
			target = accepted(listener);
			hear(target, "early", NOW + i);
			if (i % 4 == 2)
				drop(target);
			else
				reset(target);
		}
		drop(c.fd);
		while (tunnel_count() > 0) {
			interest();
			(void)poll(w.pfd, w.n, READY_MS);
			step(NOW + i);
		}
		while (keeps > 0 && kept[keeps - 1] != listener)
			drop(kept[keeps - 1]);
		ck_assert_int_eq(descriptors(), before);
	}
	ck_assert_uint_eq(log_lines(), 300);
	ck_assert_uint_eq(tunnel_totals()->accepted, 300);
	ck_assert_uint_eq(tunnel_totals()->refused, 75);
	ck_assert_uint_eq(tunnel_totals()->established, 150);
	ck_assert_uint_eq(tunnel_totals()->up, 150 * 5);
	ck_assert_uint_eq(tunnel_totals()->down, 0);
	ck_assert_uint_eq(tunnel_totals()->now, 0);
	ck_assert_uint_eq(tunnel_totals()->most, 1);
}
END_TEST

START_TEST(stop_ends_tunnels_of_every_state)
{
	int target[2];
	struct client c;
	uint16_t port;

	start(OPEN_RULES);
	port = silent_port();
	(void)new_client(NOW);
	(void)refused(NOW);
	(void)established(&target[0], NOW);
	c = established(&target[1], NOW);
	end_first(c, target[1], 0, NOW);
	if (port != 0) {
		c = new_client(NOW);
		request_port(c, port);
		ck_assert(ready(c.proxy, POLLIN, READY_MS));
		short_turn(NOW);
	}
	ck_assert_uint_eq(tunnel_count(), port != 0 ? 5 : 4);
	tunnel_stop(NOW + 7);
	ck_assert_uint_eq(tunnel_count(), 0);
	ck_assert_uint_eq(log_lines(), port != 0 ? 5 : 4);
	hear_reset(target[0], NOW + 7);
	check_deadline(WAIT_FOREVER);
	ck_assert_uint_eq(w.n, 0);
	tunnel_stop(NOW + 7);

	/* and the table can go on */
	(void)new_client(NOW + 8);
	ck_assert_uint_eq(tunnel_count(), 1);
}
END_TEST

START_TEST(every_line_fits_the_log)
{
	char name[NAME_MAX_LEN + 1], target[NAME_MAX_LEN + 16];
	char hosts_text[2 * NAME_MAX_LEN];
	struct addr bound;
	struct client c;
	int i;

	for (i = 0; i < NAME_MAX_LEN; i++)
		name[i] = i % 64 == 63 ? '.' : 'n';
	name[NAME_MAX_LEN] = '\0';
	(void)snprintf(hosts_text, sizeof hosts_text, "127.0.0.1 %s\n", name);
	start_with_hosts(OPEN_RULES, hosts_text);
	(void)listen_on("127.0.0.1", &bound);
	(void)snprintf(target, sizeof target, "%s:%u", name, bound.port);
	c = new_client_from("2001:db8:1111:2222:3333:4444:5555:6666", 65535,
	    NOW);
	request(c, target);
	hear(c.fd, HTTP_ESTABLISHED, NOW + 9 * SECOND);
	tunnel_stop(NOW + 7 * 24 * 3600 * SECOND);
	ck_assert_ptr_null(strstr(log_text(), "..."));
	ck_assert_ptr_nonnull(strstr(log_text(), " setup-ms=9000 dns-ms=0\n"));
	ck_assert_ptr_nonnull(strstr(log_text(), target));
}
END_TEST

static TCase *
new_case(Suite *s, const char *name)
{
	TCase *tc = tcase_create(name);

	tcase_add_checked_fixture(tc, NULL, finish);
	tcase_set_timeout(tc, 120);
	suite_add_tcase(s, tc);
	return tc;
}

static void
add_request_tests(Suite *s)
{
	TCase *tc = new_case(s, "request");

	tcase_add_test(tc, a_new_connection_waits_for_its_head);
	tcase_add_test(tc, a_head_may_come_byte_by_byte_and_renews_nothing);
	tcase_add_test(tc, a_silent_client_is_dropped_after_timeout_request);
	tcase_add_test(tc, half_a_head_is_answered_after_timeout_request);
	tcase_add_loop_test(tc,
	    a_client_that_leaves_without_a_head_leaves_a_line, 0, 2);
	tcase_add_test(tc, readiness_without_a_byte_changes_nothing);
	tcase_add_test(tc,
	    a_client_that_is_gone_when_it_is_answered_leaves_a_line);
	tcase_add_test(tc, an_end_in_the_middle_of_a_head_is_answered);
	tcase_add_loop_test(tc, a_head_that_is_no_good_is_answered, 0,
	    COUNT(heads));
	tcase_add_test(tc, the_reply_to_head_has_no_body);
	tcase_add_loop_test(tc, a_head_may_be_as_large_as_the_ring, 0, 8);

	tc = new_case(s, "rules");
	tcase_add_loop_test(tc, what_is_denied_is_told_in_the_words_of_the_user,
	    0, COUNT(denials));
	tcase_add_test(tc, a_denial_does_not_tell_the_address_of_a_name);
	tcase_add_test(tc, a_name_that_cannot_be_is_told);
	tcase_add_test(tc, a_name_that_no_rule_can_allow_is_not_asked_for);
	tcase_add_test(tc,
	    a_name_that_nobody_answers_for_is_told_after_timeout_connect);
	tcase_add_test(tc, a_client_that_leaves_takes_its_lookup_with_it);
	tcase_add_test(tc, a_name_of_the_hosts_file_is_reached);
	tcase_add_test(tc,
	    of_several_addresses_only_the_allowed_ones_are_dialled);
	tcase_add_test(tc, if_no_address_is_left_the_first_refusal_is_told);
	tcase_add_loop_test(tc, our_own_listeners_are_never_a_target, 0,
	    COUNT(owned));
	tcase_add_test(tc, another_port_of_our_own_address_is_a_target);
}

static void
add_dial_tests(Suite *s)
{
	TCase *tc = new_case(s, "dial");

	tcase_add_test(tc, a_target_that_refuses_is_told);
	tcase_add_test(tc, a_target_without_a_route_is_told);
	tcase_add_test(tc, a_silent_target_is_told_after_timeout_connect);
	tcase_add_test(tc, the_next_address_is_tried_after_250_ms);
	tcase_add_test(tc, a_refusal_is_told_rather_than_silence);
	tcase_add_test(tc, a_client_that_resets_while_we_dial_is_gone);
	tcase_add_test(tc, a_client_that_ends_while_we_dial_gets_its_answer);
	tcase_add_test(tc,
	    a_client_that_has_ended_is_not_waited_for_while_we_dial);
	tcase_add_test(tc,
	    early_data_is_kept_and_is_the_first_that_the_target_gets);
	tcase_add_test(tc, early_data_beyond_the_ring_waits);
	tcase_add_test(tc, a_lack_of_descriptors_is_told);
}

static void
add_relay_tests(Suite *s)
{
	TCase *tc = new_case(s, "relay");

	tcase_add_test(tc, a_tunnel_carries_bytes_both_ways);
	tcase_add_test(tc, ipv6_clients_and_targets_are_logged_in_brackets);
	tcase_add_test(tc, a_tunnel_is_idle_since_its_last_byte);
	tcase_add_test(tc, of_several_idle_tunnels_the_right_one_ends);
	tcase_add_test(tc, both_ends_in_one_turn_end_the_tunnel);

	tc = new_case(s, "half");
	tcase_add_loop_test(tc,
	    after_one_end_the_other_direction_has_timeout_half, 0, 2);
	tcase_add_loop_test(tc,
	    a_half_that_carries_nothing_ends_after_timeout_half, 0, 2);
	tcase_add_test(tc, a_half_whose_bytes_are_still_delivered_does_not_end);
	tcase_add_loop_test(tc, the_live_side_of_a_half_may_be_reset, 0, 2);
	tcase_add_loop_test(tc,
	    strictly_what_the_other_side_still_sends_is_dropped, 0, 2);
	tcase_add_loop_test(tc, strictly_a_half_is_over_after_two_seconds, 0,
	    2);
	tcase_add_loop_test(tc,
	    strictly_both_ends_are_delivered_to_a_slow_reader, 0, 2);
	tcase_add_loop_test(tc,
	    strictly_a_reader_that_is_too_slow_sees_a_reset, 0, 2);

	tc = new_case(s, "cut");
	tcase_add_loop_test(tc,
	    a_reset_of_one_side_reaches_the_other_behind_its_bytes, 0, 2);
	tcase_add_test(tc, cuts_are_flushed_a_little_each_turn);
	tcase_add_loop_test(tc,
	    a_cut_that_cannot_be_delivered_ends_after_timeout_half, 0, 2);
	tcase_add_loop_test(tc, a_cut_that_is_delivered_slowly_does_not_end, 0,
	    2);
}

static void
add_refuse_tests(Suite *s)
{
	TCase *tc = new_case(s, "refuse");

	tcase_add_test(tc, a_refused_client_has_two_seconds_to_leave);
	tcase_add_test(tc, a_refused_client_that_speaks_has_ten_seconds_in_all);
	tcase_add_test(tc, a_refused_client_that_pours_is_not_kept);
	tcase_add_loop_test(tc, a_refused_client_that_leaves_is_done, 0, 2);
	tcase_add_test(tc, a_reply_survives_what_is_sent_behind_the_head);
	tcase_add_test(tc, nothing_behind_a_refused_request_is_parsed);
}

static Suite *
tunnel_suite(void)
{
	Suite *s = suite_create("tunnel");
	TCase *tc;

	add_request_tests(s);
	add_dial_tests(s);
	add_relay_tests(s);
	add_refuse_tests(s);
	tc = new_case(s, "table");
	tcase_add_test(tc, a_client_over_its_limit_is_told_so);
	tcase_add_test(tc,
	    a_client_far_over_its_limit_is_closed_without_a_word);
	tcase_add_loop_test(tc, a_client_is_an_ipv4_address_or_an_ipv6_64, 0,
	    COUNT(same_clients));
	tcase_add_test(tc, many_clients_are_counted_apart);
	tcase_add_test(tc, without_a_limit_a_client_may_have_the_whole_table);
	tcase_add_test(tc, a_full_table_has_room_when_a_head_is_a_second_old);
	tcase_add_test(tc, half_closed_tunnels_go_first_and_the_oldest_of_them);
	tcase_add_test(tc, a_table_full_of_tunnels_has_no_room);
	tcase_add_test(tc, nobody_is_evicted_for_a_client_over_its_limit);
	tcase_add_test(tc, the_waits_are_never_more_than_was_said);
	tcase_add_test(tc, only_our_own_entries_are_looked_at);
	tcase_add_test(tc, slots_and_memory_are_used_again);
	tcase_add_test(tc, stop_ends_tunnels_of_every_state);
	tcase_add_test(tc, every_line_fits_the_log);
	return s;
}

int
main(void)
{
	SRunner *sr = srunner_create(tunnel_suite());
	int failed;

	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
