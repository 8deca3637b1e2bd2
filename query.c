/* SPDX-License-Identifier: ISC */
/*
 * query.c - one question to the name servers.
 *
 * IMPLEMENTATION NOTES
 *
 * An attempt asks one server in one way: a datagram from a fresh socket, or a
 * connection.  It has the time that resolv.conf gives it.  Datagrams that do
 * not fit the question are dropped and the wait goes on, so a forger has to
 * guess port and id; one wrong id is enough to turn to TCP, where there is
 * nothing to guess (what BIND, Knot and PowerDNS do).
 *
 * A server that was silent or refused is asked last for a while, so that one
 * that is gone costs one name its time-out and not every name.  It counts as
 * silent only if it answered nobody else in that time: it may be the name that
 * is dead.
 *
 * Only an answer over TCP needs memory beyond the stack; a few buffers are
 * lent for that, and who finds none waits for one within its own deadline.
 */
#include <errno.h>
#include <string.h>

#include "connectd.h"

#define BUFFERS		4
#define BUFFER_SIZE	((size_t)2 + 65535)
#define DATAGRAM_MAX	4096
#define DEAD_MS		30000
#define RCODE_SERVFAIL	2

static struct {
	const struct resolv *resolv;
	unsigned char	*spare[BUFFERS];
	unsigned	 spares;
	unsigned	 turn;		/* `rotate`: where the next one begins */
	unsigned	 generation;	/* of the servers */
	int64_t		 answered[SERVERS_MAX], dead_until[SERVERS_MAX];
} net;

size_t
query_memory(void)
{
	return BUFFERS * BUFFER_SIZE;
}

void
query_init(const struct resolv *r, void *memory)
{
	unsigned char *p = memory;

	net.resolv = r;
	net.generation++;
	memset(net.answered, 0, sizeof net.answered);
	memset(net.dead_until, 0, sizeof net.dead_until);
	if (p == NULL)
		return;
	for (net.spares = 0; net.spares < BUFFERS; net.spares++)
		net.spare[net.spares] = p + net.spares * BUFFER_SIZE;
}

/* ---- one attempt --------------------------------------------------------- */

void
query_cancel(struct query *q)
{
	sys_close(&q->fd);
	q->wait = -1;
	q->way = QUERY_IDLE;
	if (q->buffer != NULL)
		net.spare[net.spares++] = q->buffer;
	q->buffer = NULL;
}

static size_t
write_question(struct query *q, unsigned char *out)
{
	return dns_encode(&q->question, net.resolv->edns0 && !q->plain, out);
}

/* 0, or -errno; -EMFILE stands for every shortage here, also of ports. */
static int
connect_to_server(struct query *q, bool tcp)
{
	int fd = sys_connect_server(&net.resolv->server[q->server], tcp);

	if (fd == -ENFILE || fd == -ENOBUFS || fd == -ENOMEM ||
	    fd == -EAGAIN || fd == -EADDRNOTAVAIL || fd == -EADDRINUSE)
		return -EMFILE;
	if (fd < 0)
		return fd;
	q->fd = fd;
	return 0;
}

/* What is not sent now is as good as lost on the way: the next attempt will
 * tell. */
static int
begin_udp(struct query *q)
{
	unsigned char message[DNS_QUERY_MAX];
	struct part part = { message, 0 };
	int rc = connect_to_server(q, false);

	if (rc < 0)
		return rc;
	part.n = write_question(q, message);
	q->way = QUERY_UDP;
	rc = sys_send(q->fd, &part, 1);
	return rc < 0 && rc != -EAGAIN ? rc : 0;
}

static int
begin_tcp(struct query *q)
{
	size_t n;
	int rc;

	if (net.spares == 0) {
		q->way = QUERY_TCP_TURN;
		return 0;
	}
	if ((rc = connect_to_server(q, true)) < 0)
		return rc;
	q->buffer = net.spare[--net.spares];
	n = write_question(q, q->buffer + 2);
	q->buffer[0] = (unsigned char)(n >> 8);
	q->buffer[1] = (unsigned char)n;
	q->have = 0;
	q->need = n + 2;
	q->way = QUERY_TCP_CONNECT;
	return 0;
}

/* Ask q->server.  0, or -errno if that failed at once. */
static int
begin_attempt(struct query *q, bool tcp, int64_t now)
{
	int rc;

	query_cancel(q);
	if (q->server >= net.resolv->servers)
		return -ETIMEDOUT;	/* there are fewer by now */
	q->generation = net.generation;
	q->begun = now;
	q->due = now + net.resolv->timeout;
	if (sys_random(&q->question.id, sizeof q->question.id) < 0)
		return -EMFILE;
	rc = tcp ? begin_tcp(q) : begin_udp(q);
	if (rc < 0)
		query_cancel(q);
	return rc;
}

/* ---- one server after the other ------------------------------------------ */

/* The first that was not tried in this round, those last that are dead.  False
 * if there is none. */
static bool
pick_server(struct query *q, int64_t now)
{
	const int64_t *dead = net.dead_until;
	unsigned i, s, n = net.resolv->servers, pick = n;

	for (i = n; i-- > 0;) {
		s = (q->first + i) % n;
		if (q->tried & (1u << s))
			continue;
		if (pick == n || dead[s] <= now || dead[pick] > now)
			pick = s;
	}
	if (pick == n)
		return false;
	q->server = pick;
	q->tried |= 1u << pick;
	return true;
}

static bool
next_server(struct query *q, int64_t now)
{
	if (pick_server(q, now))
		return true;
	if (q->rounds >= net.resolv->attempts)
		return false;
	q->rounds++;
	q->tried = 0;
	return pick_server(q, now);
}

/* What a server said is worth more than another's silence. */
static void
note_failure(struct query *q, int error)
{
	if (error != -EMFILE && error != -EPROTO)
		error = -ETIMEDOUT;
	if (q->error != -EPROTO)
		q->error = error;
}

/* Go on to where an attempt can be made.  -EAGAIN, or what it failed with. */
static int
go_on(struct query *q, int64_t now)
{
	int rc;

	while (next_server(q, now)) {
		rc = begin_attempt(q, net.resolv->use_vc, now);
		if (rc == 0)
			return -EAGAIN;
		note_failure(q, rc);
	}
	return q->error;
}

void
query_start(struct query *q, enum dns_type type, const char *name, size_t n,
    int64_t now)
{
	memset(q, 0, sizeof *q);
	q->fd = q->wait = -1;
	q->question.type = type;
	q->question.name_len = (uint8_t)n;
	memcpy(q->question.name, name, n);
	q->error = -ETIMEDOUT;
	q->rcode = RCODE_SERVFAIL;
	q->rounds = 1;
	/* Both families of a name begin with the same one. */
	if (net.resolv->rotate)
		q->first = type == DNS_A ? net.turn++ : net.turn;
	(void)go_on(q, now);	/* query_step tells */
}

/* The attempt has failed. */
static int
give_up(struct query *q, int error, int64_t now)
{
	/* What fails behind an answer that was cut or forged says nothing. */
	bool silent = q->generation == net.generation &&
	    net.answered[q->server] < q->begun &&
	    (q->way == QUERY_UDP ||
	    (q->way != QUERY_TCP_TURN && net.resolv->use_vc));

	if (silent && error != -EMFILE && error != -EPROTO)
		net.dead_until[q->server] = now + DEAD_MS;
	if (error == -ETIMEDOUT)
		q->plain = true;	/* the silence may be about EDNS */
	note_failure(q, error);
	query_cancel(q);
	return go_on(q, now);
}

/* ---- answers ------------------------------------------------------------- */

/* A datagram; 0 with what it is, -EAGAIN if there is none, or -errno. */
static int
receive_udp(struct query *q, enum dns_outcome *outcome, struct dns_answer *a)
{
	unsigned char message[DATAGRAM_MAX];
	struct part part = { message, sizeof message };
	int n = sys_recv(q->fd, &part, 1);

	if (n < 0)
		return n;
	*outcome = dns_decode(message, (size_t)n, &q->question, a);
	/* One that fills it may have been cut. */
	if (n == DATAGRAM_MAX && *outcome > DNS_WRONG_ID)
		*outcome = DNS_TRUNCATED;
	return 0;
}

static int
send_tcp(struct query *q)
{
	struct part part = { q->buffer + q->have, q->need - q->have };
	int n = sys_send(q->fd, &part, 1);

	if (n < 0)
		return n;
	q->have += (size_t)n;
	if (q->have == q->need) {
		q->way = QUERY_TCP_RECEIVE;
		q->have = 0;
		q->need = 2;
	}
	return -EAGAIN;
}

/* Two bytes that say how many follow, and those. */
static int
receive_tcp(struct query *q, enum dns_outcome *outcome, struct dns_answer *a)
{
	struct part part = { q->buffer + q->have, q->need - q->have };
	int n = sys_recv(q->fd, &part, 1);

	if (n <= 0)
		return n == 0 ? -ECONNRESET : n;
	q->have += (size_t)n;
	if (q->have < q->need)
		return -EAGAIN;
	if (q->need == 2) {
		q->need += (size_t)(q->buffer[0] << 8 | q->buffer[1]);
		if (q->need > 2)
			return -EAGAIN;
	}
	*outcome = dns_decode(q->buffer + 2, q->need - 2, &q->question, a);
	/* Nobody else can say anything here, so there is nothing to wait for. */
	if (*outcome <= DNS_TRUNCATED) {
		*outcome = DNS_FAILED;
		a->rcode = RCODE_SERVFAIL;
	}
	return 0;
}

/* Act on what poll said: as receive_udp. */
static int
advance(struct query *q, const struct waits *w, enum dns_outcome *outcome,
    struct dns_answer *a)
{
	int rc;

	if (q->way == QUERY_TCP_TURN)
		return (rc = begin_tcp(q)) < 0 ? rc : -EAGAIN;
	if (sys_got(w, q->wait) == 0)
		return -EAGAIN;
	switch (q->way) {
	case QUERY_UDP:
		return receive_udp(q, outcome, a);
	case QUERY_TCP_CONNECT:
		if ((rc = sys_connected(q->fd)) <= 0)
			return rc == 0 ? -EAGAIN : rc;
		q->way = QUERY_TCP_SEND;
		return send_tcp(q);
	case QUERY_TCP_SEND:
		return send_tcp(q);
	case QUERY_TCP_RECEIVE:
		return receive_tcp(q, outcome, a);
	case QUERY_IDLE:
	case QUERY_TCP_TURN:
		break;
	}
	return -EAGAIN;
}

/* A message has come.  0 if it is the answer, -EAGAIN if the wait goes on, or
 * -errno if this server does not help. */
static int
judge(struct query *q, enum dns_outcome outcome, const struct dns_answer *a,
    int64_t now)
{
	int rc = -EPROTO;

	if (outcome > DNS_WRONG_ID && q->generation == net.generation) {
		net.answered[q->server] = now;
		net.dead_until[q->server] = 0;
	}
	switch (outcome) {
	case DNS_MISMATCH:
		return -EAGAIN;
	case DNS_WRONG_ID:
	case DNS_TRUNCATED:
		rc = begin_attempt(q, true, now);
		return rc < 0 ? rc : -EAGAIN;
	case DNS_FORMAT:
		if (!net.resolv->edns0 || q->plain)
			break;
		q->plain = true;
		rc = begin_attempt(q, net.resolv->use_vc, now);
		return rc < 0 ? rc : -EAGAIN;
	case DNS_FOUND:
	case DNS_NODATA:
	case DNS_NXDOMAIN:
	case DNS_PARTIAL:
		return 0;
	case DNS_FAILED:
		break;
	}
	q->rcode = a->rcode;
	return rc;
}

void
query_interest(struct query *q, struct waits *w, uint32_t owner)
{
	bool out = q->way == QUERY_TCP_CONNECT || q->way == QUERY_TCP_SEND;

	q->wait = -1;
	if (q->fd != -1)
		q->wait = sys_want(w, q->fd, out ? POLLOUT : POLLIN, owner);
	/* It has failed already, or there is a buffer for it now. */
	if (q->way == QUERY_IDLE ||
	    (q->way == QUERY_TCP_TURN && net.spares > 0))
		sys_due(w, 0);
	else
		sys_due(w, q->due);
}

int
query_step(struct query *q, const struct waits *w, int64_t now,
    enum dns_outcome *outcome, struct dns_answer *a)
{
	int rc;

	if (q->way == QUERY_IDLE)
		return q->error;
	rc = advance(q, w, outcome, a);
	if (rc == 0)
		rc = judge(q, *outcome, a, now);
	if (rc == -EAGAIN && now >= q->due)
		rc = -ETIMEDOUT;
	if (rc == -EAGAIN)
		return rc;
	if (rc < 0)
		return give_up(q, rc, now);
	query_cancel(q);
	return 0;
}
