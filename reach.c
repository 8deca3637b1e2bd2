/* SPDX-License-Identifier: ISC */
/*
 * reach.c - a connection to the target, or why there is none.
 *
 * IMPLEMENTATION NOTES
 *
 * Here the rules, the resolver and the race meet.  A name is judged before
 * anything is asked, then every address it has, then dialled; addresses of the
 * second family join the race when they come.  A race that is lost is over only
 * when no more addresses can come.  Nothing of the refusal is kept: it follows
 * from what happened.
 */
#include <errno.h>
#include <string.h>

#include "connectd.h"

static struct {
	const struct config *cfg;
	const struct addr *own;		/* our listeners */
	unsigned	 owns;
} reach;

void
reach_init(const struct config *cfg, const struct addr *own, unsigned owns)
{
	reach.cfg = cfg;
	reach.own = own;
	reach.owns = owns;
}

/* ---- judging ------------------------------------------------------------- */

static bool
is_unspecified(const struct addr *a)
{
	static const uint8_t zero[16];

	return memcmp(a->ip, zero, sizeof zero) == 0;
}

/* Would it reach one of our own listeners?  The unspecified address reaches
 * loopback; a wildcard listener has all addresses of its family. */
static bool
is_own(const struct addr *a)
{
	const struct addr *own = reach.own;
	unsigned i;

	for (i = 0; i < reach.owns; i++) {
		if (own[i].port != a->port)
			continue;
		if (is_unspecified(a) || addr_same_host(&own[i], a))
			return true;
		if (is_unspecified(&own[i]) && own[i].family == a->family &&
		    sys_is_local(a))
			return true;
	}
	return false;
}

/* Judge the target, at this address if it is known. */
static void
judge(const struct reach *r, const struct addr *address, struct facts *q,
    struct verdict *v)
{
	q->client = r->client;
	q->name = r->target->name;
	q->name_len = r->target->name_len;
	q->port = r->target->addr.port;
	q->address = address;
	q->aliases = r->lookup == NULL ? NULL :
	    &resolver_answer(r->lookup)->aliases;
	policy_decide(reach.cfg->rule, reach.cfg->rules, q, v);
}

/* Dial those that the rules allow, and no others. */
static void
take_addresses(struct reach *r, const struct addr *list, int n)
{
	struct addr allowed[ADDRESSES_MAX], a;
	struct verdict v;
	struct facts q;
	int i, k = 0;

	for (i = 0; i < n; i++) {
		a = list[i];
		a.port = r->target->addr.port;
		judge(r, &a, &q, &v);
		if (v.action != ALLOW) {
			if (r->denied.family == 0) {
				r->denied = a;
				r->verdict = v;
			}
		} else if (is_own(&a))
			r->loops = true;
		else
			allowed[k++] = a;
	}
	dial_add(&r->dial, allowed, k);
}

/* ---- the way ------------------------------------------------------------- */

void
reach_start(struct reach *r, const struct addr *client,
    const struct target *target, int64_t now)
{
	struct verdict v;
	struct facts q;

	memset(r, 0, sizeof *r);
	r->client = client;
	r->target = target;
	r->dns_ms = -1;
	dial_start(&r->dial, now);
	if (target->addr.family != 0) {
		take_addresses(r, &target->addr, 1);
		return;
	}
	judge(r, NULL, &q, &v);
	if (v.action != RESOLVE)
		return;
	r->asked = now;
	r->lookup = resolver_start(target, now);
	r->full = r->lookup == NULL;
}

static void
forget_lookup(struct reach *r, int64_t now)
{
	if (r->lookup != NULL)
		resolver_release(r->lookup, now);
	r->lookup = NULL;
}

void
reach_cancel(struct reach *r, int64_t now)
{
	forget_lookup(r, now);
	dial_cancel(&r->dial);
}

/* See what the lookup has found since. */
static void
step_lookup(struct reach *r, int64_t now)
{
	const struct answer *a = resolver_answer(r->lookup);
	enum family f;

	for (f = V6; f < FAMILIES; f++) {
		if (r->taken[f] || !a->ready[f])
			continue;
		r->taken[f] = true;
		take_addresses(r, a->list[f].addr, a->list[f].n);
	}
	if (r->dns_ms == -1 && (a->done || r->dial.count > 0))
		r->dns_ms = now - r->asked;
	if (a->done) {
		r->failure = (uint8_t)a->failure;
		r->rcode = a->rcode;
		forget_lookup(r, now);
	}
}

void
reach_interest(struct reach *r, struct waits *w, uint32_t owner)
{
	dial_interest(&r->dial, w, owner);
}

int
reach_step(struct reach *r, const struct waits *w, int64_t now)
{
	int rc;

	if (r->lookup != NULL)
		step_lookup(r, now);
	rc = dial_step(&r->dial, w, now, &r->address);
	if (rc >= 0)
		forget_lookup(r, now);
	else if (rc != -EAGAIN && r->lookup != NULL)
		rc = -EAGAIN;		/* more addresses may come */
	return rc;
}

/* ---- refusals ------------------------------------------------------------ */

static const char *
rcode_name(unsigned rcode)
{
	static const char *const list[] = {
		"NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP",
		"REFUSED", "YXDOMAIN", "YXRRSET", "NXRRSET", "NOTAUTH",
		"NOTZONE"
	};

	return rcode < sizeof list / sizeof list[0] ? list[rcode] : "UNKNOWN";
}

struct reason {
	int		 status;
	const char	*error, *rcode, *text;
};

static const struct reason by_name[] = {
	[NAME_PENDING] = { 504, "dns_timeout", NULL,
	    "the name was not resolved in time" },
	[NAME_FOUND] = { 502, "dns_error", "NOERROR",
	    "the name has no address" },
	[NAME_UNKNOWN] = { 502, "dns_error", "NXDOMAIN",
	    "there is no such name" },
	[NAME_NODATA] = { 502, "dns_error", "NOERROR",
	    "the name has no address" },
	[NAME_TIMEOUT] = { 504, "dns_timeout", NULL,
	    "the name servers do not answer" },
	[NAME_FAILED] = { 502, "dns_error", NULL,
	    "the name servers cannot resolve the name" },
	[NAME_NO_DESCRIPTOR] = { 503, "proxy_internal_error", NULL,
	    "the proxy is out of descriptors to ask for the name" }
};

static const struct reason by_dial[] = {
	[DIAL_PENDING] = { 504, "connection_timeout", NULL,
	    "the target did not answer in time" },
	[DIAL_UNREACHABLE] = { 502, "destination_ip_unroutable", NULL,
	    "the proxy has no route to the target" },
	[DIAL_PROHIBITED] = { 502, "destination_ip_prohibited", NULL,
	    "the proxy's system does not let it reach the target" },
	[DIAL_NO_DESCRIPTOR] = { 503, "proxy_internal_error", NULL,
	    "the proxy is out of descriptors, ports or memory" },
	[DIAL_TIMEOUT] = { 504, "connection_timeout", NULL,
	    "the target did not answer in time" },
	[DIAL_REFUSED] = { 502, "connection_refused", NULL,
	    "the target refused the connection" },
	[DIAL_SELF] = { 502, "proxy_loop_detected", NULL,
	    "the connection to the target met itself" }
};

static const struct reason loop = { 502, "proxy_loop_detected", NULL,
    "the target is this proxy itself" };
static const struct reason busy = { 503, "proxy_internal_error", NULL,
    "too many names are being looked up" };

/* Say what the rules said, of the name or of its first address. */
static void
deny(const struct reach *r, struct refusal *out)
{
	const struct addr *a = r->denied.family != 0 ? &r->denied : NULL;
	struct verdict v;
	struct facts q;

	judge(r, a, &q, &v);
	if (a != NULL)
		v = r->verdict;		/* its aliases are known no more */
	out->status = 403;
	out->error = v.by_address ? "destination_ip_prohibited" :
	    "http_request_denied";
	out->rule = v.rule;
	policy_explain(&q, &v, out->text);
}

void
reach_refusal(const struct reach *r, struct refusal *out)
{
	const struct reason *why = &by_dial[r->dial.failure];

	memset(out, 0, sizeof *out);
	if (r->dial.count > 0) {
		if (r->dial.failure < DIAL_TIMEOUT && !dial_is_over(&r->dial))
			why = &by_dial[DIAL_TIMEOUT];
	} else if (r->denied.family != 0) {
		deny(r, out);
		return;
	} else if (r->loops)
		why = &loop;
	else if (r->full)
		why = &busy;
	else if (r->lookup == NULL && r->dns_ms == -1) {
		deny(r, out);
		return;
	} else
		why = &by_name[r->failure];
	out->status = why->status;
	out->error = why->error;
	out->rcode = why->rcode;
	if (r->failure == NAME_FAILED)
		out->rcode = rcode_name(r->rcode);
	memcpy(out->text, why->text, strlen(why->text) + 1);
}
