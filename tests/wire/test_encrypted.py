"""ESP and WireGuard: recognised between the nodes, not decrypted.

| section | statement | test |
| --- | --- | --- |
| RFC 4303 2 | protocol 50 | test_esp |
| RFC 3948 2.2, 2.3 | in UDP on 4500: an SPI of 0 is key exchange, one octet a keepalive | test_what_else_comes_to_port_4500 |
| WireGuard 5.4 | four messages, told by type and length | test_wireguard_messages |
| WireGuard 5.4.6 | data is padded to 16 octets | test_other_lengths_are_not_wireguard |
"""

import pytest

from tests.wire import build
from tests.wire.decoding import assert_row, row

ESP = bytes.fromhex("c0de0001 00000007") + bytes(range(24))


def test_esp() -> None:
    assert_row(
        row(build.ethernet(build.ipv4(ESP, build.ESP))), encryption="esp", outer_protocol=50, tunnel=None
    )


def test_esp_over_ipv6_behind_an_extension_header() -> None:
    packet = build.ipv6(bytes([build.ESP, 0, 1, 4, 0, 0, 0, 0]) + ESP, 60)

    assert_row(row(build.ethernet(packet, build.IPV6)), encryption="esp", outer_protocol=50)


@pytest.mark.parametrize("ports", [{"dport": 4500}, {"sport": 4500}])
def test_esp_in_udp(ports: dict[str, int]) -> None:
    assert_row(row(build.ethernet(build.ipv4(build.udp(ESP, **ports)))), encryption="esp")


@pytest.mark.parametrize("payload", [b"\xff", bytes(4) + b"ISAKMP header and what follows"])
def test_what_else_comes_to_port_4500(payload: bytes) -> None:
    assert_row(row(build.ethernet(build.ipv4(build.udp(payload, dport=4500)))), encryption=None, tunnel=None)


@pytest.mark.parametrize(
    ("kind", "length"),
    [(1, 148), (2, 92), (3, 64), (4, 96)],
    ids=["initiation", "response", "cookie", "data"],
)
@pytest.mark.parametrize("port", [51820, 41194])
def test_wireguard_messages(kind: int, length: int, port: int) -> None:
    message = kind.to_bytes(4, "little") + bytes(length - 4)

    assert_row(row(build.ethernet(build.ipv4(build.udp(message, dport=port)))), encryption="wireguard")


def test_keepalive_is_told_on_the_usual_port_only() -> None:
    """32 octets that begin with 4 could be anything elsewhere."""
    message = (4).to_bytes(4, "little") + bytes(28)
    usual, other = (build.ethernet(build.ipv4(build.udp(message, dport=port))) for port in (51820, 41194))

    assert_row(row(usual), encryption="wireguard")
    assert_row(row(other), encryption=None)


@pytest.mark.parametrize(("kind", "length"), [(1, 147), (2, 93), (3, 63), (4, 97), (5, 96), (0x104, 96)])
def test_other_lengths_are_not_wireguard(kind: int, length: int) -> None:
    message = kind.to_bytes(4, "little") + bytes(length - 4)

    assert_row(row(build.ethernet(build.ipv4(build.udp(message, dport=51820)))), encryption=None)


def test_encryption_inside_a_tunnel_is_the_pods_own() -> None:
    inner = build.ethernet(build.ipv4(ESP, build.ESP, build.POD1, build.POD2))

    assert_row(row(build.ethernet(build.vxlan(inner))), tunnel="vxlan", protocol=50, encryption=None)


@pytest.mark.parametrize("port", [51820, 4500 + 1000])
def test_the_largest_wireguard_packets_end_at_the_mtu(port: int) -> None:
    """With the usual MTU of 1420, a full packet is 1452 octets, which 16 does not divide."""
    message = bytes([4, 0, 0, 0]) + bytes(1448)

    assert_row(row(build.ethernet(build.ipv4(build.udp(message, dport=port)))), encryption="wireguard")
