"""The incident itself, captured with -i any: the DNS pod of one's own node answers, the other never does."""

import dpkt
import pytest

from tests.diagnostics.frames import cooked, in_vxlan, pcap, udp
from vxlanalyze import wire
from vxlanalyze.analysis.finding import Finding
from vxlanalyze.analysis.requests.services import services
from vxlanalyze.capture import open_sources
from vxlanalyze.diagnostics import diagnose
from vxlanalyze.diagnostics.symptoms.dns_unanswered import check
from vxlanalyze.pairing import pair
from vxlanalyze.pairing.model import Comparison

CLIENT, NEAR, FAR = "10.233.64.10", "10.233.64.125", "10.233.65.250"
NIC, CLIENT_VETH, DNS_VETH = 2, 4, 6
TO_US, OUTGOING = 0, 4


def message(number: int, *, answer: bool) -> bytes:
    question = dpkt.dns.DNS.Q(name="kubernetes.default.svc.cluster.local")
    return bytes(dpkt.dns.DNS(id=number, op=0x8180 if answer else 0x0100, qd=[question]))


@pytest.fixture
def compared(tmp_path) -> Comparison:
    near_frames: list[tuple[float, bytes]] = []
    for i in range(6):
        to_far = udp(message(i + 1, answer=False), CLIENT, FAR, 41000 + i, 53)
        at = float(i)
        near_frames += [
            (at, cooked(to_far, CLIENT_VETH, TO_US)),
            (at + 0.00002, cooked(in_vxlan(to_far)[14:], NIC, OUTGOING)),
        ]
        to_near = udp(message(i + 101, answer=False), CLIENT, NEAR, 42000 + i, 53)
        back = udp(message(i + 101, answer=True), NEAR, CLIENT, 53, 42000 + i)
        near_frames += [
            (at + 0.5, cooked(to_near, CLIENT_VETH, TO_US)),
            (at + 0.50001, cooked(to_near, DNS_VETH, OUTGOING)),
            (at + 0.5003, cooked(back, DNS_VETH, TO_US)),
            (at + 0.50032, cooked(back, CLIENT_VETH, OUTGOING)),
        ]
    near_frames.append((20.0, cooked(udp(b"", "172.26.50.200", "172.26.50.1", 9, 9), NIC, OUTGOING)))
    far_frames = [(20.0, cooked(udp(b"", "172.26.50.201", "172.26.50.1", 9, 9), NIC, OUTGOING))]
    paths = [pcap(tmp_path / "node1.pcap", near_frames), pcap(tmp_path / "node2.pcap", far_frames)]
    sources = open_sources([str(p) for p in paths])
    return pair([(s, wire.decode(s)) for s in sources])


def test_the_symptom_is_said_in_the_words_of_who_saw_it(compared):
    (finding,) = check(compared)

    assert isinstance(finding, Finding)
    assert finding.direction == "node1>node2"
    assert finding.summary == (
        "One DNS pod always answers, the other never: 10.233.65.250 answered none of 6 DNS queries, "
        "10.233.64.125 all 6"
    )
    assert "names resolve intermittently" in finding.explanation
    assert "kubernetes.default.svc.cluster.local" in finding.explanation


def test_both_pods_are_counted_where_the_client_stands(compared):
    told = {f.server: (f.requests, f.answered, compared.points[f.point].name) for f in services(compared)}

    assert told == {FAR: (6, 0, "node1/if4"), NEAR: (6, 6, "node1/if4")}


def test_the_first_answer_is_the_path_and_the_queries_are_its_consequence(compared):
    findings = diagnose(compared).findings

    assert findings[0].key == "path-blocked@node1>node2"
    assert {f.code: f.because for f in findings}["dns-unanswered"] == "path-blocked@node1>node2"
    assert "not-encapsulated" not in {f.code for f in findings}
