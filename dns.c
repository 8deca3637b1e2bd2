/* SPDX-License-Identifier: ISC */
/*
 * dns.c - DNS syntax: names and messages.
 *
 * IMPLEMENTATION NOTES
 *
 * Names are text, compared in ASCII lower case; bytes above 0x7f are no
 * letters here, and no locale is asked (RFC 4343).  A trailing dot is the
 * absolute form of the same name, so every function drops one first.
 *
 * A message is read by places in it, with one check before every look.  The
 * first pass goes over all records and checks their lengths; it notes the
 * CNAMEs, of which there can only be a few, so their order does not matter.
 * The second takes the addresses of the name that the chain ends at.  Names are
 * followed only where they have to be compared, and all of it may visit only so
 * many labels, in proportion to the length of the message.
 */
#include <string.h>

#include "connectd.h"

#define LABEL_MAX	63
#define POINTER		0xc0	/* of the first byte: the name goes on there */
#define STEPS_MIN	1024

#define FLAG_QR		0x8000u
#define OPCODE		0x7800u
#define FLAG_TC		0x0200u
#define FLAG_RD		0x0100u
#define CLASS_IN	1
#define TYPE_CNAME	5
#define TYPE_SOA	6
#define TYPE_OPT	41
#define SOA_MIN		22	/* two root names and five numbers */
#define RCODE_FORMERR	1
#define RCODE_SERVFAIL	2
#define RCODE_NXDOMAIN	3
#define RCODE_NOTIMP	4
#define RCODE_BADVERS	16

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static char
lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static bool
is_letter(char c)
{
	return lower(c) >= 'a' && lower(c) <= 'z';
}

static size_t
without_dot(const char *p, size_t n)
{
	return n > 0 && p[n - 1] == '.' ? n - 1 : n;
}

/* "0x" and nothing but hex digits: what inet_aton takes for a number. */
static bool
is_hex_number(const char *p, size_t n)
{
	size_t i;

	if (n < 2 || p[0] != '0' || lower(p[1]) != 'x')
		return false;
	for (i = 2; i < n; i++)
		if (!is_digit(p[i]) && (lower(p[i]) < 'a' || lower(p[i]) > 'f'))
			return false;
	return true;
}

static bool
is_number(const char *p, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (!is_digit(p[i]))
			return is_hex_number(p, n);
	return true;
}

bool
dns_name_ok(const char *p, size_t n)
{
	size_t i, label = 0;	/* where the present label begins */

	n = without_dot(p, n);
	if (n == 0 || n > NAME_MAX_LEN)
		return false;
	for (i = 0; i < n; i++) {
		if (p[i] == '.') {
			if (i == label)
				return false;
			label = i + 1;
		} else if (!is_letter(p[i]) && !is_digit(p[i]) &&
		    p[i] != '-' && p[i] != '_')
			return false;
		if (i - label >= LABEL_MAX && p[i] != '.')
			return false;
	}
	return label < n && !is_number(p + label, n - label);
}

static bool
same_bytes(const char *a, const char *b, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (lower(a[i]) != lower(b[i]))
			return false;
	return true;
}

bool
dns_name_equal(const char *a, size_t an, const char *b, size_t bn)
{
	an = without_dot(a, an);
	return an == without_dot(b, bn) && same_bytes(a, b, an);
}

bool
dns_name_below(const char *p, size_t n, const char *zone, size_t zn)
{
	n = without_dot(p, n);
	zn = without_dot(zone, zn);
	if (n < zn + 2 || p[n - zn - 1] != '.')
		return false;
	return same_bytes(p + n - zn, zone, zn);
}

static bool
in_tree(const char *p, size_t n, const char *zone, size_t zn)
{
	return dns_name_equal(p, n, zone, zn) || dns_name_below(p, n, zone, zn);
}

enum dns_special
dns_name_special(const char *p, size_t n)
{
	if (in_tree(p, n, "localhost", 9))
		return DNS_LOCALHOST;
	if (in_tree(p, n, "invalid", 7) || in_tree(p, n, "onion", 5))
		return DNS_NEVER;
	return DNS_ORDINARY;
}

/* ---- lists --------------------------------------------------------------- */

const char *
dns_names_next(const struct dns_names *names, size_t *at, size_t *n)
{
	const char *p;

	if (*at >= names->used)
		return NULL;
	*n = names->bytes[*at];
	p = (const char *)names->bytes + *at + 1;
	*at += 1 + *n;
	return p;
}

bool
dns_names_add(struct dns_names *names, const char *p, size_t n)
{
	const char *other;
	size_t at = 0, len;

	while ((other = dns_names_next(names, &at, &len)) != NULL)
		if (dns_name_equal(other, len, p, n))
			return true;
	if (names->used + 1 + n > sizeof names->bytes)
		return false;
	names->bytes[names->used] = (uint8_t)n;
	memcpy(names->bytes + names->used + 1, p, n);
	names->used = (uint16_t)(names->used + 1 + n);
	return true;
}

void
dns_list_add(struct addr_list *list, const struct addr *a)
{
	unsigned i;

	for (i = 0; i < list->n; i++)
		if (memcmp(&list->addr[i], a, sizeof *a) == 0)
			return;
	if (list->n < ADDRESSES_MAX)
		list->addr[list->n++] = *a;
}

/* ---- queries ------------------------------------------------------------- */

static unsigned char *
put16(unsigned char *p, unsigned value)
{
	p[0] = (unsigned char)(value >> 8);
	p[1] = (unsigned char)value;
	return p + 2;
}

static unsigned char *
put_name(unsigned char *p, const char *name, size_t n)
{
	size_t i, label = 0;

	for (i = 0; i <= n; i++)
		if (i == n || name[i] == '.') {
			*p++ = (unsigned char)(i - label);
			memcpy(p, name + label, i - label);
			p += i - label;
			label = i + 1;
		}
	*p++ = 0;
	return p;
}

size_t
dns_encode(const struct dns_question *q, bool edns,
    unsigned char out[DNS_QUERY_MAX])
{
	unsigned char *p = put16(out, q->id);

	p = put16(p, FLAG_RD);
	p = put16(p, 1);
	p = put16(p, 0);
	p = put16(p, 0);
	p = put16(p, edns);
	p = put_name(p, q->name, q->name_len);
	p = put16(p, q->type);
	p = put16(p, CLASS_IN);
	if (edns) {
		*p++ = 0;		/* owner: the root */
		p = put16(p, TYPE_OPT);
		p = put16(p, DNS_EDNS_SIZE);
		memset(p, 0, 6);	/* rcode, version, flags, no data */
		p += 6;
	}
	return (size_t)(p - out);
}

/* ---- reading a message --------------------------------------------------- */

/* Numbers are read only where `has` said that they are there. */
struct reader {
	const unsigned char *p;
	size_t		 n, at;
	size_t		 steps;		/* labels that may still be visited */
	bool		 bad;
};

static bool
has(struct reader *r, size_t n)
{
	if (r->bad || r->n - r->at < n)
		r->bad = true;
	return !r->bad;
}

static unsigned
get16(struct reader *r)
{
	unsigned value;

	if (!has(r, 2))
		return 0;
	value = (unsigned)r->p[r->at] << 8 | r->p[r->at + 1];
	r->at += 2;
	return value;
}

static uint32_t
get32(struct reader *r)
{
	uint32_t high = get16(r);

	return high << 16 | get16(r);
}

static void
skip(struct reader *r, size_t n)
{
	if (has(r, n))
		r->at += n;
}

/* Over a name, without following it. */
static void
skip_name(struct reader *r)
{
	unsigned n = 1;

	while (n > 0 && has(r, 1)) {
		n = r->p[r->at];
		if (n >= POINTER) {
			skip(r, 2);
			return;
		}
		if (n > LABEL_MAX)
			r->bad = true;
		skip(r, 1 + n);
	}
}

/* A name as text in lower case, with a dot behind each label. */
struct name {
	size_t	n;
	bool	odd;			/* a byte that no host name has */
	char	text[NAME_MAX_LEN + 1];
};

static void
append_label(struct name *name, const unsigned char *p, size_t n)
{
	size_t i;
	char c;

	for (i = 0; i < n; i++) {
		c = lower((char)p[i]);
		if (!is_letter(c) && !is_digit(c) && c != '-' && c != '_')
			name->odd = true;
		name->text[name->n++] = c;
	}
	name->text[name->n++] = '.';
}

/*
 * Read the name at `at`.  Its labels may go on at an earlier place, and from
 * there at one that is earlier still, so it ends.
 */
static void
read_name(struct reader *r, size_t at, struct name *name)
{
	size_t n, limit = at;

	name->n = 0;
	name->odd = false;
	while (at < r->n && r->steps > 0) {
		r->steps--;
		n = r->p[at];
		if (n == 0)
			return;
		if (n >= POINTER && at + 1 < r->n) {
			at = (n & 0x3f) << 8 | r->p[at + 1];
			if (at >= limit)
				break;
			limit = at;
		} else if (n <= LABEL_MAX && n < r->n - at &&
		    name->n + n < sizeof name->text) {
			append_label(name, r->p + at + 1, n);
			at += 1 + n;
		} else
			break;
	}
	r->bad = true;
}

/* Is it that host name?  Both are in lower case. */
static bool
is_name(const struct name *name, const char *p, size_t n)
{
	return !name->odd && name->n == n + 1 && memcmp(name->text, p, n) == 0;
}

struct record {
	size_t		owner, data;	/* places in the message */
	unsigned	type, class, length;
	uint32_t	ttl;
};

static void
read_record(struct reader *r, struct record *rec)
{
	rec->owner = r->at;
	skip_name(r);
	rec->type = get16(r);
	rec->class = get16(r);
	rec->ttl = get32(r);
	rec->length = get16(r);
	rec->data = r->at;
	skip(r, rec->length);
}

/* ---- answers ------------------------------------------------------------- */

/* What is found in one pass over all records. */
struct survey {
	unsigned	flags, questions, answers, others[2];
	size_t		first;		/* answer record */
	struct record	link[DNS_LINKS_MAX];
	unsigned	links;
	bool		soa;
	uint32_t	soa_ttl;
	unsigned	rcode;
};

static bool
matches_question(struct reader *r, const struct dns_question *q,
    const struct survey *s)
{
	struct name name;

	if ((s->flags & (FLAG_QR | OPCODE)) != FLAG_QR || s->questions != 1)
		return false;
	read_name(r, r->at, &name);
	skip_name(r);
	return get16(r) == q->type && get16(r) == CLASS_IN && !r->bad &&
	    is_name(&name, q->name, q->name_len);
}

/* RFC 2308 5: the lesser of its own TTL and its last number. */
static void
take_soa(struct reader *r, struct survey *s, const struct record *rec)
{
	struct reader tail = { r->p, r->n, rec->data, 0, false };
	uint32_t minimum;

	if (rec->length < SOA_MIN)
		return;
	skip(&tail, rec->length - 4);
	minimum = get32(&tail);
	s->soa = true;
	s->soa_ttl = rec->ttl < minimum ? rec->ttl : minimum;
}

/* Its data is one name and nothing else. */
static void
take_link(struct reader *r, struct survey *s, const struct record *rec)
{
	struct reader data = { r->p, rec->data + rec->length, rec->data, 0,
	    false };

	skip_name(&data);
	if (data.bad || data.at < data.n || s->links == DNS_LINKS_MAX)
		r->bad = true;
	else
		s->link[s->links++] = *rec;
}

static void
survey_answers(struct reader *r, struct survey *s)
{
	struct record rec;
	unsigned i;

	s->first = r->at;
	for (i = 0; i < s->answers && !r->bad; i++) {
		read_record(r, &rec);
		if (!r->bad && rec.type == TYPE_CNAME && rec.class == CLASS_IN)
			take_link(r, s, &rec);
	}
}

static void
survey_others(struct reader *r, struct survey *s)
{
	struct record rec;
	unsigned i, n = s->others[0] + s->others[1];

	for (i = 0; i < n && !r->bad; i++) {
		read_record(r, &rec);
		if (i < s->others[0] && rec.type == TYPE_SOA &&
		    rec.class == CLASS_IN)
			take_soa(r, s, &rec);
		else if (i >= s->others[0] && rec.type == TYPE_OPT)
			s->rcode |= rec.ttl >> 24 << 4;
	}
}

static void
lower_ttl(struct dns_answer *a, uint32_t ttl)
{
	if (ttl < a->ttl)
		a->ttl = ttl;
}

static bool
is_end(const struct dns_answer *a, const struct name *name)
{
	return is_name(name, a->end, a->end_len);
}

/* The link that leads on from the present end, not used before; or NULL. */
static struct record *
next_link(struct reader *r, struct survey *s, const struct dns_answer *a)
{
	struct name owner;
	unsigned i;

	for (i = 0; i < s->links; i++) {
		if (s->link[i].type == 0)
			continue;
		read_name(r, s->link[i].owner, &owner);
		if (is_end(a, &owner))
			return &s->link[i];
	}
	return NULL;
}

/* Go from the question to the end of the chain.  No name comes twice, so it
 * has one. */
static void
follow_links(struct reader *r, struct survey *s, const struct dns_question *q,
    struct dns_answer *a)
{
	struct record *link;
	struct name name;
	unsigned before;

	while (!r->bad && (link = next_link(r, s, a)) != NULL) {
		read_name(r, link->data, &name);
		lower_ttl(a, link->ttl);
		link->type = 0;
		before = a->aliases.used;
		if (r->bad || name.odd || !dns_name_ok(name.text, name.n) ||
		    is_name(&name, q->name, q->name_len) ||
		    !dns_names_add(&a->aliases, name.text, name.n - 1) ||
		    a->aliases.used == before) {
			r->bad = true;
			return;
		}
		a->links++;
		a->end_len = (uint8_t)(name.n - 1);
		memcpy(a->end, name.text, a->end_len);
	}
}

static void
take_addresses(struct reader *r, const struct survey *s, enum dns_type type,
    struct dns_answer *a)
{
	size_t length = type == DNS_A ? 4 : 16;
	struct record rec;
	struct name owner;
	struct addr addr;
	unsigned i;

	r->at = s->first;
	for (i = 0; i < s->answers && !r->bad; i++) {
		read_record(r, &rec);
		if (rec.type != (unsigned)type || rec.class != CLASS_IN)
			continue;
		read_name(r, rec.owner, &owner);
		if (!is_end(a, &owner))
			continue;
		if (rec.length != length) {
			r->bad = true;
			return;
		}
		memset(&addr, 0, sizeof addr);
		addr.family = type == DNS_A ? 4 : 6;
		memcpy(addr.ip, r->p + rec.data, length);
		dns_list_add(&a->list, &addr);
		lower_ttl(a, rec.ttl);
	}
}

/* The message is ours; what does it say? */
static enum dns_outcome
interpret(struct reader *r, struct survey *s, const struct dns_question *q,
    struct dns_answer *a)
{
	survey_answers(r, s);
	survey_others(r, s);
	a->rcode = (uint16_t)s->rcode;
	if (!r->bad && (s->rcode == RCODE_FORMERR ||
	    s->rcode == RCODE_NOTIMP || s->rcode == RCODE_BADVERS))
		return DNS_FORMAT;
	if (!r->bad && s->rcode != 0 && s->rcode != RCODE_NXDOMAIN)
		return DNS_FAILED;
	follow_links(r, s, q, a);
	if (s->rcode == 0)
		take_addresses(r, s, q->type, a);
	if (r->bad) {
		a->rcode = RCODE_SERVFAIL;
		return DNS_FAILED;
	}
	if (a->list.n > 0)
		return DNS_FOUND;
	if (s->rcode == 0 && a->links > 0 && !s->soa)
		return DNS_PARTIAL;
	lower_ttl(a, s->soa ? s->soa_ttl : 0);
	return s->rcode == 0 ? DNS_NODATA : DNS_NXDOMAIN;
}

enum dns_outcome
dns_decode(const unsigned char *p, size_t n, const struct dns_question *q,
    struct dns_answer *a)
{
	struct reader r = { p, n, 0, 4 * n + STEPS_MIN, false };
	struct survey s;
	unsigned id = get16(&r);

	memset(&s, 0, sizeof s);
	memset(a, 0, sizeof *a);
	a->ttl = UINT32_MAX;
	a->end_len = q->name_len;
	memcpy(a->end, q->name, q->name_len);
	s.flags = get16(&r);
	s.rcode = s.flags & 15;
	s.questions = get16(&r);
	s.answers = get16(&r);
	s.others[0] = get16(&r);
	s.others[1] = get16(&r);
	if (r.bad || !matches_question(&r, q, &s))
		return DNS_MISMATCH;
	if (id != q->id)
		return DNS_WRONG_ID;
	if (s.flags & FLAG_TC)
		return DNS_TRUNCATED;
	return interpret(&r, &s, q, a);
}
