"""A silent service whose pods are on the client's own node: found by the cluster's tables, and only so."""

import json

import pytest

import vxlanalyze as vx
from tests.reported.pairs.k03_services import backend_here


def result(folder, kube=True, change=lambda text: text, silent=True):
    w = backend_here(305, silent=silent)
    captures = sorted(c.write(folder) for c in w.run().captures)
    path = folder / "kube.json"
    path.write_text(change(json.dumps(w.cluster())))
    return vx.compare(*captures, kube=path if kube else None)


def found(result):
    return [f for f in result.findings if f.code == "endpoint-silent"]


def test_the_service_its_pod_and_the_node_are_named(tmp_path):
    (one,) = found(result(tmp_path))
    assert one.direction is None
    assert "default/near (10.43.0.99:8443) answered none of 28 requests" in one.summary
    assert "the client's own node 2-node" in one.summary


def test_a_service_that_answers_is_clear(tmp_path):
    assert not found(result(tmp_path, silent=False))


def test_without_the_clusters_tables_it_dies_between_the_pod_and_the_card(tmp_path):
    without = result(tmp_path, kube=False)
    assert not found(without)
    assert "one on the same node" in without.findings["flow-blocked"].remedy


def elsewhere(text):
    """The tables place the pod on the other node."""
    items = json.loads(text)
    for item in items["items"]:
        if item["kind"] == "Pod" and "near" in item["metadata"]["name"]:
            item["spec"]["nodeName"] = "3-node"
    return json.dumps(items)


def nowhere(text):
    """The tables know no pod behind the service."""
    kube = json.loads(text)
    kube["items"] = [i for i in kube["items"] if i["kind"] != "Pod" or "near" not in i["metadata"]["name"]]
    return json.dumps(kube)


@pytest.mark.parametrize("change", [elsewhere, nowhere])
def test_a_pod_elsewhere_or_nowhere_is_another_matter(tmp_path, change):
    assert not found(result(tmp_path, change=change))
