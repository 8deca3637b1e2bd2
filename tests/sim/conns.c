/* SPDX-License-Identifier: ISC */
/*
 * conns.c - connections: two lanes between the daemon and an actor, with room
 * at both ends.
 *
 * A byte is never stored: byte `pos` of a direction is a function of the
 * client's number and of pos (client_byte, origin_byte), so that what the
 * daemon sends is checked on the spot, and loss, order, duplication and mix-up
 * show at the byte.
 */
#include <errno.h>
#include <string.h>

#include "world.h"

#define SCENARIO_ROOM	2048	/* less than is sent, so somebody waits */
#define CALM_ROOM	8192	/* at the end all lanes are wide enough */

static uint64_t
draw_room(void)
{
	if (sim.scenario >= 0)
		return SCENARIO_ROOM;
	switch (below(10)) {
	case 0:
		return between(1, 300);
	case 1:
	case 2:
		return between(300, 3000);
	default:
		return between(2048, 65536);
	}
}

struct conn *
new_conn(bool is_client, int id)
{
	struct conn *c;

	if (sim.conns == CONNS_MAX)
		broken("the world is out of connections");
	sim.live[sim.lives++] = (unsigned short)sim.conns;
	c = &sim.conn[sim.conns++];
	memset(c, 0, sizeof *c);
	c->is_client = is_client;
	c->id = id;
	c->fd = -1;
	c->in.room_sender = draw_room();
	c->in.room_receiver = draw_room();
	c->out.room_sender = draw_room();
	c->out.room_receiver = draw_room();
	c->last_progress = sim.now;
	return c;
}

static void
pass_lane(struct lane *l)
{
	uint64_t n = l->sent - l->arrived;
	uint64_t room;

	if (in_calm() && l->room_receiver < CALM_ROOM)
		l->room_receiver = CALM_ROOM;
	if (in_calm() && l->room_sender < CALM_ROOM)
		l->room_sender = CALM_ROOM;
	room = l->room_receiver - (l->arrived - l->taken);
	if (l->lost)
		return;
	l->arrived += n < room ? n : room;
	if (l->fin_sent && l->arrived == l->sent)
		l->fin_arrived = true;
}

/* A reset reaches the actor: what did not arrive never will. */
void
reset_towards_actor(struct conn *c)
{
	c->out.lost = c->in.lost = true;
	c->dead = true;
	c->dead_at = sim.now;
	c->wake = sim.now + 100;
}

void
pass(struct conn *c)
{
	uint64_t before = c->out.arrived, in = c->in.arrived;
	bool fin = c->out.fin_arrived;

	if (c->clogged_until > sim.now || c->dead || !c->established)
		return;
	pass_lane(&c->out);
	if (c->out.arrived != before)
		c->last_progress = sim.now;	/* the peer's kernel took it */
	if (c->peer_closed && c->out.arrived > before) {
		/* nobody is there: their kernel answers with a reset */
		actor_reset(c);
		return;
	}
	pass_lane(&c->in);
	/* The actor hears of it. */
	if ((c->out.arrived != before || c->in.arrived != in ||
	    c->out.fin_arrived != fin) && c->lull > 0) {
		c->lull = 0;
		c->wake = sim.now + 100;
	}
	if (c->daemon_closed && c->in.arrived > in)
		reset_towards_actor(c);
}

void
actor_reset(struct conn *c)
{
	if (c->dead)
		return;
	trace("reset by the actor of fd %d", c->fd);
	c->in.lost = c->out.lost = true;
	c->dead = c->actor_reset = true;
	c->dead_at = sim.now;
	c->error = ECONNRESET;
}

uint64_t
actor_send(struct conn *c, uint64_t max)
{
	uint64_t room;

	if (c->dead || c->in.fin_sent || !c->established)
		return 0;
	room = c->in.room_sender - (c->in.sent - c->in.arrived);
	if (max > room)
		max = room;
	c->in.sent += max;
	pass(c);
	return max;
}

uint64_t
actor_take(struct conn *c, uint64_t max)
{
	uint64_t n = c->out.arrived - c->out.taken;

	n = n < max ? n : max;
	c->out.taken += n;
	pass(c);
	if (c->out.fin_arrived && c->out.taken == c->out.sent)
		c->out.fin_taken = true;
	return n;
}

void
actor_fin(struct conn *c)
{
	if (c->dead)
		return;
	c->in.fin_sent = true;
	pass(c);
}

/* The daemon lets go of it. */
void
close_conn(struct conn *c, bool linger0)
{
	bool unread = c->in.arrived > c->in.taken;

	c->daemon_closed = true;
	c->fd = -1;
	if (c->dead)
		return;
	if (c->connecting) {
		c->dead = true;
		return;
	}
	if (linger0 || unread) {
		check_reset(c, unread && !linger0);
		c->daemon_reset = true;
		/* Some systems forget what the reader has not read yet. */
		if (!linger0 && below(2) == 0)
			c->out.arrived = c->out.taken;
		reset_towards_actor(c);
		return;
	}
	if (!c->out.fin_sent)
		check_fin(c, true);
	c->out.fin_sent = true;
	pass(c);
}

/* The outcome of a connect, once its time has come. */
void
settle_connect(struct conn *c)
{
	if (!c->connecting || c->connect_at > sim.now)
		return;
	c->connecting = false;
	if (c->outcome != 0) {
		c->error = c->outcome;
		c->dead = true;
		return;
	}
	c->established = true;
	origin_begin(c);
}
