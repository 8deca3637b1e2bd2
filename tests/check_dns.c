/* SPDX-License-Identifier: ISC */
/*
 * Unit tests of dns.c: what is a host name, which names are the same, which is
 * below which, and which are not to be asked; lists of names and addresses.
 * Tables, one row a case; names are copied to memory of exactly their size
 * before they are looked at.
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "../connectd.h"

#define COUNT(table) ((int)(sizeof (table) / sizeof (table)[0]))
#define TEXT(s) (s), sizeof (s) - 1

#define L10 "abcdefghij"
#define L60 L10 L10 L10 L10 L10 L10
#define L63 L60 "klm"
#define N253 L63 "." L63 "." L63 "." L60 "a"

/* p[0..n) in memory of its own, which ends where the name does. */
static char *
copy(const char *p, size_t n)
{
	char *q = calloc(n, 1);

	ck_assert(q != NULL || n == 0);
	if (n > 0)
		memcpy(q, p, n);
	return q;
}

static const struct name_row {
	const char	*title;
	const char	*p;
	size_t		 n;
	bool		 ok;
} names[] = {
	{ "one label",			TEXT("a"),			true },
	{ "two labels",			TEXT("example.com"),		true },
	{ "upper case",			TEXT("WWW.Example.COM"),	true },
	{ "digits in a label",		TEXT("4chan.org"),		true },
	{ "a label of digits",		TEXT("163.com"),		true },
	{ "hyphen inside",		TEXT("a-b.example"),		true },
	{ "two hyphens inside",		TEXT("xn--bcher-kva.example"),	true },
	{ "hyphen first",		TEXT("-a.example"),		true },
	{ "hyphen last",		TEXT("a-.example"),		true },
	{ "underscore",			TEXT("_dmarc.a_b.example"),	true },
	{ "trailing dot",		TEXT("example.com."),		true },
	{ "one label, trailing dot",	TEXT("localhost."),		true },
	{ "many labels",		TEXT("a.b.c.d.e.f.g.h.i.j.k"),	true },
	{ "label of 63",		TEXT(L63 ".com"),		true },
	{ "last label of 63",		TEXT("www." L63),		true },
	{ "name of 253",		TEXT(N253),			true },
	{ "name of 253 and a dot",	TEXT(N253 "."),			true },
	{ "digits, then a letter",	TEXT("1.2.3.4a"),		true },
	{ "digits with a hyphen",	TEXT("1.2.3.4-5"),		true },
	{ "digits with an underscore",	TEXT("1.2.3.4_5"),		true },
	{ "exponent",			TEXT("1e5"),			true },
	{ "hex without 0x",		TEXT("a.7f"),			true },
	{ "0x and no hex digit",	TEXT("0x7g"),			true },
	{ "0x and no digit",		TEXT("0xg"),			true },
	{ "0x, hyphen",			TEXT("0x-1"),			true },
	{ "0x inside the last label",	TEXT("a0x1"),			true },
	{ "0x not in the last label",	TEXT("0x7f.example"),		true },
	{ "x alone",			TEXT("x"),			true },

	{ "empty",			TEXT(""),			false },
	{ "only a dot",			TEXT("."),			false },
	{ "two dots",			TEXT(".."),			false },
	{ "leading dot",		TEXT(".example"),		false },
	{ "empty label inside",		TEXT("a..example"),		false },
	{ "two trailing dots",		TEXT("example.."),		false },
	{ "label of 64",		TEXT(L63 "x.com"),		false },
	{ "last label of 64",		TEXT("www." L63 "x"),		false },
	{ "name of 254",		TEXT(N253 "a"),			false },
	{ "name of 254 and a dot",	TEXT(N253 "a."),		false },
	{ "name of 255",		TEXT(N253 ".a"),		false },
	{ "name of 316",		TEXT(N253 "." L60 "kl"),	false },
	{ "all digits",			TEXT("2130706433"),		false },
	{ "one digit",			TEXT("0"),			false },
	{ "dotted quad",		TEXT("127.0.0.1"),		false },
	{ "dotted quad, trailing dot",	TEXT("127.0.0.1."),		false },
	{ "two numbers",		TEXT("127.1"),			false },
	{ "octal",			TEXT("0177.0.0.1"),		false },
	{ "number too large",		TEXT("999.999.999.999"),	false },
	{ "five numbers",		TEXT("1.2.3.4.5"),		false },
	{ "name, last label a number",	TEXT("example.1"),		false },
	{ "the same with a dot",	TEXT("example.1."),		false },
	{ "last label a long number",	TEXT("a.12345678901234567890"),	false },
	{ "hex number",			TEXT("0x7f000001"),		false },
	{ "hex number, upper case",	TEXT("0X7F"),			false },
	{ "hex number, first letter",	TEXT("0xa"),			false },
	{ "hex number, last letter",	TEXT("0xF"),			false },
	{ "hex number, first digit",	TEXT("0x0"),			false },
	{ "hex number, last digit",	TEXT("0x9"),			false },
	{ "last label a hex number",	TEXT("0x7f.0x1"),		false },
	{ "name, last label hex",	TEXT("example.0xff"),		false },
	{ "the same with a dot",	TEXT("example.0xff."),		false },
	{ "blank inside",		TEXT("exam ple.com"),		false },
	{ "blank behind",		TEXT("example.com "),		false },
	{ "line end behind",		TEXT("example.com\n"),		false },
	{ "NUL behind",			TEXT("example.com\0"),		false },
	{ "NUL inside",			TEXT("example\0.com"),		false },
	{ "NUL first",			TEXT("\0"),			false },
	{ "per cent",			TEXT("ex%61mple.com"),		false },
	{ "asterisk",			TEXT("*.example.com"),		false },
	{ "UTF-8",			TEXT("b\xc3\xbc" "ck.example"),	false },
	{ "ideographic full stop",	TEXT("a\xe3\x80\x82" "b"),	false },
	{ "IPv6 address",		TEXT("::1"),			false },
	{ "brackets",			TEXT("[a]"),			false },
	{ "with a port",		TEXT("example.com:443"),	false },
};

START_TEST(a_name_is_one_only_if_its_row_says_so)
{
	const struct name_row *row = &names[_i];
	char *p = copy(row->p, row->n);

	ck_assert_msg(dns_name_ok(p, row->n) == row->ok, "%s", row->title);
	free(p);
}
END_TEST

/* Of the 256 octets, which may stand in a label? */
START_TEST(only_letters_digits_hyphen_and_underscore_make_a_label)
{
	static const char good[] = "abcdefghijklmnopqrstuvwxyz"
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_";
	char name[] = "a?b";
	int c;
	bool want;

	for (c = 0; c < 256; c++) {
		name[1] = (char)c;
		want = c == '.' || (c != 0 && strchr(good, c) != NULL);
		ck_assert_msg(dns_name_ok(name, 3) == want, "octet 0x%02x", c);
		/* alone a digit is a number and a dot is no label */
		want = want && c != '.' && !(c >= '0' && c <= '9');
		ck_assert_msg(dns_name_ok(name + 1, 1) == want,
		    "octet 0x%02x alone", c);
	}
}
END_TEST

START_TEST(a_very_long_name_is_none)
{
	const size_t n = 100000;
	char *p = malloc(n);
	size_t i;

	ck_assert_ptr_nonnull(p);
	for (i = 0; i < n; i++)
		p[i] = i % 2 == 0 ? 'a' : '.';
	ck_assert(!dns_name_ok(p, n));
	ck_assert(!dns_name_ok(p, 255));
	ck_assert(!dns_name_ok(p, 256));
	ck_assert(dns_name_ok(p, 253));
	ck_assert(dns_name_ok(p, 254));
	free(p);
}
END_TEST

static const struct pair_row {
	const char	*title;
	const char	*a;
	size_t		 an;
	const char	*b;
	size_t		 bn;
	bool		 yes;
} equals[] = {
	{ "the same",		TEXT("a.example"), TEXT("a.example"),	true },
	{ "another case",	TEXT("a.eXAMPLe"), TEXT("A.Example"),	true },
	{ "A to Z", TEXT("ABCDEFGHIJKLMNOPQRSTUVWXYZ"),
	    TEXT("abcdefghijklmnopqrstuvwxyz"),				true },
	{ "dot on the first",	TEXT("a.example."), TEXT("a.example"),	true },
	{ "dot on the second",	TEXT("a.example"), TEXT("a.example."),	true },
	{ "dot on both",	TEXT("a.example."), TEXT("A.EXAMPLE."),	true },
	{ "longest",		TEXT(N253), TEXT(N253 "."),		true },
	{ "digits and marks",	TEXT("_0-9.a"), TEXT("_0-9.A"),		true },

	{ "another letter",	TEXT("a.example"), TEXT("b.example"),	false },
	{ "a prefix",		TEXT("a.exampl"), TEXT("a.example"),	false },
	{ "longer",		TEXT("a.examples"), TEXT("a.example"),	false },
	{ "one is below",	TEXT("a.example"), TEXT("example"),	false },
	{ "two dots and one",	TEXT("a.."), TEXT("a."),		false },
	{ "two dots and none",	TEXT("a.."), TEXT("a"),			false },
	{ "leading dot",	TEXT(".a"), TEXT("a"),			false },
	{ "empty and a name",	TEXT(""), TEXT("a"),			false },
	{ "NUL behind",		TEXT("a\0"), TEXT("a"),			false },
	{ "differ behind a NUL", TEXT("a\0b"), TEXT("a\0c"),		false },
	{ "at and grave",	TEXT("a@"), TEXT("a`"),			false },
	{ "brackets and braces", TEXT("[]\\^"), TEXT("{}|~"),		false },
	{ "hyphen and CR",	TEXT("a-b"), TEXT("a\rb"),		false },
	{ "underscore and DEL",	TEXT("a_b"), TEXT("a\x7f" "b"),		false },
	{ "digit and control",	TEXT("a0"), TEXT("a\x10"),		false },
	{ "Latin-1 cases",	TEXT("\xc0"), TEXT("\xe0"),		false },
	{ "letter, high bit",	TEXT("a"), TEXT("\xe1"),		false },
};

START_TEST(names_are_equal_only_if_their_row_says_so)
{
	const struct pair_row *row = &equals[_i];
	char *a = copy(row->a, row->an), *b = copy(row->b, row->bn);

	ck_assert_msg(dns_name_equal(a, row->an, b, row->bn) == row->yes,
	    "%s", row->title);
	ck_assert_msg(dns_name_equal(b, row->bn, a, row->an) == row->yes,
	    "%s, the other way round", row->title);
	ck_assert(dns_name_equal(a, row->an, a, row->an));
	free(a);
	free(b);
}
END_TEST

START_TEST(case_is_ignored_for_letters_only)
{
	char a, b;
	int i, k;
	bool letters, want;

	for (i = 0; i < 256; i++)
		for (k = 0; k < 256; k++) {
			if (i == '.' || k == '.')
				continue;
			a = (char)i;
			b = (char)k;
			letters = (i | 0x20) >= 'a' && (i | 0x20) <= 'z' &&
			    i < 128 && k < 128;
			want = i == k || (letters && (i ^ k) == 0x20);
			if (dns_name_equal(&a, 1, &b, 1) != want)
				ck_abort_msg("0x%02x and 0x%02x", i, k);
		}
}
END_TEST

static const struct pair_row belows[] = {
	{ "one label below",	TEXT("a.b.c"), TEXT("b.c"),		true },
	{ "two labels below",	TEXT("x.a.b.c"), TEXT("b.c"),		true },
	{ "below one label",	TEXT("www.example"), TEXT("example"),	true },
	{ "another case",	TEXT("A.B.C"), TEXT("b.c"),		true },
	{ "another case, zone",	TEXT("a.b.c"), TEXT("B.C"),		true },
	{ "dot on the name",	TEXT("a.b.c."), TEXT("b.c"),		true },
	{ "dot on the zone",	TEXT("a.b.c"), TEXT("b.c."),		true },
	{ "dot on both",	TEXT("a.b.c."), TEXT("b.c."),		true },
	{ "repeats the zone",	TEXT("b.c.b.c"), TEXT("b.c"),		true },

	{ "end of a label",	TEXT("xb.c"), TEXT("b.c"),		false },
	{ "the same",		TEXT("b.c"), TEXT("b.c"),		false },
	{ "the same, a dot",	TEXT("b.c."), TEXT("b.c"),		false },
	{ "no label before",	TEXT(".b.c"), TEXT("b.c"),		false },
	{ "the same, zone dot",	TEXT("b.c"), TEXT("b.c."),		false },
	{ "above",		TEXT("c"), TEXT("b.c"),			false },
	{ "beside",		TEXT("a.c"), TEXT("b.c"),		false },
	{ "zone in front",	TEXT("b.c.a"), TEXT("b.c"),		false },
	{ "zone inside",	TEXT("a.b.c.d"), TEXT("b.c"),		false },
	{ "hyphen for dot",	TEXT("a-b.c"), TEXT("b.c"),		false },
	{ "NUL for dot",	TEXT("a\0b.c"), TEXT("b.c"),		false },
	{ "suffix over a dot",	TEXT("notexample.com"), TEXT("example.com"),
	    false },
};

START_TEST(a_name_is_below_a_zone_only_if_its_row_says_so)
{
	const struct pair_row *row = &belows[_i];
	char *a = copy(row->a, row->an), *b = copy(row->b, row->bn);

	ck_assert_msg(dns_name_below(a, row->an, b, row->bn) == row->yes,
	    "%s", row->title);
	ck_assert_msg(!(row->yes && dns_name_below(b, row->bn, a, row->an)),
	    "%s, the other way round", row->title);
	free(a);
	free(b);
}
END_TEST

static const struct special_row {
	const char		*p;
	size_t			 n;
	enum dns_special	 special;
} specials[] = {
	{ TEXT("localhost"),		DNS_LOCALHOST },
	{ TEXT("localhost."),		DNS_LOCALHOST },
	{ TEXT("LocalHost"),		DNS_LOCALHOST },
	{ TEXT("a.localhost"),		DNS_LOCALHOST },
	{ TEXT("a.b.LOCALHOST."),	DNS_LOCALHOST },
	{ TEXT("invalid"),		DNS_NEVER },
	{ TEXT("INVALID."),		DNS_NEVER },
	{ TEXT("a.invalid"),		DNS_NEVER },
	{ TEXT("a.b.Invalid."),		DNS_NEVER },
	{ TEXT("onion"),		DNS_NEVER },
	{ TEXT("Onion."),		DNS_NEVER },
	{ TEXT("expyuzz4wqqyqhjn.onion"), DNS_NEVER },
	{ TEXT("a.b.ONION."),		DNS_NEVER },
	{ TEXT("example.com"),		DNS_ORDINARY },
	{ TEXT("a"),			DNS_ORDINARY },
	{ TEXT("xlocalhost"),		DNS_ORDINARY },
	{ TEXT("localhosts"),		DNS_ORDINARY },
	{ TEXT("localhos"),		DNS_ORDINARY },
	{ TEXT("localhost.example"),	DNS_ORDINARY },
	{ TEXT("localhost.localdomain"), DNS_ORDINARY },
	{ TEXT("not-localhost"),	DNS_ORDINARY },
	{ TEXT("xinvalid"),		DNS_ORDINARY },
	{ TEXT("invalid.example"),	DNS_ORDINARY },
	{ TEXT("onion.example"),	DNS_ORDINARY },
	{ TEXT("my-onion"),		DNS_ORDINARY },
	{ TEXT("onions"),		DNS_ORDINARY },
	{ TEXT("test"),			DNS_ORDINARY },
	{ TEXT("a.test"),		DNS_ORDINARY },
	{ TEXT("printer.local"),	DNS_ORDINARY },
	{ TEXT("example"),		DNS_ORDINARY },
};

START_TEST(a_name_is_special_only_if_its_row_says_so)
{
	const struct special_row *row = &specials[_i];
	char *p = copy(row->p, row->n);

	ck_assert_msg(dns_name_special(p, row->n) == row->special, "%s",
	    row->p);
	free(p);
}
END_TEST

static bool
add(struct dns_names *list, const char *p, size_t n)
{
	char *q = copy(p, n);
	bool added = dns_names_add(list, q, n);

	free(q);
	return added;
}

START_TEST(names_are_listed_in_their_order_and_once)
{
	static const char *const in[] = { "b", "a.example", "b", "a", "c" };
	static const char *const out[] = { "b", "a.example", "a", "c" };
	struct dns_names list = { 0 };
	size_t at = 0, n;
	const char *p;
	int i;

	ck_assert_ptr_null(dns_names_next(&list, &at, &n));
	for (i = 0; i < COUNT(in); i++)
		ck_assert(add(&list, in[i], strlen(in[i])));
	for (i = 0; i < COUNT(out); i++) {
		p = dns_names_next(&list, &at, &n);
		ck_assert_ptr_nonnull(p);
		ck_assert_uint_eq(n, strlen(out[i]));
		ck_assert_mem_eq(p, out[i], n);
	}
	ck_assert_ptr_null(dns_names_next(&list, &at, &n));
	ck_assert_ptr_null(dns_names_next(&list, &at, &n));
}
END_TEST

/* Three names that fill the list to the last byte.  One byte more does not fit
 * and changes nothing; what is there is found again. */
START_TEST(names_are_listed_as_long_as_there_is_room)
{
	size_t first = (size_t)_i, last = DNS_NAMES_ROOM - 3 - NAME_MAX_LEN -
	    first;
	char a[NAME_MAX_LEN], b[NAME_MAX_LEN], c[NAME_MAX_LEN];
	struct dns_names list = { 0 }, before;

	memset(a, 'a', sizeof a);
	memset(b, 'b', sizeof b);
	memset(c, 'c', sizeof c);
	ck_assert(add(&list, a, first));
	ck_assert(add(&list, b, NAME_MAX_LEN));
	before = list;
	ck_assert(!add(&list, c, last + 1));
	ck_assert_mem_eq(&list, &before, sizeof list);
	ck_assert(add(&list, c, last));
	ck_assert_uint_eq(list.used, DNS_NAMES_ROOM);
	before = list;
	ck_assert(!add(&list, "d", 1));
	ck_assert(add(&list, a, first));
	ck_assert(add(&list, c, last));
	ck_assert_mem_eq(&list, &before, sizeof list);
}
END_TEST

/* The port is a part of it here. */
START_TEST(addresses_are_listed_once_and_up_to_the_limit)
{
	struct addr_list list = { 0 };
	struct addr a = { 4, 0, 0, { 192, 0, 2, 0 } };
	unsigned i;

	for (i = 0; i < 2u * ADDRESSES_MAX; i++) {
		a.ip[3] = (uint8_t)i;
		dns_list_add(&list, &a);
		ck_assert_uint_eq(list.n, i < ADDRESSES_MAX ? i + 1 :
		    ADDRESSES_MAX);
		dns_list_add(&list, &a);
		a.ip[3] = 0;
		dns_list_add(&list, &a);
		ck_assert_uint_eq(list.n, i < ADDRESSES_MAX ? i + 1 :
		    ADDRESSES_MAX);
	}
	for (i = 0; i < ADDRESSES_MAX; i++) {
		a.ip[3] = (uint8_t)i;
		ck_assert_mem_eq(&list.addr[i], &a, sizeof a);
	}
}
END_TEST

static Suite *
dns_suite(void)
{
	Suite *s = suite_create("dns");
	TCase *tc = tcase_create("ok");

	tcase_add_loop_test(tc, a_name_is_one_only_if_its_row_says_so, 0,
	    COUNT(names));
	tcase_add_test(tc,
	    only_letters_digits_hyphen_and_underscore_make_a_label);
	tcase_add_test(tc, a_very_long_name_is_none);
	suite_add_tcase(s, tc);

	tc = tcase_create("equal");
	tcase_add_loop_test(tc, names_are_equal_only_if_their_row_says_so, 0,
	    COUNT(equals));
	tcase_add_test(tc, case_is_ignored_for_letters_only);
	suite_add_tcase(s, tc);

	tc = tcase_create("below");
	tcase_add_loop_test(tc, a_name_is_below_a_zone_only_if_its_row_says_so,
	    0, COUNT(belows));
	suite_add_tcase(s, tc);

	tc = tcase_create("special");
	tcase_add_loop_test(tc, a_name_is_special_only_if_its_row_says_so, 0,
	    COUNT(specials));
	suite_add_tcase(s, tc);

	tc = tcase_create("lists");
	tcase_add_test(tc, names_are_listed_in_their_order_and_once);
	tcase_add_loop_test(tc, names_are_listed_as_long_as_there_is_room, 2,
	    NAME_MAX_LEN + 1);
	tcase_add_test(tc, addresses_are_listed_once_and_up_to_the_limit);
	suite_add_tcase(s, tc);
	return s;
}

int
main(void)
{
	SRunner *sr = srunner_create(dns_suite());
	int failed;

	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
