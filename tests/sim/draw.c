/* SPDX-License-Identifier: ISC */
/*
 * draw.c - how a seed draws its world, and the small worlds without chance for
 * planned faults.
 */
#include <stdio.h>
#include <string.h>

#include "sim.h"

#define SECOND		((int64_t)1000000)

static char config_text[1024], hosts_text[8192], resolv_text[512];

/* ---- addresses ---------------------------------------------------------- */

static struct sim_addr
addr4(unsigned a, unsigned b, unsigned c, unsigned d)
{
	struct sim_addr r;

	memset(&r, 0, sizeof r);
	r.family = 4;
	r.ip[0] = (unsigned char)a;
	r.ip[1] = (unsigned char)b;
	r.ip[2] = (unsigned char)c;
	r.ip[3] = (unsigned char)d;
	return r;
}

static struct sim_addr
addr6(unsigned first, unsigned second, unsigned last)
{
	struct sim_addr r;

	memset(&r, 0, sizeof r);
	r.family = 6;
	r.ip[0] = (unsigned char)(first >> 8);
	r.ip[1] = (unsigned char)first;
	r.ip[2] = (unsigned char)(second >> 8);
	r.ip[3] = (unsigned char)second;
	r.ip[14] = (unsigned char)(last >> 8);
	r.ip[15] = (unsigned char)last;
	return r;
}

/* 64:ff9b::a.b.c.d */
static struct sim_addr
nat64(unsigned a, unsigned b, unsigned c, unsigned d)
{
	struct sim_addr r = addr6(0x64, 0xff9b, 0);

	r.ip[12] = (unsigned char)a;
	r.ip[13] = (unsigned char)b;
	r.ip[14] = (unsigned char)c;
	r.ip[15] = (unsigned char)d;
	return r;
}

static struct sim_addr
draw_public(void)
{
	unsigned h = between(1, 240);

	return below(3) > 0 ? addr4(93, 184, 216, h) :
	    addr6(0x2001, 0x4860, h);
}

static struct sim_addr
draw_doubtful(void)
{
	switch (below(8)) {
	case 0:
		return addr4(127, 0, 0, 1);
	case 1:
		return addr4(10, 1, 2, between(1, 240));
	case 2:
		return addr4(169, 254, 169, 254);
	case 3:
		return addr6(0, 0, 1);
	case 4:
		return nat64(127, 0, 0, 1);
	case 5:
		return nat64(93, 184, 216, between(1, 240));
	case 6:
		return addr6(0x2002, 0x7f00, 1);
	default:
		return addr4(0, 0, 0, 0);
	}
}

const char *
addr_text(const struct sim_addr *a, char out[64], bool brackets)
{
	int i, n = 0;

	if (a->family == 4) {
		(void)snprintf(out, 64, "%u.%u.%u.%u", a->ip[0], a->ip[1],
		    a->ip[2], a->ip[3]);
		return out;
	}
	n += snprintf(out, 64, "%s", brackets ? "[" : "");
	for (i = 0; i < 16; i += 2)
		n += snprintf(out + n, 64 - (size_t)n, "%s%x", i > 0 ? ":" : "",
		    a->ip[i] * 256u + a->ip[i + 1]);
	(void)snprintf(out + n, 64 - (size_t)n, "%s", brackets ? "]" : "");
	return out;
}

/* ---- drawing ------------------------------------------------------------ */

static void
draw_names(void)
{
	struct sim_name *name;
	char text[64];
	unsigned i, k;
	size_t n = 0;

	for (i = 0; i < NAMES; i++) {
		name = &sim.name[i];
		name->denied = i % 6 == 5;
		(void)snprintf(name->text, sizeof name->text, "n%u.%s", i,
		    name->denied ? "bad.test" : "good.test");
		name->in_hosts = i % 3 == 0;
		name->kind = below(2) == 0 ? N_PLAIN :
		    (enum name_kind)below(NAME_KINDS);
		name->ttl = below(3);
		name->addresses = name->kind == N_NOT_THERE ? 0 :
		    between(1, 4);
		for (k = 0; k < name->addresses; k++) {
			name->address[k] = below(5) == 0 ? draw_doubtful() :
			    draw_public();
			if (!name->in_hosts)
				continue;
			n += (size_t)snprintf(hosts_text + n,
			    sizeof hosts_text - n, "%s\t%s\n",
			    addr_text(&name->address[k], text, false),
			    name->text);
		}
	}
}

static void
head_for(struct client *k, unsigned id, const char *host)
{
	const char *version = below(3) == 0 ? "1.0" : "1.1";

	k->head_len = (unsigned)snprintf(k->head, sizeof k->head,
	    "CONNECT %s:%u HTTP/%s\r\nHost: %s\r\nUser-Agent: sim/%u\r\n\r\n",
	    host, PORT_BASE + id, version, host, id);
}

static void
draw_target(struct client *k, unsigned id)
{
	char text[64];
	unsigned what = below(24), name = below(NAMES);

	k->literal = what < 14;
	if (what < 12)
		k->address[0] = draw_public();
	else if (what < 14)
		k->address[0] = draw_doubtful();
	k->addresses = 1;
	if (what < 14) {
		head_for(k, id, addr_text(&k->address[0], text, true));
		return;
	}
	if (what == 14) {		/* nobody knows it */
		k->addresses = 0;
		head_for(k, id, below(3) == 0 ? "x.invalid" : "nobody.test");
		return;
	}
	if (what == 15) {
		k->address[0] = addr6(0, 0, 1);
		k->address[1] = addr4(127, 0, 0, 1);
		k->addresses = 2;
		head_for(k, id, "LOCALHOST.");
		return;
	}
	k->name = (int)name;
	memcpy(k->address, sim.name[name].address, sizeof k->address);
	k->addresses = sim.name[name].addresses;
	k->denied_name = sim.name[name].denied;
	head_for(k, id, sim.name[name].text);
}

static void
set_head(struct client *k, const char *head, unsigned status)
{
	k->head_len = (unsigned)strlen(head);
	memcpy(k->head, head, k->head_len);
	k->status_wanted = status;
	k->addresses = 0;
}

static void
draw_garbage(struct client *k)
{
	static const struct {
		const char	*head;
		unsigned	status;
	} cases[] = {
		{ "GET / HTTP/1.1\r\nHost: a\r\n\r\n", 405 },
		{ "BREW / HTTP/1.1\r\nHost: a\r\n\r\n", 501 },
		{ "CONNECT a:1 HTTP/2.0\r\nHost: a\r\n\r\n", 505 },
		{ "CONNECT a HTTP/1.1\r\nHost: a\r\n\r\n", 400 },
		{ "CONNECT a:1 HTTP/1.1\r\n\r\n", 400 },
		{ "CONNECT a:1 HTTP/1.1\nHost: a\n\n", 400 },
		{ "\026\003\001\002", 400 },
	};
	unsigned i = below(sizeof cases / sizeof cases[0]);

	set_head(k, cases[i].head, cases[i].status);
}

static void
draw_pace(struct client *k)
{
	static const unsigned paces[] = { 0, 0, 1, 2, 5, 40, 150 };

	k->pace_ms = paces[below(7)];
	k->gulp = below(3) == 0 ? between(1, 300) : between(300, 40000);
}

static void
draw_from(struct sim_addr *from)
{
	unsigned net = below(4), host = below(sim.set.per_client > 0 ? 3 : 200);

	*from = addr4(net == 0 ? 172 : 198, 18, 0, host);
	if (net == 1) {		/* a /64 is one client */
		*from = addr6(0x2001, 0x200, below(65536));
		from->ip[7] = (unsigned char)(host / 2);
	}
}

static void
draw_client(unsigned id)
{
	struct client *k = &sim.client[id];

	memset(k, 0, sizeof *k);
	k->conn = k->origin = k->name = -1;
	k->kind = (enum client_kind)below(CLIENT_KINDS);
	draw_from(&k->from);
	k->from.port = CLIENT_PORT + id;
	k->start = (int64_t)below(20000) * 1000;
	draw_pace(k);
	if (sim.set.restless && below(3) == 0) {
		k->kind = K_FIREHOSE;
		k->pace_ms = 0;
		k->gulp = 40000;
	}
	draw_target(k, id);
	if (id == 0 && sim.set.rules == 2) {	/* its port is the daemon's */
		k->literal = true;
		k->name = -1;
		k->addresses = 1;
		k->address[0] = addr4(127, 0, 0, 1);
		head_for(k, id, "127.0.0.1");
	}
	k->payload = k->kind != K_FIREHOSE ? between(0, 20000) :
	    sim.set.restless ? between(500000, 1500000) :
	    between(50000, 150000);
	k->early = k->kind == K_EARLY || k->kind == K_FIREHOSE ||
	    below(4) == 0;
	k->ends = k->kind == K_HALF_CLOSER || below(2) == 0;
	if (k->kind == K_RESETTER)
		k->reset_at = between(1, 4000);
	if (k->kind == K_GARBAGE)
		draw_garbage(k);
	if (k->kind == K_PIPELINER)
		set_head(k, "POST / HTTP/1.1\r\nHost: a\r\n\r\n"
		    "CONNECT 93.184.216.2:443 HTTP/1.1\r\nHost: a\r\n\r\n",
		    405);
	if (k->kind == K_OVERSIZE) {
		k->head_len -= 2;
		memcpy(k->head + k->head_len, "X: ", 3);
		k->head_len += 3;
		k->filler = 20000;
		k->status_wanted = 431;
		k->addresses = 0;
	}
	if (k->kind == K_MUTE || k->kind == K_LEAVER || k->kind == K_STALLER)
		k->addresses = 0;
}

static void
sort_clients(void)
{
	unsigned i;

	/* Their numbers are their ports, so only the times are sorted. */
	for (i = 1; i < sim.set.clients; i++)
		if (sim.client[i].start < sim.client[i - 1].start)
			sim.client[i].start = sim.client[i - 1].start +
			    below(sim.set.crowd ? 100 : 300000);
}

static void
draw_settings(struct settings *s)
{
	unsigned f;
	bool quiet;

	memset(s, 0, sizeof *s);
	s->clients = between(5, 120);
	s->restless = below(10) == 0;
	s->crowd = below(8) == 0;
	s->call_us = 1;
	if (s->restless) {	/* a slow machine and few, greedy clients */
		s->clients = between(5, 20);
		s->call_us = between(50, 300);
	}
	s->tunnels = below(3) == 0 ? between(1, 12) : between(12, 200);
	s->per_client = below(3) == 0 ? between(1, 4) : 0;
	s->buffer = 4096u << below(4);
	s->request_ms = between(1000, 10000);
	s->connect_ms = between(1000, 20000);
	s->idle_ms = between(2000, 30000);
	s->half_ms = below(5) == 0 ? 0 : between(1000, 20000);
	s->drain_ms = between(0, 4000);
	s->rules = below(4);
	s->nofile = below(3) == 0 ? between(12, 70) : 0;
	s->calm_at = between(5, 60) * SECOND;
	s->term_at = below(4) == 0 ? between(1, 40) * SECOND : NEVER;
	s->second_term_at = below(4) == 0 ? s->term_at == NEVER ? NEVER :
	    s->term_at + between(1, 2000) * 1000 : NEVER;
	names_draw_servers(s);
	/* Where nothing goes wrong by chance more can be asked for. */
	quiet = below(4) == 0;
	if (quiet) {
		s->nofile = 0;
		s->per_client = 0;
		s->connect_ms = between(10000, 20000);
		s->term_at = NEVER;
	}
	for (f = 0; f < FAULTS; f++) {
		s->fault_on[f] = below(4) == 0 && !quiet;
		s->fault_rate[f] = below(2) == 0 ? between(1000, 20000) :
		    between(1000, 300000);
	}
	/* What ends connections is rare, or nothing else would happen. */
	s->fault_rate[F_HARD] = between(100, 10000);
	s->fault_rate[F_SIGNAL] = between(100, 5000);
	s->fault_rate[F_CLOG] = between(100, 20000);
}

static void
write_config(const struct settings *s)
{
	static const char *const rules[] = {
		"allow to public port any",
		"deny to 93.184.216.0/27,.bad.test\nallow to any port any",
		"allow to public,loopback port any",
		"allow from 198.18.0.0/15 to public port any"
	};

	(void)snprintf(config_text, sizeof config_text,
	    "listen 127.0.0.1:%u\nlisten [::1]:%u\n"
	    "tunnels %u\ntunnels-per-client %u\nbuffer %u\n"
	    "timeout request %lldms\ntimeout connect %lldms\n"
	    "timeout idle %lldms\ntimeout half %lldms\ntimeout drain %lldms\n"
	    "hosts /sim/hosts\nresolv /sim/resolv.conf\n%s\n", PORT_BASE,
	    PORT_BASE, s->tunnels, s->per_client, s->buffer,
	    (long long)s->request_ms, (long long)s->connect_ms,
	    (long long)s->idle_ms, (long long)s->half_ms,
	    (long long)s->drain_ms, rules[s->rules]);
}

/* ---- scenarios for planned faults --------------------------------------- */

/* Small worlds without chance in what happens, one each for the main ways. */
static void
plain_settings(struct settings *s, unsigned clients)
{
	memset(s, 0, sizeof *s);
	s->clients = clients;
	s->call_us = 1;
	s->tunnels = 8;
	s->buffer = 4096;
	s->request_ms = 2000;
	s->connect_ms = 3000;
	s->idle_ms = 4000;
	s->half_ms = 2000;
	s->drain_ms = 500;
	s->calm_at = NEVER;
	s->servers = 1;
	s->dns_timeout = 1;
	s->dns_attempts = 2;
	s->files_at = NEVER;
	s->term_at = 60 * SECOND;
	s->second_term_at = NEVER;
}

static void
plain_client(unsigned id, enum client_kind kind, const char *host,
    struct sim_addr address)
{
	struct client *k = &sim.client[id];

	memset(k, 0, sizeof *k);
	k->conn = k->origin = k->name = -1;
	k->literal = true;
	k->kind = kind;
	k->from = addr4(198, 18, 0, id);
	k->from.port = CLIENT_PORT + id;
	k->start = (int64_t)id * 1000;
	k->gulp = 3000;
	k->payload = SCENARIO_BYTES;
	k->ends = true;
	k->address[0] = address;
	k->addresses = 1;
	head_for(k, id, host);
}

/* A client that asks for name 1, which is in the DNS only. */
static void
plain_name(unsigned id)
{
	struct sim_name *name = &sim.name[1];
	struct client *k = &sim.client[id];

	name->kind = N_PLAIN;
	name->address[0] = addr6(0x2001, 0x4860, 14);
	name->address[1] = addr4(93, 184, 216, 4);
	name->addresses = 2;
	plain_client(id, K_EARLY, name->text, name->address[0]);
	k->address[1] = name->address[1];
	k->addresses = 2;
	k->early = true;
	k->literal = false;
	k->name = 1;
}

static void
make_scenario(int n)
{
	struct settings *s = &sim.set;

	plain_settings(s, 1);
	draw_names();
	switch (n) {
	case 0:			/* a plain tunnel, both ways */
		plain_client(0, K_PLAIN, "93.184.216.4",
		    addr4(93, 184, 216, 4));
		break;
	case 1:			/* a request that is refused */
		plain_client(0, K_GARBAGE, "a", addr4(0, 0, 0, 0));
		set_head(&sim.client[0], "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
		    405);
		break;
	case 2:			/* a race: the first of two is silent */
		(void)snprintf(hosts_text, sizeof hosts_text,
		    "2001:4860::f one.test\n93.184.216.4 one.test\n");
		plain_client(0, K_EARLY, "one.test", addr6(0x2001, 0x4860, 15));
		sim.client[0].address[1] = addr4(93, 184, 216, 4);
		sim.client[0].addresses = 2;
		sim.client[0].early = true;
		sim.client[0].literal = false;
		break;
	case 3:			/* the target ends first */
		plain_client(0, K_SLOW_READER, "93.184.216.31",
		    addr4(93, 184, 216, 31));
		sim.client[0].ends = false;
		break;
	case 4:			/* the target resets */
		plain_client(0, K_PLAIN, "93.184.216.33",
		    addr4(93, 184, 216, 33));
		break;
	case 5:			/* the client resets */
		plain_client(0, K_RESETTER, "93.184.216.4",
		    addr4(93, 184, 216, 4));
		sim.client[0].reset_at = 2000;
		break;
	case 6:			/* a full table */
		plain_settings(s, 4);
		s->tunnels = 2;
		plain_client(0, K_PLAIN, "93.184.216.4",
		    addr4(93, 184, 216, 4));
		plain_client(1, K_STALLER, "93.184.216.4",
		    addr4(93, 184, 216, 4));
		plain_client(2, K_PLAIN, "93.184.216.10",
		    addr4(93, 184, 216, 10));
		plain_client(3, K_GARBAGE, "10.0.0.1", addr4(10, 0, 0, 1));
		break;
	case 7:			/* a name of the DNS, with both families */
	case 8:			/* the same over TCP, from the second server */
		plain_name(0);
		if (n == 8) {
			s->servers = 2;
			s->server[0] = S_FAILS;
			s->server[1] = S_TRUNCATING;
		}
		break;
	default:		/* refused by rule, refused by the target */
		plain_settings(s, 2);
		plain_client(0, K_PLAIN, "93.184.216.37",
		    addr4(93, 184, 216, 37));
		plain_client(1, K_PLAIN, "10.0.0.1", addr4(10, 0, 0, 1));
		break;
	}
}

void
make_world(void)
{
	unsigned i;

	if (sim.scenario >= 0)
		make_scenario(sim.scenario);
	else {
		draw_settings(&sim.set);
		draw_names();
		for (i = 0; i < sim.set.clients; i++)
			draw_client(i);
		sort_clients();
	}
	write_config(&sim.set);
	names_resolv_conf(&sim.set, resolv_text, sizeof resolv_text);
	set_up_files(config_text, hosts_text, resolv_text);
}
