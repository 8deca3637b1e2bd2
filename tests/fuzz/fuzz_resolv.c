/* SPDX-License-Identifier: ISC */
/*
 * fuzz_resolv.c - resolv.conf.
 *
 * Whatever the text, there are one to three servers with ports, numbers in
 * their ranges and host names in the search list; CR in front of the line ends
 * and the last line end do not matter; and what it means, written down again,
 * means the same.  Every name has candidates, and itself among them.
 */
#include "fuzz.h"
#include "../../connectd.h"

static void
parse(struct resolv *r, const char *p, size_t n)
{
	char *copy = copy_of(p, n);

	memset(r, 0xEE, sizeof *r);
	names_resolv_init(r);
	names_resolv_parse(r, copy, n);
	free(copy);
}

static void
check_values(const struct resolv *r)
{
	size_t at = 0, n;
	const char *p;
	unsigned i, names = 0;

	must(r->servers >= 1 && r->servers <= SERVERS_MAX, "1 to 3 servers");
	for (i = 0; i < r->servers; i++)
		must(r->server[i].addr.port == 53 &&
		    memchr(r->server[i].zone, '\0', ZONE_MAX) != NULL,
		    "a port and a zone that ends");
	while ((p = dns_names_next(&r->search, &at, &n)) != NULL) {
		must(dns_name_ok(p, n) && p[n - 1] != '.', "host names");
		names++;
	}
	must(names <= SEARCH_MAX, "so many domains at most");
	must(r->ndots <= 15 && r->attempts >= 1 && r->attempts <= 5 &&
	    r->timeout >= 1000 && r->timeout <= 30000, "numbers in range");
}

static void
check_candidates(const struct resolv *r, const char *name, size_t n,
    bool absolute)
{
	unsigned i, count = names_candidates(r, name, n, absolute);
	char out[NAME_MAX_LEN];
	unsigned itself = 0;
	size_t len;

	must(count >= 1 && count <= SEARCH_MAX + 1, "1 to 7 candidates");
	must(count == 1 || !absolute, "an absolute name is not searched for");
	for (i = 0; i < count; i++) {
		len = names_candidate(r, name, n, absolute, i, out);
		must(len == 0 || (len <= NAME_MAX_LEN && dns_name_ok(out, len)),
		    "a candidate is a host name");
		must(len == 0 || (memcmp(out, name, n) == 0 &&
		    (len == n || out[n] == '.')), "it begins with the name");
		itself += len == n;
	}
	must(itself == 1, "the name itself is one of them");
	must(names_candidate(r, name, n, absolute, count, out) == 0,
	    "there are no more");
}

/* ---- the same text again ------------------------------------------------- */

struct writing {
	char		*p;
	size_t		 n, room;
};

static void
put(struct writing *w, const char *p, size_t n)
{
	must(n <= w->room - w->n, "it is not longer than it can be");
	memcpy(w->p + w->n, p, n);
	w->n += n;
}

static void
put_text(struct writing *w, const char *text)
{
	put(w, text, strlen(text));
}

/* One or two digits. */
static void
put_number(struct writing *w, const char *name, unsigned value)
{
	char digit[2];

	digit[0] = (char)('0' + value / 10);
	digit[1] = (char)('0' + value % 10);
	put_text(w, name);
	put(w, digit + (value < 10), value < 10 ? 1 : 2);
}

static void
put_servers(struct writing *w, const struct resolv *r)
{
	char addr[ADDR_TEXT_MAX];
	unsigned i;

	for (i = 0; i < r->servers; i++) {
		put_text(w, "nameserver ");
		put_text(w, addr_format(&r->server[i].addr, false,
		    addr));
		put_text(w, r->server[i].zone[0] != '\0' ? "%" : "");
		put_text(w, r->server[i].zone);
		put_text(w, "\n");
	}
}

/* As a resolv.conf. */
static void
print(struct writing *w, const struct resolv *r)
{
	const char *word;
	size_t at = 0, n;

	put_servers(w, r);
	put_text(w, "search");
	while ((word = dns_names_next(&r->search, &at, &n)) != NULL) {
		put_text(w, " ");
		put(w, word, n);
	}
	put_number(w, "\noptions ndots:", r->ndots);
	put_number(w, " attempts:", r->attempts);
	put_number(w, " timeout:", (unsigned)(r->timeout / 1000));
	put_text(w, r->rotate ? " rotate" : "");
	put_text(w, r->use_vc ? " use-vc" : "");
	put_text(w, r->edns0 ? " edns0" : "");
	put_text(w, r->single_request ? " single-request" : "");
	put_text(w, r->no_aaaa ? " no-aaaa" : "");
	put_text(w, r->no_reload ? " no-reload" : "");
}

static char *
with_crlf(const uint8_t *p, size_t n, size_t *out)
{
	char *text = room_for(2 * n + 1);
	size_t i, k = 0;

	for (i = 0; i < n; i++) {
		if (p[i] == '\n')
			text[k++] = '\r';
		text[k++] = (char)p[i];
	}
	text[k++] = '\n';
	*out = k;
	return text;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct resolv r, again;
	char text[1024], *crlf;
	struct writing w = { text, 0, sizeof text };
	size_t n;

	parse(&r, (const char *)data, size);
	check_values(&r);
	check_candidates(&r, "name", 4, size % 2 == 0);
	crlf = with_crlf(data, size, &n);
	parse(&again, crlf, n);
	must(memcmp(&r, &again, sizeof r) == 0, "line ends do not matter");
	free(crlf);
	print(&w, &r);
	parse(&again, text, w.n);
	must(memcmp(&r, &again, sizeof r) == 0, "written down it is the same");
	return 0;
}
