/* SPDX-License-Identifier: ISC */
/*
 * resolver.c - names to addresses.
 *
 * IMPLEMENTATION NOTES
 *
 * A lookup is one name.  It waits in line, is asked (then it has a session with
 * a query for each family), and is known from then on: the known ones are the
 * cache.  All of them are in one table of fixed size, found by a hash; whoever
 * asks for a name that is there already shares the lookup.  What is known and
 * used by nobody is given up for a new name, the oldest first.
 *
 *  state     in list   ends by
 *  L_FREE    free      -
 *  L_QUEUED  queue     its turn, or that nobody waits for it any more
 *  L_ASKED   asked     answers, deadline, or that nobody waits
 *  L_KNOWN   known     its time to live; the place is needed
 *
 * A first answer with A waits for AAAA a moment (RFC 8305 3); what comes later
 * is there for those who still hold the lookup.
 *
 * The two files are looked at when somebody asks, once a second.  A hosts file
 * is read beside the present one, so that there always is one.
 */
#include <errno.h>
#include <string.h>

#include "connectd.h"

#define RESOLUTION_DELAY_MS	50	/* RFC 8305 3 */
#define LOOKUP_MS_MAX		30000
#define LINGER_MS		1000	/* for the other family; RFC 8305 5 */
#define STAMP_MS		1000
#define TTL_MAX			300	/* seconds */
#define FAILURE_TTL		5	/* RFC 9520 */
#define RESOLV_ROOM		16384
#define CHAINS			1024

enum lookup_state { L_FREE, L_QUEUED, L_ASKED, L_KNOWN };

struct lookup {
	enum lookup_state state;
	struct lookup	*prev, *next;	/* in the list of its state */
	struct lookup	*neighbour;	/* in the chain of its hash */
	struct session	*session;	/* L_ASKED */
	unsigned	waiters;
	bool		absolute;	/* no search list for it */
	uint8_t		name_len;
	char		name[NAME_MAX_LEN];
	int64_t		until;		/* L_KNOWN: good so long */
	struct answer	answer;
};

/* One family of a name that is asked. */
struct leg {
	struct query	query;
	bool		begun, over;
	enum name_failure failure;
	uint16_t	rcode;
	uint32_t	ttl;		/* seconds; of a failure too */
	unsigned	links;		/* CNAMEs so far */
};

struct session {
	struct lookup	*lookup;	/* NULL: the place is free */
	struct leg	leg[FAMILIES];
	unsigned	candidate;	/* of the search list, */
	uint8_t		name_len;	/* and its name: the list may change */
	char		name[NAME_MAX_LEN];
	int64_t		deadline;
	int64_t		v4_at;		/* when A was known, or -1 */
};

struct list {
	struct lookup	*head, *tail;
};

/* One that is read again when it changes. */
struct file {
	struct stamp	stamp;		/* all zero: it could not be read */
	bool		told;		/* ... and that was logged */
};

static struct {
	const struct config *cfg;
	struct hosts	hosts[2];
	unsigned	present;	/* the one in use */
	struct resolv	resolv;
	struct file	hosts_file, resolv_file;
	int64_t		looked;		/* at the files */
	struct lookup	*lookup;
	unsigned	used;		/* lookups that ever were */
	unsigned	queued;
	struct lookup	**chain;	/* CHAINS of them */
	uint32_t	seed;
	struct list	list[L_KNOWN + 1];
	struct session	*session;	/* LOOKUPS_MAX of them */
	struct lookup	local;		/* the answer that needed nobody */
	char		*text;		/* RESOLV_ROOM bytes, to read into */
	struct resolver_totals totals;
} names;

/* ---- the table ----------------------------------------------------------- */

static void
list_remove(struct list *l, struct lookup *k)
{
	if (k->prev != NULL)
		k->prev->next = k->next;
	else
		l->head = k->next;
	if (k->next != NULL)
		k->next->prev = k->prev;
	else
		l->tail = k->prev;
}

static void
list_append(struct list *l, struct lookup *k)
{
	k->prev = l->tail;
	k->next = NULL;
	if (l->tail != NULL)
		l->tail->next = k;
	else
		l->head = k;
	l->tail = k;
}

/* The only writer of k->state. */
static void
enter(struct lookup *k, enum lookup_state next)
{
	if (k->state != L_FREE)
		list_remove(&names.list[k->state], k);
	names.queued -= k->state == L_QUEUED;
	names.queued += next == L_QUEUED;
	k->state = next;
	list_append(&names.list[next], k);
}

static struct lookup **
chain_of(const char *name, size_t n)
{
	uint32_t h = names.seed;
	size_t i;

	for (i = 0; i < n; i++)
		h = (h ^ (unsigned char)name[i]) * 16777619u;
	return &names.chain[(h ^ h >> 15) % CHAINS];
}

static bool
is_good(const struct lookup *k, int64_t now)
{
	return k->state == L_KNOWN ? now < k->until : k->state != L_FREE;
}

static struct lookup *
find(const struct target *t, int64_t now)
{
	struct lookup *k = *chain_of(t->name, t->name_len);

	for (; k != NULL; k = k->neighbour)
		if (k->name_len == t->name_len && k->absolute == t->absolute &&
		    memcmp(k->name, t->name, k->name_len) == 0 &&
		    is_good(k, now))
			return k;
	return NULL;
}

static void
unchain(struct lookup *k)
{
	struct lookup **p = chain_of(k->name, k->name_len);

	while (*p != k)
		p = &(*p)->neighbour;
	*p = k->neighbour;
}

/* One that was never used, or the oldest that nobody uses.  There is one: the
 * queue and the sessions do not fill the table. */
static struct lookup *
take_lookup(void)
{
	struct lookup *k = names.list[L_FREE].head;

	if (k != NULL) {
		list_remove(&names.list[L_FREE], k);
		return k;
	}
	if (names.used < LOOKUPS_KEPT)
		return &names.lookup[names.used++];
	k = names.list[L_KNOWN].head;
	while (k != NULL && k->waiters > 0)
		k = k->next;
	if (k != NULL) {
		unchain(k);
		list_remove(&names.list[L_KNOWN], k);
	}
	return k;
}

/* ---- asking -------------------------------------------------------------- */

static void
end_leg(struct leg *d, enum name_failure failure, uint32_t ttl)
{
	if (d->begun && !d->over)
		query_cancel(&d->query);
	d->over = true;
	d->failure = failure;
	if (ttl < d->ttl)
		d->ttl = ttl;
}

static void
ask(struct session *s, enum family f, const char *name, size_t n, int64_t now)
{
	struct leg *d = &s->leg[f];

	d->begun = true;
	query_start(&d->query, f == V4 ? DNS_A : DNS_AAAA, name, n, now);
}

/* The name to ask now; its length, 0 if there is none. */
static size_t
candidate(const struct session *s, char out[NAME_MAX_LEN])
{
	const struct lookup *k = s->lookup;
	size_t n = names_candidate(&names.resolv, k->name, k->name_len,
	    k->absolute, s->candidate, out);

	return dns_name_special(out, n) == DNS_ORDINARY ? n : 0;
}

/* Ask the families that need not wait for the other one. */
static void
ask_candidate(struct session *s, int64_t now)
{
	struct leg *v6 = &s->leg[V6], *v4 = &s->leg[V4];

	if (!v6->begun && !v6->over)
		ask(s, V6, s->name, s->name_len, now);
	if (!v4->begun && (v6->over || !names.resolv.single_request))
		ask(s, V4, s->name, s->name_len, now);
}

/* Begin with the present candidate or, if it is too long, with the next one.
 * False: there are no more. */
static bool
begin_candidate(struct session *s, int64_t now)
{
	struct lookup *k = s->lookup;
	size_t n;

	while ((n = candidate(s, s->name)) == 0 &&
	    s->candidate < names_candidates(&names.resolv, k->name,
	    k->name_len, k->absolute))
		s->candidate++;
	if (n == 0)
		return false;
	s->name_len = (uint8_t)n;
	memset(s->leg, 0, sizeof s->leg);
	memset(&k->answer.aliases, 0, sizeof k->answer.aliases);
	if (n > k->name_len)
		(void)dns_names_add(&k->answer.aliases, s->name, n);
	s->v4_at = -1;
	s->leg[V6].ttl = s->leg[V4].ttl = TTL_MAX;
	if (names.resolv.no_aaaa)	/* and the other family tells */
		end_leg(&s->leg[V6], NAME_UNKNOWN, TTL_MAX);
	ask_candidate(s, now);
	return true;
}

static void
begin_session(struct session *s, struct lookup *k, int64_t now)
{
	memset(s, 0, sizeof *s);
	s->lookup = k;
	s->deadline = now + LOOKUP_MS_MAX;
	k->session = s;
	enter(k, L_ASKED);
	(void)begin_candidate(s, now);	/* the name itself is not too long */
}

/* As many of the queue as there are places. */
static void
begin_queued(int64_t now)
{
	unsigned i;

	for (i = 0; i < LOOKUPS_MAX && names.queued > 0; i++)
		if (names.session[i].lookup == NULL)
			begin_session(&names.session[i],
			    names.list[L_QUEUED].head, now);
}

static void
end_session(struct session *s)
{
	enum family f;

	for (f = V6; f < FAMILIES; f++)
		if (s->leg[f].begun)
			query_cancel(&s->leg[f].query);
	s->lookup->session = NULL;
	s->lookup = NULL;
}

/* Nobody waits for it any more, and it is of no use to others. */
static void
give_up(struct lookup *k)
{
	if (k->session != NULL)
		end_session(k->session);
	unchain(k);
	enter(k, L_FREE);
}

/* ---- answers ------------------------------------------------------------- */

static void
take_addresses(struct answer *to, enum family f, const struct addr_list *from)
{
	struct addr a;
	unsigned i;

	for (i = 0; i < from->n; i++) {
		a = from->addr[i];
		addr_canonical(&a);
		dns_list_add(&to->list[f], &a);
	}
}

/* Every name on the way has to be seen by the rules, so one that cannot be kept
 * spoils the answer. */
static bool
take_aliases(struct answer *to, const struct dns_names *from)
{
	size_t at = 0, n;
	const char *p;

	while ((p = dns_names_next(from, &at, &n)) != NULL)
		if (!dns_names_add(&to->aliases, p, n))
			return false;
	return true;
}

static void
fail_leg(struct leg *d)
{
	end_leg(d, NAME_FAILED, FAILURE_TTL);
	d->rcode = 2;		/* SERVFAIL: so it would say itself */
}

/* The chain of CNAMEs goes on elsewhere. */
static void
follow(struct session *s, enum family f, const struct dns_answer *a,
    int64_t now)
{
	struct leg *d = &s->leg[f];

	if (dns_name_special(a->end, a->end_len) != DNS_ORDINARY)
		fail_leg(d);
	else
		ask(s, f, a->end, a->end_len, now);
}

static void
take_answer(struct session *s, enum family f, enum dns_outcome outcome,
    const struct dns_answer *a, int64_t now)
{
	struct leg *d = &s->leg[f];

	d->links += a->links;
	if (d->links > DNS_LINKS_MAX ||
	    !take_aliases(&s->lookup->answer, &a->aliases)) {
		fail_leg(d);
		return;
	}
	if (outcome == DNS_PARTIAL) {
		d->ttl = a->ttl < d->ttl ? a->ttl : d->ttl;
		follow(s, f, a, now);
	} else if (outcome == DNS_FOUND) {
		take_addresses(&s->lookup->answer, f, &a->list);
		end_leg(d, NAME_FOUND, a->ttl);
	} else
		end_leg(d, outcome == DNS_NODATA ? NAME_NODATA : NAME_UNKNOWN,
		    a->ttl);
}

static void
step_leg(struct session *s, enum family f, const struct waits *w, int64_t now)
{
	struct leg *d = &s->leg[f], *other = &s->leg[!f];
	enum dns_outcome outcome;
	struct dns_answer a;
	int rc = query_step(&d->query, w, now, &outcome, &a);

	if (rc == 0)
		take_answer(s, f, outcome, &a, now);
	else if (rc == -ETIMEDOUT)
		end_leg(d, NAME_TIMEOUT, FAILURE_TTL);
	else if (rc == -EPROTO) {
		end_leg(d, NAME_FAILED, FAILURE_TTL);
		d->rcode = d->query.rcode;
	} else if (rc != -EAGAIN)
		end_leg(d, NAME_NO_DESCRIPTOR, 0);
	/* What does not exist has no other addresses either. */
	if (rc == 0 && d->failure == NAME_UNKNOWN && !other->over)
		end_leg(other, NAME_UNKNOWN, a.ttl);
}

/* Which of two failures to tell. */
static const struct leg *
worse(const struct session *s)
{
	return &s->leg[s->leg[V4].failure > s->leg[V6].failure ? V4 : V6];
}

static bool
is_found(const struct session *s)
{
	return s->leg[V6].failure == NAME_FOUND ||
	    s->leg[V4].failure == NAME_FOUND;
}

/* A family without addresses and without a time to live (no SOA came with that)
 * does not spoil the other's. */
static int64_t
ttl_ms(const struct session *s)
{
	uint32_t ttl = TTL_MAX;
	enum family f;

	for (f = V6; f < FAMILIES; f++)
		if (s->leg[f].ttl < ttl && (s->leg[f].ttl > 0 || !is_found(s) ||
		    (s->leg[f].failure != NAME_UNKNOWN &&
		    s->leg[f].failure != NAME_NODATA)))
			ttl = s->leg[f].ttl;
	return (int64_t)ttl * 1000;
}

static void
finish(struct session *s, int64_t now)
{
	struct lookup *k = s->lookup;

	k->answer.failure = is_found(s) ? NAME_FOUND : worse(s)->failure;
	k->answer.rcode = worse(s)->rcode;
	k->answer.done = true;
	k->answer.ready[V6] = k->answer.ready[V4] = true;
	names.totals.failed += k->answer.failure >= NAME_TIMEOUT;
	k->until = now + ttl_ms(s);
	end_session(s);
	enter(k, L_KNOWN);
}

/* Say what may be dialled, and see whether this is all. */
static void
settle(struct session *s, int64_t now)
{
	struct leg *v6 = &s->leg[V6], *v4 = &s->leg[V4];
	struct answer *a = &s->lookup->answer;

	if (v4->over && s->v4_at == -1)
		s->v4_at = now;
	if (v6->over && v4->over) {
		s->candidate++;
		if (is_found(s) || worse(s)->failure > NAME_NODATA ||
		    !begin_candidate(s, now))
			finish(s, now);
		return;
	}
	a->ready[V6] = v6->failure == NAME_FOUND;
	a->ready[V4] = v4->failure == NAME_FOUND &&
	    now >= s->v4_at + RESOLUTION_DELAY_MS;
}

static void
step_session(struct session *s, const struct waits *w, int64_t now)
{
	struct leg *d;
	enum family f;

	for (f = V6; f < FAMILIES; f++) {
		d = &s->leg[f];
		if (d->begun && !d->over)
			step_leg(s, f, w, now);
		if (!d->over && now >= s->deadline)
			end_leg(d, NAME_TIMEOUT, FAILURE_TTL);
	}
	if (!s->leg[V4].over)
		ask_candidate(s, now);
	settle(s, now);
}

/* ---- files --------------------------------------------------------------- */

/* See whether it could be read; if not, it is tried again, unless it has to
 * become smaller first. */
static bool
is_read(struct file *f, const char *what, long n)
{
	if (n >= 0) {
		f->told = false;
		return true;
	}
	if (n != -EFBIG)
		memset(&f->stamp, 0, sizeof f->stamp);
	if (!f->told)
		sys_log(LEVEL_WARNING, "%s not read: %s", what,
		    n == -EFBIG ? "it is too large" : strerror((int)-n));
	f->told = true;
	return false;
}

/* Beside the one in use, which stays if this fails. */
static void
read_hosts(void)
{
	struct hosts *h = &names.hosts[!names.present];
	long n = sys_read_file(names.cfg->hosts, h->text, h->room);

	if (!is_read(&names.hosts_file, "hosts file", n))
		return;
	names_hosts_index(h, (size_t)n);
	names.present = !names.present;
}

/* What is known was learned from other servers, perhaps. */
static void
forget_answers(void)
{
	struct lookup *k;

	for (k = names.list[L_KNOWN].head; k != NULL; k = k->next)
		k->until = 0;
}

static void
read_resolv(void)
{
	long n = sys_read_file(names.cfg->resolv, names.text, RESOLV_ROOM);

	if (!is_read(&names.resolv_file, "resolv.conf", n) &&
	    names.resolv.servers > 0)
		return;
	names_resolv_init(&names.resolv);
	names_resolv_parse(&names.resolv, names.text, n < 0 ? 0 : (size_t)n);
	query_init(&names.resolv, NULL);
	forget_answers();
}

/* Has the file changed since it was read? */
static bool
has_changed(const char *path, struct file *f)
{
	struct stamp before = f->stamp;

	(void)sys_file_stamp(path, &f->stamp);
	return memcmp(&before, &f->stamp, sizeof before) != 0;
}

static void
look_at_files(int64_t now)
{
	if (now - names.looked < STAMP_MS)
		return;
	names.looked = now;
	if (has_changed(names.cfg->hosts, &names.hosts_file))
		read_hosts();
	if (names.cfg->servers == 0 && !names.resolv.no_reload &&
	    has_changed(names.cfg->resolv, &names.resolv_file))
		read_resolv();
}

/* ---- public -------------------------------------------------------------- */

size_t
resolver_memory(size_t room)
{
	return LOOKUPS_KEPT * sizeof(struct lookup) +
	    LOOKUPS_MAX * sizeof(struct session) +
	    CHAINS * sizeof(struct lookup *) + 2 * names_hosts_memory(room) +
	    RESOLV_ROOM + query_memory();
}

/* Returns what is left of it.  Most of it is not touched before it is used. */
static char *
share_out(void *memory, size_t room)
{
	char *p;

	names.lookup = memory;
	names.session = (struct session *)(void *)(names.lookup + LOOKUPS_KEPT);
	names.chain = (struct lookup **)(void *)(names.session + LOOKUPS_MAX);
	p = (char *)(names.chain + CHAINS);
	names_hosts_init(&names.hosts[0], p, room);
	p += names_hosts_memory(room);
	names_hosts_init(&names.hosts[1], p, room);
	p += names_hosts_memory(room);
	names.text = p;
	return p + RESOLV_ROOM;
}

unsigned
resolver_waits(void)
{
	return LOOKUPS_MAX * FAMILIES;
}

void
resolver_init(const struct config *cfg, void *memory, size_t room, int64_t now)
{
	char *p;

	memset(&names, 0, sizeof names);
	names.cfg = cfg;
	p = share_out(memory, room);
	/* Without randomness chains may be made long, nothing worse. */
	(void)sys_random(&names.seed, sizeof names.seed);
	names_resolv_init(&names.resolv);
	query_init(&names.resolv, p);
	names.looked = now - STAMP_MS;
	(void)sys_file_stamp(cfg->hosts, &names.hosts_file.stamp);
	read_hosts();
	if (cfg->servers > 0) {
		memcpy(names.resolv.server, cfg->server, sizeof cfg->server);
		names.resolv.servers = cfg->servers;
	} else {
		(void)sys_file_stamp(cfg->resolv, &names.resolv_file.stamp);
		read_resolv();
	}
}

/* An answer that needs nobody. */
static struct lookup *
answer_locally(enum name_failure failure)
{
	struct answer *a = &names.local.answer;

	a->failure = failure;
	a->done = a->ready[V6] = a->ready[V4] = true;
	return &names.local;
}

static void
add_loopback(struct addr_list list[FAMILIES])
{
	struct addr a;

	(void)addr_parse("::1", 3, &a);
	dns_list_add(&list[V6], &a);
	(void)addr_parse("127.0.0.1", 9, &a);
	dns_list_add(&list[V4], &a);
}

/* NULL if it has to be asked for. */
static struct lookup *
find_locally(const struct target *t)
{
	enum dns_special special = dns_name_special(t->name, t->name_len);
	struct answer *a = &names.local.answer;

	memset(a, 0, sizeof *a);
	if (special == DNS_NEVER)
		return answer_locally(NAME_UNKNOWN);
	if (names_hosts_find(&names.hosts[names.present], t->name,
	    t->name_len, a->list))
		return answer_locally(NAME_FOUND);
	if (special != DNS_LOCALHOST)
		return NULL;
	add_loopback(a->list);
	return answer_locally(NAME_FOUND);
}

static struct lookup *
begin_lookup(const struct target *t, int64_t now)
{
	struct lookup *k = names.queued < LOOKUPS_QUEUE ? take_lookup() : NULL;
	struct lookup **chain = chain_of(t->name, t->name_len);

	if (k == NULL) {
		names.totals.full++;
		return NULL;
	}
	memset(k, 0, sizeof *k);
	k->absolute = t->absolute;
	k->name_len = t->name_len;
	memcpy(k->name, t->name, t->name_len);
	k->neighbour = *chain;
	*chain = k;
	enter(k, L_QUEUED);
	names.totals.asked++;
	begin_queued(now);
	return k;
}

struct lookup *
resolver_start(const struct target *t, int64_t now)
{
	struct lookup *k;

	names.totals.lookups++;
	look_at_files(now);
	if ((k = find_locally(t)) != NULL)
		return k;
	if ((k = find(t, now)) != NULL) {
		names.totals.cached++;
		if (k->state == L_KNOWN)
			enter(k, L_KNOWN);	/* the last to be given up */
	} else if ((k = begin_lookup(t, now)) == NULL)
		return NULL;
	k->waiters++;
	return k;
}

const struct answer *
resolver_answer(const struct lookup *k)
{
	return &k->answer;
}

void
resolver_release(struct lookup *k, int64_t now)
{
	if (k == &names.local || --k->waiters > 0 || k->state == L_KNOWN)
		return;
	if (k->session == NULL || !is_found(k->session)) {
		give_up(k);
		begin_queued(now);
	} else if (k->session->deadline > now + LINGER_MS)
		k->session->deadline = now + LINGER_MS;
}

void
resolver_interest(struct waits *w)
{
	struct session *s;
	enum family f;
	unsigned i;

	for (i = 0; i < LOOKUPS_MAX; i++) {
		s = &names.session[i];
		if (s->lookup == NULL)
			continue;
		sys_due(w, s->deadline);
		for (f = V6; f < FAMILIES; f++)
			if (s->leg[f].begun && !s->leg[f].over)
				query_interest(&s->leg[f].query, w, i);
		if (s->leg[V4].failure == NAME_FOUND &&
		    !s->lookup->answer.ready[V4])
			sys_due(w, s->v4_at + RESOLUTION_DELAY_MS);
	}
}

void
resolver_step(const struct waits *w, int64_t now)
{
	unsigned i;

	for (i = 0; i < LOOKUPS_MAX; i++)
		if (names.session[i].lookup != NULL)
			step_session(&names.session[i], w, now);
	begin_queued(now);
}

void
resolver_stop(void)
{
	unsigned i;

	for (i = 0; i < LOOKUPS_MAX; i++)
		if (names.session[i].lookup != NULL)
			end_session(&names.session[i]);
}

const struct resolver_totals *
resolver_totals(void)
{
	return &names.totals;
}
