"""Tables of connections and services decide or confine which translated flow is which."""

import numpy as np
import pytest

from tests.pairing.translated_world import TranslatedWorld
from vxlanalyze.kubernetes.model import Cluster, Fact, Service, endpoint_text
from vxlanalyze.pairing import known_translations, translation
from vxlanalyze.pairing.known_translations import Between, Endpoint, FiveTuple
from vxlanalyze.wire.addresses import text

NAMES = {6: "tcp", 17: "udp"}
CLIENT, SERVICE, BACKEND = ("10.1.0.5", 40000), ("10.96.0.7", 80), ("10.2.0.9", 8080)


def ends(flows, row):
    src, dst = text(np.stack([flows.src[row], flows.dst[row]]), np.repeat(flows.family[row], 2))
    return str(src), str(dst), int(flows.sport[row]), int(flows.dport[row])


def tracked(pod, nic, truth):
    """A table of connections, as ``conntrack -L`` gives it, of the true pairs."""
    rows = []
    for mine, theirs in truth.items():
        protocol = int(pod.flows.protocol[mine])
        if protocol in NAMES:
            src, dst, sport, dport = ends(pod.flows, mine)
            there = ends(nic.flows, theirs)
            rows.append(
                {"protocol": NAMES[protocol], "src": src, "dst": dst,
                 "sport": str(sport), "dport": str(dport), "reply_src": there[1], "reply_dst": there[0],
                 "reply_sport": str(there[3]), "reply_dport": str(there[2])}
            )  # fmt: skip
    return Cluster(facts=(Fact("node1", "connections", "conntrack.txt", tuple(rows)),))


@pytest.mark.parametrize("seed", range(12))
def test_tracked_connections_are_all_found_whatever_their_packets_show(seed):
    world = TranslatedWorld(seed)
    pod, nic = world.play()
    for side in (pod, nic):  # nothing that tells packets apart is left but TCP's numbers
        side.index.ip_id[:] = 0
        side.index.digest[:] = 0
    told = translation.joined([pod, nic], tracked(pod, nic, world.truth)).decoded[0].flows.identity
    ported = [n for n in world.truth if int(pod.flows.protocol[n]) in NAMES]
    assert told[ported].tolist() == [int(nic.flows.identity[world.truth[n]]) for n in ported]


def test_a_table_of_other_connections_changes_nothing():
    world = TranslatedWorld(3)
    pod, nic = world.play()
    without = translation.joined([pod, nic]).decoded[0].flows.identity
    other = Cluster(services=(Service("x", "y", ("10.99.0.1",), (("tcp", 80),), ("10.99.7.7:80",)),))
    assert (translation.joined([pod, nic], other).decoded[0].flows.identity == without).all()


def one(*backends: tuple[str, int]) -> Between:
    service = Service(
        "shop", "default", (SERVICE[0],), (("tcp", SERVICE[1]),), tuple(endpoint_text(*b) for b in backends)
    )
    near = {1: FiveTuple(6, Endpoint(*CLIENT), Endpoint(*SERVICE))}
    far = {
        n: FiveTuple(6, Endpoint("10.1.0.1", 1000 + n), Endpoint("10.2.0.9", 9000 + n))
        for n in range(64, 128)
    }
    far[7] = FiveTuple(6, Endpoint("10.1.0.1", 999), Endpoint(*BACKEND))
    return Between.named(known_translations.of(Cluster(services=(service,))), near, far)


def test_a_service_weighs_for_its_backends_and_against_all_others():
    told = one(BACKEND)
    assert told.bits(1, 7, -26.0) == pytest.approx(np.log2(len(told.far)))
    assert told.bits(1, 64, -26.0) == -26.0


def test_a_service_without_known_backends_weighs_nothing():
    assert one().bits(1, 7, -26.0) == 0.0
