"""Recognise a TCP message by its first octets: HTTP/1, HTTP/2, TLS, as far as framing shows.

Sources: RFC 9112 section 3 (request line), RFC 9113 section 3.4 (connection preface), RFC 8446 sections 4 and
5.1 (handshake types, records).
"""

import re

_REQUEST_LINE = re.compile(
    rb"(GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS|CONNECT|TRACE) ([!-~]{1,2000}?) HTTP/1\.[01]"
)
PREFACE = b"PRI * HTTP/2.0"
_LONGEST_TARGET = 80
_TLS_RECORDS = {0x14: "change cipher spec", 0x15: "alert", 0x17: "application data"}
_TLS_HANDSHAKES = {1: "ClientHello", 2: "ServerHello", 16: "ClientKeyExchange", 20: "Finished"}


def message(octets: bytes) -> str | None:
    """Name a message by its first octets, without query strings (secrets); None where unknown."""
    if line := _REQUEST_LINE.match(octets):
        target = line[2].partition(b"?")[0].decode("ascii")
        short = target if len(target) <= _LONGEST_TARGET else target[: _LONGEST_TARGET - 1] + "…"
        return f"{line[1].decode()} {short}"
    if octets.startswith(PREFACE):
        return "HTTP/2 preface"
    return _tls(octets)


def numbered(stream: int, *, grpc: bool) -> str:
    """Name a request of HTTP/2 by its stream: its path is packed."""
    return f"gRPC call, HTTP/2 stream {stream}" if grpc else f"HTTP/2 stream {stream}"


def _tls(octets: bytes) -> str | None:
    if len(octets) < 5 or octets[1] != 3 or octets[2] > 4:
        return None
    if octets[0] == 0x16:
        kind = _TLS_HANDSHAKES.get(octets[5], "handshake") if len(octets) > 5 else "handshake"
        return f"TLS {kind}"
    record = _TLS_RECORDS.get(octets[0])
    return None if record is None else f"TLS {record}"
