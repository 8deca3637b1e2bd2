/* SPDX-License-Identifier: ISC */
/*
 * check.c - what must be true of the daemon in every world.
 *
 * The oracle for addresses is written apart from policy.c on purpose: ranges of
 * numbers here, prefixes there.
 */
#include <sys/socket.h>
#include <arpa/inet.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim.h"

#define ESTABLISHED "HTTP/1.1 200 Connection established\r\n\r\n"
#define MS 1000
#define SLACK (150 * MS)

/* The daemon's time is that of its turn's beginning: it may end a thing that
 * much too early by the world's clock. */
#define EARLY (2 * MS + 500 * (int64_t)sim.set.call_us)

/* ---- the oracle --------------------------------------------------------- */

static uint32_t
number4(const unsigned char *ip)
{
	return (uint32_t)ip[0] << 24 | (uint32_t)ip[1] << 16 |
	    (uint32_t)ip[2] << 8 | ip[3];
}

enum kind { PUBLIC, PRIVATE, LOOPBACK, SPECIAL };

static enum kind
kind4(uint32_t n)
{
	static const struct {
		uint32_t	first, last;
		enum kind	kind;
	} ranges[] = {
		{ 0x00000000, 0x00ffffff, SPECIAL },
		{ 0x0a000000, 0x0affffff, PRIVATE },
		{ 0x64400000, 0x647fffff, PRIVATE },
		{ 0x7f000000, 0x7fffffff, LOOPBACK },
		{ 0xa9fe0000, 0xa9feffff, SPECIAL },
		{ 0xac100000, 0xac1fffff, PRIVATE },
		{ 0xc0000000, 0xc0000008, SPECIAL },
		{ 0xc000000b, 0xc00000ff, SPECIAL },
		{ 0xc0000200, 0xc00002ff, SPECIAL },
		{ 0xc0586300, 0xc05863ff, SPECIAL },
		{ 0xc0a80000, 0xc0a8ffff, PRIVATE },
		{ 0xc6120000, 0xc613ffff, SPECIAL },
		{ 0xc6336400, 0xc63364ff, SPECIAL },
		{ 0xcb007100, 0xcb0071ff, SPECIAL },
		{ 0xe0000000, 0xffffffff, SPECIAL },
	};
	size_t i;

	for (i = 0; i < sizeof ranges / sizeof ranges[0]; i++)
		if (n >= ranges[i].first && n <= ranges[i].last)
			return ranges[i].kind;
	return PUBLIC;
}

static bool
all_zero(const unsigned char *p, size_t n)
{
	while (n > 0 && p[n - 1] == 0)
		n--;
	return n == 0;
}

static enum kind
kind6(const unsigned char *ip)
{
	unsigned g0 = ip[0] * 256u + ip[1], g1 = ip[2] * 256u + ip[3];

	if (all_zero(ip, 15) && ip[15] == 1)
		return LOOPBACK;
	if (g0 == 0x64 && g1 == 0xff9b && all_zero(ip + 4, 8))
		return kind4(number4(ip + 12));
	if (all_zero(ip, 10) && ip[10] == 0xff && ip[11] == 0xff)
		return kind4(number4(ip + 12));
	if (g0 >= 0xfc00 && g0 <= 0xfdff)
		return PRIVATE;
	if (g0 < 0x2000 || g0 > 0x3fff)
		return SPECIAL;
	if (g0 == 0x2001 && (g1 < 0x0200 || g1 == 0x0db8))
		return SPECIAL;
	return g0 == 0x2002 || (g0 == 0x3fff && g1 < 0x1000) ? SPECIAL : PUBLIC;
}

static enum kind
kind_of(const struct sim_addr *a)
{
	return a->family == 4 ? kind4(number4(a->ip)) : kind6(a->ip);
}

bool
oracle_public(const struct sim_addr *a)
{
	return kind_of(a) == PUBLIC;
}

bool
oracle_special(const struct sim_addr *a)
{
	return kind_of(a) == SPECIAL || kind_of(a) == LOOPBACK;
}

/* Is it in 93.184.216.0/27, or carries such an address? */
static bool
in_denied_net(const struct sim_addr *a)
{
	const unsigned char *ip = a->family == 4 ? a->ip : a->ip + 12;
	uint32_t n = number4(ip);

	if (a->family == 6 && !(a->ip[1] == 0x64 && a->ip[2] == 0xff))
		return false;
	return n >= 0x5db8d800 && n <= 0x5db8d81f;
}

/* The templates of write_config, each by hand. */
bool
oracle_allows(const struct client *k, const struct sim_addr *a)
{
	switch (sim.set.rules) {
	case 0:
		return oracle_public(a);
	case 1:
		return !k->denied_name && !in_denied_net(a) &&
		    !oracle_special(a);
	case 2:
		/* NAT64 of loopback is not public, and not ::1 or 127/8. */
		return oracle_public(a) || kind_of(a) == LOOPBACK;
	default:
		return k->from.ip[0] == 198 && oracle_public(a);
	}
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
	if (a->port == PORT_BASE && kind_of(a) == LOOPBACK &&
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

static bool
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
static bool
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
static struct conn *
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

static bool
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

static int64_t
later(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

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
	if (c->dead && k->origin != -1)
		since = later(since, sim.conn[k->origin].last_progress);
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

static unsigned
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

/* ---- the log ------------------------------------------------------------ */

static unsigned long long
field(const char *line, const char *name)
{
	const char *p = strstr(line, name);

	if (p == NULL)
		broken("the access line lacks%s", name);
	return strtoull(p + strlen(name), NULL, 10);
}

/* Has anything happened to a connection of this client's tunnel? */
static bool
is_hurt(int id)
{
	const struct conn *c;

	for (c = sim.conn; c < sim.conn + sim.conns; c++)
		if (c->id == id &&
		    (c->faulted || c->actor_reset || c->peer_closed))
			return true;
	return false;
}

/* Words that claim something must be right. */
static void
check_end_word(const struct client *k, int id)
{
	const struct conn *c = &sim.conn[k->conn], *o = origin_of(k);
	int64_t quiet = sim.now - later(later(c->moved,
	    o != NULL ? o->moved : 0), k->replied_at);

	if (sim.plan.forever)
		return;		/* time jumps, and the daemon's is older */
	if (strcmp(k->end, "idle") == 0 && k->status == 200 &&
	    quiet < sim.set.idle_ms * MS - EARLY)
		broken("client %d: idle, but it was not", id);
	if (strcmp(k->end, "half") == 0 && quiet < sim.set.half_ms * MS - EARLY)
		broken("client %d: cut before `timeout half`", id);
	if (strcmp(k->end, "evicted") == 0 &&
	    count_open() + 1 < sim.set.tunnels)
		broken("client %d: evicted without need", id);
	if (strcmp(k->end, "evicted") == 0 && (o != NULL ?
	    !c->out.fin_sent && !o->out.fin_sent :
	    sim.now - k->accepted_at < 1000 * MS - EARLY))
		broken("client %d: evicted, but others had to go first", id);
	if (strstr(k->end, "-reset") != NULL && !is_hurt(id))
		broken("client %d: %s, but there was none", id, k->end);
	if (strstr(k->end, "-reset") != NULL &&
	    ((c->hasty_reset && !c->faulted) ||
	    (o != NULL && o->hasty_reset && !o->faulted)))
		broken("client %d: a reset outran bytes on their way", id);
	if (strcmp(k->end, "stopped") == 0 && sim.terms < 2 &&
	    (sim.terms == 0 ||
	    sim.now - sim.term_at < sim.set.drain_ms * MS - EARLY))
		broken("client %d: stopped before the drain was over", id);
}

/* A side broke off.  What it had sent by then went to the other, unless that
 * one failed too or took too long. */
static void
check_cut(const struct client *k, int id)
{
	const struct conn *c = &sim.conn[k->conn], *o = origin_of(k);
	bool client = strcmp(k->end, "client-reset") == 0;
	const struct conn *dead = client ? c : o, *alive = client ? o : c;

	if (strstr(k->end, "-reset") == NULL || o == NULL ||
	    !dead->actor_reset || dead->faulted || alive->faulted ||
	    alive->actor_reset || alive->peer_closed ||
	    sim.now - later(c->last_progress, o->last_progress) >=
	    sim.set.half_ms * MS - EARLY)
		return;
	if (dead->in.taken != dead->in.arrived || dead->in.taken -
	    (client ? k->head_len + k->filler : 0) !=
	    (client ? k->up_sent : k->down_sent))
		broken("client %d: %s, and bytes that had come are lost", id,
		    k->end);
}

static void
check_dns_fields(const struct client *k, int id, const char *line)
{
	bool error = strcmp(k->end, "dns_error") == 0;
	const char *ms = strstr(line, " dns-ms=");

	if (ms == NULL || (k->literal && ms[8] != '-'))
		broken("client %d: dns-ms without a name: %s", id, line);
	if (error && strstr(line, " rcode=") == NULL)
		broken("client %d: an error of the DNS without its rcode: %s",
		    id, line);
	if (k->head_end > 0 && (strstr(line, " rcode=") != NULL) !=
	    (strstr(k->reply, "; rcode=") != NULL))
		broken("client %d: reply and log differ in the rcode: %s", id,
		    line);
}

/* A number of milliseconds in it against the world's. */
static void
check_ms(int id, const char *line, const char *name, int64_t first,
    int64_t last)
{
	int64_t us = (int64_t)field(line, name) * MS;

	if (!sim.plan.forever && (us < first - EARLY || us > last + EARLY))
		broken("client %d: it was not so long,%s: %s", id, name, line);
}

/* When it stood, and where it leads. */
static void
check_way(const struct client *k, int id, const char *line)
{
	const struct conn *o = origin_of(k);
	char ip[INET6_ADDRSTRLEN], wanted[80];
	const char *setup = strstr(line, " setup-ms=");

	if (setup == NULL || (setup[10] == '-') ==
	    (strstr(line, " status=200 ") != NULL))
		broken("client %d: setup-ms does not fit: %s", id, line);
	check_ms(id, line, " ms=", sim.now - k->accepted_at,
	    sim.now - k->accepted_at);
	if (k->status != 200 || o == NULL)
		return;
	check_ms(id, line, " setup-ms=", o->connect_at - k->accepted_at,
	    k->replied_at - k->accepted_at);
	(void)inet_ntop(o->peer.family == 4 ? AF_INET : AF_INET6, o->peer.ip,
	    ip, sizeof ip);
	(void)snprintf(wanted, sizeof wanted, o->peer.family == 4 ?
	    " address=%s:%u " : " address=[%s]:%u ", ip, o->peer.port);
	if (strstr(line, wanted) == NULL)
		broken("client %d: another address than the one that it has: "
		    "%s", id, line);
}

/* Whose line is it?  Clients are known by their ports. */
static int
client_of_line(const char *line)
{
	const char *end = strchr(line + 14, ' ');

	while (end != NULL && end > line && *end != ':')
		end--;
	return end == NULL ? -1 : atoi(end + 1) - CLIENT_PORT;
}

static void
check_access_line(const char *line)
{
	const char *word = strstr(line, " end=");
	int id = client_of_line(line);
	struct client *k;
	size_t n;

	if (id < 0 || id >= (int)sim.set.clients || word == NULL)
		broken("an access line of nobody: %s", line);
	k = &sim.client[id];
	if (!k->accepted || ++k->log_lines > 1)
		broken("client %d: more than one access line", id);
	n = strcspn(word + 5, " ");
	if (n >= sizeof k->end)
		n = sizeof k->end - 1;
	memcpy(k->end, word + 5, n);
	k->end[n] = '\0';
	if (field(line, " status=") != k->status && k->head_end > 0)
		broken("client %d: the log says another status: %s", id, line);
	if (field(line, " up=") != k->up_sent ||
	    field(line, " down=") != k->down_sent)
		broken("client %d: the log counts otherwise (%llu, %llu): %s",
		    id, (unsigned long long)k->up_sent,
		    (unsigned long long)k->down_sent, line);
	check_end_word(k, id);
	check_cut(k, id);
	check_dns_fields(k, id, line);
	check_way(k, id, line);
}

/* Sums over all tunnels, which can be told while none is open. */
static void
check_statistics(const char *line)
{
	uint64_t up = 0, down = 0;
	unsigned i, established = 0, refused = 0;

	if (field(line, " lost-lines=") != sim.lost_lines ||
	    field(line, " tunnels=") > sim.set.tunnels)
		broken("wrong numbers: %s", line);
	if (count_open() > 0)
		return;
	for (i = 0; i < sim.set.clients; i++) {
		up += sim.client[i].up_sent;
		down += sim.client[i].down_sent;
		established += sim.client[i].status == 200;
		refused += sim.client[i].status >= 400;
	}
	if (field(line, " up=") != up || field(line, " down=") != down ||
	    field(line, " tunnels=") != 0 ||
	    field(line, " accepted=") != sim.accepted ||
	    field(line, " established=") < established ||
	    field(line, " refused=") < refused)
		broken("wrong sums (%llu up, %llu down, %llu accepted): %s",
		    (unsigned long long)up, (unsigned long long)down,
		    (unsigned long long)sim.accepted, line);
}

void
check_line(const char *p, size_t n)
{
	char line[600];
	size_t i;

	if (n == 0 || n > 512 || p[n - 1] != '\n')
		broken("a log line of %zu bytes", n);
	for (i = 0; i + 1 < n; i++)
		if (p[i] < 0x20 || p[i] > 0x7e)
			broken("a log line with byte %d", p[i]);
	memcpy(line, p, n - 1);
	line[n - 1] = '\0';
	trace("log: %s", line);
	if (strncmp(line, "log: ", 5) != 0 && sim.told_lost != sim.lost_lines)
		broken("lost lines are not told of");
	if (strncmp(line, "tunnel client=", 14) == 0)
		check_access_line(line);
	else if (strncmp(line, "statistics ", 11) == 0)
		check_statistics(line);
	else if (strncmp(line, "log: ", 5) == 0)
		sim.told_lost += strtoul(line + 5, NULL, 10);
}

/* ---- the end ------------------------------------------------------------ */

/* Nothing was done to it: then it must have got everything. */
static void
check_delivery(const struct client *k, int id)
{
	const struct conn *c = &sim.conn[k->conn], *o = origin_of(k);

	if (k->status != 200 || o == NULL || sim.set.half_ms == 0 ||
	    (strcmp(k->end, "client-fin") != 0 &&
	    strcmp(k->end, "target-fin") != 0))
		return;
	if (c->faulted || o->faulted || c->actor_reset || o->actor_reset)
		return;
	if (!is_complete(k, c, true) || !is_complete(k, o, false))
		broken("client %d: an orderly end without all bytes", id);
}

/* What becomes of a target of this kind, if nothing else goes wrong. */
static const char *
fate_of(const struct sim_addr *a)
{
	switch (origin_kind_at(a)) {
	case O_REFUSES:
		return "error=connection_refused";
	case O_BLACKHOLE:
		return "error=connection_timeout";
	case O_UNREACHABLE:
		return "error=destination_ip_unroutable";
	case O_PROHIBITED:
		return "error=destination_ip_prohibited";
	case O_SELF:
		return "error=proxy_loop_detected";
	default:
		return NULL;
	}
}

/* An address that is reached gets a tunnel, another one its own error. */
static void
check_fate(const struct client *k, int id)
{
	const char *fate = fate_of(&k->address[0]);

	if (fate != NULL && (k->status == 200 ||
	    strstr(k->reply, fate) == NULL))
		broken("client %d: status %u, not the %s it should be", id,
		    k->status, fate);
	if (fate == NULL && k->status != 200 &&
	    (origin_kind_at(&k->address[0]) != O_LATE ||
	    sim.set.connect_ms > 3500))
		broken("client %d: status %u, but its target is there", id,
		    k->status);
}

/* One good address is enough, among whatever others. */
static void
check_race(const struct client *k, int id)
{
	const struct sim_addr *a;
	unsigned i;

	if (k->status == 200 ||
	    sim.set.connect_ms < 5000 + 4500 * (k->addresses / 2) ||
	    !is_sure_of_names(k) || (k->name >= 0 &&
	    sim.name[k->name].kind == N_FLIPS))
		return;
	for (i = 0; i < k->addresses; i++) {
		a = &k->address[i];
		if (oracle_allows(k, a) && fate_of(a) == NULL && (k->name < 0 ||
		    sim.name[k->name].in_hosts || a->family == 4))
			broken("client %d: status %u, but its target has a "
			    "good address", id, k->status);
	}
}

/* In a world without faults a good client with a good target gets through. */
static void
check_service(const struct client *k, int id)
{
	if (k->head_end > 0 && id > 0 && k->status != 408 &&
	    sim.set.per_client == 0 && k->kind != K_GARBAGE)
		check_race(k, id);
	if (!k->literal && (!is_sure_of_names(k) || (k->name >= 0 &&
	    sim.name[k->name].kind == N_FLIPS)))
		return;
	if (k->literal && k->addresses == 1 && k->head_end > 0 && id > 0 &&
	    k->status != 408 && sim.set.per_client == 0 &&
	    k->kind != K_GARBAGE && oracle_allows(k, &k->address[0]))
		check_fate(k, id);
	if (k->kind != K_PLAIN || k->addresses != 1 || !k->accepted ||
	    sim.set.per_client > 0 || !oracle_allows(k, &k->address[0]) ||
	    k->address[0].family != 4 || k->address[0].ip[0] != 93 ||
	    k->address[0].ip[3] % 2 != 0)
		return;
	/* Some are so slow to ask that their time is over. */
	if (strcmp(k->end, "evicted") == 0 || k->status == 408)
		return;
	if (k->status != 200)
		broken("client %d: no tunnel in a good world (status %u, %s)",
		    id, k->status, k->end);
	if (k->ends && strstr(k->end, "-fin") == NULL &&
	    strstr(k->end, "-reset") == NULL)
		broken("client %d: %s in a good world", id, k->end);
}

void
check_end(int status)
{
	uint64_t missing = 0;
	bool quiet = is_quiet_world();
	unsigned i;

	if (sim.running ? status != 0 : !sim.plan.on || status < 1 || status > 2)
		broken("exit status %d", status);
	check_descriptors();
	for (i = 0; i < sim.conns; i++)
		if (sim.conn[i].fd != -1)
			broken("descriptor %d is open at the end",
			    sim.conn[i].fd);
	if (names_open_sockets() > 0)
		broken("%u sockets of questions are open at the end",
		    names_open_sockets());
	for (i = 0; sim.running && i < sim.set.clients; i++) {
		/* Those that are far too many leave no line. */
		missing += sim.client[i].accepted &&
		    sim.client[i].log_lines == 0 &&
		    (sim.set.per_client == 0 || sim.client[i].reply_len > 0);
		if (sim.client[i].conn == -1)
			continue;
		check_delivery(&sim.client[i], (int)i);
		if (quiet)
			check_service(&sim.client[i], (int)i);
	}
	if (missing > sim.lost_lines)
		broken("%llu access lines are missing",
		    (unsigned long long)missing);
	if (sim.told_lost > sim.lost_lines)
		broken("more lost lines told than lost");
}
