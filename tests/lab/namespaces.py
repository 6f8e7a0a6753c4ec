"""Network namespaces that are always taken away again, with the programs that run in them."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO

PREFIX = "vxlab"
PROJECT = Path(__file__).resolve().parents[2]
PATIENCE_S = 5.0


class LabError(Exception):
    """Something the lab is built of does not work here; the message names the command."""


class Namespaces:
    """The namespaces of one run, by short names; their real names carry the process's number."""

    def __init__(self) -> None:
        self._prefix = f"{PREFIX}{os.getpid()}-"
        self._names: list[str] = []
        self._programs: list[subprocess.Popen[str]] = []

    def add(self, name: str) -> None:
        """Create a namespace with a loopback that is up and without IPv6's own chatter."""
        _run(["ip", "netns", "add", self._prefix + name])
        self._names.append(name)
        self.run(name, "ip link set lo up")
        self.run(name, "sysctl -qw net.ipv6.conf.default.disable_ipv6=1 net.ipv6.conf.default.accept_dad=0")

    def real(self, name: str) -> str:
        """Return the name that ``ip netns`` knows."""
        return self._prefix + name

    def run(self, name: str, command: str, check: bool = True) -> str:
        """Run a command to its end and return what it prints."""
        return _run(["ip", "netns", "exec", self._prefix + name, *shlex.split(command)], check)

    def start(
        self, name: str, command: list[str], output: IO[str] | int = subprocess.DEVNULL
    ) -> subprocess.Popen[str]:
        """Start a program that ends with this run at the latest; it leads its own process group.

        It runs in the project's folder, so that ``python -m tests.lab.…`` works from anywhere.
        """
        program = subprocess.Popen(
            ["ip", "netns", "exec", self._prefix + name, *command],
            stdout=output,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            text=True,
            start_new_session=True,
            cwd=PROJECT,
        )
        self._programs.append(program)
        return program

    def close(self) -> None:
        """End all programs, then remove the namespaces; what is gone already is passed over."""
        for program in self._programs:
            stop(program)
            if program.stdout is not None:
                program.stdout.close()
        for name in self._names:
            _run(["ip", "netns", "del", self._prefix + name], check=False)


def stop(program: subprocess.Popen[str], number: int = signal.SIGTERM) -> None:
    """End a program and the processes it started, kindly first."""
    for sent in (number, signal.SIGKILL):
        try:
            os.killpg(program.pid, sent)
        except ProcessLookupError:
            break
        try:
            program.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            continue
        break


@contextmanager
def namespaces() -> Iterator[Namespaces]:
    """Lend namespaces for one run; SIGTERM and Ctrl-C end it with everything removed."""
    lent = Namespaces()
    with ExitStack() as stack:
        stack.callback(lent.close)
        before = signal.signal(signal.SIGTERM, _interrupt)
        stack.callback(signal.signal, signal.SIGTERM, before)
        yield lent


def leftovers() -> list[str]:
    """Return namespaces of runs that were killed before they could clean up."""
    listed = _run(["ip", "netns", "list"]).splitlines()
    names = [line.split()[0] for line in listed if line.startswith(PREFIX)]
    return [name for name in names if not Path(f"/proc/{_process_of(name)}").exists()]


def _process_of(name: str) -> str:
    return name.removeprefix(PREFIX).split("-")[0]


def remove_leftovers() -> None:
    """Remove the namespaces of runs that are no more."""
    for name in leftovers():
        _run(["ip", "netns", "del", name], check=False)


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def _run(command: list[str], check: bool = True) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if check and done.returncode:
        raise LabError(f"{shlex.join(command)}: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout
