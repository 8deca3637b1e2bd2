/* SPDX-License-Identifier: ISC */
/*
 * Unit tests of names.c.  What a hosts file gives is compared as text, IPv6
 * first, addresses in their order with a blank between.  The memory has exactly
 * the size that was asked for, so that a sanitizer sees the first byte beside
 * it.  A second reader, which goes over the file line by line for every
 * question, must agree on random files.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../connectd.h"

#define COUNT(table) ((int)(sizeof (table) / sizeof (table)[0]))
#define MANY	100000		/* lines of a long hosts file */
#define LIST_TEXT (2 * ADDRESSES_MAX * ADDR_TEXT_MAX)

static struct hosts hosts;
static void *memory;
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
forget(void)
{
	free(memory);
	memory = NULL;
}

/* Index this text with no more room than it needs; the number of names. */
static long
load_bytes(const char *text, size_t n)
{
	free(memory);
	memory = malloc(names_hosts_memory(n));
	ck_assert_ptr_nonnull(memory);
	names_hosts_init(&hosts, memory, n);
	memcpy(hosts.text, text, n);
	names_hosts_index(&hosts, n);
	return (long)hosts.names;
}

static long
load(const char *text)
{
	return load_bytes(text, strlen(text));
}

static const char *
as_text(const struct addr_list list[FAMILIES])
{
	static char out[LIST_TEXT];
	char addr[ADDR_TEXT_MAX];
	enum family f;
	int i;

	out[0] = '\0';
	for (f = V6; f < FAMILIES; f++)
		for (i = 0; i < list[f].n; i++) {
			ck_assert_uint_eq(list[f].addr[i].port, 0);
			ck_assert_uint_eq(list[f].addr[i].bits, 0);
			ck_assert_int_eq(list[f].addr[i].family == 4, f == V4);
			strcat(out, out[0] != '\0' ? " " : "");
			strcat(out, addr_format(&list[f].addr[i],
			    false, addr));
		}
	return out;
}

static const char *
look_up_bytes(const char *name, size_t len)
{
	struct addr_list list[FAMILIES];
	char *copy = malloc(len > 0 ? len : 1);
	bool found;

	ck_assert_ptr_nonnull(copy);
	memcpy(copy, name, len);
	memset(list, 0, sizeof list);
	found = names_hosts_find(&hosts, copy, len, list);
	free(copy);
	ck_assert(found == (list[V6].n + list[V4].n > 0));
	return as_text(list);
}

static const char *
look_up(const char *name)
{
	return look_up_bytes(name, strlen(name));
}

/* The same addresses with those of IPv6 first. */
static const char *
six_first(const char *list)
{
	static char out[LIST_TEXT];
	char copy[LIST_TEXT], *word;
	int six;

	out[0] = '\0';
	for (six = 1; six >= 0; six--) {
		strcpy(copy, list);
		for (word = strtok(copy, " "); word != NULL;
		    word = strtok(NULL, " "))
			if ((strchr(word, ':') != NULL) == six) {
				strcat(out, out[0] != '\0' ? " " : "");
				strcat(out, word);
			}
	}
	return out;
}

/* ---- lines ------------------------------------------------------------- */

#define ONE_NAME "192.0.2.1 a.example\n"

static const struct lookup_row {
	const char	*file;
	const char	*name;
	const char	*addresses;
} lookups[] = {
	/* names and addresses */
	{ ONE_NAME, "a.example", "192.0.2.1" },
	{ ONE_NAME, "b.example", "" },
	{ ONE_NAME, "192.0.2.1", "" },
	{ ONE_NAME, "", "" },
	{ ONE_NAME, ".", "" },
	{ "2001:db8::1 a.example\n", "a.example", "2001:db8::1" },
	{ "192.0.2.1 a b c\n", "a", "192.0.2.1" },
	{ "192.0.2.1 a b c\n", "b", "192.0.2.1" },
	{ "192.0.2.1 a b c\n", "c", "192.0.2.1" },
	{ "192.0.2.1 a a a\n", "a", "192.0.2.1" },

	/* several lines: the order of the file, each address once */
	{ "192.0.2.2 a\n192.0.2.1 a\n", "a", "192.0.2.2 192.0.2.1" },
	{ "192.0.2.1 x a\n2001:db8::1 a y\n192.0.2.3 z a z\n", "a",
	    "192.0.2.1 2001:db8::1 192.0.2.3" },
	{ "2001:db8::1 a\n192.0.2.1 a\n2001:db8::2 a\n192.0.2.2 a\n", "a",
	    "2001:db8::1 192.0.2.1 2001:db8::2 192.0.2.2" },
	{ "192.0.2.1 a\n192.0.2.1 a\n", "a", "192.0.2.1" },
	{ "192.0.2.1 a\n192.0.2.2 a\n192.0.2.1 a\n", "a",
	    "192.0.2.1 192.0.2.2" },
	{ "2001:db8::1 a\n2001:DB8:0:0::1 a\n", "a", "2001:db8::1" },
	{ "192.0.2.1 a\n192.0.2.9 b\n192.0.2.2 a\n", "a",
	    "192.0.2.1 192.0.2.2" },
	{ "192.0.2.1 a\n192.0.2.9 b\n192.0.2.2 a\n", "b", "192.0.2.9" },

	/* the first eight of them */
	{ "192.0.2.1 a\n192.0.2.2 a\n192.0.2.3 a\n192.0.2.4 a\n192.0.2.5 a\n"
	    "192.0.2.6 a\n192.0.2.7 a\n192.0.2.8 a\n192.0.2.9 a\n", "a",
	    "192.0.2.1 192.0.2.2 192.0.2.3 192.0.2.4 192.0.2.5 192.0.2.6 "
	    "192.0.2.7 192.0.2.8" },

	/* canonical */
	{ "::ffff:192.0.2.1 a\n", "a", "192.0.2.1" },
	{ "::ffff:192.0.2.1 a\n192.0.2.1 a\n", "a", "192.0.2.1" },
	{ "192.0.2.1 a\n::ffff:c000:201 a\n::192.0.2.1 a\n", "a",
	    "192.0.2.1 ::c000:201" },

	/* case and the last dot */
	{ "192.0.2.1 a.example\n", "A.EXAMPLE", "192.0.2.1" },
	{ "192.0.2.1 A.Example\n", "a.example", "192.0.2.1" },
	{ "192.0.2.1 A.Example\n", "a.eXAMPLE", "192.0.2.1" },
	{ "192.0.2.1 a.example\n", "a.example.", "192.0.2.1" },
	{ "192.0.2.1 a.example.\n", "a.example", "192.0.2.1" },
	{ "192.0.2.1 a.example.\n", "A.example.", "192.0.2.1" },
	{ "192.0.2.1 a.example\n", "a.example..", "" },
	{ "192.0.2.1 Z[ z{\n", "z[", "192.0.2.1" },
	{ "192.0.2.1 Z[\n", "z{", "" },
	{ "192.0.2.1 \xc3\x84\n", "\xc3\xa4", "" },
	{ "192.0.2.1 \xc3\x84\n", "\xc3\x84", "192.0.2.1" },

	/* a part of a name is another name */
	{ "192.0.2.1 abc\n192.0.2.2 ab\n192.0.2.3 a\n", "a", "192.0.2.3" },
	{ "192.0.2.1 abc\n192.0.2.2 ab\n192.0.2.3 a\n", "ab", "192.0.2.2" },
	{ "192.0.2.1 abc\n192.0.2.2 ab\n192.0.2.3 a\n", "abc", "192.0.2.1" },
	{ "192.0.2.1 abc\n", "abcd", "" },
	{ "192.0.2.1 abc\n", "bc", "" },
	{ "192.0.2.1 abc\n", "ab", "" },
	{ "192.0.2.1 a.example\n", "example", "" },
	{ "192.0.2.1 example\n", "a.example", "" },
	{ "192.0.2.1 a b\n", "a b", "" },

	/* blanks, comments, line ends */
	{ "192.0.2.1\ta\n", "a", "192.0.2.1" },
	{ " \t 192.0.2.1 \t a\t\tb \t\n", "b", "192.0.2.1" },
	{ "192.0.2.1 a\r\n192.0.2.2 b\r\n", "a", "192.0.2.1" },
	{ "192.0.2.1 a\r\n192.0.2.2 b\r\n", "b", "192.0.2.2" },
	{ "192.0.2.1 a\n192.0.2.2 b", "a", "192.0.2.1" },
	{ "192.0.2.1 a\n192.0.2.2 b", "b", "192.0.2.2" },
	{ "192.0.2.1 a", "a", "192.0.2.1" },
	{ "\n\n\n192.0.2.1 a\n\n\n", "a", "192.0.2.1" },
	{ "# 192.0.2.1 a\n192.0.2.2 a\n", "a", "192.0.2.2" },
	{ "192.0.2.1 a # b\n", "a", "192.0.2.1" },
	{ "192.0.2.1 a # b\n", "b", "" },
	{ "192.0.2.1 a# b\n", "a", "192.0.2.1" },
	{ "192.0.2.1 a#b\n", "a", "192.0.2.1" },
	{ "192.0.2.1 a#b\n", "a#b", "" },
	{ "192.0.2.1 a#b\n", "b", "" },
	{ "192.0.2.1#2 a\n192.0.2.2 b\n", "a", "" },
	{ "192.0.2.1# a\n", "a", "" },
	{ "192.0.2.1 # a\n192.0.2.2 b\n", "b", "192.0.2.2" },
	{ "#192.0.2.1 a\n", "a", "" },
	{ "#", "a", "" },
	{ "\n", "a", "" },
	{ " ", "a", "" },
	{ "\r\n", "a", "" },
	{ "192.0.2.1\n192.0.2.2 a\n", "a", "192.0.2.2" },
	{ "192.0.2.1\n192.0.2.2 a\n", "192.0.2.2", "" },

	/* lines whose address is none */
	{ "192.0.2 a\n192.0.2.2 a\n", "a", "192.0.2.2" },
	{ "192.0.2.256 a\n", "a", "" },
	{ "0x7f.0.0.1 a\n", "a", "" },
	{ "127.1 a\n", "a", "" },
	{ "010.0.0.1 a\n", "a", "" },
	{ "192.0.2.1/32 a\n", "a", "" },
	{ "192.0.2.1:80 a\n", "a", "" },
	{ "[2001:db8::1] a\n", "a", "" },
	{ "fe80::1%eth0 a\nfe80::2 a\n", "a", "fe80::2" },
	{ "b a\n", "a", "" },
	{ "a 192.0.2.1\n", "a", "" },
	{ "a 192.0.2.1\n", "192.0.2.1", "" },
	{ "\xef\xbb\xbf" "192.0.2.1 a\n192.0.2.2 a\n", "a", "192.0.2.2" }
};

START_TEST(a_name_has_the_addresses_of_its_row)
{
	const struct lookup_row *row = &lookups[_i];

	ck_assert_int_ge(load(row->file), 0);
	ck_assert_str_eq(look_up(row->name), six_first(row->addresses));
}
END_TEST

static const struct {
	const char	*file;
	long		 names;
} counts[] = {
	{ "", 0 },
	{ "\n#\n\n", 0 },
	{ "192.0.2.1\n", 0 },
	{ "192.0.2.1 a\n", 1 },
	{ "192.0.2.1 a\n192.0.2.1 a b\n", 3 },
	{ "192.0.2.1 a b c # d\n", 3 },
	{ "bad a b c\n192.0.2.1 a\n", 1 }
};

START_TEST(the_names_are_counted)
{
	ck_assert_int_eq(load(counts[_i].file), counts[_i].names);
}
END_TEST

START_TEST(a_nul_byte_is_a_byte_of_its_word)
{
	static const char text[] = "192.0.2.1 a\0b\n192.0.2.2\0 a\n"
	    "192.0.2.3 a\n";

	ck_assert_int_eq(load_bytes(text, sizeof text - 1), 2);
	ck_assert_str_eq(look_up("a"), "192.0.2.3");
	ck_assert_str_eq(look_up_bytes("a\0b", 3), "192.0.2.1");
	ck_assert_str_eq(look_up_bytes("a\0c", 3), "");
	ck_assert_str_eq(look_up_bytes("a\0", 2), "");
}
END_TEST

START_TEST(a_name_is_never_longer_than_it_is_said_to_be)
{
	char name[NAME_MAX_LEN], text[NAME_MAX_LEN + 32];
	size_t n;

	for (n = 1; n <= NAME_MAX_LEN; n++) {
		memset(name, 'n', sizeof name);
		(void)snprintf(text, sizeof text, "192.0.2.1 %.*s\n", (int)n,
		    name);
		ck_assert_int_eq(load(text), 1);
		ck_assert_str_eq(look_up_bytes(name, n), "192.0.2.1");
		ck_assert_str_eq(look_up_bytes(name, n - 1), "");
	}
}
END_TEST

/* ---- size ---------------------------------------------------------------- */

/* The most names that so many bytes can hold. */
START_TEST(the_memory_is_enough_for_the_densest_file)
{
	char text[5000] = ":: ";
	size_t n, len;

	for (n = 4; n < sizeof text; n += 1 + n / 8) {
		for (len = 3; len < n; len++)
			text[len] = len % 2 ? 'a' : ' ';
		ck_assert_int_eq(load_bytes(text, n), (long)(n - 2) / 2);
		ck_assert_str_eq(look_up("a"), "::");
	}
}
END_TEST

static void
check_line_of_many(uint32_t i)
{
	char name[32], expected[32];

	(void)snprintf(name, sizeof name, "host-%u.example", i);
	(void)snprintf(expected, sizeof expected, "10.%u.%u.%u", i >> 16,
	    i >> 8 & 255, i & 255);
	ck_assert_str_eq(look_up(name), expected);
	(void)snprintf(name, sizeof name, "no-%u.example", i);
	ck_assert_str_eq(look_up(name), "");
}

START_TEST(a_hundred_thousand_lines_are_all_found)
{
	const size_t size = (size_t)MANY * 40;
	char *text = malloc(size);
	size_t n = 0;
	uint32_t i;

	ck_assert_ptr_nonnull(text);
	for (i = 0; i < MANY; i++)
		n += (size_t)snprintf(text + n, size - n,
		    "10.%u.%u.%u host-%u.example blocked\n", i >> 16,
		    i >> 8 & 255, i & 255, i);
	ck_assert_int_eq(load_bytes(text, n), 2 * MANY);
	free(text);
	for (i = 0; i < MANY; i++)
		check_line_of_many(i);
	ck_assert_str_eq(look_up("blocked"), "10.0.0.0 10.0.0.1 10.0.0.2 "
	    "10.0.0.3 10.0.0.4 10.0.0.5 10.0.0.6 10.0.0.7");
}
END_TEST

/* Into the same memory, as when the file has changed. */
static void
load_again(const char *text)
{
	memcpy(hosts.text, text, strlen(text));
	names_hosts_index(&hosts, strlen(text));
}

START_TEST(a_new_text_takes_the_place_of_the_old_one)
{
	static const char old[] = "192.0.2.1 a b\n192.0.2.2 a c\n# long tail\n";

	ck_assert_int_eq(load(old), 4);
	load_again("192.0.2.3 b d\n");
	ck_assert_uint_eq(hosts.names, 2);
	ck_assert_str_eq(look_up("a"), "");
	ck_assert_str_eq(look_up("b"), "192.0.2.3");
	ck_assert_str_eq(look_up("c"), "");
	ck_assert_str_eq(look_up("d"), "192.0.2.3");
	load_again("192.0.2.4 longer");
	ck_assert_str_eq(look_up("longer"), "192.0.2.4");
	load_again("192.0.2.4 long");
	ck_assert_str_eq(look_up("long"), "192.0.2.4");
	ck_assert_str_eq(look_up("longer"), "");
	load_again("");
	ck_assert_uint_eq(hosts.names, 0);
	ck_assert_str_eq(look_up("b"), "");
	load_again(old);
	ck_assert_str_eq(look_up("a"), "192.0.2.1 192.0.2.2");
}
END_TEST

START_TEST(an_index_without_a_text_has_no_names)
{
	memory = malloc(names_hosts_memory(64));
	ck_assert_ptr_nonnull(memory);
	memset(memory, 0xEE, names_hosts_memory(64));
	names_hosts_init(&hosts, memory, 64);
	ck_assert_uint_eq(hosts.names, 0);
	ck_assert_str_eq(look_up("a"), "");
}
END_TEST

/* They are added: lists that have addresses keep them. */
START_TEST(addresses_come_behind_those_that_are_there)
{
	struct addr_list list[FAMILIES];
	struct addr a;

	load("192.0.2.1 a\n192.0.2.2 a\n2001:db8::1 a\n");
	memset(list, 0, sizeof list);
	ck_assert(addr_parse("192.0.2.2", 9, &a));
	dns_list_add(&list[V4], &a);
	ck_assert(names_hosts_find(&hosts, "a", 1, list));
	ck_assert_str_eq(as_text(list), "2001:db8::1 192.0.2.2 192.0.2.1");
	ck_assert(!names_hosts_find(&hosts, "b", 1, list));
	ck_assert_str_eq(as_text(list), "2001:db8::1 192.0.2.2 192.0.2.1");
}
END_TEST

/* ---- a second reader --------------------------------------------------- */

static const char *const tokens[] = { "192.0.2.1", "192.0.2.2", "::1",
    "2001:db8::5", "::ffff:192.0.2.1", "10.0.0.1", "10.0.0.01", "x", "a", "A",
    "b", "ab", "a.", "b.example", "B.Example.", "localhost", "a.localhost",
    "c.onion", "#", "#a" };

static const char *const asked[] = { "a", "A", "a.", "b", "ab", "x",
    "b.example", "b.EXAMPLE.", "example", "localhost", "a.localhost",
    "c.onion", "192.0.2.1", "#", "#a" };

static size_t
random_file(char *out, size_t max)
{
	const char *word;
	size_t n = 0;

	while (random_below(60) != 0 && n + 32 < max) {
		word = tokens[random_below(COUNT(tokens))];
		n += (size_t)snprintf(out + n, max - n, "%s", word);
		out[n++] = " \t\n\r\n"[random_below(5)];
	}
	return n;
}

/* Does this line, which is cut into words, name `name`? */
static bool
line_names(char *line, const char *name, struct addr *a)
{
	char *word = strtok(line, " \t\r");

	if (word == NULL || !addr_parse(word, strlen(word), a))
		return false;
	addr_canonical(a);
	while ((word = strtok(NULL, " \t\r")) != NULL)
		if (dns_name_equal(word, strlen(word), name, strlen(name)))
			return true;
	return false;
}

static const char *
slow_look_up(const char *file, size_t n, const char *name)
{
	struct addr_list list[FAMILIES];
	char line[4096];
	size_t at = 0, len;
	struct addr a;

	memset(list, 0, sizeof list);
	for (; at < n; at += len + 1) {
		for (len = 0; at + len < n && file[at + len] != '\n'; len++)
			;
		(void)snprintf(line, sizeof line, "%.*s", (int)len, file + at);
		line[strcspn(line, "#")] = '\0';
		if (line_names(line, name, &a))
			dns_list_add(&list[a.family == 4 ? V4 : V6], &a);
	}
	return as_text(list);
}

START_TEST(a_second_reader_agrees)
{
	char file[2048], expected[LIST_TEXT];
	size_t n;
	int i, k;

	seed = 4711u + (uint32_t)_i;
	for (i = 0; i < 1000; i++) {
		n = random_file(file, sizeof file);
		ck_assert_int_ge(load_bytes(file, n), 0);
		for (k = 0; k < COUNT(asked); k++) {
			strcpy(expected, slow_look_up(file, n, asked[k]));
			ck_assert_str_eq(look_up(asked[k]), expected);
		}
	}
}
END_TEST

/* ---- servers ------------------------------------------------------------- */

static const struct {
	const char	*text, *out;	/* NULL: it is none */
} one_server[] = {
	{ "192.0.2.1", "192.0.2.1:53" },
	{ "2001:db8::1", "[2001:db8::1]:53" },
	{ "::1", "[::1]:53" },
	{ "fe80::1", "[fe80::1]:53" },
	{ "fe80::1%eth0", "[fe80::1]:53%eth0" },
	{ "fe80::1%abcdefghijklmno", "[fe80::1]:53%abcdefghijklmno" },
	{ "fe80::1%abcdefghijklmnop", NULL },
	{ "fe80::1%", NULL },
	{ "2001:db8::1%eth0", NULL },
	{ "192.0.2.1%eth0", NULL },
	{ "169.254.0.1%eth0", NULL },
	{ "%eth0", NULL },
	{ "", NULL },
	{ "192.0.2", NULL },
	{ "192.0.2.1:53", NULL },
	{ "[::1]", NULL },
	{ "dns.example", NULL }
};

static const char *
server_text(const struct server *s)
{
	static char out[ADDR_TEXT_MAX + ZONE_MAX + 1];

	(void)addr_format(&s->addr, true, out);
	if (s->zone[0] != '\0') {
		strcat(out, "%");
		strcat(out, s->zone);
	}
	return out;
}

START_TEST(a_server_is_an_address_perhaps_with_its_interface)
{
	const char *text = one_server[_i].text;
	struct server s, before;

	memset(&s, 0xEE, sizeof s);
	before = s;
	ck_assert_int_eq(names_parse_server(text, strlen(text), &s),
	    one_server[_i].out != NULL);
	if (one_server[_i].out != NULL)
		ck_assert_str_eq(server_text(&s), one_server[_i].out);
	else
		ck_assert_mem_eq(&s, &before, sizeof s);
}
END_TEST

START_TEST(a_zone_has_no_nul_byte)
{
	struct server s;

	ck_assert(!names_parse_server("fe80::1%a\0b", 11, &s));
}
END_TEST

/* ---- resolv.conf --------------------------------------------------------- */

#define LOCAL "127.0.0.1:53 [::1]:53"
#define PLAIN "ndots 1 timeout 5000 attempts 2"

static const struct resolv_row {
	const char	*text;
	const char	*out;
} resolvs[] = {
	{ "", LOCAL " " PLAIN },
	{ "\n\n", LOCAL " " PLAIN },
	{ "# nameserver 192.0.2.1\n;nameserver 192.0.2.1\n",
	    LOCAL " " PLAIN },
	{ "nameserver 192.0.2.1\n", "192.0.2.1:53 " PLAIN },
	{ "nameserver 192.0.2.1", "192.0.2.1:53 " PLAIN },
	{ "nameserver\t \t192.0.2.1 \t\r\n", "192.0.2.1:53 " PLAIN },
	{ "nameserver 192.0.2.1 # mine\n", "192.0.2.1:53 " PLAIN },
	{ "nameserver fe80::1%eth0\n", "[fe80::1]:53%eth0 " PLAIN },
	{ "nameserver x\nnameserver ::1\n", "[::1]:53 " PLAIN },
	{ "nameserver 192.0.2.1\nnameserver 192.0.2.2\nnameserver 192.0.2.3\n"
	    "nameserver 192.0.2.4\n",
	    "192.0.2.1:53 192.0.2.2:53 192.0.2.3:53 " PLAIN },
	{ " nameserver 192.0.2.1\n", LOCAL " " PLAIN },
	{ "Nameserver 192.0.2.1\nnameservers 192.0.2.1\nnameserver\n",
	    LOCAL " " PLAIN },

	{ "search a.example B.Example.\n",
	    LOCAL " search a.example b.example " PLAIN },
	{ "search a\nsearch b\tc\n", LOCAL " search b c " PLAIN },
	{ "search a\ndomain b c\n", LOCAL " search b " PLAIN },
	{ "domain b\nsearch a\n", LOCAL " search a " PLAIN },
	{ "search a\nsearch\n", LOCAL " " PLAIN },
	{ "search a\r\nsearch\r\n", LOCAL " " PLAIN },
	{ "search . a x*y b 1 a\n", LOCAL " search a b " PLAIN },
	{ "search a b c d e f g\n", LOCAL " search a b c d e f " PLAIN },
	{ "search a\r\n", LOCAL " search a " PLAIN },

	{ "search a a a a a b c\n", LOCAL " search a b " PLAIN },
	{ "domain x*y b\n", LOCAL " search b " PLAIN },
	{ "search a # b\n", LOCAL " search a b " PLAIN },
	{ "search a\n search b\n#search c\n", LOCAL " search a " PLAIN },

	{ "nameserver 192.0.2.1 192.0.2.2\n", "192.0.2.1:53 " PLAIN },
	{ "nameserver 192.0.2.1\nnameserver 192.0.2.1\n",
	    "192.0.2.1:53 192.0.2.1:53 " PLAIN },
	{ "nameserver 192.0.2.1:5353\nnameserver [::1]\nnameserver 127.1\n",
	    LOCAL " " PLAIN },
	{ "nameserver ::ffff:192.0.2.1\n", "[::ffff:192.0.2.1]:53 " PLAIN },
	{ "nameserver\r192.0.2.1\nnameserver\n192.0.2.2\n",
	    "192.0.2.1:53 " PLAIN },
	{ "\xef\xbb\xbfnameserver 192.0.2.1\nnameserver 192.0.2.2\n",
	    "192.0.2.2:53 " PLAIN },

	{ "options ndots:2 rotate\noptions timeout:7\noptions\n",
	    LOCAL " ndots 2 timeout 7000 attempts 2 rotate" },
	{ "options ndots:2 ndots:3\n",
	    LOCAL " ndots 3 timeout 5000 attempts 2" },
	{ "options timeout:30 attempts:5 ndots:16\n",
	    LOCAL " ndots 15 timeout 30000 attempts 5" },
	{ "options timeout:1 attempts:1 ndots:015\n",
	    LOCAL " ndots 15 timeout 1000 attempts 1" },
	{ "options ndots:4294967297 timeout:4294967297 attempts:4294967297\n",
	    LOCAL " ndots 15 timeout 30000 attempts 5" },
	{ "options ndots:1: ndots:+4 timeout:-1 attempts: 3 xndots:5\n",
	    LOCAL " " PLAIN },
	{ "options no-aaaax edns no- single-requests use_vc rotate:1\n",
	    LOCAL " " PLAIN },
	{ "options ndots:0 timeout:3 attempts:4\n",
	    LOCAL " ndots 0 timeout 3000 attempts 4" },
	{ "options ndots:15\noptions ndots:99999999999999999999\n",
	    LOCAL " ndots 15 timeout 5000 attempts 2" },
	{ "options timeout:0 attempts:0\n",
	    LOCAL " ndots 1 timeout 1000 attempts 1" },
	{ "options timeout:31 attempts:6\n",
	    LOCAL " ndots 1 timeout 30000 attempts 5" },
	{ "options timeout: attempts:x ndots:-1 ndots timeout:3s\n",
	    LOCAL " " PLAIN },
	{ "options rotate use-vc edns0 no-aaaa no-reload\n",
	    LOCAL " " PLAIN " rotate use-vc edns0 no-aaaa no-reload" },
	{ "options single-request\n", LOCAL " " PLAIN " single-request" },
	{ "options single-request-reopen trust-ad inet6 unknown:4 Rotate\n",
	    LOCAL " " PLAIN " single-request" },
	{ "sortlist 130.155.160.0\nlookup file bind\noptions\n",
	    LOCAL " " PLAIN }
};

static const char *
resolv_text(const struct resolv *r)
{
	static char out[2048];
	const char *word = " search", *name;
	size_t at = 0, n, len = 0;
	unsigned i;

	out[0] = '\0';
	for (i = 0; i < r->servers; i++)
		len += (size_t)snprintf(out + len, sizeof out - len, "%s%s",
		    i > 0 ? " " : "", server_text(&r->server[i]));
	for (; (name = dns_names_next(&r->search, &at, &n)) != NULL; word = "")
		len += (size_t)snprintf(out + len, sizeof out - len,
		    "%s %.*s", word, (int)n, name);
	(void)snprintf(out + len, sizeof out - len,
	    " ndots %u timeout %d attempts %u%s%s%s%s%s%s", r->ndots,
	    (int)r->timeout, r->attempts, r->rotate ? " rotate" : "",
	    r->use_vc ? " use-vc" : "",
	    r->single_request ? " single-request" : "",
	    r->edns0 ? " edns0" : "", r->no_aaaa ? " no-aaaa" : "",
	    r->no_reload ? " no-reload" : "");
	return out;
}

/* From memory that ends where the text does. */
static const char *
parsed(const char *text, size_t n)
{
	struct resolv r;
	char *copy = malloc(n > 0 ? n : 1);

	ck_assert_ptr_nonnull(copy);
	memcpy(copy, text, n);
	names_resolv_init(&r);
	names_resolv_parse(&r, copy, n);
	free(copy);
	return resolv_text(&r);
}

START_TEST(a_resolv_conf_means_what_its_row_says)
{
	const char *text = resolvs[_i].text;

	ck_assert_str_eq(parsed(text, strlen(text)), resolvs[_i].out);
}
END_TEST

START_TEST(a_search_list_that_is_too_long_is_cut_between_names)
{
	char text[2048] = "search", label[160];
	int i;

	for (i = 0; i < 6; i++) {
		(void)snprintf(label, sizeof label, " %c%059d.%059d", 'a' + i,
		    i, i);
		strcat(text, label);
		strcat(text, ".x");
	}
	/* Four of 123 bytes fit. */
	ck_assert_ptr_nonnull(strstr(parsed(text, strlen(text)), " d000"));
	ck_assert_ptr_null(strstr(parsed(text, strlen(text)), " e000"));
}
END_TEST

/* A NUL is a byte of its word, and no text ends with it. */
START_TEST(a_nul_byte_in_a_resolv_conf_ends_nothing)
{
	static const char text[] = "nameserver 192.0.2.1\0\nnameserver\0 "
	    "192.0.2.2\nsearch a\0b c\0\noptions rotate\0 edns0\n"
	    "nameserver 192.0.2.3\n";

	ck_assert_str_eq(parsed(text, sizeof text - 1), "192.0.2.3:53 " PLAIN
	    " edns0");
}
END_TEST

/* Every prefix is a text, too; the end of the memory is its end. */
START_TEST(every_prefix_of_a_resolv_conf_is_read)
{
	static const char text[] = "nameserver fe80::1%eth0\nsearch a.b c\r\n"
	    "domain d\noptions ndots:2 timeout:3 attempts:4 edns0\n";
	size_t n, servers = 0, domains = 0;

	for (n = 0; n < sizeof text; n++) {
		servers += strncmp(parsed(text, n), "[fe80::1]:53%eth0 ",
		    18) == 0;
		domains += strstr(parsed(text, n), " search d ") != NULL;
	}
	/* From "%eth0" and from "d" on. */
	ck_assert_uint_eq(servers, sizeof text - 23);
	ck_assert_uint_eq(domains, sizeof text -
	    (size_t)(strstr(text, "d\no") + 1 - text));
}
END_TEST

/* A line is never cut: what is too long is not there at all. */
START_TEST(a_long_line_is_read_whole)
{
	const size_t size = 100000;
	char *text = malloc(size);

	ck_assert_ptr_nonnull(text);
	memset(text, ' ', size);
	memcpy(text, "nameserver", 10);
	memcpy(text + size - 30, " 192.0.2.1\nnameserver 192.0.2.2", 30);
	ck_assert_str_eq(parsed(text, size - 20), "192.0.2.1:53 " PLAIN);
	memset(text + 11, '1', size - 31);
	ck_assert_str_eq(parsed(text, size - 20), LOCAL " " PLAIN);
	memcpy(text, "search ", 7);
	memset(text + 7, 'a', size - 7);
	ck_assert_str_eq(parsed(text, size), LOCAL " " PLAIN);
	memcpy(text + size - 2, " b", 2);
	ck_assert_str_eq(parsed(text, size), LOCAL " search b " PLAIN);
	free(text);
}
END_TEST

/* ---- the search list ----------------------------------------------------- */

static const struct {
	const char	*conf, *name;
	bool		 absolute;
	const char	*out;
} searches[] = {
	{ "", "a", false, "a" },
	{ "", "a.b", false, "a.b" },
	{ "search x y.z", "a", false, "a.x a.y.z a" },
	{ "search x y.z", "a", true, "a" },
	{ "search x y.z", "a.b", false, "a.b" },
	{ "search x y.z", "a.b", true, "a.b" },
	{ "search x y.z\noptions ndots:0", "a", false, "a a.x a.y.z" },
	{ "search x y.z\noptions ndots:0", "a", true, "a" },
	{ "search x y.z\noptions ndots:15", "a", false, "a.x a.y.z a" },
	{ "search x y.z\noptions ndots:15", "a.b", false, "a.b" },
	{ "options ndots:0", "a", false, "a" }
};

/* All candidates, "-" for one that is too long. */
static const char *
candidates(const char *conf, const char *name, size_t n, bool absolute)
{
	static char out[(SEARCH_MAX + 1) * (NAME_MAX_LEN + 1) + 1];
	char *copy = malloc(n), *candidate = malloc(NAME_MAX_LEN);
	struct resolv r;
	size_t len, at = 0;
	unsigned i, count;

	ck_assert(copy != NULL && candidate != NULL);
	memcpy(copy, name, n);
	names_resolv_init(&r);
	names_resolv_parse(&r, conf, strlen(conf));
	count = names_candidates(&r, copy, n, absolute);
	for (i = 0; i < count; i++) {
		len = names_candidate(&r, copy, n, absolute, i, candidate);
		at += (size_t)snprintf(out + at, sizeof out - at, "%s%.*s",
		    i > 0 ? " " : "", len > 0 ? (int)len : 1, len > 0 ?
		    candidate : "-");
	}
	ck_assert_uint_eq(names_candidate(&r, copy, n, absolute, count,
	    candidate), 0);
	ck_assert_uint_eq(names_candidate(&r, copy, n, absolute, UINT32_MAX,
	    candidate), 0);
	free(copy);
	free(candidate);
	return out;
}

START_TEST(a_name_has_the_candidates_of_its_row)
{
	const char *name = searches[_i].name;

	ck_assert_str_eq(candidates(searches[_i].conf, name, strlen(name),
	    searches[_i].absolute), searches[_i].out);
}
END_TEST

/* A label, a dot and a domain, of 253 bytes in all at most. */
START_TEST(a_candidate_is_not_longer_than_a_name)
{
	static const size_t domains[] = { 189, 190, 191, 200, 249, 250, 251,
	    252, 253 };
	size_t domain = domains[_i], n, i;
	char conf[NAME_MAX_LEN + 16] = "search x ", name[63], *d = conf + 9;

	for (i = 0; i < domain; i++)
		d[i] = i % 60 == 59 && i + 1 < domain ? '.' : 'd';
	strcpy(d + domain, " y");
	memset(name, 'n', sizeof name);
	for (n = 1; n <= sizeof name; n++)
		ck_assert_ptr_nonnull(strstr(candidates(conf, name, n, false),
		    n + 1 + domain <= NAME_MAX_LEN ? "d n" : "- n"));
}
END_TEST

/* ---- all of it ----------------------------------------------------------- */

static Suite *
names_suite(void)
{
	Suite *s = suite_create("names");
	TCase *tc = tcase_create("hosts");

	tcase_add_checked_fixture(tc, NULL, forget);
	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, a_name_has_the_addresses_of_its_row, 0,
	    COUNT(lookups));
	tcase_add_loop_test(tc, the_names_are_counted, 0, COUNT(counts));
	tcase_add_test(tc, a_nul_byte_is_a_byte_of_its_word);
	tcase_add_test(tc, a_name_is_never_longer_than_it_is_said_to_be);
	tcase_add_test(tc, the_memory_is_enough_for_the_densest_file);
	tcase_add_test(tc, a_hundred_thousand_lines_are_all_found);
	tcase_add_test(tc, a_new_text_takes_the_place_of_the_old_one);
	tcase_add_test(tc, an_index_without_a_text_has_no_names);
	tcase_add_test(tc, addresses_come_behind_those_that_are_there);
	tcase_add_loop_test(tc, a_second_reader_agrees, 0, 4);
	suite_add_tcase(s, tc);

	tc = tcase_create("resolv.conf");
	tcase_add_loop_test(tc,
	    a_server_is_an_address_perhaps_with_its_interface, 0,
	    COUNT(one_server));
	tcase_add_test(tc, a_zone_has_no_nul_byte);
	tcase_add_loop_test(tc, a_resolv_conf_means_what_its_row_says, 0,
	    COUNT(resolvs));
	tcase_add_test(tc, a_search_list_that_is_too_long_is_cut_between_names);
	tcase_add_test(tc, a_nul_byte_in_a_resolv_conf_ends_nothing);
	tcase_add_test(tc, every_prefix_of_a_resolv_conf_is_read);
	tcase_add_test(tc, a_long_line_is_read_whole);
	suite_add_tcase(s, tc);

	tc = tcase_create("search");
	tcase_add_loop_test(tc, a_name_has_the_candidates_of_its_row, 0,
	    COUNT(searches));
	tcase_add_loop_test(tc, a_candidate_is_not_longer_than_a_name, 0, 9);
	suite_add_tcase(s, tc);
	return s;
}

int
main(void)
{
	SRunner *sr = srunner_create(names_suite());
	int failed;

	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
