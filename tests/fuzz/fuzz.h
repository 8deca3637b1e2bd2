/* SPDX-License-Identifier: ISC */
/*
 * fuzz.h - what the fuzz targets share.
 *
 * A target is one function, which libFuzzer calls with input of its own making
 * (run.sh) and replay.c with the files of tests/fuzz/corpus (replay.sh).
 */
#ifndef FUZZ_H
#define FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Say which property is broken, and stop. */
static inline void
must(bool holds, const char *property)
{
	if (holds)
		return;
	(void)fprintf(stderr, "broken property: %s\n", property);
	abort();
}

/* n bytes, exactly: a sanitizer sees the first byte used beside them. */
static inline void *
room_for(size_t n)
{
	void *p = malloc(n);

	if (p == NULL && n > 0) {
		(void)fprintf(stderr, "out of memory\n");
		exit(1);
	}
	return p;
}

static inline char *
copy_of(const void *p, size_t n)
{
	return n > 0 ? memcpy(room_for(n), p, n) : calloc(1, 1);
}

#endif
