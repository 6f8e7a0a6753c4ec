"""Traffic of a small cluster, sent through a network that loses packets by rules, one direction of it.

Senders react as real ones do: a lost SYN or query is sent again with growing pauses, a stalled transfer
repeats its first segment, a lost segment comes again. So what a blocked service leaves in a capture is
a few repeated packets, as in life.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import numpy as np

from tests.simulate import TCP, UDP, Flow, Traffic, ping

Rule = Callable[[Flow, float, int], bool]  # flow, seconds, outer IP length: lost?
SEGMENT_BYTES = 1398


def at_random(rng: np.random.Generator, ratio: float) -> Rule:
    return lambda flow, time_s, length: bool(rng.random() < ratio)


def in_bursts(rng: np.random.Generator, ratio: float, burst_s: float) -> Rule:
    """Loss of a share of the time, in bursts of an exponential length during which nothing passes."""
    state = {"until": 0.0, "lost": False}

    def rule(flow: Flow, time_s: float, length: int) -> bool:
        while state["until"] < time_s:
            state["lost"] = not state["lost"]
            mean = burst_s if state["lost"] else burst_s * (1 - ratio) / ratio
            state["until"] += rng.exponential(mean)
        return state["lost"]

    return rule


def above(length_bytes: int) -> Rule:
    return lambda flow, time_s, length: length > length_bytes


def between(first_s: float, last_s: float) -> Rule:
    return lambda flow, time_s, length: first_s <= time_s < last_s


def of_protocols(*protocols: int) -> Rule:
    return lambda flow, time_s, length: flow.protocol in protocols


def to_port(port: int) -> Rule:
    return lambda flow, time_s, length: flow.dport == port


def to_address(address: str) -> Rule:
    return lambda flow, time_s, length: flow.dst == address


def of_member(members: int, bad: int) -> Rule:
    """One of several equal-cost paths is dead; the outer source port chooses."""
    return lambda flow, time_s, length: flow.identity % members == bad


def both(first: Rule, second: Rule) -> Rule:
    return lambda *packet: first(*packet) and second(*packet)


@dataclass
class Network:
    """What is sent, in order of time, and the rules by which it is lost."""

    rules: tuple[Rule, ...]
    sent: list[tuple[float, Flow, int]] = field(default_factory=list)

    def send(self, flow: Flow, time_s: float, payload: int) -> None:
        self.sent.append((time_s, flow, payload))

    def lost(self, flow: Flow, time_s: float, payload: int) -> bool:
        length = payload + flow.header_bytes + flow.overhead_bytes
        return any(rule(flow, time_s, length) for rule in self.rules)


# A conversation yields (pause before, flow, payload) and is told whether that packet was lost.
Conversation = Iterable[tuple[float, Flow, int]]


def dns(rng: np.random.Generator, queries: int, server: str = "10.233.65.250", every_s: float = 0.3):
    for _ in range(queries):
        flow = Flow(dst=server, dport=53, sport=int(rng.integers(32768, 60999)))
        lost = yield every_s, flow, 58
        if lost:
            yield 1.0, flow, 58


def pings(
    rng: np.random.Generator, number: int, to: str = "10.233.65.20", size: int = 56, every_s: float = 0.2
):
    flow = ping(dst=to, dport=int(rng.integers(1, 65000)))
    for _ in range(number):
        yield every_s, flow, size


def http(
    rng: np.random.Generator, requests: int, port: int = 8080, segments: int = 1, to: str = "10.233.65.20"
):
    """Connections that send a request of some segments, each given up after some seconds."""
    for _ in range(requests):
        flow = Flow(protocol=TCP, dst=to, dport=port, sport=int(rng.integers(32768, 60999)))
        connected = False
        for pause in (0.3, 1.0, 2.0):
            connected = not (yield pause, flow, 0)
            if connected:
                break
        if connected:
            yield from _transfer(flow, segments)


def _transfer(flow: Flow, segments: int):
    yield 0.001, flow, 0
    waiting = list(range(segments))
    window, pause, tries = 10, 0.001, 0
    while waiting and tries < 6:
        stuck = []
        for i, number in enumerate(waiting[:window]):
            lost = yield (pause if i == 0 else 0.00002), flow, SEGMENT_BYTES if number < segments - 1 else 400
            if lost:
                stuck.append(number)
        done = len(waiting[:window]) - len(stuck)
        waiting = stuck + waiting[window:]
        tries = 0 if done else tries + 1
        window = 10 if done else 1
        pause = 0.002 if done else 0.2 * 2**tries
    if not waiting:
        yield 0.001, flow, 0


def stream(
    rng: np.random.Generator, seconds: float, every_s: float = 0.0025, size: int = 900, port: int = 5201
):
    """A steady UDP stream."""
    flow = Flow(protocol=UDP, dport=port, sport=int(rng.integers(32768, 60999)))
    for _ in range(int(seconds / every_s)):
        yield every_s, flow, size


def play(rules: Iterable[Rule], *lanes: Iterable[Conversation]) -> list[Traffic]:
    """Run lanes side by side, the conversations of a lane one after the other, through a network."""
    network = Network(tuple(rules))
    running = [[0.0, iter(lane), None, None] for lane in lanes]
    queue = []
    for number, lane in enumerate(running):
        _advance(lane, None)
        queue.append((lane[0], number))
    while queue := [q for q in queue if running[q[1]][3] is not None]:
        queue.sort()
        time_s, number = queue.pop(0)
        lane = running[number]
        flow, payload = lane[3]
        network.send(flow, time_s, payload)
        lost = network.lost(flow, time_s, payload)
        network.sent[-1] += (lost,)
        _advance(lane, lost)
        queue.append((lane[0], number))
    return _traffic(network)


def _advance(lane: list, lost: bool | None) -> None:
    """Ask the lane's conversation for its next packet; go on to the next one at its end."""
    while True:
        if lane[2] is None:
            lane[2], lost = next(lane[1], None), None
            if lane[2] is None:
                lane[3] = None
                return
            lane[2] = iter(lane[2])
        try:
            pause, flow, payload = next(lane[2]) if lost is None else lane[2].send(lost)
        except StopIteration:
            lane[2] = None
            continue
        lane[0] += pause
        lane[3] = (flow, payload)
        return


def _traffic(network: Network) -> list[Traffic]:
    by_flow: dict[Flow, list[tuple[float, int, bool]]] = {}
    for time_s, flow, payload, lost in network.sent:
        by_flow.setdefault(flow, []).append((time_s, payload, lost))
    return [
        Traffic(flow, time_s=np.array(t), payload=np.array(p), lost=np.array(gone))
        for flow, packets in by_flow.items()
        for t, p, gone in [zip(*packets, strict=True)]
    ]
