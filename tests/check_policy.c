/* SPDX-License-Identifier: ISC */
/*
 * Unit tests of policy.c: the text of addresses, their classes, and rules.
 * Tables, one row a case, and beside them a second classifier and a second
 * judge, written from connectd.h in the slowest and plainest way, with which a
 * long pseudo-random sequence of addresses, rules and requests must agree.
 * inet_pton and inet_ntop say what the text of an address is.
 */
#include <arpa/inet.h>
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../connectd.h"

#define COUNT(table) ((int)(sizeof (table) / sizeof (table)[0]))
#define TEXT(s) (s), sizeof (s) - 1

#define L	CLASS_LOOPBACK
#define LL	CLASS_LINKLOCAL
#define P	CLASS_PRIVATE
#define R	CLASS_RESERVED
#define NONE	0x80u			/* there is no such neighbour */
#define FFFF	":ffff:ffff:ffff:ffff:ffff:ffff"

static uint32_t seed;

static uint32_t
random_below(uint32_t n)
{
	seed ^= seed << 13;
	seed ^= seed >> 17;
	seed ^= seed << 5;
	return (seed >> 7) % n;
}

/* The address in a text that must be one. */
static struct addr
address(const char *text)
{
	struct addr a;

	if (!addr_parse(text, strlen(text), &a))
		ck_abort_msg("%s is not read as an address", text);
	return a;
}

/* The same for a prefix, or for one address. */
static struct addr
prefix(const char *text)
{
	struct addr a;

	if (strchr(text, '/') == NULL) {
		a = address(text);
		a.bits = a.family == 4 ? 32 : 128;
	} else if (!addr_parse_cidr(text, strlen(text), &a))
		ck_abort_msg("%s is not read as a prefix", text);
	return a;
}

static struct addr
canonical(struct addr a)
{
	addr_canonical(&a);
	return a;
}

/* ---- the text of addresses ----------------------------------------------- */

static const struct text_row {
	const char	*text;
	size_t		 n;
	const char	*out;		/* as RFC 5952 wants; NULL: none */
} texts[] = {
	{ TEXT("0.0.0.0"),		"0.0.0.0" },
	{ TEXT("127.0.0.1"),		"127.0.0.1" },
	{ TEXT("255.255.255.255"),	"255.255.255.255" },
	{ TEXT("1.20.100.0"),		"1.20.100.0" },
	{ TEXT("::"),			"::" },
	{ TEXT("::1"),			"::1" },
	{ TEXT("1::"),			"1::" },
	{ TEXT("0:0:0:0:0:0:0:0"),	"::" },
	{ TEXT("0:0:0:0:0:0:0:1"),	"::1" },
	{ TEXT("1:2:3:4:5:6:7:8"),	"1:2:3:4:5:6:7:8" },
	{ TEXT("ABCD:EF01:2345:6789:abcd:ef01:2345:6789"),
	    "abcd:ef01:2345:6789:abcd:ef01:2345:6789" },
	{ TEXT("0001:0020:0300:4000:0:00:000:0000"), "1:20:300:4000::" },
	{ TEXT("2001:db8::1"),		"2001:db8::1" },
	{ TEXT("2001:DB8:0:0:0::1"),	"2001:db8::1" },
	{ TEXT("1::8"),			"1::8" },
	{ TEXT("1:2:3:4:5:6:7::"),	"1:2:3:4:5:6:7:0" },
	{ TEXT("::2:3:4:5:6:7:8"),	"0:2:3:4:5:6:7:8" },
	{ TEXT("1:2:3::5:6:7:8"),	"1:2:3:0:5:6:7:8" },
	{ TEXT("2001:db8:0:1:1:1:1:1"),	"2001:db8:0:1:1:1:1:1" },
	{ TEXT("2001:0:0:1:0:0:0:1"),	"2001:0:0:1::1" },
	{ TEXT("2001:db8:0:0:1:0:0:1"),	"2001:db8::1:0:0:1" },
	{ TEXT("0:0:1:0:0:1:0:0"),	"::1:0:0:1:0:0" },
	{ TEXT("1:0:0:0:1:0:0:0"),	"1::1:0:0:0" },
	{ TEXT("0:1:0:1:0:1:0:1"),	"0:1:0:1:0:1:0:1" },
	{ TEXT("1:1:1:1:1:1:0:0"),	"1:1:1:1:1:1::" },
	{ TEXT("::ffff:1.2.3.4"),	"::ffff:1.2.3.4" },
	{ TEXT("::FFFF:102:304"),	"::ffff:1.2.3.4" },
	{ TEXT("0:0:0:0:0:ffff:0.0.0.0"), "::ffff:0.0.0.0" },
	{ TEXT("::ffff:0:0"),		"::ffff:0.0.0.0" },
	{ TEXT("::1.2.3.4"),		"::102:304" },
	{ TEXT("::255.255.255.255"),	"::ffff:ffff" },
	{ TEXT("64:ff9b::192.0.2.33"),	"64:ff9b::c000:221" },
	{ TEXT("::ffff:0:1.2.3.4"),	"::ffff:0:102:304" },
	{ TEXT("1:2:3:4:5:6:1.2.3.4"),	"1:2:3:4:5:6:102:304" },
	{ TEXT("1::1.2.3.4"),		"1::102:304" },
	{ TEXT("1:2:3:4:5::1.2.3.4"),	"1:2:3:4:5:0:102:304" },

	{ TEXT(""),			NULL },
	{ TEXT("1"),			NULL },
	{ TEXT("1.2.3"),		NULL },
	{ TEXT("1.2.3."),		NULL },
	{ TEXT(".1.2.3"),		NULL },
	{ TEXT("1..2.3"),		NULL },
	{ TEXT("1.2.3.4."),		NULL },
	{ TEXT("1.2.3.4.5"),		NULL },
	{ TEXT("1.2.3.256"),		NULL },
	{ TEXT("1.2.3.1000"),		NULL },
	{ TEXT("1.2.3.4294967297"),	NULL },
	{ TEXT("01.2.3.4"),		NULL },
	{ TEXT("1.2.3.04"),		NULL },
	{ TEXT("1.2.3.00"),		NULL },
	{ TEXT("0x1.2.3.4"),		NULL },
	{ TEXT("1.2.3.4a"),		NULL },
	{ TEXT("+1.2.3.4"),		NULL },
	{ TEXT("-1.2.3.4"),		NULL },
	{ TEXT(" 1.2.3.4"),		NULL },
	{ TEXT("1.2.3.4 "),		NULL },
	{ TEXT("1.2.3.4\0"),		NULL },
	{ TEXT("1.2.3\0.4"),		NULL },
	{ TEXT("1,2,3,4"),		NULL },
	{ TEXT("2130706433"),		NULL },
	{ TEXT("1.2.3.4:80"),		NULL },
	{ TEXT("1.2.3.4/32"),		NULL },
	{ TEXT(":"),			NULL },
	{ TEXT(":::"),			NULL },
	{ TEXT(":1"),			NULL },
	{ TEXT("1:"),			NULL },
	{ TEXT(":::1"),			NULL },
	{ TEXT("1:::2"),		NULL },
	{ TEXT("1::2::3"),		NULL },
	{ TEXT("::1::"),		NULL },
	{ TEXT("::1:"),			NULL },
	{ TEXT(":1::"),			NULL },
	{ TEXT("1:2:3:4:5:6:7"),	NULL },
	{ TEXT("1:2:3:4:5:6:7:"),	NULL },
	{ TEXT(":1:2:3:4:5:6:7"),	NULL },
	{ TEXT("1:2:3:4:5:6:7:8:9"),	NULL },
	{ TEXT("1:2:3:4:5:6:7:8:"),	NULL },
	{ TEXT("1:2:3:4:5:6:7:8::"),	NULL },
	{ TEXT("1:2:3:4::5:6:7:8"),	NULL },
	{ TEXT("::1:2:3:4:5:6:7:8"),	NULL },
	{ TEXT("12345::"),		NULL },
	{ TEXT("00001::"),		NULL },
	{ TEXT("g::"),			NULL },
	{ TEXT("::0x1"),		NULL },
	{ TEXT("::-1"),			NULL },
	{ TEXT(" ::1"),			NULL },
	{ TEXT("::1 "),			NULL },
	{ TEXT("::1\0"),		NULL },
	{ TEXT("[::1]"),		NULL },
	{ TEXT("[::1]:443"),		NULL },
	{ TEXT("::1/128"),		NULL },
	{ TEXT("fe80::1%eth0"),		NULL },
	{ TEXT("fe80::1%25eth0"),	NULL },
	{ TEXT("::1.2.3"),		NULL },
	{ TEXT("::1.2.3.4.5"),		NULL },
	{ TEXT("::01.2.3.4"),		NULL },
	{ TEXT("::1.2.3.256"),		NULL },
	{ TEXT("::1.2.3.4:5"),		NULL },
	{ TEXT("::1.2.3.4:"),		NULL },
	{ TEXT("::1.2.3.4::"),		NULL },
	{ TEXT("1.2.3.4::"),		NULL },
	{ TEXT(":1.2.3.4"),		NULL },
	{ TEXT("1:1.2.3.4"),		NULL },
	{ TEXT("1:2:3:4:5:1.2.3.4"),	NULL },
	{ TEXT("1:2:3:4:5:6:7:1.2.3.4"), NULL },
	{ TEXT("1:2:3:4:5:6::1.2.3.4:"), NULL },
	{ TEXT("1:2:3:4:5:6:7::1.2.3.4"), NULL },
	{ TEXT("::f.2.3.4"),		NULL },
	{ TEXT("v1.a"),			NULL },
	{ TEXT("localhost"),		NULL },
};

/* addr_parse with the text in memory that ends where it does. */
static bool
parse_exactly(const char *p, size_t n, struct addr *a)
{
	char *copy = calloc(n, 1);
	bool ok;

	if (n > 0)
		memcpy(copy, p, n);
	ok = addr_parse(copy, n, a);
	free(copy);
	return ok;
}

START_TEST(a_text_is_an_address_only_if_its_row_says_so)
{
	const struct text_row *row = &texts[_i];
	struct addr a, before;
	char out[ADDR_TEXT_MAX];

	memset(&a, 0xAA, sizeof a);
	before = a;
	ck_assert_msg(parse_exactly(row->text, row->n, &a) ==
	    (row->out != NULL), "%s", row->text);
	if (row->out == NULL) {
		ck_assert_msg(memcmp(&a, &before, sizeof a) == 0,
		    "%s: touched", row->text);
		return;
	}
	ck_assert_uint_eq(a.family, strchr(row->text, ':') ? 6 : 4);
	ck_assert_uint_eq(a.bits, 0);
	ck_assert_uint_eq(a.port, 0);
	ck_assert_ptr_eq(addr_format(&a, false, out), out);
	ck_assert_str_eq(out, row->out);
}
END_TEST

/* What inet_pton makes of it; *a as addr_parse should leave it. */
static bool
system_parse(const char *text, struct addr *a)
{
	memset(a, 0, sizeof *a);
	a->family = 4;
	if (inet_pton(AF_INET, text, a->ip) == 1)
		return true;
	memset(a, 0, sizeof *a);
	a->family = 6;
	return inet_pton(AF_INET6, text, a->ip) == 1;
}

static void
check_with_system(const char *text)
{
	struct addr a, b;
	bool ours, theirs = system_parse(text, &b);

	memset(&a, 0xAA, sizeof a);
	ours = parse_exactly(text, strlen(text), &a);
	if (ours != theirs)
		ck_abort_msg("%s: we say %d", text, (int)ours);
	if (ours && memcmp(&a, &b, sizeof a) != 0)
		ck_abort_msg("%s: another address, or unused bytes not zero",
		    text);
}

/* Text that is nearly an address: pieces in any order. */
static void
random_pieces(char *out)
{
	static const char *const piece[] = { ":", ":", ":", "::", "::", ".",
	    ".", "0", "1", "a", "F", "00", "12", "255", "256", "ffff", "0001",
	    "12345", "1.2.3.4", "1:2:3", "0:0", "2001:db8", "%", "/", "g" };
	uint32_t i, n = 1 + random_below(9);

	*out = '\0';
	for (i = 0; i < n; i++)
		strcat(out, piece[random_below((uint32_t)COUNT(piece))]);
}

/* An address of mostly zeros, small groups, or anything. */
static struct addr
random_address(void)
{
	struct addr a;
	uint32_t i, style = random_below(4);

	memset(&a, 0, sizeof a);
	a.family = random_below(4) == 0 ? 4 : 6;
	for (i = 0; i < (a.family == 4 ? 4u : 16u); i++)
		if (style == 0 || (style == 1 && i % 2 == 1) ||
		    random_below(3) == 0)
			a.ip[i] = (uint8_t)random_below(256);
	if (a.family == 6 && style == 2) {
		memset(a.ip, 0, 12);
		memset(a.ip + 10, 0xff, random_below(3));
	}
	return a;
}

/* Spoil it by one character, or not at all. */
static void
spoil(char *text)
{
	static const char junk[] = "0:.fg% 19";
	size_t n = strlen(text), at = random_below((uint32_t)n + 1);

	switch (random_below(5)) {
	case 0:
		memmove(text + at + 1, text + at, n - at + 1);
		text[at] = junk[random_below(sizeof junk - 1)];
		break;
	case 1:
		if (at < n)
			memmove(text + at, text + at + 1, n - at);
		break;
	case 2:
		if (at < n)
			text[at] = junk[random_below(sizeof junk - 1)];
		break;
	default:
		break;
	}
}

START_TEST(parsing_agrees_with_inet_pton)
{
	char text[160];
	struct addr a;
	long i;

	seed = 20260801u;
	for (i = 0; i < 300000; i++) {
		random_pieces(text);
		check_with_system(text);
	}
	for (i = 0; i < 300000; i++) {
		a = random_address();
		inet_ntop(a.family == 4 ? AF_INET : AF_INET6, a.ip, text,
		    sizeof text);
		spoil(text);
		check_with_system(text);
	}
	for (i = 0; i < COUNT(texts); i++)
		if (strlen(texts[i].text) == texts[i].n)
			check_with_system(texts[i].text);
}
END_TEST

/* Every text of up to six of the characters that matter. */
START_TEST(parsing_agrees_with_inet_pton_for_all_short_texts)
{
	static const char alphabet[] = "01.:f25";
	char text[8] = "";
	size_t index[8] = { 0 }, n, i;

	for (n = 1; n <= 6; n++) {
		memset(index, 0, sizeof index);
		memset(text, 0, sizeof text);
		do {
			for (i = 0; i < n; i++)
				text[i] = alphabet[index[i]];
			check_with_system(text);
			for (i = 0; i < n; i++) {
				if (++index[i] < sizeof alphabet - 1)
					break;
				index[i] = 0;
			}
		} while (i < n);
	}
}
END_TEST

/* RFC 5952 4 and 5, group by group. */
static void
plain_format(const struct addr *a, char *out)
{
	unsigned g[8];
	int i, k, at = -1, best = 1;

	if (a->family == 4) {
		sprintf(out, "%u.%u.%u.%u", a->ip[0], a->ip[1], a->ip[2],
		    a->ip[3]);
		return;
	}
	for (i = 0; i < 8; i++)
		g[i] = a->ip[2 * i] * 256u + a->ip[2 * i + 1];
	for (i = 0; i < 8; i++) {
		for (k = i; k < 8 && g[k] == 0; k++)
			;
		if (k - i > best) {
			best = k - i;
			at = i;
		}
	}
	if (at == 0 && best == 5 && g[5] == 0xffff) {
		sprintf(out, "::ffff:%u.%u.%u.%u", a->ip[12], a->ip[13],
		    a->ip[14], a->ip[15]);
		return;
	}
	*out = '\0';
	for (i = 0; i < 8; i++) {
		if (i == at) {
			strcat(out, "::");
			i += best - 1;
			continue;
		}
		if (i > 0 && i != at + best)
			strcat(out, ":");
		else if (i > 0 && at == -1)
			strcat(out, ":");
		sprintf(out + strlen(out), "%x", g[i]);
	}
}

/* Some systems write these with an IPv4 address at the end. */
static bool
is_compatible(const struct addr *a)
{
	static const uint8_t zero[12];

	return a->family == 6 && memcmp(a->ip, zero, 12) == 0;
}

START_TEST(formatting_agrees_with_inet_ntop_and_rfc_5952)
{
	struct addr a, b;
	char ours[ADDR_TEXT_MAX], theirs[64], plain[64];
	long i;

	seed = 5952u;
	for (i = 0; i < 200000; i++) {
		a = random_address();
		memset(ours, 'x', sizeof ours);
		addr_format(&a, false, ours);
		plain_format(&a, plain);
		if (strcmp(ours, plain) != 0)
			ck_abort_msg("%s is written %s", plain, ours);
		inet_ntop(a.family == 4 ? AF_INET : AF_INET6, a.ip, theirs,
		    sizeof theirs);
		if (!is_compatible(&a) && strcmp(ours, theirs) != 0)
			ck_abort_msg("%s is written %s", theirs, ours);
		if (!addr_parse(ours, strlen(ours), &b) ||
		    memcmp(&a, &b, sizeof a) != 0)
			ck_abort_msg("%s is read as another address", ours);
	}
}
END_TEST

/* All 256 patterns of zero and other groups. */
START_TEST(every_pattern_of_zero_groups_is_shortened_right)
{
	struct addr a;
	char ours[ADDR_TEXT_MAX], plain[64];
	int i;

	memset(&a, 0, sizeof a);
	a.family = 6;
	for (i = 0; i < 8; i++)
		a.ip[2 * i + 1] = (uint8_t)((_i >> i & 1) * (i + 1));
	plain_format(&a, plain);
	ck_assert_str_eq(addr_format(&a, false, ours), plain);
}
END_TEST

static const struct port_row {
	const char	*text;
	uint16_t	 port;
	const char	*out;
} ports[] = {
	{ "1.2.3.4",		80,	"1.2.3.4:80" },
	{ "1.2.3.4",		0,	"1.2.3.4:0" },
	{ "255.255.255.255",	65535,	"255.255.255.255:65535" },
	{ "::",			1,	"[::]:1" },
	{ "::1",		3128,	"[::1]:3128" },
	{ "2001:db8::1",	443,	"[2001:db8::1]:443" },
	{ "::ffff:1.2.3.4",	443,	"[::ffff:1.2.3.4]:443" },
	{ "::ffff:255.255.255.255", 65535, "[::ffff:255.255.255.255]:65535" },
	{ "ffff:ffff" FFFF,	65535,	"[ffff:ffff" FFFF "]:65535" },
};

START_TEST(the_port_stands_behind_the_address_if_it_is_wanted)
{
	const struct port_row *row = &ports[_i];
	struct addr a = address(row->text);
	char *out = malloc(ADDR_TEXT_MAX);

	ck_assert_ptr_nonnull(out);
	a.port = row->port;
	ck_assert_str_eq(addr_format(&a, true, out), row->out);
	ck_assert_str_eq(addr_format(&a, false, out), row->text);
	free(out);
}
END_TEST

static const struct cidr_row {
	const char	*text;
	size_t		 n;
	const char	*net;		/* NULL: none */
	uint8_t		 bits;
} cidrs[] = {
	{ TEXT("10.0.0.0/8"),		"10.0.0.0",	8 },
	{ TEXT("0.0.0.0/0"),		"0.0.0.0",	0 },
	{ TEXT("128.0.0.0/1"),		"128.0.0.0",	1 },
	{ TEXT("192.0.2.1/32"),		"192.0.2.1",	32 },
	{ TEXT("192.0.2.254/31"),	"192.0.2.254",	31 },
	{ TEXT("172.16.0.0/12"),	"172.16.0.0",	12 },
	{ TEXT("10.0.0.0/24"),		"10.0.0.0",	24 },
	{ TEXT("::/0"),			"::",		0 },
	{ TEXT("::1/128"),		"::1",		128 },
	{ TEXT("2001:db8::/32"),	"2001:db8::",	32 },
	{ TEXT("2001:db8::/33"),	"2001:db8::",	33 },
	{ TEXT("fe80::/10"),		"fe80::",	10 },
	{ TEXT("::fffe/127"),		"::fffe",	127 },
	{ TEXT("::ffff:0.0.0.0/96"),	"::ffff:0.0.0.0", 96 },
	{ TEXT("::ffff:10.0.0.0/104"),	"::ffff:10.0.0.0", 104 },

	{ TEXT("10.0.0.0"),		NULL,	0 },
	{ TEXT("10.0.0.0/"),		NULL,	0 },
	{ TEXT("10.0.0.0/33"),		NULL,	0 },
	{ TEXT("0.0.0.0/33"),		NULL,	0 },
	{ TEXT("0.0.0.0/128"),		NULL,	0 },
	{ TEXT("0.0.0.0/256"),		NULL,	0 },
	{ TEXT("0.0.0.0/264"),		NULL,	0 },
	{ TEXT("0.0.0.0/4294967304"),	NULL,	0 },
	{ TEXT("0.0.0.0/18446744073709551624"), NULL, 0 },
	{ TEXT("0.0.0.0/-1"),		NULL,	0 },
	{ TEXT("0.0.0.0/+8"),		NULL,	0 },
	{ TEXT("0.0.0.0/ 8"),		NULL,	0 },
	{ TEXT("0.0.0.0/8 "),		NULL,	0 },
	{ TEXT("0.0.0.0 /8"),		NULL,	0 },
	{ TEXT(" 0.0.0.0/8"),		NULL,	0 },
	{ TEXT("0.0.0.0/8\0"),		NULL,	0 },
	{ TEXT("0.0.0.0/0x8"),		NULL,	0 },
	{ TEXT("0.0.0.0/8/8"),		NULL,	0 },
	{ TEXT("0.0.0.0//8"),		NULL,	0 },
	{ TEXT("0.0.0.0/255.0.0.0"),	NULL,	0 },
	{ TEXT("10.0.0.1/8"),		NULL,	0 },
	{ TEXT("10.128.0.0/8"),		NULL,	0 },
	{ TEXT("192.0.2.255/31"),	NULL,	0 },
	{ TEXT("1.0.0.0/0"),		NULL,	0 },
	{ TEXT("10/8"),			NULL,	0 },
	{ TEXT("10.0/8"),		NULL,	0 },
	{ TEXT("/8"),			NULL,	0 },
	{ TEXT("/"),			NULL,	0 },
	{ TEXT(""),			NULL,	0 },
	{ TEXT("::1"),			NULL,	0 },
	{ TEXT("::/129"),		NULL,	0 },
	{ TEXT("::/256"),		NULL,	0 },
	{ TEXT("::1/127"),		NULL,	0 },
	{ TEXT("2001:db8::1/64"),	NULL,	0 },
	{ TEXT("2001:db8:8000::/32"),	NULL,	0 },
	{ TEXT("[::]/0"),		NULL,	0 },
	{ TEXT("fe80::%eth0/64"),	NULL,	0 },
	{ TEXT("example.com/8"),	NULL,	0 },
};

START_TEST(a_text_is_a_prefix_only_if_its_row_says_so)
{
	const struct cidr_row *row = &cidrs[_i];
	struct addr a, before, want;
	char *copy = calloc(row->n, 1);
	bool ok;

	memset(&a, 0xAA, sizeof a);
	before = a;
	if (row->n > 0)
		memcpy(copy, row->text, row->n);
	ok = addr_parse_cidr(copy, row->n, &a);
	free(copy);
	ck_assert_msg(ok == (row->net != NULL), "%s", row->text);
	want = before;
	if (ok) {
		want = address(row->net);
		want.bits = row->bits;
	}
	ck_assert_msg(memcmp(&a, &want, sizeof a) == 0, "%s", row->text);
}
END_TEST

START_TEST(only_the_bits_behind_the_prefix_must_be_zero)
{
	struct addr a, b;
	char text[64], net[ADDR_TEXT_MAX];
	unsigned bit, bits, max = _i == 4 ? 32 : 128;

	for (bit = 0; bit < max; bit++)
		for (bits = 0; bits <= max + 2; bits++) {
			memset(&a, 0, sizeof a);
			a.family = (uint8_t)_i;
			a.ip[bit / 8] = (uint8_t)(0x80u >> bit % 8);
			snprintf(text, sizeof text, "%s/%u",
			    addr_format(&a, false, net), bits);
			if (addr_parse_cidr(text, strlen(text), &b) !=
			    (bits > bit && bits <= max))
				ck_abort_msg("%s", text);
		}
}
END_TEST

/* ---- the same address ---------------------------------------------------- */

static const struct canonical_row {
	const char	*text;
	const char	*out;
} canonicals[] = {
	{ "::ffff:1.2.3.4",		"1.2.3.4" },
	{ "::ffff:7f00:1",		"127.0.0.1" },
	{ "::ffff:0.0.0.0",		"0.0.0.0" },
	{ "::ffff:255.255.255.255",	"255.255.255.255" },
	{ "1.2.3.4",			"1.2.3.4" },
	{ "::",				"::" },
	{ "::1",			"::1" },
	{ "::1.2.3.4",			"::102:304" },
	{ "::fffe:1.2.3.4",		"::fffe:102:304" },
	{ "::ffff:0:1.2.3.4",		"::ffff:0:102:304" },
	{ "::1:ffff:1.2.3.4",		"::1:ffff:102:304" },
	{ "8000::ffff:1.2.3.4",		"8000::ffff:102:304" },
	{ "64:ff9b::1.2.3.4",		"64:ff9b::102:304" },
	{ "2002:102:304::",		"2002:102:304::" },
	{ "2001:db8::1",		"2001:db8::1" },
};

START_TEST(only_a_mapped_address_becomes_ipv4)
{
	const struct canonical_row *row = &canonicals[_i];
	struct addr a = address(row->text), want = address(row->out);

	a.port = want.port = 8080;
	addr_canonical(&a);
	ck_assert_msg(memcmp(&a, &want, sizeof a) == 0, "%s", row->text);
	addr_canonical(&a);
	ck_assert_msg(memcmp(&a, &want, sizeof a) == 0, "%s twice", row->text);
}
END_TEST

static const struct same_row {
	const char	*a, *b;
	bool		 same;
} sames[] = {
	{ "1.2.3.4",		"1.2.3.4",		true },
	{ "::1",		"0:0:0:0:0:0:0:1",	true },
	{ "2001:db8::a",	"2001:DB8::A",		true },
	{ "1.2.3.4",		"1.2.3.5",		false },
	{ "1.2.3.4",		"2.2.3.4",		false },
	{ "2001:db8::a",	"2001:db8::b",		false },
	{ "2001:db8::a",	"2001:db9::a",		false },
	{ "1.2.3.4",		"102:304::",		false },
	{ "0.0.0.0",		"::",			false },
	{ "1.2.3.4",		"::1.2.3.4",		false },
	{ "127.0.0.1",		"::1",			false },
};

START_TEST(the_same_host_is_the_same_address_with_any_port)
{
	const struct same_row *row = &sames[_i];
	struct addr a = address(row->a), b = address(row->b);

	ck_assert(addr_same_host(&a, &b) == row->same);
	ck_assert(addr_same_host(&b, &a) == row->same);
	a.port = 1;
	b.port = 2;
	ck_assert(addr_same_host(&a, &b) == row->same);
	b.port = 1;
	ck_assert(addr_same_host(&a, &b) == row->same);
}
END_TEST

/* ---- classes ------------------------------------------------------------- */

/* The class of every address from first to last, and of the neighbours. */
static const struct range_row {
	const char	*first, *last;
	unsigned	 classes, before, after;
} ranges[] = {
	{ "0.0.0.0",		"0.255.255.255",	R,	NONE,	0 },
	{ "1.0.0.0",		"9.255.255.255",	0,	R,	P },
	{ "10.0.0.0",		"10.255.255.255",	P,	0,	0 },
	{ "11.0.0.0",		"100.63.255.255",	0,	P,	P },
	{ "100.64.0.0",		"100.127.255.255",	P,	0,	0 },
	{ "127.0.0.0",		"127.255.255.255",	L,	0,	0 },
	{ "169.254.0.0",	"169.254.255.255",	LL,	0,	0 },
	{ "172.16.0.0",		"172.31.255.255",	P,	0,	0 },
	{ "192.0.0.0",		"192.0.0.8",		R,	0,	0 },
	{ "192.0.0.9",		"192.0.0.10",		0,	R,	R },
	{ "192.0.0.11",		"192.0.0.255",		R,	0,	0 },
	{ "192.0.2.0",		"192.0.2.255",		R,	0,	0 },
	{ "192.88.99.0",	"192.88.99.255",	R,	0,	0 },
	{ "192.168.0.0",	"192.168.255.255",	P,	0,	0 },
	{ "198.18.0.0",		"198.19.255.255",	R,	0,	0 },
	{ "198.51.100.0",	"198.51.100.255",	R,	0,	0 },
	{ "203.0.113.0",	"203.0.113.255",	R,	0,	0 },
	{ "203.0.114.0",	"223.255.255.255",	0,	R,	R },
	{ "224.0.0.0",		"239.255.255.255",	R,	0,	R },
	{ "240.0.0.0",		"255.255.255.255",	R,	R,	NONE },

	{ "::",			"::",			R,	NONE,	L },
	{ "::1",		"::1",			L,	R,	R },
	{ "::1:0:0",		"::fffe:ffff:ffff",	R,	R,	R },
	{ "::1:0:0:0",		"::fffe:ffff:ffff:ffff", R,	R,	R },
	{ "::1:0:0:0:0",	"64:ff9a" FFFF,		R,	R,	R },
	{ "64:ff9b::1:0:0",	"1fff:ffff" FFFF,	R,	R,	0 },
	{ "2000::",		"2000:ffff" FFFF,	0,	R,	R },
	{ "2001:1::",		"2001:1ff" FFFF,	R,	R,	0 },
	{ "2001:200::",		"2001:db7" FFFF,	0,	R,	R },
	{ "2001:db8::",		"2001:db8" FFFF,	R,	0,	0 },
	{ "2001:db9::",		"2001:ffff" FFFF,	0,	R,	R },
	{ "2003::",		"3ffe:ffff" FFFF,	0,	R,	R },
	{ "3fff::",		"3fff:fff" FFFF,	R,	0,	0 },
	{ "3fff:1000::",	"3fff:ffff" FFFF,	0,	R,	R },
	{ "4000::",		"fbff:ffff" FFFF,	R,	0,	P },
	{ "fc00::",		"fdff:ffff" FFFF,	P,	R,	R },
	{ "fe00::",		"fe7f:ffff" FFFF,	R,	P,	LL },
	{ "fe80::",		"febf:ffff" FFFF,	LL,	R,	R },
	{ "fec0::",		"ffff:ffff" FFFF,	R,	LL,	NONE },
};

/* The address just above or just below. */
static struct addr
neighbour(struct addr a, bool above)
{
	const uint8_t wrapped = above ? 0 : 255;
	int i;

	for (i = a.family == 4 ? 3 : 15; i >= 0; i--) {
		a.ip[i] = (uint8_t)(above ? a.ip[i] + 1 : a.ip[i] - 1);
		if (a.ip[i] != wrapped)
			break;
	}
	return canonical(a);
}

/* Half way between two addresses, rounded down. */
static struct addr
middle(struct addr a, const struct addr *b)
{
	unsigned sum, carry = 0;
	int i;

	for (i = 15; i >= 0; i--) {
		sum = a.ip[i] + (unsigned)b->ip[i] + carry;
		a.ip[i] = (uint8_t)sum;
		carry = sum >> 8;
	}
	for (i = 15; i > 0; i--)
		a.ip[i] = (uint8_t)(a.ip[i] >> 1 | (a.ip[i - 1] & 1u) << 7);
	a.ip[0] = (uint8_t)(a.ip[0] >> 1 | (carry & 1u) << 7);
	if (a.family == 4)
		memset(a.ip + 4, 0, 12);
	return a;
}

static void
check_class(const struct addr *a, unsigned want)
{
	char text[ADDR_TEXT_MAX];
	unsigned got = addr_class(a);

	if (got != want)
		ck_abort_msg("%s: class 0x%x, not 0x%x",
		    addr_format(a, false, text), got, want);
}

START_TEST(a_range_has_its_class_at_both_ends_and_not_beyond)
{
	const struct range_row *row = &ranges[_i];
	struct addr first = address(row->first), last = address(row->last);
	struct addr a;

	check_class(&first, row->classes);
	check_class(&last, row->classes);
	a = middle(first, &last);
	check_class(&a, row->classes);
	first.port = 65535;
	check_class(&first, row->classes);
	if (row->before != NONE) {
		a = neighbour(address(row->first), false);
		check_class(&a, row->before);
	}
	if (row->after != NONE) {
		a = neighbour(last, true);
		check_class(&a, row->after);
	}
}
END_TEST

/* Where an IPv4 address stands inside another, and what is added to it. */
static const struct carrier_row {
	const char	*name;
	const char	*outer;
	int		 at;		/* octet */
	bool		 inverted;
	unsigned	 adds;
} carriers[] = {
	{ "mapped",		"::ffff:0:0",		12,	false,	0 },
	{ "compatible",		"::",			12,	false,	R },
	{ "SIIT",		"::ffff:0:0:0",		12,	false,	R },
	{ "NAT64",		"64:ff9b::",		12,	false,	0 },
	{ "6to4",		"2002::",		2,	false,	R },
	{ "6to4 host",		"2002:0:0:5:6:7:8:9",	2,	false,	R },
	{ "Teredo server",	"2001::f7f7:f7f7",	4,	false,	R },
	{ "Teredo server, private client", "2001::f5f7:f7f7", 4, false, R | P },
	{ "Teredo client",	"2001:0:808:808::",	12,	true,	R },
	{ "Teredo client, local server", "2001:0:7f00:1::", 12,	true,	R | L },
};

static struct addr
carry(const struct carrier_row *row, const struct addr *inner)
{
	struct addr a = address(row->outer);
	int i;

	for (i = 0; i < 4; i++)
		a.ip[row->at + i] = row->inverted ?
		    (uint8_t)~inner->ip[i] : inner->ip[i];
	return canonical(a);
}

/* :: and ::1 carry nothing. */
static bool
carries_nothing(const struct addr *a)
{
	return is_compatible(a) && a->ip[12] == 0 && a->ip[13] == 0 &&
	    a->ip[14] == 0 && a->ip[15] <= 1;
}

START_TEST(an_address_has_the_class_of_the_one_inside_too)
{
	const struct carrier_row *row = &carriers[_i];
	const struct range_row *range;
	struct addr inner[2], a;
	int i, k;

	for (i = 0; i < COUNT(ranges); i++) {
		range = &ranges[i];
		inner[0] = address(range->first);
		inner[1] = address(range->last);
		for (k = 0; k < 2 && inner[0].family == 4; k++) {
			a = carry(row, &inner[k]);
			if (!carries_nothing(&a))
				check_class(&a, range->classes | row->adds);
		}
	}
}
END_TEST

static const struct class_row {
	const char	*text;
	unsigned	 classes;
} classes[] = {
	{ "8.8.8.8",			0 },
	{ "192.31.196.1",		0 },	/* reachable by the registry */
	{ "192.52.193.1",		0 },
	{ "192.175.48.1",		0 },
	{ "255.255.255.255",		R },
	{ "169.254.169.254",		LL },
	{ "2606:4700:4700::1111",	0 },
	{ "2620:4f:8000::1",		0 },
	{ "::2",			R },
	{ "64:ff9b:1::1",		R },
	{ "64:ff9b:1::808:808",		R },
	{ "100::1",			R },
	{ "100:0:0:1::1",		R },
	{ "2001:1::1",			R },
	{ "2001:2::1",			R },
	{ "2001:3::1",			R },
	{ "2001:4:112::1",		R },
	{ "2001:10::1",			R },
	{ "2001:20::1",			R },
	{ "2001:db8::7f00:1",		R },
	{ "5f00::1",			R },
	{ "fd00:ec2::254",		P },
	{ "fec0::1",			R },
	{ "ff02::1",			R },
	{ "ff0e::1",			R },
	{ "2001:0:a00:1::f7f7:f7f7",	R | P },
	{ "2001:0:a00:1::80ff:fffe",	R | P | L },
	{ "2001:0:a9fe:a9fe::f5ff:fffe", R | LL | P },
	{ "2002:7f00:1::1",		R | L },
	{ "2002:a9fe:a9fe::",		R | LL },
	{ "::127.0.0.1",		R | L },
	{ "::ffff:0:127.0.0.1",		R | L },
	{ "64:ff9b::127.0.0.1",		L },
	{ "64:ff9b::192.0.0.9",		0 },
	{ "64:ff9b::192.0.0.8",		R },
	{ "64:ff9b::2002:7f00",		0 },	/* 32.2.127.0: one step only */
	/* beside a carrier, nothing is inside */
	{ "::1:10.0.0.1",		R },
	{ "::8000:10.0.0.1",		R },
	{ "8000::10.0.0.1",		R },
	{ "::ffff:1:10.0.0.1",		R },
	{ "::fffe:0:10.0.0.1",		R },
	{ "::1:ffff:0:10.0.0.1",	R },
	{ "64:ff9b::1:10.0.0.1",	R },
	{ "64:ff9b:0:0:1::10.0.0.1",	R },
	{ "64:ff9a::10.0.0.1",		R },
	{ "65:ff9b::10.0.0.1",		R },
	{ "2001:1:a00:1::",		R },
	{ "2001:100:a00:1::f5ff:fffe",	R },
	{ "2000:0:a00:1::f5ff:fffe",	0 },
	{ "2003:a00:1::",		0 },
};

START_TEST(an_address_has_the_class_of_its_row)
{
	struct addr a = address(classes[_i].text);

	check_class(&a, classes[_i].classes);
}
END_TEST

/* ---- a second classifier ------------------------------------------------- */

/* An address as one of its faces: itself or one inside it. */
struct plain_face {
	struct addr	addr;
	unsigned	classes;
	bool		neutral;	/* NAT64: only what is inside counts */
};

/* The first prefix that fits says the class of this address alone. */
static const struct {
	const char	*net;
	unsigned	 classes;
} alone[] = {
	{ "192.0.0.9", 0 }, { "192.0.0.10", 0 },
	{ "127.0.0.0/8", L }, { "169.254.0.0/16", LL },
	{ "10.0.0.0/8", P }, { "172.16.0.0/12", P }, { "192.168.0.0/16", P },
	{ "100.64.0.0/10", P },
	{ "0.0.0.0/8", R }, { "192.0.0.0/24", R }, { "192.0.2.0/24", R },
	{ "192.88.99.0/24", R }, { "198.18.0.0/15", R },
	{ "198.51.100.0/24", R }, { "203.0.113.0/24", R },
	{ "224.0.0.0/4", R }, { "240.0.0.0/4", R }, { "0.0.0.0/0", 0 },
	{ "::1", L }, { "fe80::/10", LL }, { "fc00::/7", P },
	{ "64:ff9b::/96", 0 }, { "2001::/23", R }, { "2001:db8::/32", R },
	{ "2002::/16", R }, { "3fff::/20", R }, { "2000::/3", 0 },
	{ "::/0", R },
};

static struct addr alone_net[COUNT(alone)];

static bool
bit_of(const struct addr *a, unsigned i)
{
	return (a->ip[i / 8] >> (7 - i % 8) & 1) != 0;
}

static bool
plain_inside(const struct addr *a, const struct addr *net)
{
	unsigned i;

	if (a->family != net->family)
		return false;
	for (i = 0; i < net->bits; i++)
		if (bit_of(a, i) != bit_of(net, i))
			return false;
	return true;
}

static bool
plain_inside_text(const struct addr *a, const char *text)
{
	struct addr net = prefix(text);

	return plain_inside(a, &net);
}

static struct plain_face
plain_face(const struct addr *a)
{
	struct plain_face f;
	int i;

	if (alone_net[0].family == 0)
		for (i = 0; i < COUNT(alone); i++)
			alone_net[i] = prefix(alone[i].net);
	for (i = 0; !plain_inside(a, &alone_net[i]); i++)
		;
	f.addr = *a;
	f.classes = alone[i].classes;
	f.neutral = false;
	return f;
}

static struct plain_face
plain_inner(const struct addr *a, int at, unsigned flip)
{
	struct addr inner;
	int i;

	memset(&inner, 0, sizeof inner);
	inner.family = 4;
	for (i = 0; i < 4; i++)
		inner.ip[i] = (uint8_t)(a->ip[at + i] ^ flip);
	return plain_face(&inner);
}

static unsigned
plain_faces(const struct addr *a, struct plain_face f[3])
{
	unsigned n = 0;

	f[n++] = plain_face(a);
	if (a->family == 4 || carries_nothing(a))
		return n;
	f[0].neutral = plain_inside_text(a, "64:ff9b::/96");
	if (f[0].neutral || is_compatible(a) ||
	    plain_inside_text(a, "::ffff:0:0:0/96"))
		f[n++] = plain_inner(a, 12, 0);
	if (plain_inside_text(a, "2002::/16"))
		f[n++] = plain_inner(a, 2, 0);
	if (plain_inside_text(a, "2001::/32")) {
		f[n++] = plain_inner(a, 4, 0);
		f[n++] = plain_inner(a, 12, 0xff);
	}
	return n;
}

static unsigned
plain_class(const struct addr *a)
{
	struct plain_face f[3];
	unsigned i, all = 0, n = plain_faces(a, f);

	for (i = 0; i < n; i++)
		all |= f[i].classes;
	return all;
}

/* connectd.h leaves open whether :: carries 0.0.0.0: take ::1 instead. */
static struct addr
not_unspecified(struct addr a)
{
	if (carries_nothing(&a))
		a.ip[15] = 1;
	return a;
}

/* An address near the edge of a range, perhaps inside another one. */
static struct addr
random_edge(void)
{
	const struct range_row *row = &ranges[random_below(
	    (uint32_t)COUNT(ranges))];
	struct addr a = address(random_below(2) ? row->first : row->last);

	if (random_below(3) == 0)
		a.ip[(a.family == 4 ? 4 : 16) - 1] =
		    (uint8_t)random_below(256);
	if (a.family == 4 && random_below(2) == 0)
		a = carry(&carriers[random_below((uint32_t)COUNT(carriers))],
		    &a);
	return not_unspecified(canonical(a));
}

START_TEST(a_second_classifier_agrees)
{
	struct addr a;
	long i;

	seed = 6890u;
	for (i = 0; i < 60000; i++) {
		a = i % 2 ? random_edge() : canonical(random_address());
		check_class(&a, plain_class(&a));
	}
}
END_TEST

/* ---- rules --------------------------------------------------------------- */

#define RULES		6
#define MATCHERS	(2 * 4 * RULES)
#define TEXT_MAX	512

/*
 * Rules in the words of the configuration, with ";" between them and blanks
 * between all words of a list:  deny to private ; allow from loopback port 443
 */
struct book {
	struct rule		rule[RULES];
	struct matcher		matcher[MATCHERS];
	struct port_range	port[4 * RULES];
	unsigned		rules, matchers, ports;
	char			text[TEXT_MAX];
};

static void
read_matcher(const char *word, struct matcher *m)
{
	static const struct {
		const char		*word;
		enum matcher_kind	 kind;
		unsigned		 classes;
	} known[] = {
		{ "any", MATCH_ANY, 0 },
		{ "public", MATCH_PUBLIC, 0 },
		{ "loopback", MATCH_CLASS, L },
		{ "linklocal", MATCH_CLASS, LL },
		{ "private", MATCH_CLASS, P },
		{ "reserved", MATCH_CLASS, R },
	};
	int i;

	memset(m, 0, sizeof *m);
	for (i = 0; i < COUNT(known); i++)
		if (strcmp(word, known[i].word) == 0) {
			m->kind = known[i].kind;
			m->classes = known[i].classes;
			return;
		}
	if (strchr(word, ':') != NULL || (*word >= '0' && *word <= '9')) {
		m->kind = MATCH_NET;
		m->net = prefix(word);
		return;
	}
	m->kind = MATCH_NAME;
	if (*word == '*')
		m->kind = MATCH_NAME_BELOW;
	else if (*word == '.')
		m->kind = MATCH_NAME_TREE;
	m->name = word + (*word == '*' ? 2 : *word == '.' ? 1 : 0);
	m->name_len = strlen(m->name);
}

/* One word of one list of the rule r. */
static void
read_element(struct book *b, struct rule *r, char list, const char *word)
{
	struct port_range *p = &b->port[b->ports];
	unsigned first, last;

	if (list == 'p') {
		first = last = (unsigned)strtoul(word, NULL, 10);
		if (strchr(word, '-') != NULL)
			last = (unsigned)strtoul(strchr(word, '-') + 1, NULL,
			    10);
		p->first = (uint16_t)first;
		p->last = (uint16_t)last;
		if (r->ports++ == 0)
			r->port = p;
		b->ports++;
		return;
	}
	read_matcher(word, &b->matcher[b->matchers]);
	if (list == 'f' && r->froms++ == 0)
		r->from = &b->matcher[b->matchers];
	if (list == 't' && r->tos++ == 0)
		r->to = &b->matcher[b->matchers];
	b->matchers++;
}

static void
read_book(struct book *b, const char *text)
{
	struct rule *r = NULL;
	char *word, *rest, list = 0;

	memset(b, 0, sizeof *b);
	ck_assert(strlen(text) < sizeof b->text);
	strcpy(b->text, text);
	for (word = strtok_r(b->text, " ;", &rest); word != NULL;
	    word = strtok_r(NULL, " ;", &rest)) {
		if (strcmp(word, "allow") == 0 || strcmp(word, "deny") == 0) {
			r = &b->rule[b->rules++];
			r->allow = *word == 'a';
			r->file = "rules";
			r->line = b->rules;
		} else if (strcmp(word, "from") == 0 ||
		    strcmp(word, "to") == 0 || strcmp(word, "port") == 0)
			list = *word;
		else
			read_element(b, r, list, word);
	}
}

#define BY_RULE(n)	DENY, DENIED_BY_RULE, (n)
#define BECAUSE(why)	DENY, DENIED_##why, 0
#define BY_ALLOW(n)	ALLOW, DENIED_BY_RULE, (n)
#define ASKS		RESOLVE, DENIED_BY_RULE, 0

/* name is NULL for a literal, address NULL before resolution; n is the number
 * of the deciding rule from 1, 0 if there is none or it does not matter. */
static const struct decide_row {
	const char	*rules;
	const char	*client;
	const char	*name;
	unsigned	 port;
	const char	*address;
	enum action	 action;
	enum denial	 denial;
	int		 n;
} decides[] = {
	/* no rule matches */
	{ "",
	    "127.0.0.1", NULL, 443, "8.8.8.8",		BECAUSE(CLIENT) },
	{ "",
	    "127.0.0.1", "a.example", 443, NULL,	BECAUSE(CLIENT) },
	{ "allow from loopback port 443",
	    "10.0.0.1", NULL, 443, "8.8.8.8",		BECAUSE(CLIENT) },
	{ "allow from loopback port 443",
	    "10.0.0.1", NULL, 80, "127.0.0.1",		BECAUSE(CLIENT) },
	{ "allow from loopback port 443",
	    "127.0.0.1", NULL, 80, "8.8.8.8",		BECAUSE(PORT) },
	{ "allow from loopback port 443",
	    "127.0.0.1", "a.example", 80, NULL,		BECAUSE(PORT) },
	{ "allow from loopback port 443",
	    "127.0.0.1", NULL, 80, "127.0.0.1",		BECAUSE(PORT) },
	{ "allow from loopback port 443",
	    "127.0.0.1", NULL, 443, "127.0.0.1",	BECAUSE(SPECIAL) },
	{ "allow to public port 443",
	    "127.0.0.1", NULL, 443, "10.0.0.1",		BECAUSE(TARGET) },
	{ "allow to 8.8.8.8",
	    "127.0.0.1", NULL, 443, "8.8.4.4",		BECAUSE(TARGET) },
	{ "allow to a.example",
	    "127.0.0.1", "b.example", 443, NULL,	BECAUSE(TARGET) },
	{ "allow to a.example",
	    "127.0.0.1", "b.example", 443, "127.0.0.1",	BECAUSE(SPECIAL) },
	{ "allow from 10.0.0.1 ; allow from 10.0.0.2 port 80",
	    "10.0.0.2", NULL, 443, "8.8.8.8",		BECAUSE(PORT) },
	{ "allow from 10.0.0.1 port 443 ; allow from 10.0.0.2 port 80",
	    "10.0.0.3", NULL, 443, "8.8.8.8",		BECAUSE(CLIENT) },
	{ "deny port 25",
	    "10.0.0.1", NULL, 443, "8.8.8.8",		BECAUSE(CLIENT) },
	{ "deny to 10.0.0.0/8 ; allow from loopback",
	    "10.0.0.1", NULL, 443, "8.8.8.8",		BECAUSE(CLIENT) },
	{ "deny to 10.0.0.0/8 port 443 ; allow port 80",
	    "10.0.0.1", NULL, 443, "8.8.8.8",		BECAUSE(PORT) },

	/* the first that matches decides */
	{ "allow",
	    "10.0.0.1", NULL, 443, "8.8.8.8",		BY_ALLOW(1) },
	{ "deny",
	    "10.0.0.1", NULL, 443, "8.8.8.8",		BY_RULE(1) },
	{ "deny ; allow",
	    "10.0.0.1", NULL, 443, "8.8.8.8",		BY_RULE(1) },
	{ "allow ; deny",
	    "10.0.0.1", NULL, 443, "8.8.8.8",		BY_ALLOW(1) },
	{ "deny to 8.8.4.4 ; allow port 80 ; allow ; deny",
	    "10.0.0.1", NULL, 443, "8.8.8.8",		BY_ALLOW(3) },
	{ "allow to 8.8.8.8 ; deny to 8.8.8.0/24 ; allow",
	    "10.0.0.1", NULL, 443, "8.8.8.9",		BY_RULE(2) },
	{ "allow to public ; deny",
	    "10.0.0.1", NULL, 443, "127.0.0.1",		BY_RULE(2) },

	/* from */
	{ "allow from any",
	    "127.0.0.1", NULL, 443, "8.8.8.8",		BY_ALLOW(1) },
	{ "allow from any",
	    "fe80::1", NULL, 443, "8.8.8.8",		BY_ALLOW(1) },
	{ "allow from any",
	    "64:ff9b::8.8.8.8", NULL, 443, "8.8.8.8",	BY_ALLOW(1) },
	{ "allow from loopback",
	    "::1", NULL, 443, "8.8.8.8",		BY_ALLOW(1) },
	{ "allow from loopback",
	    "127.255.255.255", NULL, 443, "8.8.8.8",	BY_ALLOW(1) },
	{ "allow from private",
	    "192.168.1.5", NULL, 443, "8.8.8.8",	BY_ALLOW(1) },
	{ "allow from private",
	    "fd12::1", NULL, 443, "8.8.8.8",		BY_ALLOW(1) },
	{ "allow from private",
	    "8.8.4.4", NULL, 443, "8.8.8.8",		BECAUSE(CLIENT) },
	{ "allow from private",
	    "127.0.0.1", NULL, 443, "8.8.8.8",		BECAUSE(CLIENT) },
	{ "allow from 192.168.1.0/24",
	    "192.168.1.255", NULL, 443, "8.8.8.8",	BY_ALLOW(1) },
	{ "allow from 192.168.1.0/24",
	    "192.168.2.0", NULL, 443, "8.8.8.8",	BECAUSE(CLIENT) },
	{ "allow from 0.0.0.0/0",
	    "2001:db8::1", NULL, 443, "8.8.8.8",	BECAUSE(CLIENT) },
	{ "allow from ::/0",
	    "192.168.1.1", NULL, 443, "8.8.8.8",	BECAUSE(CLIENT) },
	{ "allow from 10.0.0.1 10.0.0.2 loopback",
	    "::1", NULL, 443, "8.8.8.8",		BY_ALLOW(1) },
	{ "allow from 10.0.0.1 10.0.0.2 loopback",
	    "10.0.0.2", NULL, 443, "8.8.8.8",		BY_ALLOW(1) },
	{ "allow from 10.0.0.1 10.0.0.2 loopback",
	    "10.0.0.3", NULL, 443, "8.8.8.8",		BECAUSE(CLIENT) },
	{ "deny from 10.0.0.0/8 ; allow",
	    "2002:a00:1::1", NULL, 443, "8.8.8.8",	BY_RULE(1) },
	/* what a client's address carries is the sender's choice */
	{ "allow from private",
	    "64:ff9b::10.0.0.1", NULL, 443, "8.8.8.8",	BECAUSE(CLIENT) },
	{ "allow from loopback",
	    "2002:7f00:1::1", NULL, 443, "8.8.8.8",	BECAUSE(CLIENT) },
	{ "allow from loopback",
	    "2001:0:7f00:1:8000::", NULL, 443, "8.8.8.8", BECAUSE(CLIENT) },
	{ "allow from loopback",
	    "::127.0.0.1", NULL, 443, "8.8.8.8",	BECAUSE(CLIENT) },
	{ "allow from 10.0.0.0/8",
	    "2001:0:a00:1::", NULL, 443, "8.8.8.8",	BECAUSE(CLIENT) },

	/* port */
	{ "allow port 443",
	    "10.0.0.1", NULL, 443, "8.8.8.8",		BY_ALLOW(1) },
	{ "allow port 443",
	    "10.0.0.1", NULL, 442, "8.8.8.8",		BECAUSE(PORT) },
	{ "allow port 443",
	    "10.0.0.1", NULL, 444, "8.8.8.8",		BECAUSE(PORT) },
	{ "allow port 80 8000-8999",
	    "10.0.0.1", NULL, 80, "8.8.8.8",		BY_ALLOW(1) },
	{ "allow port 80 8000-8999",
	    "10.0.0.1", NULL, 8000, "8.8.8.8",		BY_ALLOW(1) },
	{ "allow port 80 8000-8999",
	    "10.0.0.1", NULL, 8999, "8.8.8.8",		BY_ALLOW(1) },
	{ "allow port 80 8000-8999",
	    "10.0.0.1", NULL, 7999, "8.8.8.8",		BECAUSE(PORT) },
	{ "allow port 80 8000-8999",
	    "10.0.0.1", NULL, 9000, "8.8.8.8",		BECAUSE(PORT) },
	{ "allow port 1-65535",
	    "10.0.0.1", NULL, 1, "8.8.8.8",		BY_ALLOW(1) },
	{ "allow port 1-65535",
	    "10.0.0.1", NULL, 65535, "8.8.8.8",		BY_ALLOW(1) },
	{ "allow",
	    "10.0.0.1", NULL, 65535, "8.8.8.8",		BY_ALLOW(1) },
	{ "deny port 25 ; allow",
	    "10.0.0.1", "a.example", 25, NULL,		BY_RULE(1) },
	{ "deny port 25 ; allow",
	    "10.0.0.1", "a.example", 26, NULL,		ASKS },

	/* to, by class */
	{ "allow to any",
	    "10.0.0.1", NULL, 443, "10.0.0.2",		BY_ALLOW(1) },
	{ "allow to any",
	    "10.0.0.1", NULL, 443, "2606:4700::1",	BY_ALLOW(1) },
	{ "allow",
	    "10.0.0.1", NULL, 443, "10.0.0.2",		BY_ALLOW(1) },
	{ "allow",
	    "10.0.0.1", NULL, 443, "127.0.0.1",		BECAUSE(SPECIAL) },
	{ "allow",
	    "10.0.0.1", NULL, 443, "::1",		BECAUSE(SPECIAL) },
	{ "allow to any",
	    "10.0.0.1", NULL, 443, "169.254.169.254",	BECAUSE(SPECIAL) },
	{ "allow to any",
	    "10.0.0.1", NULL, 443, "0.0.0.0",		BECAUSE(SPECIAL) },
	{ "allow to any",
	    "10.0.0.1", NULL, 443, "224.0.0.1",		BECAUSE(SPECIAL) },
	{ "allow to public",
	    "10.0.0.1", NULL, 443, "8.8.8.8",		BY_ALLOW(1) },
	{ "allow to public",
	    "10.0.0.1", NULL, 443, "fd00::1",		BECAUSE(TARGET) },
	{ "allow to private",
	    "10.0.0.1", NULL, 443, "fd00::1",		BY_ALLOW(1) },
	{ "allow to private",
	    "10.0.0.1", NULL, 443, "8.8.8.8",		BECAUSE(TARGET) },
	{ "allow to private",
	    "10.0.0.1", NULL, 443, "127.0.0.1",		BECAUSE(SPECIAL) },
	{ "allow to loopback",
	    "10.0.0.1", NULL, 443, "127.0.0.1",		BY_ALLOW(1) },
	{ "allow to loopback",
	    "10.0.0.1", NULL, 443, "::1",		BY_ALLOW(1) },
	{ "allow to linklocal",
	    "10.0.0.1", NULL, 443, "fe80::1",		BY_ALLOW(1) },
	{ "allow to linklocal",
	    "10.0.0.1", NULL, 443, "127.0.0.1",		BECAUSE(SPECIAL) },
	{ "deny to any ; allow to loopback",
	    "10.0.0.1", NULL, 443, "127.0.0.1",		BY_ALLOW(2) },
	{ "deny to public ; allow to any",
	    "10.0.0.1", NULL, 443, "10.0.0.2",		BY_ALLOW(2) },
	{ "deny ; allow to loopback",
	    "10.0.0.1", NULL, 443, "127.0.0.1",		BY_RULE(1) },

	/* to, by address */
	{ "allow to 127.0.0.1",
	    "10.0.0.1", NULL, 443, "127.0.0.1",		BY_ALLOW(1) },
	{ "allow to 127.0.0.1",
	    "10.0.0.1", NULL, 443, "127.0.0.2",		BECAUSE(SPECIAL) },
	{ "allow to 0.0.0.0/0",
	    "10.0.0.1", NULL, 443, "127.0.0.1",		BY_ALLOW(1) },
	{ "allow to 0.0.0.0/0",
	    "10.0.0.1", NULL, 443, "2606:4700::1",	BECAUSE(TARGET) },
	{ "allow to ::/0",
	    "10.0.0.1", NULL, 443, "8.8.8.8",		BECAUSE(TARGET) },
	{ "allow to ::1",
	    "10.0.0.1", NULL, 443, "::1",		BY_ALLOW(1) },
	{ "allow to 2001:db8::/33",
	    "10.0.0.1", NULL, 443, "2001:db8:7fff::1",	BY_ALLOW(1) },
	{ "allow to 2001:db8::/33",
	    "10.0.0.1", NULL, 443, "2001:db8:8000::1",	BECAUSE(SPECIAL) },
	{ "allow to 8.8.8.8 10.1.0.0/16",
	    "10.0.0.1", NULL, 443, "10.1.255.255",	BY_ALLOW(1) },
	{ "allow to ::ffff:0:0/96",
	    "10.0.0.1", NULL, 443, "8.8.8.8",		BECAUSE(TARGET) },

	/* to, by name */
	{ "allow to a.example",
	    "10.0.0.1", "a.example", 443, "8.8.8.8",	BY_ALLOW(1) },
	{ "allow to a.example",
	    "10.0.0.1", "A.Example.", 443, "8.8.8.8",	BY_ALLOW(1) },
	{ "allow to a.example",
	    "10.0.0.1", "b.a.example", 443, "8.8.8.8",	BECAUSE(TARGET) },
	{ "allow to .a.example",
	    "10.0.0.1", "a.example", 443, "8.8.8.8",	BY_ALLOW(1) },
	{ "allow to .a.example",
	    "10.0.0.1", "c.b.a.example", 443, "8.8.8.8", BY_ALLOW(1) },
	{ "allow to .a.example",
	    "10.0.0.1", "xa.example", 443, "8.8.8.8",	BECAUSE(TARGET) },
	{ "allow to *.a.example",
	    "10.0.0.1", "b.a.example", 443, "8.8.8.8",	BY_ALLOW(1) },
	{ "allow to *.a.example",
	    "10.0.0.1", "a.example", 443, "8.8.8.8",	BECAUSE(TARGET) },
	{ "allow to a",
	    "10.0.0.1", "A", 443, "8.8.8.8",		BY_ALLOW(1) },
	{ "allow to .a.example",
	    "10.0.0.1", NULL, 443, "8.8.8.8",		BECAUSE(TARGET) },
	{ "deny to .a.example ; allow",
	    "10.0.0.1", NULL, 443, "8.8.8.8",		BY_ALLOW(2) },
	{ "allow to a.example",
	    "10.0.0.1", "a.example", 443, "10.0.0.2",	BY_ALLOW(1) },
	{ "allow to a.example",
	    "10.0.0.1", "a.example", 443, "127.0.0.1",	BECAUSE(SPECIAL) },
	{ "allow to a.example ; allow to loopback",
	    "10.0.0.1", "a.example", 443, "127.0.0.1",	BY_ALLOW(2) },
	{ "allow to a.example loopback",
	    "10.0.0.1", "a.example", 443, "127.0.0.1",	BY_ALLOW(1) },
	{ "deny to private ; allow to a.example",
	    "10.0.0.1", "a.example", 443, "10.0.0.2",	BY_RULE(1) },
	{ "deny to a.example ; allow",
	    "10.0.0.1", "a.example", 443, "8.8.8.8",	BY_RULE(1) },
	{ "deny to a.example ; allow to loopback",
	    "10.0.0.1", "a.example", 443, "127.0.0.1",	BY_RULE(1) },

	/* before resolution */
	{ "allow",
	    "10.0.0.1", "a.example", 443, NULL,		ASKS },
	{ "allow to any",
	    "10.0.0.1", "a.example", 443, NULL,		ASKS },
	{ "allow to a.example",
	    "10.0.0.1", "a.example", 443, NULL,		ASKS },
	{ "allow to 8.8.8.8",
	    "10.0.0.1", "a.example", 443, NULL,		ASKS },
	{ "allow to b.example 8.8.8.8",
	    "10.0.0.1", "a.example", 443, NULL,		ASKS },
	{ "deny to loopback ; allow",
	    "10.0.0.1", "a.example", 443, NULL,		ASKS },
	/* what can only be denied is not asked for */
	{ "deny to any",
	    "10.0.0.1", "a.example", 443, NULL,		BECAUSE(CLIENT) },
	{ "deny to 10.0.0.0/8",
	    "10.0.0.1", "a.example", 443, NULL,		BECAUSE(CLIENT) },
	{ "deny to private ; allow to b.example",
	    "10.0.0.1", "a.example", 443, NULL,		BECAUSE(TARGET) },
	{ "deny to private ; allow to a.example",
	    "10.0.0.1", "a.example", 443, NULL,		ASKS },
	{ "deny to private ; deny to .example ; allow",
	    "10.0.0.1", "a.example", 443, NULL,		BY_RULE(2) },
	{ "deny",
	    "10.0.0.1", "a.example", 443, NULL,		BY_RULE(1) },
	{ "deny from 10.0.0.0/8 ; allow",
	    "10.0.0.1", "a.example", 443, NULL,		BY_RULE(1) },
	{ "deny from 10.0.0.0/8 ; allow",
	    "11.0.0.1", "a.example", 443, NULL,		ASKS },
	{ "deny to .a.example ; allow",
	    "10.0.0.1", "b.a.example", 443, NULL,	BY_RULE(1) },
	{ "deny to 10.0.0.0/8 a.example ; allow",
	    "10.0.0.1", "a.example", 443, NULL,		BY_RULE(1) },
	{ "deny to .a.example ; allow",
	    "10.0.0.1", "b.example", 443, NULL,		ASKS },
	{ "allow to a.example ; deny",
	    "10.0.0.1", "b.example", 443, NULL,		BY_RULE(2) },
	{ "allow to a.example port 80 ; deny port 80",
	    "10.0.0.1", "a.example", 443, NULL,		BECAUSE(PORT) },

	/* NAT64: what is inside counts, a prefix may also name the outside */
	{ "allow",
	    "10.0.0.1", NULL, 443, "64:ff9b::8.8.8.8",	BY_ALLOW(1) },
	{ "allow to public",
	    "10.0.0.1", NULL, 443, "64:ff9b::8.8.8.8",	BY_ALLOW(1) },
	{ "allow to public",
	    "10.0.0.1", NULL, 443, "64:ff9b::10.0.0.1",	BECAUSE(TARGET) },
	{ "allow to private",
	    "10.0.0.1", NULL, 443, "64:ff9b::10.0.0.1",	BY_ALLOW(1) },
	{ "allow",
	    "10.0.0.1", NULL, 443, "64:ff9b::127.0.0.1", BECAUSE(SPECIAL) },
	{ "allow to loopback",
	    "10.0.0.1", NULL, 443, "64:ff9b::127.0.0.1", BY_ALLOW(1) },
	{ "allow to 8.8.8.8",
	    "10.0.0.1", NULL, 443, "64:ff9b::8.8.8.8",	BY_ALLOW(1) },
	{ "deny to 8.8.8.8 ; allow",
	    "10.0.0.1", NULL, 443, "64:ff9b::8.8.8.8",	BY_RULE(1) },
	{ "deny to private ; allow",
	    "10.0.0.1", NULL, 443, "64:ff9b::10.0.0.1",	BY_RULE(1) },
	{ "allow to 64:ff9b::/96",
	    "10.0.0.1", NULL, 443, "64:ff9b::8.8.8.8",	BY_ALLOW(1) },
	{ "allow to 64:ff9b::/96",
	    "10.0.0.1", NULL, 443, "64:ff9b::10.0.0.1",	BECAUSE(TARGET) },
	{ "allow to 64:ff9b::/96",
	    "10.0.0.1", NULL, 443, "64:ff9b::127.0.0.1", BECAUSE(SPECIAL) },
	{ "allow to 64:ff9b::/96 private",
	    "10.0.0.1", NULL, 443, "64:ff9b::10.0.0.1",	BY_ALLOW(1) },
	{ "deny to 64:ff9b::/96 ; allow",
	    "10.0.0.1", NULL, 443, "64:ff9b::8.8.8.8",	BY_RULE(1) },
	{ "deny to any",
	    "10.0.0.1", NULL, 443, "64:ff9b::8.8.8.8",	BY_RULE(1) },
	{ "deny to any",
	    "10.0.0.1", NULL, 443, "64:ff9b::127.0.0.1",
	    BECAUSE(CLIENT) },
	{ "deny to public ; allow",
	    "10.0.0.1", NULL, 443, "64:ff9b::10.0.0.1",	BY_ALLOW(2) },
	{ "allow to a.example",
	    "10.0.0.1", "a.example", 443, "64:ff9b::8.8.8.8", BY_ALLOW(1) },
	{ "allow to a.example",
	    "10.0.0.1", "a.example", 443, "64:ff9b::127.0.0.1",
	    BECAUSE(SPECIAL) },

	/* the other carriers are reserved themselves */
	{ "allow",
	    "10.0.0.1", NULL, 443, "2002:808:808::1",	BECAUSE(SPECIAL) },
	{ "allow to a.example",
	    "10.0.0.1", "a.example", 443, "2002:808:808::1", BECAUSE(SPECIAL) },
	{ "allow to 8.8.8.8",
	    "10.0.0.1", NULL, 443, "2002:808:808::1",	BECAUSE(SPECIAL) },
	{ "allow to 2002::/16",
	    "10.0.0.1", NULL, 443, "2002:808:808::1",	BY_ALLOW(1) },
	{ "allow to 2002::/16",
	    "10.0.0.1", NULL, 443, "2002:a00:1::1",	BECAUSE(SPECIAL) },
	{ "allow to 2002::/16 private",
	    "10.0.0.1", NULL, 443, "2002:a00:1::1",	BY_ALLOW(1) },
	{ "allow to 2002::/16 10.0.0.0/8",
	    "10.0.0.1", NULL, 443, "2002:a00:1::1",	BY_ALLOW(1) },
	{ "allow to 2002::/16 10.0.0.0/8",
	    "10.0.0.1", NULL, 443, "2002:7f00:1::1",	BECAUSE(SPECIAL) },
	{ "allow to 2002::/16 any",
	    "10.0.0.1", NULL, 443, "2002:a00:1::1",	BY_ALLOW(1) },
	{ "allow to private",
	    "10.0.0.1", NULL, 443, "2002:a00:1::1",	BECAUSE(SPECIAL) },
	{ "deny to private ; allow to ::/0",
	    "10.0.0.1", NULL, 443, "2002:a00:1::1",	BY_RULE(1) },
	{ "deny to 8.8.8.0/24 ; allow to ::/0",
	    "10.0.0.1", NULL, 443, "2002:808:808::1",	BY_RULE(1) },
	{ "deny to 10.0.0.1 ; allow to ::/0",
	    "10.0.0.1", NULL, 443, "::10.0.0.1",	BY_RULE(1) },
	{ "deny to 10.0.0.1 ; allow to ::/0",
	    "10.0.0.1", NULL, 443, "::ffff:0:10.0.0.1",	BY_RULE(1) },
	{ "deny to 10.0.0.1 ; allow to ::/0",
	    "10.0.0.1", NULL, 443, "2001:0:a00:1::f7f7:f7f7", BY_RULE(1) },
	{ "deny to 10.0.0.1 ; allow to ::/0",
	    "10.0.0.1", NULL, 443, "2001:0:808:808::f5ff:fffe", BY_RULE(1) },
	{ "allow to 2001::/32",
	    "10.0.0.1", NULL, 443, "2001:0:808:808::f7f7:f7f7", BY_ALLOW(1) },
	{ "allow to 2001::/32",
	    "10.0.0.1", NULL, 443, "2001:0:808:808::f5ff:fffe",
	    BECAUSE(SPECIAL) },
	{ "allow to 2001::/32 10.0.0.1",
	    "10.0.0.1", NULL, 443, "2001:0:808:808::f5ff:fffe", BY_ALLOW(1) },
	{ "allow to 2001::/32 10.0.0.1",
	    "10.0.0.1", NULL, 443, "2001:0:7f00:1::f5ff:fffe",
	    BECAUSE(SPECIAL) },
	{ "allow to reserved",
	    "10.0.0.1", NULL, 443, "2002:808:808::1",	BY_ALLOW(1) },
	{ "allow to reserved",
	    "10.0.0.1", NULL, 443, "::127.0.0.1",	BECAUSE(SPECIAL) },
	{ "deny to any ; allow to reserved",
	    "10.0.0.1", NULL, 443, "2002:808:808::1",	BY_RULE(1) },
	{ "deny to loopback",
	    "10.0.0.1", NULL, 443, "2002:7f00:1::",	BY_RULE(1) },
};

static void
set_facts(struct facts *q, const struct addr *client, const char *name,
    unsigned port, const struct addr *target)
{
	q->client = client;
	q->name = name;
	q->name_len = name == NULL ? 0 : strlen(name);
	q->port = (uint16_t)port;
	q->address = target;
	q->aliases = NULL;
}

/* The examples of RFC 6052 2.4: all of them carry 192.0.2.33. */
static const struct {
	const char	*prefix, *address;
} nat64s[] = {
	{ "2001:db8::/32", "2001:db8:c000:221::" },
	{ "2001:db8:100::/40", "2001:db8:1c0:2:21::" },
	{ "2001:db8:122::/48", "2001:db8:122:c000:2:2100::" },
	{ "2001:db8:122:300::/56", "2001:db8:122:3c0:0:221::" },
	{ "2001:db8:122:344::/64", "2001:db8:122:344:c0:2:2100::" },
	{ "2001:db8:122:344::/96", "2001:db8:122:344::192.0.2.33" }
};

static void
set_nat64(const char *text)
{
	struct addr prefix;

	ck_assert(addr_parse_cidr(text, strlen(text), &prefix));
	addr_set_nat64(&prefix);
}

START_TEST(the_own_nat64_prefix_shows_what_is_inside)
{
	struct face face[FACES_MAX];
	struct addr a = address(nat64s[_i].address);
	char text[ADDR_TEXT_MAX];

	ck_assert_int_eq(addr_faces(&a, face), 1);
	set_nat64(nat64s[_i].prefix);
	ck_assert_int_eq(addr_faces(&a, face), 2);
	ck_assert_str_eq(addr_format(&face[1].addr, false, text),
	    "192.0.2.33");
	ck_assert(face[0].neutral && !face[1].neutral);
	ck_assert_uint_eq(addr_class(&a), CLASS_RESERVED);
	a = address("2001:db9::1");
	ck_assert_int_eq(addr_faces(&a, face), 1);
}
END_TEST

/* A prefix of a private network: only what is inside counts. */
static const struct {
	const char	*rule, *inside;
	enum action	 action;
} nat64_rules[] = {
	{ "allow to public", "8.8.8.8", ALLOW },
	{ "allow", "8.8.8.8", ALLOW },
	{ "allow to public", "10.0.0.1", DENY },
	{ "allow to public", "127.0.0.1", DENY },
	{ "allow to any", "127.0.0.1", DENY },
	{ "allow to private", "8.8.8.8", DENY },
	{ "deny to 8.8.8.0/24 ; allow", "8.8.8.8", DENY },
	{ "allow to 127.0.0.1", "127.0.0.1", ALLOW },
	{ "allow to fd00:64::/96", "8.8.8.8", ALLOW },
	{ "allow to fd00:64::/96", "127.0.0.1", DENY }
};

START_TEST(the_own_nat64_prefix_is_no_way_around_a_rule)
{
	struct addr client = address("10.0.0.1"), target;
	struct facts facts;
	struct verdict v;
	struct book book;
	char text[64];

	set_nat64("fd00:64::/96");
	(void)snprintf(text, sizeof text, "fd00:64::%s",
	    nat64_rules[_i].inside);
	target = address(text);
	read_book(&book, nat64_rules[_i].rule);
	set_facts(&facts, &client, NULL, 443, &target);
	policy_decide(book.rule, book.rules, &facts, &v);
	ck_assert_int_eq(v.action, nat64_rules[_i].action);
}
END_TEST

/* A name that went through www.evil.test and edge.b.example. */
static const struct alias_row {
	const char	*rules;
	enum action	 action;
	unsigned	 n;		/* rule that decides, from 1; 0: none */
} alias_rows[] = {
	{ "allow", ALLOW, 1 },
	{ "deny to www.evil.test ; allow", DENY, 1 },
	{ "deny to .evil.test ; allow", DENY, 1 },
	{ "deny to *.evil.test ; allow", DENY, 1 },
	{ "deny to evil.test ; allow", ALLOW, 2 },
	{ "deny to edge.b.example ; allow", DENY, 1 },
	{ "deny to b.example ; allow", ALLOW, 2 },
	{ "deny to .vil.test ; allow", ALLOW, 2 },
	{ "allow ; deny to .evil.test", ALLOW, 1 },
	{ "allow to a.example ; deny to .evil.test", ALLOW, 1 },
	/* a permission is for the name that was asked for */
	{ "allow to .evil.test", DENY, 0 },
	{ "allow to edge.b.example", DENY, 0 }
};

START_TEST(what_is_denied_is_so_under_all_its_names)
{
	const struct alias_row *row = &alias_rows[_i];
	struct addr client = address("10.0.0.1"), target = address("8.8.8.8");
	struct dns_names aliases;
	struct facts facts;
	struct verdict v;
	struct book book;

	memset(&aliases, 0, sizeof aliases);
	ck_assert(dns_names_add(&aliases, "www.evil.test", 13));
	ck_assert(dns_names_add(&aliases, "edge.b.example", 14));
	read_book(&book, row->rules);
	set_facts(&facts, &client, "a.example", 443, &target);
	facts.aliases = &aliases;
	policy_decide(book.rule, book.rules, &facts, &v);
	ck_assert_int_eq(v.action, row->action);
	ck_assert_ptr_eq(v.rule, row->n == 0 ? NULL : &book.rule[row->n - 1]);
	/* Then it is not the address that decides. */
	if (row->action == DENY && row->n > 0)
		ck_assert(!v.by_address);
}
END_TEST

START_TEST(a_request_gets_the_verdict_of_its_row)
{
	const struct decide_row *row = &decides[_i];
	struct book book;
	struct addr client = address(row->client), target;
	struct facts facts;
	struct verdict v;

	memset(&v, 0xAA, sizeof v);
	read_book(&book, row->rules);
	if (row->address != NULL)
		target = address(row->address);
	set_facts(&facts, &client, row->name, row->port,
	    row->address == NULL ? NULL : &target);
	policy_decide(book.rule, book.rules, &facts, &v);
	ck_assert_msg(v.action == row->action, "action %d", (int)v.action);
	if (row->address != NULL)
		ck_assert_uint_eq(v.classes, addr_class(&target));
	if (row->action == RESOLVE)
		return;
	ck_assert_ptr_eq(v.rule,
	    row->n == 0 ? NULL : &book.rule[row->n - 1]);
	if (row->action == DENY)
		ck_assert_msg(v.denial == row->denial, "denial %d",
		    (int)v.denial);
}
END_TEST

/* Explain the verdict of a row in memory that is no larger than it must be.
 * Returns false if there is nothing to explain. */
static bool
explain(const struct decide_row *row, char *text, char *target_text)
{
	struct book book;
	struct addr client = address(row->client), target;
	struct facts facts;
	struct verdict v;
	char *out = malloc(REASON_MAX);

	ck_assert_ptr_nonnull(out);
	read_book(&book, row->rules);
	target = address(row->address == NULL ? "0.0.0.0" : row->address);
	addr_format(&target, false, target_text);
	set_facts(&facts, &client, row->name, row->port,
	    row->address == NULL ? NULL : &target);
	policy_decide(book.rule, book.rules, &facts, &v);
	if (v.action == DENY) {
		memset(out, 'x', REASON_MAX);
		ck_assert_ptr_eq(policy_explain(&facts, &v, out), out);
		ck_assert_ptr_nonnull(memchr(out, '\0', REASON_MAX));
		strcpy(text, out);
	}
	free(out);
	return v.action == DENY;
}

/* It stands in a reply: one line, and nothing that only the resolver knew. */
START_TEST(a_refusal_is_explained_in_the_words_of_its_user)
{
	const struct decide_row *row = &decides[_i];
	char text[REASON_MAX], target[ADDR_TEXT_MAX], want[REASON_MAX];
	size_t i;

	if (!explain(row, text, target))
		return;
	ck_assert_uint_gt(strlen(text), 0);
	for (i = 0; text[i] != '\0'; i++)
		ck_assert(text[i] >= 0x20 && text[i] < 0x7f);
	if (row->name != NULL) {
		ck_assert_ptr_null(strstr(text, target));
		ck_assert_ptr_null(strstr(text, row->name));
	}
	if (row->n == 0 && row->denial == DENIED_PORT) {
		snprintf(want, sizeof want,
		    "port %u is not allowed by the rules", row->port);
		ck_assert_str_eq(text, want);
	}
	if (row->n == 0 && row->denial == DENIED_SPECIAL && row->name == NULL)
		ck_assert_msg(strncmp(text, target, strlen(target)) == 0,
		    "%s", text);
}
END_TEST

START_TEST(a_special_address_is_explained_by_its_class)
{
	static const struct {
		const char	*target;
		const char	*text;
	} cases[] = {
		{ "127.0.0.1",
		    "127.0.0.1 is a loopback address: a rule must name it" },
		{ "::1", "::1 is a loopback address: a rule must name it" },
	};
	struct decide_row row = { "allow", "10.0.0.1", NULL, 443,
	    cases[_i].target, BECAUSE(SPECIAL) };
	char text[REASON_MAX], target[ADDR_TEXT_MAX];

	ck_assert(explain(&row, text, target));
	ck_assert_str_eq(text, cases[_i].text);
	row.name = "a.example";
	ck_assert(explain(&row, text, target));
	ck_assert_ptr_nonnull(strstr(text, "loopback"));
	ck_assert_ptr_null(strstr(text, target));
}
END_TEST

/* ---- a second judge ------------------------------------------------------ */

static bool
plain_name(const struct matcher *m, const struct facts *q)
{
	bool is = dns_name_equal(q->name, q->name_len, m->name, m->name_len);
	bool below = dns_name_below(q->name, q->name_len, m->name,
	    m->name_len);

	switch (m->kind) {
	case MATCH_NAME:
		return q->name_len > 0 && is;
	case MATCH_NAME_TREE:
		return q->name_len > 0 && (is || below);
	case MATCH_NAME_BELOW:
		return q->name_len > 0 && below;
	default:
		return false;
	}
}

static bool
is_name(const struct matcher *m)
{
	return m->kind == MATCH_NAME || m->kind == MATCH_NAME_TREE ||
	    m->kind == MATCH_NAME_BELOW;
}

/* Is the face one of those that the word means? */
static bool
plain_hit(const struct matcher *m, const struct plain_face *f,
    const struct facts *q)
{
	if (m->kind == MATCH_NET)
		return plain_inside(&f->addr, &m->net);
	if (is_name(m))
		return plain_name(m, q) && !(f->classes & CLASS_SPECIAL);
	if (f->neutral)
		return false;
	if (m->kind == MATCH_ANY)
		return !(f->classes & CLASS_SPECIAL);
	if (m->kind == MATCH_PUBLIC)
		return f->classes == 0;
	return (f->classes & m->classes) != 0;
}

static bool
plain_client(const struct rule *r, const struct facts *q)
{
	struct plain_face f[3];
	unsigned i, k, n = plain_faces(q->client, f);
	bool yes = r->froms == 0;

	if (r->allow)
		n = 1;
	for (i = 0; i < r->froms; i++)
		for (k = 0; k < n; k++)
			yes = yes || r->from[i].kind == MATCH_ANY ||
			    plain_hit(&r->from[i], &f[k], q);
	return yes;
}

static bool
plain_port(const struct rule *r, const struct facts *q)
{
	bool yes = r->ports == 0;
	unsigned i;

	for (i = 0; i < r->ports; i++)
		yes = yes || (q->port >= r->port[i].first &&
		    q->port <= r->port[i].last);
	return yes;
}

/* The address is known. */
static bool
plain_to(const struct rule *r, const struct facts *q)
{
	static const struct matcher any = { MATCH_ANY, 0,
	    { 0, 0, 0, { 0 } }, NULL, 0 };
	const struct matcher *to = r->tos == 0 ? &any : r->to;
	struct plain_face f[3];
	unsigned i, k, n = plain_faces(q->address, f);
	unsigned hit[3] = { 0, 0, 0 };
	bool some = false, rest_public = true, denied_name = false;

	for (i = 0; i < (r->tos == 0 ? 1 : r->tos); i++) {
		denied_name = denied_name || plain_name(&to[i], q);
		for (k = 0; k < n; k++)
			hit[k] |= plain_hit(&to[i], &f[k], q);
	}
	for (k = 0; k < n; k++) {
		some = some || hit[k];
		if (!hit[k] && f[k].classes != 0)
			rest_public = false;
	}
	if (r->allow)
		return some && rest_public;
	/* a name is denied wherever it leads */
	return r->tos == 0 || some || denied_name;
}

/* The address is not known: DENY or RESOLVE, or ALLOW for "go on". */
static enum action
plain_ask(const struct rule *r, const struct facts *q)
{
	bool named = r->tos == 0, open = false;
	unsigned i;

	for (i = 0; i < r->tos; i++) {
		named = named || plain_name(&r->to[i], q);
		open = open || !is_name(&r->to[i]);
	}
	if (named)
		return r->allow ? RESOLVE : DENY;
	/* What a deny rule would keep out only matters if some rule lets in. */
	return open && r->allow ? RESOLVE : ALLOW;
}

static void
plain_decide(const struct rule *rule, unsigned rules, const struct facts *q,
    struct verdict *v)
{
	bool client = false, port = false;
	enum action ask;
	unsigned i;

	memset(v, 0, sizeof *v);
	v->classes = q->address == NULL ? 0 : plain_class(q->address);
	for (i = 0; i < rules; i++) {
		if (!plain_client(&rule[i], q))
			continue;
		client = client || rule[i].allow;
		if (!plain_port(&rule[i], q))
			continue;
		port = port || rule[i].allow;
		v->action = rule[i].allow ? ALLOW : DENY;
		v->rule = &rule[i];
		if (q->address == NULL) {
			ask = plain_ask(&rule[i], q);
			v->action = ask;
			if (ask != ALLOW)
				return;
		} else if (plain_to(&rule[i], q))
			return;
	}
	v->action = DENY;
	v->rule = NULL;
	v->denial = !client ? DENIED_CLIENT : !port ? DENIED_PORT :
	    v->classes & CLASS_SPECIAL ? DENIED_SPECIAL : DENIED_TARGET;
}

static const char *const host_words[] = {
	"127.0.0.1", "127.0.0.0/8", "10.0.0.0/8", "10.0.0.1", "0.0.0.0/0",
	"8.8.8.0/24", "8.8.8.8", "169.254.0.0/16", "::/0", "::1", "::/96",
	"2002::/16", "2002:a00::/24", "2001::/32", "2001:db8::/32",
	"64:ff9b::/96", "64:ff9b::/32", "fe80::/10", "fd00::/8", "2000::/3",
	"any", "any", "public", "loopback", "private", "linklocal", "reserved",
};

static const char *const name_words[] = {
	"a.example", ".a.example", "*.a.example", ".example", "b.example",
};

static const char *const some_hosts[] = {
	"127.0.0.1", "10.0.0.1", "8.8.8.8", "8.8.4.4", "169.254.1.1", "::1",
	"0.0.0.0", "fe80::1", "fd00::1", "2606:4700::1", "2001:db8::1",
	"255.255.255.255", "192.168.1.1",
};

static const char *const some_names[] = {
	"a.example", "b.a.example", "A.EXAMPLE.", "b.example", "example",
	"other.test",
};

#define PICK(table) (table)[random_below((uint32_t)COUNT(table))]

static struct addr
random_host(void)
{
	struct addr a = address(PICK(some_hosts));

	if (random_below(3) == 0)
		return random_edge();
	if (a.family == 4 && random_below(2) == 0)
		a = carry(&carriers[random_below((uint32_t)COUNT(carriers))],
		    &a);
	return not_unspecified(a);
}

static void
random_words(char *text, const char *list, bool names)
{
	uint32_t i, n = random_below(4);

	if (n > 0)
		strcat(strcat(text, " "), list);
	for (i = 0; i < n; i++) {
		strcat(text, " ");
		strcat(text, names && random_below(3) == 0 ?
		    PICK(name_words) : PICK(host_words));
	}
}

static void
random_rules(char *text)
{
	static const char *const port_words[] = { "", "", " port 443",
	    " port 80 443", " port 1-1023", " port 8000-8999 25" };
	uint32_t i, n = 1 + random_below(5);

	*text = '\0';
	for (i = 0; i < n; i++) {
		strcat(text, random_below(2) ? " ; allow" : " ; deny");
		if (random_below(3) == 0)
			random_words(text, "from", false);
		random_words(text, "to", true);
		strcat(text, PICK(port_words));
	}
}

static void
check_judges(const struct book *b, const char *rules, const struct facts *q)
{
	struct verdict ours, plain;
	char text[ADDR_TEXT_MAX];

	memset(&ours, 0xAA, sizeof ours);
	policy_decide(b->rule, b->rules, q, &ours);
	plain_decide(b->rule, b->rules, q, &plain);
	if (ours.action == plain.action && (ours.action == RESOLVE ||
	    (ours.rule == plain.rule && (q->address == NULL ||
	    ours.classes == plain.classes))) && (ours.action != DENY ||
	    ours.denial == plain.denial))
		return;
	ck_abort_msg("%s: %s port %u address %s: %d/%d/%d, not %d/%d/%d",
	    rules, q->name_len ? q->name : "-", (unsigned)q->port,
	    q->address ? addr_format(q->address, false, text) : "-",
	    (int)ours.action, (int)ours.denial,
	    ours.rule == NULL ? 0 : (int)(ours.rule - b->rule) + 1,
	    (int)plain.action, (int)plain.denial,
	    plain.rule == NULL ? 0 : (int)(plain.rule - b->rule) + 1);
}

START_TEST(a_second_judge_agrees)
{
	static const unsigned some_ports[] = { 443, 443, 80, 25, 8080, 1024 };
	char text[4 * TEXT_MAX];
	struct book book;
	struct addr client, target;
	struct facts facts;
	long i, k;

	seed = 403u + (uint32_t)_i;
	for (i = 0; i < 1500; i++) {
		do
			random_rules(text);
		while (strlen(text) >= TEXT_MAX);
		read_book(&book, text);
		for (k = 0; k < 20; k++) {
			client = random_host();
			target = random_host();
			set_facts(&facts, &client, random_below(2) ?
			    PICK(some_names) : NULL, PICK(some_ports),
			    &target);
			if (facts.name_len > 0 && random_below(3) == 0)
				facts.address = NULL;
			check_judges(&book, text, &facts);
		}
	}
}
END_TEST

/* A rule of which that is said decides nothing, whatever is asked. */
START_TEST(a_shadowed_rule_never_decides)
{
	char text[4 * TEXT_MAX];
	struct addr client, target;
	struct facts facts;
	struct verdict v;
	struct book book;
	unsigned a, b, shadowed = 0;
	long i, k;

	seed = 9151u + (uint32_t)_i;
	for (i = 0; i < 3000; i++) {
		do
			random_rules(text);
		while (strlen(text) >= TEXT_MAX);
		read_book(&book, text);
		for (k = 0; k < 40; k++) {
			client = random_host();
			target = random_host();
			set_facts(&facts, &client, random_below(2) ?
			    PICK(some_names) : NULL, k % 2 ? 443 : 80, &target);
			policy_decide(book.rule, book.rules, &facts, &v);
			if (v.rule == NULL)
				continue;
			b = (unsigned)(v.rule - book.rule);
			for (a = 0; a < b; a++)
				if (policy_shadows(&book.rule[a],
				    &book.rule[b]))
					ck_abort_msg("%s: %u, %u", text, a + 1,
					    b + 1);
		}
		for (b = 0; b < book.rules; b++)
			for (a = 0; a < b; a++)
				shadowed += policy_shadows(&book.rule[a],
				    &book.rule[b]);
	}
	ck_assert_uint_gt(shadowed, 100);
}
END_TEST

static const struct {
	const char	*rules;
	bool		 shadowed;	/* the second by the first */
} shadows[] = {
	{ "allow ; allow", true },
	{ "deny ; allow", true },
	{ "deny ; deny to loopback", true },
	{ "allow ; deny", false },
	{ "allow to any ; allow to public", true },
	{ "allow to public ; allow to any", false },
	{ "allow to any ; allow to loopback", false },
	{ "deny to loopback linklocal ; allow to loopback", true },
	{ "deny to loopback ; allow to loopback linklocal", false },
	{ "deny to 10.0.0.0/8 ; allow to 10.1.0.0/16", true },
	{ "deny to 10.1.0.0/16 ; allow to 10.0.0.0/8", false },
	{ "deny to 10.0.0.0/8 ; allow to 11.0.0.0/8", false },
	{ "deny to .a.b ; allow to a.b x.a.b *.x.a.b", true },
	{ "deny to *.a.b ; allow to a.b", false },
	{ "deny to *.a.b ; allow to .a.b", false },
	{ "deny to *.a.b ; allow to *.a.b", true },
	{ "deny to a.b ; allow to A.B", true },
	{ "deny to a.b ; allow to xa.b", false },
	{ "deny to a.b ; allow to 10.0.0.1", false },
	{ "deny from any ; allow from 10.0.0.1", true },
	{ "deny from 10.0.0.0/8 ; allow from 10.0.0.1", true },
	{ "deny from 10.0.0.0/8 ; allow", false },
	{ "deny from 10.0.0.0/8 ; allow from any", false },
	{ "deny port 1-100 ; allow port 50-60", true },
	{ "deny port 1-100 ; allow port 50-101", false },
	{ "deny port 1 2 ; allow port 2 1", true },
	{ "deny port 80 ; deny", false },
	{ "deny ; deny port 80", true },
	{ "allow to 64:ff9b::/96 ; deny to 64:ff9b::/96", false },
	{ "deny to any ; deny to a.b", false }
};

START_TEST(a_rule_is_shadowed_only_if_its_row_says_so)
{
	struct book book;

	read_book(&book, shadows[_i].rules);
	ck_assert_uint_eq(book.rules, 2);
	ck_assert(policy_shadows(&book.rule[0], &book.rule[1]) ==
	    shadows[_i].shadowed);
}
END_TEST

static const struct {
	const char	*rule;
	bool		 open;
} opens[] = {
	{ "allow port 1-65535", true },
	{ "allow from any to any port 1-65535", true },
	{ "allow from any to public port 1-65535", true },
	{ "allow", true },
	{ "allow port 443", false },
	{ "allow from 10.0.0.0/8 port 1-65535", false },
	{ "allow to private port 1-65535", false },
	{ "allow to a.b port 1-65535", false },
	{ "allow port 2-65535", false },
	{ "deny", false }
};

START_TEST(an_open_proxy_is_known)
{
	struct book book;

	read_book(&book, opens[_i].rule);
	ck_assert(policy_is_open(&book.rule[0]) == opens[_i].open);
}
END_TEST

/* What is refused before the name is resolved must be refused with every
 * address, and nothing is allowed before. */
START_TEST(an_early_verdict_is_a_refusal_that_no_address_would_change)
{
	char text[4 * TEXT_MAX];
	struct book book;
	struct addr client, target;
	struct facts facts;
	struct verdict early, late;
	long i, k;

	seed = 7231u + (uint32_t)_i;
	for (i = 0; i < 1500; i++) {
		do
			random_rules(text);
		while (strlen(text) >= TEXT_MAX);
		read_book(&book, text);
		client = random_host();
		set_facts(&facts, &client, PICK(some_names), 443, NULL);
		policy_decide(book.rule, book.rules, &facts, &early);
		if (early.action == ALLOW)
			ck_abort_msg("%s: allowed without address", text);
		for (k = 0; k < 20; k++) {
			target = random_host();
			facts.address = &target;
			policy_decide(book.rule, book.rules, &facts, &late);
			if (late.action == RESOLVE)
				ck_abort_msg("%s: has the address", text);
			if (early.action == DENY && late.action != DENY)
				ck_abort_msg("%s: too early", text);
		}
	}
}
END_TEST

static void
add_text_tests(Suite *s)
{
	TCase *tc = tcase_create("text");

	tcase_set_timeout(tc, 300);
	tcase_add_loop_test(tc, a_text_is_an_address_only_if_its_row_says_so,
	    0, COUNT(texts));
	tcase_add_test(tc, parsing_agrees_with_inet_pton);
	tcase_add_test(tc, parsing_agrees_with_inet_pton_for_all_short_texts);
	tcase_add_test(tc, formatting_agrees_with_inet_ntop_and_rfc_5952);
	tcase_add_loop_test(tc, every_pattern_of_zero_groups_is_shortened_right,
	    0, 256);
	tcase_add_loop_test(tc,
	    the_port_stands_behind_the_address_if_it_is_wanted, 0,
	    COUNT(ports));
	tcase_add_loop_test(tc, a_text_is_a_prefix_only_if_its_row_says_so, 0,
	    COUNT(cidrs));
	tcase_add_loop_test(tc, only_the_bits_behind_the_prefix_must_be_zero,
	    4, 5);
	tcase_add_loop_test(tc, only_the_bits_behind_the_prefix_must_be_zero,
	    6, 7);
	tcase_add_loop_test(tc, only_a_mapped_address_becomes_ipv4, 0,
	    COUNT(canonicals));
	tcase_add_loop_test(tc, the_same_host_is_the_same_address_with_any_port,
	    0, COUNT(sames));
	suite_add_tcase(s, tc);
}

static Suite *
policy_suite(void)
{
	Suite *s = suite_create("policy");
	TCase *tc = tcase_create("class");

	add_text_tests(s);
	tcase_set_timeout(tc, 300);
	tcase_add_loop_test(tc,
	    a_range_has_its_class_at_both_ends_and_not_beyond, 0,
	    COUNT(ranges));
	tcase_add_loop_test(tc, an_address_has_the_class_of_the_one_inside_too,
	    0, COUNT(carriers));
	tcase_add_loop_test(tc, an_address_has_the_class_of_its_row, 0,
	    COUNT(classes));
	tcase_add_test(tc, a_second_classifier_agrees);
	suite_add_tcase(s, tc);

	tc = tcase_create("rules");
	tcase_set_timeout(tc, 300);
	tcase_add_loop_test(tc, the_own_nat64_prefix_shows_what_is_inside, 0,
	    COUNT(nat64s));
	tcase_add_loop_test(tc, the_own_nat64_prefix_is_no_way_around_a_rule,
	    0, COUNT(nat64_rules));
	tcase_add_loop_test(tc, a_rule_is_shadowed_only_if_its_row_says_so, 0,
	    COUNT(shadows));
	tcase_add_loop_test(tc, an_open_proxy_is_known, 0, COUNT(opens));
	tcase_add_loop_test(tc, a_shadowed_rule_never_decides, 0, 3);
	tcase_add_loop_test(tc, what_is_denied_is_so_under_all_its_names, 0,
	    COUNT(alias_rows));
	tcase_add_loop_test(tc, a_request_gets_the_verdict_of_its_row, 0,
	    COUNT(decides));
	tcase_add_loop_test(tc, a_refusal_is_explained_in_the_words_of_its_user,
	    0, COUNT(decides));
	tcase_add_loop_test(tc, a_special_address_is_explained_by_its_class, 0,
	    2);
	tcase_add_loop_test(tc, a_second_judge_agrees, 0, 4);
	tcase_add_loop_test(tc,
	    an_early_verdict_is_a_refusal_that_no_address_would_change, 0, 2);
	suite_add_tcase(s, tc);
	return s;
}

int
main(void)
{
	SRunner *sr = srunner_create(policy_suite());
	int failed;

	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
