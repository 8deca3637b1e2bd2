/* SPDX-License-Identifier: ISC */
/*
 * connectd.c - main: options, start-up order, the loop, signals, listeners.
 *
 * IMPLEMENTATION NOTES
 *
 * Start-up goes: standard descriptors, options, configuration, log, signals,
 * listeners, memory, loop.  Whatever is wrong with the configuration is said
 * before anything is opened.  This is the only file that allocates, and only
 * before the loop begins.
 *
 * Listeners come last in a turn, so that a slot that became free in it is used
 * and a new connection never meets what poll said of an old one.
 */
#define _POSIX_C_SOURCE 200809L	/* getopt */

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "connectd.h"

#define EXIT_USAGE	2
#define DEFAULT_FILE	"/etc/connectd.conf"
#define OPTIONS_MAX	64
#define ACCEPTS_MAX	16	/* a listener and turn; tunnels come first */
#define ACCEPT_PAUSE_MS	100	/* after a lack of descriptors or memory */
#define SHORTAGE_LOG_MS	10000	/* one line about it at most this often */
#define DESCRIPTORS_SPARE 64	/* races, listeners, log, signals, libc */
#define PIPE_ROOM	65536	/* for a configuration from a pipe */
#define HOSTS_ROOM_MIN	((size_t)64 * 1024)
#define HOSTS_ROOM_MAX	((size_t)64 * 1024 * 1024)

struct listener {
	int		fd;
	int		wait;
	struct addr	addr;
};

struct options {
	const char	*file;		/* NULL: the default, if it exists */
	const char	*directive[OPTIONS_MAX];
	unsigned	 directives;
	const char	*query;		/* -q; or NULL */
	bool		 check;
	unsigned	 verbose;
};

static struct {
	struct config	 cfg;
	struct listener	 listener[LISTENERS_MAX];
	struct addr	 own[LISTENERS_MAX];
	unsigned	 listeners;
	struct waits	 waits;
	int		 signals;	/* descriptor */
	int		 signals_wait;
	int64_t		 started;
	int64_t		 accept_after;	/* not before, after a shortage */
	int64_t		 shortage_told;
	int64_t		 drain_until;	/* WAIT_FOREVER: not asked to stop */
} proxy = {
	.drain_until = WAIT_FOREVER,
	.shortage_told = -SHORTAGE_LOG_MS
};

/* ---- words for people ---------------------------------------------------- */

static const char usage_text[] =
"connectd " CONNECTD_VERSION ", a proxy for the HTTP CONNECT method\n"
"usage: connectd [-nv] [-f FILE] [-o DIRECTIVE]... [-q QUESTION]\n"
"       connectd -h | -V\n"
"  -f FILE       configuration, default " DEFAULT_FILE " if it exists\n"
"  -o DIRECTIVE  a directive as in the file, before those in it\n"
"  -n            check the configuration, print what it means, exit\n"
"  -q QUESTION   what the rules say of 'from ADDRESS to HOST:PORT', exit\n"
"  -v            log more\n"
"  -V            print the version, exit (also --version)\n"
"  -h            print this, exit (also --help)\n";

static void
die(int status, const char *what, const char *why)
{
	(void)fprintf(stderr, "connectd: %s%s%s\n", what,
	    why[0] != '\0' ? ": " : "", why);
	exit(status);
}

static void
usage_error(const char *what)
{
	(void)fprintf(stderr, "connectd: %s\n%s", what, usage_text);
	exit(EXIT_USAGE);
}

/* ---- options ------------------------------------------------------------- */

static void
long_options(int argc, char *argv[])
{
	int i;

	for (i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--version") == 0)
			argv[i] = "-V";
		else if (strcmp(argv[i], "--help") == 0)
			argv[i] = "-h";
	}
}

static void
print_and_exit(const char *text)
{
	exit(fputs(text, stdout) < 0 || fflush(stdout) != 0 ?
	    EXIT_FAILURE : EXIT_SUCCESS);
}

static void
take_option(struct options *o, int letter)
{
	switch (letter) {
	case 'f':
		o->file = optarg;
		break;
	case 'o':
		if (o->directives == OPTIONS_MAX)
			usage_error("too many -o");
		o->directive[o->directives++] = optarg;
		break;
	case 'n':
		o->check = true;
		break;
	case 'v':
		o->verbose++;
		break;
	case 'q':
		o->query = optarg;
		break;
	case 'i':
		die(EXIT_USAGE, "-i", "not in this version");
		break;
	case 'V':
		print_and_exit("connectd " CONNECTD_VERSION "\n");
		break;
	case 'h':
		print_and_exit(usage_text);
		break;
	default:
		usage_error("unknown option, or one without its value");
	}
}

static void
parse_options(struct options *o, int argc, char *argv[])
{
	int letter;

	memset(o, 0, sizeof *o);
	long_options(argc, argv);
	opterr = 0;
	while ((letter = getopt(argc, argv, "f:o:nviq:Vh")) != -1)
		take_option(o, letter);
	if (optind < argc)
		usage_error("there is a word that is no option");
}

/* ---- configuration ------------------------------------------------------- */

/* Memory for the life of the process, all zero. */
static void *
allocate(uint64_t n)
{
	void *p = n > SIZE_MAX ? NULL : calloc(1, n > 0 ? (size_t)n : 1);

	if (p == NULL)
		die(EXIT_FAILURE, "no memory for this configuration", "");
	return p;
}

/* The text of the file; *len < 0 is -errno. */
static char *
read_text(const char *file, long *len)
{
	char *text;
	long size = sys_file_size(file);

	*len = size;
	if (size < 0)
		return NULL;
	if (size < PIPE_ROOM)
		size = PIPE_ROOM;	/* what is no file says 0 */
	text = allocate((size_t)size);
	*len = sys_read_file(file, text, (size_t)size);
	return text;
}

static void
configure(const struct options *o)
{
	const char *file = o->file != NULL ? o->file : DEFAULT_FILE;
	char error[CONFIG_ERROR_MAX], *text;
	struct config *cfg = &proxy.cfg;
	size_t room = 0;
	long len;
	unsigned i;

	text = read_text(file, &len);
	if (len < 0 && (o->file != NULL || len != -ENOENT))
		die(EXIT_USAGE, file, strerror((int)-len));
	for (i = 0; i < o->directives; i++)
		room += strlen(o->directive[i]);
	room = config_memory(room + (len > 0 ? (size_t)len : 0));
	config_init(cfg, allocate(room), room);
	for (i = 0; i < o->directives; i++)
		if (!config_option(cfg, i + 1, o->directive[i],
		    strlen(o->directive[i]), error))
			die(EXIT_USAGE, error, "");
	if (len > 0 && !config_file(cfg, file, text, (size_t)len, error))
		die(EXIT_USAGE, error, "");
	free(text);
	config_finish(cfg);
	addr_set_nat64(&cfg->nat64);
	for (i = 0; i < o->verbose && cfg->log_level < LEVEL_DEBUG; i++)
		cfg->log_level = (enum log_level)(cfg->log_level + 1);
}

static size_t
hosts_room(const struct config *cfg)
{
	long size = sys_file_size(cfg->hosts);

	/* Twice, so that the file may grow. */
	if (size < (long)HOSTS_ROOM_MIN / 2)
		return HOSTS_ROOM_MIN;
	return size < (long)HOSTS_ROOM_MAX / 2 ? 2 * (size_t)size :
	    HOSTS_ROOM_MAX;
}

static unsigned
waits_needed(const struct config *cfg)
{
	return tunnel_waits(cfg->tunnels) + resolver_waits() + LISTENERS_MAX +
	    1;
}

/* May be more than a size_t holds. */
static uint64_t
rings_size(const struct config *cfg)
{
	return 2 * (uint64_t)cfg->tunnels * cfg->buffer;
}

static uint64_t
memory_size(const struct config *cfg)
{
	return rings_size(cfg) + relay_memory(cfg->tunnels) +
	    tunnel_memory(cfg->tunnels) + cfg->arena_size +
	    resolver_memory(hosts_room(cfg)) +
	    waits_needed(cfg) * (sizeof(struct pollfd) + sizeof(uint32_t));
}

static unsigned long
descriptors_needed(const struct config *cfg)
{
	return 2UL * cfg->tunnels + resolver_waits() + DESCRIPTORS_SPARE;
}

static bool
is_reachable(const struct config *cfg)
{
	unsigned i;

	for (i = 0; i < cfg->listens; i++)
		if (!(addr_class(&cfg->listen[i].at) & CLASS_LOOPBACK))
			return true;
	return false;
}

/* What is probably not what was meant. */
static void
print_warnings(const struct config *cfg)
{
	const struct rule *rule = cfg->rule;
	unsigned i, k;

	for (i = 0; i < cfg->rules; i++) {
		for (k = 0; k < i && !policy_shadows(&rule[k], &rule[i]); k++)
			;
		if (k < i)
			(void)printf("warning: rule %u, %s:%u, never decides: "
			    "rule %u, %s:%u, comes first\n", i + 1,
			    rule[i].file, rule[i].line, k + 1, rule[k].file,
			    rule[k].line);
		else if (policy_is_open(&rule[i]) && is_reachable(cfg))
			(void)printf("warning: rule %u, %s:%u, lets any client "
			    "reach any port: this is an open proxy\n", i + 1,
			    rule[i].file, rule[i].line);
	}
}

/* -n: what it would do. */
static void
print_configuration(const struct config *cfg)
{
	char addr[ADDR_TEXT_MAX];
	const int64_t *t = cfg->timeout;
	unsigned i;

	for (i = 0; i < cfg->listens; i++)
		(void)printf("listen %s\n", addr_format(
		    &cfg->listen[i].at, true, addr));
	(void)printf("tunnels %u, of one client %u%s\n", cfg->tunnels,
	    cfg->tunnels_per_client,
	    cfg->tunnels_per_client == 0 ? " (no limit)" : "");
	(void)printf("timeouts in ms: request %lld, connect %lld, idle %lld, "
	    "half %lld, drain %lld\n", (long long)t[TIMEOUT_REQUEST],
	    (long long)t[TIMEOUT_CONNECT], (long long)t[TIMEOUT_IDLE],
	    (long long)t[TIMEOUT_HALF], (long long)t[TIMEOUT_DRAIN]);
	for (i = 0; i < cfg->rules; i++)
		(void)printf("rule %u: %s, %s:%u\n", i + 1,
		    cfg->rule[i].allow ? "allow" : "deny", cfg->rule[i].file,
		    cfg->rule[i].line);
	(void)printf("buffer %zu bytes, two a tunnel\n"
	    "memory %llu KiB at most, touched only as needed\n"
	    "descriptors %lu\n", cfg->buffer,
	    (unsigned long long)(memory_size(cfg) + 1023) / 1024,
	    descriptors_needed(cfg));
	print_warnings(cfg);
	exit(fflush(stdout) != 0 ? EXIT_FAILURE : EXIT_SUCCESS);
}

static void
allocate_waits(unsigned n)
{
	proxy.waits.pfd = allocate(n * sizeof *proxy.waits.pfd);
	proxy.waits.owner = allocate(n * sizeof *proxy.waits.owner);
	proxy.waits.max = n;
}

static void
start_resolver(const struct config *cfg)
{
	size_t room = hosts_room(cfg);

	resolver_init(cfg, allocate(resolver_memory(room)), room, sys_now());
}

/* ---- -q: what the rules say ---------------------------------------------- */

struct question {
	struct addr	client;
	struct target	target;
};

/* The next word; its length is 0 at the end. */
static const char *
next_word(const char **p, size_t *n)
{
	const char *word = *p + strspn(*p, " \t");

	*n = strcspn(word, " \t");
	*p = word + *n;
	return word;
}

/* "from ADDRESS to HOST:PORT", in any order. */
static void
parse_question(const char *text, struct question *q)
{
	const char *word, *value, *why;
	size_t n, len;

	memset(q, 0, sizeof *q);
	while ((word = next_word(&text, &n)), n > 0) {
		value = next_word(&text, &len);
		if (n == 4 && memcmp(word, "from", 4) == 0) {
			if (!addr_parse(value, len, &q->client))
				usage_error("-q: from: expected an address");
			addr_canonical(&q->client);
		} else if (n == 2 && memcmp(word, "to", 2) == 0) {
			why = http_parse_authority(value, len, &q->target);
			if (why != NULL)
				die(EXIT_USAGE, "-q: to", why);
		} else
			usage_error("-q: expected 'from ADDRESS to HOST:PORT'");
	}
	if (q->client.family == 0 || q->target.addr.port == 0)
		usage_error("-q: expected 'from ADDRESS to HOST:PORT'");
}

/* Print the verdict on the target, at this address if it is known.  Is it
 * allowed? */
static bool
print_verdict(const struct question *q, const struct addr *address,
    const struct dns_names *aliases, struct verdict *v)
{
	struct facts facts = { &q->client, q->target.name, q->target.name_len,
	    q->target.addr.port, address, aliases };
	char text[ADDR_TEXT_MAX], reason[REASON_MAX];

	policy_decide(proxy.cfg.rule, proxy.cfg.rules, &facts, v);
	if (v->action == RESOLVE)
		return false;
	if (address != NULL)
		(void)printf("%s: ", addr_format(address, false, text));
	(void)printf("%s", v->action == ALLOW ? "allow" : "deny");
	if (v->rule != NULL)
		(void)printf(", %s:%u", v->rule->file, v->rule->line);
	if (v->action == DENY)
		(void)printf(": %s", policy_explain(&facts, v, reason));
	(void)printf("\n");
	return v->action == ALLOW;
}

/* Wait for all addresses of the name. */
static const struct answer *
look_up(const struct target *target)
{
	static const char *const failures[] = {
		[NAME_PENDING] = "the name servers do not answer in time",
		[NAME_FOUND] = "",
		[NAME_UNKNOWN] = "there is no such name",
		[NAME_NODATA] = "the name has no address",
		[NAME_TIMEOUT] = "the name servers do not answer",
		[NAME_FAILED] = "the name servers cannot resolve the name",
		[NAME_NO_DESCRIPTOR] = "out of descriptors"
	};
	int64_t now = sys_now();
	int64_t until = now + proxy.cfg.timeout[TIMEOUT_CONNECT];
	struct waits *w = &proxy.waits;
	const struct answer *a = resolver_answer(resolver_start(target, now));

	while (!a->done && now < until) {
		w->n = 0;
		w->deadline = until;
		resolver_interest(w);
		sys_poll(w, now);
		now = sys_now();
		resolver_step(w, now);
	}
	if (a->failure != NAME_FOUND)
		die(EXIT_FAILURE, "not resolved", failures[a->failure]);
	return a;
}

/* 0 if one address may be reached, 1 if none, 2 if the question is none. */
static void
answer_question(const char *text)
{
	const struct answer *a;
	struct question q;
	struct verdict v;
	bool allowed;
	enum family f;
	unsigned i;

	parse_question(text, &q);
	allowed = print_verdict(&q, q.target.addr.family != 0 ?
	    &q.target.addr : NULL, NULL, &v);
	if (v.action == RESOLVE) {
		allocate_waits(resolver_waits());
		start_resolver(&proxy.cfg);
		a = look_up(&q.target);
		for (f = V6; f < FAMILIES; f++)
			for (i = 0; i < a->list[f].n; i++)
				allowed |= print_verdict(&q, &a->list[f].addr[i],
				    &a->aliases, &v);
	}
	exit(fflush(stdout) != 0 || !allowed ? EXIT_FAILURE : EXIT_SUCCESS);
}

/* ---- start --------------------------------------------------------------- */

static bool
is_missing_family(int error)
{
	return error == EAFNOSUPPORT || error == EPROTONOSUPPORT ||
	    error == EADDRNOTAVAIL;
}

static void
open_listener(const struct listen *wish)
{
	struct listener *l = &proxy.listener[proxy.listeners];
	char text[ADDR_TEXT_MAX], what[ADDR_TEXT_MAX + 32];

	l->fd = sys_listen(&wish->at, &l->addr);
	if (l->fd < 0 && wish->optional && is_missing_family(-l->fd))
		return;
	if (l->fd < 0) {
		(void)snprintf(what, sizeof what, "cannot listen on %s",
		    addr_format(&wish->at, true, text));
		die(EXIT_FAILURE, what, strerror(-l->fd));
	}
	sys_log(LEVEL_NOTICE, "listening on %s",
	    addr_format(&l->addr, true, text));
	proxy.own[proxy.listeners++] = l->addr;
}

static void
open_listeners(const struct config *cfg)
{
	unsigned i;

	for (i = 0; i < cfg->listens; i++)
		open_listener(&cfg->listen[i]);
	if (proxy.listeners == 0)
		die(EXIT_FAILURE, "there is nothing to listen on", "");
}

static void
check_descriptors(const struct config *cfg)
{
	unsigned long need = descriptors_needed(cfg);
	unsigned long limit = sys_descriptors(need);
	char what[128];

	if (limit == 0)
		return;
	(void)snprintf(what, sizeof what, "%u tunnels need %lu descriptors, "
	    "the limit is %lu: raise it or lower 'tunnels'", cfg->tunnels,
	    need, limit);
	die(EXIT_FAILURE, what, "");
}

static void
start(const struct config *cfg)
{
	check_descriptors(cfg);
	sys_log_open(cfg->log_level);
	proxy.signals = sys_signals();
	if (proxy.signals < 0)
		die(EXIT_FAILURE, "signals", strerror(-proxy.signals));
	allocate_waits(waits_needed(cfg));
	start_resolver(cfg);
	relay_pool(cfg->tunnels, cfg->buffer,
	    allocate(relay_memory(cfg->tunnels)), allocate(rings_size(cfg)));
	open_listeners(cfg);
	reach_init(cfg, proxy.own, proxy.listeners);
	tunnel_init(cfg, allocate(tunnel_memory(cfg->tunnels)));
	proxy.started = sys_now();
}

/* ---- the loop ------------------------------------------------------------ */

static void
listener_interest(int64_t now)
{
	struct waits *w = &proxy.waits;
	bool open = now >= proxy.accept_after && tunnel_room(w, now);
	unsigned i;

	for (i = 0; i < proxy.listeners; i++)
		proxy.listener[i].wait = sys_want(w, proxy.listener[i].fd,
		    open ? POLLIN : 0, i);
	if (proxy.listeners > 0 && now < proxy.accept_after)
		sys_due(w, proxy.accept_after);
}

static void
pause_accepting(int64_t now)
{
	proxy.accept_after = now + ACCEPT_PAUSE_MS;
	if (now - proxy.shortage_told < SHORTAGE_LOG_MS)
		return;
	proxy.shortage_told = now;
	sys_log(LEVEL_WARNING,
	    "out of descriptors or memory: new connections wait");
}

static void
accept_some(const struct listener *l, int64_t now)
{
	struct waits unused = { NULL, NULL, 0, 0, WAIT_FOREVER };
	struct addr client;
	int i, fd;

	for (i = 0; i < ACCEPTS_MAX && tunnel_room(&unused, now); i++) {
		fd = sys_accept(l->fd, &client);
		if (fd == -EMFILE)
			pause_accepting(now);
		if (fd < 0)
			return;
		tunnel_open(fd, &client, now);
	}
}

static void
listener_step(int64_t now)
{
	unsigned i;

	for (i = 0; i < proxy.listeners; i++)
		if (sys_got(&proxy.waits, proxy.listener[i].wait) != 0)
			accept_some(&proxy.listener[i], now);
}

static void
log_statistics(int64_t now)
{
	const struct tunnel_totals *t = tunnel_totals();
	const struct resolver_totals *r = resolver_totals();

	sys_log(LEVEL_NOTICE, "statistics accepted=%llu tunnels=%u most=%u "
	    "established=%llu refused=%llu evicted=%llu limited=%llu up=%llu "
	    "down=%llu lookups=%llu cached=%llu asked=%llu dns-failed=%llu "
	    "dns-full=%llu lost-lines=%llu uptime-s=%lld",
	    (unsigned long long)t->accepted, t->now, t->most,
	    (unsigned long long)t->established, (unsigned long long)t->refused,
	    (unsigned long long)t->evicted, (unsigned long long)t->limited,
	    (unsigned long long)t->up, (unsigned long long)t->down,
	    (unsigned long long)r->lookups, (unsigned long long)r->cached,
	    (unsigned long long)r->asked, (unsigned long long)r->failed,
	    (unsigned long long)r->full, (unsigned long long)sys_log_lost(),
	    (long long)((now - proxy.started) / 1000));
}

/* Asked to stop: no new connections, and the others have until the deadline;
 * asked again, they have had it. */
static void
drain(int64_t now)
{
	unsigned i;

	if (proxy.drain_until != WAIT_FOREVER) {
		proxy.drain_until = now;
		return;
	}
	proxy.drain_until = now + proxy.cfg.timeout[TIMEOUT_DRAIN];
	for (i = 0; i < proxy.listeners; i++)
		sys_close(&proxy.listener[i].fd);
	proxy.listeners = 0;
	sys_log(LEVEL_NOTICE, "stopping: %u tunnels left", tunnel_count());
}

static void
signal_step(int64_t now)
{
	bool woken = sys_got(&proxy.waits, proxy.signals_wait) != 0;
	int number;

	while ((number = sys_signal(woken)) != 0) {
		woken = false;
		if (number == SIGUSR1)
			log_statistics(now);
		else if (number == SIGHUP)
			sys_log(LEVEL_NOTICE,
			    "HUP: this version does not reload");
		else
			drain(now);
	}
}

static bool
finished(int64_t now)
{
	return now >= proxy.drain_until ||
	    (proxy.drain_until != WAIT_FOREVER && tunnel_count() == 0);
}

static void
turn(void)
{
	struct waits *w = &proxy.waits;
	int64_t now = sys_now();

	w->n = 0;
	w->deadline = proxy.drain_until;
	proxy.signals_wait = sys_want(w, proxy.signals, POLLIN, 0);
	resolver_interest(w);
	tunnel_interest(w);
	listener_interest(now);
	sys_poll(w, now);
	now = sys_now();
	signal_step(now);
	resolver_step(w, now);
	tunnel_step(w, now);
	listener_step(now);
}

int
main(int argc, char *argv[])
{
	struct options options;

	if (sys_stdio() < 0)
		return EXIT_FAILURE;
	parse_options(&options, argc, argv);
	configure(&options);
	if (options.query != NULL)
		answer_question(options.query);
	if (options.check)
		print_configuration(&proxy.cfg);
	start(&proxy.cfg);
	while (!finished(sys_now()))
		turn();
	tunnel_stop(sys_now());
	resolver_stop();
	log_statistics(sys_now());
	return EXIT_SUCCESS;
}
