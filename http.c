/* SPDX-License-Identifier: ISC */
/*
 * http.c - the syntax of HTTP/1.x as far as CONNECT needs it.
 *
 * IMPLEMENTATION NOTES
 *
 * Two passes.  The first one, `find_end`, runs as bytes arrive and knows only
 * line ends: it stops at the first byte that decides, so its verdict is the
 * same however the bytes were cut, and each byte is looked at once.  The
 * second one runs once, over the complete head, as a ladder: start line,
 * version, fields, method, target, Host, framing.  The first rung that breaks
 * gives the status.
 *
 * Nothing is repaired and nothing lenient is done: one SP, CRLF, no folding.
 * A lone LF or CR is where two parsers disagree about what a line is, and that
 * is how requests are smuggled.
 */
#include <string.h>

#include "connectd.h"

#define EMPTY_LINES_MAX 4	/* in front of the start line, RFC 9112 2.2 */

/* ---- octets -------------------------------------------------------------- */

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool
is_alnum(char c)
{
	return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool
is_hex(char c)
{
	return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

static bool
is_one_of(char c, const char *set)
{
	return c != '\0' && strchr(set, c) != NULL;
}

/* RFC 9110 5.6.2 */
static bool
is_token(char c)
{
	return is_alnum(c) || is_one_of(c, "!#$%&'*+-.^_`|~");
}

/* RFC 9110 5.5: field-vchar, SP, HTAB; obs-text is opaque. */
static bool
is_value(char c)
{
	unsigned char u = (unsigned char)c;

	return c == '\t' || (u >= 0x20 && u != 0x7f);
}

static bool
is_visible(char c)
{
	return c > 0x20 && c < 0x7f;
}

static char
lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

/* Bytes of the head, a part of it. */
struct text {
	const char	*p;
	size_t		 n;
};

static size_t
token_length(const char *p, size_t n)
{
	size_t i;

	for (i = 0; i < n && is_token(p[i]); i++)
		;
	return i;
}

static bool
text_is(struct text t, const char *s)
{
	return t.n == strlen(s) && memcmp(t.p, s, t.n) == 0;
}

static bool
text_is_field(struct text t, const char *s)
{
	size_t i;

	if (t.n != strlen(s))
		return false;
	for (i = 0; i < t.n; i++)
		if (lower(t.p[i]) != s[i])
			return false;
	return true;
}

/* Cut at the first c: what was in front; the rest, behind c, stays in *t.
 * All of it if there is no c, and the rest is then empty. */
static struct text
cut(struct text *t, char c)
{
	struct text front = *t;
	const char *p = t->n > 0 ? memchr(t->p, c, t->n) : NULL;

	if (p == NULL) {
		t->p += t->n;
		t->n = 0;
		return front;
	}
	front.n = (size_t)(p - t->p);
	t->n -= front.n + 1;
	t->p = p + 1;
	return front;
}

static int
wrong(struct request *rq, int status, const char *why)
{
	rq->why = why;
	return -status;
}

/* ---- the end of the head ------------------------------------------------- */

/* `limit` bytes hold no complete head.  Which part is too long? */
static int
too_long(const char *buf, size_t limit, struct request *rq)
{
	size_t method = token_length(buf + rq->start, limit - rq->start);

	if (rq->line != rq->start)
		return wrong(rq, 431, "the request head is too long");
	if (rq->start + method == limit)
		return wrong(rq, 501, "the method is too long");
	if (method > 0 && buf[rq->start + method] == ' ')
		return wrong(rq, 414, "the request target is too long");
	return wrong(rq, 400, "the request line is malformed");
}

/* A line ended with the LF at `at`.  The length of the head, 0, -status. */
static int
line_end(size_t at, struct request *rq)
{
	bool empty = at == rq->line + 1;

	if (empty && rq->line != rq->start)
		return (int)(at + 1);
	rq->line = at + 1;
	if (empty) {
		rq->start = rq->line;
		if (++rq->empty_lines > EMPTY_LINES_MAX)
			return wrong(rq, 400, "there is no request line");
	}
	return 0;
}

static int
find_end(const char *buf, size_t len, size_t limit, struct request *rq)
{
	size_t i;
	int end;

	for (i = rq->scanned; i < len && i < limit; i = rq->scanned) {
		rq->scanned = i + 1;
		if (i == 0 && !is_token(buf[0]) && buf[0] != '\r' &&
		    buf[0] != '\n')
			return wrong(rq, 400, "this is not an HTTP request");
		if (i > 0 && buf[i - 1] == '\r') {
			if (buf[i] != '\n')
				return wrong(rq, 400, "a CR stands alone");
			if ((end = line_end(i, rq)) != 0)
				return end;
		} else if (buf[i] == '\n')
			return wrong(rq, 400, "lines must end with CR LF");
	}
	return i == limit ? too_long(buf, limit, rq) : 0;
}

/* ---- authority ----------------------------------------------------------- */

/* RFC 3986 3.2.3 allows leading zeros; 0 and what does not fit are refused
 * before anything could wrap. */
static const char *
parse_port(struct text t, uint16_t *port)
{
	uint32_t value = 0;
	size_t i;

	if (t.n == 0)
		return "the target has no port";
	for (i = 0; i < t.n; i++) {
		if (!is_digit(t.p[i]))
			return "the port is not a number";
		value = value * 10 + (uint32_t)(t.p[i] - '0');
		if (value > 65535)
			return "the port is not in 1-65535";
	}
	if (value == 0)
		return "the port is not in 1-65535";
	*port = (uint16_t)value;
	return NULL;
}

static const char *
parse_bracketed(struct text t, struct target *target)
{
	if (!addr_parse(t.p, t.n, &target->addr) ||
	    target->addr.family != 6)
		return "the brackets hold no IPv6 address";
	addr_canonical(&target->addr);
	return NULL;
}

static const char *
parse_host(struct text t, struct target *target)
{
	size_t i;

	/* Without a colon in it, it can only be IPv4. */
	if (addr_parse(t.p, t.n, &target->addr))
		return NULL;
	if (!dns_name_ok(t.p, t.n))
		return "the host is neither a name nor an address";
	target->absolute = t.p[t.n - 1] == '.';
	t.n -= target->absolute;
	for (i = 0; i < t.n; i++)
		target->name[i] = lower(t.p[i]);
	target->name_len = (uint8_t)t.n;
	return NULL;
}

const char *
http_parse_authority(const char *p, size_t n, struct target *target)
{
	struct text rest = { p, n }, host;
	const char *error;

	memset(target, 0, sizeof *target);
	if (n > 0 && p[0] == '[') {
		rest.p++;
		rest.n--;
		host = cut(&rest, ']');
		if (rest.n == 0 || rest.p[0] != ':')
			return "an address in brackets and a port are expected";
		rest.p++;
		rest.n--;
		error = parse_bracketed(host, target);
	} else {
		host = cut(&rest, ':');
		if (host.n == n)
			return "the target has no port";
		error = parse_host(host, target);
	}
	if (error == NULL)
		error = parse_port(rest, &target->addr.port);
	return error;
}

/* RFC 3986 3.2.2 reg-name, of which IPv4 is a special case. */
static bool
is_reg_name(struct text t)
{
	size_t i;

	for (i = 0; i < t.n; i++) {
		if (t.p[i] == '%') {
			if (t.n - i < 3 || !is_hex(t.p[i + 1]) ||
			    !is_hex(t.p[i + 2]))
				return false;
			i += 2;
		} else if (!is_alnum(t.p[i]) &&
		    !is_one_of(t.p[i], "-._~!$&'()*+,;="))
			return false;
	}
	return true;
}

static bool
is_digits(struct text t)
{
	size_t i;

	for (i = 0; i < t.n; i++)
		if (!is_digit(t.p[i]))
			return false;
	return true;
}

/* RFC 3986 3.2.2: "v" 1*HEXDIG "." 1*( unreserved / sub-delims / ":" ) */
static bool
is_ip_future(struct text t)
{
	struct text version = cut(&t, '.');
	size_t i;

	if (version.n < 2 || lower(version.p[0]) != 'v' || t.n == 0)
		return false;
	for (i = 1; i < version.n; i++)
		if (!is_hex(version.p[i]))
			return false;
	for (i = 0; i < t.n; i++)
		if (!is_alnum(t.p[i]) && !is_one_of(t.p[i], "-._~!$&'()*+,;=:"))
			return false;
	return true;
}

/* uri-host [ ":" port ], RFC 9110 7.2.  It is only checked: the target of a
 * CONNECT is in its start line, and clients put their proxy's name here. */
static bool
is_host_value(struct text t)
{
	struct text host;
	struct addr a;

	if (t.n == 0 || t.p[0] != '[') {
		host = cut(&t, ':');
		return is_reg_name(host) && is_digits(t);
	}
	t.p++;
	t.n--;
	host = cut(&t, ']');
	if (host.p + host.n == t.p)	/* there was no "]" */
		return false;
	if (!is_ip_future(host) &&
	    (!addr_parse(host.p, host.n, &a) || a.family != 6))
		return false;
	if (t.n == 0)
		return true;
	host = cut(&t, ':');
	return host.n == 0 && is_digits(t);
}

/* ---- the complete head --------------------------------------------------- */

/* What the field lines said, as far as it matters. */
struct fields {
	unsigned	hosts;
	bool		bad_host;
	bool		transfer_encoding;
	bool		content;	/* a Content-Length other than 0 */
};

/* The next line without its CRLF.  A lone CR or LF was refused before. */
static struct text
next_line(struct text *head)
{
	struct text line = cut(head, '\n');

	line.n--;
	return line;
}

static bool
is_all_visible(struct text t)
{
	size_t i;

	for (i = 0; i < t.n; i++)
		if (!is_visible(t.p[i]))
			return false;
	return t.n > 0;
}

/* RFC 9112 2.3, RFC 9110 15.6.6 */
static int
parse_version(struct text v, struct request *rq)
{
	if (v.n != 8 || memcmp(v.p, "HTTP/", 5) != 0 || !is_digit(v.p[5]) ||
	    v.p[6] != '.' || !is_digit(v.p[7]))
		return wrong(rq, 400, "the HTTP version is malformed");
	if (v.p[5] != '1')
		return wrong(rq, 505, "only HTTP/1.1 and HTTP/1.0 are spoken");
	rq->minor = v.p[7] == '0' ? 0 : 1;
	return 0;
}

/* RFC 9112 3 */
static int
parse_start_line(struct text line, struct request *rq, struct text *method,
    struct text *target)
{
	*method = cut(&line, ' ');
	*target = cut(&line, ' ');
	if (method->n == 0 || token_length(method->p, method->n) != method->n)
		return wrong(rq, 400, "the method is malformed");
	rq->is_head = text_is(*method, "HEAD");
	if (!is_all_visible(*target))
		return wrong(rq, 400, "the request line is malformed");
	return parse_version(line, rq);
}

static struct text
trim(struct text t)
{
	while (t.n > 0 && (t.p[0] == ' ' || t.p[0] == '\t')) {
		t.p++;
		t.n--;
	}
	while (t.n > 0 && (t.p[t.n - 1] == ' ' || t.p[t.n - 1] == '\t'))
		t.n--;
	return t;
}

/* CONNECT has no content, but framing does not depend on the method: to others
 * on the way these bytes would be a body.  Only "0" is harmless. */
static bool
is_zero(struct text t)
{
	size_t i;

	for (i = 0; i < t.n; i++)
		if (t.p[i] != '0')
			return false;
	return t.n > 0;
}

static void
note_field(struct text name, struct text value, struct fields *f)
{
	value = trim(value);
	if (text_is_field(name, "host")) {
		f->hosts++;
		f->bad_host = f->bad_host || !is_host_value(value);
	} else if (text_is_field(name, "transfer-encoding"))
		f->transfer_encoding = true;
	else if (text_is_field(name, "content-length"))
		f->content = f->content || !is_zero(value);
}

/* RFC 9112 5 */
static const char *
parse_field(struct text line, struct fields *f)
{
	struct text name;
	size_t i, n = token_length(line.p, line.n);

	if (line.p[0] == ' ' || line.p[0] == '\t')
		return "a field line begins with a blank";
	if (n == 0 || n == line.n || line.p[n] != ':')
		return "a field name is malformed";
	name = cut(&line, ':');
	for (i = 0; i < line.n; i++)
		if (!is_value(line.p[i]))
			return "a field value holds a control character";
	note_field(name, line, f);
	return NULL;
}

static int
parse_fields(struct text head, struct request *rq, struct fields *f)
{
	struct text line;
	const char *error = NULL;

	memset(f, 0, sizeof *f);
	while ((line = next_line(&head)).n > 0)
		if ((error = parse_field(line, f)) != NULL)
			return wrong(rq, 400, error);
	return 0;
}

/* RFC 9110 9, 15.5.6, 15.6.2.  Methods are case-sensitive. */
static int
check_method(struct text method, struct request *rq)
{
	static const char *const known[] = { "GET", "HEAD", "POST", "PUT",
	    "DELETE", "OPTIONS", "TRACE", "PATCH" };
	size_t i;

	if (text_is(method, "CONNECT"))
		return 0;
	for (i = 0; i < sizeof known / sizeof known[0]; i++)
		if (text_is(method, known[i]))
			return wrong(rq, 405, "this proxy only does CONNECT: "
			    "use it for https, not for plain http");
	return wrong(rq, 501, "this proxy only knows the method CONNECT");
}

static int
check_fields(const struct fields *f, struct request *rq)
{
	if (f->hosts > 1)
		return wrong(rq, 400, "there is more than one Host field");
	if (f->hosts == 0 && rq->minor > 0)
		return wrong(rq, 400, "HTTP/1.1 needs a Host field");
	if (f->bad_host)
		return wrong(rq, 400, "the Host field is malformed");
	if (f->transfer_encoding)
		return wrong(rq, 400, "CONNECT has no Transfer-Encoding");
	if (f->content)
		return wrong(rq, 400, "CONNECT has no content");
	return 0;
}

static int
parse_head(struct text head, struct request *rq)
{
	struct text method, target;
	struct fields f;
	const char *error;
	int rc;

	if ((rc = parse_start_line(next_line(&head), rq, &method,
	    &target)) != 0 || (rc = parse_fields(head, rq, &f)) != 0 ||
	    (rc = check_method(method, rq)) != 0)
		return rc;
	error = http_parse_authority(target.p, target.n, &rq->target);
	if (error != NULL)
		return wrong(rq, 400, error);
	return check_fields(&f, rq);
}

int
http_parse_request(const char *buf, size_t len, size_t limit,
    struct request *rq)
{
	struct text head;
	int rc, end = find_end(buf, len, limit, rq);

	if (end < 0)
		rq->is_head = rq->scanned - rq->start > 5 &&
		    memcmp(buf + rq->start, "HEAD ", 5) == 0;
	if (end <= 0)
		return end;
	head.p = buf + rq->start;
	head.n = (size_t)end - rq->start;
	if ((rc = parse_head(head, rq)) == 0)
		return end;
	memset(&rq->target, 0, sizeof rq->target);	/* there is none */
	return rc;
}

/* ---- replies ------------------------------------------------------------- */

static const struct status {
	int		 code;
	const char	*phrase;
	const char	*fields;
} statuses[] = {
	{ 400, "Bad Request", "" },
	{ 403, "Forbidden", "" },
	{ 405, "Method Not Allowed",
	    "Allow: CONNECT\r\nCache-Control: no-store\r\n" },
	{ 408, "Request Timeout", "" },
	{ 414, "URI Too Long", "Cache-Control: no-store\r\n" },
	{ 431, "Request Header Fields Too Large", "" },
	{ 501, "Not Implemented", "Cache-Control: no-store\r\n" },
	{ 502, "Bad Gateway", "" },
	{ 503, "Service Unavailable", "Retry-After: 1\r\n" },
	{ 504, "Gateway Timeout", "" },
	{ 505, "HTTP Version Not Supported", "" },
	{ 500, "Internal Server Error", "" },	/* last: for all others */
};

/* Where a reply grows; never beyond REPLY_MAX. */
struct writer {
	char		*p;
	size_t		 n;
};

static void
put(struct writer *w, const char *s)
{
	while (*s != '\0' && w->n < REPLY_MAX)
		w->p[w->n++] = *s++;
}

static void
put_number(struct writer *w, size_t value)
{
	char digits[24];
	size_t i = sizeof digits - 1;

	digits[i] = '\0';
	do
		digits[--i] = (char)('0' + value % 10);
	while ((value /= 10) > 0);
	put(w, digits + i);
}

size_t
http_format_reply(const struct reply *r, char *out)
{
	const struct status *s = statuses;
	struct writer w = { out, 0 };

	while (s->code != r->status && s->code != 500)
		s++;
	put(&w, "HTTP/1.1 ");
	put_number(&w, (size_t)s->code);
	put(&w, " ");
	put(&w, s->phrase);
	put(&w, "\r\nConnection: close\r\nContent-Type: text/plain\r\n"
	    "Content-Length: ");
	put_number(&w, strlen(r->text) + 1);
	put(&w, "\r\n");
	put(&w, s->fields);
	put(&w, "Proxy-Status: ");
	put(&w, r->name);
	put(&w, "; error=");
	put(&w, r->error);
	if (r->rcode != NULL) {
		put(&w, "; rcode=\"");
		put(&w, r->rcode);
		put(&w, "\"");
	}
	put(&w, "\r\n\r\n");
	if (!r->no_body) {
		put(&w, r->text);
		put(&w, "\n");
	}
	return w.n;
}
