"""K15: a receiver's offload that merges several tunnel datagrams under one UDP header."""

import struct
from pathlib import Path

from tests.reported import frames as f
from tests.reported.files import Frame
from tests.reported.pairs.k17_mirrors import talk
from tests.reported.registry import pair
from tests.reported.world import Tunnel, World

_HEADERS = 14 + 20 + 8


def merge(frames: list[bytes]) -> bytes:
    """Join datagrams of one flow under the headers of the first."""
    payload = b"".join(frame[_HEADERS:] for frame in frames)
    head = bytearray(frames[0][:_HEADERS])
    head[16:18] = struct.pack("!H", 28 + len(payload))
    head[24:26] = b"\0\0"
    head[24:26] = struct.pack("!H", f.internet_checksum(bytes(head[14:34])))
    head[38:40] = struct.pack("!H", 8 + len(payload))
    return bytes(head) + payload


class Offloaded(World):
    """A world in which a node merges consecutive datagrams of one outer flow."""

    most = 4
    merges = "10.61.4.11"  # whose datagrams
    at_node = -1

    def write(self, folder: Path) -> list[Path]:
        capture = self.captures[self.at_node]
        capture.frames.sort(key=lambda frame: frame.time)
        merged: list[Frame] = []
        group: list[Frame] = []
        for frame in [*capture.frames, Frame(0, b"")]:
            alike = group and frame.data[26:38] == group[-1].data[26:38] and frame.data[23:24] == b"\x11"
            near = group and frame.time - group[-1].time < 400_000
            from_first = frame.data[26:30] == f.address(self.merges)
            if group and not (alike and near and from_first and len(group) < self.most):
                data = merge([x.data for x in group]) if len(group) > 1 else group[0].data
                merged.append(Frame(group[0].time, data, length=len(data)))
                group = []
            group.append(frame)
        capture.frames = merged
        return super().write(folder)


@pair(
    "merged-datagrams-vxlan",
    root="merged-datagram",
    must=["merged-datagram@ab"],
    mustnot=["packet-loss@ab", "path-blocked", "corrupted-in-transit", "mtu-blackhole"],
    source="tailscale/tailscale 11026",
    story="UDP GRO at the receiver merges datagrams that follow each other closely.",
)
def merged_vxlan() -> World:
    return talk(Offloaded(151, tunnel=Tunnel(vni=100, port=4789)), request=9000)


@pair(
    "merged-datagrams-geneve",
    root="merged-datagram",
    must=["merged-datagram@ab"],
    mustnot=["packet-loss@ab", "path-blocked", "corrupted-in-transit"],
    source="tailscale/wireguard-go PR 26",
    story="The same with Geneve, in pairs.",
)
def merged_geneve() -> World:
    w = talk(Offloaded(152, tunnel=Tunnel(kind="geneve", vni=31, port=6081)), request=6000)
    w.most = 2
    return w


@pair(
    "merged-datagrams-of-answers",
    root="merged-datagram",
    must=["merged-datagram@ba"],
    mustnot=["packet-loss@ba", "path-blocked", "corrupted-in-transit", "merged-datagram@ab"],
    source="tailscale/tailscale 11026",
    story="The same on the return path: the capture of node1 holds the answers joined, on another port.",
)
def merged_answers() -> World:
    w = talk(Offloaded(154, tunnel=Tunnel(vni=7, port=8472)))
    w.merges, w.at_node = "10.61.4.12", 0
    return w


@pair(
    "merged-datagrams-healthy",
    root=None,
    mustnot=["merged-datagram", "packet-loss"],
    source="tailscale/tailscale 11026",
    story="The same traffic without the offload.",
)
def unmerged() -> World:
    w = talk(Offloaded(153, tunnel=Tunnel(vni=100, port=4789)), request=9000)
    w.most = 1
    return w
