/* SPDX-License-Identifier: ISC */
/*
 * files.c - the calls about files, the log, and the pipe of the signals.
 */
#define _DEFAULT_SOURCE 1
#define _FILE_OFFSET_BITS 64	/* as sys.c */

#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "world.h"

#define SIGNALS_MAX	64

struct file {
	const char	*path;
	const char	*text;
	size_t		 size;
};

static struct file files[] = {
	{ "/sim/connectd.conf", "", 0 },
	{ "/sim/hosts", "", 0 },
	{ "/sim/resolv.conf", "", 0 },
};
static int signal_len;

void
set_up_files(const char *config, const char *hosts, const char *resolv)
{
	int i;

	files[0].text = config;
	files[0].size = strlen(config);
	files[1].text = hosts;
	files[1].size = strlen(hosts);
	files[2].text = resolv;
	files[2].size = strlen(resolv);
	for (i = 0; i < FIRST_FD; i++)
		fds[i].kind = FD_NULL;
}

static const struct file *
find_file(const char *path)
{
	size_t i;

	for (i = 0; i < sizeof files / sizeof files[0]; i++)
		if (strcmp(files[i].path, path) == 0)
			return &files[i];
	return NULL;
}

int __wrap_open(const char *, int, ...);
int
__wrap_open(const char *path, int flags, ...)
{
	const struct file *file = find_file(path);
	int fd, err = begin_call(C_OPEN, flags);
	enum fd_kind kind = FD_FILE;

	if (!(flags & O_CLOEXEC) && strcmp(path, "/dev/null") != 0)
		broken("%s leaks to other programs", path);
	if (err != 0)
		return fail(err);
	if (strcmp(path, "/proc/self/fd/2") == 0) {
		if (!(flags & O_NONBLOCK) || !(flags & O_APPEND))
			broken("the log may block or overwrite");
		kind = FD_LOG;
	} else if (strcmp(path, "/dev/null") == 0 ||
	    strcmp(path, "/dev/urandom") == 0)
		kind = FD_NULL;
	else if (file == NULL)
		return fail(ENOENT);
	fd = new_fd(kind);
	if (fd < 0)
		return fail(EMFILE);
	fds[fd].file = file;
	fds[fd].keeps = kind == FD_LOG || strcmp(path, "/dev/urandom") == 0;
	fds[fd].nonblock = (flags & O_NONBLOCK) != 0;
	return result(fd);
}

int __wrap_stat(const char *, struct stat *);
int
__wrap_stat(const char *path, struct stat *st)
{
	const struct file *file = find_file(path);
	int err = begin_call(C_STAT, 0);

	if (err != 0)
		return fail(err);
	if (file == NULL)
		return fail(ENOENT);
	memset(st, 0, sizeof *st);
	st->st_size = (off_t)file->size;
	st->st_mtim.tv_sec = sim.now >= sim.set.files_at;
	return result(0);
}

/* Only the log is asked what it is: a pipe. */
int __wrap_fstat(int, struct stat *);
int
__wrap_fstat(int fd, struct stat *st)
{
	int err = begin_call(C_STAT, fd);

	(void)get(fd);
	memset(st, 0, sizeof *st);
	st->st_mode = S_IFIFO;
	return err != 0 ? fail(err) : result(0);
}

ssize_t __wrap_read(int, void *, size_t);
ssize_t
__wrap_read(int fd, void *p, size_t n)
{
	struct vfd *v = get(fd);
	unsigned char *to = p;
	size_t i, left;
	int err = begin_call(C_READ, fd);

	if (err != 0)
		return fail(err);
	if (v->kind == FD_PIPE_READ) {
		if (!v->nonblock || !v->cloexec)
			broken("the pipe of the signals may block or leak");
		if (signal_len == 0)
			return fail(EAGAIN);
		n = (size_t)signal_len < n ? (size_t)signal_len : n;
		signal_len -= (int)n;
		sim.progress = true;
		return result((int)n);
	}
	if (v->kind == FD_NULL) {	/* urandom */
		for (i = 0; i < n; i++)
			to[i] = (unsigned char)rnd();
		return result((int)n);
	}
	if (v->kind != FD_FILE)
		broken("read of descriptor %d", fd);
	left = v->file->size - v->pos;
	n = n < left ? n : left;
	memcpy(p, v->file->text + v->pos, n);
	v->pos += n;
	return result((int)n);
}

ssize_t __wrap_write(int, const void *, size_t);
ssize_t
__wrap_write(int fd, const void *p, size_t n)
{
	struct vfd *v = get(fd);
	int err = begin_call(C_WRITE, fd);

	if (v->kind == FD_PIPE_WRITE) {
		if (!v->nonblock || !v->cloexec)
			broken("the pipe of the signals may block or leak");
		if (err != 0 || signal_len == SIGNALS_MAX)
			return fail(err != 0 ? err : EAGAIN);
		signal_len++;
		return result(1);
	}
	if (v->kind != FD_LOG && fd != 2)
		broken("write to descriptor %d", fd);
	if (err != 0) {
		/* If it told of lost ones, the next line is lost with it. */
		sim.lost_lines++;
		return fail(err);
	}
	check_line(p, n);
	return result((int)n);
}

int __wrap_pipe(int[2]);
int
__wrap_pipe(int fd[2])
{
	int err = begin_call(C_PIPE, 0);

	if (err != 0)
		return fail(err);
	fd[0] = new_fd(FD_PIPE_READ);
	fd[1] = new_fd(FD_PIPE_WRITE);
	fds[fd[0]].keeps = fds[fd[1]].keeps = true;
	return result(0);
}

bool
signal_is_waiting(void)
{
	return signal_len > 0;
}
