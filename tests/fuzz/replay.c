/* SPDX-License-Identifier: ISC */
/*
 * replay.c - run a fuzz target over files, without libFuzzer.
 *
 *	fuzz_x FILE-OR-DIRECTORY...
 *
 * Prints how many inputs were run.  If one breaks a property the program ends
 * by SIGABRT and names it.
 */
#include <dirent.h>
#include <limits.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fuzz.h"

#define INPUT_MAX 1048576

static char path[PATH_MAX];	/* under way */

static void
name_input(int sig)
{
	(void)!write(STDERR_FILENO, "input: ", 7);
	(void)!write(STDERR_FILENO, path, strlen(path));
	(void)!write(STDERR_FILENO, "\n", 1);
	(void)signal(sig, SIG_DFL);
	(void)raise(sig);
}

static void
fail(const char *what)
{
	perror(what);
	exit(1);
}

static void
run_file(void)
{
	uint8_t *buffer = room_for(INPUT_MAX), *data;
	FILE *f = fopen(path, "rb");
	size_t n;

	if (f == NULL)
		fail(path);
	n = fread(buffer, 1, INPUT_MAX, f);
	if (ferror(f) || fclose(f) == EOF)
		fail(path);
	data = (uint8_t *)copy_of(buffer, n);
	free(buffer);
	(void)LLVMFuzzerTestOneInput(data, n);
	free(data);
}

static unsigned
run_directory(const char *name)
{
	DIR *d = opendir(name);
	const struct dirent *e;
	unsigned n = 0;

	if (d == NULL)
		fail(name);
	while ((e = readdir(d)) != NULL) {
		if (e->d_name[0] == '.')
			continue;
		(void)snprintf(path, sizeof path, "%s/%s", name, e->d_name);
		run_file();
		n++;
	}
	(void)closedir(d);
	return n;
}

int
main(int argc, char **argv)
{
	struct stat st;
	unsigned n = 0;
	int i;

	(void)signal(SIGABRT, name_input);
	for (i = 1; i < argc; i++) {
		if (stat(argv[i], &st) == -1)
			fail(argv[i]);
		if (S_ISDIR(st.st_mode)) {
			n += run_directory(argv[i]);
			continue;
		}
		(void)snprintf(path, sizeof path, "%s", argv[i]);
		run_file();
		n++;
	}
	(void)printf("%u inputs\n", n);
	return 0;
}
