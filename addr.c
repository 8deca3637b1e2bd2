/* SPDX-License-Identifier: ISC */
/*
 * addr.c - addresses: text, classes, and what is inside them.
 *
 * IMPLEMENTATION NOTES
 *
 * Text is read in one form only, the one that everybody reads alike: what some
 * take for an octal, hex or short number is no address here (RFC 6943 3.1.1).
 * Classes come from one table of prefixes, searched from the top.
 */
#include <assert.h>
#include <string.h>

#include "connectd.h"

/* Prefix tables are searched from the top; the first one that fits counts. */
struct prefix_class {
	struct addr	net;
	unsigned	classes;
};

#define NET4(bits, ...) { 4, bits, 0, { __VA_ARGS__ } }
#define NET6(bits, ...) { 6, bits, 0, { __VA_ARGS__ } }

/* IANA special-purpose address registries (RFC 6890, 8190), and multicast. */
static const struct prefix_class prefix_classes[] = {
	{ NET4(8, 127), CLASS_LOOPBACK },
	{ NET4(16, 169, 254), CLASS_LINKLOCAL },
	{ NET4(8, 10), CLASS_PRIVATE },
	{ NET4(12, 172, 16), CLASS_PRIVATE },
	{ NET4(16, 192, 168), CLASS_PRIVATE },
	{ NET4(10, 100, 64), CLASS_PRIVATE },
	{ NET4(8, 0), CLASS_RESERVED },
	{ NET4(32, 192, 0, 0, 9), 0 },		/* PCP anycast, RFC 7723 */
	{ NET4(32, 192, 0, 0, 10), 0 },		/* TURN anycast, RFC 8155 */
	{ NET4(24, 192, 0, 0), CLASS_RESERVED },
	{ NET4(24, 192, 0, 2), CLASS_RESERVED },
	{ NET4(24, 192, 88, 99), CLASS_RESERVED },
	{ NET4(15, 198, 18), CLASS_RESERVED },
	{ NET4(24, 198, 51, 100), CLASS_RESERVED },
	{ NET4(24, 203, 0, 113), CLASS_RESERVED },
	{ NET4(3, 224), CLASS_RESERVED },	/* multicast, class E */
	{ NET4(0, 0), 0 },
	{ NET6(128, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1),
	    CLASS_LOOPBACK },
	{ NET6(10, 0xfe, 0x80), CLASS_LINKLOCAL },
	{ NET6(7, 0xfc), CLASS_PRIVATE },
	{ NET6(96, 0, 0x64, 0xff, 0x9b), 0 },	/* NAT64, RFC 6052 */
	{ NET6(23, 0x20, 0x01, 0), CLASS_RESERVED },	/* holds Teredo */
	{ NET6(32, 0x20, 0x01, 0x0d, 0xb8), CLASS_RESERVED },
	{ NET6(16, 0x20, 0x02), CLASS_RESERVED },	/* 6to4 */
	{ NET6(20, 0x3f, 0xff, 0), CLASS_RESERVED },
	{ NET6(3, 0x20), 0 },
	{ NET6(0, 0), CLASS_RESERVED },		/* not global unicast at all */
};

/* Where an IPv6 address carries an IPv4 address. */
static const struct embedding {
	struct addr	net;
	uint8_t		at;
	uint8_t		xor;
	bool		neutral;
} embeddings[] = {
	{ NET6(96, 0, 0x64, 0xff, 0x9b), 12, 0, true },
	{ NET6(96, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff), 12, 0, false },
	{ NET6(96, 0), 12, 0, false },			/* IPv4-compatible */
	{ NET6(16, 0x20, 0x02), 2, 0, false },
	{ NET6(32, 0x20, 0x01), 4, 0, false },		/* Teredo: server */
	{ NET6(32, 0x20, 0x01), 12, 0xff, false },	/* and client */
};

#define COUNT(a) (sizeof (a) / sizeof (a)[0])

#define NAT64_GAP 8	/* bits 64 to 71 are zero in all prefixes but /96 */

static struct addr nat64;	/* a prefix of the network's own; family 0 */

/* ---- text ---------------------------------------------------------------- */

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* Four decimal numbers, all of p[0..n), without leading zeros. */
static bool
parse_ipv4(const char *p, size_t n, uint8_t ip[4])
{
	unsigned value = 0, digits = 0, group = 0;
	size_t i;

	for (i = 0; i < n; i++) {
		if (is_digit(p[i])) {
			if (digits > 0 && value == 0)
				return false;
			value = value * 10 + (unsigned)(p[i] - '0');
			if (value > 255)
				return false;
			digits++;
		} else if (p[i] == '.' && digits > 0 && group < 3) {
			ip[group++] = (uint8_t)value;
			value = digits = 0;
		} else
			return false;
	}
	if (digits == 0 || group != 3)
		return false;
	ip[3] = (uint8_t)value;
	return true;
}

static int
hex_value(char c)
{
	if (is_digit(c))
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/* One to four hex digits at p[0..n); how many were taken, 0 for none. */
static size_t
parse_group(const char *p, size_t n, uint8_t out[2])
{
	unsigned value = 0;
	size_t i;

	for (i = 0; i < n && i < 4 && hex_value(p[i]) >= 0; i++)
		value = value * 16 + (unsigned)hex_value(p[i]);
	out[0] = (uint8_t)(value / 256);
	out[1] = (uint8_t)(value % 256);
	return i;
}

/*
 * Groups with one ':' between them, all of p[0..n), the last one possibly a
 * dotted quad; at most max bytes to out.  Returns how many, -1 if malformed.
 */
static int
parse_groups(const char *p, size_t n, uint8_t *out, int max)
{
	size_t i = 0, digits;
	int len = 0;

	while (i < n) {
		if (len + 4 <= max && parse_ipv4(p + i, n - i, out + len))
			return len + 4;
		if (len + 2 > max)
			return -1;
		digits = parse_group(p + i, n - i, out + len);
		if (digits == 0)
			return -1;
		len += 2;
		i += digits;
		if (i == n)
			return len;
		if (p[i++] != ':')
			return -1;
	}
	return n == 0 ? 0 : -1;
}

static bool
parse_ipv6(const char *p, size_t n, uint8_t ip[16])
{
	uint8_t head[16], tail[16];
	int heads, tails;
	size_t gap;

	for (gap = 0; gap + 1 < n; gap++)
		if (p[gap] == ':' && p[gap + 1] == ':')
			break;
	if (gap + 1 >= n) {
		heads = parse_groups(p, n, head, 16);
		memcpy(ip, head, 16);
		return heads == 16;
	}
	/* A quad may only stand at the very end, so not in front of "::". */
	if (memchr(p, '.', gap) != NULL)
		return false;
	heads = parse_groups(p, gap, head, 14);
	if (heads < 0)
		return false;
	tails = parse_groups(p + gap + 2, n - gap - 2, tail, 14 - heads);
	if (tails < 0)
		return false;
	memset(ip, 0, 16);
	memcpy(ip, head, (size_t)heads);
	memcpy(ip + 16 - tails, tail, (size_t)tails);
	return true;
}

bool
addr_parse(const char *p, size_t n, struct addr *a)
{
	struct addr r;

	memset(&r, 0, sizeof r);
	if (parse_ipv4(p, n, r.ip))
		r.family = 4;
	else {
		memset(r.ip, 0, sizeof r.ip);
		if (n < 2 || !parse_ipv6(p, n, r.ip))
			return false;
		r.family = 6;
	}
	*a = r;
	return true;
}

/* Are all bits of a behind its prefix zero? */
static bool
is_prefix(const struct addr *a)
{
	unsigned i;

	for (i = a->bits; i < 128; i++)
		if (a->ip[i / 8] & (0x80u >> (i % 8)))
			return false;
	return true;
}

bool
addr_parse_cidr(const char *p, size_t n, struct addr *a)
{
	struct addr r;
	unsigned bits = 0;
	size_t slash, i;

	for (slash = 0; slash < n && p[slash] != '/'; slash++)
		;
	if (slash == n || n - slash < 2 || n - slash > 4)
		return false;
	for (i = slash + 1; i < n; i++) {
		if (!is_digit(p[i]) || (i > slash + 1 && bits == 0))
			return false;
		bits = bits * 10 + (unsigned)(p[i] - '0');
	}
	if (!addr_parse(p, slash, &r) ||
	    bits > (r.family == 4 ? 32u : 128u))
		return false;
	r.bits = (uint8_t)bits;
	if (!is_prefix(&r))
		return false;
	*a = r;
	return true;
}

static char *
put_number(char *out, unsigned value, unsigned base)
{
	char digits[10];
	int n = 0;

	do {
		digits[n++] = "0123456789abcdef"[value % base];
		value /= base;
	} while (value > 0);
	while (n > 0)
		*out++ = digits[--n];
	return out;
}

static char *
put_ipv4(char *out, const uint8_t *ip)
{
	int i;

	for (i = 0; i < 4; i++) {
		if (i > 0)
			*out++ = '.';
		out = put_number(out, ip[i], 10);
	}
	return out;
}

static unsigned
group_at(const struct addr *a, int i)
{
	return a->ip[2 * i] * 256u + a->ip[2 * i + 1];
}

/* The longest run of two or more zero groups, the first if equal. */
static int
longest_zeros(const struct addr *a, int *length)
{
	int i, run = 0, best = -1;

	*length = 1;
	for (i = 0; i < 8; i++) {
		run = group_at(a, i) == 0 ? run + 1 : 0;
		if (run > *length) {
			*length = run;
			best = i - run + 1;
		}
	}
	return best;
}

static const struct addr mapped = NET6(96, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff,
    0xff);

bool
addr_inside(const struct addr *net, const struct addr *a)
{
	unsigned whole = net->bits / 8, rest = net->bits % 8;

	if (net->family != a->family || memcmp(net->ip, a->ip, whole) != 0)
		return false;
	return rest == 0 ||
	    (net->ip[whole] ^ a->ip[whole]) >> (8 - rest) == 0;
}

static char *
put_ipv6(char *out, const struct addr *a)
{
	int i, zeros, length;

	if (addr_inside(&mapped, a)) {
		memcpy(out, "::ffff:", 7);
		return put_ipv4(out + 7, a->ip + 12);
	}
	zeros = longest_zeros(a, &length);
	for (i = 0; i < 8; i++) {
		if (i == zeros) {
			*out++ = ':';
			if (i == 0)
				*out++ = ':';
			i += length - 1;
			continue;
		}
		out = put_number(out, group_at(a, i), 16);
		if (i < 7)
			*out++ = ':';
	}
	return out;
}

char *
addr_format(const struct addr *a, bool port, char *out)
{
	char *p = out;

	if (a->family == 4)
		p = put_ipv4(p, a->ip);
	else {
		assert(a->family == 6);
		if (port)
			*p++ = '[';
		p = put_ipv6(p, a);
		if (port)
			*p++ = ']';
	}
	if (port) {
		*p++ = ':';
		p = put_number(p, a->port, 10);
	}
	*p = '\0';
	return out;
}

/* ---- classes ------------------------------------------------------------- */

void
addr_canonical(struct addr *a)
{
	if (a->family != 6 || !addr_inside(&mapped, a))
		return;
	a->family = 4;
	memmove(a->ip, a->ip + 12, 4);
	memset(a->ip + 4, 0, 12);
}

bool
addr_same_host(const struct addr *a, const struct addr *b)
{
	return a->family == b->family &&
	    memcmp(a->ip, b->ip, sizeof a->ip) == 0;
}

static unsigned
class_of(const struct addr *a)
{
	size_t i;

	for (i = 0; i < COUNT(prefix_classes); i++)
		if (addr_inside(&prefix_classes[i].net, a))
			return prefix_classes[i].classes;
	return CLASS_RESERVED;		/* no family: nothing to trust */
}

static void
inner_face(const struct embedding *e, const struct addr *a, struct face *f)
{
	int i;

	memset(f, 0, sizeof *f);
	f->addr.family = 4;
	for (i = 0; i < 4; i++)
		f->addr.ip[i] = a->ip[e->at + i] ^ e->xor;
	f->classes = class_of(&f->addr);
}

void
addr_set_nat64(const struct addr *prefix)
{
	nat64 = *prefix;
}

/* RFC 6052 2.2: behind the prefix, around the byte in the middle. */
static void
nat64_face(const struct addr *a, struct face *f)
{
	unsigned i, at = nat64.bits / 8;

	memset(f, 0, sizeof *f);
	f->addr.family = 4;
	for (i = 0; i < 4; i++, at++) {
		if (at == NAT64_GAP && nat64.bits < 96)
			at++;
		f->addr.ip[i] = a->ip[at];
	}
	f->classes = class_of(&f->addr);
}

int
addr_faces(const struct addr *address, struct face face[FACES_MAX])
{
	const struct embedding *e;
	int n = 1;

	memset(&face[0], 0, sizeof face[0]);
	face[0].addr = *address;
	addr_canonical(&face[0].addr);
	face[0].classes = class_of(&face[0].addr);
	if (face[0].classes & CLASS_LOOPBACK)
		return n;	/* ::1 is not 0.0.0.1 */
	for (e = embeddings; e < embeddings + COUNT(embeddings); e++) {
		if (!addr_inside(&e->net, &face[0].addr))
			continue;
		face[0].neutral = e->neutral;
		inner_face(e, &face[0].addr, &face[n++]);
	}
	if (nat64.family == 6 && addr_inside(&nat64, &face[0].addr)) {
		face[0].neutral = true;
		face[0].classes = 0;
		nat64_face(&face[0].addr, &face[n++]);
	}
	return n;
}

unsigned
addr_class(const struct addr *a)
{
	struct face face[FACES_MAX];
	unsigned classes = 0;
	int i, n = addr_faces(a, face);

	for (i = 0; i < n; i++)
		classes |= face[i].classes;
	return classes;
}
