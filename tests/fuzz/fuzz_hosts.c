/* SPDX-License-Identifier: ISC */
/*
 * fuzz_hosts.c - the hosts file.
 *
 * All of the input is the file.  Every name in it must lead where a reader
 * that goes through it line by line finds it; line ends do not matter.
 */
#include "fuzz.h"
#include "recognise.h"

#define NAMES_MAX 8	/* names that are looked up */

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

static void
add(struct addr_list list[FAMILIES], struct reading text)
{
	struct addr_list *l;
	struct addr a;
	int i;

	if (!recognise_addr(text, &a))
		return;
	recognise_canonical(&a);
	l = &list[a.family == 4 ? V4 : V6];
	for (i = 0; i < l->n; i++)
		if (memcmp(&l->addr[i], &a, sizeof a) == 0)
			return;
	if (l->n < ADDRESSES_MAX)
		l->addr[l->n++] = a;
}

static void
read_lines(struct reading text, struct reading name,
    struct addr_list list[FAMILIES])
{
	struct reading line, address, word;

	while (text.n > 0) {
		line = next_line(&text);
		address = next_word(&line);
		while ((word = next_word(&line)).n > 0)
			if (same_name(word, name))
				add(list, address);
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
check_lookup(const struct hosts *h, struct reading text, const char *p,
    size_t n)
{
	struct reading name = { p, n };
	struct addr_list wanted[FAMILIES], got[FAMILIES];
	char *copy = copy_of(p, n);
	bool found;

	memset(wanted, 0, sizeof wanted);
	memset(got, 0, sizeof got);
	read_lines(text, name, wanted);
	found = names_hosts_find(h, copy, n, got);
	must(found == (wanted[V6].n + wanted[V4].n > 0), "it is in the file");
	must(memcmp(got, wanted, sizeof got) == 0,
	    "the addresses of the lines, in their order");
	free(copy);
}

static void
check_forms(const struct hosts *h, struct reading text, struct reading name)
{
	char *p = room_for(name.n + 1);
	size_t i;

	for (i = 0; i < name.n; i++)
		p[i] = (char)(name.p[i] >= 'a' && name.p[i] <= 'z' ?
		    name.p[i] - 0x20 : name.p[i]);
	p[i] = '.';
	check_lookup(h, text, p, name.n + 1);
	free(p);
}

static void
check_names(const struct hosts *h, struct reading text,
    const struct reading *name, size_t names)
{
	size_t i;

	for (i = 0; i < names; i++) {
		check_lookup(h, text, name[i].p, name[i].n);
		check_forms(h, text, name[i]);
	}
	check_lookup(h, text, "a", 1);
	check_lookup(h, text, "", 0);
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

/* Index these bytes in memory of the promised size, which is the caller's to
 * free. */
static void *
index_bytes(struct hosts *h, const char *p, size_t n, long wanted)
{
	void *memory = room_for(names_hosts_memory(n));

	names_hosts_init(h, memory, n);
	if (n > 0)
		memcpy(h->text, p, n);
	names_hosts_index(h, n);
	must(h->names == (uint32_t)wanted, "as many names as the lines have");
	return memory;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct reading text = { NULL, size }, name[NAMES_MAX];
	char *copy = copy_of(data, size), *crlf;
	size_t names, crlf_size;
	struct hosts h;
	void *memory;
	long all;

	text.p = copy;
	all = find_names(text, name, &names);
	memory = index_bytes(&h, copy, size, all);
	check_names(&h, text, name, names);
	free(memory);
	crlf = with_crlf(copy, size, &crlf_size);
	memory = index_bytes(&h, crlf, crlf_size, all);
	check_names(&h, text, name, names);
	free(memory);
	free(crlf);
	free(copy);
	return 0;
}
