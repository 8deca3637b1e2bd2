/* SPDX-License-Identifier: ISC */
/*
 * actors.c - who lives in the world: clients and origins.  An actor has no
 * memory but its struct; it acts when its time comes.
 */
#include <errno.h>
#include <string.h>

#include "sim.h"

/* ---- bytes -------------------------------------------------------------- */

static unsigned char
hash_byte(unsigned id, unsigned direction, uint64_t pos)
{
	uint64_t x = ((uint64_t)id << 40 | (uint64_t)direction << 36) ^ pos;

	x = (x ^ x >> 31) * 0x9e3779b97f4a7c15u;
	return (unsigned char)(x >> 56 ^ x >> 24);
}

unsigned char
client_byte(int id, uint64_t pos)
{
	const struct client *k = &sim.client[id];

	if (pos < k->head_len)
		return (unsigned char)k->head[pos];
	pos -= k->head_len;
	return pos < k->filler ? 'a' :
	    hash_byte((unsigned)id, 0, pos - k->filler);
}

unsigned char
origin_byte(int id, uint64_t pos)
{
	return hash_byte((unsigned)id, 1, pos);
}

/* ---- origins ------------------------------------------------------------ */

/* Nothing to do: look again later, and later each time. */
static void
rest(struct conn *c)
{
	c->lull = c->lull == 0 ? 1000 : 2 * c->lull;
	if (c->lull > 400000)
		c->lull = 400000;
	if (c->wake < sim.now + c->lull)
		c->wake = sim.now + c->lull;
}

static uint64_t
work_of(const struct conn *c)
{
	return c->in.sent + c->out.taken + c->in.fin_sent + c->out.fin_taken;
}

enum origin_kind
origin_kind_at(const struct sim_addr *a)
{
	unsigned host = a->family == 4 ? a->ip[3] : a->ip[15];

	/* Half of them are good to talk to. */
	return host % 2 == 0 ? (enum origin_kind)(host / 2 % 3) :
	    (enum origin_kind)(host / 2 % ORIGINS);
}

static void
origin_connects(struct conn *c)
{
	c->kind = origin_kind_at(&c->peer);
	c->connect_at = sim.now + between(0, 30) * 1000;
	switch (c->kind) {
	case O_REFUSES:
		c->outcome = ECONNREFUSED;
		break;
	case O_BLACKHOLE:
		c->connect_at = NEVER;
		break;
	case O_UNREACHABLE:
	case O_PROHIBITED:
		c->connecting = false;
		c->outcome = c->kind == O_UNREACHABLE ? ENETUNREACH : EACCES;
		break;
	case O_LATE:
		c->connect_at = sim.now + between(100, 3000) * 1000;
		break;
	case O_SELF:
		c->local = c->peer;
		break;
	default:
		break;
	}
}

void
origin_begin(struct conn *c)
{
	if (c->connecting) {
		origin_connects(c);
		return;
	}
	c->wake = sim.now + (below(3) == 0 ? 0 : below(5000));
	c->quota = c->kind == O_SINK ? 0 : c->kind == O_FIREHOSE ?
	    between(50000, 200000) : between(0, 30000);
	if (sim.scenario >= 0)
		c->quota = SCENARIO_BYTES;
}

static void
step_origin(struct conn *c)
{
	bool slow = c->kind == O_SLOW && !in_calm();
	uint64_t gulp = slow ? between(1, 700) : between(1, 40000);
	bool all;

	c->wake = sim.now + (slow ? between(1, 400) * 1000 : below(4000)) + 1;
	if (c->dead || c->peer_closed) {
		c->wake = NEVER;
		return;
	}
	(void)actor_take(c, gulp);
	if (c->in.sent < c->quota)
		(void)actor_send(c, gulp < c->quota - c->in.sent ? gulp :
		    c->quota - c->in.sent);
	all = c->in.sent >= c->quota;
	/* The slow ones lose patience in the end. */
	if ((c->kind == O_RESETS && c->in.sent >= c->quota / 2) ||
	    (slow && below(150) == 0)) {
		actor_reset(c);
		return;
	}
	if (!c->in.fin_sent && all && (c->kind == O_ENDS_FIRST ||
	    c->out.fin_taken || (c->kind == O_FIREHOSE && below(4) == 0)))
		actor_fin(c);
	if (c->in.fin_sent && c->out.fin_taken && c->in.fin_arrived) {
		c->peer_closed = true;
		c->wake = NEVER;
	}
}

/* ---- clients ------------------------------------------------------------ */

static uint64_t
head_total(const struct client *k)
{
	return k->head_len + k->filler;
}

/* The end of a client that has heard all that it will. */
static void
leave(struct client *k, struct conn *c)
{
	if (!c->in.fin_sent)
		actor_fin(c);
	c->peer_closed = true;
	k->finished = true;
	c->wake = NEVER;
}

static void
speak(struct client *k, struct conn *c)
{
	bool heard = k->status == 200 && k->head_end > 0;
	uint64_t limit = head_total(k) + k->payload, gulp = k->gulp;

	if (!k->early && !heard)
		limit = head_total(k);
	if (k->kind == K_DRIBBLE && c->in.sent < head_total(k))
		gulp = 1;
	if (k->kind == K_STALLER || k->kind == K_LEAVER)
		limit = k->head_len / 2;
	if (k->kind == K_MUTE)
		limit = 0;
	if (c->in.sent < limit)
		(void)actor_send(c, gulp < limit - c->in.sent ? gulp :
		    limit - c->in.sent);
	if (c->in.fin_sent || c->in.sent < limit)
		return;
	if (k->kind == K_LEAVER || (k->ends && (heard || k->early)))
		actor_fin(c);
}

static void
step_client(struct client *k, struct conn *c)
{
	uint64_t gulp = k->kind == K_SLOW_READER ? between(1, 500) : k->gulp;

	if (in_calm()) {
		gulp = k->gulp = 10000;
		k->pace_ms %= 6;
	}
	c->wake = sim.now + 1 + between(0, k->pace_ms) * 1000 + below(1000);
	(void)actor_take(c, gulp);
	if (c->dead && c->out.arrived == c->out.taken) {
		k->finished = true;
		c->wake = NEVER;
		return;
	}
	if ((k->reset_at > 0 && c->in.sent + c->out.taken >= k->reset_at) ||
	    (k->kind == K_SLOW_READER && !in_calm() && below(150) == 0)) {
		actor_reset(c);
		k->finished = true;
		c->wake = NEVER;
		return;
	}
	speak(k, c);
	/* A refused one that will not go away is the daemon's to end. */
	if (c->out.fin_taken && (k->status == 200 || k->pace_ms % 3 != 0))
		leave(k, c);
}

static void
begin_client(int id)
{
	struct client *k = &sim.client[id];
	struct conn *c = new_conn(true, id);
	char from[64];

	trace("client %d from %s, kind %d: %.*s", id,
	    addr_text(&k->from, from, false), (int)k->kind,
	    (int)strcspn(k->head, "\r"), k->head);
	k->conn = (int)(c - sim.conn);
	c->peer = k->from;
	c->established = true;
	c->wake = sim.now + below(2000);
	if (!client_waits(id))
		k->finished = true;
}

/* ---- the course of things ----------------------------------------------- */

static unsigned next_client;

static bool
is_over(const struct conn *c)
{
	/* A dead one in the backlog may still be accepted. */
	return c->fd == -1 && c->daemon_closed && (!c->is_client ||
	    sim.client[c->id].finished) && (c->dead || c->wake == NEVER);
}

static void
forget_the_dead(void)
{
	unsigned i, n = 0;

	for (i = 0; i < sim.lives; i++)
		if (!is_over(&sim.conn[sim.live[i]]))
			sim.live[n++] = sim.live[i];
	sim.lives = n;
}

int64_t
actors_next(void)
{
	const struct conn *c;
	int64_t next = NEVER;
	unsigned i;

	for (i = 0; i < sim.lives; i++) {
		c = &sim.conn[sim.live[i]];
		if (c->established && c->wake < next)
			next = c->wake;
	}
	if (next_client < sim.set.clients &&
	    sim.client[next_client].start < next)
		next = sim.client[next_client].start;
	return next;
}

static void
act(struct conn *c)
{
	uint64_t work = work_of(c);

	if (c->is_client)
		step_client(&sim.client[c->id], c);
	else
		step_origin(c);
	if (work_of(c) != work)
		c->lull = 0;
	else if (c->wake != NEVER)
		rest(c);
	if (raise_fault(F_CLOG))
		c->clogged_until = sim.now + between(1, 3000) * 1000;
}

void
actors_run(void)
{
	struct conn *c;
	unsigned i;

	while (next_client < sim.set.clients &&
	    sim.client[next_client].start <= sim.now)
		begin_client((int)next_client++);
	for (i = 0; i < sim.lives; i++) {
		c = &sim.conn[sim.live[i]];
		if (c->established && c->wake <= sim.now)
			act(c);
	}
	if (sim.polls % 16 == 0)
		forget_the_dead();
}

/* Everybody has come, and the daemon has let go of all. */
bool
actors_done(void)
{
	const struct conn *c;
	unsigned i;

	if (next_client < sim.set.clients)
		return false;
	for (i = 0; i < sim.lives; i++) {
		c = &sim.conn[sim.live[i]];
		if (c->fd != -1 || (c->is_client &&
		    !sim.client[c->id].finished &&
		    !sim.client[c->id].accepted))
			return false;
	}
	return true;
}
