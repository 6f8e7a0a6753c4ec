"""What a node translates between a pod and the tunnel is named, with the service where the user gave it."""

from dataclasses import replace

import numpy as np

from tests.simulate import TCP, Flow, Traffic, comparison
from vxlanalyze.analysis.finding import Severity
from vxlanalyze.diagnostics.translation import service_translation
from vxlanalyze.kubernetes.model import Cluster, Service

SENT = Flow(protocol=TCP, sport=41000, dport=80, dst="10.96.0.10")
BACKEND = replace(SENT, dst="10.233.65.20", dport=8080)


def assess(*traffic, cluster=None, translated=None):
    pair = comparison(list(traffic), cluster=cluster)
    known = [t.flow.identity for t in traffic] if translated is None else translated
    return service_translation.check(replace(pair, translated=np.array(known, np.uint64)))


def test_a_service_is_found():
    (finding,) = assess(Traffic(SENT, received_flow=BACKEND, packets=30))

    assert finding.severity is Severity.INFO
    assert finding.direction == "node1>node2"
    assert "destination 10.96.0.10:80 becomes 10.233.65.20:8080: 30 packets of 1 flow" in finding.summary
    assert finding.frames["node1"].tolist() == finding.frames["node2"].tolist() == list(range(1, 31))
    assert "# conntrack -L | grep -w 10.96.0.10" in finding.remedy
    assert "--kube would name the service" in finding.explanation


def test_a_masquerade_is_found_with_its_ports():
    masked = replace(SENT, src="10.233.64.1", sport=52000)
    (finding,) = assess(Traffic(SENT, received_flow=masked, packets=3))
    assert "source 10.233.64.10 becomes 10.233.64.1" in finding.summary
    assert "1 of them with another port" in finding.explanation


def test_the_cluster_names_the_service():
    service = Service("web", "shop", ("10.96.0.10",), (("tcp", 80),), ("10.233.65.20:8080",))
    (finding,) = assess(Traffic(SENT, received_flow=BACKEND), cluster=Cluster(services=(service,)))
    assert (
        "10.96.0.10:80 is service shop/web, and 10.233.65.20:8080 is one of its backends"
        in finding.explanation
    )


def test_a_backend_that_the_service_does_not_have_is_said():
    service = Service("web", "shop", ("10.96.0.10",), (("tcp", 80),), ("10.233.65.99:8080",))
    (finding,) = assess(Traffic(SENT, received_flow=BACKEND), cluster=Cluster(services=(service,)))
    assert "10.233.65.20:8080 is none of its 1 backend" in finding.explanation


def test_it_is_clear_where_nothing_is_translated():
    assert assess(Traffic(SENT), translated=[]) == []
    assert assess(Traffic(SENT)) == []  # known elsewhere, the same at both points here


def test_it_cannot_tell_where_nothing_arrived():
    assert assess(Traffic(SENT, received_flow=BACKEND, lost=True)) == []


def test_it_is_not_fooled_by_a_rewritten_outer_address():
    assert assess(Traffic(SENT, received_flow=replace(SENT, outer_src="172.26.50.9"))) == []
