"""Traffic: each kind of work is the command line of a real program, run in a pod or on a node."""

from __future__ import annotations

import itertools
import json
import shlex
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.lab.namespaces import Namespaces, stop
from tests.lab.scenario import Scenario, Work
from tests.lab.topology import Topology

HTTP_PORT = 8080
STREAM_PORT = 5201
SINK_PORT = 7070
ECHO_PORT = 7007
WORK_LOG, SERVERS_LOG = "work.log", "servers.log"
LONGEST_STEP_S = 14.0
# A size that takes many full packets, and one that fits into a single one.
PAGES = {"big": 70_000, "small": 400}


def _ping(work: Work, to: str, topology: Topology) -> str:
    return f"ping -q -W 1 -i {work.interval_s} -c {work.count} -s {work.size} {work.options} {to}"


def _dns(work: Work, to: str, topology: Topology) -> str:
    dig = f"dig +tries=1 +timeout={work.timeout_s:.0f} +short {work.options} @{to} {work.name}"
    return _repeat(work, dig)


def _http(work: Work, to: str, topology: Topology) -> str:
    host = f"[{to}]" if ":" in to else to
    page = f"http://{host}:{work.port or HTTP_PORT}/{work.page}"
    return _repeat(work, f"curl -s -m {work.timeout_s} -o /dev/null {work.options} {page}")


def _repeat(work: Work, command: str) -> str:
    loop = f"for ((i = 0; i < {work.count}; i++)); do {command}; sleep {work.interval_s}; done"
    return f"bash -c {shlex.quote(loop)}"


def _tcp(work: Work, to: str, topology: Topology) -> str:
    return _stream(work, to, "-l 16K")


def _udp(work: Work, to: str, topology: Topology) -> str:
    return _stream(work, to, f"-u -l {work.size}")


def _stream(work: Work, to: str, kind: str) -> str:
    """A stream of a fixed rate; its payload repeats, so that captures of it are small when compressed."""
    return (
        f"iperf3 -c {to} -p {work.port or STREAM_PORT} -t {work.seconds:.0f} -b {work.rate} {kind}"
        f" --connect-timeout 2000 --repeating-payload {work.options}"
    )


def _shell(work: Work, to: str, topology: Topology) -> str:
    """Whatever `options` says, with ``$to`` for the address."""
    return f"bash -c {shlex.quote(work.options.replace('$to', to))}"


def _datagrams(kind: str) -> Callable[[Work, str, Topology], str]:
    def command(work: Work, to: str, topology: Topology) -> str:
        known = {"junk": topology.tunnel_ports[0], "talk": ECHO_PORT, "ask": ECHO_PORT, "resolve": 53}
        port = work.port or known.get(kind, SINK_PORT)
        return (
            f"{sys.executable} -m tests.lab.traffic {kind} {to} {port}"
            f" --flows {work.flows} --count {work.count} --size {work.size} --interval {work.interval_s}"
            f" --timeout {work.timeout_s} --name {work.name} {work.options}"
        )

    return command


def _transfer(work: Work, to: str, topology: Topology) -> str:
    return f"{sys.executable} -m tests.lab.transfer ask {to} {work.port} {work.options}"


def _calls(work: Work, to: str, topology: Topology) -> str:
    return f"{sys.executable} -m tests.lab.calls ask {to} {work.port} {work.options}"


COMMANDS: dict[str, Callable[[Work, str, Topology], str]] = {
    "ping": _ping,
    "dns": _dns,
    "http": _http,
    "tcp": _tcp,
    "transfer": _transfer,
    "calls": _calls,
    "udp": _udp,
    "datagrams": _datagrams("datagrams"),
    "segmented": _datagrams("segmented"),
    "junk": _datagrams("junk"),
    "alike": _datagrams("alike"),
    "talk": _datagrams("talk"),
    "ask": _datagrams("ask"),
    "resolve": _datagrams("resolve"),
    "shell": _shell,
}


def start_servers(scenario: Scenario, topology: Topology, spaces: Namespaces, folder: Path) -> None:
    """Start the DNS, HTTP, stream and sink servers of all pods, and the far end of each transfer."""
    for page, size in PAGES.items():
        line = b"%06d the quick brown fox jumps over the lazy dog and back again\n"
        (folder / page).write_bytes(b"".join(line % number for number in range(size // 60 + 1))[:size])
    for name in topology.pods:
        if name.startswith("dns"):
            answers = (
                "--no-resolv --no-hosts --address=/cluster.local/10.96.0.1"
                " --address=/cluster.local/fd00:10:96::1"
            )
            spaces.start(name, shlex.split(f"dnsmasq -k -p 53 {answers} --user=root --pid-file="))
            continue
        for port in (STREAM_PORT, STREAM_PORT + 1):
            spaces.start(name, ["iperf3", "-s", "-p", str(port)])
        server = ["http.server", "-d", str(folder), "--bind", "::", str(HTTP_PORT)]
        spaces.start(name, [sys.executable, "-m", *server])
        for kind, port in (("sink", SINK_PORT), ("echo", ECHO_PORT)):
            spaces.start(name, [sys.executable, "-m", "tests.lab.traffic", kind, "::", str(port)])
    _start_far_ends(scenario.work, topology, spaces, folder / SERVERS_LOG)


def _start_far_ends(works: tuple[Work, ...], topology: Topology, spaces: Namespaces, log: Path) -> None:
    """Start the server of each transfer and of calls; what it prints at the end is kept."""
    with log.open("w") as output:
        for work in works:
            if work.do in ("transfer", "calls"):
                place = f"{topology.address(work.to, work.ipv6)} {work.port} {work.options}"
                command = [sys.executable, "-m", f"tests.lab.{work.do}", "serve", *shlex.split(place)]
                spaces.start(work.to, command, output)


def kernel_words(folder: Path) -> list[dict[str, object]]:
    """Read what the kernels of both ends of each transfer said of it."""
    lines = [line for name in (WORK_LOG, SERVERS_LOG) for line in (folder / name).read_text().splitlines()]
    return [json.loads(line) for line in lines if line.startswith('{"end"')]


def run(scenario: Scenario, topology: Topology, spaces: Namespaces, log: Path) -> None:
    """Run the work of a scenario, step by step; a step that hangs is ended, which is often its point."""
    with log.open("w") as output:
        for step in _steps(scenario.work):
            begun = [_start(work, topology, spaces, output) for work in step]
            end_s = time.monotonic() + LONGEST_STEP_S
            for program in begun:
                try:
                    program.wait(max(0.1, end_s - time.monotonic()))
                except subprocess.TimeoutExpired:
                    stop(program)


def _start(work: Work, topology: Topology, spaces: Namespaces, output: object) -> subprocess.Popen[str]:
    to = topology.address(work.to, work.ipv6)
    command = shlex.split(COMMANDS[work.do](work, to, topology))
    if work.wait_s:
        command = ["bash", "-c", f"sleep {work.wait_s}; exec {shlex.join(command)}"]
    return spaces.start(work.source, command, output)  # type: ignore[arg-type]


def _steps(work: tuple[Work, ...]) -> Iterator[list[Work]]:
    """Neighbours with the same number run at once; those without one run alone."""
    numbered = enumerate(work)
    for _, group in itertools.groupby(numbered, key=lambda item: item[1].step or -1 - item[0]):
        yield [item for _, item in group]


def later(seconds: float, action: Callable[[], object]) -> threading.Timer:
    """Do something during the work, counted from now."""
    timer = threading.Timer(seconds, action)
    timer.daemon = True
    timer.start()
    return timer
