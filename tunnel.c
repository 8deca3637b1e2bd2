/* SPDX-License-Identifier: ISC */
/*
 * tunnel.c - the life of one tunnel: states, deadlines, relay, access line.
 *
 * IMPLEMENTATION NOTES
 *
 *  state      open             up ring       down ring   ends by
 *  T_FREE     -                -             -           -
 *  T_REQUEST  client           head so far   -           request, from accept
 *  T_CONNECT  client, attempts early data    -           connect, not renewed
 *  T_RELAY    client, target   to target     to client   idle, since last byte
 *  T_HALF     client, target   one flow shut             half, since last byte
 *  T_CUT      client, target   one flow left to flush    half, since last byte
 *  T_REFUSE   client           dropped       reply       2 s idle, 10 s in all
 *
 * The head is received into the up ring; what lies behind it is the first data
 * of the tunnel.  The 200 is the first data of the down ring.
 *
 * All states of one queue have the same, constant patience, and a tunnel moves
 * to the tail when it is renewed.  So the head of a queue is the next to
 * expire, and nothing has to be searched.
 */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "connectd.h"

#define REFUSE_IDLE_MS	2000
#define REFUSE_TOTAL_MS	10000
#define REFUSE_DROP_MAX	(1024 * 1024)	/* bytes that keep it alive */
#define STRICT_HALF_MS	2000	/* `timeout half 0`: to drop what comes */
#define EVICT_AGE_MS	1000
#define POLITE_EXCESS	8	/* 503 over the limit, then plain close */
#define TARGET_TEXT_MAX	(NAME_MAX_LEN + 8)

enum tunnel_state {
	T_FREE, T_REQUEST, T_CONNECT, T_RELAY, T_HALF, T_CUT, T_REFUSE, STATES
};

enum queue {
	Q_FREE, Q_REQUEST, Q_CONNECT, Q_RELAY, Q_HALF, Q_CUT, Q_REFUSE, QUEUES
};

struct tunnel {
	enum tunnel_state state;
	struct tunnel	*prev, *next;	/* in its queue */
	struct tunnel	*neighbour;	/* in the chain of its client's hash */
	struct relay	 relay;
	int64_t		 begun;		/* accepted */
	int64_t		 since;		/* last renewed, in its queue */
	int64_t		 setup;		/* ms until it stood, or -1 */
	int64_t		 reply_begun;	/* T_REFUSE */
	uint64_t	 dropped;	/* T_REFUSE: bytes behind the request */
	struct addr	 peer;		/* the client's address */
	struct request	 request;
	struct reach	 reach;		/* from T_CONNECT on */
	const struct rule *rule;	/* that refused it */
	const char	*rcode;		/* of a dns_error; NULL: none */
	const char	*end;		/* word for the access line */
	int		 status;	/* replied; 0: nothing */
};

struct list {
	struct tunnel	*head, *tail;
};

static struct {
	const struct config *cfg;
	struct tunnel	*slot;
	uint32_t	 used_slots;	/* that were in use before */
	struct tunnel	**chain;	/* by hash of the client */
	uint32_t	 chains, seed;
	struct list	 queue[QUEUES];
	unsigned	 first, last;	/* our entries in this turn's waits */
	struct tunnel_totals totals;
} table;

/* ---- queues and states --------------------------------------------------- */

static const enum queue queue_of[STATES] = {
	[T_FREE] = Q_FREE,
	[T_REQUEST] = Q_REQUEST,
	[T_CONNECT] = Q_CONNECT,
	[T_RELAY] = Q_RELAY,
	[T_HALF] = Q_HALF,
	[T_CUT] = Q_CUT,
	[T_REFUSE] = Q_REFUSE
};

#define BIT(state) (1u << (state))

static const unsigned legal[STATES] = {
	[T_FREE] = BIT(T_REQUEST),
	[T_REQUEST] = BIT(T_CONNECT) | BIT(T_REFUSE) | BIT(T_FREE),
	[T_CONNECT] = BIT(T_RELAY) | BIT(T_REFUSE) | BIT(T_FREE),
	[T_RELAY] = BIT(T_HALF) | BIT(T_CUT) | BIT(T_FREE),
	[T_HALF] = BIT(T_CUT) | BIT(T_FREE),
	[T_CUT] = BIT(T_FREE),
	[T_REFUSE] = BIT(T_FREE)
};

static int64_t
patience(enum queue q)
{
	const int64_t *timeout = table.cfg->timeout;

	switch (q) {
	case Q_REQUEST:
		return timeout[TIMEOUT_REQUEST];
	case Q_CONNECT:
		return timeout[TIMEOUT_CONNECT];
	case Q_RELAY:
		return timeout[TIMEOUT_IDLE];
	case Q_HALF:
	case Q_CUT:
		return timeout[TIMEOUT_HALF] > 0 ? timeout[TIMEOUT_HALF] :
		    STRICT_HALF_MS;
	case Q_REFUSE:
		return REFUSE_IDLE_MS;
	case Q_FREE:
	case QUEUES:
		break;
	}
	return WAIT_FOREVER;
}

static void
list_remove(struct list *l, struct tunnel *t)
{
	if (t->prev != NULL)
		t->prev->next = t->next;
	else
		l->head = t->next;
	if (t->next != NULL)
		t->next->prev = t->prev;
	else
		l->tail = t->prev;
}

static void
list_append(struct list *l, struct tunnel *t)
{
	t->prev = l->tail;
	t->next = NULL;
	if (l->tail != NULL)
		l->tail->next = t;
	else
		l->head = t;
	l->tail = t;
}

/* The only writer of t->state. */
static void
enter(struct tunnel *t, enum tunnel_state next, int64_t now)
{
	enum queue from = queue_of[t->state], to = queue_of[next];

	assert(legal[t->state] & BIT(next));
	t->state = next;
	if (from == to)
		return;		/* one deadline over all states of a queue */
	list_remove(&table.queue[from], t);
	list_append(&table.queue[to], t);
	t->since = now;
}

static void
renew(struct tunnel *t, int64_t now)
{
	struct list *l = &table.queue[queue_of[t->state]];

	/* Never beyond REFUSE_TOTAL_MS in all. */
	if (t->state == T_REFUSE &&
	    now - t->reply_begun > REFUSE_TOTAL_MS - REFUSE_IDLE_MS)
		return;
	t->since = now;
	if (l->tail == t)
		return;
	list_remove(l, t);
	list_append(l, t);
}

/* ---- clients ------------------------------------------------------------- */

/* A client is an IPv4 address or an IPv6 /64: who has one has all of it. */
static size_t
client_bytes(const struct addr *a)
{
	return a->family == 4 ? 4 : 8;
}

static bool
same_client(const struct addr *a, const struct addr *b)
{
	return a->family == b->family &&
	    memcmp(a->ip, b->ip, client_bytes(a)) == 0;
}

static struct tunnel **
chain_of(const struct addr *a)
{
	uint32_t h = table.seed;
	size_t i;

	for (i = 0; i < client_bytes(a); i++)
		h = (h ^ a->ip[i]) * 16777619u;
	return &table.chain[(h ^ h >> 15) & (table.chains - 1)];
}

static unsigned
count_client(const struct addr *a)
{
	const struct tunnel *t;
	unsigned n = 0;

	for (t = *chain_of(a); t != NULL; t = t->neighbour)
		n += same_client(&t->peer, a);
	return n;
}

static void
forget_client(struct tunnel *t)
{
	struct tunnel **p = chain_of(&t->peer);

	while (*p != t)
		p = &(*p)->neighbour;
	*p = t->neighbour;
}

/* ---- the end ------------------------------------------------------------- */

static char *
target_text(const struct tunnel *t, char out[TARGET_TEXT_MAX])
{
	const struct target *target = &t->request.target;

	if (target->addr.port == 0)
		return memcpy(out, "-", 2);
	if (target->addr.family != 0)
		return addr_format(&target->addr, true, out);
	(void)snprintf(out, TARGET_TEXT_MAX, "%.*s:%u", target->name_len,
	    target->name, target->addr.port);
	return out;
}

static uint64_t
down_bytes(const struct tunnel *t)
{
	if (t->setup < 0 || t->relay.down.sent < HTTP_ESTABLISHED_LEN)
		return 0;
	return t->relay.down.sent - HTTP_ESTABLISHED_LEN;
}

/* ms, or "-" */
static const char *
ms_text(int64_t ms, char out[24])
{
	(void)snprintf(out, 24, "%lld", (long long)ms);
	return ms < 0 ? "-" : out;
}

/* The longest of all, with two IPv6 addresses, fits into LOG_LINE_MAX; one that
 * names a rule or an rcode has no address and no bytes. */
static void
log_access(const struct tunnel *t, int64_t now)
{
	const struct addr *to = &t->reach.address;
	char client[ADDR_TEXT_MAX], address[ADDR_TEXT_MAX] = "-";
	char target[TARGET_TEXT_MAX], setup[24], dns[24], more[88] = "";

	if (to->family != 0)
		addr_format(to, true, address);
	if (t->rule != NULL)
		(void)snprintf(more, sizeof more, " rule=%.64s:%u",
		    t->rule->file, t->rule->line);
	else if (t->rcode != NULL)
		(void)snprintf(more, sizeof more, " rcode=%s", t->rcode);
	sys_log(LEVEL_INFO, "tunnel client=%s user=- target=%s via=- "
	    "address=%s status=%d end=%s up=%llu down=%llu ms=%lld "
	    "setup-ms=%s dns-ms=%s%s",
	    addr_format(&t->peer, true, client),
	    target_text(t, target), address, t->status, t->end,
	    (unsigned long long)t->relay.up.sent,
	    (unsigned long long)down_bytes(t), (long long)(now - t->begun),
	    ms_text(t->setup, setup), ms_text(t->reach.dns_ms, dns), more);
}

/* Everything is over: one line, and the slot is free. */
static void
end(struct tunnel *t, int64_t now)
{
	log_access(t, now);
	table.totals.up += t->relay.up.sent;
	table.totals.down += down_bytes(t);
	table.totals.now--;
	if (t->state == T_CONNECT)
		reach_cancel(&t->reach, now);
	relay_close(&t->relay);
	forget_client(t);
	enter(t, T_FREE, now);
}

/* The same before its time. */
static void
abort_tunnel(struct tunnel *t, const char *word, int64_t now)
{
	t->end = word;
	relay_abort(&t->relay);
	end(t, now);
}

/* ---- refusal ------------------------------------------------------------- */

/* Send the reply, then FIN, then drop what comes until the client is done: a
 * close in front of unread input would destroy the reply (RFC 9112 9.6). */
static void
step_refuse(struct tunnel *t, int64_t now)
{
	struct relay *r = &t->relay;
	int in = -EAGAIN, out = relay_send(&r->down, r->client.fd);

	if (relay_has_room(&r->up)) {
		in = relay_receive(&r->up, r->client.fd);
		relay_drop(&r->up);
	}
	if ((out < 0 && out != -EAGAIN) || (in < 0 && in != -EAGAIN)) {
		end(t, now);
		return;
	}
	t->dropped += in > 0 ? (unsigned)in : 0;
	if ((out > 0 || in > 0) && t->dropped <= REFUSE_DROP_MAX)
		renew(t, now);
	if (r->down.state == FLOW_OPEN && ring_used(&r->down.ring) == 0) {
		sys_shutdown(r->client.fd);
		r->down.state = FLOW_SHUT;
	}
	if (r->down.state == FLOW_SHUT && r->up.state == FLOW_EOF)
		end(t, now);
}

static void
refuse(struct tunnel *t, int status, const char *error, const char *text,
    int64_t now)
{
	char out[REPLY_MAX];
	struct reply reply = { status, table.cfg->name, error, t->rcode, text,
	    t->request.is_head };

	table.totals.refused++;
	t->status = status;
	t->end = error;
	if (t->state == T_CONNECT)
		reach_cancel(&t->reach, now);
	relay_drop(&t->relay.up);
	relay_say(&t->relay.down, out, http_format_reply(&reply, out));
	t->reply_begun = now;
	t->dropped = 0;
	enter(t, T_REFUSE, now);
	step_refuse(t, now);
}

/* ---- relay --------------------------------------------------------------- */

/* Go where the relay has gone. */
static void
follow(struct tunnel *t, int64_t now)
{
	bool client = t->relay.ended == &t->relay.client;

	switch (t->relay.phase) {
	case RELAY_WHOLE:
		break;
	case RELAY_HALF:
		if (t->state == T_HALF)
			break;
		t->end = client ? "client-fin" : "target-fin";
		enter(t, T_HALF, now);
		break;
	case RELAY_CUT:
		if (t->state == T_CUT)
			break;
		t->end = client ? "client-reset" : "target-reset";
		enter(t, T_CUT, now);
		break;
	case RELAY_DONE:
		if (t->state == T_RELAY)
			t->end = client ? "client-fin" : "target-fin";
		end(t, now);
		break;
	case RELAY_DEAD:
		abort_tunnel(t, client ? "client-reset" : "target-reset", now);
		break;
	}
}

/* `timeout half 0`: half-closed is as good as closed. */
static bool
is_strict(void)
{
	return table.cfg->timeout[TIMEOUT_HALF] == 0;
}

static void
step_relay(struct tunnel *t, const struct waits *w, int64_t now)
{
	if (relay_step(&t->relay, w, is_strict(), now) > 0)
		renew(t, now);
	follow(t, now);
}

/* ---- request, connecting ------------------------------------------------- */

/* It was not reached, or takes too long. */
static void
refuse_unreached(struct tunnel *t, int64_t now)
{
	struct refusal why;

	reach_refusal(&t->reach, &why);
	t->rule = why.rule;
	t->rcode = why.rcode;
	refuse(t, why.status, why.error, why.text, now);
}

static void
establish(struct tunnel *t, int fd, int64_t now)
{
	t->status = 200;
	t->setup = now - t->begun;
	table.totals.established++;
	enter(t, T_RELAY, now);
	(void)relay_begin(&t->relay, fd, HTTP_ESTABLISHED,
	    HTTP_ESTABLISHED_LEN, now);
	follow(t, now);
}

static void
step_connect(struct tunnel *t, const struct waits *w, int64_t now)
{
	int fd = reach_step(&t->reach, w, now);

	if (fd >= 0)
		establish(t, fd, now);
	else if (fd != -EAGAIN)
		refuse_unreached(t, now);
}

static size_t
head_limit(const struct ring *r)
{
	return r->size < HEAD_MAX ? r->size : HEAD_MAX;
}

/* Nothing was taken out of the ring yet, so the head begins at its base. */
static void
step_request(struct tunnel *t, const struct waits *w, int64_t now)
{
	struct flow *up = &t->relay.up;
	const struct ring *r = &up->ring;
	int n = relay_receive(up, t->relay.client.fd);

	if (n == -EAGAIN)
		return;
	if (n < 0 || (n == 0 && ring_used(r) == 0)) {
		end(t, now);
		return;
	}
	if (n == 0) {
		refuse(t, 400, "http_request_error",
		    "the request head is incomplete", now);
		return;
	}
	n = http_parse_request((const char *)r->base, ring_used(r),
	    head_limit(r), &t->request);
	if (n < 0)
		refuse(t, -n, "http_request_error", t->request.why, now);
	if (n <= 0)
		return;
	relay_take(up, (size_t)n);
	enter(t, T_CONNECT, now);
	reach_start(&t->reach, &t->peer, &t->request.target, now);
	step_connect(t, w, now);
}

/* While the target is not there yet: keep what the client sends.  Its FIN is
 * no farewell, its reset is. */
static void
step_early(struct tunnel *t, int64_t now)
{
	int n = -EAGAIN;

	if (relay_has_room(&t->relay.up))
		n = relay_receive(&t->relay.up, t->relay.client.fd);
	if (n < 0 && n != -EAGAIN)
		end(t, now);
}

/* ---- a turn -------------------------------------------------------------- */

static void
interest(struct tunnel *t, struct waits *w)
{
	uint32_t owner = (uint32_t)(t - table.slot);

	if (t->state == T_CONNECT)
		reach_interest(&t->reach, w, owner);
	relay_interest(&t->relay, w, owner);
}

void
tunnel_interest(struct waits *w)
{
	struct tunnel *t;
	unsigned q;

	table.first = w->n;
	for (q = Q_REQUEST; q < QUEUES; q++) {
		t = table.queue[q].head;
		if (t != NULL)
			sys_due(w, t->since + patience(q));
		for (; t != NULL; t = t->next)
			interest(t, w);
	}
	table.last = w->n;
}

static void
wake(struct tunnel *t, const struct waits *w, int64_t now)
{
	switch (t->state) {
	case T_REQUEST:
		step_request(t, w, now);
		break;
	case T_CONNECT:
		if (sys_got(w, t->relay.client.wait) != 0)
			step_early(t, now);
		break;
	case T_RELAY:
	case T_HALF:
		step_relay(t, w, now);
		break;
	case T_REFUSE:
		step_refuse(t, now);
		break;
	case T_CUT:
	case T_FREE:
	case STATES:
		break;
	}
}

static void
expire(struct tunnel *t, int64_t now)
{
	switch (t->state) {
	case T_REQUEST:
		t->end = "idle";
		if (ring_used(&t->relay.up.ring) == 0)
			end(t, now);
		else
			refuse(t, 408, "http_request_error",
			    "the request head took too long", now);
		break;
	case T_CONNECT:
		refuse_unreached(t, now);
		break;
	case T_RELAY:
	case T_HALF:
		if (relay_delivers(&t->relay))
			renew(t, now);
		else if (is_strict() && relay_is_one_ended(&t->relay))
			end(t, now);
		else
			abort_tunnel(t, t->state == T_RELAY ? "idle" : "half",
			    now);
		break;
	case T_CUT:
		abort_tunnel(t, t->end, now);
		break;
	case T_REFUSE:
		end(t, now);
		break;
	case T_FREE:
	case STATES:
		break;
	}
}

/* Once a turn for each cut that poll spoke of or whose time has come.  A look
 * at it may be due later than its end: look before ending it. */
static void
step_cuts(const struct waits *w, int64_t now)
{
	/* One that is renewed goes behind the last, not to be met again. */
	const struct tunnel *last = table.queue[Q_CUT].tail;
	struct tunnel *t, *next;

	for (t = table.queue[Q_CUT].head; t != NULL; t = next) {
		next = t == last ? NULL : t->next;
		if (t->relay.flush_next <= now ||
		    sys_got(w, t->relay.client.wait) != 0 ||
		    sys_got(w, t->relay.target.wait) != 0 ||
		    now - t->since >= patience(Q_CUT))
			step_relay(t, w, now);
	}
}

static void
expire_queue(enum queue q, int64_t now)
{
	struct tunnel *t;

	while ((t = table.queue[q].head) != NULL &&
	    now - t->since >= patience(q))
		expire(t, now);
}

void
tunnel_step(const struct waits *w, int64_t now)
{
	struct tunnel *t, *next;
	unsigned i, q;

	for (i = table.first; i < table.last; i++)
		/* A tunnel's entries stand together: wake it for the first. */
		if (w->pfd[i].revents != 0) {
			t = &table.slot[w->owner[i]];
			wake(t, w, now);
			while (i + 1 < table.last &&
			    w->owner[i + 1] == w->owner[i])
				i++;
		}
	step_cuts(w, now);
	for (t = table.queue[Q_CONNECT].head; t != NULL; t = next) {
		next = t->next;
		step_connect(t, w, now);
	}
	for (q = Q_REQUEST; q < QUEUES; q++)
		expire_queue(q, now);
}

/* ---- the table ----------------------------------------------------------- */

static uint32_t
chains_for(unsigned tunnels)
{
	uint32_t n = 16;

	while (n < tunnels)
		n *= 2;
	return n;
}

size_t
tunnel_memory(unsigned tunnels)
{
	return tunnels * sizeof(struct tunnel) +
	    chains_for(tunnels) * sizeof(struct tunnel *);
}

unsigned
tunnel_waits(unsigned tunnels)
{
	return tunnels * (1 + RACE_MAX);
}

void
tunnel_init(const struct config *cfg, void *memory)
{
	memset(&table, 0, sizeof table);
	table.cfg = cfg;
	table.chains = chains_for(cfg->tunnels);
	table.slot = memory;
	table.chain = (struct tunnel **)(void *)(table.slot + cfg->tunnels);
	/* Without randomness chains may be made long, nothing worse. */
	(void)sys_random(&table.seed, sizeof table.seed);
}

/* Which tunnel has to go for a newcomer; NULL if none. */
static struct tunnel *
victim(int64_t now)
{
	struct tunnel *t = table.queue[Q_HALF].head;

	if (t != NULL)
		return t;
	t = table.queue[Q_REQUEST].head;
	return t != NULL && now - t->since >= EVICT_AGE_MS ? t : NULL;
}

static bool
is_full(void)
{
	return table.queue[Q_FREE].head == NULL &&
	    table.used_slots == table.cfg->tunnels;
}

bool
tunnel_room(struct waits *w, int64_t now)
{
	const struct tunnel *t = table.queue[Q_REQUEST].head;

	if (!is_full() || victim(now) != NULL)
		return true;
	if (t != NULL)
		sys_due(w, t->since + EVICT_AGE_MS);
	return false;
}

/* The slot that was free for the shortest time: its memory is warm. */
static struct tunnel *
take_slot(int64_t now)
{
	struct tunnel *t;

	if (is_full()) {
		if ((t = victim(now)) == NULL)
			return NULL;
		table.totals.evicted++;
		abort_tunnel(t, "evicted", now);
	}
	if ((t = table.queue[Q_FREE].tail) == NULL) {
		t = &table.slot[table.used_slots++];
		list_append(&table.queue[Q_FREE], t);
	}
	return t;
}

static void
prepare(struct tunnel *t, int fd, const struct addr *client, int64_t now)
{
	struct tunnel **chain = chain_of(client);

	relay_init(&t->relay, fd);
	memset(&t->request, 0, sizeof t->request);
	memset(&t->reach, 0, sizeof t->reach);
	t->reach.dns_ms = -1;
	t->peer = *client;
	t->begun = now;
	t->setup = -1;
	t->rule = NULL;
	t->rcode = NULL;
	t->status = 0;
	t->end = "client-gone";
	t->neighbour = *chain;
	*chain = t;
}

void
tunnel_open(int fd, const struct addr *client, int64_t now)
{
	unsigned limit = table.cfg->tunnels_per_client;
	unsigned n = limit > 0 ? count_client(client) : 0;
	bool over = limit > 0 && n >= limit;
	struct tunnel *t;

	table.totals.accepted++;
	table.totals.limited += over;
	/* For one that is over its limit nobody else has to go. */
	if ((over && (n >= limit + POLITE_EXCESS || is_full())) ||
	    (t = take_slot(now)) == NULL) {
		sys_close(&fd);
		return;
	}
	prepare(t, fd, client, now);
	if (++table.totals.now > table.totals.most)
		table.totals.most = table.totals.now;
	enter(t, T_REQUEST, now);
	if (over)
		refuse(t, 503, "connection_limit_reached",
		    "this client has too many tunnels open", now);
}

void
tunnel_stop(int64_t now)
{
	unsigned q;

	for (q = Q_REQUEST; q < QUEUES; q++)
		while (table.queue[q].head != NULL)
			abort_tunnel(table.queue[q].head, "stopped", now);
}

unsigned
tunnel_count(void)
{
	return table.totals.now;
}

const struct tunnel_totals *
tunnel_totals(void)
{
	return &table.totals;
}
