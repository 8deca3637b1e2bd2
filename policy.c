/* SPDX-License-Identifier: ISC */
/*
 * policy.c - addresses, their classes, and the rules over them.
 *
 * IMPLEMENTATION NOTES
 *
 * An address has *faces*: itself, and the IPv4 addresses that it carries
 * inside.  Deny rules look for one face that they name; allow rules must not
 * leave a face over that is special or private.  So neither a translator nor a
 * relay prefix is a way around a rule, and a public address behind NAT64 is as
 * good as the bare one.  Of a client only the address itself can be allowed.
 *
 * Before a name is resolved a rule matches, does not, or may: "may" asks for
 * the address.  No name is allowed as such: what is judged last is always the
 * address that will be dialled.
 */
#include <assert.h>
#include <string.h>

#include "connectd.h"

#define FACES_MAX 3

struct face {
	struct addr	addr;
	unsigned	classes;
	bool		neutral;	/* judged only by what is inside */
};

/* Prefix tables are searched from the top; the first one that fits counts. */
struct prefix_class {
	struct addr	net;
	unsigned	classes;
};

#define NET4(bits, ...) { 4, bits, 0, { __VA_ARGS__ } }
#define NET6(bits, ...) { 6, bits, 0, { __VA_ARGS__ } }

/* IANA special-purpose address registries (RFC 6890, 8190), and multicast. */
static const struct prefix_class prefix_classes[] = {
	{ NET4(8, 127), CLASS_LOOPBACK },
	{ NET4(16, 169, 254), CLASS_LINKLOCAL },
	{ NET4(8, 10), CLASS_PRIVATE },
	{ NET4(12, 172, 16), CLASS_PRIVATE },
	{ NET4(16, 192, 168), CLASS_PRIVATE },
	{ NET4(10, 100, 64), CLASS_PRIVATE },
	{ NET4(8, 0), CLASS_RESERVED },
	{ NET4(32, 192, 0, 0, 9), 0 },		/* PCP anycast, RFC 7723 */
	{ NET4(32, 192, 0, 0, 10), 0 },		/* TURN anycast, RFC 8155 */
	{ NET4(24, 192, 0, 0), CLASS_RESERVED },
	{ NET4(24, 192, 0, 2), CLASS_RESERVED },
	{ NET4(24, 192, 88, 99), CLASS_RESERVED },
	{ NET4(15, 198, 18), CLASS_RESERVED },
	{ NET4(24, 198, 51, 100), CLASS_RESERVED },
	{ NET4(24, 203, 0, 113), CLASS_RESERVED },
	{ NET4(3, 224), CLASS_RESERVED },	/* multicast, class E */
	{ NET4(0, 0), 0 },
	{ NET6(128, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1),
	    CLASS_LOOPBACK },
	{ NET6(10, 0xfe, 0x80), CLASS_LINKLOCAL },
	{ NET6(7, 0xfc), CLASS_PRIVATE },
	{ NET6(96, 0, 0x64, 0xff, 0x9b), 0 },	/* NAT64, RFC 6052 */
	{ NET6(23, 0x20, 0x01, 0), CLASS_RESERVED },	/* holds Teredo */
	{ NET6(32, 0x20, 0x01, 0x0d, 0xb8), CLASS_RESERVED },
	{ NET6(16, 0x20, 0x02), CLASS_RESERVED },	/* 6to4 */
	{ NET6(20, 0x3f, 0xff, 0), CLASS_RESERVED },
	{ NET6(3, 0x20), 0 },
	{ NET6(0, 0), CLASS_RESERVED },		/* not global unicast at all */
};

/* Where an IPv6 address carries an IPv4 address. */
static const struct embedding {
	struct addr	net;
	uint8_t		at;
	uint8_t		xor;
	bool		neutral;
} embeddings[] = {
	{ NET6(96, 0, 0x64, 0xff, 0x9b), 12, 0, true },
	{ NET6(96, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff), 12, 0, false },
	{ NET6(96, 0), 12, 0, false },			/* IPv4-compatible */
	{ NET6(16, 0x20, 0x02), 2, 0, false },
	{ NET6(32, 0x20, 0x01), 4, 0, false },		/* Teredo: server */
	{ NET6(32, 0x20, 0x01), 12, 0xff, false },	/* and client */
};

#define COUNT(a) (sizeof (a) / sizeof (a)[0])

/* ---- text ---------------------------------------------------------------- */

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* Four decimal numbers, all of p[0..n), without leading zeros. */
static bool
parse_ipv4(const char *p, size_t n, uint8_t ip[4])
{
	unsigned value = 0, digits = 0, group = 0;
	size_t i;

	for (i = 0; i < n; i++) {
		if (is_digit(p[i])) {
			if (digits > 0 && value == 0)
				return false;
			value = value * 10 + (unsigned)(p[i] - '0');
			if (value > 255)
				return false;
			digits++;
		} else if (p[i] == '.' && digits > 0 && group < 3) {
			ip[group++] = (uint8_t)value;
			value = digits = 0;
		} else
			return false;
	}
	if (digits == 0 || group != 3)
		return false;
	ip[3] = (uint8_t)value;
	return true;
}

static int
hex_value(char c)
{
	if (is_digit(c))
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/* One to four hex digits at p[0..n); how many were taken, 0 for none. */
static size_t
parse_group(const char *p, size_t n, uint8_t out[2])
{
	unsigned value = 0;
	size_t i;

	for (i = 0; i < n && i < 4 && hex_value(p[i]) >= 0; i++)
		value = value * 16 + (unsigned)hex_value(p[i]);
	out[0] = (uint8_t)(value / 256);
	out[1] = (uint8_t)(value % 256);
	return i;
}

/*
 * Groups with one ':' between them, all of p[0..n), the last one possibly a
 * dotted quad; at most max bytes to out.  Returns how many, -1 if malformed.
 */
static int
parse_groups(const char *p, size_t n, uint8_t *out, int max)
{
	size_t i = 0, digits;
	int len = 0;

	while (i < n) {
		if (len + 4 <= max && parse_ipv4(p + i, n - i, out + len))
			return len + 4;
		if (len + 2 > max)
			return -1;
		digits = parse_group(p + i, n - i, out + len);
		if (digits == 0)
			return -1;
		len += 2;
		i += digits;
		if (i == n)
			return len;
		if (p[i++] != ':')
			return -1;
	}
	return n == 0 ? 0 : -1;
}

static bool
parse_ipv6(const char *p, size_t n, uint8_t ip[16])
{
	uint8_t head[16], tail[16];
	int heads, tails;
	size_t gap;

	for (gap = 0; gap + 1 < n; gap++)
		if (p[gap] == ':' && p[gap + 1] == ':')
			break;
	if (gap + 1 >= n) {
		heads = parse_groups(p, n, head, 16);
		memcpy(ip, head, 16);
		return heads == 16;
	}
	/* A quad may only stand at the very end, so not in front of "::". */
	if (memchr(p, '.', gap) != NULL)
		return false;
	heads = parse_groups(p, gap, head, 14);
	if (heads < 0)
		return false;
	tails = parse_groups(p + gap + 2, n - gap - 2, tail, 14 - heads);
	if (tails < 0)
		return false;
	memset(ip, 0, 16);
	memcpy(ip, head, (size_t)heads);
	memcpy(ip + 16 - tails, tail, (size_t)tails);
	return true;
}

bool
policy_parse_addr(const char *p, size_t n, struct addr *a)
{
	struct addr r;

	memset(&r, 0, sizeof r);
	if (parse_ipv4(p, n, r.ip))
		r.family = 4;
	else {
		memset(r.ip, 0, sizeof r.ip);
		if (n < 2 || !parse_ipv6(p, n, r.ip))
			return false;
		r.family = 6;
	}
	*a = r;
	return true;
}

/* Are all bits of a behind its prefix zero? */
static bool
is_prefix(const struct addr *a)
{
	unsigned i;

	for (i = a->bits; i < 128; i++)
		if (a->ip[i / 8] & (0x80u >> (i % 8)))
			return false;
	return true;
}

bool
policy_parse_cidr(const char *p, size_t n, struct addr *a)
{
	struct addr r;
	unsigned bits = 0;
	size_t slash, i;

	for (slash = 0; slash < n && p[slash] != '/'; slash++)
		;
	if (slash == n || n - slash < 2 || n - slash > 4)
		return false;
	for (i = slash + 1; i < n; i++) {
		if (!is_digit(p[i]) || (i > slash + 1 && bits == 0))
			return false;
		bits = bits * 10 + (unsigned)(p[i] - '0');
	}
	if (!policy_parse_addr(p, slash, &r) ||
	    bits > (r.family == 4 ? 32u : 128u))
		return false;
	r.bits = (uint8_t)bits;
	if (!is_prefix(&r))
		return false;
	*a = r;
	return true;
}

static char *
put_number(char *out, unsigned value, unsigned base)
{
	char digits[10];
	int n = 0;

	do {
		digits[n++] = "0123456789abcdef"[value % base];
		value /= base;
	} while (value > 0);
	while (n > 0)
		*out++ = digits[--n];
	return out;
}

static char *
put_ipv4(char *out, const uint8_t *ip)
{
	int i;

	for (i = 0; i < 4; i++) {
		if (i > 0)
			*out++ = '.';
		out = put_number(out, ip[i], 10);
	}
	return out;
}

static unsigned
group_at(const struct addr *a, int i)
{
	return a->ip[2 * i] * 256u + a->ip[2 * i + 1];
}

/* The longest run of two or more zero groups, the first if equal. */
static int
longest_zeros(const struct addr *a, int *length)
{
	int i, run = 0, best = -1;

	*length = 1;
	for (i = 0; i < 8; i++) {
		run = group_at(a, i) == 0 ? run + 1 : 0;
		if (run > *length) {
			*length = run;
			best = i - run + 1;
		}
	}
	return best;
}

static const struct addr mapped = NET6(96, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff,
    0xff);

static bool
inside(const struct addr *net, const struct addr *a)
{
	unsigned whole = net->bits / 8, rest = net->bits % 8;

	if (net->family != a->family || memcmp(net->ip, a->ip, whole) != 0)
		return false;
	return rest == 0 ||
	    (net->ip[whole] ^ a->ip[whole]) >> (8 - rest) == 0;
}

static char *
put_ipv6(char *out, const struct addr *a)
{
	int i, zeros, length;

	if (inside(&mapped, a)) {
		memcpy(out, "::ffff:", 7);
		return put_ipv4(out + 7, a->ip + 12);
	}
	zeros = longest_zeros(a, &length);
	for (i = 0; i < 8; i++) {
		if (i == zeros) {
			*out++ = ':';
			if (i == 0)
				*out++ = ':';
			i += length - 1;
			continue;
		}
		out = put_number(out, group_at(a, i), 16);
		if (i < 7)
			*out++ = ':';
	}
	return out;
}

char *
policy_format_addr(const struct addr *a, bool port, char *out)
{
	char *p = out;

	if (a->family == 4)
		p = put_ipv4(p, a->ip);
	else {
		assert(a->family == 6);
		if (port)
			*p++ = '[';
		p = put_ipv6(p, a);
		if (port)
			*p++ = ']';
	}
	if (port) {
		*p++ = ':';
		p = put_number(p, a->port, 10);
	}
	*p = '\0';
	return out;
}

/* ---- classes ------------------------------------------------------------- */

void
policy_canonical(struct addr *a)
{
	if (a->family != 6 || !inside(&mapped, a))
		return;
	a->family = 4;
	memmove(a->ip, a->ip + 12, 4);
	memset(a->ip + 4, 0, 12);
}

bool
policy_same_host(const struct addr *a, const struct addr *b)
{
	return a->family == b->family &&
	    memcmp(a->ip, b->ip, sizeof a->ip) == 0;
}

static unsigned
class_of(const struct addr *a)
{
	size_t i;

	for (i = 0; i < COUNT(prefix_classes); i++)
		if (inside(&prefix_classes[i].net, a))
			return prefix_classes[i].classes;
	return CLASS_RESERVED;		/* no family: nothing to trust */
}

static void
inner_face(const struct embedding *e, const struct addr *a, struct face *f)
{
	int i;

	memset(f, 0, sizeof *f);
	f->addr.family = 4;
	for (i = 0; i < 4; i++)
		f->addr.ip[i] = a->ip[e->at + i] ^ e->xor;
	f->classes = class_of(&f->addr);
}

static int
faces_of(const struct addr *address, struct face face[FACES_MAX])
{
	const struct embedding *e;
	int n = 1;

	memset(&face[0], 0, sizeof face[0]);
	face[0].addr = *address;
	policy_canonical(&face[0].addr);
	face[0].classes = class_of(&face[0].addr);
	if (face[0].classes & CLASS_LOOPBACK)
		return n;	/* ::1 is not 0.0.0.1 */
	for (e = embeddings; e < embeddings + COUNT(embeddings); e++) {
		if (!inside(&e->net, &face[0].addr))
			continue;
		face[0].neutral = e->neutral;
		inner_face(e, &face[0].addr, &face[n++]);
	}
	return n;
}

unsigned
policy_class(const struct addr *a)
{
	struct face face[FACES_MAX];
	unsigned classes = 0;
	int i, n = faces_of(a, face);

	for (i = 0; i < n; i++)
		classes |= face[i].classes;
	return classes;
}

/* ---- rules --------------------------------------------------------------- */

enum match { MATCHES_NOT, MATCHES, MAY_MATCH };

static const struct matcher any_address = { MATCH_ANY, 0,
    { 0, 0, 0, { 0 } }, NULL, 0 };

static bool
is_name_matcher(const struct matcher *m)
{
	return m->kind == MATCH_NAME || m->kind == MATCH_NAME_TREE ||
	    m->kind == MATCH_NAME_BELOW;
}

static bool
is_named(const struct matcher *m, const char *name, size_t n)
{
	if (n == 0)
		return false;
	return (m->kind != MATCH_NAME_BELOW &&
	    dns_name_equal(name, n, m->name, m->name_len)) ||
	    (m->kind != MATCH_NAME &&
	    dns_name_below(name, n, m->name, m->name_len));
}

/* What is denied is so under all of its names; a permission is for the one that
 * was asked for. */
static bool
name_hit(const struct rule *r, const struct matcher *m, const struct facts *q)
{
	const char *alias;
	size_t at = 0, n;

	if (is_named(m, q->name, q->name_len))
		return true;
	if (r->allow || q->aliases == NULL)
		return false;
	while ((alias = dns_names_next(q->aliases, &at, &n)) != NULL)
		if (is_named(m, alias, n))
			return true;
	return false;
}

/* Does one word of an address list hit one face? */
static bool
face_hit(const struct matcher *m, const struct face *f)
{
	if (m->kind == MATCH_NET)
		return inside(&m->net, &f->addr);
	if (f->neutral)
		return false;
	if (m->kind == MATCH_CLASS)
		return (f->classes & m->classes) != 0;
	if (m->kind == MATCH_PUBLIC)
		return f->classes == 0;
	return (f->classes & CLASS_SPECIAL) == 0;
}

/* A word of `to`.  A name that is denied is denied wherever it leads; a name
 * that is allowed does not name a special address. */
static bool
to_hit(const struct rule *r, const struct matcher *m, const struct facts *q,
    const struct face *f)
{
	if (!is_name_matcher(m))
		return face_hit(m, f);
	return name_hit(r, m, q) && (!r->allow || f->neutral ||
	    (f->classes & CLASS_SPECIAL) == 0);
}

static enum match
match_address(const struct rule *r, const struct matcher *to, unsigned tos,
    const struct facts *q)
{
	struct face face[FACES_MAX];
	int i, n = faces_of(q->address, face), hits = 0;
	unsigned k;
	bool left_over = false;

	for (i = 0; i < n; i++) {
		for (k = 0; k < tos && !to_hit(r, &to[k], q, &face[i]); k++)
			;
		if (k < tos)
			hits++;
		else if (face[i].classes != 0)
			left_over = true;
	}
	if (hits == 0 || (r->allow && left_over))
		return MATCHES_NOT;
	return MATCHES;
}

static enum match
match_to(const struct rule *r, const struct facts *q)
{
	const struct matcher *to = r->tos > 0 ? r->to : &any_address;
	unsigned i, tos = r->tos > 0 ? r->tos : 1;
	enum match result = MATCHES_NOT;

	if (r->tos == 0 && !r->allow)
		return MATCHES;
	if (q->address != NULL)
		return match_address(r, to, tos, q);
	for (i = 0; i < tos; i++) {
		if (!is_name_matcher(&to[i]))
			result = MAY_MATCH;
		else if (name_hit(r, &to[i], q))
			return r->allow ? MAY_MATCH : MATCHES;
	}
	return result;
}

/* An address inside the client's is its own word: a 6to4 or Teredo source is
 * chosen by the sender.  So it may get a client denied, never allowed. */
static bool
match_from(const struct rule *r, const struct facts *q)
{
	struct face face[FACES_MAX];
	int k, n = faces_of(q->client, face);
	unsigned i;

	if (r->allow)
		n = 1;
	for (i = 0; i < r->froms; i++) {
		if (r->from[i].kind == MATCH_ANY)
			return true;
		for (k = 0; k < n; k++)
			if (face_hit(&r->from[i], &face[k]))
				return true;
	}
	return r->froms == 0;
}

static bool
match_port(const struct rule *r, const struct facts *q)
{
	unsigned i;

	for (i = 0; i < r->ports; i++)
		if (q->port >= r->port[i].first && q->port <= r->port[i].last)
			return true;
	return r->ports == 0;
}

static bool
matches_by_name(const struct rule *r, const struct facts *q)
{
	unsigned i;

	for (i = 0; i < r->tos; i++)
		if (is_name_matcher(&r->to[i]) && name_hit(r, &r->to[i], q))
			return true;
	return false;
}

/* Nothing matched.  Say what would have to change first. */
static enum denial
why_not(const struct verdict *v, bool client, bool port)
{
	if (!client)
		return DENIED_CLIENT;
	if (!port)
		return DENIED_PORT;
	return v->classes & CLASS_SPECIAL ? DENIED_SPECIAL : DENIED_TARGET;
}

/* The first of rule[0..rules) that matches by client and port and, for all that
 * is known, by target.  Notes on the way what an allow rule would have let. */
static const struct rule *
first_match(const struct rule *rule, unsigned rules, const struct facts *q,
    bool *client, bool *port, enum match *match)
{
	const struct rule *r;

	for (r = rule; r < rule + rules; r++) {
		if (!match_from(r, q))
			continue;
		*client = *client || r->allow;
		if (!match_port(r, q))
			continue;
		*port = *port || r->allow;
		*match = match_to(r, q);
		/* A deny rule that may match leaves it to the later ones
		 * whether there is anything to ask for. */
		if (*match == MATCHES || (*match == MAY_MATCH && r->allow))
			return r;
	}
	return NULL;
}

void
policy_decide(const struct rule *rule, unsigned rules, const struct facts *q,
    struct verdict *v)
{
	bool client = false, port = false;
	enum match match = MATCHES_NOT;
	const struct rule *r = first_match(rule, rules, q, &client, &port,
	    &match);

	memset(v, 0, sizeof *v);
	v->classes = q->address != NULL ? policy_class(q->address) : 0;
	v->rule = r;
	if (r == NULL) {
		v->denial = why_not(v, client, port);
		v->by_address = q->address != NULL && client && port;
		return;
	}
	v->denial = DENIED_BY_RULE;
	v->by_address = q->address != NULL && r->tos > 0 &&
	    !matches_by_name(r, q);
	v->action = match == MAY_MATCH ? RESOLVE : r->allow ? ALLOW : DENY;
}

/* ---- rules that cannot matter, or let everything ------------------------- */

static bool
covers_name(const struct matcher *a, const struct matcher *b)
{
	bool same = dns_name_equal(b->name, b->name_len, a->name, a->name_len);
	bool below = dns_name_below(b->name, b->name_len, a->name,
	    a->name_len);

	if (a->kind == MATCH_NAME)
		return b->kind == MATCH_NAME && same;
	if (a->kind == MATCH_NAME_TREE)
		return same || below;
	return below || (same && b->kind == MATCH_NAME_BELOW);
}

/* Is everything that `b` matches matched by `a`?  False if that is not sure. */
static bool
covers(const struct matcher *a, const struct matcher *b)
{
	if (is_name_matcher(a))
		return is_name_matcher(b) && covers_name(a, b);
	if (a->kind == MATCH_ANY)
		return b->kind == MATCH_ANY || b->kind == MATCH_PUBLIC;
	if (a->kind != b->kind)
		return false;
	if (a->kind == MATCH_CLASS)
		return (b->classes & ~a->classes) == 0;
	return a->kind == MATCH_PUBLIC ||
	    (a->net.bits <= b->net.bits && inside(&a->net, &b->net));
}

static bool
covers_all(const struct matcher *a, unsigned as, const struct matcher *b,
    unsigned bs)
{
	unsigned i, k;

	for (k = 0; k < bs; k++) {
		for (i = 0; i < as && !covers(&a[i], &b[k]); i++)
			;
		if (i == as)
			return false;
	}
	return bs > 0;
}

/* Of clients `any` is really any. */
static bool
is_for_all(const struct rule *r)
{
	unsigned i;

	for (i = 0; i < r->froms; i++)
		if (r->from[i].kind == MATCH_ANY)
			return true;
	return r->froms == 0;
}

static bool
covers_ports(const struct rule *a, const struct rule *b)
{
	unsigned i, k;

	for (k = 0; k < b->ports; k++) {
		for (i = 0; i < a->ports && (a->port[i].first >
		    b->port[k].first || a->port[i].last < b->port[k].last); i++)
			;
		if (i == a->ports)
			return a->ports == 0;
	}
	return b->ports > 0 || a->ports == 0;
}

bool
policy_shadows(const struct rule *a, const struct rule *b)
{
	bool all = a->tos == 0 && !a->allow;

	/* An allow rule may miss what a deny rule finds inside an address. */
	if (a->allow && !b->allow)
		return false;
	if (!is_for_all(a) && (is_for_all(b) || !covers_all(a->from, a->froms,
	    b->from, b->froms)))
		return false;
	if (!all && b->tos == 0 && !b->allow)
		return false;
	return covers_ports(a, b) && (all || covers_all(
	    a->tos > 0 ? a->to : &any_address, a->tos > 0 ? a->tos : 1,
	    b->tos > 0 ? b->to : &any_address, b->tos > 0 ? b->tos : 1));
}

bool
policy_is_open(const struct rule *r)
{
	static const struct matcher public = { MATCH_PUBLIC, 0,
	    { 0, 0, 0, { 0 } }, NULL, 0 };
	static const struct port_range most = { 1, 65535 };
	static const struct rule open = { true, 0, 1, 1, NULL, &public, &most,
	    NULL, 0 };

	return r->allow && policy_shadows(r, &open);
}

/* ---- words for people ---------------------------------------------------- */

static char *
put_text(char *out, const char *s)
{
	size_t n = strlen(s);

	memcpy(out, s, n + 1);
	return out + n;
}

static const char *
class_words(unsigned classes)
{
	if (classes & CLASS_LOOPBACK)
		return " is a loopback address: a rule must name it";
	if (classes & CLASS_LINKLOCAL)
		return " is a link-local address: a rule must name it";
	return " is a special address: a rule must name it";
}

/* The texts are shorter than REASON_MAX by far; an address only the resolver
 * knew is nobody's business. */
char *
policy_explain(const struct facts *q, const struct verdict *v, char *out)
{
	char *p = out, addr[ADDR_TEXT_MAX];

	switch (v->denial) {
	case DENIED_BY_RULE:
		(void)put_text(p, "the rules deny this target");
		break;
	case DENIED_CLIENT:
		(void)put_text(p, "this client is not allowed by the rules");
		break;
	case DENIED_PORT:
		p = put_number(put_text(p, "port "), q->port, 10);
		(void)put_text(p, " is not allowed by the rules");
		break;
	case DENIED_SPECIAL:
		p = put_text(p, q->name_len == 0 ?
		    policy_format_addr(q->address, false, addr) :
		    "what this name leads to");
		(void)put_text(p, class_words(v->classes));
		break;
	case DENIED_TARGET:
		(void)put_text(p, "this target is not allowed by the rules");
		break;
	}
	return out;
}
