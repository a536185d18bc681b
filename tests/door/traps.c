// SPDX-License-Identifier: MIT
/* Stores to mapped registers: real instructions, and what happens to the mapping. */
#include <pthread.h>
#include <setjmp.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <ucontext.h>

#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>
#endif

#include "devices.h"

#define NUMBER UINT64_C(0x1122334455667788)

TEST(a_mapped_register_is_read_without_the_server)
{
	int iommu, dev = bound_device(&iommu);
	volatile uint8_t *regs = map_registers(dev);

	CHECK(*(volatile uint32_t *)(regs + EDU_ID) == EDU_ID_VALUE);
}

TEST(a_plain_store_reaches_the_device)
{
	int iommu, dev = bound_device(&iommu);
	volatile uint8_t *regs = map_registers(dev);

	*(volatile uint32_t *)(regs + EDU_SCRATCH) = 0x12345678;
	CHECK((uint32_t)peek(dev, EDU_SCRATCH) == 0x12345678);
	CHECK(*(volatile uint32_t *)(regs + EDU_SCRATCH) == 0x12345678);
	*(volatile uint64_t *)(regs + EDU_ADDR) = NUMBER;
	CHECK(peek(dev, EDU_ADDR) == NUMBER);
}

TEST(the_id_cannot_be_changed)
{
	int iommu, dev = bound_device(&iommu);
	volatile uint8_t *regs = map_registers(dev);

	*(volatile uint32_t *)(regs + EDU_ID) = 0;
	CHECK(*(volatile uint32_t *)(regs + EDU_ID) == EDU_ID_VALUE);
}

#if defined(__x86_64__)

/* One instruction that stores to the register ADDR, whose value it finds at @before. */
#define STORE(insn, before, after, ...)                                                            \
	do {                                                                                       \
		*(volatile uint64_t *)(regs + EDU_ADDR) = (before);                                \
		__asm__ volatile(insn : : "r"(regs + EDU_ADDR), ##__VA_ARGS__ : "memory", "cc");   \
		CHECK(peek(dev, EDU_ADDR) == (uint64_t)(after));                                   \
	} while (0)

TEST(all_sizes_and_sources_of_moves)
{
	int iommu, dev = bound_device(&iommu);
	volatile uint8_t *regs = map_registers(dev);

	STORE("movl %k1, (%0)", 0, 0x55667788, "r"(NUMBER));
	STORE("movq %1, (%0)", 0, NUMBER, "r"(NUMBER));
	STORE("movl $0x7f, (%0)", 0, 0x7f);
	STORE("movq $-1, (%0)", 0, -1);
	STORE("movq %1, -8(%0,%2,4)", 0, NUMBER, "r"(NUMBER), "r"(2ul));
	STORE("movnti %1, (%0)", 0, NUMBER, "r"(NUMBER));
	STORE("movq %1, 0(%0)", 0, 5, "r"(5ul));
}

TEST(exchanges_and_changes)
{
	int iommu, dev = bound_device(&iommu);
	volatile uint8_t *regs = map_registers(dev);
	uint64_t value = 7;
	uint8_t zero;

	STORE("addq $5, (%0)", 10, 15);
	STORE("lock orl $0xf0, (%0)", 0xf, 0xff);
	STORE("notq (%0)", 0, -1);
	STORE("decl (%0)", 1, 0);
	*(volatile uint64_t *)(regs + EDU_ADDR) = 3;
	__asm__ volatile("xchgq %0, (%1)" : "+r"(value) : "r"(regs + EDU_ADDR) : "memory");
	CHECK(value == 3 && peek(dev, EDU_ADDR) == 7);
	__asm__ volatile("lock xaddq %0, (%1)" : "+r"(value) : "r"(regs + EDU_ADDR) : "memory");
	CHECK(value == 7 && peek(dev, EDU_ADDR) == 10);
	__asm__ volatile("lock cmpxchgq %3, (%2)\n\tsetz %1"
			 : "+a"(value), "=q"(zero)
			 : "r"(regs + EDU_ADDR), "r"(99ul)
			 : "memory");
	CHECK(!zero && value == 10 && peek(dev, EDU_ADDR) == 10);
	__asm__ volatile("lock cmpxchgq %3, (%2)\n\tsetz %1"
			 : "+a"(value), "=q"(zero)
			 : "r"(regs + EDU_ADDR), "r"(99ul)
			 : "memory");
	CHECK(zero && peek(dev, EDU_ADDR) == 99);
	/* Flags are those of the operation. */
	__asm__ volatile("subq %3, (%2)\n\tsetz %0"
			 : "=q"(zero), "+m"(value)
			 : "r"(regs + EDU_ADDR), "r"(99ul)
			 : "memory", "cc");
	CHECK(zero && !peek(dev, EDU_ADDR));
}

TEST(vectors)
{
	int iommu, dev = bound_device(&iommu);
	volatile uint8_t *regs = map_registers(dev);
	uint64_t two[4] = { NUMBER, 42, 43, 44 };
	__m128i v = _mm_loadu_si128((__m128i *)two);

	_mm_storeu_si128((__m128i *)(uintptr_t)(regs + EDU_ADDR), v);
	CHECK(peek(dev, EDU_ADDR) == NUMBER && peek(dev, EDU_DEST) == 42);
	__asm__ volatile("movntdq %0, 16(%1)" : : "x"(v), "r"(regs + EDU_ADDR) : "memory");
	CHECK(peek(dev, EDU_LENGTH) == NUMBER);
	__asm__ volatile("movq %0, (%1)" : : "x"(v), "r"(regs + EDU_DEST) : "memory");
	CHECK(peek(dev, EDU_DEST) == NUMBER);
	if (!__builtin_cpu_supports("avx2"))
		SKIP("this processor has no AVX2");
	__asm__ volatile("vmovdqu (%0), %%ymm9\n\tvmovdqu %%ymm9, (%1)\n\tvzeroupper"
			 :
			 : "r"(two), "r"(regs + EDU_ADDR)
			 : "memory", "xmm9");
	CHECK(peek(dev, EDU_ADDR) == NUMBER && peek(dev, EDU_DEST) == 42);
	CHECK(peek(dev, EDU_LENGTH) == 43 && peek(dev, EDU_BUFFER) == 44);
}

TEST(strings)
{
	int iommu, dev = bound_device(&iommu);
	volatile uint8_t *regs = map_registers(dev);
	uint64_t from[3] = { 1, 2, 3 }, count = 3;
	void *si = from, *di = (void *)(uintptr_t)(regs + EDU_ADDR);

	__asm__ volatile("rep movsq" : "+S"(si), "+D"(di), "+c"(count) : : "memory");
	CHECK(!count && si == from + 3 && di == (void *)(uintptr_t)(regs + EDU_ADDR + 24));
	CHECK(peek(dev, EDU_ADDR) == 1 && peek(dev, EDU_DEST) == 2 && peek(dev, EDU_LENGTH) == 3);
	count = 4;
	di = (void *)(uintptr_t)(regs + EDU_ADDR);
	__asm__ volatile("rep stosl" : "+D"(di), "+c"(count) : "a"(0x77777777) : "memory");
	CHECK(!count && peek(dev, EDU_DEST) == 0x7777777777777777);
	memcpy((void *)(uintptr_t)(regs + EDU_ADDR), from, sizeof(from));
	CHECK(peek(dev, EDU_LENGTH) == 3);
}

/* By its bytes: also where the processor does not have it. */
TEST(sixty_four_bytes_at_once)
{
	int iommu, dev = bound_device(&iommu);
	volatile uint8_t *regs = map_registers(dev);
	_Alignas(64) uint64_t from[8] = { 1, 2, 3, 4, 5, 6, 0, 0 };

	__asm__ volatile(".byte 0x66, 0x0f, 0x38, 0xf8, 0x06" /* movdir64b (%rsi), %rax */
			 :
			 : "S"(from), "a"(regs + EDU_ADDR)
			 : "memory");
	CHECK(peek(dev, EDU_ADDR) == 1 && peek(dev, EDU_OPERAND) == 5);
}

TEST(an_enqueued_command_says_that_it_was_taken)
{
	int iommu, dev = bound_device(&iommu);
	volatile uint8_t *regs = map_registers(dev);
	_Alignas(64) uint64_t from[8] = { 9 };
	uint8_t busy = 1;

	__asm__ volatile(".byte 0xf2, 0x0f, 0x38, 0xf8, 0x06\n\tsetz %0"
			 : "=q"(busy)
			 : "S"(from), "a"(regs + EDU_ADDR)
			 : "memory", "cc");
	CHECK(!busy && peek(dev, EDU_ADDR) == 9);
}

static __thread _Alignas(64) uint64_t threads_own[8] = { 21, 22, 23, 24, 25, 26 };

/* A source that a segment's base is added to. */
TEST(copies_from_a_threads_own_memory)
{
	int iommu, dev = bound_device(&iommu);
	volatile uint8_t *regs = map_registers(dev);
	uint64_t base, count = 3;
	void *si, *di = (void *)(uintptr_t)(regs + EDU_ADDR);

	__asm__ volatile("movq %%fs:0, %0" : "=r"(base));
	si = (void *)((uintptr_t)threads_own - base);
	__asm__ volatile(".byte 0x64, 0x66, 0x0f, 0x38, 0xf8, 0x06" /* movdir64b %fs:(%rsi), %rax */
			 :
			 : "S"(si), "a"(regs + EDU_ADDR)
			 : "memory");
	CHECK(peek(dev, EDU_ADDR) == 21 && peek(dev, EDU_OPERAND) == 25);
	threads_own[1] = 32;
	__asm__ volatile("rep movsq %%fs:(%%rsi), %%es:(%%rdi)"
			 : "+S"(si), "+D"(di), "+c"(count)
			 :
			 : "memory");
	CHECK(!count && peek(dev, EDU_DEST) == 32);
}

static sigjmp_buf back;
static siginfo_t seen;

static void jump_back(int signal, siginfo_t *info, void *context)
{
	(void)signal;
	(void)context;
	seen = *info;
	siglongjmp(back, 1);
}

TEST(an_instruction_that_is_not_known_is_the_programs_fault)
{
	struct sigaction action = { .sa_flags = SA_SIGINFO };
	int iommu, dev = bound_device(&iommu);
	volatile uint8_t *regs = map_registers(dev);
	char said[256] = "";
	int p[2], err = dup(2);

	action.sa_sigaction = jump_back;
	CHECK(!pipe(p) && dup2(p[1], 2) == 2);
	CHECK(!sigaction(SIGSEGV, &action, NULL));
	if (!sigsetjmp(back, 1)) {
		__asm__ volatile("fstpl (%0)" : : "r"(regs + EDU_ADDR) : "memory");
		_exit(1);
	}
	dup2(err, 2);
	CHECK(seen.si_addr == (void *)(uintptr_t)(regs + EDU_ADDR));
	CHECK(read(p[0], said, sizeof(said) - 1) > 0 && strstr(said, "unknown instruction dd"));
}

static void return_nowhere(int signal, siginfo_t *info, void *context)
{
	(void)signal;
	(void)info;
	((ucontext_t *)context)->uc_mcontext.gregs[REG_RIP] = INT64_C(1) << 60;
}

/* No instruction can be read where it faults. */
TEST(a_return_to_nowhere_is_the_programs_fault)
{
	struct sigaction action = { .sa_flags = SA_SIGINFO };
	int iommu, dev = bound_device(&iommu);

	(void)map_registers(dev);
	action.sa_sigaction = return_nowhere;
	CHECK(!sigaction(SIGUSR1, &action, NULL));
	action.sa_sigaction = jump_back;
	CHECK(!sigaction(SIGSEGV, &action, NULL));
	if (!sigsetjmp(back, 1)) {
		raise(SIGUSR1);
		_exit(1);
	}
	CHECK(seen.si_signo == SIGSEGV);
}

#endif

TEST(other_faults_go_to_the_programs_handler)
{
	struct sigaction action = { .sa_flags = SA_SIGINFO }, old;
	int iommu, dev = bound_device(&iommu);
	volatile uint8_t *regs;
	void *none = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	action.sa_sigaction = jump_back;
	CHECK(!sigaction(SIGSEGV, &action, NULL));
	regs = map_registers(dev);
	CHECK(!sigaction(SIGSEGV, NULL, &old) && old.sa_sigaction == jump_back);
	if (!sigsetjmp(back, 1)) {
		*(volatile int *)none = 1;
		_exit(1);
	}
	CHECK(seen.si_addr == none && seen.si_code == SEGV_ACCERR);
	*(volatile uint32_t *)(regs + EDU_SCRATCH) = 3;
	CHECK((uint32_t)peek(dev, EDU_SCRATCH) == 3);
	CHECK(signal(SIGSEGV, SIG_DFL) != SIG_DFL);
	if (!fork()) {
		*(volatile int *)none = 1;
		_exit(0);
	}
	CHECK(wait(&(int){ 0 }) > 0);
}

TEST(a_fault_without_a_handler_kills)
{
	void *none = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int iommu, dev = bound_device(&iommu);
	pid_t pid;

	(void)map_registers(dev);
	pid = fork();
	if (!pid) {
		*(volatile int *)none = 1;
		_exit(0);
	}
	CHECK(wait_for(pid) == 256 + SIGSEGV);
}

TEST(a_mapping_of_a_closed_descriptor_goes_on)
{
	int iommu, dev = bound_device(&iommu), again;
	volatile uint8_t *regs = map_registers(dev);

	close(dev);
	*(volatile uint32_t *)(regs + EDU_SCRATCH) = 0x55;
	CHECK(*(volatile uint32_t *)(regs + EDU_SCRATCH) == 0x55);
	/* As in a kernel, the mapping keeps the device open, and bound. */
	again = open_device();
	CHECK_ERRNO(EINVAL, bind_device(again, iommu) ? (errno = EINVAL, -1) : 0);
	CHECK(!munmap((void *)(uintptr_t)regs, 4096));
	CHECK(!bind_device(again, iommu));
}

TEST(memory_around_is_memory)
{
	int iommu, dev = bound_device(&iommu);
	struct vfio_region_info info = region(dev, VFIO_PCI_BAR2_REGION_INDEX);
	volatile uint64_t *p;

	p = mmap(NULL, info.size, PROT_READ | PROT_WRITE, MAP_SHARED, dev, (off_t)info.offset);
	CHECK(p != MAP_FAILED);
	p[1] = NUMBER;
	CHECK(p[1] == NUMBER);
}

TEST(what_is_mapped_over_registers_is_memory)
{
	int iommu, dev = bound_device(&iommu);
	volatile uint8_t *regs = map_registers(dev);

	CHECK(mmap((void *)(uintptr_t)regs, 4096, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == regs);
	*(volatile uint32_t *)(regs + EDU_SCRATCH) = 77;
	CHECK((uint32_t)peek(dev, EDU_SCRATCH) != 77);
}

TEST(moved_registers_are_where_they_are)
{
	int iommu, dev = bound_device(&iommu);
	volatile uint8_t *regs = map_registers(dev), *moved;
	void *room = mmap(NULL, 8192, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	moved = mremap((void *)(uintptr_t)regs, 4096, 4096, MREMAP_MAYMOVE | MREMAP_FIXED, room);
	CHECK(moved == room);
	*(volatile uint32_t *)(moved + EDU_SCRATCH) = 88;
	CHECK((uint32_t)peek(dev, EDU_SCRATCH) == 88);
}

TEST(protection_is_the_programs_to_say)
{
	struct sigaction action = { .sa_flags = SA_SIGINFO };
	int iommu, dev = bound_device(&iommu);
	volatile uint8_t *regs = map_registers(dev);
	void *page = (void *)(uintptr_t)regs;

	action.sa_sigaction = jump_back;
	CHECK(!sigaction(SIGSEGV, &action, NULL));
	CHECK(!mprotect(page, 4096, PROT_READ));
	if (!sigsetjmp(back, 1)) {
		*(volatile uint32_t *)(regs + EDU_SCRATCH) = 1;
		_exit(1);
	}
	CHECK(!mprotect(page, 4096, PROT_READ | PROT_WRITE));
	*(volatile uint32_t *)(regs + EDU_SCRATCH) = 0x99;
	CHECK((uint32_t)peek(dev, EDU_SCRATCH) == 0x99);
}

/* What can be written can be read, on all processors that there are. */
TEST(registers_for_writing_alone)
{
	int iommu, dev = bound_device(&iommu);
	struct vfio_region_info info = region(dev, VFIO_PCI_BAR0_REGION_INDEX);
	volatile uint32_t *p;

	p = mmap(NULL, 4096, PROT_WRITE, MAP_SHARED, dev, (off_t)info.offset);
	CHECK(p != MAP_FAILED);
	p[EDU_SCRATCH / 4] = 0x77;
	CHECK(p[EDU_SCRATCH / 4] == 0x77);
	CHECK(!mprotect((void *)(uintptr_t)p, 4096, PROT_NONE));
	CHECK(!mprotect((void *)(uintptr_t)p, 4096, PROT_WRITE));
	CHECK(p[EDU_SCRATCH / 4] == 0x77);
	p[EDU_SCRATCH / 4] |= 0x700;
	CHECK(p[EDU_SCRATCH / 4] == 0x777);
}

TEST(mappings_changed_by_the_numbers_of_calls)
{
	int iommu, dev = bound_device(&iommu), again;
	volatile uint8_t *regs = map_registers(dev);
	void *room = mmap(NULL, 8192, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	CHECK(!syscall(SYS_mprotect, regs, 4096, PROT_READ));
	CHECK(!syscall(SYS_mprotect, regs, 4096, PROT_READ | PROT_WRITE));
	*(volatile uint32_t *)(regs + EDU_SCRATCH) = 0x31;
	CHECK((uint32_t)peek(dev, EDU_SCRATCH) == 0x31);
	regs = (void *)syscall(SYS_mremap, regs, 4096, 4096, MREMAP_MAYMOVE | MREMAP_FIXED, room);
	CHECK(regs == room);
	*(volatile uint32_t *)(regs + EDU_SCRATCH) = 0x32;
	CHECK((uint32_t)peek(dev, EDU_SCRATCH) == 0x32);
	close(dev);
	CHECK(!syscall(SYS_munmap, regs, 4096));
	again = open_device();
	CHECK(!bind_device(again, iommu));
}

static void ignore_signal(int signal)
{
	(void)signal;
}

/* It has our memory, and actions of its own. */
TEST(a_vfork_child_changes_no_action_of_its_parent)
{
	int iommu, dev = bound_device(&iommu), status;
	volatile uint8_t *regs = map_registers(dev);
	pid_t pid;

	CHECK(signal(SIGSEGV, ignore_signal) == SIG_DFL);
	pid = vfork();
	if (!pid)
		_exit(signal(SIGSEGV, SIG_DFL) != ignore_signal);
	CHECK(waitpid(pid, &status, 0) == pid && !status);
	CHECK(signal(SIGSEGV, SIG_DFL) == ignore_signal);
	*(volatile uint32_t *)(regs + EDU_SCRATCH) = 4;
	CHECK((uint32_t)peek(dev, EDU_SCRATCH) == 4);
}

static int shared_dev;

static void *store_often(void *arg)
{
	volatile uint32_t *reg = arg;
	sigset_t all;
	int i;

	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, NULL);
	for (i = 1; i <= 200; i++)
		*reg = (uint32_t)i;
	return NULL;
}

TEST(threads_with_all_signals_blocked)
{
	int iommu, i;
	pthread_t threads[4];
	volatile uint8_t *regs;

	shared_dev = bound_device(&iommu);
	regs = map_registers(shared_dev);
	for (i = 0; i < 4; i++)
		CHECK(!pthread_create(&threads[i], NULL, store_often,
				      (void *)(uintptr_t)(regs + EDU_SCRATCH)));
	for (i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	CHECK((uint32_t)peek(shared_dev, EDU_SCRATCH) == 200);
}

static void *map_and_store(void *arg)
{
	volatile uint8_t *regs;
	int i;

	(void)arg;
	for (i = 1; i <= 400; i++) {
		regs = map_registers(shared_dev);
		*(volatile uint32_t *)(regs + EDU_SCRATCH) = (uint32_t)i;
		CHECK(!munmap((void *)(uintptr_t)regs, 4096));
	}
	return NULL;
}

/* The address that one gives back is what another one gets. */
TEST(threads_that_map_and_unmap)
{
	pthread_t threads[8];
	int iommu, i;

	shared_dev = bound_device(&iommu);
	for (i = 0; i < 8; i++)
		CHECK(!pthread_create(&threads[i], NULL, map_and_store, NULL));
	for (i = 0; i < 8; i++)
		pthread_join(threads[i], NULL);
}

static volatile uint32_t *alarm_reg;
static volatile int alarms;

static void on_alarm(int signal)
{
	(void)signal;
	*alarm_reg = (uint32_t)++alarms;
}

TEST(a_store_in_a_handler_in_the_middle_of_a_call)
{
	struct itimerval often = { { 0, 5000 }, { 0, 5000 } }, never = { 0 };
	int iommu, dev = bound_device(&iommu);
	volatile uint8_t *regs = map_registers(dev);
	struct sigaction action = { .sa_handler = on_alarm, .sa_flags = SA_RESTART };

	alarm_reg = (volatile uint32_t *)(regs + EDU_SCRATCH);
	CHECK(!sigaction(SIGALRM, &action, NULL));
	CHECK(!setitimer(ITIMER_REAL, &often, NULL));
	while (alarms < 20)
		*(volatile uint32_t *)(regs + EDU_ADDR) = (uint32_t)peek(dev, EDU_DEST) + 1;
	CHECK(!setitimer(ITIMER_REAL, &never, NULL));
	CHECK((uint32_t)peek(dev, EDU_SCRATCH) == (uint32_t)alarms);
}

TEST(a_child_inherits_the_mapping)
{
	int iommu, dev = bound_device(&iommu);
	volatile uint8_t *regs = map_registers(dev);
	pid_t pid = fork();

	if (!pid) {
		close(dev);
		*(volatile uint32_t *)(regs + EDU_SCRATCH) = 0x1234;
		_exit(*(volatile uint32_t *)(regs + EDU_SCRATCH) != 0x1234);
	}
	CHECK(!wait_for(pid));
	CHECK((uint32_t)peek(dev, EDU_SCRATCH) == 0x1234);
}

TEST(resource0_is_the_same_bar)
{
	int fd = open_path(SYSFS "/resource0");
	volatile uint32_t *p;

	/* Without its driver a function is off until it is enabled. */
	write_text(DRIVER "/unbind", ADDRESS);
	write_text(SYSFS "/enable", "1");
	CHECK(mmap(NULL, EDU_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) == MAP_FAILED);
	p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	CHECK(p != MAP_FAILED && p[0] == EDU_ID_VALUE);
	p[EDU_SCRATCH / 4] = 0x4321;
	CHECK(p[EDU_SCRATCH / 4] == 0x4321);
	write_text(SYSFS "/enable", "0");
	write_text(DRIVER "/bind", ADDRESS);
}

int main(int argc, char **argv)
{
	return door_main(argc, argv);
}
