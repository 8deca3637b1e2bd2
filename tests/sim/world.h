/* SPDX-License-Identifier: ISC */
/*
 * world.h - between the files that answer the daemon's calls: world.c, conns.c,
 * net.c, files.c, poll.c.
 */
#ifndef WORLD_H
#define WORLD_H

#include <sys/socket.h>

#include "sim.h"

#define FIRST_FD	3

/* Options that every connection must have. */
#define ON_NODELAY	1u
#define ON_KEEPALIVE	2u
#define ON_OOBINLINE	4u
#define ON_ALL		7u

enum fd_kind {
	FD_FREE, FD_NULL, FD_FILE, FD_LOG, FD_PIPE_READ, FD_PIPE_WRITE,
	FD_LISTENER, FD_STREAM, FD_DGRAM, FD_CONN, FD_NAMES
};

struct file;

struct vfd {
	enum fd_kind	kind;
	bool		nonblock, cloexec, linger0;
	unsigned	options;	/* ON_*, also if that failed */
	uint64_t	turn;		/* of the last accept, */
	unsigned	accepts;	/* and how many it has had */
	bool		keeps;		/* open until the end of the process */
	int		conn;		/* FD_CONN; FD_NAMES: names.c's */
	const struct file *file;
	size_t		pos;
	struct sim_addr	bound;
};
extern struct vfd fds[FDS_MAX];

/* world.c */
int begin_call(enum call c, int fd);	/* 0, or the errno to fail with */
int result(int value);			/* how a call ends */
int fail(int err);
struct vfd *get(int fd);		/* it is open, or it is broken() */
int new_fd(enum fd_kind kind);		/* -1: none left */
struct conn *conn_of(int fd, const char *what);
void deliver(int number);		/* a signal */

/* conns.c */
void reset_towards_actor(struct conn *c);
void close_conn(struct conn *c, bool linger0);	/* the daemon does */
void settle_connect(struct conn *c);

/* net.c */
bool has_backlog(const struct vfd *v);

/* files.c */
bool signal_is_waiting(void);		/* in the daemon's pipe */

#endif
