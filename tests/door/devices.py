#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""VFIO devices as users see them: --device, topology files, show, and programs that nobody
wrote for softiommu.

Besides what rig.py wants, NVME_DRIVER names the example. Prints TAP.
"""

import os
import pty
import re
import select
import shutil
import signal
import subprocess
import sys
import time

sys.dont_write_bytecode = True
from rig import (SOFTIOMMU, TMP, Server, Skip, equal, main, one_line, program,  # noqa: E402
                 run, softiommu, test)

NVME_DRIVER = os.path.abspath(os.environ["NVME_DRIVER"])
MODELS = ("nvme", "ioat", "dsa", "igb", "edu")
BLOCK = 512
BLOCKS = 2048


def disk():
    """A disk of a megabyte: each block begins with its number, in words."""
    content = b"".join(b"this is block %d" % i + bytes(BLOCK - len(b"this is block %d" % i))
                       for i in range(BLOCKS))
    return program("disk.img", content, 0o644)


def shell(script, *options, **kwargs):
    """What a shell prints that has these devices."""
    result = softiommu("run", *options, "--", "sh", "-c", script, **kwargs)
    equal((0, ""), (result.returncode, result.stderr))
    return result.stdout


def addresses(*options):
    return shell("cd /sys/bus/pci/devices && ls", *options).split()


#
# --device
#

@test
def models_are_listed_with_their_options():
    for command in ("run", "serve"):
        result = softiommu(command, "--device", "help")
        equal((0, ""), (result.returncode, result.stderr))
        for word in MODELS + ("file=", "address=", "iommu=", "group=", "pasid=", "ats="):
            assert word in result.stdout, result.stdout


@test
def programs_find_devices():
    for model in MODELS:
        out = shell("cd /sys/bus/pci/devices/0000:00:02.0 && basename $(readlink driver) && "
                    "ls vfio-dev && ls /dev/vfio/devices && basename $(readlink iommu_group) && "
                    "ls /dev/vfio", "--device", model).split()
        equal(["vfio-pci", "vfio0", "vfio0", "0", "0", "devices", "vfio"], out)


# VFIO_DEVICE_BIND_IOMMUFD on a descriptor that somebody else has opened.
BIND = """import fcntl, struct
bind = bytearray(struct.pack("IIiIQ", 24, 0, 9, 0, 0))
fcntl.ioctl(8, 0x3b76, bind)
print(struct.unpack("IIiIQ", bind)[3])"""


@test
def a_device_can_be_given_by_its_descriptor():
    out = shell("exec 8<>/dev/vfio/devices/vfio0 9<>/dev/iommu; exec python3 -c '%s'" % BIND,
                "--device", "edu")
    equal("1", out.strip())


@test
def addresses_count_up_unless_they_are_given():
    equal(["0000:00:02.0", "0000:00:03.0"], addresses("--device", "edu", "--device", "ioat"))
    equal(["0000:00:02.0", "0001:41:1f.7"],
          addresses("--device", "edu:address=0001:41:1f.7", "--device", "edu"))
    equal(["0000:00:02.0", "0000:00:03.0"],
          addresses("--device", "edu,address=00:02.0", "--device", "edu"))


@test
def devices_are_behind_the_first_iommu_or_the_one_they_name():
    with Server("--iommu", "amd", "--iommu", "vtd", "--device", "edu", "--device",
                "edu:iommu=iommu1,pasid=5") as server:
        shown = softiommu("show", "--socket", server.path).stdout
    first, second = shown.index("IOMMU iommu0"), shown.index("IOMMU iommu1")
    assert first < shown.index("- edu0, 00:02.0") < second < shown.index("- edu1, 00:03.0"), shown
    assert "PASIDs of 5 bits" in shown[second:], shown
    assert "dev0" not in shown, shown


@test
def a_device_alone_gets_an_iommu():
    for options in ([], ["--iommu", "mock"]):
        with Server("--device", "edu", *options) as server:
            shown = softiommu("show", "--socket", server.path).stdout
        assert "IOMMU iommu0, VT-d" in shown and "edu0" in shown, shown


@test
def devices_can_share_a_group():
    out = shell("cd /sys/bus/pci/devices && for d in *; do readlink $d/iommu_group; done",
                "--device", "edu:group=9", "--device", "ioat:group=9", "--device", "edu").split()
    groups = [os.path.basename(link) for link in out]
    assert groups[0] == groups[1] != groups[2], groups


@test
def files_are_looked_for_where_the_command_is():
    disk()
    for options in (["--device", "nvme:file=disk.img"], ["--device", "nvme,file=./disk.img"]):
        equal(["0000:00:02.0"],
              softiommu("run", *options, "--", "ls", "/sys/bus/pci/devices",
                        cwd=TMP).stdout.split())
    one_line(softiommu("run", "--device", "nvme:file=disk.img", "--", "true", cwd="/"), 2,
             "disk.img")


@test
def topology_files_describe_functions():
    disk()
    path = program("machine.ini", "[unit u]\nmodel = smmuv3\n[device d]\nunit = u\nmodel = nvme\n"
                   "options = file=disk.img\naddress = 0000:01:00.0\n[device e]\nunit = u\n"
                   "model = edu\npasid = 4\nats = off\n[device f]\nunit = u\nmodel = ioat\n", 0o644)
    equal(["0000:00:02.0", "0000:00:03.0", "0000:01:00.0"],
          softiommu("run", "--topology", path, "--", "ls", "/sys/bus/pci/devices",
                    cwd="/").stdout.split())
    equal(["0000:00:02.0", "0000:00:03.0", "0000:00:04.0", "0000:01:00.0"],
          addresses("--topology", path, "--device", "dsa"))


@test
def errors_say_what_to_do():
    for text, words in (
            ("floppy", ("floppy", "--device help")), ("", ("--device help",)),
            ("edu:frobs=1", ("frobs", "--device help")), ("edu:frobs", ("NAME=VALUE",)),
            ("edu:iommu=vtd", ("iommu0",)), ("edu:address=here", ("0000:00:02.0",)),
            ("edu:address=00:20.0", ("0000:00:02.0",)), ("edu:pasid=21", ("20",)),
            ("edu:pasid=wide", ("number",)), ("edu:group=red", ("number",)),
            ("edu:group=0", ("own",)), ("edu:ats=yes", ("on or off",)),
            ("edu:ats=off,page-requests=on", ("ask for less",)),
            ("edu:reserve=1", ("first and the last",)), ("nvme:file=/nowhere", ("/nowhere",)),
    ):
        one_line(softiommu("run", "--device", text, "--", "true"), 2, "--device " + text, *words)
    one_line(softiommu("run", "--device", "edu:address=00:03.0", "--device",
                       "ioat:address=00:03.0", "true"), 2, "edu0", "address")
    one_line(softiommu("run", "--socket", "/x", "--device", "edu", "true"), 2, "serve")
    one_line(softiommu("run", "--iommu", "vtd", "--iommu", "amd", "--device",
                       "edu:group=1", "--device", "edu:group=1,iommu=iommu1", "true"), 2, "group 1")
    for text, words in (
            ("model = floppy\n", ("floppy", "help")), ("options = a=1\n", ("model=",)),
            ("model = edu\noptions = frobs=1\n", ("frobs", "help")),
    ):
        path = program("wrong.ini", "[unit u]\nmodel = vtd\n[device d]\nunit = u\n" + text, 0o644)
        one_line(softiommu("run", "--topology", path, "--", "true"), 2, path + ":3: ", *words)


#
# Programs
#

@test
def the_example_driver_reads_blocks():
    path = disk()
    for block in (0, 7, BLOCKS - 1):
        result = softiommu("run", "--iommu", "vtd", "--device", f"nvme:file={path}", "--",
                           NVME_DRIVER, "0000:00:02.0", str(block))
        equal((0, ""), (result.returncode, result.stderr))
        words = f"|{f'this is block {block}'[:16]:.<16}|"
        assert words in result.stdout, result.stdout
        assert f"{BLOCKS} blocks of {BLOCK} bytes" in result.stdout, result.stdout
    result = softiommu("run", "--device", f"nvme:file={path}", "--", NVME_DRIVER, "0000:00:02.0",
                       str(BLOCKS))
    equal(1, result.returncode)
    for iommu in ("amd", "smmuv3", "vtd,scalable=off"):
        result = softiommu("run", "--iommu", iommu, "--device", f"nvme:file={path}", "--",
                           NVME_DRIVER, "0000:00:02.0", "5")
        assert "|this is block 5.|" in result.stdout, (iommu, result.stdout, result.stderr)


@test
def lspci_decodes_every_model():
    if not shutil.which("lspci"):
        raise Skip("no lspci here (Debian package pciutils)")
    options = [word for model in MODELS for word in ("--device", model)]
    result = softiommu("run", *options, "--", "lspci", "-vvv", "-nn", "-D")
    # Of this machine it may miss the kernel's modules.
    said = [line for line in result.stderr.splitlines() if "libkmod" not in line]
    equal((0, []), (result.returncode, said))
    functions = result.stdout.strip().split("\n\n")
    equal(len(MODELS), len(functions))
    for number, function in enumerate(functions):
        assert function.startswith(f"0000:00:0{number + 2}.0 "), function
        for word in ("nknown", "rror>", "??", "denied", "chain", "broken", "!!!", "roken"):
            assert word not in function, function
        assert "Kernel driver in use: vfio-pci" in function, function
        assert "Capabilities: [" in function and "Region 0: Memory at" in function, function
    # The same bytes as a dump, read back by itself.
    dump = softiommu("run", *options, "--", "lspci", "-xxxx", "-D").stdout
    again = run("lspci", "-F", program("dump", dump, 0o644), "-vvv", "-nn", "-D")
    equal(0, again.returncode)
    equal(len(MODELS), len(again.stdout.strip().split("\n\n")))


#
# softiommu show
#

@test
def show_tells_of_functions():
    with Server("--device", f"nvme:file={disk()}", "--device", "edu") as server:
        def shown():
            return softiommu("show", "--socket", server.path).stdout

        def count(what):
            return int(re.search(r"0000:00:02\.0 nvme0.*?(\d+) " + what, shown(), re.S).group(1))

        assert re.search(r"0000:00:02\.0 nvme0, nvme \[\w{4}:\w{4}\], vfio0, group 0", shown())
        assert "0000:00:03.0 edu0, edu" in shown(), shown()
        assert shown().count("not open") == 2, shown()
        equal(0, count("register writes"))
        equal(0, run(NVME_DRIVER, "0000:00:02.0", env=server.env).returncode)
        # The two queues, two identifications, the block; a doorbell more for each completion.
        assert count("commands") == 5, shown()
        assert count("register writes") >= 10, shown()
        assert count("writes") >= 6, shown()
        holder = subprocess.Popen([sys.executable, "-c", "import time\n"
                                   "f = open('/dev/vfio/devices/vfio1', 'r+b', buffering=0)\n"
                                   "print('open', flush=True); time.sleep(60)"],
                                  env=server.env, stdout=subprocess.PIPE, text=True)
        equal("open\n", holder.stdout.readline())
        assert "open, not bound" in shown(), shown()
        holder.kill()
        holder.wait()


def read_until(fd, pattern, seconds=10):
    """What a terminal got until the pattern was in it."""
    text, end = "", time.monotonic() + seconds
    while not re.search(pattern, text, re.S):
        left = end - time.monotonic()
        if left <= 0 or not select.select([fd], [], [], left)[0]:
            raise AssertionError(f"no {pattern!r} in {text!r}")
        try:
            text += os.read(fd, 65536).decode()
        except OSError:
            break
    return text


@test
def show_watch_shows_rates_on_a_terminal():
    with Server("--device", f"nvme:file={disk()}") as server:
        pid, fd = pty.fork()
        if not pid:
            os.execl(SOFTIOMMU, "softiommu", "show", "--watch", "--interval", "0.2", "--socket",
                     server.path)
        read_until(fd, r"nvme0")
        equal(0, run(NVME_DRIVER, "0000:00:02.0", env=server.env).returncode)
        read_until(fd, r"5 \+\d+/s commands")
        os.kill(pid, signal.SIGINT)
        assert read_until(fd, r"\x1b\[\?1049l").endswith("\x1b[?1049l")
        equal(0, os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
        os.close(fd)


@test
def show_watch_ends_with_the_server():
    with Server("--device", "edu") as server:
        watch = subprocess.Popen([SOFTIOMMU, "show", "--watch", "--interval", "0.1", "--socket",
                                  server.path], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                 text=True)
        while "edu0" not in watch.stdout.readline():
            pass
    out, err = watch.communicate(timeout=10)
    equal(1, watch.returncode)
    assert out.count("IOMMU iommu0") >= 0 and "has ended" in err, err
    one_line(softiommu("show", "--watch", "--interval", "0"), 2, "--interval")


@test
def walk_knows_functions_by_name():
    with Server("--device", "edu") as server:
        result = softiommu("walk", "--socket", server.path, "edu0", "0x1000")
        equal(1, result.returncode)
        assert result.stdout.startswith("edu0: read of 0x1000\n"), result.stdout


if __name__ == "__main__":
    sys.exit(main())
