/* SPDX-License-Identifier: ISC */
/*
 * dial.c - one connected socket out of several addresses (RFC 8305).
 *
 * IMPLEMENTATION NOTES
 *
 * The list is put in order whenever addresses come: the family that came first,
 * then in turns, behind those that were tried already.  An attempt begins when
 * the last one failed or has had 250 ms; two run at a time.  If both are silent
 * and addresses wait, the older one has to go after it sent three SYNs (at 0, 1
 * and 3 s), so that a row of dead addresses cannot use up the whole time.
 *
 * A second socket is a luxury: all races together have RACES_MAX of them, out
 * of the descriptors that are spare beside two a tunnel.  Without one an
 * attempt runs alone, as if both were taken.
 *
 * Only sys_connected decides: HUP and ERR are seen on good connections too.
 */
#include <assert.h>
#include <errno.h>
#include <string.h>

#include "connectd.h"

#define ATTEMPT_DELAY_MS	250	/* RFC 8305 5 */
#define ATTEMPT_PATIENCE_MS	4000

static unsigned races;		/* with two attempts under way */

static int
under_way(const struct dial *d)
{
	int i, n = 0;

	for (i = 0; i < RACE_MAX; i++)
		n += d->attempt[i].fd != -1;
	return n;
}

/* The only two places where an attempt gets or loses its descriptor. */
static void
attach(struct dial *d, struct attempt *a, int fd)
{
	a->fd = fd;
	a->wait = -1;
	races += under_way(d) == 2;
}

static int
detach(struct dial *d, struct attempt *a)
{
	int fd = a->fd;

	races -= under_way(d) == 2;
	a->fd = a->wait = -1;
	return fd;
}

void
dial_start(struct dial *d, int64_t now)
{
	int i;

	memset(d, 0, sizeof *d);
	for (i = 0; i < RACE_MAX; i++)
		d->attempt[i].fd = d->attempt[i].wait = -1;
	d->not_before = now;
}

/* Take the first of list[0..*n) that is of this family, or any. */
static struct addr
take_first(struct addr *list, int *n, uint8_t family)
{
	struct addr a;
	int i = 0;

	while (i < *n && list[i].family != family)
		i++;
	if (i == *n)
		i = 0;
	a = list[i];
	memmove(list + i, list + i + 1, (size_t)(--*n - i) * sizeof *list);
	return a;
}

/* The next one should be of the family that the last one was not of. */
static uint8_t
other_family(const struct dial *d, const struct addr *first)
{
	if (d->count == 0)
		return first->family;
	return d->list[d->count - 1].family == 4 ? 6 : 4;
}

void
dial_add(struct dial *d, const struct addr *addrs, int count)
{
	struct addr wait[2 * ADDRESSES_MAX];
	int n = d->count - d->next;

	assert(count <= ADDRESSES_MAX);
	/* Those that were not tried yet are put in order anew. */
	memcpy(wait, d->list + d->next, (size_t)n * sizeof *wait);
	memcpy(wait + n, addrs, (size_t)count * sizeof *wait);
	n += count;
	d->count = d->next;
	while (n > 0 && d->count < ADDRESSES_MAX) {
		d->list[d->count] = take_first(wait, &n,
		    other_family(d, &wait[0]));
		d->count++;
	}
}

static bool
more(const struct dial *d)
{
	return d->next < d->count;
}

static struct attempt *
free_attempt(struct dial *d)
{
	int i;

	for (i = 0; i < RACE_MAX; i++)
		if (d->attempt[i].fd == -1)
			return &d->attempt[i];
	return NULL;
}

static struct attempt *
oldest_attempt(struct dial *d)
{
	struct attempt *a, *oldest = NULL;

	for (a = d->attempt; a < d->attempt + RACE_MAX; a++)
		if (a->fd != -1 && (oldest == NULL || a->since < oldest->since))
			oldest = a;
	return oldest;
}

static bool
has_place(const struct dial *d)
{
	int n = under_way(d);

	return n == 0 || (n < RACE_MAX && races < RACES_MAX);
}

/* When the next attempt may begin; only asked while there is one. */
static int64_t
next_begin(struct dial *d)
{
	int64_t patient;

	if (has_place(d))
		return d->not_before;
	patient = oldest_attempt(d)->since + ATTEMPT_PATIENCE_MS;
	return patient < d->not_before ? d->not_before : patient;
}

void
dial_interest(struct dial *d, struct waits *w, uint32_t owner)
{
	int i;

	for (i = 0; i < RACE_MAX; i++)
		if (d->attempt[i].fd != -1)
			d->attempt[i].wait = sys_want(w, d->attempt[i].fd,
			    POLLOUT, owner);
	if (more(d))
		sys_due(w, next_begin(d));
}

static enum dial_failure
failure_of(int error)
{
	switch (error) {
	case EMFILE:
	case ENFILE:
	case ENOBUFS:
	case ENOMEM:
	case EADDRNOTAVAIL:
	case EADDRINUSE:
	case EAGAIN:
		return DIAL_NO_DESCRIPTOR;
	case ECONNREFUSED:
	case ECONNRESET:
	case EPIPE:
		return DIAL_REFUSED;
	case ETIMEDOUT:
		return DIAL_TIMEOUT;
	case EACCES:
	case EPERM:
		return DIAL_PROHIBITED;
	case ELOOP:
		return DIAL_SELF;
	default:
		return DIAL_UNREACHABLE;
	}
}

/* An attempt has failed; the next one need not wait any more. */
static void
note_failure(struct dial *d, int error, int64_t now)
{
	enum dial_failure failure = failure_of(error);

	if (failure > d->failure)
		d->failure = (uint8_t)failure;
	d->not_before = now;
}

static void
give_up(struct dial *d, struct attempt *a, int error, int64_t now)
{
	int fd = detach(d, a);

	sys_close(&fd);
	note_failure(d, error, now);
}

/* Begin attempts until one is under way that has to be waited for. */
static void
begin(struct dial *d, int64_t now)
{
	struct attempt *a;
	int fd;

	while (more(d) && now >= next_begin(d)) {
		if (!has_place(d))
			give_up(d, oldest_attempt(d), ETIMEDOUT, now);
		fd = sys_connect(&d->list[d->next++]);
		if (fd < 0) {
			note_failure(d, -fd, now);
			continue;
		}
		a = free_attempt(d);
		attach(d, a, fd);
		a->since = now;
		a->to = d->next - 1u;
		d->not_before = now + ATTEMPT_DELAY_MS;
	}
}

/* Ask the attempts that poll spoke of.  The one that is connected, or NULL. */
static struct attempt *
winner(struct dial *d, const struct waits *w, int64_t now)
{
	struct attempt *a;
	int i, rc;

	for (i = 0; i < RACE_MAX; i++) {
		a = &d->attempt[i];
		if (a->fd == -1 || sys_got(w, a->wait) == 0)
			continue;
		rc = sys_connected(a->fd);
		if (rc == 1)
			return a;
		if (rc < 0)
			give_up(d, a, -rc, now);
	}
	return NULL;
}

int
dial_step(struct dial *d, const struct waits *w, int64_t now, struct addr *to)
{
	struct attempt *a = winner(d, w, now);
	int fd;

	if (a != NULL) {
		*to = d->list[a->to];
		fd = detach(d, a);
		dial_cancel(d);
		return fd;
	}
	begin(d, now);
	return dial_is_over(d) ? -ECONNREFUSED : -EAGAIN;
}

bool
dial_is_over(const struct dial *d)
{
	return under_way(d) == 0 && !more(d);
}

void
dial_cancel(struct dial *d)
{
	int i, fd;

	for (i = 0; i < RACE_MAX; i++) {
		fd = detach(d, &d->attempt[i]);
		sys_close(&fd);
	}
	d->next = d->count;
}
