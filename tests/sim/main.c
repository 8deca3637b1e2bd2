/* SPDX-License-Identifier: ISC */
/*
 * main.c - runs worlds: one seed, a range of seeds, every single fault, every
 * pair of faults.  Its options: see usage_text.
 *
 * Each world has a process of its own, so that the daemon begins anew and a
 * crash is one world's.
 */
#define _DEFAULT_SOURCE 1

#include <sys/mman.h>
#include <sys/time.h>
#include <sys/wait.h>

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "sim.h"

#define JOBS_MAX	16
#define SCENARIOS	10
#define WORLD_SECONDS	10	/* of a processor: more is a hang */

int connectd_main(int, char *[]);

struct sim sim;
static uint64_t rnd_state;

/* What a world leaves behind, in shared memory. */
struct outcome {
	uint64_t	calls, polls, trace, accepted;
	bool		done;
	char		error[512];
};

struct job {
	pid_t		pid;
	struct outcome	*out;
	uint64_t	seed;
	int		scenario;
	struct plan	plan, second;
	enum call	kind, second_kind;	/* of the planned calls */
};

static bool verbose, stop_early;
static struct job jobs[JOBS_MAX];
static unsigned jobs_max = 2;
static struct outcome *shared;
static uint64_t total_calls, total_worlds, total_accepted, failures;

/* ---- randomness and trace ----------------------------------------------- */

uint64_t
rnd(void)
{
	uint64_t z = rnd_state += 0x9e3779b97f4a7c15u;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return z ^ z >> 31;
}

unsigned
below(unsigned n)
{
	return (unsigned)(rnd() % n);
}

unsigned
between(unsigned lo, unsigned hi)
{
	return lo + below(hi - lo + 1);
}

bool
chance(unsigned per_million)
{
	return below(1000000) < per_million;
}

void
mix(uint64_t value)
{
	sim.trace = (sim.trace ^ value ^ (uint64_t)sim.now) * 1099511628211u;
	sim.trace ^= sim.trace >> 29;
}

void
trace(const char *format, ...)
{
	va_list args;

	if (!sim.verbose)
		return;
	printf("%12.6f  ", (double)sim.now / 1e6);
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	printf("\n");
}

static void
leave_outcome(bool done)
{
	shared->calls = sim.calls;
	shared->polls = sim.polls;
	shared->trace = sim.trace;
	shared->accepted = sim.accepted;
	shared->done = done;
}

void
broken(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(shared->error, sizeof shared->error, format, args);
	va_end(args);
	if (sim.verbose)
		printf("%12.6f  BROKEN: %s\n", (double)sim.now / 1e6,
		    shared->error);
	leave_outcome(false);
	fflush(stdout);
	_exit(1);
}

/* ---- one world ---------------------------------------------------------- */

static void
on_exit_of_daemon(void)
{
	leave_outcome(true);
	fflush(stdout);
}

static void
run_world(const struct job *j, unsigned char *kinds, size_t kinds_max)
{
	static char *argv[] = { "connectd", "-f", "/sim/connectd.conf", NULL };
	int status;

	memset(&sim, 0, sizeof sim);
	sim.verbose = verbose;
	sim.seed = j->seed;
	sim.scenario = j->scenario;
	sim.plan = j->plan;
	sim.second = j->second;
	sim.kinds = kinds;
	sim.kinds_max = kinds_max;
	sim.now = 1000000;
	sim.trace = 14695981039346656037u;
	/* Scrambled, or the next seed would be this one a draw later. */
	rnd_state = j->seed;
	rnd_state = rnd();
	make_world();
	optind = 1;
	atexit(on_exit_of_daemon);
	status = connectd_main(3, argv);
	check_end(status);
	leave_outcome(true);
}

static void
start(struct job *j, unsigned char *kinds, size_t kinds_max)
{
	static const struct itimerval enough = { { 0, 0 },
	    { WORLD_SECONDS, 0 } };

	memset(j->out, 0, sizeof *j->out);
	fflush(stdout);
	j->pid = fork();
	if (j->pid == -1) {
		perror("fork");
		_exit(2);
	}
	if (j->pid != 0)
		return;
	shared = j->out;
	(void)setitimer(ITIMER_PROF, &enough, NULL);
	alarm(10 * WORLD_SECONDS);	/* or the machine is busy */
	if (!verbose && !freopen("/dev/null", "w", stderr))
		_exit(2);
	run_world(j, kinds, kinds_max);
	fflush(stdout);
	_exit(0);
}

static void
report(const struct job *j, int status)
{
	char what[256];

	if (j->second.on)
		snprintf(what, sizeof what, "scenario %d, call %llu, %s: %s, "
		    "then call %llu, %s: %s", j->scenario,
		    (unsigned long long)j->plan.at, call_names[j->kind],
		    strerror(j->plan.err), (unsigned long long)j->second.at,
		    call_names[j->second_kind], strerror(j->second.err));
	else if (j->plan.on)
		snprintf(what, sizeof what, "scenario %d, call %llu, %s: "
		    "%s%s", j->scenario, (unsigned long long)j->plan.at,
		    call_names[j->kind],
		    strerror(j->plan.err), j->plan.forever ? " for ever" : "");
	else if (j->scenario >= 0)
		snprintf(what, sizeof what, "scenario %d", j->scenario);
	else
		snprintf(what, sizeof what, "seed %llu",
		    (unsigned long long)j->seed);
	if (WIFSIGNALED(status))
		printf("FAILED %s: signal %d%s\n", what, WTERMSIG(status),
		    WTERMSIG(status) == SIGPROF ||
		    WTERMSIG(status) == SIGALRM ? " (it hangs)" : "");
	else
		printf("FAILED %s: %s\n", what, j->out->error[0] != '\0' ?
		    j->out->error : "it ended without a word");
	failures++;
}

/* Wait for one job; its place is then free. */
static struct job *
finish_one(void)
{
	int status;
	pid_t pid = wait(&status);
	struct job *j = jobs;

	if (pid == -1) {
		perror("wait");
		_exit(2);
	}
	while (j->pid != pid)
		j++;
	total_calls += j->out->calls;
	total_accepted += j->out->accepted;
	total_worlds++;
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0 || !j->out->done)
		report(j, status);
	j->pid = 0;
	return j;
}

static struct job *
free_job(void)
{
	unsigned i;

	for (i = 0; i < jobs_max; i++)
		if (jobs[i].pid == 0)
			return &jobs[i];
	return finish_one();
}

static void
finish_all(void)
{
	unsigned i;

	for (i = 0; i < jobs_max; i++)
		if (jobs[i].pid != 0) {
			(void)finish_one();
			i = (unsigned)-1;
		}
}

static const struct plan no_plan;

static void
run_seed(uint64_t seed)
{
	struct job *j = free_job();

	j->seed = seed;
	j->scenario = -1;
	j->plan = j->second = no_plan;
	start(j, NULL, 0);
}

static void
run_file(const char *path)
{
	FILE *f = fopen(path, "r");
	char line[64];

	if (f == NULL) {
		perror(path);
		_exit(2);
	}
	while (fgets(line, sizeof line, f) != NULL)
		if (line[0] >= '0' && line[0] <= '9')
			run_seed(strtoull(line, NULL, 10));
	fclose(f);
}

/* ---- planned faults ----------------------------------------------------- */

#define KINDS_MAX 100000

/* Run it with one fault or none; how many calls, and of which kinds. */
static uint64_t
survey(int scenario, const struct plan *plan, unsigned char *kinds)
{
	struct job *j = free_job();

	j->seed = 1;
	j->scenario = scenario;
	j->plan = *plan;
	j->second = no_plan;
	start(j, kinds, KINDS_MAX);
	finish_all();
	return j->out->calls < KINDS_MAX ? j->out->calls : KINDS_MAX;
}

static void
run_plan(int scenario, const struct plan *plan, const struct plan *second,
    unsigned char *kinds)
{
	struct job *j = free_job();

	j->seed = 1;
	j->scenario = scenario;
	j->plan = *plan;
	j->kind = (enum call)kinds[plan->at];
	j->second = *second;
	if (second->on)
		j->second_kind = (enum call)kinds[second->at];
	/* It writes down only what the survey wrote. */
	start(j, kinds, (size_t)plan->at);
}

static unsigned char *
new_kinds(void)
{
	return mmap(NULL, KINDS_MAX, PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
}

static void
single_faults(void)
{
	unsigned char *kinds = new_kinds();
	struct plan plan = { true, 0, 0, false };
	const int *e;
	uint64_t n;
	int s;

	for (s = 0; s < SCENARIOS; s++) {
		n = survey(s, &no_plan, kinds);
		for (plan.at = 0; plan.at < n; plan.at++)
			for (e = errnos_of((enum call)kinds[plan.at]); *e != 0;
			    e++) {
				plan.err = *e;
				plan.forever = false;
				run_plan(s, &plan, &no_plan, kinds);
				plan.forever = true;
				run_plan(s, &plan, &no_plan, kinds);
			}
		finish_all();
		printf("scenario %d: %llu calls\n", s, (unsigned long long)n);
	}
}

/* Every second fault behind one first fault. */
static void
second_faults(int scenario, const struct plan *first, unsigned char *kinds)
{
	uint64_t n = survey(scenario, first, kinds);
	struct plan second = { true, 0, 0, false };
	const int *e;

	for (second.at = first->at + 1; second.at < n; second.at++)
		for (e = errnos_of((enum call)kinds[second.at]); *e != 0; e++) {
			second.err = *e;
			run_plan(scenario, first, &second, kinds);
		}
	finish_all();
}

static void
pairs_of_faults(int scenario)
{
	unsigned char *kinds = new_kinds(), *more = new_kinds();
	uint64_t n = survey(scenario, &no_plan, kinds);
	struct plan first = { true, 0, 0, false };
	const int *e;

	for (first.at = 0; first.at < n; first.at++)
		for (e = errnos_of((enum call)kinds[first.at]); *e != 0; e++) {
			first.err = *e;
			second_faults(scenario, &first, more);
		}
}

/* ---- main --------------------------------------------------------------- */

static const char usage_text[] =
"usage: sim [-v] [-s SEED]\n"
"       sim [-x] [-j JOBS] [-s SEED] -n COUNT | -f FILE | -1 | -2 SCENARIO\n"
"  -s SEED      one world, default 1; the last line is the hash of its trace\n"
"  -n COUNT     that many worlds, from that seed on\n"
"  -f FILE      the seeds in a file, one a line\n"
"  -1           every call x errno x {once, for ever} in each scenario\n"
"  -2 SCENARIO  every pair of single faults in one scenario\n"
"  -x           stop at the first seed that fails\n"
"  -j JOBS      processes at a time, default 2\n"
"  -v           tell every call; for one world\n"
"Status 0: nothing failed, 1: something did, 2: usage.\n";

/* What to run. */
struct order {
	uint64_t	first, count;	/* count 0: one, and tell its hash */
	const char	*file;
	bool		singles;
	int		pairs;		/* scenario, -1: none */
};

static void
usage(void)
{
	(void)fputs(usage_text, stderr);
	_exit(2);
}

/* A whole number of lo..hi, and nothing behind it. */
static uint64_t
number(const char *text, uint64_t lo, uint64_t hi)
{
	char *end;
	uint64_t n = strtoull(text, &end, 10);

	if (*text < '0' || *text > '9' || *end != '\0' || n < lo || n > hi)
		usage();
	return n;
}

static void
take_option(struct order *o, int letter)
{
	switch (letter) {
	case 's':
		o->first = number(optarg, 0, UINT64_MAX);
		break;
	case 'n':
		o->count = number(optarg, 1, UINT64_MAX);
		break;
	case 'f':
		o->file = optarg;
		break;
	case '1':
		o->singles = true;
		break;
	case '2':
		o->pairs = (int)number(optarg, 0, SCENARIOS - 1);
		break;
	case 'v':
		verbose = true;
		break;
	case 'x':
		stop_early = true;
		break;
	case 'j':
		jobs_max = (unsigned)number(optarg, 1, JOBS_MAX);
		break;
	default:
		usage();
	}
}

static void
run_seeds(uint64_t first, uint64_t count)
{
	uint64_t i;

	for (i = 0; i < count && !(stop_early && failures > 0); i++)
		run_seed(first + i);
}

int
main(int argc, char *argv[])
{
	struct order o = { 1, 0, NULL, false, -1 };
	struct outcome *outs;
	int letter, i;

	while ((letter = getopt(argc, argv, "s:n:f:12:vxj:")) != -1)
		take_option(&o, letter);
	if (optind < argc)
		usage();
	outs = mmap(NULL, JOBS_MAX * sizeof *outs, PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	for (i = 0; i < JOBS_MAX; i++)
		jobs[i].out = &outs[i];
	if (o.singles)
		single_faults();
	else if (o.pairs >= 0)
		pairs_of_faults(o.pairs);
	else if (o.file != NULL)
		run_file(o.file);
	else
		run_seeds(o.first, o.count > 0 ? o.count : 1);
	finish_all();
	printf("%llu worlds, %llu connections, %llu calls, %llu failed\n",
	    (unsigned long long)total_worlds,
	    (unsigned long long)total_accepted,
	    (unsigned long long)total_calls, (unsigned long long)failures);
	if (o.count == 0 && !o.singles && o.pairs < 0 && o.file == NULL)
		printf("%016llx\n", (unsigned long long)jobs[0].out->trace);
	return failures > 0;
}
