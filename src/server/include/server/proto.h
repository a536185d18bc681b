/* SPDX-License-Identifier: MIT */
/*
 * What the preload library and the server say to each other.
 *
 * A thread of a program has a connection of its own, a channel: an AF_UNIX
 * SOCK_SEQPACKET socket. It sends one struct door_call per library call and
 * waits for the struct door_reply with op DOOR_DONE. Before that one the server
 * may ask it for something (DOOR_INSTALL, DOOR_REMOVE, DOOR_PTRACER); each is
 * answered with a struct door_call whose op is DOOR_ANSWER.
 *
 * Messages carry no memory of the program, only addresses: the server reads and
 * writes the program's memory itself. Descriptors travel with SCM_RIGHTS, and
 * only from the server to the program.
 *
 * A descriptor is named by its number and by the inode behind it. The server
 * knows the inodes that it handed out; the number serves once per process and
 * inode, to see that the process really holds it.
 */
#ifndef SERVER_PROTO_H
#define SERVER_PROTO_H

#include <stdint.h>

#define DOOR_VERSION 2

/* Environment variable that names the server's socket. */
#define DOOR_SOCKET_ENV "SOFTIOMMU_SOCKET"

/*
 * All descriptors of ours are pipes. What tells them from other pipes, in any
 * process that they get to, is the signal number of F_SETSIG: it belongs to the
 * open file, so dup, fork, exec and SCM_RIGHTS keep it, and without O_ASYNC it
 * has no effect.
 */
#define DOOR_TAG_ATTRIBUTE 59
#define DOOR_TAG_DEVICE	 60
#define DOOR_TAG_CONTEXT 61
#define DOOR_TAG_QUEUE	 62

/*
 * The tree of directories that programs see in place of the kernel's is beside the
 * socket, with this added to its path; it is there if the server has PCI functions. A file
 * of it that is more than text has its sticky bit set, DOOR_MARK and a kind as the
 * nanoseconds of its modification time, and a device number as the seconds.
 */
#define DOOR_TREE_SUFFIX ".tree"
#define DOOR_MARK	 516000000
#define DOOR_MARK_NODE	 0 /* a device node */
#define DOOR_MARK_TEXT	 1 /* an attribute; what it reads as is in the file */
#define DOOR_MARK_SERVED 2 /* an attribute that is opened at the server */
#define DOOR_MARK_MAJOR	 20 /* first bit of the major */

/* Second half of the cookie, the same in every process. */
#define DOOR_COOKIE_MAGIC UINT64_C(0x6f69746f6f6b6965)

/* Offset of a call that uses the file position. */
#define DOOR_NO_OFFSET UINT64_MAX

enum door_op {
	/* From the program. Unless said otherwise: fd, dev, ino name a descriptor. */
	DOOR_HELLO = 1, /* fd: thread; a: address of the cookie; b: its first half; d: version */
	/* a: address of a path, 0 for /dev/iommu; b: its length; c: open flags; the reply carries it */
	DOOR_OPEN,
	DOOR_IOCTL,	/* a: request; b: argument */
	/*
	 * a: length; b: offset; c: prot; d: flags; the reply carries a memfd to be mapped
	 * at v[2]. From v[0] to v[1] of the mapping are registers: to be mapped for reading
	 * only, and stores there are DOOR_WRITEs.
	 */
	DOOR_MMAP,
	DOOR_READ,	/* a: address; b: bytes; c: offset or DOOR_NO_OFFSET */
	DOOR_WRITE,	/* the same */
	DOOR_SYNC,	/* returns when everything closed before it is gone */
	DOOR_STATUS,	/* a: process; v[0]: pages pinned; v[1]: pages locked */
	DOOR_FAIL_NTH,	/* fd: thread; the reply carries a descriptor */
	/* These need no DOOR_HELLO, and nor does DOOR_WALK. */
	DOOR_SHOW,   /* the reply carries a memfd with text; a: also past contexts */
	DOOR_COUNT,  /* v[]: contexts, other files, processes, bytes of library memory */
	DOOR_ANSWER, /* a: result */
	/* As DOOR_SHOW: the reply carries a memfd with a struct walk_trace. */
	DOOR_WALK, /* a: iova; b: see DOOR_WALK_ACCESS; dev, ino, c, d: name of the device */
	/* v[0], v[1]: number of the device that it is an opening of, or 0; v[2]: KVM may take it */
	DOOR_STAT,
	/*
	 * Take what was written to an attribute by the kernel's write, which a libc's own
	 * buffers use, for a DOOR_WRITE. Return: as that, or 0 if there was nothing.
	 */
	DOOR_COMMIT,
	DOOR_STORE, /* as DOOR_WRITE, of up to 8 bytes, which are d: nothing is read at a */

	/* From the server. */
	DOOR_INSTALL = 64, /* carries a descriptor; answer: its number, or -errno */
	DOOR_REMOVE,	   /* fd: close this number; answer: 0 */
	DOOR_PTRACER,	   /* name the server to Yama once more; answer: 0 */
	DOOR_DONE,	   /* result: what the call returns */
};

/* b of DOOR_WALK: enum siommu_dma_access, and from bit 32 on the PASID if there is one. */
#define DOOR_WALK_ACCESS      0xff
#define DOOR_WALK_PASID	      0x100
#define DOOR_WALK_PASID_SHIFT 32

/* In v[0] of the reply to DOOR_HELLO. */
#define DOOR_HAS_TEST_INTERFACE 1

struct door_call {
	uint32_t op;
	int32_t fd;
	uint64_t dev;
	uint64_t ino;
	uint64_t a;
	uint64_t b;
	uint64_t c;
	uint64_t d;
};

struct door_reply {
	uint32_t op;
	int32_t fd;
	int64_t result;
	uint64_t v[4];
};

#endif
