"""Loss inside a node stands in the picture, the table and the list of hops."""

from pathlib import Path

import pytest

import vxlanalyze as vx
from vxlanalyze.report import inside_hops
from vxlanalyze.report.formats import as_html, as_markdown, as_text

CAPTURES = Path(__file__).parents[1] / "captures"
LABEL = "node2>node2/if4"


@pytest.fixture(scope="module")
def result() -> vx.Comparison:
    return vx.compare(*sorted((CAPTURES / "any-policy-inside-receiver").glob("*.pcap.gz")))


def test_the_list_of_hops_has_it_after_those_between_captures(result):
    labels = [hop["direction"] for hop in result.hops]
    assert labels[:2] == ["node1>node2", "node2>node1"]
    (inside,) = (hop for hop in result.hops if hop["direction"] == LABEL)
    assert (inside["sent"], inside["lost"]) == (86, 44)


def test_text_html_and_markdown_show_it(result):
    assert f"inside node2, {LABEL}: 86 sent, 44 lost (51.2 %)" in as_text.render(result.report)
    html = as_html.render(result.report)
    assert "44 lost inside" in html
    assert html.count("node2/if4") > 1
    assert "node2\\>node2/if4 | 86 | 42 | 44" in as_markdown.render(result.report)


def test_healthy_hops_inside_are_not_drawn():
    healthy = vx.compare(*sorted((CAPTURES / "any-healthy").glob("*.pcap.gz")))
    assert healthy.report.inside
    assert not inside_hops.losing(healthy.report)
    assert "inside node2" not in as_text.render(healthy.report)


def test_expectations_may_bound_it(result):
    allowed = {"allow": ["flow-blocked", "endpoint-silent"]}
    vx.check(result, {**allowed, "bounds": {LABEL: {"loss_ratio": {"max": 0.6}}}})
    with pytest.raises(AssertionError, match="loss_ratio"):
        vx.check(result, {**allowed, "bounds": {LABEL: {"loss_ratio": {"max": 0.1}}}})
