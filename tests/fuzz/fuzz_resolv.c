/* SPDX-License-Identifier: ISC */
/*
 * fuzz_resolv.c - resolv.conf.
 *
 * Whatever the text, there are one to three servers with ports, numbers in
 * their ranges and host names in the search list; CR in front of the line ends
 * and the last line end do not matter; and what it means, written down again,
 * means the same.
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

static size_t
put(char *out, size_t at, size_t room, const char *format, const char *word,
    size_t n)
{
	return at + (size_t)snprintf(out + at, room - at, format, (int)n, word);
}

/* As a resolv.conf. */
static size_t
print(const struct resolv *r, char *out, size_t room)
{
	char addr[ADDR_TEXT_MAX];
	const char *word;
	size_t at = 0, k = 0, n;
	unsigned i;

	for (i = 0; i < r->servers; i++) {
		(void)addr_format(&r->server[i].addr, false, addr);
		at = put(out, at, room, "nameserver %.*s", addr, strlen(addr));
		if (r->server[i].zone[0] != '\0')
			at = put(out, at, room, "%%%.*s", r->server[i].zone,
			    ZONE_MAX);
		at = put(out, at, room, "%.*s", "\n", 1);
	}
	at = put(out, at, room, "%.*s", "search", 6);
	while ((word = dns_names_next(&r->search, &k, &n)) != NULL)
		at = put(out, at, room, " %.*s", word, n);
	at += (size_t)snprintf(out + at, room - at, "\noptions ndots:%u "
	    "attempts:%u timeout:%u%s%s%s%s%s%s", r->ndots, r->attempts,
	    (unsigned)(r->timeout / 1000), r->rotate ? " rotate" : "",
	    r->use_vc ? " use-vc" : "", r->edns0 ? " edns0" : "",
	    r->single_request ? " single-request" : "",
	    r->no_aaaa ? " no-aaaa" : "", r->no_reload ? " no-reload" : "");
	return at;
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
	char text[4096], *crlf;
	size_t n;

	parse(&r, (const char *)data, size);
	check_values(&r);
	crlf = with_crlf(data, size, &n);
	parse(&again, crlf, n);
	must(memcmp(&r, &again, sizeof r) == 0, "line ends do not matter");
	free(crlf);
	parse(&again, text, print(&r, text, sizeof text));
	must(memcmp(&r, &again, sizeof r) == 0, "written down it is the same");
	return 0;
}
