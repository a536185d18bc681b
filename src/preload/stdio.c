// SPDX-License-Identifier: MIT
/*
 * Attributes of sysfs by way of libc's streams.
 *
 * A stream writes by libc's own inner write, which nobody can stand in front of. A stream
 * that is opened on an attribute is therefore one of ours, whose reads and writes go to
 * the server. One that became an attribute by dup - the standard output of a shell's
 * command - puts its text into the pipe that the descriptor is; when the stream is
 * flushed, or the descriptor closed, the server is asked to take that for a write.
 */
#include <fcntl.h>
#include <string.h>

#include "raw.h"
#include "real.h"

/* What glibc sets in a stream that has had an error; it has no function for that. */
#define STREAM_ERROR 0x20

/**
 * struct stream - behind a stream of ours
 * @fd: an attribute, which it owns
 * @position: where it reads and writes
 */
struct stream {
	int fd;
	off64_t position;
};

static ssize_t stream_read(void *cookie, char *buf, size_t n)
{
	struct stream *s = cookie;
	ssize_t got = pread64(s->fd, buf, n, s->position);

	if (got > 0)
		s->position += got;
	return got;
}

/* Here 0 is an error, and -1 is not. */
static ssize_t stream_write(void *cookie, const char *buf, size_t n)
{
	struct stream *s = cookie;
	ssize_t put = pwrite64(s->fd, buf, n, s->position);

	if (put <= 0)
		return 0;
	s->position += put;
	return put;
}

static int stream_seek(void *cookie, off64_t *offset, int whence)
{
	struct stream *s = cookie;

	if (whence == SEEK_CUR)
		*offset += s->position;
	if (whence == SEEK_END || *offset < 0)
		return -1;
	s->position = *offset;
	return 0;
}

static int stream_close(void *cookie)
{
	struct stream *s = cookie;
	int ret = close(s->fd);

	free(s);
	return ret;
}

FILE *stdio_open(int fd, const char *mode)
{
	const cookie_io_functions_t functions = { stream_read, stream_write, stream_seek,
						  stream_close };
	struct stream *s = calloc(1, sizeof(*s));
	FILE *stream;

	if (!s)
		return NULL;
	s->fd = fd;
	stream = fopencookie(s, mode, functions);
	if (stream)
		stream->_fileno = fd; /* such a stream has none, and does not use it */
	else
		free(s);
	return stream;
}

PRELOAD_API FILE *fdopen(int fd, const char *mode)
{
	struct known k;

	if (unlikely(atomic_load(&preload_live)) && known_kind(fd) == KNOWN_ATTRIBUTE &&
	    known_check(fd, &k) == KNOWN_ATTRIBUTE)
		return stdio_open(fd, mode);
	return real()->fdopen(fd, mode);
}

/* What an attribute reads as now, as a file that libc's inner read can read. */
static long snapshot(int fd)
{
	char text[4096];
	ssize_t n = pread64(fd, text, sizeof(text), 0);
	long copy;

	if (n < 0)
		return -errno;
	copy = raw2(SYS_memfd_create, "attribute", 0);
	if (copy >= 0)
		(void)raw4(SYS_pwrite64, copy, text, n, 0);
	return copy;
}

/*
 * A stream that is given another file stays what it is, so what it reads of an attribute
 * is a copy, and what it writes goes into the pipe.
 */
static FILE *reopen_stream(const char *path, const char *mode, FILE *stream,
			   FILE *(*freopen_it)(const char *, const char *, FILE *))
{
	struct tree_path room;
	FILE *ret;
	int fd;
	long copy;

	if (likely(!preload_active) || !path ||
	    (tree_redirect(path, &room) == path && (!atomic_load(&tree_live) || path[0] == '/')))
		return freopen_it(path, mode, stream);
	fd = open(path, *mode == 'r' && !strchr(mode, '+') ? O_RDONLY : O_WRONLY);
	if (fd < 0)
		return NULL;
	if (*mode == 'r' && known_kind(fd) == KNOWN_ATTRIBUTE) {
		copy = snapshot(fd);
		close(fd);
		if (copy < 0) {
			errno = (int)-copy;
			return NULL;
		}
		fd = (int)copy;
	}
	ret = freopen_it("/dev/null", mode, stream);
	if (ret && dup2(fd, fileno(ret)) < 0)
		ret = NULL;
	close(fd);
	return ret;
}

PRELOAD_API FILE *freopen(const char *path, const char *mode, FILE *stream)
{
	return reopen_stream(path, mode, stream, real()->freopen);
}

PRELOAD_API FILE *freopen64(const char *path, const char *mode, FILE *stream)
{
	return reopen_stream(path, mode, stream, real()->freopen64);
}

long stdio_commit(int fd)
{
	struct door_call call = { .op = DOOR_COMMIT, .fd = fd };
	struct known k;
	long ret;

	if (known_check(fd, &k) != KNOWN_ATTRIBUTE)
		return 0;
	call.dev = k.dev;
	call.ino = k.ino;
	ret = door_call(&call, NULL, NULL);
	return ret < 0 ? ret : 0;
}

static bool is_attribute(FILE *stream)
{
	return unlikely(atomic_load(&preload_live)) && stream && stream->_fileno >= 0 &&
	       known_kind(stream->_fileno) == KNOWN_ATTRIBUTE;
}

PRELOAD_API int fflush(FILE *stream)
{
	int ret = real()->fflush(stream);
	long error;

	if (ret || likely(!is_attribute(stream)))
		return ret;
	error = stdio_commit(stream->_fileno);
	if (!error)
		return 0;
	stream->_flags |= STREAM_ERROR;
	errno = (int)-error;
	return EOF;
}

PRELOAD_API int fclose(FILE *stream)
{
	int fd, ret, error = 0;

	if (likely(!is_attribute(stream)))
		return real()->fclose(stream);
	fd = stream->_fileno;
	if (fflush(stream))
		error = errno;
	ret = real()->fclose(stream);
	if (known_forget(fd))
		door_sync();
	if (error) {
		errno = error;
		return EOF;
	}
	return ret;
}
