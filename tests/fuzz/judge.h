/* SPDX-License-Identifier: ISC */
/*
 * judge.h - classes of addresses and rules over them, written a second time.
 *
 * From connectd.h and connectd.conf(5) in the plainest way: prefixes are text,
 * read by inet_pton and compared bit by bit.
 *
 * The *faces* of an address are itself and every IPv4 address inside it.  A
 * NAT64 address itself is neutral: it only carries, and nothing but a prefix
 * or a name can hit it.
 */
#ifndef JUDGE_H
#define JUDGE_H

#include <arpa/inet.h>
#include <string.h>

#include "../../connectd.h"

struct judge_face {
	struct addr	addr;
	unsigned	classes;
	bool		neutral;
};

enum judge_match { JUDGE_NO, JUDGE_YES, JUDGE_MAYBE };

/* ---- addresses ------------------------------------------------------------- */

static inline struct addr
judge_addr(const char *text)
{
	struct addr a;

	memset(&a, 0, sizeof a);
	a.family = strchr(text, ':') != NULL ? 6 : 4;
	if (inet_pton(a.family == 6 ? AF_INET6 : AF_INET, text, a.ip) != 1)
		a.family = 0;
	return a;
}

static inline bool
judge_bit(const struct addr *a, unsigned i)
{
	return (a->ip[i / 8] >> (7 - i % 8) & 1) != 0;
}

static inline bool
judge_inside(const struct addr *net, unsigned bits, const struct addr *a)
{
	unsigned i;

	if (net->family != a->family)
		return false;
	for (i = 0; i < bits; i++)
		if (judge_bit(net, i) != judge_bit(a, i))
			return false;
	return true;
}

static inline bool
judge_in(const char *text, unsigned bits, const struct addr *a)
{
	struct addr net = judge_addr(text);

	return judge_inside(&net, bits, a);
}

/* IANA special-purpose registries, multicast, and IPv6 that was never given
 * out; from the particular to the general. */
static const struct judge_row {
	const char	*text;
	unsigned	bits;
	unsigned	classes;
} judge_rows[] = {
	{ "127.0.0.0", 8, CLASS_LOOPBACK },
	{ "::1", 128, CLASS_LOOPBACK },
	{ "169.254.0.0", 16, CLASS_LINKLOCAL },
	{ "fe80::", 10, CLASS_LINKLOCAL },
	{ "10.0.0.0", 8, CLASS_PRIVATE },
	{ "172.16.0.0", 12, CLASS_PRIVATE },
	{ "192.168.0.0", 16, CLASS_PRIVATE },
	{ "100.64.0.0", 10, CLASS_PRIVATE },
	{ "fc00::", 7, CLASS_PRIVATE },
	{ "192.0.0.9", 32, 0 },
	{ "192.0.0.10", 32, 0 },
	{ "0.0.0.0", 8, CLASS_RESERVED },
	{ "192.0.0.0", 24, CLASS_RESERVED },
	{ "192.0.2.0", 24, CLASS_RESERVED },
	{ "192.88.99.0", 24, CLASS_RESERVED },
	{ "198.18.0.0", 15, CLASS_RESERVED },
	{ "198.51.100.0", 24, CLASS_RESERVED },
	{ "203.0.113.0", 24, CLASS_RESERVED },
	{ "224.0.0.0", 4, CLASS_RESERVED },
	{ "240.0.0.0", 4, CLASS_RESERVED },
	{ "0.0.0.0", 0, 0 },
	{ "64:ff9b::", 96, 0 },
	{ "2001::", 23, CLASS_RESERVED },
	{ "2001:db8::", 32, CLASS_RESERVED },
	{ "2002::", 16, CLASS_RESERVED },
	{ "3fff::", 20, CLASS_RESERVED },
	{ "2000::", 3, 0 }
};

#define JUDGE_ROWS (sizeof judge_rows / sizeof judge_rows[0])

/* The class of the address alone.  The text is read at the first use. */
static inline unsigned
judge_class_alone(const struct addr *a)
{
	static struct addr net[JUDGE_ROWS];
	size_t i;

	for (i = 0; i < JUDGE_ROWS; i++) {
		if (net[i].family == 0)
			net[i] = judge_addr(judge_rows[i].text);
		if (judge_inside(&net[i], judge_rows[i].bits, a))
			return judge_rows[i].classes;
	}
	return CLASS_RESERVED;
}

/* The IPv4 address at this place, its bits turned over if `flip`. */
static inline void
judge_add_inner(struct judge_face face[3], int *n, int at, bool flip)
{
	struct addr four;
	int i;

	memset(&four, 0, sizeof four);
	four.family = 4;
	for (i = 0; i < 4; i++)
		four.ip[i] = (uint8_t)(flip ? 255 - face[0].addr.ip[at + i] :
		    face[0].addr.ip[at + i]);
	face[*n].addr = four;
	face[*n].neutral = false;
	face[(*n)++].classes = judge_class_alone(&four);
}

static inline int
judge_faces(const struct addr *address, struct judge_face face[3])
{
	int n = 1;

	memset(face, 0, 3 * sizeof face[0]);
	face[0].addr = *address;
	if (judge_in("::ffff:0:0", 96, address)) {
		n = 0;
		judge_add_inner(face, &n, 12, false);
		return n;
	}
	face[0].classes = judge_class_alone(address);
	if (address->family != 6 || face[0].classes == CLASS_LOOPBACK)
		return n;
	face[0].neutral = judge_in("64:ff9b::", 96, address);
	if (face[0].neutral ||
	    judge_in("::ffff:0:0:0", 96, address) ||	/* SIIT */
	    judge_in("::", 96, address))		/* IPv4-compatible */
		judge_add_inner(face, &n, 12, false);
	if (judge_in("2002::", 16, address))		/* 6to4 */
		judge_add_inner(face, &n, 2, false);
	if (judge_in("2001::", 32, address)) {		/* Teredo */
		judge_add_inner(face, &n, 4, false);
		judge_add_inner(face, &n, 12, true);
	}
	return n;
}

static inline unsigned
judge_class(const struct addr *a)
{
	struct judge_face face[3];
	int i, n = judge_faces(a, face);
	unsigned classes = 0;

	for (i = 0; i < n; i++)
		classes |= face[i].classes;
	return classes;
}

/* ---- words of rules -------------------------------------------------------- */

static inline bool
judge_is_name(const struct matcher *m)
{
	return m->kind == MATCH_NAME || m->kind == MATCH_NAME_TREE ||
	    m->kind == MATCH_NAME_BELOW;
}

/* Without a trailing dot, do a and b end in the same n bytes? */
static inline bool
judge_same_end(const char *a, size_t an, const char *b, size_t bn, size_t n)
{
	size_t i;
	char x, y;

	for (i = 1; i <= n; i++) {
		x = a[an - i];
		y = b[bn - i];
		if (x >= 'A' && x <= 'Z')
			x = (char)(x + ('a' - 'A'));
		if (y >= 'A' && y <= 'Z')
			y = (char)(y + ('a' - 'A'));
		if (x != y)
			return false;
	}
	return true;
}

static inline bool
judge_name_hit(const struct matcher *m, const struct facts *q)
{
	size_t an = q->name_len, bn = m->name_len;

	if (an == 0)
		return false;
	if (q->name[an - 1] == '.')
		an--;
	if (bn > 0 && m->name[bn - 1] == '.')
		bn--;
	if (an < bn || !judge_same_end(q->name, an, m->name, bn, bn))
		return false;
	if (an == bn)
		return m->kind != MATCH_NAME_BELOW;
	return m->kind != MATCH_NAME && an > bn + 1 &&
	    q->name[an - bn - 1] == '.';
}

static inline bool
judge_face_hit(const struct matcher *m, const struct judge_face *f)
{
	switch (m->kind) {
	case MATCH_NET:
		return judge_inside(&m->net, m->net.bits, &f->addr);
	case MATCH_ANY:
		return !f->neutral && (f->classes & CLASS_SPECIAL) == 0;
	case MATCH_PUBLIC:
		return !f->neutral && f->classes == 0;
	case MATCH_CLASS:
		return !f->neutral && (f->classes & m->classes) != 0;
	case MATCH_NAME:
	case MATCH_NAME_TREE:
	case MATCH_NAME_BELOW:
		break;
	}
	return false;
}

/* ---- parts of rules -------------------------------------------------------- */

/* A client is who any of its faces says; any is everybody. */
static inline bool
judge_from(const struct rule *r, const struct facts *q)
{
	struct judge_face face[3];
	int k, n = judge_faces(q->client, face);
	unsigned i;
	bool hit = r->froms == 0;

	if (r->allow)
		n = 1;		/* what it carries is the sender's choice */
	for (i = 0; i < r->froms; i++) {
		hit = hit || r->from[i].kind == MATCH_ANY;
		for (k = 0; k < n; k++)
			hit = hit || judge_face_hit(&r->from[i], &face[k]);
	}
	return hit;
}

static inline bool
judge_port(const struct rule *r, const struct facts *q)
{
	unsigned i;
	bool hit = r->ports == 0;

	for (i = 0; i < r->ports; i++)
		hit = hit || (r->port[i].first <= q->port &&
		    q->port <= r->port[i].last);
	return hit;
}

/* Does one of the words of `to` hit the face?  An allow rule without words is
 * "to any"; a name that is allowed hits nothing special. */
static inline bool
judge_to_hit(const struct rule *r, const struct facts *q,
    const struct judge_face *f)
{
	struct matcher any;
	unsigned i;
	bool special = (f->classes & CLASS_SPECIAL) != 0;

	memset(&any, 0, sizeof any);
	any.kind = MATCH_ANY;
	if (r->tos == 0)
		return judge_face_hit(&any, f);
	for (i = 0; i < r->tos; i++) {
		if (judge_face_hit(&r->to[i], f))
			return true;
		if (judge_is_name(&r->to[i]) && judge_name_hit(&r->to[i], q) &&
		    !(r->allow && special))
			return true;
	}
	return false;
}

static inline enum judge_match
judge_known(const struct rule *r, const struct facts *q)
{
	struct judge_face face[3];
	int i, n = judge_faces(q->address, face), hit = 0, open = 0;

	for (i = 0; i < n; i++)
		if (judge_to_hit(r, q, &face[i]))
			hit++;
		else if (face[i].classes != 0)
			open++;
	if (!r->allow)
		return hit > 0 ? JUDGE_YES : JUDGE_NO;
	return hit > 0 && open == 0 ? JUDGE_YES : JUDGE_NO;
}

/* Before the address is known. */
static inline enum judge_match
judge_unknown(const struct rule *r, const struct facts *q)
{
	unsigned i, names = 0, others = r->tos == 0 ? 1 : 0;

	for (i = 0; i < r->tos; i++)
		if (!judge_is_name(&r->to[i]))
			others++;
		else if (judge_name_hit(&r->to[i], q))
			names++;
	if (names > 0 && !r->allow)
		return JUDGE_YES;
	return names > 0 || others > 0 ? JUDGE_MAYBE : JUDGE_NO;
}

static inline enum judge_match
judge_rule(const struct rule *r, const struct facts *q)
{
	if (!judge_from(r, q) || !judge_port(r, q))
		return JUDGE_NO;
	if (!r->allow && r->tos == 0)
		return JUDGE_YES;
	return q->address != NULL ? judge_known(r, q) : judge_unknown(r, q);
}

/* ---- rules ----------------------------------------------------------------- */

/* What is to change first, if no rule matched. */
static inline enum denial
judge_denial(const struct rule *rule, unsigned rules, const struct facts *q)
{
	unsigned i, client = 0, port = 0;

	for (i = 0; i < rules; i++) {
		if (!rule[i].allow || !judge_from(&rule[i], q))
			continue;
		client++;
		if (judge_port(&rule[i], q))
			port++;
	}
	if (client == 0)
		return DENIED_CLIENT;
	if (port == 0)
		return DENIED_PORT;
	if (q->address != NULL && (judge_class(q->address) & CLASS_SPECIAL))
		return DENIED_SPECIAL;
	return DENIED_TARGET;
}

static inline void
judge_decide(const struct rule *rule, unsigned rules, const struct facts *q,
    struct verdict *v)
{
	enum judge_match match = JUDGE_NO;
	unsigned i;

	memset(v, 0, sizeof *v);
	v->classes = q->address != NULL ? judge_class(q->address) : 0;
	for (i = 0; i < rules && match == JUDGE_NO; i++) {
		match = judge_rule(&rule[i], q);
		/* What may be denied need not be known if nothing allows. */
		if (match == JUDGE_MAYBE && !rule[i].allow)
			match = JUDGE_NO;
		if (match == JUDGE_NO)
			continue;
		v->rule = &rule[i];
		v->denial = DENIED_BY_RULE;
		v->action = match == JUDGE_MAYBE ? RESOLVE :
		    rule[i].allow ? ALLOW : DENY;
	}
	if (match == JUDGE_NO) {
		v->action = DENY;
		v->denial = judge_denial(rule, rules, q);
	}
}

/* The same verdict?  Why it is a denial matters if it is one. */
static inline bool
judge_same(const struct verdict *a, const struct verdict *b)
{
	return a->action == b->action && a->rule == b->rule &&
	    a->classes == b->classes &&
	    (a->action != DENY || a->denial == b->denial);
}

#endif
