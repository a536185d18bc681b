// SPDX-License-Identifier: MIT
/*
 * A plain main for fuzz targets: for compilers without libFuzzer, and for the
 * ordinary test run.
 *
 * usage: TARGET [--random COUNT] [--seed N] [FILE | DIRECTORY]...
 *
 * Runs the target on every file, and on COUNT inputs made of random bytes: whole
 * ones, and files of the corpus with some bytes changed. A target that finds
 * something aborts; the last input is then in the file "crash-replay".
 */
#include <dirent.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_BYTES 4096
#define MAX_FILES 512

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct input {
	size_t size;
	uint8_t bytes[MAX_BYTES];
};

static struct input *corpus[MAX_FILES];
static unsigned int nfiles;
static struct input current;
static uint64_t state = 1;

static uint64_t next_random(void)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state * 0x2545f4914f6cdd1dULL;
}

/* Save the input that is being run, in a signal handler. */
static void save(int sig)
{
	int fd = open("crash-replay", O_WRONLY | O_CREAT | O_TRUNC, 0644);

	if (fd >= 0) {
		(void)!write(fd, current.bytes, current.size);
		close(fd);
	}
	signal(sig, SIG_DFL);
	raise(sig);
}

static void run(const struct input *in)
{
	uint8_t *exact = malloc(in->size ? in->size : 1);

	if (in != &current)
		current = *in;
	/* Of exactly that size, so that a sanitizer sees reads beyond it. */
	memcpy(exact, current.bytes, current.size);
	LLVMFuzzerTestOneInput(exact, current.size);
	free(exact);
}

static void load_file(const char *path)
{
	struct input *in;
	FILE *f;

	if (nfiles == MAX_FILES)
		return;
	f = fopen(path, "rb");
	if (!f) {
		perror(path);
		exit(EXIT_FAILURE);
	}
	in = calloc(1, sizeof(*in));
	in->size = fread(in->bytes, 1, sizeof(in->bytes), f);
	fclose(f);
	corpus[nfiles++] = in;
}

static void load(const char *path)
{
	char name[1024];
	struct dirent *e;
	struct stat st;
	DIR *dir;

	if (stat(path, &st) || !S_ISDIR(st.st_mode)) {
		load_file(path);
		return;
	}
	dir = opendir(path);
	while (dir && (e = readdir(dir))) {
		if (e->d_name[0] == '.')
			continue;
		snprintf(name, sizeof(name), "%s/%s", path, e->d_name);
		load_file(name);
	}
	if (dir)
		closedir(dir);
}

/* Half of the inputs are files with a few bytes changed or another's tail. */
static void make_random(void)
{
	size_t i, n;

	if (nfiles && next_random() % 2) {
		const struct input *other = corpus[next_random() % nfiles];
		size_t at;

		current = *corpus[next_random() % nfiles];
		for (n = next_random() % 8; n && current.size; n--)
			current.bytes[next_random() % current.size] = (uint8_t)next_random();
		if (next_random() % 2)
			return;
		at = current.size ? next_random() % current.size : 0;
		n = other->size < MAX_BYTES - at ? other->size : MAX_BYTES - at;
		memcpy(current.bytes + at, other->bytes, n);
		current.size = at + n;
		return;
	}
	current.size = next_random() % 512;
	for (i = 0; i < current.size; i++)
		current.bytes[i] = (uint8_t)next_random();
}

int main(int argc, char **argv)
{
	unsigned long count = 0, i;
	int arg;

	for (arg = 1; arg < argc; arg++) {
		if (!strcmp(argv[arg], "--random") && arg + 1 < argc)
			count = strtoul(argv[++arg], NULL, 0);
		else if (!strcmp(argv[arg], "--seed") && arg + 1 < argc)
			state = strtoul(argv[++arg], NULL, 0) * 2 + 1;
		else
			load(argv[arg]);
	}
	signal(SIGABRT, save);
	for (i = 0; i < nfiles; i++)
		run(corpus[i]);
	for (i = 0; i < count; i++) {
		make_random();
		run(&current);
	}
	printf("%u files and %lu random inputs\n", nfiles, count);
	for (i = 0; i < nfiles; i++)
		free(corpus[i]);
	return EXIT_SUCCESS;
}
