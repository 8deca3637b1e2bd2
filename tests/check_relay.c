/* SPDX-License-Identifier: ISC */
/*
 * Unit tests of relay.c over real TCP connections on loopback, with rings of
 * 4096 bytes, the smallest that a configuration can ask for.  The test plays
 * the client and the target; poll says what is ready, the test says what time
 * it is.  The bytes of a direction are a function of their place, so that one
 * that is lost, doubled or moved is seen.
 */
#include <sys/socket.h>
#include <netinet/in.h>

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../connectd.h"

#define COUNT(table) ((int)(sizeof (table) / sizeof (table)[0]))
#define SIZE		4096u		/* of a ring */
#define RELAYS		2u
#define NOW		1000000
#define READY_MS	10000		/* what is to come comes before that */
#define SMALL		8192		/* buffer of a socket that is slow */
#define WORDS		"words"
#define OWNER		3u

enum end { CLIENT, TARGET };

static struct relay r;
static int peer[2];			/* our ends, by enum end */
static int proxy[2];			/* the relay's */
static uint64_t sent[2], got[2];	/* by the peers */
static unsigned char rings[2 * RELAYS * SIZE];
static uint32_t book[2 * RELAYS];
static struct pollfd pfd[8];
static uint32_t owner[8];
static struct waits w;
static uint32_t seed;

static uint32_t
random_below(uint32_t n)
{
	seed ^= seed << 13;
	seed ^= seed >> 17;
	seed ^= seed << 5;
	return (seed >> 7) % n;
}

/* ---- sockets ----------------------------------------------------------- */

static bool
ready(int fd, short events)
{
	struct pollfd p = { fd, events, 0 };

	return poll(&p, 1, READY_MS) == 1;
}

/* Has it a byte to receive? */
static bool
has_byte(int fd)
{
	char byte;

	return recv(fd, &byte, 1, MSG_PEEK) == 1;
}

static int
new_socket(int buffer)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	ck_assert_msg(fd >= 0, "%s", strerror(errno));
	if (buffer > 0) {
		ck_assert_int_eq(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &buffer,
		    sizeof buffer), 0);
		ck_assert_int_eq(setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &buffer,
		    sizeof buffer), 0);
	}
	return fd;
}

/* A connection, with buffers of that size, or what is usual. */
static void
connect_pair(enum end end, int buffer)
{
	struct sockaddr_in s;
	socklen_t len = sizeof s;
	int listener = new_socket(buffer);

	memset(&s, 0, sizeof s);
	s.sin_family = AF_INET;
	s.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	ck_assert_int_eq(bind(listener, (struct sockaddr *)&s, len), 0);
	ck_assert_int_eq(listen(listener, 1), 0);
	ck_assert_int_eq(getsockname(listener, (struct sockaddr *)&s, &len), 0);
	peer[end] = new_socket(buffer);
	ck_assert_int_eq(connect(peer[end], (struct sockaddr *)&s, len), 0);
	proxy[end] = accept(listener, NULL, NULL);
	ck_assert_int_ge(proxy[end], 0);
	ck_assert_int_ne(fcntl(proxy[end], F_SETFL, O_NONBLOCK), -1);
	ck_assert_int_ne(fcntl(peer[end], F_SETFL, O_NONBLOCK), -1);
	(void)close(listener);
}

static void
open_peers(int buffer)
{
	seed = 4242;
	memset(sent, 0, sizeof sent);
	memset(got, 0, sizeof got);
	relay_pool(RELAYS, SIZE, book, rings);
	connect_pair(CLIENT, buffer);
	connect_pair(TARGET, buffer);
	relay_init(&r, proxy[CLIENT]);
}

static void
close_peers(void)
{
	relay_close(&r);
	(void)close(peer[CLIENT]);
	(void)close(peer[TARGET]);
}

static void
begin(void)
{
	open_peers(0);
}

static void
reset_peer(enum end end)
{
	struct linger now = { 1, 0 };

	ck_assert_int_eq(setsockopt(peer[end], SOL_SOCKET, SO_LINGER, &now,
	    sizeof now), 0);
	(void)close(peer[end]);
	peer[end] = -1;
}

/* Until the relay's socket can receive so much. */
static void
await_bytes(enum end end, size_t n)
{
	static char sink[256 * 1024];
	ssize_t there;

	do {
		ck_assert(ready(proxy[end], POLLIN));
		there = recv(proxy[end], sink, sizeof sink, MSG_PEEK);
		ck_assert_int_ge(there, 0);
	} while ((size_t)there < n);
}

/* ---- what the peers say ------------------------------------------------ */

/* The byte at place i of what `end` sends. */
static unsigned char
byte_of(enum end end, uint64_t i)
{
	i += end == CLIENT ? 0 : 91;
	return (unsigned char)(i * 7 + (i >> 8) * 13);
}

/* Send up to n more bytes; how many went. */
static size_t
say_some(enum end end, size_t n)
{
	unsigned char buf[16 * 1024];
	ssize_t went;
	size_t i;

	if (n > sizeof buf)
		n = sizeof buf;
	for (i = 0; i < n; i++)
		buf[i] = byte_of(end, sent[end] + i);
	went = send(peer[end], buf, n, MSG_NOSIGNAL);
	if (went < 0) {
		ck_assert_int_eq(errno, EAGAIN);
		return 0;
	}
	sent[end] += (size_t)went;
	return (size_t)went;
}

static void
say(enum end end, size_t n)
{
	while (n > 0) {
		ck_assert(ready(peer[end], POLLOUT));
		n -= say_some(end, n);
	}
}

/* Receive up to n bytes that the other end sent.  As recv. */
static int
hear_some(enum end end, size_t n)
{
	unsigned char buf[16 * 1024];
	ssize_t came;
	int i;

	came = recv(peer[end], buf, n < sizeof buf ? n : sizeof buf, 0);
	for (i = 0; i < came; i++)
		if (buf[i] != byte_of(!end, got[end] + (uint64_t)i))
			ck_abort_msg("another byte at %d",
			    (int)got[end] + i);
	if (came > 0)
		got[end] += (uint64_t)came;
	return (int)came;
}

static void
hear(enum end end, size_t n)
{
	int came;

	while (n > 0) {
		ck_assert_msg(ready(peer[end], POLLIN), "%zu are missing", n);
		came = hear_some(end, n);
		ck_assert_int_gt(came, 0);
		n -= (size_t)came;
	}
}

static void
hear_words(const char *words)
{
	char buf[64];
	ssize_t n;

	ck_assert(ready(peer[CLIENT], POLLIN));
	n = recv(peer[CLIENT], buf, sizeof buf, 0);
	ck_assert_int_eq(n, (ssize_t)strlen(words));
	ck_assert_mem_eq(buf, words, (size_t)n);
}

static void
hear_end(enum end end)
{
	ck_assert(ready(peer[end], POLLIN));
	ck_assert_int_eq(hear_some(end, 1), 0);
}

static void
hear_reset(enum end end)
{
	ck_assert(ready(peer[end], POLLIN));
	ck_assert_int_eq(hear_some(end, 1), -1);
	ck_assert_int_eq(errno, ECONNRESET);
}

static void
hear_nothing(enum end end)
{
	ck_assert_int_eq(hear_some(end, 1), -1);
	ck_assert_int_eq(errno, EAGAIN);
}

/* ---- turns ------------------------------------------------------------- */

static void
interest(void)
{
	memset(&w, 0, sizeof w);
	w.pfd = pfd;
	w.owner = owner;
	w.max = COUNT(pfd);
	w.deadline = WAIT_FOREVER;
	relay_interest(&r, &w, OWNER);
}

/* Wait until something is ready, then a step. */
static int
turn(int64_t now)
{
	interest();
	ck_assert_msg(w.n > 0 && poll(w.pfd, w.n, READY_MS) > 0,
	    "there is nothing to wait for");
	return relay_step(&r, &w, false, now);
}

/* Turns until the peer has something to receive. */
static void
turns_until_heard(enum end end)
{
	int entry;

	for (;;) {
		interest();
		entry = sys_want(&w, peer[end], POLLIN, OWNER);
		ck_assert_int_gt(poll(w.pfd, w.n, READY_MS), 0);
		if (sys_got(&w, entry) != 0)
			return;
		(void)relay_step(&r, &w, false, NOW);
	}
}

static void
turns_until(enum relay_phase phase)
{
	while (r.phase != phase)
		(void)turn(NOW);
}

static void
establish(void)
{
	ck_assert_int_eq(relay_begin(&r, proxy[TARGET], WORDS, strlen(WORDS),
	    NOW), (int)strlen(WORDS));
	ck_assert_int_eq(r.phase, RELAY_WHOLE);
	hear_words(WORDS);
}

static short
events_of(const struct side *s)
{
	return s->wait == -1 ? 0 : w.pfd[s->wait].events;
}

static void
check_no_memory(void)
{
	ck_assert_ptr_null(r.up.ring.base);
	ck_assert_ptr_null(r.down.ring.base);
}

static struct side *
side(enum end end)
{
	return end == CLIENT ? &r.client : &r.target;
}

/* The flow that `end` sends into. */
static struct flow *
flow_from(enum end end)
{
	return end == CLIENT ? &r.up : &r.down;
}

/* ---- interest ---------------------------------------------------------- */

#define I	POLLIN
#define O	POLLOUT
#define IO	(POLLIN | POLLOUT)

enum fill { EMPTY, SOME, FULL };

static const struct interest_row {
	enum relay_phase phase;
	enum flow_state	up;
	enum fill	up_fill;
	enum flow_state	down;
	enum fill	down_fill;
	short		client;		/* what is waited for */
	short		target;		/* -1: there is no target */
} interests[] = {
	/* before there is a target */
	{ RELAY_WHOLE, FLOW_OPEN, EMPTY, FLOW_OPEN, EMPTY, I, -1 },
	{ RELAY_WHOLE, FLOW_OPEN, SOME,  FLOW_OPEN, EMPTY, I, -1 },
	{ RELAY_WHOLE, FLOW_OPEN, FULL,  FLOW_OPEN, EMPTY, 0, -1 },
	{ RELAY_WHOLE, FLOW_EOF,  EMPTY, FLOW_OPEN, EMPTY, 0, -1 },
	{ RELAY_WHOLE, FLOW_EOF,  SOME,  FLOW_OPEN, EMPTY, 0, -1 },
	{ RELAY_WHOLE, FLOW_OPEN, EMPTY, FLOW_OPEN, SOME,  IO, -1 },
	{ RELAY_WHOLE, FLOW_OPEN, FULL,  FLOW_OPEN, SOME,  O, -1 },
	{ RELAY_WHOLE, FLOW_EOF,  EMPTY, FLOW_OPEN, SOME,  O, -1 },
	{ RELAY_WHOLE, FLOW_OPEN, EMPTY, FLOW_SHUT, EMPTY, I, -1 },
	{ RELAY_WHOLE, FLOW_EOF,  EMPTY, FLOW_SHUT, EMPTY, 0, -1 },

	{ RELAY_WHOLE, FLOW_OPEN, EMPTY, FLOW_OPEN, EMPTY, I, I },
	{ RELAY_WHOLE, FLOW_OPEN, SOME,  FLOW_OPEN, EMPTY, I, IO },
	{ RELAY_WHOLE, FLOW_OPEN, FULL,  FLOW_OPEN, EMPTY, 0, IO },
	{ RELAY_WHOLE, FLOW_OPEN, EMPTY, FLOW_OPEN, SOME,  IO, I },
	{ RELAY_WHOLE, FLOW_OPEN, EMPTY, FLOW_OPEN, FULL,  IO, 0 },
	{ RELAY_WHOLE, FLOW_OPEN, SOME,  FLOW_OPEN, SOME,  IO, IO },
	{ RELAY_WHOLE, FLOW_OPEN, FULL,  FLOW_OPEN, FULL,  O, O },
	{ RELAY_WHOLE, FLOW_OPEN, FULL,  FLOW_OPEN, SOME,  O, IO },
	{ RELAY_WHOLE, FLOW_EOF,  SOME,  FLOW_OPEN, EMPTY, 0, IO },
	{ RELAY_WHOLE, FLOW_EOF,  FULL,  FLOW_OPEN, SOME,  O, IO },
	{ RELAY_WHOLE, FLOW_OPEN, EMPTY, FLOW_EOF,  SOME,  IO, 0 },
	{ RELAY_WHOLE, FLOW_OPEN, FULL,  FLOW_EOF,  FULL,  O, O },
	{ RELAY_WHOLE, FLOW_EOF,  SOME,  FLOW_EOF,  SOME,  O, O },

	{ RELAY_HALF,  FLOW_SHUT, EMPTY, FLOW_OPEN, EMPTY, 0, I },
	{ RELAY_HALF,  FLOW_SHUT, EMPTY, FLOW_OPEN, SOME,  O, I },
	{ RELAY_HALF,  FLOW_SHUT, EMPTY, FLOW_OPEN, FULL,  O, 0 },
	{ RELAY_HALF,  FLOW_SHUT, EMPTY, FLOW_EOF,  SOME,  O, 0 },
	{ RELAY_HALF,  FLOW_OPEN, EMPTY, FLOW_SHUT, EMPTY, I, 0 },
	{ RELAY_HALF,  FLOW_OPEN, SOME,  FLOW_SHUT, EMPTY, I, O },
	{ RELAY_HALF,  FLOW_OPEN, FULL,  FLOW_SHUT, EMPTY, 0, O },
	{ RELAY_HALF,  FLOW_EOF,  SOME,  FLOW_SHUT, EMPTY, 0, O },

	{ RELAY_CUT,   FLOW_OPEN, SOME,  FLOW_SHUT, EMPTY, 0, O },
	{ RELAY_CUT,   FLOW_OPEN, FULL,  FLOW_SHUT, EMPTY, 0, O },
	{ RELAY_CUT,   FLOW_OPEN, EMPTY, FLOW_SHUT, EMPTY, 0, 0 },
	{ RELAY_CUT,   FLOW_EOF,  SOME,  FLOW_SHUT, EMPTY, 0, O },
	{ RELAY_CUT,   FLOW_EOF,  EMPTY, FLOW_SHUT, EMPTY, 0, 0 },
	{ RELAY_CUT,   FLOW_SHUT, EMPTY, FLOW_OPEN, SOME,  O, 0 },
	{ RELAY_CUT,   FLOW_SHUT, EMPTY, FLOW_OPEN, EMPTY, 0, 0 },
	{ RELAY_CUT,   FLOW_SHUT, EMPTY, FLOW_EOF,  FULL,  O, 0 },
	{ RELAY_CUT,   FLOW_SHUT, EMPTY, FLOW_EOF,  EMPTY, 0, 0 }
};

static void
set_flow(struct flow *f, enum flow_state state, enum fill fill)
{
	static const char text[SIZE];

	if (fill != EMPTY)
		relay_say(f, text, fill == FULL ? SIZE - 1 : 1);
	if (fill == FULL)
		ring_in_ack(&f->ring, 1);
	f->state = state;
}

START_TEST(what_is_waited_for_follows_from_the_state)
{
	const struct interest_row *row = &interests[_i];
	unsigned i, n = 0;

	r.phase = row->phase;
	r.flush_next = NOW + 5;
	if (row->target != -1)
		r.target.fd = proxy[TARGET];
	set_flow(&r.up, row->up, row->up_fill);
	set_flow(&r.down, row->down, row->down_fill);
	interest();
	ck_assert_int_eq(events_of(&r.client), row->client);
	n += row->client != 0;
	if (row->target != -1) {
		ck_assert_int_eq(events_of(&r.target), row->target);
		n += row->target != 0;
	}
	ck_assert_uint_eq(w.n, n);
	for (i = 0; i < w.n; i++) {
		ck_assert_uint_eq(w.owner[i], OWNER);
		ck_assert(w.pfd[i].fd == ((int)i == r.client.wait ?
		    proxy[CLIENT] : proxy[TARGET]));
	}
	ck_assert_int_eq(w.deadline, row->phase == RELAY_CUT ? NOW + 5 :
	    WAIT_FOREVER);
}
END_TEST

/* ---- one flow ---------------------------------------------------------- */

START_TEST(there_is_room_until_the_ring_is_full_or_the_flow_has_ended)
{
	struct flow *f = &r.up;

	ck_assert(relay_has_room(f));
	set_flow(f, FLOW_OPEN, SOME);
	ck_assert(relay_has_room(f));
	f->state = FLOW_EOF;
	ck_assert(!relay_has_room(f));
	f->state = FLOW_SHUT;
	ck_assert(!relay_has_room(f));
	relay_drop(f);
	set_flow(f, FLOW_OPEN, FULL);
	ck_assert(!relay_has_room(f));
}
END_TEST

START_TEST(receive_tells_bytes_nothing_end_and_failure_apart)
{
	struct flow *f = &r.up;

	ck_assert_int_eq(relay_receive(f, proxy[CLIENT]), -EAGAIN);
	ck_assert_int_eq(f->state, FLOW_OPEN);
	ck_assert_ptr_null(f->ring.base);

	say(CLIENT, 5);
	await_bytes(CLIENT, 5);
	ck_assert_int_eq(relay_receive(f, proxy[CLIENT]), 5);
	ck_assert_uint_eq(ring_used(&f->ring), 5);
	ck_assert_int_eq(relay_receive(f, proxy[CLIENT]), -EAGAIN);
	ck_assert_uint_eq(ring_used(&f->ring), 5);

	ck_assert_int_eq(shutdown(peer[CLIENT], SHUT_WR), 0);
	ck_assert(ready(proxy[CLIENT], POLLIN));
	ck_assert_int_eq(relay_receive(f, proxy[CLIENT]), 0);
	ck_assert_int_eq(f->state, FLOW_EOF);
	ck_assert_uint_eq(ring_used(&f->ring), 5);

	f = &r.down;
	reset_peer(TARGET);
	ck_assert(ready(proxy[TARGET], POLLIN));
	ck_assert_int_eq(relay_receive(f, proxy[TARGET]), -ECONNRESET);
	ck_assert_int_eq(f->state, FLOW_OPEN);
	ck_assert_ptr_null(f->ring.base);
	(void)close(proxy[TARGET]);
}
END_TEST

START_TEST(receive_takes_what_fits)
{
	say(CLIENT, SIZE + 100);
	await_bytes(CLIENT, SIZE + 100);
	ck_assert_int_eq(relay_receive(&r.up, proxy[CLIENT]), (int)SIZE);
	ck_assert(!relay_has_room(&r.up));
	relay_take(&r.up, 10);
	ck_assert_int_eq(relay_receive(&r.up, proxy[CLIENT]), 10);
	ck_assert_uint_eq(ring_used(&r.up.ring), SIZE);
	(void)close(proxy[TARGET]);
}
END_TEST

START_TEST(send_counts_what_went_and_nothing_is_not_an_error)
{
	struct flow *f = &r.up;

	ck_assert_int_eq(relay_send(f, proxy[TARGET]), 0);
	relay_say(f, "abc", 3);
	ck_assert_int_eq(relay_send(f, proxy[TARGET]), 3);
	ck_assert_int_eq(relay_send(f, proxy[TARGET]), 0);
	ck_assert_uint_eq(f->sent, 3);
	ck_assert_ptr_null(f->ring.base);
	relay_say(f, "defg", 4);
	ck_assert_int_eq(relay_send(f, proxy[TARGET]), 4);
	ck_assert_uint_eq(f->sent, 7);
	(void)close(proxy[TARGET]);
}
END_TEST

START_TEST(send_to_a_dead_peer_fails_and_keeps_the_bytes)
{
	struct flow *f = &r.up;
	int rc;

	reset_peer(TARGET);
	ck_assert(ready(proxy[TARGET], POLLIN));
	relay_say(f, "abc", 3);
	rc = relay_send(f, proxy[TARGET]);
	ck_assert(rc == -ECONNRESET || rc == -EPIPE);
	ck_assert_uint_eq(f->sent, 0);
	ck_assert_uint_eq(ring_used(&f->ring), 3);
	(void)close(proxy[TARGET]);
}
END_TEST

START_TEST(bytes_can_be_taken_out_or_dropped)
{
	struct flow *f = &r.up;
	struct part part[2];

	relay_say(f, "abcdef", 6);
	relay_take(f, 2);
	ck_assert_int_eq(ring_out(&f->ring, part), 1);
	ck_assert_uint_eq(part[0].n, 4);
	ck_assert_mem_eq(part[0].p, "cdef", 4);
	relay_take(f, 4);
	ck_assert_ptr_null(f->ring.base);

	relay_say(f, "abcdef", 6);
	relay_drop(f);
	ck_assert_ptr_null(f->ring.base);
	ck_assert_uint_eq(ring_used(&f->ring), 0);
	relay_drop(f);
	ck_assert_uint_eq(f->sent, 0);
	(void)close(proxy[TARGET]);
}
END_TEST

START_TEST(words_of_4095_bytes_fit)
{
	static const char words[SIZE - 1];

	relay_say(&r.down, words, sizeof words);
	ck_assert_uint_eq(ring_used(&r.down.ring), sizeof words);
	relay_drop(&r.down);
	(void)close(proxy[TARGET]);
}
END_TEST

/* ---- memory ------------------------------------------------------------ */

START_TEST(every_ring_of_every_relay_can_have_memory_of_its_own)
{
	struct relay all[RELAYS];
	struct flow *f[2 * RELAYS];
	unsigned i, k, round;
	size_t at, other;

	for (i = 0; i < RELAYS; i++) {
		relay_init(&all[i], -1);
		f[2 * i] = &all[i].up;
		f[2 * i + 1] = &all[i].down;
	}
	for (round = 0; round < 3; round++) {
		for (i = 0; i < 2 * RELAYS; i++) {
			relay_say(f[i], "x", 1);
			at = (size_t)(f[i]->ring.base - rings);
			ck_assert_uint_eq(at % SIZE, 0);
			ck_assert_uint_lt(at, sizeof rings);
			for (k = 0; k < i; k++) {
				other = (size_t)(f[k]->ring.base - rings);
				ck_assert_uint_ne(at, other);
			}
		}
		for (i = 0; i < 2 * RELAYS; i++)
			relay_drop(f[(i + round) % (2 * RELAYS)]);
	}
	ck_assert_uint_eq(relay_memory(RELAYS), sizeof book);
	(void)close(proxy[TARGET]);
}
END_TEST

/* So pages that were never needed at once stay untouched. */
START_TEST(memory_that_came_back_last_is_lent_first)
{
	unsigned char *first, *second;

	relay_say(&r.up, "x", 1);
	first = r.up.ring.base;
	relay_drop(&r.up);
	relay_say(&r.down, "x", 1);
	ck_assert_ptr_eq(r.down.ring.base, first);
	relay_say(&r.up, "x", 1);
	second = r.up.ring.base;
	relay_drop(&r.down);
	relay_drop(&r.up);
	relay_say(&r.down, "x", 1);
	ck_assert_ptr_eq(r.down.ring.base, second);
	(void)close(proxy[TARGET]);
}
END_TEST

/* ---- begin ------------------------------------------------------------- */

START_TEST(the_words_are_alone_in_the_first_read)
{
	say(TARGET, 100);
	await_bytes(TARGET, 100);
	(void)relay_begin(&r, proxy[TARGET], WORDS, strlen(WORDS), NOW);
	hear_words(WORDS);
	hear_nothing(CLIENT);
	(void)turn(NOW);
	hear(CLIENT, 100);
}
END_TEST

/* Send what fits on the relay's socket to the client; how much that was. */
static size_t
stuff_client(void)
{
	static const char junk[4096];
	size_t total = 0;
	ssize_t n;
	int quiet;

	for (quiet = 0; quiet < 5; quiet++) {
		while ((n = send(proxy[CLIENT], junk, sizeof junk,
		    MSG_NOSIGNAL)) > 0) {
			total += (size_t)n;
			quiet = 0;
		}
		(void)poll(&(struct pollfd){ proxy[CLIENT], POLLOUT, 0 }, 1,
		    20);
	}
	return total;
}

START_TEST(nothing_of_the_target_is_read_until_the_words_are_gone)
{
	char junk[4096];
	size_t left;
	ssize_t n;

	close_peers();
	open_peers(SMALL);
	left = stuff_client();
	say(TARGET, 100);
	await_bytes(TARGET, 100);
	(void)relay_begin(&r, proxy[TARGET], WORDS, strlen(WORDS), NOW);
	ck_assert_int_eq(r.phase, RELAY_WHOLE);
	interest();
	ck_assert_int_eq(events_of(&r.client), POLLIN | POLLOUT);
	ck_assert_int_eq(events_of(&r.target), 0);
	for (; left > 0; left -= (size_t)n) {
		ck_assert(ready(peer[CLIENT], POLLIN));
		n = recv(peer[CLIENT], junk, left < sizeof junk ? left :
		    sizeof junk, 0);
		ck_assert_int_gt(n, 0);
	}
	(void)turn(NOW);
	hear_words(WORDS);
	(void)turn(NOW);
	hear(CLIENT, 100);
}
END_TEST

START_TEST(early_data_goes_to_the_target_at_once)
{
	say(CLIENT, 1000);
	await_bytes(CLIENT, 1000);
	ck_assert_int_eq(relay_receive(&r.up, proxy[CLIENT]), 1000);
	ck_assert_int_eq(relay_begin(&r, proxy[TARGET], WORDS, strlen(WORDS),
	    NOW), 1000 + (int)strlen(WORDS));
	hear(TARGET, 1000);
	hear_words(WORDS);
	ck_assert_int_eq(r.phase, RELAY_WHOLE);
	ck_assert_uint_eq(r.up.sent, 1000);
	ck_assert_uint_eq(r.down.sent, strlen(WORDS));
	check_no_memory();
}
END_TEST

START_TEST(a_client_that_ended_early_gets_its_answer)
{
	say(CLIENT, 10);
	await_bytes(CLIENT, 10);
	ck_assert_int_eq(relay_receive(&r.up, proxy[CLIENT]), 10);
	ck_assert_int_eq(shutdown(peer[CLIENT], SHUT_WR), 0);
	ck_assert(ready(proxy[CLIENT], POLLIN));
	ck_assert_int_eq(relay_receive(&r.up, proxy[CLIENT]), 0);
	(void)relay_begin(&r, proxy[TARGET], WORDS, strlen(WORDS), NOW);
	ck_assert_int_eq(r.phase, RELAY_HALF);
	ck_assert_ptr_eq(r.ended, &r.client);
	hear(TARGET, 10);
	hear_end(TARGET);
	hear_words(WORDS);
	say(TARGET, 20);
	(void)turn(NOW);
	hear(CLIENT, 20);
}
END_TEST

/* The failed side may be either, and the other one gets a reset. */
START_TEST(a_side_that_is_dead_when_it_begins_is_a_cut)
{
	enum end dead = (enum end)_i;

	say(CLIENT, 10);
	await_bytes(CLIENT, 10);
	ck_assert_int_eq(relay_receive(&r.up, proxy[CLIENT]), 10);
	reset_peer(dead);
	ck_assert(ready(proxy[dead], POLLIN));
	(void)relay_begin(&r, proxy[TARGET], WORDS, strlen(WORDS), NOW);
	ck_assert(r.phase == RELAY_CUT || r.phase == RELAY_DEAD);
	ck_assert_ptr_eq(r.ended, side(dead));
	if (r.phase == RELAY_CUT)
		(void)relay_step(&r, &w, false, NOW);
	if (dead == CLIENT)
		hear(TARGET, 10);	/* what it sent is delivered */
	else
		hear_words(WORDS);
	relay_abort(&r);
	hear_reset(!dead);
	check_no_memory();
}
END_TEST

/* ---- bytes ------------------------------------------------------------- */

START_TEST(a_few_bytes_pass_in_one_turn_each_way)
{
	enum end from = (enum end)_i;
	int i;

	establish();
	for (i = 1; i <= 100; i++) {
		say(from, (size_t)i);
		await_bytes(from, (size_t)i);
		ck_assert_int_gt(turn(NOW), 0);
		hear(!from, (size_t)i);
		check_no_memory();
	}
	ck_assert_int_eq(r.phase, RELAY_WHOLE);
}
END_TEST

START_TEST(a_turn_without_cause_moves_nothing)
{
	static const short events[] = { 0, POLLIN, POLLOUT, POLLHUP, POLLERR,
	    POLLIN | POLLOUT | POLLHUP | POLLERR };
	int i;

	establish();
	for (i = 0; i < COUNT(events); i++) {
		interest();
		pfd[0].revents = pfd[1].revents = events[i];
		ck_assert_int_eq(relay_step(&r, &w, false, NOW), 0);
		ck_assert_int_eq(r.phase, RELAY_WHOLE);
		check_no_memory();
	}
}
END_TEST

/* Nobody starves: one ring's worth a turn and direction. */
START_TEST(a_turn_moves_a_ring_of_bytes_at_most)
{
	establish();
	say(CLIENT, 3 * SIZE);
	await_bytes(CLIENT, 3 * SIZE);
	say(TARGET, 3 * SIZE);
	await_bytes(TARGET, 3 * SIZE);
	ck_assert_int_eq(turn(NOW), 4 * (int)SIZE);	/* in and out, twice */
	ck_assert_uint_eq(r.up.sent, SIZE);
	ck_assert_uint_eq(r.down.sent, SIZE + strlen(WORDS));
	hear(TARGET, SIZE);
	hear(CLIENT, SIZE);
	hear_nothing(TARGET);
	hear_nothing(CLIENT);
}
END_TEST

/* Both peers send as they can, in pieces of any size, and receive a little at
 * a time, until `total` bytes went each way. */
static void
exchange(uint64_t total, uint32_t piece)
{
	int entry[2];
	int end;

	while (got[CLIENT] < total || got[TARGET] < total) {
		interest();
		for (end = CLIENT; end <= TARGET; end++)
			entry[end] = sys_want(&w, peer[end],
			    (short)(POLLIN | (sent[end] < total ? POLLOUT : 0)),
			    OWNER);
		ck_assert_int_gt(poll(w.pfd, w.n, READY_MS), 0);
		(void)relay_step(&r, &w, false, NOW);
		ck_assert_int_eq(r.phase, RELAY_WHOLE);
		for (end = CLIENT; end <= TARGET; end++) {
			if (sys_got(&w, entry[end]) & POLLOUT)
				(void)say_some((enum end)end, 1 + (total -
				    sent[end] < piece ? (uint32_t)(total -
				    sent[end]) - 1 : random_below(piece)));
			if (sys_got(&w, entry[end]) & POLLIN)
				ck_assert_int_gt(hear_some((enum end)end,
				    1 + random_below(piece)), 0);
		}
	}
	ck_assert_uint_eq(got[CLIENT], total);
	ck_assert_uint_eq(got[TARGET], total);
}

START_TEST(bytes_keep_their_order_both_ways)
{
	static const uint32_t pieces[] = { 100, 1000, 5000, 16000 };

	close_peers();
	open_peers(SMALL);
	establish();
	exchange((uint64_t)pieces[_i] * 50, pieces[_i]);
	ck_assert_uint_eq(r.up.sent, got[TARGET]);
	ck_assert_uint_eq(r.down.sent, got[CLIENT] + strlen(WORDS));
	check_no_memory();
}
END_TEST

/*
 * Steps as if poll had said everything of everybody, which is allowed, until
 * nothing moves.  An acknowledgement may be late, and makes room when it comes:
 * only some time without a byte is the end.
 */
static void
eager_steps(void)
{
	int quiet = 0;
	unsigned i;

	while (quiet < 5) {
		interest();
		(void)poll(w.pfd, w.n, 20);
		for (i = 0; i < w.n; i++)
			w.pfd[i].revents = POLLIN | POLLOUT;
		quiet = relay_step(&r, &w, false, NOW) > 0 ? 0 : quiet + 1;
	}
}

/* Say until nothing more is taken: the sockets and the ring are full. */
static void
fill_up(enum end from)
{
	do {
		while (say_some(from, 1024) > 0)
			ck_assert_uint_lt(sent[from], 64 * 1000 * 1000);
		eager_steps();
	} while (ring_space(&flow_from(from)->ring) > 0 ||
	    say_some(from, 1024) > 0);
}

/* The same until the sink takes no more: its bytes are in the ring, which is
 * not full, and the source has none that were not received. */
static void
fill_sink(enum end from)
{
	struct ring *ring = &flow_from(from)->ring;

	do {
		say(from, 500);
		await_bytes(from, 500);
		(void)turn(NOW);
		if (ring_used(ring) > 0)
			eager_steps();
		ck_assert_uint_lt(sent[from], 64 * 1000 * 1000);
	} while (ring_used(ring) == 0);
	ck_assert_uint_gt(ring_space(ring), 0);
}

START_TEST(a_full_sink_stops_its_source_and_nothing_else)
{
	enum end from = (enum end)_i;

	close_peers();
	open_peers(SMALL);
	establish();
	fill_up(from);
	interest();
	ck_assert_int_eq(events_of(side(from)), 0);
	ck_assert_int_eq(events_of(side(!from)), POLLIN | POLLOUT);

	/* The other direction goes on. */
	say(!from, 100);
	await_bytes(!from, 100);
	(void)turn(NOW);
	hear(from, 100);

	/* And what was held up comes when somebody reads. */
	while (got[!from] < sent[from]) {
		turns_until_heard(!from);
		ck_assert_int_gt(hear_some(!from, 3000), 0);
	}
	check_no_memory();
	interest();
	ck_assert_int_eq(events_of(&r.client), POLLIN);
	ck_assert_int_eq(events_of(&r.target), POLLIN);
}
END_TEST

/* ---- ends -------------------------------------------------------------- */

/* Read until the relay's system has less to deliver than that. */
static void
hear_until_unsent_below(enum end end, int unsent)
{
	while (sys_unsent(proxy[end]) >= unsent) {
		ck_assert(ready(peer[end], POLLIN));
		ck_assert_int_gt(hear_some(end, 500), 0);
	}
}

START_TEST(an_end_is_passed_on_and_the_other_direction_lives)
{
	enum end from = (enum end)_i;

	establish();
	ck_assert_int_eq(shutdown(peer[from], SHUT_WR), 0);
	turns_until(RELAY_HALF);
	ck_assert_ptr_eq(r.ended, side(from));
	hear_end(!from);
	hear_nothing(from);
	interest();
	ck_assert_int_eq(events_of(side(from)), 0);
	ck_assert_int_eq(events_of(side(!from)), POLLIN);

	say(!from, 10000);
	turns_until_heard(from);
	while (got[from] < 10000) {
		turns_until_heard(from);
		ck_assert_int_gt(hear_some(from, 10000), 0);
	}
	ck_assert_int_eq(r.phase, RELAY_HALF);

	ck_assert_int_eq(shutdown(peer[!from], SHUT_WR), 0);
	turns_until(RELAY_DONE);
	ck_assert_ptr_eq(r.ended, side(from));
	hear_end(from);
	check_no_memory();
}
END_TEST

START_TEST(both_may_end_in_one_turn)
{
	establish();
	ck_assert_int_eq(shutdown(peer[CLIENT], SHUT_WR), 0);
	ck_assert_int_eq(shutdown(peer[TARGET], SHUT_WR), 0);
	ck_assert(ready(proxy[CLIENT], POLLIN));
	ck_assert(ready(proxy[TARGET], POLLIN));
	(void)turn(NOW);
	ck_assert_int_eq(r.phase, RELAY_DONE);
	hear_end(CLIENT);
	hear_end(TARGET);
}
END_TEST

START_TEST(the_last_bytes_go_before_the_end)
{
	enum end from = (enum end)_i;

	close_peers();
	open_peers(SMALL);
	establish();
	fill_up(from);
	ck_assert_int_eq(shutdown(peer[from], SHUT_WR), 0);
	while (got[!from] < sent[from]) {
		turns_until_heard(!from);
		ck_assert_int_gt(hear_some(!from, 1000), 0);
	}
	turns_until(RELAY_HALF);
	hear_end(!from);
}
END_TEST

START_TEST(bytes_and_end_in_one_segment_are_both_passed_on)
{
	enum end from = (enum end)_i;

	establish();
	say(from, 100);
	ck_assert_int_eq(shutdown(peer[from], SHUT_WR), 0);
	turns_until(RELAY_HALF);
	hear(!from, 100);
	hear_end(!from);
}
END_TEST

/* A half of which some bytes have left the ring and not the system. */
static void
half_under_way(enum end from)
{
	close_peers();
	open_peers(SMALL);
	establish();
	fill_sink(from);
	ck_assert_int_eq(shutdown(peer[from], SHUT_WR), 0);
	while (r.phase == RELAY_WHOLE) {
		interest();
		if (poll(w.pfd, w.n, 20) == 0)
			ck_assert_int_gt(hear_some(!from, 500), 0);
		(void)relay_step(&r, &w, false, NOW);
	}
	ck_assert_int_eq(r.phase, RELAY_HALF);
}

START_TEST(a_half_tells_whether_its_system_still_delivers)
{
	enum end from = (enum end)_i;
	int i;

	if (sys_unsent(proxy[!from]) < 0)
		return;			/* this system cannot tell */
	half_under_way(from);
	for (i = 0; relay_delivers(&r); i++)
		ck_assert_int_lt(i, 1000);
	ck_assert(!relay_delivers(&r));
	hear_until_unsent_below(!from, sys_unsent(proxy[!from]));
	ck_assert(relay_delivers(&r));
	while (got[!from] < sent[from])
		hear(!from, 1);
	hear_end(!from);
	for (i = 0; relay_delivers(&r); i++)
		ck_assert_int_lt(i, 1000);
	ck_assert_int_eq(r.phase, RELAY_HALF);
}
END_TEST

START_TEST(a_half_whose_reader_is_gone_delivers_nothing)
{
	enum end from = (enum end)_i;

	if (sys_unsent(proxy[!from]) < 0)
		return;			/* this system cannot tell */
	half_under_way(from);
	reset_peer(!from);
	ck_assert(ready(proxy[!from], POLLIN));
	ck_assert_int_lt(sys_unsent(proxy[!from]), 0);
	ck_assert(!relay_delivers(&r));
}
END_TEST

/* The direction that was shut stays shut, and its peer's reset is a cut. */
START_TEST(a_reset_of_the_live_side_of_a_half_is_a_cut)
{
	enum end from = (enum end)_i;

	establish();
	ck_assert_int_eq(shutdown(peer[from], SHUT_WR), 0);
	turns_until(RELAY_HALF);
	say(!from, 100);
	await_bytes(!from, 100);
	reset_peer(!from);
	while (r.phase != RELAY_CUT && r.phase != RELAY_DEAD)
		(void)turn(NOW);
	ck_assert_ptr_eq(r.ended, side(!from));
	hear(from, 100);
	relay_abort(&r);
	hear_reset(from);
}
END_TEST

/* ---- cuts -------------------------------------------------------------- */

/* Until the cut is through; the time is that of flush_next. */
static void
turns_until_dead(void)
{
	int64_t now = NOW;
	int i;

	for (i = 0; i < 1000 && r.phase != RELAY_DEAD; i++) {
		interest();
		(void)poll(w.pfd, w.n, w.deadline == WAIT_FOREVER ?
		    READY_MS : 10);
		if (w.deadline != WAIT_FOREVER)
			now = w.deadline;
		(void)relay_step(&r, &w, false, now);
	}
	ck_assert_int_eq(r.phase, RELAY_DEAD);
}

static const size_t cut_after[] = { 0, 1, 100, SIZE - 1, SIZE, SIZE + 1,
    3 * SIZE, 30000 };

START_TEST(a_reset_is_passed_on_behind_what_was_sent)
{
	enum end from = (enum end)(_i % 2);
	size_t n = cut_after[_i / 2];

	establish();
	say(from, n);
	if (n > 0)
		await_bytes(from, n);
	reset_peer(from);
	while (r.phase != RELAY_CUT && r.phase != RELAY_DEAD)
		(void)turn(NOW);
	ck_assert_ptr_eq(r.ended, side(from));
	turns_until_dead();
	ck_assert_uint_eq(flow_from(from)->sent, n +
	    (from == TARGET ? strlen(WORDS) : 0));
	relay_abort(&r);
	hear(!from, n);
	hear_reset(!from);
	check_no_memory();
}
END_TEST

/* What was on its way to the dead side is of no use any more. */
START_TEST(a_cut_drops_what_was_meant_for_the_dead)
{
	enum end dead = (enum end)_i;

	close_peers();
	open_peers(SMALL);
	establish();
	fill_up(!dead);
	say(dead, 100);
	await_bytes(dead, 100);
	reset_peer(dead);
	while (r.phase != RELAY_CUT && r.phase != RELAY_DEAD)
		(void)turn(NOW);
	ck_assert_uint_eq(ring_used(&flow_from(!dead)->ring), 0);
	ck_assert_int_eq(flow_from(!dead)->state, FLOW_SHUT);
	turns_until_dead();
	hear(!dead, 100);
	relay_abort(&r);
	hear_reset(!dead);
}
END_TEST

/* The source is not listened to, since its ring is full; that it is gone is
 * seen when something is sent to it. */
START_TEST(an_error_of_send_is_a_cut_too)
{
	enum end dead = (enum end)_i;

	close_peers();
	open_peers(SMALL);
	establish();
	fill_up(dead);
	reset_peer(dead);
	interest();
	ck_assert_int_eq(events_of(side(dead)), 0);
	say(!dead, 100);
	await_bytes(!dead, 100);
	(void)turn(NOW);
	ck_assert_int_eq(r.phase, RELAY_CUT);
	ck_assert_ptr_eq(r.ended, side(dead));
	ck_assert_int_gt((int)ring_used(&flow_from(dead)->ring), 0);
	ck_assert_uint_eq(ring_used(&flow_from(!dead)->ring), 0);
}
END_TEST

/* A reset would destroy what its system has not taken yet: 10 ms, 20 ms, up to
 * a second, as long as it takes; from the beginning when some of it went. */
START_TEST(a_cut_waits_until_a_slow_reader_has_everything)
{
	static const int64_t pauses[] = { 10, 20, 40, 80, 160, 320, 640, 1000,
	    1000, 1000 };
	enum end dead = (enum end)_i;
	int64_t now = NOW;
	int i;

	close_peers();
	open_peers(SMALL);
	establish();
	if (sys_unsent(proxy[!dead]) < 0)
		return;			/* this system cannot tell */
	fill_sink(dead);
	reset_peer(dead);
	while (ring_used(&flow_from(dead)->ring) > 0 ||
	    r.phase != RELAY_CUT) {
		interest();
		if (poll(w.pfd, w.n, 20) == 0)
			ck_assert_int_gt(hear_some(!dead, 1000), 0);
		(void)relay_step(&r, &w, false, NOW);
	}
	for (i = 0; i < COUNT(pauses); i++) {
		ck_assert_int_gt(sys_unsent(proxy[!dead]), 0);
		interest();
		ck_assert_uint_eq(w.n, 0);
		ck_assert_int_eq(w.deadline, now + pauses[i]);
		now = w.deadline;
		ck_assert_int_eq(relay_step(&r, &w, false, now), 0);
		ck_assert_int_eq(r.phase, RELAY_CUT);
	}
	hear_until_unsent_below(!dead, sys_unsent(proxy[!dead]));
	now += 1000;
	interest();
	ck_assert_int_gt(relay_step(&r, &w, false, now), 0);
	interest();
	ck_assert_int_eq(w.deadline, now + pauses[0]);

	while (got[!dead] < sent[dead]) {
		ck_assert(ready(peer[!dead], POLLIN));
		ck_assert_int_gt(hear_some(!dead, 5000), 0);
	}
	turns_until_dead();
	relay_abort(&r);
	hear_reset(!dead);
}
END_TEST

/* Its rest would never arrive, so nobody has to wait for it. */
START_TEST(a_cut_whose_reader_dies_too_is_through)
{
	enum end dead = (enum end)_i;

	close_peers();
	open_peers(SMALL);
	establish();
	fill_up(dead);
	reset_peer(dead);
	say(!dead, 10);
	await_bytes(!dead, 10);
	(void)turn(NOW);
	ck_assert_int_eq(r.phase, RELAY_CUT);
	reset_peer(!dead);
	(void)turn(NOW);
	ck_assert_int_eq(r.phase, RELAY_DEAD);
}
END_TEST

/* ---- the literal reading of RFC 9110 9.3.6 ----------------------------- */

static void
strict_step(void)
{
	interest();
	(void)poll(w.pfd, w.n, 0);
	(void)relay_step(&r, &w, true, NOW);
}

START_TEST(strictly_nothing_changes_before_one_side_has_ended)
{
	enum end from = (enum end)_i;

	establish();
	say(from, 100);
	await_bytes(from, 100);
	strict_step();
	hear(!from, 100);
	ck_assert_int_eq(r.phase, RELAY_WHOLE);
	say(from, 100);
	ck_assert_int_eq(shutdown(peer[from], SHUT_WR), 0);
	await_bytes(from, 100);
	while (r.phase == RELAY_WHOLE)
		strict_step();
	ck_assert_int_eq(r.phase, RELAY_HALF);
	hear(!from, 100);
	hear_end(!from);
}
END_TEST

/* A client that ended with its request, and takes the answer late. */
START_TEST(strictly_the_words_go_first)
{
	char junk[4096];
	size_t left;
	ssize_t n;

	close_peers();
	open_peers(SMALL);
	left = stuff_client();
	ck_assert_int_eq(shutdown(peer[CLIENT], SHUT_WR), 0);
	ck_assert(ready(proxy[CLIENT], POLLIN));
	ck_assert_int_eq(relay_receive(&r.up, proxy[CLIENT]), 0);
	say(TARGET, 100);
	await_bytes(TARGET, 100);
	(void)relay_begin(&r, proxy[TARGET], WORDS, strlen(WORDS), NOW);
	ck_assert_int_eq(r.phase, RELAY_HALF);
	strict_step();
	for (; left > 0; left -= (size_t)n) {
		ck_assert(ready(peer[CLIENT], POLLIN));
		n = recv(peer[CLIENT], junk, left < sizeof junk ? left :
		    sizeof junk, 0);
		ck_assert_int_gt(n, 0);
	}
	interest();
	ck_assert_int_eq(events_of(&r.client), POLLOUT);
	ck_assert(ready(proxy[CLIENT], POLLOUT));
	strict_step();
	hear_words(WORDS);
	strict_step();
	hear_nothing(CLIENT);
	ck_assert_int_eq(r.phase, RELAY_HALF);
}
END_TEST

START_TEST(strictly_the_rest_of_the_other_side_is_dropped)
{
	enum end from = (enum end)_i;

	establish();
	say(from, 50);
	ck_assert_int_eq(shutdown(peer[from], SHUT_WR), 0);
	turns_until(RELAY_HALF);
	hear(!from, 50);
	hear_end(!from);

	say(!from, 3 * SIZE);
	await_bytes(!from, 3 * SIZE);
	while (has_byte(proxy[!from])) {
		strict_step();
		ck_assert_int_eq(r.phase, RELAY_HALF);
		check_no_memory();
	}
	strict_step();		/* nothing there is no end */
	ck_assert_int_eq(r.phase, RELAY_HALF);
	hear_nothing(from);

	ck_assert_int_eq(shutdown(peer[!from], SHUT_WR), 0);
	ck_assert(ready(proxy[!from], POLLIN));
	strict_step();
	ck_assert_int_eq(r.phase, RELAY_DONE);
	relay_close(&r);
	hear_end(from);
}
END_TEST

START_TEST(strictly_a_failure_of_the_other_side_is_its_end)
{
	enum end from = (enum end)_i;

	establish();
	ck_assert_int_eq(shutdown(peer[from], SHUT_WR), 0);
	turns_until(RELAY_HALF);
	reset_peer(!from);
	ck_assert(ready(proxy[!from], POLLIN));
	strict_step();
	ck_assert_int_eq(r.phase, RELAY_DONE);
	relay_close(&r);
	hear_end(from);
}
END_TEST

/* Undelivered bytes of the side that did not end are dropped, too. */
START_TEST(strictly_a_ring_of_the_other_side_is_dropped)
{
	enum end from = (enum end)_i;

	close_peers();
	open_peers(SMALL);
	establish();
	fill_sink(!from);
	ck_assert_int_eq(shutdown(peer[from], SHUT_WR), 0);
	turns_until(RELAY_HALF);
	ck_assert_uint_gt(ring_used(&flow_from(!from)->ring), 0);
	strict_step();
	ck_assert_int_eq(r.phase, RELAY_HALF);
	check_no_memory();
}
END_TEST

/* `from` ended first, but its reader is slow; then the reader ends, too, and
 * has its FIN passed on first.  Both ended, so both are owed what they are to
 * get (RFC 9110 9.3.6: data from a closed side is delivered). */
START_TEST(strictly_the_last_bytes_of_a_side_that_ended_are_delivered)
{
	enum end from = (enum end)_i;

	close_peers();
	open_peers(SMALL);
	establish();
	fill_sink(from);
	ck_assert_int_eq(shutdown(peer[from], SHUT_WR), 0);
	while (flow_from(from)->state == FLOW_OPEN)
		(void)turn(NOW);
	ck_assert_uint_gt(ring_used(&flow_from(from)->ring), 0);
	ck_assert_int_eq(shutdown(peer[!from], SHUT_WR), 0);
	turns_until(RELAY_HALF);
	while (r.phase == RELAY_HALF) {
		if (hear_some(!from, 5000) == -1)
			ck_assert_int_eq(errno, EAGAIN);
		strict_step();
	}
	ck_assert_int_eq(r.phase, RELAY_DONE);
	hear(!from, (size_t)(sent[from] - got[!from]));
	relay_close(&r);
	hear_end(!from);
}
END_TEST

/* ---- close ------------------------------------------------------------- */

START_TEST(close_gives_everything_back_and_may_be_repeated)
{
	establish();
	set_flow(&r.up, FLOW_OPEN, SOME);
	set_flow(&r.down, FLOW_OPEN, FULL);
	relay_close(&r);
	check_no_memory();
	ck_assert_int_eq(r.client.fd, -1);
	ck_assert_int_eq(r.target.fd, -1);
	ck_assert_int_eq(fcntl(proxy[CLIENT], F_GETFD), -1);
	ck_assert_int_eq(fcntl(proxy[TARGET], F_GETFD), -1);
	hear_end(CLIENT);
	hear_end(TARGET);
	relay_close(&r);
	relay_abort(&r);
}
END_TEST

START_TEST(abort_is_a_reset_to_both)
{
	establish();
	set_flow(&r.up, FLOW_OPEN, SOME);
	relay_abort(&r);
	check_no_memory();
	hear_reset(CLIENT);
	hear_reset(TARGET);
	relay_abort(&r);
	relay_close(&r);
}
END_TEST

/* A reset would destroy what is still on its way. */
START_TEST(abort_leaves_alone_who_has_had_his_end)
{
	enum end from = (enum end)_i;

	close_peers();
	open_peers(SMALL);
	establish();
	say(from, 5000);
	ck_assert_int_eq(shutdown(peer[from], SHUT_WR), 0);
	turns_until(RELAY_HALF);
	relay_abort(&r);
	check_no_memory();
	hear(!from, 5000);
	hear_end(!from);
	hear_reset(from);
}
END_TEST

START_TEST(a_relay_without_a_target_can_be_closed)
{
	relay_close(&r);
	hear_end(CLIENT);
	relay_init(&r, proxy[TARGET]);
	relay_abort(&r);
	hear_reset(TARGET);
}
END_TEST

static TCase *
new_case(Suite *s, const char *name)
{
	TCase *tc = tcase_create(name);

	tcase_add_checked_fixture(tc, begin, close_peers);
	tcase_set_timeout(tc, 120);
	suite_add_tcase(s, tc);
	return tc;
}

static void
add_flow_tests(Suite *s)
{
	TCase *tc = new_case(s, "flow");

	tcase_add_loop_test(tc, what_is_waited_for_follows_from_the_state, 0,
	    COUNT(interests));
	tcase_add_test(tc,
	    there_is_room_until_the_ring_is_full_or_the_flow_has_ended);
	tcase_add_test(tc, receive_tells_bytes_nothing_end_and_failure_apart);
	tcase_add_test(tc, receive_takes_what_fits);
	tcase_add_test(tc, send_counts_what_went_and_nothing_is_not_an_error);
	tcase_add_test(tc, send_to_a_dead_peer_fails_and_keeps_the_bytes);
	tcase_add_test(tc, bytes_can_be_taken_out_or_dropped);
	tcase_add_test(tc, words_of_4095_bytes_fit);
	tcase_add_test(tc,
	    every_ring_of_every_relay_can_have_memory_of_its_own);
	tcase_add_test(tc, memory_that_came_back_last_is_lent_first);
}

static void
add_relay_tests(Suite *s)
{
	TCase *tc = new_case(s, "begin");

	tcase_add_test(tc, the_words_are_alone_in_the_first_read);
	tcase_add_test(tc,
	    nothing_of_the_target_is_read_until_the_words_are_gone);
	tcase_add_test(tc, early_data_goes_to_the_target_at_once);
	tcase_add_test(tc, a_client_that_ended_early_gets_its_answer);
	tcase_add_loop_test(tc, a_side_that_is_dead_when_it_begins_is_a_cut, 0,
	    2);

	tc = new_case(s, "bytes");
	tcase_add_loop_test(tc, a_few_bytes_pass_in_one_turn_each_way, 0, 2);
	tcase_add_test(tc, a_turn_without_cause_moves_nothing);
	tcase_add_test(tc, a_turn_moves_a_ring_of_bytes_at_most);
	tcase_add_loop_test(tc, bytes_keep_their_order_both_ways, 0, 4);
	tcase_add_loop_test(tc, a_full_sink_stops_its_source_and_nothing_else,
	    0, 2);
}

static void
add_end_tests(Suite *s)
{
	TCase *tc = new_case(s, "ends");

	tcase_add_loop_test(tc,
	    an_end_is_passed_on_and_the_other_direction_lives, 0, 2);
	tcase_add_test(tc, both_may_end_in_one_turn);
	tcase_add_loop_test(tc, the_last_bytes_go_before_the_end, 0, 2);
	tcase_add_loop_test(tc,
	    bytes_and_end_in_one_segment_are_both_passed_on, 0, 2);
	tcase_add_loop_test(tc, a_half_tells_whether_its_system_still_delivers,
	    0, 2);
	tcase_add_loop_test(tc, a_half_whose_reader_is_gone_delivers_nothing,
	    0, 2);
	tcase_add_loop_test(tc, a_reset_of_the_live_side_of_a_half_is_a_cut, 0,
	    2);

	tc = new_case(s, "cuts");
	tcase_add_loop_test(tc, a_reset_is_passed_on_behind_what_was_sent, 0,
	    2 * COUNT(cut_after));
	tcase_add_loop_test(tc, a_cut_drops_what_was_meant_for_the_dead, 0, 2);
	tcase_add_loop_test(tc, an_error_of_send_is_a_cut_too, 0, 2);
	tcase_add_loop_test(tc, a_cut_waits_until_a_slow_reader_has_everything,
	    0, 2);
	tcase_add_loop_test(tc, a_cut_whose_reader_dies_too_is_through, 0, 2);
}

static Suite *
relay_suite(void)
{
	Suite *s = suite_create("relay");
	TCase *tc;

	add_flow_tests(s);
	add_relay_tests(s);
	add_end_tests(s);
	tc = new_case(s, "strict");
	tcase_add_loop_test(tc,
	    strictly_nothing_changes_before_one_side_has_ended, 0, 2);
	tcase_add_test(tc, strictly_the_words_go_first);
	tcase_add_loop_test(tc, strictly_the_rest_of_the_other_side_is_dropped,
	    0, 2);
	tcase_add_loop_test(tc, strictly_a_failure_of_the_other_side_is_its_end,
	    0, 2);
	tcase_add_loop_test(tc, strictly_a_ring_of_the_other_side_is_dropped,
	    0, 2);
	tcase_add_loop_test(tc,
	    strictly_the_last_bytes_of_a_side_that_ended_are_delivered, 0, 2);

	tc = new_case(s, "close");
	tcase_add_test(tc, close_gives_everything_back_and_may_be_repeated);
	tcase_add_test(tc, abort_is_a_reset_to_both);
	tcase_add_loop_test(tc, abort_leaves_alone_who_has_had_his_end, 0, 2);
	tcase_add_test(tc, a_relay_without_a_target_can_be_closed);
	return s;
}

int
main(void)
{
	SRunner *sr = srunner_create(relay_suite());
	int failed;

	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
