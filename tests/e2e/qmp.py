#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Send one command to a running QEMU over its QMP socket.

usage: qmp.py SOCKET COMMAND [ARGUMENTS-AS-JSON] [--event NAME] [--timeout S]

With --event, wait for that event of the device that the command names. Prints
what QEMU answers; exits with 1 if that is an error or the event does not come.
"""

import argparse
import json
import socket
import sys


def answer(lines, events):
    """The next answer; events that come before it are kept."""
    for line in lines:
        message = json.loads(line)
        if "event" in message:
            events.append(message)
        elif "QMP" not in message:
            return message
    raise EOFError("QEMU has closed the connection")


def is_awaited(message, name, device):
    return message.get("event") == name and message.get("data", {}).get("device") == device


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("socket")
    parser.add_argument("command")
    parser.add_argument("arguments", nargs="?", default="{}")
    parser.add_argument("--event")
    parser.add_argument("--timeout", type=float, default=60)
    opts = parser.parse_args()
    arguments = json.loads(opts.arguments)

    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(opts.timeout)
        sock.connect(opts.socket)
        lines = sock.makefile("r", encoding="utf-8")
        events = []
        for command in ({"execute": "qmp_capabilities"},
                        {"execute": opts.command, "arguments": arguments}):
            sock.sendall(json.dumps(command).encode() + b"\n")
            reply = answer(lines, events)
            if "error" in reply:
                print(reply["error"]["desc"])
                return 1
        while opts.event and not any(is_awaited(e, opts.event, arguments.get("id"))
                                     for e in events):
            events.append(json.loads(lines.readline() or "{}"))
            if not events[-1]:
                print(f"no {opts.event}: QEMU has closed the connection")
                return 1
    print(json.dumps(reply["return"]))
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (OSError, EOFError) as error:
        print(error)
        sys.exit(1)
