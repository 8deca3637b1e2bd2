/* SPDX-License-Identifier: ISC */
/*
 * poll.c - poll, and the passing of time: nothing happens elsewhere.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>

#include "world.h"

#define SPURIOUS_COST_US 200

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
		r = signal_is_waiting() ? POLLIN : 0;
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
