/* SPDX-License-Identifier: ISC */
/*
 * Unit tests of reach.c with all that is below it: a name server and targets
 * on loopback, rules, and virtual time.  A target that is to be found under
 * IPv6 has a mapped address, so that no IPv6 is needed here.  At the end of
 * every test no descriptor is left.
 */
#include <sys/resource.h>

#include "dns_peer.h"

#define NOW		((int64_t)1000000)
#define TIMEOUT		5000			/* of a question */
#define DELAY		250			/* between attempts */
#define OWNER		7u
#define NAME		"www.example"
#define OPEN		"allow from any to loopback port any\n"
#define NODATA		"soa 900 60"
#define NXDOMAIN	"nxdomain, soa 900 60"

static struct peer peer;
static struct config cfg;
static struct addr own[2], client;
static struct target target;
static struct reach r;
static void *memory, *arena;
static char hosts_path[256];
static int opened[64], opens;		/* closed when the test ends */
static int descriptors_before;
static struct waits w;

/* ---- set-up ------------------------------------------------------------ */

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
	unsigned char byte;

	opens = 0;
	/* It keeps a descriptor. */
	ck_assert_int_eq(sys_random(&byte, 1), 0);
	memset(&w, 0, sizeof w);
	w.max = resolver_waits() + RACE_MAX;
	w.pfd = calloc(w.max, sizeof *w.pfd);
	w.owner = calloc(w.max, sizeof *w.owner);
	ck_assert(w.pfd != NULL && w.owner != NULL);
	descriptors_before = descriptors();
	peer_open(&peer);
	client = address("192.0.2.10", 50000);
	memset(own, 0, sizeof own);
	memory = arena = NULL;
}

static void
end(void)
{
	int i;

	reach_cancel(&r, NOW);
	resolver_stop();
	peer_close(&peer);
	for (i = 0; i < opens; i++)
		(void)close(opened[i]);
	ck_assert_int_eq(descriptors(), descriptors_before);
	free(memory);
	free(arena);
	free(w.pfd);
	free(w.owner);
	(void)unlink(hosts_path);
}

static void
write_hosts(const char *text)
{
	const char *dir = getenv("TMPDIR");
	int fd;

	(void)snprintf(hosts_path, sizeof hosts_path, "%s/check_reach.XXXXXX",
	    dir != NULL ? dir : "/tmp");
	fd = mkstemp(hosts_path);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, text, strlen(text)), (int)strlen(text));
	(void)close(fd);
}

/* With these rules and this hosts file; the name server is the peer. */
static void
set_up_hosts(const char *rules, const char *hosts)
{
	size_t room = config_memory(strlen(rules));
	char error[CONFIG_ERROR_MAX];

	arena = calloc(1, room);
	memory = calloc(1, resolver_memory(strlen(hosts)));
	ck_assert(arena != NULL && memory != NULL);
	config_init(&cfg, arena, room);
	if (!config_file(&cfg, "rules", rules, strlen(rules), error))
		ck_abort_msg("%s", error);
	config_finish(&cfg);
	cfg.servers = 1;
	cfg.server[0].addr = peer.addr;
	write_hosts(hosts);
	cfg.hosts = hosts_path;
	resolver_init(&cfg, memory, strlen(hosts), NOW);
	reach_init(&cfg, own, COUNT(own));
}

static void
set_up(const char *rules)
{
	set_up_hosts(rules, "");
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

/* ---- targets ----------------------------------------------------------- */

/* A port that refuses under 127.0.0.1. */
static uint16_t
refusing_port(void)
{
	return port_of(keep(bound_socket(SOCK_STREAM, "127.0.0.1", 0)));
}

/* Listen on that port of that address, 0 for any.  False if this system does
 * not have the address; then there is nothing to test. */
static bool
serve(const char *ip, uint16_t *port)
{
	int fd;

	/* 127.0.0.2 and so on are there only on some systems. */
	fd = bound_socket(SOCK_STREAM, ip, *port);
	if (fd == -1)
		return false;
	keep(fd);
	ck_assert_int_eq(listen(fd, 8), 0);
	*port = port_of(fd);
	return true;
}

static uint16_t
good_port(void)
{
	uint16_t port = 0;

	ck_assert(serve("127.0.0.1", &port));
	return port;
}

static int
start_connect(uint16_t port)
{
	struct addr to = address("127.0.0.1", port);

	return keep(sys_connect(&to));
}

/* A port that does not answer under 127.0.0.1, since its queue is full; 0 if
 * this system answers in spite of that. */
static uint16_t
silent_port(void)
{
	int i, fd = keep(bound_socket(SOCK_STREAM, "127.0.0.1", 0));
	uint16_t port = port_of(fd);

	ck_assert_int_eq(listen(fd, 0), 0);
	for (i = 0; i < 8; i++)
		if (!ready(start_connect(port), POLLOUT, 100))
			return port;
	return 0;
}

/* ---- turns ------------------------------------------------------------- */

static void
interest(void)
{
	w.n = 0;
	w.deadline = WAIT_FOREVER;
	resolver_interest(&w);
	reach_interest(&r, &w, OWNER);
}

static int
step(int64_t now)
{
	resolver_step(&w, now);
	return reach_step(&r, &w, now);
}

/* A turn in which nothing is ready: only time has passed. */
static int
quiet_turn(int64_t now)
{
	interest();
	return step(now);
}

/* A turn that waits until something is. */
static int
turn(int64_t now)
{
	interest();
	ck_assert_int_gt(poll(w.pfd, w.n, READY_MS), 0);
	return step(now);
}

static void
check_waits(unsigned sockets, int64_t deadline)
{
	interest();
	ck_assert_uint_eq(w.n, sockets);
	ck_assert_int_eq(w.deadline, deadline);
}

/* Begin with a name or an address. */
static void
start_only(const char *text, uint16_t port, int64_t now)
{
	memset(&target, 0, sizeof target);
	if (addr_parse(text, strlen(text), &target.addr))
		addr_canonical(&target.addr);
	else {
		target.name_len = (uint8_t)strlen(text);
		memcpy(target.name, text, target.name_len);
	}
	target.addr.port = port;
	reach_start(&r, &client, &target, now);
}

/* And step at once. */
static int
start(const char *text, uint16_t port, int64_t now)
{
	start_only(text, port, now);
	interest();
	return reach_step(&r, &w, now);
}

/* The same with NAME, for which there is no answer yet. */
static void
start_name(uint16_t port, struct asked a[FAMILIES])
{
	ck_assert_int_eq(start(NAME, port, NOW), -EAGAIN);
	peer_take(&peer, &a[V6]);
	peer_take(&peer, &a[V4]);
	ck_assert_uint_eq(a[V6].type, DNS_AAAA);
	ck_assert_uint_eq(a[V4].type, DNS_A);
	ck_assert_str_eq(a[V4].name, NAME);
}

/* Turns until it is reached; there. */
static void
check_reached(const char *ip, uint16_t port, int64_t now)
{
	struct addr there = address(ip, port);
	int i, fd = -EAGAIN;

	for (i = 0; i < 10 && fd == -EAGAIN; i++)
		fd = turn(now);
	ck_assert_int_ge(fd, 0);
	ck_assert(addr_same_host(&r.address, &there));
	ck_assert_uint_eq(r.address.port, port);
	ck_assert_ptr_null(r.lookup);
	(void)close(fd);
}

static void
check_refusal(int status, const char *error, const char *rcode, unsigned line,
    const char *text)
{
	struct refusal why;

	memset(&why, 0xff, sizeof why);
	reach_refusal(&r, &why);
	ck_assert_str_eq(why.text, text);
	ck_assert_int_eq(why.status, status);
	ck_assert_str_eq(why.error, error);
	ck_assert_int_eq(why.rcode == NULL, rcode == NULL);
	if (rcode != NULL)
		ck_assert_str_eq(why.rcode, rcode);
	ck_assert_int_eq(why.rule == NULL, line == 0);
	if (line != 0)
		ck_assert_uint_eq(why.rule->line, line);
}

/* ---- rules ------------------------------------------------------------- */

START_TEST(an_address_that_is_allowed_is_dialled)
{
	uint16_t port = good_port();

	set_up(OPEN);
	ck_assert_int_eq(start("127.0.0.1", port, NOW), -EAGAIN);
	check_waits(1, WAIT_FOREVER);
	ck_assert_int_eq(w.pfd[0].events, POLLOUT);
	ck_assert_uint_eq(w.owner[0], OWNER);
	check_reached("127.0.0.1", port, NOW);
	ck_assert_int_eq(r.dns_ms, -1);
	ck_assert(peer_is_quiet(&peer));
	ck_assert_uint_eq(resolver_totals()->lookups, 0);
}
END_TEST

/* Refused before anything is asked or dialled. */
static const struct {
	const char *rules, *target;
	const char *error;
	unsigned line;
	const char *text;
} denials[] = {
	{ "allow to any\n", "127.0.0.1", "destination_ip_prohibited", 0,
	    "127.0.0.1 is a loopback address: a rule must name it" },
	{ "allow to any\n", "::ffff:127.0.0.1", "destination_ip_prohibited", 0,
	    "127.0.0.1 is a loopback address: a rule must name it" },
	{ "allow to public\n", "10.0.0.1", "destination_ip_prohibited", 0,
	    "this target is not allowed by the rules" },
	{ "deny to 10.0.0.0/8\nallow\n", "10.0.0.1",
	    "destination_ip_prohibited", 1, "the rules deny this target" },
	{ "allow port 80\n", "10.0.0.1", "http_request_denied", 0,
	    "port 443 is not allowed by the rules" },
	{ "allow from 10.0.0.0/8\n", NAME, "http_request_denied", 0,
	    "this client is not allowed by the rules" },
	{ "allow port 80\n", NAME, "http_request_denied", 0,
	    "port 443 is not allowed by the rules" },
	{ "allow to other.example\n", NAME, "http_request_denied", 0,
	    "this target is not allowed by the rules" },
	{ "allow to other.example\ndeny to .example\nallow\n", NAME,
	    "http_request_denied", 2, "the rules deny this target" }
};

START_TEST(what_the_rules_deny_is_neither_asked_for_nor_dialled)
{
	set_up(denials[_i].rules);
	ck_assert_int_eq(start(denials[_i].target, 443, NOW), -ECONNREFUSED);
	check_waits(0, WAIT_FOREVER);
	ck_assert_ptr_null(r.lookup);
	ck_assert_int_eq(r.dns_ms, -1);
	ck_assert(peer_is_quiet(&peer));
	ck_assert_uint_eq(resolver_totals()->lookups, 0);
	check_refusal(403, denials[_i].error, NULL, denials[_i].line,
	    denials[_i].text);
}
END_TEST

/* Each address of a name is judged by itself. */
static const struct {
	const char *rules, *v4;
	const char *dialled;		/* NULL: none */
	const char *error;
	unsigned line;
	const char *text;
} judged[] = {
	{ OPEN, "a 60 127.0.0.1", "127.0.0.1", NULL, 0, NULL },
	{ OPEN, "a 60 10.0.0.1, a 60 127.0.0.1", "127.0.0.1", NULL, 0, NULL },
	{ OPEN, "a 60 127.0.0.1, a 60 10.0.0.1", "127.0.0.1", NULL, 0, NULL },
	{ OPEN, "a 60 10.0.0.1, a 60 127.0.0.1, a 60 10.0.0.2", "127.0.0.1",
	    NULL, 0, NULL },
	{ "deny to 127.0.0.2\n" OPEN, "a 60 127.0.0.2, a 60 127.0.0.1",
	    "127.0.0.1", NULL, 0, NULL },
	{ OPEN, "a 60 10.0.0.1, a 60 10.0.0.2", NULL,
	    "destination_ip_prohibited", 0,
	    "this target is not allowed by the rules" },
	{ "allow port any\n", "a 60 127.0.0.1", NULL,
	    "destination_ip_prohibited", 0,
	    "what this name leads to is a loopback address: a rule must name "
	    "it" },
	{ "allow port any\n", "a 60 169.254.1.1, a 60 127.0.0.1", NULL,
	    "destination_ip_prohibited", 0,
	    "what this name leads to is a link-local address: a rule must name "
	    "it" },
	{ "deny to 127.0.0.0/8\n" OPEN, "a 60 127.0.0.1", NULL,
	    "destination_ip_prohibited", 1, "the rules deny this target" }
};

START_TEST(every_address_of_a_name_is_judged_by_itself)
{
	struct asked a[FAMILIES];
	uint16_t port = good_port();

	set_up(judged[_i].rules);
	start_name(port, a);
	check_waits(2, NOW + TIMEOUT);
	peer_answer(&peer, &a[V6], NODATA);
	peer_answer(&peer, &a[V4], judged[_i].v4);
	if (judged[_i].dialled == NULL) {
		ck_assert_int_eq(turn(NOW), -ECONNREFUSED);
		ck_assert_uint_eq(r.dial.count, 0);
		check_refusal(403, judged[_i].error, NULL, judged[_i].line,
		    judged[_i].text);
		return;
	}
	ck_assert_int_eq(turn(NOW), -EAGAIN);
	ck_assert_uint_eq(r.dial.count, 1);
	check_reached(judged[_i].dialled, port, NOW);
}
END_TEST

/* A name is denied under all its names and allowed under its own only. */
static const struct {
	const char *rules, *v4;
	const char *error;		/* NULL: it is reached */
	unsigned line;
	const char *text;
} aliases[] = {
	{ "deny to bad.example port any\n" OPEN, "a 60 127.0.0.1", NULL, 0,
	    NULL },
	{ "deny to bad.example port any\n" OPEN,
	    "cname 60 other.example, a 60 127.0.0.1", NULL, 0, NULL },
	{ "deny to bad.example port any\n" OPEN,
	    "cname 60 bad.example, a 60 127.0.0.1", "http_request_denied", 1,
	    "the rules deny this target" },
	{ "deny to .bad.example port any\n" OPEN,
	    "cname 60 a.bad.example, cname 60 b.example, a 60 127.0.0.1",
	    "http_request_denied", 1, "the rules deny this target" },
	{ OPEN "deny to bad.example port any\n",
	    "cname 60 bad.example, a 60 127.0.0.1", NULL, 0, NULL },
	{ "allow to bad.example port any\n",
	    "cname 60 bad.example, a 60 10.0.0.1", "http_request_denied", 0,
	    "this target is not allowed by the rules" }
};

START_TEST(names_on_the_way_may_be_denied)
{
	struct asked a[FAMILIES];
	uint16_t port = good_port();

	set_up(aliases[_i].rules);
	if (strstr(aliases[_i].rules, "loopback") == NULL) {
		/* It is not even asked for. */
		ck_assert_int_eq(start(NAME, port, NOW), -ECONNREFUSED);
		ck_assert(peer_is_quiet(&peer));
	} else {
		start_name(port, a);
		peer_answer(&peer, &a[V6], NODATA);
		peer_answer(&peer, &a[V4], aliases[_i].v4);
	}
	if (aliases[_i].error == NULL) {
		check_reached("127.0.0.1", port, NOW);
		return;
	}
	if (r.lookup != NULL)
		ck_assert_int_eq(turn(NOW), -ECONNREFUSED);
	check_refusal(403, aliases[_i].error, NULL, aliases[_i].line,
	    aliases[_i].text);
}
END_TEST

START_TEST(a_known_name_is_denied_under_all_its_names)
{
	struct asked a[FAMILIES];
	int i;

	set_up("deny to bad.example port any\n" OPEN);
	start_name(443, a);
	peer_answer(&peer, &a[V6], NODATA);
	peer_answer(&peer, &a[V4], "cname 60 bad.example, a 60 127.0.0.1");
	ck_assert_int_eq(turn(NOW), -ECONNREFUSED);
	for (i = 0; i < 2; i++) {
		check_refusal(403, "http_request_denied", NULL, 1,
		    "the rules deny this target");
		ck_assert_int_eq(start(NAME, 443, NOW + 1), -ECONNREFUSED);
		ck_assert(peer_is_quiet(&peer));
	}
}
END_TEST

/* Our listeners, a target, and whether it is one of them.  All have one port
 * but those with a '+'. */
static const struct {
	const char *own, *target;
	bool loops;
} loops[] = {
	{ "127.0.0.1", "127.0.0.1", true },
	{ "127.0.0.1", "::ffff:127.0.0.1", true },
	{ "127.0.0.1", "127.0.0.2", false },
	{ "127.0.0.1+", "127.0.0.1", false },
	{ "127.0.0.1", "0.0.0.0", true },
	{ "127.0.0.1", "::", true },
	{ "192.0.2.1", "0.0.0.0", true },
	{ "0.0.0.0", "127.0.0.1", true },
	{ "0.0.0.0", "0.0.0.0", true },
	{ "0.0.0.0+", "127.0.0.1", false },
	{ "0.0.0.0", "192.0.2.77", false },
	{ "0.0.0.0", "::1", false },
	{ "::", "127.0.0.1", false },
	{ "::", "::1", true },
	{ "::1", "::1", true },
	{ "::1", "127.0.0.1", false }
};

START_TEST(an_own_listener_is_no_target)
{
	char text[64];
	size_t n = strcspn(loops[_i].own, "+");
	uint16_t port = refusing_port();

	(void)snprintf(text, sizeof text, "%.*s", (int)n, loops[_i].own);
	own[1] = address(text, (uint16_t)(port + (loops[_i].own[n] == '+')));
	set_up("allow to 0.0.0.0/0,::/0 port any\n");
	start_only(loops[_i].target, port, NOW);
	ck_assert_uint_eq(r.dial.count, !loops[_i].loops);
	if (!loops[_i].loops)
		return;
	ck_assert_int_eq(quiet_turn(NOW), -ECONNREFUSED);
	check_refusal(502, "proxy_loop_detected", NULL, 0,
	    "the target is this proxy itself");
}
END_TEST

START_TEST(an_own_listener_is_skipped_among_the_addresses_of_a_name)
{
	struct asked a[FAMILIES];
	uint16_t port = good_port();

	own[0] = address("127.0.0.2", port);
	set_up(OPEN);
	start_name(port, a);
	peer_answer(&peer, &a[V6], NODATA);
	peer_answer(&peer, &a[V4], _i == 0 ? "a 60 127.0.0.2" :
	    "a 60 127.0.0.2, a 60 127.0.0.1");
	if (_i == 1) {
		check_reached("127.0.0.1", port, NOW);
		return;
	}
	ck_assert_int_eq(turn(NOW), -ECONNREFUSED);
	check_refusal(502, "proxy_loop_detected", NULL, 0,
	    "the target is this proxy itself");
}
END_TEST

/* What the rules say is told first. */
START_TEST(denied_is_told_rather_than_own)
{
	struct asked a[FAMILIES];

	own[0] = address("127.0.0.1", 443);
	set_up("deny to 10.0.0.0/8\nallow to loopback\n");
	start_name(443, a);
	peer_answer(&peer, &a[V6], NODATA);
	peer_answer(&peer, &a[V4], "a 60 127.0.0.1, a 60 10.0.0.1");
	ck_assert_int_eq(turn(NOW), -ECONNREFUSED);
	check_refusal(403, "destination_ip_prohibited", NULL, 1,
	    "the rules deny this target");
}
END_TEST

/* ---- two families ------------------------------------------------------ */

START_TEST(the_first_family_is_dialled_at_once)
{
	struct asked a[FAMILIES];
	uint16_t port = good_port();

	set_up(OPEN);
	start_name(port, a);
	peer_answer(&peer, &a[V6], "a 60 ::ffff:127.0.0.1");
	ck_assert_int_eq(turn(NOW + 30), -EAGAIN);
	check_waits(2, NOW + TIMEOUT);
	check_reached("127.0.0.1", port, NOW + 31);
	/* The other one is still asked for, for the cache. */
	check_waits(1, NOW + 31 + 1000);
	ck_assert_int_eq(r.dns_ms, 30);
}
END_TEST

START_TEST(ipv4_is_dialled_after_50_ms)
{
	struct asked a[FAMILIES];
	uint16_t port = good_port();

	set_up(OPEN);
	start_name(port, a);
	peer_answer(&peer, &a[V4], "a 60 127.0.0.1");
	ck_assert_int_eq(turn(NOW + 10), -EAGAIN);
	check_waits(1, NOW + 60);
	ck_assert_int_eq(quiet_turn(NOW + 59), -EAGAIN);
	ck_assert_uint_eq(r.dial.count, 0);
	ck_assert_int_eq(quiet_turn(NOW + 60), -EAGAIN);
	ck_assert_uint_eq(r.dial.count, 1);
	ck_assert_int_eq(r.dns_ms, 60);
	check_reached("127.0.0.1", port, NOW + 61);
}
END_TEST

START_TEST(a_late_family_joins_the_race)
{
	struct asked a[FAMILIES];
	uint16_t port = silent_port();

	if (port == 0 || !serve("127.0.0.2", &port))
		return;
	set_up(OPEN);
	start_name(port, a);
	peer_answer(&peer, &a[V6], "a 60 ::ffff:127.0.0.1");
	ck_assert_int_eq(turn(NOW), -EAGAIN);
	check_waits(2, NOW + TIMEOUT);
	peer_answer(&peer, &a[V4], "a 60 127.0.0.2");
	ck_assert_int_eq(turn(NOW + 100), -EAGAIN);
	ck_assert_ptr_null(r.lookup);
	check_waits(1, NOW + DELAY);
	ck_assert_int_eq(quiet_turn(NOW + DELAY), -EAGAIN);
	check_waits(2, WAIT_FOREVER);
	check_reached("127.0.0.2", port, NOW + DELAY);
	ck_assert_int_eq(r.dns_ms, 0);
}
END_TEST

/* What the second family brings after the race was lost. */
static const struct {
	const char *v4;
	bool reached;
} seconds[] = {
	{ "a 60 127.0.0.2", true }, { NODATA, false }, { NXDOMAIN, false },
	{ NULL, false }, { "a 60 10.0.0.1", false }
};

START_TEST(a_race_that_is_lost_waits_for_the_second_family)
{
	struct asked a[FAMILIES];
	uint16_t port = refusing_port();

	if (!serve("127.0.0.2", &port))
		return;
	set_up(OPEN);
	start_name(port, a);
	peer_answer(&peer, &a[V6], "a 60 ::ffff:127.0.0.1");
	ck_assert_int_eq(turn(NOW), -EAGAIN);
	ck_assert_int_eq(turn(NOW + 1), -EAGAIN);
	check_waits(1, NOW + TIMEOUT);
	check_refusal(502, "connection_refused", NULL, 0,
	    "the target refused the connection");
	if (seconds[_i].v4 != NULL)
		peer_answer(&peer, &a[V4], seconds[_i].v4);
	if (seconds[_i].reached) {
		check_reached("127.0.0.2", port, NOW + 2);
		return;
	}
	if (seconds[_i].v4 != NULL)
		ck_assert_int_eq(turn(NOW + 2), -ECONNREFUSED);
	else {
		ck_assert_int_eq(quiet_turn(NOW + TIMEOUT), -EAGAIN);
		ck_assert_int_eq(quiet_turn(NOW + 2 * TIMEOUT), -ECONNREFUSED);
	}
	check_refusal(502, "connection_refused", NULL, 0,
	    "the target refused the connection");
	check_waits(0, WAIT_FOREVER);
}
END_TEST

START_TEST(the_first_family_may_be_denied_altogether)
{
	struct asked a[FAMILIES];
	uint16_t port = good_port();

	set_up(OPEN);
	start_name(port, a);
	peer_answer(&peer, &a[V6], "a 60 2001:db8::1, a 60 fe80::1");
	ck_assert_int_eq(turn(NOW), -EAGAIN);
	ck_assert_uint_eq(r.dial.count, 0);
	ck_assert_int_eq(r.dns_ms, -1);
	check_waits(1, NOW + TIMEOUT);
	peer_answer(&peer, &a[V4], "a 60 127.0.0.1");
	ck_assert_int_eq(turn(NOW + 70), -EAGAIN);
	ck_assert_int_eq(r.dns_ms, 70);
	check_reached("127.0.0.1", port, NOW + 70);
}
END_TEST

/* It may be denied, and the other one brings nothing. */
START_TEST(the_first_denied_address_is_told)
{
	struct asked a[FAMILIES];

	set_up("deny to 2001:db8::/32\nallow\n");
	start_name(443, a);
	peer_answer(&peer, &a[V6], "a 60 2001:db8::1");
	ck_assert_int_eq(turn(NOW), -EAGAIN);
	peer_answer(&peer, &a[V4], _i == 0 ? "a 60 127.0.0.1" : NODATA);
	ck_assert_int_eq(turn(NOW), -ECONNREFUSED);
	check_refusal(403, "destination_ip_prohibited", NULL, 1,
	    "the rules deny this target");
}
END_TEST

START_TEST(families_take_turns)
{
	static const char *const order[] = { "::1", "127.0.0.1", "127.0.0.2",
	    "127.0.0.3" };
	struct asked a[FAMILIES];
	struct addr at;
	uint16_t port = refusing_port();
	int i;

	set_up(OPEN);
	start_name(port, a);
	peer_answer(&peer, &a[V6], "a 60 2001:db8::1, a 60 ::1, a 60 fe80::1");
	peer_answer(&peer, &a[V4], "a 60 127.0.0.1, a 60 10.0.0.1, "
	    "a 60 127.0.0.2, a 60 127.0.0.3");
	(void)turn(NOW);
	ck_assert_uint_eq(r.dial.count, COUNT(order));
	for (i = 0; i < COUNT(order); i++) {
		at = address(order[i], port);
		ck_assert_mem_eq(&r.dial.list[i], &at, sizeof at);
	}
}
END_TEST

/* ---- names ------------------------------------------------------------- */

START_TEST(a_name_of_the_hosts_file_takes_no_time)
{
	uint16_t port = good_port();

	set_up_hosts(OPEN, "127.0.0.1 " NAME "\n");
	ck_assert_int_eq(start(NAME, port, NOW), -EAGAIN);
	ck_assert_ptr_null(r.lookup);
	ck_assert_int_eq(r.dns_ms, 0);
	check_waits(1, WAIT_FOREVER);
	check_reached("127.0.0.1", port, NOW + 1);
	ck_assert(peer_is_quiet(&peer));
}
END_TEST

START_TEST(a_known_name_takes_no_time)
{
	struct asked a[FAMILIES];
	uint16_t port = good_port();

	set_up(OPEN);
	start_name(port, a);
	peer_answer(&peer, &a[V6], NODATA);
	ck_assert_int_eq(turn(NOW + 5), -EAGAIN);
	ck_assert_int_eq(r.dns_ms, -1);
	peer_answer(&peer, &a[V4], "a 60 127.0.0.1");
	ck_assert_int_eq(turn(NOW + 8), -EAGAIN);
	ck_assert_int_eq(r.dns_ms, 8);
	check_reached("127.0.0.1", port, NOW + 9);
	ck_assert_int_eq(start(NAME, port, NOW + 10), -EAGAIN);
	ck_assert_int_eq(r.dns_ms, 0);
	check_reached("127.0.0.1", port, NOW + 11);
	ck_assert(peer_is_quiet(&peer));
}
END_TEST

START_TEST(special_names_are_not_asked_for)
{
	uint16_t port = good_port();

	set_up_hosts(OPEN, "127.0.0.1 localhost\n");
	ck_assert_int_eq(start("localhost", port, NOW), -EAGAIN);
	check_reached("127.0.0.1", port, NOW);
	ck_assert_int_eq(start("x.invalid", port, NOW), -ECONNREFUSED);
	check_refusal(502, "dns_error", "NXDOMAIN", 0,
	    "there is no such name");
	ck_assert_int_eq(r.dns_ms, 0);
	ck_assert(peer_is_quiet(&peer));
}
END_TEST

/* What the families get, for ever, and what is told then.  NULL is silence. */
static const struct {
	const char *v6, *v4;
	int status;
	const char *error, *rcode, *text;
} failures[] = {
	{ NXDOMAIN, NULL, 502, "dns_error", "NXDOMAIN",
	    "there is no such name" },
	{ NODATA, NODATA, 502, "dns_error", "NOERROR",
	    "the name has no address" },
	{ NULL, NULL, 504, "dns_timeout", NULL,
	    "the name servers do not answer" },
	{ NODATA, NULL, 504, "dns_timeout", NULL,
	    "the name servers do not answer" },
	{ "servfail", "servfail", 502, "dns_error", "SERVFAIL",
	    "the name servers cannot resolve the name" },
	{ "formerr", NODATA, 502, "dns_error", "FORMERR",
	    "the name servers cannot resolve the name" },
	{ NULL, "notimp", 502, "dns_error", "NOTIMP",
	    "the name servers cannot resolve the name" },
	{ "refused", NULL, 502, "dns_error", "REFUSED",
	    "the name servers cannot resolve the name" },
	{ NODATA, "badcount", 502, "dns_error", "SERVFAIL",
	    "the name servers cannot resolve the name" },
	{ "notimp, servfail", NODATA, 502, "dns_error", "YXDOMAIN",
	    "the name servers cannot resolve the name" },
	{ "refused, refused", NODATA, 502, "dns_error", "NOTZONE",
	    "the name servers cannot resolve the name" },
	{ "refused, refused, formerr", NODATA, 502, "dns_error", "UNKNOWN",
	    "the name servers cannot resolve the name" },
	{ "refused, opt 255", NODATA, 502, "dns_error", "UNKNOWN",
	    "the name servers cannot resolve the name" }
};

/* Answer what was asked; was there anything to say? */
static bool
answer_all(const char *v6, const char *v4)
{
	const char *script;
	bool said = false;
	struct asked a;

	while (!peer_is_quiet(&peer)) {
		peer_take(&peer, &a);
		script = a.type == DNS_AAAA ? v6 : v4;
		if (script == NULL)
			continue;
		peer_answer(&peer, &a, script);
		said = true;
	}
	return said;
}

START_TEST(the_failure_of_the_lookup_is_told)
{
	int64_t now = NOW;
	int i, rc;

	set_up(OPEN);
	rc = start(NAME, 443, now);
	for (i = 0; i < 20 && rc == -EAGAIN; i++) {
		check_refusal(504, "dns_timeout", NULL, 0,
		    "the name was not resolved in time");
		if (answer_all(failures[_i].v6, failures[_i].v4)) {
			rc = turn(now);
			continue;
		}
		interest();
		now = w.deadline > now ? w.deadline : now;
		rc = quiet_turn(now);
	}
	ck_assert_int_eq(rc, -ECONNREFUSED);
	ck_assert_int_eq(r.dns_ms, now - NOW);
	ck_assert_ptr_null(r.lookup);
	check_refusal(failures[_i].status, failures[_i].error,
	    failures[_i].rcode, 0, failures[_i].text);
	check_waits(0, WAIT_FOREVER);
}
END_TEST

START_TEST(that_nobody_can_be_asked_is_told)
{
	int rc;

	set_up(OPEN);
	limit_descriptors(true);
	rc = start(NAME, 443, NOW);
	limit_descriptors(false);
	ck_assert_int_eq(rc, -EAGAIN);
	ck_assert_int_eq(quiet_turn(NOW), -ECONNREFUSED);
	check_refusal(503, "proxy_internal_error", NULL, 0,
	    "the proxy is out of descriptors to ask for the name");
}
END_TEST

START_TEST(that_too_many_names_wait_is_told)
{
	struct lookup *k[LOOKUPS_MAX + LOOKUPS_QUEUE];
	struct target t;
	int i;

	set_up(OPEN);
	memset(&t, 0, sizeof t);
	for (i = 0; i < COUNT(k); i++) {
		t.name_len = (uint8_t)snprintf(t.name, sizeof t.name,
		    "n%d.example", i);
		k[i] = resolver_start(&t, NOW);
		ck_assert_ptr_nonnull(k[i]);
	}
	ck_assert_int_eq(start(NAME, 443, NOW), -ECONNREFUSED);
	ck_assert_int_eq(r.dns_ms, -1);
	check_refusal(503, "proxy_internal_error", NULL, 0,
	    "too many names are being looked up");
	for (i = 0; i < COUNT(k); i++)
		resolver_release(k[i], NOW);
}
END_TEST

START_TEST(one_name_for_many_is_asked_for_once)
{
	static struct reach others[40];
	struct asked a[FAMILIES];
	uint16_t port = good_port();
	int i, fd;

	set_up(OPEN);
	start_name(port, a);
	for (i = 0; i < COUNT(others); i++) {
		reach_start(&others[i], &client, &target, NOW);
		ck_assert_ptr_eq(others[i].lookup, r.lookup);
	}
	ck_assert(peer_is_quiet(&peer));
	peer_answer(&peer, &a[V6], "a 60 ::ffff:127.0.0.1");
	peer_answer(&peer, &a[V4], NODATA);
	check_reached("127.0.0.1", port, NOW);
	for (i = 0; i < COUNT(others); i++) {
		ck_assert_int_eq(reach_step(&others[i], &w, NOW), -EAGAIN);
		w.n = 0;
		reach_interest(&others[i], &w, OWNER);
		ck_assert_int_eq(poll(w.pfd, w.n, READY_MS), 1);
		fd = reach_step(&others[i], &w, NOW);
		ck_assert_int_ge(fd, 0);
		(void)close(fd);
		(void)close(accept(opened[0], NULL, NULL));
	}
	ck_assert_uint_eq(resolver_totals()->asked, 1);
}
END_TEST

/* ---- refusals of the race ---------------------------------------------- */

START_TEST(a_target_that_refuses_is_told)
{
	uint16_t port = refusing_port();

	set_up(OPEN);
	ck_assert_int_eq(start("127.0.0.1", port, NOW), -EAGAIN);
	check_refusal(504, "connection_timeout", NULL, 0,
	    "the target did not answer in time");
	ck_assert_int_eq(turn(NOW), -ECONNREFUSED);
	check_refusal(502, "connection_refused", NULL, 0,
	    "the target refused the connection");
}
END_TEST

START_TEST(a_target_without_a_route_is_told)
{
	set_up("allow to 224.0.0.0/4 port any\n");
	ck_assert_int_eq(start("224.0.0.1", 443, NOW), -ECONNREFUSED);
	check_refusal(502, "destination_ip_unroutable", NULL, 0,
	    "the proxy has no route to the target");
}
END_TEST

START_TEST(that_there_is_no_descriptor_to_dial_is_told)
{
	int rc;

	set_up("allow to 192.0.2.0/24 port any\n");
	limit_descriptors(true);
	rc = start("192.0.2.1", 443, NOW);
	limit_descriptors(false);
	ck_assert_int_eq(rc, -ECONNREFUSED);
	check_refusal(503, "proxy_internal_error", NULL, 0,
	    "the proxy is out of descriptors, ports or memory");
}
END_TEST

/* All failures of a race, when it is over and when an attempt is silent. */
static const struct {
	enum dial_failure failure;
	int status;
	const char *error, *text;
} races[] = {
	{ DIAL_UNREACHABLE, 502, "destination_ip_unroutable",
	    "the proxy has no route to the target" },
	{ DIAL_PROHIBITED, 502, "destination_ip_prohibited",
	    "the proxy's system does not let it reach the target" },
	{ DIAL_NO_DESCRIPTOR, 503, "proxy_internal_error",
	    "the proxy is out of descriptors, ports or memory" },
	{ DIAL_TIMEOUT, 504, "connection_timeout",
	    "the target did not answer in time" },
	{ DIAL_REFUSED, 502, "connection_refused",
	    "the target refused the connection" },
	{ DIAL_SELF, 502, "proxy_loop_detected",
	    "the connection to the target met itself" }
};

START_TEST(every_failure_of_a_race_is_told)
{
	uint16_t port = refusing_port();

	set_up(OPEN);
	ck_assert_int_eq(start("127.0.0.1", port, NOW), -EAGAIN);
	r.dial.failure = (uint8_t)races[_i].failure;
	if (races[_i].failure < DIAL_TIMEOUT)
		check_refusal(504, "connection_timeout", NULL, 0,
		    "the target did not answer in time");
	else
		check_refusal(races[_i].status, races[_i].error, NULL, 0,
		    races[_i].text);
	reach_cancel(&r, NOW);
	r.dial.failure = (uint8_t)races[_i].failure;
	check_refusal(races[_i].status, races[_i].error, NULL, 0,
	    races[_i].text);
}
END_TEST

/* An address that was denied does not matter if another one was dialled. */
START_TEST(dialled_is_told_rather_than_denied)
{
	struct asked a[FAMILIES];
	uint16_t port = refusing_port();

	set_up(OPEN);
	start_name(port, a);
	peer_answer(&peer, &a[V6], "a 60 2001:db8::1");
	peer_answer(&peer, &a[V4], "a 60 127.0.0.1");
	ck_assert_int_eq(turn(NOW), -EAGAIN);
	ck_assert_int_eq(turn(NOW), -ECONNREFUSED);
	check_refusal(502, "connection_refused", NULL, 0,
	    "the target refused the connection");
}
END_TEST

/* ---- cancel ------------------------------------------------------------ */

enum stage { ASKING, HALF_KNOWN, RACING, LOST, STAGES };

START_TEST(cancel_gives_everything_back_and_may_be_repeated)
{
	struct asked a[FAMILIES];
	uint16_t port = refusing_port();
	int before;

	set_up(OPEN);
	before = descriptors();
	start_name(port, a);
	if (_i >= HALF_KNOWN) {
		peer_answer(&peer, &a[V6], "a 60 2001:db8::1");
		ck_assert_int_eq(turn(NOW), -EAGAIN);
	}
	if (_i >= RACING) {
		peer_answer(&peer, &a[V4], "a 60 127.0.0.1");
		ck_assert_int_eq(turn(NOW), -EAGAIN);
	}
	if (_i >= LOST)
		ck_assert_int_eq(turn(NOW), -ECONNREFUSED);
	reach_cancel(&r, NOW);
	reach_cancel(&r, NOW);
	/* One family is known: the other one is waited for, for the cache. */
	if (_i == HALF_KNOWN) {
		check_waits(1, NOW + 1000);
		resolver_step(&w, NOW + 1000);
	}
	check_waits(0, WAIT_FOREVER);
	ck_assert_int_eq(descriptors(), before);
}
END_TEST

START_TEST(cancel_leaves_a_connection_alone)
{
	uint16_t port = good_port();
	int fd;

	set_up(OPEN);
	ck_assert_int_eq(start("127.0.0.1", port, NOW), -EAGAIN);
	fd = turn(NOW);
	ck_assert_int_ge(fd, 0);
	reach_cancel(&r, NOW);
	ck_assert_int_ne(fcntl(fd, F_GETFD), -1);
	(void)close(fd);
}
END_TEST

START_TEST(cancel_of_one_leaves_the_lookup_to_others)
{
	struct asked a[FAMILIES];
	struct reach other;
	uint16_t port = good_port();

	set_up(OPEN);
	start_name(port, a);
	reach_start(&other, &client, &target, NOW);
	reach_cancel(&other, NOW);
	peer_answer(&peer, &a[V6], "a 60 ::ffff:127.0.0.1");
	check_reached("127.0.0.1", port, NOW);
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
add_way_tests(Suite *s)
{
	TCase *tc = new_case(s, "rules");

	tcase_add_test(tc, an_address_that_is_allowed_is_dialled);
	tcase_add_loop_test(tc,
	    what_the_rules_deny_is_neither_asked_for_nor_dialled, 0,
	    COUNT(denials));
	tcase_add_loop_test(tc, every_address_of_a_name_is_judged_by_itself, 0,
	    COUNT(judged));
	tcase_add_loop_test(tc, names_on_the_way_may_be_denied, 0,
	    COUNT(aliases));
	tcase_add_test(tc, a_known_name_is_denied_under_all_its_names);
	tcase_add_loop_test(tc, an_own_listener_is_no_target, 0, COUNT(loops));
	tcase_add_loop_test(tc,
	    an_own_listener_is_skipped_among_the_addresses_of_a_name, 0, 2);
	tcase_add_test(tc, denied_is_told_rather_than_own);

	tc = new_case(s, "families");
	tcase_add_test(tc, the_first_family_is_dialled_at_once);
	tcase_add_test(tc, ipv4_is_dialled_after_50_ms);
	tcase_add_test(tc, a_late_family_joins_the_race);
	tcase_add_loop_test(tc, a_race_that_is_lost_waits_for_the_second_family,
	    0, COUNT(seconds));
	tcase_add_test(tc, the_first_family_may_be_denied_altogether);
	tcase_add_loop_test(tc, the_first_denied_address_is_told, 0, 2);
	tcase_add_test(tc, families_take_turns);
}

static void
add_end_tests(Suite *s)
{
	TCase *tc = new_case(s, "names");

	tcase_add_test(tc, a_name_of_the_hosts_file_takes_no_time);
	tcase_add_test(tc, a_known_name_takes_no_time);
	tcase_add_test(tc, special_names_are_not_asked_for);
	tcase_add_loop_test(tc, the_failure_of_the_lookup_is_told, 0,
	    COUNT(failures));
	tcase_add_test(tc, that_nobody_can_be_asked_is_told);
	tcase_add_test(tc, that_too_many_names_wait_is_told);
	tcase_add_test(tc, one_name_for_many_is_asked_for_once);

	tc = new_case(s, "race");
	tcase_add_test(tc, a_target_that_refuses_is_told);
	tcase_add_test(tc, a_target_without_a_route_is_told);
	tcase_add_test(tc, that_there_is_no_descriptor_to_dial_is_told);
	tcase_add_loop_test(tc, every_failure_of_a_race_is_told, 0,
	    COUNT(races));
	tcase_add_test(tc, dialled_is_told_rather_than_denied);

	tc = new_case(s, "cancel");
	tcase_add_loop_test(tc,
	    cancel_gives_everything_back_and_may_be_repeated, 0, STAGES);
	tcase_add_test(tc, cancel_leaves_a_connection_alone);
	tcase_add_test(tc, cancel_of_one_leaves_the_lookup_to_others);
}

int
main(void)
{
	Suite *s = suite_create("reach");
	SRunner *sr;
	int failed;

	add_way_tests(s);
	add_end_tests(s);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
