/* SPDX-License-Identifier: ISC */
/*
 * dns_message.h - the tests write the messages of name servers with this.
 *
 * begin_answer, then records section by section; counts are kept.
 */
#ifndef DNS_MESSAGE_H
#define DNS_MESSAGE_H

#include <check.h>
#include <stdint.h>
#include <string.h>

#include "../connectd.h"

#define TYPE_CNAME	5
#define TYPE_SOA	6
#define TYPE_OPT	41
#define GOOD_FLAGS	0x8180u
#define QUESTION	"*"		/* owner: a pointer to the question */

enum { ANSWER, AUTHORITY, ADDITIONAL };

struct message {
	unsigned char	p[65535];
	size_t		n;
	int		section;
};

static inline void
put_bytes(struct message *m, const void *p, size_t n)
{
	ck_assert_uint_le(m->n + n, sizeof m->p);
	if (n > 0)
		memcpy(m->p + m->n, p, n);
	m->n += n;
}

static inline void
put_number(struct message *m, unsigned long value, int bytes)
{
	unsigned char b[4];
	int i;

	for (i = 0; i < bytes; i++)
		b[i] = (unsigned char)(value >> 8 * (bytes - 1 - i));
	put_bytes(m, b, (size_t)bytes);
}

static inline void
put_name(struct message *m, const char *name)
{
	size_t n;

	if (strcmp(name, QUESTION) == 0) {
		put_number(m, 0xc00c, 2);
		return;
	}
	for (; *name != '\0'; name += n + (name[n] == '.')) {
		n = strcspn(name, ".");
		put_number(m, n, 1);
		put_bytes(m, name, n);
	}
	put_number(m, 0, 1);
}

static inline void
begin_answer(struct message *m, const struct dns_question *q, unsigned flags)
{
	char name[NAME_MAX_LEN + 1];

	memcpy(name, q->name, q->name_len);
	name[q->name_len] = '\0';
	m->n = 0;
	m->section = ANSWER;
	put_number(m, q->id, 2);
	put_number(m, flags, 2);
	put_number(m, 1, 2);
	put_number(m, 0, 4);
	put_number(m, 0, 2);
	put_name(m, name);
	put_number(m, q->type, 2);
	put_number(m, 1, 2);
}

/* The head of a record with so many bytes of data. */
static inline void
put_record(struct message *m, const char *owner, unsigned type,
    unsigned long ttl, size_t length)
{
	unsigned char *count = m->p + 6 + 2 * m->section;
	unsigned n = (count[0] << 8 | count[1]) + 1u;

	count[0] = (unsigned char)(n >> 8);
	count[1] = (unsigned char)n;
	put_name(m, owner);
	put_number(m, type, 2);
	put_number(m, 1, 2);
	put_number(m, ttl, 4);
	put_number(m, length, 2);
}

/* A or AAAA. */
static inline void
put_addr(struct message *m, const char *owner, unsigned long ttl,
    const char *text)
{
	struct addr a;
	bool four = strchr(text, ':') == NULL;

	/* Mapped addresses are to be sent as they are. */
	ck_assert(addr_parse(text, strlen(text), &a));
	put_record(m, owner, four ? DNS_A : DNS_AAAA, ttl, four ? 4 : 16);
	put_bytes(m, a.ip, four ? 4 : 16);
}

static inline void
put_cname(struct message *m, const char *owner, unsigned long ttl,
    const char *target)
{
	size_t data;

	put_record(m, owner, TYPE_CNAME, ttl, 0);
	data = m->n;
	put_name(m, target);
	m->p[data - 2] = (unsigned char)((m->n - data) >> 8);
	m->p[data - 1] = (unsigned char)(m->n - data);
}

static inline void
put_soa(struct message *m, unsigned long ttl, unsigned long minimum)
{
	m->section = AUTHORITY;
	put_record(m, "", TYPE_SOA, ttl, 22);
	put_number(m, 0, 2);
	put_number(m, 1, 4);
	put_number(m, 2, 4);
	put_number(m, 3, 4);
	put_number(m, 4, 4);
	put_number(m, minimum, 4);
}

static inline void
set_question(struct dns_question *q, const char *name, enum dns_type type)
{
	memset(q, 0, sizeof *q);
	q->type = type;
	q->id = 0x1234;
	q->name_len = (uint8_t)strlen(name);
	memcpy(q->name, name, q->name_len);
}

#endif
