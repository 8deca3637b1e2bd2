/* SPDX-License-Identifier: ISC */
/*
 * fuzz_hosts.c - the hosts file.
 *
 * All of the input is the file.  Every name in it must lead where a reader
 * that goes through it line by line finds it; line ends do not matter, nor what
 * was indexed in the same memory before.
 */
#include "fuzz.h"
#include "recognise.h"

#define NAMES_MAX 8	/* names that are looked up */

/* ---- the second reader ----------------------------------------------------- */

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

/* The next word of the line; empty if there is none. */
static struct reading
next_word(struct reading *line)
{
	size_t n = 0;

	while (n < line->n && is_blank(line->p[n]))
		n++;
	(void)recognise_front(line, n);
	for (n = 0; n < line->n && !is_blank(line->p[n]); n++)
		;
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
	for (i = 0; a.n == b.n && i < a.n; i++)
		if (recognise_lower(a.p[i]) != recognise_lower(b.p[i]))
			return false;
	return a.n == b.n;
}

/* A name of the file and the address of its line. */
struct entry {
	struct reading	name;
	struct addr	addr;		/* canonical */
};

/* All of them, in their order; a name takes two bytes of the file at least. */
static struct entry *
read_entries(struct reading text, size_t *n)
{
	struct entry *e = room_for((text.n / 2 + 1) * sizeof *e);
	struct reading line, word;
	struct addr a;

	*n = 0;
	while (text.n > 0) {
		line = next_line(&text);
		if (!recognise_addr(next_word(&line), &a))
			continue;
		recognise_canonical(&a);
		while ((word = next_word(&line)).n > 0) {
			e[*n].name = word;
			e[(*n)++].addr = a;
		}
	}
	return e;
}

static void
add(struct addr_list *list, const struct addr *a)
{
	int i;

	for (i = 0; i < list->n; i++)
		if (memcmp(&list->addr[i], a, sizeof *a) == 0)
			return;
	if (list->n < ADDRESSES_MAX)
		list->addr[list->n++] = *a;
}

/* ---- the comparison -------------------------------------------------------- */

struct file {
	struct hosts	hosts;
	struct entry	*entry;
	size_t		entries;
};

static void
check_lookup(const struct file *f, const char *p, size_t n)
{
	struct reading name = { p, n };
	struct addr_list wanted[FAMILIES], got[FAMILIES];
	const struct entry *e;
	bool found;

	memset(wanted, 0, sizeof wanted);
	memset(got, 0, sizeof got);
	for (e = f->entry; e < f->entry + f->entries; e++)
		if (same_name(e->name, name))
			add(&wanted[e->addr.family == 4 ? V4 : V6], &e->addr);
	found = names_hosts_find(&f->hosts, p, n, got);
	must(found == (wanted[V6].n + wanted[V4].n > 0), "it is in the file");
	must(memcmp(got, wanted, sizeof got) == 0,
	    "the addresses of the lines, in their order");
}

/* In memory of its own, as it is, and with the other case and a dot. */
static void
check_forms(const struct file *f, struct reading name)
{
	char *p = copy_of(name.p, name.n);
	size_t i;

	check_lookup(f, p, name.n);
	free(p);
	p = room_for(name.n + 1);
	for (i = 0; i < name.n; i++)
		p[i] = (char)(name.p[i] >= 'a' && name.p[i] <= 'z' ?
		    name.p[i] - 0x20 : name.p[i]);
	p[i] = '.';
	check_lookup(f, p, name.n + 1);
	free(p);
}

static void
check_names(const struct file *f)
{
	size_t i;

	must(f->hosts.names == f->entries, "as many names as the lines have");
	for (i = 0; i < f->entries && i < NAMES_MAX; i++)
		check_forms(f, f->entry[i].name);
	check_lookup(f, "a", 1);
	check_lookup(f, "", 0);
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

static void
check_text(struct file *f, const char *p, size_t n)
{
	if (n > 0)
		memcpy(f->hosts.text, p, n);
	names_hosts_index(&f->hosts, n);
	check_names(f);
}

/* An empty index in memory of the promised size, which is returned. */
static void *
begin(struct file *f, size_t room)
{
	void *memory = room_for(names_hosts_memory(room));

	names_hosts_init(&f->hosts, memory, room);
	return memory;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct reading text = { NULL, size };
	char *copy = copy_of(data, size), *crlf;
	size_t crlf_size;
	struct file f;
	void *memory;

	text.p = copy;
	f.entry = read_entries(text, &f.entries);
	memory = begin(&f, size);
	check_text(&f, copy, size);
	free(memory);
	crlf = with_crlf(copy, size, &crlf_size);
	memory = begin(&f, crlf_size);
	check_text(&f, crlf, crlf_size);
	check_text(&f, copy, size);
	free(memory);
	free(crlf);
	free(f.entry);
	free(copy);
	return 0;
}
