"""The network between the nodes: frames read from one TAP device, written to another, by the rules.

Runs inside its own namespace: ``python -m tests.lab.fabric PLAN.json LOG.jsonl``. It says ``ready`` on
standard output when the devices are open, begins to count seconds at SIGUSR1 and ends at SIGTERM.
Each line of the log is one frame: when it came, its direction, identity and what was done to it.
"""

from __future__ import annotations

import fcntl
import heapq
import json
import os
import select
import signal
import struct
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from tests.lab import packet as wire
from tests.lab import rules

TUNSETIFF = 0x400454CA
IFF_TAP, IFF_NO_PI = 0x0002, 0x1000
LARGEST_FRAME_BYTES = 66_000
FRAMES_AT_ONCE = 64
LONGEST_WAIT_S = 0.2


@dataclass(frozen=True)
class Port:
    """One node's place in the network."""

    node: str
    mac: bytes
    tap: int


def open_device(device: str, flags: int = IFF_TAP | IFF_NO_PI) -> int:
    """Open a TAP (or TUN) device without offloads: every frame is one packet, checksums filled in."""
    opened = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(opened, TUNSETIFF, struct.pack("16sH22s", device.encode(), flags, b""))
    return opened


class Fabric:
    """Forwards frames between ports and logs the fate of each."""

    def __init__(self, plan: dict[str, Any], log: IO[str]) -> None:
        self._ports = [
            Port(p["node"], bytes.fromhex(p["mac"]), open_device(p["device"])) for p in plan["ports"]
        ]
        self._by_tap = {port.tap: port for port in self._ports}
        self._rules = tuple(rules.Rule(**_tuples(rule)) for rule in plan["rules"])
        self._tunnel_ports = frozenset(plan["tunnel_ports"])
        self._memory = rules.Memory(plan["seed"])
        self._delay_s = plan["delay_ms"] / 1000
        self._queue: list[tuple[float, int, int, bytes]] = []
        self._log = log
        self._queued = 0
        self._began_s = float("inf")
        self.stopped = False

    def begin(self) -> None:
        """Count the rules' seconds from now on."""
        self._began_s = time.monotonic()

    def run(self) -> None:
        """Forward until stopped."""
        taps = list(self._by_tap)
        while not self.stopped:
            self._deliver()
            wait_s = self._queue[0][0] - time.monotonic() if self._queue else LONGEST_WAIT_S
            for tap in select.select(taps, [], [], max(0.0, min(wait_s, LONGEST_WAIT_S)))[0]:
                for frame in _frames(tap):
                    self._receive(self._by_tap[tap], frame)

    def _receive(self, source: Port, frame: bytes) -> None:
        packet = wire.parse(frame, self._tunnel_ports)
        for target in self._targets(source, frame[:6]):
            now_s = time.monotonic()
            direction = f"{source.node}>{target.node}"
            since_s = now_s - self._began_s if now_s >= self._began_s else -rules.NEVER_S / 2
            fate = rules.apply(self._rules, packet, direction, since_s, self._memory)
            for copy in fate.forward:
                self._send(now_s + self._delay_s + fate.delay_ms / 1000, target, copy)
            for answer in fate.back:
                self._send(now_s + self._delay_s, source, answer)
            self._write_down(packet, direction, fate)

    def _send(self, due_s: float, target: Port, frame: bytes) -> None:
        self._queued += 1
        heapq.heappush(self._queue, (due_s, self._queued, target.tap, frame))

    def _targets(self, source: Port, mac: bytes) -> list[Port]:
        others = [port for port in self._ports if port is not source]
        return [port for port in others if port.mac == mac] if not mac[0] & 1 else others

    def _deliver(self) -> None:
        now_s = time.monotonic()
        while self._queue and self._queue[0][0] <= now_s:
            _, _, tap, frame = heapq.heappop(self._queue)
            os.write(tap, frame)

    def _write_down(self, packet: wire.Packet, direction: str, fate: rules.Fate) -> None:
        outer, inner = packet.outer, packet.tunnelled
        line = {
            "time_ns": time.time_ns(),
            "direction": direction,
            "outer": outer
            and [*outer.identity, outer.length_bytes, outer.fragment_bytes, outer.more_fragments],
            "inner": inner and list(inner.identity),
            "acts": fate.acts,
            "lost": fate.lost,
        }
        self._log.write(json.dumps(line) + "\n")


def _frames(tap: int) -> Iterator[bytes]:
    """Read what waits at a TAP device, a bounded number of frames at once so that all get their turn."""
    for _ in range(FRAMES_AT_ONCE):
        try:
            yield os.read(tap, LARGEST_FRAME_BYTES)
        except BlockingIOError:
            return


def _tuples(rule: dict[str, Any]) -> dict[str, Any]:
    return {name: tuple(value) if isinstance(value, list) else value for name, value in rule.items()}


def main() -> None:
    """Run the network that a plan describes."""
    plan = json.loads(Path(sys.argv[1]).read_text())
    with Path(sys.argv[2]).open("w") as log:
        fabric = Fabric(plan, log)
        signal.signal(signal.SIGUSR1, lambda *_: fabric.begin())
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: setattr(fabric, "stopped", True))
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        fabric.run()


if __name__ == "__main__":
    main()
