/* SPDX-License-Identifier: ISC */
/*
 * fuzz_message.c - answers of name servers.
 *
 * The first byte picks the question, the rest is the message; its id and its
 * question are put right unless the byte says so, or nothing would ever get
 * through.  A second decoder must agree; addresses come only from owners that
 * the question leads to, which is what that decoder knows; a changed id,
 * question or QR is never accepted.  The input is taken for a name, too: what
 * we write of it we can read.
 */
#include "fuzz.h"
#include "slow_dns.h"

static void
ask(struct dns_question *q, unsigned pick)
{
	static const char *const names[] = { "a", "a.b", "www.example.com",
	    "x_y.a-b.c1" };
	const char *name = names[pick / 2 % 4];

	memset(q, 0, sizeof *q);
	q->type = pick % 2 == 0 ? DNS_A : DNS_AAAA;
	q->id = 0x1234;
	q->name_len = (uint8_t)strlen(name);
	memcpy(q->name, name, q->name_len);
}

/* The header's first words and the question, as a good server sends them. */
static unsigned char *
put_right(const struct dns_question *q, const uint8_t *data, size_t n,
    size_t *size)
{
	unsigned char query[DNS_QUERY_MAX], *p;
	size_t front = dns_encode(q, false, query);

	query[2] = 0x81;
	query[3] = n > 0 ? data[0] & 0xf : 0;
	if (n >= 7)
		memcpy(query + 6, data + 1, 6);
	*size = front + (n >= 7 ? n - 7 : 0);
	p = room_for(*size);
	memcpy(p, query, front);
	if (n > 7)
		memcpy(p + front, data + 7, n - 7);
	return p;
}

/* Of letters, digits and such, in lower case, without the last dot. */
static void
check_name(const char *p, size_t n)
{
	size_t i;

	must(n > 0 && n <= NAME_MAX_LEN && p[0] != '.' && p[n - 1] != '.',
	    "a name has 1 to 253 bytes and no dot at its ends");
	for (i = 0; i < n; i++)
		must((p[i] >= 'a' && p[i] <= 'z') ||
		    (p[i] >= '0' && p[i] <= '9') || p[i] == '-' ||
		    p[i] == '_' || p[i] == '.', "a name has a-z 0-9 - _ .");
}

static void
check_names_of(const struct dns_answer *a)
{
	size_t at = 0, n;
	const char *p;

	check_name(a->end, a->end_len);
	while ((p = dns_names_next(&a->aliases, &at, &n)) != NULL)
		check_name(p, n);
}

/* Every bit of id, QR, opcode, count and question matters; here one of them,
 * which the message itself picks.  0x20 may be the case of a letter. */
static void
check_flip(unsigned char *p, size_t n, const struct dns_question *q)
{
	struct dns_answer a;
	size_t end = 12 + q->name_len + 2 + 4, i = n * 31 % end;
	unsigned bit = 1u << p[n - 1] % 8;

	if (i == 3 || (i >= 6 && i < 12) || (i == 2 && bit < 8) || bit == 0x20)
		return;
	p[i] = (unsigned char)(p[i] ^ bit);
	must(dns_decode(p, n, q, &a) <= DNS_WRONG_ID,
	    "a changed bit is not accepted");
}

/* Our own query, made an answer, says that there is nothing. */
static void
check_question(const struct dns_question *q, bool edns)
{
	unsigned char query[DNS_QUERY_MAX];
	struct dns_answer a;
	size_t n = dns_encode(q, edns, query);

	must(n == 18u + q->name_len + (edns ? 11 : 0) && n <= DNS_QUERY_MAX,
	    "a query has the length of its parts");
	must(dns_decode(query, n, q, &a) == DNS_MISMATCH,
	    "a query is no answer");
	query[2] |= 0x80;
	must(dns_decode(query, n, q, &a) == DNS_NODATA && a.ttl == 0,
	    "what we write we can read");
	must(a.end_len == q->name_len &&
	    memcmp(a.end, q->name, q->name_len) == 0, "it is the same name");
}

/* The input as the name of a question, if it is one. */
static void
check_as_name(const uint8_t *p, size_t n, struct dns_question *q)
{
	size_t i;

	if (!dns_name_ok((const char *)p, n))
		return;
	n -= p[n - 1] == '.';
	q->name_len = (uint8_t)n;
	for (i = 0; i < n; i++)
		q->name[i] = (char)(p[i] >= 'A' && p[i] <= 'Z' ?
		    p[i] + 0x20 : p[i]);
	check_question(q, n % 2 == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct dns_question q;
	struct dns_answer a, b;
	enum dns_outcome o, slow;
	unsigned pick = size > 0 ? data[0] : 0;
	unsigned char *p;
	size_t n = size > 0 ? size - 1 : 0;

	ask(&q, pick);
	p = pick & 0x80 ? (unsigned char *)copy_of(data + (size > 0), n) :
	    put_right(&q, data + (size > 0), n, &n);
	o = dns_decode(p, n, &q, &a);
	slow = slow_decode(p, n, &q, &b);
	must(slow_agrees(o, &a, slow, &b), "a second decoder agrees");
	if (o > DNS_TRUNCATED) {
		check_names_of(&a);
		check_flip(p, n, &q);
	}
	free(p);
	check_as_name(data + (size > 0), size - (size > 0), &q);
	return 0;
}
