#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes the seeds of the fuzzers: small programs that get far.

usage: corpus.py [DIRECTORY]

The default is the folder "corpus" beside this file, which is committed. For
ioctl_fuzz a program is a list of steps. A request is ("NAME", {member: value}); values are
written with the selectors that ioctl_fuzz.c reads, literally (RAW) unless they
fit the short form of their kind. Fields are in the order of commands.h. The
programs of pt_fuzz, dma_fuzz and pci_fuzz are spelt out in bytes.
"""
import os
import re
import sys

RAW = 0xF0
FIRST_STEP = 0xC0
BASE = 0x1000000
KIB = 1024
MIB = 1024 * KIB

# Pages of the arena's pool with contents: arena.h.
ZEROES, HWPT, INVALIDATE, VINVALIDATE, VIOMMU, RANGES, ONES, RESPONSES, FREE = range(9)

TYPES = [0, 0xDEAD, 0xDEADBEEF, 0xBEEFBEEF, 0xDADBEEF, 0xFEEDBEEF, 1, 2, 3, 4]

STEPS = [
    "device", "bind", "attach", "access", "pin", "rw", "read_write", "close_fd",
    "mmap", "fail", "show", "poke", "reopen", "raw", "truncate", "lose",
]

# Descriptors: what the arena has, and the n-th that a request gave.
FILE, BIG, FILE_RO, NULL, PIPE = 1, 3, 4, 5, 6


def given(n):
    return 7 + 16 * n


# Flags of MAP: fixed, readable, writable.
FIXED, W, R = 1, 2, 4
FRW = FIXED | W | R


def load_commands():
    """The requests in order, each with its fields as (member, kind, bytes)."""
    commands = []
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "commands.h")
    with open(path, encoding="utf-8") as lines:
        for line in lines:
            start = re.match(r"(?:COMMAND|TEST)\((\w+)", line)
            field = re.match(r"FIELD\([^,]*, ([\w.]+), (\w+)\)", line)
            if start:
                commands.append((start.group(1), []))
            elif field:
                commands[-1][1].append((field.group(1), field.group(2)))
    return commands


def raw(value, size):
    return bytes([RAW]) + (value & (256**size - 1)).to_bytes(size, "little")


def encode(kind, value):
    """The bytes that ioctl_fuzz.c reads as @value."""
    if kind == "ID":
        return bytes([value]) if value < 32 else raw(value, 4)
    if kind == "FLAGS":
        return bytes([value]) if value < RAW else raw(value, 4)
    if kind == "TYPE":
        return bytes([TYPES.index(value)])
    if kind == "COUNT":
        return bytes([value]) if value < 0x80 else raw(value, 8)
    if kind in ("IOVA", "LENGTH"):
        return raw(value, 8)
    if kind == "COUNT_PAGES":
        return raw(value, 3)
    if kind == "OFFSET":
        return bytes([value // KIB])
    # Pool pages, descriptors, the n-th PASID, the list of ranges.
    return bytes([value])


COMMANDS = load_commands()
NAMES = [name for name, _ in COMMANDS]


def request(name, values, how=0):
    out = bytes([NAMES.index(name), how])
    fields = COMMANDS[NAMES.index(name)][1]
    known = {member.split(".")[-1]: member for member, _ in fields}
    known.update({member: member for member, _ in fields})
    values = {known[key]: value for key, value in values.items()}
    for member, kind in fields:
        out += encode(kind, values.get(member, 0))
    return out


def step(name, op, *rest):
    return bytes([FIRST_STEP + STEPS.index(name), op]) + b"".join(rest)


def program(*steps):
    return b"".join(s if isinstance(s, bytes) else request(*s) for s in steps)


def map_user(ioas, iova, length, page=FREE, flags=FRW):
    return ("MAP", {"flags": flags, "ioas_id": ioas, "user_va": page, "length": length,
                    "iova": iova})


IOAS = ("IOAS_ALLOC", {})
# With IOAS 1: test device 2, device 3, HWPT 4. Then a nest parent: 5.
DOMAIN = ("MOCK_DOMAIN_FLAGS", {"id": 1, "dev_flags": 4})
PARENT = ("HWPT_ALLOC", {"flags": 1, "dev_id": 3, "pt_id": 1})


def nested(on, flags=0, fault=0):
    return ("HWPT_ALLOC", {"flags": flags, "dev_id": 3, "pt_id": on, "data_type": 0xDEAD,
                           "data_len": 8, "data_uptr": HWPT, "fault_id": fault})


def replace(pt):
    return ("MOCK_DOMAIN_REPLACE", {"id": 2, "pt_id": pt})


SEEDS = {
    "map": program(
        IOAS, map_user(1, BASE, 64 * KIB), DOMAIN, map_user(1, 0, MIB // 4, flags=R),
        map_user(1, BASE + MIB, 32 * KIB), IOAS,
        ("COPY", {"flags": FRW, "dst_ioas_id": 6, "src_ioas_id": 1, "length": 32 * KIB,
                  "dst_iova": BASE, "src_iova": BASE + 16 * KIB}),
        ("UNMAP", {"ioas_id": 1, "iova": BASE, "length": 64 * KIB}),
        ("UNMAP", {"ioas_id": 1, "iova": 0, "length": 2**64 - 1}), ("DESTROY", {"id": 2})),
    "ranges": program(
        IOAS, ("ADD_RESERVED", {"id": 1, "start": BASE, "length": MIB}),
        ("ALLOW_IOVAS", {"ioas_id": 1, "num_iovas": 3}),
        ("ALLOW_IOVAS", {"ioas_id": 1, "num_iovas": 3, "allowed_iovas": 0x80}),
        ("IOVA_RANGES", {"ioas_id": 1, "num_iovas": 8, "allowed_iovas": ZEROES}),
        map_user(1, 0, 64 * KIB, flags=R), step("show", 0)),
    "files": program(
        IOAS, DOMAIN,
        ("MAP_FILE", {"flags": FRW, "ioas_id": 1, "fd": FILE, "length": 32 * KIB, "iova": BASE}),
        ("MAP_FILE", {"flags": FRW, "ioas_id": 1, "fd": BIG, "length": 1024 * MIB,
                      "iova": BASE + 16 * MIB}),
        ("DMABUF_GET", {"length": 8 * KIB}),
        ("MAP_FILE", {"flags": FRW, "ioas_id": 1, "fd": given(0), "length": 8 * KIB,
                      "iova": BASE + MIB}),
        ("DMABUF_REVOKE", {"dmabuf_fd": given(0), "revoked": 1}), ("CHANGE_PROCESS", {}),
        step("truncate", 3), ("UNMAP", {"ioas_id": 1, "iova": 0, "length": 2**64 - 1})),
    "dirty": program(
        IOAS, DOMAIN, map_user(1, BASE, 64 * KIB),
        ("HWPT_ALLOC", {"flags": 2, "dev_id": 3, "pt_id": 1}),
        ("SET_DIRTY", {"flags": 1, "hwpt_id": 5}),
        ("DIRTY", {"id": 5, "iova": BASE, "length": 64 * KIB, "page_size": 4096, "uptr": ONES}),
        ("GET_DIRTY", {"hwpt_id": 5, "flags": 1, "iova": BASE, "length": 64 * KIB,
                       "page_size": 4096, "data": ZEROES}),
        ("GET_DIRTY", {"hwpt_id": 5, "iova": BASE, "length": 64 * KIB, "page_size": 2048,
                       "data": ZEROES}), ("SET_DIRTY", {"hwpt_id": 5})),
    "nested": program(
        IOAS, DOMAIN, map_user(1, BASE, 64 * KIB), PARENT, nested(5), replace(6),
        ("INVALIDATE", {"hwpt_id": 6, "data_uptr": INVALIDATE, "data_type": 0xDEADBEEF,
                        "entry_len": 8, "entry_num": 3}),
        ("MD_CHECK_IOTLB", {"id": 6}), ("HW_INFO", {"dev_id": 3, "data_len": 8}),
        replace(1), ("DESTROY", {"id": 6})),
    "faults": program(
        IOAS, DOMAIN, PARENT, ("FAULT_ALLOC", {}), nested(5, 4, 6), replace(7),
        ("TRIGGER_IOPF", {"dev_id": 3, "grpid": 1, "perm": 1, "addr": BASE}),
        ("TRIGGER_IOPF", {"dev_id": 3, "grpid": 2, "perm": 1, "addr": BASE}),
        step("read_write", 0, bytes([given(0), ZEROES, 40])),
        step("read_write", 2, bytes([given(0), RESPONSES, 8])), replace(1),
        step("close_fd", 0, bytes([given(0)])), ("DESTROY", {"id": 7}), ("DESTROY", {"id": 6})),
    "viommu": program(
        IOAS, DOMAIN, map_user(1, BASE, 64 * KIB), PARENT,
        ("VIOMMU_ALLOC", {"type": 0xDEADBEEF, "dev_id": 3, "hwpt_id": 5, "data_len": 24,
                          "data_uptr": VIOMMU}), step("mmap", 0),
        ("VDEVICE_ALLOC", {"viommu_id": 6, "dev_id": 3, "virt_id": 1}),
        ("VEVENTQ_ALLOC", {"viommu_id": 6, "type": 0xBEEFBEEF, "veventq_depth": 2}),
        nested(6), replace(9), ("TRIGGER_VEVENT", {"dev_id": 3}),
        ("TRIGGER_VEVENT", {"dev_id": 3}), ("TRIGGER_VEVENT", {"dev_id": 3}),
        step("read_write", 0, bytes([given(0), ZEROES, 64])),
        ("INVALIDATE", {"hwpt_id": 6, "data_uptr": VINVALIDATE + 0, "data_type": 0xDEADBEEF,
                        "entry_len": 12, "entry_num": 8}),
        ("HW_QUEUE_ALLOC", {"viommu_id": 6, "type": 0xDEADBEEF, "nesting_parent_iova": BASE,
                            "length": 4096}),
        ("UNMAP", {"ioas_id": 1, "iova": BASE, "length": 64 * KIB}), ("DESTROY", {"id": 2}),
        step("mmap", 0), ("DESTROY", {"id": 10})),
    "pasid": program(
        IOAS, DOMAIN, ("HWPT_ALLOC", {"flags": 8, "dev_id": 3, "pt_id": 1}),
        ("HWPT_ALLOC", {"flags": 8, "dev_id": 3, "pt_id": 1}), replace(5),
        ("PASID_ATTACH", {"id": 2, "pasid": 3, "pt_id": 5}),
        ("PASID_REPLACE", {"id": 2, "pasid": 3, "pt_id": 6}),
        ("PASID_CHECK_HWPT", {"id": 2, "pasid": 3, "hwpt_id": 5}),
        ("PASID_DETACH", {"id": 2, "pasid": 3}), ("DESTROY", {"id": 2})),
    "test_access": program(
        IOAS, map_user(1, BASE, 64 * KIB), ("CREATE_ACCESS", {"id": 1, "flags": 1}),
        ("ACCESS_PAGES", {"id": given(0), "iova": BASE, "length": 8 * KIB, "uptr": FREE}),
        ("ACCESS_PAGES", {"id": given(0), "iova": BASE + 4096, "length": 8 * KIB}),
        ("MD_CHECK_REFS", {"length": 4096, "uptr": FREE, "refs": 1}),
        ("ACCESS_RW", {"id": given(0), "iova": BASE + 100, "length": 5000, "uptr": ZEROES}),
        ("DESTROY_ACCESS_PAGES", {"id": given(0)}), IOAS,
        ("ACCESS_REPLACE_IOAS", {"id": given(0), "ioas_id": 3}),
        ("UNMAP", {"ioas_id": 1, "iova": BASE, "length": 64 * KIB}),
        step("close_fd", 0, bytes([given(0)])), ("DESTROY", {"id": 1})),
    "access": program(
        IOAS, map_user(1, BASE, 16 * KIB), map_user(1, BASE + 16 * KIB, 16 * KIB),
        step("access", 0x20, bytes([1])), step("access", 0, bytes([1])),
        step("pin", 0, raw(BASE + 8 * KIB, 8), raw(16 * KIB, 8)),
        step("rw", 8, raw(BASE, 8), b"\x00\x10"), step("fail", 1),
        step("pin", 0, raw(BASE, 8), raw(8 * KIB, 8)),
        ("UNMAP", {"ioas_id": 1, "iova": BASE, "length": 32 * KIB}), bytes([0, 0, 1]),
        step("access", 8, bytes([1])), step("access", 0x10, bytes([1])),
        step("access", 0x18, bytes([1]))),
    "devices": program(
        IOAS, map_user(1, BASE, 16 * KIB), step("device", 0x28), step("device", 0x29),
        step("device", 0x08, raw(BASE + MIB, 8), raw(4096, 8)), step("device", 0x06),
        step("bind", 0), step("bind", 1), step("bind", 2), step("attach", 0, bytes([0, 1])),
        step("attach", 1, bytes([0, 1])), step("attach", 2, bytes([0, 1])),
        ("GET_PA", {"ioas_id": 1, "iova": BASE, "length": 4096}), IOAS,
        step("attach", 0x40, bytes([0, 7])), step("attach", 0x80, bytes([0, 0])),
        step("bind", 0x81), step("reopen", 0), step("show", 0)),
    "vfio": program(
        IOAS, DOMAIN, ("VFIO_IOAS", {"op": 1, "ioas_id": 1}),
        step("raw", 0, bytes([0x66, 0x81])),
        step("raw", 4, bytes([0x66, 1])), ("VFIO_INFO", {}),
        ("VFIO_MAP", {"flags": 3, "vaddr": FREE, "iova": BASE, "size": 64 * KIB}),
        ("VFIO_UNMAP", {"iova": BASE + 16 * KIB, "size": 16 * KIB}),
        ("VFIO_UNMAP", {"flags": 2}), ("VFIO_IOAS", {"op": 2})),
    "options": program(
        ("OPTION", {"option_id": 0, "op": 0, "val64": 1}), IOAS,
        ("OPTION", {"option_id": 1, "op": 0, "object_id": 1}), map_user(1, BASE, 64 * KIB),
        DOMAIN, ("OPTION", {"option_id": 1, "op": 1, "object_id": 1}),
        ("SET_TEMP_MEMORY_LIMIT", {"limit": 65}), step("lose", 0), step("lose", 0x84),
        map_user(1, BASE + MIB, 64 * KIB)),
    "edges": program(
        IOAS, DOMAIN, request("MAP", {"flags": FRW, "ioas_id": 1, "user_va": 0x82,
                                      "length": 4096, "iova": BASE}, how=8),
        request("IOAS_ALLOC", {}, how=12), request("IOAS_ALLOC", {}, how=10) + b"\x04",
        request("IOAS_ALLOC", {}, how=0x60) + b"\x10",
        request("MAP", {"flags": FRW, "ioas_id": 1, "user_va": 0x8C, "length": 2**47,
                        "iova": 2**56}),
        ("HW_INFO", {"dev_id": 3, "data_len": 2**32 - 1})),
}


# pt_fuzz: format, levels, features with all leaf sizes; then steps with their ranges: the
# stretch, the first granule (2 bytes), how many; and what else the step takes.
MAP, UNMAP, SET_DIRTY, READ_DIRTY, SYNC, FAIL = 0, 2, 3, 4, 5, 6


def pt_range(stretch, first, count):
    return bytes([stretch, first & 255, first >> 8, count])


def pt_program(fmt, levels, features, *steps):
    return bytes([fmt, levels, features << 1]) + b"".join(bytes([step]) + rest for step, rest in steps)


PT_STEPS = [
    (MAP, pt_range(0, 0, 0x99) + b"\x7a\x01"), (MAP, pt_range(0, 512, 0x94) + b"\x7a\x01"),
    (MAP, pt_range(1, 1000, 0x06) + b"\x02\x02"), (MAP, pt_range(1, 1020, 0x0f) + b"\x77\x03"),
    (SET_DIRTY, pt_range(0, 3, 1)), (SET_DIRTY, pt_range(1, 1000, 4)),
    (READ_DIRTY, pt_range(0, 0, 0x82) + b"\x00"), (READ_DIRTY, pt_range(0, 0, 0x9a) + b"\x01"),
    (FAIL, b"\x01"), (MAP, pt_range(2, 100, 0x98) + b"\x02\x04"),
    (UNMAP, pt_range(0, 4, 1) + b"\x01"), (UNMAP, pt_range(1, 0, 0x9a) + b"\x00"),
    (SYNC, b""), (MAP, pt_range(0, 0, 0x9a) + b"\x02\x05"),
]

# Formats by their order in pt_fuzz.c, and PT_FEAT_* of Arm's tables.
(AMDV1, MOCK, VTDSS, X86_64, RISCV, RISCV_X4, S1_4K, S1_16K, S1_64K, S2_4K, S2_16K,
 S2_64K) = range(12)
UPPER, DIRTY = 1, 2

PT_SEEDS = {
    "amdv1-4": pt_program(AMDV1, 2, 0, *PT_STEPS),
    "amdv1-6": pt_program(AMDV1, 4, 0, *PT_STEPS),
    "mock-3": pt_program(MOCK, 1, 0, *PT_STEPS),
    "mock-5": pt_program(MOCK, 3, 0, *PT_STEPS),
    "vtdss-4": pt_program(VTDSS, 1, 0, *PT_STEPS),
    "x86-5": pt_program(X86_64, 1, 0, *PT_STEPS),
    "riscv-4": pt_program(RISCV, 1, 0, *PT_STEPS),
    "riscv-x4-3": pt_program(RISCV_X4, 0, 0, *PT_STEPS),
    "arm64-s1-4k": pt_program(S1_4K, 2, DIRTY, *PT_STEPS),
    "arm64-s1-16k-upper": pt_program(S1_16K, 1, DIRTY | UPPER, *PT_STEPS),
    "arm64-s1-64k": pt_program(S1_64K, 1, 0, *PT_STEPS),
    "arm64-s2-4k": pt_program(S2_4K, 1, DIRTY, *PT_STEPS),
    "arm64-s2-16k": pt_program(S2_16K, 1, DIRTY, *PT_STEPS),
    "arm64-s2-64k": pt_program(S2_64K, 1, DIRTY, *PT_STEPS),
}

# dma_fuzz: a model, then steps. The guest's pages are at guest physical 0x10000 on.
(ENTRY, NESTED, INVALIDATE_S1, READ, WRITE, ATOMIC, TRANSLATE, ATS, WALK, PORT, MAP_PAGE, ATTACH,
 TRACKING) = 0, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14
GUEST = 0x10000
RD, WR = 1, 2


def gpa(page):
    return GUEST + 4096 * page


def words(*values):
    return b"".join(value.to_bytes(8, "little") for value in values)


def entry(page, index, target, low, high=0):
    """An entry that leads to a page of the guest's."""
    return (bytes([ENTRY, page]) + index.to_bytes(2, "little") + bytes([target]) +
            low.to_bytes(2, "little") + bytes([high]))


def raw_entry(page, index, value):
    return bytes([ENTRY, page]) + index.to_bytes(2, "little") + raw(value, 8)


def iova(*indexes, offset=0):
    """By the indexes of four levels, the lowest first: 0, 1, 2, or 3 for 511."""
    return (bytes([0x40, sum(index << 2 * level for level, index in enumerate(indexes))]) +
            offset.to_bytes(2, "little"))


def physical(page, offset=0):
    return bytes([page]) + offset.to_bytes(2, "little")


def tables(table, page, read_only):
    """Four levels in pages 1 to 4, which map 5 to 7, what is read-only, and nothing."""
    out = entry(1, 0, 2, table) + entry(2, 0, 3, table) + entry(3, 0, 4, table)
    out += entry(4, 0, 5, page) + entry(4, 1, 6, page) + entry(4, 2, 12, page)
    out += entry(4, 511, 7, read_only) + entry(3, 1, 20, page) + entry(2, 1, 1, table)
    return out


def requests():
    out = bytes([READ]) + iova(0, offset=100) + b"\x00\x10\x00"
    out += bytes([WRITE]) + iova(0, offset=4000) + b"\x00\x04\x00\x55"
    out += bytes([ATOMIC]) + iova(1, offset=16) + bytes([0]) + raw(7, 8) + b"\x00"
    for index in range(4):
        out += bytes([TRANSLATE, RD]) + iova(index) + bytes([TRANSLATE, WR]) + iova(index)
        out += bytes([ATS, RD | WR]) + iova(index) + bytes([5]) + b"\x08\x00\x00"
        out += bytes([WALK, WR]) + iova(index, offset=8)
    out += bytes([TRANSLATE, RD]) + iova(0, 1) + bytes([TRANSLATE, RD]) + iova(0, 0, 1)
    return out


def dma_program(config, setup, nested, invalidate):
    """Translate, change what was translated, and lose the memory under it."""
    out = bytes([config]) + setup + bytes([TRACKING, 1]) + bytes([NESTED]) + nested + requests()
    out += entry(4, 0, 8, 0x443 if config >= 4 else 7) + invalidate + requests()
    out += bytes([TRACKING, 1, MAP_PAGE, 5, 0, MAP_PAGE, 3, 1]) + requests()
    out += bytes([MAP_PAGE, 4, 0, PORT, 1, TRANSLATE, RD]) + iova(0)
    out += bytes([PORT, 0, ATTACH, 1, READ]) + physical(13, 4000) + b"\x00\x02\x00"
    out += bytes([WRITE]) + physical(11, 4000) + b"\x00\x02\x00\x66"
    return out + bytes([ATTACH, 0, READ]) + physical(13) + b"\x08\x00\x00"


def amd_dte(gcr3, levels):
    return words(1 | 3 << 54 | (gcr3 >> 12 & 7) << 58,
                 (gcr3 >> 15 & 0xffff) << 16 | gcr3 >> 31 << 43, (levels - 4) << 54, 0)


X86 = tables(7, 7, 5)
ARM = tables(3, 0x443, 0x4c3)
CD = 16 | 1 << 30 | 1 << 31 | 5 << 32 | 1 << 41 | 1 << 45 | 1 << 46
CDS = b"".join(raw_entry(0, 8 * n, CD) + entry(0, 8 * n + 1, 1, 0) for n in (0, 1, 5))
FORGET_S1 = bytes([INVALIDATE_S1, 0]) + words(0, 2**64 - 1, 0)
FORGET_ARM = bytes([INVALIDATE_S1, 1]) + words(0x10, 0, 0x06 | 8 << 32, 0)

DMA_SEEDS = {
    "amd": dma_program(0, X86 + entry(0, 0, 1, 1) + entry(0, 1, 1, 1), amd_dte(gpa(0), 4), b""),
    "amd-5": dma_program(1, X86 + entry(0, 0, 9, 1) + entry(9, 0, 1, 7), amd_dte(gpa(0), 5), b""),
    "vtd": dma_program(2, X86, words(0, gpa(1), 48), FORGET_S1),
    "vtd-57": dma_program(3, X86 + entry(9, 0, 1, 7), words(0, gpa(9), 57), FORGET_S1),
    "smmuv3": dma_program(4, ARM + CDS, words(1 | 5 << 1 | gpa(0), 1 << 28), FORGET_ARM),
    "smmuv3-httu": dma_program(5, ARM + CDS, words(1 | 5 << 1 | gpa(0) | 3 << 59, 2), FORGET_ARM),
}


# Devices: the options are those of pci_fuzz.c, in its order; a step is its number there.
NVME, EDU, EDU_SMALL, IOAT, DSA, IGB = range(6)
BAR_WRITE, BAR_READ, PCI_MEMORY, REMAP, IRQ_MODE, PAUSE, PCI_RESET, MIGRATE, DMA_LOG = (
    0, 5, 8, 10, 11, 12, 13, 14, 15)
SIZES = [4, 8, 4, 8, 1, 2, 4, 64]


def ram(page, offset=0):
    return (16 + page) * 4096 + offset


def store(bar, offset, *values, size=4):
    return (bytes([BAR_WRITE, 0x40 | bar]) + offset.to_bytes(2, "little") +
            bytes([SIZES.index(size)]) + b"".join(raw(value, 8) for value in values))


def memory(page, offset, *dwords):
    out = bytes([PCI_MEMORY]) + (page * 4096 + offset).to_bytes(2, "little")
    out += bytes([len(dwords)])
    for index, value in enumerate(dwords):
        out += value.to_bytes(4, "little") if index & 1 else raw(value, 8)
    return out


def pause(us=200):
    return bytes([PAUSE, us])


def interrupts(mode, count):
    return bytes([IRQ_MODE, mode, count])


# NVMe: queues in pages 0 and 1, 3 and 4; data in 2 and 5 to 7.
def sqe(page, index, opcode, nsid=0, prp1=0, prp2=0, cdw10=0, cdw11=0, cdw12=0):
    return memory(page, 64 * index, opcode | index << 16, nsid, 0, 0, 0, 0, prp1, 0, prp2, 0,
                  cdw10, cdw11, cdw12, 0, 0, 0)


NVME_UP = (store(0, 0x24, 0xF000F) + store(0, 0x28, ram(0), size=8) +
           store(0, 0x30, ram(1), size=8) + interrupts(3, 4) + store(0, 0x14, 0x460001) + pause())
NVME_QUEUES = (sqe(0, 0, 6, prp1=ram(2), cdw10=1) + sqe(0, 1, 5, prp1=ram(3), cdw10=0xF0001,
                                                         cdw11=0x10003) +
               sqe(0, 2, 1, prp1=ram(4), cdw10=0xF0001, cdw11=0x10001) +
               sqe(0, 3, 12) + sqe(0, 4, 9, cdw10=7, cdw11=0x30003) + store(0, 0x1000, 5) + pause())
NVME_IO = (sqe(4, 0, 1, nsid=1, prp1=ram(5), prp2=ram(6), cdw10=8, cdw12=15) +
           sqe(4, 1, 2, nsid=1, prp1=ram(5, 512), prp2=ram(7), cdw10=8, cdw12=31) +
           memory(7, 0, ram(5), 0, ram(6), 0, ram(17), 0) + sqe(4, 2, 0, nsid=1) +
           sqe(4, 3, 8, nsid=1, cdw10=0, cdw12=7) + sqe(4, 4, 5, nsid=1, prp1=ram(5)) +
           sqe(4, 5, 9, nsid=1, prp1=ram(6), cdw11=4) + store(0, 0x1008, 6) + pause() +
           store(0, 0x100C, 3) + store(0, 0x1004, 2))

# The edu device: a command is 64 bytes.
READ_IN, WRITE_OUT, COPY, FILL, FETCH_ADD, SWAP, CAS, ATS_ASK, PAGE_ASK, GENERATE = range(1, 11)


def edu(op, address, length, buffer=0, operand=0, dest=0, expected=0, pasid=0, vector=0):
    return store(0, 0x40, address, dest, length, buffer, operand, expected, pasid,
                 vector | op << 32, size=64) + pause(50)


EDU_ALL = b"".join([
    edu(READ_IN, ram(0, 5), 5000), edu(WRITE_OUT, ram(4), 4096),
    edu(COPY, ram(0), 300, dest=ram(7)),
    edu(FILL | 1 << 11, ram(2), 10000, operand=7), edu(FETCH_ADD, ram(1), 8, operand=1),
    edu(SWAP, ram(1), 4), edu(CAS, ram(1), 8, expected=3), edu(ATS_ASK, ram(3), 0, operand=3),
    edu(READ_IN | 1 << 10, ram(3), 64), edu(READ_IN | 1 << 9, ram(21), 64),
    edu(PAGE_ASK, ram(22), 0), edu(READ_IN | 1 << 8, ram(0), 64, pasid=3),
    edu(FILL, ram(17), 8), edu(GENERATE, ram(0), 4096 * 8, expected=1)])


# I/OAT: a ring in page 0, completions to page 1.
def ioat_desc(index, control, src, dst, size):
    return memory(0, 64 * index, size, control, src, 0, dst, 0, ram(0, 64 * index + 64), 0)


IOAT_RUN = (interrupts(3, 1) + store(0, 0x98, ram(1), size=8) +
            ioat_desc(0, 9, ram(2), ram(4), 5000) + ioat_desc(1, 0x1000009, 0x55, ram(5), 300) +
            ioat_desc(2, 0x29, 0, 0, 0) +
            ioat_desc(3, 9, ram(21), ram(6), 64) + store(0, 0x90, ram(0), size=8) +
            store(0, 0x80, 1, size=2) + store(0, 0x86, 3, size=2) + pause() +
            store(0, 0x86, 4, size=2) + pause() + store(0, 0x84, 0x20, size=1) + pause())


# DSA: a dedicated queue, without and with a PASID; descriptors come by BAR 2.
def dsa_cmd(cmd, operand=0):
    return store(0, 0xA0, cmd << 20 | operand) + pause(50)


def dsa_up(mode):
    return (dsa_cmd(5) + store(0, 0x600, 16) + store(0, 0x608, 0x11 | mode) +
            store(0, 0x60C, 21 | 10 << 5) + store(0, 0x400, 1, size=8) +
            store(0, 0x420, 1, size=8) + interrupts(3, 9) + dsa_cmd(1) + dsa_cmd(6))


def dsa(op, src, dst, size, flags=0xC, record=1):
    return store(2, 64, op << 56 | flags << 32, ram(record), src, dst, size, 0, 0, 0,
                 size=64) + pause(50)


DSA_ALL = b"".join(dsa(op, ram(2), ram(5), 4096) for op in range(0x22) if op != 1)
DSA_BATCH = (memory(3, 0, 0, 3 << 24 | 0xC, ram(1, 64), 0, ram(2), 0, ram(6), 0, 100) +
             memory(3, 64, 0, 4 << 24 | 0xC, ram(1, 96), 0, 0x55, 0, ram(7), 0, 5000) +
             dsa(1, ram(3), 0, 2) + dsa(1, ram(21), 0, 2))


# 82576: rings in pages 0 and 1, loopback; a frame from page 2 to page 4, and one to nowhere.
def igb(*registers):
    return b"".join(store(0, offset, value) for offset, value in registers)


IGB_RUN = (interrupts(3, 4) +
           igb((0x20, 0x4140 | 1 << 21 | 1 << 26), (0x0, 0x1A41), (0x3800, ram(0)), (0x3804, 0),
               (0x3808, 256), (0x2800, ram(1)), (0x2804, 0), (0x2808, 256), (0x280C, 1 << 25),
               (0x3828, 1 << 25), (0x2828, 1 << 25), (0x100, 0x0400801A), (0x400, 0xA),
               (0x1514, 0x40000010), (0x152C, 1), (0x1530, 1), (0x1700, 0x80), (0x1524, 1)) +
           memory(1, 0, ram(4), 0, 0, 0, ram(21), 0, 0, 0) +
           memory(0, 0, ram(2), 0, 0x2B300000 | 100, 0, ram(3), 0, 0x2B300000 | 1500, 0) +
           igb((0x2818, 3), (0x3818, 1)) + pause() * 3 + igb((0x3818, 2)) + pause() * 3 +
           igb((0x1520, 1)))

PCI_SEEDS = {
    "igb": bytes([IGB]) + IGB_RUN + bytes([REMAP]) + IGB_RUN + bytes([PCI_RESET]),
    "nvme": bytes([NVME]) + NVME_UP + NVME_QUEUES + NVME_IO + bytes([PCI_RESET]),
    "nvme-lost": bytes([NVME]) + NVME_UP + NVME_QUEUES + bytes([REMAP]) + NVME_IO +
                 store(0, 0x14, 0x464001) + pause() + store(0, 0x14, 0),
    "edu": bytes([EDU, DMA_LOG, 0]) + raw(0, 8) + raw(2**40, 8) + EDU_ALL +
           bytes([MIGRATE, 0, REMAP]) + pause() + bytes([MIGRATE, 1]) + pause() +
           bytes([PCI_RESET]) + EDU_ALL,
    "edu-small": bytes([EDU_SMALL]) + interrupts(2, 1) + EDU_ALL + store(0, 0x1C, 1) +
                 store(0, 0x24, 5) + store(0, 0x2C, 0) + store(2, 0x10, 2**64 - 1, size=8),
    "ioat": bytes([IOAT]) + IOAT_RUN + bytes([REMAP]) + IOAT_RUN + bytes([PCI_RESET]),
    "dsa": bytes([DSA]) + dsa_up(0) + DSA_ALL + DSA_BATCH + dsa_cmd(3) + dsa_cmd(7) + dsa_cmd(2),
    "dsa-pasid": bytes([DSA]) + dsa_up(2 | 5 << 8 | 1 << 28) + DSA_BATCH + bytes([REMAP]) +
                 DSA_BATCH + dsa_cmd(12, 5) + dsa_cmd(4) + bytes([PCI_RESET]),
}


# legacy_fuzz: a byte that says what is open, then steps of a number and operands. With 1,
# slot 0 is a container of type1v2, 1 a group in it, 2 a function; IOVAs from 0x40 up are
# pages, and so are lengths.
(OPEN, CONTEXT, CLOSE, SET, GROUP, TYPE, DEVICE, BIND, MAP, UNMAP, INFO, DIRTY, FEATURE, STATE,
 STREAM, DMA, RESET, BAR, RAW_STEP) = (0, 3, 4, 5, 7, 8, 9, 11, 12, 14, 15, 16, 17, 18, 19, 20, 21,
                                       22, 23)
MAP_TWO = bytes([MAP, 0, 3, 0x50, 0x42, 0])

LEGACY_SEEDS = {
    "map": bytes([1]) + MAP_TWO + bytes([DMA, 2, 1, 0x50, 0x41, INFO, 0, 0x40, UNMAP, 0, 0, 0x50,
                                         0x42, 0, 8, 0]),
    "dirty": bytes([1]) + MAP_TWO + bytes([DIRTY, 0, 0, 0, 0, 0, 0, DIRTY, 0, 2, 0, 0x7F, 16, 1,
                                           UNMAP, 0, 1, 0x50, 0x42, 0, 8, 1]),
    "first": bytes([3]) + MAP_TWO + bytes([UNMAP, 0, 0, 0x51, 0x41, 0, 0, 0, UNMAP, 0, 2, 0, 0]),
    "bar": bytes([1, BAR, 2, MAP, 0, 0x83, 0x60, 0x44, DMA, 2, 1, 0x60, 0x40]),
    "orders": bytes([1, CLOSE, 1, CLOSE, 0, RESET, 2, OPEN, 1, 3, CLOSE, 2, OPEN, 1, 3]),
    "compat": bytes([0, CONTEXT, 0, OPEN, 1, 1, SET, 1, 0, DEVICE, 1, 0, 2]) + MAP_TWO +
              bytes([DMA, 2, 1, 0x50, 0x41, GROUP, 0, 1, 1, CLOSE, 0]),
    "two": bytes([1, DEVICE, 1, 1, 3, DEVICE, 1, 0, 4, OPEN, 2, 5, SET, 5, 0, DEVICE, 5, 3, 6]),
    "cdev": bytes([0, CONTEXT, 0, OPEN, 4, 1, BIND, 1, 0, OPEN, 2, 2, CLOSE, 1, OPEN, 2, 2]),
    "migrate": bytes([1, STATE, 2, 3, 3, DEVICE, 1, 1, 4, STATE, 4, 4, 5, STREAM, 3, 5, 0, STATE, 4,
                      2, 6, STATE, 2, 2, 6]),
    "bent": bytes([1, STATE, 2, 3, 3, DEVICE, 1, 1, 4, STATE, 4, 4, 5, STREAM, 3, 5, 1, 0, 0, 1, STATE,
                   4, 2, 6, RESET, 4, STATE, 4, 5, 6]),
}


# vfio_fuzz: slot 0 is a context, 1 and 2 are cdevs. A request is its place in the table of
# vfio_fuzz.c, a slot, and words by their selectors; the first one is its size.
V_SLOT, V_EVENT, V_IOAS, V_NONE, V_PAGE = 0x20, 0x40, 0x42, 0x43, 0x44


def v_req(number, slot, *words):
    return bytes([0, number, len(words) + 1, slot, 0]) + b"".join(
        bytes([word]) if isinstance(word, int) else word for word in words)


def v_bits(bit, low):
    return bytes([0x80 | bit, low])


def v_irqs(flags, index, start, count, *fds):
    return v_req(6, 1, v_bits(5, flags & 31) if flags & 32 else flags, index, start, count, *fds)


def v_get(feature, *words):
    return v_req(12, 1, v_bits(16, feature), *words)


def v_set(feature, *words):
    return v_req(12, 1, v_bits(17, feature), *words)


def v_write(size, region, at, *data):
    return bytes([9, size, 1, *data, region, at & 255, at >> 8])


V_BIND = v_req(0, 1, 0, V_SLOT, 0) + v_req(1, 1, 0, V_IOAS)
V_MASTER = v_write(1, 7, 4, 6, 0)
V_DMA = V_MASTER + bytes([14, 1, 13, V_PAGE, 0, 0, 0, 16, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 1])
V_FLR = v_write(1, 7, 0x68 + 8, 0, 0x80)

VFIO_SEEDS = {
    "device": V_BIND + V_DMA + v_req(3, 1, 0, 0, 0, 0, 0) + v_req(9, 1) + V_DMA +
              v_req(2, 1, 0, 0) + v_req(2, 1, 0, 0) + bytes([12, 0, 12, 1]),
    "pin": V_BIND + v_irqs(0x24, 0, 0, 1, V_EVENT) + v_write(2, 0, 0x24, 1, 0, 0, 0) +
           v_irqs(0x11, 0, 0, 1) + v_irqs(0x14, 0, 0, 1, V_EVENT) + v_irqs(0x9, 0, 0, 1) +
           v_write(1, 7, 4, 2, 4) + v_irqs(0x21, 0, 0, 0),
    "messages": V_BIND + V_MASTER + v_irqs(0x24, 2, 0, 1, V_NONE) +
                v_irqs(0x24, 2, 1, 2, V_EVENT, V_EVENT) + v_write(2, 0, 0x2C, 1, 0, 0, 0) +
                v_irqs(0x21, 2, 0, 3) + v_irqs(0x21, 2, 0, 0) + v_irqs(0x24, 1, 0, 2, V_EVENT, V_EVENT) +
                v_irqs(0x22, 1, 0, 2, 1) + v_irqs(0x24, 3, 0, 1, V_EVENT) + v_irqs(0x21, 3, 0, 1),
    "regions": V_BIND + b"".join(v_req(4, 1, 0, i, 0, 0, 0, 0, 0) for i in range(10)) +
               b"".join(bytes([8, 6, 1, i, 0, 0]) for i in range(9)) +
               bytes([10, 0, 0x10, 0, 1, 1, 2, 0, 0, 10, 0, 0x20, 0, 1, 1, 0, 0, 0]),
    "config": V_BIND + b"".join(v_write(5, 7, at, *([255] * 16)) for at in (0, 0x40, 0x80, 0x100)) +
              V_FLR + v_write(1, 7, 0x44, 3, 0) + v_write(1, 7, 0x44, 0, 0) + v_req(9, 1),
    "export": V_BIND + v_get(11, 2, 0, 0, 1, 0, 0, V_PAGE, 0) +
              v_req(28, 0, 7, V_IOAS, V_SLOT + 3, 0, 0, V_PAGE, 0, 0, V_PAGE, 0) +
              v_write(1, 7, 4, 0, 0) + v_write(1, 7, 4, 6, 0) + bytes([12, 1]),
    "power": V_BIND + v_set(3) + bytes([8, 2, 1, 0, 0, 0]) + v_set(5) + v_set(4, V_EVENT, 0) +
             bytes([8, 2, 1, 0, 0, 0]) + v_set(4, V_EVENT, 0) + bytes([12, 1]),
    "hot-reset": V_BIND + v_req(0, 2, 0, V_SLOT, 0) + v_req(10, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0) +
                 v_req(11, 1, 0, 0) + v_req(11, 1, 0, 1, V_SLOT + 2),
    "migrate": V_BIND + V_DMA + v_get(1, 0, 0) + v_set(2, 1, 0) + v_set(2, 3, 0) + v_get(9, 0, 0) +
               bytes([8, 6, 3, 0, 0, 0]) + v_set(2, 1, 0) + v_set(2, 4, 0) + v_set(2, 2, 0),
    "virtual": bytes([11, 8, 9, 0, 3, ord("2"), 0, 0, 0]) + bytes([11, 2]) + V_BIND +
               v_req(0, 4, 1, V_SLOT, 0, 0x45, 0x46) + v_set(0, 0, 0, 0, 0) +
               v_req(0, 4, 1, V_SLOT, 0, 0x45, 0x46),
}


# uapi2020_fuzz: a byte for the IOMMU and the revision, then steps of a number and operands.
# Structures end in two bytes: how many of theirs change, how much of them can be read. A
# guest's tables stand in its pages 0 to 4; they map page 5, and 13, which is nobody's.
(U_BIND, U_UNBIND, U_UNBIND_TRUSTED, U_TABLE, U_NO_TABLE, U_PASIDS, U_INVALIDATE, U_RESPOND,
 U_DEVICE, U_HANDLER, U_INFO, U_ENTRY, U_FAIL, U_DMA, U_ASK) = (0, *range(2, 16))
U_VTD, U_FUTURE, U_VTD_DRAFT, U_SMMUV3, U_SMMUV3_DRAFT = range(5)
U_ALL = 2


def u_entry(page, index, target, low):
    return bytes([U_ENTRY, page, index & 255, index >> 8, target, low & 255, low >> 8, 0])


def u_word(page, index, value):
    return bytes([U_ENTRY, page, index, 0]) + raw(value, 8) + bytes(3)


def u_bind(pasid, who=U_ALL, how=U_BIND, flags=0, argsz=0, rest=(0, 0)):
    return bytes([how, who, argsz, 0, flags, pasid, 9, 0, 0, *rest])


def u_pasids(low, high, alloc=1):
    return bytes([U_PASIDS, low, high, alloc])


def u_forget(cache, granularity, flags=0, pasid=0, *addr):
    return bytes([U_INVALIDATE, 0, cache, granularity, flags, 0, pasid, *addr, 0, 0])


def u_table(config, bits=0, fmt=0, rest=(0, 0)):
    return bytes([U_TABLE, 0, config - 1, bits, 0, fmt, 0, *rest])


def u_dma(dev, port, page=0, write=0):
    # Pages 0 and 1 of what the tables map.
    return bytes([U_DMA, dev, port, page, 0, 0, write])


U_VTD_TABLES = (u_entry(0, 0, 1, 7) + u_entry(1, 0, 2, 7) + u_entry(2, 0, 3, 7) +
                u_entry(3, 0, 5, 7) + u_entry(3, 1, 13, 7))
U_ARM_TABLES = (u_word(0, 0, 0x6205C0000010) + u_entry(0, 1, 1, 0) + u_word(0, 3, 0xF404FF44) +
                u_entry(1, 0, 2, 3) + u_entry(2, 0, 3, 3) + u_entry(3, 0, 4, 3) +
                u_entry(4, 0, 5, 0x443) + u_entry(4, 1, 13, 0x443) + u_entry(4, 8, 10, 0x443))
U_DMAS = u_dma(0, 0) + u_dma(0, 1) + u_dma(1, 1, 0, 1) + u_dma(0, 1, 1) + u_dma(1, 2)
U_ASKS = (bytes([U_HANDLER, 0, 0, U_ASK, 0, 1, 0, 0, 0, 2, 1, U_ASK, 0, 1, 1, 0, 0, 3, 1]) +
          bytes([U_RESPOND, 0, 0, 0, 0, 0, U_RESPOND, 0, 0, 2, 0, 0, U_HANDLER, 0, 1]) +
          bytes([U_ASK, 0, 0, 0, 0, 0, 1, 1, U_ASK, 1, 1, 0, 0, 0, 1, 1]))
U_FORGETS = (u_forget(1, 0) + u_forget(3, 1, 1, 1) + u_forget(3, 2, 1, 1, 0, 12, 4, 0) +
             u_forget(1, 2, 4, 0, 3, 63, 255, 255) + u_forget(4, 1, 1, 1) + u_forget(1, 1, 2))
U_GONE = bytes([U_DEVICE, 0]) + U_DMAS + bytes([U_DEVICE, 1]) + U_DMAS + bytes(
    [U_DEVICE, 1, U_DEVICE, 0, U_INFO])

UAPI2020_SEEDS = {
    "vtd": bytes([U_VTD]) + U_VTD_TABLES + u_pasids(1, 7) + u_pasids(5, 7) + u_bind(1) + U_DMAS +
           U_ASKS + U_FORGETS + u_bind(1, how=U_UNBIND) + U_DMAS + u_bind(5, 1) + u_bind(5, 0) +
           U_DMAS + u_pasids(0, 7, 0) + U_DMAS + U_GONE,
    "vtd-one": bytes([U_VTD]) + U_VTD_TABLES + u_pasids(1, 7) + u_bind(1, 0) + U_DMAS +
               bytes([U_UNBIND_TRUSTED, 0, 1]) + u_bind(1, 1) + U_GONE + u_bind(1) + U_DMAS,
    "vtd-bent": bytes([U_VTD]) + u_pasids(1, 7) + u_bind(1, argsz=0x80 + 56) +
                u_bind(1, rest=(0, 0x80 + 71)) + u_bind(1, flags=2) + u_bind(1, rest=(1, 0, 4, 2)) +
                u_bind(1, argsz=0xFF) + u_table(1) + bytes([U_NO_TABLE]),
    "vtd-draft": bytes([U_VTD_DRAFT]) + u_pasids(1, 7) + u_bind(1, argsz=0x80 + 73) + u_bind(1) +
                 U_ASKS + U_GONE,
    "future": bytes([U_FUTURE]) + u_pasids(1, 7) + u_bind(1, argsz=0x80 + 88, flags=7) + U_ASKS +
              u_bind(1, how=U_UNBIND) + u_bind(1, argsz=0x80 + 72, flags=3) + U_ASKS + U_GONE,
    "smmuv3": bytes([U_SMMUV3]) + U_ARM_TABLES + u_table(1) + U_DMAS + u_dma(0, 0, 2) +
              u_dma(0, 0, 2, 1) + U_FORGETS + u_table(2) + U_DMAS + u_table(3) + U_DMAS +
              bytes([U_NO_TABLE]) + u_table(1, 4) + U_GONE + u_table(1, 2, 1) + U_DMAS,
    "smmuv3-lost": bytes([U_SMMUV3]) + U_ARM_TABLES + u_table(1) + U_DMAS + bytes([U_FAIL, 1]) +
                   u_forget(1, 0) + U_DMAS + u_forget(1, 0) + u_table(2) + U_GONE + u_table(1) +
                   U_DMAS + bytes([U_FAIL, 1, U_NO_TABLE]) + U_DMAS,
    "smmuv3-draft": bytes([U_SMMUV3_DRAFT]) + U_ARM_TABLES + u_table(1, rest=(0, 0x80 + 32)) +
                    u_bind(1) + U_ASKS + U_FORGETS + U_GONE,
}


# nesting_fuzz: a byte for the revision, who nests already and how they end, then steps of a
# number and operands: who, and what. A guest's table stands in pages 1 to 4 and maps page 5.
(N_OPEN, N_ALLOC, N_FREE, N_BIND, N_UNBIND, N_TABLE, N_ENTRY, N_DMA, N_RAW, N_INVALIDATE, N_MSI,
 N_INFO) = (0, 1, 3, 4, 6, 7, 8, 10, 12, 13, 14, 15)
N_DRAFT, N_FIRST, N_SECOND, N_ARM = 1, 2, 4, 8
N_TABLES = b"".join(bytes([N_ENTRY, page, 0, page + 1, 7, 0]) for page in range(1, 5))
N_CDS = (bytes([N_ENTRY, 0, 1, 1, 0, 0, N_ENTRY, 0, 0, 0, 16, 0]) +
         b"".join(bytes([N_ENTRY, page, 0, page + 1, 3, 4]) for page in range(1, 5)))


def n_bind(who, pasid, bent=(0,)):
    return bytes([N_BIND, who, pasid, 1, *bent])


def n_dma(who, pasid):
    return bytes([N_DMA, who, pasid, 0, 0, 0])


def n_forget(who, cache, granularity, flags, pasid, bent=(0,)):
    return bytes([N_INVALIDATE, who, cache, granularity, flags, pasid, 0, 0, 0, 0, 12, 1, 0, *bent])


N_USE = bytes([N_ALLOC, 0, 1, 7]) + n_bind(0, 1) + n_dma(0, 1) + n_forget(0, 1, 1, 1, 1)

NESTING_SEEDS = {
    "first": bytes([N_FIRST]) + N_TABLES + N_USE + n_dma(0, 0) + bytes([N_UNBIND, 0, 1, 0]) +
             n_dma(0, 1) + bytes([N_INFO, 0, 0, 9, 255, 0]),
    "shared": bytes([N_FIRST | N_SECOND]) + N_TABLES + N_USE + n_bind(1, 1) + n_dma(1, 1) +
              n_bind(1, 1) + bytes([N_FREE, 1, 0, 255, 0, 0, 0, 127]) + n_dma(0, 1) + n_dma(1, 1),
    "closed": bytes([N_FIRST | N_SECOND | 0x50]) + N_TABLES + N_USE + bytes([N_OPEN, 0, 3]) +
              bytes([N_ALLOC, 1, 1, 1, N_OPEN, 1, 0x82, N_ALLOC, 0, 1, 1]) + n_dma(0, 1),
    "quota": bytes([N_FIRST]) + bytes([N_ALLOC, 0, 0, 15]) * 13 + bytes([N_FREE, 0, 3, 5]) +
             bytes([N_ALLOC, 0, 4, 15]) * 4,
    "bent": bytes([N_FIRST]) + N_TABLES + N_USE + n_bind(0, 1, (0xc0, 0, 7)) +
            n_bind(0, 2, (0xc1, 8, 56, 4, 1)) + n_forget(0, 3, 2, 1, 1, (0xc0, 4, 9)) +
            bytes([N_RAW, 0, 1, 16, 80, 0, 0, 0, 2, 0, 0, 0, 56, 0, 0, 0, 1, 0, 0, 0]),
    "draft": bytes([N_DRAFT | N_FIRST]) + N_TABLES + N_USE + n_bind(0, 2, (0xc0, 0, 81)) +
             n_bind(0, 2, (0xc0, 0, 11)),
    "smmuv3": bytes([N_ARM]) + N_CDS + bytes([N_TABLE, 0, 0]) + n_dma(2, 0) +
              n_forget(2, 1, 2, 2, 0) + n_forget(2, 4, 1, 1, 0) + bytes([N_TABLE, 0x10, 0]) +
              n_dma(2, 0) + bytes([N_TABLE, 0x80, 0]) + n_dma(2, 0),
    "doorbells": bytes([N_ARM]) + bytes([N_MSI, 0x31, 8, 0, 9, 1, 0, N_MSI, 0x31, 8, 0, 9, 1, 0]) +
                 bytes([N_MSI, 0x31, 8, 0, 9, 2, 0, N_MSI, 0x32, 8, 0, 9, 1, 0, N_MSI, 3]),
    "types": bytes([N_FIRST]) + bytes([N_OPEN, 0, 0x40, N_RAW, 0, 0, 16, N_OPEN, 0, 0]) + N_USE +
             bytes([N_OPEN, 1, 0x40]) + n_dma(1, 0) + bytes([N_RAW, 1, 1, 8, 8]),
}


def write(directory, seeds):
    os.makedirs(directory, exist_ok=True)
    for name, seed in seeds.items():
        with open(os.path.join(directory, name), "wb") as out:
            out.write(seed)


def main():
    if len(sys.argv) > 2:
        sys.exit("usage: corpus.py [DIRECTORY]")
    here = os.path.dirname(os.path.abspath(__file__))
    directory = sys.argv[1] if len(sys.argv) == 2 else os.path.join(here, "corpus")
    write(os.path.join(directory, "ioctl_fuzz"), SEEDS)
    write(os.path.join(directory, "pt_fuzz"), PT_SEEDS)
    write(os.path.join(directory, "dma_fuzz"), DMA_SEEDS)
    write(os.path.join(directory, "vfio_fuzz"), VFIO_SEEDS)
    write(os.path.join(directory, "legacy_fuzz"), LEGACY_SEEDS)
    write(os.path.join(directory, "pci_fuzz"), PCI_SEEDS)
    write(os.path.join(directory, "uapi2020_fuzz"), UAPI2020_SEEDS)
    write(os.path.join(directory, "nesting_fuzz"), NESTING_SEEDS)


if __name__ == "__main__":
    main()
