"""Name resolution blocks of a pcapng name addresses (draft-ietf-opsawg-pcapng section 4.5)."""

import socket
import struct

import pandas as pd
import pytest

import vxlanalyze as vx
from tests.reported.files import Capture, Interface
from tests.reported.talks import tcp_talk
from tests.reported.world import World
from vxlanalyze.capture import open_sources


def record(kind, address, *names):
    value = address + b"".join(n.encode() + b"\0" for n in names)
    return struct.pack("<HH", kind, len(value)) + value + bytes(-len(value) % 4)


def block(*records):
    body = b"".join(records) + bytes(4)
    return struct.pack("<II", 4, len(body) + 12) + body + struct.pack("<I", len(body) + 12)


V4, V6 = socket.inet_aton("10.61.8.2"), socket.inet_pton(socket.AF_INET6, "fd00::7")


def written(folder, where):
    """A capture with names at its beginning or at its end."""
    w = World(64)
    left, right = w.node("left", "10.61.0.5", ng=True), w.node("right", "10.61.0.6", ng=True)
    tcp_talk(left.pod("10.61.8.2"), right.pod("10.61.9.3"), 8080, 0.1, repeat=3)
    w.run()
    files = [c.write(folder) for c in w.captures]
    names = block(record(1, V4, "web-0.shop", "alias"), record(2, V6, "six-0"), record(1, V4, "later"))
    data = files[0].read_bytes()
    at = struct.unpack_from("<I", data, 4)[0] if where == "begin" else len(data)
    files[0].write_bytes(data[:at] + names + data[at:])
    return files


@pytest.mark.parametrize("where", ["begin", "end"])
def test_addresses_get_their_first_name(tmp_path, where):
    (source,) = open_sources([str(written(tmp_path, where)[0])])
    for _ in source.chunks():
        pass
    assert source.names == {"10.61.8.2": "web-0.shop", "fd00::7": "six-0"}
    assert source.damages == []


def test_names_stand_in_tables(tmp_path):
    packets = vx.compare(*written(tmp_path, "begin")).packets
    assert set(packets["src_name"].dropna()) == {"web-0.shop"}


def test_redaction_hides_them(tmp_path):
    told = vx.compare(*written(tmp_path, "begin"))
    told.write_tables(tmp_path / "plain")
    told.write_tables(tmp_path / "redacted", redact=True)
    told.save(tmp_path / "redacted.json", redact=True)
    plain, hidden = (pd.read_parquet(tmp_path / f / "packets.parquet") for f in ("plain", "redacted"))
    assert "web-0.shop" in set(plain["src_name"])
    assert "web-0" not in hidden.to_csv() + (tmp_path / "redacted.json").read_text()


@pytest.mark.parametrize(
    "records",
    [record(1, V4[:2]), struct.pack("<HH", 1, 900) + V4, record(7, b"xx"), record(1, V4), record(1, V4, "")],
)
def test_what_is_no_name_is_left(tmp_path, records):
    capture = Capture("odd", interfaces=[Interface("eth0")], ng=True)
    capture.add(1, bytes(60), 0)
    file = capture.write(tmp_path)
    file.write_bytes(file.read_bytes() + block(records))
    (source,) = open_sources([str(file)])
    assert sum(len(frames) for frames in source.chunks()) == 1
    assert (source.names, source.damages) == ({}, [])
