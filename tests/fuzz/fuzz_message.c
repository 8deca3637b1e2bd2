/* SPDX-License-Identifier: ISC */
/*
 * fuzz_message.c - answers of name servers.
 *
 * The first byte picks the question, the rest is the message; its id and its
 * question are put right if the byte says so, or nothing would ever get
 * through.  A second decoder must agree; addresses come only from owners that
 * the question leads to, which is what that decoder knows; a changed id,
 * question or QR is never accepted; what we write we can read.
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

static void
check_names_of(const struct dns_answer *a)
{
	size_t at = 0, n;
	const char *p;

	while ((p = dns_names_next(&a->aliases, &at, &n)) != NULL)
		must(n > 0 && n <= NAME_MAX_LEN && dns_name_ok(p, n) &&
		    p[n - 1] != '.', "aliases are host names");
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

static void
check_question(const struct dns_question *q)
{
	unsigned char query[DNS_QUERY_MAX];
	struct dns_answer a;
	size_t n = dns_encode(q, true, query);

	must(n <= DNS_QUERY_MAX, "a query is not longer than promised");
	must(dns_decode(query, n, q, &a) == DNS_MISMATCH,
	    "a query is no answer");
	query[2] |= 0x80;
	must(dns_decode(query, n, q, &a) == DNS_NODATA && a.ttl == 0,
	    "what we write we can read");
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
	if (size < 8)
		check_question(&q);
	free(p);
	return 0;
}
