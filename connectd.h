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
#define LOOKUPS_MAX	32	/* names that are asked for at the same time */
#define LOOKUPS_QUEUE	256	/* and names that wait for their turn */
#define LOOKUPS_KEPT	512	/* names in all: these and the cache */
#define SERVERS_MAX	3	/* name servers */
#define SEARCH_MAX	6	/* domains of a search list */
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

/* Addresses in order, none twice. */
struct addr_list {
	uint8_t		n;
	struct addr	addr[ADDRESSES_MAX];
};

/* The two families, in the order in which they are preferred. */
enum family { V6, V4, FAMILIES };

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

/* ---- addr: text, classes, what is inside --------------------------------- */

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
bool addr_parse(const char *p, size_t n, struct addr *a);

/* The same with "/BITS"; bits below the prefix must be zero. */
bool addr_parse_cidr(const char *p, size_t n, struct addr *a);

/*
 * The address in the form of RFC 5952; with `port`, brackets around IPv6 and
 * ":PORT".  out has ADDR_TEXT_MAX bytes.  Returns out.
 */
char *addr_format(const struct addr *a, bool port, char *out);

/* IPv4-mapped IPv6 (::ffff:0:0/96) becomes the IPv4 address that it is; others
 * stay.  Whatever is judged or dialled has gone through this. */
void addr_canonical(struct addr *a);

/* CLASS_* bits of an address and of the IPv4 addresses inside it; 0 means
 * public. */
unsigned addr_class(const struct addr *a);

/* The same address?  Ports are not looked at. */
bool addr_same_host(const struct addr *a, const struct addr *b);

/* Is `a` in the prefix `net`? */
bool addr_inside(const struct addr *net, const struct addr *a);

/* An address as it is judged: itself, or an IPv4 address that it carries. */
#define FACES_MAX 4
struct face {
	struct addr	addr;
	unsigned	classes;
	bool		neutral;	/* judged only by what is inside */
};

/*
 * The network has a NAT64 prefix of its own beside 64:ff9b::/96: of addresses
 * in it only the IPv4 address inside is judged.  32, 40, 48, 56, 64 or 96 bits
 * (RFC 6052 2.2); family 0 for none.  At start; it is the only state here.
 */
void addr_set_nat64(const struct addr *prefix);

/* The faces of an address, itself first, canonical.  Returns how many, 1 to
 * FACES_MAX. */
int addr_faces(const struct addr *address, struct face face[FACES_MAX]);

/* ---- dns: names and messages (RFC 1035) --------------------------------- */

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

/* Host names in order, none twice: text without a trailing dot, each with its
 * length in front. */
#define DNS_NAMES_ROOM	510
struct dns_names {
	uint16_t	used;
	uint8_t		bytes[DNS_NAMES_ROOM];
};

/* Add a name of 1 to NAME_MAX_LEN bytes, in lower case, unless it is there.
 * Returns false if there is no room. */
bool dns_names_add(struct dns_names *, const char *p, size_t n);

/* The name at *at (0 for the first) and its length; *at moves behind it.  NULL
 * behind the last. */
const char *dns_names_next(const struct dns_names *, size_t *at, size_t *n);

/* Add an address unless it is there or the list is full. */
void dns_list_add(struct addr_list *, const struct addr *);

enum dns_type { DNS_A = 1, DNS_AAAA = 28 };

#define DNS_LINKS_MAX	16	/* CNAMEs from a name to its address */
#define DNS_QUERY_MAX	284	/* a whole query */
#define DNS_EDNS_SIZE	1232	/* of an answer over UDP; RFC 9715 */

struct dns_question {
	enum dns_type	type;
	uint16_t	id;
	uint8_t		name_len;
	char		name[NAME_MAX_LEN];	/* dns_name_ok, lower case, no
						 * trailing dot */
};

/*
 * Write the query for one question to out: RD, class IN, with `edns` one OPT
 * record.  Returns its length.  RFC 1035 4.1, RFC 6891.
 */
size_t dns_encode(const struct dns_question *, bool edns,
    unsigned char out[DNS_QUERY_MAX]);

enum dns_outcome {
	/* It is no answer to the question: wait on. */
	DNS_MISMATCH,
	DNS_WRONG_ID,		/* but for the id it is: somebody guesses */
	/* The server does not help. */
	DNS_TRUNCATED,		/* ask over TCP */
	DNS_FORMAT,		/* FORMERR, NOTIMP or BADVERS */
	DNS_FAILED,		/* another rcode, or not to be understood */
	/* The answer. */
	DNS_FOUND,		/* list has addresses */
	DNS_NODATA,		/* the name is there, with other types */
	DNS_NXDOMAIN,		/* it is not there */
	DNS_PARTIAL		/* a CNAME leads to `end`: ask for that */
};

struct dns_answer {
	struct addr_list list;		/* as sent, not canonical; ports 0 */
	struct dns_names aliases;	/* every name that a CNAME led to */
	uint8_t		links;		/* CNAMEs followed */
	uint16_t	rcode;		/* with the upper bits of an OPT */
	uint32_t	ttl;		/* seconds that it may be kept; 0: not */
	uint8_t		end_len;	/* the last name of the chain */
	char		end[NAME_MAX_LEN];
};

/*
 * Read a message as the answer to q.  An answer has QR, opcode 0, and exactly
 * our question in it (case aside).  The chain of CNAMEs begins at the question
 * and is followed in the answer section whatever the order of the records, up
 * to DNS_LINKS_MAX; addresses are taken from its end, other owners' are not
 * looked at.  Of authority only the SOA is read, of the rest only an OPT.
 * Pointers lead strictly backwards; the number of steps is at most linear in n.
 * DNS_FAILED (rcode 2 then) is also what breaks a rule of the format, is a loop
 * or too long a chain, or has a name in the chain that is no host name or does
 * not fit into `aliases`.
 *
 * ttl is the least of all records used (RFC 8767 4: unsigned), for DNS_NODATA
 * and DNS_NXDOMAIN that of RFC 2308 5 (0 without an SOA).  RFC 1034 3.6.2, RFC
 * 1035 4.1.4, RFC 2181 9 and 10, RFC 5452 9.1.
 */
enum dns_outcome dns_decode(const unsigned char *p, size_t n,
    const struct dns_question *q, struct dns_answer *);

/* ---- policy: the rules --------------------------------------------------- */

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
	const struct dns_names *aliases;	/* of a resolved name; or NULL */
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
 * matches an address if it names the address or an IPv4 address inside it, and
 * a name if it names it or an alias that it went through; an
 * allow rule must leave none of them over that is special or private; of the
 * client's addresses an allow rule looks at the outer one only.  RESOLVE
 * is given only while facts.address is NULL, and only if some address could be
 * allowed: no name is ever allowed as such, and none is asked for that will be
 * denied whatever its address.
 */
void policy_decide(const struct rule *, unsigned rules, const struct facts *,
    struct verdict *);

/* Can `b` never decide because `a` comes first?  For people: false if that is
 * not sure. */
bool policy_shadows(const struct rule *a, const struct rule *b);

/* Does it let any client reach any port of any public address? */
bool policy_is_open(const struct rule *);

/* Say in out (REASON_MAX bytes) why a DENY is one, in the user's words.
 * Returns out. */
char *policy_explain(const struct facts *, const struct verdict *, char *out);

/* ---- names: the system's files about names ------------------------------- */

/* The text of a hosts file and an index of its names; names.c's own. */
struct hosts {
	char		*text;
	size_t		 room, length;	/* of the text, at most and now */
	uint32_t	*chain;
	struct host	*host;
	uint32_t	 chains, names;
};

/* Bytes of memory for a hosts file of up to `room` bytes (< 2^31). */
size_t names_hosts_memory(size_t room);

/* An empty one, in memory of that size, aligned for any type.  The text is to
 * be read to h->text; then names_hosts_index is called with its length. */
void names_hosts_init(struct hosts *h, void *memory, size_t room);

/* Index the first n bytes of the text, which must then be left alone.  Lines
 * whose address does not parse are skipped.  hosts(5). */
void names_hosts_index(struct hosts *, size_t n);

/* Add the addresses of a name, canonical, in the order of the file, to the
 * lists of their families.  Returns whether the file has the name. */
bool names_hosts_find(const struct hosts *, const char *name, size_t n,
    struct addr_list list[FAMILIES]);

#define ZONE_MAX 16		/* of a link-local address, with its NUL */

struct server {
	struct addr	addr;		/* with a port */
	char		zone[ZONE_MAX];	/* interface, or empty */
};

/* Read ADDRESS or, link-local, ADDRESS%INTERFACE as a server with port 53.
 * Returns false, and leaves *s alone, if it is anything else. */
bool names_parse_server(const char *p, size_t n, struct server *s);

/* What resolv.conf(5) says. */
struct resolv {
	struct server	server[SERVERS_MAX];
	unsigned	servers;
	struct dns_names search;	/* at most SEARCH_MAX */
	unsigned	ndots, attempts;
	int64_t		timeout;	/* ms, of one attempt */
	bool		rotate, use_vc, single_request, edns0, no_aaaa,
			no_reload;
};

/* The defaults, with no server. */
void names_resolv_init(struct resolv *);

/*
 * Read the text of a resolv.conf; any text is one.  What is unknown, too long
 * or malformed is skipped line by line, never cut; of nameserver lines the
 * first SERVERS_MAX count, of search and domain lines the last.  If there is no
 * server at the end, there are two: 127.0.0.1 and ::1.
 */
void names_resolv_parse(struct resolv *, const char *text, size_t n);

/*
 * How many names to ask for in place of name[0..n), and the ith of them: one
 * that has a dot, or is `absolute`, stands for itself; another one is tried in
 * each domain of the search list and then as it is, or first if ndots is 0.
 * Returns the length of it in `out`, 0 if there are not so many or it would be
 * too long for a name.
 */
unsigned names_candidates(const struct resolv *, const char *name, size_t n,
    bool absolute);
size_t names_candidate(const struct resolv *, const char *name, size_t n,
    bool absolute, unsigned i, char out[NAME_MAX_LEN]);

/* ---- http: syntax of HTTP/1.x for CONNECT -------------------------------- */

/* The authority of a request: an address, or a name in lower case without the
 * trailing dot. */
struct target {
	struct addr	addr;		/* family 0 if it is a name; port set */
	bool		absolute;	/* the name had a trailing dot */
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
	const char	*rcode;		/* of a dns_error; else NULL */
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

/* Fill p with unpredictable bytes.  0 or -errno.  May block before the system
 * has gathered any, so once at start-up. */
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

/* The same to a name server, by TCP, or by a datagram socket that takes only
 * what comes from there; its port is then one that nobody can guess, as far as
 * the system does that. */
int sys_connect_server(const struct server *, bool tcp);

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

/* What changes when somebody writes a file, or puts another in its place. */
struct stamp {
	int64_t		seconds, nanoseconds;	/* of the last change */
	uint64_t	device, inode, size;
};

/* 0 or -errno; then *s is all zero.  Reads only what the system knows of the
 * file, so it may be called in the loop. */
int sys_file_stamp(const char *path, struct stamp *s);

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
	struct server	 server[SERVERS_MAX];	/* in place of resolv's */
	unsigned	 servers;
	struct addr	 nat64;		/* family 0: none */
	const char	*hosts, *resolv;
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

/* ---- query: one question to the name servers ----------------------------- */

enum query_way {
	QUERY_IDLE,		/* no socket */
	QUERY_UDP,
	QUERY_TCP_TURN,		/* waits for a buffer */
	QUERY_TCP_CONNECT, QUERY_TCP_SEND, QUERY_TCP_RECEIVE
};

struct query {
	struct dns_question question;
	enum query_way	way;
	int		fd, wait;	/* -1: none */
	unsigned	first;		/* server that a round begins with */
	unsigned	server;		/* index of the one that is asked */
	unsigned	tried;		/* bits of those asked in this round */
	unsigned	rounds;		/* begun */
	unsigned	generation;	/* of the servers, at this attempt */
	bool		plain;		/* EDNS was not understood */
	int64_t		begun, due;	/* the present attempt */
	int		error;		/* why attempts failed so far; -errno */
	uint16_t	rcode;		/* of -EPROTO */
	unsigned char	*buffer;	/* lent, for TCP */
	size_t		have, need;	/* bytes of it */
};

/* Bytes of memory for the answers that come over TCP. */
size_t query_memory(void);

/* Take memory of that size, and ask these servers, which are kept by
 * reference.  Again with memory NULL when what *r says has changed: queries
 * under way end their present attempt as it was. */
void query_init(const struct resolv *r, void *memory);

/*
 * Ask for the addresses of one type of name[0..n).  Each attempt has its own
 * socket and random id; the first goes to the first server that is not known
 * to be dead; over TCP if the answer is truncated or somebody guesses ids; then
 * to the next server, and so on, resolv.attempts times each.  Sends at once.
 */
void query_start(struct query *, enum dns_type, const char *name, size_t n,
    int64_t now);

/* The engine contract. */
void query_interest(struct query *, struct waits *, uint32_t owner);

/*
 * Act on what poll said and on the time.  Returns -EAGAIN while it goes on;
 * 0 with one of the last four of enum dns_outcome in *outcome, and the answer;
 * -EPROTO if a server answered, but was of no help (q->rcode says how, 2 if it
 * made no sense); -ETIMEDOUT if none answered; -EMFILE if there was no
 * descriptor or randomness to ask.  It is then over.
 */
int query_step(struct query *, const struct waits *, int64_t now,
    enum dns_outcome *outcome, struct dns_answer *a);

/* Close what is open.  At any time after query_start, and twice if you like. */
void query_cancel(struct query *);

/* ---- resolver: names to addresses ---------------------------------------- */

/* Of two families that fail differently, the later one of these is told. */
enum name_failure {
	NAME_PENDING,
	NAME_FOUND,
	NAME_UNKNOWN,		/* there is no such name */
	NAME_NODATA,		/* the name has no address */
	NAME_TIMEOUT,		/* the servers do not answer */
	NAME_FAILED,		/* they do not help; see rcode */
	NAME_NO_DESCRIPTOR	/* out of descriptors here */
};

/* What is known of a name so far. */
struct answer {
	struct addr_list list[FAMILIES];	/* canonical, ports 0 */
	bool		ready[FAMILIES];	/* it may be dialled now */
	bool		done;		/* nothing more will come */
	enum name_failure failure;	/* when it is done */
	uint16_t	rcode;		/* NAME_FAILED: of the last server */
	struct dns_names aliases;	/* other names that it went through */
};

/* One name; shared by all who ask for it. */
struct lookup;

struct resolver_totals {
	uint64_t	lookups;	/* of names; of these: */
	uint64_t	cached;		/*  known, or asked for already */
	uint64_t	asked;		/*  put to the name servers */
	uint64_t	failed;		/*  without help from them */
	uint64_t	full;		/*  refused: the queue was full */
};

/* Bytes of memory to give resolver_init for a hosts file of up to `room`, and
 * the largest number of entries that it may want in struct waits. */
size_t resolver_memory(size_t room);
unsigned resolver_waits(void);

/*
 * Begin, in `memory`, resolver_memory(room) bytes that are all zero and aligned
 * for any type.  Reads the hosts file and resolv.conf (cfg->servers stand in
 * its place), and logs what cannot be read.  cfg is kept by reference.
 */
void resolver_init(const struct config *cfg, void *memory, size_t room,
    int64_t now);

/*
 * Ask for a name (target->addr.family 0).  invalid and onion do not exist; then
 * comes the hosts file; names of localhost that are not there are loopback
 * addresses (RFC 6761 6.3, 6.4; RFC 7686).  A name without a dot that is not absolute goes through
 * the search list.  Both files are read again if they have changed, which is
 * looked at once a second; one that cannot be read changes nothing.
 *
 * Returns a lookup, which is to be released, or NULL if too many names are
 * waiting.  Look at its answer at once, and in every turn until it is done.
 */
struct lookup *resolver_start(const struct target *, int64_t now);

/* Valid until the lookup is released, or, if it was done when it was started,
 * until the next resolver_start. */
const struct answer *resolver_answer(const struct lookup *);

/* Not interested any more.  A lookup that nobody is interested in ends soon. */
void resolver_release(struct lookup *, int64_t now);

/* The engine contract: see struct waits. */
void resolver_interest(struct waits *);
void resolver_step(const struct waits *, int64_t now);

/* Close all sockets, when no lookup is held any more. */
void resolver_stop(void);

/* Counted since resolver_init. */
const struct resolver_totals *resolver_totals(void);

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
	unsigned	to;		/* place in the list */
};

struct dial {
	struct addr	list[ADDRESSES_MAX];
	uint8_t		count, next;	/* addresses, and those begun */
	uint8_t		failure;	/* enum dial_failure */
	int64_t		not_before;	/* for the next attempt */
	struct attempt	attempt[RACE_MAX];
};

/* Begin a race (RFC 8305) that has no addresses yet. */
void dial_start(struct dial *, int64_t now);

/*
 * Add addresses of one family, with ports, all of them judged already.  The
 * families take turns, beginning with the first one's; of all addresses at most
 * ADDRESSES_MAX are tried.  Opens nothing: dial_step does.
 */
void dial_add(struct dial *, const struct addr *, int count);

/* Add the attempts under way to the waits; lower the deadline. */
void dial_interest(struct dial *, struct waits *, uint32_t owner);

/*
 * Act on what poll said and on the time.  Returns the connected descriptor,
 * which is then the caller's, with its address in *to, and closes the others;
 * -EAGAIN while the race is on; -ECONNREFUSED when there is nothing left to
 * try, the cause in d->failure: lost, unless more addresses are added.  There
 * is no deadline over all: the caller has one.
 */
int dial_step(struct dial *, const struct waits *, int64_t now,
    struct addr *to);

/* Is nothing under way and nothing left to try? */
bool dial_is_over(const struct dial *);

/* Close what is open.  At any time after dial_start, and twice if you like. */
void dial_cancel(struct dial *);

/* ---- reach: a connection to the target ----------------------------------- */

/* On the way to one target. */
struct reach {
	const struct target *target;
	const struct addr *client;
	struct lookup	*lookup;	/* NULL: none, or done with */
	int64_t		asked;		/* for the name */
	int64_t		dns_ms;		/* it took; -1: nothing was asked */
	struct addr	address;	/* connected to; family 0: none yet */
	struct addr	denied;		/* the first one that is, and why */
	struct verdict	verdict;
	bool		taken[FAMILIES];
	bool		loops;		/* an address is our own listener */
	bool		full;		/* no lookup was to be had */
	uint8_t		failure;	/* enum name_failure, when it is done */
	uint16_t	rcode;
	struct dial	dial;
};

/* Why a target is not reached, for the reply and the log. */
struct refusal {
	int		 status;
	const char	*error;		/* RFC 9209 2.3 error type */
	const char	*rcode;		/* of a dns_error; else NULL */
	const struct rule *rule;	/* that decided; else NULL */
	char		 text[REASON_MAX];
};

/* Rules of *cfg decide; own[0..owns) are our listeners, never a target.  Both
 * are kept by reference. */
void reach_init(const struct config *cfg, const struct addr *own,
    unsigned owns);

/*
 * Begin for this client and target, which are kept by reference.  What is
 * dialled is exactly what was judged: each address that a name turns out to
 * have is judged by itself, and the denied ones are skipped.  No name is asked
 * for that cannot be allowed.  Results come from reach_step, which is to be
 * called at once.
 */
void reach_start(struct reach *, const struct addr *client,
    const struct target *, int64_t now);

/* The engine contract. */
void reach_interest(struct reach *, struct waits *, uint32_t owner);

/*
 * Returns the connected descriptor, which is then the caller's, to r->address;
 * -EAGAIN while it is on its way; -ECONNREFUSED if it is not to be reached.
 * There is no deadline over all: the caller has one.
 */
int reach_step(struct reach *, const struct waits *, int64_t now);

/* Say why it was not reached, or was not up to now; before reach_cancel. */
void reach_refusal(const struct reach *, struct refusal *);

/* Let go of everything.  At any time after reach_start, and twice if you like.
 */
void reach_cancel(struct reach *, int64_t now);

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
 * Both are kept by reference and must live as long as the table.  Needs
 * resolver_init, reach_init and relay_pool.
 */
void tunnel_init(const struct config *, void *memory);

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
