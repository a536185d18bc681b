// SPDX-License-Identifier: MIT
/*
 * `softiommu show --watch`.
 *
 * The server knows nothing of watching: we ask for its tree again and again and
 * compare. A line that differs from its counterpart in numbers only is the same
 * thing some time later, so each number that grew is followed by its rate. Lines
 * are paired by what they say without their numbers, in order, so that a line that
 * comes or goes does not disturb those below it.
 */
#include <ctype.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include "watch.h"

#define HOME  "\033[H"
#define ERASE "\033[K"
#define BELOW "\033[J"
#define BOLD  "\033[1m"
#define PLAIN "\033[m"
/* The other screen, and back; the cursor off, and on. */
#define ENTER "\033[?1049h\033[?25l"
#define LEAVE "\033[?25h\033[?1049l"

/**
 * struct frame - the tree at one time
 * @text: all of it, with zeroes for newlines
 * @lines: where each begins
 * @n: how many there are
 * @at: when, in seconds
 */
struct frame {
	char *text;
	char **lines;
	size_t n;
	double at;
};

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void frame_free(struct frame *f)
{
	free(f->text);
	free(f->lines);
	memset(f, 0, sizeof(*f));
}

/* Return: 0, or -errno. */
static int frame_take(int sock, struct frame *f)
{
	size_t bytes = 0, room = 0;
	char *at, *line;
	FILE *out;
	int ret;

	memset(f, 0, sizeof(*f));
	out = open_memstream(&f->text, &bytes);
	if (!out)
		return -ENOMEM;
	ret = print_tree(sock, false, out);
	fclose(out);
	f->at = now();
	at = f->text;
	while (!ret && (line = strsep(&at, "\n")) && (*line || at)) {
		if (f->n == room) {
			room = room ? 2 * room : 64;
			f->lines = reallocarray(f->lines, room, sizeof(*f->lines));
			if (!f->lines)
				ret = -ENOMEM;
		}
		if (!ret)
			f->lines[f->n++] = line;
	}
	if (ret)
		frame_free(f);
	return ret;
}

/* A decimal number that stands alone, neither part of a name nor of an address. */
static bool number_at(const char *line, const char *at, const char **end)
{
	if (!isdigit((unsigned char)*at) ||
	    (at > line && (isalnum((unsigned char)at[-1]) || strchr("_.:-/[", at[-1]))))
		return false;
	*end = at + strspn(at, "0123456789");
	return !isalnum((unsigned char)**end) && !strchr("_.:/]", **end);
}

/* Do they say the same but for their numbers? */
static bool same_words(const char *a, const char *b)
{
	const char *p = a, *q = b, *end;

	while (*p && *q) {
		bool in_a = number_at(a, p, &end);

		if (in_a)
			p = end;
		if (number_at(b, q, &end) != in_a)
			return false;
		if (in_a)
			q = end;
		else if (*p++ != *q++)
			return false;
	}
	return !*p && !*q;
}

/* The counterpart of @line in @old, from *@from on, which moves behind it. */
static const char *counterpart(const struct frame *old, const char *line, size_t *from)
{
	size_t i;

	for (i = *from; i < old->n; i++) {
		if (!same_words(old->lines[i], line))
			continue;
		*from = i + 1;
		return old->lines[i];
	}
	return NULL;
}

/* @line, with the rates of what has grown since @before. Return: to be freed, or NULL. */
static char *with_rates(const char *line, const char *before, double seconds)
{
	const char *p = line, *q = before, *end, *old_end;
	char *text = NULL;
	size_t bytes;
	FILE *out = open_memstream(&text, &bytes);

	while (out && *p) {
		if (!number_at(line, p, &end)) {
			fputc(*p++, out);
			q += before ? 1 : 0;
			continue;
		}
		fwrite(p, 1, (size_t)(end - p), out);
		if (before && number_at(before, q, &old_end)) {
			unsigned long long value = strtoull(p, NULL, 10);
			unsigned long long old = strtoull(q, NULL, 10);

			if (value > old && seconds > 0)
				fprintf(out, " +%.0f/s", (double)(value - old) / seconds);
			q = old_end;
		}
		p = end;
	}
	if (out)
		fclose(out);
	return text;
}

static void draw_line(const char *line, const char *before, double seconds, size_t columns)
{
	bool changed = before && strcmp(line, before) != 0;
	char *text = with_rates(line, before, seconds);

	printf("%s%.*s%s" ERASE "\n", changed ? BOLD : "", (int)columns, text ? text : line,
	       changed ? PLAIN : "");
	free(text);
}

/* On a terminal: in place, and no more than fits. */
static void draw(const struct frame *f, const struct frame *old, const char *path)
{
	struct winsize size = { 0 };
	size_t i, rows, columns, from = 0;

	(void)ioctl(STDOUT_FILENO, TIOCGWINSZ, &size);
	rows = size.ws_row > 3 ? size.ws_row : 24;
	columns = size.ws_col ? size.ws_col : 80;
	printf(HOME "%.*s" ERASE "\n", (int)columns, path);
	/* One row is the title, the last one stays empty: a newline there would scroll. */
	for (i = 0; i < f->n && i + 2 < rows; i++) {
		if (i + 3 == rows && i + 1 < f->n) {
			printf("(%zu more lines)" ERASE "\n", f->n - i);
			break;
		}
		draw_line(f->lines[i], counterpart(old, f->lines[i], &from), f->at - old->at,
			  columns);
	}
	printf(BELOW);
	fflush(stdout);
}

static void print_frame(const struct frame *f, const struct frame *old)
{
	size_t i, from = 0;

	for (i = 0; i < f->n; i++) {
		const char *before = counterpart(old, f->lines[i], &from);
		char *text = with_rates(f->lines[i], before, f->at - old->at);

		puts(text ? text : f->lines[i]);
		free(text);
	}
	putchar('\n');
	fflush(stdout);
}

static int signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_BLOCK, &set, NULL);
	return signalfd(-1, &set, SFD_CLOEXEC);
}

/* Return: 0 when it is time to end, or -errno of asking the server. */
static int loop(int sock, const char *path, double seconds, bool terminal)
{
	struct frame f, old = { 0 };
	struct pollfd end = { .fd = signals(), .events = POLLIN };
	int ret;

	do {
		ret = frame_take(sock, &f);
		if (ret)
			break;
		if (terminal)
			draw(&f, &old, path);
		else
			print_frame(&f, &old);
		frame_free(&old);
		old = f;
	} while (!ferror(stdout) && !poll(&end, 1, (int)(seconds * 1000)));
	frame_free(&old);
	close(end.fd);
	return ret;
}

int watch_server(int sock, const char *path, double seconds)
{
	const bool terminal = isatty(STDOUT_FILENO);
	int ret;

	if (terminal)
		printf(ENTER);
	ret = loop(sock, path, seconds, terminal);
	if (terminal)
		printf(LEAVE);
	fflush(stdout);
	if (!ret)
		return 0;
	complain("show: the server on %s has ended", path);
	return 1;
}
