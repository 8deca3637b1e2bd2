/* SPDX-License-Identifier: ISC */
/*
 * check.c - what must be true of the daemon in every world: of the addresses
 * that it dials, the bytes and ends that it passes on, and its time.
 */
#include <stdlib.h>
#include <string.h>

#include "check.h"

#define ESTABLISHED "HTTP/1.1 200 Connection established\r\n\r\n"

int64_t
later(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

static bool
same_addr(const struct sim_addr *a, const struct sim_addr *b)
{
	return a->family == b->family && memcmp(a->ip, b->ip, 16) == 0;
}

void
check_connect(const struct sim_addr *a)
{
	int id = (int)a->port - PORT_BASE;
	const struct client *k;
	unsigned i;

	if (id < 0 || id >= (int)sim.set.clients)
		broken("connect to port %u, which nobody asked for", a->port);
	k = &sim.client[id];
	for (i = 0; i < k->addresses; i++)
		if (same_addr(&k->address[i], a))
			break;
	if (i == k->addresses)
		broken("client %d: connect to an address that is not its "
		    "target's", id);
	if (!names_allow(k, a))
		broken("client %d: connect to an address that nobody told, or "
		    "not any more", id);
	if (!oracle_allows(k, a))
		broken("client %d: connect to a forbidden address (%u.%u...)",
		    id, a->ip[0], a->ip[1]);
	if (a->port == PORT_BASE && oracle_loopback(a) &&
	    a->ip[a->family == 4 ? 3 : 15] == 1)
		broken("connect to the daemon's own listener");
	if (k->status != 0)
		broken("client %d: connect behind the reply", id);
}

/* ---- bytes -------------------------------------------------------------- */

static bool
may_be_allowed(const struct client *k)
{
	unsigned i;

	for (i = 0; i < k->addresses; i++)
		if (oracle_allows(k, &k->address[i]))
			return true;
	return false;
}

bool
is_quiet_world(void)
{
	unsigned f;

	for (f = 0; f < FAULTS; f++)
		if (sim.set.fault_on[f])
			return false;
	return sim.set.nofile == 0 && !sim.plan.on;
}

static bool
is_denied_in_part(const struct client *k)
{
	unsigned i;

	for (i = 0; i < k->addresses; i++)
		if (!oracle_allows(k, &k->address[i]))
			return true;
	return sim.set.rules == 1 ? k->denied_name : sim.set.rules == 3 &&
	    k->from.ip[0] != 198;
}

/* Can nothing keep a name from being found?  A slow answer may come too late
 * for `timeout connect`, and it takes four seconds at most. */
bool
is_sure_of_names(const struct client *k)
{
	return is_quiet_world() && names_helpful(k) && !sim.set.restless &&
	    sim.set.connect_ms > 5000;
}

static bool
is_expected(const struct client *k, unsigned status)
{
	const struct conn *c = &sim.conn[k->conn];

	if (status == 408)
		return sim.now - k->accepted_at >= sim.set.request_ms * MS -
		    EARLY || c->faulted || sim.plan.on;
	if (status == 504 && k->literal && sim.now - k->accepted_at <
	    (sim.set.connect_ms < 4000 ? sim.set.connect_ms : 4000) * MS -
	    EARLY && is_quiet_world())
		return false;
	if (status == 503 && sim.set.per_client > 0)
		return true;
	/* It ended within its head. */
	if (status == 400 && c->in.fin_taken && c->in.taken < k->head_len)
		return true;
	if (k->status_wanted != 0)
		return status == k->status_wanted;
	if (k->kind == K_MUTE || k->kind == K_LEAVER || k->kind == K_STALLER)
		return false;
	/* Number 0 asks for the daemon's own port: some address may be it. */
	if (k == &sim.client[0] && (status == 403 || status == 502))
		return true;
	/* Half of the time it has the other half of its addresses, or none. */
	if (k->name >= 0 && sim.name[k->name].kind == N_FLIPS && status == 502)
		return true;
	/* Of a name perhaps only some addresses are told, and those denied. */
	if (k->name >= 0 && !sim.name[k->name].in_hosts && status == 403)
		return is_denied_in_part(k);
	if (may_be_allowed(k))
		return status == 200 || status == 502 || status == 503 ||
		    status == 504;
	/* The name servers have their own ways to fail. */
	if (!k->literal && !is_sure_of_names(k) && status >= 502)
		return status <= 504;
	/* A name nobody knows, a name the rules deny, an address they deny. */
	return status == 403 || (status == 502 && k->addresses == 0);
}

/* The connection that carries the client's tunnel, or NULL. */
struct conn *
origin_of(const struct client *k)
{
	return k->origin == -1 ? NULL : &sim.conn[k->origin];
}

/* There is one to carry it, and no other one is left of the race. */
static void
find_origin(struct client *k, int id)
{
	unsigned i, open = 0;

	for (i = 0; i < sim.conns; i++)
		if (!sim.conn[i].is_client && sim.conn[i].id == id &&
		    sim.conn[i].fd != -1) {
			open += 1 + !sim.conn[i].established;
			k->origin = (int)i;
		}
	if (open != 1)
		broken("client %d: 200 with other than one connection", id);
}

static void
check_status(struct client *k, int id)
{
	if (strncmp(k->reply, "HTTP/1.1 ", 9) != 0)
		broken("client %d: no status line", id);
	k->status = (unsigned)strtoul(k->reply + 9, NULL, 10);
	k->replied_at = sim.now;
	if (!is_expected(k, k->status))
		broken("client %d (kind %d): status %u", id, (int)k->kind,
		    k->status);
	if (k->status != 200) {
		if (strstr(k->reply, "\r\nConnection: close\r\n") == NULL ||
		    strstr(k->reply, "\r\nContent-Length: ") == NULL ||
		    strstr(k->reply, "\r\nProxy-Status: ") == NULL)
			broken("client %d: a reply without its fields", id);
		k->body_len = (unsigned)strtoul(strstr(k->reply,
		    "\r\nContent-Length: ") + 18, NULL, 10);
		return;
	}
	if (strcmp(k->reply, ESTABLISHED) != 0)
		broken("client %d: another 200 than the one", id);
	find_origin(k, id);
}

/* The head of the reply, byte by byte; how many bytes were of it. */
static size_t
take_reply_head(struct client *k, int id, const unsigned char *p, size_t n)
{
	size_t i;

	for (i = 0; i < n && k->head_end == 0; i++) {
		if (k->reply_len == sizeof k->reply - 1)
			broken("client %d: an endless reply", id);
		k->reply[k->reply_len++] = (char)p[i];
		k->reply[k->reply_len] = '\0';
		if (k->reply_len >= 4 && memcmp(k->reply + k->reply_len - 4,
		    "\r\n\r\n", 4) == 0) {
			k->head_end = k->reply_len;
			check_status(k, id);
		}
	}
	return i;
}

void
check_down(struct conn *c, const unsigned char *p, size_t n)
{
	struct client *k = &sim.client[c->id];
	size_t i = 0;
	bool begun = k->reply_len > 0;

	if (k->head_end == 0) {
		i = take_reply_head(k, c->id, p, n);
		if (i < n && k->status == 200 && !begun)
			broken("client %d: tunnel bytes in one call with the "
			    "200", c->id);
	}
	if (k->status != 200 && k->head_end > 0) {
		k->reply_len += (unsigned)(n - i);
		if (k->reply_len - k->head_end > k->body_len)
			broken("client %d: more than one reply", c->id);
		return;
	}
	for (; i < n; i++)
		if (p[i] != origin_byte(c->id, k->down_sent++))
			broken("client %d: wrong byte %llu down", c->id,
			    (unsigned long long)k->down_sent - 1);
}

void
check_up(struct conn *c, const unsigned char *p, size_t n)
{
	struct client *k = &sim.client[c->id];
	int index = (int)(c - sim.conn);
	size_t i;

	if (k->origin != -1 && k->origin != index)
		broken("client %d: bytes for a loser of the race", c->id);
	k->origin = index;
	for (i = 0; i < n; i++)
		if (p[i] != client_byte(c->id, k->head_len + k->filler +
		    k->up_sent++))
			broken("client %d: wrong byte %llu up", c->id,
			    (unsigned long long)k->up_sent - 1);
}

/* ---- ends --------------------------------------------------------------- */

bool
is_complete(const struct client *k, const struct conn *from, bool up)
{
	uint64_t head = up ? k->head_len + k->filler : 0;

	return from->in.fin_taken &&
	    from->in.taken - head == (up ? k->up_sent : k->down_sent);
}

static void
check_client_fin(const struct conn *c, const struct client *k, bool by_close)
{
	const struct conn *o = origin_of(k);

	if (k->status == 200) {
		if (sim.set.half_ms > 0 && (o == NULL ||
		    !is_complete(k, o, false)))
			broken("client %d: FIN, but the target has not ended "
			    "or bytes are missing", c->id);
	} else if (k->head_end > 0 && (!by_close || (sim.terms == 0 &&
	    !c->faulted && sim.now - k->replied_at < 1900 * MS)) &&
	    k->reply_len - k->head_end != k->body_len)
		broken("client %d: FIN within the reply", c->id);
	else if (k->head_end == 0 && !by_close)
		broken("client %d: FIN in front of the reply", c->id);
}

/* A FIN says: that was all.  So it has to be. */
void
check_fin(struct conn *c, bool by_close)
{
	const struct client *k = &sim.client[c->id];

	if (c->is_client) {
		check_client_fin(c, k, by_close);
		return;
	}
	if (by_close && (k->status != 200 || origin_of(k) != c))
		return;			/* a loser, or the client left */
	if (sim.set.half_ms > 0 && !is_complete(k, &sim.conn[k->conn], true))
		broken("client %d: FIN to the target, but the client has not "
		    "ended or bytes are missing", c->id);
}

/*
 * The daemon's close becomes a reset.  Behind a reply it must not be: the reply
 * may be lost.  In a tunnel it must not outrun bytes on their way, unless its
 * time was up; the access line will tell.
 */
void
check_reset(struct conn *c, bool by_unread)
{
	const struct client *k = &sim.client[c->id];

	if (c->is_client && by_unread && k->status >= 400 &&
	    c->out.taken < c->out.sent &&
	    sim.now - k->replied_at < 1900 * MS && sim.terms == 0)
		broken("client %d: closed in front of unread input, the reply "
		    "may be lost", c->id);
	c->hasty_reset = c->out.arrived < c->out.sent &&
	    sim.now - c->last_progress < sim.set.half_ms * MS - EARLY;
}

/* ---- every turn --------------------------------------------------------- */

static bool
is_delivering(const struct conn *c)
{
	return c->out.arrived < c->out.sent;
}

/* How long may a tunnel in this condition be without progress? */
static int64_t
patience(const struct conn *c, const struct conn *o)
{
	const struct settings *s = &sim.set;
	int64_t half = s->half_ms > 0 ? s->half_ms : 2000;
	/* What a kernel has left to deliver is asked for at the end, and may
	 * be less then. */
	int64_t times = is_delivering(c) || is_delivering(o) ? 2 : 1;

	if (c->dead || o->dead)
		return 2 * later(half, s->idle_ms);
	if (c->out.fin_sent || o->out.fin_sent)
		return times * half;
	return times * s->idle_ms;
}

/* Could a byte of this direction, or its end, go on? */
static bool
could_move(const struct client *k, const struct conn *from,
    const struct conn *to, bool up)
{
	const struct lane *in = &from->in, *out = &to->out;
	uint64_t held = in->taken - (up ? k->head_len + k->filler : 0) -
	    (up ? k->up_sent : k->down_sent);

	if (from->dead || to->dead || to->out.fin_sent)
		return false;
	return (held < sim.set.buffer && !in->fin_taken &&
	    (in->arrived > in->taken || in->fin_arrived)) ||
	    (held > 0 && out->sent - out->arrived < out->room_sender);
}

/* What can move, moves. */
static void
check_moves(const struct client *k, struct conn *from, const struct conn *to,
    bool up)
{
	uint64_t work = from->in.taken + (up ? k->up_sent : k->down_sent);

	if (work != from->work || sim.plan.forever || sim.set.half_ms == 0 ||
	    !could_move(k, from, to, up)) {
		from->work = work;
		from->stuck_since = 0;
	} else if (from->stuck_since == 0)
		from->stuck_since = sim.now;
	else if (sim.now - from->stuck_since > 1000 * MS)
		broken("client %d: bytes %s could move and do not", from->id,
		    up ? "up" : "down");
}

static void
check_passed_on(const struct client *k, const struct conn *from,
    const struct conn *to, bool up)
{
	if (from->dead || to->dead || to->fd == -1 || to->out.fin_sent ||
	    !is_complete(k, from, up))
		return;
	if (sim.now - later(from->eof_taken_at, to->last_progress) >
	    3000 * MS && sim.set.half_ms > 0)
		broken("client %d: a FIN is not passed on", from->id);
}

/* The head has its time, then connecting has; a refused client has ten seconds
 * to take its answer. */
static void
check_answer(const struct client *k, const struct conn *c)
{
	const struct settings *s = &sim.set;
	int64_t since = k->accepted_at, extra = 2 * SLACK;

	if (sim.plan.forever)	/* it may be kept from saying anything */
		extra = 12000 * MS;
	if (k->reply_len == 0 && k->head_at == 0 && !c->dead &&
	    sim.now - since > s->request_ms * MS + extra)
		broken("client %d: its head may take for ever", c->id);
	/* What a dead client sent may go on to a slow target. */
	if (c->dead && k->origin != -1) {
		since = later(since, sim.conn[k->origin].last_progress);
		extra += patience(c, &sim.conn[k->origin]) * MS;
	}
	if (k->reply_len == 0 && k->head_at > 0 && sim.now -
	    later(since, k->head_at) > s->connect_ms * MS + extra)
		broken("client %d: no answer in time", c->id);
	if (k->status == 0 && sim.now - since > (s->request_ms +
	    s->connect_ms) * MS + 12000 * MS + SLACK)
		broken("client %d: no end of its answer", c->id);
	if (k->status >= 400 && sim.now - k->replied_at > 10000 * MS + SLACK)
		broken("client %d: refused, but kept", c->id);
}

static void
check_tunnel(struct conn *c)
{
	const struct client *k = &sim.client[c->id];
	struct conn *o = origin_of(k);

	check_answer(k, c);
	if (k->status != 200 || o == NULL)
		return;
	if (sim.now - later(later(later(c->last_progress, o->last_progress),
	    k->replied_at), later(c->fin_at, o->fin_at)) >
	    patience(c, o) * MS + SLACK)
		broken("client %d: an immortal tunnel", c->id);
	if (c->dead && o->dead && sim.now - later(c->dead_at, o->dead_at) >
	    1500 * MS + SLACK)
		broken("client %d: both sides are gone, the tunnel is not",
		    c->id);
	check_passed_on(k, c, o, true);
	check_passed_on(k, o, c, false);
	check_moves(k, c, o, true);
	check_moves(k, o, c, false);
}

unsigned
count_open(void)
{
	unsigned i, n = 0;

	for (i = 0; i < sim.lives; i++)
		n += sim.conn[sim.live[i]].is_client &&
		    sim.conn[sim.live[i]].fd != -1;
	return n;
}

/* An IPv4 address, or an IPv6 /64: who has one has all of it. */
static bool
same_net(const struct sim_addr *a, const struct sim_addr *b)
{
	return a->family == b->family &&
	    memcmp(a->ip, b->ip, a->family == 4 ? 4 : 8) == 0;
}

/* Of this client, without those that are told that they are too many. */
static unsigned
count_served(const struct sim_addr *from)
{
	const struct conn *c;
	unsigned i, n = 0;

	for (i = 0; i < sim.lives; i++) {
		c = &sim.conn[sim.live[i]];
		n += c->is_client && c->fd != -1 && same_net(from, &c->peer) &&
		    sim.client[c->id].status == 200;
	}
	return n;
}

/* Whoever waits gets in soon, if there is room. */
static void
check_accepting(unsigned open)
{
	static int64_t since;

	if (!client_is_waiting() || open >= sim.set.tunnels || sim.terms > 0 ||
	    (!in_calm() && !is_quiet_world()) || sim.plan.on)
		since = 0;
	else if (since == 0)
		since = sim.now;
	else if (sim.now - since > 500 * MS)
		broken("there is room, but nobody is accepted");
}

void
check_turn(void)
{
	struct conn *c;
	unsigned i, open = 0;

	for (i = 0; i < sim.lives; i++) {
		c = &sim.conn[sim.live[i]];
		if (!c->is_client || c->fd == -1)
			continue;
		open++;
		check_tunnel(c);
		if (sim.set.per_client > 0 && sim.polls % 64 == 0 &&
		    count_served(&c->peer) > sim.set.per_client)
			broken("one client has too many tunnels");
	}
	if (open > sim.set.tunnels)
		broken("%u tunnels of %u", open, sim.set.tunnels);
	check_accepting(open);
	if (sim.terms > 0 && sim.now - sim.term_at >
	    sim.set.drain_ms * MS + SLACK)
		broken("it does not stop");
	if (sim.terms > 1 && sim.now - sim.second_term_at > SLACK)
		broken("the second TERM is not heard");
	if (sim.now > (int64_t)1200 * 1000 * 1000)
		broken("the world does not end");
}
