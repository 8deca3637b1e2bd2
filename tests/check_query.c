/* SPDX-License-Identifier: ISC */
/*
 * Unit tests of query.c against name servers on loopback, in virtual time: poll
 * is asked what is ready, and `now` is what the test says it is.  At the end of
 * every test no descriptor is left.
 */
#include <sys/resource.h>

#include "dns_peer.h"

#define NOW		1000000		/* when a query begins */
#define TIMEOUT		5000
#define DEAD		30000
#define BUFFERS		4
#define OWNER		7u
#define NAME		"www.example"
#define ADDRESS		"192.0.2.1"
#define GOOD		"a 300 " ADDRESS

static struct peer peer[SERVERS_MAX];
static struct resolv resolv;
static struct query q, other[8];
static enum dns_outcome outcome;
static struct dns_answer answer;
static void *memory;
static int descriptors_before;
static struct pollfd pfd[8];
static uint32_t owner[8];
static struct waits w;

/* ---- set-up ------------------------------------------------------------ */

static void
begin(void)
{
	unsigned char byte;
	int i;

	/* It keeps a descriptor. */
	ck_assert_int_eq(sys_random(&byte, 1), 0);
	descriptors_before = descriptors();
	names_resolv_init(&resolv);
	for (i = 0; i < SERVERS_MAX; i++)
		peer[i].udp = peer[i].tcp = -1;
	/* No more than it asked for: a sanitizer guards the end. */
	memory = malloc(query_memory());
	ck_assert_ptr_nonnull(memory);
	query_init(&resolv, memory);
	memset(&q, 0, sizeof q);
	memset(&other, 0, sizeof other);
	q.fd = -1;
	for (i = 0; i < COUNT(other); i++)
		other[i].fd = -1;
}

static void
end(void)
{
	int i;

	query_cancel(&q);
	for (i = 0; i < COUNT(other); i++)
		query_cancel(&other[i]);
	for (i = 0; i < SERVERS_MAX; i++)
		peer_close(&peer[i]);
	ck_assert_int_eq(descriptors(), descriptors_before);
	free(memory);
}

static void
add_server(void)
{
	resolv.server[resolv.servers].addr = peer[resolv.servers].addr;
	resolv.servers++;
}

static void
open_servers(unsigned n)
{
	while (resolv.servers < n) {
		peer_open(&peer[resolv.servers]);
		add_server();
	}
}

static void
open_refusing_server(void)
{
	peer_refuse(&peer[resolv.servers]);
	add_server();
}

static void
start_other(struct query *it, int64_t now)
{
	query_start(it, DNS_A, NAME, strlen(NAME), now);
}

static void
start(int64_t now)
{
	start_other(&q, now);
}

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

/* ---- turns ------------------------------------------------------------- */

static void
interest(struct query *it)
{
	memset(&w, 0, sizeof w);
	w.pfd = pfd;
	w.owner = owner;
	w.max = COUNT(pfd);
	w.deadline = WAIT_FOREVER;
	query_interest(it, &w, OWNER);
}

static int
step_other(struct query *it, int64_t now)
{
	return query_step(it, &w, now, &outcome, &answer);
}

/* A turn in which nothing is ready: only time has passed. */
static int
quiet_turn(int64_t now)
{
	interest(&q);
	return step_other(&q, now);
}

/* A turn that waits until something is. */
static int
turn_other(struct query *it, int64_t now)
{
	interest(it);
	ck_assert_int_gt(poll(w.pfd, w.n, READY_MS), 0);
	return step_other(it, now);
}

static int
turn(int64_t now)
{
	return turn_other(&q, now);
}

/* Turns until it is over. */
static int
turns_other(struct query *it, int64_t now)
{
	int i, rc = -EAGAIN;

	for (i = 0; i < 4 && rc == -EAGAIN; i++)
		rc = turn_other(it, now);
	return rc;
}

static int
turns(int64_t now)
{
	return turns_other(&q, now);
}

/* What the next turn will wait for: no events, no descriptor. */
static void
check_waits_other(struct query *it, short events, int64_t deadline)
{
	interest(it);
	ck_assert_int_eq(w.deadline, deadline);
	ck_assert_uint_eq(w.n, events != 0);
	if (events == 0)
		return;
	ck_assert_int_eq(pfd[0].events, events);
	ck_assert_uint_eq(owner[0], OWNER);
}

static void
check_waits(short events, int64_t deadline)
{
	check_waits_other(&q, events, deadline);
}

/* ---- what the servers see ---------------------------------------------- */

static void
check_question(const struct asked *a)
{
	ck_assert_str_eq(a->name, NAME);
	ck_assert_uint_eq(a->type, DNS_A);
}

/* Server i, and no other, was asked by a datagram just now. */
static void
take(int i, struct asked *a)
{
	int k;

	peer_take(&peer[i], a);
	check_question(a);
	for (k = 0; k < (int)resolv.servers; k++)
		ck_assert(peer_is_quiet(&peer[k]));
}

/* The same over TCP; this takes a turn. */
static void
take_by_tcp(int i, struct query *it, struct asked *a, int64_t now)
{
	peer_accept(&peer[i], a);
	ck_assert_int_eq(turn_other(it, now), -EAGAIN);
	peer_read(a);
	check_question(a);
}

/* Server i is asked, and answers well. */
static void
serve(int i, int64_t now)
{
	struct asked a;

	take(i, &a);
	peer_answer(&peer[i], &a, GOOD);
	ck_assert_int_eq(turn(now), 0);
	ck_assert_int_eq(outcome, DNS_FOUND);
}

/* It has ended well. */
static void
check_found(void)
{
	struct addr a = address(ADDRESS, 0);

	ck_assert_int_eq(outcome, DNS_FOUND);
	ck_assert_uint_eq(answer.list.n, 1);
	ck_assert(addr_same_host(&answer.list.addr[0], &a));
	ck_assert_uint_eq(answer.ttl, 300);
	ck_assert_int_eq(q.fd, -1);
	ck_assert_ptr_null(q.buffer);
}

/* ---- one question ------------------------------------------------------ */

START_TEST(a_question_is_sent_at_once)
{
	static const enum dns_type types[] = { DNS_A, DNS_AAAA };
	struct asked a;

	open_servers(2);
	query_start(&q, types[_i], NAME, strlen(NAME), NOW);
	peer_take(&peer[0], &a);
	ck_assert_str_eq(a.name, NAME);
	ck_assert_uint_eq(a.type, types[_i]);
	ck_assert(!a.edns);
	ck_assert(peer_is_quiet(&peer[0]));
	ck_assert(peer_is_quiet(&peer[1]));
	check_waits(POLLIN, NOW + TIMEOUT);
	ck_assert_int_eq(quiet_turn(NOW), -EAGAIN);
	check_waits(POLLIN, NOW + TIMEOUT);
}
END_TEST

START_TEST(the_longest_name_can_be_asked_for)
{
	char name[NAME_MAX_LEN + 1];
	struct asked a;
	int i;

	for (i = 0; i < NAME_MAX_LEN; i++)
		name[i] = i % 64 == 63 ? '.' : 'x';
	name[NAME_MAX_LEN] = '\0';
	open_servers(1);
	resolv.use_vc = _i == 1;
	query_start(&q, DNS_A, name, NAME_MAX_LEN, NOW);
	if (_i == 1) {
		peer_accept(&peer[0], &a);
		ck_assert_int_eq(turn(NOW), -EAGAIN);
		peer_read(&a);
	} else
		peer_take(&peer[0], &a);
	ck_assert_str_eq(a.name, name);
	peer_answer(&peer[0], &a, GOOD);
	ck_assert_int_eq(turns(NOW), 0);
	check_found();
	peer_hang_up(&a);
}
END_TEST

START_TEST(ids_and_ports_differ)
{
	struct asked a[64];
	int i, k, same_ids = 0, same_ports = 0;

	open_servers(1);
	for (i = 0; i < COUNT(a); i++) {
		start(NOW);
		take(0, &a[i]);
		query_cancel(&q);
		for (k = 0; k < i; k++) {
			same_ids += a[i].id == a[k].id;
			same_ports += a[i].from.sin_port == a[k].from.sin_port;
		}
	}
	/* of 2016 pairs; by chance it is one pair at most, nearly always */
	ck_assert_int_lt(same_ids, 4);
	ck_assert_int_lt(same_ports, 4);
}
END_TEST

static const struct {
	const char *script;
	enum dns_outcome outcome;
} answers[] = {
	{ GOOD,						DNS_FOUND },
	{ "cname 60 x.example, a 60 192.0.2.2",		DNS_FOUND },
	{ "",						DNS_NODATA },
	{ "soa 900 60",					DNS_NODATA },
	{ "nxdomain, soa 900 60",			DNS_NXDOMAIN },
	{ "cname 60 x.example",				DNS_PARTIAL }
};

START_TEST(an_answer_ends_it)
{
	struct asked a;

	open_servers(1);
	start(NOW);
	take(0, &a);
	peer_answer(&peer[0], &a, answers[_i].script);
	ck_assert_int_eq(turn(NOW + 1), 0);
	ck_assert_int_eq(outcome, answers[_i].outcome);
	ck_assert_int_eq(q.fd, -1);
	ck_assert(peer_is_quiet(&peer[0]));
}
END_TEST

START_TEST(an_answer_in_the_last_moment_counts)
{
	struct asked a;

	open_servers(1);
	start(NOW);
	take(0, &a);
	peer_answer(&peer[0], &a, GOOD);
	ck_assert_int_eq(turn(NOW + TIMEOUT), 0);
	check_found();
}
END_TEST

static const char *const misfits[] = {
	GOOD ", othername", GOOD ", othertype", GOOD ", otherclass",
	GOOD ", noquestion", GOOD ", query", GOOD ", opcode",
	GOOD ", id, othername", "servfail, noquestion", "tc, othername",
	"formerr, noquestion"
};

START_TEST(what_does_not_fit_the_question_is_ignored)
{
	struct asked a;

	open_servers(2);
	start(NOW);
	take(0, &a);
	peer_answer(&peer[0], &a, misfits[_i]);
	ck_assert_int_eq(turn(NOW + 1), -EAGAIN);
	check_waits(POLLIN, NOW + TIMEOUT);
	ck_assert(peer_is_quiet(&peer[0]));
	ck_assert(peer_is_quiet(&peer[1]));
	peer_answer(&peer[0], &a, GOOD);
	ck_assert_int_eq(turn(NOW + 2), 0);
	check_found();
}
END_TEST

START_TEST(short_datagrams_are_ignored)
{
	struct asked a;
	struct message m;
	size_t n;

	open_servers(1);
	start(NOW);
	take(0, &a);
	compose(&m, &a, GOOD);
	for (n = 0; n < 12 + strlen(NAME) + 2 + 4; n++) {
		send_datagram(peer[0].udp, &a, m.p, n);
		ck_assert_int_eq(turn(NOW + 1), -EAGAIN);
		check_waits(POLLIN, NOW + TIMEOUT);
	}
	send_datagram(peer[0].udp, &a, m.p, m.n);
	ck_assert_int_eq(turn(NOW + 1), 0);
	check_found();
}
END_TEST

START_TEST(a_flood_does_not_move_the_deadline)
{
	struct asked a;
	int i;

	open_servers(2);
	start(NOW);
	take(0, &a);
	for (i = 0; i < 20; i++)
		peer_answer(&peer[0], &a, GOOD ", othername");
	for (i = 1; i < 20; i++)
		ck_assert_int_eq(turn(NOW + i * TIMEOUT / 20), -EAGAIN);
	check_waits(POLLIN, NOW + TIMEOUT);
	ck_assert_int_eq(turn(NOW + TIMEOUT), -EAGAIN);
	take(1, &a);
	check_waits(POLLIN, NOW + 2 * TIMEOUT);
}
END_TEST

START_TEST(an_answer_from_another_port_is_not_seen)
{
	int stranger = bound_socket(SOCK_DGRAM, "127.0.0.1", 0);
	struct message m;
	struct asked a;

	open_servers(2);
	start(NOW);
	take(0, &a);
	compose(&m, &a, GOOD);
	send_datagram(stranger, &a, m.p, m.n);
	send_datagram(peer[1].udp, &a, m.p, m.n);
	interest(&q);
	ck_assert_int_eq(poll(w.pfd, w.n, 0), 0);
	ck_assert_int_eq(quiet_turn(NOW + 1), -EAGAIN);
	peer_answer(&peer[0], &a, GOOD);
	ck_assert_int_eq(turn(NOW + 2), 0);
	check_found();
	(void)close(stranger);
}
END_TEST

/* ---- TCP --------------------------------------------------------------- */

/* Why it turns to TCP, in the words of the answer. */
static const char *const to_tcp[] = {
	"tc", GOOD ", tc", "servfail, tc", "nxdomain, tc", "badcount, tc",
	GOOD ", id", "servfail, id", "tc, id"
};

START_TEST(truncation_and_a_wrong_id_lead_to_tcp)
{
	struct asked a, b;

	open_servers(2);
	start(NOW);
	take(0, &a);
	peer_answer(&peer[0], &a, to_tcp[_i]);
	ck_assert_int_eq(turn(NOW + 10), -EAGAIN);
	check_waits(POLLOUT, NOW + 10 + TIMEOUT);
	/* The datagram socket is closed: nobody can guess any more. */
	send_datagram(peer[0].udp, &a, "", 0);
	take_by_tcp(0, &q, &b, NOW + 11);
	check_waits(POLLIN, NOW + 10 + TIMEOUT);
	ck_assert(!b.edns);
	peer_answer(&peer[0], &b, GOOD);
	ck_assert_int_eq(turns(NOW + 12), 0);
	check_found();
	ck_assert(peer_is_quiet(&peer[1]));
	peer_hang_up(&b);
}
END_TEST

/* Ask server 0 over TCP. */
static void
begin_tcp(struct asked *a)
{
	resolv.use_vc = true;
	start(NOW);
	check_waits(POLLOUT, NOW + TIMEOUT);
	take_by_tcp(0, &q, a, NOW);
	check_waits(POLLIN, NOW + TIMEOUT);
}

START_TEST(use_vc_asks_over_tcp_at_once)
{
	struct asked a;

	open_servers(2);
	begin_tcp(&a);
	ck_assert(peer_is_quiet(&peer[0]));
	peer_answer(&peer[0], &a, GOOD);
	ck_assert_int_eq(turns(NOW), 0);
	check_found();
	peer_hang_up(&a);
}
END_TEST

START_TEST(an_answer_over_tcp_may_come_byte_by_byte)
{
	struct message m;
	struct asked a;
	size_t i;

	open_servers(1);
	begin_tcp(&a);
	compose(&m, &a, GOOD);
	for (i = 0; i < m.n + 1; i++) {
		ck_assert_uint_eq(send_some(&a, framed(&m) + i, 1), 1);
		ck_assert_int_eq(turn(NOW + 1), -EAGAIN);
		check_waits(POLLIN, NOW + TIMEOUT);
	}
	ck_assert_uint_eq(send_some(&a, framed(&m) + i, 1), 1);
	ck_assert_int_eq(turn(NOW + 1), 0);
	check_found();
	peer_hang_up(&a);
}
END_TEST

/* Fill what a socket can take, and empty it at the other end. */
static size_t
fill(int fd)
{
	static const unsigned char zeros[65536];
	size_t n = 0;
	ssize_t sent;

	while ((sent = send(fd, zeros, sizeof zeros, MSG_NOSIGNAL)) > 0)
		n += (size_t)sent;
	return n;
}

static void
drain(int fd, size_t n)
{
	unsigned char bytes[4096];
	size_t part;

	for (; n > 0; n -= part) {
		part = n < sizeof bytes ? n : sizeof bytes;
		read_bytes(fd, bytes, part);
	}
}

START_TEST(a_question_over_tcp_waits_until_it_can_be_sent)
{
	struct asked a;
	size_t n;

	open_servers(1);
	resolv.use_vc = true;
	start(NOW);
	peer_accept(&peer[0], &a);
	n = fill(q.fd);
	interest(&q);
	pfd[0].revents = POLLOUT;
	ck_assert_int_eq(step_other(&q, NOW + 1), -EAGAIN);
	n += fill(q.fd);
	check_waits(POLLOUT, NOW + TIMEOUT);
	drain(a.tcp, n);
	ck_assert_int_eq(turn(NOW + 2), -EAGAIN);
	check_waits(POLLIN, NOW + TIMEOUT);
	peer_read(&a);
	check_question(&a);
	peer_answer(&peer[0], &a, GOOD);
	ck_assert_int_eq(turns(NOW + 3), 0);
	check_found();
	peer_hang_up(&a);
}
END_TEST

/* A script for an answer of n bytes. */
static const char *
script_of_size(const struct asked *a, size_t n)
{
	static struct message m;
	static char script[64];

	compose(&m, a, GOOD ", txt 0");
	(void)snprintf(script, sizeof script, GOOD ", txt %u",
	    (unsigned)(n - m.n));
	return script;
}

START_TEST(an_answer_over_tcp_may_have_64_kib)
{
	static struct message m;
	struct asked a;
	size_t at = 0;
	int rc = -EAGAIN;

	open_servers(1);
	begin_tcp(&a);
	compose(&m, &a, script_of_size(&a, MESSAGE_MAX));
	ck_assert_uint_eq(m.n, MESSAGE_MAX);
	while (rc == -EAGAIN) {
		if (at < m.n + 2)
			at += send_some(&a, framed(&m) + at, m.n + 2 - at);
		rc = turn(NOW + 1);
	}
	ck_assert_int_eq(rc, 0);
	check_found();
	peer_hang_up(&a);
}
END_TEST

static const struct {
	size_t n;
	bool tcp;
} sizes[] = { { 512, false }, { 4095, false }, { 4096, true }, { 9000, true } };

START_TEST(a_datagram_of_4096_bytes_may_have_been_cut)
{
	struct asked a;

	open_servers(2);
	start(NOW);
	take(0, &a);
	peer_answer(&peer[0], &a, script_of_size(&a, sizes[_i].n));
	if (!sizes[_i].tcp) {
		ck_assert_int_eq(turns(NOW), 0);
		check_found();
		return;
	}
	ck_assert_int_eq(turn(NOW), -EAGAIN);
	take_by_tcp(0, &q, &a, NOW);
	peer_answer(&peer[0], &a, GOOD);
	ck_assert_int_eq(turns(NOW), 0);
	check_found();
	peer_hang_up(&a);
}
END_TEST

/* How much of the answer comes before the end: -1, not even the question is
 * read, -2, there is a reset instead. */
static const int cuts[] = { -2, -1, 0, 1, 2, 3, 20 };

static void
reset(struct asked *a)
{
	struct linger now = { 1, 0 };

	ck_assert_int_eq(setsockopt(a->tcp, SOL_SOCKET, SO_LINGER, &now,
	    sizeof now), 0);
	peer_hang_up(a);
}

START_TEST(a_connection_that_ends_early_leads_to_the_next_server)
{
	struct message m;
	struct asked a, b;
	int n = cuts[_i], i;

	open_servers(2);
	resolv.use_vc = true;
	start(NOW);
	if (n < 0)
		peer_accept(&peer[0], &a);
	else
		take_by_tcp(0, &q, &a, NOW);
	compose(&m, &a, GOOD);
	if (n > 0)
		ck_assert_int_eq((int)send_some(&a, framed(&m), (size_t)n), n);
	if (n == -2)
		reset(&a);
	peer_hang_up(&a);
	for (i = 0; i < 6 && peer_is_quiet(&peer[1]); i++)
		ck_assert_int_eq(turn(NOW + 9), -EAGAIN);
	check_waits(POLLOUT, NOW + 9 + TIMEOUT);
	take_by_tcp(1, &q, &b, NOW + 9);
	peer_answer(&peer[1], &b, GOOD);
	ck_assert_int_eq(turns(NOW + 9), 0);
	check_found();
	peer_hang_up(&b);
}
END_TEST

/* Over TCP nobody else can have said that. */
static const struct {
	const char *script;
	unsigned rcode;
} bad_over_tcp[] = {
	{ GOOD ", othername", 2 }, { GOOD ", query", 2 }, { GOOD ", id", 2 },
	{ GOOD ", tc", 2 }, { "tc", 2 }, { GOOD ", badcount", 2 },
	{ "noquestion", 2 }, { "refused", 5 }, { "servfail", 2 }
};

START_TEST(what_does_not_fit_over_tcp_is_a_failure)
{
	struct asked a;

	open_servers(1);
	resolv.attempts = 1;
	begin_tcp(&a);
	peer_answer(&peer[0], &a, bad_over_tcp[_i].script);
	ck_assert_int_eq(turns(NOW), -EPROTO);
	ck_assert_uint_eq(q.rcode, bad_over_tcp[_i].rcode);
	ck_assert_int_eq(q.fd, -1);
	peer_hang_up(&a);
}
END_TEST

START_TEST(an_empty_message_over_tcp_is_a_failure)
{
	struct asked a;

	open_servers(1);
	resolv.attempts = 1;
	begin_tcp(&a);
	ck_assert_uint_eq(send_some(&a, (const unsigned char *)"\0", 2), 2);
	ck_assert_int_eq(turn(NOW), -EPROTO);
	ck_assert_uint_eq(q.rcode, 2);
	peer_hang_up(&a);
}
END_TEST

START_TEST(a_silent_connection_has_the_time_of_an_attempt)
{
	struct asked a, b;

	open_servers(2);
	begin_tcp(&a);
	ck_assert_int_eq(quiet_turn(NOW + TIMEOUT - 1), -EAGAIN);
	check_waits(POLLIN, NOW + TIMEOUT);
	ck_assert_int_eq(quiet_turn(NOW + TIMEOUT), -EAGAIN);
	check_waits(POLLOUT, NOW + 2 * TIMEOUT);
	take_by_tcp(1, &q, &b, NOW + TIMEOUT);
	peer_hang_up(&a);
	peer_hang_up(&b);
}
END_TEST

/* ---- buffers ----------------------------------------------------------- */

/* All buffers are lent to others, which are asked at server 0. */
static void
lend_buffers(struct asked *a, int64_t now)
{
	int i;

	resolv.use_vc = true;
	for (i = 0; i < BUFFERS; i++) {
		start_other(&other[i], now);
		take_by_tcp(0, &other[i], &a[i], now);
	}
}

START_TEST(the_fifth_over_tcp_waits_for_a_buffer)
{
	struct asked a[BUFFERS], b;
	int i;

	open_servers(1);
	lend_buffers(a, NOW);
	start(NOW + 1);
	check_waits(0, NOW + 1 + TIMEOUT);
	ck_assert_int_eq(quiet_turn(NOW + 1), -EAGAIN);
	check_waits(0, NOW + 1 + TIMEOUT);
	ck_assert(peer_is_quiet(&peer[0]));
	peer_answer(&peer[0], &a[2], GOOD);
	ck_assert_int_eq(turns_other(&other[2], NOW + 2), 0);
	check_waits(0, 0);
	ck_assert_int_eq(quiet_turn(NOW + 2), -EAGAIN);
	check_waits(POLLOUT, NOW + 1 + TIMEOUT);
	take_by_tcp(0, &q, &b, NOW + 2);
	peer_answer(&peer[0], &b, GOOD);
	ck_assert_int_eq(turns(NOW + 3), 0);
	check_found();
	peer_hang_up(&b);
	for (i = 0; i < BUFFERS; i++)
		peer_hang_up(&a[i]);
}
END_TEST

START_TEST(of_two_that_wait_one_gets_the_buffer)
{
	struct asked a[BUFFERS];
	struct query *second = &other[BUFFERS];
	int i;

	open_servers(1);
	lend_buffers(a, NOW);
	start(NOW);
	start_other(second, NOW);
	query_cancel(&other[0]);
	ck_assert_int_eq(quiet_turn(NOW), -EAGAIN);
	check_waits(POLLOUT, NOW + TIMEOUT);
	ck_assert_int_eq(step_other(second, NOW), -EAGAIN);
	check_waits_other(second, 0, NOW + TIMEOUT);
	for (i = 0; i < BUFFERS; i++)
		peer_hang_up(&a[i]);
}
END_TEST

START_TEST(to_wait_for_a_buffer_is_part_of_the_attempt)
{
	struct asked a[BUFFERS];
	int i;

	open_servers(1);
	resolv.attempts = 1;
	lend_buffers(a, NOW);
	start(NOW + 1);
	ck_assert_int_eq(quiet_turn(NOW + TIMEOUT), -EAGAIN);
	check_waits(0, NOW + 1 + TIMEOUT);
	ck_assert_int_eq(quiet_turn(NOW + 1 + TIMEOUT), -ETIMEDOUT);
	ck_assert(peer_is_quiet(&peer[0]));
	for (i = 0; i < BUFFERS; i++)
		peer_hang_up(&a[i]);
}
END_TEST

START_TEST(a_truncated_answer_waits_for_a_buffer)
{
	struct asked a[BUFFERS], b;
	int i;

	open_servers(1);
	lend_buffers(a, NOW);
	resolv.use_vc = false;
	start(NOW);
	take(0, &b);
	peer_answer(&peer[0], &b, "tc");
	ck_assert_int_eq(turn(NOW + 1), -EAGAIN);
	check_waits(0, NOW + 1 + TIMEOUT);
	query_cancel(&other[3]);
	check_waits(0, 0);
	ck_assert_int_eq(quiet_turn(NOW + 2), -EAGAIN);
	take_by_tcp(0, &q, &b, NOW + 2);
	peer_answer(&peer[0], &b, GOOD);
	ck_assert_int_eq(turns(NOW + 2), 0);
	check_found();
	peer_hang_up(&b);
	for (i = 0; i < BUFFERS; i++)
		peer_hang_up(&a[i]);
}
END_TEST

/* ---- one server after the other ---------------------------------------- */

static const struct {
	const char *script;
	unsigned rcode;
} failures[] = {
	{ "servfail", 2 }, { "refused", 5 }, { "formerr", 1 }, { "notimp", 4 },
	{ "servfail, refused", 7 }, { "opt 1", 16 }, { "refused, opt 1", 21 },
	{ "badcount", 2 }, { GOOD ", badcount", 2 },
	{ "nxdomain, badcount", 2 }, { "cname 60 " NAME, 2 },
	{ "cname 60 a_name.1", 2 }, { "soa 60 60, badcount", 2 }
};

START_TEST(a_server_that_does_not_help_is_followed_at_once)
{
	struct asked a;

	open_servers(2);
	start(NOW);
	take(0, &a);
	peer_answer(&peer[0], &a, failures[_i].script);
	ck_assert_int_eq(turn(NOW + 3), -EAGAIN);
	check_waits(POLLIN, NOW + 3 + TIMEOUT);
	serve(1, NOW + 3);
	check_found();
}
END_TEST

START_TEST(if_no_server_helps_the_last_one_tells)
{
	struct asked a;
	int i;

	open_servers(3);
	start(NOW);
	for (i = 0; i < 6; i++) {
		take(i % 3, &a);
		peer_answer(&peer[i % 3], &a,
		    i < 5 ? "refused" : failures[_i].script);
		ck_assert_int_eq(turn(NOW + i), i < 5 ? -EAGAIN : -EPROTO);
	}
	ck_assert_uint_eq(q.rcode, failures[_i].rcode);
	ck_assert_int_eq(q.fd, -1);
	ck_assert(peer_is_quiet(&peer[0]));
}
END_TEST

START_TEST(silence_costs_exactly_the_time_out_of_resolv_conf)
{
	struct asked a;

	open_servers(2);
	resolv.timeout = 3000;
	start(NOW);
	take(0, &a);
	check_waits(POLLIN, NOW + 3000);
	ck_assert_int_eq(quiet_turn(NOW + 2999), -EAGAIN);
	ck_assert(peer_is_quiet(&peer[1]));
	ck_assert_int_eq(quiet_turn(NOW + 3000), -EAGAIN);
	check_waits(POLLIN, NOW + 6000);
	/* Too late: nobody listens any more. */
	peer_answer(&peer[0], &a, GOOD);
	serve(1, NOW + 3001);
	check_found();
}
END_TEST

/* With every number of servers, and every number of attempts. */
START_TEST(all_servers_are_asked_in_turns_and_then_it_is_over)
{
	unsigned i, servers = 1 + (unsigned)_i % SERVERS_MAX, all;
	int64_t now = NOW;
	struct asked a;
	int rc;

	open_servers(servers);
	resolv.attempts = 1 + (unsigned)_i / SERVERS_MAX;
	all = servers * resolv.attempts;
	start(now);
	for (i = 0; i < all; i++) {
		take((int)(i % servers), &a);
		check_waits(POLLIN, now + TIMEOUT);
		now += TIMEOUT;
		rc = quiet_turn(now);
		ck_assert_int_eq(rc, i < all - 1 ? -EAGAIN : -ETIMEDOUT);
	}
	ck_assert_int_eq(q.fd, -1);
	for (i = 0; i < servers; i++)
		ck_assert(peer_is_quiet(&peer[i]));
}
END_TEST

/* What the two servers do: S silent, F fail, C closed. */
static const struct {
	const char *acts;
	int error;
} mixtures[] = {
	{ "SS", -ETIMEDOUT }, { "SF", -EPROTO }, { "FS", -EPROTO },
	{ "FF", -EPROTO }, { "CC", -ETIMEDOUT }, { "CS", -ETIMEDOUT },
	{ "CF", -EPROTO }, { "FC", -EPROTO }
};

START_TEST(what_a_server_said_is_worth_more_than_silence)
{
	const char *acts = mixtures[_i].acts;
	int64_t now = NOW;
	struct asked a;
	int i, rc;

	for (i = 0; i < 2; i++)
		if (acts[i] == 'C')
			open_refusing_server();
		else
			open_servers(resolv.servers + 1);
	resolv.attempts = 1;
	start(now);
	for (i = 0; i < 2; i++) {
		if (acts[i] != 'C')
			take(i, &a);
		if (acts[i] == 'F')
			peer_answer(&peer[i], &a, "refused");
		if (acts[i] == 'S')
			now += TIMEOUT;
		rc = acts[i] == 'S' ? quiet_turn(now) : turn(now);
		ck_assert_int_eq(rc, i < 1 ? -EAGAIN : mixtures[_i].error);
	}
	if (rc == -EPROTO)
		ck_assert_uint_eq(q.rcode, 5);
}
END_TEST

START_TEST(a_closed_port_is_followed_at_once)
{
	struct asked a;

	open_refusing_server();
	open_servers(2);
	resolv.use_vc = _i == 1;
	start(NOW);
	ck_assert_int_eq(turn(NOW + 1), -EAGAIN);
	if (_i == 0) {
		serve(1, NOW + 2);
		return;
	}
	take_by_tcp(1, &q, &a, NOW + 1);
	peer_answer(&peer[1], &a, GOOD);
	ck_assert_int_eq(turns(NOW + 2), 0);
	check_found();
	peer_hang_up(&a);
}
END_TEST

/* Truncated, and TCP does not work either. */
START_TEST(a_server_without_tcp_is_followed_at_once)
{
	struct asked a;

	open_refusing_server();
	(void)close(peer[0].udp);
	peer[0].udp = bound_socket(SOCK_DGRAM, "127.0.0.1", peer[0].addr.port);
	open_servers(2);
	start(NOW);
	peer_take(&peer[0], &a);
	peer_answer(&peer[0], &a, "tc");
	ck_assert_int_eq(turn(NOW), -EAGAIN);
	ck_assert_int_eq(turn(NOW), -EAGAIN);
	peer_take(&peer[1], &a);
	peer_answer(&peer[1], &a, GOOD);
	ck_assert_int_eq(turn(NOW), 0);
	check_found();
}
END_TEST

START_TEST(rotate_begins_with_the_next_server_each_time)
{
	struct asked a;
	int i, k, first = -1;

	open_servers(3);
	resolv.rotate = true;
	resolv.attempts = 1;
	for (i = 0; i < 6; i++) {
		start(NOW);
		for (k = 0; k < 3 && peer_is_quiet(&peer[k]); k++)
			;
		if (first == -1)
			first = k;
		ck_assert_int_eq(k, (first + i) % 3);
		take(k, &a);
		peer_answer(&peer[k], &a, "servfail");
		ck_assert_int_eq(turn(NOW), -EAGAIN);
		take((k + 1) % 3, &a);
		peer_answer(&peer[(k + 1) % 3], &a, "servfail");
		ck_assert_int_eq(turn(NOW), -EAGAIN);
		serve((k + 2) % 3, NOW);
	}
}
END_TEST

/* ---- dead servers ------------------------------------------------------ */

/* Server i is the first to be asked. */
static void
check_first(int i, int64_t now)
{
	struct asked a;

	start(now);
	take(i, &a);
	query_cancel(&q);
}

/* They are asked in this order, and all of them answer, badly. */
static void
check_order(const char *order, int64_t now)
{
	struct asked a;
	int i, n = (int)strlen(order);

	resolv.attempts = 1;
	start(now);
	for (i = 0; i < n; i++) {
		take(order[i] - '0', &a);
		peer_answer(&peer[order[i] - '0'], &a, "servfail");
		ck_assert_int_eq(turn(now), i < n - 1 ? -EAGAIN : -EPROTO);
	}
}

/* Server 0 dies at the end of this; server 1 helps. */
static int64_t
kill_first(int64_t now)
{
	struct asked a;

	start(now);
	take(0, &a);
	ck_assert_int_eq(quiet_turn(now + TIMEOUT), -EAGAIN);
	serve(1, now + TIMEOUT);
	return now + TIMEOUT;
}

START_TEST(a_silent_server_is_asked_last_for_30_s)
{
	int64_t died;

	open_servers(3);
	died = kill_first(NOW);
	check_first(1, died);
	check_first(1, died + DEAD - 1);
	check_first(0, died + DEAD);
}
END_TEST

START_TEST(dead_servers_are_asked_in_their_order)
{
	struct asked a;
	int64_t now = NOW;
	int i;

	open_servers(3);
	start(now);
	for (i = 0; i < 2; i++) {
		take(i, &a);
		now += TIMEOUT;
		ck_assert_int_eq(quiet_turn(now), -EAGAIN);
	}
	serve(2, now);
	check_order("201", now);
	/* All of them have answered now. */
	check_order("012", now);
}
END_TEST

START_TEST(if_all_are_dead_they_are_asked_as_usual)
{
	struct asked a;
	int64_t now = NOW;
	int i;

	open_servers(3);
	resolv.attempts = 1;
	start(now);
	for (i = 0; i < 3; i++) {
		take(i, &a);
		now += TIMEOUT;
		(void)quiet_turn(now);
	}
	check_order("012", now);
}
END_TEST

START_TEST(a_dead_server_that_answers_is_first_again)
{
	int64_t died;

	open_servers(2);
	died = kill_first(NOW);
	check_order("10", died);
	check_first(0, died);
}
END_TEST

START_TEST(a_closed_port_is_dead_too)
{
	open_refusing_server();
	open_servers(2);
	start(NOW);
	ck_assert_int_eq(turn(NOW), -EAGAIN);
	serve(1, NOW);
	check_first(1, NOW + DEAD - 1);
}
END_TEST

/* An answer to another question while this one waited, or just when it began,
 * or before that. */
static const struct {
	int64_t answered;
	bool alive;
} signs[] = { { -1, false }, { 0, true }, { 1, true }, { TIMEOUT, true } };

START_TEST(a_server_that_answers_others_is_not_dead)
{
	struct asked a, b;

	open_servers(2);
	if (signs[_i].answered < 0) {
		start_other(&other[0], NOW - 1);
		take(0, &b);
	}
	start(NOW);
	take(0, &a);
	if (signs[_i].answered >= 0) {
		start_other(&other[0], NOW);
		take(0, &b);
	}
	peer_answer(&peer[0], &b, "servfail");
	ck_assert_int_eq(turn_other(&other[0], NOW + signs[_i].answered),
	    -EAGAIN);
	take(1, &b);
	query_cancel(&other[0]);
	ck_assert_int_eq(quiet_turn(NOW + TIMEOUT), -EAGAIN);
	take(1, &b);
	query_cancel(&q);
	check_first(signs[_i].alive ? 0 : 1, NOW + TIMEOUT);
}
END_TEST

START_TEST(one_that_fails_is_not_dead)
{
	open_servers(2);
	check_order("01", NOW);
	check_order("01", NOW + 1);
}
END_TEST

/* It answered, by datagram; only its TCP is dead. */
START_TEST(one_that_is_silent_over_tcp_only_is_not_dead)
{
	struct asked a, b;

	open_servers(2);
	start(NOW);
	take(0, &a);
	peer_answer(&peer[0], &a, "tc");
	ck_assert_int_eq(turn(NOW + 1), -EAGAIN);
	take_by_tcp(0, &q, &b, NOW + 1);
	ck_assert_int_eq(quiet_turn(NOW + 1 + TIMEOUT), -EAGAIN);
	serve(1, NOW + 1 + TIMEOUT);
	check_first(0, NOW + 1 + TIMEOUT);
	peer_hang_up(&b);
}
END_TEST

/* ---- EDNS -------------------------------------------------------------- */

static const char *const plain_please[] = { "formerr", "notimp", "opt 1" };

START_TEST(edns_is_left_out_if_the_server_does_not_like_it)
{
	struct asked a;

	open_servers(2);
	resolv.edns0 = true;
	start(NOW);
	take(0, &a);
	ck_assert(a.edns);
	peer_answer(&peer[0], &a, plain_please[_i]);
	ck_assert_int_eq(turn(NOW + 1), -EAGAIN);
	check_waits(POLLIN, NOW + 1 + TIMEOUT);
	take(0, &a);
	ck_assert(!a.edns);
	/* Again: that is no help. */
	peer_answer(&peer[0], &a, plain_please[_i]);
	ck_assert_int_eq(turn(NOW + 2), -EAGAIN);
	take(1, &a);
	ck_assert(!a.edns);
	peer_answer(&peer[1], &a, GOOD);
	ck_assert_int_eq(turn(NOW + 2), 0);
	check_found();
}
END_TEST

START_TEST(edns_is_left_out_after_silence)
{
	struct asked a;

	open_servers(1);
	resolv.edns0 = true;
	start(NOW);
	take(0, &a);
	ck_assert(a.edns);
	ck_assert_int_eq(quiet_turn(NOW + TIMEOUT), -EAGAIN);
	take(0, &a);
	ck_assert(!a.edns);
	/* Another question begins anew. */
	query_cancel(&q);
	start(NOW + TIMEOUT);
	take(0, &a);
	ck_assert(a.edns);
}
END_TEST

START_TEST(edns_stays_if_the_failure_is_another_one)
{
	struct asked a;

	open_servers(2);
	resolv.edns0 = true;
	start(NOW);
	take(0, &a);
	peer_answer(&peer[0], &a, "servfail");
	ck_assert_int_eq(turn(NOW), -EAGAIN);
	take(1, &a);
	ck_assert(a.edns);
	peer_answer(&peer[1], &a, GOOD ", opt 0");
	ck_assert_int_eq(turn(NOW), 0);
	check_found();
}
END_TEST

START_TEST(edns_goes_over_tcp_too)
{
	struct asked a;

	open_servers(1);
	resolv.edns0 = true;
	begin_tcp(&a);
	ck_assert(a.edns);
	peer_answer(&peer[0], &a, "formerr");
	ck_assert_int_eq(turn(NOW), -EAGAIN);
	ck_assert_int_eq(turn(NOW), -EAGAIN);
	peer_hang_up(&a);
	take_by_tcp(0, &q, &a, NOW);
	ck_assert(!a.edns);
	peer_answer(&peer[0], &a, GOOD);
	ck_assert_int_eq(turns(NOW), 0);
	check_found();
	peer_hang_up(&a);
}
END_TEST

/* ---- cancel ------------------------------------------------------------ */

enum stage { ASKED, WRONG_ID, CONNECTING, WAITS_FOR_ANSWER, HALF_AN_ANSWER,
    WAITS_FOR_BUFFER, OVER, STAGES };

static void
go_to(enum stage stage, struct asked *a, struct asked *lent)
{
	struct message m;

	a->tcp = -1;
	resolv.use_vc = stage >= CONNECTING && stage <= WAITS_FOR_BUFFER;
	if (stage == WAITS_FOR_BUFFER)
		lend_buffers(lent, NOW);
	start(NOW);
	if (!resolv.use_vc)
		take(0, a);
	if (stage == WRONG_ID || stage == OVER) {
		peer_answer(&peer[0], a, stage == OVER ? GOOD : GOOD ", id");
		(void)turn(NOW);
	}
	if (stage == WAITS_FOR_ANSWER || stage == HALF_AN_ANSWER)
		take_by_tcp(0, &q, a, NOW);
	if (stage == HALF_AN_ANSWER) {
		compose(&m, a, GOOD);
		ck_assert_uint_eq(send_some(a, framed(&m), m.n), m.n);
		ck_assert_int_eq(turn(NOW), -EAGAIN);
	}
}

START_TEST(cancel_gives_everything_back_and_may_be_repeated)
{
	struct asked a, lent[BUFFERS] = { { .tcp = -1 }, { .tcp = -1 },
	    { .tcp = -1 }, { .tcp = -1 } };
	int i, before;

	open_servers(1);
	before = descriptors();
	go_to((enum stage)_i, &a, lent);
	query_cancel(&q);
	query_cancel(&q);
	for (i = 0; i < BUFFERS; i++) {
		query_cancel(&other[i]);
		peer_hang_up(&lent[i]);
	}
	peer_hang_up(&a);
	while (ready(peer[0].tcp, POLLIN, 0)) {
		peer_accept(&peer[0], &a);
		peer_hang_up(&a);
	}
	ck_assert_int_eq(descriptors(), before);

	/* All buffers are there, and no more of them. */
	lend_buffers(lent, NOW);
	start(NOW);
	check_waits(0, NOW + TIMEOUT);
	for (i = 0; i < BUFFERS; i++)
		peer_hang_up(&lent[i]);
}
END_TEST

/* ---- other servers meanwhile ------------------------------------------- */

static void
change_servers(struct resolv *r, unsigned n)
{
	*r = resolv;
	r->servers = n;
	query_init(r, NULL);
}

/* The present attempt, at server 2, ends as it was. */
static const struct {
	unsigned servers;
	const char *script;
} fewer_servers[] = {
	{ 1, GOOD }, { 1, "servfail" }, { 1, "tc" }, { 1, GOOD ", id" },
	{ 2, GOOD }, { 2, "servfail" }, { 2, "tc" }, { 2, GOOD ", id" }
};

START_TEST(there_may_be_fewer_servers_meanwhile)
{
	const char *script = fewer_servers[_i].script;
	struct resolv fewer;
	struct asked a;
	int i;

	open_servers(3);
	start(NOW);
	for (i = 0; i < 2; i++) {
		take(i, &a);
		peer_answer(&peer[i], &a, "servfail");
		ck_assert_int_eq(turn(NOW), -EAGAIN);
	}
	take(2, &a);
	change_servers(&fewer, fewer_servers[_i].servers);
	check_waits(POLLIN, NOW + TIMEOUT);
	peer_answer(&peer[2], &a, script);
	if (strcmp(script, GOOD) == 0) {
		ck_assert_int_eq(turn(NOW), 0);
		check_found();
		return;
	}
	ck_assert_int_eq(turn(NOW), -EAGAIN);
	serve(0, NOW);
	check_found();
}
END_TEST

START_TEST(there_may_be_more_servers_meanwhile)
{
	struct resolv more;
	struct asked a;

	open_servers(3);
	resolv.servers = 1;
	resolv.attempts = 1;
	start(NOW);
	peer_take(&peer[0], &a);
	change_servers(&more, 3);
	ck_assert_int_eq(quiet_turn(NOW + TIMEOUT), -EAGAIN);
	peer_take(&peer[1], &a);
	peer_answer(&peer[1], &a, "servfail");
	ck_assert_int_eq(turn(NOW + TIMEOUT), -EAGAIN);
	peer_take(&peer[2], &a);
	peer_answer(&peer[2], &a, GOOD);
	ck_assert_int_eq(turn(NOW + TIMEOUT), 0);
	check_found();
}
END_TEST

START_TEST(new_servers_are_not_dead)
{
	struct resolv same;
	int64_t died;

	open_servers(2);
	died = kill_first(NOW);
	check_first(1, died);
	change_servers(&same, 2);
	check_first(0, died);
}
END_TEST

/* What the old one of that number said is no sign of life. */
START_TEST(an_old_answer_says_nothing_about_a_new_server)
{
	struct resolv same;

	open_servers(2);
	start(NOW);
	serve(0, NOW + 1);
	change_servers(&same, 2);
	check_first(1, kill_first(NOW + 1));
}
END_TEST

START_TEST(buffers_stay_lent_when_servers_change)
{
	struct asked a[BUFFERS];
	struct resolv same;
	int i;

	open_servers(1);
	lend_buffers(a, NOW);
	change_servers(&same, 1);
	start(NOW);
	check_waits(0, NOW + TIMEOUT);
	peer_answer(&peer[0], &a[0], GOOD);
	ck_assert_int_eq(turns_other(&other[0], NOW), 0);
	check_waits(0, 0);
	for (i = 0; i < BUFFERS; i++)
		peer_hang_up(&a[i]);
}
END_TEST

/* ---- no descriptors ---------------------------------------------------- */

/* One that has failed already tells so at once. */
START_TEST(without_a_descriptor_it_fails)
{
	open_servers(2);
	resolv.use_vc = _i == 1;
	limit_descriptors(true);
	start(NOW);
	limit_descriptors(false);
	check_waits(0, 0);
	ck_assert_int_eq(step_other(&q, NOW), -EMFILE);
	ck_assert(peer_is_quiet(&peer[0]));
	ck_assert(peer_is_quiet(&peer[1]));
}
END_TEST

/* What comes before the shortage, and what is told then. */
static const struct {
	const char *script;		/* NULL: silence */
	int error;
	bool edns;
} shortages[] = {
	{ NULL, -EMFILE, false }, { "servfail", -EPROTO, false },
	{ "tc", -EMFILE, false }, { GOOD ", id", -EMFILE, false },
	{ "formerr", -EMFILE, true }
};

START_TEST(a_shortage_may_come_later)
{
	struct asked a;
	int rc;

	open_servers(2);
	resolv.edns0 = shortages[_i].edns;
	start(NOW);
	take(0, &a);
	if (shortages[_i].script != NULL)
		peer_answer(&peer[0], &a, shortages[_i].script);
	interest(&q);
	if (shortages[_i].script != NULL)
		ck_assert_int_eq(poll(w.pfd, w.n, READY_MS), 1);
	limit_descriptors(true);
	rc = step_other(&q, NOW + TIMEOUT);
	limit_descriptors(false);
	ck_assert_int_eq(rc, shortages[_i].error);
	ck_assert_int_eq(q.fd, -1);
}
END_TEST

START_TEST(there_may_be_a_buffer_but_no_descriptor)
{
	struct asked a[BUFFERS];
	int i, rc;

	open_servers(1);
	lend_buffers(a, NOW);
	start(NOW);
	query_cancel(&other[0]);
	check_waits(0, 0);
	limit_descriptors(true);
	rc = quiet_turn(NOW);
	limit_descriptors(false);
	ck_assert_int_eq(rc, -EMFILE);
	query_cancel(&q);
	/* The buffer was not lost. */
	start(NOW);
	check_waits(POLLOUT, NOW + TIMEOUT);
	for (i = 0; i < BUFFERS; i++)
		peer_hang_up(&a[i]);
}
END_TEST

/* ---- what went wrong once ---------------------------------------------- */

/* It waited for a buffer, and then there was no route: no shortage. */
START_TEST(no_route_behind_the_wait_is_no_shortage)
{
	struct asked a[BUFFERS];
	struct resolv other_servers;
	int i;

	open_servers(1);
	resolv.attempts = 1;
	lend_buffers(a, NOW);
	start(NOW);
	change_servers(&other_servers, 1);
	other_servers.server[0].addr = address("224.0.0.1", 53);
	query_cancel(&other[0]);
	ck_assert_int_eq(quiet_turn(NOW), -ETIMEDOUT);
	for (i = 0; i < BUFFERS; i++)
		peer_hang_up(&a[i]);
}
END_TEST

/* Who waited for a buffer has not asked anybody. */
START_TEST(a_server_that_was_not_asked_is_not_dead)
{
	struct asked a[BUFFERS];
	struct resolv r;
	int i;

	open_servers(3);
	lend_buffers(a, NOW);
	change_servers(&r, 2);
	r.server[0] = resolv.server[1];
	r.server[1] = resolv.server[2];
	start(NOW);
	check_waits(0, NOW + TIMEOUT);
	ck_assert_int_eq(quiet_turn(NOW + TIMEOUT), -EAGAIN);
	query_cancel(&q);
	r.use_vc = false;
	start(NOW + TIMEOUT);
	ck_assert(peer_is_quiet(&peer[2]));
	ck_assert(!peer_is_quiet(&peer[1]));
	for (i = 0; i < BUFFERS; i++)
		peer_hang_up(&a[i]);
}
END_TEST

/* As one that is gone from its network is: EHOSTUNREACH after 3 s of ARP. */
START_TEST(a_server_that_cannot_be_reached_is_dead)
{
	struct asked a;
	int null = open("/dev/null", O_RDWR);

	open_servers(2);
	start(NOW);
	take(0, &a);
	ck_assert_int_eq(dup2(null, q.fd), q.fd);
	(void)close(null);
	ck_assert_int_eq(turn(NOW), -EAGAIN);
	serve(1, NOW);
	check_first(1, NOW);
}
END_TEST

START_TEST(an_old_attempt_says_nothing_about_a_new_server)
{
	struct asked a;
	struct resolv r;

	open_servers(3);
	start(NOW);
	take(0, &a);
	change_servers(&r, 2);
	r.server[0] = resolv.server[1];
	r.server[1] = resolv.server[2];
	ck_assert_int_eq(quiet_turn(NOW + TIMEOUT), -EAGAIN);
	query_cancel(&q);
	while (ready(peer[1].udp, POLLIN, 0))
		peer_take(&peer[1], &a);
	while (ready(peer[2].udp, POLLIN, 0))
		peer_take(&peer[2], &a);
	check_first(1, NOW + TIMEOUT);
}
END_TEST

/* ------------------------------------------------------------------------ */

static TCase *
new_case(Suite *s, const char *name)
{
	TCase *tc = tcase_create(name);

	tcase_add_checked_fixture(tc, begin, end);
	tcase_set_timeout(tc, 60);
	suite_add_tcase(s, tc);
	return tc;
}

static void
add_question_tests(Suite *s)
{
	TCase *tc = new_case(s, "question");

	tcase_add_loop_test(tc, a_question_is_sent_at_once, 0, 2);
	tcase_add_loop_test(tc, the_longest_name_can_be_asked_for, 0, 2);
	tcase_add_test(tc, ids_and_ports_differ);
	tcase_add_loop_test(tc, an_answer_ends_it, 0, COUNT(answers));
	tcase_add_test(tc, an_answer_in_the_last_moment_counts);
	tcase_add_loop_test(tc, what_does_not_fit_the_question_is_ignored, 0,
	    COUNT(misfits));
	tcase_add_test(tc, short_datagrams_are_ignored);
	tcase_add_test(tc, a_flood_does_not_move_the_deadline);
	tcase_add_test(tc, an_answer_from_another_port_is_not_seen);
}

static void
add_tcp_tests(Suite *s)
{
	TCase *tc = new_case(s, "tcp");

	tcase_add_loop_test(tc, truncation_and_a_wrong_id_lead_to_tcp, 0,
	    COUNT(to_tcp));
	tcase_add_test(tc, use_vc_asks_over_tcp_at_once);
	tcase_add_test(tc, an_answer_over_tcp_may_come_byte_by_byte);
	tcase_add_test(tc, an_answer_over_tcp_may_have_64_kib);
	tcase_add_test(tc, a_question_over_tcp_waits_until_it_can_be_sent);
	tcase_add_loop_test(tc, a_datagram_of_4096_bytes_may_have_been_cut, 0,
	    COUNT(sizes));
	tcase_add_loop_test(tc,
	    a_connection_that_ends_early_leads_to_the_next_server, 0,
	    COUNT(cuts));
	tcase_add_loop_test(tc, what_does_not_fit_over_tcp_is_a_failure, 0,
	    COUNT(bad_over_tcp));
	tcase_add_test(tc, an_empty_message_over_tcp_is_a_failure);
	tcase_add_test(tc, a_silent_connection_has_the_time_of_an_attempt);

	tc = new_case(s, "buffers");
	tcase_add_test(tc, the_fifth_over_tcp_waits_for_a_buffer);
	tcase_add_test(tc, of_two_that_wait_one_gets_the_buffer);
	tcase_add_test(tc, to_wait_for_a_buffer_is_part_of_the_attempt);
	tcase_add_test(tc, a_truncated_answer_waits_for_a_buffer);
}

static void
add_server_tests(Suite *s)
{
	TCase *tc = new_case(s, "servers");

	tcase_add_loop_test(tc, a_server_that_does_not_help_is_followed_at_once,
	    0, COUNT(failures));
	tcase_add_loop_test(tc, if_no_server_helps_the_last_one_tells, 0,
	    COUNT(failures));
	tcase_add_test(tc, silence_costs_exactly_the_time_out_of_resolv_conf);
	tcase_add_loop_test(tc,
	    all_servers_are_asked_in_turns_and_then_it_is_over, 0,
	    SERVERS_MAX * 5);
	tcase_add_loop_test(tc, what_a_server_said_is_worth_more_than_silence,
	    0, COUNT(mixtures));
	tcase_add_loop_test(tc, a_closed_port_is_followed_at_once, 0, 2);
	tcase_add_test(tc, a_server_without_tcp_is_followed_at_once);
	tcase_add_test(tc, rotate_begins_with_the_next_server_each_time);

	tc = new_case(s, "dead");
	tcase_add_test(tc, a_silent_server_is_asked_last_for_30_s);
	tcase_add_test(tc, dead_servers_are_asked_in_their_order);
	tcase_add_test(tc, if_all_are_dead_they_are_asked_as_usual);
	tcase_add_test(tc, a_dead_server_that_answers_is_first_again);
	tcase_add_test(tc, a_closed_port_is_dead_too);
	tcase_add_loop_test(tc, a_server_that_answers_others_is_not_dead, 0,
	    COUNT(signs));
	tcase_add_test(tc, one_that_fails_is_not_dead);
	tcase_add_test(tc, one_that_is_silent_over_tcp_only_is_not_dead);
}

static void
add_other_tests(Suite *s)
{
	TCase *tc = new_case(s, "edns");

	tcase_add_loop_test(tc, edns_is_left_out_if_the_server_does_not_like_it,
	    0, COUNT(plain_please));
	tcase_add_test(tc, edns_is_left_out_after_silence);
	tcase_add_test(tc, edns_stays_if_the_failure_is_another_one);
	tcase_add_test(tc, edns_goes_over_tcp_too);

	tc = new_case(s, "cancel");
	tcase_add_loop_test(tc,
	    cancel_gives_everything_back_and_may_be_repeated, 0, STAGES);

	tc = new_case(s, "change");
	tcase_add_loop_test(tc, there_may_be_fewer_servers_meanwhile, 0,
	    COUNT(fewer_servers));
	tcase_add_test(tc, there_may_be_more_servers_meanwhile);
	tcase_add_test(tc, new_servers_are_not_dead);
	tcase_add_test(tc, an_old_answer_says_nothing_about_a_new_server);
	tcase_add_test(tc, buffers_stay_lent_when_servers_change);

	tc = new_case(s, "shortage");
	tcase_add_loop_test(tc, without_a_descriptor_it_fails, 0, 2);
	tcase_add_loop_test(tc, a_shortage_may_come_later, 0,
	    COUNT(shortages));
	tcase_add_test(tc, there_may_be_a_buffer_but_no_descriptor);

	tc = new_case(s, "mended");
	tcase_add_test(tc, no_route_behind_the_wait_is_no_shortage);
	tcase_add_test(tc, a_server_that_was_not_asked_is_not_dead);
	tcase_add_test(tc, a_server_that_cannot_be_reached_is_dead);
	tcase_add_test(tc, an_old_attempt_says_nothing_about_a_new_server);
}

int
main(void)
{
	Suite *s = suite_create("query");
	SRunner *sr;
	int failed;

	add_question_tests(s);
	add_tcp_tests(s);
	add_server_tests(s);
	add_other_tests(s);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
