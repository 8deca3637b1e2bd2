/* SPDX-License-Identifier: ISC */
/*
 * Small worlds, all of them.  Each test goes through every case that can be
 * made of a few pieces and compares the answer with that of a second, plainer
 * program: a queue for rings, tests/fuzz/recognise.h for requests, names and
 * addresses (inet_pton at the bottom), tests/fuzz/slow_dns.h for the answers of
 * name servers, tests/fuzz/judge.h for rules.  Nothing is drawn at random.
 * With SANITIZED in the environment the worlds are smaller, as each step takes
 * longer.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dns_message.h"
#include "fuzz/judge.h"
#include "fuzz/recognise.h"
#include "fuzz/slow_dns.h"

#define COUNT(table) ((unsigned)(sizeof (table) / sizeof (table)[0]))
#define TEXT_MAX	512u
#define DEPTH_MAX	10u

/* This deep, or less deep. */
static unsigned
depth(unsigned full, unsigned sanitized)
{
	return getenv("SANITIZED") == NULL ? full : sanitized;
}

/* Fail, and show the text in which it went wrong. */
static void
fail_text(const char *why, const char *p, size_t n)
{
	static char shown[4 * TEXT_MAX + 1];
	size_t i, k = 0;

	for (i = 0; i < n && i < TEXT_MAX; i++)
		k += (size_t)snprintf(shown + k, sizeof shown - k,
		    p[i] > ' ' && p[i] <= '~' && p[i] != '\\' ? "%c" :
		    "\\x%02x", (unsigned char)p[i]);
	shown[k] = '\0';
	ck_abort_msg("%s: '%s'", why, shown);
}

/* ---- sequences of words ---------------------------------------------------- */

/* Goes through all sequences of up to `depth` words, the shorter one before
 * those that it begins. */
struct sequence {
	const char *const *word;
	unsigned	words, depth;
	unsigned	at;			/* words in the text */
	unsigned	next[DEPTH_MAX + 1];	/* the word to try there */
	size_t		end[DEPTH_MAX + 1];	/* of the first n words */
	char		text[TEXT_MAX];
};

static void
sequence_begin(struct sequence *s, const char *const *word, unsigned words,
    unsigned deep)
{
	memset(s, 0, sizeof *s);
	s->word = word;
	s->words = words;
	s->depth = deep;
}

/* Append or exchange a word; false if there are no more.  The text is then
 * text[0..end[at]). */
static bool
sequence_next(struct sequence *s)
{
	const char *word;
	size_t n;

	while (s->at == s->depth || s->next[s->at] == s->words) {
		if (s->at == 0)
			return false;
		s->at--;
	}
	word = s->word[s->next[s->at]++];
	n = strlen(word);
	memcpy(s->text + s->end[s->at], word, n);
	s->end[s->at + 1] = s->end[s->at] + n;
	s->next[++s->at] = 0;
	return true;
}

/* ---- ring ------------------------------------------------------------------ */

#define RING_MAX 16u

/* A ring and what it must hold. */
struct pair {
	struct ring	ring;
	unsigned char	memory[RING_MAX];
	unsigned char	held[RING_MAX];
	size_t		n;
};

static void
pair_set(struct pair *x, size_t size, size_t off, size_t n)
{
	size_t i;

	ring_init(&x->ring, size);
	ring_lend(&x->ring, x->memory);
	x->ring.off = off;
	x->ring.len = n;
	x->n = n;
	memset(x->memory, 0, sizeof x->memory);
	for (i = 0; i < n; i++)
		x->memory[(off + i) % size] = x->held[i] =
		    (unsigned char)(i + 1);
}

/* The bytes of the parts, one by one, must be these places of the memory. */
static bool
parts_are(const struct pair *x, const struct part *part, int parts,
    size_t from, size_t n)
{
	size_t i, k = 0;
	int p;

	for (p = 0; p < parts; p++) {
		if (part[p].n == 0)
			return false;
		for (i = 0; i < part[p].n; i++, k++)
			if (k == n || part[p].p + i != x->memory +
			    (from + k) % x->ring.size)
				return false;
	}
	return k == n;
}

static const char *
pair_differs(const struct pair *x)
{
	const struct ring *r = &x->ring;
	struct part part[2];
	size_t i;
	int parts;

	if (ring_used(r) != x->n || ring_space(r) != r->size - x->n)
		return "used or space";
	if (r->base != x->memory || r->off >= r->size || r->len != x->n)
		return "the state is none";
	parts = ring_out(r, part);
	if (!parts_are(x, part, parts, r->off, x->n))
		return "what is held is not shown";
	parts = ring_in(r, part);
	if (!parts_are(x, part, parts, r->off + x->n, r->size - x->n))
		return "what is free is not shown";
	for (i = 0; i < x->n; i++)
		if (x->memory[(r->off + i) % r->size] != x->held[i])
			return "a byte changed";
	return NULL;
}

static void
pair_in(struct pair *x, size_t n, unsigned char first)
{
	struct part part[2];
	int parts = ring_in(&x->ring, part), p;
	size_t i, k = 0;

	for (p = 0; p < parts; p++)
		for (i = 0; i < part[p].n && k < n; i++, k++)
			part[p].p[i] = x->held[x->n++] =
			    (unsigned char)(first + k);
	ring_in_ack(&x->ring, n);
}

static void
pair_out(struct pair *x, size_t n)
{
	ring_out_ack(&x->ring, n);
	x->n -= n;
	memmove(x->held, x->held + n, x->n);
}

/* From this state: any amount out, in, and out again. */
static const char *
ring_steps(size_t size, size_t off, size_t n)
{
	struct pair x, y, z;
	const char *why;
	size_t out, in, again;

	for (out = 0; out <= n; out++) {
		pair_set(&x, size, off, n);
		pair_out(&x, out);
		if ((why = pair_differs(&x)) != NULL)
			return why;
		for (in = 0; in <= size - x.n; in++) {
			y = x;
			y.ring.base = y.memory;
			pair_in(&y, in, 0x40);
			if ((why = pair_differs(&y)) != NULL)
				return why;
			for (again = 0; again <= y.n; again++) {
				z = y;
				z.ring.base = z.memory;
				pair_out(&z, again);
				if ((why = pair_differs(&z)) != NULL)
					return why;
			}
		}
	}
	return NULL;
}

START_TEST(every_state_of_a_ring_takes_every_step)
{
	size_t size = (size_t)1 << _i, off, n;
	struct pair x;
	const char *why;

	for (off = 0; off < size; off++)
		for (n = 0; n <= size; n++) {
			pair_set(&x, size, off, n);
			why = pair_differs(&x);
			if (why == NULL)
				why = ring_steps(size, off, n);
			if (why != NULL)
				ck_abort_msg("size %zu off %zu len %zu: %s",
				    size, off, n, why);
			ck_assert_ptr_eq(ring_reclaim(&x.ring), x.memory);
			ck_assert_uint_eq(ring_space(&x.ring), size);
			ck_assert_ptr_null(x.ring.base);
			ring_lend(&x.ring, x.memory);
			x.n = 0;
			ck_assert_ptr_null(pair_differs(&x));
		}
}
END_TEST

/* ---- request heads --------------------------------------------------------- */

/* What arrived so far, and what was said of it. */
struct arrival {
	struct request	rq;
	int		verdict;
};

static int
parse(const char *p, size_t n, size_t limit, struct request *rq)
{
	memset(rq, 0, sizeof *rq);
	return http_parse_request(p, n, limit, rq);
}

/* The bytes p[from..n) arrive one by one; each prefix that is not decided is
 * also read as if it had come at once. */
static const char *
arrive(struct arrival *a, const char *p, size_t from, size_t n, size_t limit)
{
	struct request rq;
	size_t k;

	for (k = from + 1; k <= n && a->verdict == 0; k++) {
		a->verdict = http_parse_request(p, k, limit, &a->rq);
		if (parse(p, k, limit, &rq) != a->verdict)
			return "bit by bit is not as all at once";
		if (a->verdict > 0 && (size_t)a->verdict != k)
			return "a head does not end with its last byte";
	}
	return NULL;
}

/* All of it, read at once and read by recognise.h. */
static const char *
head_differs(const struct arrival *a, const char *p, size_t n, size_t limit)
{
	struct recognised second;
	struct request rq;
	int verdict = parse(p, n, limit, &rq);
	size_t length = recognise_request(p, n, limit, &second);

	if (verdict != a->verdict)
		return "what was decided does not stay";
	if ((verdict > 0 ? (size_t)verdict : 0) != length)
		return length > 0 ? "refused" : "accepted";
	if (verdict < 0 && rq.why == NULL)
		return "refused without a reason";
	if (verdict > 0 && (rq.minor != second.minor ||
	    !recognise_same_target(&rq.target, &second.target)))
		return "another target";
	return NULL;
}

/* All heads that begin with `front` and go on with up to `deep` words.
 * Returns how many were accepted. */
static unsigned
try_heads(const char *front, const char *const *word, unsigned words,
    unsigned deep, size_t limit)
{
	static struct sequence s;
	static struct arrival arrival[DEPTH_MAX + 1];
	struct arrival *a = arrival;
	size_t begin = strlen(front), n;
	const char *why;
	unsigned accepted = 0;

	sequence_begin(&s, word, words, deep);
	memcpy(s.text, front, begin);
	s.end[0] = begin;
	memset(a, 0, sizeof *a);
	why = arrive(a, s.text, 0, begin, limit);
	if (why != NULL)
		fail_text(why, s.text, begin);
	while (sequence_next(&s)) {
		a = &arrival[s.at];
		n = s.end[s.at];
		a->verdict = a[-1].verdict;
		if (a->verdict == 0) {
			a->rq = a[-1].rq;
			why = arrive(a, s.text, s.end[s.at - 1], n, limit);
		}
		if (why == NULL)
			why = head_differs(a, s.text, n, limit);
		if (why != NULL)
			fail_text(why, s.text, n);
		accepted += a->verdict > 0;
	}
	return accepted;
}

START_TEST(every_head_of_seven_words)
{
	static const char *const word[] = { "CONNECT", " ", "a:1", "HTTP/1.0",
	    "\r\n", "\n", "\r", "Host:a", ":", "X" };

	ck_assert_uint_ge(try_heads("", word, COUNT(word), depth(7, 5),
	    HEAD_MAX), depth(1, 0));
}
END_TEST

START_TEST(every_head_of_five_words_at_every_small_limit)
{
	static const char *const word[] = { "CONNECT", " ", "a:1",
	    "HTTP/1.0\r\n", "\r\n", "X" };
	size_t limit;

	for (limit = 1; limit <= 30; limit++)
		(void)try_heads("", word, COUNT(word), depth(5, 4), limit);
}
END_TEST

START_TEST(every_request_line_of_six_words)
{
	static const char *const word[] = { "a", "1", ":", ".", "[::1]",
	    " HTTP/1.0", " ", "\r\n", "\r" };

	ck_assert_uint_gt(try_heads("CONNECT ", word, COUNT(word), 6,
	    HEAD_MAX), 0);
}
END_TEST

START_TEST(all_fields_of_six_words)
{
	static const char *const word[] = { "Host:", "Content-Length:",
	    "Transfer-Encoding:", "a", "0", " ", "\t", ":", "\r\n",
	    "[::1]", "%41" };

	ck_assert_uint_gt(try_heads("CONNECT a:1 HTTP/1.1\r\n", word,
	    COUNT(word), depth(6, 4), HEAD_MAX), 0);
	ck_assert_uint_gt(try_heads("CONNECT a:1 HTTP/1.0\r\n", word,
	    COUNT(word), depth(5, 4), HEAD_MAX), 0);
}
END_TEST

static const char *const heads[] = {
	"CONNECT a.b:443 HTTP/1.1\r\nHost: a:1\r\n\r\n",
	"CONNECT [1::f]:80 HTTP/1.1\r\nX: y\r\nhost:[v1.a]\r\n\r\n",
	"\r\nCONNECT 1.2.3.4:443 HTTP/1.0\r\nContent-Length: 0\r\n\r\n",
	"CONNECT x.a-_b.:1 HTTP/1.9\r\nHost: a%2d\r\n\r\n+"
};

/* Every prefix, and all of it. */
static void
check_head(const char *p, size_t n)
{
	struct arrival a;
	const char *why;

	memset(&a, 0, sizeof a);
	why = arrive(&a, p, 0, n, HEAD_MAX);
	if (why == NULL)
		why = head_differs(&a, p, n, HEAD_MAX);
	if (why != NULL)
		fail_text(why, p, n);
}

START_TEST(a_head_in_which_one_byte_is_any_other)
{
	size_t n = strlen(heads[_i]), i;
	char text[TEXT_MAX];
	int c;

	for (i = 0; i < n; i++)
		for (c = 0; c < 256; c++) {
			memcpy(text, heads[_i], n);
			text[i] = (char)c;
			check_head(text, n);
			memmove(text + i + 1, heads[_i] + i, n - i);
			check_head(text, n + 1);
		}
	for (i = 0; i < n; i++) {
		memcpy(text, heads[_i], i);
		memcpy(text + i, heads[_i] + i + 1, n - i - 1);
		check_head(text, n - 1);
	}
}
END_TEST

START_TEST(a_head_in_which_two_bytes_are_others)
{
	static const char other[] = "\0\t\n\r :.0[%\x7f\x80";
	size_t n = strlen(heads[_i]), i, k, a, b;
	char text[TEXT_MAX];

	memcpy(text, heads[_i], n);
	for (i = 0; i < n; i += depth(1, 3))
		for (k = i + 1; k < n; k += depth(1, 3)) {
			for (a = 0; a < sizeof other - 1; a++)
				for (b = 0; b < sizeof other - 1; b++) {
					text[i] = other[a];
					text[k] = other[b];
					check_head(text, n);
				}
			text[i] = heads[_i][i];
			text[k] = heads[_i][k];
		}
}
END_TEST

/* The decision of p[0..k) without a limit, and the byte that made it. */
static int
unlimited(const char *p, size_t n, size_t *at)
{
	struct request rq;
	int verdict = 0;

	for (*at = 0; *at < n && verdict == 0; ++*at)
		verdict = parse(p, *at + 1, HEAD_MAX, &rq);
	return verdict;
}

START_TEST(a_limit_counts_only_for_a_head_that_reaches_it)
{
	const char *p = heads[_i];
	struct request rq;
	size_t n = strlen(p), at, limit, k;
	int free_verdict = unlimited(p, n, &at), rc;

	for (limit = 1; limit <= n; limit++)
		for (k = 0; k <= n; k++) {
			rc = parse(p, k, limit, &rq);
			if (k >= at && at <= limit)
				ck_assert_int_eq(rc, free_verdict);
			else if (k < limit)
				ck_assert_int_eq(rc, 0);
			else if (limit > (size_t)(strstr(p, "HTTP/") + 10 - p))
				ck_assert_int_eq(rc, -431);
			else
				ck_assert_int_lt(rc, 0);
		}
}
END_TEST

START_TEST(every_authority_of_six_words)
{
	static const char *const word[] = { "a", "1", ".", ":", "[", "]",
	    "::", "0", "-", "65535", "0x" };
	static struct sequence s;
	struct target t, second;
	unsigned accepted = 0;
	bool ok;

	sequence_begin(&s, word, COUNT(word), depth(6, 4));
	while (sequence_next(&s)) {
		ok = http_parse_authority(s.text, s.end[s.at], &t) == NULL;
		if (ok != recognise_authority(s.text, s.end[s.at], &second))
			fail_text(ok ? "accepted" : "refused", s.text,
			    s.end[s.at]);
		if (ok && !recognise_same_target(&t, &second))
			fail_text("another target", s.text, s.end[s.at]);
		accepted += ok;
	}
	ck_assert_uint_gt(accepted, 0);
}
END_TEST

/* ---- names ----------------------------------------------------------------- */

START_TEST(every_name_of_seven_letters)
{
	static const char *const letter[] = { "a", "G", "0", "x", "X", "-",
	    ".", "!" };
	static struct sequence s;
	struct reading all;

	sequence_begin(&s, letter, COUNT(letter), depth(7, 5));
	ck_assert(!dns_name_ok("", 0));
	while (sequence_next(&s)) {
		all.p = s.text;
		all.n = s.end[s.at];
		if (dns_name_ok(all.p, all.n) != recognise_name(all))
			fail_text("name or not", all.p, all.n);
	}
}
END_TEST

START_TEST(every_byte_in_a_name)
{
	char text[4] = "a?b";
	struct reading all = { text, 3 };
	int c;

	for (c = 0; c < 256; c++) {
		text[1] = (char)c;
		ck_assert_int_eq(dns_name_ok(text, 3), recognise_name(all));
	}
}
END_TEST

/* Five labels, each of one of these lengths, dot or no dot behind them. */
START_TEST(long_names_and_long_labels)
{
	static const char *const last[] = { "a", ".", "1", "0x1" };
	static const size_t length[] = { 1, 13, 59, 60, 61, 62, 63, 64 };
	char text[TEXT_MAX];
	struct reading all = { text, 0 };
	unsigned choice, left, i, k;

	for (choice = 0; choice < 8 * 8 * 8 * 8 * 8; choice++) {
		all.n = 0;
		for (i = 0, left = choice; i < 5; i++, left /= 8) {
			memset(text + all.n, i == 4 ? '0' : 'z',
			    length[left % 8]);
			all.n += length[left % 8];
			text[all.n++] = '.';
		}
		all.n--;
		for (k = 0; k < COUNT(last); k++) {
			memcpy(text + all.n, last[k], strlen(last[k]));
			all.n += strlen(last[k]);
			ck_assert_int_eq(dns_name_ok(text, all.n),
			    recognise_name(all));
			all.n -= strlen(last[k]);
		}
	}
}
END_TEST

#define SHORT_MAX 7u

/* A name, as it is written and in lower case without a trailing dot. */
struct short_name {
	char		text[SHORT_MAX + 1], plain[SHORT_MAX + 1];
	size_t		n;
};

static struct short_name short_names[2000];

/* All names of up to `deep` letters out of a, A, b and dots. */
static unsigned
make_short_names(unsigned deep)
{
	static const char *const letter[] = { "a", "A", "b", "." };
	static struct sequence s;
	struct short_name *x = short_names;
	struct reading all = { s.text, 0 };
	size_t i;

	sequence_begin(&s, letter, COUNT(letter), deep);
	while (sequence_next(&s)) {
		all.n = s.end[s.at];
		if (!recognise_name(all))
			continue;
		ck_assert(x < short_names + COUNT(short_names));
		memset(x, 0, sizeof *x);
		memcpy(x->text, s.text, all.n);
		x->n = all.n;
		for (i = 0; i < all.n; i++)
			x->plain[i] = recognise_lower(s.text[i]);
		if (x->plain[all.n - 1] == '.')
			x->plain[all.n - 1] = '\0';
		x++;
	}
	return (unsigned)(x - short_names);
}

static bool
plain_below(const char *name, const char *zone)
{
	char end[SHORT_MAX + 2] = ".";
	size_t n = strlen(name), m = strlen(zone) + 1;

	(void)strcat(end, zone);
	return n > m && strcmp(name + n - m, end) == 0;
}

START_TEST(every_two_short_names)
{
	unsigned n = make_short_names(depth(5, 4)), i, k;
	const struct short_name *a, *b;

	for (i = 0; i < n; i++)
		for (k = 0; k < n; k++) {
			a = &short_names[i];
			b = &short_names[k];
			if (dns_name_equal(a->text, a->n, b->text, b->n) !=
			    (strcmp(a->plain, b->plain) == 0))
				ck_abort_msg("equal? %s %s", a->text, b->text);
			if (dns_name_below(a->text, a->n, b->text, b->n) !=
			    plain_below(a->plain, b->plain))
				ck_abort_msg("below? %s %s", a->text, b->text);
		}
}
END_TEST

/* The last label tells. */
START_TEST(special_names_of_four_labels)
{
	static const char *const label[] = { "localhost.", "lOcAlHoSt.",
	    "onion.", "invalid.", "INVALID.", "a.", "xonion.", "onio.",
	    "localhost-." };
	static const enum dns_special special[] = { DNS_LOCALHOST,
	    DNS_LOCALHOST, DNS_NEVER, DNS_NEVER, DNS_NEVER, DNS_ORDINARY,
	    DNS_ORDINARY, DNS_ORDINARY, DNS_ORDINARY };
	static struct sequence s;
	enum dns_special wanted;
	size_t n;

	sequence_begin(&s, label, COUNT(label), 4);
	while (sequence_next(&s)) {
		n = s.end[s.at];
		wanted = special[s.next[s.at - 1] - 1];
		if (dns_name_special(s.text, n) != wanted ||
		    dns_name_special(s.text, n - 1) != wanted)
			fail_text("special or not", s.text, n);
	}
}
END_TEST

/* ---- answers of name servers ----------------------------------------------- */

/* They are made of pieces that are written once: an assertion of Check is a
 * system call, and there are millions of messages. */
#define ANSWER_MAX 512u

static struct dns_question question;
static struct dns_answer answer;
static struct message opening;		/* header and question */
static unsigned char text_of_answer[ANSWER_MAX];
static size_t answer_len;

static void
append(const void *p, size_t n)
{
	if (answer_len + n > sizeof text_of_answer)
		ck_abort_msg("no room for the answer");
	memcpy(text_of_answer + answer_len, p, n);
	answer_len += n;
}

static void
begin_small(unsigned answers, unsigned authority, unsigned additional)
{
	answer_len = 0;
	append(opening.p, opening.n);
	text_of_answer[7] = (unsigned char)answers;
	text_of_answer[9] = (unsigned char)authority;
	text_of_answer[11] = (unsigned char)additional;
}

/* From memory of its own size; both decoders must say the same. */
static enum dns_outcome
decode_small(void)
{
	unsigned char *p = malloc(answer_len);
	struct dns_answer other;
	enum dns_outcome fast, slow;

	if (p == NULL)
		ck_abort_msg("out of memory");
	memcpy(p, text_of_answer, answer_len);
	fast = dns_decode(p, answer_len, &question, &answer);
	slow = slow_decode(p, answer_len, &question, &other);
	free(p);
	if (!slow_agrees(fast, &answer, slow, &other))
		fail_text("what it says", (const char *)text_of_answer,
		    answer_len);
	return fast;
}

#define TYPE_AND_ADDRESS "\0\1\0\1\0\0\0\x09\0\4\xc0\0\2\1"

/* The owner of an address. */
static enum dns_outcome
decode_owner(const char *name, size_t n)
{
	begin_small(1, 0, 0);
	append(name, n);
	append(TYPE_AND_ADDRESS, sizeof TYPE_AND_ADDRESS - 1);
	return decode_small();
}

/* The data of a link from the question; an address of that name follows. */
static enum dns_outcome
decode_target(const char *name, size_t n)
{
	unsigned char to_data[2] = { 0xc0, 0 }, length = (unsigned char)n;

	begin_small(2, 0, 0);
	append("\xc0\x0c\0\5\0\1\0\0\0\x3c\0", 11);
	append(&length, 1);
	to_data[1] = (unsigned char)answer_len;
	append(name, n);
	append(to_data, sizeof to_data);
	append(TYPE_AND_ADDRESS, sizeof TYPE_AND_ADDRESS - 1);
	return decode_small();
}

/* Nothing but this where a record should be: too little for one. */
static enum dns_outcome
decode_tail(const char *name, size_t n)
{
	begin_small(1, 0, 0);
	append(name, n);
	return decode_small();
}

/* The question's name "b.a" is at 12, so there are pointers to it, into it, to
 * the header and forward. */
START_TEST(every_name_of_seven_bytes_in_an_answer)
{
	static const unsigned char byte[] = { 0, 1, 2, 'a', 'B', 12, 14, 0xc0 };
	static const char *const index[] = { "0", "1", "2", "3", "4", "5", "6",
	    "7" };
	static struct sequence s;
	unsigned found = 0, led = 0;
	char name[DEPTH_MAX];
	size_t n, i;

	set_question(&question, "b.a", DNS_A);
	begin_answer(&opening, &question, GOOD_FLAGS);
	sequence_begin(&s, index, COUNT(index), depth(7, 5));
	while (sequence_next(&s)) {
		n = s.end[s.at];
		for (i = 0; i < n; i++)
			name[i] = (char)byte[s.text[i] - '0'];
		if (decode_tail(name, n) != DNS_FAILED)
			fail_text("a record of seven bytes", name, n);
		found += decode_owner(name, n) == DNS_FOUND;
		led += decode_target(name, n) == DNS_FOUND;
	}
	/* In full, by a pointer, and by a label and a pointer. */
	ck_assert_uint_eq(found, 3);
	ck_assert_uint_gt(led, 10);
}
END_TEST

/* Each address says in its last byte whose it is. */
#define PIECES 11u
static struct message piece[PIECES];

static void
make_pieces(void)
{
	static const char *const link[][2] = { { "a", "b" }, { "B", "c" },
	    { "b", "d" }, { "c", "A" }, { "d", "d" } };
	static const char *const address[][2] = { { "a", "192.0.2.97" },
	    { "b", "192.0.2.98" }, { "C", "192.0.2.99" },
	    { "d", "192.0.2.100" } };
	unsigned i;

	for (i = 0; i < 5; i++)
		put_cname(&piece[i], link[i][0], 10 + i, link[i][1]);
	for (i = 0; i < 4; i++)
		put_addr(&piece[5 + i], address[i][0], 12 + i, address[i][1]);
	put_soa(&piece[9], 60, 11);
	put_record(&piece[10], "", TYPE_OPT, 0x01000000, 0);
}

/* Is it an answer's address, and of the end of the chain? */
static void
check_found(const struct sequence *s, unsigned answers)
{
	char end = answer.end[0];
	unsigned i, k;

	for (i = 0; i < answer.list.n; i++) {
		for (k = 0; k < answers && s->text[k] != end - 'a' + '5'; k++)
			;
		if (k == answers || answer.list.addr[i].ip[3] != end)
			fail_text("an address of another", s->text, s->at);
	}
}

static void
check_pieces(const struct sequence *s, unsigned long *found)
{
	unsigned answers, authority, i;
	const struct message *m;

	for (answers = 0; answers <= s->at; answers++)
		for (authority = 0; authority + answers <= s->at; authority++) {
			begin_small(answers, authority, s->at - answers -
			    authority);
			for (i = 0; i < s->at; i++) {
				m = &piece[s->text[i] - '0'];
				append(m->p + 12, m->n - 12);
			}
			if (decode_small() == DNS_FOUND)
				check_found(s, answers);
			found[answer.links] += answer.list.n > 0;
		}
}

/* In any order and any section. */
START_TEST(every_answer_of_five_records)
{
	static const char *const index[PIECES] = { "0", "1", "2", "3", "4",
	    "5", "6", "7", "8", "9", ":" };
	static struct sequence s;
	unsigned long found[DNS_LINKS_MAX + 1] = { 0 };
	unsigned i;

	for (i = 0; i < PIECES; i++)
		piece[i].n = 12;
	make_pieces();
	set_question(&question, "a", DNS_A);
	begin_answer(&opening, &question, GOOD_FLAGS | (_i == 0 ? 0 : 3));
	sequence_begin(&s, index, PIECES, depth(5, 3));
	while (sequence_next(&s))
		check_pieces(&s, found);
	ck_assert_int_eq(found[0] > 0, _i == 0);
	ck_assert_int_eq(found[1] > 0, _i == 0);
	ck_assert_int_eq(found[2] > 0, _i == 0);
	ck_assert_uint_eq(found[3], 0);
}
END_TEST

/* ---- addresses ------------------------------------------------------------- */

static void
check_address(const char *p, size_t n)
{
	struct reading all = { p, n };
	struct addr a, wanted, again;
	char text[ADDR_TEXT_MAX];
	bool ok = addr_parse(p, n, &a);

	if (ok != recognise_addr(all, &wanted))
		fail_text("address or not", p, n);
	if (!ok)
		return;
	if (memcmp(&a, &wanted, sizeof a) != 0)
		fail_text("another address", p, n);
	(void)addr_format(&a, false, text);
	if (!addr_parse(text, strlen(text), &again) ||
	    memcmp(&a, &again, sizeof a) != 0)
		fail_text("printed as another address", p, n);
	if (addr_class(&a) != judge_class(&a))
		fail_text("another class", p, n);
}

static void
try_addresses(const char *const *word, unsigned words, unsigned deep)
{
	static struct sequence s;

	sequence_begin(&s, word, words, deep);
	while (sequence_next(&s))
		check_address(s.text, s.end[s.at]);
}

START_TEST(every_address_of_eight_letters)
{
	static const char *const letter[] = { "1", "0", "f", ":", "." };

	try_addresses(letter, COUNT(letter), depth(8, 6));
}
END_TEST

START_TEST(every_address_of_nine_words)
{
	static const char *const word[] = { "1:", ":", "ffff", "1.2.3.4" };
	static const char *const quad[] = { "0.", "1.", "00", "255", "256",
	    ".", "25" };

	try_addresses(word, COUNT(word), depth(9, 7));
	try_addresses(quad, COUNT(quad), depth(7, 5));
}
END_TEST

/* The last group of four, three times, to see all zeros and ones. */
START_TEST(every_address_of_eight_groups_of_zero_or_one)
{
	char text[ADDR_TEXT_MAX], out[ADDR_TEXT_MAX], wanted[64];
	struct addr a;
	unsigned bits;
	int n;

	for (bits = 0; bits < 256; bits++) {
		n = snprintf(text, sizeof text, "%x:%x:%x:%x:%x:%x:%x:%x",
		    bits >> 7 & 1, bits >> 6 & 1, bits >> 5 & 1, bits >> 4 & 1,
		    bits >> 3 & 1, bits >> 2 & 1, bits >> 1 & 1, bits & 1);
		ck_assert(addr_parse(text, (size_t)n, &a));
		(void)inet_ntop(AF_INET6, a.ip, wanted, sizeof wanted);
		/* inet_ntop takes ::1:0 for ::0.1.0.0. */
		if (bits >> 1 == 1)
			(void)snprintf(wanted, sizeof wanted, "::1:%x",
			    bits & 1);
		ck_assert_str_eq(addr_format(&a, false, out), wanted);
	}
}
END_TEST

/* The next address, or the one before; there may be none. */
static struct addr
neighbour(struct addr a, bool up)
{
	int i;

	for (i = a.family == 4 ? 3 : 15; i >= 0; i--) {
		a.ip[i] = (uint8_t)(up ? a.ip[i] + 1 : a.ip[i] - 1);
		if (a.ip[i] != (up ? 0 : 255))
			break;
	}
	return a;
}

static void
check_class(const struct addr *a)
{
	char text[ADDR_TEXT_MAX];

	if (addr_class(a) != judge_class(a))
		ck_abort_msg("class of %s", addr_format(a, false, text));
}

/* The address, and if it is IPv4 every IPv6 address that carries it. */
static void
check_classes(const struct addr *a)
{
	static const char *const carrier[] = { "::", "::ffff:0:0",
	    "::ffff:0:0:0", "64:ff9b::", "64:ff9b:1::", "2002::",
	    "2002:a00:1::", "2001::", "2001:0:808:808::", "2001:1::",
	    "2600::" };
	static const int place[] = { 2, 4, 12 };
	struct addr six;
	unsigned i, k, n;

	check_class(a);
	for (i = 0; a->family == 4 && i < COUNT(carrier); i++)
		for (k = 0; k < COUNT(place); k++) {
			six = judge_addr(carrier[i]);
			memcpy(six.ip + place[k], a->ip, 4);
			check_class(&six);
			for (n = 12; n < 16; n++)
				six.ip[n] = (uint8_t)~six.ip[n];
			check_class(&six);
		}
}

/* First, last, the one before and the one behind. */
START_TEST(the_ends_of_every_prefix_that_has_a_class)
{
	struct addr first = judge_addr(judge_rows[_i].text), last = first, a;
	unsigned i;

	for (i = judge_rows[_i].bits; i < (first.family == 4 ? 32u : 128u);
	    i++)
		last.ip[i / 8] = (uint8_t)(last.ip[i / 8] | 0x80u >> i % 8);
	check_classes(&first);
	check_classes(&last);
	a = neighbour(first, false);
	check_classes(&a);
	a = neighbour(last, true);
	check_classes(&a);
}
END_TEST

/* Is p[0..n) "/" and a number up to `most`, as it is printed? */
static bool
plain_bits(const char *p, size_t n, unsigned most, unsigned *bits)
{
	char text[8];

	for (*bits = 0; *bits <= most; ++*bits) {
		(void)snprintf(text, sizeof text, "/%u", *bits);
		if (strlen(text) == n && memcmp(text, p, n) == 0)
			return true;
	}
	return false;
}

static bool
plain_cidr(const char *p, size_t slash, size_t n, struct addr *a)
{
	struct reading front = { p, slash };
	unsigned bits, i;

	if (!recognise_addr(front, a) || !plain_bits(p + slash, n - slash,
	    a->family == 4 ? 32 : 128, &bits))
		return false;
	a->bits = (uint8_t)bits;
	for (i = bits; i < 128; i++)
		if (judge_bit(a, i))
			return false;
	return true;
}

START_TEST(every_prefix_of_four_more_letters)
{
	static const char *const front[] = { "", "1", "0.0.0.0", "10.0.0.0",
	    "10.0.0.1", "128.0.0.0", "255.255.255.255", "::", "::1", "8000::",
	    "2001:db8::", "::ffff:10.0.0.0", "10.0.0.0/" };
	static const char *const letter[] = { "0", "1", "2", "3", "8", "9",
	    "/", "-" };
	static struct sequence s;
	struct addr a, wanted;
	size_t begin = strlen(front[_i]);
	bool ok;

	sequence_begin(&s, letter, COUNT(letter), 4);
	memcpy(s.text, front[_i], begin);
	s.text[begin] = '/';
	s.end[0] = begin + 1;
	do {
		ok = addr_parse_cidr(s.text, s.end[s.at], &a);
		if (ok != plain_cidr(s.text, begin, s.end[s.at], &wanted))
			fail_text("prefix or not", s.text, s.end[s.at]);
		if (ok && memcmp(&a, &wanted, sizeof a) != 0)
			fail_text("another prefix", s.text, s.end[s.at]);
	} while (sequence_next(&s));
}
END_TEST

/* ---- rules ----------------------------------------------------------------- */

#define RULES_MAX	256u
#define ASKS_MAX	48u
#define WORDS_MAX	2u

static const char *const froms[] = { "", "loopback", "private", "10.0.0.0/8",
    "any" };
static const char *const tos[] = { "", "any", "public", "private", "loopback",
    "10.0.0.0/8", "64:ff9b::/96", "2002::/16", "a.b", ".b", "*.b",
    "a.b 10.0.0.0/8", "public private", "*.b loopback", "a.b 2002::/16",
    "linklocal" };
static const struct port_range https = { 443, 443 };
static const struct port_range low[2] = { { 1, 79 }, { 81, 442 } };

static const char *const clients[] = { "127.0.0.1", "10.0.0.1", "8.8.8.8",
    "64:ff9b::a00:1" };
static const uint16_t ports[] = { 443, 80, 81 };
static const char *const names[] = { "", "a.b", "x.A.b", "B.", "xa.b" };
/* The first one: not known. */
static const char *const addresses[] = { "", "8.8.8.8", "10.0.0.1",
    "127.0.0.1", "169.254.1.1", "0.0.0.0", "2600::1", "fc00::1", "::1", "::",
    "fe80::1", "64:ff9b::8.8.8.8", "64:ff9b::10.0.0.1",
    "64:ff9b::127.0.0.1", "2002:808:808::1", "2002:a00:1::",
    "::ffff:10.0.0.1", "2001:0:808:808:0:0:f5ff:fffe", "::8.8.8.8" };

/* A question but for the address. */
struct ask {
	struct addr	client;
	uint16_t	port;
	const char	*name;
};

/* What the second judge says of one rule and one question, whatever stands
 * beside it. */
struct opinion {
	unsigned char	from, port;
	unsigned char	match[COUNT(addresses)];
};

static struct {
	struct rule	rule[RULES_MAX];
	struct matcher	from[RULES_MAX], to[RULES_MAX][WORDS_MAX];
	struct ask	ask[ASKS_MAX];
	unsigned	rules, asks;
	struct addr	address[COUNT(addresses)];
	unsigned	classes[COUNT(addresses)];
	struct opinion	opinion[RULES_MAX][ASKS_MAX];
} world;

static void
make_net(const char *word, struct matcher *m)
{
	char text[64];
	size_t n = strcspn(word, "/");

	memcpy(text, word, n);
	text[n] = '\0';
	m->kind = MATCH_NET;
	m->net = judge_addr(text);
	m->net.bits = (uint8_t)strtoul(word + n + 1, NULL, 10);
}

/* One word, up to a blank. */
static void
make_matcher(const char *word, struct matcher *m)
{
	size_t n = strcspn(word, " ");

	memset(m, 0, sizeof *m);
	m->kind = MATCH_CLASS;
	if (memchr(word, '/', n) != NULL)
		make_net(word, m);
	else if (strncmp(word, "any", n) == 0)
		m->kind = MATCH_ANY;
	else if (strncmp(word, "public", n) == 0)
		m->kind = MATCH_PUBLIC;
	else if (strncmp(word, "private", n) == 0)
		m->classes = CLASS_PRIVATE;
	else if (strncmp(word, "loopback", n) == 0)
		m->classes = CLASS_LOOPBACK;
	else if (strncmp(word, "linklocal", n) == 0)
		m->classes = CLASS_LINKLOCAL;
	else {
		m->kind = word[0] == '*' ? MATCH_NAME_BELOW :
		    word[0] == '.' ? MATCH_NAME_TREE : MATCH_NAME;
		m->name = word + strspn(word, "*.");
		m->name_len = n - strspn(word, "*.");
	}
}

static void
add_rule(bool allow, const char *from, const char *to, unsigned port)
{
	struct rule *r = &world.rule[world.rules];
	const char *second = strchr(to, ' ');

	ck_assert_uint_lt(world.rules, RULES_MAX);
	memset(r, 0, sizeof *r);
	r->allow = allow;
	r->from = &world.from[world.rules];
	r->to = world.to[world.rules];
	if (from[0] != '\0')
		make_matcher(from, &world.from[world.rules]);
	r->froms = from[0] != '\0';
	if (to[0] != '\0')
		make_matcher(to, &world.to[world.rules][0]);
	if (second != NULL)
		make_matcher(second + 1, &world.to[world.rules][1]);
	r->tos = to[0] == '\0' ? 0 : second == NULL ? 1 : 2;
	r->port = port == 1 ? &https : low;
	r->ports = port;
	world.rules++;
}

static void
add_ask(const char *client, uint16_t port, const char *name)
{
	struct ask *a = &world.ask[world.asks++];

	ck_assert_uint_le(world.asks, ASKS_MAX);
	a->client = judge_addr(client);
	a->port = port;
	a->name = name;
}

static void
make_facts(const struct ask *a, unsigned address, struct facts *q)
{
	memset(q, 0, sizeof *q);
	q->client = &a->client;
	q->port = a->port;
	q->name = a->name;
	q->name_len = strlen(a->name);
	q->address = address == 0 ? NULL : &world.address[address];
}

static void
make_opinions(void)
{
	struct opinion *o;
	struct facts q;
	unsigned i, k, n;

	for (n = 1; n < COUNT(addresses); n++) {
		world.address[n] = judge_addr(addresses[n]);
		world.classes[n] = judge_class(&world.address[n]);
	}
	for (i = 0; i < world.rules; i++)
		for (k = 0; k < world.asks; k++) {
			o = &world.opinion[i][k];
			make_facts(&world.ask[k], 0, &q);
			o->from = judge_from(&world.rule[i], &q);
			o->port = judge_port(&world.rule[i], &q);
			for (n = 0; n < COUNT(addresses); n++) {
				make_facts(&world.ask[k], n, &q);
				o->match[n] = (unsigned char)judge_rule(
				    &world.rule[i], &q);
			}
		}
}

/* The first of these rules that matches decides. */
static void
compose(const struct rule *list, const unsigned *chosen, unsigned rules,
    unsigned ask, unsigned address, struct verdict *v)
{
	const struct opinion *o;
	unsigned i, client = 0, port = 0;

	memset(v, 0, sizeof *v);
	v->classes = world.classes[address];
	for (i = 0; i < rules; i++) {
		o = &world.opinion[chosen[i]][ask];
		/* What it may deny need not be known if nothing allows. */
		if (o->match[address] != JUDGE_NO &&
		    (o->match[address] != JUDGE_MAYBE || list[i].allow)) {
			v->rule = &list[i];
			v->action = o->match[address] == JUDGE_MAYBE ?
			    RESOLVE : list[i].allow ? ALLOW : DENY;
			v->denial = DENIED_BY_RULE;
			return;
		}
		if (list[i].allow && o->from) {
			client++;
			port += o->port;
		}
	}
	v->action = DENY;
	v->denial = client == 0 ? DENIED_CLIENT : port == 0 ? DENIED_PORT :
	    (v->classes & CLASS_SPECIAL) != 0 ? DENIED_SPECIAL : DENIED_TARGET;
}

/* What is said before the address is known holds for every address. */
static bool
foretells(const struct verdict *before, const struct verdict *v)
{
	if (v->action == RESOLVE || before->action == ALLOW)
		return false;
	if (before->action == DENY)
		return v->action == DENY && (v->rule == before->rule ||
		    (v->rule != NULL && !v->rule->allow &&
		    (before->rule == NULL || v->rule < before->rule)));
	return v->rule == NULL || v->rule >= before->rule || !v->rule->allow;
}

static void
fail_rules(const char *why, const unsigned *chosen, unsigned rules,
    unsigned ask, unsigned address)
{
	const struct ask *a = &world.ask[ask];
	char text[ADDR_TEXT_MAX];

	ck_abort_msg("%s: %u rules %u %u %u client %s name '%s' port %u "
	    "address '%s'", why, rules, chosen[0], chosen[1], chosen[2],
	    addr_format(&a->client, false, text), a->name, a->port,
	    addresses[address]);
}

/* These rules, and every question. */
static void
check_rules(const unsigned *chosen, unsigned rules)
{
	struct rule list[3];
	struct verdict v, wanted, before;
	struct facts q;
	unsigned i, n;

	memset(&before, 0, sizeof before);
	for (i = 0; i < rules; i++)
		list[i] = world.rule[chosen[i]];
	for (i = 0; i < world.asks; i++)
		for (n = 0; n < COUNT(addresses); n++) {
			if (n == 0 && world.ask[i].name[0] == '\0')
				continue;
			make_facts(&world.ask[i], n, &q);
			policy_decide(list, rules, &q, &v);
			compose(list, chosen, rules, i, n, &wanted);
			if (!judge_same(&v, &wanted))
				fail_rules("another verdict", chosen, rules,
				    i, n);
			if (n == 0)
				before = v;
			else if (world.ask[i].name[0] != '\0' &&
			    !foretells(&before, &v))
				fail_rules("not as foretold", chosen, rules,
				    i, n);
		}
}

static void
make_world(unsigned from_words, unsigned to_words, unsigned port_words,
    unsigned client_words, unsigned port_numbers, unsigned name_words)
{
	unsigned i, k, n;

	memset(&world, 0, sizeof world);
	for (i = 0; i < from_words; i++)
		for (k = 0; k < to_words; k++)
			for (n = 0; n < port_words; n++) {
				add_rule(true, froms[i], tos[k], n);
				add_rule(false, froms[i], tos[k], n);
			}
	for (i = 0; i < client_words; i++)
		for (k = 0; k < port_numbers; k++)
			for (n = 0; n < name_words; n++)
				add_ask(clients[i], ports[k], names[n]);
	make_opinions();
}

START_TEST(every_rule)
{
	unsigned chosen[3] = { 0, 0, 0 };

	make_world(5, 8, 3, 3, 3, 5);
	check_rules(chosen, 0);
	for (; chosen[0] < world.rules; chosen[0]++)
		check_rules(chosen, 1);
	make_world(2, COUNT(tos), 3, COUNT(clients), 2, 5);
	for (chosen[0] = 0; chosen[0] < world.rules; chosen[0]++)
		check_rules(chosen, 1);
}
END_TEST

START_TEST(every_two_rules)
{
	unsigned chosen[3] = { 0, 0, 0 };

	make_world(2, COUNT(tos), 2, 2, 1, 5);
	for (; chosen[0] < world.rules; chosen[0] += depth(1, 3))
		for (chosen[1] = 0; chosen[1] < world.rules; chosen[1]++)
			check_rules(chosen, 2);
}
END_TEST

START_TEST(every_three_rules)
{
	unsigned chosen[3];

	make_world(1, 11, 2, 1, 1, 2);
	for (chosen[0] = 0; chosen[0] < world.rules; chosen[0] += depth(1, 4))
		for (chosen[1] = 0; chosen[1] < world.rules; chosen[1]++)
			for (chosen[2] = 0; chosen[2] < world.rules;
			    chosen[2]++)
				check_rules(chosen, 3);
}
END_TEST

/* ---- all of it ------------------------------------------------------------- */

static TCase *
add_case(Suite *s, const char *name)
{
	TCase *tc = tcase_create(name);

	tcase_set_timeout(tc, 300);
	suite_add_tcase(s, tc);
	return tc;
}

static Suite *
small_suite(void)
{
	Suite *s = suite_create("small");
	TCase *tc = add_case(s, "ring");

	tcase_add_loop_test(tc, every_state_of_a_ring_takes_every_step, 0, 5);

	tc = add_case(s, "http");
	tcase_add_test(tc, every_head_of_seven_words);
	tcase_add_test(tc, every_head_of_five_words_at_every_small_limit);
	tcase_add_test(tc, every_request_line_of_six_words);
	tcase_add_test(tc, all_fields_of_six_words);
	tcase_add_loop_test(tc, a_head_in_which_one_byte_is_any_other, 0,
	    (int)COUNT(heads));
	tcase_add_loop_test(tc, a_head_in_which_two_bytes_are_others, 0,
	    (int)COUNT(heads));
	tcase_add_loop_test(tc, a_limit_counts_only_for_a_head_that_reaches_it,
	    0, (int)COUNT(heads));
	tcase_add_test(tc, every_authority_of_six_words);

	tc = add_case(s, "names");
	tcase_add_test(tc, every_name_of_seven_letters);
	tcase_add_test(tc, every_byte_in_a_name);
	tcase_add_test(tc, long_names_and_long_labels);
	tcase_add_test(tc, every_two_short_names);
	tcase_add_test(tc, special_names_of_four_labels);

	tc = add_case(s, "answers");
	tcase_add_test(tc, every_name_of_seven_bytes_in_an_answer);
	tcase_add_loop_test(tc, every_answer_of_five_records, 0, 2);

	tc = add_case(s, "addresses");
	tcase_add_test(tc, every_address_of_eight_letters);
	tcase_add_test(tc, every_address_of_nine_words);
	tcase_add_test(tc, every_address_of_eight_groups_of_zero_or_one);
	tcase_add_loop_test(tc, the_ends_of_every_prefix_that_has_a_class, 0,
	    (int)JUDGE_ROWS);
	tcase_add_loop_test(tc, every_prefix_of_four_more_letters, 0, 13);

	tc = add_case(s, "rules");
	tcase_add_test(tc, every_rule);
	tcase_add_test(tc, every_two_rules);
	tcase_add_test(tc, every_three_rules);
	return s;
}

int
main(void)
{
	SRunner *sr = srunner_create(small_suite());
	int failed;

	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
