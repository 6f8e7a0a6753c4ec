"""What data people take with them: frames of everything, names, one time, types that add up."""

from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest

import vxlanalyze as vx
from vxlanalyze.api.records import Records

SAMPLES = Path(__file__).parents[2] / "sample_pcaps"


@pytest.fixture(scope="module")
def seed():
    folder = SAMPLES / "seed"
    return vx.compare(folder / "node1.pcap.gz", folder / "node2.pcap.gz", kube=folder / "kube.json")


@pytest.fixture(scope="module")
def points():
    return vx.compare(*sorted((SAMPLES / "four-points").glob("*.pcap.gz")))


def test_packets_and_flows_have_names(seed):
    for frame in (seed.packets, seed.flows):
        assert set(frame["src_name"]) == {"default/jupyterlab-0"}
        assert set(frame["protocol_name"]) == {"udp"}


def test_names_are_null_without_a_cluster(points):
    assert points.packets["src_name"].isna().all()
    assert not points.packets["protocol_name"].isna().any()


def test_one_time_for_all_points(points):
    """By its own clock, the third point is 31 ms ahead."""
    first = points.packets.groupby("direction", observed=True)[["time", "sent_time"]].min()

    assert (first["time"].max() - first["time"].min()) < pd.Timedelta("5ms")
    assert (first["sent_time"].max() - first["sent_time"].min()) > pd.Timedelta("20ms")
    assert not points.packets["time"].isna().any()


def test_groups_are_only_those_that_are_there(seed):
    assert seed.packets.groupby("outcome", observed=False).size().to_dict() == {"lost": 9}


def test_figures_of_hops_as_columns_with_units(seed):
    frame = seed.hops.to_frame()

    assert frame["lost"].tolist() == [9, 0]
    assert frame["loss_ratio"].iloc[0] == 1.0
    assert {"delay_p99_ns", "delay_uncertainty_ns"} <= set(frame)
    assert frame["sent"].dtype == pd.Int64Dtype()


def test_the_frames_say_what_the_records_say(seed):
    assert seed.services.to_frame()["unanswered"].sum() == sum(s["unanswered"] for s in seed.services)
    assert seed.findings.to_frame()["code"].tolist() == [finding.code for finding in seed.findings]
    assert seed.captures.to_frame()["packets"].tolist() == [capture["packets"] for capture in seed.captures]


def test_a_record_that_lacks_nested_figures_leaves_no_column_of_its_own():
    time = {"exchanges": 3, "server": {"p50": 7, "p99": None}}
    frame = Records([{"client": "a", "time_ns": time}, {"client": "b", "time_ns": None}]).to_frame()

    assert list(frame) == ["client", "time_exchanges", "time_server_p50_ns", "time_server_p99_ns"]
    assert frame["time_exchanges"].tolist() == [3, pd.NA]


def test_words_among_the_evidence_have_no_unit_in_their_column(seed):
    columns = seed.findings.to_frame().columns

    assert {"lost [packets]", "first_lost"} <= set(columns)
    assert not [name for name in columns if "[]" in name]


def test_arrow_for_other_engines(seed):
    table = seed.to_arrow("flows")

    assert isinstance(table, pa.Table)
    assert hasattr(table, "__arrow_c_stream__")
    assert table.num_rows == len(seed.flows)
    with pytest.raises(vx.UsageError, match="did you mean packets"):
        seed.to_arrow("packet")


def test_a_summary_of_plain_values(seed):
    summary = seed.summary()

    assert summary["findings"]["path-blocked@node1>node2"] == "critical"
    assert summary["directions"]["node1>node2"]["lost"] == 9
    assert summary["unanswered"] == 9


def test_a_pod_by_its_name(seed):
    folder = SAMPLES / "seed"
    pair = folder / "node1.pcap.gz", folder / "node2.pcap.gz"
    named = vx.compare(*pair, kube=folder / "kube.json", only=["host=jupyterlab-0"])
    other = vx.compare(*pair, kube=folder / "kube.json", only=["host=default/jupyterlab-0"])

    assert named.hops == other.hops == seed.hops
    with pytest.raises(vx.UsageError, match="--kube names pods"):
        vx.compare(*pair, only=["host=jupyterlab-0"])


def test_a_time_of_day(seed):
    folder = SAMPLES / "seed"
    pair = folder / "node1.pcap.gz", folder / "node2.pcap.gz"
    late = vx.compare(*pair, since="00:54:15")

    assert late.hops[0]["sent"] == int((seed.packets["sent_time"] >= "2026-11-24T00:54:15Z").sum())
    assert 0 < late.hops[0]["sent"] < 9


class TestRequests:
    """The table of requests, each with its time divided."""

    FOLDER = Path(__file__).parents[1] / "captures"

    def requests(self, name: str):
        return vx.compare(self.FOLDER / name / "node1.pcap.gz", self.FOLDER / name / "node2.pcap.gz").requests

    def test_the_server_is_told_from_the_path(self):
        table = self.requests("server-far-away-thinks")
        data = table[table["message"].isna()]

        assert len(data) == 5
        assert data["server_ns"].between(600_000_000, 650_000_000).all()
        assert data["forward_ns"].between(58_000_000, 64_000_000).all()
        parts = data[["forward_ns", "server_ns", "reverse_ns", "transfer_ns"]].sum(axis=1)
        assert (parts == data["latency_ns"]).all()

    def test_http_requests_are_named_and_their_frames_are_theirs(self):
        table = self.requests("healthy-light")
        pages = table[table["message"] == "GET /small"]

        assert len(pages) == 5
        assert set(table["protocol"]) == {"dns", "tcp"}
        assert (pages["answer_frame"] > pages["request_frame"]).all()

    def test_one_capture_gives_no_rows(self):
        table = vx.compare(self.FOLDER / "healthy-light" / "node1.pcap.gz").requests

        assert len(table) == 0
        assert "server_ns" in table
