/* SPDX-License-Identifier: ISC */
/*
 * Unit tests of resolver.c.  Hosts files are written to a temporary file; what
 * a lookup gives is compared as text, addresses in their order with a blank
 * between.  The memory has exactly the size that was asked for, so that a
 * sanitizer sees the first byte beside it.  A second reader, which goes over
 * the file line by line for every question, must agree on random files.
 */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../connectd.h"

#define COUNT(table) ((int)(sizeof (table) / sizeof (table)[0]))
#define MANY	100000		/* lines of a long hosts file */

static char path[256];
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
name_file(void)
{
	const char *dir = getenv("TMPDIR");
	int fd;

	(void)snprintf(path, sizeof path, "%s/check_resolver.XXXXXX",
	    dir != NULL ? dir : "/tmp");
	fd = mkstemp(path);
	ck_assert_int_ge(fd, 0);
	(void)close(fd);
}

static void
forget(void)
{
	(void)unlink(path);
	free(memory);
	memory = NULL;
}

static void
write_file(const char *text, size_t n)
{
	FILE *f;

	/* To truncate it would be slow: some file systems then sync it. */
	(void)unlink(path);
	f = fopen(path, "w");
	ck_assert_ptr_nonnull(f);
	ck_assert_uint_eq(fwrite(text, 1, n, f), n);
	ck_assert_int_eq(fclose(f), 0);
}

static long
init_from(size_t room, const char *hosts)
{
	free(memory);
	memory = malloc(resolver_memory(room));
	ck_assert_ptr_nonnull(memory);
	return resolver_init(memory, room, hosts);
}

static long
init(size_t room)
{
	return init_from(room, path);
}

/* Read this text with no more room than it needs. */
static long
load_bytes(const char *text, size_t n)
{
	write_file(text, n);
	return init(n);
}

static long
load(const char *text)
{
	return load_bytes(text, strlen(text));
}

static const char *
as_text(const struct addr *a, int n)
{
	static char out[ADDRESSES_MAX * ADDR_TEXT_MAX];
	int i;

	out[0] = '\0';
	for (i = 0; i < n; i++) {
		ck_assert_uint_eq(a[i].port, 0);
		ck_assert_uint_eq(a[i].bits, 0);
		(void)policy_format_addr(&a[i], false, out + strlen(out));
		if (i + 1 < n)
			strcat(out, " ");
	}
	return out;
}

/* At most `max` addresses, with a guard behind them. */
static const char *
look_up_at_most(int max, const char *name, size_t len)
{
	struct addr a[ADDRESSES_MAX + 1], untouched;
	char *copy = malloc(len > 0 ? len : 1);
	int i, n;

	ck_assert_ptr_nonnull(copy);
	memcpy(copy, name, len);
	memset(a, 0xEE, sizeof a);
	untouched = a[0];
	n = resolver_lookup(copy, len, a, max);
	free(copy);
	ck_assert_int_ge(n, 0);
	ck_assert_int_le(n, max);
	for (i = max; i <= ADDRESSES_MAX; i++)
		ck_assert_mem_eq(&a[i], &untouched, sizeof untouched);
	return as_text(a, n);
}

static const char *
look_up(const char *name)
{
	return look_up_at_most(ADDRESSES_MAX, name, strlen(name));
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
	{ "\xef\xbb\xbf" "192.0.2.1 a\n192.0.2.2 a\n", "a", "192.0.2.2" },

	/* special names (RFC 6761 6.3, 6.4, RFC 7686) */
	{ "", "localhost", "::1 127.0.0.1" },
	{ "", "LocalHost.", "::1 127.0.0.1" },
	{ "", "a.localhost", "::1 127.0.0.1" },
	{ "", "a.b.localhost.", "::1 127.0.0.1" },
	{ "", "notlocalhost", "" },
	{ "", "localhost.example", "" },
	{ "127.0.0.2 localhost\n", "localhost", "127.0.0.2" },
	{ "127.0.0.1 localhost\n::1 localhost\n", "localhost",
	    "127.0.0.1 ::1" },
	{ "192.0.2.1 localhost\n", "LOCALHOST.", "192.0.2.1" },
	{ "192.0.2.1 localhost\n", "a.localhost", "::1 127.0.0.1" },
	{ "192.0.2.1 a.localhost\n", "a.localhost", "192.0.2.1" },
	{ "192.0.2.1 a.localhost\n", "localhost", "::1 127.0.0.1" },
	{ "nonsense localhost\n", "localhost", "::1 127.0.0.1" },
	{ "192.0.2.1 a.invalid invalid\n", "a.invalid", "" },
	{ "192.0.2.1 a.invalid invalid\n", "invalid", "" },
	{ "192.0.2.1 a.invalid invalid\n", "A.INVALID.", "" },
	{ "192.0.2.1 x.onion onion\n", "x.onion", "" },
	{ "192.0.2.1 x.onion onion\n", "onion.", "" },
	{ "192.0.2.1 xonion\n", "xonion", "192.0.2.1" },
	{ "192.0.2.1 invalid.example\n", "invalid.example", "192.0.2.1" }
};

START_TEST(a_name_has_the_addresses_of_its_row)
{
	const struct lookup_row *row = &lookups[_i];

	ck_assert_int_ge(load(row->file), 0);
	ck_assert_msg(strcmp(look_up(row->name), row->addresses) == 0,
	    "%s: '%s' gives '%s' and not '%s'", row->file, row->name,
	    look_up(row->name), row->addresses);
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
	ck_assert_str_eq(look_up_at_most(8, "a\0b", 3), "192.0.2.1");
	ck_assert_str_eq(look_up_at_most(8, "a\0c", 3), "");
	ck_assert_str_eq(look_up_at_most(8, "a\0", 2), "");
}
END_TEST

START_TEST(there_are_at_most_as_many_as_were_asked_for)
{
	static const char *const first[ADDRESSES_MAX + 1] = { "", "192.0.2.1",
	    "192.0.2.1 ::1", "192.0.2.1 ::1 192.0.2.2",
	    "192.0.2.1 ::1 192.0.2.2 ::2" };
	int max;

	ck_assert_int_eq(load("192.0.2.1 a\n::1 a\n192.0.2.1 a\n192.0.2.2 a\n"
	    "::2 a\n::3 b\n"), 6);
	for (max = 0; max <= 4; max++)
		ck_assert_str_eq(look_up_at_most(max, "a", 1), first[max]);
	ck_assert_str_eq(look_up_at_most(1, "localhost", 9), "::1");
	ck_assert_str_eq(look_up_at_most(0, "localhost", 9), "");
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
		ck_assert_str_eq(look_up_at_most(8, name, n), "192.0.2.1");
		ck_assert_str_eq(look_up_at_most(8, name, n - 1), "");
	}
}
END_TEST

/* ---- files ------------------------------------------------------------- */

static void
check_no_names(void)
{
	ck_assert_str_eq(look_up("a"), "");
	ck_assert_str_eq(look_up("a.example"), "");
	ck_assert_str_eq(look_up("localhost"), "::1 127.0.0.1");
}

START_TEST(without_the_file_there_are_no_names)
{
	(void)unlink(path);
	ck_assert_int_eq(init(1000), -ENOENT);
	check_no_names();
	ck_assert_int_eq(init_from(1000, "/"), -EISDIR);
	check_no_names();
}
END_TEST

START_TEST(a_file_larger_than_the_room_is_not_read_in_part)
{
	static const char text[] = "192.0.2.1 a a.example\n192.0.2.2 b\n";
	size_t n = sizeof text - 1, room;

	write_file(text, n);
	for (room = 0; room < n; room++) {
		ck_assert_int_eq(init(room), -EFBIG);
		check_no_names();
	}
	ck_assert_int_eq(init(n), 3);
	ck_assert_str_eq(look_up("b"), "192.0.2.2");
	ck_assert_int_eq(init(n + 1), 3);
	ck_assert_int_eq(init(100 * n), 3);
	ck_assert_str_eq(look_up("a"), "192.0.2.1");
}
END_TEST

START_TEST(an_empty_file_has_no_names)
{
	ck_assert_int_eq(load(""), 0);
	check_no_names();
	ck_assert_int_eq(init(1000), 0);
	check_no_names();
}
END_TEST

START_TEST(a_new_file_replaces_the_old_one)
{
	ck_assert_int_eq(load("192.0.2.1 a\n192.0.2.2 b\n"), 2);
	ck_assert_int_eq(load("192.0.2.3 a\n"), 1);
	ck_assert_str_eq(look_up("a"), "192.0.2.3");
	ck_assert_str_eq(look_up("b"), "");
	(void)unlink(path);
	ck_assert_int_eq(init(100), -ENOENT);
	check_no_names();
}
END_TEST

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

	if (word == NULL || !policy_parse_addr(word, strlen(word), a))
		return false;
	policy_canonical(a);
	while ((word = strtok(NULL, " \t\r")) != NULL)
		if (dns_name_equal(word, strlen(word), name, strlen(name)))
			return true;
	return false;
}

static const char *
slow_look_up(const char *file, size_t n, const char *name)
{
	struct addr a, list[ADDRESSES_MAX];
	char line[4096];
	size_t at = 0, len;
	int i, found = 0;

	if (dns_name_special(name, strlen(name)) == DNS_NEVER)
		return "";
	for (; at < n; at += len + 1) {
		for (len = 0; at + len < n && file[at + len] != '\n'; len++)
			;
		(void)snprintf(line, sizeof line, "%.*s", (int)len, file + at);
		line[strcspn(line, "#")] = '\0';
		if (found == ADDRESSES_MAX || !line_names(line, name, &a))
			continue;
		for (i = 0; i < found && !policy_same_host(&a, &list[i]); i++)
			;
		if (i == found)
			list[found++] = a;
	}
	if (found == 0 && dns_name_special(name, strlen(name)) ==
	    DNS_LOCALHOST)
		return "::1 127.0.0.1";
	return as_text(list, found);
}

START_TEST(a_second_reader_agrees)
{
	char file[2048], expected[ADDRESSES_MAX * ADDR_TEXT_MAX];
	size_t n;
	int i, k;

	seed = 4711u + (uint32_t)_i;
	for (i = 0; i < 1000; i++) {
		n = random_file(file, sizeof file);
		ck_assert_int_ge(load_bytes(file, n), 0);
		for (k = 0; k < COUNT(asked); k++) {
			strcpy(expected, slow_look_up(file, n, asked[k]));
			ck_assert_msg(strcmp(look_up(asked[k]), expected) == 0,
			    "'%s' gives '%s' and not '%s' in:\n%.*s",
			    asked[k], look_up(asked[k]), expected, (int)n,
			    file);
		}
	}
}
END_TEST

static Suite *
resolver_suite(void)
{
	Suite *s = suite_create("resolver");
	TCase *tc = tcase_create("lines");

	tcase_add_checked_fixture(tc, name_file, forget);
	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, a_name_has_the_addresses_of_its_row, 0,
	    COUNT(lookups));
	tcase_add_loop_test(tc, the_names_are_counted, 0, COUNT(counts));
	tcase_add_test(tc, a_nul_byte_is_a_byte_of_its_word);
	tcase_add_test(tc, there_are_at_most_as_many_as_were_asked_for);
	tcase_add_test(tc, a_name_is_never_longer_than_it_is_said_to_be);
	tcase_add_loop_test(tc, a_second_reader_agrees, 0, 4);
	suite_add_tcase(s, tc);

	tc = tcase_create("files");
	tcase_add_checked_fixture(tc, name_file, forget);
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, without_the_file_there_are_no_names);
	tcase_add_test(tc, a_file_larger_than_the_room_is_not_read_in_part);
	tcase_add_test(tc, an_empty_file_has_no_names);
	tcase_add_test(tc, a_new_file_replaces_the_old_one);
	tcase_add_test(tc, the_memory_is_enough_for_the_densest_file);
	tcase_add_test(tc, a_hundred_thousand_lines_are_all_found);
	suite_add_tcase(s, tc);
	return s;
}

int
main(void)
{
	SRunner *sr = srunner_create(resolver_suite());
	int failed;

	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
