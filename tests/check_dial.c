/* SPDX-License-Identifier: ISC */
/*
 * Unit tests of dial.c against real sockets on loopback, in virtual time: poll
 * is asked what is ready, and `now` is what the test says it is.  A silent
 * target is a listener whose queue is full, so that its system drops SYNs; a
 * port that refuses is one that is bound but does not listen.  Failures that
 * loopback does not know are made by putting another descriptor in the place
 * of an attempt's.
 */
#include <sys/resource.h>
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
#define NOW		1000000		/* when a race begins */
#define DELAY		250		/* RFC 8305 5 */
#define PATIENCE	4000
#define READY_MS	10000		/* what is to come comes before that */
#define OWNER		7u

static struct dial d;
static struct addr reached;
static int opened[64], opens;		/* closed when the test ends */
static struct pollfd pfd[8];
static uint32_t owner[8];
static struct waits w;

/* ---- sockets ----------------------------------------------------------- */

static int
keep(int fd)
{
	ck_assert_msg(fd >= 0, "%s", strerror(errno));
	ck_assert_int_lt(opens, COUNT(opened));
	opened[opens++] = fd;
	return fd;
}

static void
begin(void)
{
	opens = 0;
	memset(&d, 0, sizeof d);
}

static void
end(void)
{
	int i;

	for (i = 0; i < opens; i++)
		(void)close(opened[i]);
}

static int
descriptors(void)
{
	int fd, n = 0;

	for (fd = 0; fd < 512; fd++)
		n += fcntl(fd, F_GETFD) != -1;
	return n;
}

/* Is fd ready within that time? */
static bool
ready(int fd, short events, int ms)
{
	struct pollfd p = { fd, events, 0 };

	return poll(&p, 1, ms) == 1;
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

static uint16_t
port_of(int fd)
{
	struct sockaddr_in s;
	socklen_t len = sizeof s;

	ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&s, &len), 0);
	return ntohs(s.sin_port);
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
bound_socket(void)
{
	int fd = keep(socket(AF_INET, SOCK_STREAM, 0));
	struct sockaddr_in s = loopback(0);

	ck_assert_int_eq(bind(fd, (struct sockaddr *)&s, sizeof s), 0);
	return fd;
}

/* A port that refuses: nobody listens, and nobody else can take it. */
static struct addr
refusing(void)
{
	return address("127.0.0.1", port_of(bound_socket()));
}

static struct addr
good(int *listener)
{
	*listener = bound_socket();
	ck_assert_int_eq(listen(*listener, 8), 0);
	return address("127.0.0.1", port_of(*listener));
}

static int
start_connect(uint16_t port)
{
	int fd = keep(socket(AF_INET, SOCK_STREAM, 0));
	struct sockaddr_in s = loopback(port);

	ck_assert_int_ne(fcntl(fd, F_SETFL, O_NONBLOCK), -1);
	if (connect(fd, (struct sockaddr *)&s, sizeof s) == -1)
		ck_assert_int_eq(errno, EINPROGRESS);
	return fd;
}

/* A port that does not answer: its queue is full.  False if the system answers
 * in spite of that; then there is nothing to test. */
static bool
silent(struct addr *a)
{
	int i, fd = bound_socket();

	ck_assert_int_eq(listen(fd, 0), 0);
	*a = address("127.0.0.1", port_of(fd));
	for (i = 0; i < 8; i++)
		if (!ready(start_connect(a->port), POLLOUT, 100))
			return true;
	return false;
}

/* A socket that is connected to itself; -1 if the system has none. */
static int
self_connected(void)
{
	int fd = bound_socket();
	struct sockaddr_in s = loopback(port_of(fd));

	return connect(fd, (struct sockaddr *)&s, sizeof s) == 0 ? fd : -1;
}

/* A race to all of these. */
static void
race(struct dial *it, const struct addr *a, int n, int64_t now)
{
	dial_start(it, now);
	dial_add(it, a, n);
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
	dial_interest(&d, &w, OWNER);
}

/* A turn in which nothing is ready. */
static int
quiet_turn(int64_t now)
{
	interest();
	return dial_step(&d, &w, now, &reached);
}

/* A turn that waits until something is. */
static int
turn(int64_t now)
{
	interest();
	ck_assert_int_gt(poll(w.pfd, w.n, READY_MS), 0);
	return dial_step(&d, &w, now, &reached);
}

/* What the next turn will wait for. */
static void
check_waits(unsigned attempts, int64_t deadline)
{
	unsigned i;

	interest();
	ck_assert_uint_eq(w.n, attempts);
	ck_assert_int_eq(w.deadline, deadline);
	for (i = 0; i < w.n; i++) {
		ck_assert_int_eq(w.pfd[i].events, POLLOUT);
		ck_assert_uint_eq(w.owner[i], OWNER);
		ck_assert_int_ge(w.pfd[i].fd, 0);
	}
}

static void
check_same(const struct addr *a, const struct addr *b)
{
	ck_assert(addr_same_host(a, b));
	ck_assert_uint_eq(a->port, b->port);
}

/* ---- order ------------------------------------------------------------- */

/* n addresses, bit i of `families` telling the family of the i-th. */
static void
check_order(int n, unsigned families)
{
	struct addr a[ADDRESSES_MAX];
	uint8_t seen[2] = { 0, 0 }, total[2] = { 0, 0 };
	unsigned family;
	int i;

	memset(a, 0, sizeof a);
	for (i = 0; i < n; i++) {
		family = families >> i & 1;
		a[i].family = family ? 6 : 4;
		a[i].ip[3] = total[family]++;	/* its number in its family */
		a[i].port = 443;
	}
	race(&d, a, n, NOW);
	ck_assert_int_eq(d.count, n);
	for (i = 0; i < n; i++) {
		/* even places are the first family's, while it lasts */
		family = (families ^ (unsigned)i) & 1;
		if (seen[family] == total[family])
			family = !family;
		ck_assert_int_eq(d.list[i].family, family ? 6 : 4);
		ck_assert_int_eq(d.list[i].ip[3], seen[family]++);
		ck_assert_int_eq(d.list[i].port, 443);
	}
}

START_TEST(families_take_turns_and_keep_their_order)
{
	unsigned families;
	int n;

	for (n = 1; n <= ADDRESSES_MAX; n++)
		for (families = 0; families < 1u << n; families++)
			check_order(n, families);
}
END_TEST

START_TEST(nothing_is_opened_before_the_first_step)
{
	int listener, before;
	struct addr a = good(&listener);

	before = descriptors();
	race(&d, &a, 1, NOW);
	check_waits(0, NOW);
	ck_assert_int_eq(descriptors(), before);
	ck_assert_uint_eq(d.failure, DIAL_PENDING);
	dial_cancel(&d);
	ck_assert_int_eq(descriptors(), before);
}
END_TEST

/* ---- one address ------------------------------------------------------- */

START_TEST(an_address_that_answers_is_connected)
{
	int listener, fd, before;
	struct addr a = good(&listener);
	struct sockaddr_in peer;
	socklen_t len = sizeof peer;

	before = descriptors();
	race(&d, &a, 1, NOW);
	ck_assert_int_eq(quiet_turn(NOW), -EAGAIN);
	check_waits(1, WAIT_FOREVER);
	fd = turn(NOW + 1);
	ck_assert_int_ge(fd, 0);
	check_same(&reached, &a);
	ck_assert_int_eq(getpeername(fd, (struct sockaddr *)&peer, &len), 0);
	ck_assert_uint_eq(ntohs(peer.sin_port), a.port);
	ck_assert_int_ne(fcntl(fd, F_GETFL) & O_NONBLOCK, 0);
	check_waits(0, WAIT_FOREVER);
	ck_assert_int_eq(descriptors(), before + 1);

	/* It is the caller's: cancel leaves it alone. */
	dial_cancel(&d);
	ck_assert_int_eq(descriptors(), before + 1);
	(void)close(fd);
}
END_TEST

START_TEST(an_ipv6_address_is_connected_if_there_is_ipv6)
{
	struct addr at = address("::1", 0), bound;
	int fd, listener = sys_listen(&at, &bound);

	if (listener < 0)
		return;
	keep(listener);
	race(&d, &bound, 1, NOW);
	ck_assert_int_eq(quiet_turn(NOW), -EAGAIN);
	fd = turn(NOW);
	ck_assert_int_ge(fd, 0);
	check_same(&reached, &bound);
	(void)close(fd);
}
END_TEST

START_TEST(an_address_that_refuses_loses_the_race)
{
	struct addr a = refusing();
	int before = descriptors();

	race(&d, &a, 1, NOW);
	ck_assert_int_eq(quiet_turn(NOW), -EAGAIN);
	ck_assert_int_eq(turn(NOW), -ECONNREFUSED);
	ck_assert_uint_eq(d.failure, DIAL_REFUSED);
	check_waits(0, WAIT_FOREVER);
	ck_assert_int_eq(descriptors(), before);
}
END_TEST

START_TEST(an_address_without_a_route_loses_the_race_at_once)
{
	struct addr a = address("224.0.0.1", 443);	/* not for TCP */
	int before = descriptors();

	race(&d, &a, 1, NOW);
	ck_assert_int_eq(quiet_turn(NOW), -ECONNREFUSED);
	ck_assert_uint_eq(d.failure, DIAL_UNREACHABLE);
	ck_assert_int_eq(descriptors(), before);
}
END_TEST

START_TEST(one_silent_address_is_waited_for_without_a_deadline)
{
	struct addr a;

	if (!silent(&a))
		return;
	race(&d, &a, 1, NOW);
	ck_assert_int_eq(quiet_turn(NOW), -EAGAIN);
	check_waits(1, WAIT_FOREVER);
	ck_assert_int_eq(quiet_turn(NOW + 1000 * 1000), -EAGAIN);
	check_waits(1, WAIT_FOREVER);
	ck_assert_uint_eq(d.failure, DIAL_PENDING);
	dial_cancel(&d);
}
END_TEST

/* HUP and ERR say "ask", and the answer is "not yet". */
START_TEST(hangup_and_error_are_not_believed)
{
	static const short events[] = { POLLHUP, POLLERR, POLLHUP | POLLERR,
	    POLLOUT | POLLHUP, POLLOUT };
	struct addr a;
	int i, fd;

	if (!silent(&a))
		return;
	race(&d, &a, 1, NOW);
	ck_assert_int_eq(quiet_turn(NOW), -EAGAIN);
	for (i = 0; i < COUNT(events); i++) {
		interest();
		fd = pfd[0].fd;
		pfd[0].revents = events[i];
		ck_assert_int_eq(dial_step(&d, &w, NOW, &reached), -EAGAIN);
		interest();
		ck_assert_int_eq(pfd[0].fd, fd);
	}
	ck_assert_uint_eq(d.failure, DIAL_PENDING);
	dial_cancel(&d);
}
END_TEST

/* ---- the race ---------------------------------------------------------- */

START_TEST(the_next_address_is_tried_at_once_after_a_failure)
{
	int listener, fd;
	struct addr a[3];

	a[0] = refusing();
	a[1] = refusing();
	a[2] = good(&listener);
	race(&d, a, 3, NOW);
	ck_assert_int_eq(quiet_turn(NOW), -EAGAIN);
	check_waits(1, NOW + DELAY);
	ck_assert_int_eq(turn(NOW + 1), -EAGAIN);
	check_waits(1, NOW + 1 + DELAY);
	ck_assert_uint_eq(d.failure, DIAL_REFUSED);
	ck_assert_int_eq(turn(NOW + 2), -EAGAIN);
	check_waits(1, WAIT_FOREVER);
	fd = turn(NOW + 3);
	ck_assert_int_ge(fd, 0);
	check_same(&reached, &a[2]);
	(void)close(fd);
}
END_TEST

START_TEST(addresses_that_fail_at_once_cost_no_turn)
{
	int listener, fd;
	struct addr a[3];

	a[0] = a[1] = address("224.0.0.1", 443);
	a[2] = good(&listener);
	race(&d, a, 3, NOW);
	ck_assert_int_eq(quiet_turn(NOW), -EAGAIN);
	check_waits(1, WAIT_FOREVER);
	ck_assert_uint_eq(d.failure, DIAL_UNREACHABLE);
	fd = turn(NOW);
	ck_assert_int_ge(fd, 0);
	check_same(&reached, &a[2]);
	(void)close(fd);
}
END_TEST

START_TEST(a_second_attempt_begins_after_exactly_250_ms)
{
	int listener, fd, loser, before;
	struct addr a[2];

	if (!silent(&a[0]))
		return;
	a[1] = good(&listener);
	before = descriptors();
	race(&d, a, 2, NOW);
	ck_assert_int_eq(quiet_turn(NOW), -EAGAIN);
	check_waits(1, NOW + DELAY);
	loser = pfd[0].fd;
	ck_assert_int_eq(quiet_turn(NOW + DELAY - 1), -EAGAIN);
	check_waits(1, NOW + DELAY);
	ck_assert_int_eq(quiet_turn(NOW + DELAY), -EAGAIN);
	check_waits(2, WAIT_FOREVER);
	ck_assert_int_eq(descriptors(), before + 2);

	fd = turn(NOW + DELAY + 5);
	ck_assert_int_ge(fd, 0);
	check_same(&reached, &a[1]);
	ck_assert_int_eq(descriptors(), before + 1);
	ck_assert_int_eq(fcntl(loser, F_GETFD), -1);
	check_waits(0, WAIT_FOREVER);
	(void)close(fd);
}
END_TEST

START_TEST(the_first_address_may_still_win)
{
	int listener, fd, before;
	struct addr a[2];

	a[0] = good(&listener);
	if (!silent(&a[1]))
		return;
	before = descriptors();
	race(&d, a, 2, NOW);
	ck_assert_int_eq(quiet_turn(NOW), -EAGAIN);
	ck_assert_int_eq(quiet_turn(NOW + DELAY), -EAGAIN);
	fd = turn(NOW + DELAY);
	ck_assert_int_ge(fd, 0);
	check_same(&reached, &a[0]);
	ck_assert_int_eq(descriptors(), before + 1);
	(void)close(fd);
}
END_TEST

START_TEST(of_two_that_succeed_in_one_turn_one_wins)
{
	int listener[2], fd, accepted, i, before, ends = 0;
	struct addr a[2];
	char byte;

	a[0] = good(&listener[0]);
	a[1] = good(&listener[1]);
	before = descriptors();
	race(&d, a, 2, NOW);
	ck_assert_int_eq(quiet_turn(NOW), -EAGAIN);
	ck_assert_int_eq(quiet_turn(NOW + DELAY), -EAGAIN);
	check_waits(2, WAIT_FOREVER);
	for (i = 0; i < 2; i++)
		ck_assert(ready(pfd[i].fd, POLLOUT, READY_MS));
	fd = turn(NOW + DELAY);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(descriptors(), before + 1);
	check_waits(0, WAIT_FOREVER);

	/* The other one is closed, and its target sees that. */
	for (i = 0; i < 2; i++) {
		accepted = keep(accept(listener[i], NULL, NULL));
		if (reached.port == a[i].port) {
			ck_assert(!ready(accepted, POLLIN, 0));
			continue;
		}
		ck_assert(ready(accepted, POLLIN, READY_MS));
		ck_assert_int_le(recv(accepted, &byte, 1, 0), 0);
		ends++;
	}
	ck_assert_int_eq(ends, 1);
	(void)close(fd);
}
END_TEST

START_TEST(two_attempts_run_at_a_time_and_no_more)
{
	struct addr a[4];
	int i, before;

	if (!silent(&a[0]))
		return;
	a[1] = a[2] = a[3] = a[0];
	before = descriptors();
	race(&d, a, 4, NOW);
	ck_assert_int_eq(quiet_turn(NOW), -EAGAIN);
	check_waits(1, NOW + DELAY);
	ck_assert_int_eq(quiet_turn(NOW + DELAY), -EAGAIN);
	check_waits(2, NOW + PATIENCE);
	for (i = 2 * DELAY; i < PATIENCE; i += DELAY - 1) {
		ck_assert_int_eq(quiet_turn(NOW + i), -EAGAIN);
		check_waits(2, NOW + PATIENCE);
	}
	ck_assert_int_eq(descriptors(), before + 2);
	dial_cancel(&d);
	ck_assert_int_eq(descriptors(), before);
}
END_TEST

START_TEST(the_oldest_attempt_goes_after_4_s_if_addresses_wait)
{
	struct addr a[4];
	int before, older, younger;

	if (!silent(&a[0]))
		return;
	a[1] = a[2] = a[3] = a[0];
	before = descriptors();
	race(&d, a, 4, NOW);
	ck_assert_int_eq(quiet_turn(NOW), -EAGAIN);
	check_waits(1, NOW + DELAY);
	older = pfd[0].fd;
	ck_assert_int_eq(quiet_turn(NOW + DELAY), -EAGAIN);
	check_waits(2, NOW + PATIENCE);
	younger = pfd[0].fd == older ? pfd[1].fd : pfd[0].fd;

	ck_assert_int_eq(quiet_turn(NOW + PATIENCE - 1), -EAGAIN);
	ck_assert_uint_eq(d.next, 2);
	ck_assert_uint_eq(d.failure, DIAL_PENDING);
	ck_assert_int_eq(quiet_turn(NOW + PATIENCE), -EAGAIN);
	ck_assert_uint_eq(d.next, 3);
	ck_assert_uint_eq(d.failure, DIAL_TIMEOUT);
	check_waits(2, NOW + DELAY + PATIENCE);
	ck_assert(pfd[0].fd == younger || pfd[1].fd == younger);

	/* The second one, and then nothing waits any more. */
	ck_assert_int_eq(quiet_turn(NOW + DELAY + PATIENCE), -EAGAIN);
	ck_assert_uint_eq(d.next, 4);
	check_waits(2, WAIT_FOREVER);
	ck_assert_int_eq(quiet_turn(NOW + 100 * PATIENCE), -EAGAIN);
	check_waits(2, WAIT_FOREVER);
	ck_assert_int_eq(descriptors(), before + 2);
	dial_cancel(&d);
	ck_assert_int_eq(descriptors(), before);
}
END_TEST

/* It takes the place of the one that failed, not of the silent one. */
START_TEST(a_failure_makes_room_for_the_next_address)
{
	struct addr a[3];
	int listener, first, fd;

	if (!silent(&a[0]))
		return;
	a[1] = refusing();
	a[2] = good(&listener);
	race(&d, a, 3, NOW);
	ck_assert_int_eq(quiet_turn(NOW), -EAGAIN);
	check_waits(1, NOW + DELAY);
	first = pfd[0].fd;
	ck_assert_int_eq(quiet_turn(NOW + DELAY), -EAGAIN);
	ck_assert_int_eq(turn(NOW + DELAY + 1), -EAGAIN);
	ck_assert_uint_eq(d.next, 3);
	check_waits(2, WAIT_FOREVER);
	ck_assert(pfd[0].fd == first || pfd[1].fd == first);
	fd = turn(NOW + DELAY + 2);
	ck_assert_int_ge(fd, 0);
	check_same(&reached, &a[2]);
	(void)close(fd);
}
END_TEST

/* A long time in which the loop did not run is one delay and not many. */
START_TEST(one_step_begins_one_attempt_after_a_long_pause)
{
	struct addr a[4];

	if (!silent(&a[0]))
		return;
	a[1] = a[2] = a[3] = a[0];
	race(&d, a, 4, NOW);
	ck_assert_int_eq(quiet_turn(NOW + 60000), -EAGAIN);
	check_waits(1, NOW + 60000 + DELAY);
	ck_assert_int_eq(quiet_turn(NOW + 90000), -EAGAIN);
	ck_assert_uint_eq(d.next, 2);
	check_waits(2, NOW + 90000 + DELAY);
	dial_cancel(&d);
}
END_TEST

START_TEST(cancel_closes_everything_and_may_be_repeated)
{
	struct addr a[3];
	int i, before;

	if (!silent(&a[0]))
		return;
	a[1] = a[2] = a[0];
	before = descriptors();
	for (i = 0; i < 3; i++) {
		race(&d, a, 3, NOW);
		if (i > 0)
			ck_assert_int_eq(quiet_turn(NOW), -EAGAIN);
		if (i > 1)
			ck_assert_int_eq(quiet_turn(NOW + DELAY), -EAGAIN);
		ck_assert_int_eq(descriptors(), before + i);
		dial_cancel(&d);
		ck_assert_int_eq(descriptors(), before);
		dial_cancel(&d);
		ck_assert_int_eq(descriptors(), before);
		check_waits(0, WAIT_FOREVER);
	}
}
END_TEST

START_TEST(a_race_that_is_over_can_be_run_again)
{
	struct addr bad = refusing(), a;
	int listener, fd;

	a = good(&listener);
	race(&d, &bad, 1, NOW);
	ck_assert_int_eq(quiet_turn(NOW), -EAGAIN);
	ck_assert_int_eq(turn(NOW), -ECONNREFUSED);
	race(&d, &a, 1, NOW);
	ck_assert_uint_eq(d.failure, DIAL_PENDING);
	ck_assert_int_eq(quiet_turn(NOW), -EAGAIN);
	fd = turn(NOW);
	ck_assert_int_ge(fd, 0);
	(void)close(fd);
}
END_TEST

/* A second socket is a luxury, of which there are 32: the descriptors for them
 * are counted when the program starts.  No race waits for one for ever. */
START_TEST(all_races_together_have_32_second_sockets)
{
	static struct dial all[40];
	struct addr a[3];
	int i, before;

	if (!silent(&a[0]))
		return;
	a[1] = a[2] = a[0];
	before = descriptors();
	for (i = 0; i < COUNT(all); i++) {
		race(&all[i], a, 3, NOW);
		d = all[i];
		ck_assert_int_eq(quiet_turn(NOW), -EAGAIN);
		ck_assert_int_eq(quiet_turn(NOW + DELAY), -EAGAIN);
		all[i] = d;
	}
	ck_assert_int_eq(descriptors(), before + COUNT(all) + 32);

	/* the last one runs alone: the next address in place of the first */
	check_waits(1, NOW + PATIENCE);
	ck_assert_int_eq(quiet_turn(NOW + PATIENCE), -EAGAIN);
	ck_assert_uint_eq(d.next, 2);
	check_waits(1, NOW + 2 * PATIENCE);
	ck_assert_int_eq(descriptors(), before + COUNT(all) + 32);
	all[COUNT(all) - 1] = d;

	/* what one gives back another can have */
	dial_cancel(&all[0]);
	ck_assert_int_eq(quiet_turn(NOW + PATIENCE + DELAY), -EAGAIN);
	check_waits(2, WAIT_FOREVER);
	all[COUNT(all) - 1] = d;
	for (i = 0; i < COUNT(all); i++)
		dial_cancel(&all[i]);
	ck_assert_int_eq(descriptors(), before);
}
END_TEST

/* ---- failures ---------------------------------------------------------- */

/* No new descriptors, or as many as before. */
static void
limit_descriptors(bool on)
{
	static rlim_t before;
	struct rlimit limit;

	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
	if (before == 0)
		before = limit.rlim_cur;
	limit.rlim_cur = on ? 0 : before;
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

/* What becomes of each address of a list, by letter: U no route, R refused,
 * S connected to itself, T silent, N no descriptor (only at the end). */
static const struct {
	const char	*kinds;
	enum dial_failure told;
} rankings[] = {
	{ "U",		DIAL_UNREACHABLE },
	{ "N",		DIAL_NO_DESCRIPTOR },
	{ "R",		DIAL_REFUSED },
	{ "S",		DIAL_SELF },
	{ "UU",		DIAL_UNREACHABLE },
	{ "UR",		DIAL_REFUSED },
	{ "RU",		DIAL_REFUSED },
	{ "RN",		DIAL_REFUSED },
	{ "RR",		DIAL_REFUSED },
	{ "US",		DIAL_SELF },
	{ "SU",		DIAL_SELF },
	{ "RS",		DIAL_SELF },
	{ "SR",		DIAL_SELF },
	{ "SN",		DIAL_SELF },
	{ "NN",		DIAL_NO_DESCRIPTOR },
	{ "TTU",	DIAL_TIMEOUT },
	{ "TTN",	DIAL_TIMEOUT },
	{ "TTR",	DIAL_REFUSED },
	{ "RTTU",	DIAL_REFUSED },
	{ "TTS",	DIAL_SELF },
	{ "UUUUUUUU",	DIAL_UNREACHABLE },
	{ "RURURURU",	DIAL_REFUSED },
	{ "UUUUTTTT",	DIAL_TIMEOUT }
};

static bool
address_of_kind(char kind, struct addr *a)
{
	switch (kind) {
	case 'U':
		*a = address("224.0.0.1", 443);
		return true;
	case 'R':
		*a = refusing();
		return true;
	default:
		return silent(a);
	}
}

/* Give the attempts the sockets that fail as they shall.  A silent one ends,
 * for want of a route, when no address waits any more.  Is there one that
 * poll will speak of? */
static bool
forge(const char *kinds, char kind[RACE_MAX], int64_t now, int self, int none)
{
	struct attempt *a;
	bool loud = false;
	int i;

	for (i = 0; i < RACE_MAX; i++) {
		a = &d.attempt[i];
		if (a->fd == -1)
			continue;
		if (a->since == now)
			kind[i] = kinds[d.next - 1];
		if (kind[i] == 'S')
			ck_assert_int_eq(dup2(self, a->fd), a->fd);
		else if (kind[i] == 'T' && d.next == d.count)
			ck_assert_int_eq(dup2(none, a->fd), a->fd);
		loud = loud || kind[i] != 'T' || d.next == d.count;
	}
	return loud;
}

START_TEST(of_several_failures_the_best_to_tell_is_told)
{
	const char *kinds = rankings[_i].kinds;
	int i, rc = -EAGAIN, count = (int)strlen(kinds), before;
	int self = self_connected(), none = keep(open("/dev/null", O_RDWR));
	struct addr a[ADDRESSES_MAX];
	char kind[RACE_MAX] = { 0 };
	int64_t now = NOW;
	bool loud = false;

	if (strchr(kinds, 'S') != NULL && self == -1)
		return;
	for (i = 0; i < count; i++)
		if (!address_of_kind(kinds[i], &a[i]))
			return;
	before = descriptors();
	race(&d, a, count, now);
	while (rc == -EAGAIN && now < NOW + 100 * PATIENCE) {
		interest();
		if (loud)
			ck_assert_int_gt(poll(w.pfd, w.n, READY_MS), 0);
		limit_descriptors(d.next < d.count && kinds[d.next] == 'N');
		rc = dial_step(&d, &w, now, &reached);
		limit_descriptors(false);
		loud = forge(kinds, kind, now, self, none);
		now += DELAY;
	}
	ck_assert_int_eq(rc, -ECONNREFUSED);
	ck_assert_uint_eq(d.failure, rankings[_i].told);
	ck_assert_int_eq(descriptors(), before);
}
END_TEST

START_TEST(a_socket_that_met_itself_does_not_win)
{
	int listener, self = self_connected(), fd;
	struct addr a[2];

	if (self == -1 || !silent(&a[0]))
		return;
	a[1] = good(&listener);
	race(&d, a, 2, NOW);
	ck_assert_int_eq(quiet_turn(NOW), -EAGAIN);
	interest();
	ck_assert_int_eq(dup2(self, pfd[0].fd), pfd[0].fd);
	ck_assert_int_eq(turn(NOW + 1), -EAGAIN);
	ck_assert_uint_eq(d.failure, DIAL_SELF);
	fd = turn(NOW + 1);
	ck_assert_int_ge(fd, 0);
	check_same(&reached, &a[1]);
	(void)close(fd);
}
END_TEST

static Suite *
dial_suite(void)
{
	Suite *s = suite_create("dial");
	TCase *tc = tcase_create("one");

	tcase_add_checked_fixture(tc, begin, end);
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, families_take_turns_and_keep_their_order);
	tcase_add_test(tc, nothing_is_opened_before_the_first_step);
	tcase_add_test(tc, an_address_that_answers_is_connected);
	tcase_add_test(tc, an_ipv6_address_is_connected_if_there_is_ipv6);
	tcase_add_test(tc, an_address_that_refuses_loses_the_race);
	tcase_add_test(tc, an_address_without_a_route_loses_the_race_at_once);
	tcase_add_test(tc, one_silent_address_is_waited_for_without_a_deadline);
	tcase_add_test(tc, hangup_and_error_are_not_believed);
	suite_add_tcase(s, tc);

	tc = tcase_create("race");
	tcase_add_checked_fixture(tc, begin, end);
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, the_next_address_is_tried_at_once_after_a_failure);
	tcase_add_test(tc, addresses_that_fail_at_once_cost_no_turn);
	tcase_add_test(tc, a_second_attempt_begins_after_exactly_250_ms);
	tcase_add_test(tc, the_first_address_may_still_win);
	tcase_add_test(tc, of_two_that_succeed_in_one_turn_one_wins);
	tcase_add_test(tc, two_attempts_run_at_a_time_and_no_more);
	tcase_add_test(tc, the_oldest_attempt_goes_after_4_s_if_addresses_wait);
	tcase_add_test(tc, a_failure_makes_room_for_the_next_address);
	tcase_add_test(tc, one_step_begins_one_attempt_after_a_long_pause);
	tcase_add_test(tc, cancel_closes_everything_and_may_be_repeated);
	tcase_add_test(tc, a_race_that_is_over_can_be_run_again);
	tcase_add_test(tc, all_races_together_have_32_second_sockets);
	suite_add_tcase(s, tc);

	tc = tcase_create("failure");
	tcase_add_checked_fixture(tc, begin, end);
	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, of_several_failures_the_best_to_tell_is_told,
	    0, COUNT(rankings));
	tcase_add_test(tc, a_socket_that_met_itself_does_not_win);
	suite_add_tcase(s, tc);
	return s;
}

int
main(void)
{
	SRunner *sr = srunner_create(dial_suite());
	int failed;

	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
