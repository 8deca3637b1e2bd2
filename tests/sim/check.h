/* SPDX-License-Identifier: ISC */
/*
 * check.h - between the files that check: check.c and lines.c.
 */
#ifndef CHECK_H
#define CHECK_H

#include "sim.h"

#define MS 1000
#define SLACK (150 * MS)

/* The daemon's time is that of its turn's beginning: it may end a thing that
 * much too early by the world's clock. */
#define EARLY (2 * MS + 500 * (int64_t)sim.set.call_us)

int64_t later(int64_t a, int64_t b);
bool is_quiet_world(void);		/* nothing goes wrong by chance */
bool is_sure_of_names(const struct client *k);
struct conn *origin_of(const struct client *k);
bool is_complete(const struct client *k, const struct conn *from, bool up);
unsigned count_open(void);		/* tunnels */

#endif
