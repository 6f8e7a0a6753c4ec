"""Tunnel endpoints in user space keep what they carry."""

import socket

import pytest

from tests.lab import endpoint
from tests.lab.test_packet import udp_frame


class Wire:
    """Stands for a socket: keeps what was sent."""

    def __init__(self) -> None:
        self.sent: list[tuple[bytes, tuple[str, int]]] = []

    def bind(self, address: tuple[str, int]) -> None:
        """Take any address."""

    def sendto(self, message: bytes, address: tuple[str, int]) -> None:
        """Keep the message."""
        self.sent.append((message, address))


@pytest.fixture
def wire(monkeypatch: pytest.MonkeyPatch) -> Wire:
    kept = Wire()
    monkeypatch.setattr(socket, "socket", lambda *_: kept)
    return kept


@pytest.mark.parametrize("size", [0, 1, 15, 16, 700])
def test_wireguard_carries_a_packet_padded_to_sixteen_after_one_handshake(wire: Wire, size: int):
    sender, receiver = (endpoint.WireGuard(address, 0) for address in ("10.0.0.1", "10.0.0.2"))
    packet = udp_frame(b"x" * size)[14:]
    sender.send(packet, "10.0.0.2")
    (handshake, _), (message, peer) = wire.sent
    assert (handshake[0], len(handshake), message[0]) == (1, 148, 4)
    assert peer == ("10.0.0.2", endpoint.WIREGUARD_PORT)
    assert len(message) == 16 + (len(packet) + 15) // 16 * 16 + 16
    assert receiver.open(message, "10.0.0.1") == packet


def test_wireguard_answers_a_handshake_and_gives_nothing_on(wire: Wire):
    receiver = endpoint.WireGuard("10.0.0.2", 0)
    assert receiver.open(b"\x01\0\0\0" + bytes(144), "10.0.0.1") is None
    ((answer, _),) = wire.sent
    assert (answer[0], len(answer)) == (2, 92)


@pytest.mark.parametrize("size", [0, 1, 2, 3, 700])
def test_esp_carries_a_packet_aligned_to_four(wire: Wire, size: int):
    sender = endpoint.Esp("10.0.0.1", 0)
    packet = udp_frame(b"x" * size)[14:]
    sender.send(packet, "10.0.0.2")
    ((message, _),) = wire.sent
    assert (len(message) - 16 - 16) % 4 == 0
    assert endpoint.Esp("10.0.0.2", 0).open(b"\x45" + bytes(19) + message, "10.0.0.1") == packet


def test_geneve_keeps_the_frame_the_vni_and_one_source_port_a_flow(wire: Wire):
    sender = endpoint.Geneve("10.0.0.1", 3)
    frame = udp_frame(b"x")
    sender.send(frame, "10.0.0.2")
    ((message, peer),) = wire.sent
    assert message[:8] == b"\0\0\x65\x58\0\0\x03\0"
    assert peer == ("10.0.0.2", 6081)
    assert sender.open(message, "10.0.0.2") == frame
    assert sender.peer_of(frame) == "04:04:04:04:04:04"
