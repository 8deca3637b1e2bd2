/* SPDX-License-Identifier: ISC */
/*
 * config.c - the text of the configuration to struct config.
 *
 * IMPLEMENTATION NOTES
 *
 * A line is words; the first one picks a row of a table.  Nothing is read or
 * opened here.  The arena holds words and lists from its beginning upwards and
 * rules from its end downwards, so that the rules become one array although
 * their lists are of any length; config_finish turns them around.
 *
 * The words come from the operator, who is trusted, but they are shown back in
 * errors, so they are cut and cleaned there.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "connectd.h"

#define WORDS_MAX	32
#define WORD_SHOWN	48	/* bytes of a word that an error shows */
#define LISTEN_DEFAULT	3128
#define TUNNELS_MAX	30000
#define BUFFER_MIN	4096
#define BUFFER_MAX	(1024 * 1024)
#define WEEK_MS		(7 * 24 * 3600 * (int64_t)1000)
#define NAME_TOKEN_MAX	63

struct word {
	const char	*p;
	size_t		 n;
};

/* One line under way. */
struct line {
	struct config	*cfg;
	const char	*file;
	unsigned	 number;
	bool		 option;	/* from -o, not from a file */
	struct word	 word[WORDS_MAX];
	unsigned	 words;
	char		*error;
};

struct directive {
	const char	*name;
	unsigned	 arguments;	/* exactly; 0: parse looks itself */
	bool		 repeatable;
	bool		(*parse)(struct line *);	/* NULL: not yet */
};

/* ---- errors -------------------------------------------------------------- */

/* Error of a line; returns false, for `return fail(...)`. */
static bool
fail(struct line *l, const char *format, ...)
{
	va_list args;
	int n;

	n = snprintf(l->error, CONFIG_ERROR_MAX, "%s:%u: ", l->file,
	    l->number);
	if (n < 0 || n >= CONFIG_ERROR_MAX)
		return false;
	va_start(args, format);
	(void)vsnprintf(l->error + n, (size_t)(CONFIG_ERROR_MAX - n), format,
	    args);
	va_end(args);
	return false;
}

static bool
fail_word(struct line *l, const char *what, struct word w, const char *expected)
{
	char shown[WORD_SHOWN + 1];
	size_t i;

	for (i = 0; i < w.n && i < WORD_SHOWN; i++)
		shown[i] = w.p[i] > 0x20 && w.p[i] < 0x7f ? w.p[i] : '?';
	shown[i] = '\0';
	return fail(l, "%s '%s': expected %s", what, shown, expected);
}

static bool
fail_later(struct line *l, const char *what)
{
	return fail(l, "%s: not in this version", what);
}

/* ---- words --------------------------------------------------------------- */

static bool
word_is(struct word w, const char *s)
{
	return w.n == strlen(s) && memcmp(w.p, s, w.n) == 0;
}

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

static bool
split_words(struct line *l, const char *p, size_t n)
{
	size_t i = 0, start;

	l->words = 0;
	if (n > 0 && memchr(p, '\0', n) != NULL)
		return fail(l, "there is a NUL byte in the line");
	for (;;) {
		while (i < n && is_blank(p[i]))
			i++;
		if (i == n || p[i] == '#')
			return true;
		for (start = i; i < n && !is_blank(p[i]) && p[i] != '#'; i++)
			;
		if (l->words == WORDS_MAX)
			return fail(l, "too many words in one line");
		l->word[l->words].p = p + start;
		l->word[l->words++].n = i - start;
	}
}

/* The part of a list up to the next comma; *rest moves behind it. */
static struct word
next_element(struct word *rest)
{
	struct word w = *rest;

	for (w.n = 0; w.n < rest->n && rest->p[w.n] != ','; w.n++)
		;
	rest->p += w.n;
	rest->n -= w.n;
	if (rest->n > 0) {
		rest->p++;
		rest->n--;
	}
	return w;
}

static unsigned
count_elements(struct word list)
{
	unsigned n = 1;
	size_t i;

	for (i = 0; i < list.n; i++)
		if (list.p[i] == ',')
			n++;
	return n;
}

/* Decimal digits, all of w, in min..max. */
static bool
parse_number(struct word w, uint64_t min, uint64_t max, uint64_t *out)
{
	uint64_t value = 0;
	size_t i;

	for (i = 0; i < w.n; i++) {
		if (w.p[i] < '0' || w.p[i] > '9' || value > max)
			return false;
		value = value * 10 + (uint64_t)(w.p[i] - '0');
	}
	if (w.n == 0 || value < min || value > max)
		return false;
	*out = value;
	return true;
}

static bool
take_suffix(struct word *w, const char *suffix)
{
	size_t n = strlen(suffix);

	if (w->n <= n || memcmp(w->p + w->n - n, suffix, n) != 0)
		return false;
	w->n -= n;
	return true;
}

static bool
parse_size(struct word w, uint64_t max, uint64_t *out)
{
	uint64_t unit = 1;

	if (take_suffix(&w, "k"))
		unit = 1024;
	else if (take_suffix(&w, "m"))
		unit = (uint64_t)1024 * 1024;
	if (!parse_number(w, 1, max / unit, out))
		return false;
	*out *= unit;
	return true;
}

/* 500ms 10s 5m 1h; 0 needs no unit. */
static bool
parse_time(struct word w, int64_t min, int64_t *out)
{
	uint64_t unit, value;

	if (min == 0 && word_is(w, "0"))
		unit = 1;
	else if (take_suffix(&w, "ms"))
		unit = 1;
	else if (take_suffix(&w, "s"))
		unit = 1000;
	else if (take_suffix(&w, "m"))
		unit = 60 * 1000;
	else if (take_suffix(&w, "h"))
		unit = 3600 * 1000;
	else
		return false;
	if (!parse_number(w, (uint64_t)min, WEEK_MS / unit, &value))
		return false;
	*out = (int64_t)(value * unit);
	return true;
}

/* ---- arena --------------------------------------------------------------- */

static char *
rules_begin(const struct config *cfg)
{
	return cfg->arena + cfg->arena_size -
	    (cfg->rules * sizeof(struct rule));
}

static void *
arena_take(struct line *l, size_t n)
{
	struct config *cfg = l->cfg;
	size_t room = (size_t)(rules_begin(cfg) - cfg->arena) - cfg->arena_used;
	void *p = cfg->arena + cfg->arena_used;

	n = (n + sizeof(void *) - 1) & ~(sizeof(void *) - 1);
	if (n > room) {
		(void)fail(l, "the configuration is too large");
		return NULL;
	}
	cfg->arena_used += n;
	return p;
}

static const char *
keep_word(struct line *l, struct word w)
{
	char *p = arena_take(l, w.n + 1);

	if (p != NULL) {
		memcpy(p, w.p, w.n);
		p[w.n] = '\0';
	}
	return p;
}

/* ---- single values ------------------------------------------------------- */

static bool
add_listen(struct line *l, const struct addr *at, bool optional)
{
	struct config *cfg = l->cfg;

	if (cfg->listens == LISTENERS_MAX)
		return fail(l, "listen: more than %d addresses",
		    LISTENERS_MAX);
	cfg->listen[cfg->listens].at = *at;
	cfg->listen[cfg->listens++].optional = optional;
	return true;
}

/* "*:PORT" is both families, of which one may be missing. */
static bool
add_both(struct line *l, const char *four, const char *six, uint16_t port)
{
	struct addr a;

	(void)addr_parse(four, strlen(four), &a);
	a.port = port;
	if (!add_listen(l, &a, true))
		return false;
	(void)addr_parse(six, strlen(six), &a);
	a.port = port;
	return add_listen(l, &a, true);
}

/* Cut ":PORT" off; false if it is not there.  0 lets the kernel choose. */
static bool
take_port(struct word *w, uint16_t *port)
{
	struct word digits = *w;
	uint64_t value;

	while (digits.n > 0 && w->p[digits.n - 1] != ':')
		digits.n--;
	if (digits.n == 0)
		return false;
	digits.p = w->p + digits.n;
	digits.n = w->n - digits.n;
	w->n -= digits.n + 1;
	if (!parse_number(digits, 0, 65535, &value))
		return false;
	*port = (uint16_t)value;
	return true;
}

/* ADDRESS:PORT or [IPv6]:PORT */
static bool
parse_endpoint(struct word w, struct addr *a)
{
	uint16_t port;
	bool bracketed;

	if (!take_port(&w, &port))
		return false;
	bracketed = w.n > 2 && w.p[0] == '[' && w.p[w.n - 1] == ']';
	if (bracketed) {
		w.p++;
		w.n -= 2;
	}
	if (!addr_parse(w.p, w.n, a) || bracketed != (a->family == 6))
		return false;
	a->port = port;
	return true;
}

static bool
parse_listen(struct line *l)
{
	struct word w = l->word[1];
	struct addr a;
	uint16_t port;

	if (take_port(&w, &port) && word_is(w, "*"))
		return add_both(l, "0.0.0.0", "::", port);
	if (!parse_endpoint(l->word[1], &a))
		return fail_word(l, "listen", l->word[1],
		    "ADDRESS:PORT, [IPv6]:PORT or *:PORT");
	return add_listen(l, &a, false);
}

static bool
is_token_char(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
	    (c >= 'A' && c <= 'Z') ||
	    (c != '\0' && strchr("!#$%&'*+-.^_`|~", c) != NULL);
}

/* A token in HTTP and, beginning with a letter, in RFC 8941 too. */
static bool
parse_name(struct line *l)
{
	struct word w = l->word[1];
	size_t i = 0;

	while (i < w.n && is_token_char(w.p[i]))
		i++;
	if (i < w.n || w.n > NAME_TOKEN_MAX || (w.p[0] | 0x20) < 'a' ||
	    (w.p[0] | 0x20) > 'z')
		return fail_word(l, "name", w, "a token of at most 63 "
		    "characters that begins with a letter");
	l->cfg->name = keep_word(l, w);
	return l->cfg->name != NULL;
}

static bool
parse_count(struct line *l, unsigned min, unsigned *out)
{
	char expected[32];
	uint64_t value;

	(void)snprintf(expected, sizeof expected, "%u-%d", min, TUNNELS_MAX);
	if (!parse_number(l->word[1], min, TUNNELS_MAX, &value))
		return fail_word(l, min == 0 ? "tunnels-per-client" : "tunnels",
		    l->word[1], expected);
	*out = (unsigned)value;
	return true;
}

static bool
parse_tunnels(struct line *l)
{
	return parse_count(l, 1, &l->cfg->tunnels);
}

static bool
parse_tunnels_per_client(struct line *l)
{
	return parse_count(l, 0, &l->cfg->tunnels_per_client);
}

static bool
parse_buffer(struct line *l)
{
	uint64_t value;

	if (!parse_size(l->word[1], BUFFER_MAX, &value) ||
	    value < BUFFER_MIN || (value & (value - 1)) != 0)
		return fail_word(l, "buffer", l->word[1],
		    "a power of two from 4k to 1m");
	l->cfg->buffer = (size_t)value;
	return true;
}

static const char *const timeout_names[TIMEOUTS] = {
	[TIMEOUT_REQUEST] = "request",
	[TIMEOUT_CONNECT] = "connect",
	[TIMEOUT_IDLE] = "idle",
	[TIMEOUT_HALF] = "half",
	[TIMEOUT_DRAIN] = "drain"
};

/* Which one the line means; TIMEOUTS if none. */
static unsigned
timeout_index(const struct line *l)
{
	unsigned i;

	for (i = 0; i < TIMEOUTS; i++)
		if (l->words > 1 && word_is(l->word[1], timeout_names[i]))
			break;
	return i;
}

static bool
parse_timeout(struct line *l)
{
	unsigned i = timeout_index(l);
	int64_t min = i == TIMEOUT_HALF || i == TIMEOUT_DRAIN ? 0 : 1;

	if (i == TIMEOUTS)
		return fail_word(l, "timeout", l->word[1],
		    "request, connect, idle, half or drain");
	if (!parse_time(l->word[2], min, &l->cfg->timeout[i]))
		return fail_word(l, "timeout", l->word[2],
		    "500ms, 10s, 5m, 1h or such, up to a week");
	return true;
}

static bool
parse_hosts(struct line *l)
{
	l->cfg->hosts = keep_word(l, l->word[1]);
	return l->cfg->hosts != NULL;
}

static bool
parse_resolv(struct line *l)
{
	l->cfg->resolv = keep_word(l, l->word[1]);
	return l->cfg->resolv != NULL;
}

static bool
parse_nat64(struct line *l)
{
	struct addr *a = &l->cfg->nat64;
	struct word w = l->word[1];

	if (!addr_parse_cidr(w.p, w.n, a) || a->family != 6 ||
	    (a->bits != 96 && (a->bits < 32 || a->bits > 64 ||
	    a->bits % 8 != 0)))
		return fail_word(l, "nat64", w,
		    "PREFIX/BITS with 32, 40, 48, 56, 64 or 96 bits");
	return true;
}

static bool
parse_nameserver(struct line *l)
{
	struct config *cfg = l->cfg;
	struct word w = l->word[1];
	struct server s;

	memset(&s, 0, sizeof s);
	if (!names_parse_server(w.p, w.n, &s) &&
	    (!parse_endpoint(w, &s.addr) || s.addr.port == 0))
		return fail_word(l, "nameserver", w,
		    "ADDRESS, ADDRESS:PORT or [IPv6]:PORT");
	if (cfg->servers == SERVERS_MAX)
		return fail(l, "nameserver: more than %d", SERVERS_MAX);
	cfg->server[cfg->servers++] = s;
	return true;
}

static bool
parse_log(struct line *l)
{
	if (word_is(l->word[1], "stderr"))
		return true;
	return fail(l, "log: only 'stderr' in this version");
}

static bool
parse_log_level(struct line *l)
{
	static const char *const names[] = {
		[LEVEL_ERROR] = "error",
		[LEVEL_WARNING] = "warning",
		[LEVEL_NOTICE] = "notice",
		[LEVEL_INFO] = "info",
		[LEVEL_DEBUG] = "debug"
	};
	unsigned i;

	for (i = 0; i < sizeof names / sizeof names[0]; i++)
		if (word_is(l->word[1], names[i])) {
			l->cfg->log_level = (enum log_level)i;
			return true;
		}
	return fail_word(l, "log-level", l->word[1],
	    "error, warning, notice, info or debug");
}

/* ---- rules --------------------------------------------------------------- */

static bool
parse_net(struct word w, struct addr *net)
{
	bool v6;

	if (addr_parse(w.p, w.n, net))
		net->bits = net->family == 4 ? 32 : 128;
	else if (!addr_parse_cidr(w.p, w.n, net))
		return false;
	v6 = net->family == 6;
	addr_canonical(net);
	if (v6 && net->family == 4)
		net->bits = (uint8_t)(net->bits - 96);
	return true;
}

static bool
parse_class(struct word w, struct matcher *m)
{
	m->kind = MATCH_CLASS;
	if (word_is(w, "private"))
		m->classes = CLASS_PRIVATE;
	else if (word_is(w, "loopback"))
		m->classes = CLASS_LOOPBACK;
	else if (word_is(w, "linklocal"))
		m->classes = CLASS_LINKLOCAL;
	else if (word_is(w, "public"))
		m->kind = MATCH_PUBLIC;
	else if (word_is(w, "any"))
		m->kind = MATCH_ANY;
	else
		return false;
	return true;
}

static bool
parse_who(struct line *l, struct word w, struct matcher *m)
{
	if (parse_class(w, m) && m->kind != MATCH_PUBLIC &&
	    m->classes != CLASS_LINKLOCAL)
		return true;
	m->kind = MATCH_NET;
	if (parse_net(w, &m->net))
		return true;
	return fail_word(l, "from", w, "any, loopback, private, an address "
	    "or ADDRESS/BITS with no bits behind the prefix");
}

static bool
parse_what(struct line *l, struct word w, struct matcher *m)
{
	struct word name = w;

	if (parse_class(w, m))
		return true;
	m->kind = MATCH_NET;
	if (parse_net(w, &m->net))
		return true;
	m->kind = MATCH_NAME;
	if (w.n > 1 && w.p[0] == '.') {
		m->kind = MATCH_NAME_TREE;
		name.p++;
		name.n--;
	} else if (w.n > 2 && w.p[0] == '*' && w.p[1] == '.') {
		m->kind = MATCH_NAME_BELOW;
		name.p += 2;
		name.n -= 2;
	}
	if (!dns_name_ok(name.p, name.n))
		return fail_word(l, "to", w, "any, public, private, loopback, "
		    "linklocal, an address, ADDRESS/BITS, or a name");
	m->name = keep_word(l, name);
	m->name_len = name.n;
	return m->name != NULL;
}

static bool
parse_matchers(struct line *l, struct word list,
    bool (*parse)(struct line *, struct word, struct matcher *),
    const struct matcher **out, unsigned *count)
{
	unsigned i, n = count_elements(list);
	struct matcher *m = arena_take(l, n * sizeof *m);

	if (m == NULL)
		return false;
	memset(m, 0, n * sizeof *m);
	for (i = 0; i < n; i++)
		if (!parse(l, next_element(&list), &m[i]))
			return false;
	*out = m;
	*count = n;
	return true;
}

static bool
parse_from(struct line *l, struct word list, struct rule *r)
{
	return parse_matchers(l, list, parse_who, &r->from, &r->froms);
}

static bool
parse_to(struct line *l, struct word list, struct rule *r)
{
	return parse_matchers(l, list, parse_what, &r->to, &r->tos);
}

/* N, N-M or any */
static bool
parse_range(struct line *l, struct word w, struct port_range *range)
{
	struct word first = w, last = w;
	uint64_t a = 1, b = 65535;
	size_t dash;

	for (dash = 0; dash < w.n && w.p[dash] != '-'; dash++)
		;
	if (dash < w.n) {
		first.n = dash;
		last.p += dash + 1;
		last.n -= dash + 1;
	}
	if (!word_is(w, "any") && (!parse_number(first, 1, 65535, &a) ||
	    !parse_number(last, 1, 65535, &b)))
		return fail_word(l, "port", w, "1-65535");
	if (a > b)
		return fail_word(l, "port", w, "the smaller number first");
	range->first = (uint16_t)a;
	range->last = (uint16_t)b;
	return true;
}

static bool
parse_port(struct line *l, struct word list, struct rule *r)
{
	unsigned i, n = count_elements(list);
	struct port_range *range = arena_take(l, n * sizeof *range);

	if (range == NULL)
		return false;
	for (i = 0; i < n; i++)
		if (!parse_range(l, next_element(&list), &range[i]))
			return false;
	r->port = range;
	r->ports = n;
	return true;
}

static const struct rule_part {
	const char	*name;
	bool		(*parse)(struct line *, struct word, struct rule *);
} rule_parts[] = {
	{ "from", parse_from },
	{ "to", parse_to },
	{ "port", parse_port },
	{ "user", NULL },
	{ "via", NULL },
	{ "login", NULL },
	{ "source", NULL },
	{ "device", NULL },
	{ "mark", NULL },
	{ NULL, NULL }
};

static bool
parse_rule_part(struct line *l, unsigned i, struct rule *r, unsigned *seen)
{
	const struct rule_part *part = rule_parts;
	unsigned bit;

	while (part->name != NULL && !word_is(l->word[i], part->name))
		part++;
	if (part->name == NULL)
		return fail_word(l, "rule", l->word[i], "from, to or port");
	if (part->parse == NULL)
		return fail_later(l, part->name);
	bit = 1u << (part - rule_parts);
	if (*seen & bit)
		return fail(l, "%s: given twice in one rule", part->name);
	*seen |= bit;
	if (i + 1 == l->words)
		return fail(l, "%s: a value is missing", part->name);
	return part->parse(l, l->word[i + 1], r);
}

/*
 * An allow rule that does not speak of ports means 443: opening more than that
 * must be said.  A deny rule that does not means all of them, for the same
 * reason: forgetting a word must not open anything.
 */
static bool
parse_rule(struct line *l)
{
	static const struct port_range https = { 443, 443 };
	struct config *cfg = l->cfg;
	struct rule r;
	unsigned i, seen = 0;

	memset(&r, 0, sizeof r);
	r.allow = word_is(l->word[0], "allow");
	r.file = l->file;
	r.line = l->number;
	for (i = 1; i < l->words; i += 2)
		if (!parse_rule_part(l, i, &r, &seen))
			return false;
	if (r.allow && r.ports == 0) {
		r.port = &https;
		r.ports = 1;
	}
	if ((size_t)(rules_begin(cfg) - cfg->arena) - cfg->arena_used <
	    sizeof r)
		return fail(l, "the configuration is too large");
	cfg->rules++;
	memcpy(rules_begin(cfg), &r, sizeof r);
	return true;
}

/* ---- directives ---------------------------------------------------------- */

static const struct directive directives[] = {
	{ "listen", 1, true, parse_listen },
	{ "user", 1, false, NULL },
	{ "name", 1, false, parse_name },
	{ "tunnels", 1, false, parse_tunnels },
	{ "tunnels-per-client", 1, false, parse_tunnels_per_client },
	{ "buffer", 1, false, parse_buffer },
	{ "timeout", 2, false, parse_timeout },
	{ "park", 1, false, NULL },
	{ "express", 1, false, NULL },
	{ "nameserver", 1, true, parse_nameserver },
	{ "hosts", 1, false, parse_hosts },
	{ "resolv", 1, false, parse_resolv },
	{ "nat64", 1, false, parse_nat64 },
	{ "logins", 1, false, NULL },
	{ "realm", 1, false, NULL },
	{ "log", 1, false, parse_log },
	{ "log-level", 1, false, parse_log_level },
	{ "allow", 0, true, parse_rule },
	{ "deny", 0, true, parse_rule }
};

#define DIRECTIVES (sizeof directives / sizeof directives[0])

/* Its bit in `seen`; each time-out has one of its own. */
static uint32_t
seen_bit(const struct line *l, const struct directive *d)
{
	if (d->parse == parse_timeout)
		return (uint32_t)1 << (DIRECTIVES + timeout_index(l));
	return (uint32_t)1 << (d - directives);
}

/* Parse it; of a file's directive that an option overrides, nothing stays. */
static bool
take_directive(struct line *l, const struct directive *d)
{
	struct config *cfg = l->cfg, before = *cfg;
	uint32_t bit = seen_bit(l, d);
	uint32_t *seen = l->option ? &cfg->seen_option : &cfg->seen_file;
	bool overridden = !l->option && (before.seen_option & bit) &&
	    d->parse != parse_rule;

	if (!d->repeatable && (*seen & bit))
		return fail(l, "%s%s%s: given twice", d->name,
		    d->parse == parse_timeout ? " " : "",
		    d->parse == parse_timeout ?
		    timeout_names[timeout_index(l)] : "");
	if (overridden)		/* the option's do not fill the table */
		cfg->listens = cfg->servers = 0;
	if (!d->parse(l))
		return false;
	if (overridden)
		*cfg = before;
	*seen |= bit;
	return true;
}

static bool
take_line(struct line *l, const char *p, size_t n)
{
	size_t i;

	if (!split_words(l, p, n))
		return false;
	if (l->words == 0)
		return true;
	for (i = 0; i < DIRECTIVES; i++)
		if (word_is(l->word[0], directives[i].name))
			break;
	if (i == DIRECTIVES)
		return fail_word(l, "directive", l->word[0],
		    "one of those in connectd.conf(5)");
	if (directives[i].parse == NULL)
		return fail_later(l, directives[i].name);
	if (directives[i].arguments > 0 &&
	    l->words != directives[i].arguments + 1)
		return fail(l, "%s: expected %u word%s behind it",
		    directives[i].name, directives[i].arguments,
		    directives[i].arguments == 1 ? "" : "s");
	return take_directive(l, &directives[i]);
}

/* ---- public -------------------------------------------------------------- */

size_t
config_memory(size_t file_size)
{
	/* The densest text is a list of one-letter names: 2 bytes of file for
	 * one matcher and its word.  Untouched memory costs nothing. */
	return 4096 + file_size * (sizeof(struct matcher) + 8);
}

void
config_init(struct config *cfg, char *arena, size_t size)
{
	memset(cfg, 0, sizeof *cfg);
	cfg->name = "connectd";
	cfg->tunnels = 256;
	cfg->tunnels_per_client = 64;
	cfg->buffer = (size_t)32 * 1024;
	cfg->timeout[TIMEOUT_REQUEST] = 10 * 1000;
	cfg->timeout[TIMEOUT_CONNECT] = 30 * 1000;
	cfg->timeout[TIMEOUT_IDLE] = 3600 * 1000;
	cfg->timeout[TIMEOUT_HALF] = 30 * 1000;
	cfg->timeout[TIMEOUT_DRAIN] = 4 * 1000;
	cfg->hosts = "/etc/hosts";
	cfg->resolv = "/etc/resolv.conf";
	cfg->log_level = LEVEL_INFO;
	cfg->arena = arena;
	cfg->arena_size = size & ~(sizeof(void *) - 1);
}

bool
config_option(struct config *cfg, unsigned n, const char *text, size_t len,
    char *error)
{
	struct line l = { cfg, "-o", n, true, { { NULL, 0 } }, 0, error };

	return take_line(&l, text, len);
}

bool
config_file(struct config *cfg, const char *file, const char *text, size_t len,
    char *error)
{
	struct line l = { cfg, file, 0, false, { { NULL, 0 } }, 0, error };
	size_t i, start = 0;

	for (i = 0; i <= len; i++) {
		if (i < len && text[i] != '\n')
			continue;
		l.number++;
		if (!take_line(&l, text + start, i - start))
			return false;
		start = i + 1;
	}
	return true;
}

void
config_finish(struct config *cfg)
{
	static const char rule[] = "allow from loopback to public port 443";
	char error[CONFIG_ERROR_MAX];
	struct line l = { cfg, "built-in", 1, true, { { NULL, 0 } }, 0, error };
	struct rule swap;
	unsigned i;

	if (cfg->listens == 0)
		(void)add_both(&l, "127.0.0.1", "::1", LISTEN_DEFAULT);
	if (cfg->rules == 0)
		(void)take_line(&l, rule, sizeof rule - 1);
	cfg->rule = (struct rule *)(void *)rules_begin(cfg);
	for (i = 0; i < cfg->rules / 2; i++) {
		swap = cfg->rule[i];
		cfg->rule[i] = cfg->rule[cfg->rules - 1 - i];
		cfg->rule[cfg->rules - 1 - i] = swap;
	}
}
