/* SPDX-License-Identifier: ISC */
/*
 * connectd.h - the vocabulary of connectd, and the manual for a reader of it.
 *
 * Every limit, shared type and shared function stands here, one heading per
 * module, lowest layer first; a module calls only modules above its own
 * heading (tests/layers.txt says which).  Contracts stand here and are not
 * repeated in the .c files.
 *
 * Terms.  A *client* connects to us and sends a *request head*: start line,
 * field lines, empty line.  Its *authority* names the *target*.  The *rules*
 * give a *verdict*.  The joined pair of connections is a *tunnel*.  "up" is
 * client to target, "down" is target to client.  A *reply* is what we say to
 * the client ourselves.
 *
 * Conventions.  Time is int64_t milliseconds on a monotonic clock, always an
 * argument called `now`.  Bytes from outside are (pointer, length), never
 * strings.  A function that can fail in the way of a system call returns
 * -errno.  Nothing declared here blocks or allocates, unless it says so.
 */
#ifndef CONNECTD_H
#define CONNECTD_H

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CONNECTD_VERSION "0.1.0"

/* Limits.  Those that a directive sets are in struct config. */
#define HEAD_MAX	16384	/* request head; a smaller ring lowers it */
#define NAME_MAX_LEN	253	/* DNS name in text, without the last dot */
#define ADDRESSES_MAX	8	/* addresses tried for one target */
#define RACE_MAX	2	/* of them at the same time */
#define RACES_MAX	32	/* targets with more than one at a time */
#define LISTENERS_MAX	16
#define LOG_LINE_MAX	512	/* one line is one write of at most this */
#define ADDR_TEXT_MAX	56	/* "[" + 45 + "]:65535" + NUL, rounded up */
#define REASON_MAX	160	/* body of a reply */
#define REPLY_MAX	1024	/* a whole reply */

/*
 * An IP address, an address with a port, or a prefix.  Small, comparable byte
 * by byte when made by the functions below (unused bytes are zero).
 */
struct addr {
	uint8_t		family;		/* 4, 6, or 0 for none */
	uint8_t		bits;		/* of a prefix; else 0 */
	uint16_t	port;		/* host byte order; 0 if it has none */
	uint8_t		ip[16];		/* network order; IPv4 in the first 4 */
};

/* A stretch of memory to fill or to empty. */
struct part {
	unsigned char	*p;
	size_t		 n;
};

/* ---- ring: bytes in order over memory that is lent to it ---------------- */

/*
 * 0 <= off < size, 0 <= len <= size, size a power of two.  The content is
 * base[off .. off+len) modulo size.  base is NULL while the ring has no
 * memory; then len is 0.
 */
struct ring {
	unsigned char	*base;
	size_t		 size;
	size_t		 off;
	size_t		 len;
};

/* An empty ring for `size` bytes (a power of two), with no memory yet. */
void ring_init(struct ring *, size_t size);

/* Give the ring, which has none, the `size` bytes at `base`. */
void ring_lend(struct ring *, unsigned char *base);

/* Take the memory back, whatever the ring holds; NULL if it has none.  The
 * ring is then empty. */
unsigned char *ring_reclaim(struct ring *);

/* Bytes held, and bytes that still fit (also while it has no memory). */
size_t ring_used(const struct ring *);
size_t ring_space(const struct ring *);

/*
 * The free stretches, in the order in which they must be filled; then
 * ring_in_ack says how many bytes (<= ring_space) were put there.  Returns
 * the number of parts, 0 to 2.  The ring must have memory.
 */
int ring_in(const struct ring *, struct part part[2]);
void ring_in_ack(struct ring *, size_t n);

/* The same for the bytes held, oldest first, and n <= ring_used. */
int ring_out(const struct ring *, struct part part[2]);
void ring_out_ack(struct ring *, size_t n);

/* ---- dns: names ---------------------------------------------------------- */

/* What a name is when it is not to be asked in the DNS (RFC 6761, 7686). */
enum dns_special {
	DNS_ORDINARY,
	DNS_LOCALHOST,		/* and below: the loopback addresses */
	DNS_NEVER		/* invalid, onion and below: does not exist */
};

/*
 * Is p[0..n) a host name: labels of 1 to 63 letters, digits, '-' or '_', at
 * most NAME_MAX_LEN in all, one trailing dot ignored?  A name whose last label
 * is all digits or 0x and hex digits is none: it is an IPv4 address to somebody
 * (RFC 3986 3.2.2 and 7.4, RFC 1123 2.1, RFC 2181 11).
 */
bool dns_name_ok(const char *p, size_t n);

/* The same name?  ASCII case and one trailing dot are ignored (RFC 4343). */
bool dns_name_equal(const char *a, size_t an, const char *b, size_t bn);

/* Is `p` below `zone`, by at least one label?  "a.b.c" is below "b.c", "xb.c"
 * and "b.c" are not. */
bool dns_name_below(const char *p, size_t n, const char *zone, size_t zn);

enum dns_special dns_name_special(const char *p, size_t n);

/* ---- policy: addresses, classes, rules ----------------------------------- */

/*
 * What an address is, as a set.  An address that carries an IPv4 address
 * (NAT64 64:ff9b::/96, 6to4, Teredo, IPv4-compatible, SIIT) is what both are.
 * SPECIAL ones match only a rule that names them.
 */
#define CLASS_LOOPBACK	0x01u
#define CLASS_LINKLOCAL	0x02u
#define CLASS_PRIVATE	0x04u	/* RFC 1918, 100.64/10, fc00::/7 */
#define CLASS_RESERVED	0x08u	/* unspecified, multicast, documentation... */
#define CLASS_SPECIAL	(CLASS_LOOPBACK | CLASS_LINKLOCAL | CLASS_RESERVED)

/*
 * Read all of p[0..n) as one IP address: four decimal numbers without leading
 * zeros, or any IPv6 form of RFC 4291 2.2; no brackets, no zone.  *a gets the
 * address as it was written, port and bits 0.  Returns false, and leaves *a
 * alone, if it is anything else.
 */
bool policy_parse_addr(const char *p, size_t n, struct addr *a);

/* The same with "/BITS"; bits below the prefix must be zero. */
bool policy_parse_cidr(const char *p, size_t n, struct addr *a);

/*
 * The address in the form of RFC 5952; with `port`, brackets around IPv6 and
 * ":PORT".  out has ADDR_TEXT_MAX bytes.  Returns out.
 */
char *policy_format_addr(const struct addr *a, bool port, char *out);

/* IPv4-mapped IPv6 (::ffff:0:0/96) becomes the IPv4 address that it is; others
 * stay.  Whatever is judged or dialled has gone through this. */
void policy_canonical(struct addr *a);

/* CLASS_* bits of an address and of the IPv4 addresses inside it; 0 means
 * public. */
unsigned policy_class(const struct addr *a);

/* The same address?  Ports are not looked at. */
bool policy_same_host(const struct addr *a, const struct addr *b);

/* One word of `from` or `to`. */
enum matcher_kind {
	MATCH_ANY,		/* not special */
	MATCH_PUBLIC,		/* not special, not private */
	MATCH_CLASS,		/* has a class of `classes` */
	MATCH_NET,		/* inside `net` */
	MATCH_NAME,		/* the name itself */
	MATCH_NAME_TREE,	/* the name and everything below it */
	MATCH_NAME_BELOW	/* everything below the name */
};

struct matcher {
	enum matcher_kind kind;
	unsigned	 classes;
	struct addr	 net;
	const char	*name;		/* in the arena of the configuration */
	size_t		 name_len;
};

struct port_range {
	uint16_t	first;
	uint16_t	last;
};

/* A list without elements means: says nothing about it, so matches. */
struct rule {
	bool		 allow;
	unsigned	 froms, tos, ports;
	const struct matcher *from;
	const struct matcher *to;
	const struct port_range *port;
	const char	*file;		/* where it stands, for people */
	unsigned	 line;
};

/* What is known of a request.  `address` is NULL before resolution; with a
 * literal target name_len is 0 and address is known. */
struct facts {
	const struct addr *client;
	const char	*name;
	size_t		 name_len;
	uint16_t	 port;
	const struct addr *address;
};

enum action {
	DENY,
	ALLOW,
	RESOLVE		/* the address decides: ask again for each one */
};

/* Why a DENY is one, to tell the user what to change. */
enum denial {
	DENIED_BY_RULE,		/* verdict.rule says so */
	DENIED_CLIENT,		/* no rule allows this client anything */
	DENIED_PORT,		/* no rule allows it this port */
	DENIED_SPECIAL,		/* a special address that no rule names */
	DENIED_TARGET		/* no rule allows this target */
};

struct verdict {
	enum action	 action;
	enum denial	 denial;
	bool		 by_address;	/* DENY: the address decided */
	unsigned	 classes;	/* of the address, if known */
	const struct rule *rule;	/* that decided; NULL: none */
};

/*
 * The first rule that matches decides; if none does, DENY.  A deny rule
 * matches an address if it names the address or an IPv4 address inside it; an
 * allow rule must leave none of them over that is special or private; of the
 * client's addresses an allow rule looks at the outer one only.  RESOLVE
 * is given only while facts.address is NULL, and whenever a rule that could
 * decide needs the address: no name is ever allowed as such.
 */
void policy_decide(const struct rule *, unsigned rules, const struct facts *,
    struct verdict *);

/* Say in out (REASON_MAX bytes) why a DENY is one, in the user's words.
 * Returns out. */
char *policy_explain(const struct facts *, const struct verdict *, char *out);

/* ---- http: syntax of HTTP/1.x for CONNECT -------------------------------- */

/* The authority of a request: an address, or a name in lower case without the
 * trailing dot. */
struct target {
	struct addr	addr;		/* family 0 if it is a name; port set */
	uint8_t		name_len;
	char		name[NAME_MAX_LEN];
};

/* One request head, from the first byte on.  Start with all bytes zero. */
struct request {
	struct target	 target;
	uint8_t		 minor;		/* 0 for HTTP/1.0, else 1 */
	bool		 is_head;	/* HEAD: its answer has no body */
	const char	*why;		/* for people, set with a status */
	/* how far the search for the end has come; http.c's own */
	size_t		 scanned, line, start;
	unsigned	 empty_lines;
};

/*
 * Parse the request head that begins at buf[0].  Call again with the same
 * *rq and the same bytes in front when more have arrived: each byte is looked
 * at once while the head is incomplete and once when it is complete, and the
 * answer does not depend on how the bytes were cut.
 *
 * Returns the length of the head (then *rq has the target, and what follows
 * is tunnel data), 0 if more bytes are needed, or -status if this can never be
 * good: 400, 405, 414, 431, 501, 505, with rq->why.  A head that does not end
 * within `limit` bytes is 431; if not even its start line does, 414, or 501 if
 * the method alone is that long, or 400 if it is no start line.  Reads nothing
 * beyond len.  RFC 9112 2 to 6, RFC 9110 5, 7.2, 9.3.6.
 */
int http_parse_request(const char *buf, size_t len, size_t limit,
    struct request *rq);

/*
 * Parse p[0..n) as authority-form, host ":" port, with a port of 1 to 65535
 * (RFC 9112 3.2.3).  Returns NULL, or what is wrong, for people.
 */
const char *http_parse_authority(const char *p, size_t n, struct target *);

struct reply {
	int		 status;
	const char	*name;		/* ours, for Proxy-Status; a token */
	const char	*error;		/* RFC 9209 2.3 error type */
	const char	*text;		/* body, one line without the newline */
	bool		 no_body;	/* answer to HEAD */
};

/*
 * Write the whole error reply to out (REPLY_MAX bytes) and return its length.
 * RFC 9110 15, RFC 9112 9.6 (close), RFC 9209.
 */
size_t http_format_reply(const struct reply *, char *out);

/* The one success reply, and its length. */
#define HTTP_ESTABLISHED "HTTP/1.1 200 Connection established\r\n\r\n"
#define HTTP_ESTABLISHED_LEN (sizeof HTTP_ESTABLISHED - 1)

/* ---- sys: everything the operating system does --------------------------- */

/* Milliseconds on a clock that never goes back. */
int64_t sys_now(void);

/* Fill p with unpredictable bytes.  0 or -errno.  For start-up: may block. */
int sys_random(void *p, size_t n);

/*
 * A listening TCP socket on *at, non-blocking; *bound gets its address (the
 * port may have been 0).  IPv6 sockets take IPv6 only.  Descriptor or -errno.
 */
int sys_listen(const struct addr *at, struct addr *bound);

/*
 * Accept one connection: non-blocking, close-on-exec, no Nagle, keepalive.
 * *client gets its canonical address.  Descriptor or -errno; -EAGAIN when
 * there is none, also for a connection that died while it waited.  -EMFILE
 * stands for every lack of descriptors or memory.
 */
int sys_accept(int listener, struct addr *client);

/*
 * Start to connect to *to; set up as above.  Returns a descriptor that becomes
 * writable when the outcome is known, or -errno.
 */
int sys_connect(const struct addr *to);

/* After that: 1 connected, 0 not yet, -errno failed.  Only this decides: HUP
 * and ERR of poll do not.  -ELOOP if both ends are the same socket. */
int sys_connected(int fd);

/*
 * Receive into, or send from, up to two parts.  Bytes moved; 0 from sys_recv
 * is end of file; -EAGAIN also for an interrupted call and for a kernel short
 * of memory.  The parts are never empty.  SIGPIPE is never raised.
 */
int sys_recv(int fd, const struct part *, int parts);
int sys_send(int fd, const struct part *, int parts);

/* Send FIN.  Errors do not matter: the connection is then gone anyway. */
void sys_shutdown(int fd);

/* Close *fd unless it is -1, once, and set it to -1.  sys_reset does it so
 * that the peer sees a reset and not an end. */
void sys_close(int *fd);
void sys_reset(int *fd);

/* Bytes that the peer's system has not taken yet; -errno if it never will,
 * -ENOSYS if this system cannot tell. */
int sys_unsent(int fd);

/* Is it an address of this machine?  Says yes when it cannot tell. */
bool sys_is_local(const struct addr *);

/*
 * What a turn of the loop waits for.  Built anew each turn: an engine adds the
 * descriptors it has a wish for and lowers `deadline`.  A descriptor without a
 * wish is left out, since poll reports HUP and ERR unasked.
 */
struct waits {
	struct pollfd	*pfd;		/* max entries, the first n in use */
	uint32_t	*owner;		/* for the module that added it */
	unsigned	 n, max;
	int64_t		 deadline;	/* earliest thing due; WAIT_FOREVER */
};
#define WAIT_FOREVER INT64_MAX

/* Wait for `events` (POLLIN, POLLOUT or both) on fd.  Returns the index of the
 * entry; -1, and adds nothing, if events is 0.  The table is never too small:
 * sizes are fixed at start. */
int sys_want(struct waits *, int fd, short events, uint32_t owner);

/* Lower the deadline to `when`. */
void sys_due(struct waits *, int64_t when);

/* What poll said of entry i; 0 for i = -1. */
short sys_got(const struct waits *, int i);

/*
 * The only place where connectd waits: until something is ready, a signal
 * comes or the deadline passes, at most a minute.  Never returns early without
 * cause, never spins on failure.  All revents are 0 when nothing is ready.
 */
void sys_poll(struct waits *, int64_t now);

/* Catch HUP, INT, TERM, USR1, ignore PIPE.  Returns a descriptor to wait on
 * for reading, or -errno. */
int sys_signals(void);

/* The next signal that has come, 0 if none.  `woken`: that descriptor was
 * ready.  Ask in every turn: a signal is seen even if poll cannot tell. */
int sys_signal(bool woken);

/*
 * Read a file of at most max bytes.  Returns its length or -errno; -EFBIG if
 * it is larger.  sys_file_size: size or -errno.  For start-up: may block.
 */
long sys_read_file(const char *path, char *buf, size_t max);
long sys_file_size(const char *path);

/* Make sure that descriptors 0 to 2 are open, so that no socket becomes one of
 * them.  Call it before anything else is opened.  0 or -errno. */
int sys_stdio(void);

/* Make sure that `need` descriptors may be open, raising the soft limit if
 * that is allowed.  0, or the limit that stands in the way. */
unsigned long sys_descriptors(unsigned long need);

enum log_level {
	LEVEL_ERROR, LEVEL_WARNING, LEVEL_NOTICE, LEVEL_INFO, LEVEL_DEBUG
};

/*
 * Open the log on standard error by a description of our own, so that writes
 * never block and other holders of it are left alone.  Lines above `level` are
 * dropped.
 */
void sys_log_open(enum log_level level);

/*
 * One line, one write, of at most LOG_LINE_MAX bytes; a longer one is cut and
 * ends in "...". printf formats; a byte from outside may be in it only if it
 * was checked to be a letter, digit, dot, hyphen or such. What cannot be
 * written at once is lost, counted, and the count reported by the next line
 * that can.
 */
void sys_log(enum log_level, const char *format, ...);
uint64_t sys_log_lost(void);

/* ---- config: text to struct config --------------------------------------- */

enum timeout {
	TIMEOUT_REQUEST, TIMEOUT_CONNECT, TIMEOUT_IDLE, TIMEOUT_HALF,
	TIMEOUT_DRAIN, TIMEOUTS
};

struct listen {
	struct addr	 at;
	bool		 optional;	/* no error if the family is missing */
};

struct config {
	unsigned	 listens;
	struct listen	 listen[LISTENERS_MAX];
	const char	*name;
	unsigned	 tunnels;
	unsigned	 tunnels_per_client;	/* 0: no limit */
	size_t		 buffer;	/* size of each ring */
	int64_t		 timeout[TIMEOUTS];
	const char	*hosts;
	enum log_level	 log_level;
	unsigned	 rules;
	struct rule	*rule;
	/* config.c's own */
	uint32_t	 seen_option, seen_file;
	char		*arena;
	size_t		 arena_size, arena_used;
};

#define CONFIG_ERROR_MAX 256

/* Bytes of arena that any file of this size fits into. */
size_t config_memory(size_t file_size);

/*
 * Begin with the defaults, and keep rules and words in arena[0..size), aligned
 * for any type, which must outlive the configuration.
 */
void config_init(struct config *, char *arena, size_t size);

/*
 * Take one directive as `-o` gives it (the `n`th, from 1), or a whole file;
 * options first.  A single-valued directive given by an option wins over the
 * file's, and so do its listeners; rules of options stand in front.  Returns
 * true; or false and in error[CONFIG_ERROR_MAX] "FILE:LINE: what is wrong,
 * what was expected".  The configuration is then of no use.  `file` must
 * outlive it, the text need not.
 */
bool config_option(struct config *, unsigned n, const char *text, size_t len,
    char *error);
bool config_file(struct config *, const char *file, const char *text,
    size_t len, char *error);

/* Complete it: the built-in listeners and rule if there are none.  After this,
 * rule[0..rules) may be used. */
void config_finish(struct config *);

/* ---- resolver: names to addresses ---------------------------------------- */

/* Bytes of memory to give resolver_init for a hosts file of up to `room`. */
size_t resolver_memory(size_t room);

/*
 * Take `memory`, of resolver_memory(room) bytes and aligned for any type, and
 * read the hosts file into it.  Returns the number of names that it holds, or
 * -errno if the file cannot be read or is larger than `room` (then there are
 * none).  Lines whose address does not parse are skipped.  hosts(5).
 */
long resolver_init(void *memory, size_t room, const char *hosts);

/*
 * The addresses of a name, each once, at most max, in the order of the file,
 * without ports.  Names of localhost are
 * loopback addresses if the hosts file does not say otherwise; invalid and
 * onion do not exist (RFC 6761 6.3, 6.4; RFC 7686).  Returns how many; 0 if
 * there is no such name.
 */
int resolver_lookup(const char *name, size_t n, struct addr *, int max);

/* ---- dial: one connected socket out of several addresses ----------------- */

/* Why nothing could be reached, best to tell last: a later one of these
 * wins over an earlier one when addresses fail differently. */
enum dial_failure {
	DIAL_PENDING,
	DIAL_UNREACHABLE,	/* no route, no such family here */
	DIAL_PROHIBITED,	/* this system forbids it */
	DIAL_NO_DESCRIPTOR,	/* out of descriptors, memory or ports */
	DIAL_TIMEOUT,
	DIAL_REFUSED,		/* also reset while connecting */
	DIAL_SELF		/* the socket was connected to itself */
};

struct attempt {
	int		fd;		/* -1: none */
	int		wait;		/* entry in the turn's waits, -1 none */
	int64_t		since;
	struct addr	to;
};

struct dial {
	struct addr	list[ADDRESSES_MAX];
	uint8_t		count, next;	/* addresses, and those begun */
	uint8_t		failure;	/* enum dial_failure */
	int64_t		not_before;	/* for the next attempt */
	struct attempt	attempt[RACE_MAX];
};

/*
 * Begin the race (RFC 8305) to `count` addresses (1 to ADDRESSES_MAX, with
 * ports), which are all judged already: the first family first, then in turns.
 * Opens nothing yet: dial_step does.
 */
void dial_start(struct dial *, const struct addr *, int count, int64_t now);

/* Add the attempts under way to the waits; lower the deadline. */
void dial_interest(struct dial *, struct waits *, uint32_t owner);

/*
 * Act on what poll said and on the time.  Returns the connected descriptor,
 * which is then the caller's, with its address in *to, and closes the others;
 * -EAGAIN while the race is on; -ECONNREFUSED when it is lost, the cause in
 * d->failure.  There is no deadline over all: the caller has one.
 */
int dial_step(struct dial *, const struct waits *, int64_t now,
    struct addr *to);

/* Close what is open.  At any time after dial_start, and twice if you like. */
void dial_cancel(struct dial *);

/* ---- relay: two flows between two sockets -------------------------------- */

enum flow_state { FLOW_OPEN, FLOW_EOF, FLOW_SHUT };

struct flow {
	struct ring	ring;
	enum flow_state	state;
	uint64_t	sent;		/* bytes that its sink's socket took */
};

struct side {
	int		fd;		/* -1: none */
	int		wait;		/* entry in this turn's waits, or -1 */
	int		unsent;		/* relay.c's own: at the last look */
};

enum relay_phase {
	RELAY_WHOLE,		/* both sides may send */
	RELAY_HALF,		/* `ended` sent FIN, the other has it */
	RELAY_CUT,		/* `ended` failed; what it sent is flushed */
	RELAY_DONE,		/* both ended, all delivered: close it */
	RELAY_DEAD		/* the cut is through: abort it */
};

struct relay {
	struct side	 client, target;
	struct flow	 up, down;
	enum relay_phase phase;
	struct side	*ended;		/* the side that did so first */
	size_t		 words;		/* of our own, to go first */
	int64_t		 flush_next, flush_wait;	/* RELAY_CUT */
};

/*
 * Memory for all rings that `relays` relays can need: relay_memory bytes for
 * the book-keeping, and 2 x relays x buffer bytes at `rings`, which are touched
 * only as far as bytes are in flight.  Both are kept.
 */
size_t relay_memory(unsigned relays);
void relay_pool(unsigned relays, size_t buffer, void *memory,
    unsigned char *rings);

/* A relay that has its client only; the socket is then the relay's. */
void relay_init(struct relay *, int client);

/* Close what is open and give back all memory.  May be called twice. */
void relay_close(struct relay *);

/* The same before its time: a side that was not yet sent all it was to get
 * sees a reset.  One that has had its FIN is closed as usual, so that what is
 * still on its way to it arrives; but in RELAY_DEAD nothing is, and the reset
 * tells it that what it sent last is lost. */
void relay_abort(struct relay *);

/* Is a byte welcome? */
bool relay_has_room(const struct flow *);

/* Receive what fits, once; there must be room.  As sys_recv; end of file makes
 * it FLOW_EOF. */
int relay_receive(struct flow *, int fd);

/* Send what is there, once.  As sys_send; 0 if there is nothing. */
int relay_send(struct flow *, int fd);

/* Put words of our own, 1 to 4095 bytes, into an empty flow. */
void relay_say(struct flow *, const char *p, size_t n);

/* Take the first n bytes out, or drop all of them. */
void relay_take(struct flow *, size_t n);
void relay_drop(struct flow *);

/* The engine contract; also before there is a target (then only the client is
 * waited for). */
void relay_interest(struct relay *, struct waits *, uint32_t owner);

/*
 * The target is there; its socket is then the relay's.  Say `words` to the
 * client by themselves, before anything of the target is read (some clients
 * look for them in their first read only), and send early data on.  As
 * relay_step.
 */
int relay_begin(struct relay *, int target, const char *words, size_t n,
    int64_t now);

/*
 * Move bytes, pass ends on, act on failures. `strict` is the literal reading
 * of RFC 9110 9.3.6: once one side has ended and its bytes are through, the
 * other is not listened to any more. Each flow receives once and sends once,
 * at most a ring's worth, so nobody starves. Returns the number of bytes
 * moved, or that the kernel moved in RELAY_CUT; r->phase tells what became of
 * it. In RELAY_CUT call it also when flush_next has come.
 */
int relay_step(struct relay *, const struct waits *, bool strict, int64_t now);

/* Is it half-closed with one side that still sends? */
bool relay_is_one_ended(const struct relay *);

/*
 * Is the kernel still delivering what it was given, to either side?  A megabyte
 * for a slow reader lies there long after the last byte moved here.  Says yes
 * if there is something and less than when this was last asked, or nobody asked
 * since bytes moved.
 */
bool relay_delivers(struct relay *);

/* ---- tunnel: the life of one connection ---------------------------------- */

struct tunnel_totals {
	uint64_t	accepted, established, refused, evicted;
	uint64_t	limited;	/* refused by tunnels-per-client */
	uint64_t	up, down;	/* bytes, of tunnels that ended */
	unsigned	now, most;
};

/* Bytes of memory for a table of this size, and the largest number of entries
 * that it may want in struct waits. */
size_t tunnel_memory(unsigned tunnels);
unsigned tunnel_waits(unsigned tunnels);

/*
 * Begin with an empty table in `memory`, tunnel_memory bytes that are all zero.
 * own[0..owns) are our listeners, never a target.  All of it is kept by
 * reference and must live as long as the table.  Needs resolver_init and
 * relay_pool.
 */
void tunnel_init(const struct config *, const struct addr *own, unsigned owns,
    void *memory);

/* May a connection be accepted now?  If not, lowers *w's deadline to when one
 * could be. */
bool tunnel_room(struct waits *w, int64_t now);

/* Take an accepted connection, which is then the table's.  If there is no slot,
 * one is made by ending another tunnel; if there is none to end, or the client
 * has far too many, fd is closed; if it has too many, it is refused. */
void tunnel_open(int fd, const struct addr *client, int64_t now);

/* The engine contract: see struct waits. */
void tunnel_interest(struct waits *);
void tunnel_step(const struct waits *, int64_t now);

/* End every tunnel at once. */
void tunnel_stop(int64_t now);

unsigned tunnel_count(void);

/* Counted since tunnel_init; valid until the next call of this module. */
const struct tunnel_totals *tunnel_totals(void);

#endif
