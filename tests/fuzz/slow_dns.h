/* SPDX-License-Identifier: ISC */
/*
 * slow_dns.h - a second decoder of DNS messages, written for plainness.
 *
 * It reads all records into a list with their names in full, and then looks at
 * the list as often as it likes.  Used by the fuzz target and the unit tests;
 * what it says and what dns_decode says must agree.
 */
#ifndef SLOW_DNS_H
#define SLOW_DNS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../../connectd.h"

#define SLOW_NAME	1024

struct slow_record {
	char		owner[SLOW_NAME];	/* "a.b." or "?" if odd */
	int		section, type, class;
	unsigned long	ttl;
	const unsigned char *data;
	int		length, at;
};

struct slow_message {
	const unsigned char *p;
	int		n, at;
	bool		broken;
	int		records;
	struct slow_record *record;
};

static inline int
slow_byte(struct slow_message *m, int at)
{
	if (at < 0 || at >= m->n) {
		m->broken = true;
		return 0;
	}
	return m->p[at];
}

static inline int
slow_number(struct slow_message *m)
{
	int high = slow_byte(m, m->at), low = slow_byte(m, m->at + 1);

	m->at += 2;
	return high * 256 + low;
}

/* The name at `at` in full; returns the place behind it. */
static inline int
slow_name(struct slow_message *m, int at, char out[SLOW_NAME])
{
	int n = 0, behind = -1, lowest = at, c, i, size, to;
	bool odd = false;

	while (!m->broken && (size = slow_byte(m, at)) != 0) {
		if (size / 64 == 3) {
			to = size % 64 * 256 + slow_byte(m, at + 1);
			if (behind < 0)
				behind = at + 2;
			if (to >= lowest)
				m->broken = true;
			at = lowest = to;
			continue;
		}
		if (size / 64 != 0 || n + size + 1 > 254)
			m->broken = true;
		for (i = 1; i <= size && !m->broken; i++) {
			c = slow_byte(m, at + i);
			if (c >= 'A' && c <= 'Z')
				c = c - 'A' + 'a';
			if (c == 0 || strchr("abcdefghijklmnopqrstuvwxyz"
			    "0123456789-_", c) == NULL)
				odd = true;
			out[n++] = (char)c;
		}
		out[n++] = '.';
		at += 1 + size;
	}
	out[n] = '\0';
	if (odd)
		memcpy(out, "?", 2);
	return behind < 0 ? at + 1 : behind;
}

/* The place behind a name that is not to be followed. */
static inline int
slow_skip(struct slow_message *m, int at)
{
	int size;

	while (!m->broken && (size = slow_byte(m, at)) != 0) {
		if (size / 64 == 3) {
			(void)slow_byte(m, at + 1);
			return at + 2;
		}
		if (size / 64 != 0)
			m->broken = true;
		at += 1 + size;
	}
	return at + 1;
}

static inline void
slow_read_record(struct slow_message *m, int section)
{
	struct slow_record *r = &m->record[m->records++];
	unsigned long high;

	r->section = section;
	r->at = m->at;
	m->at = slow_skip(m, m->at);
	r->type = slow_number(m);
	r->class = slow_number(m);
	high = (unsigned long)slow_number(m);
	r->ttl = high * 65536 + (unsigned long)slow_number(m);
	r->length = slow_number(m);
	r->data = m->p + m->at;
	m->at += r->length;
	if (m->at > m->n)
		m->broken = true;
}

static inline bool
slow_is(const char *name, const struct dns_question *q)
{
	return strlen(name) == (size_t)q->name_len + 1 &&
	    memcmp(name, q->name, q->name_len) == 0;
}

static inline enum dns_outcome
slow_answers(struct slow_message *m, const struct dns_question *q, int flags,
    const int count[3], struct dns_answer *a)
{
	char current[SLOW_NAME], next[SLOW_NAME], seen[32][SLOW_NAME];
	int section, i, k, links = 0, cnames = 0, rcode = flags & 15;
	int broken_chain = 0, size = q->type == DNS_A ? 4 : 16, soa = 0;
	unsigned long ttl = 0xffffffff, minimum = 0, negative = 0xffffffff;
	struct addr addr;

	for (section = 0; section < 3; section++)
		for (i = 0; i < count[section] && !m->broken; i++) {
			slow_read_record(m, section);
		}
	for (i = 0; i < m->records && !m->broken; i++) {
		struct slow_record *r = &m->record[i];

		if (r->section == 2 && r->type == 41)
			rcode |= (int)(r->ttl >> 24) * 16;
		if (r->section == 0 && r->type == 5 && r->class == 1 &&
		    ++cnames > DNS_LINKS_MAX)
			m->broken = true;
		if (r->section == 1 && r->type == 6 && r->class == 1 &&
		    r->length >= 22) {
			for (minimum = 0, k = 4; k > 0; k--)
				minimum = minimum * 256 +
				    r->data[r->length - k];
			negative = r->ttl < minimum ? r->ttl : minimum;
			soa = 1;
		}
	}
	a->rcode = (uint16_t)(m->broken ? 2 : rcode);
	if (m->broken)
		return DNS_FAILED;
	if (rcode == 1 || rcode == 4 || rcode == 16)
		return DNS_FORMAT;
	if (rcode != 0 && rcode != 3)
		return DNS_FAILED;
	memcpy(current, q->name, q->name_len);
	memcpy(current + q->name_len, ".", 2);
	strcpy(seen[0], current);
	for (i = 0; i < m->records && !broken_chain;) {
		struct slow_record *r = &m->record[i++];

		if (r->section != 0 || r->type != 5 || r->class != 1)
			continue;
		(void)slow_name(m, r->at, r->owner);
		if (strcmp(r->owner, current) != 0)
			continue;
		if (slow_name(m, (int)(r->data - m->p), next) !=
		    (int)(r->data - m->p) + r->length)
			broken_chain = 1;
		if (r->ttl < ttl)
			ttl = r->ttl;
		broken_chain = broken_chain || m->broken ||
		    !dns_name_ok(next, strlen(next));
		for (k = 0; k <= links; k++)
			if (strcmp(seen[k], next) == 0)
				broken_chain = 1;
		if (!broken_chain && !dns_names_add(&a->aliases, next,
		    strlen(next) - 1))
			broken_chain = 1;
		if (broken_chain)
			break;
		strcpy(current, next);
		strcpy(seen[++links], next);
		i = 0;
	}
	for (i = 0; i < m->records && rcode == 0 && !broken_chain; i++) {
		struct slow_record *r = &m->record[i];

		if (r->section != 0 || r->type != (int)q->type || r->class != 1)
			continue;
		(void)slow_name(m, r->at, r->owner);
		if (strcmp(r->owner, current) != 0)
			continue;
		if (r->length != size)
			m->broken = true;
		if (m->broken)
			break;
		memset(&addr, 0, sizeof addr);
		addr.family = q->type == DNS_A ? 4 : 6;
		memcpy(addr.ip, r->data, (size_t)size);
		dns_list_add(&a->list, &addr);
		if (r->ttl < ttl)
			ttl = r->ttl;
	}
	if (m->broken || broken_chain) {
		a->rcode = 2;
		return DNS_FAILED;
	}
	a->links = (uint8_t)links;
	a->end_len = (uint8_t)(strlen(current) - 1);
	memcpy(a->end, current, a->end_len);
	a->ttl = (uint32_t)ttl;
	if (a->list.n > 0)
		return DNS_FOUND;
	if (rcode == 0 && links > 0 && !soa)
		return DNS_PARTIAL;
	a->ttl = soa ? (uint32_t)(negative < ttl ? negative : ttl) : 0;
	return rcode == 0 ? DNS_NODATA : DNS_NXDOMAIN;
}

static inline enum dns_outcome
slow_decode(const unsigned char *p, size_t n, const struct dns_question *q,
    struct dns_answer *a)
{
	struct slow_message m = { p, (int)n, 0, false, 0, NULL };
	char name[SLOW_NAME];
	int id, flags, questions, count[3], type, class;
	enum dns_outcome outcome;

	memset(a, 0, sizeof *a);
	id = slow_number(&m);
	flags = slow_number(&m);
	questions = slow_number(&m);
	count[0] = slow_number(&m);
	count[1] = slow_number(&m);
	count[2] = slow_number(&m);
	if (m.broken || flags / 2048 != 16 || questions != 1)
		return DNS_MISMATCH;
	m.at = slow_name(&m, m.at, name);
	type = slow_number(&m);
	class = slow_number(&m);
	if (m.broken || !slow_is(name, q) || type != (int)q->type || class != 1)
		return DNS_MISMATCH;
	if (id != q->id)
		return DNS_WRONG_ID;
	if (flags & 0x200)
		return DNS_TRUNCATED;
	/* A record has 11 bytes or more; the last may be broken. */
	m.record = calloc(n / 11 + 1, sizeof *m.record);
	outcome = slow_answers(&m, q, flags, count, a);
	free(m.record);
	return outcome;
}

/* Do they say the same, in all that counts? */
static inline bool
slow_agrees(enum dns_outcome o, const struct dns_answer *a,
    enum dns_outcome slow, const struct dns_answer *b)
{
	if (o != slow)
		return false;
	if (o < DNS_FORMAT)
		return true;
	if (a->rcode != b->rcode || o < DNS_FOUND)
		return a->rcode == b->rcode;
	return a->ttl == b->ttl && a->links == b->links &&
	    a->aliases.used == b->aliases.used &&
	    memcmp(a->aliases.bytes, b->aliases.bytes, a->aliases.used) == 0 &&
	    a->end_len == b->end_len && memcmp(a->end, b->end, a->end_len) == 0 &&
	    memcmp(&a->list, &b->list, sizeof a->list) == 0;
}

#endif
