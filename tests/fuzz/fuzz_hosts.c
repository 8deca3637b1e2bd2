/* SPDX-License-Identifier: ISC */
/*
 * fuzz_hosts.c - the hosts file.
 *
 * All of the input is the file.  Every name in it must lead where a reader
 * that goes through it line by line finds it; line ends do not matter.
 */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "fuzz.h"
#include "recognise.h"

#define NAMES_MAX 8	/* names that are looked up */

struct list {
	struct addr	addr[ADDRESSES_MAX];
	int		n, max;
};

/* ---- the second reader ----------------------------------------------------- */

/* The next word of the line; empty if there is none. */
static struct reading
next_word(struct reading *line)
{
	size_t n = 0;

	(void)recognise_run(line, " \t\r");
	/* strchr finds the end of the set, too: a NUL is no blank. */
	while (n < line->n && (line->p[n] == '\0' ||
	    strchr(" \t\r", line->p[n]) == NULL))
		n++;
	return recognise_front(line, n);
}

/* The next line, without its comment. */
static struct reading
next_line(struct reading *text)
{
	struct reading line;
	size_t n = 0;

	while (n < text->n && text->p[n] != '\n')
		n++;
	line = recognise_front(text, n);
	if (text->n > 0)
		(void)recognise_front(text, 1);
	for (n = 0; n < line.n && line.p[n] != '#'; n++)
		;
	line.n = n;
	return line;
}

static bool
same_name(struct reading a, struct reading b)
{
	size_t i;

	if (a.n > 0 && a.p[a.n - 1] == '.')
		a.n--;
	if (b.n > 0 && b.p[b.n - 1] == '.')
		b.n--;
	for (i = 0; i < a.n && i < b.n; i++)
		if (recognise_lower(a.p[i]) != recognise_lower(b.p[i]))
			return false;
	return a.n == b.n;
}

static bool
ends_in(struct reading name, const char *zone)
{
	struct reading end = name;
	size_t n = strlen(zone);

	if (end.n > 0 && end.p[end.n - 1] == '.')
		end.n--;
	if (end.n < n)
		return false;
	(void)recognise_front(&end, end.n - n);
	return recognise_is(end, zone) && (end.p == name.p ||
	    (end.p > name.p + 1 && end.p[-1] == '.'));
}

static void
add(struct list *l, const char *text, size_t n)
{
	struct reading r = { text, n };
	struct addr a;
	int i;

	if (!recognise_addr(r, &a))
		return;
	recognise_canonical(&a);
	for (i = 0; i < l->n; i++)
		if (memcmp(&l->addr[i], &a, sizeof a) == 0)
			return;
	if (l->n < l->max)
		l->addr[l->n++] = a;
}

static void
read_lines(struct reading text, struct reading name, struct list *l)
{
	struct reading line, address, word;

	l->n = 0;
	if (ends_in(name, "invalid") || ends_in(name, "onion"))
		return;
	while (text.n > 0) {
		line = next_line(&text);
		address = next_word(&line);
		while ((word = next_word(&line)).n > 0)
			if (same_name(word, name))
				add(l, address.p, address.n);
	}
	if (l->n == 0 && ends_in(name, "localhost")) {
		add(l, "::1", 3);
		add(l, "127.0.0.1", 9);
	}
}

/* Up to NAMES_MAX names to look up, and how many the file has. */
static long
find_names(struct reading text, struct reading *name, size_t *names)
{
	struct reading line, word;
	struct addr a;
	long all = 0;

	*names = 0;
	while (text.n > 0) {
		line = next_line(&text);
		if (!recognise_addr(next_word(&line), &a))
			continue;
		while ((word = next_word(&line)).n > 0) {
			all++;
			if (*names < NAMES_MAX)
				name[(*names)++] = word;
		}
	}
	return all;
}

/* ---- the comparison -------------------------------------------------------- */

static void
check_lookup(struct reading text, const char *p, size_t n, int max)
{
	struct reading name = { p, n };
	struct list wanted;
	struct addr *list = room_for((size_t)max * sizeof *list);
	char *copy = copy_of(p, n);
	int got = resolver_lookup(copy, n, list, max);

	wanted.max = max;
	read_lines(text, name, &wanted);
	must(got == wanted.n, "as many addresses as the lines have");
	must(memcmp(list, wanted.addr, (size_t)got * sizeof *list) == 0,
	    "the addresses of the lines, in their order");
	free(copy);
	free(list);
}

static void
check_forms(struct reading text, struct reading name)
{
	char *p = room_for(name.n + 1);
	size_t i;

	check_lookup(text, name.p, name.n, 1);
	for (i = 0; i < name.n; i++)
		p[i] = (char)(name.p[i] >= 'a' && name.p[i] <= 'z' ?
		    name.p[i] - 0x20 : name.p[i]);
	p[i] = '.';
	check_lookup(text, p, name.n + 1, ADDRESSES_MAX);
	free(p);
}

static void
check_names(struct reading text, const struct reading *name, size_t names,
    bool forms)
{
	static const char *const always[] = { "localhost", "a.localhost",
	    "xlocalhost", "a.onion", "invalid", "a" };
	size_t i;

	for (i = 0; i < names; i++) {
		check_lookup(text, name[i].p, name[i].n, ADDRESSES_MAX);
		if (forms)
			check_forms(text, name[i]);
	}
	for (i = 0; i < sizeof always / sizeof always[0]; i++)
		check_lookup(text, always[i], strlen(always[i]),
		    ADDRESSES_MAX);
}

/* ---- files ----------------------------------------------------------------- */

/* A file without a name, by a path that opens it. */
static const char *
file_with(const char *p, size_t n)
{
	static char path[64];
	static int fd = -1;
	char name[] = "/dev/shm/fuzz_hosts.XXXXXX";
	char other[] = "/tmp/fuzz_hosts.XXXXXX";

	if (fd == -1) {
		if ((fd = mkstemp(name)) != -1)
			(void)unlink(name);
		else if ((fd = mkstemp(other)) != -1)
			(void)unlink(other);
		(void)snprintf(path, sizeof path, "/dev/fd/%d", fd);
	}
	if (fd == -1 || ftruncate(fd, 0) == -1 ||
	    pwrite(fd, p, n, 0) != (ssize_t)n || lseek(fd, 0, SEEK_SET) == -1) {
		perror("a file for hosts");
		exit(1);
	}
	return path;
}

static char *
with_crlf(const char *p, size_t n, size_t *out)
{
	char *text = room_for(2 * n);
	size_t i, k = 0;

	for (i = 0; i < n; i++) {
		if (p[i] == '\n')
			text[k++] = '\r';
		text[k++] = p[i];
	}
	*out = k;
	return text;
}

/* Memory of the promised size, which is the caller's to free. */
static void *
init(size_t room, const char *path, long wanted)
{
	void *memory = room_for(resolver_memory(room));

	must(resolver_init(memory, room, path) == wanted,
	    "as many names as the lines have, or the error");
	return memory;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct reading text = { NULL, size }, name[NAMES_MAX];
	struct reading empty = { "", 0 };
	char *copy = copy_of(data, size), *crlf;
	const char *path = file_with(copy, size);
	size_t names, crlf_size;
	void *memory;
	long all;

	text.p = copy;
	all = find_names(text, name, &names);
	memory = init(size, path, all);
	check_names(text, name, names, true);
	free(memory);
	if (size > 0) {
		memory = init(size - 1, path, -EFBIG);
		check_names(empty, name, names, false);
		free(memory);
	}
	crlf = with_crlf(copy, size, &crlf_size);
	memory = init(crlf_size + size, file_with(crlf, crlf_size), all);
	check_names(text, name, names, false);
	free(memory);
	free(crlf);
	free(copy);
	return 0;
}
