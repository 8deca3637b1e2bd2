/* SPDX-License-Identifier: ISC */
/*
 * fuzz_address.c - the text of addresses and prefixes, and their classes.
 *
 * The first byte chooses: the rest is text, or the bytes of an address.
 * inet_pton says what text means, inet_ntop how most addresses are written
 * (the rest follows RFC 5952 here), judge.h what they are.
 */
#include "fuzz.h"
#include "judge.h"
#include "recognise.h"

static bool
same(const struct addr *a, const struct addr *b)
{
	return memcmp(a, b, sizeof *a) == 0;
}

/* ---- what an address is ---------------------------------------------------- */

/* ::a.b.c.d is written in hex; inet_ntop does not do so. */
static void
write_addr(const struct addr *a, char *out)
{
	unsigned high = a->ip[12] * 256u + a->ip[13];
	unsigned last = a->ip[14] * 256u + a->ip[15];

	if (!judge_in("::", 96, a))
		(void)inet_ntop(a->family == 6 ? AF_INET6 : AF_INET, a->ip,
		    out, INET6_ADDRSTRLEN);
	else if (high > 0)
		(void)snprintf(out, INET6_ADDRSTRLEN, "::%x:%x", high, last);
	else if (last > 0)
		(void)snprintf(out, INET6_ADDRSTRLEN, "::%x", last);
	else
		(void)strcpy(out, "::");
}

static void
check_text(const struct addr *a)
{
	char wanted[INET6_ADDRSTRLEN], with_port[ADDR_TEXT_MAX];
	char *out = room_for(ADDR_TEXT_MAX), *text;
	struct addr again;

	write_addr(a, wanted);
	must(addr_format(a, false, out) == out, "it returns out");
	must(strcmp(out, wanted) == 0, "an address is written canonically");
	text = copy_of(out, strlen(out));
	must(addr_parse(text, strlen(out), &again) &&
	    again.family == a->family && memcmp(again.ip, a->ip, 16) == 0,
	    "what was printed is read as the same");
	free(text);
	(void)snprintf(with_port, sizeof with_port, a->family == 6 ?
	    "[%s]:%u" : "%s:%u", wanted, a->port);
	must(strcmp(addr_format(a, true, out), with_port) == 0,
	    "a port stands behind it");
	free(out);
}

/* The IPv4 address in another form. */
static struct addr
carried(const char *prefix, const struct addr *four)
{
	struct addr a = judge_addr(prefix);

	memcpy(a.ip + 12, four->ip, 4);
	a.port = four->port;
	return a;
}

static void
check_forms(const struct addr *four)
{
	struct addr mapped = carried("::ffff:0:0", four), canonical = mapped;
	struct addr nat64 = carried("64:ff9b::", four);
	struct addr compatible = carried("::", four);
	unsigned classes = addr_class(four);

	must(addr_class(&mapped) == classes, "mapped is of the same class");
	must(addr_class(&nat64) == classes,
	    "behind NAT64 it is of the same class");
	must((addr_class(&compatible) & classes) == classes ||
	    addr_class(&compatible) == CLASS_LOOPBACK,
	    "what carries it is what it is");
	must(addr_class(&compatible) != 0, "compatible is not public");
	addr_canonical(&canonical);
	must(same(&canonical, four), "mapped becomes what it is");
}

static void
check_address(const struct addr *a)
{
	struct addr canonical = *a, wanted = *a, twice;

	check_text(a);
	must(addr_class(a) == judge_class(a), "it is what judge.h says");
	addr_canonical(&canonical);
	recognise_canonical(&wanted);
	must(same(&canonical, &wanted), "only mapped addresses change");
	twice = canonical;
	addr_canonical(&twice);
	must(same(&canonical, &twice), "canonical is canonical");
	must(addr_class(&canonical) == addr_class(a),
	    "canonical is of the same class");
	must(addr_same_host(a, &canonical) == (a->family ==
	    canonical.family), "same host is the same bytes");
	if (canonical.family == 4)
		check_forms(&canonical);
}

/* ---- what text means ------------------------------------------------------- */

/* "/0" to "/128", as it would be printed. */
static bool
read_bits(const char *p, size_t n, unsigned most, uint8_t *bits)
{
	char text[8];
	unsigned i;

	for (i = 0; i <= most; i++) {
		(void)snprintf(text, sizeof text, "/%u", i);
		if (strlen(text) == n && memcmp(text, p, n) == 0) {
			*bits = (uint8_t)i;
			return true;
		}
	}
	return false;
}

static bool
read_cidr(const char *p, size_t n, struct addr *a)
{
	struct reading front = { p, 0 };
	unsigned i;

	while (front.n < n && p[front.n] != '/')
		front.n++;
	if (front.n == n || !recognise_addr(front, a) || !read_bits(p + front.n,
	    n - front.n, a->family == 4 ? 32 : 128, &a->bits))
		return false;
	for (i = a->bits; i < 128; i++)
		if (judge_bit(a, i))
			return false;
	return true;
}

static void
check_reading(const char *p, size_t n)
{
	struct reading all = { p, n };
	struct addr a, wanted, untouched;
	bool ok;

	memset(&untouched, 0x5a, sizeof untouched);
	a = untouched;
	ok = addr_parse(p, n, &a);
	must(ok == recognise_addr(all, &wanted), "inet_pton reads the same");
	must(same(&a, ok ? &wanted : &untouched),
	    "inet_pton's address, or nothing is touched");
	if (ok)
		check_address(&a);
	a = untouched;
	ok = addr_parse_cidr(p, n, &a);
	must(ok == read_cidr(p, n, &wanted), "a prefix is ADDRESS/BITS");
	must(same(&a, ok ? &wanted : &untouched),
	    "the prefix, or nothing is touched");
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct addr a;
	char *p;
	size_t length;

	if (size == 0)
		return 0;
	if (data[0] >= '0') {
		p = copy_of(data + 1, size - 1);
		check_reading(p, size - 1);
		free(p);
		return 0;
	}
	memset(&a, 0, sizeof a);
	a.family = (data[0] & 1) != 0 ? 6 : 4;
	length = a.family == 6 ? 16 : 4;
	if (size < 3 + length)
		return 0;
	a.port = (uint16_t)(data[1] * 256 + data[2]);
	memcpy(a.ip, data + 3, length);
	check_address(&a);
	return 0;
}
