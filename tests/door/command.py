#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The softiommu command and its server, as users see them.

SOFTIOMMU names the command and DOOR_CLIENT the program of client.c. Prints TAP.
"""

import os
import random
import re
import shutil
import signal
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import time

sys.dont_write_bytecode = True
from rig import (ALLOC, CLIENT, OPEN, SOFTIOMMU, TMP, Server, Skip, elf, equal,  # noqa: E402
                 main, one_line, program, run, softiommu, test)


#
# softiommu run: what passes through
#

@test
def run_passes_exit_status():
    for status in (0, 1, 7, 255):
        for show in ([], ["--show"]):
            equal(status, softiommu("run", *show, "--", "sh", "-c",
                                    f"exit {status}").returncode)


@test
def run_passes_death_by_signal():
    for sig in (signal.SIGTERM, signal.SIGKILL, signal.SIGUSR1):
        for show in ([], ["--show"]):
            equal(-sig, softiommu("run", *show, "--", "sh", "-c",
                                  f"kill -{int(sig)} $$").returncode)


@test
def run_passes_input_and_output():
    data = "".join(random.choices("abc\n", k=100000))
    for show in ([], ["--show"]):
        equal(data, softiommu("run", *show, "--", "cat", input=data).stdout)
    result = softiommu("run", "--", "sh", "-c", "echo out; echo err >&2")
    equal(("out\n", "err\n"), (result.stdout, result.stderr))


@test
def run_passes_signals():
    script = "trap 'echo usr1' USR1; trap 'echo term; exit 3' TERM; echo ready; " \
             "while :; do sleep 0.01; done"
    for show in ([], ["--show"]):
        proc = subprocess.Popen([SOFTIOMMU, "run", *show, "--", "sh", "-c", script],
                                stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        equal("ready\n", proc.stdout.readline())
        proc.send_signal(signal.SIGUSR1)
        equal("usr1\n", proc.stdout.readline())
        proc.send_signal(signal.SIGTERM)
        equal("term\n", proc.stdout.readline())
        equal(3, proc.wait(timeout=10))


@test
def run_stops_and_continues_with_its_program():
    proc = subprocess.Popen([SOFTIOMMU, "run", "--show", "--", "sh", "-c", "echo $$; sleep 0.5"],
                            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    child = int(proc.stdout.readline())
    os.kill(child, signal.SIGSTOP)
    assert os.WIFSTOPPED(os.waitpid(proc.pid, os.WUNTRACED)[1])
    os.kill(proc.pid, signal.SIGCONT)
    equal(0, proc.wait(timeout=10))


@test
def run_gives_the_program_no_children_and_no_descriptors():
    result = softiommu("run", "--", sys.executable, "-c", "import os\n"
                       "print(sorted(os.listdir('/proc/self/fd'))[:-1])\n"
                       "try: os.waitpid(-1, os.WNOHANG)\n"
                       "except ChildProcessError: print('none')\n")
    equal("['0', '1', '2']\nnone\n", result.stdout)


@test
def run_keeps_an_existing_preload():
    env = {**os.environ, "LD_PRELOAD": "libm.so.6"}
    out = softiommu("run", "--", "sh", "-c", "echo $LD_PRELOAD", env=env).stdout
    assert re.fullmatch(r"\S+/libsoftiommu-preload\.so:libm\.so\.6\n", out), out


@test
def run_leaves_nothing_behind():
    env = {**os.environ, "TMPDIR": tempfile.mkdtemp(dir=TMP)}
    env.pop("XDG_RUNTIME_DIR", None)
    equal(0, softiommu("run", "--iommu", "mock", "--", CLIENT, "once", env=env).returncode)
    time.sleep(0.3)
    equal([], os.listdir(env["TMPDIR"]))


@test
def run_leaves_nothing_behind_if_the_server_is_killed():
    env = {**os.environ, "TMPDIR": tempfile.mkdtemp(dir=TMP)}
    env.pop("XDG_RUNTIME_DIR", None)
    script = ("import os, socket, struct\n"
              "s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)\n"
              "s.connect(os.environ['SOFTIOMMU_SOCKET'])\n"
              "os.listdir('/dev/vfio/devices')\n"
              "os.kill(struct.unpack('3i', s.getsockopt(socket.SOL_SOCKET, "
              "socket.SO_PEERCRED, 12))[0], 9)\n")
    equal(0, softiommu("run", "--device", "edu", "--", sys.executable, "-c", script,
                       env=env).returncode)
    end = time.monotonic() + 5
    while os.listdir(env["TMPDIR"]):
        assert time.monotonic() < end, os.listdir(env["TMPDIR"])
        time.sleep(0.01)


@test
def run_serves_what_the_program_leaves_running():
    script = f"{OPEN}\n{ALLOC}\nif os.fork(): os._exit(0)\n" \
             f"import time; time.sleep(0.3)\n{ALLOC}\nopen('{TMP}/late', 'w').close()"
    equal(0, softiommu("run", "--", sys.executable, "-c", script, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL, capture_output=False).returncode)
    for _ in range(100):
        if os.path.exists(f"{TMP}/late"):
            return
        time.sleep(0.02)
    raise AssertionError("the child could not call")


@test
def run_in_run():
    result = softiommu("run", "--", SOFTIOMMU, "run", "--iommu", "mock", "--", CLIENT, "once")
    equal("ready\n", result.stdout)


@test
def run_serves_scripts_with_and_without_interpreter_line():
    for first in ("#!/bin/sh\n", ""):
        path = program("script", first + "test -c /dev/iommu && echo device\n")
        equal("device\n", softiommu("run", "--", path).stdout)


@test
def run_serves_shell_tests_and_stat():
    out = softiommu("run", "--", "stat", "-c", "%F %a %U", "/dev/iommu").stdout
    equal("character special file 660 root\n", out)


@test
def show_option_prints_the_last_context():
    result = softiommu("run", "--iommu", "mock", "--show", "--", CLIENT, "once")
    equal("ready\n", result.stdout)
    for word in ("IOAS", "fault queue", "mock"):
        assert word in result.stderr, result.stderr


@test
def without_mock_the_test_interface_is_not_there():
    result = softiommu("run", "--", CLIENT, "once")
    assert "ENOTTY" in result.stdout, result.stdout


@test
def grant_gives_capabilities():
    if os.geteuid() == 0 and shutil.which("setpriv"):
        prefix = ["setpriv", "--bounding-set", "-sys_resource", "--inh-caps", "-sys_resource"]
    else:
        prefix = []
    script = f"{OPEN}\n" \
             "import struct; fcntl.ioctl(fd, 0x3b87, struct.pack('<IIHHIQ', 24, 0, 0, 0, 0, 1))"
    plain = run(*prefix, SOFTIOMMU, "run", "--", sys.executable, "-c", script)
    assert "PermissionError" in plain.stderr, plain.stderr
    granted = run(*prefix, SOFTIOMMU, "run", "--grant", "sys_resource", "--", sys.executable,
                  "-c", script)
    equal(0, granted.returncode)


# A function of group 0 in a container that nests, and what a bind of too many bytes gives.
NESTING = '''
import fcntl, os, struct
container, group = (os.open(path, os.O_RDWR) for path in ("/dev/vfio/vfio", "/dev/vfio/0"))
def call(fd, number, arg):
    try: return fcntl.ioctl(fd, number, arg)
    except OSError as e: return -e.errno
print(call(container, 0x3b65, 6))
call(group, 0x3b68, struct.pack("i", container))
print(call(container, 0x3b66, 6))
pasids = [call(container, 0x3b76, struct.pack("4I", 16, 1, 1, 100)) for _ in range(4)]
print([p if isinstance(p, int) and p < 0 else "taken" for p in pasids])
bind = struct.pack("6I5Q", 100, 0, 92, 1, 1, 48, 0, 0, 1, 0, 0) + bytes(52)
print(call(container, 0x3b77, bind))
'''


def nesting(*options):
    result = softiommu("run", "--iommu", "vtd", "--device", "edu", *options, "--",
                       sys.executable, "-c", NESTING)
    equal((0, ""), (result.returncode, result.stderr))
    return result.stdout.split("\n")[:-1]


@test
def the_api_of_2020_is_served_by_the_rules_that_were_asked_for():
    # Given bytes, fcntl returns these, and not the result.
    taken = ["taken"] * 4
    equal(["1", "0", str(taken)], nesting()[:3])
    equal(["1", "0", str(taken)], nesting("--iommu-2020", "merged", "--prq-timeout", "0")[:3])
    assert nesting()[3] != "-7"
    equal("-7", nesting("--iommu-2020", "draft")[3])
    equal(["0", "-19"], nesting("--iommu-2020", "off")[:2])
    equal(str(["taken", "taken", -28, -28]), nesting("--pasid-quota", "2")[2])


@test
def quota_bounds_a_context():
    script = f"{OPEN}\nn = 0\ntry:\n while n < 100000: {ALLOC}; n += 1\n" \
             "except MemoryError: pass\nexcept OSError as e: print(e.errno, n)"
    out = softiommu("run", "--quota", "64K", "--", sys.executable, "-c", script).stdout.split()
    equal("12", out[0])
    assert 10 < int(out[1]) < 10000, out


#
# What it says when something is wrong
#

@test
def missing_programs():
    one_line(softiommu("run", "--", "no-such-program"), 127, "no-such-program", "PATH")
    one_line(softiommu("run", "--", "./no-such-program"), 127, "./no-such-program")
    one_line(softiommu("run", "--", program("plain", "text", 0o644)), 126, "cannot be executed")
    one_line(softiommu("run", "--", TMP), 126, "directory")


@test
def programs_that_cannot_be_served():
    one_line(softiommu("run", "--", program("static", elf(2))), 126, "statically linked")
    one_line(softiommu("run", "--", program("narrow", elf(1))), 126, "32-bit")
    one_line(softiommu("run", "--", program("garbage", bytes(64))), 126, "neither")


@test
def set_user_id_programs():
    if os.geteuid():
        raise Skip("only root can make one that belongs to somebody else")
    path = os.path.join(TMP, "suid")
    shutil.copy("/bin/true", path)
    os.chown(path, 65534, -1)
    os.chmod(path, 0o4755)
    one_line(softiommu("run", "--", path), 126, "set-user-ID")


@test
def command_lines_that_make_no_sense():
    bad = [["frobnicate"], ["run"], ["run", "--"], ["run", "--iommu", "vtd9", "--", "true"],
           ["run", "--iommu", "vtd,frobs=1", "--", "true"], ["walk"], ["walk", "dev0"],
           ["walk", "--iommu", "vtd"], ["walk", "--iommu", "vtd9", "0x1000"],
           ["walk", "--iommu", "vtd", "address"], ["walk", "--iommu", "vtd", "-1"],
           ["walk", "--iommu", "vtd", "0x1000", "q"], ["walk", "--iommu", "vtd", "1", "r", "x"],
           ["walk", "--iommu", "amd", "--nested", "0x1000"], ["walk", "--nested", "0x1000"],
           ["walk", "--map", "0:4K", "0x1000"], ["walk", "--socket", "/x", "--iommu", "vtd", "1"],
           ["walk", "--iommu", "vtd", "--map", "0", "0"],
           ["walk", "--iommu", "vtd", "--map", "0:4K:rx", "0"],
           ["walk", "--iommu", "vtd", "--map", "1:4K", "0"],
           ["walk", "--iommu", "vtd", "--map", "0:0", "0"],
           ["walk", "--iommu", "vtd", "--map", "0:256T", "0"],
           ["walk", "--iommu", "vtd", "--map", "0:8K", "--map", "0x1000:4K", "0"],
           ["walk", "--iommu", "vtd", "--map", "0xfee00000:4K", "0"],
           ["walk", "--socket", "/x", "dev0", "page"], ["walk", "--socket", "/x", "dev0/x", "1"],
           ["walk", "--socket", "/x", "n" * 40, "1"], ["walk", "--bad"],
           ["run", "--quota", "12x", "--", "true"], ["run", "--quota", "-1", "--", "true"],
           ["run", "--iommu-2020", "new", "--", "true"],
           ["run", "--prq-timeout", "101", "--", "true"],
           ["run", "--prq-timeout", "-1", "--", "true"],
           ["run", "--prq-timeout", "1s", "--", "true"],
           ["run", "--pasid-quota", "0", "--", "true"],
           ["run", "--pasid-quota", "1048576", "--", "true"],
           ["run", "--iommu-2020", "off", "--pasid-quota", "5", "--", "true"],
           ["run", "--socket", "/x", "--iommu-2020", "draft", "true"],
           ["run", "--grant", "magic", "--", "true"], ["run", "--log", "loud", "--", "true"],
           ["run", "--no-such-option"], ["run", "--socket", "/x", "--iommu", "mock", "true"],
           ["run", "--socket", "/x", "--show", "true"], ["serve", "program"], ["show", "x"],
           ["version", "--bad"]]
    for args in bad:
        one_line(softiommu(*args), 2)
    env = {k: v for k, v in os.environ.items() if k != "SOFTIOMMU_SOCKET"}
    one_line(softiommu("show", env=env), 2, "--socket")
    one_line(softiommu("walk", "dev0", "0x1000", env=env), 2, "--socket", "--iommu")
    one_line(softiommu("run", "--iommu", "amd,frobs=1", "true"), 2, "frobs", "nested", "help")


@test
def servers_that_are_not_there():
    one_line(softiommu("run", "--socket", "/nowhere", "true"), 1, "/nowhere", "serve")
    one_line(softiommu("show", "--socket", "/nowhere"), 1, "/nowhere")
    one_line(softiommu("walk", "--socket", "/nowhere", "dev0", "0x1000"), 1, "/nowhere")
    one_line(softiommu("serve", "--socket", "/nowhere/socket"), 1, "/nowhere/socket")
    one_line(softiommu("serve", "--socket", "/tmp/" + "x" * 120), 1, "name too long")


@test
def help_teaches():
    for args in (["--help"], ["run", "--help"], ["serve", "--help"], ["show", "--help"],
                 ["walk", "--help"]):
        result = softiommu(*args)
        equal((0, ""), (result.returncode, result.stderr))
        assert "Examples:" in result.stdout and "softiommu " in result.stdout
        assert "Usage: softiommu " in result.stdout, result.stdout
    assert re.fullmatch(r"softiommu \d+\.\d+\.\d+\n", softiommu("version").stdout)
    equal(2, softiommu().returncode)


@test
def models_are_listed_with_their_options():
    for args in (["run", "--iommu", "help"], ["serve", "--iommu", "help"],
                 ["walk", "--iommu", "help"]):
        result = softiommu(*args)
        equal((0, ""), (result.returncode, result.stderr))
        for word in ("mock:", "vtd:", "smmuv3:", "amd:", "aw=", "nested="):
            assert word in result.stdout, result.stdout


#
# IOMMUs and devices
#

@test
def iommu_makes_a_unit_and_a_device():
    with Server("--iommu", "vtd,pasid=8", "--iommu", "mock", "--iommu", "amd") as server:
        shown = softiommu("show", "--socket", server.path).stdout
        for pattern in (r"with the mock IOMMU", r"IOMMU iommu0", r"IOMMU iommu1",
                        r"dev0, 00:02\.0 \(0x10\), .*PASIDs of 8 bits",
                        r"dev1, 00:03\.0 \(0x18\), .*PASIDs of"):
            assert re.search(pattern, shown), shown
        equal("ready\n", softiommu("run", "--socket", server.path, "--", CLIENT, "once").stdout)


def topology(text):
    return program("topology.ini", text, 0o644)


UNIT = "[unit u]\nmodel = amd\n"
DEVICE = UNIT + "[device d]\nunit = u\n"


@test
def topology_files_describe_units_and_devices():
    path = topology("# comment\n; comment\n[device a]\n  requester = 0000:41:1f.7\n"
                    "  unit = u1\n  group = 5\n  reserve = 0x1000-0x1fff\n  reserve=1M-2M\n"
                    "[unit u1]\nmodel=vtd\noptions = pasid=10\n"
                    "[device b]\nunit=u1\nrequester=0x10\ngroup=5\n"
                    "[device c]\nunit=u1\nrequester=1:2.3\npasid=10\nats=on\nstall=off\n")
    with Server("--topology", path, "--iommu", "amd") as server:
        shown = softiommu("show", "--socket", server.path).stdout
        for pattern in (r"IOMMU u1", r"a, 41:1f\.7 \(0x41ff\), group 5",
                        r"b, 00:02\.0 \(0x10\), group 5", r"c, 01:02\.3 .*PASIDs of 10 bits",
                        r"IOMMU iommu0", r"dev0"):
            assert re.search(pattern, shown), shown


@test
def topology_errors_name_the_line_and_what_to_do():
    for line, words, text in (
            (1, ("[unit NAME]",), "[bus u]\nmodel = vtd\n"),
            (1, ("name",), "[unit two words]\nmodel = vtd\n"),
            (1, ("name",), "[unit " + "u" * 40 + "]\nmodel = vtd\n"),
            (1, ("[unit NAME]",), "model = vtd\n"),
            (1, ("model=",), "[unit u]\noptions = aw=48\n"),
            (1, ("vtd9", "give"), "[unit u]\nmodel = vtd9\n"),
            (1, ("frobs", "help"), "[unit u]\nmodel = amd\noptions = frobs=1\n"),
            (3, ("model=", "options="), UNIT + "device = d\n"),
            (3, ("leave one out",), UNIT + "model = vtd\n"),
            (3, ("another name",), UNIT + UNIT),
            (3, ("NAME=VALUE",), UNIT + "nonsense\n"),
            (3, ("longer",), UNIT + "options = " + "x" * 300 + "\n"),
            (1, ("empty",), "[unit v]\n" + UNIT),
            (3, ("empty",), UNIT + "[device d]\n"),
            (3, ("unit=NAME",), UNIT + "[device d]\nrequester = 1\n"),
            (1, ("[unit u]",), "[device d]\nunit = u\n"),
            (5, ("requester=",), DEVICE + "speed = 9\n"),
            (5, ("00:02.0",), DEVICE + "requester = 00:20.0\n"),
            (5, ("00:02.0",), DEVICE + "requester = here\n"),
            (5, ("20",), DEVICE + "pasid = 21\n"),
            (5, ("number",), DEVICE + "group = red\n"),
            (5, ("own",), DEVICE + "group = 0\n"),
            (5, ("on or off",), DEVICE + "ats = yes\n"),
            (5, ("first and the last",), DEVICE + "reserve = 0x1000\n"),
            (5, ("first and the last",), DEVICE + "reserve = 2-1\n"),
            (5, ("requester 0", '"d"'), DEVICE + "[device e]\nunit = u\n"),
            (3, ("cannot have",), DEVICE + "page-requests = on\n"),
            (8, ("group 3",), DEVICE + "group = 3\n[unit v]\nmodel = vtd\n"
                                       "[device e]\nunit = v\ngroup = 3\n"),
    ):
        path = topology(text)
        result = softiommu("run", "--topology", path, "--", "true")
        one_line(result, 2, f"{path}:{line}: ", *words)
    one_line(softiommu("run", "--topology", "/nowhere", "--", "true"), 2, "/nowhere")
    one_line(softiommu("run", "--socket", "/x", "--topology", "/nowhere", "true"), 2, "serve")


#
# softiommu walk
#

def walk(*args):
    """Its output, which fits a terminal, after the expected exit status."""
    status, *args = args
    result = softiommu("walk", *args)
    equal((status, ""), (result.returncode, result.stderr))
    for line in result.stdout.splitlines():
        assert len(line) <= 100, line
    assert "\033" not in result.stdout
    return result.stdout


def pages(text, depth=False):
    """Output addresses of the pages in a drawing."""
    lines = [line for line in text.splitlines() if line.startswith("    |") == depth]
    return [int(m.group(1), 16) for m in (re.search(r"-> (0x[0-9a-f]+)$", line)
                                          for line in lines) if m]


def result_of(text):
    return int(re.search(r"^  => (0x[0-9a-f]+)$", text, re.M).group(1), 16)


# Names of what each model reads: configuration, and tables of one stage.
ONE_STAGE = {
    "vtd": ("Root Entry", "Context Entry", "PASID Table Entry"),
    "amd": ("DTE", "host PDE", "host PTE"),
    "smmuv3": ("STE",),
}


@test
def walk_draws_one_stage_of_each_model():
    for model, words in ONE_STAGE.items():
        text = walk(0, "--iommu", model, "0x40001234")
        assert text.startswith("dev0: read of 0x40001234\n    structure "), text
        for word in words + ("  stage ", " 4 KiB -> 0x"):
            assert word in text, (word, text)
        equal([result_of(text)], pages(text))
        equal(0x234, result_of(text) & 0xfff)
        text = walk(0, "--iommu", model, "--map", "0x40000000:1G", "0x52345678", "w")
        assert "1 GiB" in text and " rw" in text, text
        text = walk(0, "--iommu", model, "--map", "0x200000:2M:r", "0x212345")
        assert "2 MiB" in text and " r-" in text, text


NESTED = {
    "vtd,nest=on": ("FS-PML4E", "FS-PTE", "|   SS-PML4E"),
    "amd,nested=on": ("GCR3 entry", "PML4E", "PTE", "|   host PDE"),
    "smmuv3": ("CD", "|   "),
}


@test
def walk_draws_two_stages_of_each_model():
    for model, words in NESTED.items():
        text = walk(0, "--iommu", model, "--nested", "0x40001234", "w")
        for word in words + ("tables of the guest", "where the guest's address really is"):
            assert word in text, (word, text)
        # Stage 1 gives a guest's address, stage 2 makes of it where it is.
        guest, host = pages(text)
        assert guest != host and guest & 0xfff == host & 0xfff == 0x234, text
        equal(host, result_of(text))
        # Each of the guest's four tables takes a walk of stage 2.
        assert len(pages(text, depth=True)) >= 4, text
        text = walk(0, "--iommu", model, "--nested", "--map", "0x40000000:2M", "--map",
                    "0x80000000:8K:r", "0x40001234")
        assert re.search(r"rw[x-] 2 MiB -> 0x1........$", text, re.M), text


@test
def walk_draws_faults_in_words():
    for model, denied, missing in (("vtd", "0x85", "0x71"), ("amd", "0x2", "0x2"),
                                   ("smmuv3", "0x13", "0x10")):
        text = walk(1, "--iommu", model, "--map", "0x8000:4K:r", "0x8010", "w")
        assert re.search(rf"^  fault {denied}, \S.*: write of 0x8010 refused$", text, re.M), text
        text = walk(1, "--iommu", model, "--map", "0x8000:4K", "0x9000", "r")
        assert re.search(rf"^  fault {missing}, \S.*: read of 0x9000 refused$", text, re.M), text


@test
def walk_asks_a_server():
    with Server("--iommu", "vtd", "--iommu", "amd") as server:
        for args, title in ((["dev0", "0x1000"], "dev0: read of 0x1000"),
                            (["dev0/5", "4K", "w"], "dev0 with PASID 5: write of 0x1000"),
                            (["dev1", "0x1000", "rp"], "dev1: privileged read of 0x1000")):
            text = walk(1, "--socket", server.path, *args)
            assert text.startswith(title + "\n") and "\n  configuration\n" in text, text
            assert re.search(r"^  fault 0x\w+, ", text, re.M), text
        # It is no request of the device: no fault is recorded.
        assert "fault" not in softiommu("show", "--socket", server.path).stdout
        equal(text, softiommu("walk", "dev1", "0x1000", "rp", env=server.env).stdout)
        one_line(softiommu("walk", "--socket", server.path, "dev7", "0"), 2, "dev7", "show")
        one_line(softiommu("walk", "--socket", server.path, "dev0/0xfffff9", "0"), 2, "PASID")


@test
def servers_survive_garbage_for_walks():
    with Server("--iommu", "amd") as server:
        for fill in (0, 0xff, 0x41):
            with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as s:
                s.connect(server.path)
                s.send(struct.pack("<I", 13) + bytes([fill]) * 52)
                assert struct.unpack("<Iiq4Q", s.recv(64))[2] < 0
        walk(1, "--socket", server.path, "dev0", "0")


#
# One server, several programs
#

@test
def serve_prints_what_a_shell_needs():
    with Server("--iommu", "mock") as server:
        script = "\n".join(server.lines) + f"\n{CLIENT} once"
        equal("ready\n", run("sh", "-c", script).stdout)
        equal("ready\n", softiommu("run", "--socket", server.path, "--", CLIENT, "once").stdout)


@test
def programs_share_a_server():
    with Server("--iommu", "mock") as server:
        clients = [server.client("hold") for _ in range(3)]
        equal((3, 6, 3), server.counts()[:3])
        shown = softiommu("show", "--socket", server.path)
        equal(0, shown.returncode)
        equal(3, shown.stdout.count("fault queue"))
        assert shown.stdout == run(SOFTIOMMU, "show", env=server.env).stdout
        clients[0].kill()
        clients[0].wait()
        time.sleep(0.2)
        equal((2, 4, 2), server.counts()[:3])
        for client in clients[1:]:
            client.kill()
            client.wait()
        server.empty_within(1)


@test
def exec_keeps_the_context_for_a_program_that_knows_nothing_of_it():
    with Server("--iommu", "mock") as server:
        proc = subprocess.Popen([CLIENT, "exec", "sleep", "1"], env=server.env)
        time.sleep(0.3)
        equal((1, 0), server.counts()[:2])
        proc.kill()
        proc.wait()
        server.empty_within(1)


@test
def one_server_per_socket_and_stale_sockets_are_replaced():
    with Server() as server:
        one_line(softiommu("serve", "--socket", server.path), 2, "already")
        server.proc.kill()
        server.proc.wait()
        with Server(socket_path=server.path) as again:
            equal((0, 0, 0), again.counts()[:3])
    assert not os.path.exists(server.path)
    one_line(softiommu("serve", "--socket", program("file", "x")), 2, "remove it")


@test
def trees_of_killed_servers_are_replaced_and_others_directories_are_not():
    path = os.path.join(tempfile.mkdtemp(dir=TMP), "socket")
    with Server("--device", "edu", socket_path=path) as server:
        assert os.path.isdir(path + ".tree/dev/vfio")
        server.proc.kill()
        server.proc.wait()
        assert os.path.isdir(path + ".tree/dev/vfio")
        with Server(socket_path=path):
            assert not os.path.exists(path + ".tree")
    os.mkdir(path + ".tree")
    open(path + ".tree/precious", "w").close()
    result = softiommu("serve", "--socket", path, "--device", "edu")
    assert result.returncode and "exists" in result.stderr, result
    assert os.path.exists(path + ".tree/precious")


@test
def killed_clients_leave_nothing_and_nobody_notices():
    with Server("--iommu", "mock") as server:
        bystander = server.client("after-line", stdin=subprocess.PIPE)
        before = server.counts()
        for round_number in range(40):
            clients = [server.client("hammer") for _ in range(2)]
            time.sleep(random.uniform(0, 0.05))
            for client in clients:
                client.kill()
                client.wait()
            end = time.monotonic() + 1
            while server.counts() != before:
                assert time.monotonic() < end, (round_number, before, server.counts())
                time.sleep(0.01)
        out = bystander.communicate("\n", timeout=10)[0]
        assert out.startswith("ioctl fine\nread fine\nopen fine\n"), out
        server.empty_within(1)


@test
def server_killed_gives_eio_at_once():
    with Server("--iommu", "mock") as server:
        client = server.client("after-line", stdin=subprocess.PIPE)
        server.proc.kill()
        server.proc.wait()
        out = client.communicate("\n", timeout=5)[0]
        assert out.startswith("ioctl EIO\nread EIO\nopen EIO\n"), out
    proc = run(sys.executable, "-c", OPEN,
               env={**server.env, "SOFTIOMMU_SOCKET": "/nowhere/socket"})
    assert "Errno 5" in proc.stderr, proc.stderr


@test
def server_killed_in_the_middle_of_calls():
    for _ in range(5):
        with Server("--iommu", "mock") as server:
            clients = [server.client("hammer") for _ in range(2)]
            time.sleep(random.uniform(0.05, 0.2))
            server.proc.kill()
            server.proc.wait()
            for client in clients:
                assert "EIO" in client.communicate(timeout=5)[0]


@test
def server_ends_in_order_under_load():
    with Server("--iommu", "mock") as server:
        clients = [server.client("hammer") for _ in range(2)]
        time.sleep(0.2)
        server.proc.terminate()
        equal("", server.proc.communicate(timeout=20)[1])
        equal(0, server.proc.returncode)
        for client in clients:
            client.kill()
            client.communicate()


#
# Programs that are no clients
#

LOOK = """
import os, sys
print(sorted(os.listdir('/proc/self/fd'))[:-1], sys.argv[1:])
print(sorted((k, v) for k, v in os.environ.items()
             if k not in ('LD_PRELOAD', 'SOFTIOMMU_SOCKET', '_')))
print(os.path.exists('/dev/null'), os.stat('/dev/null').st_rdev)
r, w = os.pipe(); os.write(w, b'x'); print(os.read(r, 1), os.dup2(r, 77)); os.closerange(3, 90)
print(sorted(os.listdir('/proc/self/fd'))[:-1])
"""


@test
def others_see_no_difference():
    with Server() as server:
        plain = run(sys.executable, "-c", LOOK, "arg")
        preloaded = run(sys.executable, "-c", LOOK, "arg", env=server.env)
        equal((plain.stdout, plain.stderr), (preloaded.stdout, preloaded.stderr))
        equal(0, server.counts()[2])


@test
def others_start_as_fast():
    with Server() as server:
        plain, preloaded = [], []
        for _ in range(150):
            for times, env in ((plain, os.environ), (preloaded, server.env)):
                begun = time.perf_counter()
                subprocess.run(["/bin/true"], env=env, check=True)
                times.append(time.perf_counter() - begun)
        cost = (statistics.median(preloaded) - statistics.median(plain)) * 1e6
        print(f"# the preload adds {cost:.0f} us to the start of a program that takes "
              f"{statistics.median(plain) * 1e6:.0f} us")
        assert cost < 1000, cost


@test
def a_preload_without_a_server_changes_nothing():
    with Server() as server:
        env = {k: v for k, v in server.env.items() if k != "SOFTIOMMU_SOCKET"}
        plain = run(sys.executable, "-c", OPEN)
        preloaded = run(sys.executable, "-c", OPEN, env=env)
        equal((plain.returncode, plain.stderr), (preloaded.returncode, preloaded.stderr))


#
# Users
#

def as_nobody():
    if os.geteuid():
        raise Skip("needs root, to become somebody else")
    if not shutil.which("setpriv"):
        raise Skip("needs setpriv")
    nobody = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"]
    if run(*nobody, "test", "-x", SOFTIOMMU, "-a", "-x", CLIENT).returncode:
        raise Skip("an ordinary user cannot reach the build directory")
    return nobody


@test
def an_ordinary_user_runs_programs():
    nobody = as_nobody()
    result = run(*nobody, SOFTIOMMU, "run", "--iommu", "mock", "--", CLIENT, "once", cwd="/")
    equal(("ready\n", "", 0), (result.stdout, result.stderr, result.returncode))


@test
def shared_memory_outlives_its_process():
    result = softiommu("run", "--iommu", "mock", "--", CLIENT, "orphan")
    equal(("still here\n", ""), (result.stdout, result.stderr))


@test
def shared_memory_outlives_its_process_for_an_ordinary_user():
    nobody = as_nobody()
    result = run(*nobody, SOFTIOMMU, "run", "--iommu", "mock", "--", CLIENT, "orphan", cwd="/")
    equal(("still here\n", ""), (result.stdout, result.stderr))


@test
def another_users_server_is_closed_to_us():
    nobody = as_nobody()
    folder = tempfile.mkdtemp(dir="/tmp", prefix="door-")
    try:
        os.chown(folder, 65534, 65534)
        os.chmod(folder, 0o755)
        with Server("--log", "error", prefix=nobody, socket_path=f"{folder}/socket") as server:
            # Root can connect to anything; the server itself says no.
            result = run(sys.executable, "-c", OPEN, env=server.env)
            assert "Errno 5" in result.stderr, result.stderr
    finally:
        shutil.rmtree(folder, True)


@test
def root_serves_a_program_that_drops_its_rights():
    nobody = as_nobody()
    result = softiommu("run", "--iommu", "mock", "--", *nobody, CLIENT, "once")
    equal("ready\n", result.stdout)


@test
def yama_scope_1_lets_the_server_in():
    path = "/proc/sys/kernel/yama/ptrace_scope"
    if not os.path.exists(path):
        raise Skip("this kernel has no Yama")
    with open(path, encoding="ascii") as f:
        scope = int(f.read())
    if scope != 1:
        raise Skip(f"kernel.yama.ptrace_scope is {scope}, not 1")
    prefix = as_nobody() if os.geteuid() == 0 else []
    result = run(*prefix, SOFTIOMMU, "run", "--iommu", "mock", "--", CLIENT, "once", cwd="/")
    equal(("ready\n", ""), (result.stdout, result.stderr))


@test
def a_program_that_cannot_be_read_is_explained():
    prefix = as_nobody() if os.geteuid() == 0 else []
    result = run(*prefix, SOFTIOMMU, "run", "--", CLIENT, "undumpable", cwd="/")
    equal("open EPERM\n", result.stdout)
    one_line(result, 0, "may not reach the memory of process")


if __name__ == "__main__":
    sys.exit(main())
