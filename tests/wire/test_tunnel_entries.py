"""One fact, one entry: what each tunnel is called and announced by agrees in every output.

For each kind of tunnel a frame is written by `tests.wire.build`, and the name that `frames`, `packets`, `flows`,
the summary of a capture and `.dissect()` give it is held against its entry.
"""

import struct
from pathlib import Path

import pytest

import vxlanalyze as vx
from tests.wire import build, outside
from tests.wire.decoding import row
from vxlanalyze.wire.dissect import TunnelHeader, dissect
from vxlanalyze.wire.model import Tunnel
from vxlanalyze.wire.tunnels import BY_TUNNEL, KNOWN_PORTS, NAMES, TUNNELS, title
from vxlanalyze.wire.tunnels.encapsulation import Encapsulation

FRAME = build.ethernet(build.small_packet())
SAMPLES = {
    Tunnel.VXLAN: build.vxlan(FRAME),
    Tunnel.VXLAN_GPE: build.ipv4(build.udp(bytes.fromhex("0c00000300006400") + FRAME, dport=4790), build.UDP),
    Tunnel.GENEVE: build.geneve(FRAME),
    Tunnel.GRE: build.ipv4(bytes.fromhex("200008000000002a") + build.small_packet(), build.GRE),
    Tunnel.NVGRE: build.ipv4(bytes.fromhex("20006558002a1107") + FRAME, build.GRE),
    Tunnel.IPIP: build.ipv4(build.small_packet(), 4),
    Tunnel.GUE: build.gue(build.small_packet(), header=bytes.fromhex("00040000")),
}


def test_every_kind_has_an_entry_under_its_number() -> None:
    assert set(BY_TUNNEL) == set(Tunnel) - {Tunnel.NONE}, (
        "each member of `Tunnel` is a module of wire/tunnels"
    )
    assert all(entry.tunnel is tunnel for tunnel, entry in BY_TUNNEL.items())


@pytest.mark.parametrize("entry", TUNNELS, ids=lambda entry: entry.name)
def test_every_kind_has_its_samples(entry: Encapsulation) -> None:
    """What `scripts/new.py` leaves to do: frames that are held against the outside."""
    others = [p for p in sorted(Path(__file__).parent.glob("test_*.py")) if p != Path(__file__)]
    bytes_of_standards = "".join(path.read_text() for path in others)

    assert entry.tunnel in SAMPLES, "write a frame into SAMPLES here"
    assert entry.name in outside.STANDARD, (
        "write a frame into tests/wire/outside.py: it is compared with tshark"
    )
    assert f'"{entry.name}"' in bytes_of_standards, (
        "write its standard's bytes into tests/wire/test_tunnels.py or a file of its own"
    )


def test_no_two_entries_share_a_priority_a_port_or_a_title() -> None:
    priorities = [entry.priority for entry in TUNNELS]

    assert priorities == sorted(set(priorities))
    assert len(set(KNOWN_PORTS)) == len(KNOWN_PORTS)
    assert len({entry.title for entry in TUNNELS}) == len(TUNNELS)


@pytest.mark.parametrize("tunnel", SAMPLES)
def test_the_entry_says_how_long_the_header_is(tunnel: Tunnel) -> None:
    frame = build.ethernet(SAMPLES[tunnel])
    header = next(layer for layer in dissect(frame, 1) if isinstance(layer, TunnelHeader))

    assert header.name == NAMES[tunnel]
    assert BY_TUNNEL[tunnel].header_bytes in (None, len(header.data))


@pytest.mark.parametrize("tunnel", SAMPLES)
def test_all_tables_call_it_by_one_name(tunnel: Tunnel, tmp_path: Path) -> None:
    frame = build.ethernet(SAMPLES[tunnel])
    for name, delay in (("node1", 0), ("node2", 200)):
        _write(tmp_path / f"{name}.pcap", frame, delay)
    result = vx.compare(tmp_path / "node1.pcap", tmp_path / "node2.pcap")
    one = BY_TUNNEL[tunnel].name

    assert row(frame)["tunnel"] == one
    assert set(result.packets["tunnel"]) == set(result.flows["tunnel"]) == {one}
    assert list(vx.read(tmp_path / "node1.pcap").summary()["tunnels"]) == [one]
    assert title(tunnel).lower() == one


def _write(path: Path, frame: bytes, delay_us: int) -> None:
    records = [struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1)]
    for second in range(5):
        records += [struct.pack("<IIII", 1000 + second, delay_us, len(frame), len(frame)), frame]
    path.write_bytes(b"".join(records))
