# SPDX-License-Identifier: MIT
"""What the tests of the softiommu command share: running it, servers, TAP.

SOFTIOMMU names the command, and DOOR_CLIENT the program of client.c.
"""

import atexit
import os
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import time

SOFTIOMMU = os.path.abspath(os.environ["SOFTIOMMU"])
CLIENT = os.path.abspath(os.environ["DOOR_CLIENT"])
TMP = tempfile.mkdtemp(prefix="door-")
atexit.register(shutil.rmtree, TMP, True)
TESTS = []

# A command built with a sanitizer also runs below itself.
os.environ["ASAN_OPTIONS"] = os.environ.get("ASAN_OPTIONS", "") + ":verify_asan_link_order=0"

# A context through Python: programs that nobody built for this.
OPEN = "import os, fcntl; fd = os.open('/dev/iommu', os.O_RDWR | os.O_CLOEXEC)"
ALLOC = "fcntl.ioctl(fd, 0x3b81, bytearray(b'\\x0c' + bytes(11)))"


class Skip(Exception):
    pass


def test(fn):
    TESTS.append(fn)
    return fn


def run(*args, **kwargs):
    kwargs.setdefault("timeout", 60)
    kwargs.setdefault("capture_output", True)
    kwargs.setdefault("text", True)
    return subprocess.run(args, **kwargs)


def softiommu(*args, **kwargs):
    return run(SOFTIOMMU, *args, **kwargs)


def equal(want, got):
    assert want == got, f"is {got!r}, should be {want!r}"


def one_line(result, status, *words):
    """It failed with this status, and said why in one line."""
    equal(status, result.returncode)
    lines = result.stderr.splitlines()
    assert len(lines) == 1 and lines[0].startswith("softiommu: "), result.stderr
    for word in words:
        assert word in lines[0], lines[0]


def program(name, content, mode=0o755):
    path = os.path.join(TMP, name)
    with open(path, "wb") as f:
        f.write(content if isinstance(content, bytes) else content.encode())
    os.chmod(path, mode)
    return path


def elf(elf_class):
    """The beginning of a program that no dynamic linker starts."""
    head = b"\x7fELF" + bytes([elf_class, 1, 1]) + bytes(9)
    head += struct.pack("<HHIQQQIHHHHHH", 2, 62, 1, 0x400000, 64, 0, 0, 64, 56, 1, 64, 0, 0)
    return head + struct.pack("<IIQQQQQQ", 1, 5, 0, 0x400000, 0, 120, 120, 4096)


class Server:
    """softiommu serve, in its own directory."""

    def __init__(self, *args, prefix=(), socket_path=None):
        self.path = socket_path or os.path.join(tempfile.mkdtemp(dir=TMP), "socket")
        self.proc = subprocess.Popen([*prefix, SOFTIOMMU, "serve", "--socket", self.path, *args],
                                     stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.lines = [self.proc.stdout.readline().strip() for _ in range(3)]
        exports = dict(line.split(None, 1)[1].split("=", 1) for line in self.lines[1:])
        self.env = {**os.environ, **exports}
        self.clients = []

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        for client in self.clients:
            client.kill()
        self.proc.terminate()
        self.proc.communicate(timeout=20)

    def counts(self):
        """Contexts, other files, processes, bytes."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as s:
            s.connect(self.path)
            s.send(struct.pack("<Ii6Q", 11, 0, 0, 0, 0, 0, 0, 0))
            return struct.unpack("<Iiq4Q", s.recv(64))[3:]

    def empty_within(self, seconds):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            counts = self.counts()
            if counts[:3] == (0, 0, 0):
                return
            time.sleep(0.01)
        raise AssertionError(f"after {seconds} s there are still {counts}")

    def client(self, *args, **kwargs):
        kwargs.setdefault("stdout", subprocess.PIPE)
        proc = subprocess.Popen([CLIENT, *args], env=self.env, text=True, **kwargs)
        self.clients.append(proc)
        equal("ready\n", proc.stdout.readline())
        return proc


def main():
    wanted = [t for t in TESTS if len(sys.argv) < 2 or sys.argv[1] in t.__name__]
    print(f"1..{len(wanted)}", flush=True)
    failed = 0
    for number, fn in enumerate(wanted, 1):
        try:
            fn()
            print(f"ok {number} - {fn.__name__}", flush=True)
        except Skip as why:
            print(f"ok {number} - {fn.__name__} # SKIP {why}", flush=True)
        except Exception as error:  # pylint: disable=broad-except
            failed += 1
            for line in f"{type(error).__name__}: {error}".splitlines():
                print(f"# {line}")
            print(f"not ok {number} - {fn.__name__}", flush=True)
    return 1 if failed else 0

