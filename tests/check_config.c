/* SPDX-License-Identifier: ISC */
/*
 * Unit tests of config.c: text in, struct config or an error text out.  Tables,
 * one row a case.  Texts and arenas are taken from malloc in the exact size, so
 * that a sanitizer sees the first byte read or written beside them, and the
 * text is gone before the result is looked at.  Rules are compared as text: the
 * words that they came from, in one order and with nothing left out.
 */
#include <check.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../connectd.h"

#define COUNT(table) ((int)(sizeof (table) / sizeof (table)[0]))
#define FILE_NAME	"connectd.conf"
#define GUARD		0xEE
#define MINUTE		(60 * (int64_t)1000)

static struct config cfg;
static char *arena;
static char error[CONFIG_ERROR_MAX + 16];	/* more than is promised */
static uint32_t seed;

static uint32_t
random_below(uint32_t n)
{
	seed ^= seed << 13;
	seed ^= seed >> 17;
	seed ^= seed << 5;
	return (seed >> 7) % n;
}

static void
end(void)
{
	free(arena);
	arena = NULL;
}

static void
begin(size_t size)
{
	end();
	arena = malloc(size > 0 ? size : 1);
	ck_assert_ptr_nonnull(arena);
	config_init(&cfg, arena, size);
}

/* An error is a string within CONFIG_ERROR_MAX bytes. */
static void
prepare_error(void)
{
	memset(error, GUARD, sizeof error);
}

static void
check_error(bool ok)
{
	size_t i;

	for (i = CONFIG_ERROR_MAX; i < sizeof error; i++)
		ck_assert_msg((unsigned char)error[i] == GUARD,
		    "wrote behind the error");
	ck_assert_msg(ok || memchr(error, '\0', CONFIG_ERROR_MAX) != NULL,
	    "the error does not end");
}

static char *
copy_of(const char *text, size_t n)
{
	char *copy = malloc(n > 0 ? n : 1);

	ck_assert_ptr_nonnull(copy);
	memcpy(copy, text, n);
	return copy;
}

static bool
take_file_as(const char *name, const char *text, size_t n)
{
	char *copy = copy_of(text, n);
	bool ok;

	prepare_error();
	ok = config_file(&cfg, name, copy, n, error);
	free(copy);
	check_error(ok);
	return ok;
}

static bool
take_file(const char *text)
{
	return take_file_as(FILE_NAME, text, strlen(text));
}

static bool
take_option(unsigned n, const char *text)
{
	char *copy = copy_of(text, strlen(text));
	bool ok;

	prepare_error();
	ok = config_option(&cfg, n, copy, strlen(text), error);
	free(copy);
	check_error(ok);
	return ok;
}

/* A configuration from this file alone, which must be good. */
static void
read_file(const char *text)
{
	begin(config_memory(strlen(text)));
	if (!take_file(text))
		ck_abort_msg("%s: %s", text, error);
	config_finish(&cfg);
}

static void
add_option(unsigned n, const char *text)
{
	if (!take_option(n, text))
		ck_abort_msg("%s: %s", text, error);
}

static void
add_file(const char *text)
{
	if (!take_file(text))
		ck_abort_msg("%s: %s", text, error);
}

/* ---- rules as text ----------------------------------------------------- */

static char shown[4096];

static void
show(const char *format, ...)
{
	size_t n = strlen(shown);
	va_list args;

	va_start(args, format);
	(void)vsnprintf(shown + n, sizeof shown - n, format, args);
	va_end(args);
}

static const char *
class_word(unsigned classes)
{
	switch (classes) {
	case CLASS_LOOPBACK:
		return "loopback";
	case CLASS_LINKLOCAL:
		return "linklocal";
	case CLASS_PRIVATE:
		return "private";
	default:
		return "no class that has a word";
	}
}

static void
show_matcher(const struct matcher *m)
{
	char addr[ADDR_TEXT_MAX];

	if (m->name_len > 0 && (m->name == NULL ||
	    m->name[m->name_len] != '\0' || strlen(m->name) != m->name_len))
		show("(name is not name_len bytes) ");
	switch (m->kind) {
	case MATCH_ANY:
		show("any");
		break;
	case MATCH_PUBLIC:
		show("public");
		break;
	case MATCH_CLASS:
		show("%s", class_word(m->classes));
		break;
	case MATCH_NET:
		show("%s/%u", addr_format(&m->net, false, addr),
		    m->net.bits);
		break;
	case MATCH_NAME:
		show("%s", m->name);
		break;
	case MATCH_NAME_TREE:
		show(".%s", m->name);
		break;
	case MATCH_NAME_BELOW:
		show("*.%s", m->name);
		break;
	}
}

static void
show_matchers(const char *word, const struct matcher *m, unsigned n)
{
	unsigned i;

	for (i = 0; i < n; i++) {
		show("%s", i == 0 ? word : ",");
		show_matcher(&m[i]);
	}
}

/* "allow from 10.0.0.0/8 to any port 443-443" */
static const char *
text_of(const struct rule *r)
{
	unsigned i;

	shown[0] = '\0';
	show(r->allow ? "allow" : "deny");
	show_matchers(" from ", r->from, r->froms);
	show_matchers(" to ", r->to, r->tos);
	for (i = 0; i < r->ports; i++)
		show("%s%u-%u", i == 0 ? " port " : ",", r->port[i].first,
		    r->port[i].last);
	return shown;
}

static void
check_rule(unsigned i, const char *text, const char *file, unsigned line)
{
	ck_assert_uint_lt(i, cfg.rules);
	ck_assert_str_eq(text_of(&cfg.rule[i]), text);
	ck_assert_str_eq(cfg.rule[i].file, file);
	ck_assert_uint_eq(cfg.rule[i].line, line);
}

/* ---- values ------------------------------------------------------------ */

START_TEST(without_a_word_every_value_has_its_default)
{
	static const char *const texts[] = { "", "\n", "\n\n\n", " \t\r\n",
	    "# nothing\n", "#", "\r\n\r\n", " # x\n\t#y" };

	read_file(texts[_i]);
	ck_assert_str_eq(cfg.name, "connectd");
	ck_assert_uint_eq(cfg.tunnels, 256);
	ck_assert_uint_eq(cfg.tunnels_per_client, 64);
	ck_assert_uint_eq(cfg.buffer, 32 * 1024);
	ck_assert_int_eq(cfg.timeout[TIMEOUT_REQUEST], 10 * 1000);
	ck_assert_int_eq(cfg.timeout[TIMEOUT_CONNECT], 30 * 1000);
	ck_assert_int_eq(cfg.timeout[TIMEOUT_IDLE], 60 * MINUTE);
	ck_assert_int_eq(cfg.timeout[TIMEOUT_HALF], 30 * 1000);
	ck_assert_int_eq(cfg.timeout[TIMEOUT_DRAIN], 4 * 1000);
	ck_assert_str_eq(cfg.hosts, "/etc/hosts");
	ck_assert_str_eq(cfg.resolv, "/etc/resolv.conf");
	ck_assert_uint_eq(cfg.servers, 0);
	ck_assert_uint_eq(cfg.nat64.family, 0);
	ck_assert_int_eq(cfg.log_level, LEVEL_INFO);
}
END_TEST

START_TEST(the_built_in_listeners_are_loopback_and_either_may_be_missing)
{
	char addr[ADDR_TEXT_MAX];

	read_file("");
	ck_assert_uint_eq(cfg.listens, 2);
	ck_assert_str_eq(addr_format(&cfg.listen[0].at, true, addr),
	    "127.0.0.1:3128");
	ck_assert_str_eq(addr_format(&cfg.listen[1].at, true, addr),
	    "[::1]:3128");
	ck_assert(cfg.listen[0].optional && cfg.listen[1].optional);
}
END_TEST

START_TEST(the_built_in_rule_is_there_only_if_there_is_no_other)
{
	read_file("");
	ck_assert_uint_eq(cfg.rules, 1);
	ck_assert_str_eq(text_of(&cfg.rule[0]),
	    "allow from loopback to public port 443-443");
	ck_assert_ptr_nonnull(cfg.rule[0].file);

	read_file("deny\n");
	ck_assert_uint_eq(cfg.rules, 1);
	check_rule(0, "deny", FILE_NAME, 1);
}
END_TEST

static const struct number_row {
	const char	*text;
	int64_t		 value;
} numbers[] = {
	{ "tunnels 1",			1 },
	{ "tunnels 2",			2 },
	{ "tunnels 29999",		29999 },
	{ "tunnels 30000",		30000 },
	{ "tunnels 0007",		7 },
	{ "tunnels-per-client 0",	0 },
	{ "tunnels-per-client 1",	1 },
	{ "tunnels-per-client 30000",	30000 },
	{ "buffer 4096",		4096 },
	{ "buffer 4k",			4096 },
	{ "buffer 8k",			8192 },
	{ "buffer 65536",		65536 },
	{ "buffer 512k",		512 * 1024 },
	{ "buffer 1024k",		1024 * 1024 },
	{ "buffer 1048576",		1024 * 1024 },
	{ "buffer 1m",			1024 * 1024 },
	{ "timeout request 1ms",	1 },
	{ "timeout request 500ms",	500 },
	{ "timeout request 10s",	10 * 1000 },
	{ "timeout connect 1s",		1000 },
	{ "timeout connect 5m",		5 * MINUTE },
	{ "timeout idle 1h",		60 * MINUTE },
	{ "timeout idle 168h",		168 * 60 * MINUTE },
	{ "timeout idle 10080m",	168 * 60 * MINUTE },
	{ "timeout idle 604800s",	168 * 60 * MINUTE },
	{ "timeout idle 604800000ms",	168 * 60 * MINUTE },
	{ "timeout half 0",		0 },
	{ "timeout half 0ms",		0 },
	{ "timeout half 0s",		0 },
	{ "timeout half 0m",		0 },
	{ "timeout half 0h",		0 },
	{ "timeout half 1ms",		1 },
	{ "timeout half 168h",		168 * 60 * MINUTE },
	{ "timeout drain 0",		0 },
	{ "timeout drain 007s",		7000 },
	{ "timeout drain 168h",		168 * 60 * MINUTE },
	{ "log-level error",		LEVEL_ERROR },
	{ "log-level warning",		LEVEL_WARNING },
	{ "log-level notice",		LEVEL_NOTICE },
	{ "log-level info",		LEVEL_INFO },
	{ "log-level debug",		LEVEL_DEBUG }
};

/* The value that the directive in front of `text` sets. */
static int64_t
value_of(const char *text)
{
	static const char *const timeouts[TIMEOUTS] = { "timeout request ",
	    "timeout connect ", "timeout idle ", "timeout half ",
	    "timeout drain " };
	int i;

	for (i = 0; i < TIMEOUTS; i++)
		if (strncmp(text, timeouts[i], strlen(timeouts[i])) == 0)
			return cfg.timeout[i];
	if (strncmp(text, "tunnels ", 8) == 0)
		return cfg.tunnels;
	if (strncmp(text, "tunnels-", 8) == 0)
		return cfg.tunnels_per_client;
	if (strncmp(text, "buffer ", 7) == 0)
		return (int64_t)cfg.buffer;
	ck_assert(strncmp(text, "log-level ", 10) == 0);
	return (int64_t)cfg.log_level;
}

START_TEST(a_number_gets_the_value_of_its_row)
{
	read_file(numbers[_i].text);
	ck_assert_int_eq(value_of(numbers[_i].text), numbers[_i].value);
}
END_TEST

static const char *const names[] = { "a", "Z", "myPROXY1", "a!#$%&'*+-.^_`|~9",
    "a23456789012345678901234567890123456789012345678901234567890123" };

START_TEST(a_name_is_kept)
{
	char text[128];

	(void)snprintf(text, sizeof text, "name %s\n", names[_i]);
	/* '#' begins a comment, also inside a word. */
	read_file(text);
	ck_assert_uint_eq(strlen(cfg.name), strcspn(names[_i], "#"));
	ck_assert(strncmp(cfg.name, names[_i], strlen(cfg.name)) == 0);
}
END_TEST

START_TEST(the_files_and_the_log_can_be_named)
{
	read_file("hosts /tmp/a-file\nresolv /tmp/b-file\nlog stderr\n");
	ck_assert_str_eq(cfg.hosts, "/tmp/a-file");
	ck_assert_str_eq(cfg.resolv, "/tmp/b-file");
}
END_TEST

START_TEST(a_nat64_prefix_is_kept)
{
	static const char *const prefixes[] = { "2001:db8::/32",
	    "2001:db8:100::/40", "2001:db8:122::/48", "2001:db8:122:300::/56",
	    "2001:db8:122:344::/64", "2001:db8:122:344::/96" };
	char text[64], addr[ADDR_TEXT_MAX];

	(void)snprintf(text, sizeof text, "nat64 %s\n", prefixes[_i]);
	read_file(text);
	(void)snprintf(text, sizeof text, "%s/%u",
	    addr_format(&cfg.nat64, false, addr), cfg.nat64.bits);
	ck_assert_str_eq(text, prefixes[_i]);
}
END_TEST

/* "192.0.2.1:53 [fe80::1]:53%eth0 " */
static const char *
all_servers(void)
{
	char addr[ADDR_TEXT_MAX];
	unsigned i;

	shown[0] = '\0';
	for (i = 0; i < cfg.servers; i++)
		show("%s%s%s ", addr_format(&cfg.server[i].addr, true,
		    addr), cfg.server[i].zone[0] != '\0' ? "%" : "",
		    cfg.server[i].zone);
	return shown;
}

static const struct server_row {
	const char	*text;
	const char	*out;
} servers[] = {
	{ "nameserver 192.0.2.1", "192.0.2.1:53 " },
	{ "nameserver 192.0.2.1:5353", "192.0.2.1:5353 " },
	{ "nameserver 2001:db8::1", "[2001:db8::1]:53 " },
	{ "nameserver [2001:db8::1]:5353", "[2001:db8::1]:5353 " },
	{ "nameserver ::1:53", "[::1:53]:53 " },
	{ "nameserver fe80::1%eth0", "[fe80::1]:53%eth0 " },
	{ "nameserver ::1\nnameserver 192.0.2.1\nnameserver 192.0.2.2:65535",
	    "[::1]:53 192.0.2.1:53 192.0.2.2:65535 " }
};

START_TEST(name_servers_are_kept_in_their_order)
{
	read_file(servers[_i].text);
	ck_assert_str_eq(all_servers(), servers[_i].out);
}
END_TEST

START_TEST(name_servers_of_options_replace_those_of_the_file)
{
	begin(config_memory(0));
	add_option(1, "nameserver 192.0.2.1");
	add_option(2, "nameserver 192.0.2.2");
	add_file("nameserver ::1\nnameserver ::2\nnameserver ::3\n");
	config_finish(&cfg);
	ck_assert_str_eq(all_servers(), "192.0.2.1:53 192.0.2.2:53 ");
}
END_TEST

static const struct listen_row {
	const char	*text;
	const char	*out;
	bool		 optional;
} listens[] = {
	{ "listen 127.0.0.1:3128",	"127.0.0.1:3128 ", false },
	{ "listen 0.0.0.0:1",		"0.0.0.0:1 ", false },
	{ "listen 192.0.2.1:65535",	"192.0.2.1:65535 ", false },
	{ "listen 192.0.2.1:0",		"192.0.2.1:0 ", false },
	{ "listen [::1]:3128",		"[::1]:3128 ", false },
	{ "listen [::]:80",		"[::]:80 ", false },
	{ "listen [2001:db8::1]:00080",	"[2001:db8::1]:80 ", false },
	{ "listen *:8080",		"0.0.0.0:8080 [::]:8080 ", true },
	{ "listen *:0",			"0.0.0.0:0 [::]:0 ", true },
	{ "listen 127.0.0.1:1\nlisten [::1]:2\nlisten 127.0.0.1:3\n",
	    "127.0.0.1:1 [::1]:2 127.0.0.1:3 ", false }
};

static const char *
all_listeners(void)
{
	char addr[ADDR_TEXT_MAX];
	unsigned i;

	shown[0] = '\0';
	for (i = 0; i < cfg.listens; i++)
		show("%s ", addr_format(&cfg.listen[i].at, true, addr));
	return shown;
}

START_TEST(listeners_are_those_of_the_row)
{
	unsigned i;

	read_file(listens[_i].text);
	ck_assert_str_eq(all_listeners(), listens[_i].out);
	for (i = 0; i < cfg.listens; i++)
		ck_assert(cfg.listen[i].optional == listens[_i].optional);
}
END_TEST

START_TEST(there_may_be_sixteen_listeners_and_no_more)
{
	char text[LISTENERS_MAX * 32];
	int i, n = 0;

	for (i = 0; i < LISTENERS_MAX; i++)
		n += snprintf(text + n, sizeof text - (size_t)n,
		    "listen 127.0.0.1:%d\n", i);
	read_file(text);
	ck_assert_uint_eq(cfg.listens, LISTENERS_MAX);

	begin(config_memory(0));
	add_file(text);
	ck_assert(!take_file("listen 127.0.0.1:16"));
	ck_assert_str_eq(error,
	    FILE_NAME ":1: listen: more than 16 addresses");

	ck_assert(!take_file("listen *:16"));
	ck_assert_str_eq(error,
	    FILE_NAME ":1: listen: more than 16 addresses");

	/* "*" counts as two. */
	begin(config_memory(0));
	*strrchr(text, 'l') = '\0';
	add_file(text);
	ck_assert(!take_file("listen *:16"));
	ck_assert_str_eq(error,
	    FILE_NAME ":1: listen: more than 16 addresses");
}
END_TEST

/* ---- lines ------------------------------------------------------------- */

/* All of them are `tunnels 5` and, on the last line, `name x`. */
static const char *const layouts[] = {
	"tunnels 5\nname x\n",
	"tunnels 5\nname x",
	"tunnels 5\r\nname x\r\n",
	"tunnels 5\r\nname x\r",
	"\n\ntunnels 5\n\n\nname x\n\n",
	"  tunnels   5  \n\tname\t\tx\t",
	" \t tunnels \t 5 \t\n name x",
	"tunnels 5# five\nname x#\n",
	"tunnels 5 # five # and more\nname x\n",
	"# tunnels 7\ntunnels 5\n#name y\nname x",
	"#\n#\n##\ntunnels 5\n \t#\nname x # \xff\xfe\x01"
};

START_TEST(blanks_comments_and_line_ends_do_not_matter)
{
	read_file(layouts[_i]);
	ck_assert_uint_eq(cfg.tunnels, 5);
	ck_assert_str_eq(cfg.name, "x");
}
END_TEST

START_TEST(an_error_tells_the_line_on_which_it_stands)
{
	static const char *const texts[] = { "x", "\nx", "\r\n\r\nx\n",
	    "#\n#\ntunnels 5\nx", "\n\n\n\nx\nx\nx" };
	char expected[64];

	begin(config_memory(0));
	ck_assert(!take_file(texts[_i]));
	(void)snprintf(expected, sizeof expected,
	    FILE_NAME ":%d: directive 'x': expected ", _i + 1);
	ck_assert_msg(strncmp(error, expected, strlen(expected)) == 0, "%s",
	    error);
}
END_TEST

START_TEST(a_line_of_a_million_bytes_is_read_like_any_other)
{
	const size_t n = 1000 * 1000;
	char *text = malloc(n), expected[160];

	ck_assert_ptr_nonnull(text);
	begin(config_memory(n));
	memset(text, ' ', n);
	memcpy(text + n - 9, "tunnels 5", 9);
	if (!take_file_as(FILE_NAME, text, n))
		ck_abort_msg("%s", error);
	ck_assert_uint_eq(cfg.tunnels, 5);

	/* A word of that size is cut where it is shown. */
	begin(config_memory(n));
	memset(text, 'y', n);
	ck_assert(!take_file_as(FILE_NAME, text, n));
	(void)snprintf(expected, sizeof expected, "%s:1: directive '%.48s': "
	    "expected one of those in connectd.conf(5)", FILE_NAME, text);
	ck_assert_str_eq(error, expected);

	begin(config_memory(n));
	memcpy(text, "hosts ", 6);
	if (!take_file_as(FILE_NAME, text, n))
		ck_abort_msg("%s", error);
	ck_assert_uint_eq(strlen(cfg.hosts), n - 6);
	free(text);
}
END_TEST

START_TEST(a_line_may_have_32_words)
{
	char text[256] = "tunnels";
	int i;

	for (i = 2; i <= 32; i++)
		strcat(text, " x");
	begin(config_memory(0));
	ck_assert(!take_file(text));
	ck_assert_str_eq(error,
	    FILE_NAME ":1: tunnels: expected 1 word behind it");
	strcat(text, "   # not a word");
	ck_assert(!take_file(text));
	ck_assert_str_eq(error,
	    FILE_NAME ":1: tunnels: expected 1 word behind it");
	text[strcspn(text, "#")] = 'x';
	ck_assert(!take_file(text));
	ck_assert_str_eq(error, FILE_NAME ":1: too many words in one line");
}
END_TEST

START_TEST(an_error_fits_whatever_the_name_of_the_file)
{
	char name[600], text[] = "port '70000'";
	size_t n;

	for (n = 1; n < sizeof name; n++) {
		memset(name, 'f', n);
		name[n] = '\0';
		begin(config_memory(0));
		ck_assert(!take_file_as(name, text, sizeof text - 1));
		ck_assert(error[0] == 'f');
	}
}
END_TEST

/* A byte that no word may hold is refused, shown as '?' and ends nothing. */
START_TEST(a_nul_byte_is_no_end_and_no_blank)
{
	static const struct {
		const char	*text;
		size_t		 n;
	} rows[] = {
		{ "\0", 1 },
		{ "\0\n", 2 },
		{ "\0tunnels 5", 10 },
		{ "tunnels\0 5", 10 },
		{ "tunnels \0" "5", 10 },
		{ "tunnels 5\0", 10 },
		{ "tunnels 5 \0", 11 },
		{ "name x\0y", 8 },
		{ "name \0", 6 },
		{ "log stderr\0", 11 },
		{ "log-level info\0", 15 },
		{ "timeout idle 5\0s", 16 },
		{ "timeout idle\0 5s", 16 },
		{ "buffer 4\0k", 10 },
		{ "listen 127.0.0.1:8\0", 19 },
		{ "listen [::1\0]:8", 15 },
		{ "deny\0", 5 },
		{ "deny from an\0y", 14 },
		{ "deny from 10.0.0.0\0/8", 21 },
		{ "deny to a\0.example", 18 },
		{ "deny to a,\0", 11 },
		{ "deny port 44\0", 13 },
		{ "hosts /etc/hosts\0.old", 21 }
	};
	int i;

	for (i = 0; i < COUNT(rows); i++) {
		begin(config_memory(rows[i].n));
		ck_assert_msg(!take_file_as(FILE_NAME, rows[i].text,
		    rows[i].n), "row %d was taken", i);
		ck_assert(strncmp(error, FILE_NAME ":1: ", 17) == 0);
		/* as an option, too */
		begin(config_memory(rows[i].n));
		ck_assert_msg(!config_option(&cfg, 1, rows[i].text, rows[i].n,
		    error), "row %d was taken", i);
	}
}
END_TEST

START_TEST(what_an_error_shows_is_printable)
{
	char text[16];
	int c;

	for (c = 1; c < 256; c++) {
		if (strchr(" \t\r\n#", c) != NULL)
			continue;
		begin(config_memory(0));
		(void)snprintf(text, sizeof text, "log-level %c", c);
		ck_assert(!take_file(text));
		ck_assert_int_eq(error[28], c > 0x20 && c < 0x7f ? c : '?');
	}
}
END_TEST

/* ---- errors ------------------------------------------------------------ */

#define NO_DIRECTIVE ": expected one of those in connectd.conf(5)"
#define NO_LISTEN ": expected ADDRESS:PORT, [IPv6]:PORT or *:PORT"
#define NO_NAME ": expected a token of at most 63 characters that begins " \
    "with a letter"
#define NO_BUFFER ": expected a power of two from 4k to 1m"
#define NO_TIME ": expected 500ms, 10s, 5m, 1h or such, up to a week"
#define NO_LEVEL ": expected error, warning, notice, info or debug"
#define NO_FROM ": expected any, loopback, private, an address or " \
    "ADDRESS/BITS with no bits behind the prefix"
#define NO_TO ": expected any, public, private, loopback, linklocal, an " \
    "address, ADDRESS/BITS, or a name"
#define LATER ": not in this version"
#define ONE ": expected 1 word behind it"
#define TWO ": expected 2 words behind it"
#define NO_NAT64 \
    ": expected PREFIX/BITS with 32, 40, 48, 56, 64 or 96 bits"
#define NO_SERVER ": expected ADDRESS, ADDRESS:PORT or [IPv6]:PORT"

static const struct error_row {
	const char	*text;
	const char	*error;		/* without file and line */
} errors[] = {
	{ "x", "directive 'x'" NO_DIRECTIVE },
	{ "TUNNELS 5", "directive 'TUNNELS'" NO_DIRECTIVE },
	{ "tunnel 5", "directive 'tunnel'" NO_DIRECTIVE },
	{ "tunnels=5", "directive 'tunnels=5'" NO_DIRECTIVE },
	{ "-", "directive '-'" NO_DIRECTIVE },
	{ "\"tunnels\" 5", "directive '\"tunnels\"'" NO_DIRECTIVE },
	{ "\xef\xbb\xbftunnels 5", "directive '???tunnels'" NO_DIRECTIVE },

	{ "user nobody", "user" LATER },
	{ "user", "user" LATER },
	{ "park off", "park" LATER },
	{ "express 16", "express" LATER },
	{ "logins file", "logins" LATER },
	{ "realm x", "realm" LATER },

	{ "listen", "listen" ONE },
	{ "listen 127.0.0.1:1 127.0.0.1:2", "listen" ONE },
	{ "name", "name" ONE },
	{ "name a b", "name" ONE },
	{ "tunnels", "tunnels" ONE },
	{ "tunnels 1 2", "tunnels" ONE },
	{ "tunnels-per-client", "tunnels-per-client" ONE },
	{ "buffer", "buffer" ONE },
	{ "buffer 4 k", "buffer" ONE },
	{ "hosts", "hosts" ONE },
	{ "hosts a b", "hosts" ONE },
	{ "resolv", "resolv" ONE },
	{ "nat64", "nat64" ONE },
	{ "nat64 64:ff9b::", "nat64 '64:ff9b::'" NO_NAT64 },
	{ "nat64 10.0.0.0/8", "nat64 '10.0.0.0/8'" NO_NAT64 },
	{ "nat64 2001:db8::/33", "nat64 '2001:db8::/33'" NO_NAT64 },
	{ "nat64 2000::/24", "nat64 '2000::/24'" NO_NAT64 },
	{ "nat64 2001:db8::/72", "nat64 '2001:db8::/72'" NO_NAT64 },
	{ "nat64 2001:db8::/104", "nat64 '2001:db8::/104'" NO_NAT64 },
	{ "nat64 2001:db8::1/96", "nat64 '2001:db8::1/96'" NO_NAT64 },
	{ "nameserver", "nameserver" ONE },
	{ "nameserver 192.0.2.1 192.0.2.2", "nameserver" ONE },
	{ "nameserver x", "nameserver 'x'" NO_SERVER },
	{ "nameserver 192.0.2.1:0", "nameserver '192.0.2.1:0'" NO_SERVER },
	{ "nameserver 192.0.2.1:", "nameserver '192.0.2.1:'" NO_SERVER },
	{ "nameserver 192.0.2.1:65536",
	    "nameserver '192.0.2.1:65536'" NO_SERVER },
	{ "nameserver 127.1", "nameserver '127.1'" NO_SERVER },
	{ "nameserver [::1]", "nameserver '[::1]'" NO_SERVER },
	{ "nameserver [192.0.2.1]:53",
	    "nameserver '[192.0.2.1]:53'" NO_SERVER },
	{ "nameserver dns.example", "nameserver 'dns.example'" NO_SERVER },
	{ "log", "log" ONE },
	{ "log-level", "log-level" ONE },
	{ "timeout", "timeout" TWO },
	{ "timeout idle", "timeout" TWO },
	{ "timeout idle 1 h", "timeout" TWO },

	{ "listen 127.0.0.1", "listen '127.0.0.1'" NO_LISTEN },
	{ "listen 3128", "listen '3128'" NO_LISTEN },
	{ "listen :3128", "listen ':3128'" NO_LISTEN },
	{ "listen 127.0.0.1:", "listen '127.0.0.1:'" NO_LISTEN },
	{ "listen 127.0.0.1:65536", "listen '127.0.0.1:65536'" NO_LISTEN },
	{ "listen 127.0.0.1:-1", "listen '127.0.0.1:-1'" NO_LISTEN },
	{ "listen 127.0.0.1:0x50", "listen '127.0.0.1:0x50'" NO_LISTEN },
	{ "listen 127.0.0.1:18446744073709551617",
	    "listen '127.0.0.1:18446744073709551617'" NO_LISTEN },
	{ "listen 127.1:80", "listen '127.1:80'" NO_LISTEN },
	{ "listen localhost:80", "listen 'localhost:80'" NO_LISTEN },
	{ "listen ::1:80", "listen '::1:80'" NO_LISTEN },
	{ "listen [::1]", "listen '[::1]'" NO_LISTEN },
	{ "listen [::1]80", "listen '[::1]80'" NO_LISTEN },
	{ "listen [::1:80", "listen '[::1:80'" NO_LISTEN },
	{ "listen ::1]:80", "listen '::1]:80'" NO_LISTEN },
	{ "listen []:80", "listen '[]:80'" NO_LISTEN },
	{ "listen [127.0.0.1]:80", "listen '[127.0.0.1]:80'" NO_LISTEN },
	{ "listen [*]:80", "listen '[*]:80'" NO_LISTEN },
	{ "listen *", "listen '*'" NO_LISTEN },
	{ "listen **:80", "listen '**:80'" NO_LISTEN },
	{ "listen [fe80::1%eth0]:80", "listen '[fe80::1%eth0]:80'" NO_LISTEN },

	{ "name 1x", "name '1x'" NO_NAME },
	{ "name -x", "name '-x'" NO_NAME },
	{ "name _", "name '_'" NO_NAME },
	{ "name @", "name '@'" NO_NAME },
	{ "name [", "name '['" NO_NAME },
	{ "name {", "name '{'" NO_NAME },
	{ "name a,b", "name 'a,b'" NO_NAME },
	{ "name a\"b", "name 'a\"b'" NO_NAME },
	{ "name a;b", "name 'a;b'" NO_NAME },
	{ "name \xc4x", "name '?x'" NO_NAME },
	{ "name "
	    "a234567890123456789012345678901234567890123456789012345678901234",
	    "name 'a23456789012345678901234567890123456789012345678'" NO_NAME },

	{ "tunnels 0", "tunnels '0': expected 1-30000" },
	{ "tunnels 30001", "tunnels '30001': expected 1-30000" },
	{ "tunnels -1", "tunnels '-1': expected 1-30000" },
	{ "tunnels +1", "tunnels '+1': expected 1-30000" },
	{ "tunnels 1k", "tunnels '1k': expected 1-30000" },
	{ "tunnels 0x10", "tunnels '0x10': expected 1-30000" },
	{ "tunnels 4294967297", "tunnels '4294967297': expected 1-30000" },
	{ "tunnels 18446744073709551617",
	    "tunnels '18446744073709551617': expected 1-30000" },
	{ "tunnels-per-client 30001",
	    "tunnels-per-client '30001': expected 0-30000" },
	{ "tunnels-per-client off",
	    "tunnels-per-client 'off': expected 0-30000" },

	{ "buffer 0", "buffer '0'" NO_BUFFER },
	{ "buffer 0k", "buffer '0k'" NO_BUFFER },
	{ "buffer 1", "buffer '1'" NO_BUFFER },
	{ "buffer 2048", "buffer '2048'" NO_BUFFER },
	{ "buffer 2k", "buffer '2k'" NO_BUFFER },
	{ "buffer 4095", "buffer '4095'" NO_BUFFER },
	{ "buffer 4097", "buffer '4097'" NO_BUFFER },
	{ "buffer 5k", "buffer '5k'" NO_BUFFER },
	{ "buffer 1023k", "buffer '1023k'" NO_BUFFER },
	{ "buffer 1025k", "buffer '1025k'" NO_BUFFER },
	{ "buffer 2048k", "buffer '2048k'" NO_BUFFER },
	{ "buffer 1048577", "buffer '1048577'" NO_BUFFER },
	{ "buffer 2m", "buffer '2m'" NO_BUFFER },
	{ "buffer 4K", "buffer '4K'" NO_BUFFER },
	{ "buffer 4kk", "buffer '4kk'" NO_BUFFER },
	{ "buffer k", "buffer 'k'" NO_BUFFER },
	{ "buffer m", "buffer 'm'" NO_BUFFER },
	{ "buffer -4k", "buffer '-4k'" NO_BUFFER },
	{ "buffer 4.0k", "buffer '4.0k'" NO_BUFFER },
	{ "buffer 18014398509481984k",
	    "buffer '18014398509481984k'" NO_BUFFER },

	{ "timeout tea 5s",
	    "timeout 'tea': expected request, connect, idle, half or drain" },
	{ "timeout 5s idle",
	    "timeout '5s': expected request, connect, idle, half or drain" },
	{ "timeout request 0", "timeout '0'" NO_TIME },
	{ "timeout request 0s", "timeout '0s'" NO_TIME },
	{ "timeout connect 0ms", "timeout '0ms'" NO_TIME },
	{ "timeout idle 0h", "timeout '0h'" NO_TIME },
	{ "timeout idle 10", "timeout '10'" NO_TIME },
	{ "timeout half 1", "timeout '1'" NO_TIME },
	{ "timeout half 00", "timeout '00'" NO_TIME },
	{ "timeout half -1s", "timeout '-1s'" NO_TIME },
	{ "timeout idle ms", "timeout 'ms'" NO_TIME },
	{ "timeout idle s", "timeout 's'" NO_TIME },
	{ "timeout idle h", "timeout 'h'" NO_TIME },
	{ "timeout idle 1d", "timeout '1d'" NO_TIME },
	{ "timeout idle 1H", "timeout '1H'" NO_TIME },
	{ "timeout idle 1.5h", "timeout '1.5h'" NO_TIME },
	{ "timeout idle 1h30m", "timeout '1h30m'" NO_TIME },
	{ "timeout idle 169h", "timeout '169h'" NO_TIME },
	{ "timeout idle 10081m", "timeout '10081m'" NO_TIME },
	{ "timeout idle 604801s", "timeout '604801s'" NO_TIME },
	{ "timeout idle 604800001ms", "timeout '604800001ms'" NO_TIME },
	{ "timeout drain 18446744073709551617ms",
	    "timeout '18446744073709551617ms'" NO_TIME },

	{ "log syslog", "log: only 'stderr' in this version" },
	{ "log /tmp/x", "log: only 'stderr' in this version" },
	{ "log-level Info", "log-level 'Info'" NO_LEVEL },
	{ "log-level 3", "log-level '3'" NO_LEVEL },

	{ "allow any", "rule 'any': expected from, to or port" },
	{ "deny From any", "rule 'From': expected from, to or port" },
	{ "deny from any to", "to: a value is missing" },
	{ "deny from", "from: a value is missing" },
	{ "deny port", "port: a value is missing" },
	{ "deny port # 443", "port: a value is missing" },
	{ "deny from any from any", "from: given twice in one rule" },
	{ "deny to a to b", "to: given twice in one rule" },
	{ "deny port 1 from any port 2", "port: given twice in one rule" },
	{ "deny to a b", "rule 'b': expected from, to or port" },
	{ "deny to a, b", "to ''" NO_TO },
	{ "allow user joe", "user" LATER },
	{ "allow to any via 192.0.2.1:3128", "via" LATER },
	{ "allow login file", "login" LATER },
	{ "allow source 192.0.2.1", "source" LATER },
	{ "allow device eth0", "device" LATER },
	{ "allow mark 1", "mark" LATER },

	{ "allow from public", "from 'public'" NO_FROM },
	{ "allow from linklocal", "from 'linklocal'" NO_FROM },
	{ "allow from example.com", "from 'example.com'" NO_FROM },
	{ "allow from ,", "from ''" NO_FROM },
	{ "allow from any,", "from ''" NO_FROM },
	{ "allow from ,any", "from ''" NO_FROM },
	{ "allow from any,,any", "from ''" NO_FROM },
	{ "allow from 10.0.0.1/8", "from '10.0.0.1/8'" NO_FROM },
	{ "allow from 10.0.0.0/33", "from '10.0.0.0/33'" NO_FROM },
	{ "allow from 10.0.0.0/", "from '10.0.0.0/'" NO_FROM },
	{ "allow from 10.0.0.0/08", "from '10.0.0.0/08'" NO_FROM },
	{ "allow from 10/8", "from '10/8'" NO_FROM },
	{ "allow from 10.0.0.0/255.0.0.0",
	    "from '10.0.0.0/255.0.0.0'" NO_FROM },
	{ "allow from 2001:db8::1/64", "from '2001:db8::1/64'" NO_FROM },
	{ "allow from 2001:db8::/129", "from '2001:db8::/129'" NO_FROM },
	{ "allow from ::ffff:10.0.0.1/104",
	    "from '::ffff:10.0.0.1/104'" NO_FROM },
	{ "allow from ::ffff:10.0.0.0/95",
	    "from '::ffff:10.0.0.0/95'" NO_FROM },
	{ "allow from [::1]", "from '[::1]'" NO_FROM },
	{ "allow from 127.1", "from '127.1'" NO_FROM },

	{ "allow to 10.0.0.1/8", "to '10.0.0.1/8'" NO_TO },
	{ "allow to 2130706433", "to '2130706433'" NO_TO },
	{ "allow to 0x7f.1", "to '0x7f.1'" NO_TO },
	{ "allow to [::1]", "to '[::1]'" NO_TO },
	{ "allow to .", "to '.'" NO_TO },
	{ "allow to ..", "to '..'" NO_TO },
	{ "allow to *", "to '*'" NO_TO },
	{ "allow to *.", "to '*.'" NO_TO },
	{ "allow to *a.example", "to '*a.example'" NO_TO },
	{ "allow to *.*.example", "to '*.*.example'" NO_TO },
	{ "allow to a.*.example", "to 'a.*.example'" NO_TO },
	{ "allow to ..example", "to '..example'" NO_TO },
	{ "allow to a..example", "to 'a..example'" NO_TO },
	{ "allow to .*.example", "to '.*.example'" NO_TO },
	{ "allow to example.com:443", "to 'example.com:443'" NO_TO },
	{ "allow to b\xfc" "cher.example", "to 'b?cher.example'" NO_TO },
	{ "allow to http://a.example/", "to 'http://a.example/'" NO_TO },

	{ "allow port 0", "port '0': expected 1-65535" },
	{ "allow port 65536", "port '65536': expected 1-65535" },
	{ "allow port 70000", "port '70000': expected 1-65535" },
	{ "allow port 443,70000", "port '70000': expected 1-65535" },
	{ "allow port 0-443", "port '0-443': expected 1-65535" },
	{ "allow port 443-65536", "port '443-65536': expected 1-65535" },
	{ "allow port -443", "port '-443': expected 1-65535" },
	{ "allow port 443-", "port '443-': expected 1-65535" },
	{ "allow port -", "port '-': expected 1-65535" },
	{ "allow port 1-2-3", "port '1-2-3': expected 1-65535" },
	{ "allow port any-5", "port 'any-5': expected 1-65535" },
	{ "allow port https", "port 'https': expected 1-65535" },
	{ "allow port *", "port '*': expected 1-65535" },
	{ "allow port 443,", "port '': expected 1-65535" },
	{ "allow port ,", "port '': expected 1-65535" },
	{ "allow port 444-443",
	    "port '444-443': expected the smaller number first" }
};

START_TEST(a_wrong_line_gets_the_error_of_its_row)
{
	const struct error_row *row = &errors[_i];
	char expected[CONFIG_ERROR_MAX], text[256];

	begin(config_memory(strlen(row->text)));
	(void)snprintf(text, sizeof text, "%s\n", row->text);
	ck_assert_msg(!take_file(text), "%s", text);
	(void)snprintf(expected, sizeof expected, "%s:1: %s", FILE_NAME,
	    row->error);
	ck_assert_str_eq(error, expected);

	begin(config_memory(strlen(row->text)));
	ck_assert(!take_option(3, row->text));
	(void)snprintf(expected, sizeof expected, "-o:3: %s", row->error);
	ck_assert_str_eq(error, expected);
}
END_TEST

START_TEST(the_example_in_the_manual_is_exact)
{
	char text[128] = "";
	int i;

	for (i = 1; i < 12; i++)
		strcat(text, "#\n");
	strcat(text, "allow port 70000\n");
	begin(config_memory(strlen(text)));
	ck_assert(!take_file(text));
	ck_assert_str_eq(error,
	    "connectd.conf:12: port '70000': expected 1-65535");
}
END_TEST

/* Each with two values that are both good. */
static const struct single_row {
	const char	*name;
	const char	*first;
	const char	*second;
} singles[] = {
	{ "name", "name a", "name b" },
	{ "tunnels", "tunnels 1", "tunnels 1" },
	{ "tunnels-per-client", "tunnels-per-client 1",
	    "tunnels-per-client 2" },
	{ "buffer", "buffer 4k", "buffer 8k" },
	{ "timeout request", "timeout request 1s", "timeout request 1s" },
	{ "timeout connect", "timeout connect 1s", "timeout connect 2s" },
	{ "timeout idle", "timeout idle 1s", "timeout idle 2s" },
	{ "timeout half", "timeout half 1s", "timeout half 0" },
	{ "timeout drain", "timeout drain 0", "timeout drain 0" },
	{ "hosts", "hosts a", "hosts b" },
	{ "resolv", "resolv a", "resolv b" },
	{ "nat64", "nat64 2001:db8::/96", "nat64 2001:db8::/32" },
	{ "log", "log stderr", "log stderr" },
	{ "log-level", "log-level info", "log-level debug" }
};

START_TEST(a_single_value_may_not_be_given_twice)
{
	const struct single_row *row = &singles[_i];
	char text[128], expected[128];

	(void)snprintf(text, sizeof text, "%s\n\n%s\n", row->first,
	    row->second);
	begin(config_memory(strlen(text)));
	ck_assert(!take_file(text));
	(void)snprintf(expected, sizeof expected, "%s:3: %s: given twice",
	    FILE_NAME, row->name);
	ck_assert_str_eq(error, expected);

	begin(config_memory(strlen(text)));
	add_option(1, row->first);
	ck_assert(!take_option(2, row->second));
	(void)snprintf(expected, sizeof expected, "-o:2: %s: given twice",
	    row->name);
	ck_assert_str_eq(error, expected);

	/* The option wins, and yet the file may say it only once. */
	begin(config_memory(strlen(text)));
	add_option(1, row->first);
	ck_assert(!take_file(text));
}
END_TEST

START_TEST(all_directives_may_stand_together)
{
	char text[1024] = "";
	int i;

	for (i = 0; i < COUNT(singles); i++) {
		strcat(text, singles[i].first);
		strcat(text, "\n");
	}
	strcat(text, "listen 127.0.0.1:1\nlisten [::1]:1\nallow\nallow\n"
	    "deny\ndeny\n");
	read_file(text);
	ck_assert_str_eq(cfg.name, "a");
	ck_assert_uint_eq(cfg.listens, 2);
	ck_assert_uint_eq(cfg.rules, 4);
}
END_TEST

/* ---- options ----------------------------------------------------------- */

static const struct {
	const char	*option;
	const char	*file;
	int64_t		 value;
} options[] = {
	{ "tunnels 7", "tunnels 8", 7 },
	{ "tunnels-per-client 0", "tunnels-per-client 8", 0 },
	{ "buffer 4k", "buffer 8k", 4096 },
	{ "timeout request 1s", "timeout request 2s", 1000 },
	{ "timeout connect 1s", "timeout connect 2s", 1000 },
	{ "timeout idle 1s", "timeout idle 2s", 1000 },
	{ "timeout half 0", "timeout half 2s", 0 },
	{ "timeout drain 1s", "timeout drain 2s", 1000 },
	{ "log-level error", "log-level debug", LEVEL_ERROR }
};

START_TEST(the_value_of_an_option_wins_over_the_file)
{
	begin(config_memory(0));
	add_option(1, options[_i].option);
	add_file(options[_i].file);
	config_finish(&cfg);
	ck_assert_int_eq(value_of(options[_i].option), options[_i].value);
}
END_TEST

START_TEST(the_words_of_an_option_win_over_the_file)
{
	begin(config_memory(0));
	add_option(1, "name mine");
	add_option(2, "hosts h1");
	add_option(3, "log stderr");
	add_file("hosts h2\nlog stderr\nname yours\n");
	config_finish(&cfg);
	ck_assert_str_eq(cfg.name, "mine");
	ck_assert_str_eq(cfg.hosts, "h1");
}
END_TEST

START_TEST(an_option_overrides_nothing_else)
{
	begin(config_memory(0));
	add_option(1, "timeout idle 1s");
	add_option(2, "tunnels 7");
	add_file("timeout idle 2s\ntimeout half 3s\ntunnels-per-client 4\n"
	    "listen 127.0.0.1:5\n");
	config_finish(&cfg);
	ck_assert_int_eq(cfg.timeout[TIMEOUT_IDLE], 1000);
	ck_assert_int_eq(cfg.timeout[TIMEOUT_HALF], 3000);
	ck_assert_uint_eq(cfg.tunnels, 7);
	ck_assert_uint_eq(cfg.tunnels_per_client, 4);
	ck_assert_str_eq(all_listeners(), "127.0.0.1:5 ");
}
END_TEST

START_TEST(a_value_that_an_option_overrides_must_still_be_good)
{
	begin(config_memory(0));
	add_option(1, "tunnels 7");
	ck_assert(!take_file("\ntunnels 0\n"));
	ck_assert_str_eq(error,
	    FILE_NAME ":2: tunnels '0': expected 1-30000");
}
END_TEST

START_TEST(listeners_of_options_replace_those_of_the_file)
{
	begin(config_memory(0));
	add_option(1, "listen 127.0.0.1:1");
	add_option(2, "listen [::1]:2");
	add_file("listen 127.0.0.1:3\nlisten *:4\n");
	config_finish(&cfg);
	ck_assert_str_eq(all_listeners(), "127.0.0.1:1 [::1]:2 ");
}
END_TEST

/* What is replaced takes no place. */
START_TEST(as_many_listeners_as_may_be_can_be_replaced)
{
	char text[64];
	unsigned i;

	begin(config_memory(0));
	for (i = 0; i < LISTENERS_MAX; i++) {
		(void)snprintf(text, sizeof text, "listen 127.0.0.1:%u", i);
		add_option(i + 1, text);
	}
	add_file("listen 127.0.0.1:99\n");
	config_finish(&cfg);
	ck_assert_uint_eq(cfg.listens, LISTENERS_MAX);
	ck_assert_uint_eq(cfg.listen[LISTENERS_MAX - 1].at.port,
	    LISTENERS_MAX - 1);
}
END_TEST

START_TEST(rules_of_options_stand_in_front_in_their_order)
{
	begin(config_memory(0));
	add_option(1, "deny to a");
	add_option(2, "tunnels 7");
	add_option(3, "allow to b");
	add_file("allow to c\n\ndeny to d\n");
	config_finish(&cfg);
	ck_assert_uint_eq(cfg.rules, 4);
	check_rule(0, "deny to a", "-o", 1);
	check_rule(1, "allow to b port 443-443", "-o", 3);
	check_rule(2, "allow to c port 443-443", FILE_NAME, 1);
	check_rule(3, "deny to d", FILE_NAME, 3);
}
END_TEST

START_TEST(an_option_is_one_line)
{
	begin(config_memory(0));
	ck_assert(!take_option(1, "tunnels 5\nname x"));
	ck_assert(!take_option(2, "deny\nallow"));
	add_option(3, " tunnels\t5 # five");
	add_option(4, "");
	add_option(5, "# nothing");
	ck_assert_uint_eq(cfg.tunnels, 5);
}
END_TEST

/* ---- rules ------------------------------------------------------------- */

static const struct rule_row {
	const char	*text;
	const char	*rule;		/* NULL: as it was written */
} rules[] = {
	{ "deny", NULL },
	{ "deny # to a", "deny" },
	{ "allow", "allow port 443-443" },
	{ "allow from any", "allow from any port 443-443" },
	{ "allow from loopback", "allow from loopback port 443-443" },
	{ "deny from private", NULL },
	{ "deny from any,loopback,private,192.0.2.0/24,any", NULL },
	{ "deny from 192.0.2.1", "deny from 192.0.2.1/32" },
	{ "deny from 0.0.0.0", "deny from 0.0.0.0/32" },
	{ "deny from 0.0.0.0/0", NULL },
	{ "deny from 128.0.0.0/1", NULL },
	{ "deny from 10.0.0.0/8,192.168.1.0/24", NULL },
	{ "deny from 255.255.255.255/32", NULL },
	{ "deny from ::1", "deny from ::1/128" },
	{ "deny from ::/0", NULL },
	{ "deny from 2001:db8::/32", NULL },
	{ "deny from 2001:DB8:0::/127", "deny from 2001:db8::/127" },
	{ "deny from ::ffff:192.0.2.1", "deny from 192.0.2.1/32" },
	{ "deny from ::ffff:10.0.0.0/104", "deny from 10.0.0.0/8" },
	{ "deny from ::ffff:a00:0/104", "deny from 10.0.0.0/8" },
	{ "deny from ::ffff:0:0/96", "deny from 0.0.0.0/0" },
	{ "deny from ::ffff:192.0.2.1/128", "deny from 192.0.2.1/32" },
	{ "deny to ::ffff:0:0/96", "deny to 0.0.0.0/0" },
	{ "deny from ::/95", NULL },
	{ "deny from 64:ff9b::/96", NULL },

	{ "deny to any,public,private,loopback,linklocal", NULL },
	{ "deny to 192.0.2.1,fe80::/10,127.0.0.0/8",
	    "deny to 192.0.2.1/32,fe80::/10,127.0.0.0/8" },
	{ "deny to example.com,.example.com,*.example.com", NULL },
	{ "deny to a", NULL },
	{ "deny to .a", NULL },
	{ "deny to *.a", NULL },
	{ "deny to a.", NULL },
	{ "deny to Www.EXAMPLE.com", NULL },
	{ "deny to localhost,a_b,x-1.example", NULL },
	{ "deny to any.,publicx,xprivate", NULL },
	{ "deny to any,a,10.0.0.0/8,.b,loopback,*.c", NULL },
	{ "deny to a#,b", "deny to a" },

	{ "allow port 1", "allow port 1-1" },
	{ "allow port 65535", "allow port 65535-65535" },
	{ "allow port any", "allow port 1-65535" },
	{ "deny port any", "deny port 1-65535" },
	{ "allow port 1-65535", NULL },
	{ "allow port 5-5", NULL },
	{ "allow port 0443", "allow port 443-443" },
	{ "allow port 80,443,8000-8999,any",
	    "allow port 80-80,443-443,8000-8999,1-65535" },

	{ "allow from any to any port 1-2", NULL },
	{ "allow from any port 1-2 to any", "allow from any to any port 1-2" },
	{ "allow to any from any port 1-2", "allow from any to any port 1-2" },
	{ "allow to any port 1-2 from any", "allow from any to any port 1-2" },
	{ "allow port 1-2 from any to any", "allow from any to any port 1-2" },
	{ "allow port 1-2 to any from any", "allow from any to any port 1-2" },
	{ "deny to any from any", "deny from any to any" }
};

START_TEST(a_rule_means_what_its_row_says)
{
	const struct rule_row *row = &rules[_i];

	read_file(row->text);
	ck_assert_uint_eq(cfg.rules, 1);
	check_rule(0, row->rule != NULL ? row->rule : row->text, FILE_NAME, 1);
}
END_TEST

START_TEST(a_net_of_a_rule_has_no_port_and_clean_bytes)
{
	struct addr clean;

	read_file("deny from ::ffff:10.0.0.0/104");
	memset(&clean, 0, sizeof clean);
	clean.family = 4;
	clean.bits = 8;
	clean.ip[0] = 10;
	ck_assert_mem_eq(&cfg.rule[0].from[0].net, &clean, sizeof clean);
}
END_TEST

START_TEST(rules_keep_their_order_and_tell_their_line)
{
	char text[4096] = "", line[64];
	unsigned i, n;

	for (n = 0; n < 40; n++) {
		begin(config_memory(strlen(text)));
		add_file(text);
		config_finish(&cfg);
		for (i = 0; n > 0 && i < n; i++) {
			(void)snprintf(line, sizeof line, "deny to a%u,b%u.c",
			    i, i);
			check_rule(i, line, FILE_NAME, 2 * i + 1);
		}
		ck_assert_uint_eq(cfg.rules, n > 0 ? n : 1);
		(void)snprintf(line, sizeof line, "deny to a%u,b%u.c\n#\n", n,
		    n);
		strcat(text, line);
	}
}
END_TEST

START_TEST(a_rule_points_to_the_name_of_its_file)
{
	static const char name[] = "some/where.conf";

	begin(config_memory(0));
	ck_assert(take_file_as(name, "deny", 4));
	config_finish(&cfg);
	ck_assert_ptr_eq(cfg.rule[0].file, name);
}
END_TEST

/* ---- arena ------------------------------------------------------------- */

static const char *const arena_texts[] = {
	"deny\n",
	"allow from 10.0.0.0/8,::1 to a,.b.c,*.d port 1,2-3,any\n",
	"name abcdefg\nhosts /etc/hosts\ndeny to a\ndeny from any\n",
	"deny to a,b,c,d\nallow to e port 5\nname x\ndeny\ndeny port 1\n"
};

/* With every size of arena: an error that says so, or the same as with more;
 * never a byte beside it. */
START_TEST(a_small_arena_is_an_error_and_not_an_overrun)
{
	const char *text = arena_texts[_i];
	unsigned char *memory = malloc(16 + 2048 + 16), *middle = memory + 16;
	size_t size, k;
	bool ok = false, before;

	ck_assert_ptr_nonnull(memory);
	for (size = 0; size <= 2048; size++) {
		memset(memory, GUARD, 16 + 2048 + 16);
		config_init(&cfg, (char *)middle, size);
		before = ok;
		ok = take_file(text);
		if (!ok) {
			ck_assert_msg(!before, "%zu bytes were enough", size);
			ck_assert_ptr_nonnull(strstr(error,
			    ": the configuration is too large"));
		} else
			config_finish(&cfg);
		for (k = 0; k < 16; k++)
			ck_assert_msg(memory[k] == GUARD &&
			    middle[size + k] == GUARD, "wrote beside %zu bytes",
			    size);
	}
	free(memory);
	ck_assert(ok);
}
END_TEST

START_TEST(the_built_in_rule_fits_into_the_memory_of_an_empty_file)
{
	begin(config_memory(0));
	config_finish(&cfg);
	ck_assert_uint_eq(cfg.rules, 1);
}
END_TEST

/* Texts in which every byte costs as much memory as it can: `head`, then
 * `again` until the size is reached, cut so that the last element is whole. */
static const struct dense_row {
	const char	*head;
	const char	*again;
} dense[] = {
	{ "", "deny\n" },
	{ "", "allow\n" },
	{ "deny to a", ",a" },
	{ "deny to a", ",.a" },
	{ "deny to a", ",::" },
	{ "deny from ::", ",::" },
	{ "deny from any", ",any" },
	{ "deny port 1", ",1" },
	{ "", "deny to a\n" },
	{ "", "deny to a,b,c from :: port 1\n" },
	{ "", "deny from ::\n" },
	{ "", "deny port 1\n" },
	{ "", "allow to a port 1\n" },
	{ "deny to abcdefgh", ",abcdefgh" },
	{ "deny to abcdefg", ",abcdefg" },
	{ "hosts x", "x" },
	{ "", "\n" }
};

START_TEST(config_memory_is_enough_for_the_densest_file)
{
	static const size_t sizes[] = { 1000, 20 * 1000, 300 * 1000 };
	const struct dense_row *row = &dense[_i];
	size_t i, n, again = strlen(row->again);
	char *text;

	for (i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
		text = malloc(sizes[i]);
		ck_assert_ptr_nonnull(text);
		n = strlen(row->head);
		memcpy(text, row->head, n);
		for (; n + again <= sizes[i]; n += again)
			memcpy(text + n, row->again, again);
		begin(config_memory(n));
		if (!take_file_as(FILE_NAME, text, n))
			ck_abort_msg("%zu bytes: %s", n, error);
		config_finish(&cfg);
		ck_assert_uint_ge(cfg.rules, 1);
		free(text);
	}
}
END_TEST

/* Half of the text in options, as the start of the program does it. */
START_TEST(config_memory_counts_options_as_it_counts_a_file)
{
	static const char list[] = "deny to a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p";
	unsigned i;

	begin(config_memory(2000 * (sizeof list - 1)));
	for (i = 0; i < 1000; i++)
		add_option(i + 1, list);
	for (i = 0; i < 1000; i++)
		add_file(list);
	config_finish(&cfg);
	ck_assert_uint_eq(cfg.rules, 2000);
	check_rule(999, list, "-o", 1000);
	check_rule(1000, list, FILE_NAME, 1);
}
END_TEST

/* ---- everything -------------------------------------------------------- */

static const char *const tokens[] = { "allow", "deny", "from", "to", "port",
    "any", "loopback", "10.0.0.0/8", "::/0", "a.example", "*.b", ".c", "443",
    "1-5", ",", "443,", ",a", "#", "listen", "127.0.0.1:1", "*:2", "[::1]:3",
    "name", "x", "tunnels", "5", "buffer", "4k", "timeout", "idle", "half",
    "0", "10s", "hosts", "log", "stderr", "log-level", "info", "user", "\r",
    "\xff", "\x01", "-1", "99999999999999999999", "tunnels-per-client" };

static size_t
random_text(char *out, size_t max)
{
	size_t n = 0, len;
	const char *word;

	while (random_below(30) != 0) {
		word = tokens[random_below(COUNT(tokens))];
		len = strlen(word);
		if (n + len + 1 > max)
			break;
		memcpy(out + n, word, len);
		n += len;
		out[n++] = "\n   \t\0"[random_below(20) == 0 ?
		    random_below(6) : 1 + random_below(3)];
		if (random_below(4) == 0)
			out[n - 1] = '\n';
	}
	return n;
}

START_TEST(any_text_is_taken_or_refused_with_its_place)
{
	char text[1024];
	int i, good = 0, bad = 0;
	unsigned k;

	seed = 77u + (uint32_t)_i;
	for (i = 0; i < 5000; i++) {
		begin(random_below(random_below(4) == 0 ? 512 : 16384));
		if (take_file_as(FILE_NAME, text,
		    random_text(text, sizeof text))) {
			good++;
			config_finish(&cfg);
			for (k = 0; k < cfg.rules; k++)
				(void)text_of(&cfg.rule[k]);
		} else {
			bad++;
			ck_assert_msg(strncmp(error, FILE_NAME ":", 14) == 0 &&
			    strstr(error, ": ") != NULL, "%s", error);
		}
	}
	ck_assert_int_gt(good, 100);
	ck_assert_int_gt(bad, 100);
}
END_TEST

static void
add_line_tests(Suite *s)
{
	TCase *tc = tcase_create("lines");

	tcase_add_checked_fixture(tc, NULL, end);
	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, blanks_comments_and_line_ends_do_not_matter, 0,
	    COUNT(layouts));
	tcase_add_loop_test(tc, an_error_tells_the_line_on_which_it_stands, 0,
	    5);
	tcase_add_test(tc, a_line_of_a_million_bytes_is_read_like_any_other);
	tcase_add_test(tc, a_line_may_have_32_words);
	tcase_add_test(tc, an_error_fits_whatever_the_name_of_the_file);
	tcase_add_test(tc, a_nul_byte_is_no_end_and_no_blank);
	tcase_add_test(tc, what_an_error_shows_is_printable);
	tcase_add_loop_test(tc, a_wrong_line_gets_the_error_of_its_row, 0,
	    COUNT(errors));
	tcase_add_test(tc, the_example_in_the_manual_is_exact);
	tcase_add_loop_test(tc, a_single_value_may_not_be_given_twice, 0,
	    COUNT(singles));
	tcase_add_test(tc, all_directives_may_stand_together);
	tcase_add_loop_test(tc, any_text_is_taken_or_refused_with_its_place, 0,
	    3);
	suite_add_tcase(s, tc);
}

static void
add_value_tests(Suite *s)
{
	TCase *tc = tcase_create("values");

	tcase_add_checked_fixture(tc, NULL, end);
	tcase_add_loop_test(tc, without_a_word_every_value_has_its_default, 0,
	    8);
	tcase_add_test(tc,
	    the_built_in_listeners_are_loopback_and_either_may_be_missing);
	tcase_add_test(tc,
	    the_built_in_rule_is_there_only_if_there_is_no_other);
	tcase_add_loop_test(tc, a_number_gets_the_value_of_its_row, 0,
	    COUNT(numbers));
	tcase_add_loop_test(tc, a_name_is_kept, 0, COUNT(names));
	tcase_add_test(tc, the_files_and_the_log_can_be_named);
	tcase_add_loop_test(tc, a_nat64_prefix_is_kept, 0, 6);
	tcase_add_loop_test(tc, name_servers_are_kept_in_their_order, 0,
	    COUNT(servers));
	tcase_add_test(tc, name_servers_of_options_replace_those_of_the_file);
	tcase_add_loop_test(tc, listeners_are_those_of_the_row, 0,
	    COUNT(listens));
	tcase_add_test(tc, there_may_be_sixteen_listeners_and_no_more);
	suite_add_tcase(s, tc);
}

static void
add_option_tests(Suite *s)
{
	TCase *tc = tcase_create("options");

	tcase_add_checked_fixture(tc, NULL, end);
	tcase_add_loop_test(tc, the_value_of_an_option_wins_over_the_file, 0,
	    COUNT(options));
	tcase_add_test(tc, the_words_of_an_option_win_over_the_file);
	tcase_add_test(tc, an_option_overrides_nothing_else);
	tcase_add_test(tc, a_value_that_an_option_overrides_must_still_be_good);
	tcase_add_test(tc, listeners_of_options_replace_those_of_the_file);
	tcase_add_test(tc, as_many_listeners_as_may_be_can_be_replaced);
	tcase_add_test(tc, rules_of_options_stand_in_front_in_their_order);
	tcase_add_test(tc, an_option_is_one_line);
	suite_add_tcase(s, tc);
}

static Suite *
config_suite(void)
{
	Suite *s = suite_create("config");
	TCase *tc = tcase_create("rules");

	add_value_tests(s);
	add_line_tests(s);
	add_option_tests(s);
	tcase_add_checked_fixture(tc, NULL, end);
	tcase_add_loop_test(tc, a_rule_means_what_its_row_says, 0,
	    COUNT(rules));
	tcase_add_test(tc, a_net_of_a_rule_has_no_port_and_clean_bytes);
	tcase_add_test(tc, rules_keep_their_order_and_tell_their_line);
	tcase_add_test(tc, a_rule_points_to_the_name_of_its_file);
	suite_add_tcase(s, tc);

	tc = tcase_create("arena");
	tcase_add_checked_fixture(tc, NULL, end);
	tcase_set_timeout(tc, 120);
	tcase_add_loop_test(tc, a_small_arena_is_an_error_and_not_an_overrun,
	    0, COUNT(arena_texts));
	tcase_add_test(tc,
	    the_built_in_rule_fits_into_the_memory_of_an_empty_file);
	tcase_add_loop_test(tc, config_memory_is_enough_for_the_densest_file,
	    0, COUNT(dense));
	tcase_add_test(tc, config_memory_counts_options_as_it_counts_a_file);
	suite_add_tcase(s, tc);
	return s;
}

int
main(void)
{
	SRunner *sr = srunner_create(config_suite());
	int failed;

	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
