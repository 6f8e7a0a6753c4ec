"""The tables: a row for each wire packet and hop, nulls for what a packet has not, types that readers keep.

`flows` is compared with what pandas makes of `packets`: two ways to the same figures.
"""

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.simulate import TCP, Flow, Traffic, checks, comparison, ping
from vxlanalyze.export import flow_table, packets
from vxlanalyze.export.columns import FLOWS, PACKETS
from vxlanalyze.export.tables import flows_frame, packets_frame, write_parquet
from vxlanalyze.pairing.model import Reason
from vxlanalyze.wire.model import Checksum

WEB = Flow(protocol=TCP, sport=40000, dport=8080)
FIRST_PROMISED = (
    "direction",
    "outcome",
    "reason",
    "time",
    "sent_time",
    "received_time",
    "delay_ns",
    "sent_frame",
)
PROMISED = (
    *(*FIRST_PROMISED, "received_frame", "segment", "copies", "tunnel", "vni", "outer_src", "outer_dst"),
    *("outer_sport", "outer_dport", "outer_length", "src", "dst", "src_name", "dst_name"),
    *("sport", "dport", "protocol", "protocol_name", "ip_id"),
    *("length", "tcp_seq", "tcp_ack", "tcp_flags", "sent_outer_checksum", "sent_inner_checksum"),
    *("received_outer_checksum", "received_inner_checksum", "corrupted"),
)


def test_every_promised_column_is_there():
    assert tuple(column.name for column in PACKETS) == PROMISED


@pytest.mark.parametrize("columns", [PACKETS, FLOWS], ids=["packets", "flows"])
def test_every_column_says_what_it_holds(columns):
    assert all(column.meaning.endswith(".") for column in columns)
    assert len({column.name for column in columns}) == len(columns)


def test_a_super_packet_is_a_row_for_each_wire_packet():
    bulk = Traffic(WEB, packets=2, payload=3000, segment_bytes=1400, lost=[0, 0, 1, 0, 0, 0])
    table = packets_frame(comparison([bulk]))

    assert table["segment"].tolist() == [0, 1, 2, 0, 1, 2]
    assert table["sent_frame"].tolist() == [1, 1, 1, 2, 2, 2]
    assert table["outcome"].tolist() == ["delivered", "delivered", "lost", *["delivered"] * 3]
    assert table["outer_length"].tolist() == [1502, 1502, 302] * 2
    assert table["tcp_seq"].tolist() == [0, 1400, 2800, 3000, 4400, 5800]


def test_a_lost_packet_has_no_place_at_the_receiver():
    row = packets_frame(comparison([Traffic(packets=1, lost=True)])).iloc[0]
    absent = ["received_time", "delay_ns", "received_frame", "received_inner_checksum", "corrupted", "reason"]

    assert row[absent].isna().all()
    assert (row["outcome"], row["copies"], row["sent_frame"]) == ("lost", 0, 1)


def test_what_only_the_receiver_saw_is_unsent():
    unsent = Traffic(packets=2, unsent=True, unsent_reason=Reason.OTHER_PEER)
    table = packets_frame(comparison([Traffic(Flow(sport=9), packets=1), unsent]))
    row = table.iloc[-1]

    assert table["outcome"].tolist() == ["delivered", "unsent", "unsent"]
    assert (row["reason"], row["received_frame"], row["src"]) == ("other-peer", 3, "10.233.64.10")
    assert row[["sent_time", "sent_frame", "segment", "sent_outer_checksum", "delay_ns"]].isna().all()


@pytest.mark.parametrize("reason", [Reason.WINDOW, Reason.CAPTURE_LOSS, Reason.OTHER_PEER])
def test_an_unknown_fate_has_its_reason(reason):
    row = packets_frame(comparison([Traffic(packets=1, unknown=True, unknown_reason=reason)])).iloc[0]

    assert (row["outcome"], row["reason"]) == ("unknown", reason.name.lower().replace("_", "-"))


def test_pings_have_no_ports_and_no_tcp_fields():
    row = packets_frame(comparison([Traffic(ping(), packets=1)])).iloc[0]

    assert row[["sport", "dport", "tcp_seq", "tcp_ack", "tcp_flags"]].isna().all()
    assert row["protocol"] == 1


def test_ipv6_has_no_identification():
    row = packets_frame(comparison([Traffic(Flow(src="fd00::1", dst="fd00::2"), packets=1)])).iloc[0]

    assert pd.isna(row["ip_id"])
    assert (row["src"], row["dst"]) == ("fd00::1", "fd00::2")


def test_a_bare_point_has_no_outer_fields():
    pair = comparison([Traffic(packets=1)], points=("pod", "node1"), bare=("pod",))
    row = packets_frame(pair).iloc[0]

    assert row[["tunnel", "vni", "outer_src", "outer_dst", "outer_sport", "outer_length"]].isna().all()


@pytest.mark.parametrize(
    ("states", "told"),
    [
        (checks(inner_l4=Checksum.OK), ("absent", "ok")),
        (checks(outer_l4=Checksum.ALL_ONES, inner_l4=Checksum.PARTIAL), ("bad", "offload")),
        (checks(outer_l4=Checksum.LCO, inner_l4=Checksum.UNVERIFIABLE), ("offload", "unverifiable")),
        (checks(outer_ip=Checksum.BAD, inner_ip=Checksum.BAD), ("bad", "bad")),
        (checks(*[Checksum.NONE] * 4), (None, None)),
    ],
)
def test_two_checksums_are_told_by_the_one_that_says_more(states, told):
    row = packets_frame(comparison([Traffic(packets=1, sent_checks=states)])).iloc[0]
    outer, inner = (None if pd.isna(v) else v for v in row[["sent_outer_checksum", "sent_inner_checksum"]])

    assert (outer, inner) == told


def test_hops_and_directions_stand_in_path_order():
    pair = comparison([Traffic(packets=2)], [Traffic(Flow().reverse(), packets=3)], points=("a", "b", "c"))

    assert packets_frame(pair)["direction"].tolist() == (
        ["a>b"] * 2 + ["b>a"] * 3 + ["b>c"] * 2 + ["c>b"] * 3
    )


def test_batches_and_one_piece_are_the_same(monkeypatch):
    pair = comparison(
        [Traffic(packets=100, lost=np.arange(100) % 7 == 0)], [Traffic(packets=30, unsent=True)]
    )
    whole = packets_frame(pair)
    monkeypatch.setattr(packets, "BATCH_ROWS", 8)

    pd.testing.assert_frame_equal(packets_frame(pair), whole)


def busy() -> object:
    """Several flows with all fates, some sent through different outer ports."""
    random = np.random.default_rng(7)
    traffic = [
        Traffic(
            Flow(protocol=TCP, sport=41000 + n, dport=80, vni=n % 2, outer_sport=50000 + n % 3),
            packets=40,
            payload=random.integers(0, 1400, 40),
            lost=random.random(40) < 0.2,
            unknown=False,
            delay_s=0.0002 + random.random(40) * 0.001,
        )
        for n in range(8)
    ]
    traffic.append(Traffic(Flow(sport=53), packets=5, unknown=True))
    traffic.append(Traffic(Flow(sport=54), packets=5, unsent=True))
    return comparison(traffic, [Traffic(Flow(sport=5353).reverse(), packets=9)])


def test_flows_are_what_packets_add_up_to():
    pair = busy()
    table, flows = packets_frame(pair), flows_frame(pair)
    key = ["direction", "vni", "src", "dst", "sport", "dport", "protocol"]
    for row in flows.itertuples():
        mine = table[(table[key] == [getattr(row, name) for name in key]).all(axis=1)]
        sent = mine[mine["outcome"] != "unsent"]
        for outcome in ("delivered", "lost", "unknown"):
            of_outcome = sent[sent["outcome"] == outcome]
            assert getattr(row, outcome) == len(of_outcome)
            assert getattr(row, f"bytes_{outcome}") == of_outcome["length"].sum()
        assert row.unsent == len(mine) - len(sent)
        assert (row.first, row.last) == _ends(sent["sent_time"] if len(sent) else mine["received_time"])
        delays = sent["delay_ns"].dropna().astype("int64")
        if len(delays):
            wanted = delays.quantile([0, 0.5, 0.9, 0.99, 1], interpolation="higher").tolist()
            told = [row.delay_min_ns, row.delay_p50_ns, row.delay_p90_ns, row.delay_p99_ns, row.delay_max_ns]
            assert told[0] == wanted[0]
            assert told[-1] == wanted[-1]
            assert sorted(told) == told
    assert flows[["sent", "unsent"]].to_numpy().sum() == len(table)


def _ends(times: "pd.Series[pd.Timestamp]") -> tuple[pd.Timestamp, pd.Timestamp]:
    return times.min(), times.max()


def test_quantiles_are_the_smallest_value_that_so_many_do_not_exceed():
    delays = np.arange(1, 101) / 1000
    row = flows_frame(comparison([Traffic(packets=100, delay_s=delays)])).iloc[0]

    assert [row[f"delay_p{n}_ns"] for n in (50, 90, 99)] == [50_000_000, 90_000_000, 99_000_000]


@pytest.mark.parametrize(
    ("seq", "again"),
    [
        ([0, 100, 200, 300], 0),
        ([0, 100, 100, 200], 1),
        ([0, 100, 200, 0, 100, 200, 300], 3),
        ([0, 200, 100, 300], 1),  # nor can one that left late be told from one sent again
        ([2**32 - 200, 2**32 - 100, 0, 2**32 - 100, 100], 1),  # the numbers wrap
    ],
)
def test_retransmissions_lie_below_the_highest_byte_sent_before(seq, again):
    flow = Traffic(WEB, packets=len(seq), payload=100, seq=seq)
    other = Traffic(Flow(protocol=TCP, sport=1, dport=2), packets=3, payload=100, seq=[0, 100, 0])

    assert flows_frame(comparison([flow, other]))["retransmissions"].tolist() == [again, 1]


def test_keep_alives_are_no_retransmissions():
    """One byte before the next to come (RFC 9293 section 3.8.4)."""
    flow = Traffic(WEB, packets=3, payload=[100, 1, 1], seq=[0, 99, 99])

    assert flows_frame(comparison([flow]))["retransmissions"].tolist() == [0]


def test_flows_without_tcp_have_no_retransmissions_and_no_lost_no_smallest_lost():
    row = flows_frame(comparison([Traffic(packets=3)])).iloc[0]

    assert row[["retransmissions", "smallest_lost"]].isna().all()
    assert row["largest_delivered"] == 178


def test_no_packets_give_empty_tables_with_all_columns():
    for frame, schema in ((packets_frame, packets.SCHEMA), (flows_frame, flow_table.SCHEMA)):
        table = frame(comparison())
        assert len(table) == 0
        assert list(table.columns) == schema.names


def test_types_survive_parquet(tmp_path):
    write_parquet(tmp_path / "p.parquet", packets.SCHEMA, packets.batches(busy()))
    table = pq.read_table(tmp_path / "p.parquet")

    assert table.schema == packets.SCHEMA
    assert table.schema.field("src").type == pa.dictionary(pa.int32(), pa.string())
    assert table.schema.field("sent_time").type == pa.timestamp("ns", tz="UTC")
    assert pd.read_parquet(tmp_path / "p.parquet")["outer_src"].tolist()[0] == "172.26.50.200"


def test_jitter_is_the_mean_step_of_delays_in_the_order_sent():
    stream = Flow(sport=7, dport=9)
    late = Traffic(stream, packets=5, every_s=0.01, delay_s=[0.001, 0.003, 0.002, 0.002, 0.006])
    single = Traffic(Flow(sport=8, dport=9), packets=1, start_s=1.0)
    table = flows_frame(comparison([late, single], clock_offset_ns=[0, 5_000_000_000])).set_index("sport")

    assert table.loc[7, "jitter_ns"] == 1_750_000
    assert pd.isna(table.loc[8, "jitter_ns"])
