// SPDX-License-Identifier: MIT
/*
 * VF tokens: a secret that those who drive a physical function and its virtual ones have
 * in common, since the one can harm the others.
 *
 * A virtual function is opened by who shows the token of its physical function. While
 * virtual functions are open, so is the physical one; otherwise what is shown becomes the
 * token. It outlives the openings, and nobody can read it back.
 */
#include <errno.h>
#include <string.h>

#include "vfio.h"

static bool has_token(const struct siommu_pci *pci)
{
	return pci->func->desc.total_vfs;
}

static bool is_token(const struct siommu_pci *pci, const u8 *token)
{
	return token && !memcmp(pci->vf_token, token, sizeof(pci->vf_token));
}

int vfio_token_check(struct siommu_pci *pci, const u8 *token)
{
	if (pci->physfn)
		return is_token(pci->physfn, token) ? 0 : -EACCES;
	if (!has_token(pci))
		return token ? -EINVAL : 0;
	if (pci->vf_users)
		return is_token(pci, token) ? 0 : -EACCES;
	if (token)
		memcpy(pci->vf_token, token, sizeof(pci->vf_token));
	return 0;
}

int vfio_token_set(struct siommu_pci *pci, const u8 token[16])
{
	if (!has_token(pci))
		return -ENOTTY;
	memcpy(pci->vf_token, token, sizeof(pci->vf_token));
	return 0;
}

static int hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

int vfio_token_parse(const char *text, u8 token[16])
{
	unsigned int i, digits = 0;
	u8 uuid[16] = { 0 };
	int value;

	for (i = 0; i < VFIO_TOKEN_TEXT; i++) {
		if (i == 8 || i == 13 || i == 18 || i == 23) {
			if (text[i] != '-')
				return -EINVAL;
			continue;
		}
		value = hex(text[i]);
		if (value < 0)
			return -EINVAL;
		uuid[digits / 2] = (u8)(uuid[digits / 2] << 4 | value);
		digits++;
	}
	memcpy(token, uuid, sizeof(uuid));
	return 0;
}
