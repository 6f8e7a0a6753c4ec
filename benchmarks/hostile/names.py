"""Names in numbers that no one expects: in DNS, a cluster's objects, a capture's name resolution blocks."""

import json
import socket
import struct
from collections.abc import Callable, Iterator
from pathlib import Path

from benchmarks.hostile.frames import UDP, Case, Sight, block, datagram, ipv4, pod, tunnel, udp

_CLIENT, _SERVER = "10.1.0.1", "10.1.0.2"


def dns_names(frames: int) -> Iterator[Sight]:
    """A name for every other packet; some do not exist, some are never answered."""
    for n in range(frames // 2):
        question = f"\x09n{n:08x}\x07example\x03com\0".encode() + b"\0\1\0\1"
        ports = 1024 + n % 60000, 53
        asked = _dns(n, 0x0100, question)
        yield Sight(n * 20, True, tunnel(ipv4(_CLIENT, _SERVER, UDP, udp(*ports, asked), n), ip_id=n))
        answer = _dns(n, 0x8183, question)
        back = tunnel(ipv4(_SERVER, _CLIENT, UDP, udp(*ports[::-1], answer), n), False, n)
        yield Sight(n * 20 + 500, False, back, n % 3 != 0)


def dns_servers(frames: int) -> Iterator[Sight]:
    """A server for every packet, none of which answers."""
    question = b"\x07example\x03com\0\0\1\0\1"
    for n in range(frames):
        asked = ipv4(_CLIENT, pod(n), UDP, udp(40000, 53, _dns(n, 0x0100, question)), n)
        yield Sight(n * 10, True, tunnel(asked, ip_id=n))


def pods(frames: int) -> Iterator[Sight]:
    """A pod for every packet, each in the cluster's objects."""
    for n in range(frames):
        yield Sight(n * 10, True, tunnel(datagram(n, (1000, 2000), pod(n)), ip_id=n), n % 10 != 0)


def named_addresses(frames: int) -> Iterator[Sight]:
    """A pod for every packet, and a block that names it."""
    for n, sight in enumerate(pods(frames)):
        record = socket.inet_aton(pod(n)) + f"pod-{n}.example\0".encode()
        body = struct.pack("<HH", 1, len(record)) + record + bytes(-len(record) % 4) + bytes(4)
        yield sight._replace(before=block(4, body))


def _dns(number: int, flags: int, question: bytes) -> bytes:
    return struct.pack(">HHHHHH", number & 0xFFFF, flags, 1, 0, 0, 0) + question


def cluster(frames: int, folder: Path) -> list[str]:
    """Write the objects of the cluster whose pods `pods` has; give the options that read them."""
    items = [_node("node1", "10.0.0.1"), _node("node2", "10.0.0.2"), _pod("client", _CLIENT, "node1")]
    items += [_pod(f"pod-{n}", pod(n), "node2") for n in range(frames)]
    items += [_service(n) for n in range(frames // 10)]
    path = folder / "kube.json"
    path.write_text(json.dumps({"kind": "List", "apiVersion": "v1", "items": items}))
    return ["--kube", str(path)]


def _node(name: str, address: str) -> dict[str, object]:
    status = {"addresses": [{"type": "InternalIP", "address": address}]}
    return {"kind": "Node", "apiVersion": "v1", "metadata": {"name": name}, "status": status}


def _pod(name: str, address: str, node: str) -> dict[str, object]:
    return {
        "kind": "Pod",
        "apiVersion": "v1",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"nodeName": node},
        "status": {"podIP": address, "podIPs": [{"ip": address}], "phase": "Running"},
    }


def _service(number: int) -> dict[str, object]:
    address = f"10.32.{number >> 8 & 255}.{number & 255}"
    spec = {"clusterIP": address, "clusterIPs": [address], "ports": [{"port": 80, "protocol": "TCP"}]}
    names = {"name": f"service-{number}", "namespace": "default"}
    return {"kind": "Service", "apiVersion": "v1", "metadata": names, "spec": spec}


CASES: tuple[Case, ...] = (dns_names, dns_servers, pods, named_addresses)
BESIDE: dict[Case, Callable[[int, Path], list[str]]] = {pods: cluster}
