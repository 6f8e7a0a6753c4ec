"""The columns of `flows` that say how the time of a connection divides, and what is said of a sample."""

from dataclasses import replace

import pytest

from tests.analysis.tcp.test_division import one_request
from tests.diagnostics.performance.streams import handshake, rounds
from tests.simulate import Traffic, comparison
from vxlanalyze.analysis.tcp import connections as module
from vxlanalyze.analysis.tcp.division import WAITED_FOR
from vxlanalyze.diagnostics import diagnose
from vxlanalyze.export.columns import WAITING
from vxlanalyze.export.tables import flows_frame
from vxlanalyze.report.build import build
from vxlanalyze.report.formats import as_text

MS = 1_000_000


def test_shares_add_up_and_are_of_the_connection():
    table = flows_frame(one_request())
    shares = table[[f"share_{name}" for name in WAITED_FOR]]

    assert shares.sum(axis=1).tolist() == pytest.approx([1.0, 1.0])
    assert shares.iloc[0].tolist() == shares.iloc[1].tolist()
    assert table["share_server"].iloc[0] == pytest.approx(300 / 440, abs=0.01)
    assert table["active_ns"].iloc[0] == pytest.approx(440 * MS, rel=0.01)


def test_what_is_of_a_flow_is_its_own():
    table = flows_frame(one_request()).set_index("direction")

    assert table.loc["node2>node1", "think_p50_ns"] == 300 * MS
    assert table["rtt_min_ns"].min() == 40 * MS
    assert table.loc["node1>node2", "resent_ratio"] == 0.0


def test_data_in_flight_is_counted_until_it_is_acknowledged():
    there, back = handshake()
    data, acks = rounds(20, 10, 60_000 >> 7)
    table = flows_frame(comparison([*there, data], [*back, acks])).set_index("direction")

    assert table.loc["node1>node2", "share_in_flight"] > 0.9
    assert table.loc["node2>node1", "share_in_flight"] == 0.0


def test_flows_without_tcp_have_none_of_them():
    table = flows_frame(comparison([Traffic()], [Traffic()]))

    assert table[[column.name for column in WAITING]].isna().all(axis=None)


def test_a_handshake_that_was_not_seen_leaves_windows_open():
    data, acks = rounds(20, 10, 500)
    table = flows_frame(comparison([data], [acks])).set_index("direction")

    assert table["window_max_bytes"].isna().all()
    assert table["window_p50_bytes"].isna().all()
    assert table["active_ns"].notna().all()


def test_a_sample_of_connections_is_called_one(monkeypatch):
    pair = one_request()
    report = build(pair, diagnose(pair), plots=False)
    many = replace(report, connections_total=module.MOST_CONNECTIONS + 1)

    assert "Time was divided" not in as_text.render(report)
    assert "Time was divided for 20,000 of 20,001 TCP connections, those with" in as_text.render(many)
