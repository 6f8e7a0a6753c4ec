"""What a message is by its first octets; bytes as RFC 9112, RFC 9113 and RFC 8446 give them."""

import pytest

from vxlanalyze.analysis.tcp.framing import message


@pytest.mark.parametrize(
    ("octets", "name"),
    [
        (b"GET /where?q=now HTTP/1.1\r\nHost: www.example.com\r\n\r\n", "GET /where"),
        (b"POST /pkg.Service/Method HTTP/1.0\r\n", "POST /pkg.Service/Method"),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "HTTP/2 preface"),
        (bytes.fromhex("16030100f8010000f40303"), "TLS ClientHello"),
        (bytes.fromhex("160303007a020000760303"), "TLS ServerHello"),
        (bytes.fromhex("1703030035"), "TLS application data"),
        (bytes.fromhex("15030300020100"), "TLS alert"),
        (bytes.fromhex("1603030010"), "TLS handshake"),
        (b"", None),
        (b"GET", None),
        (b"GET / SPDY/3", None),
        (bytes.fromhex("1705030035"), None),
        (b"SSH-2.0-OpenSSH_9.2\r\n", None),
    ],
)
def test_names(octets: bytes, name: str | None):
    assert message(octets) == name


def test_a_query_may_hold_secrets_and_is_left_out():
    assert message(b"GET /login?token=abc HTTP/1.1\r\n") == "GET /login"


def test_a_long_target_is_cut():
    named = message(b"GET /" + b"a" * 500 + b" HTTP/1.1\r\n")
    assert named is not None
    assert len(named) == len("GET ") + 80
