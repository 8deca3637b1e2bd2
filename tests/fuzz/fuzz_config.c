/* SPDX-License-Identifier: ISC */
/*
 * fuzz_config.c - the text of the configuration.
 *
 * The first byte says how many of the first lines are given as options, the
 * next two where the file is cut off; the rest is text.
 *
 * What a cut can do.  A rule has no end mark, so a cut in the middle of an
 * allow rule can widen it: "allow to .example.com" becomes "allow".  What
 * holds is this: a file that was cut allows nothing that the whole file does
 * not allow, but by an allow rule in the cut line itself, or by the built-in
 * rule if no other one is left.  And an error leaves no rules at all.
 */
#include "fuzz.h"
#include "judge.h"

#define FILE_NAME	"c.conf"
#define OPTIONS_MAX	3
#define FACTS		64

struct text {
	char		*p;
	size_t		 n, size;
};

struct parsed {
	bool		ok;
	struct config	cfg;
	char		*arena, *error;
};

/* ---- texts ----------------------------------------------------------------- */

static void
put(struct text *t, const char *p, size_t n)
{
	if (t->size - t->n < n) {
		t->size = 2 * t->size + n;
		t->p = realloc(t->p, t->size);
		must(t->p != NULL, "there is memory");
	}
	if (n > 0)
		memcpy(t->p + t->n, p, n);
	t->n += n;
}

static void
put_string(struct text *t, const char *s)
{
	put(t, s, strlen(s));
}

static void
put_number(struct text *t, unsigned long n)
{
	char digits[24];

	(void)snprintf(digits, sizeof digits, "%lu", n);
	put_string(t, digits);
}

static size_t
line_length(const char *p, size_t n)
{
	const char *end = n > 0 ? memchr(p, '\n', n) : NULL;

	return end == NULL ? n : (size_t)(end - p);
}

static unsigned
count_lines(const char *p, size_t n)
{
	unsigned lines = 1;
	size_t i;

	for (i = 0; i < n; i++)
		if (p[i] == '\n')
			lines++;
	return lines;
}

/* ---- parsing --------------------------------------------------------------- */

/* FILE:LINE: and more, a line of ASCII, never "too large". */
static void
check_error(const char *error, const char *file, unsigned lines)
{
	size_t n = strlen(file), i;
	char *end;
	unsigned long line;

	must(strncmp(error, file, n) == 0 && error[n] == ':',
	    "an error begins with the file");
	line = strtoul(error + n + 1, &end, 10);
	must(line >= 1 && line <= lines && strncmp(end, ": ", 2) == 0 &&
	    end[2] != '\0', "then comes the line");
	must(memchr(error, '\0', CONFIG_ERROR_MAX - 1) != NULL,
	    "an error is not cut");
	for (i = 0; error[i] != '\0'; i++)
		must(error[i] >= ' ' && error[i] <= '~',
		    "an error is a line of text");
	must(strstr(error, "too large") == NULL, "config_memory suffices");
}

static bool
take_options(struct parsed *x, const struct text *option, unsigned options)
{
	unsigned i;
	char *copy;

	for (i = 0; x->ok && i < options; i++) {
		copy = copy_of(option[i].p, option[i].n);
		x->ok = config_option(&x->cfg, i + 1, copy, option[i].n,
		    x->error);
		free(copy);
	}
	if (!x->ok)
		check_error(x->error, "-o", i);
	return x->ok;
}

/* Texts are gone when the result is looked at. */
static void
parse(struct parsed *x, const struct text *option, unsigned options,
    const char *p, size_t n)
{
	size_t room = n;
	unsigned i;
	char *copy = copy_of(p, n);

	for (i = 0; i < options; i++)
		room += option[i].n;
	room = config_memory(room);
	x->arena = room_for(room);
	x->error = room_for(CONFIG_ERROR_MAX);
	memset(x->error, 'x', CONFIG_ERROR_MAX);
	config_init(&x->cfg, x->arena, room);
	x->ok = true;
	if (take_options(x, option, options)) {
		x->ok = config_file(&x->cfg, FILE_NAME, copy, n, x->error);
		if (!x->ok)
			check_error(x->error, FILE_NAME, count_lines(p, n));
	}
	free(copy);
	if (x->ok)
		config_finish(&x->cfg);
	else
		must(x->cfg.rule == NULL, "an error leaves no rules");
}

static void
done(struct parsed *x)
{
	free(x->arena);
	free(x->error);
}

/* ---- the same configuration? ----------------------------------------------- */

static bool
same_matchers(const struct matcher *a, const struct matcher *b, unsigned n)
{
	unsigned i;

	for (i = 0; i < n; i++)
		if (a[i].kind != b[i].kind || a[i].classes != b[i].classes ||
		    memcmp(&a[i].net, &b[i].net, sizeof a[i].net) != 0 ||
		    a[i].name_len != b[i].name_len ||
		    (a[i].name_len > 0 && memcmp(a[i].name, b[i].name,
		    a[i].name_len) != 0))
			return false;
	return true;
}

static bool
same_rule(const struct rule *a, const struct rule *b)
{
	unsigned i;

	if (a->allow != b->allow || a->froms != b->froms ||
	    a->tos != b->tos || a->ports != b->ports)
		return false;
	for (i = 0; i < a->ports; i++)
		if (a->port[i].first != b->port[i].first ||
		    a->port[i].last != b->port[i].last)
			return false;
	return same_matchers(a->from, b->from, a->froms) &&
	    same_matchers(a->to, b->to, a->tos);
}

static bool
same_config(const struct config *a, const struct config *b)
{
	unsigned i;

	if (a->listens != b->listens || strcmp(a->name, b->name) != 0 ||
	    a->tunnels != b->tunnels || a->buffer != b->buffer ||
	    a->tunnels_per_client != b->tunnels_per_client ||
	    memcmp(a->timeout, b->timeout, sizeof a->timeout) != 0 ||
	    strcmp(a->hosts, b->hosts) != 0 || a->rules != b->rules ||
	    a->log_level != b->log_level)
		return false;
	for (i = 0; i < a->listens; i++)
		if (a->listen[i].optional != b->listen[i].optional ||
		    memcmp(&a->listen[i].at, &b->listen[i].at,
		    sizeof a->listen[i].at) != 0)
			return false;
	for (i = 0; i < a->rules; i++)
		if (!same_rule(&a->rule[i], &b->rule[i]))
			return false;
	return true;
}

/* ---- printing -------------------------------------------------------------- */

static void
put_addr(struct text *t, const struct addr *a)
{
	char out[INET6_ADDRSTRLEN];

	(void)inet_ntop(a->family == 6 ? AF_INET6 : AF_INET, a->ip, out,
	    sizeof out);
	put_string(t, out);
}

/* Only "*" makes optional ones, two at a time, and the built-in ones are so
 * without a word. */
static void
put_listens(struct text *t, const struct config *cfg)
{
	const struct listen *l;

	for (l = cfg->listen; l < cfg->listen + cfg->listens; l++) {
		if (l->optional && l->at.ip[0] == 127)
			return;
		put_string(t, "listen ");
		if (l->optional) {
			put_string(t, "*");
			l++;
			must(l < cfg->listen + cfg->listens && l->optional,
			    "the optional ones come in pairs");
		} else if (l->at.family == 4)
			put_addr(t, &l->at);
		else {
			put_string(t, "[");
			put_addr(t, &l->at);
			put_string(t, "]");
		}
		put_string(t, ":");
		put_number(t, l->at.port);
		put_string(t, "\n");
	}
}

static void
put_values(struct text *t, const struct config *cfg)
{
	static const char *const level[] = { "error", "warning", "notice",
	    "info", "debug" };
	static const char *const timeout[TIMEOUTS] = { "request", "connect",
	    "idle", "half", "drain" };
	unsigned i;

	put_string(t, "name ");
	put_string(t, cfg->name);
	put_string(t, "\ntunnels ");
	put_number(t, cfg->tunnels);
	put_string(t, "\ntunnels-per-client ");
	put_number(t, cfg->tunnels_per_client);
	put_string(t, "\nbuffer ");
	put_number(t, cfg->buffer);
	for (i = 0; i < TIMEOUTS; i++) {
		put_string(t, "\ntimeout ");
		put_string(t, timeout[i]);
		put_string(t, " ");
		put_number(t, (unsigned long)cfg->timeout[i]);
		put_string(t, "ms");
	}
	put_string(t, "\nlog-level ");
	put_string(t, level[cfg->log_level]);
	put_string(t, "\nhosts ");
	put_string(t, cfg->hosts);
	put_string(t, "\n");
}

static void
put_matcher(struct text *t, const struct matcher *m)
{
	switch (m->kind) {
	case MATCH_ANY:
		put_string(t, "any");
		break;
	case MATCH_PUBLIC:
		put_string(t, "public");
		break;
	case MATCH_CLASS:
		put_string(t, m->classes == CLASS_LOOPBACK ? "loopback" :
		    m->classes == CLASS_PRIVATE ? "private" : "linklocal");
		break;
	case MATCH_NET:
		put_addr(t, &m->net);
		put_string(t, "/");
		put_number(t, m->net.bits);
		break;
	case MATCH_NAME_BELOW:
		put_string(t, "*");
		/* FALLTHROUGH */
	case MATCH_NAME_TREE:
		put_string(t, ".");
		/* FALLTHROUGH */
	case MATCH_NAME:
		put(t, m->name, m->name_len);
		must(m->name[m->name_len] == '\0', "a name ends");
		break;
	}
}

static void
put_rule(struct text *t, const struct rule *r)
{
	unsigned i;

	put_string(t, r->allow ? "allow" : "deny");
	for (i = 0; i < r->ports; i++) {
		put_string(t, i == 0 ? " port " : ",");
		put_number(t, r->port[i].first);
		put_string(t, "-");
		put_number(t, r->port[i].last);
	}
	for (i = 0; i < r->tos; i++) {
		put_string(t, i == 0 ? " to " : ",");
		put_matcher(t, &r->to[i]);
	}
	for (i = 0; i < r->froms; i++) {
		put_string(t, i == 0 ? " from " : ",");
		put_matcher(t, &r->from[i]);
	}
	put_string(t, "\n");
}

/* ---- decisions ------------------------------------------------------------- */

/* The clients and ports, and the targets, of which each one meets each one. */
static const struct {
	const char	*client;
	uint16_t	port;
} asks[] = {
	{ "127.0.0.1", 443 },
	{ "10.0.0.1", 22 },
	{ "8.8.8.8", 443 },
	{ "2001:db8::1", 80 }
};

static const struct {
	const char	*name, *address;
} targets[] = {
	{ "", "8.8.8.8" }, { "", "10.0.0.1" }, { "", "127.0.0.1" },
	{ "", "64:ff9b::a00:1" }, { "", "2002:808:808::1" },
	{ "", "fc00::1" }, { "", "2600::1" }, { "", "fe80::1" },
	{ "a.b", "8.8.8.8" }, { "a.b", "192.168.1.10" },
	{ "a.b", "127.0.0.1" }, { "a.b", NULL },
	{ "www.example.com", "2001:db8::1" }, { "www.example.com", NULL },
	{ "example.com", NULL }, { "a", "0.0.0.0" }
};

/* The ith of the facts; the addresses live until the next call. */
static void
make_facts(unsigned i, struct facts *q)
{
	static struct addr client, address;

	client = judge_addr(asks[i % 4].client);
	memset(q, 0, sizeof *q);
	q->client = &client;
	q->port = asks[i % 4].port;
	q->name = targets[i / 4].name;
	q->name_len = strlen(q->name);
	if (targets[i / 4].address != NULL) {
		address = judge_addr(targets[i / 4].address);
		q->address = &address;
	}
}

static void
check_reason(const struct facts *q, const struct verdict *v)
{
	char *out = room_for(REASON_MAX);
	size_t i;

	memset(out, 'x', REASON_MAX);
	must(policy_explain(q, v, out) == out, "it returns out");
	must(out[0] != '\0' && memchr(out, '\0', REASON_MAX) != NULL,
	    "there is a reason");
	for (i = 0; out[i] != '\0'; i++)
		must(out[i] >= ' ' && out[i] <= '~',
		    "a reason is a line of text");
	free(out);
}

/* The second judge is slow and asked about some of the facts only. */
static void
check_decisions(const struct config *a, const struct config *b, unsigned seed)
{
	struct verdict va, vb, wanted;
	struct facts q;
	unsigned i;

	for (i = 0; i < FACTS; i++) {
		make_facts(i, &q);
		policy_decide(a->rule, a->rules, &q, &va);
		policy_decide(b->rule, b->rules, &q, &vb);
		must(va.action == vb.action && va.denial == vb.denial &&
		    va.classes == vb.classes && (va.rule == NULL ? vb.rule ==
		    NULL : va.rule - a->rule == vb.rule - b->rule),
		    "the same rules decide the same");
		if ((i + seed) % 8 != 0)
			continue;
		judge_decide(a->rule, a->rules, &q, &wanted);
		must(judge_same(&va, &wanted), "rules decide as judge.h does");
		if (va.action == DENY)
			check_reason(&q, &va);
	}
}

/* ---- properties ------------------------------------------------------------ */

static void
check_printed(const struct config *cfg, unsigned seed)
{
	struct text t = { NULL, 0, 0 };
	struct parsed again;
	unsigned i;

	put_listens(&t, cfg);
	put_values(&t, cfg);
	for (i = 0; i < cfg->rules; i++)
		put_rule(&t, &cfg->rule[i]);
	parse(&again, NULL, 0, t.p, t.n);
	must(again.ok, "what was printed is accepted");
	must(same_config(&again.cfg, cfg), "what was printed means the same");
	check_decisions(cfg, &again.cfg, seed);
	done(&again);
	free(t.p);
}

/* The file as it is, and in another form that must mean the same. */
static void
check_form(const struct parsed *x, const struct text *option,
    unsigned options, const char *p, size_t n)
{
	struct parsed y;
	unsigned i;

	parse(&y, option, options, p, n);
	must(x->ok == y.ok, "line ends do not matter");
	if (x->ok) {
		must(same_config(&x->cfg, &y.cfg), "line ends change nothing");
		for (i = 0; i < x->cfg.rules; i++)
			must(x->cfg.rule[i].line == y.cfg.rule[i].line &&
			    strcmp(x->cfg.rule[i].file,
			    y.cfg.rule[i].file) == 0,
			    "a rule stands where it stood");
	} else
		must(strcmp(x->error, y.error) == 0, "the same is wrong");
	done(&y);
}

static void
check_line_ends(const struct parsed *x, const struct text *option,
    unsigned options, const char *p, size_t n)
{
	struct text crlf = { NULL, 0, 0 };
	size_t i;

	for (i = 0; i < n; i++)
		put(&crlf, p[i] == '\n' ? "\r\n" : p + i, p[i] == '\n' ? 2 : 1);
	check_form(x, option, options, crlf.p, crlf.n);
	free(crlf.p);
	if (n > 0 && p[n - 1] == '\n')
		check_form(x, option, options, p, n - 1);
}

/* See the beginning of the file. */
static void
check_cut(const struct config *whole, const struct text *option,
    unsigned options, const char *p, size_t cut)
{
	struct parsed x;
	struct verdict v, before;
	struct facts q;
	unsigned i, last = count_lines(p, cut);

	parse(&x, option, options, p, cut);
	for (i = 0; x.ok && i < FACTS; i++) {
		make_facts(i, &q);
		policy_decide(x.cfg.rule, x.cfg.rules, &q, &v);
		policy_decide(whole->rule, whole->rules, &q, &before);
		if (v.action != ALLOW || before.action == ALLOW)
			continue;
		must(strcmp(v.rule->file, "built-in") == 0 ||
		    (strcmp(v.rule->file, FILE_NAME) == 0 &&
		    v.rule->line == last),
		    "a cut opens nothing but by the line it cuts");
	}
	done(&x);
}

/* The first word of the line, which holds no NUL; of a time-out, both. */
static struct text
directive_of(const struct text *line)
{
	struct text w = { line->p, 0, 0 };
	size_t i = 0, words = 1;

	while (i < line->n && strchr(" \t\r", line->p[i]) != NULL)
		i++;
	w.p = line->p + i;
	for (; words > 0 && i < line->n; words--) {
		while (i < line->n && strchr(" \t\r", line->p[i]) != NULL)
			i++;
		while (i < line->n && strchr(" \t\r#", line->p[i]) == NULL)
			i++;
		w.n = (size_t)(line->p + i - w.p);
		if (w.n == 7 && memcmp(w.p, "timeout", 7) == 0)
			words++;
	}
	return w;
}

/* Blanks between the two words of a time-out may differ. */
static bool
same_words(struct text a, struct text b)
{
	while (a.n > 0 && b.n > 0 && a.p[a.n - 1] == b.p[b.n - 1] &&
	    strchr(" \t\r", a.p[a.n - 1]) == NULL) {
		a.n--;
		b.n--;
	}
	if (a.n > 7 && b.n > 7 && memcmp(a.p, "timeout", 7) == 0)
		return memcmp(b.p, "timeout", 7) == 0 &&
		    strchr(" \t\r", a.p[a.n - 1]) != NULL &&
		    strchr(" \t\r", b.p[b.n - 1]) != NULL;
	return a.n == 0 && b.n == 0;
}

static bool
overridden(struct text line, const struct text *option, unsigned options)
{
	struct text word = directive_of(&line), other;
	unsigned i;

	if (word.n == 0 || word.p[0] == '#' ||
	    (word.n == 5 && memcmp(word.p, "allow", 5) == 0) ||
	    (word.n == 4 && memcmp(word.p, "deny", 4) == 0))
		return false;
	for (i = 0; i < options; i++) {
		other = directive_of(&option[i]);
		if (same_words(word, other))
			return true;
	}
	return false;
}

/* Options are a file in front of the file, of which those lines are left out
 * that say something else. */
static void
check_options(const struct config *cfg, const struct text *option,
    unsigned options, const char *p, size_t n)
{
	struct text t = { NULL, 0, 0 }, line;
	struct parsed x;
	size_t at;
	unsigned i;

	for (i = 0; i < options; i++) {
		put(&t, option[i].p, option[i].n);
		put_string(&t, "\n");
	}
	for (at = 0; at < n; at += line.n + 1) {
		line.p = copy_of(p + at, line_length(p + at, n - at));
		line.n = line_length(p + at, n - at);
		if (!overridden(line, option, options))
			put(&t, line.p, line.n);
		put_string(&t, "\n");
		free(line.p);
	}
	parse(&x, NULL, 0, t.p, t.n);
	must(x.ok && same_config(&x.cfg, cfg),
	    "an option wins over the file, and its rules stand in front");
	done(&x);
	free(t.p);
}

/* The first lines, as options; what is left of the text. */
static unsigned
split_options(unsigned wanted, struct text *option, char **p, size_t *n)
{
	unsigned i;

	for (i = 0; i < wanted && *n > 0; i++) {
		option[i].n = line_length(*p, *n);
		option[i].p = copy_of(*p, option[i].n);
		*p += option[i].n;
		*n -= option[i].n;
		if (*n > 0) {
			(*p)++;
			(*n)--;
		}
	}
	return i;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct text option[OPTIONS_MAX];
	struct parsed x;
	char *copy, *p;
	size_t n, cut;
	unsigned options;

	if (size < 3)
		return 0;
	n = size - 3;
	p = copy = copy_of(data + 3, n);
	memset(option, 0, sizeof option);
	options = split_options(data[0] % (OPTIONS_MAX + 1), option, &p, &n);
	cut = (data[1] * 256u + data[2]) % (n + 1);
	parse(&x, option, options, p, n);
	check_line_ends(&x, option, options, p, n);
	if (x.ok) {
		must(memchr(data + 3, '\0', size - 3) == NULL,
		    "a NUL is refused");
		check_printed(&x.cfg, data[2]);
		check_options(&x.cfg, option, options, p, n);
		check_cut(&x.cfg, option, options, p, cut);
	}
	done(&x);
	while (options > 0)
		free(option[--options].p);
	free(copy);
	return 0;
}
