"""New conversations that die from a moment on, beside established ones that go on."""

import numpy as np

from tests.simulate import TCP, UDP, Flow, Traffic, comparison, ping
from vxlanalyze.analysis.finding import Finding, Severity
from vxlanalyze.diagnostics.path import flow_blocked, new_flows_blocked, packet_loss, path_blocked

PODS = ("10.233.65.20", "10.233.65.21", "10.233.65.22")


def established() -> list[Traffic]:
    return [
        Traffic(Flow(dst=dst, protocol=TCP, sport=41000 + n, dport=5432), packets=200, every_s=0.05)
        for n, dst in enumerate(PODS)
    ]


def new(since_s: float, *, lost: bool = True, number: int = 12) -> list[Traffic]:
    """DNS, TCP and pings that begin one after the other; from a moment on they are lost."""
    made = []
    for n in range(number):
        start = 0.5 + n * 0.7
        gone = lost and start > since_s
        dst = PODS[n % 3]
        syn = Flow(dst=dst, protocol=TCP, sport=42000 + n, dport=8080)
        dns = Flow(dst=PODS[(n + 1) % 3], protocol=UDP, sport=43000 + n, dport=53)
        made.append(Traffic(syn, packets=3, start_s=start, every_s=0.5, payload=0, tcp_flags=2, lost=gone))
        made.append(Traffic(dns, packets=2, start_s=start + 0.1, every_s=0.5, payload=40, lost=gone))
        made.append(Traffic(ping(dst=dst, dport=100 + n), packets=1, start_s=start + 0.2, lost=gone))
    return made


def found(module, pair) -> list[Finding]:
    return [a for a in module.check(pair) if isinstance(a, Finding)]


def test_one_finding_names_the_moment():
    pair = comparison([*established(), *new(4.0)])
    (finding,) = found(new_flows_blocked, pair)

    assert (finding.severity, finding.direction) == (Severity.CRITICAL, "node1>node2")
    assert finding.evidence["established_and_delivering"].value >= 3
    assert finding.evidence["since"].value.startswith("2023-11-14T22:13:24.")
    assert "# conntrack -S\n" in finding.remedy
    assert not found(flow_blocked, pair) + found(packet_loss, pair) + found(path_blocked, pair)


def test_new_conversations_that_arrive_are_clear():
    assert not found(new_flows_blocked, comparison([*established(), *new(4.0, lost=False)]))


def test_without_established_ones_the_path_may_be_dead():
    assert not found(new_flows_blocked, comparison(new(4.0)))


def test_one_protocol_alone_is_another_fault():
    only_dns = [t for t in new(4.0) if t.flow.protocol == UDP]
    assert not found(new_flows_blocked, comparison([*established(), *only_dns]))


def test_conversations_that_die_now_and_then_are_not_fooling():
    """One dead path of several takes some new flows, and others get through until the end."""
    traffic = new(-1.0)
    kept = [t if n % 3 else Traffic(t.flow, packets=2, start_s=t.start_s) for n, t in enumerate(traffic)]
    assert not found(new_flows_blocked, comparison([*established(), *kept]))


def test_random_loss_is_not_fooling():
    rng = np.random.default_rng(3)
    noisy = [
        Traffic(
            t.flow, packets=t.packets, start_s=t.start_s, every_s=t.every_s, lost=rng.random(t.packets) < 0.1
        )
        for t in new(99.0)
    ]
    assert not found(new_flows_blocked, comparison([*established(), *noisy]))
