"""The fate of every wire packet, against worlds whose truth is known."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.pairing.world import ICMP, TCP, UDP, StubSource, Wire, World
from vxlanalyze.pairing import pair
from vxlanalyze.pairing.model import NO_DELAY, NO_ROW, Comparison, Direction, Outcome, Reason


def compare(wire: Wire) -> tuple[Comparison, tuple[np.ndarray, np.ndarray]]:
    """Pair the captures of a world."""
    seen, packets = wire.captures()
    sources = StubSource("node1"), StubSource("node2")
    return pair([(s, c.decoded) for s, c in zip(sources, seen, strict=True)]), packets


def truth_of(direction: Direction, packets: tuple[np.ndarray, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Which packet each row of a direction is, by the sender's frame, and by the receiver's (-1: none)."""
    sender, receiver = direction.sender.capture, direction.receiver.capture
    sent = packets[sender][direction.sent_row, direction.segment]
    got = np.full(len(sent), -1)
    arrived = direction.received_row != NO_ROW
    got[arrived] = packets[receiver][direction.received_row[arrived], direction.received_segment[arrived]]
    return sent, got


def check(world: World) -> dict[str, float]:
    """Assert that each packet has its true fate or is marked ambiguous; give precision and recall of loss."""
    wire = world.draw()
    comparison, packets = compare(wire)
    right = reported = true = 0
    for direction in comparison.directions:
        sent, got = truth_of(direction, packets)
        backward = direction.sender.capture == 1
        assert sorted(sent) == np.flatnonzero(wire.backward == backward).tolist(), "each packet once"
        plain = direction.reason == Reason.NONE
        assert (direction.lost == wire.lost[sent])[plain].all()
        assert (got == np.where(wire.lost[sent], -1, sent))[plain & ~direction.corrupted].all()
        assert len(direction.unsent_row) == 0
        assert int(direction.lost.sum()) == int(wire.lost[sent].sum()), "ambiguous or not, the count is right"
        right += int((direction.lost & wire.lost[sent]).sum())
        reported += int(direction.lost.sum())
        true += int(wire.lost[sent].sum())
        assert (direction.delay_ns[direction.delivered] >= 0).all()
        assert (direction.delay_ns[~direction.delivered] == NO_DELAY).all()
    return {"precision": right / reported if reported else 1.0, "recall": right / true if true else 1.0}


WORLDS = {
    "plain": World(),
    "no loss": World(loss=0.0),
    "heavy loss": World(loss=0.4),
    "IP IDs of 0": World(ip_id="zero"),
    "IP IDs at random": World(ip_id="random"),
    "all IDs 0": World(ip_id="zero", outer_ip_id="zero"),
    "reordering": World(jitter_ns=5_000_000),
    "offset of hours": World(offset_ns=-3 * 3600 * 10**9),
    "drift": World(drift_ppm=80.0, packets=3000),
    "clock step forth": World(step_ns=900_000_000),
    "clock step back": World(step_ns=-50_000_000),
    "TSO": World(merge_sent=0.8, protocols=(TCP,), flows=2),
    "TSO without handshake": World(merge_sent=0.8, protocols=(TCP,), flows=2, handshake=False),
    "GRO": World(merge_received=0.8, protocols=(TCP,), flows=2),
    "TSO and GRO": World(merge_sent=0.7, merge_received=0.7, protocols=(TCP,), flows=2),
    "TSO, GRO and IDs of 0": World(
        merge_sent=0.7, merge_received=0.7, protocols=(TCP,), flows=2, ip_id="zero"
    ),
    "TSO and GRO without handshake": World(
        merge_sent=0.7, merge_received=0.7, protocols=(TCP,), flows=2, handshake=False
    ),
    "TSO with one ID for all segments": World(
        merge_sent=0.8, merge_received=0.5, protocols=(TCP,), flows=2, ip_id="fixed"
    ),
    "small segments sent again as one": World(
        merge_sent=0.5,
        merge_received=0.4,
        protocols=(TCP,),
        flows=3,
        loss=0.2,
        retransmit=True,
        collapse=True,
    ),
    "UDP GSO": World(merge_sent=0.8, protocols=(UDP,), flows=2, udp_gso=True),
    "retransmissions": World(retransmit=True, loss=0.1),
    "retransmissions, IDs of 0": World(retransmit=True, loss=0.1, ip_id="zero", outer_ip_id="zero"),
    "retransmissions through TSO": World(
        retransmit=True, loss=0.1, merge_sent=0.6, merge_received=0.4, protocols=(TCP,), flows=2
    ),
    "headers cut": World(cut_headers=True, protocols=(TCP,), flows=2),
    "headers cut and TSO": World(cut_headers=True, merge_sent=0.7, protocols=(TCP,), flows=2),
    "ping only": World(protocols=(ICMP,), flows=1, packets=60),
}


@pytest.mark.parametrize("name", WORLDS)
def test_every_packet_has_its_true_fate(name):
    """Lost, delivered and matched with itself, or marked ambiguous."""
    figures = check(WORLDS[name])

    assert figures["precision"] == figures["recall"] == 1.0


def test_duplicates_are_copies_of_one_packet():
    """What arrives twice was sent once: it is counted, not unsent, and nothing else is disturbed."""
    wire = World(duplicates=0.1, loss=0.05).draw()

    comparison, packets = compare(wire)

    for direction in comparison.directions:
        sent, _ = truth_of(direction, packets)
        expected = np.where(wire.lost[sent], 0, np.where(wire.duplicated[sent], 2, 1))
        assert (direction.copies == expected).all()
        assert len(direction.unsent_row) == 0


def test_damaged_packets_find_their_partner():
    """A payload that arrives otherwise is corrupted, not lost."""
    wire = World(damage=0.05, loss=0.05).draw()

    comparison, packets = compare(wire)

    for direction in comparison.directions:
        sent, _ = truth_of(direction, packets)
        has_payload = wire.payload[sent] > 0
        assert (direction.lost == wire.lost[sent]).all()
        assert (direction.corrupted == (wire.damaged & ~wire.lost)[sent] & has_payload)[has_payload].all()


@pytest.mark.parametrize("drift_ppm", [-400.0, -30.0, 0.0, 5.0, 250.0])
def test_clock_is_recovered_within_its_uncertainty(drift_ppm):
    """Offset within the stated uncertainty, drift within a few ppm, of 20 seconds of traffic."""
    world = World(packets=4000, gap_ns=5_000_000, drift_ppm=drift_ppm)

    clock = compare(world.draw())[0].hops[0].clock

    assert abs(clock.offset_ns - world.offset_ns) <= clock.uncertainty_ns
    assert clock.uncertainty_ns < world.delay_ns + world.jitter_ns
    assert clock.drift_ppm == pytest.approx(drift_ppm, abs=5)


def test_step_makes_two_pieces():
    """A clock that is set by 0.9 s is found where it happens, with its size."""
    world = World(step_ns=900_000_000, packets=1500)

    clock = compare(world.draw())[0].hops[0].clock

    assert len(clock.pieces) == 2
    step = clock.pieces[1].offset_ns - clock.pieces[0].offset_ns
    assert step == pytest.approx(900_000_000, abs=2 * clock.uncertainty_ns)


@pytest.mark.parametrize("seed", range(20))
def test_steady_clock_has_one_piece(seed):
    """Jitter and drift are no step."""
    world = World(seed=seed, jitter_ns=3_000_000, drift_ppm=50.0)

    assert len(compare(world.draw())[0].hops[0].clock.pieces) == 1


def test_one_direction_gives_relative_delay():
    """Without a way back, an offset is not claimed, and the smallest delay counts as zero."""
    wire = World(protocols=(UDP,), backward=0.0).draw()

    comparison, _ = compare(wire)

    clock, forward = comparison.hops[0].clock, comparison.hops[0].forward
    assert clock.offset_ns is None
    assert clock.relative
    assert forward.delay_ns[forward.delivered].min() == 0


def test_capture_that_ended_early_makes_unknown_not_lost():
    """Its node goes on sending: packets behind its last frame are outside the window."""
    wire = World(loss=0.0).draw()
    seen, _ = wire.captures()
    kept = 200
    second = seen[1].decoded
    short = replace(second, index=_first_rows(second.index, kept))

    comparison = pair([(StubSource("node1"), seen[0].decoded), (StubSource("node2"), short)])

    forward = comparison.hops[0].forward
    assert not forward.lost.any()
    assert (forward.reason[forward.outcome == Outcome.UNKNOWN] == Reason.WINDOW).all()
    assert "node2: ended at its last frame" in forward.window_by


def test_empty_capture_that_nothing_contradicts_means_lost():
    """A valid capture without a frame, and no packet of its node anywhere: all is lost."""
    wire = World(loss=1.0, backward=0.0).draw()
    seen, _ = wire.captures()
    none = replace(seen[1].decoded, index=_first_rows(seen[1].decoded.index, 0))

    comparison = pair([(StubSource("node1"), seen[0].decoded), (StubSource("node2"), none)])

    forward = comparison.hops[0].forward
    assert forward.lost.all()
    assert len(forward) == len(wire.flow)


def test_single_capture_has_no_hop():
    """One capture: its points, no hops."""
    wire = World().draw()
    seen, _ = wire.captures()

    comparison = pair([(StubSource("node1"), seen[0].decoded)])

    assert comparison.hops == ()
    assert [p.name for p in comparison.points] == ["node1"]


def _first_rows(index, rows):
    return type(index)(**{name: getattr(index, name)[:rows] for name in type(index).__slots__})


@settings(max_examples=120, deadline=None)
@given(
    seed=st.integers(0, 2**31),
    loss=st.sampled_from([0.0, 0.01, 0.1, 0.3]),
    jitter_ns=st.sampled_from([0, 50_000, 2_000_000]),
    ip_id=st.sampled_from(["counting", "zero", "random", "fixed"]),
    outer_ip_id=st.sampled_from(["counting", "zero"]),
    merge_sent=st.sampled_from([0.0, 0.5, 0.9]),
    merge_received=st.sampled_from([0.0, 0.6]),
    retransmit=st.booleans(),
    collapse=st.booleans(),
    handshake=st.booleans(),
    offset_ns=st.integers(-(10**13), 10**13),
)
def test_random_worlds(
    seed, loss, jitter_ns, ip_id, outer_ip_id, merge_sent, merge_received, retransmit, collapse, handshake,
    offset_ns,
):  # fmt: skip
    """Whatever the mixture, fates are true or marked ambiguous."""
    if merge_sent or merge_received:
        jitter_ns = 0  # segments that overtake each other are not merged by GRO
        # Else nothing tells the segment size, or only now and then, where both sides merged.
        handshake = handshake or ip_id != "counting" or bool(merge_sent and merge_received)
    figures = check(
        World(
            seed=seed, packets=250, loss=loss, jitter_ns=jitter_ns, ip_id=ip_id, outer_ip_id=outer_ip_id,
            merge_sent=merge_sent, merge_received=merge_received, retransmit=retransmit, collapse=collapse,
            handshake=handshake, offset_ns=offset_ns, flows=3,
        )
    )  # fmt: skip

    assert figures["recall"] > 0.9
