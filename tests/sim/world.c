/* SPDX-License-Identifier: ISC */
/*
 * world.c - the operating system of the simulated world: how every call begins
 * and ends, its faults, descriptors, the clock, signals, memory.
 */
#define _DEFAULT_SOURCE 1
#define _FILE_OFFSET_BITS 64	/* as sys.c */

#include <sys/resource.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "world.h"

#define FOREVER_COST_US	5000	/* a planned fault that lasts: time flies */

struct vfd fds[FDS_MAX];
static void (*handlers[65])(int);

const char *const call_names[CALLS] = {
	"accept", "bind", "clock_gettime", "close", "connect", "fcntl",
	"getpeername", "getrlimit", "getsockname", "getsockopt", "ioctl",
	"listen", "open", "pipe", "poll", "read", "recvmsg", "sendmsg",
	"setrlimit", "setsockopt", "shutdown", "sigaction", "sigprocmask",
	"socket", "stat", "write"
};

/* ---- faults, calls ------------------------------------------------------ */

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
int
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

int
result(int value)
{
	mix((uint64_t)(uint32_t)value);
	return value;
}

int
fail(int err)
{
	errno = err;
	return result(-1);
}

/* ---- descriptors -------------------------------------------------------- */

struct vfd *
get(int fd)
{
	if (fd < 0 || fd >= FDS_MAX || fds[fd].kind == FD_FREE)
		broken("descriptor %d is used but not open", fd);
	return &fds[fd];
}

int
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

struct conn *
conn_of(int fd, const char *what)
{
	struct vfd *v = get(fd);

	if (v->kind != FD_CONN)
		broken("%s on descriptor %d, which is no connection", what, fd);
	return &sim.conn[v->conn];
}

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
check_descriptors(void)
{
	int fd;

	for (fd = FIRST_FD; fd < FDS_MAX && sim.running; fd++)
		if (fds[fd].kind != FD_FREE && !fds[fd].keeps)
			broken("descriptor %d (kind %d) is open at the end",
			    fd, (int)fds[fd].kind);
}

/* ---- limits, clock, names of interfaces ---------------------------------- */

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

void
deliver(int number)
{
	trace("signal %d", number);
	if (handlers[number] == SIG_DFL || handlers[number] == SIG_IGN)
		broken("signal %d has no handler", number);
	handlers[number](number);
	sim.injected = true;
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
