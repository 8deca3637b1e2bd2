/* SPDX-License-Identifier: ISC */
/*
 * oracle.c - which addresses may be dialled.
 *
 * It is written apart from addr.c and policy.c on purpose: ranges of numbers here,
 * prefixes there.
 */
#include <string.h>

#include "sim.h"

static uint32_t
number4(const unsigned char *ip)
{
	return (uint32_t)ip[0] << 24 | (uint32_t)ip[1] << 16 |
	    (uint32_t)ip[2] << 8 | ip[3];
}

enum kind { PUBLIC, PRIVATE, LOOPBACK, SPECIAL };

static enum kind
kind4(uint32_t n)
{
	static const struct {
		uint32_t	first, last;
		enum kind	kind;
	} ranges[] = {
		{ 0x00000000, 0x00ffffff, SPECIAL },
		{ 0x0a000000, 0x0affffff, PRIVATE },
		{ 0x64400000, 0x647fffff, PRIVATE },
		{ 0x7f000000, 0x7fffffff, LOOPBACK },
		{ 0xa9fe0000, 0xa9feffff, SPECIAL },
		{ 0xac100000, 0xac1fffff, PRIVATE },
		{ 0xc0000000, 0xc0000008, SPECIAL },
		{ 0xc000000b, 0xc00000ff, SPECIAL },
		{ 0xc0000200, 0xc00002ff, SPECIAL },
		{ 0xc0586300, 0xc05863ff, SPECIAL },
		{ 0xc0a80000, 0xc0a8ffff, PRIVATE },
		{ 0xc6120000, 0xc613ffff, SPECIAL },
		{ 0xc6336400, 0xc63364ff, SPECIAL },
		{ 0xcb007100, 0xcb0071ff, SPECIAL },
		{ 0xe0000000, 0xffffffff, SPECIAL },
	};
	size_t i;

	for (i = 0; i < sizeof ranges / sizeof ranges[0]; i++)
		if (n >= ranges[i].first && n <= ranges[i].last)
			return ranges[i].kind;
	return PUBLIC;
}

static bool
all_zero(const unsigned char *p, size_t n)
{
	while (n > 0 && p[n - 1] == 0)
		n--;
	return n == 0;
}

static enum kind
kind6(const unsigned char *ip)
{
	unsigned g0 = ip[0] * 256u + ip[1], g1 = ip[2] * 256u + ip[3];

	if (all_zero(ip, 15) && ip[15] == 1)
		return LOOPBACK;
	if (g0 == 0x64 && g1 == 0xff9b && all_zero(ip + 4, 8))
		return kind4(number4(ip + 12));
	if (all_zero(ip, 10) && ip[10] == 0xff && ip[11] == 0xff)
		return kind4(number4(ip + 12));
	if (g0 >= 0xfc00 && g0 <= 0xfdff)
		return PRIVATE;
	if (g0 < 0x2000 || g0 > 0x3fff)
		return SPECIAL;
	if (g0 == 0x2001 && (g1 < 0x0200 || g1 == 0x0db8))
		return SPECIAL;
	return g0 == 0x2002 || (g0 == 0x3fff && g1 < 0x1000) ? SPECIAL : PUBLIC;
}

static enum kind
kind_of(const struct sim_addr *a)
{
	return a->family == 4 ? kind4(number4(a->ip)) : kind6(a->ip);
}

bool
oracle_public(const struct sim_addr *a)
{
	return kind_of(a) == PUBLIC;
}

bool
oracle_loopback(const struct sim_addr *a)
{
	return kind_of(a) == LOOPBACK;
}

bool
oracle_special(const struct sim_addr *a)
{
	return kind_of(a) == SPECIAL || kind_of(a) == LOOPBACK;
}

/* Is it in 93.184.216.0/27, or carries such an address? */
static bool
in_denied_net(const struct sim_addr *a)
{
	const unsigned char *ip = a->family == 4 ? a->ip : a->ip + 12;
	uint32_t n = number4(ip);

	if (a->family == 6 && !(a->ip[1] == 0x64 && a->ip[2] == 0xff))
		return false;
	return n >= 0x5db8d800 && n <= 0x5db8d81f;
}

/* The templates of write_config, each by hand. */
bool
oracle_allows(const struct client *k, const struct sim_addr *a)
{
	switch (sim.set.rules) {
	case 0:
		return oracle_public(a);
	case 1:
		return !k->denied_name && !in_denied_net(a) &&
		    !oracle_special(a);
	case 2:
		/* NAT64 of loopback is not public, and not ::1 or 127/8. */
		return oracle_public(a) || kind_of(a) == LOOPBACK;
	default:
		return k->from.ip[0] == 198 && oracle_public(a);
	}
}
