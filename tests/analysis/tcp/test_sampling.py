"""With very many connections time is divided for those with most packets alone, and this is said."""

from pathlib import Path

import pytest

import vxlanalyze as vx
from vxlanalyze.analysis.tcp import connections
from vxlanalyze.report.formats import as_text

RECORDED = Path(__file__).parents[2] / "captures" / "reset-by-the-node-of-long-messages"
CAPTURES = [RECORDED / f"{node}.pcap.gz" for node in ("node1", "node2")]


@pytest.fixture
def few(monkeypatch):
    """As if the limit were three connections."""
    monkeypatch.setattr(connections, "MOST_CONNECTIONS", 3)
    monkeypatch.setattr(as_text, "MOST_CONNECTIONS", 3)


def test_the_connections_with_most_packets_are_divided_exactly(few, monkeypatch):
    sampled = vx.compare(*CAPTURES)
    monkeypatch.undo()
    whole = vx.compare(*CAPTURES)
    columns = ["client", "server", "active_ns", "idle_ns"]
    chosen, every = (result.slow().reindex(columns=columns) for result in (sampled, whole))

    assert len(chosen) == 3 < len(every)
    assert set(map(tuple, chosen.to_numpy())) <= set(map(tuple, every.to_numpy()))


def test_the_report_says_that_it_is_a_sample(few):
    result = vx.compare(*CAPTURES)
    text = " ".join(as_text.render(result.report).split())

    assert result.report.connections_total > 3
    assert f"Time was divided for 3 of {result.report.connections_total} TCP connections" in text
