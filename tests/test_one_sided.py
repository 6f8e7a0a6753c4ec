"""Captures of one direction, or neighbours' questions of different times: no loss, and no wrong clock."""

from pathlib import Path

import pytest

import vxlanalyze as vx
from tests.report.recorded import CAPTURES
from tests.test_taken_otherwise import ETHERNET, Frame, read, write

ARP = b"\x08\x06"
SECOND_NS = 10**9


def recorded(name: str) -> tuple[list[Frame], list[Frame]]:
    first, second = (read(CAPTURES / name / f"{node}.pcap.gz") for node in ("node1", "node2"))
    return first, second


def compare(folder: Path, first: list[Frame], second: list[Frame]) -> vx.Comparison:
    for node, frames in (("node1", first), ("node2", second)):
        write(folder / f"{node}.pcap", ETHERNET, frames)
    return vx.compare(folder / "node1.pcap", folder / "node2.pcap")


@pytest.mark.parametrize("name", ["healthy-ipv6-pods", "healthy-geneve", "loss-of-geneve"])
@pytest.mark.parametrize("shows", ["what leaves", "what arrives"])
def test_a_capture_of_one_direction_is_no_blocked_path(name: str, shows: str, tmp_path: Path):
    """`tcpdump -Q out` and `-Q in`."""
    captures = recorded(name)
    asking = captures[0][0][2][6:12]  # node1 begins
    halves = [
        [f for f in frames if (f[2][6:12] == asking) == ((number == 0) == (shows == "what leaves"))]
        for number, frames in enumerate(captures)
    ]

    result = compare(tmp_path, *halves)

    assert [f.code for f in result.findings if f.severity != "info"] == ["capture-loss"]
    assert "-Q" in result.findings[0].remedy
    assert not (result.packets["outcome"] == "lost").any()


def test_questions_of_different_times_tell_no_clock(tmp_path: Path):
    """Nothing comes back, so ARP alone goes both ways; and each capture holds another exchange of it."""
    first, second = recorded("receiver-firewall")
    asked = [f for f in first if f[2][12:14] == ARP]
    late_ns = first[-1][0] - asked[0][0] + 5 * SECOND_NS
    again = [(t + late_ns, n, f) for t, n, f in asked]

    result = compare(tmp_path, [f for f in first if f not in asked] + again, second)

    assert result.findings[0].code == "not-answered"
    assert not (result.packets["outcome"] == "lost").any()
    assert result.clock[0]["offset_ns"] is None


def test_questions_of_different_times_are_no_reason_to_part_captures(tmp_path: Path):
    """Nothing at all arrives, and the captures share one exchange that looks the same."""
    first, second = recorded("both-ways-blocked")
    asked = [f for f in second if f[2][12:14] == ARP][:2]
    assert asked
    end_ns = max(first[-1][0], second[-1][0])
    tunnel = [[f for f in frames if f[2][12:14] != ARP] for frames in (first, second)]
    again = [(end_ns + n * 10**6, size, f) for n, (_, size, f) in enumerate(asked)]
    begin = [(tunnel[1][0][0] - SECOND_NS + n * 10**6, size, f) for n, (_, size, f) in enumerate(asked)]

    result = compare(tmp_path, tunnel[0] + again, begin + tunnel[1])

    assert result.findings[0].code == "path-blocked"


def test_one_exchange_tells_the_clock_where_it_fits(tmp_path: Path):
    first, second = recorded("both-ways-blocked")
    ahead_ns = 86_100_000

    result = compare(tmp_path, first, [(t + ahead_ns, n, f) for t, n, f in second])

    own = compare(tmp_path, first, second).clock[0]
    assert abs(result.clock[0]["offset_ns"] - own["offset_ns"] - ahead_ns) < 1_000_000


def test_what_a_node_sends_outside_of_the_tunnel_shows_that_its_capture_had_ended(tmp_path: Path):
    """Nothing comes back through the tunnel; but node2 answers ARP long after its capture's last frame."""
    first, second = recorded("receiver-firewall")
    asked = [f for f in first if f[2][12:14] == ARP]
    late_ns = first[-1][0] - asked[0][0] + SECOND_NS
    whole = first + [(t + late_ns, n, f) for t, n, f in asked]
    half = second[: len(second) // 2]

    result = compare(tmp_path, whole, half)

    outcomes = result.packets["outcome"].value_counts()
    assert outcomes.get("lost", 0) == 0
    assert outcomes["unknown"] > 5
    assert result.findings[0].code == "not-answered"


def test_without_it_a_capture_is_taken_to_have_gone_on(tmp_path: Path):
    first, second = recorded("receiver-firewall")

    result = compare(tmp_path, first, second[: len(second) // 2])

    assert (result.packets["outcome"] == "lost").sum() > 5
