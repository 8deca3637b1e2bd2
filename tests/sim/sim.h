/* SPDX-License-Identifier: ISC */
/*
 * sim.h - a simulated world around the shipping objects of connectd.
 *
 * The daemon's objects are linked with -Wl,--wrap for every system call that
 * they need; the world answers those calls.  One seed is one world: everything
 * random comes from it, time moves only in calls and in poll, and the trace of
 * all calls is hashed, so that a seed is the same run on every machine.
 *
 * The daemon runs its own main.  It is ended as in life, by SIGTERM.
 */
#ifndef SIM_H
#define SIM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CLIENTS_MAX	512
#define CONNS_MAX	4096
#define FDS_MAX		2048
#define HEAD_ROOM	1024
#define PORT_BASE	10000	/* client n asks for port PORT_BASE + n */
#define CLIENT_PORT	20000	/* and comes from port CLIENT_PORT + n */
#define NEVER		INT64_MAX
#define SCENARIO_BYTES	3000	/* each way in a planned world */
#define NAMES		24
#define SERVERS_ROOM	3

/* ---- randomness: one stream for the world, none anywhere else ----------- */

uint64_t rnd(void);
unsigned below(unsigned n);			/* 0 .. n-1 */
unsigned between(unsigned lo, unsigned hi);	/* lo .. hi */
bool chance(unsigned per_million);

/* ---- faults ------------------------------------------------------------- */

/* Every call that the world answers. */
enum call {
	C_ACCEPT, C_BIND, C_CLOCK, C_CLOSE, C_CONNECT, C_FCNTL, C_GETPEERNAME,
	C_GETRLIMIT, C_GETSOCKNAME, C_GETSOCKOPT, C_IOCTL, C_LISTEN, C_OPEN,
	C_PIPE, C_POLL, C_READ, C_RECVMSG, C_SENDMSG, C_SETRLIMIT,
	C_SETSOCKOPT, C_SHUTDOWN, C_SIGACTION, C_SIGPROCMASK, C_SOCKET, C_STAT,
	C_WRITE, CALLS
};
extern const char *const call_names[CALLS];

/* Classes of random faults; each is on in a quarter of the seeds.  An errno
 * belongs to one of them: see class_of. */
enum fault {
	F_EINTR,
	F_EAGAIN,		/* also where poll said that it is ready */
	F_SHORT,		/* fewer bytes than there are or fit */
	F_HARD,			/* what ends a connection */
	F_SHORTAGE,		/* of descriptors or memory */
	F_SPURIOUS,		/* poll says ready, and it is not */
	F_HUP,			/* poll says HUP or ERR for no reason */
	F_POLL,			/* poll fails */
	F_CLOG,			/* nothing gets through for a while */
	F_LOG,			/* the log takes no line */
	F_SIGNAL,		/* HUP or USR1, inside any call */
	F_ACCEPT,		/* what only accept says */
	FAULTS
};

/* A planned fault: call number `at` fails with err, and if `forever` all later
 * calls of its kind do. */
struct plan {
	bool		on;
	uint64_t	at;
	int		err;
	bool		forever;
};

/* The errnos that the manual allows; 0 ends the list. */
const int *errnos_of(enum call c);

/* ---- the world ---------------------------------------------------------- */

struct sim_addr {
	int		family;		/* 4, 6 */
	unsigned char	ip[16];
	unsigned	port;
};

/* One direction of a connection.  sent >= arrived >= taken. */
struct lane {
	uint64_t	sent, arrived, taken;
	uint64_t	room_sender, room_receiver;
	bool		fin_sent, fin_arrived, fin_taken;
	bool		lost;		/* reset: nothing more arrives */
};

/* What an address does with a connection. */
enum origin_kind {
	O_TALKS, O_SINK, O_FIREHOSE, O_ENDS_FIRST, O_RESETS, O_SLOW, O_REFUSES,
	O_BLACKHOLE, O_UNREACHABLE, O_PROHIBITED, O_LATE, O_SELF, ORIGINS
};

/* What a name server does.  The first ones help, if one has patience. */
enum server_kind {
	S_PLAIN, S_SLOW, S_WRONG_ID, S_WRONG_QUESTION, S_WRONG_TYPE,
	S_NO_ANSWER, S_WRONG_OWNER, S_ADDITIONAL, S_TRUNCATING, S_TWICE,
	S_SIX_FAILS, S_OVERSIZED, S_LAST_HELPFUL = S_OVERSIZED,
	S_DEAD, S_LATE, S_REFUSES, S_FAILS, S_LOOPS, S_GARBAGE, SERVERS
};

enum name_kind {
	N_PLAIN, N_ALIAS, N_PARTIAL, N_FLIPS, N_NOT_THERE, NAME_KINDS
};

struct sim_name {
	char		text[32];
	enum name_kind	kind;
	bool		in_hosts, denied;
	struct sim_addr	address[8];
	unsigned	addresses;
	int64_t		true_until[8];	/* as it was told in the DNS */
	unsigned	version;	/* N_FLIPS */
	unsigned long	ttl;		/* N_FLIPS, seconds */
};

enum client_kind {
	K_PLAIN, K_EARLY, K_DRIBBLE, K_HALF_CLOSER, K_MUTE, K_FIREHOSE,
	K_SLOW_READER, K_RESETTER, K_PIPELINER, K_GARBAGE, K_OVERSIZE, K_LEAVER,
	K_STALLER, CLIENT_KINDS
};

/* A connection.  `in` leads to the daemon, `out` away from it. */
struct conn {
	bool		is_client;
	int		id;		/* of the client that it belongs to */
	int		fd;		/* the daemon's, -1 if it has none */
	struct lane	in, out;
	bool		connecting, established;
	bool		connect_told;	/* the daemon knows that it stands */
	int64_t		connect_at;	/* when the outcome comes, us */
	int		outcome;	/* errno then; 0: good */
	int		unsent_told;	/* by ioctl */
	int		error;		/* SO_ERROR pending */
	bool		dead;		/* reset or gone; no byte passes */
	int64_t		dead_at;
	bool		peer_closed;	/* the actor has closed its end */
	bool		daemon_closed;	/* by close */
	bool		daemon_reset;	/* ... in a way that sends a reset */
	bool		actor_reset;	/* the actor sent a reset */
	bool		hasty_reset;	/* by the daemon, over bytes */
	bool		faulted;	/* an injected fault hit it */
	int64_t		clogged_until;
	struct sim_addr	local, peer;	/* as the daemon sees them */
	enum origin_kind kind;
	int64_t		wake;
	int64_t		lull;		/* how long the actor rested */
	int64_t		moved;		/* the daemon moved a byte */
	int64_t		last_progress;	/* or a kernel delivered one */
	uint64_t	quota;		/* bytes that the actor will send */
	int64_t		eof_taken_at;	/* the daemon read end of file */
	int64_t		fin_at;		/* and sent its own */
	uint64_t	turn;		/* of the last call on it, */
	unsigned	reads, writes;	/* and how many that has had */
	uint64_t	work;		/* bytes of `in` that went on */
	int64_t		stuck_since;	/* seen that they could; 0: no */
};

struct client {
	enum client_kind kind;
	int		conn;		/* index, -1 before it connects */
	int64_t		start;
	char		head[HEAD_ROOM];
	unsigned	head_len;	/* of the bytes given here */
	uint64_t	filler;		/* 'a's behind them (oversize heads) */
	uint64_t	payload;	/* bytes behind the head */
	struct sim_addr	from;
	bool		ends;		/* sends FIN behind the payload */
	bool		early;		/* does not wait for the reply */
	uint64_t	reset_at;	/* read or sent bytes; 0 never */
	unsigned	pace_ms, gulp;	/* how often and how much */
	bool		accepted, finished;
	struct sim_addr	address[8];	/* its target: a literal, or a name's */
	unsigned	addresses;
	bool		denied_name;	/* by its name, whatever the address */
	int		name;		/* index, or -1: none of ours */
	bool		literal;	/* its target is an address */
	unsigned	status_wanted;	/* the only one possible, or 0 */
	/* what the daemon said */
	char		reply[2048];
	unsigned	reply_len, head_end, status, body_len;
	uint64_t	down_sent;	/* tunnel bytes taken by its socket */
	uint64_t	up_sent;	/* and by the target's */
	int		origin;		/* that carries it, or -1 */
	int64_t		accepted_at, replied_at;
	int64_t		head_at;	/* the daemon has it; 0: not yet */
	unsigned	log_lines;
	char		end[32];	/* word of its access line */
};

struct settings {
	unsigned	tunnels, per_client, buffer;
	int64_t		request_ms, connect_ms, idle_ms, half_ms, drain_ms;
	unsigned	rules;		/* template */
	unsigned	nofile;		/* after start; 0: plenty */
	unsigned	clients;
	bool		restless;	/* poll always has a word to say */
	bool		crowd;		/* all clients come at once */
	unsigned	call_us;	/* what a call costs */
	int64_t		calm_at;	/* us */
	int64_t		term_at, second_term_at;	/* at the latest */
	unsigned	servers, dns_timeout, dns_attempts;
	enum server_kind server[SERVERS_ROOM];
	int64_t		files_at;	/* they change, us */
	bool		fault_on[FAULTS];
	unsigned	fault_rate[FAULTS];	/* per million */
};

struct sim {
	uint64_t	seed;
	int		scenario;	/* -1: a random world */
	struct plan	plan, second;
	bool		verbose;
	int64_t		now;		/* us */
	uint64_t	calls, polls, trace;
	unsigned char	*kinds;		/* of each call, if asked for */
	size_t		kinds_max;
	struct settings	set;
	struct sim_name	name[NAMES];
	struct client	client[CLIENTS_MAX];
	struct conn	conn[CONNS_MAX];
	unsigned	conns;
	unsigned short	live[CONNS_MAX];	/* those that are not over */
	unsigned	lives;
	bool		running;	/* the loop has begun */
	bool		injected, progress;	/* since the last poll */
	unsigned	idle_polls;
	int64_t		idle_since;
	int		terms;		/* SIGTERMs sent */
	bool		term_told;	/* one came before this turn */
	int64_t		term_at, second_term_at;
	uint64_t	lost_lines, told_lost;
	uint64_t	accepted;
};
extern struct sim sim;

/* A broken invariant: says it, with time and seed, and ends the process. */
void broken(const char *format, ...) __attribute__((noreturn));
void trace(const char *format, ...);
void mix(uint64_t value);

/* world.c */
bool in_calm(void);
bool raise_fault(enum fault f);
void check_descriptors(void);		/* at the end none is left */

/* conns.c */
struct conn *new_conn(bool is_client, int id);
void pass(struct conn *c);		/* move what can move, both lanes */
void actor_reset(struct conn *c);
uint64_t actor_send(struct conn *c, uint64_t max);
uint64_t actor_take(struct conn *c, uint64_t max);
void actor_fin(struct conn *c);

/* net.c */
bool client_waits(int id);		/* put it into the backlog */
bool client_is_waiting(void);

/* files.c */
void set_up_files(const char *config, const char *hosts,
    const char *resolv);

/* actors.c */
int64_t actors_next(void);		/* earliest wake, us */
void actors_run(void);
bool actors_done(void);
unsigned char client_byte(int id, uint64_t pos);
unsigned char origin_byte(int id, uint64_t pos);
void origin_begin(struct conn *c);	/* the daemon connects */
enum origin_kind origin_kind_at(const struct sim_addr *a);

/* draw.c */
void make_world(void);			/* settings, clients, files */
const char *addr_text(const struct sim_addr *a, char out[64], bool brackets);

/* names.c */
int names_open(const struct sim_addr *to, bool tcp);
void names_close(int index);
int names_connected(int index);
size_t names_send(int index, const unsigned char *p, size_t n);
int names_receive(int index, unsigned char *p, size_t room);
bool names_readable(int index);
int64_t names_next(int index);
unsigned names_open_sockets(void);
bool names_allow(const struct client *k, const struct sim_addr *a);
bool names_helpful(const struct client *k);
void names_draw_servers(struct settings *s);
void names_resolv_conf(const struct settings *s, char *out, size_t room);

/* check.c */
void check_down(struct conn *c, const unsigned char *p, size_t n);
void check_up(struct conn *c, const unsigned char *p, size_t n);
void check_connect(const struct sim_addr *a);
void check_fin(struct conn *c, bool by_close);
void check_reset(struct conn *c, bool by_unread);
void check_turn(void);

/* lines.c */
void check_line(const char *p, size_t n);
void check_end(int status);

/* oracle.c */
bool oracle_allows(const struct client *k, const struct sim_addr *a);
bool oracle_public(const struct sim_addr *a);
bool oracle_loopback(const struct sim_addr *a);
bool oracle_special(const struct sim_addr *a);

#endif
