/* SPDX-License-Identifier: ISC */
/*
 * resolver.c - names to addresses.
 *
 * IMPLEMENTATION NOTES
 *
 * The hosts file is read once and kept as it is, with an index of its names
 * beside it, so that a block list of 100,000 lines costs a lookup no more than
 * a short file.  An entry is two places in the text; addresses are parsed when
 * somebody asks.  The lines are taken from the last to the first and put in
 * front of their chain, which leaves every chain in the order of the file.
 */
#include <errno.h>
#include <string.h>

#include "connectd.h"

/* A name and the address of its line: offsets into the text. */
struct entry {
	uint32_t	next;		/* index + 1 in the chain, 0 ends it */
	uint32_t	name, name_len;
	uint32_t	addr, addr_len;
};

static struct {
	char		*text;
	uint32_t	*chain;		/* 2^n of them, index + 1 or 0 */
	struct entry	*entry;
	uint32_t	 chains, entries;
} hosts;

/* A power of two: one chain for two names or so, at half the room. */
static size_t
chains_for(size_t room)
{
	size_t n = 64;

	while (n < room / 64)
		n *= 2;
	return n;
}

/* A name takes two bytes of the file at least. */
static size_t
entries_for(size_t room)
{
	return room / 2 + 1;
}

size_t
resolver_memory(size_t room)
{
	return chains_for(room) * sizeof(uint32_t) +
	    entries_for(room) * sizeof(struct entry) + room;
}

/* FNV-1a over the name in lower case, without a trailing dot. */
static uint32_t
hash_name(const char *p, size_t n)
{
	uint32_t h = 2166136261u;
	size_t i;

	if (n > 0 && p[n - 1] == '.')
		n--;
	for (i = 0; i < n; i++) {
		h ^= (uint32_t)(p[i] >= 'A' && p[i] <= 'Z' ? p[i] | 0x20 : p[i])
		    & 0xff;
		h *= 16777619u;
	}
	return h & (hosts.chains - 1);
}

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

/* The next word in text[*at..end); its length, 0 if there is none. */
static size_t
next_word(size_t *at, size_t end)
{
	size_t n = 0;

	while (*at < end && is_blank(hosts.text[*at]))
		++*at;
	while (*at + n < end && !is_blank(hosts.text[*at + n]) &&
	    hosts.text[*at + n] != '#')
		n++;
	return n;
}

static void
add_name(size_t name, size_t name_len, size_t addr, size_t addr_len)
{
	uint32_t *chain = &hosts.chain[hash_name(hosts.text + name, name_len)];
	struct entry *e = &hosts.entry[hosts.entries++];

	e->name = (uint32_t)name;
	e->name_len = (uint32_t)name_len;
	e->addr = (uint32_t)addr;
	e->addr_len = (uint32_t)addr_len;
	e->next = *chain;
	*chain = hosts.entries;
}

/* ADDRESS NAME... # comment, in text[at..end) */
static void
add_line(size_t at, size_t end)
{
	size_t addr_len = next_word(&at, end), addr = at, n;
	struct addr a;

	if (!policy_parse_addr(hosts.text + addr, addr_len, &a))
		return;
	at += addr_len;
	while ((n = next_word(&at, end)) > 0) {
		add_name(at, n, addr, addr_len);
		at += n;
	}
}

static void
index_text(size_t len)
{
	size_t start, end = len;

	for (start = len; start > 0; end = start) {
		start = end - 1;
		while (start > 0 && hosts.text[start - 1] != '\n')
			start--;
		add_line(start, end - (hosts.text[end - 1] == '\n'));
	}
}

long
resolver_init(void *memory, size_t room, const char *path)
{
	long len;

	hosts.entry = memory;
	hosts.chain = (uint32_t *)(void *)(hosts.entry + entries_for(room));
	hosts.chains = (uint32_t)chains_for(room);
	hosts.text = (char *)(hosts.chain + hosts.chains);
	hosts.entries = 0;
	memset(hosts.chain, 0, hosts.chains * sizeof *hosts.chain);
	len = room > INT32_MAX ? -EFBIG :
	    sys_read_file(path, hosts.text, room);
	if (len < 0)
		return len;
	index_text((size_t)len);
	return (long)hosts.entries;
}

static int
add_once(struct addr *list, int n, int max, const struct addr *a)
{
	int i;

	for (i = 0; i < n; i++)
		if (policy_same_host(&list[i], a))
			return n;
	if (n < max)
		list[n++] = *a;
	return n;
}

static int
localhost(struct addr *list, int max)
{
	struct addr a;
	int n = 0;

	(void)policy_parse_addr("::1", 3, &a);
	n = add_once(list, n, max, &a);
	(void)policy_parse_addr("127.0.0.1", 9, &a);
	return add_once(list, n, max, &a);
}

int
resolver_lookup(const char *name, size_t len, struct addr *list, int max)
{
	enum dns_special special = dns_name_special(name, len);
	const struct entry *e;
	struct addr a;
	uint32_t i;
	int n = 0;

	if (special == DNS_NEVER)
		return 0;
	for (i = hosts.chain[hash_name(name, len)]; i > 0; i = e->next) {
		e = &hosts.entry[i - 1];
		if (!dns_name_equal(name, len, hosts.text + e->name,
		    e->name_len) ||
		    !policy_parse_addr(hosts.text + e->addr, e->addr_len, &a))
			continue;
		policy_canonical(&a);
		n = add_once(list, n, max, &a);
	}
	if (n == 0 && special == DNS_LOCALHOST)
		return localhost(list, max);
	return n;
}
