/* SPDX-License-Identifier: ISC */
/*
 * policy.c - the rules: who may go where.
 *
 * IMPLEMENTATION NOTES
 *
 * An address is judged by its faces: itself, and the IPv4 addresses that it
 * carries inside.  Deny rules look for one face that they name; allow rules
 * must not leave a face over that is special or private.  So neither a
 * translator nor a relay prefix is a way around a rule, and a public address
 * behind NAT64 is as good as the bare one.  Of a client only the address itself
 * can be allowed.
 *
 * Before a name is resolved a rule matches, does not, or may: "may" asks for
 * the address.  No name is allowed as such: what is judged last is always the
 * address that will be dialled.
 */
#include <string.h>

#include "connectd.h"

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
		return addr_inside(&m->net, &f->addr);
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
	int i, n = addr_faces(q->address, face), hits = 0;
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
	int k, n = addr_faces(q->client, face);
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
	v->classes = q->address != NULL ? addr_class(q->address) : 0;
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
	    (a->net.bits <= b->net.bits && addr_inside(&a->net, &b->net));
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

static char *
put_port(char *out, unsigned port)
{
	unsigned unit = 10000;

	while (unit > 1 && port < unit)
		unit /= 10;
	for (; unit > 0; unit /= 10)
		*out++ = (char)('0' + port / unit % 10);
	return out;
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
		p = put_port(put_text(p, "port "), q->port);
		(void)put_text(p, " is not allowed by the rules");
		break;
	case DENIED_SPECIAL:
		p = put_text(p, q->name_len == 0 ?
		    addr_format(q->address, false, addr) :
		    "what this name leads to");
		(void)put_text(p, class_words(v->classes));
		break;
	case DENIED_TARGET:
		(void)put_text(p, "this target is not allowed by the rules");
		break;
	}
	return out;
}
