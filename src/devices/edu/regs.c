// SPDX-License-Identifier: MIT
/*
 * Registers. Ours are edu->regs; the page of BAR 0 that drivers map shows what they are,
 * word by word. A driver's write comes here, and is what the table below says.
 */
#include <string.h>

#include "edu.h"

u32 edu_get32(const struct edu *edu, unsigned int offset)
{
	return edu->regs[offset / 4];
}

u64 edu_get64(const struct edu *edu, unsigned int offset)
{
	return edu_get32(edu, offset) | (u64)edu_get32(edu, offset + 4) << 32;
}

static void publish(struct edu *edu, unsigned int offset)
{
	u8 *page = edu->func.desc.bars[EDU_REG_BAR].memory;

	__atomic_store_n((u32 *)(void *)(page + offset), edu->regs[offset / 4], __ATOMIC_RELEASE);
}

void edu_set32(struct edu *edu, unsigned int offset, u32 value)
{
	edu->regs[offset / 4] = value;
	publish(edu, offset);
}

/* In one store, so that nobody sees halves of two values. */
void edu_set64(struct edu *edu, unsigned int offset, u64 value)
{
	u8 *page = edu->func.desc.bars[EDU_REG_BAR].memory;

	edu->regs[offset / 4] = (u32)value;
	edu->regs[offset / 4 + 1] = (u32)(value >> 32);
	__atomic_store_n((u64 *)(void *)(page + offset), value, __ATOMIC_RELEASE);
}

void edu_clear_regs(struct edu *edu)
{
	unsigned int i;

	for (i = 0; i < EDU_REG_END; i += 4)
		edu_set32(edu, i, 0);
	edu_set32(edu, EDU_ID, EDU_ID_VALUE);
	edu_set32(edu, EDU_CAPS, edu->caps);
	edu_set64(edu, EDU_MEMORY, edu->memory_bytes);
}

/* While the device is stopped, the pin stays as it is. */
void edu_update_pin(struct edu *edu)
{
	if (!edu->stopped)
		pci_irq_level(&edu->func, edu_get32(edu, EDU_INT_STATUS));
}

static bool is_atomic(unsigned int op)
{
	return op == EDU_FETCH_ADD || op == EDU_SWAP || op == EDU_CAS;
}

static u32 check_range(u64 start, u64 length)
{
	u64 last;

	return length && range_last(start, length, &last) ? EDU_BAD_LENGTH : EDU_OK;
}

static u32 check_buffer(const struct edu *edu, const struct edu_job *job)
{
	u64 end;

	if (__builtin_add_overflow(job->buffer, job->length, &end) || end > edu->memory_bytes)
		return EDU_BAD_BUFFER;
	return EDU_OK;
}

static u32 check_generate(const struct edu_job *job)
{
	u64 stride = job->operand ? job->operand : PAGE_BYTES;

	if (job->length < 8 || stride < 8 || stride & 7 || job->addr & 7 || job->expected > 1000000)
		return EDU_BAD_LENGTH;
	return EDU_OK;
}

u32 edu_check_job(const struct edu *edu, const struct edu_job *job)
{
	const unsigned int op = job->command & EDU_CMD_OP;
	u32 rc;

	if (job->command & ~EDU_CMD_ALL || op >= EDU_OPS)
		return EDU_BAD_COMMAND;
	if ((job->command & EDU_CMD_PASID && !(edu->caps & EDU_CAPS_PASID)) ||
	    (job->command & EDU_CMD_ATS && !(edu->caps & EDU_CAPS_ATS)) ||
	    (job->command & EDU_CMD_PRI && !(edu->caps & EDU_CAPS_PRI)))
		return EDU_NOT_SUPPORTED;
	/* An untranslated request is needed for what changes memory atomically. */
	if (job->command & EDU_CMD_ATS && op != EDU_READ && op != EDU_WRITE)
		return EDU_BAD_COMMAND;
	if (op == EDU_TRANSLATE)
		return edu->caps & EDU_CAPS_ATS ? EDU_OK : EDU_NOT_SUPPORTED;
	if (op == EDU_PAGE_REQUEST)
		return edu->caps & EDU_CAPS_PRI ? EDU_OK : EDU_NOT_SUPPORTED;
	if (is_atomic(op))
		return (job->length != 4 && job->length != 8) || job->addr & (job->length - 1)
			       ? EDU_BAD_LENGTH
			       : EDU_OK;
	if (op == EDU_NOP)
		return EDU_OK;
	rc = check_range(job->addr, job->length);
	if (!rc && op == EDU_COPY)
		rc = check_range(job->dest, job->length);
	if (!rc && (op == EDU_READ || op == EDU_WRITE))
		rc = check_buffer(edu, job);
	if (!rc && op == EDU_GENERATE)
		rc = check_generate(job);
	return rc;
}

/* A command that comes while one runs is not done, and counted. */
static void command(struct edu *edu, u32 value)
{
	const u32 pasid = edu_get32(edu, EDU_PASID) & EDU_PASID_MASK;

	if (edu_get32(edu, EDU_STATUS) & EDU_STATUS_BUSY) {
		edu_set32(edu, EDU_DROPPED, edu_get32(edu, EDU_DROPPED) + 1);
		return;
	}
	edu->job = (struct edu_job){
		.command = value,
		.pasid = value & EDU_CMD_PASID ? pasid : EDU_NO_PASID,
		.vector = edu_get32(edu, EDU_VECTOR),
		.addr = edu_get64(edu, EDU_ADDR),
		.dest = edu_get64(edu, EDU_DEST),
		.length = edu_get64(edu, EDU_LENGTH),
		.buffer = edu_get64(edu, EDU_BUFFER),
		.operand = edu_get64(edu, EDU_OPERAND),
		.expected = edu_get64(edu, EDU_EXPECTED),
	};
	edu->cancelled = false;
	edu_set32(edu, EDU_COMMAND, value);
	edu_set64(edu, EDU_PROGRESS, 0);
	edu_set32(edu, EDU_STATUS, EDU_STATUS_BUSY);
	pthread_cond_broadcast(&edu->wake);
}

static void set_int_status(struct edu *edu, u32 value)
{
	edu_set32(edu, EDU_INT_STATUS, value);
	edu_update_pin(edu);
}

static void write32(struct edu *edu, unsigned int offset, u32 value)
{
	switch (offset) {
	case EDU_CONTROL:
		if (value & EDU_CONTROL_STOP) {
			edu->cancelled = true;
			pthread_cond_broadcast(&edu->wake);
		}
		break;
	case EDU_INT_RAISE:
		set_int_status(edu, edu_get32(edu, EDU_INT_STATUS) | value);
		break;
	case EDU_INT_ACK:
		set_int_status(edu, edu_get32(edu, EDU_INT_STATUS) & ~value);
		break;
	case EDU_MESSAGE:
		if (!edu->stopped)
			pci_irq_message(&edu->func, value);
		break;
	case EDU_PASID:
		edu_set32(edu, offset, value & EDU_PASID_MASK);
		break;
	case EDU_COMMAND:
		command(edu, value);
		break;
	case EDU_SCRATCH:
	case EDU_ADDR ... EDU_EXPECTED + 4:
	case EDU_VECTOR:
		edu_set32(edu, offset, value);
		break;
	default: /* what cannot be written */
		break;
	}
}

void edu_write(struct pci_func *func, unsigned int bar, u64 offset, const void *buf,
	       unsigned int bytes)
{
	struct edu *edu = to_edu(func);
	u32 words[16];
	unsigned int i;

	/* Registers have 4 bytes, or 8; a smaller write does nothing. */
	if (bar != EDU_REG_BAR || offset >= EDU_REG_END || bytes < 4)
		return;
	memcpy(words, buf, bytes);
	pthread_mutex_lock(&edu->lock);
	for (i = 0; i < bytes / 4; i++)
		write32(edu, (unsigned int)offset + i * 4, words[i]);
	pthread_mutex_unlock(&edu->lock);
}
