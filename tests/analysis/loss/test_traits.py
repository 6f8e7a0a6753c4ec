"""Flows are sorted by what they have in common, and each class has a name that people understand."""

import numpy as np
import pytest

from tests.simulate import NODE2, POD1, POD2, TCP, UDP, Flow, Traffic, comparison, ping
from vxlanalyze.analysis.loss import affected, traits
from vxlanalyze.analysis.loss.traits import Trait
from vxlanalyze.kubernetes.model import Cluster, Pod


def flows_of(*flows):
    return comparison([Traffic(f, packets=1) for f in flows]).points[0].flows


def names(trait, *flows, cluster=None):
    table = flows_of(*flows)
    sorted_by = traits.classes(table, np.arange(len(table)))[trait]
    return sorted(affected.name(table, sorted_by, i, cluster or Cluster()) for i in range(len(sorted_by)))


WEB = [Flow(protocol=TCP, sport=40000 + i, dport=8080) for i in range(3)]


@pytest.mark.parametrize(
    ("trait", "expected"),
    [
        (Trait.PROTOCOL, ["ICMP", "TCP", "UDP"]),
        (
            Trait.SERVICE,
            [
                "ICMP echo request to 10.233.65.20",
                "TCP port 8080 of 10.233.65.20",
                "UDP port 53 of 10.233.65.20",
            ],
        ),
        (Trait.PORT, ["ICMP echo request", "TCP port 8080", "UDP port 53"]),
        (Trait.DESTINATION, ["everything to 10.233.65.20"]),
        (Trait.SOURCE, ["everything from 10.233.64.10"]),
        (Trait.TUNNEL_ENDPOINT, ["172.26.50.201 port 8472"]),
    ],
)
def test_classes_and_their_names(trait, expected):
    assert names(trait, *WEB, Flow(dport=53), ping()) == expected


def test_each_outer_source_port_is_a_class():
    assert names(Trait.OUTER_PORT, Flow(outer_sport=5), Flow(sport=1, outer_sport=6)) == ["5", "6"]


def test_the_cluster_names_the_server():
    cluster = Cluster(pods=(Pod("dns-0", "kube-system", "node2", (POD2,)),))
    named = names(Trait.SERVICE, Flow(dport=53), cluster=cluster)
    assert named == ["UDP port 53 of 10.233.65.20 (kube-system/dns-0)"]


def test_answers_belong_to_the_service_that_gives_them():
    answers = [f.reverse() for f in WEB]
    assert names(Trait.SERVICE, *answers) == ["answers from TCP port 8080 of 10.233.65.20"]


def test_a_service_above_its_clients_ports_is_known_by_its_many_clients():
    """gRPC's usual port lies in the range that Linux gives to clients."""
    calls = [Flow(protocol=TCP, sport=33000 + i, dport=50051) for i in range(5)]
    assert names(Trait.SERVICE, *calls) == ["TCP port 50051 of 10.233.65.20"]


def test_one_flow_alone_is_served_by_the_smaller_port():
    assert names(Trait.SERVICE, Flow(protocol=UDP, sport=123, dport=40000)) == [
        "answers from UDP port 123 of 10.233.64.10"
    ]


def test_ipv6_and_ipv4_addresses_are_different():
    six = Flow(src="fd00::1", dst="fd00::2", dport=53)
    assert names(Trait.DESTINATION, Flow(dport=53), six) == [
        "everything to 10.233.65.20",
        "everything to fd00::2",
    ]


def test_flows_of_the_other_direction_have_no_class():
    table = flows_of(Flow(), Flow(src=POD2, dst=POD1, outer_src=NODE2))
    assert traits.classes(table, np.array([0]))[Trait.SOURCE].of_flow.tolist() == [0, -1]


def test_uncommon_protocols_are_named_by_number():
    assert affected.protocol_name(89) == "protocol 89"
