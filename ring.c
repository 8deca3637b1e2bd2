/* SPDX-License-Identifier: ISC */
/*
 * ring.c - bytes in order over memory that is lent.
 *
 * IMPLEMENTATION NOTES
 *
 * (offset, length) instead of two free-running indexes: no counter ever wraps,
 * and every function can be checked on its own from the invariant
 *
 *	size a power of two, off < size, len <= size, base == NULL => len == 0.
 *
 * An empty ring starts again at offset 0, so that short exchanges touch the
 * same page of memory for ever and a request head is always contiguous.
 */
#include <assert.h>

#include "connectd.h"

static void
check(const struct ring *r)
{
	assert(r->off < r->size && r->len <= r->size);
	assert(r->base != NULL || r->len == 0);
}

void
ring_init(struct ring *r, size_t size)
{
	assert(size > 0 && (size & (size - 1)) == 0);
	r->base = NULL;
	r->size = size;
	r->off = 0;
	r->len = 0;
}

void
ring_lend(struct ring *r, unsigned char *base)
{
	check(r);
	assert(r->base == NULL && base != NULL);
	r->base = base;
}

unsigned char *
ring_reclaim(struct ring *r)
{
	unsigned char *base = r->base;

	ring_init(r, r->size);
	return base;
}

size_t
ring_used(const struct ring *r)
{
	return r->len;
}

size_t
ring_space(const struct ring *r)
{
	return r->size - r->len;
}

/* Up to n bytes from position `from`, cut where the memory ends. */
static int
stretches(const struct ring *r, size_t from, size_t n, struct part part[2])
{
	size_t first = r->size - from;

	if (n == 0)
		return 0;
	part[0].p = r->base + from;
	if (n <= first) {
		part[0].n = n;
		return 1;
	}
	part[0].n = first;
	part[1].p = r->base;
	part[1].n = n - first;
	return 2;
}

int
ring_in(const struct ring *r, struct part part[2])
{
	check(r);
	assert(r->base != NULL);
	return stretches(r, (r->off + r->len) & (r->size - 1),
	    ring_space(r), part);
}

void
ring_in_ack(struct ring *r, size_t n)
{
	check(r);
	assert(r->base != NULL && n <= ring_space(r));
	r->len += n;
}

int
ring_out(const struct ring *r, struct part part[2])
{
	check(r);
	return stretches(r, r->off, r->len, part);
}

void
ring_out_ack(struct ring *r, size_t n)
{
	check(r);
	assert(n <= r->len);
	r->len -= n;
	r->off = r->len == 0 ? 0 : (r->off + n) & (r->size - 1);
}
