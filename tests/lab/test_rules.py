"""The network does to each packet what its rules say, and the same again from the same seed."""

import itertools

import pytest

from tests.lab import packet as wire
from tests.lab import rules
from tests.lab.rules import Fate, Memory, Rule
from tests.lab.test_packet import PORTS, tunnelled, udp_frame

DIRECTION = "node1>node2"


def fate(*given: Rule, frame: bytes | None = None, now_s: float = 1.0, memory: Memory | None = None) -> Fate:
    packet = wire.parse(frame or tunnelled(), PORTS)
    return rules.apply(given, packet, DIRECTION, now_s, memory or Memory(1))


@pytest.mark.parametrize(
    ("rule", "lost"),
    [
        (Rule("drop"), True),
        (Rule("drop", on=DIRECTION), True),
        (Rule("drop", on="node2>node1"), False),
        (Rule("drop", protocol="udp", dport=53), True),
        (Rule("drop", protocol="tcp"), False),
        (Rule("drop", dst="10.0.0.2", sport=1234), True),
        (Rule("drop", dst="10.0.0.3"), False),
        (Rule("drop", outer_dst="10.0.0.2"), True),
        (Rule("drop", outer_dst="192.0.2.77"), False),
        (Rule("drop", tunnel=False), False),
        (Rule("drop", outer_longer_than=107), True),
        (Rule("drop", outer_longer_than=108), False),
        (Rule("drop", payload_at_most=30), True),
        (Rule("drop", payload_at_most=29), False),
        (Rule("drop", outer_port_modulo=(8, 40000 % 8)), True),
        (Rule("drop", outer_port_modulo=(8, 1 + 40000 % 8)), False),
        (Rule("drop", after_s=1.0, until_s=2.0), True),
        (Rule("drop", after_s=1.5), False),
        (Rule("drop", until_s=1.0), False),
        (Rule("too-big", mtu=107), True),
        (Rule("too-big", mtu=108), False),
        (Rule("drop", any_fragment=True), False),
        (Rule("drop", outer_tos=(3, 0)), True),
        (Rule("drop", outer_tos=(3, 1)), False),
        (Rule("drop", tcp_flags=(2, 2)), False),
        (Rule("drop", new_after_s=0.5), True),
        (Rule("drop", new_after_s=1.5), False),
        (Rule("drop", faster_than=(1000.0, 50.0)), True),
        (Rule("drop", faster_than=(1000.0, 2000.0)), False),
    ],
)
def test_a_packet_is_dropped_where_all_conditions_hold(rule: Rule, lost: bool):
    assert fate(rule).lost is lost


def test_every_third_packet_is_dropped():
    memory = Memory(1)
    assert [fate(Rule("drop", every=3), memory=memory).lost for _ in range(6)] == [False, False, True] * 2


def test_only_the_first_packet_of_a_flow_is_dropped():
    memory = Memory(1)
    assert [fate(Rule("drop", first_of_flow=True), memory=memory).lost for _ in range(3)] == [
        True,
        False,
        False,
    ]


def test_the_same_seed_loses_the_same_packets_and_about_the_share_that_was_asked_for():
    first, second = (
        [fate(Rule("drop", probability=0.1), memory=memory).lost for _ in range(2000)]
        for memory in (Memory(5), Memory(5))
    )
    assert first == second
    assert 150 < sum(first) < 250


def test_bursts_lose_neighbours():
    memory = Memory(3)
    lost = [fate(Rule("drop", burst=(0.02, 0.25)), memory=memory).lost for _ in range(4000)]
    begun = sum(1 for before, now in itertools.pairwise(lost) if now and not before)
    assert 2.5 < sum(lost) / begun < 6


def test_a_router_that_drops_says_so_to_the_sender():
    told = fate(Rule("too-big", mtu=100, router="10.0.0.254"))
    assert told.forward == ()
    assert len(told.back) == 1


def test_a_packet_cut_to_its_first_piece_counts_as_lost():
    told = fate(Rule("fragment", mtu=100, keep="first"))
    assert (len(told.forward), told.lost) == (1, True)
    assert not fate(Rule("fragment", mtu=100)).lost


def test_what_is_done_adds_up_until_the_packet_is_dropped():
    told = fate(Rule("delay", delay_ms=5), Rule("duplicate"), Rule("drop"), Rule("delay", delay_ms=7))
    assert (told.acts, told.delay_ms, told.forward) == (("delay", "duplicate", "drop"), 5, ())


@pytest.mark.parametrize(
    ("where", "first"),
    [
        ("outer-udp-checksum", 40),
        ("outer-ip-checksum", 24),
        ("inner-ip-checksum", 74),
        ("inner-checksum", 90),
        ("inner-payload", 120),
    ],
)
def test_damage_is_where_it_was_asked_for(where: str, first: int):
    frame = tunnelled()
    (damaged,) = fate(Rule("corrupt", where=where)).forward
    changed = [i for i in range(len(frame)) if frame[i] != damaged[i]]
    assert changed == [first, first + 1]


def test_translation_keeps_the_checksums_right_and_the_inner_packet_untouched():
    (frame,) = fate(Rule("nat", address="203.0.113.9")).forward
    packet = wire.parse(frame, PORTS)
    assert packet.layers[0].src == "203.0.113.9"
    assert wire.checksum(frame[14:34]) == 0
    assert frame[50:] == tunnelled()[50:]


@pytest.mark.parametrize(
    ("where", "value", "at", "octets"),
    [
        ("vni", 4096, 46, b"\x00\x10\x00"),
        ("outer-sport", 7103, 34, b"\x1b\xbf"),
        ("outer-checksum", 0xFFFF, 40, b"\xff\xff"),
    ],
)
def test_a_field_is_rewritten_and_nothing_is_repaired(where: str, value: int, at: int, octets: bytes):
    frame = tunnelled()
    (rewritten,) = fate(Rule("rewrite", where=where, value=value)).forward
    assert rewritten == frame[:at] + octets + frame[at + len(octets) :]


def test_remarking_keeps_the_header_checksum_right():
    (frame,) = fate(Rule("rewrite", where="dscp", value=46)).forward
    assert frame[15] == 46 << 2
    assert wire.checksum(frame[14:34]) == 0


def test_later_fragments_are_met_by_the_rule_that_asks_for_them():
    pieces = wire.fragments(wire.parse(tunnelled(), PORTS), 100)
    dropped = [fate(Rule("drop", later_fragment=True), frame=piece).lost for piece in pieces]
    assert dropped == [False] + [True] * (len(pieces) - 1)


def test_packets_without_a_tunnel_are_left_alone_unless_asked_for():
    bare = udp_frame(b"x", dport=53)
    assert not fate(Rule("drop"), frame=bare).lost
    assert fate(Rule("drop", tunnel=False), frame=bare).lost


class TestSnooping:
    """The network carries a group to those that reported it, for a while."""

    RULE = Rule("snoop", tunnel=False, value=2)

    @staticmethod
    def to(dst: str, protocol: int, body: bytes) -> bytes:
        return b"\x01\0\x5e\0\0\1" + bytes(6) + b"\x08\0" + wire.ipv4_header(
            "192.0.2.9", dst, protocol, len(body), 7
        ) + body  # fmt: skip

    def passes(self, now_s: float, memory: Memory) -> bool:
        flooded = self.to("239.7.7.7", wire.UDP, bytes(8))
        return not fate(self.RULE, frame=flooded, now_s=now_s, memory=memory).lost

    def test_members_are_forgotten_unless_they_report(self):
        memory = Memory(1)
        assert [self.passes(now_s, memory) for now_s in (1.0, 2.0, 2.1)] == [True, True, False]

    @pytest.mark.parametrize(
        "body",
        [b"\x16\0\0\0" + bytes((239, 7, 7, 7)),
         b"\x22" + bytes(6) + b"\1" + b"\4\0\0\0" + bytes((239, 7, 7, 7))],
    )  # fmt: skip
    def test_a_report_of_the_target_renews_its_membership(self, body: bytes):
        memory = Memory(1)
        report = wire.parse(self.to("224.0.0.22", wire.IGMP, body), PORTS)
        assert not rules.apply((self.RULE,), report, "node2>node1", 3.0, memory).lost
        assert [self.passes(now_s, memory) for now_s in (5.0, 5.1)] == [True, False]

    def test_what_goes_to_a_host_passes(self):
        assert not fate(self.RULE, frame=udp_frame(b"x", dport=53), now_s=99.0).lost


def test_a_policer_lets_a_burst_pass_and_then_its_rate():
    """The frame has 122 octets; the bucket holds two, and one more each second."""
    memory, rule = Memory(1), Rule("drop", faster_than=(122.0, 250.0))
    lost = [fate(rule, now_s=s, memory=memory).lost for s in (1.0, 1.0, 1.0, 2.1, 2.1)]
    assert lost == [False, False, True, False, True]


def test_a_router_takes_hops_and_says_when_none_is_left():
    alive = fate(Rule("expire", hops=3, router="10.9.9.9"))
    assert (
        wire.parse(alive.forward[0], PORTS).frame[14 + 8] == wire.parse(tunnelled(), PORTS).frame[14 + 8] - 3
    )
    gone = fate(Rule("expire", hops=200, router="10.9.9.9"))
    assert gone.lost
    error = wire.parse(gone.back[0], PORTS).layers[0]
    assert (error.src, error.protocol, gone.back[0][error.payload_at]) == ("10.9.9.9", wire.ICMP, 11)
