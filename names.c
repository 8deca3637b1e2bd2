/* SPDX-License-Identifier: ISC */
/*
 * names.c - the system's files about names: hosts and resolv.conf.
 *
 * IMPLEMENTATION NOTES
 *
 * The text of a hosts file is kept as it is, with an index of its names beside
 * it, so that a block list of 100,000 lines costs a lookup no more than a short
 * file.  An entry is two places in the text, which is read when somebody asks.
 * The lines are taken from the last to the first and put in front of their
 * chain, which leaves every chain in the order of the file.
 *
 * Both files are written by whoever runs the machine and by programs such as
 * DHCP clients; what does not make sense in them is skipped.
 */
#include <string.h>

#include "connectd.h"

#define DNS_PORT	53
#define NDOTS_MAX	15
#define TIMEOUT_MAX	30	/* seconds */
#define ATTEMPTS_MAX	5

/* A name and the address of its line: places in the text. */
struct host {
	uint32_t	next;		/* index + 1 in the chain, 0 ends it */
	uint32_t	name, addr;
};

struct text {
	const char	*p;
	size_t		 n;
};

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

/* Cut off what is in front of the next blank. */
static struct text
first_word(struct text *line)
{
	struct text w = *line;

	for (w.n = 0; w.n < line->n && !is_blank(line->p[w.n]); w.n++)
		;
	line->p += w.n;
	line->n -= w.n;
	return w;
}

/* The same behind blanks; its length is 0 at the end of the line. */
static struct text
next_word(struct text *line)
{
	while (line->n > 0 && is_blank(*line->p)) {
		line->p++;
		line->n--;
	}
	return first_word(line);
}

static bool
is_word(struct text w, const char *s)
{
	return w.n == strlen(s) && memcmp(w.p, s, w.n) == 0;
}

/* Up to the next `end`, or all of it. */
static struct text
cut_at(struct text t, char end)
{
	const char *p = t.n > 0 ? memchr(t.p, end, t.n) : NULL;

	if (p != NULL)
		t.n = (size_t)(p - t.p);
	return t;
}

/* ---- hosts --------------------------------------------------------------- */

/* A power of two: one chain for two names or so, at half the room. */
static size_t
chains_for(size_t room)
{
	size_t n = 64;

	while (n < room / 64)
		n *= 2;
	return n;
}

/* A name takes two bytes of the file at least. */
static size_t
hosts_for(size_t room)
{
	return room / 2 + 1;
}

size_t
names_hosts_memory(size_t room)
{
	size_t n = chains_for(room) * sizeof(uint32_t) +
	    hosts_for(room) * sizeof(struct host) + room;

	return (n + sizeof(void *) - 1) & ~(sizeof(void *) - 1);
}

void
names_hosts_init(struct hosts *h, void *memory, size_t room)
{
	h->room = room;
	h->chains = (uint32_t)chains_for(room);
	h->chain = memory;
	h->host = (struct host *)(void *)(h->chain + h->chains);
	h->text = (char *)(h->host + hosts_for(room));
	names_hosts_index(h, 0);
}

/* FNV-1a over the name in lower case, without a trailing dot. */
static uint32_t *
chain_of(const struct hosts *h, struct text name)
{
	uint32_t hash = 2166136261u;
	size_t i;
	char c;

	if (name.n > 0 && name.p[name.n - 1] == '.')
		name.n--;
	for (i = 0; i < name.n; i++) {
		c = name.p[i];
		hash ^= (unsigned char)(c >= 'A' && c <= 'Z' ? c | 0x20 : c);
		hash *= 16777619u;
	}
	return &h->chain[hash & (h->chains - 1)];
}

/* The word of a hosts file that begins at `at`. */
static struct text
word_at(const struct hosts *h, size_t at)
{
	struct text w = { h->text + at, 0 };

	while (at + w.n < h->length && !is_blank(w.p[w.n]) &&
	    w.p[w.n] != '\n' && w.p[w.n] != '#')
		w.n++;
	return w;
}

/* ADDRESS NAME... # comment */
static void
add_line(struct hosts *h, struct text line)
{
	struct text addr, name;
	struct host *host;
	struct addr a;
	uint32_t *chain;

	line = cut_at(line, '#');
	addr = next_word(&line);
	if (!addr_parse(addr.p, addr.n, &a))
		return;
	while ((name = next_word(&line)).n > 0) {
		chain = chain_of(h, name);
		host = &h->host[h->names++];
		host->name = (uint32_t)(name.p - h->text);
		host->addr = (uint32_t)(addr.p - h->text);
		host->next = *chain;
		*chain = h->names;
	}
}

void
names_hosts_index(struct hosts *h, size_t n)
{
	size_t start, end;
	struct text line;

	h->names = 0;
	h->length = n;
	memset(h->chain, 0, h->chains * sizeof *h->chain);
	for (end = n; end > 0; end = start) {
		start = end - 1;
		while (start > 0 && h->text[start - 1] != '\n')
			start--;
		line.p = h->text + start;
		line.n = end - start - (h->text[end - 1] == '\n');
		add_line(h, line);
	}
}

bool
names_hosts_find(const struct hosts *h, const char *name, size_t n,
    struct addr_list list[FAMILIES])
{
	struct text wanted = { name, n }, word;
	const struct host *host;
	struct addr a;
	uint32_t i;
	bool found = false;

	for (i = *chain_of(h, wanted); i > 0; i = host->next) {
		host = &h->host[i - 1];
		word = word_at(h, host->name);
		if (!dns_name_equal(name, n, word.p, word.n))
			continue;
		word = word_at(h, host->addr);
		if (!addr_parse(word.p, word.n, &a))
			continue;
		addr_canonical(&a);
		dns_list_add(&list[a.family == 4 ? V4 : V6], &a);
		found = true;
	}
	return found;
}

/* ---- resolv.conf --------------------------------------------------------- */

bool
names_parse_server(const char *p, size_t n, struct server *s)
{
	struct text whole = { p, n }, addr = cut_at(whole, '%');
	size_t zone = addr.n < n ? n - addr.n - 1 : 0;
	struct addr a;

	if (!addr_parse(addr.p, addr.n, &a))
		return false;
	if (addr.n < n && (zone == 0 || zone >= ZONE_MAX || a.family != 6 ||
	    !(addr_class(&a) & CLASS_LINKLOCAL) ||
	    memchr(p + addr.n + 1, '\0', zone) != NULL))
		return false;
	memset(s, 0, sizeof *s);
	s->addr = a;
	s->addr.port = DNS_PORT;
	memcpy(s->zone, p + n - zone, zone);
	return true;
}

void
names_resolv_init(struct resolv *r)
{
	memset(r, 0, sizeof *r);
	r->ndots = 1;
	r->attempts = 2;
	r->timeout = 5000;
}

static void
take_server(struct resolv *r, struct text word)
{
	if (r->servers < SERVERS_MAX &&
	    names_parse_server(word.p, word.n, &r->server[r->servers]))
		r->servers++;
}

/* The last line of this kind counts, even if there is nothing in it. */
static void
take_search(struct resolv *r, struct text line, unsigned max)
{
	char name[NAME_MAX_LEN];
	struct text w;
	size_t i;
	unsigned n = 0;

	memset(&r->search, 0, sizeof r->search);
	while (n < max && (w = next_word(&line)).n > 0) {
		if (!dns_name_ok(w.p, w.n))
			continue;
		w.n -= w.p[w.n - 1] == '.';
		for (i = 0; i < w.n; i++)
			name[i] = w.p[i] >= 'A' && w.p[i] <= 'Z' ?
			    (char)(w.p[i] | 0x20) : w.p[i];
		n += dns_names_add(&r->search, name, w.n);
	}
}

/* The number behind "NAME:", at most max; false if it is not that option. */
static bool
take_number(struct text w, const char *name, unsigned max, unsigned *value)
{
	size_t i = strlen(name);
	unsigned n = 0;

	if (w.n <= i || memcmp(w.p, name, i) != 0)
		return false;
	for (; i < w.n; i++) {
		if (w.p[i] < '0' || w.p[i] > '9')
			return false;
		n = n * 10 + (unsigned)(w.p[i] - '0');
		if (n > max)
			n = max;
	}
	*value = n;
	return true;
}

static void
take_option(struct resolv *r, struct text w)
{
	unsigned n;

	if (take_number(w, "ndots:", NDOTS_MAX, &n))
		r->ndots = n;
	else if (take_number(w, "timeout:", TIMEOUT_MAX, &n))
		r->timeout = n > 0 ? (int64_t)n * 1000 : 1000;
	else if (take_number(w, "attempts:", ATTEMPTS_MAX, &n))
		r->attempts = n > 0 ? n : 1;
	else if (is_word(w, "rotate"))
		r->rotate = true;
	else if (is_word(w, "use-vc"))
		r->use_vc = true;
	else if (is_word(w, "single-request") ||
	    is_word(w, "single-request-reopen"))
		r->single_request = true;
	else if (is_word(w, "edns0"))
		r->edns0 = true;
	else if (is_word(w, "no-aaaa"))
		r->no_aaaa = true;
	else if (is_word(w, "no-reload"))
		r->no_reload = true;
}

static void
take_line(struct resolv *r, struct text line)
{
	/* It has to begin the line, so comments need no rule. */
	struct text w = first_word(&line);

	if (is_word(w, "nameserver"))
		take_server(r, next_word(&line));
	else if (is_word(w, "search"))
		take_search(r, line, SEARCH_MAX);
	else if (is_word(w, "domain"))
		take_search(r, line, 1);
	else if (is_word(w, "options"))
		while ((w = next_word(&line)).n > 0)
			take_option(r, w);
}

void
names_resolv_parse(struct resolv *r, const char *text, size_t n)
{
	struct text rest = { text, n }, line;

	while (rest.n > 0) {
		line = cut_at(rest, '\n');
		take_line(r, line);
		line.n += line.n < rest.n;
		rest.p += line.n;
		rest.n -= line.n;
	}
	if (r->servers > 0)
		return;
	(void)names_parse_server("127.0.0.1", 9, &r->server[0]);
	(void)names_parse_server("::1", 3, &r->server[1]);
	r->servers = 2;
}

/* ---- the search list ----------------------------------------------------- */

unsigned
names_candidates(const struct resolv *r, const char *name, size_t n,
    bool absolute)
{
	size_t at = 0, len;
	unsigned count = 1;

	if (absolute || memchr(name, '.', n) != NULL)
		return 1;
	while (dns_names_next(&r->search, &at, &len) != NULL)
		count++;
	return count;
}

size_t
names_candidate(const struct resolv *r, const char *name, size_t n,
    bool absolute, unsigned i, char out[NAME_MAX_LEN])
{
	unsigned count = names_candidates(r, name, n, absolute);
	unsigned itself = r->ndots == 0 ? 0 : count - 1;
	size_t at = 0, len = 0;
	const char *domain = NULL;

	if (i >= count)
		return 0;
	memcpy(out, name, n);
	if (i == itself)
		return n;
	for (i += i < itself; i > 0; i--)
		domain = dns_names_next(&r->search, &at, &len);
	if (n + 1 + len > NAME_MAX_LEN)
		return 0;
	out[n] = '.';
	memcpy(out + n + 1, domain, len);
	return n + 1 + len;
}
