"""Outer fragments: marked one by one, and put together where all of a datagram was captured.

| section | statement | test |
| --- | --- | --- |
| RFC 791 3.2 | pieces of equal addresses, protocol and identification, in any order | test_put_together_in_any_order |
| RFC 8200 4.5 | the same for IPv6, by the fragment header | test_put_together_over_ipv6 |
| RFC 5722 4 | overlapping fragments make a datagram unusable | test_overlapping_pieces |
| RFC 7348 4.3 | fragments of tunnel packets occur, whatever it says | all of these |
"""

import itertools

import pytest

from tests.wire import build
from tests.wire.decoding import assert_row, index, row
from vxlanalyze.wire.model import NO_FLOW, Anomaly, Decoded

PAYLOAD = bytes(range(100))
WHOLE = build.vxlan(
    build.ethernet(build.ipv4(build.udp(PAYLOAD, build.POD1, build.POD2), src=build.POD1, dst=build.POD2))
)
DATAGRAM = WHOLE[20:]
MORE = 0x2000


def pieces(*edges: int, ip_id: int = 7) -> list[bytes]:
    """Cut the datagram at multiples of 8."""
    bounds = [0, *edges, len(DATAGRAM)]
    found = []
    for begin, end in itertools.pairwise(bounds):
        fragment = begin // 8 | (MORE if end < len(DATAGRAM) else 0)
        found.append(build.ethernet(build.ipv4(DATAGRAM[begin:end], fragment=fragment, ip_id=ip_id)))
    return found


def reassembled(decoded: Decoded) -> list[bool]:
    return (decoded.index.anomalies & int(Anomaly.REASSEMBLED) > 0).tolist()


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))), ids=str)
def test_put_together_in_any_order(order: tuple[int, ...]) -> None:
    cut = pieces(48, 120)
    found = index([cut[at] for at in order])
    plain = index([build.ethernet(WHOLE)])
    first = order.index(0)

    assert reassembled(found) == [at == first for at in range(3)]
    for name in ("length", "payload_length", "digest", "digest_length", "ip_id", "outer_length", "checks"):
        assert getattr(found.index, name)[first] == getattr(plain.index, name)[0], name
    assert found.flows.identity[found.index.flow[first]] == plain.flows.identity[0]
    assert found.fragments.complete.all()
    assert found.fragments.group.tolist() == [0, 0, 0]
    assert [flow == NO_FLOW for flow in found.index.flow] == [at != first for at in range(3)]


def test_put_together_over_ipv6() -> None:
    datagram = build.udp(DATAGRAM[8:], build.NODE1_6, build.NODE2_6, dport=4789)
    header = bytes([build.UDP, 0])
    frames = [
        build.ethernet(
            build.ipv6(header + (begin | more).to_bytes(2, "big") + b"\0\0\1\2" + datagram[begin:end], 44),
            build.IPV6,
        )
        for begin, end, more in ((0, 80, 1), (80, len(datagram), 0))
    ]
    found = index(frames)

    assert reassembled(found) == [True, False]
    assert found.flows.vni[found.index.flow[0]] == 100
    assert found.fragments.ip_id.tolist() == [0x0102, 0x0102]


def test_first_fragment_alone_is_decoded_as_far_as_it_goes() -> None:
    first, second, _ = pieces(80, 120)

    assert_row(
        row(first),
        vni=100,
        src=build.POD1,
        dport=7000,
        outer_more_fragments=True,
        outer_checksum_state="unverifiable",
        anomalies=["first_fragment"],
    )
    assert_row(
        row(second),
        outer_fragment_offset=80,
        outer_sport=None,
        tunnel=None,
        anomalies=["later_fragment"],
    )


def test_two_copies_are_two_datagrams() -> None:
    found = index([*pieces(48), *pieces(48)])

    assert reassembled(found) == [True, False, True, False]
    assert found.fragments.group.tolist() == [0, 0, 1, 1]


def test_other_identification_is_another_datagram() -> None:
    found = index([pieces(48)[0], pieces(48, ip_id=8)[1]])

    assert not any(reassembled(found))
    assert not found.fragments.complete.any()


def test_overlapping_pieces() -> None:
    whole, longer = pieces(48), pieces(56)

    assert not any(reassembled(index([longer[0], whole[1]])))


def test_piece_that_never_ends() -> None:
    """The largest offset there is, and a length beyond what a datagram can have."""
    first = pieces(48)[0]
    last = build.ethernet(build.ipv4(bytes(200), fragment=0x1FFF))

    assert not any(reassembled(index([first, last])))


def test_a_datagram_of_too_many_pieces_takes_the_rest_and_is_never_complete() -> None:
    """Its pieces are not compared any more, so that a flood of them costs what others do."""
    flood = [
        build.ethernet(build.ipv4(bytes(16), fragment=MORE | at, ip_id=7)) for at in [*range(300), 5, 5, 299]
    ]
    found = index([*flood, *pieces(48)])

    assert not found.fragments.complete.any()
    assert set(found.fragments.group.tolist()) == {0}
    assert not any(reassembled(found))


def test_reassembled_tunnel_packet_shows_what_its_checksum_says() -> None:
    """Over all pieces it can be verified, which it could not over one."""
    spoiled = pieces(48)
    damaged = spoiled[1][:-1] + bytes([spoiled[1][-1] ^ 1])
    good, bad = index(spoiled), index([spoiled[0], damaged])

    assert good.index.checks[0] != bad.index.checks[0]
    assert good.index.digest[0] != bad.index.digest[0]
