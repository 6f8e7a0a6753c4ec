"""Tunnel endpoints in user space, for what the machine's kernel may lack: Geneve, WireGuard, ESP.

``python -m tests.lab.endpoint KIND DEVICE LOCAL KEY=PEER... [vni=N]`` joins a TUN or TAP device to the
peers' addresses. Geneve is complete as far as the lab uses it (no options). WireGuard and ESP have the
real formats, sizes and counters; their cipher is a stand-in whose output looks as random as theirs.

Sources: RFC 8926 section 3.4; WireGuard white paper (Donenfeld 2017) sections 5.4.2, 5.4.3, 5.4.6;
RFC 4303 section 2, with the sizes of RFC 4106 (AES-GCM, 16 octets of check value).
"""

from __future__ import annotations

import hashlib
import os
import random
import select
import socket
import struct
import sys
import zlib
from collections.abc import Callable

from tests.lab import packet as wire
from tests.lab.fabric import IFF_NO_PI, IFF_TAP, LARGEST_FRAME_BYTES, open_device

IFF_TUN = 0x0001
WIREGUARD_PORT = 51820
CHECK_VALUE_BYTES, ESP_IV_BYTES = 16, 8
FIRST_ENTROPY_PORT, ENTROPY_PORTS = 32768, 256


class Geneve:
    """Ethernet frames of a TAP device in Geneve; the source port tells the flow (RFC 8926 section 3.3)."""

    flags = IFF_TAP | IFF_NO_PI

    def __init__(self, local: str, vni: int) -> None:
        self._local = local
        self._header = struct.pack("!BBHI", 0, 0, wire.TRANSPARENT_ETHERNET, vni << 8)
        self.receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.receiver.bind((local, wire.GENEVE_PORT))
        self._senders: dict[int, socket.socket] = {}

    def peer_of(self, frame: bytes) -> str:
        """Key of the peer for a frame: the destination MAC."""
        return frame[:6].hex(":")

    def send(self, frame: bytes, peer: str) -> None:
        """Send a frame in the tunnel."""
        self._sender(frame).sendto(self._header + frame, (peer, wire.GENEVE_PORT))

    def _sender(self, frame: bytes) -> socket.socket:
        ip = wire.parse(frame, frozenset()).layers
        flow = str(ip[0].identity[:5]) if ip else ""
        port = FIRST_ENTROPY_PORT + zlib.crc32(flow.encode()) % ENTROPY_PORTS
        if port not in self._senders:
            sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            sender.bind((self._local, port))
            self._senders[port] = sender
        return self._senders[port]

    def open(self, datagram: bytes, peer: str) -> bytes | None:
        """Return the frame in a datagram."""
        return datagram[8 + (datagram[0] & 0x3F) * 4 :]


class WireGuard:
    """IP packets of a TUN device as WireGuard's transport messages, after a handshake's two messages."""

    flags = IFF_TUN | IFF_NO_PI

    def __init__(self, local: str, _vni: int) -> None:
        self.receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.receiver.bind((local, WIREGUARD_PORT))
        self._counter = 0
        self._lots = random.Random(local)
        self._index = self._lots.getrandbits(32)

    def peer_of(self, packet: bytes) -> str:
        """Key of the peer for a packet: the destination address."""
        return socket.inet_ntoa(packet[16:20])

    def send(self, packet: bytes, peer: str) -> None:
        """Send a packet encrypted; the first one is preceded by the handshake."""
        if not self._counter:
            self._send(struct.pack("<II", 1, self._index) + self._lots.randbytes(140), peer)
        padded = packet + bytes(-len(packet) % 16)
        head = struct.pack("<IIQ", 4, self._index ^ 0xFFFF, self._counter)
        self._send(head + veil(padded, self._counter) + self._lots.randbytes(CHECK_VALUE_BYTES), peer)
        self._counter += 1

    def _send(self, message: bytes, peer: str) -> None:
        self.receiver.sendto(message, (peer, WIREGUARD_PORT))

    def open(self, datagram: bytes, peer: str) -> bytes | None:
        """Return the packet in a transport message; a handshake's first message is answered."""
        kind, index, counter = struct.unpack_from("<IIQ", datagram)
        if kind == 1:
            self._send(struct.pack("<III", 2, self._index, index) + self._lots.randbytes(80), peer)
        if kind != 4:
            return None
        packet = veil(datagram[16:-CHECK_VALUE_BYTES], counter)
        return packet[: struct.unpack_from("!H", packet, 2)[0]]


class Esp:
    """IP packets of a TUN device in ESP tunnel mode."""

    flags = IFF_TUN | IFF_NO_PI

    def __init__(self, local: str, _vni: int) -> None:
        self.receiver = socket.socket(socket.AF_INET, socket.SOCK_RAW, wire.ESP)
        self.receiver.bind((local, 0))
        self._sequence = 0
        self._lots = random.Random(local)
        self._spi = self._lots.getrandbits(31) | 0x1000
        self.peer_of = WireGuard.peer_of.__get__(self)

    def send(self, packet: bytes, peer: str) -> None:
        """Send a packet encrypted."""
        self._sequence += 1
        padding = bytes(range(1, -(len(packet) + 2) % 4 + 1))
        plain = packet + padding + bytes([len(padding), 4])
        head = struct.pack("!IIQ", self._spi, self._sequence, self._sequence)
        self.receiver.sendto(
            head + veil(plain, self._sequence) + self._lots.randbytes(CHECK_VALUE_BYTES), (peer, 0)
        )

    def open(self, datagram: bytes, peer: str) -> bytes | None:
        """Return the packet in an ESP packet, which a raw socket gives with its IP header."""
        esp = datagram[(datagram[0] & 15) * 4 :]
        sequence = struct.unpack_from("!I", esp, 4)[0]
        packet = veil(esp[8 + ESP_IV_BYTES : -CHECK_VALUE_BYTES], sequence)
        return packet[: struct.unpack_from("!H", packet, 2)[0]]


def veil(content: bytes, counter: int) -> bytes:
    """Exclusive or with a stream that looks random: hides and, done again, shows."""
    stream = hashlib.shake_128(struct.pack("<Q", counter)).digest(len(content))
    return bytes(a ^ b for a, b in zip(content, stream, strict=True))


KINDS: dict[str, Callable[[str, int], Geneve | WireGuard | Esp]] = {
    "geneve": Geneve,
    "wireguard": WireGuard,
    "esp": Esp,
}


def main() -> None:
    """Join the device and the peers until the namespace ends."""
    kind, device, local, *pairs = sys.argv[1:]
    peers = dict(pair.split("=") for pair in pairs)
    endpoint = KINDS[kind](local, int(peers.pop("vni", "0")))
    tap = open_device(device, endpoint.flags)
    sources: list[int | socket.socket] = [tap, endpoint.receiver]
    while True:
        for ready in select.select(sources, [], [])[0]:
            if ready == tap:
                frame = os.read(tap, LARGEST_FRAME_BYTES)
                if (known := peers.get(endpoint.peer_of(frame))) is not None:
                    endpoint.send(frame, known)
                continue
            datagram, (peer, _) = endpoint.receiver.recvfrom(LARGEST_FRAME_BYTES)
            opened = endpoint.open(datagram, peer)
            if opened is not None:
                os.write(tap, opened)


if __name__ == "__main__":
    main()
