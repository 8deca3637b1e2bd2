/* SPDX-License-Identifier: ISC */
/*
 * slow_dns.h - a second decoder of DNS messages, written for plainness.
 *
 * It reads all records into a list, and then looks at the list as often as it
 * likes.  Used by the fuzz target and the unit tests; what it says and what
 * dns_decode says must agree.
 */
#ifndef SLOW_DNS_H
#define SLOW_DNS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../../connectd.h"

#define SLOW_NAME	256	/* 254 bytes with the last dot, and a NUL */

struct slow_record {
	int		section, type, class;
	unsigned long	ttl;
	int		owner, data, length;	/* places in the message */
};

struct slow_message {
	const unsigned char *p;
	int		n, at;
	bool		broken;
	int		id, flags, count[4];
	int		records;
	struct slow_record *record;
	char		current[SLOW_NAME];	/* end of the chain up to now */
	char		seen[DNS_LINKS_MAX + 1][SLOW_NAME];
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

static inline unsigned long
slow_number4(struct slow_message *m, int at)
{
	unsigned long value = 0;
	int i;

	for (i = 0; i < 4; i++)
		value = value * 256 + (unsigned long)slow_byte(m, at + i);
	return value;
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

static inline bool
slow_is_of_names(int c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' ||
	    c == '_';
}

/* The name at `at` in full, "a.b." and in lower case; "?" if it is odd. */
static inline void
slow_name(struct slow_message *m, int at, char out[SLOW_NAME])
{
	int n = 0, lowest = at, c, i, size;
	bool odd = false;

	while (!m->broken && (size = slow_byte(m, at)) != 0) {
		if (size / 64 == 3) {
			at = size % 64 * 256 + slow_byte(m, at + 1);
			if (at >= lowest)
				m->broken = true;
			lowest = at;
			continue;
		}
		if (size / 64 != 0 || n + size + 1 > 254)
			m->broken = true;
		for (i = 1; i <= size && !m->broken; i++) {
			c = slow_byte(m, at + i);
			if (c >= 'A' && c <= 'Z')
				c = c - 'A' + 'a';
			if (!slow_is_of_names(c))
				odd = true;
			out[n++] = (char)c;
		}
		out[n++] = '.';
		at += 1 + size;
	}
	out[n] = '\0';
	if (odd)
		memcpy(out, "?", 2);
}

static inline bool
slow_is(const char *name, const struct dns_question *q)
{
	return strlen(name) == (size_t)q->name_len + 1 &&
	    memcmp(name, q->name, q->name_len) == 0;
}

static inline void
slow_read_header(struct slow_message *m)
{
	int i;

	m->id = slow_number(m);
	m->flags = slow_number(m);
	for (i = 0; i < 4; i++)
		m->count[i] = slow_number(m);
}

static inline bool
slow_read_question(struct slow_message *m, const struct dns_question *q)
{
	char name[SLOW_NAME];
	int type, class;

	if (m->broken || m->flags / 2048 != 16 || m->count[0] != 1)
		return false;
	slow_name(m, m->at, name);
	m->at = slow_skip(m, m->at);
	type = slow_number(m);
	class = slow_number(m);
	return !m->broken && slow_is(name, q) && type == (int)q->type &&
	    class == 1;
}

static inline void
slow_read_record(struct slow_message *m, int section)
{
	struct slow_record *r = &m->record[m->records++];

	r->section = section;
	r->owner = m->at;
	m->at = slow_skip(m, m->at);
	r->type = slow_number(m);
	r->class = slow_number(m);
	r->ttl = slow_number4(m, m->at);
	m->at += 4;
	r->length = slow_number(m);
	r->data = m->at;
	m->at += r->length;
	if (m->at > m->n)
		m->broken = true;
}

static inline void
slow_read_records(struct slow_message *m)
{
	int section, i;

	for (section = 1; section <= 3; section++)
		for (i = 0; i < m->count[section] && !m->broken; i++)
			slow_read_record(m, section);
}

static inline bool
slow_is_record(const struct slow_record *r, int section, int type)
{
	return r->section == section && r->type == type && r->class == 1;
}

/* Every CNAME is one name, and there are not too many of them. */
static inline void
slow_check_links(struct slow_message *m)
{
	const struct slow_record *r;
	int links = 0;

	for (r = m->record; r < m->record + m->records && !m->broken; r++)
		if (slow_is_record(r, 1, 5) && (++links > DNS_LINKS_MAX ||
		    slow_skip(m, r->data) != r->data + r->length))
			m->broken = true;
}

/* With the upper bits, which are in an OPT of the additional section. */
static inline int
slow_rcode(const struct slow_message *m)
{
	int i, rcode = m->flags % 16;

	for (i = 0; i < m->records; i++)
		if (m->record[i].section == 3 && m->record[i].type == 41)
			rcode |= (int)(m->record[i].ttl / 0x1000000) * 16;
	return rcode;
}

/* Of the last SOA; false if there is none. */
static inline bool
slow_negative_ttl(struct slow_message *m, unsigned long *ttl)
{
	const struct slow_record *r;
	unsigned long minimum;
	bool found = false;

	for (r = m->record; r < m->record + m->records; r++) {
		if (!slow_is_record(r, 2, 6) || r->length < 22)
			continue;
		minimum = slow_number4(m, r->data + r->length - 4);
		*ttl = r->ttl < minimum ? r->ttl : minimum;
		found = true;
	}
	return found;
}

/* A record of this type that the current name owns, from *i on. */
static inline const struct slow_record *
slow_find(struct slow_message *m, int *i, int type)
{
	char owner[SLOW_NAME];
	const struct slow_record *r;

	while (*i < m->records && !m->broken) {
		r = &m->record[(*i)++];
		if (!slow_is_record(r, 1, type))
			continue;
		slow_name(m, r->owner, owner);
		if (!m->broken && strcmp(owner, m->current) == 0)
			return r;
	}
	return NULL;
}

static inline void
slow_take_ttl(struct dns_answer *a, const struct slow_record *r)
{
	if (r->ttl < a->ttl)
		a->ttl = (uint32_t)r->ttl;
}

/* False if the link leads to no name, or to one that was there. */
static inline bool
slow_take_link(struct slow_message *m, const struct slow_record *r,
    struct dns_answer *a)
{
	size_t n;
	int i;

	slow_name(m, r->data, m->current);
	n = strlen(m->current);
	if (m->broken || !dns_name_ok(m->current, n) ||
	    !dns_names_add(&a->aliases, m->current, n - 1))
		return false;
	for (i = 0; i <= a->links; i++)
		if (strcmp(m->seen[i], m->current) == 0)
			return false;
	strcpy(m->seen[++a->links], m->current);
	slow_take_ttl(a, r);
	return true;
}

static inline void
slow_follow_links(struct slow_message *m, const struct dns_question *q,
    struct dns_answer *a)
{
	const struct slow_record *r;
	int i = 0;

	memcpy(m->current, q->name, q->name_len);
	memcpy(m->current + q->name_len, ".", 2);
	strcpy(m->seen[0], m->current);
	while ((r = slow_find(m, &i, 5)) != NULL) {
		if (!slow_take_link(m, r, a)) {
			m->broken = true;
			return;
		}
		i = 0;
	}
	a->end_len = (uint8_t)(strlen(m->current) - 1);
	memcpy(a->end, m->current, a->end_len);
}

static inline void
slow_take_addresses(struct slow_message *m, enum dns_type type,
    struct dns_answer *a)
{
	int i = 0, size = type == DNS_A ? 4 : 16;
	const struct slow_record *r;
	struct addr addr;

	while ((r = slow_find(m, &i, (int)type)) != NULL) {
		if (r->length != size) {
			m->broken = true;
			return;
		}
		memset(&addr, 0, sizeof addr);
		addr.family = type == DNS_A ? 4 : 6;
		memcpy(addr.ip, m->p + r->data, (size_t)size);
		dns_list_add(&a->list, &addr);
		slow_take_ttl(a, r);
	}
}

static inline enum dns_outcome
slow_interpret(struct slow_message *m, const struct dns_question *q, int rcode,
    struct dns_answer *a)
{
	unsigned long ttl = 0;
	bool soa = slow_negative_ttl(m, &ttl);

	slow_follow_links(m, q, a);
	if (rcode == 0)
		slow_take_addresses(m, q->type, a);
	if (m->broken)
		return DNS_FAILED;
	if (a->list.n > 0)
		return DNS_FOUND;
	if (rcode == 0 && a->links > 0 && !soa)
		return DNS_PARTIAL;
	if (ttl < a->ttl)
		a->ttl = (uint32_t)ttl;
	return rcode == 0 ? DNS_NODATA : DNS_NXDOMAIN;
}

static inline enum dns_outcome
slow_answer(struct slow_message *m, const struct dns_question *q,
    struct dns_answer *a)
{
	enum dns_outcome outcome = DNS_FAILED;
	int rcode = 2;

	slow_read_records(m);
	slow_check_links(m);
	if (!m->broken) {
		rcode = slow_rcode(m);
		if (rcode == 1 || rcode == 4 || rcode == 16)
			outcome = DNS_FORMAT;
		else if (rcode == 0 || rcode == 3)
			outcome = slow_interpret(m, q, rcode, a);
	}
	a->rcode = (uint16_t)(m->broken ? 2 : rcode);
	return outcome;
}

static inline enum dns_outcome
slow_decode(const unsigned char *p, size_t n, const struct dns_question *q,
    struct dns_answer *a)
{
	struct slow_message m;
	enum dns_outcome outcome;

	m.p = p;
	m.n = (int)n;
	m.at = m.records = 0;
	m.broken = false;
	memset(a, 0, sizeof *a);
	a->ttl = 0xffffffff;
	slow_read_header(&m);
	if (!slow_read_question(&m, q))
		return DNS_MISMATCH;
	if (m.id != q->id)
		return DNS_WRONG_ID;
	if (m.flags & 0x200)
		return DNS_TRUNCATED;
	/* A record has 11 bytes or more; the last may be broken. */
	m.record = malloc((n / 11 + 1) * sizeof *m.record);
	outcome = slow_answer(&m, q, a);
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
