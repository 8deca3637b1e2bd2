/* SPDX-License-Identifier: ISC */
/*
 * net.c - the calls about sockets.
 */
#define _DEFAULT_SOURCE 1

#include <sys/ioctl.h>
#include <sys/uio.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

#include <errno.h>
#include <stdarg.h>
#include <string.h>

#include "world.h"

#define ACCEPTS_A_TURN	16
#define BACKLOG_MAX	CLIENTS_MAX

static const struct sim_addr server_end = { 4, { 127, 9 }, 53 };
static struct {
	int		client[BACKLOG_MAX];
	int		head, len;
} backlog[2];			/* of IPv4, of IPv6 */

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

bool
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
