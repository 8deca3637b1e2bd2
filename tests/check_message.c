/* SPDX-License-Identifier: ISC */
/*
 * Unit tests of dns.c: queries and answers.  Messages are copied to memory of
 * exactly their size before they are read.  What an answer says is compared as
 * one line of text.  A second decoder, in fuzz/slow_dns.h, must agree on all
 * messages that are made here and on what becomes of them by random changes.
 *
 * Most tests run twice, for A and for AAAA: the rows have IPv4 addresses, which
 * are then sent as mapped ones, and read back as if they were none.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dns_message.h"
#include "fuzz/slow_dns.h"

#define COUNT(table) ((int)(sizeof (table) / sizeof (table)[0]))

static struct message m;
static struct dns_question q;
static struct dns_answer a;
static enum dns_type type;	/* that the present test asks for */
static uint32_t seed;

static void
ask_for_a(void)
{
	type = DNS_A;
}

static void
ask_for_aaaa(void)
{
	type = DNS_AAAA;
}

/* An address of the type that is asked for. */
static void
put(const char *owner, unsigned long ttl, const char *four)
{
	char text[ADDR_TEXT_MAX];

	(void)snprintf(text, sizeof text, "%s%s",
	    type == DNS_AAAA ? "::ffff:" : "", four);
	put_addr(&m, owner, ttl, text);
}

static const char *
address_text(const struct addr *addr)
{
	static char out[ADDR_TEXT_MAX];

	ck_assert_uint_eq(addr->family, q.type == DNS_AAAA ? 6 : 4);
	ck_assert_uint_eq(addr->port, 0);
	(void)addr_format(addr, false, out);
	return type == DNS_AAAA && strncmp(out, "::ffff:", 7) == 0 ? out + 7 :
	    out;
}

static uint32_t
random_below(uint32_t n)
{
	seed ^= seed << 13;
	seed ^= seed >> 17;
	seed ^= seed << 5;
	return (seed >> 7) % n;
}

/* From memory of its own size, and both decoders. */
static enum dns_outcome
decode_bytes(const unsigned char *p, size_t n)
{
	unsigned char *copy = malloc(n > 0 ? n : 1);
	struct dns_answer b;
	enum dns_outcome outcome, slow;

	ck_assert_ptr_nonnull(copy);
	memcpy(copy, p, n);
	outcome = dns_decode(copy, n, &q, &a);
	slow = slow_decode(copy, n, &q, &b);
	free(copy);
	ck_assert_msg(slow_agrees(outcome, &a, slow, &b),
	    "%d, and the second decoder says %d", (int)outcome, (int)slow);
	return outcome;
}

/* "FOUND 192.0.2.1 192.0.2.2 via b.test ttl 60" */
static const char *
decoded(void)
{
	static const char *const words[] = { "MISMATCH", "WRONG_ID",
	    "TRUNCATED", "FORMAT", "FAILED", "FOUND", "NODATA", "NXDOMAIN",
	    "PARTIAL" };
	static char out[8192];
	enum dns_outcome o = decode_bytes(m.p, m.n);
	const char *alias;
	size_t at = 0, n, len;
	unsigned i;

	len = (size_t)snprintf(out, sizeof out, "%s", words[o]);
	if (o == DNS_FORMAT || o == DNS_FAILED)
		(void)snprintf(out + len, sizeof out - len, " %u", a.rcode);
	if (o < DNS_FOUND)
		return out;
	for (i = 0; i < a.list.n; i++)
		len += (size_t)snprintf(out + len, sizeof out - len, " %s",
		    address_text(&a.list.addr[i]));
	while ((alias = dns_names_next(&a.aliases, &at, &n)) != NULL)
		len += (size_t)snprintf(out + len, sizeof out - len,
		    " via %.*s", (int)n, alias);
	(void)snprintf(out + len, sizeof out - len, " ttl %lu",
	    (unsigned long)a.ttl);
	return out;
}

static void
begin(void)
{
	set_question(&q, "a.test", type);
	begin_answer(&m, &q, GOOD_FLAGS);
}

/* ---- queries ------------------------------------------------------------- */

START_TEST(a_query_is_exact)
{
	static const unsigned char plain[] = "\x12\x34\x01\0\0\1\0\0\0\0\0\0"
	    "\1a\4test\0\0\1\0\1";
	static const unsigned char edns[] = "\x12\x34\x01\0\0\1\0\0\0\0\0\1"
	    "\1a\4test\0\0\x1c\0\1\0\0\x29\x04\xd0\0\0\0\0\0\0";
	unsigned char out[DNS_QUERY_MAX];

	set_question(&q, "a.test", DNS_A);
	ck_assert_uint_eq(dns_encode(&q, false, out), sizeof plain - 1);
	ck_assert_mem_eq(out, plain, sizeof plain - 1);
	q.type = DNS_AAAA;
	ck_assert_uint_eq(dns_encode(&q, true, out), sizeof edns - 1);
	ck_assert_mem_eq(out, edns, sizeof edns - 1);
}
END_TEST

START_TEST(the_longest_query_fits)
{
	char name[NAME_MAX_LEN + 1];
	unsigned char *out = malloc(DNS_QUERY_MAX);
	int i;

	for (i = 0; i < NAME_MAX_LEN; i++)
		name[i] = i % 64 == 63 ? '.' : 'n';
	name[NAME_MAX_LEN] = '\0';
	set_question(&q, name, DNS_AAAA);
	ck_assert_uint_eq(dns_encode(&q, true, out), DNS_QUERY_MAX - 2);
	free(out);
	begin_answer(&m, &q, GOOD_FLAGS);
	put_addr(&m, QUESTION, 5, "2001:db8::1");
	ck_assert_str_eq(decoded(), "FOUND 2001:db8::1 ttl 5");
}
END_TEST

/* ---- what is an answer --------------------------------------------------- */

START_TEST(an_answer_gives_its_addresses_in_their_order)
{
	begin();
	put(QUESTION, 60, "192.0.2.2");
	put("A.Test", 50, "192.0.2.1");
	put(QUESTION, 70, "192.0.2.2");
	ck_assert_str_eq(decoded(), "FOUND 192.0.2.2 192.0.2.1 ttl 50");
}
END_TEST

START_TEST(an_address_of_the_other_type_is_not_looked_at)
{
	begin();
	put_addr(&m, QUESTION, 1, type == DNS_A ? "2001:db8::1" : "192.0.2.1");
	put_record(&m, QUESTION, type == DNS_A ? DNS_AAAA : DNS_A, 1, 1);
	put_bytes(&m, "x", 1);
	ck_assert_str_eq(decoded(), "NODATA ttl 0");
	put(QUESTION, 60, "192.0.2.3");
	ck_assert_str_eq(decoded(), "FOUND 192.0.2.3 ttl 60");
}
END_TEST

START_TEST(an_address_is_given_as_it_was_sent)
{
	set_question(&q, "a.test", DNS_AAAA);
	begin_answer(&m, &q, GOOD_FLAGS);
	put_addr(&m, QUESTION, 60, "::ffff:192.0.2.3");
	put_addr(&m, QUESTION, 60, "2001:db8::1");
	ck_assert_str_eq(decoded(), "FOUND ::ffff:192.0.2.3 2001:db8::1 ttl "
	    "60");
}
END_TEST

START_TEST(four_hundred_addresses_are_the_first_eight)
{
	char text[32];
	unsigned i;

	begin();
	for (i = 0; i < 400; i++) {
		(void)snprintf(text, sizeof text, "10.0.%u.%u", i / 250,
		    i % 250);
		put(QUESTION, 60, text);
	}
	ck_assert_str_eq(decoded(), "FOUND 10.0.0.0 10.0.0.1 10.0.0.2 "
	    "10.0.0.3 10.0.0.4 10.0.0.5 10.0.0.6 10.0.0.7 ttl 60");
}
END_TEST

/* Bits of AA, RD, RA, Z, AD and CD are nobody's business, nor is the case. */
START_TEST(harmless_differences_are_none)
{
	size_t i;

	begin();
	put(QUESTION, 60, "192.0.2.1");
	m.p[2] ^= 0x05;
	m.p[3] ^= 0xf0;
	for (i = 12; i < 12 + 8; i++)
		if (m.p[i] >= 'a')
			m.p[i] ^= 0x20;
	m.section = ADDITIONAL;
	put("b.test", 1, "192.0.2.9");
	ck_assert_str_eq(decoded(), "FOUND 192.0.2.1 ttl 60");
}
END_TEST

START_TEST(every_bit_of_the_question_counts)
{
	size_t i, end = 12 + 8 + 4;
	unsigned bit;

	begin();
	put(QUESTION, 60, "192.0.2.1");
	for (i = 0; i < end; i++) {
		if (i == 3 || (i >= 6 && i < 12))
			continue;
		for (bit = i == 2 ? 8 : 1; bit < 0x100; bit *= 2) {
			if (bit == 0x20 && m.p[i] >= 'a')
				continue;
			m.p[i] = (unsigned char)(m.p[i] ^ bit);
			ck_assert_str_eq(decoded(), i < 2 ? "WRONG_ID" :
			    "MISMATCH");
			m.p[i] = (unsigned char)(m.p[i] ^ bit);
		}
	}
	m.p[2] ^= 0x02;
	ck_assert_str_eq(decoded(), "TRUNCATED");
}
END_TEST

START_TEST(no_prefix_of_an_answer_is_one)
{
	size_t n, whole;
	enum dns_outcome o;

	begin();
	put_cname(&m, QUESTION, 60, "b.test");
	put("b.test", 60, "192.0.2.1");
	whole = m.n;
	for (n = 0; n < whole; n++) {
		o = decode_bytes(m.p, n);
		ck_assert_int_eq(o, n < 24 ? DNS_MISMATCH : DNS_FAILED);
		ck_assert_uint_eq(o == DNS_FAILED ? a.rcode : 2, 2);
	}
	ck_assert_str_eq(decoded(), "FOUND 192.0.2.1 via b.test ttl 60");
}
END_TEST

/* Of the sections, too, no more is believed than is there; what is behind the
 * last record is not looked at. */
START_TEST(records_are_as_many_as_the_header_says)
{
	size_t count = 7 + 2 * (size_t)_i;

	begin();
	put(QUESTION, 60, "192.0.2.1");
	m.section = _i;
	put("b.test", 60, "192.0.2.2");
	ck_assert_str_eq(decoded(), "FOUND 192.0.2.1 ttl 60");
	m.p[count]++;
	ck_assert_str_eq(decoded(), "FAILED 2");
	m.p[count - 1]++;
	ck_assert_str_eq(decoded(), "FAILED 2");
	m.p[count - 1]--;
	m.p[count] = (unsigned char)(m.p[count] - 2);
	ck_assert_str_eq(decoded(), "FOUND 192.0.2.1 ttl 60");
}
END_TEST

static const struct {
	unsigned	rcode;
	const char	*out;
} rcodes[] = {
	{ 0, "NODATA ttl 0" },
	{ 1, "FORMAT 1" },
	{ 2, "FAILED 2" },
	{ 3, "NXDOMAIN ttl 0" },
	{ 4, "FORMAT 4" },
	{ 5, "FAILED 5" },
	{ 9, "FAILED 9" },
	{ 15, "FAILED 15" },
	{ 16, "FORMAT 16" },
	{ 23, "FAILED 23" },
	{ 4095, "FAILED 4095" }
};

/* The upper bits are in an OPT of the additional section. */
START_TEST(an_rcode_means_what_its_row_says)
{
	unsigned rcode = rcodes[_i].rcode;

	set_question(&q, "a.test", type);
	begin_answer(&m, &q, GOOD_FLAGS | (rcode & 15));
	if (rcode > 15) {
		m.section = ADDITIONAL;
		put_record(&m, "", TYPE_OPT,
		    (unsigned long)(rcode >> 4) << 24, 0);
	}
	ck_assert_str_eq(decoded(), rcodes[_i].out);
}
END_TEST

/* ---- chains -------------------------------------------------------------- */

/* Three links and the address, in any order; "012 3" is the natural one. */
START_TEST(a_chain_may_stand_in_any_order)
{
	static const char *const owner[] = { QUESTION, "b.test", "c.test" };
	static const char *const target[] = { "B.test", "c.test", "d.test" };
	int order[4], k, n = _i, used = 0, i, left;

	for (k = 0; k < 4; k++) {
		left = n % (4 - k);
		n /= 4 - k;
		for (i = 0; used & 1 << i || left > 0; i++)
			left -= !(used & 1 << i);
		order[k] = i;
		used |= 1 << i;
	}
	begin();
	for (k = 0; k < 4; k++)
		if (order[k] == 3)
			put("d.TEST", 60, "192.0.2.1");
		else
			put_cname(&m, owner[order[k]],
			    40 + (unsigned)order[k], target[order[k]]);
	ck_assert_str_eq(decoded(), "FOUND 192.0.2.1 via b.test via c.test "
	    "via d.test ttl 40");
	ck_assert_uint_eq(a.links, 3);
}
END_TEST

static void
put_links(unsigned n)
{
	char owner[32], target[32];
	unsigned i;

	for (i = 0; i < n; i++) {
		(void)snprintf(owner, sizeof owner, "n%u.test", i);
		(void)snprintf(target, sizeof target, "n%u.test", i + 1);
		put_cname(&m, i == 0 ? QUESTION : owner, 60, target);
	}
	(void)snprintf(target, sizeof target, "n%u.test", n);
	put(target, 60, "192.0.2.1");
}

START_TEST(a_chain_has_sixteen_links_at_most)
{
	begin();
	put_links(DNS_LINKS_MAX);
	ck_assert_int_eq(decode_bytes(m.p, m.n), DNS_FOUND);
	ck_assert_uint_eq(a.links, DNS_LINKS_MAX);
	begin();
	put_links(DNS_LINKS_MAX + 1);
	ck_assert_str_eq(decoded(), "FAILED 2");
}
END_TEST

static void
long_alias(char out[NAME_MAX_LEN + 1], char c)
{
	memset(out, c, NAME_MAX_LEN);
	out[63] = out[127] = out[191] = '.';
	out[NAME_MAX_LEN] = '\0';
}

/* The rules have to see all names, so they must have room. */
START_TEST(names_that_do_not_fit_spoil_the_answer)
{
	char b[NAME_MAX_LEN + 1], c[NAME_MAX_LEN + 1];

	long_alias(b, 'b');
	long_alias(c, 'c');
	begin();
	put_cname(&m, QUESTION, 60, b);
	put_cname(&m, b, 60, c);
	put(c, 60, "192.0.2.1");
	ck_assert_int_eq(decode_bytes(m.p, m.n), DNS_FOUND);
	begin();
	put_cname(&m, QUESTION, 60, b);
	put_cname(&m, b, 60, c);
	put_cname(&m, c, 60, "dd");
	put("dd", 60, "192.0.2.1");
	ck_assert_str_eq(decoded(), "FAILED 2");
}
END_TEST

START_TEST(a_chain_that_ends_elsewhere_is_told)
{
	begin();
	put_cname(&m, QUESTION, 60, "b.test");
	put_cname(&m, "b.test", 7, "C.test");
	ck_assert_str_eq(decoded(), "PARTIAL via b.test via c.test ttl 7");
	ck_assert_uint_eq(a.end_len, 6);
	ck_assert_mem_eq(a.end, "c.test", 6);
	put_soa(&m, 100, 5);
	ck_assert_str_eq(decoded(), "NODATA via b.test via c.test ttl 5");
	m.p[3] |= 3;
	ck_assert_str_eq(decoded(), "NXDOMAIN via b.test via c.test ttl 5");
}
END_TEST

static const struct {
	const char	*owner, *target;
	const char	*out;
} bad_links[] = {
	{ QUESTION, "a.test", "FAILED 2" },
	{ QUESTION, "", "FAILED 2" },
	{ QUESTION, "x*y.test", "FAILED 2" },
	{ QUESTION, "1.2.3.4", "FAILED 2" },
	{ QUESTION, "a b", "FAILED 2" },
	{ "x.test", "b.test", "NODATA ttl 0" },
	{ "x.a.test", "b.test", "NODATA ttl 0" },
	{ "test", "b.test", "NODATA ttl 0" },
	{ "", "b.test", "NODATA ttl 0" }
};

START_TEST(a_bad_link_leads_nowhere)
{
	begin();
	put_cname(&m, bad_links[_i].owner, 60, bad_links[_i].target);
	put(bad_links[_i].target, 60, "192.0.2.66");
	ck_assert_str_eq(decoded(), bad_links[_i].out);
}
END_TEST

START_TEST(a_loop_is_found)
{
	begin();
	put_cname(&m, QUESTION, 60, "b.test");
	put_cname(&m, "b.test", 60, "c.test");
	put_cname(&m, "c.test", 60, _i == 0 ? "b.test" : "A.test");
	put("b.test", 60, "192.0.2.66");
	put(QUESTION, 60, "192.0.2.66");
	ck_assert_str_eq(decoded(), "FAILED 2");
}
END_TEST

/* Of two links of one name the first is followed. */
START_TEST(a_name_has_one_link)
{
	begin();
	put_cname(&m, QUESTION, 60, "b.test");
	put_cname(&m, QUESTION, 60, "c.test");
	put("c.test", 60, "192.0.2.66");
	put("b.test", 60, "192.0.2.1");
	ck_assert_str_eq(decoded(), "FOUND 192.0.2.1 via b.test ttl 60");
}
END_TEST

/* RFC 1034 3.6.2: a name with a CNAME has no other data; its address is not
 * believed. */
START_TEST(an_address_in_front_of_the_end_is_not_looked_at)
{
	begin();
	put(QUESTION, 1, "192.0.2.66");
	put_cname(&m, QUESTION, 60, "b.test");
	put_cname(&m, "b.test", 60, "c.test");
	put("b.test", 1, "192.0.2.66");
	put("c.test", 60, "192.0.2.1");
	ck_assert_str_eq(decoded(), "FOUND 192.0.2.1 via b.test via c.test "
	    "ttl 60");
}
END_TEST

START_TEST(a_link_of_another_class_or_section_is_none)
{
	size_t record;

	begin();
	put("b.test", 60, "192.0.2.66");
	record = m.n;
	m.section = _i;
	put_cname(&m, QUESTION, 60, "b.test");
	if (_i == ANSWER)
		m.p[record + 5] = 3;
	ck_assert_str_eq(decoded(), "NODATA ttl 0");
}
END_TEST

static const struct {
	const char	*title;
	const char	*data;
	size_t		 n;
	const char	*out;
} link_data[] = {
	{ "the name itself", "\1b\0", 3, "PARTIAL via b ttl 60" },
	{ "a label, then a pointer", "\1b\xc0\x0e", 4,
	    "PARTIAL via b.test ttl 60" },
	{ "nothing", "", 0, "FAILED 2" },
	{ "a name without its end", "\1b", 2, "FAILED 2" },
	{ "a name with too short a label", "\2b\0", 3, "FAILED 2" },
	{ "half a pointer", "\xc0", 1, "FAILED 2" },
	{ "a byte behind the name", "\1b\0\0", 4, "FAILED 2" },
	{ "a byte behind the pointer", "\1b\xc0\x0e\0", 5, "FAILED 2" },
	{ "a label of type 01", "\x41" "b\0", 3, "FAILED 2" },
	{ "a label of type 10", "\x81" "b\0", 3, "FAILED 2" },
	{ "a pointer to itself", "\xc0\x24", 2, "FAILED 2" },
	{ "a pointer forward", "\xc0\x27", 2, "FAILED 2" }
};

/* The record behind it could go on with the name. */
START_TEST(the_data_of_a_link_is_one_name)
{
	begin();
	put_record(&m, QUESTION, TYPE_CNAME, 60, link_data[_i].n);
	ck_assert_uint_eq(m.n, 0x24);
	put_bytes(&m, link_data[_i].data, link_data[_i].n);
	put("b.c.d.e", 60, "192.0.2.66");
	ck_assert_str_eq(decoded(), link_data[_i].out);
}
END_TEST

/* A name has 253 bytes of text, 255 in a message. */
START_TEST(a_name_that_is_too_long_spoils_the_answer)
{
	char name[NAME_MAX_LEN + 4];
	int extra;

	for (extra = 0; extra < 3; extra++) {
		long_alias(name, 'b');
		memset(name + NAME_MAX_LEN, 'b', (size_t)extra);
		name[NAME_MAX_LEN + extra] = '\0';
		begin();
		if (_i == 0)
			put_cname(&m, QUESTION, 60, name);
		put(name, 60, "192.0.2.1");
		if (extra > 0)
			ck_assert_str_eq(decoded(), "FAILED 2");
		else
			ck_assert_int_eq(decode_bytes(m.p, m.n), _i == 0 ?
			    DNS_FOUND : DNS_NODATA);
	}
}
END_TEST

/* ---- what is not believed ------------------------------------------------ */

START_TEST(records_of_others_are_not_looked_at)
{
	begin();
	put("b.test", 60, "192.0.2.66");
	put("x.a.test", 60, "192.0.2.66");
	put("test", 60, "192.0.2.66");
	put("a.test.x", 60, "192.0.2.66");
	put("", 60, "192.0.2.66");
	m.section = AUTHORITY;
	put(QUESTION, 60, "192.0.2.66");
	m.section = ADDITIONAL;
	put(QUESTION, 60, "192.0.2.66");
	ck_assert_str_eq(decoded(), "NODATA ttl 0");
}
END_TEST

/* "a.test" as one label, and with a NUL in it, is another name. */
START_TEST(a_dot_or_a_nul_in_a_label_makes_it_another_name)
{
	static const char *const owners[] = { "\6a.test\0", "\2a\0\4test\0",
	    "\1a\5test\0\0" };
	static const size_t sizes[] = { 8, 9, 9 };

	begin();
	put_record(&m, "", DNS_A, 60, 4);
	put_bytes(&m, "\xc0\0\2\1", 4);
	m.n -= 15;
	put_bytes(&m, owners[_i], sizes[_i]);
	put_bytes(&m, "\0\1\0\1\0\0\0\1\0\4\xc0\0\2\x42", 14);
	ck_assert_str_eq(decoded(), "NODATA ttl 0");
}
END_TEST

START_TEST(another_class_is_another_world)
{
	size_t record;

	begin();
	record = m.n;
	put(QUESTION, 60, "192.0.2.66");
	m.p[record + 5] = 3;
	ck_assert_str_eq(decoded(), "NODATA ttl 0");
}
END_TEST

START_TEST(an_address_of_another_length_spoils_the_answer)
{
	static const size_t lengths[][2] = { { 0, 0 }, { 3, 15 }, { 5, 17 },
	    { 16, 4 } };
	size_t n = lengths[_i][type == DNS_AAAA];

	begin();
	put(QUESTION, 60, "192.0.2.1");
	put_record(&m, QUESTION, type, 60, n);
	put_bytes(&m, "0123456789abcdefg", n);
	ck_assert_str_eq(decoded(), "FAILED 2");
}
END_TEST

/* ---- names in messages --------------------------------------------------- */

static const struct {
	const char	*title;
	const char	*owner;
	size_t		 n;
	const char	*out;
} owners[] = {
	{ "pointer to the question", "\xc0\x0c", 2, "FOUND 192.0.2.1 ttl 9" },
	{ "label, then a pointer", "\1a\xc0\x0e", 4, "FOUND 192.0.2.1 ttl 9" },
	{ "to itself", "\xc0\x18", 2, "FAILED 2" },
	{ "forward", "\xc0\x1c", 2, "FAILED 2" },
	{ "behind the end", "\xff\xff", 2, "FAILED 2" },
	{ "label, then itself", "\1a\xc0\x18", 4, "FAILED 2" },
	{ "type 01", "\x41" "a", 2, "FAILED 2" },
	{ "type 10", "\x81" "a", 2, "FAILED 2" },
	{ "into the header", "\xc0\x00", 2, "NODATA ttl 0" }
};

START_TEST(a_pointer_leads_backwards_only)
{
	begin();
	m.p[7] = 1;
	put_bytes(&m, owners[_i].owner, owners[_i].n);
	put_bytes(&m, "\0\1\0\1\0\0\0\x09\0\4\xc0\0\2\1", 14);
	ck_assert_str_eq(decoded(), owners[_i].out);
}
END_TEST

/* Also in a name that nobody asks for, with all of its bytes there. */
START_TEST(a_label_has_63_bytes_at_most)
{
	static const unsigned char sizes[] = { 63, 64, 65, 127, 128, 191 };
	unsigned char label[192];

	memset(label, 'x', sizeof label);
	label[0] = sizes[_i];
	begin();
	m.p[7] = 1;
	put_bytes(&m, label, 1u + sizes[_i]);
	put_bytes(&m, "\0\0\x10\0\1\0\0\0\x09\0\0", 11);
	put(QUESTION, 60, "192.0.2.1");
	ck_assert_str_eq(decoded(), _i == 0 ? "FOUND 192.0.2.1 ttl 60" :
	    "FAILED 2");
}
END_TEST

/* 65,535 bytes of pointers to pointers: the work is bounded by the length. */
START_TEST(a_hostile_message_costs_little)
{
	size_t i;

	begin();
	m.p[7] = m.p[6] = 0xff;
	/* Names of 120 labels, one record behind the other with pointers to
	 * the one before. */
	for (i = 0; i < 120; i++)
		put_bytes(&m, "\1x", 2);
	put_bytes(&m, "\0\0\1\0\1\0\0\0\1\0\4\1\2\3\4", 15);
	while (m.n + 16 <= sizeof m.p)
		put_bytes(&m, "\xc0\x18\0\1\0\1\0\0\0\1\0\4\1\2\3\4", 16);
	for (i = 0; i < 100; i++)
		(void)dns_decode(m.p, m.n, &q, &a);
	ck_assert_int_eq(dns_decode(m.p, m.n, &q, &a), DNS_FAILED);
}
END_TEST

/* ---- times --------------------------------------------------------------- */

START_TEST(a_time_to_live_is_unsigned)
{
	static const unsigned long ttls[] = { 0, 1, 0x7fffffff, 0x80000000,
	    0xffffffff };

	begin();
	put(QUESTION, ttls[_i], "192.0.2.1");
	(void)decoded();
	ck_assert_uint_eq(a.ttl, ttls[_i]);
}
END_TEST

/* RFC 2308 5: the lesser of the SOA's own TTL and of its MINIMUM. */
START_TEST(a_negative_answer_is_kept_as_its_soa_says)
{
	static const struct {
		unsigned long ttl, minimum, out;
	} rows[] = { { 100, 200, 100 }, { 200, 100, 100 }, { 0, 100, 0 },
	    { 100, 0, 0 }, { 0xffffffff, 0xfffffffe, 0xfffffffe } };

	begin();
	put_soa(&m, rows[_i].ttl, rows[_i].minimum);
	ck_assert_int_eq(decode_bytes(m.p, m.n), DNS_NODATA);
	ck_assert_uint_eq(a.ttl, rows[_i].out);
	m.p[3] |= 3;
	ck_assert_int_eq(decode_bytes(m.p, m.n), DNS_NXDOMAIN);
	ck_assert_uint_eq(a.ttl, rows[_i].out);
}
END_TEST

START_TEST(an_soa_counts_only_where_it_belongs_and_whole)
{
	begin();
	put_record(&m, "", TYPE_SOA, 60, 21);
	put_bytes(&m, "012345678901234567890", 21);
	ck_assert_str_eq(decoded(), "NODATA ttl 0");
	m.section = AUTHORITY;
	put_record(&m, "", TYPE_SOA, 60, 21);
	put_bytes(&m, "012345678901234567890", 21);
	ck_assert_str_eq(decoded(), "NODATA ttl 0");
}
END_TEST

/* ---- random messages ----------------------------------------------------- */

static void
random_message(void)
{
	static const char *const names[] = { QUESTION, "b.test", "c.test",
	    "A.Test", "", "x*y" };
	static const char *const addrs[] = { "192.0.2.1", "2001:db8::1",
	    "192.0.2.2" };
	int n = (int)random_below(7);

	set_question(&q, "a.test", random_below(2) ? DNS_A : DNS_AAAA);
	begin_answer(&m, &q, GOOD_FLAGS | (random_below(4) == 0 ?
	    random_below(6) : 0));
	while (n-- > 0) {
		if (random_below(8) == 0)
			m.section = m.section < 2 ? m.section + 1 : 2;
		switch (random_below(6)) {
		case 0:
		case 1:
			put_cname(&m, names[random_below(6)], random_below(99),
			    names[1 + random_below(5)]);
			break;
		case 2:
			put_record(&m, "", TYPE_OPT, random_below(2) << 24, 0);
			break;
		case 3:
			put_soa(&m, random_below(99), random_below(99));
			break;
		default:
			put_addr(&m, names[random_below(6)], random_below(99),
			    addrs[random_below(3)]);
			break;
		}
	}
}

START_TEST(a_second_decoder_agrees)
{
	/* 200,000 messages in all; fewer with sanitizers, which are slow. */
	int messages = getenv("SANITIZED") == NULL ? 10000 : 2000, i, k;
	size_t n;

	seed = 977u + (uint32_t)_i;
	for (i = 0; i < messages; i++) {
		random_message();
		(void)decode_bytes(m.p, m.n);
		for (k = (int)random_below(4); k > 0; k--) {
			n = random_below((uint32_t)m.n);
			m.p[n] = (unsigned char)(random_below(3) == 0 ?
			    random_below(256) : m.p[n] ^ 1u << random_below(8));
		}
		(void)decode_bytes(m.p, m.n - random_below(2) *
		    random_below((uint32_t)m.n));
	}
}
END_TEST

/* ---- all of it ----------------------------------------------------------- */

/* What is true for both types. */
static void
add_answers(Suite *s, const char *name, void (*setup)(void))
{
	TCase *tc = tcase_create(name);

	tcase_set_timeout(tc, 120);
	tcase_add_checked_fixture(tc, setup, NULL);
	tcase_add_test(tc, an_answer_gives_its_addresses_in_their_order);
	tcase_add_test(tc, an_address_of_the_other_type_is_not_looked_at);
	tcase_add_test(tc, four_hundred_addresses_are_the_first_eight);
	tcase_add_test(tc, harmless_differences_are_none);
	tcase_add_test(tc, every_bit_of_the_question_counts);
	tcase_add_test(tc, no_prefix_of_an_answer_is_one);
	tcase_add_loop_test(tc, records_are_as_many_as_the_header_says, 0, 3);
	tcase_add_loop_test(tc, an_rcode_means_what_its_row_says, 0,
	    COUNT(rcodes));
	tcase_add_loop_test(tc, a_chain_may_stand_in_any_order, 0, 24);
	tcase_add_test(tc, a_chain_has_sixteen_links_at_most);
	tcase_add_test(tc, names_that_do_not_fit_spoil_the_answer);
	tcase_add_test(tc, a_chain_that_ends_elsewhere_is_told);
	tcase_add_loop_test(tc, a_bad_link_leads_nowhere, 0,
	    COUNT(bad_links));
	tcase_add_loop_test(tc, a_loop_is_found, 0, 2);
	tcase_add_test(tc, a_name_has_one_link);
	tcase_add_test(tc, an_address_in_front_of_the_end_is_not_looked_at);
	tcase_add_loop_test(tc, a_link_of_another_class_or_section_is_none, 0,
	    3);
	tcase_add_loop_test(tc, the_data_of_a_link_is_one_name, 0,
	    COUNT(link_data));
	tcase_add_loop_test(tc, a_name_that_is_too_long_spoils_the_answer, 0,
	    2);
	tcase_add_test(tc, records_of_others_are_not_looked_at);
	tcase_add_test(tc, another_class_is_another_world);
	tcase_add_loop_test(tc,
	    an_address_of_another_length_spoils_the_answer, 0, 4);
	tcase_add_loop_test(tc, a_time_to_live_is_unsigned, 0, 5);
	tcase_add_loop_test(tc, a_negative_answer_is_kept_as_its_soa_says, 0,
	    5);
	tcase_add_test(tc, an_soa_counts_only_where_it_belongs_and_whole);
	suite_add_tcase(s, tc);
}

static Suite *
message_suite(void)
{
	Suite *s = suite_create("message");
	TCase *tc = tcase_create("messages");

	add_answers(s, "A", ask_for_a);
	add_answers(s, "AAAA", ask_for_aaaa);
	tcase_set_timeout(tc, 120);
	tcase_add_checked_fixture(tc, ask_for_a, NULL);
	tcase_add_test(tc, a_query_is_exact);
	tcase_add_test(tc, the_longest_query_fits);
	tcase_add_test(tc, an_address_is_given_as_it_was_sent);
	tcase_add_loop_test(tc, a_dot_or_a_nul_in_a_label_makes_it_another_name,
	    0, 3);
	tcase_add_loop_test(tc, a_pointer_leads_backwards_only, 0,
	    COUNT(owners));
	tcase_add_loop_test(tc, a_label_has_63_bytes_at_most, 0, 6);
	tcase_add_test(tc, a_hostile_message_costs_little);
	tcase_add_loop_test(tc, a_second_decoder_agrees, 0, 10);
	suite_add_tcase(s, tc);
	return s;
}

int
main(void)
{
	SRunner *sr = srunner_create(message_suite());
	int failed;

	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
