// SPDX-License-Identifier: MIT
/*
 * Can this program be served at all? The preload library reaches only what the
 * dynamic linker starts, so it is better to say beforehand why a program would
 * not see /dev/iommu than to let it fail in a way that explains nothing.
 */
#include <elf.h>
#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <fcntl.h>
#include <unistd.h>

#include "program.h"

#define NOT_FOUND 127
#define NOT_RUN	  126

/* Where execvp would find @name. Return: 0, or an errno. */
static int find(const char *name, char *path, size_t n)
{
	const char *dirs = getenv("PATH"), *end;
	int err = ENOENT;

	if (strchr(name, '/')) {
		snprintf(path, n, "%s", name);
		return access(path, F_OK) ? errno : 0;
	}
	for (dirs = dirs ? dirs : "/bin:/usr/bin"; dirs; dirs = *end ? end + 1 : NULL) {
		end = strchrnul(dirs, ':');
		snprintf(path, n, "%.*s%s%s", (int)(end - dirs), dirs, end > dirs ? "/" : "", name);
		if (!access(path, X_OK))
			return 0;
		if (errno == EACCES)
			err = EACCES;
	}
	return err;
}

/* Does the dynamic linker start it? True where that cannot be told. */
static bool has_interpreter(int fd, const Elf64_Ehdr *head)
{
	Elf64_Phdr ph;
	int i;

	for (i = 0; i < head->e_phnum; i++) {
		if (pread(fd, &ph, sizeof(ph), (off_t)(head->e_phoff + (size_t)i * sizeof(ph))) !=
		    sizeof(ph))
			return true;
		if (ph.p_type == PT_INTERP)
			return true;
	}
	return false;
}

static int check_elf(int fd, const char *path, const Elf64_Ehdr *head)
{
	if (head->e_ident[EI_CLASS] != ELFCLASS64) {
		complain("run: %s is a 32-bit program; only 64-bit ones can be served", path);
		return NOT_RUN;
	}
	if (!has_interpreter(fd, head)) {
		complain("run: %s is statically linked, so the preload library cannot serve it; "
			 "link it dynamically",
			 path);
		return NOT_RUN;
	}
	return 0;
}

/* Will it run as somebody else, so that the linker ignores LD_PRELOAD? */
static bool changes_user(int fd)
{
	struct stat st;

	if (fstat(fd, &st))
		return false;
	return ((st.st_mode & S_ISUID) && st.st_uid != geteuid()) ||
	       ((st.st_mode & S_ISGID) && st.st_gid != getegid());
}

static int check_file(int fd, const char *path)
{
	Elf64_Ehdr head;
	ssize_t n = pread(fd, &head, sizeof(head), 0);

	if (changes_user(fd)) {
		complain("run: %s is set-user-ID or set-group-ID, where LD_PRELOAD is ignored; run "
			 "it as the user it changes to",
			 path);
		return NOT_RUN;
	}
	if (n >= SELFMAG && !memcmp(head.e_ident, ELFMAG, SELFMAG))
		return n == sizeof(head) ? check_elf(fd, path, &head) : 0;
	/* Scripts are fine, also those without "#!", which a shell will run. */
	if (n > 0 && memchr(&head, '\0', (size_t)n)) {
		complain("run: %s is neither a program of this machine nor a script", path);
		return NOT_RUN;
	}
	return 0;
}

int check_program(const char *name)
{
	char path[PATH_MAX];
	struct stat st;
	int err, fd, ret;

	err = find(name, path, sizeof(path));
	if (err == ENOENT || err == ENOTDIR) {
		complain(strchr(name, '/') ? "run: %s: no such program"
					   : "run: %s: no such program in PATH; for one in this "
					     "directory give ./%s",
			 name, name);
		return NOT_FOUND;
	}
	if (err || stat(path, &st) || access(path, X_OK) || S_ISDIR(st.st_mode)) {
		complain("run: %s cannot be executed: %s", path,
			 strerror(err			? err
				  : S_ISDIR(st.st_mode) ? EISDIR
							: EACCES));
		return NOT_RUN;
	}
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0; /* executable but not readable: cannot be looked at */
	ret = check_file(fd, path);
	close(fd);
	return ret;
}

int exec_program(char *const *argv)
{
	int err;

	execvp(argv[0], argv);
	err = errno;
	complain("run: cannot execute %s: %s", argv[0], strerror(err));
	return err == ENOENT ? NOT_FOUND : NOT_RUN;
}
