"""YAML is shortened by what is never read, and refused where parsing it would take long."""

import json

import pytest

from vxlanalyze.errors import UsageError
from vxlanalyze.kubernetes import objects as reading
from vxlanalyze.kubernetes.yaml_text import has_more_values, without_unused

POD = """\
apiVersion: v1
kind: List
items:
- apiVersion: v1
  kind: Pod
  metadata:
    managedFields:
    - apiVersion: v1
      fieldsV1:
        f:metadata:
          f:labels: {}
    name: web
  spec:
    containers:
    - env:
      - name: A
        value: b
      name: web
      ports:
      - containerPort: 8080
        name: http
    nodeName: node1
    volumes:
      - name: indented
  status:
    podIP: 10.42.0.7
"""


def test_what_is_left_is_what_is_read():
    text = without_unused(POD)
    ((_, pod),) = reading.objects("pods.yaml", text)

    assert pod["metadata"] == {"managedFields": None, "name": "web"}
    assert pod["spec"]["containers"][0]["ports"] == [{"containerPort": 8080, "name": "http"}]
    assert (pod["spec"]["nodeName"], pod["status"]["podIP"]) == ("node1", "10.42.0.7")
    assert len(text.splitlines()) == len(POD.splitlines())
    assert "fieldsV1" not in text
    assert "indented" not in text


def test_a_large_list_has_all_its_objects():
    item = POD[POD.index("- apiVersion") :]
    many = POD[: POD.index("- apiVersion")] + item * 300

    assert len(many) > 64 << 10
    assert len(list(reading.objects("pods.yaml", many))) == 300


@pytest.mark.parametrize("line", ["- - - - -", "a: {b: {c: [1, 2]}}", "a: 1"])
def test_more_values_than_can_be_parsed_in_time_are_refused(line, monkeypatch):
    monkeypatch.setattr(reading, "_MOST_VALUES", 1000)
    with pytest.raises(UsageError, match=r"^x\.yaml: too much YAML to parse; save it with -o json$"):
        list(reading.objects("x.yaml", "items:\n" + f"{line}\n" * 1001))

    assert not has_more_values(json.dumps({"a": 1}), 3)
