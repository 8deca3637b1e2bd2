/* SPDX-License-Identifier: ISC */
/*
 * names.c - the name servers of the simulated world.
 *
 * A server is of a kind: it answers well, or lies, or is silent.  A name is of
 * a kind too: it has aliases, or changes its addresses, or is not there.  What
 * a liar says leads to EVIL, an address that nobody may ever dial; what was
 * truly told is remembered with its time to live, and only that may be dialled.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "sim.h"

#define MESSAGE_MAX	2048
#define PENDING_MAX	4
#define SOCKS_MAX	128
#define MS		1000
#define EVIL_HOST	254		/* 93.184.216.254 */
#define SOCKETS_ALLOWED	64
#define NOBODY		99		/* server that is not there */

/* What is on its way to the daemon. */
struct pending {
	int64_t		at;
	int		error;		/* ICMP */
	unsigned	n;
	unsigned char	p[MESSAGE_MAX];
};

struct dns_sock {
	bool		used, tcp, dead;
	unsigned	server;
	int64_t		connected_at;
	int		outcome, error;
	unsigned	queries;	/* sent on it */
	struct pending	pending[PENDING_MAX];
	unsigned	pendings;
	unsigned char	out[MESSAGE_MAX];	/* TCP: sent so far */
	unsigned	out_n;
	unsigned	taken;		/* TCP: of the first pending */
	unsigned	piece;		/* TCP: bytes at most a read, 0 all */
	bool		closes;		/* TCP: behind what is pending */
};

struct question {
	unsigned	id, type;
	char		name[300];
	unsigned char	wire[300];
	unsigned	wire_n;
};

static struct dns_sock socks[SOCKS_MAX];
static unsigned last_id, same_ids;

/* ---- writing messages --------------------------------------------------- */

static void
put(struct pending *m, unsigned long value, int bytes)
{
	while (bytes-- > 0)
		m->p[m->n++] = (unsigned char)(value >> 8 * bytes);
}

static void
put_name(struct pending *m, const char *name)
{
	size_t n;

	for (; *name != '\0'; name += n + (name[n] == '.')) {
		n = strcspn(name, ".");
		put(m, n, 1);
		memcpy(m->p + m->n, name, n);
		m->n += (unsigned)n;
	}
	put(m, 0, 1);
}

static void
put_head(struct pending *m, const struct question *q, unsigned flags)
{
	m->n = 0;
	put(m, q->id, 2);
	put(m, flags, 2);
	put(m, 1, 2);
	put(m, 0, 4);
	put(m, 0, 2);
	memcpy(m->p + m->n, q->wire, q->wire_n);
	m->n += q->wire_n;
}

static void
put_record(struct pending *m, int section, const char *owner, unsigned type,
    unsigned long ttl, unsigned length)
{
	m->p[7 + 2 * section]++;
	put_name(m, owner);
	put(m, type, 2);
	put(m, 1, 2);
	put(m, ttl, 4);
	put(m, length, 2);
}

static void
put_addr(struct pending *m, int section, const char *owner,
    const struct sim_addr *a, unsigned long ttl)
{
	unsigned n = a->family == 4 ? 4 : 16;

	put_record(m, section, owner, a->family == 4 ? 1 : 28, ttl, n);
	memcpy(m->p + m->n, a->ip, n);
	m->n += n;
}

static void
put_alias(struct pending *m, const char *owner, const char *target,
    unsigned long ttl)
{
	put_record(m, 0, owner, 5, ttl, (unsigned)strlen(target) + 2);
	put_name(m, target);
}

static void
put_evil(struct pending *m, int section, const char *owner)
{
	struct sim_addr a;

	memset(&a, 0, sizeof a);
	a.family = 4;
	memcpy(a.ip, "\135\270\330", 3);
	a.ip[3] = EVIL_HOST;
	put_addr(m, section, owner, &a, 60);
}

/* ---- what is true ------------------------------------------------------- */

static unsigned
family_type(const struct sim_addr *a)
{
	return a->family == 4 ? 1 : 28;
}

/* "n7.good.test", or below it an alias: "x.n7.good.test". */
static struct sim_name *
find_name(const char *text, bool *alias)
{
	unsigned i;

	*alias = strncmp(text, "x.", 2) == 0;
	for (i = 0; i < NAMES; i++)
		if (strcmp(sim.name[i].text, text + (*alias ? 2 : 0)) == 0)
			return &sim.name[i];
	return NULL;
}

/* Which of its addresses a name has at the moment. */
static bool
has_now(const struct sim_name *n, unsigned i)
{
	return n->kind != N_FLIPS || i % 2 == n->version % 2;
}

static void
tell(struct sim_name *n, unsigned i, unsigned long ttl)
{
	int64_t until = sim.now + (int64_t)ttl * 1000 * MS +
	    sim.set.connect_ms * MS + 7000 * MS;

	if (until > n->true_until[i])
		n->true_until[i] = until;
}

static unsigned
put_addresses(struct pending *m, struct sim_name *n, const char *owner,
    unsigned type)
{
	unsigned long ttl = n->kind == N_FLIPS ? n->ttl : 60;
	unsigned i, told = 0;

	for (i = 0; i < n->addresses; i++)
		if (family_type(&n->address[i]) == type && has_now(n, i)) {
			put_addr(m, 0, owner, &n->address[i], ttl);
			tell(n, i, ttl);
			told++;
		}
	return told;
}

/* The good answer. */
static void
answer(struct pending *m, const struct question *q)
{
	char alias[300];
	bool is_alias;
	struct sim_name *n = find_name(q->name, &is_alias);
	unsigned where;

	put_head(m, q, 0x8180);
	if (n == NULL || n->kind == N_NOT_THERE) {
		m->p[3] |= 3;
		return;
	}
	if (n->kind == N_FLIPS && q->type == 1)
		n->version++;
	(void)snprintf(alias, sizeof alias, "x.%s", n->text);
	if (!is_alias && n->kind == N_PARTIAL) {
		put_alias(m, q->name, alias, 60);
		return;
	}
	if (is_alias || n->kind != N_ALIAS) {
		(void)put_addresses(m, n, q->name, q->type);
		return;
	}
	where = below(2);
	if (where == 0)
		put_alias(m, q->name, alias, 60);
	(void)put_addresses(m, n, alias, q->type);
	if (where == 1)
		put_alias(m, q->name, alias, 60);
}

/* Only what was told in truth, and not long ago. */
bool
names_allow(const struct client *k, const struct sim_addr *a)
{
	const struct sim_name *n;
	unsigned i;

	if (k->name < 0 || sim.name[k->name].in_hosts)
		return true;
	n = &sim.name[k->name];
	for (i = 0; i < n->addresses; i++)
		if (n->address[i].family == a->family &&
		    memcmp(n->address[i].ip, a->ip, 16) == 0 &&
		    sim.now <= n->true_until[i])
			return true;
	return false;
}

static bool
has_four(const struct client *k)
{
	unsigned i;

	for (i = 0; i < k->addresses; i++)
		if (k->address[i].family == 4 &&
		    oracle_allows(k, &k->address[i]))
			return true;
	return false;
}

/* Every server helps in the end: then this client's name is found. */
bool
names_helpful(const struct client *k)
{
	unsigned i;

	for (i = 0; i < sim.set.servers; i++)
		if (sim.set.server[i] > S_LAST_HELPFUL ||
		    (sim.set.server[i] == S_SIX_FAILS && !has_four(k)))
			return false;
	return true;
}

/* ---- servers ------------------------------------------------------------ */

static struct pending *
queue_answer(struct dns_sock *s, int64_t delay)
{
	struct pending *m;

	if (s->pendings == PENDING_MAX)
		broken("too many answers for one question");
	m = &s->pending[s->pendings++];
	memset(m, 0, sizeof *m);
	m->at = sim.now + delay;
	if (s->pendings > 1 && m->at < m[-1].at)
		m->at = m[-1].at;
	return m;
}

static void
queue_error(struct dns_sock *s, int64_t delay)
{
	queue_answer(s, delay)->error = ECONNREFUSED;
}

/* A lie about q, by the kind of the server. */
static void
lie(struct dns_sock *s, const struct question *q, enum server_kind kind)
{
	struct pending *m = queue_answer(s, between(0, 3) * MS);
	struct question other = *q;

	if (kind == S_WRONG_ID)
		other.id ^= 1u << below(16);
	if (kind == S_WRONG_QUESTION)
		other.wire[1] ^= 1;
	put_head(m, &other, 0x8180);
	switch (kind) {
	case S_WRONG_TYPE:
		m->p[12 + q->wire_n - 3] ^= 1 ^ 28;
		put_evil(m, 0, q->name);
		break;
	case S_NO_ANSWER:		/* QR is missing */
		m->p[2] &= 0x7f;
		put_evil(m, 0, q->name);
		break;
	default:
		put_evil(m, 0, q->name);
	}
}

/* Far more than the 512 bytes that a datagram should have. */
static void
put_texts(struct pending *m, const char *owner)
{
	while (m->n < MESSAGE_MAX - 400 && m->p[7] < 200) {
		put_record(m, 0, owner, 16, 60, 9);
		memcpy(m->p + m->n, "\10too much", 9);
		m->n += 9;
	}
}

/* A true answer with lies in it, or too much of it. */
static void
answer_with(struct dns_sock *s, const struct question *q,
    enum server_kind kind, int64_t delay)
{
	struct pending *m = queue_answer(s, delay);

	answer(m, q);
	if (kind == S_WRONG_OWNER)
		put_evil(m, 0, "evil.test");
	else if (kind == S_ADDITIONAL)
		put_evil(m, 2, q->name);
	else if (kind == S_OVERSIZED)
		put_texts(m, q->name);
}

static void
answer_badly(struct dns_sock *s, const struct question *q, unsigned rcode)
{
	put_head(queue_answer(s, between(0, 5) * MS), q, 0x8180 | rcode);
}

static void
truncate_answer(struct dns_sock *s, const struct question *q)
{
	struct pending *m = queue_answer(s, between(0, 5) * MS);

	put_head(m, q, 0x8380);
	put_evil(m, 0, q->name);
}

static enum server_kind
kind_of(const struct dns_sock *s)
{
	return s->server == NOBODY ? S_DEAD : sim.set.server[s->server];
}

static void
serve(struct dns_sock *s, const struct question *q)
{
	enum server_kind kind = kind_of(s);
	int64_t delay = (int64_t)between(0, 20) * MS;

	switch (kind) {
	case S_SLOW:
		answer_with(s, q, kind, (int64_t)between(0, 900) * MS);
		return;
	case S_WRONG_ID:
	case S_WRONG_QUESTION:
	case S_WRONG_TYPE:
	case S_NO_ANSWER:
		if (!s->tcp)
			lie(s, q, kind);
		answer_with(s, q, kind, delay);
		return;
	case S_TRUNCATING:
		if (!s->tcp)
			truncate_answer(s, q);
		else
			answer_with(s, q, kind, delay);
		return;
	case S_TWICE:
		answer_with(s, q, kind, delay);
		if (!s->tcp)
			answer_with(s, q, kind, delay);
		return;
	case S_SIX_FAILS:
		if (q->type == 28)
			answer_badly(s, q, 2);
		else
			answer_with(s, q, kind, delay);
		return;
	case S_DEAD:
		return;
	case S_LATE:
		answer_with(s, q, kind, (int64_t)between(500, 7000) * MS);
		return;
	case S_REFUSES:
		queue_error(s, delay);
		return;
	case S_FAILS:
		answer_badly(s, q, below(2) == 0 ? 2 : 5);
		return;
	case S_LOOPS: {
		struct pending *m = queue_answer(s, delay);

		put_head(m, q, 0x8180);
		put_alias(m, q->name, "l.test", 60);
		put_alias(m, "l.test", q->name, 60);
		return;
	}
	case S_GARBAGE:
		answer_with(s, q, kind, delay);
		s->pending[s->pendings - 1].n -= below(8);
		s->pending[s->pendings - 1].p[below(40)] ^=
		    (unsigned char)(1u << below(8));
		/* What came of that may lead anywhere but to EVIL. */
		s->pending[s->pendings - 1].p[6] = 0x7f;
		return;
	case S_PLAIN:
	case S_OVERSIZED:
	case S_WRONG_OWNER:
	case S_ADDITIONAL:
	case SERVERS:
		break;
	}
	answer_with(s, q, kind, delay);
}

/* ---- queries ------------------------------------------------------------ */

static void
check_query(const unsigned char *p, size_t n, struct question *q)
{
	size_t at = 12, size, k = 0;
	bool alias;

	if (n < 17 || p[2] != 1 || p[3] != 0 || p[4] != 0 || p[5] != 1)
		broken("a query with another header than ours");
	while ((size = p[at]) != 0) {
		if (size > 63 || at + size + 5 > n || k > 250)
			broken("a query whose name is none");
		memcpy(q->name + k, p + at + 1, size);
		k += size;
		q->name[k++] = '.';
		at += 1 + size;
	}
	q->name[k > 0 ? k - 1 : 0] = '\0';
	q->id = p[0] * 256u + p[1];
	q->type = p[at + 1] * 256u + p[at + 2];
	q->wire_n = (unsigned)(at + 5 - 12);
	memcpy(q->wire, p + 12, q->wire_n);
	if ((q->type != 1 && q->type != 28) || p[at + 3] != 0 || p[at + 4] != 1)
		broken("a query for type %u", q->type);
	if (find_name(q->name, &alias) == NULL &&
	    strcmp(q->name, "nobody.test") != 0 &&
	    (!sim.plan.on || strcmp(q->name, "one.test") != 0))
		broken("a query for %s, which nobody asked for", q->name);
	same_ids = q->id == last_id ? same_ids + 1 : 0;
	last_id = q->id;
	if (same_ids >= 2)
		broken("the ids of queries repeat");
}

/* ---- sockets, for world.c ----------------------------------------------- */

int
names_open(const struct sim_addr *to, bool tcp)
{
	unsigned i, open = 0, server = to->ip[3];
	struct dns_sock *s = NULL;

	for (i = 0; i < SOCKS_MAX; i++) {
		open += socks[i].used;
		if (!socks[i].used)
			s = &socks[i];
	}
	/* It may not have been able to read whom to ask. */
	if (sim.plan.on && (to->ip[1] == 0 || to->family == 6))
		server = NOBODY;
	else if (to->family != 4 || to->ip[0] != 127 || to->ip[1] != 9 ||
	    server >= sim.set.servers)
		broken("a query to something that is no name server");
	if (open >= SOCKETS_ALLOWED)
		broken("more than %d questions at a time", SOCKETS_ALLOWED);
	memset(s, 0, sizeof *s);
	s->used = true;
	s->tcp = tcp;
	s->server = server;
	s->connected_at = sim.now + (int64_t)between(0, 5) * MS;
	if (tcp && kind_of(s) == S_DEAD)
		s->connected_at = INT64_MAX;
	if (tcp && kind_of(s) == S_REFUSES)
		s->outcome = ECONNREFUSED;
	if (tcp && below(3) == 0)
		s->piece = between(1, 50);
	s->closes = tcp && below(6) == 0;
	return (int)(s - socks);
}

void
names_close(int index)
{
	socks[index].used = false;
}

/* 0 connected, EAGAIN not yet, or an error. */
int
names_connected(int index)
{
	struct dns_sock *s = &socks[index];

	if (s->tcp && s->connected_at > sim.now)
		return EAGAIN;
	return s->outcome;
}

static void
take_query(struct dns_sock *s, const unsigned char *p, size_t n)
{
	struct question q;

	memset(&q, 0, sizeof q);
	check_query(p, n, &q);
	if (s->queries++ > 0)
		broken("a socket is used for a second question");
	trace("query for %s, type %u, to server %u (kind %d)%s", q.name,
	    q.type, s->server, (int)kind_of(s),
	    s->tcp ? " by TCP" : "");
	serve(s, &q);
}

/* How many bytes of it are taken. */
size_t
names_send(int index, const unsigned char *p, size_t n)
{
	struct dns_sock *s = &socks[index];

	if (!s->tcp) {
		take_query(s, p, n);
		return n;
	}
	if (below(8) == 0 && n > 1 && raise_fault(F_SHORT))
		n = between(1, (unsigned)n - 1);
	if (s->out_n + n > MESSAGE_MAX)
		broken("an endless query");
	memcpy(s->out + s->out_n, p, n);
	s->out_n += (unsigned)n;
	if (s->out_n >= 2 && s->out_n >= 2u + s->out[0] * 256u + s->out[1])
		take_query(s, s->out + 2, s->out_n - 2);
	return n;
}

static struct pending *
arrived(struct dns_sock *s)
{
	return s->pendings > 0 && s->pending[0].at <= sim.now ?
	    &s->pending[0] : NULL;
}

static void
pop(struct dns_sock *s)
{
	s->pendings--;
	memmove(s->pending, s->pending + 1, s->pendings * sizeof *s->pending);
	s->taken = 0;
}

/* A byte of the stream: the length comes first. */
static unsigned char
stream_byte(const struct pending *m, unsigned at)
{
	return at == 0 ? (unsigned char)(m->n >> 8) : at == 1 ?
	    (unsigned char)m->n : m->p[at - 2];
}

static int
receive_tcp(struct dns_sock *s, unsigned char *p, size_t room)
{
	struct pending *m = arrived(s);
	unsigned i, n;

	if (m == NULL)
		return s->closes && s->queries > 0 && s->pendings == 0 ? 0 :
		    -EAGAIN;
	if (m->error != 0)
		return -m->error;
	n = m->n + 2 - s->taken;
	if (s->piece > 0 && n > s->piece)
		n = s->piece;
	if (n > room)
		n = (unsigned)room;
	for (i = 0; i < n; i++)
		p[i] = stream_byte(m, s->taken++);
	if (s->taken == m->n + 2)
		pop(s);
	return (int)n;
}

/* Bytes, or -errno. */
int
names_receive(int index, unsigned char *p, size_t room)
{
	struct dns_sock *s = &socks[index];
	struct pending *m = arrived(s);
	int n;

	if (s->tcp)
		return receive_tcp(s, p, room);
	if (m == NULL)
		return -EAGAIN;
	n = m->error != 0 ? -m->error : (int)m->n;
	if (n > (int)room)
		n = (int)room;
	if (n > 0)
		memcpy(p, m->p, (size_t)n);
	pop(s);
	return n;
}

bool
names_readable(int index)
{
	struct dns_sock *s = &socks[index];

	return arrived(s) != NULL || (s->tcp && s->closes && s->queries > 0 &&
	    s->pendings == 0);
}

/* When something happens there next. */
int64_t
names_next(int index)
{
	struct dns_sock *s = &socks[index];
	int64_t next = INT64_MAX;

	if (s->tcp && s->connected_at > sim.now)
		next = s->connected_at;
	if (s->pendings > 0 && s->pending[0].at < next)
		next = s->pending[0].at;
	return next;
}

unsigned
names_open_sockets(void)
{
	unsigned i, open = 0;

	for (i = 0; i < SOCKS_MAX; i++)
		open += socks[i].used;
	return open;
}

/* ---- drawing ------------------------------------------------------------ */

void
names_draw_servers(struct settings *s)
{
	unsigned i, all = below(S_LAST_HELPFUL + 1);
	bool same = below(3) == 0;	/* no other can hide what it does */

	s->servers = between(1, 3);
	for (i = 0; i < s->servers; i++)
		s->server[i] = (enum server_kind)(same ? all : below(3) == 0 ?
		    below(SERVERS) : below(S_LAST_HELPFUL + 1));
	s->dns_timeout = between(1, 5);
	s->dns_attempts = between(1, 3);
	s->files_at = below(3) == 0 ? between(1, 20) * 1000000LL : INT64_MAX;
}

/* The text of resolv.conf: 127.9.0.N is server N. */
void
names_resolv_conf(const struct settings *s, char *out, size_t room)
{
	unsigned i;
	size_t n = 0;

	for (i = 0; i < s->servers; i++)
		n += (size_t)snprintf(out + n, room - n,
		    "nameserver 127.9.0.%u\n", i);
	(void)snprintf(out + n, room - n, "options timeout:%u attempts:%u%s%s"
	    "\n", s->dns_timeout, s->dns_attempts,
	    s->dns_timeout == 2 ? " use-vc" : "",
	    s->dns_timeout == 3 ? " single-request" : "");
}
