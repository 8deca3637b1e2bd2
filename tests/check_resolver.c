/* SPDX-License-Identifier: ISC */
/*
 * Unit tests of resolver.c with all that is below it: a name server on
 * loopback, files of its own, and virtual time.  Where resolv.conf is tested,
 * the servers that it names are not asked, since their port is 53: the test
 * puts its own in their place, or looks only where a socket is connected to.
 * At the end of every test no descriptor is left.
 */
#include <sys/resource.h>

#include "dns_peer.h"

#define NOW		((int64_t)1000000)	/* when a lookup begins */
#define TIMEOUT		5000			/* of one attempt */
#define SECOND		1000
#define DELAY		50			/* RFC 8305 3 */
#define LINGER		1000
#define WHOLE		30000			/* of a lookup */
#define ROOM		4096			/* for the hosts file */
#define NAME		"www.example"
#define A4		"192.0.2.1"
#define A6		"2001:db8::1"
#define GOOD4		"a 300 " A4
#define GOOD6		"a 300 " A6
#define NODATA		"soa 900 60"
#define NXDOMAIN	"nxdomain, soa 900 60"

static struct peer peer;
static struct config cfg;
static struct resolv mine;		/* the servers to ask, if not cfg's */
static void *memory;
static char directory[256], hosts_path[300], resolv_path[300], log_path[300];
static int descriptors_before, stderr_before = -1;
static struct waits w;

/* ---- set-up ------------------------------------------------------------ */

static void
begin(void)
{
	const char *dir = getenv("TMPDIR");
	unsigned char byte;

	(void)snprintf(directory, sizeof directory, "%s/check_resolver.XXXXXX",
	    dir != NULL ? dir : "/tmp");
	ck_assert_ptr_nonnull(mkdtemp(directory));
	(void)snprintf(hosts_path, sizeof hosts_path, "%s/hosts", directory);
	(void)snprintf(resolv_path, sizeof resolv_path, "%s/resolv", directory);
	(void)snprintf(log_path, sizeof log_path, "%s/log", directory);
	/* It keeps a descriptor. */
	ck_assert_int_eq(sys_random(&byte, 1), 0);
	memset(&cfg, 0, sizeof cfg);
	cfg.hosts = hosts_path;
	cfg.resolv = resolv_path;
	memset(&w, 0, sizeof w);
	w.max = resolver_waits();
	w.pfd = calloc(w.max, sizeof *w.pfd);
	w.owner = calloc(w.max, sizeof *w.owner);
	memory = calloc(1, resolver_memory(ROOM));
	ck_assert(w.pfd != NULL && w.owner != NULL && memory != NULL);
	descriptors_before = descriptors();
	peer_open(&peer);
}

static void
end(void)
{
	resolver_stop();
	peer_close(&peer);
	if (stderr_before != -1) {
		(void)dup2(stderr_before, 2);
		sys_close(&stderr_before);
	}
	ck_assert_int_eq(descriptors(), descriptors_before);
	free(memory);
	free(w.pfd);
	free(w.owner);
	(void)unlink(hosts_path);
	(void)unlink(resolv_path);
	(void)unlink(log_path);
	(void)rmdir(directory);
}

/* Put another file in its place, as editors and DHCP clients do. */
static void
write_file(const char *path, const char *text)
{
	char beside[320];
	FILE *f;

	(void)snprintf(beside, sizeof beside, "%s.new", path);
	f = fopen(beside, "w");
	ck_assert_ptr_nonnull(f);
	ck_assert_uint_eq(fwrite(text, 1, strlen(text), f), strlen(text));
	ck_assert_int_eq(fclose(f), 0);
	ck_assert_int_eq(rename(beside, path), 0);
}

/* What is logged from here on goes into a file. */
static void
catch_log(void)
{
	FILE *f = fopen(log_path, "w");

	ck_assert_ptr_nonnull(f);
	stderr_before = fcntl(2, F_DUPFD, 10);
	ck_assert_int_ge(stderr_before, 0);
	ck_assert_int_eq(dup2(fileno(f), 2), 2);
	ck_assert_int_eq(fclose(f), 0);
	sys_log_open(LEVEL_INFO);
}

static const char *
log_text(void)
{
	static char text[4096];
	FILE *f = fopen(log_path, "r");

	ck_assert_ptr_nonnull(f);
	text[fread(text, 1, sizeof text - 1, f)] = '\0';
	ck_assert_int_eq(fclose(f), 0);
	return text;
}

/* The name server is the peer, and there is no resolv.conf. */
static void
set_up(const char *hosts)
{
	write_file(hosts_path, hosts);
	cfg.servers = 1;
	cfg.server[0].addr = peer.addr;
	resolver_init(&cfg, memory, ROOM, NOW);
}

static void
use_peer(void)
{
	names_resolv_init(&mine);
	mine.servers = 1;
	mine.server[0].addr = peer.addr;
	query_init(&mine, NULL);
}

/* With a resolv.conf; yet it is the peer that is asked. */
static void
set_up_resolv(const char *resolv)
{
	write_file(hosts_path, "");
	write_file(resolv_path, resolv);
	resolver_init(&cfg, memory, ROOM, NOW);
	use_peer();
}

static struct lookup *
start_target(const char *name, bool absolute, int64_t now)
{
	struct target t;

	memset(&t, 0, sizeof t);
	t.absolute = absolute;
	t.name_len = (uint8_t)strlen(name);
	memcpy(t.name, name, t.name_len);
	return resolver_start(&t, now);
}

static struct lookup *
start(const char *name, int64_t now)
{
	struct lookup *k = start_target(name, false, now);

	ck_assert_ptr_nonnull(k);
	return k;
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
interest(void)
{
	w.n = 0;
	w.deadline = WAIT_FOREVER;
	resolver_interest(&w);
}

/* A turn in which nothing is ready: only time has passed. */
static void
quiet_turn(int64_t now)
{
	interest();
	resolver_step(&w, now);
}

/* A turn that waits until something is. */
static void
turn(int64_t now)
{
	interest();
	ck_assert_int_gt(poll(w.pfd, w.n, READY_MS), 0);
	resolver_step(&w, now);
}

/* So many sockets are waited for, and until then. */
static void
check_waits(unsigned sockets, int64_t deadline)
{
	unsigned i;

	interest();
	ck_assert_uint_eq(w.n, sockets);
	ck_assert_int_eq(w.deadline, deadline);
	for (i = 0; i < w.n; i++)
		ck_assert_int_eq(w.pfd[i].events, POLLIN);
}

/* ---- questions and answers --------------------------------------------- */

static void
take(unsigned type, const char *name, struct asked *a)
{
	peer_take(&peer, a);
	ck_assert_uint_eq(a->type, type);
	ck_assert_str_eq(a->name, name);
}

/* Both questions for a name. */
static void
take_pair(const char *name, struct asked a[FAMILIES])
{
	take(DNS_AAAA, name, &a[V6]);
	take(DNS_A, name, &a[V4]);
}

/* Both, and nothing else. */
static void
take_both(const char *name, struct asked a[FAMILIES])
{
	take_pair(name, a);
	ck_assert(peer_is_quiet(&peer));
}

/* Answer what was asked, a family with NULL not; was there anything to say? */
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

/* Turns until the lookup is done, with such answers; the time when it is. */
static int64_t
run(const struct lookup *k, const char *v6, const char *v4, int64_t now)
{
	int i;

	for (i = 0; i < 100 && !resolver_answer(k)->done; i++) {
		if (answer_all(v6, v4)) {
			turn(now);
			continue;
		}
		interest();
		ck_assert_int_ne(w.deadline, WAIT_FOREVER);
		if (w.deadline > now)
			now = w.deadline;
		quiet_turn(now);
	}
	ck_assert(resolver_answer(k)->done);
	return now;
}

/* The same from the beginning, and then it is released. */
static int64_t
resolve(const char *name, const char *v6, const char *v4, int64_t now)
{
	struct lookup *k = start(name, now);

	now = run(k, v6, v4, now);
	resolver_release(k, now);
	return now;
}

static const char *
as_text(const struct addr_list *list)
{
	static char out[ADDRESSES_MAX * ADDR_TEXT_MAX];
	unsigned i;

	out[0] = '\0';
	for (i = 0; i < list->n; i++) {
		ck_assert_uint_eq(list->addr[i].port, 0);
		if (i > 0)
			strcat(out, " ");
		(void)addr_format(&list->addr[i], false,
		    out + strlen(out));
	}
	return out;
}

static void
check_lists(const struct lookup *k, const char *v6, const char *v4)
{
	const struct answer *a = resolver_answer(k);

	ck_assert_str_eq(as_text(&a->list[V6]), v6);
	ck_assert_str_eq(as_text(&a->list[V4]), v4);
}

static void
check_ready(const struct lookup *k, bool v6, bool v4, bool done)
{
	const struct answer *a = resolver_answer(k);

	ck_assert_int_eq(a->ready[V6], v6);
	ck_assert_int_eq(a->ready[V4], v4);
	ck_assert_int_eq(a->done, done);
}

/* It is done, in this way. */
static void
check_done(const struct lookup *k, enum name_failure failure)
{
	check_ready(k, true, true, true);
	ck_assert_int_eq(resolver_answer(k)->failure, failure);
}

static void
check_found(const struct lookup *k, const char *v6, const char *v4)
{
	check_done(k, NAME_FOUND);
	check_lists(k, v6, v4);
}

static void
check_failed(const struct lookup *k, enum name_failure failure, unsigned rcode)
{
	check_done(k, failure);
	check_lists(k, "", "");
	if (failure == NAME_FAILED)
		ck_assert_uint_eq(resolver_answer(k)->rcode, rcode);
}

static void
check_aliases(const struct lookup *k, const char *text)
{
	const struct dns_names *names = &resolver_answer(k)->aliases;
	char out[DNS_NAMES_ROOM + 1] = "";
	const char *p;
	size_t at = 0, n;

	while ((p = dns_names_next(names, &at, &n)) != NULL) {
		if (out[0] != '\0')
			strcat(out, " ");
		strncat(out, p, n);
	}
	ck_assert_str_eq(out, text);
}

static void
check_totals(uint64_t lookups, uint64_t cached, uint64_t asked,
    uint64_t failed, uint64_t full)
{
	const struct resolver_totals *t = resolver_totals();

	ck_assert_uint_eq(t->lookups, lookups);
	ck_assert_uint_eq(t->cached, cached);
	ck_assert_uint_eq(t->asked, asked);
	ck_assert_uint_eq(t->failed, failed);
	ck_assert_uint_eq(t->full, full);
}

/* Is it known, without a question? */
static bool
is_known(const char *name, int64_t now)
{
	struct lookup *k = start(name, now);
	bool known = resolver_answer(k)->done;

	ck_assert(known == peer_is_quiet(&peer));
	resolver_release(k, now);
	(void)answer_all(NULL, NULL);
	return known;
}

static const char *
numbered(int i)
{
	static char name[32];

	(void)snprintf(name, sizeof name, "n%d.example", i);
	return name;
}

/* ---- what needs no server ---------------------------------------------- */

static const char local_hosts[] =
	"192.0.2.1	one.example\n"
	"2001:db8::1	one.example one\n"
	"192.0.2.2	two.example	# and not a word about IPv6\n"
	"192.0.2.3	one.example\n"
	"::ffff:192.0.2.4 three.example\n"
	"127.0.0.9	my.localhost\n";

static const struct {
	const char *name;
	enum name_failure failure;
	const char *v6, *v4;
} local[] = {
	{ "one.example", NAME_FOUND, "2001:db8::1", "192.0.2.1 192.0.2.3" },
	{ "one", NAME_FOUND, "2001:db8::1", "" },
	{ "two.example", NAME_FOUND, "", "192.0.2.2" },
	{ "three.example", NAME_FOUND, "", "192.0.2.4" },
	{ "my.localhost", NAME_FOUND, "", "127.0.0.9" },
	{ "your.localhost", NAME_FOUND, "::1", "127.0.0.1" },
	{ "localhost", NAME_FOUND, "::1", "127.0.0.1" },
	{ "a.b.localhost", NAME_FOUND, "::1", "127.0.0.1" },
	{ "invalid", NAME_UNKNOWN, "", "" },
	{ "a.b.invalid", NAME_UNKNOWN, "", "" },
	{ "onion", NAME_UNKNOWN, "", "" },
	{ "a.b.onion", NAME_UNKNOWN, "", "" }
};

START_TEST(some_names_need_no_server)
{
	struct lookup *k;

	set_up(local_hosts);
	k = start_target(local[_i].name, _i % 2 == 1, NOW);
	check_done(k, local[_i].failure);
	check_lists(k, local[_i].v6, local[_i].v4);
	check_aliases(k, "");
	ck_assert(peer_is_quiet(&peer));
	check_waits(0, WAIT_FOREVER);
	check_totals(1, 0, 0, 0, 0);
	resolver_release(k, NOW);
}
END_TEST

static const char *const ordinary[] = {
	"localhost.example", "xlocalhost", "invalid.example", "xonion",
	"test", "host.test", "host.local", "one.example.example"
};

START_TEST(all_others_do)
{
	struct asked a[FAMILIES];

	set_up(local_hosts);
	start(ordinary[_i], NOW);
	take_both(ordinary[_i], a);
	check_totals(1, 0, 1, 0, 0);
}
END_TEST

START_TEST(the_hosts_file_may_say_what_localhost_is)
{
	set_up("127.0.0.5 localhost\n");
	check_found(start("localhost", NOW), "", "127.0.0.5");
}
END_TEST

START_TEST(a_local_answer_holds_until_the_next_one)
{
	struct lookup *k;

	set_up(local_hosts);
	resolver_release(start("one.example", NOW), NOW);
	k = start("two.example", NOW);
	check_found(k, "", "192.0.2.2");
	resolver_release(k, NOW);
	k = start("no.invalid", NOW);
	check_failed(k, NAME_UNKNOWN, 0);
	resolver_release(k, NOW);
}
END_TEST

/* ---- two families ------------------------------------------------------ */

START_TEST(both_families_are_asked_at_once)
{
	struct asked a[FAMILIES];
	struct lookup *k;

	set_up("");
	k = start(NAME, NOW);
	take_both(NAME, a);
	check_ready(k, false, false, false);
	check_lists(k, "", "");
	check_waits(2, NOW + TIMEOUT);
	check_totals(1, 0, 1, 0, 0);
	quiet_turn(NOW);
	check_ready(k, false, false, false);
	check_waits(2, NOW + TIMEOUT);
}
END_TEST

START_TEST(ipv6_is_ready_when_it_comes)
{
	struct asked a[FAMILIES];
	struct lookup *k;

	set_up("");
	k = start(NAME, NOW);
	take_both(NAME, a);
	peer_answer(&peer, &a[V6], GOOD6);
	turn(NOW + 10);
	check_ready(k, true, false, false);
	check_lists(k, A6, "");
	check_waits(1, NOW + TIMEOUT);
	peer_answer(&peer, &a[V4], GOOD4);
	turn(NOW + 20);
	check_found(k, A6, A4);
	check_waits(0, WAIT_FOREVER);
	check_totals(1, 0, 1, 0, 0);
}
END_TEST

START_TEST(ipv4_waits_50_ms_for_ipv6)
{
	struct asked a[FAMILIES];
	struct lookup *k;

	set_up("");
	k = start(NAME, NOW);
	take_both(NAME, a);
	peer_answer(&peer, &a[V4], GOOD4);
	turn(NOW + 10);
	check_ready(k, false, false, false);
	check_waits(1, NOW + 10 + DELAY);
	quiet_turn(NOW + 10 + DELAY - 1);
	check_ready(k, false, false, false);
	check_waits(1, NOW + 10 + DELAY);
	quiet_turn(NOW + 10 + DELAY);
	check_ready(k, false, true, false);
	check_lists(k, "", A4);
	check_waits(1, NOW + TIMEOUT);
	/* What comes later is there too. */
	peer_answer(&peer, &a[V6], GOOD6);
	turn(NOW + 1000);
	check_found(k, A6, A4);
	check_waits(0, WAIT_FOREVER);
}
END_TEST

/* Whatever IPv6 is, when it is known there is nothing to wait for. */
static const struct {
	const char *script, *v6;
} ends_of_wait[] = {
	{ GOOD6, A6 }, { NODATA, "" }, { "", "" }, { NXDOMAIN, "" }
};

START_TEST(an_answer_for_ipv6_ends_the_wait)
{
	struct asked a[FAMILIES];
	struct lookup *k;

	set_up("");
	k = start(NAME, NOW);
	take_both(NAME, a);
	peer_answer(&peer, &a[V4], GOOD4);
	turn(NOW);
	check_ready(k, false, false, false);
	peer_answer(&peer, &a[V6], ends_of_wait[_i].script);
	turn(NOW + DELAY - 1);
	check_found(k, ends_of_wait[_i].v6, A4);
	check_waits(0, WAIT_FOREVER);
}
END_TEST

START_TEST(without_ipv6_ipv4_is_ready_when_it_comes)
{
	struct asked a[FAMILIES];
	struct lookup *k;

	set_up("");
	k = start(NAME, NOW);
	take_both(NAME, a);
	peer_answer(&peer, &a[V6], NODATA);
	turn(NOW);
	check_ready(k, false, false, false);
	check_waits(1, NOW + TIMEOUT);
	peer_answer(&peer, &a[V4], GOOD4);
	turn(NOW + 20);
	check_found(k, "", A4);
}
END_TEST

START_TEST(what_does_not_exist_has_no_other_addresses)
{
	struct asked a[FAMILIES];
	struct lookup *k;
	int before;

	set_up("");
	before = descriptors();
	k = start(NAME, NOW);
	ck_assert_int_eq(descriptors(), before + 2);
	take_both(NAME, a);
	peer_answer(&peer, &a[_i], NXDOMAIN);
	turn(NOW + 1);
	check_failed(k, NAME_UNKNOWN, 0);
	ck_assert_int_eq(descriptors(), before);
	check_waits(0, WAIT_FOREVER);
	/* That of the family that did not say it counts as well. */
	check_totals(1, 0, 1, 0, 0);
}
END_TEST

START_TEST(mapped_addresses_are_ipv4)
{
	struct lookup *k;

	set_up("");
	k = start(NAME, NOW);
	(void)run(k, "a 300 ::ffff:192.0.2.9, a 300 2001:db8::9, "
	    "a 300 ::ffff:192.0.2.9", GOOD4, NOW);
	check_found(k, "192.0.2.9 2001:db8::9", A4);
}
END_TEST

START_TEST(at_most_eight_addresses_of_a_family_are_kept)
{
	char v4[512] = "", expected[128] = "", one[32];
	struct lookup *k;
	int i;

	for (i = 1; i <= 12; i++) {
		(void)snprintf(one, sizeof one, "%sa 60 192.0.2.%d",
		    i > 1 ? ", " : "", i);
		strcat(v4, one);
		(void)snprintf(one, sizeof one, "%s192.0.2.%d",
		    i > 1 ? " " : "", i);
		if (i <= ADDRESSES_MAX)
			strcat(expected, one);
	}
	set_up("");
	k = start(NAME, NOW);
	(void)run(k, GOOD6, v4, NOW);
	check_found(k, A6, expected);
}
END_TEST

/* What each family gets, for ever, and what is told then.  NULL is silence. */
static const struct {
	const char *v6, *v4;
	enum name_failure failure;
	unsigned rcode;
} endings[] = {
	{ GOOD6, GOOD4,			NAME_FOUND, 0 },
	{ GOOD6, NODATA,		NAME_FOUND, 0 },
	{ GOOD6, "servfail",		NAME_FOUND, 0 },
	{ GOOD6, NULL,			NAME_FOUND, 0 },
	{ NODATA, GOOD4,		NAME_FOUND, 0 },
	{ "servfail", GOOD4,		NAME_FOUND, 0 },
	{ "refused", GOOD4,		NAME_FOUND, 0 },
	{ "badcount", GOOD4,		NAME_FOUND, 0 },
	{ NULL, GOOD4,			NAME_FOUND, 0 },
	{ NODATA, NODATA,		NAME_NODATA, 0 },
	{ "", "",			NAME_NODATA, 0 },
	{ NXDOMAIN, NXDOMAIN,		NAME_UNKNOWN, 0 },
	{ NXDOMAIN, NULL,		NAME_UNKNOWN, 0 },
	{ NULL, NXDOMAIN,		NAME_UNKNOWN, 0 },
	{ NODATA, NULL,			NAME_TIMEOUT, 0 },
	{ NULL, NODATA,			NAME_TIMEOUT, 0 },
	{ NULL, NULL,			NAME_TIMEOUT, 0 },
	{ "servfail", NODATA,		NAME_FAILED, 2 },
	{ NODATA, "refused",		NAME_FAILED, 5 },
	{ "servfail", "servfail",	NAME_FAILED, 2 },
	{ "refused", NULL,		NAME_FAILED, 5 },
	{ NULL, "notimp",		NAME_FAILED, 4 },
	{ "badcount", NODATA,		NAME_FAILED, 2 },
	{ NODATA, "refused, opt 1",	NAME_FAILED, 21 }
};

START_TEST(families_end_together)
{
	bool silent = endings[_i].v6 == NULL || endings[_i].v4 == NULL;
	enum name_failure failure = endings[_i].failure;
	struct lookup *k;
	int64_t ended;

	set_up("");
	k = start(NAME, NOW);
	ended = run(k, endings[_i].v6, endings[_i].v4, NOW);
	check_done(k, failure);
	if (failure == NAME_FAILED)
		ck_assert_uint_eq(resolver_answer(k)->rcode, endings[_i].rcode);
	if (failure != NAME_UNKNOWN)
		ck_assert_int_eq(ended, NOW + (silent ? 2 * TIMEOUT : 0));
	check_waits(0, WAIT_FOREVER);
	check_totals(1, 0, 1, failure >= NAME_TIMEOUT, 0);
}
END_TEST

/* A silent family keeps nobody from dialling the other one. */
START_TEST(silence_of_one_family_does_not_spoil_the_other)
{
	struct asked a[FAMILIES];
	struct lookup *k;

	set_up("");
	k = start(NAME, NOW);
	take_both(NAME, a);
	peer_answer(&peer, &a[_i], _i == V6 ? GOOD6 : GOOD4);
	turn(NOW);
	quiet_turn(NOW + DELAY);
	check_ready(k, _i == V6, _i == V4, false);
	quiet_turn(NOW + TIMEOUT);
	check_ready(k, _i == V6, _i == V4, false);
	check_waits(1, NOW + 2 * TIMEOUT);
	quiet_turn(NOW + 2 * TIMEOUT);
	check_found(k, _i == V6 ? A6 : "", _i == V4 ? A4 : "");
}
END_TEST

START_TEST(without_descriptors_nothing_is_asked_and_nothing_is_kept)
{
	struct lookup *k;

	set_up("");
	limit_descriptors(true);
	k = start(NAME, NOW);
	limit_descriptors(false);
	check_waits(0, 0);
	quiet_turn(NOW);
	check_failed(k, NAME_NO_DESCRIPTOR, 0);
	resolver_release(k, NOW);
	check_totals(1, 0, 1, 1, 0);
	ck_assert(!is_known(NAME, NOW));
}
END_TEST

START_TEST(it_has_30_s_over_all)
{
	struct lookup *k;
	int64_t now;

	set_up_resolv("");
	mine.attempts = 5;
	mine.timeout = 7000;
	k = start(NAME, NOW);
	for (now = NOW + 7000; now < NOW + WHOLE; now += 7000) {
		check_waits(2, now);
		quiet_turn(now);
	}
	check_waits(2, NOW + WHOLE);
	quiet_turn(NOW + WHOLE - 1);
	check_ready(k, false, false, false);
	quiet_turn(NOW + WHOLE);
	check_failed(k, NAME_TIMEOUT, 0);
	check_waits(0, WAIT_FOREVER);
}
END_TEST

/* ---- sharing ----------------------------------------------------------- */

START_TEST(one_name_is_asked_for_once)
{
	struct asked a[FAMILIES];
	struct lookup *k[3];

	set_up("");
	k[0] = start(NAME, NOW);
	k[1] = start(NAME, NOW + 1);
	take_both(NAME, a);
	ck_assert_ptr_eq(k[0], k[1]);
	peer_answer(&peer, &a[V6], GOOD6);
	turn(NOW + 2);
	k[2] = start(NAME, NOW + 2);
	ck_assert_ptr_eq(k[0], k[2]);
	check_ready(k[2], true, false, false);
	check_totals(3, 2, 1, 0, 0);
	/* It goes on as long as somebody waits. */
	resolver_release(k[0], NOW + 3);
	resolver_release(k[1], NOW + 3);
	check_waits(1, NOW + TIMEOUT);
	peer_answer(&peer, &a[V4], GOOD4);
	turn(NOW + 4);
	check_found(k[2], A6, A4);
	resolver_release(k[2], NOW + 4);
}
END_TEST

START_TEST(other_names_are_other_lookups)
{
	struct lookup *k[3];

	set_up("");
	k[0] = start("a.example", NOW);
	k[1] = start("b.example", NOW);
	k[2] = start("a.exampl", NOW);
	ck_assert_ptr_ne(k[0], k[1]);
	ck_assert_ptr_ne(k[0], k[2]);
	check_waits(6, NOW + TIMEOUT);
	(void)run(k[1], GOOD6, GOOD4, NOW);
	check_found(k[1], A6, A4);
	check_totals(3, 0, 3, 0, 0);
}
END_TEST

/* ---- the cache --------------------------------------------------------- */

/* What is answered, and for how many seconds that is known. */
static const struct {
	const char *v6, *v4;
	int seconds;
} lives[] = {
	{ "a 60 " A6, "a 100 " A4, 60 },
	{ "a 100 " A6, "a 60 " A4, 60 },
	{ "a 100 " A6, "a 60 " A4 ", a 50 192.0.2.2", 50 },
	{ "a 1 " A6, "a 100 " A4, 1 },
	{ "a 299 " A6, "a 300 " A4, 299 },
	{ "a 300 " A6, "a 301 " A4, 300 },
	{ "a 4000 " A6, "a 5000 " A4, 300 },
	{ "a 4294967295 " A6, "a 2147483648 " A4, 300 },
	{ "a 0 " A6, "a 100 " A4, 0 },
	{ "a 100 " A6, "a 0 " A4, 0 },
	/* only one family has addresses */
	{ "soa 900 60", "a 100 " A4, 60 },
	{ "soa 40 900", "a 100 " A4, 40 },
	{ "soa 900 900", "a 100 " A4, 100 },
	{ "", "a 100 " A4, 100 },
	{ "a 100 " A6, "", 100 },
	{ "servfail", "a 100 " A4, 5 },
	{ "a 100 " A6, "servfail", 5 },
	{ "servfail", "a 3 " A4, 3 },
	{ NULL, "a 100 " A4, 5 },
	/* none has */
	{ "soa 900 60", "soa 50 900", 50 },
	{ "soa 30 60", "soa 60 60", 30 },
	{ "soa 9000 9000", "soa 9000 9000", 300 },
	{ "soa 0 60", "soa 60 60", 0 },
	{ "", "soa 60 60", 0 },
	{ "soa 60 60", "", 0 },
	/* there is no such name */
	{ "nxdomain, soa 900 60", NULL, 60 },
	{ NULL, "nxdomain, soa 30 60", 30 },
	{ "nxdomain, soa 9000 9000", NULL, 300 },
	{ "nxdomain", NULL, 0 },
	{ NULL, "nxdomain", 0 },
	/* through another name */
	{ "cname 20 x.example, a 60 " A6, "a 100 " A4, 20 },
	{ "cname 20 x.example, soa 60 60", "a 100 " A4, 20 },
	{ "cname 20 x.example, nxdomain, soa 60 60", NULL, 20 },
	/* failures */
	{ "servfail", "servfail", 5 },
	{ "servfail", "soa 60 60", 5 },
	{ "servfail", "soa 2 60", 2 },
	{ NULL, NULL, 5 }
};

START_TEST(an_answer_is_known_as_long_as_it_allows)
{
	int64_t ended, until;
	struct lookup *k;

	set_up("");
	ended = resolve(NAME, lives[_i].v6, lives[_i].v4, NOW);
	until = ended + (int64_t)lives[_i].seconds * SECOND;
	if (until > ended) {
		k = start(NAME, until - 1);
		ck_assert(resolver_answer(k)->done);
		ck_assert(peer_is_quiet(&peer));
		check_waits(0, WAIT_FOREVER);
		ck_assert_uint_eq(resolver_totals()->cached, 1);
		resolver_release(k, until - 1);
	}
	ck_assert(!is_known(NAME, until));
}
END_TEST

START_TEST(what_is_known_is_told_as_it_was)
{
	struct lookup *k;

	set_up("");
	(void)resolve("a.example", "cname 60 x.example, a 60 " A6, GOOD4, NOW);
	(void)resolve("b.example", NXDOMAIN, NULL, NOW);
	(void)resolve("c.example", NODATA, NODATA, NOW);
	(void)resolve("d.example", "refused", "refused", NOW);
	k = start("a.example", NOW + 1);
	check_found(k, A6, A4);
	check_aliases(k, "x.example");
	resolver_release(k, NOW + 1);
	k = start("b.example", NOW + 1);
	check_failed(k, NAME_UNKNOWN, 0);
	resolver_release(k, NOW + 1);
	k = start("c.example", NOW + 1);
	check_failed(k, NAME_NODATA, 0);
	resolver_release(k, NOW + 1);
	k = start("d.example", NOW + 1);
	check_failed(k, NAME_FAILED, 5);
	resolver_release(k, NOW + 1);
	check_totals(8, 4, 4, 1, 0);
}
END_TEST

/* Even one that is not to be kept is there for those who wait for it. */
START_TEST(an_answer_stays_until_it_is_released)
{
	struct lookup *k, *other;
	int i;

	set_up("");
	k = start(NAME, NOW);
	(void)run(k, "a 0 2001:db8::7", "a 0 192.0.2.7", NOW);
	for (i = 0; i < LOOKUPS_KEPT + 10; i++)
		(void)resolve(numbered(i), GOOD6, GOOD4, NOW);
	other = start(NAME, NOW);
	ck_assert_ptr_ne(k, other);
	check_found(k, "2001:db8::7", "192.0.2.7");
	resolver_release(k, NOW);
	check_ready(other, false, false, false);
}
END_TEST

START_TEST(of_more_than_512_names_the_oldest_are_forgotten)
{
	int i;

	set_up("");
	for (i = 0; i < LOOKUPS_KEPT; i++)
		(void)resolve(numbered(i), GOOD6, GOOD4, NOW);
	/* What was used last is forgotten last. */
	for (i = 0; i < LOOKUPS_KEPT; i++)
		ck_assert(is_known(numbered(i * 7 % LOOKUPS_KEPT), NOW));
	(void)resolve("a.example", GOOD6, GOOD4, NOW);
	(void)resolve("b.example", GOOD6, GOOD4, NOW);
	for (i = 0; i < LOOKUPS_KEPT; i++)
		if (i != 0 && i != 7)
			ck_assert(is_known(numbered(i), NOW));
	ck_assert(is_known("a.example", NOW));
	ck_assert(is_known("b.example", NOW));
	ck_assert(!is_known(numbered(0), NOW));
	ck_assert(!is_known(numbered(7), NOW));
}
END_TEST

/* So many that chains of the table lose the places that they need again. */
START_TEST(names_come_and_go)
{
	int i;

	set_up("");
	for (i = 0; i < 8 * LOOKUPS_KEPT; i++) {
		resolver_release(start(numbered(i), NOW), NOW);
		if (i % 16 == 0)
			(void)answer_all(NULL, NULL);
	}
	(void)answer_all(NULL, NULL);
	(void)resolve(NAME, GOOD6, GOOD4, NOW);
	ck_assert(is_known(NAME, NOW));
	ck_assert(!is_known(numbered(i - 1), NOW));
}
END_TEST

/* ---- release ----------------------------------------------------------- */

START_TEST(what_nobody_waits_for_is_not_asked_any_more)
{
	struct lookup *k;
	int before;

	set_up("");
	before = descriptors();
	k = start(NAME, NOW);
	ck_assert_int_eq(descriptors(), before + 2);
	resolver_release(k, NOW + 1);
	ck_assert_int_eq(descriptors(), before);
	check_waits(0, WAIT_FOREVER);
	(void)answer_all(NULL, NULL);
	/* Then it begins anew. */
	ck_assert(!is_known(NAME, NOW + 1));
	check_totals(2, 0, 2, 0, 0);
}
END_TEST

/* One family is there, the other one has yet to come. */
static struct lookup *
half_done(enum family f, struct asked a[FAMILIES], int64_t now)
{
	struct lookup *k;

	set_up("");
	k = start(NAME, NOW);
	take_both(NAME, a);
	peer_answer(&peer, &a[f], f == V6 ? GOOD6 : GOOD4);
	turn(now);
	return k;
}

START_TEST(one_with_addresses_is_finished_for_others)
{
	struct asked a[FAMILIES];
	struct lookup *k = half_done((enum family)_i, a, NOW);

	resolver_release(k, NOW + 100);
	check_waits(1, _i == V6 ? NOW + 100 + LINGER : NOW + DELAY);
	peer_answer(&peer, &a[!_i], _i == V6 ? GOOD4 : GOOD6);
	turn(NOW + 100 + LINGER - 1);
	check_waits(0, WAIT_FOREVER);
	k = start(NAME, NOW + 300 * SECOND);
	check_found(k, A6, A4);
	resolver_release(k, NOW + 300 * SECOND);
}
END_TEST

START_TEST(that_takes_a_second_at_most)
{
	struct asked a[FAMILIES];
	struct lookup *k = half_done(V6, a, NOW);

	resolver_release(k, NOW + 100);
	quiet_turn(NOW + 100 + LINGER - 1);
	check_waits(1, NOW + 100 + LINGER);
	quiet_turn(NOW + 100 + LINGER);
	check_waits(0, WAIT_FOREVER);
	k = start(NAME, NOW + 100 + LINGER);
	check_found(k, A6, "");
	resolver_release(k, NOW + 100 + LINGER);
	/* The other family may be there the next time. */
	ck_assert(is_known(NAME, NOW + 100 + LINGER + 5 * SECOND - 1));
	ck_assert(!is_known(NAME, NOW + 100 + LINGER + 5 * SECOND));
}
END_TEST

START_TEST(it_does_not_prolong_the_lookup)
{
	struct asked a[FAMILIES];
	struct lookup *k;
	int64_t now;

	set_up_resolv("");
	mine.attempts = 5;
	mine.timeout = 30000;
	k = start(NAME, NOW);
	take_both(NAME, a);
	now = NOW + WHOLE - 10;
	peer_answer(&peer, &a[V6], GOOD6);
	turn(now);
	resolver_release(k, now);
	check_waits(1, NOW + WHOLE);
}
END_TEST

START_TEST(somebody_may_come_while_it_is_finished)
{
	struct asked a[FAMILIES];
	struct lookup *k = half_done(V6, a, NOW), *other;

	resolver_release(k, NOW);
	other = start(NAME, NOW + 10);
	ck_assert_ptr_eq(k, other);
	check_ready(other, true, false, false);
	ck_assert(peer_is_quiet(&peer));
	peer_answer(&peer, &a[V4], GOOD4);
	turn(NOW + 20);
	check_found(other, A6, A4);
	resolver_release(other, NOW + 20);
}
END_TEST

/* A family that has failed is none to be finished for. */
START_TEST(one_without_addresses_is_not_finished)
{
	struct asked a[FAMILIES];
	struct lookup *k;

	set_up("");
	k = start(NAME, NOW);
	take_both(NAME, a);
	peer_answer(&peer, &a[V6], NODATA);
	turn(NOW);
	resolver_release(k, NOW);
	check_waits(0, WAIT_FOREVER);
}
END_TEST

/* ---- the queue --------------------------------------------------------- */

/* So many names are asked for and wait. */
static void
fill(struct lookup *k[LOOKUPS_MAX + LOOKUPS_QUEUE])
{
	int i;

	for (i = 0; i < LOOKUPS_MAX + LOOKUPS_QUEUE; i++)
		k[i] = start(numbered(i), NOW);
}

START_TEST(of_many_names_32_are_asked_for_and_256_wait)
{
	struct lookup *k[LOOKUPS_MAX + LOOKUPS_QUEUE], *shared;
	struct asked a[FAMILIES];
	int i;

	set_up("192.0.2.1 one.example\n");
	fill(k);
	for (i = 0; i < LOOKUPS_MAX; i++)
		take_pair(numbered(i), a);
	ck_assert(peer_is_quiet(&peer));
	check_waits(LOOKUPS_MAX * FAMILIES, NOW + TIMEOUT);
	ck_assert_ptr_null(start_target("one.more.example", false, NOW));
	check_totals(289, 0, 288, 0, 1);

	/* Those who need no place get their answers. */
	check_found(start("one.example", NOW), "", "192.0.2.1");
	shared = start(numbered(287), NOW);
	ck_assert_ptr_eq(shared, k[287]);
	resolver_release(shared, NOW);
	check_totals(291, 1, 288, 0, 1);
}
END_TEST

START_TEST(those_who_wait_begin_in_their_order)
{
	struct lookup *k[LOOKUPS_MAX + LOOKUPS_QUEUE];
	struct asked a[FAMILIES], first[FAMILIES];
	int i;

	set_up("");
	fill(k);
	take_pair(numbered(0), first);
	for (i = 1; i < LOOKUPS_MAX; i++)
		take_pair(numbered(i), a);
	/* One ends by its answer, */
	peer_answer(&peer, &first[V4], NXDOMAIN);
	turn(NOW + 1);
	check_done(k[0], NAME_UNKNOWN);
	take_both(numbered(LOOKUPS_MAX), a);
	/* one because nobody waits for it, */
	resolver_release(k[5], NOW + 2);
	take_both(numbered(LOOKUPS_MAX + 1), a);
	/* and two were never asked for that nobody waited for. */
	resolver_release(k[LOOKUPS_MAX + 2], NOW + 2);
	resolver_release(k[LOOKUPS_MAX + 4], NOW + 2);
	ck_assert(peer_is_quiet(&peer));
	resolver_release(k[6], NOW + 2);
	take_both(numbered(LOOKUPS_MAX + 3), a);
	resolver_release(k[7], NOW + 2);
	take_both(numbered(LOOKUPS_MAX + 5), a);
	check_waits(LOOKUPS_MAX * FAMILIES, NOW + TIMEOUT);
}
END_TEST

START_TEST(a_place_in_the_queue_can_be_had_again)
{
	struct lookup *k[LOOKUPS_MAX + LOOKUPS_QUEUE];

	set_up("");
	fill(k);
	ck_assert_ptr_null(start_target("a.example", false, NOW));
	resolver_release(k[100], NOW);
	ck_assert_ptr_nonnull(start_target("a.example", false, NOW));
	ck_assert_ptr_null(start_target("b.example", false, NOW));
	(void)answer_all(NULL, NULL);
	/* That of one who is asked for goes to one who waits. */
	resolver_release(k[0], NOW);
	ck_assert_ptr_nonnull(start_target("b.example", false, NOW));
	ck_assert_ptr_null(start_target("c.example", false, NOW));
}
END_TEST

/* The time to wait in the queue is not part of the 30 s of a lookup. */
START_TEST(all_of_a_full_queue_get_their_answers)
{
	struct lookup *k[LOOKUPS_MAX + LOOKUPS_QUEUE];
	int i;

	set_up("");
	fill(k);
	for (i = 0; i < 20 && answer_all(GOOD6, GOOD4); i++) {
		turn(NOW + i * 60 * SECOND);
		quiet_turn(NOW + i * 60 * SECOND);
	}
	for (i = 0; i < COUNT(k); i++) {
		check_found(k[i], A6, A4);
		resolver_release(k[i], NOW);
	}
	check_waits(0, WAIT_FOREVER);
	check_totals(288, 0, 288, 0, 0);
}
END_TEST

START_TEST(stop_closes_all_sockets)
{
	struct lookup *k[LOOKUPS_MAX + LOOKUPS_QUEUE];
	int before;

	set_up("");
	before = descriptors();
	fill(k);
	ck_assert_int_eq(descriptors(), before + LOOKUPS_MAX * FAMILIES);
	resolver_stop();
	ck_assert_int_eq(descriptors(), before);
	check_waits(0, WAIT_FOREVER);
}
END_TEST

/* ---- the search list --------------------------------------------------- */

/* The names that are asked for, one after the other, when none exists. */
static void
check_names(struct lookup *k, const char *expected)
{
	char out[2048] = "";
	struct asked a[FAMILIES];

	while (!peer_is_quiet(&peer)) {
		peer_take(&peer, &a[V6]);
		peer_take(&peer, &a[V4]);
		ck_assert(a[V6].type == DNS_AAAA && a[V4].type == DNS_A);
		ck_assert_str_eq(a[V4].name, a[V6].name);
		if (out[0] != '\0')
			strcat(out, " ");
		strcat(out, a[V6].name);
		peer_answer(&peer, &a[V6], NXDOMAIN);
		turn(NOW);
	}
	ck_assert_str_eq(out, expected);
	check_failed(k, NAME_UNKNOWN, 0);
}

static const struct {
	const char *resolv, *name;
	bool absolute;
	const char *asked;
} searches[] = {
	{ "search a.test b.test", "www", false, "www.a.test www.b.test www" },
	{ "domain a.test", "www", false, "www.a.test www" },
	{ "", "www", false, "www" },
	{ "search a.test\noptions ndots:0", "www", false, "www www.a.test" },
	{ "search a.test b.test c.test\noptions ndots:0", "www", false,
	    "www www.a.test www.b.test www.c.test" },
	{ "options ndots:0", "www", false, "www" },
	{ "search a.test", "www", true, "www" },
	{ "search a.test\noptions ndots:0", "www", true, "www" },
	/* A client's name must not turn into another one by surprise. */
	{ "search a.test", "www.example", false, "www.example" },
	{ "search a.test\noptions ndots:5", "www.example", false,
	    "www.example" },
	{ "search a b c d e f g", "x", false, "x.a x.b x.c x.d x.e x.f x" }
};

START_TEST(names_without_a_dot_go_through_the_search_list)
{
	set_up_resolv(searches[_i].resolv);
	check_names(start_target(searches[_i].name, searches[_i].absolute,
	    NOW), searches[_i].asked);
	check_totals(1, 0, 1, 0, 0);
}
END_TEST

/* A domain of n bytes. */
static const char *
long_domain(size_t n)
{
	static char domain[NAME_MAX_LEN + 1];
	size_t i;

	for (i = 0; i < n; i++)
		domain[i] = i % 50 == 49 ? '.' : 'd';
	domain[n] = '\0';
	return domain;
}

static const struct {
	size_t n;
	const char *options;
	const char *asked;		/* L: with the long domain */
} long_searches[] = {
	{ 249, "", "L www.a.test www" },
	{ 248, "", "L www.a.test www" },
	{ 253, "", "www.a.test www" },
	{ 251, "", "www.a.test www" },
	{ 253, "options ndots:0", "www www.a.test" },
	{ 249, "options ndots:0", "www L www.a.test" }
};

START_TEST(candidates_that_are_too_long_are_left_out)
{
	char resolv[512], expected[512];
	const char *domain = long_domain(long_searches[_i].n);
	const char *asked = long_searches[_i].asked, *at = strchr(asked, 'L');

	(void)snprintf(resolv, sizeof resolv, "search %s a.test\n%s\n", domain,
	    long_searches[_i].options);
	set_up_resolv(resolv);
	if (at == NULL)
		(void)snprintf(expected, sizeof expected, "%s", asked);
	else
		(void)snprintf(expected, sizeof expected, "%.*swww.%s%s",
		    (int)(at - asked), asked, domain, at + 1);
	check_names(start("www", NOW), expected);
}
END_TEST

START_TEST(if_all_candidates_are_too_long_the_name_is_left)
{
	char resolv[512];

	(void)snprintf(resolv, sizeof resolv, "search %s\n%s\n",
	    long_domain(252), _i == 1 ? "options ndots:0" : "");
	set_up_resolv(resolv);
	check_names(start("www", NOW), "www");
}
END_TEST

/* What the first candidate gets, and what becomes of the lookup. */
static const struct {
	const char *v6, *v4;
	bool goes_on;
	enum name_failure failure;
} first_candidates[] = {
	{ NODATA, NODATA, true, NAME_PENDING },
	{ NXDOMAIN, NULL, true, NAME_PENDING },
	{ NULL, NXDOMAIN, true, NAME_PENDING },
	{ GOOD6, NODATA, false, NAME_FOUND },
	{ "servfail", GOOD4, false, NAME_FOUND },
	{ "servfail", "servfail", false, NAME_FAILED },
	{ NODATA, "refused", false, NAME_FAILED },
	{ NULL, NODATA, false, NAME_TIMEOUT },
	{ NULL, NULL, false, NAME_TIMEOUT }
};

START_TEST(the_list_goes_on_only_if_there_is_no_such_name)
{
	const char *v6 = first_candidates[_i].v6, *v4 = first_candidates[_i].v4;
	struct asked a[FAMILIES];
	struct lookup *k;

	set_up_resolv("search a.test b.test");
	k = start("www", NOW);
	if (!first_candidates[_i].goes_on) {
		(void)run(k, v6, v4, NOW);
		check_done(k, first_candidates[_i].failure);
		check_aliases(k, "www.a.test");
		return;
	}
	(void)answer_all(v6, v4);
	turn(NOW);
	check_ready(k, false, false, false);
	check_aliases(k, "www.b.test");
	take_both("www.b.test", a);
	peer_answer(&peer, &a[V6], GOOD6);
	turn(NOW);
	check_ready(k, true, false, false);
	peer_answer(&peer, &a[V4], "cname 30 x.example, a 60 " A4);
	turn(NOW);
	check_found(k, A6, A4);
	check_aliases(k, "www.b.test x.example");
	/* Only this one's time to live counts. */
	resolver_release(k, NOW);
	ck_assert(is_known("www", NOW + 30 * SECOND - 1));
	ck_assert(!is_known("www", NOW + 30 * SECOND));
}
END_TEST

/* Of what failed nothing is left. */
START_TEST(each_candidate_begins_anew)
{
	struct asked a[FAMILIES];
	struct lookup *k;

	set_up_resolv("search a.test b.test");
	k = start("www", NOW);
	take_both("www.a.test", a);
	peer_answer(&peer, &a[V6], "cname 1 x.example, soa 1 1");
	turn(NOW);
	check_aliases(k, "www.a.test x.example");
	peer_answer(&peer, &a[V4], NODATA);
	turn(NOW);
	check_aliases(k, "www.b.test");
	(void)answer_all(NXDOMAIN, NULL);
	turn(NOW);
	check_aliases(k, "");
	take_both("www", a);
	peer_answer(&peer, &a[V4], GOOD4);
	turn(NOW + 5);
	check_waits(1, NOW + 5 + DELAY);
	peer_answer(&peer, &a[V6], NODATA);
	turn(NOW + 5);
	check_found(k, "", A4);
	check_aliases(k, "");
}
END_TEST

START_TEST(an_absolute_name_is_another_one)
{
	struct lookup *k[2];

	set_up_resolv("search a.test");
	k[0] = start_target("www", false, NOW);
	k[1] = start_target("www", true, NOW);
	ck_assert_ptr_ne(k[0], k[1]);
	check_totals(2, 0, 2, 0, 0);
}
END_TEST

/* ---- other names on the way -------------------------------------------- */

START_TEST(names_on_the_way_are_told)
{
	struct asked a[FAMILIES];
	struct lookup *k;

	set_up("");
	k = start(NAME, NOW);
	take_both(NAME, a);
	peer_answer(&peer, &a[V6],
	    "cname 60 a.example, cname 60 b.example, a 60 " A6);
	turn(NOW);
	check_aliases(k, "a.example b.example");
	peer_answer(&peer, &a[V4],
	    "cname 60 b.example, cname 60 c.example, a 60 " A4);
	turn(NOW);
	check_found(k, A6, A4);
	check_aliases(k, "a.example b.example c.example");
}
END_TEST

START_TEST(where_a_chain_breaks_off_its_end_is_asked_for)
{
	static const unsigned types[] = { DNS_AAAA, DNS_A };
	struct asked a[FAMILIES], more;
	struct lookup *k;
	int64_t ended = NOW + 3;

	set_up("");
	k = start(NAME, NOW);
	take_both(NAME, a);
	peer_answer(&peer, &a[_i], "cname 60 a.example, cname 20 b.example");
	turn(NOW + 1);
	take(types[_i], "b.example", &more);
	ck_assert(peer_is_quiet(&peer));
	check_ready(k, false, false, false);
	check_aliases(k, "a.example b.example");
	check_waits(2, NOW + TIMEOUT);
	peer_answer(&peer, &a[!_i], _i == V6 ? GOOD4 : GOOD6);
	turn(NOW + 2);
	peer_answer(&peer, &more, _i == V6 ? GOOD6 : GOOD4);
	turn(ended);
	check_found(k, A6, A4);
	resolver_release(k, ended);
	ck_assert(is_known(NAME, ended + 20 * SECOND - 1));
	ck_assert(!is_known(NAME, ended + 20 * SECOND));
}
END_TEST

START_TEST(what_is_asked_for_then_may_not_exist)
{
	struct asked a[FAMILIES], more;
	struct lookup *k;

	set_up("");
	k = start(NAME, NOW);
	take_both(NAME, a);
	peer_answer(&peer, &a[V4], "cname 60 a.example");
	turn(NOW);
	take(DNS_A, "a.example", &more);
	peer_answer(&peer, &more, NXDOMAIN);
	turn(NOW);
	check_failed(k, NAME_UNKNOWN, 0);
}
END_TEST

/* A chain of n links, one an answer; whether the address is found. */
static bool
follow_chain(int n)
{
	char script[64];
	struct lookup *k;
	struct asked a;
	int i;

	set_up_resolv("options no-aaaa");
	k = start(NAME, NOW);
	for (i = 0; i < n && !peer_is_quiet(&peer); i++) {
		peer_take(&peer, &a);
		ck_assert_str_eq(a.name, i == 0 ? NAME : numbered(i - 1));
		(void)snprintf(script, sizeof script, "cname 60 %s",
		    numbered(i));
		peer_answer(&peer, &a, script);
		turn(NOW);
	}
	if (!peer_is_quiet(&peer)) {
		(void)run(k, NULL, GOOD4, NOW);
		check_found(k, "", A4);
		return true;
	}
	check_failed(k, NAME_FAILED, 2);
	check_waits(0, WAIT_FOREVER);
	return false;
}

START_TEST(sixteen_links_are_followed_and_no_more)
{
	ck_assert_int_eq(follow_chain(DNS_LINKS_MAX + _i), _i == 0);
}
END_TEST

START_TEST(a_chain_that_comes_back_ends)
{
	struct lookup *k;
	struct asked a;
	int n;

	set_up_resolv("options no-aaaa");
	k = start("a.example", NOW);
	for (n = 0; !peer_is_quiet(&peer); n++) {
		ck_assert_int_lt(n, 2 * DNS_LINKS_MAX);
		peer_take(&peer, &a);
		peer_answer(&peer, &a, a.name[0] == 'a' ?
		    "cname 60 b.example" : "cname 60 a.example");
		turn(NOW);
	}
	check_failed(k, NAME_FAILED, 2);
}
END_TEST

/* Names that must never be asked for may be the end of a chain. */
static const char *const nowhere[] = {
	"cname 60 localhost", "cname 60 x.localhost", "cname 60 x.invalid",
	"cname 60 x.onion", "cname 60 a.example, cname 60 onion"
};

START_TEST(special_names_are_not_asked_for_on_the_way)
{
	struct lookup *k;
	struct asked a[FAMILIES];

	set_up("");
	k = start(NAME, NOW);
	take_both(NAME, a);
	peer_answer(&peer, &a[V6], nowhere[_i]);
	turn(NOW);
	ck_assert(peer_is_quiet(&peer));
	check_waits(1, NOW + TIMEOUT);
	peer_answer(&peer, &a[V4], NODATA);
	turn(NOW);
	check_failed(k, NAME_FAILED, 2);
}
END_TEST

/* All of them have to be seen by the rules. */
START_TEST(names_that_do_not_fit_spoil_the_answer)
{
	char name[300], script[400];
	struct asked a[FAMILIES], more;
	struct lookup *k;
	int i;

	set_up("");
	k = start(NAME, NOW);
	take_both(NAME, a);
	more = a[V6];
	for (i = 0; i < 3; i++) {
		(void)snprintf(name, sizeof name, "x%d.%s", i,
		    long_domain(240));
		(void)snprintf(script, sizeof script, "cname 60 %s, " GOOD6,
		    name);
		if (i < 2)
			*strchr(script, ',') = '\0';
		peer_answer(&peer, &more, script);
		turn(NOW);
		if (i < 2)
			take(DNS_AAAA, name, &more);
	}
	check_lists(k, "", "");
	peer_answer(&peer, &a[V4], NODATA);
	turn(NOW);
	check_failed(k, NAME_FAILED, 2);
}
END_TEST

/* ---- options ----------------------------------------------------------- */

static const struct {
	const char *v4;
	enum name_failure failure;
	const char *found;
	unsigned rcode;
} without_ipv6[] = {
	{ GOOD4, NAME_FOUND, A4, 0 },
	{ NODATA, NAME_NODATA, "", 0 },
	{ NXDOMAIN, NAME_UNKNOWN, "", 0 },
	{ "refused", NAME_FAILED, "", 5 },
	{ NULL, NAME_TIMEOUT, "", 0 }
};

START_TEST(no_aaaa_asks_for_ipv4_only)
{
	struct lookup *k;
	struct asked a;

	set_up_resolv("options no-aaaa");
	k = start(NAME, NOW);
	take(DNS_A, NAME, &a);
	ck_assert(peer_is_quiet(&peer));
	check_waits(1, NOW + TIMEOUT);
	if (without_ipv6[_i].v4 != NULL) {
		peer_answer(&peer, &a, without_ipv6[_i].v4);
		turn(NOW + 1);
	}
	(void)run(k, NULL, without_ipv6[_i].v4, NOW + 1);
	check_done(k, without_ipv6[_i].failure);
	check_lists(k, "", without_ipv6[_i].found);
	if (without_ipv6[_i].failure == NAME_FAILED)
		ck_assert_uint_eq(resolver_answer(k)->rcode,
		    without_ipv6[_i].rcode);
}
END_TEST

/* What IPv6 gets first; then it is the turn of IPv4. */
static const char *const first_family[] = {
	GOOD6, NODATA, "", "servfail", "cname 60 x.example, " GOOD6
};

START_TEST(single_request_asks_one_after_the_other)
{
	struct lookup *k;
	struct asked a;
	bool found = strstr(first_family[_i], A6) != NULL;

	set_up_resolv("options single-request");
	mine.attempts = 1;
	k = start(NAME, NOW);
	take(DNS_AAAA, NAME, &a);
	ck_assert(peer_is_quiet(&peer));
	check_waits(1, NOW + TIMEOUT);
	peer_answer(&peer, &a, first_family[_i]);
	turn(NOW + 1);
	check_ready(k, found, false, false);
	take(DNS_A, NAME, &a);
	check_waits(1, NOW + 1 + TIMEOUT);
	peer_answer(&peer, &a, GOOD4);
	turn(NOW + 2);
	check_found(k, found ? A6 : "", A4);
}
END_TEST

START_TEST(single_request_waits_for_a_silent_family)
{
	struct lookup *k;
	struct asked a;

	set_up_resolv("options single-request");
	k = start(NAME, NOW);
	take(DNS_AAAA, NAME, &a);
	quiet_turn(NOW + TIMEOUT);
	take(DNS_AAAA, NAME, &a);
	ck_assert(peer_is_quiet(&peer));
	quiet_turn(NOW + 2 * TIMEOUT);
	take(DNS_A, NAME, &a);
	peer_answer(&peer, &a, GOOD4);
	turn(NOW + 2 * TIMEOUT);
	check_found(k, "", A4);
}
END_TEST

START_TEST(single_request_does_not_ask_for_what_does_not_exist)
{
	struct lookup *k;
	struct asked a;

	set_up_resolv("options single-request\nsearch a.test");
	k = start("www", NOW);
	take(DNS_AAAA, "www.a.test", &a);
	peer_answer(&peer, &a, NXDOMAIN);
	turn(NOW);
	take(DNS_AAAA, "www", &a);
	ck_assert(peer_is_quiet(&peer));
	peer_answer(&peer, &a, NXDOMAIN);
	turn(NOW);
	ck_assert(peer_is_quiet(&peer));
	check_failed(k, NAME_UNKNOWN, 0);
}
END_TEST

START_TEST(single_request_goes_on_where_a_chain_breaks_off)
{
	struct lookup *k;
	struct asked a;

	set_up_resolv("options single-request");
	k = start(NAME, NOW);
	take(DNS_AAAA, NAME, &a);
	peer_answer(&peer, &a, "cname 60 x.example");
	turn(NOW);
	take(DNS_AAAA, "x.example", &a);
	ck_assert(peer_is_quiet(&peer));
	peer_answer(&peer, &a, NODATA);
	turn(NOW);
	/* IPv4 begins where the name is. */
	take(DNS_A, NAME, &a);
	peer_answer(&peer, &a, GOOD4);
	turn(NOW);
	check_found(k, "", A4);
}
END_TEST

/* ---- files ------------------------------------------------------------- */

/* What the hosts file says of NAME; "" is nothing. */
static void
check_hosts(const char *expected, int64_t now)
{
	struct lookup *k = start(NAME, now);

	if (expected[0] == '\0')
		check_ready(k, false, false, false);
	else
		check_found(k, "", expected);
	resolver_release(k, now);
	(void)answer_all(NULL, NULL);
}

START_TEST(a_changed_hosts_file_is_seen_within_a_second)
{
	set_up("192.0.2.1 " NAME "\n");
	check_hosts("192.0.2.1", NOW);
	write_file(hosts_path, "192.0.2.2 " NAME "\n");
	check_hosts("192.0.2.1", NOW + SECOND - 1);
	check_hosts("192.0.2.2", NOW + SECOND);
	write_file(hosts_path, "192.0.2.3 x\n");
	check_hosts("192.0.2.2", NOW + 2 * SECOND - 1);
	check_hosts("", NOW + 2 * SECOND);
	write_file(hosts_path, "192.0.2.4 " NAME "\n");
	check_hosts("192.0.2.4", NOW + 3 * SECOND);
}
END_TEST

/* It comes before what is known. */
START_TEST(a_changed_hosts_file_wins_over_the_cache)
{
	set_up("");
	(void)resolve(NAME, GOOD6, GOOD4, NOW);
	ck_assert(is_known(NAME, NOW));
	write_file(hosts_path, "192.0.2.2 " NAME "\n");
	check_hosts("192.0.2.2", NOW + SECOND);
}
END_TEST

START_TEST(an_unreadable_hosts_file_changes_nothing)
{
	char large[ROOM + 2];

	memset(large, '#', sizeof large - 1);
	large[sizeof large - 1] = '\0';
	set_up("192.0.2.1 " NAME "\n");
	check_hosts("192.0.2.1", NOW);
	catch_log();
	if (_i == 0)
		(void)unlink(hosts_path);
	else
		write_file(hosts_path, large);
	check_hosts("192.0.2.1", NOW + SECOND);
	check_hosts("192.0.2.1", NOW + 2 * SECOND);
	ck_assert_str_eq(log_text(), _i == 0 ?
	    "hosts file not read: No such file or directory\n" :
	    "hosts file not read: it is too large\n");
	/* The next one can. */
	write_file(hosts_path, "192.0.2.3 " NAME "\n");
	check_hosts("192.0.2.3", NOW + 3 * SECOND);
}
END_TEST

START_TEST(a_hosts_file_may_fill_its_room)
{
	static const char line[] = "\n192.0.2.1 " NAME;
	char text[ROOM + 1];

	memset(text, '#', sizeof text);
	memcpy(text + ROOM - strlen(line), line, sizeof line);
	set_up("");
	check_hosts("", NOW);
	write_file(hosts_path, text);
	check_hosts("192.0.2.1", NOW + SECOND);
}
END_TEST

START_TEST(without_a_hosts_file_there_is_none)
{
	cfg.servers = 1;
	cfg.server[0].addr = peer.addr;
	catch_log();
	resolver_init(&cfg, memory, ROOM, NOW);
	ck_assert_str_eq(log_text(),
	    "hosts file not read: No such file or directory\n");
	check_hosts("", NOW);
	write_file(hosts_path, "192.0.2.1 " NAME "\n");
	check_hosts("192.0.2.1", NOW + SECOND);
}
END_TEST

/* The server that socket i is connected to. */
static const char *
server_of(unsigned i)
{
	static char text[ADDR_TEXT_MAX];
	struct sockaddr_in s;
	socklen_t len = sizeof s;
	struct addr a;

	interest();
	ck_assert_uint_lt(i, w.n);
	ck_assert_int_eq(getpeername(w.pfd[i].fd, (struct sockaddr *)&s, &len),
	    0);
	ck_assert_int_eq(s.sin_family, AF_INET);
	memset(&a, 0, sizeof a);
	a.family = 4;
	a.port = ntohs(s.sin_port);
	memcpy(a.ip, &s.sin_addr, 4);
	return addr_format(&a, true, text);
}

/* Who would be asked first now? */
static void
check_server(const char *expected, int64_t now)
{
	struct lookup *k = start(NAME, now);

	ck_assert_str_eq(server_of(0), expected);
	ck_assert_str_eq(server_of(1), expected);
	resolver_release(k, now);
}

/* Begin with this file, and really with its servers. */
static void
set_up_servers(const char *resolv)
{
	write_file(hosts_path, "");
	write_file(resolv_path, resolv);
	resolver_init(&cfg, memory, ROOM, NOW);
}

START_TEST(the_servers_are_those_of_resolv_conf)
{
	set_up_servers("nameserver 127.0.0.2\nnameserver 127.0.0.3\n");
	check_server("127.0.0.2:53", NOW);
}
END_TEST

START_TEST(without_servers_this_machine_is_asked)
{
	write_file(hosts_path, "");
	if (_i == 1)
		write_file(resolv_path, "search a.test\n");
	catch_log();
	resolver_init(&cfg, memory, ROOM, NOW);
	check_server("127.0.0.1:53", NOW);
	check_server("127.0.0.1:53", NOW + SECOND);
	ck_assert_str_eq(log_text(), _i == 1 ? "" :
	    "resolv.conf not read: No such file or directory\n");
}
END_TEST

START_TEST(a_changed_resolv_conf_is_seen_within_a_second)
{
	set_up_servers("nameserver 127.0.0.2\n");
	check_server("127.0.0.2:53", NOW);
	write_file(resolv_path, "nameserver 127.0.0.3\n");
	check_server("127.0.0.2:53", NOW + SECOND - 1);
	check_server("127.0.0.3:53", NOW + SECOND);
}
END_TEST

START_TEST(of_an_old_resolv_conf_nothing_is_left)
{
	struct lookup *k;

	set_up_servers("nameserver 127.0.0.2\nnameserver 127.0.0.3\n"
	    "search a.test\noptions no-aaaa timeout:9 use-vc\n");
	write_file(resolv_path, "nameserver 127.0.0.4\n");
	check_server("127.0.0.4:53", NOW + SECOND);
	k = start("www", NOW + SECOND);
	check_waits(2, NOW + SECOND + TIMEOUT);
	check_aliases(k, "");
}
END_TEST

START_TEST(an_unreadable_resolv_conf_changes_nothing)
{
	static char large[16384 + 2];
	struct lookup *k;

	set_up_servers("nameserver 127.0.0.2\nsearch a.test\n");
	catch_log();
	memset(large, '\n', sizeof large - 1);
	if (_i == 0)
		(void)unlink(resolv_path);
	else
		write_file(resolv_path, large);
	check_server("127.0.0.2:53", NOW + SECOND);
	k = start("www", NOW + 2 * SECOND);
	check_aliases(k, "www.a.test");
	resolver_release(k, NOW + 2 * SECOND);
	check_server("127.0.0.2:53", NOW + 3 * SECOND);
	ck_assert_str_eq(log_text(), _i == 0 ?
	    "resolv.conf not read: No such file or directory\n" :
	    "resolv.conf not read: it is too large\n");
	write_file(resolv_path, "nameserver 127.0.0.3\n");
	check_server("127.0.0.3:53", NOW + 4 * SECOND);
}
END_TEST

/* If that was for want of a descriptor, it can be read the next time. */
START_TEST(files_are_tried_again)
{
	set_up_servers("nameserver 127.0.0.2\n");
	catch_log();
	if (_i == 0)
		write_file(hosts_path, "192.0.2.1 " NAME "\n");
	else
		write_file(resolv_path, "nameserver 127.0.0.3\n");
	limit_descriptors(true);
	(void)start("localhost", NOW + SECOND);
	(void)start("localhost", NOW + 2 * SECOND);
	limit_descriptors(false);
	ck_assert_str_eq(log_text(), _i == 0 ?
	    "hosts file not read: Too many open files\n" :
	    "resolv.conf not read: Too many open files\n");
	if (_i == 0)
		check_hosts("192.0.2.1", NOW + 3 * SECOND);
	else
		check_server("127.0.0.3:53", NOW + 3 * SECOND);
	/* It is told again if it happens again. */
	(void)unlink(hosts_path);
	(void)start("localhost", NOW + 4 * SECOND);
	if (_i == 0)
		ck_assert_str_eq(log_text(),
		    "hosts file not read: Too many open files\n"
		    "hosts file not read: No such file or directory\n");
}
END_TEST

START_TEST(a_changed_resolv_conf_empties_the_cache)
{
	set_up_resolv("");
	(void)resolve(NAME, GOOD6, GOOD4, NOW);
	ck_assert(is_known(NAME, NOW + SECOND - 1));
	write_file(resolv_path, "options timeout:3\n");
	(void)start("localhost", NOW + SECOND);
	use_peer();
	ck_assert(!is_known(NAME, NOW + SECOND));
}
END_TEST

START_TEST(what_is_asked_goes_on_when_resolv_conf_changes)
{
	struct asked a[FAMILIES];
	struct lookup *k;

	set_up_resolv("search a.test");
	k = start("www", NOW);
	take_both("www.a.test", a);
	write_file(resolv_path, "search b.test c.test\noptions no-aaaa");
	(void)start("localhost", NOW + SECOND);
	use_peer();
	check_waits(2, NOW + TIMEOUT);
	peer_answer(&peer, &a[V6], GOOD6);
	turn(NOW + SECOND);
	peer_answer(&peer, &a[V4], GOOD4);
	turn(NOW + SECOND);
	check_found(k, A6, A4);
	check_aliases(k, "www.a.test");
}
END_TEST

START_TEST(no_reload_leaves_resolv_conf_alone)
{
	set_up_servers("nameserver 127.0.0.2\noptions no-reload\n");
	write_file(resolv_path, "nameserver 127.0.0.3\n");
	check_server("127.0.0.2:53", NOW + SECOND);
	/* but not the hosts file */
	write_file(hosts_path, "192.0.2.1 " NAME "\n");
	check_hosts("192.0.2.1", NOW + 2 * SECOND);
}
END_TEST

START_TEST(name_servers_of_ours_stand_in_the_place_of_resolv_conf)
{
	struct asked a[FAMILIES];

	write_file(resolv_path, "nameserver 127.0.0.2\nsearch a.test\n"
	    "options no-aaaa\n");
	set_up("");
	(void)start("www", NOW);
	take_both("www", a);
	write_file(resolv_path, "nameserver 127.0.0.3\n");
	(void)start("ftp", NOW + SECOND);
	take_both("ftp", a);
}
END_TEST

/* ---- what went wrong once ---------------------------------------------- */

START_TEST(the_search_list_may_become_shorter_meanwhile)
{
	static const char *const shorter[] = { "search z.test\n", "\n" };
	struct asked a[FAMILIES];
	struct lookup *k;

	set_up_resolv("search a.test b.test c.test\n");
	k = start("www", NOW);
	(void)answer_all(NXDOMAIN, NULL);
	turn(NOW);
	(void)answer_all(NXDOMAIN, NULL);
	turn(NOW);
	take_both("www.c.test", a);
	write_file(resolv_path, shorter[_i]);
	(void)start("localhost", NOW + SECOND);
	use_peer();
	quiet_turn(NOW + SECOND);
	peer_answer(&peer, &a[V6], GOOD6);
	turn(NOW + SECOND);
	peer_answer(&peer, &a[V4], GOOD4);
	turn(NOW + SECOND);
	check_found(k, A6, A4);
}
END_TEST

START_TEST(both_families_are_of_one_name)
{
	static const char *const lists[] = { "search c.test d.test\n",
	    "search c.test\n", "" };
	char resolv[128];
	struct asked a;

	set_up_resolv("search a.test b.test\noptions single-request\n");
	(void)start("www", NOW);
	take(DNS_AAAA, "www.a.test", &a);
	peer_answer(&peer, &a, NXDOMAIN);
	turn(NOW);
	take(DNS_AAAA, "www.b.test", &a);
	(void)snprintf(resolv, sizeof resolv, "%soptions single-request\n",
	    lists[_i]);
	write_file(resolv_path, resolv);
	(void)start("localhost", NOW + SECOND);
	use_peer();
	peer_answer(&peer, &a, GOOD6);
	turn(NOW + SECOND);
	take(DNS_A, "www.b.test", &a);
}
END_TEST

/* A family that could not be asked for is not one without addresses. */
START_TEST(a_family_that_was_not_asked_for_is_not_missed_for_long)
{
	struct lookup *k;
	struct asked a;

	set_up_resolv("options single-request\n");
	k = start(NAME, NOW);
	take(DNS_AAAA, NAME, &a);
	peer_answer(&peer, &a, GOOD6);
	interest();
	ck_assert_int_eq(poll(w.pfd, w.n, READY_MS), 1);
	limit_descriptors(true);
	resolver_step(&w, NOW);
	limit_descriptors(false);
	quiet_turn(NOW);
	check_found(k, A6, "");
	resolver_release(k, NOW);
	ck_assert(!is_known(NAME, NOW + 5 * SECOND));
}
END_TEST

static const char *const special_domains[] = {
	"search onion", "search x.onion", "search invalid", "search localhost"
};

START_TEST(special_candidates_are_not_asked_for)
{
	set_up_resolv(special_domains[_i]);
	check_names(start("www", NOW), "www");
}
END_TEST

START_TEST(sixteen_links_are_the_limit_with_an_address_behind_too)
{
	char script[128];
	struct lookup *k;
	struct asked a;
	int i;

	set_up_resolv("options no-aaaa");
	k = start(NAME, NOW);
	for (i = 0; i < DNS_LINKS_MAX; i++) {
		peer_take(&peer, &a);
		(void)snprintf(script, sizeof script, "cname 60 %s",
		    numbered(i));
		peer_answer(&peer, &a, script);
		turn(NOW);
	}
	peer_take(&peer, &a);
	peer_answer(&peer, &a, "cname 60 x.example, " GOOD4);
	turn(NOW);
	check_failed(k, NAME_FAILED, 2);
}
END_TEST

/* Those that nobody waited for know nothing. */
START_TEST(what_is_known_is_not_forgotten_for_what_is_not)
{
	int i;

	set_up("");
	(void)resolve(NAME, GOOD6, GOOD4, NOW);
	for (i = 0; i < LOOKUPS_KEPT; i++) {
		resolver_release(start(numbered(i), NOW), NOW);
		(void)answer_all(NULL, NULL);
	}
	ck_assert(is_known(NAME, NOW));
}
END_TEST

START_TEST(it_wants_no_more_entries_than_it_says)
{
	set_up("");
	ck_assert_uint_eq(resolver_waits(), LOOKUPS_MAX * FAMILIES);
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
add_local_tests(Suite *s)
{
	TCase *tc = new_case(s, "local");

	tcase_add_loop_test(tc, some_names_need_no_server, 0, COUNT(local));
	tcase_add_loop_test(tc, all_others_do, 0, COUNT(ordinary));
	tcase_add_test(tc, the_hosts_file_may_say_what_localhost_is);
	tcase_add_test(tc, a_local_answer_holds_until_the_next_one);
}

static void
add_family_tests(Suite *s)
{
	TCase *tc = new_case(s, "families");

	tcase_add_test(tc, both_families_are_asked_at_once);
	tcase_add_test(tc, ipv6_is_ready_when_it_comes);
	tcase_add_test(tc, ipv4_waits_50_ms_for_ipv6);
	tcase_add_loop_test(tc, an_answer_for_ipv6_ends_the_wait, 0,
	    COUNT(ends_of_wait));
	tcase_add_test(tc, without_ipv6_ipv4_is_ready_when_it_comes);
	tcase_add_loop_test(tc, what_does_not_exist_has_no_other_addresses, 0,
	    FAMILIES);
	tcase_add_test(tc, mapped_addresses_are_ipv4);
	tcase_add_test(tc, at_most_eight_addresses_of_a_family_are_kept);
	tcase_add_loop_test(tc, families_end_together, 0, COUNT(endings));
	tcase_add_loop_test(tc, silence_of_one_family_does_not_spoil_the_other,
	    0, FAMILIES);
	tcase_add_test(tc,
	    without_descriptors_nothing_is_asked_and_nothing_is_kept);
	tcase_add_test(tc, it_has_30_s_over_all);
}

static void
add_table_tests(Suite *s)
{
	TCase *tc = new_case(s, "cache");

	tcase_add_test(tc, one_name_is_asked_for_once);
	tcase_add_test(tc, other_names_are_other_lookups);
	tcase_add_loop_test(tc, an_answer_is_known_as_long_as_it_allows, 0,
	    COUNT(lives));
	tcase_add_test(tc, what_is_known_is_told_as_it_was);
	tcase_add_test(tc, an_answer_stays_until_it_is_released);
	tcase_add_test(tc, of_more_than_512_names_the_oldest_are_forgotten);
	tcase_add_test(tc, names_come_and_go);

	tc = new_case(s, "release");
	tcase_add_test(tc, what_nobody_waits_for_is_not_asked_any_more);
	tcase_add_loop_test(tc, one_with_addresses_is_finished_for_others, 0,
	    FAMILIES);
	tcase_add_test(tc, that_takes_a_second_at_most);
	tcase_add_test(tc, it_does_not_prolong_the_lookup);
	tcase_add_test(tc, somebody_may_come_while_it_is_finished);
	tcase_add_test(tc, one_without_addresses_is_not_finished);

	tc = new_case(s, "queue");
	tcase_add_test(tc, it_wants_no_more_entries_than_it_says);
	tcase_add_test(tc, of_many_names_32_are_asked_for_and_256_wait);
	tcase_add_test(tc, those_who_wait_begin_in_their_order);
	tcase_add_test(tc, a_place_in_the_queue_can_be_had_again);
	tcase_add_test(tc, all_of_a_full_queue_get_their_answers);
	tcase_add_test(tc, stop_closes_all_sockets);
}

static void
add_name_tests(Suite *s)
{
	TCase *tc = new_case(s, "search");

	tcase_add_loop_test(tc, names_without_a_dot_go_through_the_search_list,
	    0, COUNT(searches));
	tcase_add_loop_test(tc, candidates_that_are_too_long_are_left_out, 0,
	    COUNT(long_searches));
	tcase_add_loop_test(tc, if_all_candidates_are_too_long_the_name_is_left,
	    0, 2);
	tcase_add_loop_test(tc, the_list_goes_on_only_if_there_is_no_such_name,
	    0, COUNT(first_candidates));
	tcase_add_test(tc, each_candidate_begins_anew);
	tcase_add_test(tc, an_absolute_name_is_another_one);

	tc = new_case(s, "aliases");
	tcase_add_test(tc, names_on_the_way_are_told);
	tcase_add_loop_test(tc, where_a_chain_breaks_off_its_end_is_asked_for,
	    0, FAMILIES);
	tcase_add_test(tc, what_is_asked_for_then_may_not_exist);
	tcase_add_loop_test(tc, sixteen_links_are_followed_and_no_more, 0, 2);
	tcase_add_test(tc, a_chain_that_comes_back_ends);
	tcase_add_loop_test(tc, special_names_are_not_asked_for_on_the_way, 0,
	    COUNT(nowhere));
	tcase_add_test(tc, names_that_do_not_fit_spoil_the_answer);
}

static void
add_file_tests(Suite *s)
{
	TCase *tc = new_case(s, "options");

	tcase_add_loop_test(tc, no_aaaa_asks_for_ipv4_only, 0,
	    COUNT(without_ipv6));
	tcase_add_loop_test(tc, single_request_asks_one_after_the_other, 0,
	    COUNT(first_family));
	tcase_add_test(tc, single_request_waits_for_a_silent_family);
	tcase_add_test(tc, single_request_does_not_ask_for_what_does_not_exist);
	tcase_add_test(tc, single_request_goes_on_where_a_chain_breaks_off);

	tc = new_case(s, "files");
	tcase_add_test(tc, a_changed_hosts_file_is_seen_within_a_second);
	tcase_add_test(tc, a_changed_hosts_file_wins_over_the_cache);
	tcase_add_loop_test(tc, an_unreadable_hosts_file_changes_nothing,
	    0, 2);
	tcase_add_test(tc, a_hosts_file_may_fill_its_room);
	tcase_add_test(tc, without_a_hosts_file_there_is_none);
	tcase_add_test(tc, the_servers_are_those_of_resolv_conf);
	tcase_add_loop_test(tc, without_servers_this_machine_is_asked, 0, 2);
	tcase_add_test(tc, a_changed_resolv_conf_is_seen_within_a_second);
	tcase_add_test(tc, of_an_old_resolv_conf_nothing_is_left);
	tcase_add_loop_test(tc, an_unreadable_resolv_conf_changes_nothing,
	    0, 2);
	tcase_add_loop_test(tc, files_are_tried_again, 0, 2);
	tcase_add_test(tc, a_changed_resolv_conf_empties_the_cache);
	tcase_add_test(tc, what_is_asked_goes_on_when_resolv_conf_changes);
	tcase_add_test(tc, no_reload_leaves_resolv_conf_alone);
	tcase_add_test(tc,
	    name_servers_of_ours_stand_in_the_place_of_resolv_conf);

	tc = new_case(s, "mended");
	tcase_add_loop_test(tc, the_search_list_may_become_shorter_meanwhile, 0,
	    2);
	tcase_add_loop_test(tc, both_families_are_of_one_name, 0, 3);
	tcase_add_test(tc,
	    a_family_that_was_not_asked_for_is_not_missed_for_long);
	tcase_add_loop_test(tc, special_candidates_are_not_asked_for, 0,
	    COUNT(special_domains));
	tcase_add_test(tc,
	    sixteen_links_are_the_limit_with_an_address_behind_too);
	tcase_add_test(tc, what_is_known_is_not_forgotten_for_what_is_not);
}

int
main(void)
{
	Suite *s = suite_create("resolver");
	SRunner *sr;
	int failed;

	add_local_tests(s);
	add_family_tests(s);
	add_table_tests(s);
	add_name_tests(s);
	add_file_tests(s);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
