"""Requests that share one TCP connection, with known times: HTTP/1, HTTP/2, gRPC.

``python -m tests.lab.calls serve HOST PORT [...]`` and ``... ask HOST PORT [...]`` play the two ends from the
same options. A call is ``AT:THINK:UP:DOWN``: the client sends it AT seconds after the connection is open,
with UP octets; the server answers THINK seconds after it has all of it, with DOWN octets. In HTTP/2 each call
is answered when it is ready, in HTTP/1 in order. Frames are made here, with header fields written out (RFC
9113; RFC 7541 section 6.2.2), so that nothing but Python is needed; tshark checks them.
"""

from __future__ import annotations

import argparse
import socket
import struct
import sys
import threading
import time
from dataclasses import dataclass

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, SETTINGS = 0, 1, 4
END_STREAM, END_HEADERS, ACK = 1, 4, 1
LARGEST_FRAME = 1 << 14
LAST_S = 0.3  # the connection stays open for so long after the last answer


@dataclass(frozen=True)
class Call:
    """One request and its answer."""

    at_s: float
    think_s: float
    up: int
    down: int

    @classmethod
    def of(cls, text: str) -> Call:
        at, think, up, down = text.split(":")
        return cls(float(at), float(think), int(up), int(down))


def main() -> None:
    """Play one end."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("end", choices=("serve", "ask"))
    parser.add_argument("host")
    parser.add_argument("port", type=int)
    parser.add_argument("--protocol", choices=("http1", "http2", "grpc"), default="http1")
    parser.add_argument("--calls", required=True, help="AT:THINK:UP:DOWN, with commas")
    parser.add_argument("--expect", action="store_true", help="HTTP/1: wait for 100 Continue before a body")
    parser.add_argument("--chunked", action="store_true", help="HTTP/1: answer in chunks")
    asked = parser.parse_args()
    calls = [Call.of(each) for each in asked.calls.split(",")]
    family = socket.AF_INET6 if ":" in asked.host else socket.AF_INET
    with socket.socket(family) as made:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if asked.end == "serve":
            made.bind((asked.host, asked.port))
            made.listen()
            connection, _ = made.accept()
        else:
            made.connect((asked.host, asked.port))
            connection = made
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        kind = Http1 if asked.protocol == "http1" else Http2
        (
            kind(connection, calls, asked).serve
            if asked.end == "serve"
            else kind(connection, calls, asked).ask
        )()
        connection.close()
    sys.stdout.write("done\n")


class Http1:
    """All requests, in order, and their answers."""

    def __init__(self, connection: socket.socket, calls: list[Call], asked: argparse.Namespace) -> None:
        self.connection, self.calls, self.asked = connection, calls, asked
        self.read = connection.makefile("rb")

    def ask(self) -> None:
        begin = time.monotonic()
        reader = threading.Thread(target=self._answers)
        if not self.asked.expect:
            reader.start()
        for number, call in enumerate(self.calls):
            time.sleep(max(0.0, begin + call.at_s - time.monotonic()))
            expects = "Expect: 100-continue\r\n" if self.asked.expect and call.up else ""
            head = f"POST /calls/{number} HTTP/1.1\r\nHost: web\r\n{expects}Content-Length: {call.up}\r\n\r\n"
            self.connection.sendall(head.encode())
            if expects:
                self._head()
            self.connection.sendall(b"u" * call.up)
            if self.asked.expect:
                self._answer()
        if not self.asked.expect:
            reader.join()
        time.sleep(LAST_S)

    def serve(self) -> None:
        for call in self.calls:
            self._head()
            if self.asked.expect and call.up:
                self.connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
            self.read.read(call.up)
            time.sleep(call.think_s)
            self.connection.sendall(self._response(call.down))
        self.connection.recv(1)

    def _response(self, size: int) -> bytes:
        if not self.asked.chunked:
            return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size + b"d" * size
        chunks = [b"%x\r\n%s\r\n" % (n, b"d" * n) for n in (size // 2, size - size // 2) if n]
        return b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"".join(chunks) + b"0\r\n\r\n"

    def _answers(self) -> None:
        for _ in self.calls:
            self._answer()

    def _answer(self) -> None:
        head = self._head()
        if b"chunked" not in head:
            self.read.read(int(head.partition(b"Content-Length: ")[2].split(b"\r")[0]))
            return
        while size := int(self.read.readline(), 16):
            self.read.read(size + 2)
        self.read.readline()

    def _head(self) -> bytes:
        lines = []
        while line := self.read.readline().strip():
            lines.append(line)
        return b"\r\n".join(lines) + b"\r\n"


class Http2:
    """Each call in a stream of its own."""

    def __init__(self, connection: socket.socket, calls: list[Call], asked: argparse.Namespace) -> None:
        self.connection, self.calls = connection, calls
        self.grpc = asked.protocol == "grpc"
        self.read, self.writing = connection.makefile("rb"), threading.Lock()

    def ask(self) -> None:
        begin = time.monotonic()
        self.connection.sendall(PREFACE + frame(SETTINGS, 0, 0))
        reader = threading.Thread(target=self._until_ended, args=(len(self.calls),))
        reader.start()
        for number, call in enumerate(self.calls):
            time.sleep(max(0.0, begin + call.at_s - time.monotonic()))
            fields = [
                (":method", "POST"),
                (":scheme", "http"),
                (":path", f"/calls/{number}"),
                (":authority", "web"),
            ]
            self._send(2 * number + 1, fields + self._kind(), call.up, END_STREAM)
        reader.join()
        time.sleep(LAST_S)

    def serve(self) -> None:
        self.read.read(len(PREFACE))
        self._write(frame(SETTINGS, 0, 0))
        answers = []
        for identifier in self._ended():
            answers.append(threading.Thread(target=self._respond, args=(identifier,)))
            answers[-1].start()
            if len(answers) == len(self.calls):
                break
        for each in answers:
            each.join()
        self.connection.recv(1)

    def _respond(self, identifier: int) -> None:
        call = self.calls[identifier // 2]
        time.sleep(call.think_s)
        self._send(identifier, [(":status", "200"), *self._kind()], call.down, 0 if self.grpc else END_STREAM)
        if self.grpc:
            self._write(
                frame(HEADERS, END_HEADERS | END_STREAM, identifier, fields_of([("grpc-status", "0")]))
            )

    def _kind(self) -> list[tuple[str, str]]:
        return [("content-type", "application/grpc")] if self.grpc else []

    def _send(self, identifier: int, fields: list[tuple[str, str]], size: int, ends: int) -> None:
        body = b"b" * size
        body = struct.pack(">BI", 0, size) + body if self.grpc else body
        pieces = [body[at : at + LARGEST_FRAME] for at in range(0, len(body), LARGEST_FRAME)]
        self._write(frame(HEADERS, END_HEADERS | (0 if pieces else ends), identifier, fields_of(fields)))
        for number, piece in enumerate(pieces):
            self._write(frame(DATA, ends if number == len(pieces) - 1 else 0, identifier, piece))

    def _write(self, octets: bytes) -> None:
        with self.writing:
            self.connection.sendall(octets)

    def _ended(self):
        """Give the streams that the peer ended, one after the other."""
        while head := self.read.read(9):
            size, kind, flags, identifier = (
                int.from_bytes(head[:3]),
                head[3],
                head[4],
                int.from_bytes(head[5:]),
            )
            self.read.read(size)
            if kind == SETTINGS and not flags & ACK:
                self._write(frame(SETTINGS, ACK, 0))
            elif kind in (DATA, HEADERS) and flags & END_STREAM:
                yield identifier

    def _until_ended(self, number: int) -> None:
        for _ in zip(range(number), self._ended(), strict=False):
            pass


def frame(kind: int, flags: int, identifier: int, payload: bytes = b"") -> bytes:
    """Write a frame."""
    return len(payload).to_bytes(3) + bytes([kind, flags]) + identifier.to_bytes(4) + payload


def fields_of(fields: list[tuple[str, str]]) -> bytes:
    """Write header fields as literals without indexing, with new names."""
    return b"".join(
        b"\0" + bytes([len(name)]) + name.encode() + bytes([len(value)]) + value.encode()
        for name, value in fields
    )


if __name__ == "__main__":
    main()
