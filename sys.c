/* SPDX-License-Identifier: ISC */
/*
 * sys.c - everything the operating system does, and nothing else.
 *
 * IMPLEMENTATION NOTES
 *
 * The one file with system calls and with #if.  Plain POSIX.1-2008 wherever
 * that does: accept and fcntl instead of accept4 (one thread, no exec: there is
 * no race to lose), a pipe of our own for signals instead of ppoll, sendmsg
 * with MSG_NOSIGNAL and SIGPIPE ignored as well.
 *
 * errno is looked at in one order: try again, the peer's fault, out of
 * resources.  close is never repeated: the descriptor is gone even if it says
 * EINTR, and may be somebody else's by then.
 */
#if defined(__linux__)
#define _POSIX_C_SOURCE 200809L
#define _DEFAULT_SOURCE 1	/* TIOCOUTQ */
#define _FILE_OFFSET_BITS 64	/* large inodes on 32-bit systems */
#elif defined(__sun)
#define _XOPEN_SOURCE 700
#define __EXTENSIONS__ 1
#endif				/* the BSDs show everything by default */

#include <sys/types.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "connectd.h"

#ifndef MSG_NOSIGNAL
#define MSG_NOSIGNAL 0		/* SIGPIPE is ignored anyway */
#endif

/* Bytes in the send queue of a socket. */
#if defined(__linux__)
#define UNSENT TIOCOUTQ
#elif defined(FIONWRITE)
#define UNSENT FIONWRITE
#endif

#if defined(__APPLE__)
#define MODIFIED(st) ((st).st_mtimespec)
#else
#define MODIFIED(st) ((st).st_mtim)
#endif

#define POLL_MS_MAX	60000
#define POLL_PAUSE_MS	10	/* after a poll that failed for memory */

static struct {
	int		random;		/* -1 until it is needed */
	int		log;		/* our own description, or 2 */
	bool		log_may_block;	/* it is 2: ask poll before a write */
	enum log_level	log_level;
	uint64_t	log_lost, log_lost_told;
	int		signal_read, signal_write;
	volatile sig_atomic_t pending[4];	/* by place in `caught` */
} sys = { -1, 2, true, LEVEL_INFO, 0, 0, -1, -1, { 0 } };

/* ---- clock, randomness, limits ------------------------------------------- */

int64_t
sys_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* It stays open: later there may be no descriptor, or no /dev. */
int
sys_random(void *p, size_t n)
{
	ssize_t got;

	if (sys.random == -1)
		sys.random = open("/dev/urandom", O_RDONLY | O_CLOEXEC);
	if (sys.random == -1)
		return -errno;
	/* So few bytes are read whole, and no signal interrupts that. */
	got = read(sys.random, p, n);
	if (got == -1)
		return -errno;
	return (size_t)got == n ? 0 : -EIO;
}

unsigned long
sys_descriptors(unsigned long need)
{
	struct rlimit limit, raised;

	if (getrlimit(RLIMIT_NOFILE, &limit) == -1 || limit.rlim_cur >= need)
		return 0;
	raised = limit;
	raised.rlim_cur = need;
	if (limit.rlim_max >= need && setrlimit(RLIMIT_NOFILE, &raised) == 0)
		return 0;
	return (unsigned long)(limit.rlim_max >= need ? limit.rlim_cur :
	    limit.rlim_max);
}

/* ---- addresses ----------------------------------------------------------- */

union sockaddr_any {
	struct sockaddr		sa;
	struct sockaddr_in	in;
	struct sockaddr_in6	in6;
	struct sockaddr_storage	storage;
};

static socklen_t
to_sockaddr(const struct addr *a, union sockaddr_any *s)
{
	memset(s, 0, sizeof *s);
	if (a->family == 4) {
		s->in.sin_family = AF_INET;
		s->in.sin_port = htons(a->port);
		memcpy(&s->in.sin_addr, a->ip, 4);
		return sizeof s->in;
	}
	s->in6.sin6_family = AF_INET6;
	s->in6.sin6_port = htons(a->port);
	memcpy(&s->in6.sin6_addr, a->ip, 16);
	return sizeof s->in6;
}

static void
from_sockaddr(const union sockaddr_any *s, struct addr *a)
{
	memset(a, 0, sizeof *a);
	if (s->sa.sa_family == AF_INET) {
		a->family = 4;
		a->port = ntohs(s->in.sin_port);
		memcpy(a->ip, &s->in.sin_addr, 4);
	} else if (s->sa.sa_family == AF_INET6) {
		a->family = 6;
		a->port = ntohs(s->in6.sin6_port);
		memcpy(a->ip, &s->in6.sin6_addr, 16);
		addr_canonical(a);
	}
}

static int
pf(const struct addr *a)
{
	return a->family == 4 ? PF_INET : PF_INET6;
}

/* ---- sockets ------------------------------------------------------------- */

static int
set_flags(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags == -1 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) == -1 ||
	    fcntl(fd, F_SETFD, FD_CLOEXEC) == -1)
		return -errno;
	return 0;
}

static void
set_on(int fd, int level, int option)
{
	int on = 1;

	/* Best effort: a peer that is gone makes some systems refuse it. */
	(void)setsockopt(fd, level, option, &on, sizeof on);
}

/* How every connection is: no Nagle, keepalive, urgent bytes in their place. */
static void
set_up(int fd)
{
	set_on(fd, IPPROTO_TCP, TCP_NODELAY);
	set_on(fd, SOL_SOCKET, SO_KEEPALIVE);
	set_on(fd, SOL_SOCKET, SO_OOBINLINE);
}

static int
new_socket(const struct addr *a, int type)
{
	int rc, fd = socket(pf(a), type, 0);

	if (fd == -1)
		return -errno;
	if ((rc = set_flags(fd)) < 0) {
		sys_close(&fd);
		return rc;
	}
	return fd;
}

static int
bind_and_listen(int fd, const struct addr *at, struct addr *bound)
{
	union sockaddr_any s;
	socklen_t len = to_sockaddr(at, &s);

	set_on(fd, SOL_SOCKET, SO_REUSEADDR);
	if (at->family == 6)
		set_on(fd, IPPROTO_IPV6, IPV6_V6ONLY);
	if (bind(fd, &s.sa, len) == -1 || listen(fd, SOMAXCONN) == -1)
		return -errno;
	len = sizeof s;
	if (getsockname(fd, &s.sa, &len) == -1)
		return -errno;
	from_sockaddr(&s, bound);
	return 0;
}

int
sys_listen(const struct addr *at, struct addr *bound)
{
	int rc, fd = new_socket(at, SOCK_STREAM);

	if (fd < 0)
		return fd;
	if ((rc = bind_and_listen(fd, at, bound)) < 0) {
		sys_close(&fd);
		return rc;
	}
	return fd;
}

static bool
is_shortage(int error)
{
	return error == EMFILE || error == ENFILE || error == ENOBUFS ||
	    error == ENOMEM;
}

int
sys_accept(int listener, struct addr *client)
{
	union sockaddr_any s;
	socklen_t len = sizeof s;
	int fd;

	memset(&s, 0, sizeof s);
	fd = accept(listener, &s.sa, &len);
	if (fd == -1)
		return is_shortage(errno) ? -EMFILE : -EAGAIN;
	from_sockaddr(&s, client);
	/* Without an address it was reset while it waited (macOS). */
	if (client->family == 0 || set_flags(fd) < 0) {
		sys_close(&fd);
		return -EAGAIN;
	}
	set_up(fd);
	return fd;
}

static int
begin_connection(int type, const struct addr *to, const char *zone)
{
	union sockaddr_any s;
	socklen_t len = to_sockaddr(to, &s);
	int error, fd = new_socket(to, type);

	if (fd < 0)
		return fd;
	if (zone[0] != '\0')
		s.in6.sin6_scope_id = if_nametoindex(zone);
	if (type == SOCK_STREAM)
		set_up(fd);
	/* Interrupted, connect goes on by itself (POSIX). */
	if (connect(fd, &s.sa, len) == 0 || errno == EINPROGRESS ||
	    errno == EINTR)
		return fd;
	error = errno;
	sys_close(&fd);
	return -error;
}

int
sys_connect(const struct addr *to)
{
	return begin_connection(SOCK_STREAM, to, "");
}

int
sys_connect_server(const struct server *s, bool tcp)
{
	return begin_connection(tcp ? SOCK_STREAM : SOCK_DGRAM, &s->addr,
	    s->zone);
}

int
sys_connected(int fd)
{
	union sockaddr_any here, there;
	struct addr us, them;
	socklen_t len = sizeof(int);
	int error = 0;

	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) == -1)
		return -errno;
	if (error != 0)
		return -error;
	len = sizeof there;
	if (getpeername(fd, &there.sa, &len) == -1)
		return errno == ENOTCONN ? 0 : -errno;
	len = sizeof here;
	if (getsockname(fd, &here.sa, &len) == -1)
		return -errno;
	from_sockaddr(&here, &us);
	from_sockaddr(&there, &them);
	if (us.port == them.port && addr_same_host(&us, &them))
		return -ELOOP;		/* simultaneous open with itself */
	return 1;
}

static void
to_message(const struct part *part, int parts, struct iovec iov[2],
    struct msghdr *m)
{
	int i;

	memset(m, 0, sizeof *m);
	for (i = 0; i < parts; i++) {
		iov[i].iov_base = part[i].p;
		iov[i].iov_len = part[i].n;
	}
	m->msg_iov = iov;
	m->msg_iovlen = (unsigned)parts;
}

static int
moved(ssize_t n)
{
	if (n >= 0)
		return (int)n;
	if (errno == EINTR || errno == EAGAIN || errno == EWOULDBLOCK)
		return -EAGAIN;
	/* The kernel is short of memory; the connection is not at fault. */
	if (errno == ENOBUFS || errno == ENOMEM)
		return -EAGAIN;
	return -errno;
}

int
sys_recv(int fd, const struct part *part, int parts)
{
	struct iovec iov[2];
	struct msghdr m;

	to_message(part, parts, iov, &m);
	return moved(recvmsg(fd, &m, 0));
}

int
sys_send(int fd, const struct part *part, int parts)
{
	struct iovec iov[2];
	struct msghdr m;

	to_message(part, parts, iov, &m);
	return moved(sendmsg(fd, &m, MSG_NOSIGNAL));
}

void
sys_shutdown(int fd)
{
	(void)shutdown(fd, SHUT_WR);
}

void
sys_close(int *fd)
{
	if (*fd != -1)
		(void)close(*fd);
	*fd = -1;
}

void
sys_reset(int *fd)
{
	struct linger now = { 1, 0 };

	if (*fd != -1)
		(void)setsockopt(*fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
	sys_close(fd);
}

int
sys_unsent(int fd)
{
#if defined(UNSENT)
	union sockaddr_any there;
	socklen_t len = sizeof there;
	int n = 0;

	/* What a connection that is gone had not sent is counted for ever. */
	if (getpeername(fd, &there.sa, &len) == -1)
		return -errno;
	return ioctl(fd, UNSENT, &n) == -1 ? -errno : n;
#elif defined(SO_NWRITE)
	int n = 0;
	socklen_t len = sizeof n;

	return getsockopt(fd, SOL_SOCKET, SO_NWRITE, &n, &len) == -1 ?
	    -errno : n;
#else
	(void)fd;
	return -ENOSYS;
#endif
}

bool
sys_is_local(const struct addr *a)
{
	struct addr any_port = *a;
	union sockaddr_any s;
	socklen_t len;
	bool local;
	int fd = new_socket(a, SOCK_DGRAM);

	if (fd < 0)
		return true;
	any_port.port = 0;
	len = to_sockaddr(&any_port, &s);
	local = bind(fd, &s.sa, len) == 0 || errno != EADDRNOTAVAIL;
	sys_close(&fd);
	return local;
}

/* ---- waiting ------------------------------------------------------------- */

int
sys_want(struct waits *w, int fd, short events, uint32_t owner)
{
	if (events == 0 || w->n == w->max)
		return -1;
	w->pfd[w->n].fd = fd;
	w->pfd[w->n].events = events;
	w->pfd[w->n].revents = 0;
	w->owner[w->n] = owner;
	return (int)w->n++;
}

void
sys_due(struct waits *w, int64_t when)
{
	if (when < w->deadline)
		w->deadline = when;
}

short
sys_got(const struct waits *w, int i)
{
	return i < 0 ? 0 : w->pfd[i].revents;
}

static int
wait_ms(int64_t deadline, int64_t now)
{
	if (deadline <= now)
		return 0;
	if (deadline - now > POLL_MS_MAX)
		return POLL_MS_MAX;
	return (int)(deadline - now);
}

void
sys_poll(struct waits *w, int64_t now)
{
	unsigned i;

	if (poll(w->pfd, w->n, wait_ms(w->deadline, now)) >= 0)
		return;
	if (errno != EINTR)
		(void)poll(NULL, 0, POLL_PAUSE_MS);
	for (i = 0; i < w->n; i++)
		w->pfd[i].revents = 0;
}

/* ---- signals ------------------------------------------------------------- */

static const int caught[] = { SIGHUP, SIGINT, SIGTERM, SIGUSR1 };

#define CAUGHT (sizeof caught / sizeof caught[0])

/* The flag is the message.  The pipe only wakes poll, so it may be full. */
static void
on_signal(int number)
{
	int saved = errno;
	size_t i;

	for (i = 0; i < CAUGHT; i++)
		if (caught[i] == number)
			sys.pending[i] = 1;
	(void)!write(sys.signal_write, "", 1);
	errno = saved;
}

static int
catch(int number, void (*handler)(int))
{
	struct sigaction action;

	memset(&action, 0, sizeof action);
	action.sa_handler = handler;
	sigemptyset(&action.sa_mask);
	return sigaction(number, &action, NULL) == -1 ? -errno : 0;
}

int
sys_signals(void)
{
	sigset_t none;
	int fd[2], rc;
	size_t i;

	if (pipe(fd) == -1)
		return -errno;
	if ((rc = set_flags(fd[0])) < 0 || (rc = set_flags(fd[1])) < 0)
		return rc;
	sys.signal_read = fd[0];
	sys.signal_write = fd[1];
	for (i = 0; i < CAUGHT; i++)
		if ((rc = catch(caught[i], on_signal)) < 0)
			return rc;
	/* What we inherited of the rest is not to be trusted. */
	sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	(void)catch(SIGCHLD, SIG_DFL);
#if defined(SIGXFSZ)
	(void)catch(SIGXFSZ, SIG_IGN);	/* a full log loses lines */
#endif
	return catch(SIGPIPE, SIG_IGN) < 0 ? -errno : fd[0];
}

int
sys_signal(bool woken)
{
	char bytes[64];
	size_t i;

	if (woken)
		(void)!read(sys.signal_read, bytes, sizeof bytes);
	for (i = 0; i < CAUGHT; i++)
		if (sys.pending[i]) {
			sys.pending[i] = 0;
			return caught[i];
		}
	return 0;
}

/* ---- files --------------------------------------------------------------- */

long
sys_read_file(const char *path, char *buf, size_t max)
{
	size_t n = 0;
	ssize_t got = 1;
	char more;
	int error, fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);

	if (fd == -1)
		return -errno;
	while (n < max && (got = read(fd, buf + n, max - n)) > 0)
		n += (size_t)got;
	/* Full: only a read that finds nothing tells that this was all. */
	if (got > 0)
		got = read(fd, &more, 1);
	error = errno;
	sys_close(&fd);
	if (got < 0)
		return -error;
	return got > 0 ? -EFBIG : (long)n;
}

long
sys_file_size(const char *path)
{
	struct stat st;

	if (stat(path, &st) == -1)
		return -errno;
	if (st.st_size < 0 || st.st_size > LONG_MAX)
		return -EFBIG;
	return (long)st.st_size;
}

int
sys_file_stamp(const char *path, struct stamp *s)
{
	struct stat st;

	memset(s, 0, sizeof *s);
	if (stat(path, &st) == -1)
		return -errno;
	s->seconds = (int64_t)MODIFIED(st).tv_sec;
	s->nanoseconds = (int64_t)MODIFIED(st).tv_nsec;
	s->device = (uint64_t)st.st_dev;
	s->inode = (uint64_t)st.st_ino;
	s->size = (uint64_t)st.st_size;
	return 0;
}

int
sys_stdio(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDWR);
	while (fd >= 0 && fd <= 2);
	if (fd == -1)
		return -errno;
	sys_close(&fd);
	return 0;
}

/* ---- log ----------------------------------------------------------------- */

/*
 * O_NONBLOCK on descriptor 2 itself would be set for our parent and siblings
 * too, since they share its description.  /proc gives a new one.  A regular
 * file does not block, and its writers have to share the offset.
 */
void
sys_log_open(enum log_level level)
{
	struct stat st;
	int fd;

	sys.log_level = level;
	if (fstat(2, &st) == 0 && S_ISREG(st.st_mode)) {
		sys.log_may_block = false;
		return;
	}
	fd = open("/proc/self/fd/2", O_WRONLY | O_APPEND | O_NONBLOCK |
	    O_CLOEXEC | O_NOCTTY);
	if (fd == -1)
		return;
	sys.log = fd;
	sys.log_may_block = false;
}

static bool
write_line(const char *line, size_t n)
{
	struct pollfd p = { sys.log, POLLOUT, 0 };

	if (sys.log_may_block && poll(&p, 1, 0) != 1)
		return false;
	return write(sys.log, line, n) == (ssize_t)n;
}

/* Tell how many lines were lost before the next one that is not. */
static bool
report_lost(void)
{
	char line[64];
	int n;

	if (sys.log_lost == sys.log_lost_told)
		return true;
	n = snprintf(line, sizeof line, "log: %llu lines lost\n",
	    (unsigned long long)(sys.log_lost - sys.log_lost_told));
	if (!write_line(line, (size_t)n))
		return false;
	sys.log_lost_told = sys.log_lost;
	return true;
}

void
sys_log(enum log_level level, const char *format, ...)
{
	char line[LOG_LINE_MAX + 1];
	va_list args;
	size_t n;

	if (level > sys.log_level)
		return;
	va_start(args, format);
	n = (size_t)vsnprintf(line, LOG_LINE_MAX, format, args);
	va_end(args);
	if (n > LOG_LINE_MAX - 1) {
		n = LOG_LINE_MAX - 1;
		memcpy(line + n - 3, "...", 3);
	}
	line[n++] = '\n';
	if (!report_lost() || !write_line(line, n))
		sys.log_lost++;
}

uint64_t
sys_log_lost(void)
{
	return sys.log_lost;
}
