/* SPDX-License-Identifier: ISC */
/*
 * lines.c - what must be true of the log, and at the end of a world.
 */
#include <sys/socket.h>
#include <arpa/inet.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"

/* ---- the log ------------------------------------------------------------ */

static unsigned long long
field(const char *line, const char *name)
{
	const char *p = strstr(line, name);

	if (p == NULL)
		broken("the access line lacks%s", name);
	return strtoull(p + strlen(name), NULL, 10);
}

/* Has anything happened to a connection of this client's tunnel? */
static bool
is_hurt(int id)
{
	const struct conn *c;

	for (c = sim.conn; c < sim.conn + sim.conns; c++)
		if (c->id == id &&
		    (c->faulted || c->actor_reset || c->peer_closed))
			return true;
	return false;
}

/* Words that claim something must be right. */
static void
check_end_word(const struct client *k, int id)
{
	const struct conn *c = &sim.conn[k->conn], *o = origin_of(k);
	int64_t quiet = sim.now - later(later(c->moved,
	    o != NULL ? o->moved : 0), k->replied_at);

	if (sim.plan.forever)
		return;		/* time jumps, and the daemon's is older */
	if (strcmp(k->end, "idle") == 0 && k->status == 200 &&
	    quiet < sim.set.idle_ms * MS - EARLY)
		broken("client %d: idle, but it was not", id);
	if (strcmp(k->end, "half") == 0 && quiet < sim.set.half_ms * MS - EARLY)
		broken("client %d: cut before `timeout half`", id);
	if (strcmp(k->end, "evicted") == 0 &&
	    count_open() + 1 < sim.set.tunnels)
		broken("client %d: evicted without need", id);
	if (strcmp(k->end, "evicted") == 0 && (o != NULL ?
	    !c->out.fin_sent && !o->out.fin_sent :
	    sim.now - k->accepted_at < 1000 * MS - EARLY))
		broken("client %d: evicted, but others had to go first", id);
	if (strstr(k->end, "-reset") != NULL && !is_hurt(id))
		broken("client %d: %s, but there was none", id, k->end);
	if (strstr(k->end, "-reset") != NULL &&
	    ((c->hasty_reset && !c->faulted) ||
	    (o != NULL && o->hasty_reset && !o->faulted)))
		broken("client %d: a reset outran bytes on their way", id);
	if (strcmp(k->end, "stopped") == 0 && sim.terms < 2 &&
	    (sim.terms == 0 ||
	    sim.now - sim.term_at < sim.set.drain_ms * MS - EARLY))
		broken("client %d: stopped before the drain was over", id);
}

/* A side broke off.  What it had sent by then went to the other, unless that
 * one failed too or took too long. */
static void
check_cut(const struct client *k, int id)
{
	const struct conn *c = &sim.conn[k->conn], *o = origin_of(k);
	bool client = strcmp(k->end, "client-reset") == 0;
	const struct conn *dead = client ? c : o, *alive = client ? o : c;

	if (strstr(k->end, "-reset") == NULL || o == NULL ||
	    !dead->actor_reset || dead->faulted || alive->faulted ||
	    alive->actor_reset || alive->peer_closed ||
	    sim.now - later(c->last_progress, o->last_progress) >=
	    sim.set.half_ms * MS - EARLY)
		return;
	if (dead->in.taken != dead->in.arrived || dead->in.taken -
	    (client ? k->head_len + k->filler : 0) !=
	    (client ? k->up_sent : k->down_sent))
		broken("client %d: %s, and bytes that had come are lost", id,
		    k->end);
}

static void
check_dns_fields(const struct client *k, int id, const char *line)
{
	bool error = strcmp(k->end, "dns_error") == 0;
	const char *ms = strstr(line, " dns-ms=");

	if (ms == NULL || (k->literal && ms[8] != '-'))
		broken("client %d: dns-ms without a name: %s", id, line);
	if (error && strstr(line, " rcode=") == NULL)
		broken("client %d: an error of the DNS without its rcode: %s",
		    id, line);
	if (k->head_end > 0 && (strstr(line, " rcode=") != NULL) !=
	    (strstr(k->reply, "; rcode=") != NULL))
		broken("client %d: reply and log differ in the rcode: %s", id,
		    line);
}

/* A number of milliseconds in it against the world's. */
static void
check_ms(int id, const char *line, const char *name, int64_t first,
    int64_t last)
{
	int64_t us = (int64_t)field(line, name) * MS;

	if (!sim.plan.forever && (us < first - EARLY || us > last + EARLY))
		broken("client %d: it was not so long,%s: %s", id, name, line);
}

/* When it stood, and where it leads. */
static void
check_way(const struct client *k, int id, const char *line)
{
	const struct conn *o = origin_of(k);
	char ip[INET6_ADDRSTRLEN], wanted[80];
	const char *setup = strstr(line, " setup-ms=");

	if (setup == NULL || (setup[10] == '-') ==
	    (strstr(line, " status=200 ") != NULL))
		broken("client %d: setup-ms does not fit: %s", id, line);
	check_ms(id, line, " ms=", sim.now - k->accepted_at,
	    sim.now - k->accepted_at);
	if (k->status != 200 || o == NULL)
		return;
	check_ms(id, line, " setup-ms=", o->connect_at - k->accepted_at,
	    k->replied_at - k->accepted_at);
	(void)inet_ntop(o->peer.family == 4 ? AF_INET : AF_INET6, o->peer.ip,
	    ip, sizeof ip);
	(void)snprintf(wanted, sizeof wanted, o->peer.family == 4 ?
	    " address=%s:%u " : " address=[%s]:%u ", ip, o->peer.port);
	if (strstr(line, wanted) == NULL)
		broken("client %d: another address than the one that it has: "
		    "%s", id, line);
}

/* Whose line is it?  Clients are known by their ports. */
static int
client_of_line(const char *line)
{
	const char *end = strchr(line + 14, ' ');

	while (end != NULL && end > line && *end != ':')
		end--;
	return end == NULL ? -1 : atoi(end + 1) - CLIENT_PORT;
}

static void
check_access_line(const char *line)
{
	const char *word = strstr(line, " end=");
	int id = client_of_line(line);
	struct client *k;
	size_t n;

	if (id < 0 || id >= (int)sim.set.clients || word == NULL)
		broken("an access line of nobody: %s", line);
	k = &sim.client[id];
	if (!k->accepted || ++k->log_lines > 1)
		broken("client %d: more than one access line", id);
	n = strcspn(word + 5, " ");
	if (n >= sizeof k->end)
		n = sizeof k->end - 1;
	memcpy(k->end, word + 5, n);
	k->end[n] = '\0';
	if (field(line, " status=") != k->status && k->head_end > 0)
		broken("client %d: the log says another status: %s", id, line);
	if (field(line, " up=") != k->up_sent ||
	    field(line, " down=") != k->down_sent)
		broken("client %d: the log counts otherwise (%llu, %llu): %s",
		    id, (unsigned long long)k->up_sent,
		    (unsigned long long)k->down_sent, line);
	check_end_word(k, id);
	check_cut(k, id);
	check_dns_fields(k, id, line);
	check_way(k, id, line);
}

/* Sums over all tunnels, which can be told while none is open. */
static void
check_statistics(const char *line)
{
	uint64_t up = 0, down = 0;
	unsigned i, established = 0, refused = 0;

	if (field(line, " lost-lines=") != sim.lost_lines ||
	    field(line, " tunnels=") > sim.set.tunnels)
		broken("wrong numbers: %s", line);
	if (count_open() > 0)
		return;
	for (i = 0; i < sim.set.clients; i++) {
		up += sim.client[i].up_sent;
		down += sim.client[i].down_sent;
		established += sim.client[i].status == 200;
		refused += sim.client[i].status >= 400;
	}
	if (field(line, " up=") != up || field(line, " down=") != down ||
	    field(line, " tunnels=") != 0 ||
	    field(line, " accepted=") != sim.accepted ||
	    field(line, " established=") < established ||
	    field(line, " refused=") < refused)
		broken("wrong sums (%llu up, %llu down, %llu accepted): %s",
		    (unsigned long long)up, (unsigned long long)down,
		    (unsigned long long)sim.accepted, line);
}

void
check_line(const char *p, size_t n)
{
	char line[600];
	size_t i;

	if (n == 0 || n > 512 || p[n - 1] != '\n')
		broken("a log line of %zu bytes", n);
	for (i = 0; i + 1 < n; i++)
		if (p[i] < 0x20 || p[i] > 0x7e)
			broken("a log line with byte %d", p[i]);
	memcpy(line, p, n - 1);
	line[n - 1] = '\0';
	trace("log: %s", line);
	if (strncmp(line, "log: ", 5) != 0 && sim.told_lost != sim.lost_lines)
		broken("lost lines are not told of");
	if (strncmp(line, "tunnel client=", 14) == 0)
		check_access_line(line);
	else if (strncmp(line, "statistics ", 11) == 0)
		check_statistics(line);
	else if (strncmp(line, "log: ", 5) == 0)
		sim.told_lost += strtoul(line + 5, NULL, 10);
}

/* ---- the end ------------------------------------------------------------ */

/* Nothing was done to it: then it must have got everything. */
static void
check_delivery(const struct client *k, int id)
{
	const struct conn *c = &sim.conn[k->conn], *o = origin_of(k);

	if (k->status != 200 || o == NULL || sim.set.half_ms == 0 ||
	    (strcmp(k->end, "client-fin") != 0 &&
	    strcmp(k->end, "target-fin") != 0))
		return;
	if (c->faulted || o->faulted || c->actor_reset || o->actor_reset)
		return;
	if (!is_complete(k, c, true) || !is_complete(k, o, false))
		broken("client %d: an orderly end without all bytes", id);
}

/* What becomes of a target of this kind, if nothing else goes wrong. */
static const char *
fate_of(const struct sim_addr *a)
{
	switch (origin_kind_at(a)) {
	case O_REFUSES:
		return "error=connection_refused";
	case O_BLACKHOLE:
		return "error=connection_timeout";
	case O_UNREACHABLE:
		return "error=destination_ip_unroutable";
	case O_PROHIBITED:
		return "error=destination_ip_prohibited";
	case O_SELF:
		return "error=proxy_loop_detected";
	default:
		return NULL;
	}
}

/* An address that is reached gets a tunnel, another one its own error. */
static void
check_fate(const struct client *k, int id)
{
	const char *fate = fate_of(&k->address[0]);

	if (fate != NULL && (k->status == 200 ||
	    strstr(k->reply, fate) == NULL))
		broken("client %d: status %u, not the %s it should be", id,
		    k->status, fate);
	if (fate == NULL && k->status != 200 &&
	    (origin_kind_at(&k->address[0]) != O_LATE ||
	    sim.set.connect_ms > 3500))
		broken("client %d: status %u, but its target is there", id,
		    k->status);
}

/* One good address is enough, among whatever others. */
static void
check_race(const struct client *k, int id)
{
	const struct sim_addr *a;
	unsigned i;

	if (k->status == 200 ||
	    sim.set.connect_ms < 5000 + 4500 * (k->addresses / 2) ||
	    !is_sure_of_names(k) || (k->name >= 0 &&
	    sim.name[k->name].kind == N_FLIPS))
		return;
	for (i = 0; i < k->addresses; i++) {
		a = &k->address[i];
		if (oracle_allows(k, a) && fate_of(a) == NULL && (k->name < 0 ||
		    sim.name[k->name].in_hosts || a->family == 4))
			broken("client %d: status %u, but its target has a "
			    "good address", id, k->status);
	}
}

/* In a world without faults a good client with a good target gets through. */
static void
check_service(const struct client *k, int id)
{
	if (k->head_end > 0 && id > 0 && k->status != 408 &&
	    sim.set.per_client == 0 && k->kind != K_GARBAGE)
		check_race(k, id);
	if (!k->literal && (!is_sure_of_names(k) || (k->name >= 0 &&
	    sim.name[k->name].kind == N_FLIPS)))
		return;
	if (k->literal && k->addresses == 1 && k->head_end > 0 && id > 0 &&
	    k->status != 408 && sim.set.per_client == 0 &&
	    k->kind != K_GARBAGE && oracle_allows(k, &k->address[0]))
		check_fate(k, id);
	if (k->kind != K_PLAIN || k->addresses != 1 || !k->accepted ||
	    sim.set.per_client > 0 || !oracle_allows(k, &k->address[0]) ||
	    k->address[0].family != 4 || k->address[0].ip[0] != 93 ||
	    k->address[0].ip[3] % 2 != 0)
		return;
	/* Some are so slow to ask that their time is over. */
	if (strcmp(k->end, "evicted") == 0 || k->status == 408)
		return;
	if (k->status != 200)
		broken("client %d: no tunnel in a good world (status %u, %s)",
		    id, k->status, k->end);
	if (k->ends && strstr(k->end, "-fin") == NULL &&
	    strstr(k->end, "-reset") == NULL)
		broken("client %d: %s in a good world", id, k->end);
}

void
check_end(int status)
{
	uint64_t missing = 0;
	bool quiet = is_quiet_world();
	unsigned i;

	if (sim.running ? status != 0 : !sim.plan.on || status < 1 || status > 2)
		broken("exit status %d", status);
	check_descriptors();
	for (i = 0; i < sim.conns; i++)
		if (sim.conn[i].fd != -1)
			broken("descriptor %d is open at the end",
			    sim.conn[i].fd);
	if (names_open_sockets() > 0)
		broken("%u sockets of questions are open at the end",
		    names_open_sockets());
	for (i = 0; sim.running && i < sim.set.clients; i++) {
		/* Those that are far too many leave no line. */
		missing += sim.client[i].accepted &&
		    sim.client[i].log_lines == 0 &&
		    (sim.set.per_client == 0 || sim.client[i].reply_len > 0);
		if (sim.client[i].conn == -1)
			continue;
		check_delivery(&sim.client[i], (int)i);
		if (quiet)
			check_service(&sim.client[i], (int)i);
	}
	if (missing > sim.lost_lines)
		broken("%llu access lines are missing",
		    (unsigned long long)missing);
	if (sim.told_lost > sim.lost_lines)
		broken("more lost lines told than lost");
}
