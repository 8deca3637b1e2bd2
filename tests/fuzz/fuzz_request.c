/* SPDX-License-Identifier: ISC */
/*
 * fuzz_request.c - http_parse_request.
 *
 * The first two bytes choose the limit, the rest arrives at the proxy.  The
 * answer must not depend on how it arrives; what is accepted, and how long it
 * is, must be what recognise.h says; a request printed from what was
 * understood must mean the same.
 */
#include "fuzz.h"
#include "recognise.h"

#define EVERY_CUT 512		/* input up to this size is cut everywhere */

static int
parse(const char *p, size_t n, size_t limit, struct request *rq)
{
	memset(rq, 0, sizeof *rq);
	return http_parse_request(p, n, limit, rq);
}

/* Mostly the largest one; else a small one, so that heads do not fit. */
static size_t
choose_limit(uint8_t kind, uint8_t size)
{
	if (kind < 0x80)
		return HEAD_MAX;
	return 1 + (((size_t)kind & 3) << 8) + size;
}

/* The reply says so, and fits. */
static void
check_reply(int status, const char *why)
{
	struct reply r = { 0, "connectd", "http_request_error", NULL, NULL,
	    false };
	char *out = room_for(REPLY_MAX), begin[32];
	size_t n, text = strlen(why);

	r.status = status;
	r.text = why;
	n = http_format_reply(&r, out);
	must(n > text && n < REPLY_MAX, "a reply fits");
	(void)snprintf(begin, sizeof begin, "HTTP/1.1 %d ", status);
	must(memcmp(out, begin, strlen(begin)) == 0, "a reply has its status");
	must(memcmp(out + n - text - 1, why, text) == 0 && out[n - 1] == '\n',
	    "a reply ends with the reason");
	free(out);
}

static void
check_status(int status, const struct request *rq)
{
	const char *p;

	must(status == 400 || status == 405 || status == 414 ||
	    status == 431 || status == 501 || status == 505,
	    "a refusal has one of the promised statuses");
	must(rq->why != NULL && rq->why[0] != '\0', "a refusal has a reason");
	for (p = rq->why; *p != '\0'; p++)
		must(*p >= ' ' && *p <= '~', "a reason is a line of text");
	must(p - rq->why < REASON_MAX, "a reason is short");
	check_reply(status, rq->why);
}

/* Where to look next behind k: at each byte, or at places that the data
 * choose; the whole at last. */
static size_t
next_cut(const uint8_t *data, size_t n, size_t k, bool decided)
{
	size_t step = 1;

	if (n > EVERY_CUT)
		step = 1 + data[k % n] % 128u;
	if (decided)
		step += (n - k) / 16;
	return k < n && k + step > n ? n : k + step;
}

/* Each prefix stands at the end of its memory, and once for itself and once
 * as what has arrived so far. */
static void
check_prefixes(const uint8_t *data, size_t n, size_t limit, int whole)
{
	struct request fresh, step;
	char *memory = room_for(n), *p;
	bool decided = false;
	size_t k;
	int rc, stepped;

	memset(&step, 0, sizeof step);
	for (k = 0; k <= n; k = next_cut(data, n, k, decided)) {
		p = memory + n - k;
		if (k > 0)
			memcpy(p, data, k);
		rc = parse(p, k, limit, &fresh);
		if (!decided) {
			stepped = http_parse_request(p, k, limit, &step);
			must(stepped == rc, "bit by bit is as all at once");
			must(rc != 0 || k < n || whole == 0,
			    "all of it decides as it did");
			must(rc <= 0 || n > EVERY_CUT || (size_t)rc == k,
			    "the last byte of a head decides");
			decided = rc != 0;
			must(rc <= 0 || recognise_same_target(&step.target,
			    &fresh.target), "bit by bit, the same target");
			must(rc >= 0 || step.why == fresh.why,
			    "bit by bit, the same reason");
		}
		must(rc == (decided ? whole : 0),
		    "what was decided stays, whatever follows");
	}
	free(memory);
}

/* What decides within the limit does not depend on it. */
static void
check_limit(const char *p, size_t n, size_t limit, int whole)
{
	struct request rq;
	int rc = parse(p, n, n + 1, &rq);

	if (rc > 0 && (size_t)rc <= limit)
		must(whole == rc, "a head within the limit is accepted");
	else if (rc > 0)
		must(whole < 0, "a head beyond the limit is refused");
	else if (rc == 0)
		must(n < limit ? whole == 0 : whole < 0,
		    "an endless head is refused at the limit");
	else
		must(whole < 0, "a bad head does not become good");
}

static size_t
print_request(const struct request *rq, char *out, size_t size)
{
	const struct target *t = &rq->target;
	char host[INET6_ADDRSTRLEN + NAME_MAX_LEN + 3];
	int n;

	if (t->addr.family == 0) {
		memcpy(host, t->name, t->name_len);
		host[t->name_len] = '\0';
	} else if (t->addr.family == 4)
		(void)inet_ntop(AF_INET, t->addr.ip, host, sizeof host);
	else {
		host[0] = '[';
		(void)inet_ntop(AF_INET6, t->addr.ip, host + 1,
		    INET6_ADDRSTRLEN);
		(void)strcat(host, "]");
	}
	n = snprintf(out, size, "CONNECT %s:%u HTTP/1.%u\r\nHost: %s\r\n\r\n",
	    host, t->addr.port, rq->minor, host);
	must(n > 0 && (size_t)n < size, "a request can be printed");
	return (size_t)n;
}

static void
check_accepted(const struct request *rq)
{
	char text[1024], *p;
	struct request again;
	size_t n = print_request(rq, text, sizeof text);

	p = copy_of(text, n);
	must(parse(p, n, HEAD_MAX, &again) == (int)n,
	    "what was printed is accepted");
	must(again.minor == rq->minor &&
	    recognise_same_target(&again.target, &rq->target),
	    "what was printed means the same");
	free(p);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct recognised second;
	struct request rq;
	size_t n, limit, length;
	char *p;
	int rc;

	if (size < 2)
		return 0;
	limit = choose_limit(data[0], data[1]);
	n = size - 2;
	p = copy_of(data + 2, n);
	rc = parse(p, n, limit, &rq);
	length = recognise_request(p, n, limit, &second);
	must((rc > 0 ? (size_t)rc : 0) == length,
	    "accepted is what the second reading accepts");
	if (rc > 0) {
		must(rq.minor == second.minor &&
		    recognise_same_target(&rq.target, &second.target),
		    "the second reading finds the same target");
		check_accepted(&rq);
	} else if (rc < 0)
		check_status(-rc, &rq);
	check_limit(p, n, limit, rc);
	check_prefixes(data + 2, n, limit, rc);
	free(p);
	return 0;
}
