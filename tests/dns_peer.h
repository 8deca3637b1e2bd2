/* SPDX-License-Identifier: ISC */
/*
 * A scripted name server for unit tests: a UDP and a TCP socket on one port of
 * 127.0.0.1 that the kernel chose.  A test takes a question, which has to be a
 * proper one, and sends an answer that a line of words describes, with commas
 * between its parts.  The question is repeated in it, and its name owns the
 * records.
 *
 *	a TTL ADDRESS		a record A or AAAA
 *	cname TTL NAME		and NAME owns what follows
 *	owner NAME		so does this
 *	soa TTL MINIMUM		an authority record
 *	opt RCODE		an additional one: upper bits of the rcode
 *	txt LENGTH		an additional record with so much data
 *	formerr, servfail, nxdomain, notimp, refused
 *	tc			the bit
 *	id, query, opcode	another id, QR 0, opcode 2
 *	noquestion, othername, othertype, otherclass
 *	badcount		the header counts a record that is not there
 */
#ifndef DNS_PEER_H
#define DNS_PEER_H

#include <sys/socket.h>
#include <netinet/in.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "dns_message.h"

#define COUNT(table) ((int)(sizeof (table) / sizeof (table)[0]))
#define READY_MS	10000		/* what is to come comes before that */
#define MESSAGE_MAX	65535

struct peer {
	int		udp, tcp;	/* -1: closed */
	struct addr	addr;
};

/* A question that was put to a peer. */
struct asked {
	int		tcp;		/* the connection, or -1 */
	struct sockaddr_in from;	/* of a datagram */
	unsigned	id, type;
	bool		edns;
	char		name[256];	/* text, as it was sent */
};

/* ---- sockets ----------------------------------------------------------- */

static inline bool
ready(int fd, short events, int ms)
{
	struct pollfd p = { fd, events, 0 };

	return poll(&p, 1, ms) == 1 && (p.revents & events) != 0;
}

static inline int
descriptors(void)
{
	int fd, n = 0;

	for (fd = 0; fd < 1024; fd++)
		n += fcntl(fd, F_GETFD) != -1;
	return n;
}

static inline struct addr
address(const char *text, uint16_t port)
{
	struct addr a;

	ck_assert(addr_parse(text, strlen(text), &a));
	a.port = port;
	return a;
}

static inline struct sockaddr_in
sockaddr_of(const char *ip, uint16_t port)
{
	struct addr a = address(ip, port);
	struct sockaddr_in s;

	memset(&s, 0, sizeof s);
	s.sin_family = AF_INET;
	s.sin_port = htons(port);
	memcpy(&s.sin_addr, a.ip, 4);
	return s;
}

/* A socket on that port of that address, 0 for any; -1 if it is taken. */
static inline int
bound_socket(int type, const char *ip, uint16_t port)
{
	struct sockaddr_in s = sockaddr_of(ip, port);
	int fd = socket(AF_INET, type, 0);

	ck_assert_msg(fd >= 0, "%s", strerror(errno));
	if (bind(fd, (struct sockaddr *)&s, sizeof s) == 0)
		return fd;
	(void)close(fd);
	return -1;
}

static inline uint16_t
port_of(int fd)
{
	struct sockaddr_in s;
	socklen_t len = sizeof s;

	ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&s, &len), 0);
	return ntohs(s.sin_port);
}

/* ---- the server -------------------------------------------------------- */

static inline void
peer_bind(struct peer *p)
{
	uint16_t port;

	do {
		p->tcp = bound_socket(SOCK_STREAM, "127.0.0.1", 0);
		ck_assert_int_ge(p->tcp, 0);
		port = port_of(p->tcp);
		p->udp = bound_socket(SOCK_DGRAM, "127.0.0.1", port);
		if (p->udp == -1)
			(void)close(p->tcp);
	} while (p->udp == -1);
	p->addr = address("127.0.0.1", port);
}

static inline void
peer_open(struct peer *p)
{
	peer_bind(p);
	ck_assert_int_eq(listen(p->tcp, 64), 0);
}

/* One that refuses: nobody listens, and datagrams are taken from nobody else
 * than itself. */
static inline void
peer_refuse(struct peer *p)
{
	struct sockaddr_in s;

	peer_bind(p);
	s = sockaddr_of("127.0.0.1", p->addr.port);
	ck_assert_int_eq(connect(p->udp, (struct sockaddr *)&s, sizeof s), 0);
}

static inline void
peer_close(struct peer *p)
{
	sys_close(&p->udp);
	sys_close(&p->tcp);
}

/* Is there nothing that it could take? */
static inline bool
peer_is_quiet(const struct peer *p)
{
	return !ready(p->udp, POLLIN, 0) && !ready(p->tcp, POLLIN, 0);
}

/* ---- questions --------------------------------------------------------- */

static inline unsigned
number_at(const unsigned char *p)
{
	return (unsigned)p[0] << 8 | p[1];
}

/* The name at p as text; its end in the message. */
static inline const unsigned char *
read_text(const unsigned char *p, const unsigned char *end, char out[256])
{
	size_t n = 0;

	while (p < end && *p > 0) {
		ck_assert_uint_le(*p, 63);
		ck_assert(*p < end - p && n + *p < 254);
		if (n > 0)
			out[n++] = '.';
		memcpy(out + n, p + 1, *p);
		n += *p;
		p += 1 + *p;
	}
	ck_assert(p < end);
	out[n] = '\0';
	return p + 1;
}

/* It has RD and one question of class IN, and nothing else but an OPT. */
static inline void
read_question(struct asked *q, const unsigned char *p, size_t n)
{
	static const unsigned char opt[] = { 0, 0, 41, 1232 >> 8, 1232 & 255,
	    0, 0, 0, 0, 0, 0 };
	const unsigned char *end = p + n;

	ck_assert_uint_ge(n, 12 + 5);
	q->id = number_at(p);
	ck_assert_uint_eq(number_at(p + 2), 0x0100);
	ck_assert_uint_eq(number_at(p + 4), 1);
	ck_assert_uint_eq(number_at(p + 6), 0);
	ck_assert_uint_eq(number_at(p + 8), 0);
	ck_assert_uint_le(number_at(p + 10), 1);
	q->edns = number_at(p + 10) == 1;
	p = read_text(p + 12, end, q->name);
	ck_assert_int_eq(end - p, 4 + (q->edns ? COUNT(opt) : 0));
	q->type = number_at(p);
	ck_assert(q->type == DNS_A || q->type == DNS_AAAA);
	ck_assert_uint_eq(number_at(p + 2), 1);
	if (q->edns)
		ck_assert_mem_eq(p + 4, opt, sizeof opt);
}

/* Take a datagram, which comes. */
static inline void
peer_take(const struct peer *p, struct asked *q)
{
	unsigned char bytes[DNS_QUERY_MAX + 1];
	socklen_t len = sizeof q->from;
	ssize_t n;

	memset(q, 0, sizeof *q);
	q->tcp = -1;
	ck_assert_msg(ready(p->udp, POLLIN, READY_MS), "no question");
	n = recvfrom(p->udp, bytes, sizeof bytes, 0,
	    (struct sockaddr *)&q->from, &len);
	ck_assert_int_gt(n, 0);
	read_question(q, bytes, (size_t)n);
}

/* Accept a connection, which comes.  Nothing is read. */
static inline void
peer_accept(const struct peer *p, struct asked *q)
{
	memset(q, 0, sizeof *q);
	ck_assert_msg(ready(p->tcp, POLLIN, READY_MS), "no connection");
	q->tcp = accept(p->tcp, NULL, NULL);
	ck_assert_int_ge(q->tcp, 0);
	ck_assert_int_ne(fcntl(q->tcp, F_SETFL, O_NONBLOCK), -1);
}

static inline void
read_bytes(int fd, unsigned char *p, size_t n)
{
	ssize_t got;

	for (; n > 0; n -= (size_t)got) {
		ck_assert_msg(ready(fd, POLLIN, READY_MS), "no bytes");
		got = recv(fd, p, n, 0);
		ck_assert_int_gt(got, 0);
		p += got;
	}
}

/* Take the question of a connection; there is nothing behind it. */
static inline void
peer_read(struct asked *q)
{
	unsigned char bytes[DNS_QUERY_MAX];
	size_t n;

	read_bytes(q->tcp, bytes, 2);
	n = number_at(bytes);
	ck_assert_uint_le(n, sizeof bytes);
	read_bytes(q->tcp, bytes, n);
	read_question(q, bytes, n);
	ck_assert(!ready(q->tcp, POLLIN, 0));
}

static inline void
peer_hang_up(struct asked *q)
{
	sys_close(&q->tcp);
}

/* ---- answers ----------------------------------------------------------- */

/* Change a number of the header. */
static inline void
add_to(struct message *m, size_t at, unsigned value)
{
	unsigned char *p = m->p + at;

	value += number_at(p);
	p[0] = (unsigned char)(value >> 8);
	p[1] = (unsigned char)value;
}

/* An additional record with n bytes of data. */
static inline void
put_text(struct message *m, size_t n)
{
	static const unsigned char zeros[MESSAGE_MAX];

	m->section = ADDITIONAL;
	put_record(m, "", 16, 0, n);
	put_bytes(m, zeros, n);
}

/* An empty OPT with the upper bits of an rcode. */
static inline void
put_opt(struct message *m, unsigned long rcode)
{
	m->section = ADDITIONAL;
	put_record(m, "", TYPE_OPT, rcode << 24, 0);
}

/* Words that change the header. */
static inline bool
put_flag(struct message *m, const char *word)
{
	static const struct {
		const char *word;
		size_t at;
		unsigned value;
	} flags[] = {
		{ "formerr", 2, 1 }, { "servfail", 2, 2 },
		{ "nxdomain", 2, 3 }, { "notimp", 2, 4 },
		{ "refused", 2, 5 }, { "tc", 2, 0x0200 },
		{ "id", 0, 1 }, { "query", 2, 0x8000 },
		{ "opcode", 2, 0x1000 }, { "badcount", 6, 1 }
	};
	int i;

	for (i = 0; i < COUNT(flags); i++)
		if (strcmp(word, flags[i].word) == 0) {
			add_to(m, flags[i].at, flags[i].value);
			return true;
		}
	return false;
}

/* One part of a script; *owner is who owns records. */
static inline void
put_part(struct message *m, const char *part, char owner[256])
{
	char word[32], one[256] = "0", two[256] = "0";
	unsigned long n;

	ck_assert_int_ge(sscanf(part, "%31s %255s %255s", word, one, two), 1);
	n = strtoul(one, NULL, 10);
	if (strcmp(word, "a") == 0)
		put_addr(m, owner, n, two);
	else if (strcmp(word, "cname") == 0) {
		put_cname(m, owner, n, two);
		(void)snprintf(owner, 256, "%s", two);
	} else if (strcmp(word, "owner") == 0)
		(void)snprintf(owner, 256, "%s", one);
	else if (strcmp(word, "soa") == 0)
		put_soa(m, n, strtoul(two, NULL, 10));
	else if (strcmp(word, "opt") == 0)
		put_opt(m, n);
	else if (strcmp(word, "txt") == 0)
		put_text(m, n);
	else if (strncmp(word, "other", 5) != 0 &&
	    strcmp(word, "noquestion") != 0)
		ck_assert_msg(put_flag(m, word), "%s", word);
}

/* The header, and the question as the script wants it. */
static inline void
put_question(struct message *m, const struct asked *q, const char *script)
{
	struct dns_question question;

	set_question(&question, strstr(script, "othername") != NULL ?
	    "other.example" : q->name, (enum dns_type)q->type);
	question.id = (uint16_t)q->id;
	begin_answer(m, &question, GOOD_FLAGS);
	if (strstr(script, "othertype") != NULL)
		m->p[m->n - 3]++;
	if (strstr(script, "otherclass") != NULL)
		m->p[m->n - 1] = 3;
	if (strstr(script, "noquestion") != NULL) {
		m->n = 12;
		m->p[5] = 0;
	}
}

/* Make the answer to q that the script describes. */
static inline void
compose(struct message *m, const struct asked *q, const char *script)
{
	char parts[1024], owner[256], *part;

	put_question(m, q, script);
	(void)snprintf(owner, sizeof owner, "%s", q->name);
	ck_assert_uint_lt(strlen(script), sizeof parts);
	(void)snprintf(parts, sizeof parts, "%s", script);
	for (part = strtok(parts, ","); part != NULL; part = strtok(NULL, ","))
		put_part(m, part, owner);
}

/* With its length in front, as it goes over TCP; n + 2 bytes, which hold until
 * the next call. */
static inline const unsigned char *
framed(const struct message *m)
{
	static unsigned char bytes[2 + MESSAGE_MAX];

	bytes[0] = (unsigned char)(m->n >> 8);
	bytes[1] = (unsigned char)m->n;
	memcpy(bytes + 2, m->p, m->n);
	return bytes;
}

/* Send bytes of a connection; how many were taken. */
static inline size_t
send_some(const struct asked *q, const unsigned char *p, size_t n)
{
	ssize_t sent = send(q->tcp, p, n, MSG_NOSIGNAL);

	if (sent == -1)
		ck_assert_int_eq(errno, EAGAIN);
	return sent == -1 ? 0 : (size_t)sent;
}

static inline void
send_datagram(int fd, const struct asked *q, const void *p, size_t n)
{
	ck_assert_int_eq(sendto(fd, p, n, 0,
	    (const struct sockaddr *)&q->from, sizeof q->from), (ssize_t)n);
}

/* Answer as it was asked. */
static inline void
peer_answer(const struct peer *p, const struct asked *q, const char *script)
{
	static struct message m;

	compose(&m, q, script);
	if (q->tcp == -1)
		send_datagram(p->udp, q, m.p, m.n);
	else
		ck_assert_uint_eq(send_some(q, framed(&m), m.n + 2), m.n + 2);
}

#endif
