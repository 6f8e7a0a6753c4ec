"""The library as its users call it."""

import json
import os

import dpkt
import pandas as pd
import pytest

import vxlanalyze as vx
from tests.capture import build
from tests.command.conftest import HEALTHY, SEED
from vxlanalyze import pairing

SEED_PAIR = (SEED / "node1.pcap.gz", SEED / "node2.pcap.gz")
HEALTHY_PAIR = (HEALTHY / "node1.pcap.gz", HEALTHY / "node2.pcap.gz")


@pytest.fixture(scope="module")
def seed():
    return vx.compare(*SEED_PAIR, kube=SEED / "kube.json")


@pytest.fixture(scope="module")
def healthy():
    return vx.compare(*HEALTHY_PAIR)


def test_everything_that_is_public_is_there():
    assert all(getattr(vx, name) is not None for name in vx.__all__)
    assert set(vx.__all__) <= set(dir(vx))


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'compair'"):
        vx.compair  # noqa: B018


def test_findings_are_looked_up_by_code_and_direction(seed):
    found = seed.findings["path-blocked"]

    assert found is seed.findings[0]
    assert found == seed.findings["path-blocked@node1>node2"]
    assert (found.severity, found.direction, found.because) == ("critical", "node1>node2", None)
    assert "path-blocked" in seed.findings
    assert "mtu-blackhole" not in seed.findings
    assert seed.findings.codes[0] == "path-blocked"


def test_a_code_that_was_not_found_is_a_key_error_that_names_the_nearest(seed):
    with pytest.raises(KeyError, match="did you mean path-blocked"):
        seed.findings["path-block"]


def test_evidence_are_plain_values_with_units(seed):
    found = seed.findings["path-blocked"]

    assert found.evidence["delivered"] == 0
    assert found.units["delivered"] == "packets"


def test_the_verdict_and_both_texts(seed):
    assert seed.verdict in repr(seed)
    assert str(seed).startswith(seed.verdict[:60])


def test_packets_have_the_types_of_what_they_hold(seed):
    packets = seed.packets

    assert isinstance(packets["src"].dtype, pd.CategoricalDtype)
    assert str(packets["sent_time"].dtype) == "datetime64[ns, UTC]"
    assert str(packets["vni"].dtype) == "UInt32"
    assert packets["received_frame"].isna().all()
    assert set(packets["outcome"]) == {"lost"}
    assert len(packets) == sum(hop["sent"] for hop in seed.hops)


def test_flows_add_up_to_the_hops(healthy):
    flows = healthy.flows.groupby("direction", observed=True)[["sent", "delivered", "lost", "unknown"]].sum()

    for hop in healthy.hops:
        assert flows.loc[hop["direction"]].to_dict() == {name: hop[name] for name in flows.columns}


def test_a_packet_is_taken_apart_at_either_point(healthy):
    row = int(healthy.packets.query("outcome == 'delivered' and protocol == 1").index[0])
    packet = healthy.packet(row)

    assert (packet.direction, packet.outcome) == ("node1>node2", "delivered")
    for point in ("node1", "node2"):
        layers = packet.dissect(point)
        assert isinstance(layers[0], dpkt.ethernet.Ethernet)
        assert [type(layer) for layer in layers].count(dpkt.ip.IP) == 2
        assert isinstance(layers[-1], dpkt.icmp.ICMP.Echo | dpkt.icmp.ICMP)


def test_a_packet_that_did_not_arrive_cannot_be_taken_apart_where_it_never_was(seed):
    packet = seed.packet(0)

    assert list(packet.frames) == ["node1"]
    with pytest.raises(KeyError, match="node2 did not see it; it was seen at node1"):
        packet.dissect("node2")


def test_rows_of_packets_end_where_the_table_ends(seed):
    size = len(seed.packets)

    assert seed.packet(size - 1)
    for row in (size, -1):
        with pytest.raises(IndexError, match=f"{size} rows"):
            seed.packet(row)


def test_a_saved_result_is_loaded_again_without_packets(seed, tmp_path):
    seed.save(tmp_path / "r.json")
    loaded = vx.load(tmp_path / "r.json")

    assert (loaded.verdict, loaded.hops, loaded.clock) == (seed.verdict, seed.hops, seed.clock)
    assert list(loaded.findings) == list(seed.findings)
    with pytest.raises(vx.UsageError, match="a report alone has no packets"):
        loaded.packets  # noqa: B018


@pytest.mark.parametrize("suffix", ["html", "json", "txt", "md", "xml"])
def test_every_format_is_saved_by_its_suffix(seed, tmp_path, suffix):
    seed.save(tmp_path / f"r.{suffix}")

    assert (tmp_path / f"r.{suffix}").stat().st_size > 0


def test_a_suffix_of_no_format_is_refused(seed, tmp_path):
    with pytest.raises(vx.UsageError, match="must be one of"):
        seed.save(tmp_path / "r.pdf")


def test_tables_are_written(seed, tmp_path):
    seed.write_tables(tmp_path / "t")
    packets = pd.read_parquet(tmp_path / "t" / "packets.parquet")

    assert len(packets) == len(seed.packets)


def test_json_is_the_report(seed):
    assert json.loads(seed.to_json())["verdict"] == seed.verdict


def test_an_expectation_is_a_file_or_a_mapping(seed):
    vx.check(seed, expect=SEED / "expect.toml")
    vx.check(seed, expect={"must": ["path-blocked", "dns-unanswered"]})
    with pytest.raises(vx.UnexpectedError, match="path-blocked@node1>node2 must not be found"):
        vx.check(seed, expect={"must_not": ["path-blocked"]})


def test_a_failed_expectation_is_an_assertion_error():
    assert issubclass(vx.UnexpectedError, AssertionError)


def test_a_capture_has_its_frames(tmp_path):
    capture = vx.read(SEED_PAIR[0])
    frames = capture.frames()
    capture.to_parquet(tmp_path / "frames.parquet")

    assert (capture.name, len(capture)) == ("node1", len(frames))
    assert list(frames["frame"]) == list(range(1, len(frames) + 1))
    assert list(pd.read_parquet(tmp_path / "frames.parquet").columns) == list(frames.columns)
    assert capture.summary()["packets"] == len(frames)
    assert isinstance(capture.dissect(1)[0], dpkt.ethernet.Ethernet)
    with pytest.raises(IndexError, match=f"node1 has {len(frames)} frames"):
        capture.dissect(0)


def test_read_captures_and_paths_give_the_same(healthy):
    captures = [vx.read(path) for path in HEALTHY_PAIR]

    assert vx.compare(*captures).hops == healthy.hops
    assert vx.compare(captures[0], HEALTHY_PAIR[1]).hops == healthy.hops


def test_captures_that_have_names_are_paired_once(monkeypatch):
    """Only one from a pipe gets its name from what pairing shows, and is paired again with it."""
    paired = []
    pair = pairing.pair
    monkeypatch.setattr(pairing, "pair", lambda *args, **options: paired.append(1) or pair(*args, **options))
    vx.compare(*HEALTHY_PAIR)

    assert len(paired) == 1


def test_points_are_named():
    result = vx.compare(*SEED_PAIR, names=("sender", "receiver"))

    assert [hop["direction"] for hop in result.hops] == ["sender>receiver", "receiver>sender"]


def test_the_same_name_twice_is_refused():
    with pytest.raises(vx.UsageError, match="two captures are called x"):
        vx.compare(vx.read(SEED_PAIR[0], name="x"), vx.read(SEED_PAIR[1], name="x"))


def test_no_capture_is_refused():
    with pytest.raises(vx.UsageError, match="no capture is given"):
        vx.compare()


def test_a_file_that_is_no_capture_is_a_capture_error(tmp_path):
    (tmp_path / "x.pcap").write_text("hello")
    with pytest.raises(vx.CaptureError):
        vx.read(tmp_path / "x.pcap")


def test_one_capture_has_no_hops_and_says_so():
    result = vx.compare(HEALTHY_PAIR[0])

    assert result.hops == []
    assert len(result.packets) == 0
    assert len(result.flows) == 0
    assert "with a second capture" in result.verdict


def test_parts_are_given_as_numbers_or_text(healthy):
    assert vx.compare(*HEALTHY_PAIR, until=2.5).hops == vx.compare(*HEALTHY_PAIR, until="2.5").hops
    assert vx.compare(*HEALTHY_PAIR, only=["proto=tcp"]).hops[0]["sent"] < healthy.hops[0]["sent"]


def test_each_value_shows_itself_in_jupyter(seed):
    views = [seed, seed.findings, seed.findings[0], vx.read(SEED_PAIR[0])]
    shown = [view._repr_html_() for view in views]

    assert all(html.startswith("<style>.vxlanalyze") for html in shown)
    assert all("path-blocked" in html for html in shown[:3])
    assert "17 frames" in shown[3]


def test_a_loaded_result_shows_itself_the_same(seed, tmp_path):
    seed.save(tmp_path / "r.json")

    assert vx.load(tmp_path / "r.json")._repr_html_() == seed._repr_html_()


def test_frames_of_a_rotated_set_are_numbered_through_and_name_their_file(tmp_path):
    """In order of time, whatever the files are called."""
    frames, names = build.packets(5), ("later", os.fsdecode(b"\xff"))
    for name, part in zip(names, (frames[:3], frames[3:]), strict=True):
        (tmp_path / name).write_bytes(build.pcap(part))
    capture = vx.read(f"node1={tmp_path}")

    table = capture.frames()

    assert table["frame"].tolist() == [1, 2, 3, 4, 5]
    assert table["file"].tolist() == [f"{tmp_path}/later"] * 3 + [f"{tmp_path}/\\udcff"] * 2
    assert table["captured_length"].tolist() == [len(frame.data) for frame in frames]
    assert bytes(capture.dissect(4)[0]) == frames[3].data


def test_what_python_shows_of_a_result_is_one_harmless_line(seed, tmp_path):
    seed.save(tmp_path / "r.json")
    report = json.loads((tmp_path / "r.json").read_text())
    report["verdict"] = report["findings"][0]["summary"] = "a\x1b[31m\nb"
    (tmp_path / "r.json").write_text(json.dumps(report))

    loaded = vx.load(tmp_path / "r.json")

    assert repr(loaded).isprintable()
    assert repr(loaded.findings[0]).isprintable()
