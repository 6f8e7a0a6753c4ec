"""Files given as one rotated set that are of two nodes, and pieces of one set that were given as points."""

from pathlib import Path

import pytest

import vxlanalyze as vx
from tests.capture.build import START_S, Packet, pcap
from tests.wire import build
from vxlanalyze.errors import UsageError

THIRD = "172.26.50.209"
DELAY_US = 200


def frame(number: int, src: str = build.NODE1, dst: str = build.NODE2) -> bytes:
    inner = build.ipv4(
        build.udp(number.to_bytes(8), build.POD1, build.POD2), src=build.POD1, dst=build.POD2, ip_id=number
    )
    datagram = build.udp(b"\x08\0\0\0\0\0\x64\0" + build.ethernet(inner), src, dst, sport=50000, dport=4789)
    return build.ethernet(build.ipv4(datagram, src=src, dst=dst))


def write(path: Path, numbers: range, *, later_us: int = 0, **ends: str) -> str:
    path.parent.mkdir(exist_ok=True)
    records = [
        Packet(START_S + us // 1_000_000, us % 1_000_000, data, len(data))
        for us, data in ((n * 1000 + later_us, frame(n, **ends)) for n in numbers)
    ]
    path.write_bytes(pcap(records))
    return str(path)


def refusal(*captures: str) -> str:
    with pytest.raises(UsageError) as refused:
        vx.compare(*captures)
    return str(refused.value)


def test_a_directory_of_two_nodes_captures_is_refused_with_the_command(tmp_path):
    write(tmp_path / "all" / "b.pcap", range(50))
    write(tmp_path / "all" / "a.pcap", range(50), later_us=DELAY_US)

    said = refusal(str(tmp_path / "all"))

    assert said.endswith(f"vxlanalyze {tmp_path}/all/b.pcap {tmp_path}/all/a.pcap")


def test_rotated_files_of_two_nodes_are_put_together_by_node(tmp_path):
    for piece in range(3):
        part = range(piece * 50, piece * 50 + 50)
        write(tmp_path / f"east.pcap{piece}", part)
        write(tmp_path / f"west.pcap{piece}", part, later_us=DELAY_US)

    said = refusal(str(tmp_path))

    assert said.endswith(f"vxlanalyze '{tmp_path}/east.pcap*' '{tmp_path}/west.pcap*'")


def test_nodes_that_have_no_packet_in_common_are_told_by_their_addresses(tmp_path):
    first = write(tmp_path / "a.pcap", range(50), dst=THIRD)
    write(tmp_path / "a2.pcap", range(50, 60))
    ends = {"src": build.NODE2, "dst": "10.9.9.9"}
    both = f"{first},{tmp_path}/a2.pcap"
    other = write(tmp_path / "b.pcap", range(1000, 1050), later_us=-1_000_000, **ends)

    said = refusal(f"{both},{other}")

    assert "on different nodes" in said
    assert said.endswith(f"vxlanalyze '{tmp_path}/a*' {tmp_path}/b.pcap")


def test_many_nodes_in_a_directory_are_for_matrix(tmp_path):
    for node in range(3):
        write(tmp_path / f"n{node}.pcap", range(50), later_us=node * DELAY_US)

    assert "vxlanalyze --matrix " in refusal(str(tmp_path))


@pytest.mark.parametrize("ends", [{}, {"src": THIRD}], ids=["same", "other peers"])
def test_pieces_of_one_node_are_one_capture(tmp_path, ends):
    write(tmp_path / "a.pcap0", range(50))
    write(tmp_path / "a.pcap1", range(50, 100), **ends)

    assert len(vx.read(str(tmp_path))) == 100


def test_two_interfaces_of_one_node_are_not_two_nodes(tmp_path):
    write(tmp_path / "eth0.pcap", range(50))
    write(tmp_path / "eth1.pcap", range(50), later_us=3)

    assert len(vx.read(str(tmp_path))) == 100


def test_pieces_given_as_points_get_the_command(tmp_path):
    pieces = [write(tmp_path / f"a.pcap{n}", range(n * 50, n * 50 + 50)) for n in range(2)]
    other = write(tmp_path / "b.pcap", range(100), later_us=DELAY_US)

    found = vx.compare(*pieces, other).report.findings

    remedy = next(f["remedy"] for f in found if f["code"] == "windows-disjoint")
    assert f"$ vxlanalyze '{tmp_path}/a.pcap*' {tmp_path}/b.pcap" in remedy.splitlines()


def test_captures_of_other_names_get_no_such_command(tmp_path):
    east = write(tmp_path / "east.pcap", range(50))
    west = write(tmp_path / "west.pcap", range(50, 100))

    found = vx.compare(east, west).report.findings

    assert not any("rotated" in f["remedy"] for f in found)
