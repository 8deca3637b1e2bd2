/* SPDX-License-Identifier: ISC */
/*
 * dns.c - DNS syntax: names.
 *
 * IMPLEMENTATION NOTES
 *
 * Names are text, compared in ASCII lower case; bytes above 0x7f are no
 * letters here, and no locale is asked (RFC 4343).  A trailing dot is the
 * absolute form of the same name, so every function drops one first.
 */
#include "connectd.h"

#define LABEL_MAX 63

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static char
lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static bool
is_letter(char c)
{
	return lower(c) >= 'a' && lower(c) <= 'z';
}

static size_t
without_dot(const char *p, size_t n)
{
	return n > 0 && p[n - 1] == '.' ? n - 1 : n;
}

/* "0x" and nothing but hex digits: what inet_aton takes for a number. */
static bool
is_hex_number(const char *p, size_t n)
{
	size_t i;

	if (n < 2 || p[0] != '0' || lower(p[1]) != 'x')
		return false;
	for (i = 2; i < n; i++)
		if (!is_digit(p[i]) && (lower(p[i]) < 'a' || lower(p[i]) > 'f'))
			return false;
	return true;
}

static bool
is_number(const char *p, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (!is_digit(p[i]))
			return is_hex_number(p, n);
	return true;
}

bool
dns_name_ok(const char *p, size_t n)
{
	size_t i, label = 0;	/* where the present label begins */

	n = without_dot(p, n);
	if (n == 0 || n > NAME_MAX_LEN)
		return false;
	for (i = 0; i < n; i++) {
		if (p[i] == '.') {
			if (i == label)
				return false;
			label = i + 1;
		} else if (!is_letter(p[i]) && !is_digit(p[i]) &&
		    p[i] != '-' && p[i] != '_')
			return false;
		if (i - label >= LABEL_MAX && p[i] != '.')
			return false;
	}
	return label < n && !is_number(p + label, n - label);
}

static bool
same_bytes(const char *a, const char *b, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (lower(a[i]) != lower(b[i]))
			return false;
	return true;
}

bool
dns_name_equal(const char *a, size_t an, const char *b, size_t bn)
{
	an = without_dot(a, an);
	return an == without_dot(b, bn) && same_bytes(a, b, an);
}

bool
dns_name_below(const char *p, size_t n, const char *zone, size_t zn)
{
	n = without_dot(p, n);
	zn = without_dot(zone, zn);
	if (n < zn + 2 || p[n - zn - 1] != '.')
		return false;
	return same_bytes(p + n - zn, zone, zn);
}

static bool
in_tree(const char *p, size_t n, const char *zone, size_t zn)
{
	return dns_name_equal(p, n, zone, zn) || dns_name_below(p, n, zone, zn);
}

enum dns_special
dns_name_special(const char *p, size_t n)
{
	if (in_tree(p, n, "localhost", 9))
		return DNS_LOCALHOST;
	if (in_tree(p, n, "invalid", 7) || in_tree(p, n, "onion", 5))
		return DNS_NEVER;
	return DNS_ORDINARY;
}
