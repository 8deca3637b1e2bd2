/* SPDX-License-Identifier: ISC */
/*
 * Unit tests of ring.c.  Every state of a ring of 8 bytes is tried with every
 * amount in and out; larger rings are driven by a fixed pseudo-random sequence
 * of operations and compared with a queue that moves its bytes.  Nothing here
 * knows how a ring works beyond the definition of its content in connectd.h.
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "../connectd.h"

#define SMALL	8u
#define LARGEST	512u
#define GUARD	16u
#define UNUSED	0xEE

/* The content that a ring must have. */
struct queue {
	unsigned char	byte[LARGEST];
	size_t		len;
};

static uint32_t seed;

static uint32_t
random_below(uint32_t n)
{
	seed ^= seed << 13;
	seed ^= seed >> 17;
	seed ^= seed << 5;
	return seed % n;
}

static void
queue_put(struct queue *q, unsigned char c)
{
	q->byte[q->len++] = c;
}

static void
queue_drop(struct queue *q, size_t n)
{
	q->len -= n;
	memmove(q->byte, q->byte + n, q->len);
}

/* ring_out must show exactly what is in the queue. */
static const char *
out_differs(const struct ring *r, const struct queue *q)
{
	struct part part[2];
	size_t i, k, seen = 0;
	int n = ring_out(r, part);

	if (n < 0 || n > 2)
		return "ring_out: number of parts";
	for (k = 0; k < (size_t)n; k++) {
		if (part[k].n == 0)
			return "ring_out: an empty part";
		for (i = 0; i < part[k].n; i++, seen++) {
			if (seen == q->len)
				return "ring_out: more than is held";
			if (part[k].p + i != r->base +
			    ((r->off + seen) & (r->size - 1)))
				return "ring_out: not where the content is";
			if (part[k].p[i] != q->byte[seen])
				return "ring_out: another byte";
		}
	}
	return seen == q->len ? NULL : "ring_out: less than is held";
}

/* ring_in must show all that is free, once, and nothing that is held. */
static const char *
in_differs(const struct ring *r, const struct queue *q)
{
	static unsigned char taken[LARGEST];
	struct part part[2];
	size_t i, k, at, seen = 0;
	int n = ring_in(r, part);

	if (n < 0 || n > 2)
		return "ring_in: number of parts";
	memset(taken, 0, sizeof taken);
	for (i = 0; i < q->len; i++)
		taken[(r->off + i) & (r->size - 1)] = 1;
	for (k = 0; k < (size_t)n; k++) {
		if (part[k].n == 0)
			return "ring_in: an empty part";
		if (part[k].p < r->base || part[k].n > r->size ||
		    part[k].p > r->base + (r->size - part[k].n))
			return "ring_in: outside the memory";
		for (i = 0; i < part[k].n; i++, seen++) {
			at = (size_t)(part[k].p - r->base) + i;
			if (taken[at]++)
				return "ring_in: a byte that is not free";
		}
	}
	return seen == r->size - q->len ? NULL : "ring_in: not all free bytes";
}

/* What is wrong with the ring, which has memory, or NULL. */
static const char *
differs(const struct ring *r, const struct queue *q, size_t size,
    const unsigned char *base)
{
	const char *why;

	if (r->size != size || r->base != base)
		return "size or memory changed";
	if (r->off >= size || r->len > size)
		return "invariant broken";
	if (ring_used(r) != q->len || ring_space(r) != size - q->len)
		return "used or space";
	if ((why = out_differs(r, q)) != NULL)
		return why;
	return in_differs(r, q);
}

/* Put n bytes into the parts in the order given, first byte `first`. */
static void
fill(struct ring *r, struct queue *q, size_t n, unsigned char first)
{
	struct part part[2];
	size_t i, k, done = 0;
	size_t parts = (size_t)ring_in(r, part);

	for (k = 0; k < parts; k++)
		for (i = 0; i < part[k].n && done < n; i++, done++) {
			part[k].p[i] = (unsigned char)(first + done);
			queue_put(q, (unsigned char)(first + done));
		}
	ring_in_ack(r, n);
}

/* A ring in the state (off, len), with its bytes in the queue. */
static void
set_state(struct ring *r, struct queue *q, unsigned char *base, size_t off,
    size_t len)
{
	size_t i;

	ring_init(r, SMALL);
	ring_lend(r, base);
	r->off = off;
	r->len = len;
	memset(base, UNUSED, SMALL);
	q->len = 0;
	for (i = 0; i < len; i++) {
		base[(off + i) % SMALL] = (unsigned char)(0x10 + i);
		queue_put(q, (unsigned char)(0x10 + i));
	}
}

START_TEST(a_new_ring_is_empty_and_has_no_memory)
{
	struct ring r;
	size_t size = (size_t)1 << _i;

	memset(&r, UNUSED, sizeof r);
	ring_init(&r, size);
	ck_assert_uint_eq(ring_used(&r), 0);
	ck_assert_uint_eq(ring_space(&r), size);
	ck_assert_ptr_null(r.base);
	ck_assert_ptr_null(ring_reclaim(&r));
	ck_assert_uint_eq(ring_space(&r), size);
}
END_TEST

/* The request head must be in one piece. */
START_TEST(the_memory_of_a_fresh_ring_is_one_part)
{
	struct ring r;
	struct part part[2];
	unsigned char base[SMALL];

	ring_init(&r, SMALL);
	ring_lend(&r, base);
	ck_assert_int_eq(ring_in(&r, part), 1);
	ck_assert_ptr_eq(part[0].p, base);
	ck_assert_uint_eq(part[0].n, SMALL);
	ck_assert_int_eq(ring_out(&r, part), 0);

	memset(base, 'x', 5);
	ring_in_ack(&r, 5);
	ck_assert_int_eq(ring_in(&r, part), 1);
	ck_assert_ptr_eq(part[0].p, base + 5);
	ck_assert_int_eq(ring_out(&r, part), 1);
	ck_assert_ptr_eq(part[0].p, base);
	ck_assert_uint_eq(part[0].n, 5);
}
END_TEST

START_TEST(memory_can_be_reclaimed_whatever_it_holds)
{
	struct ring r;
	struct queue q;
	unsigned char base[SMALL], other[SMALL];
	size_t off = (size_t)_i / (SMALL + 1), len = (size_t)_i % (SMALL + 1);

	set_state(&r, &q, base, off, len);
	ck_assert_ptr_eq(ring_reclaim(&r), base);
	ck_assert_ptr_null(r.base);
	ck_assert_uint_eq(ring_used(&r), 0);
	ck_assert_uint_eq(ring_space(&r), SMALL);
	ck_assert_ptr_null(ring_reclaim(&r));

	memset(base, UNUSED, sizeof base);
	q.len = 0;
	ring_lend(&r, other);
	ck_assert_ptr_null(differs(&r, &q, SMALL, other));
	fill(&r, &q, SMALL, 0x40);
	ck_assert_ptr_null(differs(&r, &q, SMALL, other));
	ck_assert_ptr_eq(ring_reclaim(&r), other);
}
END_TEST

START_TEST(nothing_in_and_nothing_out_changes_nothing)
{
	struct ring r;
	struct queue q;
	unsigned char base[SMALL];

	set_state(&r, &q, base, (size_t)_i / (SMALL + 1),
	    (size_t)_i % (SMALL + 1));
	ring_in_ack(&r, 0);
	ck_assert_ptr_null(differs(&r, &q, SMALL, base));
	ring_out_ack(&r, 0);
	ck_assert_ptr_null(differs(&r, &q, SMALL, base));
}
END_TEST

/* For the state _i: any amount in, then any amount out, then full. */
START_TEST(every_step_of_a_small_ring_keeps_order)
{
	struct ring r;
	struct queue q;
	unsigned char memory[GUARD + SMALL + GUARD], *base = memory + GUARD;
	size_t off = (size_t)_i / (SMALL + 1), len = (size_t)_i % (SMALL + 1);
	size_t in, out, i;
	const char *why;

	memset(memory, UNUSED, sizeof memory);
	for (in = 0; in <= SMALL - len; in++)
		for (out = 0; out <= len + in; out++) {
			set_state(&r, &q, base, off, len);
			why = differs(&r, &q, SMALL, base);
			if (why == NULL) {
				fill(&r, &q, in, 0x20);
				why = differs(&r, &q, SMALL, base);
			}
			if (why == NULL) {
				ring_out_ack(&r, out);
				queue_drop(&q, out);
				why = differs(&r, &q, SMALL, base);
			}
			if (why == NULL) {
				fill(&r, &q, SMALL - q.len, 0x40);
				why = differs(&r, &q, SMALL, base);
			}
			if (why != NULL)
				ck_abort_msg("off %zu len %zu in %zu out %zu: "
				    "%s", off, len, in, out, why);
		}
	for (i = 0; i < GUARD; i++)
		ck_assert_msg(memory[i] == UNUSED &&
		    base[SMALL + i] == UNUSED, "wrote beside the memory");
}
END_TEST

/* One step of the walk; *base is the memory that the ring has, or NULL. */
static void
step(struct ring *r, struct queue *q, unsigned char *const memory[2],
    unsigned char **base)
{
	size_t n;

	switch (*base == NULL ? 6 : random_below(6)) {
	case 0: case 1: case 2:
		n = random_below((uint32_t)(r->size - q->len) + 1);
		fill(r, q, n, (unsigned char)random_below(256));
		break;
	case 3: case 4:
		n = random_below((uint32_t)q->len + 1);
		ring_out_ack(r, n);
		queue_drop(q, n);
		break;
	case 5:
		if (random_below(20) != 0)
			break;
		if (ring_reclaim(r) != *base)
			ck_abort_msg("other memory came back");
		memset(*base, UNUSED, r->size);
		*base = NULL;
		q->len = 0;
		break;
	case 6:
		*base = memory[random_below(2)];
		ring_lend(r, *base);
		break;
	}
}

START_TEST(a_long_random_walk_agrees_with_a_queue)
{
	struct ring r;
	struct queue q;
	size_t size = (size_t)1 << _i;
	unsigned char *memory[2], *base = NULL;
	const char *why;
	int i;

	seed = 0x9E3779B9u + (uint32_t)_i;
	q.len = 0;
	memory[0] = malloc(size);
	memory[1] = malloc(size);
	ck_assert(memory[0] != NULL && memory[1] != NULL);
	ring_init(&r, size);
	for (i = 0; i < 20000; i++) {
		step(&r, &q, memory, &base);
		if (base != NULL)
			why = differs(&r, &q, size, base);
		else
			why = ring_used(&r) != 0 || ring_space(&r) != size ?
			    "not empty without memory" : NULL;
		if (why != NULL)
			ck_abort_msg("size %zu step %d: %s", size, i, why);
	}
	free(memory[0]);
	free(memory[1]);
}
END_TEST

static Suite *
ring_suite(void)
{
	Suite *s = suite_create("ring");
	TCase *tc = tcase_create("memory");
	const int states = SMALL * (SMALL + 1);

	tcase_add_loop_test(tc, a_new_ring_is_empty_and_has_no_memory, 0, 21);
	tcase_add_test(tc, the_memory_of_a_fresh_ring_is_one_part);
	tcase_add_loop_test(tc, memory_can_be_reclaimed_whatever_it_holds, 0,
	    states);
	suite_add_tcase(s, tc);

	tc = tcase_create("order");
	tcase_set_timeout(tc, 120);
	tcase_add_loop_test(tc, nothing_in_and_nothing_out_changes_nothing, 0,
	    states);
	tcase_add_loop_test(tc, every_step_of_a_small_ring_keeps_order, 0,
	    states);
	tcase_add_loop_test(tc, a_long_random_walk_agrees_with_a_queue, 0, 10);
	suite_add_tcase(s, tc);
	return s;
}

int
main(void)
{
	SRunner *sr = srunner_create(ring_suite());
	int failed;

	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
