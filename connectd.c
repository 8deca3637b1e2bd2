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

struct listener {
	int		fd;
	int		wait;
	struct addr	addr;
};

struct options {
	const char	*file;		/* NULL: the default, if it exists */
	const char	*directive[OPTIONS_MAX];
	unsigned	 directives;
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
"usage: connectd [-nv] [-f FILE] [-o DIRECTIVE]...\n"
"       connectd -h | -V\n"
"  -f FILE       configuration, default " DEFAULT_FILE " if it exists\n"
"  -o DIRECTIVE  a directive as in the file, before those in it\n"
"  -n            check the configuration, print what it means, exit\n"
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
	case 'i':
	case 'q':
		die(EXIT_USAGE, letter == 'i' ? "-i" : "-q",
		    "not in this version");
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
	for (i = 0; i < o->verbose && cfg->log_level < LEVEL_DEBUG; i++)
		cfg->log_level = (enum log_level)(cfg->log_level + 1);
}

static size_t
hosts_room(const struct config *cfg)
{
	long size = sys_file_size(cfg->hosts);

	/* Twice, so that the file may grow. */
	return size > 0 && 2 * (size_t)size > HOSTS_ROOM_MIN ?
	    2 * (size_t)size : HOSTS_ROOM_MIN;
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

/* -n: what it would do. */
static void
print_configuration(const struct config *cfg)
{
	char addr[ADDR_TEXT_MAX];
	const int64_t *t = cfg->timeout;
	unsigned i;

	for (i = 0; i < cfg->listens; i++)
		(void)printf("listen %s\n", policy_format_addr(
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
	exit(fflush(stdout) != 0 ? EXIT_FAILURE : EXIT_SUCCESS);
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
		    policy_format_addr(&wish->at, true, text));
		die(EXIT_FAILURE, what, strerror(-l->fd));
	}
	sys_log(LEVEL_NOTICE, "listening on %s",
	    policy_format_addr(&l->addr, true, text));
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
start_resolver(const struct config *cfg)
{
	size_t room = hosts_room(cfg);

	resolver_init(cfg, allocate(resolver_memory(room)), room, sys_now());
}

static void
start(const struct config *cfg)
{
	unsigned waits = waits_needed(cfg);

	check_descriptors(cfg);
	sys_log_open(cfg->log_level);
	proxy.signals = sys_signals();
	if (proxy.signals < 0)
		die(EXIT_FAILURE, "signals", strerror(-proxy.signals));
	proxy.waits.pfd = allocate(waits * sizeof *proxy.waits.pfd);
	proxy.waits.owner = allocate(waits * sizeof *proxy.waits.owner);
	proxy.waits.max = waits;
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
