/* SPDX-License-Identifier: ISC */
/*
 * world.c - the operating system of the simulated world: descriptors, sockets,
 * poll, files, signals, the clock, and the faults of all of them.
 *
 * A byte is never stored: byte `pos` of a direction is a function of the
 * client's number and of pos (client_byte, origin_byte), so that what the
 * daemon sends is checked on the spot, and loss, order, duplication and mix-up
 * show at the byte.
 */
#define _DEFAULT_SOURCE 1
#define _FILE_OFFSET_BITS 64	/* as sys.c */

#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "sim.h"

#define FIRST_FD	3
#define ACCEPTS_A_TURN	16
#define BACKLOG_MAX	CLIENTS_MAX
#define SIGNALS_MAX	64
#define SCENARIO_ROOM	2048	/* less than is sent, so somebody waits */
#define CALM_ROOM	8192	/* at the end all lanes are wide enough */
#define FOREVER_COST_US	5000	/* a planned fault that lasts: time flies */
#define SPURIOUS_COST_US 200

/* Options that every connection must have. */
#define ON_NODELAY	1u
#define ON_KEEPALIVE	2u
#define ON_OOBINLINE	4u
#define ON_ALL		7u

enum fd_kind {
	FD_FREE, FD_NULL, FD_FILE, FD_LOG, FD_PIPE_READ, FD_PIPE_WRITE,
	FD_LISTENER, FD_STREAM, FD_DGRAM, FD_CONN, FD_NAMES
};

struct file {
	const char	*path;
	const char	*text;
	size_t		 size;
};

struct vfd {
	enum fd_kind	kind;
	bool		nonblock, cloexec, linger0;
	unsigned	options;	/* ON_*, also if that failed */
	uint64_t	turn;		/* of the last accept, */
	unsigned	accepts;	/* and how many it has had */
	bool		keeps;		/* open until the end of the process */
	int		conn;		/* FD_CONN; FD_NAMES: names.c's */
	const struct file *file;
	size_t		pos;
	struct sim_addr	bound;
};

static struct vfd fds[FDS_MAX];
static const struct sim_addr server_end = { 4, { 127, 9 }, 53 };
static struct file files[] = {
	{ "/sim/connectd.conf", "", 0 },
	{ "/sim/hosts", "", 0 },
	{ "/sim/resolv.conf", "", 0 },
};
static struct {
	int		client[BACKLOG_MAX];
	int		head, len;
} backlog[2];			/* of IPv4, of IPv6 */
static int signal_len;
static void (*handlers[65])(int);

const char *const call_names[CALLS] = {
	"accept", "bind", "clock_gettime", "close", "connect", "fcntl",
	"getpeername", "getrlimit", "getsockname", "getsockopt", "ioctl",
	"listen", "open", "pipe", "poll", "read", "recvmsg", "sendmsg",
	"setrlimit", "setsockopt", "shutdown", "sigaction", "sigprocmask",
	"socket", "stat", "write"
};

static void deliver(int number);

/* ---- time, trace, faults ------------------------------------------------ */

bool
in_calm(void)
{
	return sim.now >= sim.set.calm_at || sim.terms > 0;
}

const int *
errnos_of(enum call c)
{
	static const int none[] = { 0 };
	static const int on_accept[] = { EINTR, EAGAIN, ECONNABORTED, EMFILE,
	    ENFILE, ENOBUFS, ENOMEM, EPERM, EPROTO, ENETDOWN, ENOPROTOOPT,
	    EHOSTDOWN, ENONET, EHOSTUNREACH, EOPNOTSUPP, ENETUNREACH, 0 };
	static const int on_connect[] = { EINTR, ECONNREFUSED, ENETUNREACH,
	    EHOSTUNREACH, EADDRNOTAVAIL, EADDRINUSE, EACCES, EPERM, ETIMEDOUT,
	    EAGAIN, ENOBUFS, EINVAL, 0 };
	static const int on_recv[] = { EINTR, EAGAIN, ECONNRESET, ETIMEDOUT,
	    EHOSTUNREACH, ENOMEM, ENOBUFS, 0 };
	static const int on_send[] = { EINTR, EAGAIN, ECONNRESET, EPIPE,
	    ETIMEDOUT, EHOSTUNREACH, ENOMEM, ENOBUFS, 0 };
	static const int on_socket[] = { EMFILE, ENFILE, ENOBUFS, ENOMEM,
	    EAFNOSUPPORT, 0 };
	static const int on_poll[] = { EINTR, ENOMEM, EAGAIN, 0 };
	static const int on_close[] = { EINTR, EIO, 0 };
	static const int on_write[] = { EINTR, EAGAIN, EIO, ENOSPC, EPIPE, 0 };
	static const int on_read[] = { EINTR, EAGAIN, EIO, 0 };
	static const int on_open[] = { EINTR, EACCES, EMFILE, ENFILE, ENOENT,
	    ENOMEM, ENXIO, 0 };
	static const int on_name[] = { ENOBUFS, 0 };
	static const int on_peer[] = { ENOBUFS, ENOTCONN, EINVAL, 0 };
	static const int on_option[] = { ENOMEM, ENOBUFS, EINVAL, 0 };
	static const int on_shutdown[] = { ENOTCONN, ENOBUFS, 0 };
	static const int on_fcntl[] = { ENOMEM, EINTR, 0 };
	static const int on_bind[] = { EADDRINUSE, EACCES, EADDRNOTAVAIL,
	    ENOMEM, 0 };
	static const int on_listen[] = { EADDRINUSE, EOPNOTSUPP, 0 };
	static const int on_stat[] = { EACCES, ENOENT, ENOMEM, 0 };
	static const int on_pipe[] = { EMFILE, ENFILE, 0 };
	static const int on_ioctl[] = { EINVAL, ENOTTY, 0 };
	static const int on_limit[] = { EPERM, EINVAL, 0 };
	static const int *const lists[CALLS] = {
		[C_ACCEPT] = on_accept, [C_BIND] = on_bind,
		[C_CLOCK] = none, [C_CLOSE] = on_close,
		[C_CONNECT] = on_connect, [C_FCNTL] = on_fcntl,
		[C_GETPEERNAME] = on_peer, [C_GETRLIMIT] = on_limit,
		[C_GETSOCKNAME] = on_name, [C_GETSOCKOPT] = on_option,
		[C_IOCTL] = on_ioctl, [C_LISTEN] = on_listen,
		[C_OPEN] = on_open, [C_PIPE] = on_pipe, [C_POLL] = on_poll,
		[C_READ] = on_read, [C_RECVMSG] = on_recv,
		[C_SENDMSG] = on_send, [C_SETRLIMIT] = on_limit,
		[C_SETSOCKOPT] = on_option, [C_SHUTDOWN] = on_shutdown,
		[C_SIGACTION] = none, [C_SIGPROCMASK] = none,
		[C_SOCKET] = on_socket, [C_STAT] = on_stat,
		[C_WRITE] = on_write
	};

	return lists[c];
}

bool
raise_fault(enum fault f)
{
	if (!sim.running || in_calm() || sim.scenario >= 0 ||
	    !sim.set.fault_on[f] || !chance(sim.set.fault_rate[f]))
		return false;
	sim.injected = true;
	return true;
}

static enum fault
class_of(enum call c, int err)
{
	if (err == EINTR)
		return F_EINTR;
	if (c == C_WRITE)
		return F_LOG;
	if (err == EAGAIN && c != C_CONNECT)
		return F_EAGAIN;
	if (err == EMFILE || err == ENFILE || err == ENOBUFS || err == ENOMEM)
		return F_SHORTAGE;
	return c == C_ACCEPT ? F_ACCEPT : F_HARD;
}

static int
random_fault(enum call c)
{
	const int *list = errnos_of(c);
	unsigned n = 0, i;

	/* Only where a running daemon has to live with it. */
	if (!sim.running || c == C_CLOCK || c == C_FCNTL)
		return 0;
	while (list[n] != 0)
		n++;
	if (n == 0)
		return 0;
	i = below(n);
	return raise_fault(c == C_POLL ? F_POLL : class_of(c, list[i])) ?
	    list[i] : 0;
}

/* A signal may come at any call. */
static void
signal_inside(enum call c)
{
	static bool inside;

	if (inside || !sim.running || sim.scenario >= 0)
		return;
	inside = true;
	if (sim.terms == 0 && (sim.set.term_at - sim.now < 3000 ?
	    chance(30000) : c == C_POLL && actors_done() && below(2) == 0)) {
		sim.terms = 1;
		sim.term_at = sim.now;
		deliver(SIGTERM);
	} else if (raise_fault(F_SIGNAL))
		deliver(below(2) == 0 ? SIGUSR1 : SIGHUP);
	inside = false;
}

/* Every call begins here.  0, or the errno that it has to fail with. */
static int
begin_call(enum call c, int fd)
{
	int err = 0;

	if (sim.kinds != NULL && sim.calls < sim.kinds_max)
		sim.kinds[sim.calls] = (unsigned char)c;
	if (sim.plan.on && (sim.calls == sim.plan.at ||
	    (sim.plan.forever && sim.calls > sim.plan.at &&
	    (int)c == sim.kinds[sim.plan.at]))) {
		err = sim.plan.err;
		sim.injected = true;
		if (sim.plan.forever)
			sim.now += FOREVER_COST_US;
	} else if (sim.second.on && sim.calls == sim.second.at) {
		err = sim.second.err;
		sim.injected = true;
	} else if (!sim.plan.on)
		err = random_fault(c);
	sim.calls++;
	sim.now += sim.set.call_us;
	mix((uint64_t)c << 32 | (uint32_t)fd);
	signal_inside(c);
	if (err != 0) {
		mix((uint64_t)err);
		trace("%s(%d) fails by plan: %s", call_names[c], fd,
		    strerror(err));
	}
	return err;
}

static int
result(int value)
{
	mix((uint64_t)(uint32_t)value);
	return value;
}

static int
fail(int err)
{
	errno = err;
	return result(-1);
}

/* ---- descriptors -------------------------------------------------------- */

static struct vfd *
get(int fd)
{
	if (fd < 0 || fd >= FDS_MAX || fds[fd].kind == FD_FREE)
		broken("descriptor %d is used but not open", fd);
	return &fds[fd];
}

static int
new_fd(enum fd_kind kind)
{
	int fd, limit = FDS_MAX;

	if (sim.running && sim.set.nofile > 0 && !in_calm())
		limit = (int)sim.set.nofile;
	for (fd = 0; fd < limit; fd++)
		if (fds[fd].kind == FD_FREE)
			break;
	if (fd == limit)
		return -1;
	memset(&fds[fd], 0, sizeof fds[fd]);
	fds[fd].kind = kind;
	fds[fd].conn = -1;
	return fd;
}

static struct conn *
conn_of(int fd, const char *what)
{
	struct vfd *v = get(fd);

	if (v->kind != FD_CONN)
		broken("%s on descriptor %d, which is no connection", what, fd);
	return &sim.conn[v->conn];
}

/* ---- connections -------------------------------------------------------- */

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
static void
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
static void
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
static void
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

/* ---- addresses ---------------------------------------------------------- */

static void
put_addr(const struct sim_addr *a, struct sockaddr *sa, socklen_t *len)
{
	struct sockaddr_in in;
	struct sockaddr_in6 in6;
	const void *from;
	socklen_t n;

	if (a->family == 4) {
		memset(&in, 0, sizeof in);
		in.sin_family = AF_INET;
		in.sin_port = htons((uint16_t)a->port);
		memcpy(&in.sin_addr, a->ip, 4);
		from = &in;
		n = sizeof in;
	} else {
		memset(&in6, 0, sizeof in6);
		in6.sin6_family = AF_INET6;
		in6.sin6_port = htons((uint16_t)a->port);
		memcpy(&in6.sin6_addr, a->ip, 16);
		from = &in6;
		n = sizeof in6;
	}
	memcpy(sa, from, n < *len ? n : *len);
	*len = n;
}

static void
get_addr(const struct sockaddr *sa, struct sim_addr *a)
{
	struct sockaddr_in in;
	struct sockaddr_in6 in6;

	memset(a, 0, sizeof *a);
	if (sa->sa_family == AF_INET) {
		memcpy(&in, sa, sizeof in);
		a->family = 4;
		a->port = ntohs(in.sin_port);
		memcpy(a->ip, &in.sin_addr, 4);
	} else {
		memcpy(&in6, sa, sizeof in6);
		a->family = 6;
		a->port = ntohs(in6.sin6_port);
		memcpy(a->ip, &in6.sin6_addr, 16);
	}
}

/* ---- sockets ------------------------------------------------------------ */

int __wrap_socket(int, int, int);
int
__wrap_socket(int domain, int type, int protocol)
{
	int fd, err = begin_call(C_SOCKET, domain);

	(void)protocol;
	if (err != 0)
		return fail(err);
	fd = new_fd(type == SOCK_STREAM ? FD_STREAM : FD_DGRAM);
	return fd < 0 ? fail(EMFILE) : result(fd);
}

int __wrap_bind(int, const struct sockaddr *, socklen_t);
int
__wrap_bind(int fd, const struct sockaddr *sa, socklen_t len)
{
	struct vfd *v = get(fd);
	int err = begin_call(C_BIND, fd);

	(void)len;
	if (err != 0)
		return fail(err);
	get_addr(sa, &v->bound);
	/* The machine's own addresses are loopback and 192.0.2.1. */
	if (v->kind == FD_DGRAM && !(v->bound.family == 4 ?
	    v->bound.ip[0] == 127 || memcmp(v->bound.ip, "\300\0\2\1", 4) == 0 :
	    v->bound.ip[15] <= 1 && v->bound.ip[0] == 0))
		return fail(EADDRNOTAVAIL);
	if (v->bound.port == 0)
		v->bound.port = 3128;
	return result(0);
}

int __wrap_listen(int, int);
int
__wrap_listen(int fd, int n)
{
	int err = begin_call(C_LISTEN, fd);

	(void)n;
	if (err != 0)
		return fail(err);
	get(fd)->kind = FD_LISTENER;
	return result(0);
}

bool
client_waits(int id)
{
	int place = sim.client[id].from.family == 6;

	if (backlog[place].len == BACKLOG_MAX)
		return false;
	backlog[place].client[(backlog[place].head + backlog[place].len++) %
	    BACKLOG_MAX] = id;
	return true;
}

bool
client_is_waiting(void)
{
	return backlog[0].len > 0 || backlog[1].len > 0;
}

static bool
has_backlog(const struct vfd *v)
{
	return backlog[v->bound.family == 6].len > 0;
}

static int
take_from_backlog(const struct vfd *v)
{
	int place = v->bound.family == 6;
	int id = backlog[place].client[backlog[place].head];

	backlog[place].head = (backlog[place].head + 1) % BACKLOG_MAX;
	backlog[place].len--;
	return id;
}

int __wrap_accept(int, struct sockaddr *, socklen_t *);
int
__wrap_accept(int fd, struct sockaddr *sa, socklen_t *len)
{
	struct vfd *v = get(fd);
	int id, new, err = begin_call(C_ACCEPT, fd);
	struct conn *c;

	if (sim.term_told)
		broken("accept behind TERM");
	if (v->kind != FD_LISTENER || !v->nonblock)
		broken("accept on a descriptor that may block");
	if (v->turn != sim.polls)
		v->accepts = 0;
	v->turn = sim.polls;
	if (++v->accepts > ACCEPTS_A_TURN)
		broken("more than %d accepts in a turn", ACCEPTS_A_TURN);
	if (err == ECONNABORTED && has_backlog(v))
		actor_reset(&sim.conn[sim.client[take_from_backlog(v)].conn]);
	if (err != 0)
		return fail(err);
	if (!has_backlog(v))
		return fail(EAGAIN);
	new = new_fd(FD_CONN);
	if (new < 0)
		return fail(EMFILE);
	id = take_from_backlog(v);
	c = &sim.conn[sim.client[id].conn];
	fds[new].conn = sim.client[id].conn;
	c->fd = new;
	c->last_progress = sim.now;
	sim.client[id].accepted = true;
	sim.client[id].accepted_at = sim.now;
	sim.accepted++;
	sim.progress = true;
	put_addr(&c->peer, sa, len);
	trace("accept: client %d is fd %d", id, new);
	return result(new);
}

/* A question to a name server begins. */
static int
connect_to_server(struct vfd *v, int fd, const struct sim_addr *to, int err)
{
	bool tcp = v->kind == FD_STREAM;

	if (!v->nonblock || !v->cloexec || (!tcp && v->kind != FD_DGRAM))
		broken("connect on a descriptor that may block or leak");
	if (err != 0 && err != EINTR)
		return fail(err);
	v->conn = names_open(to, tcp);
	v->kind = FD_NAMES;
	sim.progress = true;
	trace("connect fd %d to server %u", fd, to->ip[3]);
	if (tcp)
		return fail(err != 0 ? EINTR : EINPROGRESS);
	return err != 0 ? fail(err) : result(0);
}

int __wrap_connect(int, const struct sockaddr *, socklen_t);
int
__wrap_connect(int fd, const struct sockaddr *sa, socklen_t len)
{
	struct vfd *v = get(fd);
	struct sim_addr to;
	struct conn *c;
	int id, err = begin_call(C_CONNECT, fd);

	(void)len;
	get_addr(sa, &to);
	if (to.port == 53)
		return connect_to_server(v, fd, &to, err);
	check_connect(&to);
	if (v->kind != FD_STREAM || !v->nonblock || !v->cloexec)
		broken("connect on a descriptor that may block or leak");
	if (err != 0 && err != EINTR)
		return fail(err);
	id = (int)to.port - PORT_BASE;
	c = new_conn(false, id);
	c->peer = to;
	c->local.family = to.family;
	c->local.ip[0] = 10;
	c->local.port = 40000 + sim.conns % 20000;
	c->fd = fd;
	c->connecting = true;
	v->kind = FD_CONN;
	v->conn = (int)(c - sim.conn);
	origin_begin(c);
	sim.progress = true;
	if (!c->connecting) {	/* refused on the spot */
		v->kind = FD_STREAM;
		c->dead = c->daemon_closed = true;
		c->fd = -1;
		return fail(c->outcome);
	}
	trace("connect fd %d for client %d, kind %d", fd, id, (int)c->kind);
	return fail(err != 0 ? EINTR : EINPROGRESS);
}

int __wrap_getsockname(int, struct sockaddr *, socklen_t *);
int
__wrap_getsockname(int fd, struct sockaddr *sa, socklen_t *len)
{
	struct vfd *v = get(fd);
	int err = begin_call(C_GETSOCKNAME, fd);

	if (err != 0)
		return fail(err);
	put_addr(v->kind == FD_CONN ? &sim.conn[v->conn].local : &v->bound, sa,
	    len);
	return result(0);
}

int __wrap_getpeername(int, struct sockaddr *, socklen_t *);
int
__wrap_getpeername(int fd, struct sockaddr *sa, socklen_t *len)
{
	struct vfd *v = get(fd);
	int err = begin_call(C_GETPEERNAME, fd);

	if (err != 0 && v->kind == FD_CONN && sim.conn[v->conn].established)
		sim.conn[v->conn].faulted = true;	/* it seems gone */
	if (err != 0)
		return fail(err);
	if (v->kind == FD_NAMES) {
		if (names_connected(v->conn) != 0)
			return fail(ENOTCONN);
		put_addr(&server_end, sa, len);
		return result(0);
	}
	if (v->kind != FD_CONN || !sim.conn[v->conn].established ||
	    sim.conn[v->conn].dead)
		return fail(ENOTCONN);
	put_addr(&sim.conn[v->conn].peer, sa, len);
	return result(0);
}

int __wrap_setsockopt(int, int, int, const void *, socklen_t);
int
__wrap_setsockopt(int fd, int level, int option, const void *p, socklen_t len)
{
	struct vfd *v = get(fd);
	struct linger l;
	int on, err = begin_call(C_SETSOCKOPT, fd);

	if (len == sizeof on) {
		memcpy(&on, p, sizeof on);
		v->options |= on == 0 ? 0 :
		    level == IPPROTO_TCP && option == TCP_NODELAY ? ON_NODELAY :
		    level != SOL_SOCKET ? 0 :
		    option == SO_KEEPALIVE ? ON_KEEPALIVE :
		    option == SO_OOBINLINE ? ON_OOBINLINE : 0;
	}
	/* It cannot fail on any system that we know. */
	if (level == SOL_SOCKET && option == SO_LINGER && len == sizeof l) {
		memcpy(&l, p, sizeof l);
		v->linger0 = l.l_onoff != 0 && l.l_linger == 0;
		return result(0);
	}
	return err != 0 ? fail(err) : result(0);
}

int __wrap_getsockopt(int, int, int, void *, socklen_t *);
int
__wrap_getsockopt(int fd, int level, int option, void *p, socklen_t *len)
{
	struct conn *c;
	int err = begin_call(C_GETSOCKOPT, fd);

	if (level != SOL_SOCKET || option != SO_ERROR || *len != sizeof(int))
		broken("getsockopt that the world does not know");
	if (err != 0)
		return fail(err);
	if (get(fd)->kind == FD_NAMES) {
		err = names_connected(get(fd)->conn);
		err = err == EAGAIN ? 0 : err;
		memcpy(p, &err, sizeof(int));
		sim.progress = true;
		return result(0);
	}
	c = conn_of(fd, "getsockopt");
	settle_connect(c);
	memcpy(p, &c->error, sizeof(int));
	if (c->error != 0 || (c->established && !c->connect_told))
		sim.progress = c->connect_told = true;
	c->error = 0;
	return result(0);
}

int __wrap_shutdown(int, int);
int
__wrap_shutdown(int fd, int how)
{
	struct vfd *v = get(fd);
	struct conn *c;
	int err = begin_call(C_SHUTDOWN, fd);

	if (v->kind == FD_LISTENER)
		broken("shutdown of a listener");
	c = conn_of(fd, "shutdown");
	if (how != SHUT_WR)
		broken("shutdown of another kind than SHUT_WR");
	if (c->out.fin_sent)
		broken("shutdown twice on fd %d", fd);
	if (!c->dead)
		check_fin(c, false);
	c->out.fin_sent = true;
	c->fin_at = sim.now;
	sim.progress = true;
	if (err == ENOTCONN || c->dead)
		return fail(ENOTCONN);
	trace("shutdown fd %d", fd);
	pass(c);
	return result(0);
}

static size_t
total(const struct msghdr *m)
{
	size_t i, n = 0;

	for (i = 0; i < (size_t)m->msg_iovlen; i++)
		n += m->msg_iov[i].iov_len;
	return n;
}

/* No connection may keep the others waiting: in each turn it is read and
 * written once, and a second time when a reply begins. */
static void
check_fair(struct conn *c, unsigned *count, unsigned most)
{
	if (c->turn != sim.polls)
		c->reads = c->writes = 0;
	c->turn = sim.polls;
	if (++*count > most)
		broken("fd %d has more than its share of a turn", c->fd);
}

/* An injected error that ends a connection really ends it. */
static void
kill_conn(struct conn *c, int err)
{
	if (err == EINTR || err == EAGAIN || err == ENOMEM || err == ENOBUFS)
		return;
	c->faulted = true;
	reset_towards_actor(c);
	c->in.taken = c->in.arrived;
	c->error = 0;
}

static void
fill_message(struct conn *c, const struct msghdr *m, uint64_t n)
{
	struct client *k = &sim.client[c->id];
	unsigned char *p;
	size_t i, at;

	for (i = 0; i < (size_t)m->msg_iovlen && n > 0; i++) {
		p = m->msg_iov[i].iov_base;
		for (at = 0; at < m->msg_iov[i].iov_len && n > 0; at++, n--) {
			p[at] = c->is_client ?
			    client_byte(c->id, c->in.taken) :
			    origin_byte(c->id, c->in.taken);
			c->in.taken++;
		}
	}
	if (c->is_client && k->head_at == 0 &&
	    c->in.taken >= k->head_len + k->filler)
		k->head_at = sim.now;
}

static ssize_t
receive_names(int fd, struct msghdr *m, int err)
{
	int n;

	if (err != 0)
		return fail(err);
	n = names_receive(fds[fd].conn, m->msg_iov[0].iov_base,
	    m->msg_iov[0].iov_len);
	if (n != -EAGAIN)
		sim.progress = true;
	return n < 0 ? fail(-n) : result(n);
}

ssize_t __wrap_recvmsg(int, struct msghdr *, int);
ssize_t
__wrap_recvmsg(int fd, struct msghdr *m, int flags)
{
	struct conn *c;
	uint64_t n, room = total(m);
	int err = begin_call(C_RECVMSG, fd);

	if (get(fd)->kind == FD_NAMES)
		return receive_names(fd, m, err);
	c = conn_of(fd, "recvmsg");
	if (!fds[fd].nonblock || !fds[fd].cloexec || flags != 0)
		broken("recvmsg on a descriptor that may block");
	if (fds[fd].options != ON_ALL)
		broken("a connection without its options on fd %d", fd);
	if (!c->established)
		broken("recvmsg before the connection stands");
	if (room == 0)
		broken("recvmsg without room looks like end of file");
	check_fair(c, &c->reads, 2);
	if (err != 0) {
		kill_conn(c, err);
		if (c->dead)	/* "not now" of the dead is never true */
			c->faulted = true;
		return fail(err);
	}
	pass(c);
	n = c->in.arrived - c->in.taken;
	if (n == 0) {
		err = c->error;
		c->error = 0;
		if (err != 0) {
			sim.progress = true;
			return fail(err);
		}
		if (!c->in.fin_arrived && !c->dead)
			return fail(EAGAIN);
		if (c->in.fin_arrived && !c->in.fin_taken) {
			sim.progress = c->in.fin_taken = true;
			c->eof_taken_at = sim.now;
		}
		return result(0);
	}
	n = n < room ? n : room;
	if (n > 1 && raise_fault(F_SHORT))
		n = between(1, n > 1000 ? 1000 : (unsigned)n);
	fill_message(c, m, n);
	c->moved = c->last_progress = sim.now;
	sim.progress = true;
	pass(c);
	trace("recv fd %d: %llu", fd, (unsigned long long)n);
	return result((int)n);
}

static void
check_message(struct conn *c, const struct msghdr *m, uint64_t n)
{
	size_t i, k;

	for (i = 0; i < (size_t)m->msg_iovlen && n > 0; i++) {
		k = m->msg_iov[i].iov_len;
		k = k < n ? k : (size_t)n;
		if (c->is_client)
			check_down(c, m->msg_iov[i].iov_base, k);
		else
			check_up(c, m->msg_iov[i].iov_base, k);
		n -= k;
	}
}

ssize_t __wrap_sendmsg(int, const struct msghdr *, int);
ssize_t
__wrap_sendmsg(int fd, const struct msghdr *m, int flags)
{
	struct conn *c;
	uint64_t n = total(m), room;
	int err = begin_call(C_SENDMSG, fd);

	if (!fds[fd].nonblock || !fds[fd].cloexec)
		broken("sendmsg on a descriptor that may block");
	if (!(flags & MSG_NOSIGNAL))
		broken("sendmsg that may raise SIGPIPE");
	if (n == 0)
		broken("sendmsg of nothing");
	if (get(fd)->kind == FD_NAMES) {
		sim.progress = true;
		return err != 0 ? fail(err) : result((int)names_send(
		    fds[fd].conn, m->msg_iov[0].iov_base, (size_t)n));
	}
	c = conn_of(fd, "sendmsg");
	if (c->out.fin_sent)
		broken("sendmsg behind the FIN on fd %d", fd);
	if (!c->established)
		broken("sendmsg before the connection stands");
	check_fair(c, &c->writes, 2);
	if (err != 0) {
		kill_conn(c, err);
		return fail(err);
	}
	if (c->dead) {
		err = c->error != 0 ? c->error : EPIPE;
		c->error = 0;
		sim.progress = true;
		return fail(err);
	}
	pass(c);
	room = c->out.room_sender - (c->out.sent - c->out.arrived);
	if (room == 0)
		return fail(EAGAIN);
	n = n < room ? n : room;
	if (n > 1 && raise_fault(F_SHORT))
		n = between(1, n > 1000 ? 1000 : (unsigned)n);
	check_message(c, m, n);
	c->out.sent += n;
	c->moved = c->last_progress = sim.now;
	sim.progress = true;
	trace("send fd %d: %llu", fd, (unsigned long long)n);
	pass(c);
	return result((int)n);
}

int __wrap_ioctl(int, unsigned long, ...);
int
__wrap_ioctl(int fd, unsigned long request, ...)
{
	struct conn *c = conn_of(fd, "ioctl");
	int err = begin_call(C_IOCTL, fd);
	va_list args;
	int *n;

	va_start(args, request);
	n = va_arg(args, int *);
	va_end(args);
	if (request != TIOCOUTQ)
		broken("ioctl that the world does not know");
	if (err != 0) {
		c->faulted = true;	/* it cannot know what is on its way */
		return fail(err);
	}
	pass(c);
	*n = (int)(c->out.sent - c->out.arrived);	/* dead or not */
	if (*n < c->unsent_told)
		sim.progress = true;	/* which it can only see here */
	c->unsent_told = *n;
	return result(0);
}

/* ---- descriptors and files ---------------------------------------------- */

int __wrap_fcntl(int, int, ...);
int
__wrap_fcntl(int fd, int cmd, ...)
{
	struct vfd *v = get(fd);
	int value, err = begin_call(C_FCNTL, fd);
	va_list args;

	va_start(args, cmd);
	value = va_arg(args, int);
	va_end(args);
	if (err != 0) {
		/* It lets go of it before it is a tunnel. */
		if (v->kind == FD_CONN && sim.conn[v->conn].is_client) {
			sim.client[sim.conn[v->conn].id].accepted = false;
			sim.accepted--;
		}
		return fail(err);
	}
	if (cmd == F_GETFL)
		return result(v->nonblock ? O_NONBLOCK : 0);
	if (cmd == F_SETFL && fd <= 2)
		broken("O_NONBLOCK on a descriptor that others share");
	if (cmd == F_SETFL)
		v->nonblock = (value & O_NONBLOCK) != 0;
	else if (cmd == F_SETFD)
		v->cloexec = (value & FD_CLOEXEC) != 0;
	else
		broken("fcntl that the world does not know");
	return result(0);
}

int __wrap_close(int);
int
__wrap_close(int fd)
{
	struct vfd *v = get(fd);
	struct conn *c;
	int err = begin_call(C_CLOSE, fd);

	trace("close fd %d", fd);
	if (v->kind == FD_CONN) {
		c = &sim.conn[v->conn];
		close_conn(c, v->linger0);
	}
	if (v->kind == FD_NAMES)
		names_close(v->conn);
	v->kind = FD_FREE;
	sim.progress = true;
	return err != 0 ? fail(err) : result(0);
}

void
set_up_files(const char *config, const char *hosts, const char *resolv)
{
	int i;

	files[0].text = config;
	files[0].size = strlen(config);
	files[1].text = hosts;
	files[1].size = strlen(hosts);
	files[2].text = resolv;
	files[2].size = strlen(resolv);
	for (i = 0; i < FIRST_FD; i++)
		fds[i].kind = FD_NULL;
}

static const struct file *
find_file(const char *path)
{
	size_t i;

	for (i = 0; i < sizeof files / sizeof files[0]; i++)
		if (strcmp(files[i].path, path) == 0)
			return &files[i];
	return NULL;
}

int __wrap_open(const char *, int, ...);
int
__wrap_open(const char *path, int flags, ...)
{
	const struct file *file = find_file(path);
	int fd, err = begin_call(C_OPEN, flags);
	enum fd_kind kind = FD_FILE;

	if (!(flags & O_CLOEXEC) && strcmp(path, "/dev/null") != 0)
		broken("%s leaks to other programs", path);
	if (err != 0)
		return fail(err);
	if (strcmp(path, "/proc/self/fd/2") == 0) {
		if (!(flags & O_NONBLOCK) || !(flags & O_APPEND))
			broken("the log may block or overwrite");
		kind = FD_LOG;
	} else if (strcmp(path, "/dev/null") == 0 ||
	    strcmp(path, "/dev/urandom") == 0)
		kind = FD_NULL;
	else if (file == NULL)
		return fail(ENOENT);
	fd = new_fd(kind);
	if (fd < 0)
		return fail(EMFILE);
	fds[fd].file = file;
	fds[fd].keeps = kind == FD_LOG || strcmp(path, "/dev/urandom") == 0;
	fds[fd].nonblock = (flags & O_NONBLOCK) != 0;
	return result(fd);
}

int __wrap_stat(const char *, struct stat *);
int
__wrap_stat(const char *path, struct stat *st)
{
	const struct file *file = find_file(path);
	int err = begin_call(C_STAT, 0);

	if (err != 0)
		return fail(err);
	if (file == NULL)
		return fail(ENOENT);
	memset(st, 0, sizeof *st);
	st->st_size = (off_t)file->size;
	st->st_mtim.tv_sec = sim.now >= sim.set.files_at;
	return result(0);
}

/* Only the log is asked what it is: a pipe. */
int __wrap_fstat(int, struct stat *);
int
__wrap_fstat(int fd, struct stat *st)
{
	int err = begin_call(C_STAT, fd);

	(void)get(fd);
	memset(st, 0, sizeof *st);
	st->st_mode = S_IFIFO;
	return err != 0 ? fail(err) : result(0);
}

ssize_t __wrap_read(int, void *, size_t);
ssize_t
__wrap_read(int fd, void *p, size_t n)
{
	struct vfd *v = get(fd);
	unsigned char *to = p;
	size_t i, left;
	int err = begin_call(C_READ, fd);

	if (err != 0)
		return fail(err);
	if (v->kind == FD_PIPE_READ) {
		if (!v->nonblock || !v->cloexec)
			broken("the pipe of the signals may block or leak");
		if (signal_len == 0)
			return fail(EAGAIN);
		n = (size_t)signal_len < n ? (size_t)signal_len : n;
		signal_len -= (int)n;
		sim.progress = true;
		return result((int)n);
	}
	if (v->kind == FD_NULL) {	/* urandom */
		for (i = 0; i < n; i++)
			to[i] = (unsigned char)rnd();
		return result((int)n);
	}
	if (v->kind != FD_FILE)
		broken("read of descriptor %d", fd);
	left = v->file->size - v->pos;
	n = n < left ? n : left;
	memcpy(p, v->file->text + v->pos, n);
	v->pos += n;
	return result((int)n);
}

ssize_t __wrap_write(int, const void *, size_t);
ssize_t
__wrap_write(int fd, const void *p, size_t n)
{
	struct vfd *v = get(fd);
	int err = begin_call(C_WRITE, fd);

	if (v->kind == FD_PIPE_WRITE) {
		if (!v->nonblock || !v->cloexec)
			broken("the pipe of the signals may block or leak");
		if (err != 0 || signal_len == SIGNALS_MAX)
			return fail(err != 0 ? err : EAGAIN);
		signal_len++;
		return result(1);
	}
	if (v->kind != FD_LOG && fd != 2)
		broken("write to descriptor %d", fd);
	if (err != 0) {
		/* If it told of lost ones, the next line is lost with it. */
		sim.lost_lines++;
		return fail(err);
	}
	check_line(p, n);
	return result((int)n);
}

int __wrap_pipe(int[2]);
int
__wrap_pipe(int fd[2])
{
	int err = begin_call(C_PIPE, 0);

	if (err != 0)
		return fail(err);
	fd[0] = new_fd(FD_PIPE_READ);
	fd[1] = new_fd(FD_PIPE_WRITE);
	fds[fd[0]].keeps = fds[fd[1]].keeps = true;
	return result(0);
}

int __wrap_getrlimit(int, struct rlimit *);
int
__wrap_getrlimit(int what, struct rlimit *r)
{
	int err = begin_call(C_GETRLIMIT, what);

	r->rlim_cur = r->rlim_max = FDS_MAX;
	return err != 0 ? fail(err) : result(0);
}

int __wrap_setrlimit(int, const struct rlimit *);
int
__wrap_setrlimit(int what, const struct rlimit *r)
{
	int err = begin_call(C_SETRLIMIT, what);

	(void)r;
	return err != 0 ? fail(err) : result(0);
}

int __wrap_clock_gettime(clockid_t, struct timespec *);
int
__wrap_clock_gettime(clockid_t id, struct timespec *t)
{
	(void)begin_call(C_CLOCK, (int)id);
	if (id != CLOCK_MONOTONIC)
		broken("a clock that can be set was asked");
	t->tv_sec = (time_t)(sim.now / 1000000);
	t->tv_nsec = (long)(sim.now % 1000000) * 1000;
	return result(0);
}

unsigned __wrap_if_nametoindex(const char *);
unsigned
__wrap_if_nametoindex(const char *name)
{
	broken("nobody has named an interface: %s", name);
	return 0;
}

/* ---- signals ------------------------------------------------------------ */

int __wrap_sigaction(int, const struct sigaction *, struct sigaction *);
int
__wrap_sigaction(int number, const struct sigaction *a, struct sigaction *old)
{
	(void)old;
	(void)begin_call(C_SIGACTION, number);
	handlers[number] = a->sa_handler;
	return result(0);
}

int __wrap_sigprocmask(int, const sigset_t *, sigset_t *);
int
__wrap_sigprocmask(int how, const sigset_t *set, sigset_t *old)
{
	(void)set;
	(void)old;
	(void)begin_call(C_SIGPROCMASK, how);
	return result(0);
}

static void
deliver(int number)
{
	trace("signal %d", number);
	if (handlers[number] == SIG_DFL || handlers[number] == SIG_IGN)
		broken("signal %d has no handler", number);
	handlers[number](number);
	sim.injected = true;
}

/* ---- poll --------------------------------------------------------------- */

static short
conn_events(struct conn *c)
{
	short r = 0;

	settle_connect(c);
	pass(c);
	if (c->connecting)
		return raise_fault(F_HUP) ? POLLOUT | POLLHUP : 0;
	if (c->in.arrived > c->in.taken || c->in.fin_arrived || c->dead)
		r |= POLLIN;
	if (c->dead || c->out.room_sender > c->out.sent - c->out.arrived)
		r |= POLLOUT;
	if (c->dead || (c->in.fin_arrived && c->out.fin_sent))
		r |= POLLHUP;
	if (c->error != 0)
		r |= POLLERR;
	return r;
}

/* What is not true.  It takes time, or there would be nothing else. */
static short
spurious_events(void)
{
	short r = 0;

	if (raise_fault(F_SPURIOUS))
		r |= below(2) == 0 ? POLLIN : POLLOUT;
	if (raise_fault(F_HUP))
		r |= below(3) == 0 ? POLLERR : POLLHUP;
	if (r != 0)
		sim.now += SPURIOUS_COST_US;
	return r;
}

static short
ready_events(struct pollfd *p)
{
	struct vfd *v = get(p->fd);
	short r = 0;

	switch (v->kind) {
	case FD_CONN:
		r = conn_events(&sim.conn[v->conn]);
		break;
	case FD_NAMES:
		r = names_readable(v->conn) ? POLLIN : 0;
		if (names_connected(v->conn) != EAGAIN)
			r |= POLLOUT;
		break;
	case FD_LISTENER:
		r = has_backlog(v) ? POLLIN : 0;
		break;
	case FD_PIPE_READ:
		r = signal_len > 0 ? POLLIN : 0;
		break;
	case FD_LOG:
	case FD_NULL:
		r = POLLOUT;
		break;
	default:
		broken("poll for descriptor %d, which says nothing", p->fd);
	}
	if (v->kind == FD_CONN || v->kind == FD_NAMES)
		r |= spurious_events();
	return r & (p->events | POLLERR | POLLHUP);
}

static int
set_revents(struct pollfd *p, nfds_t n)
{
	nfds_t i;
	int r = 0;

	for (i = 0; i < n; i++) {
		if (p[i].events == 0)
			broken("fd %d is in the set without a wish", p[i].fd);
		p[i].revents = ready_events(&p[i]);
		r += p[i].revents != 0;
	}
	return r;
}

/* The world's own course: signals, and the end of all. */
static bool
run_signals(void)
{
	if ((sim.terms == 0 && (actors_done() || sim.now >= sim.set.term_at)) ||
	    (sim.terms == 1 && sim.now >= sim.set.second_term_at)) {
		if (sim.terms++ == 0)
			sim.term_at = sim.now;
		else
			sim.second_term_at = sim.now;
		deliver(SIGTERM);
		return true;
	}
	if (raise_fault(F_SIGNAL)) {
		deliver(below(2) == 0 ? SIGUSR1 : SIGHUP);
		return true;
	}
	return false;
}

static int64_t
next_event(const struct pollfd *p, nfds_t n, int64_t end)
{
	int64_t next = actors_next();
	const struct conn *c;
	nfds_t i;

	for (i = 0; i < n; i++) {
		if (fds[p[i].fd].kind == FD_NAMES &&
		    names_next(fds[p[i].fd].conn) < next)
			next = names_next(fds[p[i].fd].conn);
		if (fds[p[i].fd].kind != FD_CONN)
			continue;
		c = &sim.conn[fds[p[i].fd].conn];
		if (c->connecting && c->connect_at < next)
			next = c->connect_at;
		if (c->clogged_until > sim.now && c->clogged_until < next)
			next = c->clogged_until;
	}
	if (next > end)
		next = end;
	return next > sim.now ? next : sim.now + 1;
}

/* No more than 40 turns in a row without progress or a fault, unless they are
 * rare in time. */
static void
check_spin(void)
{
	if (sim.progress || sim.injected) {
		sim.idle_polls = 0;
		sim.idle_since = sim.now;
	} else if (++sim.idle_polls >= 40 &&
	    sim.now - sim.idle_since < 1000 * 1000)
		broken("busy turns: 40 polls without progress");
	sim.progress = sim.injected = false;
}

static void
trace_poll(const struct pollfd *p, nfds_t n, int ms)
{
	nfds_t i;

	if (!sim.verbose)
		return;
	trace("poll %u, %d ms", (unsigned)n, ms);
	for (i = 0; i < n; i++)
		if (p[i].revents != 0)
			trace("     fd %d: asked %x, is %x", p[i].fd,
			    (unsigned)p[i].events, (unsigned)p[i].revents);
}

int __wrap_poll(struct pollfd *, nfds_t, int);
int
__wrap_poll(struct pollfd *p, nfds_t n, int ms)
{
	int64_t end = sim.now + (int64_t)ms * 1000;
	int r, err;

	if (ms < 0)
		broken("poll without an end");
	if (n == 0) {		/* a pause */
		sim.now = end;
		return 0;
	}
	if (n == 1 && p->fd == 2 && ms == 0)	/* may the log be written? */
		return set_revents(p, n);
	sim.running = true;
	sim.polls++;
	err = begin_call(C_POLL, (int)n);
	check_spin();
	check_turn();
	if (err != 0) {
		sim.now += 1000;
		sim.injected = true;
		actors_run();
		(void)run_signals();
		return fail(err);
	}
	for (;;) {
		actors_run();
		if (run_signals()) {
			sim.term_told = sim.terms > 0;
			return fail(EINTR);
		}
		r = set_revents(p, n);
		if (r > 0 || sim.now >= end) {
			trace_poll(p, n, ms);
			check_turn();
			sim.term_told = sim.terms > 0;
			return result(r);
		}
		sim.now = next_event(p, n, end);
	}
}

void
check_descriptors(void)
{
	int fd;

	for (fd = FIRST_FD; fd < FDS_MAX && sim.running; fd++)
		if (fds[fd].kind != FD_FREE && !fds[fd].keeps)
			broken("descriptor %d (kind %d) is open at the end",
			    fd, (int)fds[fd].kind);
}

/* ---- memory, exit ------------------------------------------------------- */

void *__real_calloc(size_t, size_t);
void *__wrap_calloc(size_t, size_t);
void *
__wrap_calloc(size_t n, size_t size)
{
	if (sim.running)
		broken("memory was taken after the start");
	return __real_calloc(n, size);
}

void __wrap_exit(int) __attribute__((noreturn));
void __real_exit(int) __attribute__((noreturn));
void
__wrap_exit(int status)
{
	if (sim.running)
		broken("exit from within the loop");
	check_end(status);
	__real_exit(0);
}
