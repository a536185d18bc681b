/* SPDX-License-Identifier: MIT */
/*
 * Invalidation against DMA in flight: src/dma/port.c and the functions of
 * include/softiommu/dma.h, as a model for spin.
 *
 * One port, two pages, and for each page a thread that changes the table and
 * invalidates. What must hold: when an invalidation has returned, nobody uses the
 * old translation of its page, be it to read or to write.
 *
 * The stores of the port's thread go through a buffer and become visible in order
 * but at any later time, as on x86; the uses that are writes do too. A lock and
 * membarrier(2) wait until the buffer is empty. The invalidators' own stores
 * are visible at once: what they do ends in a system call before they look.
 *
 * Wrong variants, each of which must be found wrong:
 *
 * NO_BARRIER	the invalidator does not make the port's stores visible
 * CHECK_FIRST	the port looks for what was posted, and then says that it is busy
 * SEEN_LATE	what counts as seen is read after the lock is dropped
 * NO_DROP	the port counts what was posted as seen, and keeps its TLB
 * NO_WAIT	the invalidator does not wait for the access that runs
 *
 * FENCE is the right variant for systems without membarrier(2).
 */
#ifndef ACCESSES
#define ACCESSES 3
#endif

#define OLD 0
#define NEW 1
#define NONE 2

/* Memory. */
byte table[2];		/* what a walk finds, OLD at first */
byte ranges;		/* posted and not followed: a bit for each page */
byte posted, seen;
bit pending;
bit busy;
bit locked;
bit done[2];		/* this invalidation has returned */

/* The port's store buffer: what, of which page, and the value. */
mtype = { BUSY, SEEN, PENDING, USE };
chan buffer = [5] of { mtype, byte, byte };

/* Nobody may use what was taken back. */
#define CHECK_USE(p, value) assert(!(done[p] && (value) == OLD))

active proctype memory_system()
{
	byte p, v;

end:
	do
	:: atomic { buffer ? BUSY(p, v) -> busy = v; p = 0; v = 0 }
	:: atomic { buffer ? SEEN(p, v) -> seen = v; p = 0; v = 0 }
	:: atomic { buffer ? PENDING(p, v) -> pending = v; p = 0; v = 0 }
	:: atomic { buffer ? USE(p, v) -> CHECK_USE(p, v); p = 0; v = 0 }
	od
}

#define DRAINED (empty(buffer))

active proctype port()
{
	byte tlb[2];
	byte n, p, found, todo;

	tlb[0] = NONE;
	tlb[1] = NONE;
	do
	:: n == ACCESSES -> break
	:: n < ACCESSES ->
		n++;
		/* siommu_dma_begin() */
#ifdef CHECK_FIRST
		found = pending;
		buffer ! BUSY(0, 1);
#else
		buffer ! BUSY(0, 1);
#ifdef FENCE
		atomic { DRAINED -> found = (posted != seen) }
#else
		found = pending;
#endif
#endif
		if
		:: found ->
			/* siommu_dma_catch_up() */
			atomic { !locked && DRAINED -> locked = 1 }
			todo = ranges;
			ranges = 0;
#ifdef SEEN_LATE
			buffer ! PENDING(0, 0);
			atomic { DRAINED -> locked = 0 }
			buffer ! SEEN(0, posted);
#else
			buffer ! SEEN(0, posted);
			buffer ! PENDING(0, 0);
			atomic { DRAINED -> locked = 0 }
#endif
#ifndef NO_DROP
			if :: todo & 1 -> tlb[0] = NONE :: else fi;
			if :: todo & 2 -> tlb[1] = NONE :: else fi;
#endif
			todo = 0
		:: else
		fi;
		/* siommu_dma_find(), of one page or both: the TLB, or a walk. */
		if :: p = 0 :: p = 1 fi;
		do
		:: true ->
			if
			:: tlb[p] == NONE -> tlb[p] = table[p]
			:: else
			fi;
			found = tlb[p];
			/* Reading happens now, writing when the buffer says so. */
			if
			:: atomic { CHECK_USE(p, found) }
			:: buffer ! USE(p, found)
			fi;
			if
			:: p == 0 -> p = 1
			:: break
			fi
		:: break
		od;
		p = 0;
		found = 0;
		/* siommu_dma_end() */
		buffer ! BUSY(0, 0)
	od
}

proctype invalidator(byte page)
{
	byte upto;

	table[page] = NEW;
	/* dma_port_post() */
	atomic { !locked -> locked = 1 }
	ranges = ranges | (1 << page);
	posted++;
	pending = 1;
	locked = 0;
	/* dma_barrier() */
#if !defined(NO_BARRIER) && !defined(FENCE)
	DRAINED;
#endif
	/* dma_port_wait() */
#ifndef NO_WAIT
	upto = posted;
	do
	:: busy == 0 -> break
	:: busy == 1 ->
		if
		:: seen >= upto -> break
		:: seen < upto
		fi
	od;
#endif
	done[page] = 1
}

init {
	atomic {
		run invalidator(0);
		run invalidator(1)
	}
}
