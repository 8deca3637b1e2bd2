/* SPDX-License-Identifier: ISC */
/*
 * recognise.h - the requests that connectd accepts, written a second time.
 *
 * A recursive descent over the grammar of RFC 9112 and RFC 3986 as far as the
 * contracts in connectd.h allow it, which knows neither http.c nor dns.c, says
 * yes or no and nothing else, and leaves addresses to inet_pton.
 *
 *	head      = *4( CRLF ) "CONNECT" SP authority SP "HTTP/1." DIGIT CRLF
 *	            *( token ":" value CRLF ) CRLF
 *	authority = ( name / IPv4address / "[" IPv6address "]" ) ":" port
 *
 * One Host field, which HTTP/1.0 may leave out; no Transfer-Encoding; no
 * Content-Length other than 0.
 */
#ifndef RECOGNISE_H
#define RECOGNISE_H

#include <arpa/inet.h>
#include <string.h>

#include "../../connectd.h"

#define RECOGNISE_LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define RECOGNISE_DIGITS "0123456789"
#define RECOGNISE_HEX RECOGNISE_DIGITS "abcdefABCDEF"
#define RECOGNISE_TOKEN RECOGNISE_LETTERS RECOGNISE_DIGITS "!#$%&'*+-.^_`|~"
#define RECOGNISE_LABEL RECOGNISE_LETTERS RECOGNISE_DIGITS "-_"
/* RFC 3986: unreserved and sub-delims */
#define RECOGNISE_URI RECOGNISE_LETTERS RECOGNISE_DIGITS "-._~" "!$&'()*+,;="

/* What is left to read. */
struct reading {
	const char	*p;
	size_t		 n;
};

struct recognised {
	struct target	target;
	uint8_t		minor;
};

static inline char
recognise_lower(char c)
{
	static const char upper[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
	const char *at = c == '\0' ? NULL : strchr(upper, c);

	return at == NULL ? c : RECOGNISE_LETTERS[at - upper];
}

/* ---- reading --------------------------------------------------------------- */

static inline struct reading
recognise_front(struct reading *r, size_t n)
{
	struct reading front = { r->p, n };

	r->p += n;
	r->n -= n;
	return front;
}

/* As many bytes of the set as there are. */
static inline struct reading
recognise_run(struct reading *r, const char *set)
{
	size_t n = 0;

	while (n < r->n && r->p[n] != '\0' && strchr(set, r->p[n]) != NULL)
		n++;
	return recognise_front(r, n);
}

/* Exactly this text, or nothing. */
static inline bool
recognise_text(struct reading *r, const char *text)
{
	size_t n = strlen(text);

	if (r->n < n || memcmp(r->p, text, n) != 0)
		return false;
	(void)recognise_front(r, n);
	return true;
}

static inline bool
recognise_all(struct reading r, const char *set)
{
	(void)recognise_run(&r, set);
	return r.n == 0;
}

/* Is it this text, which is in lower case, in whatever case? */
static inline bool
recognise_is(struct reading r, const char *text)
{
	size_t i;

	for (i = 0; i < r.n && text[i] != '\0'; i++)
		if (recognise_lower(r.p[i]) != text[i])
			return false;
	return i == r.n && text[i] == '\0';
}

/* ---- host and port --------------------------------------------------------- */

/* What inet_pton says; a zone is none of an address. */
static inline bool
recognise_addr(struct reading r, struct addr *a)
{
	char text[64];

	memset(a, 0, sizeof *a);
	if (r.n >= sizeof text || !recognise_all(r, RECOGNISE_HEX ".:"))
		return false;
	if (r.n > 0)
		memcpy(text, r.p, r.n);
	text[r.n] = '\0';
	a->family = inet_pton(AF_INET, text, a->ip) == 1 ? 4 :
	    inet_pton(AF_INET6, text, a->ip) == 1 ? 6 : 0;
	return a->family != 0;
}

/* ::ffff:a.b.c.d is a.b.c.d */
static inline void
recognise_canonical(struct addr *a)
{
	static const uint8_t zeros_ones[12] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
	    0xff, 0xff };
	struct addr four;

	if (a->family != 6 || memcmp(a->ip, zeros_ones, 12) != 0)
		return;
	memset(&four, 0, sizeof four);
	four.family = 4;
	four.port = a->port;
	memcpy(four.ip, a->ip + 12, 4);
	*a = four;
}

/* 0x1f and the like: a number to inet_aton. */
static inline bool
recognise_hex(struct reading r)
{
	return (recognise_text(&r, "0x") || recognise_text(&r, "0X")) &&
	    recognise_all(r, RECOGNISE_HEX);
}

static inline bool
recognise_name(struct reading r)
{
	struct reading label;

	if (r.n > 0 && r.p[r.n - 1] == '.')
		r.n--;
	if (r.n == 0 || r.n > 253)
		return false;
	do {
		label = recognise_run(&r, RECOGNISE_LABEL);
		if (label.n < 1 || label.n > 63)
			return false;
	} while (recognise_text(&r, "."));
	return r.n == 0 && !recognise_all(label, RECOGNISE_DIGITS) &&
	    !recognise_hex(label);
}

static inline bool
recognise_port(struct reading r, uint16_t *port)
{
	unsigned long value = 0;
	size_t i;

	(void)recognise_run(&r, "0");
	if (r.n < 1 || r.n > 5 || !recognise_all(r, RECOGNISE_DIGITS))
		return false;
	for (i = 0; i < r.n; i++)
		value = 10 * value + (unsigned long)(r.p[i] - '0');
	*port = (uint16_t)value;
	return value <= 65535;
}

static inline bool
recognise_host(struct reading r, struct target *t)
{
	size_t i;

	if (r.n >= 2 && r.p[0] == '[' && r.p[r.n - 1] == ']') {
		(void)recognise_front(&r, 1);
		r.n--;
		if (!recognise_addr(r, &t->addr) || t->addr.family != 6)
			return false;
		recognise_canonical(&t->addr);
		return true;
	}
	if (recognise_addr(r, &t->addr))
		return t->addr.family == 4;
	memset(&t->addr, 0, sizeof t->addr);
	if (!recognise_name(r))
		return false;
	if (r.p[r.n - 1] == '.')
		r.n--;
	t->name_len = (uint8_t)r.n;
	for (i = 0; i < r.n; i++)
		t->name[i] = recognise_lower(r.p[i]);
	return true;
}

/* The port is what stands behind the last colon. */
static inline bool
recognise_authority(const char *p, size_t n, struct target *t)
{
	struct reading all = { p, n }, host;
	size_t colon = n;
	uint16_t port;

	memset(t, 0, sizeof *t);
	while (colon > 0 && p[colon - 1] != ':')
		colon--;
	if (colon == 0)
		return false;
	host = recognise_front(&all, colon - 1);
	(void)recognise_front(&all, 1);
	if (!recognise_port(all, &port) || !recognise_host(host, t))
		return false;
	t->addr.port = port;
	return true;
}

static inline bool
recognise_same_target(const struct target *a, const struct target *b)
{
	return memcmp(&a->addr, &b->addr, sizeof a->addr) == 0 &&
	    a->name_len == b->name_len &&
	    memcmp(a->name, b->name, a->name_len) == 0;
}

/* ---- fields ---------------------------------------------------------------- */

/* RFC 3986 3.2.2: IP-literal without its brackets. */
static inline bool
recognise_literal(struct reading r)
{
	struct addr a;

	if (recognise_text(&r, "v") || recognise_text(&r, "V"))
		return recognise_run(&r, RECOGNISE_HEX).n > 0 &&
		    recognise_text(&r, ".") && r.n > 0 &&
		    recognise_all(r, RECOGNISE_URI ":");
	return recognise_addr(r, &a) && a.family == 6;
}

/* RFC 9110 7.2: uri-host [ ":" port ]; RFC 3986 lets both be empty. */
static inline bool
recognise_host_field(struct reading r)
{
	struct reading literal;
	const char *end;

	if (recognise_text(&r, "[")) {
		end = r.n > 0 ? memchr(r.p, ']', r.n) : NULL;
		if (end == NULL)
			return false;
		literal = recognise_front(&r, (size_t)(end - r.p));
		if (!recognise_literal(literal))
			return false;
		(void)recognise_front(&r, 1);
	} else
		for (;;) {
			(void)recognise_run(&r, RECOGNISE_URI);
			if (!recognise_text(&r, "%"))
				break;
			if (r.n < 2 || !recognise_all(recognise_front(&r, 2),
			    RECOGNISE_HEX))
				return false;
		}
	return r.n == 0 || (recognise_text(&r, ":") &&
	    recognise_all(r, RECOGNISE_DIGITS));
}

/* Visible, blank or opaque octets up to the end of the line, without the
 * blanks around them. */
static inline struct reading
recognise_value(struct reading *r)
{
	struct reading value;
	size_t n = 0;

	while (n < r->n && (r->p[n] == '\t' || (unsigned char)r->p[n] >= 0x80 ||
	    (r->p[n] >= 0x20 && r->p[n] <= 0x7e)))
		n++;
	value = recognise_front(r, n);
	(void)recognise_run(&value, " \t");
	while (value.n > 0 && strchr(" \t", value.p[value.n - 1]) != NULL)
		value.n--;
	return value;
}

static inline bool
recognise_field(struct reading *r, unsigned *hosts)
{
	struct reading name = recognise_run(r, RECOGNISE_TOKEN), value;

	if (name.n == 0 || !recognise_text(r, ":"))
		return false;
	value = recognise_value(r);
	if (!recognise_text(r, "\r\n"))
		return false;
	if (recognise_is(name, "transfer-encoding"))
		return false;
	if (recognise_is(name, "content-length"))
		return value.n > 0 && recognise_all(value, "0");
	if (!recognise_is(name, "host"))
		return true;
	return ++*hosts == 1 && recognise_host_field(value);
}

/* ---- the head -------------------------------------------------------------- */

/* The length of the head that p[0..n) begins with, 0 if there is none to
 * accept: refused, too long or not complete. */
static inline size_t
recognise_request(const char *p, size_t n, size_t limit, struct recognised *out)
{
	size_t most = n < limit ? n : limit, end;
	struct reading r = { p, most }, target;
	unsigned hosts = 0;
	int empty = 0;

	while (empty < 4 && recognise_text(&r, "\r\n"))
		empty++;
	if (!recognise_text(&r, "CONNECT "))
		return 0;
	for (end = 0; end < r.n && r.p[end] != ' '; end++)
		;
	target = recognise_front(&r, end);
	if (!recognise_authority(target.p, target.n, &out->target) ||
	    !recognise_text(&r, " HTTP/1.") || r.n == 0)
		return 0;
	out->minor = r.p[0] == '0' ? 0 : 1;
	if (!recognise_all(recognise_front(&r, 1), RECOGNISE_DIGITS) ||
	    !recognise_text(&r, "\r\n"))
		return 0;
	while (!recognise_text(&r, "\r\n"))
		if (!recognise_field(&r, &hosts))
			return 0;
	return hosts < out->minor ? 0 : most - r.n;
}

#endif
