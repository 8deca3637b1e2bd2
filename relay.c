/* SPDX-License-Identifier: ISC */
/*
 * relay.c - two flows between two sockets: bytes, ends and cuts.
 *
 * IMPLEMENTATION NOTES
 *
 * A flow is one direction.  FLOW_OPEN: its source may send.  FLOW_EOF: the
 * source has ended, the ring drains.  FLOW_SHUT: the sink got its FIN, or has
 * no use for more; the ring holds nothing.
 *
 * An end and a cut are different things.  After an end of one side its last
 * bytes go out, then a FIN, and the other direction lives on.  After a failure
 * of one side what it sent still goes out, and then the other side gets a
 * reset, so that it cannot take the cut for the end.  A reset throws away what
 * the kernel has not delivered yet, so it waits until nothing is unsent.
 *
 * Readiness is only a hint: HUP and ERR mean "try it", and what recv and send
 * answer is what happened.
 *
 * Rings borrow memory from a stack (last in, first out) when they have to
 * receive and give it back when they are empty.  There is enough for all, so
 * none can be without; pages that were never needed at once stay untouched.
 */
#include <assert.h>
#include <errno.h>
#include <string.h>

#include "connectd.h"

#define FLUSH_FIRST_MS	10	/* looks at unsent bytes: doubled each time, */
#define FLUSH_LAST_MS	1000	/* up to this */
#define UNKNOWN		(-1)	/* unsent bytes: nobody has looked yet */

static struct {
	unsigned char	*memory;
	size_t		 size;		/* of one ring */
	uint32_t	 rings;
	uint32_t	 used;		/* rings that were lent before */
	uint32_t	*spare;		/* stack of those that came back */
	uint32_t	 spares;
} pool;

/* ---- one flow ------------------------------------------------------------ */

size_t
relay_memory(unsigned relays)
{
	return 2 * relays * sizeof(uint32_t);
}

void
relay_pool(unsigned relays, size_t buffer, void *memory, unsigned char *rings)
{
	memset(&pool, 0, sizeof pool);
	pool.memory = rings;
	pool.size = buffer;
	pool.rings = 2 * relays;
	pool.spare = memory;
}

static void
lend(struct ring *r)
{
	uint32_t i;

	if (r->base != NULL)
		return;
	i = pool.spares > 0 ? pool.spare[--pool.spares] : pool.used++;
	assert(i < pool.rings);
	ring_lend(r, pool.memory + (size_t)i * pool.size);
}

void
relay_drop(struct flow *f)
{
	unsigned char *base = ring_reclaim(&f->ring);

	if (base != NULL)
		pool.spare[pool.spares++] =
		    (uint32_t)((size_t)(base - pool.memory) / pool.size);
}

bool
relay_has_room(const struct flow *f)
{
	return f->state == FLOW_OPEN && ring_space(&f->ring) > 0;
}

int
relay_receive(struct flow *f, int fd)
{
	struct part part[2];
	int n;

	assert(relay_has_room(f));
	lend(&f->ring);
	n = sys_recv(fd, part, ring_in(&f->ring, part));
	if (n > 0)
		ring_in_ack(&f->ring, (size_t)n);
	else if (n == 0)
		f->state = FLOW_EOF;
	if (ring_used(&f->ring) == 0)
		relay_drop(f);
	return n;
}

int
relay_send(struct flow *f, int fd)
{
	struct part part[2];
	int n, parts = ring_out(&f->ring, part);

	if (parts == 0)
		return 0;
	n = sys_send(fd, part, parts);
	if (n > 0) {
		f->sent += (uint64_t)n;
		relay_take(f, (size_t)n);
	}
	return n;
}

void
relay_take(struct flow *f, size_t n)
{
	ring_out_ack(&f->ring, n);
	if (ring_used(&f->ring) == 0)
		relay_drop(f);
}

void
relay_say(struct flow *f, const char *p, size_t n)
{
	struct part part[2];

	lend(&f->ring);
	(void)ring_in(&f->ring, part);
	assert(ring_used(&f->ring) == 0 && n <= part[0].n);
	memcpy(part[0].p, p, n);
	ring_in_ack(&f->ring, n);
}

/* ---- both ---------------------------------------------------------------- */

void
relay_init(struct relay *r, int client)
{
	memset(r, 0, sizeof *r);
	r->client.fd = client;
	r->target.fd = r->client.wait = r->target.wait = -1;
	r->phase = RELAY_WHOLE;
	ring_init(&r->up.ring, pool.size);
	ring_init(&r->down.ring, pool.size);
}

void
relay_close(struct relay *r)
{
	sys_close(&r->client.fd);
	sys_close(&r->target.fd);
	relay_drop(&r->up);
	relay_drop(&r->down);
}

void
relay_abort(struct relay *r)
{
	bool dead = r->phase == RELAY_DEAD;

	if (dead || r->down.state != FLOW_SHUT)
		sys_reset(&r->client.fd);
	if (dead || r->up.state != FLOW_SHUT)
		sys_reset(&r->target.fd);
	relay_close(r);
}

static bool
words_are_gone(const struct relay *r)
{
	return r->down.sent >= r->words;
}

/* Is a byte of its source welcome?  The words that a relay begins with go
 * alone: nothing is put behind them before they are gone. */
static bool
is_open(const struct relay *r, const struct flow *f)
{
	return relay_has_room(f) && (f == &r->up || words_are_gone(r));
}

static short
wish(bool in, bool out)
{
	return (short)((in ? POLLIN : 0) | (out ? POLLOUT : 0));
}

static bool
holds(const struct flow *f)
{
	return ring_used(&f->ring) > 0;
}

void
relay_interest(struct relay *r, struct waits *w, uint32_t owner)
{
	bool whole = r->phase == RELAY_WHOLE || r->phase == RELAY_HALF;
	bool in = whole && is_open(r, &r->up);

	r->client.wait = sys_want(w, r->client.fd, wish(in, holds(&r->down)),
	    owner);
	if (r->target.fd == -1)
		return;
	in = whole && is_open(r, &r->down);
	r->target.wait = sys_want(w, r->target.fd, wish(in, holds(&r->up)),
	    owner);
	if (r->phase == RELAY_CUT)
		sys_due(w, r->flush_next);
}

/* ---- a cut --------------------------------------------------------------- */

/*
 * Everything that the dead side sent is in the hands of the kernel.  Has the
 * kernel delivered it?  Returns the bytes that went since the last look: a slow
 * reader makes progress too.
 */
static int
await_delivery(struct relay *r, struct side *alive, int64_t now)
{
	int unsent = sys_unsent(alive->fd), before = alive->unsent;

	if (unsent == -ENOSYS) {
		r->flush_next = WAIT_FOREVER;	/* until the time is up */
		return 0;
	}
	if (unsent <= 0) {
		r->phase = RELAY_DEAD;
		return 0;
	}
	alive->unsent = unsent;
	r->flush_wait = unsent < before ? FLUSH_FIRST_MS : 2 * r->flush_wait;
	if (r->flush_wait > FLUSH_LAST_MS)
		r->flush_wait = FLUSH_LAST_MS;
	r->flush_next = now + r->flush_wait;
	return unsent < before ? before - unsent : 0;
}

/* Take what the dead side sent and hand it on.  Bytes moved. */
static int
step_cut(struct relay *r, int64_t now)
{
	bool client_died = r->ended == &r->client;
	struct flow *f = client_died ? &r->up : &r->down;
	struct side *alive = client_died ? &r->target : &r->client;
	int in = 0, out, went = 0;

	/* A dead connection gets nothing new: "not now" is the end of it. */
	if (is_open(r, f) && (in = relay_receive(f, r->ended->fd)) <= 0)
		f->state = FLOW_EOF;
	out = relay_send(f, alive->fd);
	if (out < 0 && out != -EAGAIN)
		r->phase = RELAY_DEAD;
	else if (holds(f))
		r->flush_next = WAIT_FOREVER;	/* poll will tell */
	else if (f->state == FLOW_OPEN)
		r->flush_next = now;		/* there may be more */
	else
		went = await_delivery(r, alive, now);
	return (in > 0 ? in : 0) + (out > 0 ? out : 0) + went;
}

/* The flushing itself is the next step's, so that no turn does two. */
static int
cut(struct relay *r, struct side *dead, int64_t now)
{
	struct flow *useless = dead == &r->client ? &r->down : &r->up;

	useless->state = FLOW_SHUT;
	relay_drop(useless);
	r->ended = dead;
	r->phase = RELAY_CUT;
	r->client.unsent = r->target.unsent = UNKNOWN;
	r->flush_wait = FLUSH_FIRST_MS / 2;
	r->flush_next = now;
	return 0;
}

/* ---- whole --------------------------------------------------------------- */

/*
 * Receive once if the source is ready and welcome, send at once.  A sink that
 * was full is asked again only when poll spoke of it.  Returns the bytes moved,
 * or -errno with *failed telling whose it is.
 */
static int
pump(struct flow *f, struct side *source, bool source_ready, struct side *sink,
    bool sink_ready, struct side **failed)
{
	bool was_empty = !holds(f);
	int in = 0, out = 0;

	if (source_ready)
		in = relay_receive(f, source->fd);
	if (was_empty || sink_ready)
		out = relay_send(f, sink->fd);
	*failed = sink;
	if (out < 0 && out != -EAGAIN)
		return out;
	*failed = source;
	if (in < 0 && in != -EAGAIN)
		return in;
	return (in > 0 ? in : 0) + (out > 0 ? out : 0);
}

/* The source has ended and its last byte has gone: pass the FIN on. */
static void
pass_end(struct relay *r, struct flow *f, struct side *source, int sink)
{
	if (f->state != FLOW_EOF || holds(f))
		return;
	if (r->phase == RELAY_HALF)
		r->phase = RELAY_DONE;
	else {
		r->phase = RELAY_HALF;
		r->ended = source;
	}
	sys_shutdown(sink);
	f->state = FLOW_SHUT;
}

static void
pass_ends(struct relay *r)
{
	pass_end(r, &r->up, &r->client, r->target.fd);
	pass_end(r, &r->down, &r->target, r->client.fd);
}

int
relay_begin(struct relay *r, int target, const char *words, size_t n,
    int64_t now)
{
	int down, up;

	r->target.fd = target;
	r->client.wait = r->target.wait = -1;
	r->client.unsent = r->target.unsent = UNKNOWN;
	r->words = n;
	relay_say(&r->down, words, n);
	down = relay_send(&r->down, r->client.fd);
	if (down < 0 && down != -EAGAIN)
		return cut(r, &r->client, now);
	up = relay_send(&r->up, target);
	if (up < 0 && up != -EAGAIN)
		return cut(r, &r->target, now);
	pass_ends(r);
	return (down > 0 ? down : 0) + (up > 0 ? up : 0);
}

bool
relay_is_one_ended(const struct relay *r)
{
	return r->phase == RELAY_HALF && (r->up.state == FLOW_OPEN ||
	    r->down.state == FLOW_OPEN);
}

/*
 * `timeout half 0`.  After the FIN was passed on, what the other side still
 * sends is read and thrown away: a close in front of unread input would be a
 * reset, and that destroys what it was given last.
 */
static int
step_strict(struct relay *r)
{
	bool up = r->up.state == FLOW_OPEN;
	struct flow *f = up ? &r->up : &r->down;
	int n;

	relay_drop(f);
	n = relay_receive(f, up ? r->client.fd : r->target.fd);
	relay_drop(f);
	if (n == 0 || (n < 0 && n != -EAGAIN))
		r->phase = RELAY_DONE;
	return 0;
}

int
relay_step(struct relay *r, const struct waits *w, bool strict, int64_t now)
{
	bool client = sys_got(w, r->client.wait) != 0;
	bool target = sys_got(w, r->target.wait) != 0;
	struct side *failed;
	int up, down;

	if (r->phase == RELAY_CUT)
		return step_cut(r, now);
	if (strict && relay_is_one_ended(r) && words_are_gone(r))
		return step_strict(r);
	up = pump(&r->up, &r->client, client && is_open(r, &r->up), &r->target,
	    target, &failed);
	if (up < 0)
		return cut(r, failed, now);
	down = pump(&r->down, &r->target, target && is_open(r, &r->down),
	    &r->client, client, &failed);
	if (down < 0)
		return cut(r, failed, now);
	pass_ends(r);
	if (up + down > 0)
		r->client.unsent = r->target.unsent = UNKNOWN;
	return up + down;
}

static bool
is_delivering(struct side *s)
{
	int unsent = sys_unsent(s->fd);
	bool moves = unsent > 0 &&
	    (s->unsent == UNKNOWN || unsent < s->unsent);

	s->unsent = unsent;
	return moves;
}

bool
relay_delivers(struct relay *r)
{
	bool client = is_delivering(&r->client);
	bool target = is_delivering(&r->target);

	return client || target;
}

