"""Clocks that were set while they captured: packets match on both sides, and nothing counts as lost."""

import pytest

from tests.diagnostics.frames import in_vxlan, pcap, udp
from tests.pairing.test_homes import DELAY_S, ETHERNET
from tests.simulate import NODE1, NODE2, POD1, POD2
from vxlanalyze import wire
from vxlanalyze.capture import open_sources
from vxlanalyze.diagnostics.limits import clock_step
from vxlanalyze.pairing import pair

DURATION_S, EVERY_S = 40.0, 0.5
SET_AT_S = 17.1
NOT_SET = (0.0, 0.0)


def exchange(steps_s, lost=()):
    """Both nodes send twice a second; each capture in the order in which it saw packets, by its own clock."""
    frames = []
    for number in range(int(DURATION_S / EVERY_S)):
        at = number * EVERY_S
        for src, dst, near, far, who in (
            (POD1, POD2, NODE1, NODE2, 0),
            (POD2, POD1, NODE2, NODE1, 1),
        ):
            packet = in_vxlan(udp(b"%d %04d" % (who, number), src, dst, 5000, 9), near, far)
            begin = at + 0.2 * who
            frames += [
                (point, begin + (point != who) * DELAY_S, packet)
                for point in (0, 1)
                if point == who or (who, number) not in lost
            ]
    frames.sort(key=lambda f: f[1])
    return tuple(
        [(at + (steps_s[point] if at > SET_AT_S else 0.0) + 100, f) for p, at, f in frames if p == point]
        for point in (0, 1)
    )


def compared(tmp_path, first, second):
    paths = [
        pcap(tmp_path / f"{n}.pcap", f, ETHERNET, in_time=False) for n, f in (("a", first), ("b", second))
    ]
    return pair([(s, wire.decode(s)) for s in open_sources([str(p) for p in paths])])


@pytest.mark.parametrize("step_s", [-30.0, -12.0, -0.6, 25.0])
@pytest.mark.parametrize("node", [0, 1])
def test_packets_match_on_both_sides_of_a_step(tmp_path, node, step_s):
    steps = (step_s, 0.0) if node == 0 else (0.0, step_s)
    result = compared(tmp_path, *exchange(steps, lost={(0, 20), (1, 60)}))

    assert [int(d.lost.sum()) for d in result.directions] == [1, 1]
    (finding,) = clock_step.check(result)
    against = -step_s if node == 0 and step_s > 0 else step_s  # a step forward shows only against the other
    assert finding.evidence["largest_step"].value == pytest.approx(against * 1e9, abs=2e6)


def test_a_clock_set_back_is_named_with_its_moment_and_frame(tmp_path):
    result = compared(tmp_path, *exchange((0.0, -30.0)))
    (finding,) = clock_step.check(result)

    assert finding.summary == "The clock of b was set back by 30 s at 2023-11-14T22:15:17.000Z"
    assert finding.frames["b"].tolist() == [70]


def test_both_clocks_set_back_together_are_consistent(tmp_path):
    result = compared(tmp_path, *exchange((-30.0, -30.0)))

    assert not any(d.lost.any() for d in result.directions)


def test_files_that_were_appended_are_no_clock_that_was_set(tmp_path):
    """The same times twice in one file, but the packets that the other shows do not jump."""
    first, second = exchange(NOT_SET)
    result = compared(tmp_path, [*first[1::2], *first[::2]], second)

    assert result.captures[0].set_back == ()
    assert not any(d.lost.any() for d in result.directions)
