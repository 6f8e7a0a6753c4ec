"""A conversation over TCP whose limits are known: who reads, thinks and pauses for how long.

``python -m tests.lab.transfer serve HOST PORT [...]`` and ``... ask HOST PORT [...]`` play the two ends of
one connection from the same options. At the end, when all that it sent is acknowledged, each end prints what
its kernel says of the connection (``ss -tin``), as a line of JSON.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import re
import socket
import struct
import subprocess
import sys
import termios
import time

LARGEST_READ = 1 << 16
CONGESTION = 13  # TCP_CONGESTION of linux/tcp.h
KERNEL_WORDS = ("busy", "rwnd_limited", "sndbuf_limited")


def main() -> None:
    """Play one end."""
    asked = _options()
    if asked.end == "serve":
        with _socket(asked, "server") as listener:
            listener.bind((asked.host, asked.port))
            listener.listen()
            _ready()
            connection, _ = listener.accept()
    else:
        connection = _socket(asked, "client")
        connection.connect((asked.host, asked.port))
    with connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        (_serve if asked.end == "serve" else _ask)(connection, asked)
        _drain(connection)
        sys.stdout.write(json.dumps(said(connection, asked.end)) + "\n")
        sys.stdout.flush()
        if asked.end == "serve":
            connection.recv(1)  # until the client closes


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("end", choices=("serve", "ask"))
    parser.add_argument("host")
    parser.add_argument("port", type=int)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--pause", type=float, default=0.0, help="of the client between rounds, seconds")
    parser.add_argument("--think", type=float, default=0.0, help="of the server before each answer")
    parser.add_argument("--up", type=int, default=100, help="bytes of a request")
    parser.add_argument("--down", type=int, default=100, help="bytes of an answer")
    for end in ("client", "server"):
        parser.add_argument(f"--{end}-rcvbuf", type=int)
        parser.add_argument(f"--{end}-sndbuf", type=int)
        parser.add_argument(f"--{end}-congestion", default="cubic")
        parser.add_argument(f"--{end}-chunk", type=int, help="write so much at once, and pause")
        parser.add_argument(f"--{end}-chunk-pause", type=float, default=0.0)
        parser.add_argument(f"--{end}-read", type=int, help="read so much, and pause")
        parser.add_argument(f"--{end}-read-pause", type=float, default=0.0)
        parser.add_argument(f"--{end}-stop-after", type=int, help="stop reading once, after so much")
        parser.add_argument(f"--{end}-stop", type=float, default=0.0, help="for so long")
    return parser.parse_args()


def _socket(asked: argparse.Namespace, end: str) -> socket.socket:
    made = socket.socket(socket.AF_INET6 if ":" in asked.host else socket.AF_INET)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    for option, name in ((socket.SO_RCVBUF, "rcvbuf"), (socket.SO_SNDBUF, "sndbuf")):
        if size := getattr(asked, f"{end}_{name}"):
            made.setsockopt(socket.SOL_SOCKET, option, size)
    made.setsockopt(socket.IPPROTO_TCP, CONGESTION, getattr(asked, f"{end}_congestion").encode())
    return made


def _ready() -> None:
    sys.stdout.write("ready\n")
    sys.stdout.flush()


def _serve(connection: socket.socket, asked: argparse.Namespace) -> None:
    for _ in range(asked.rounds):
        if not _read(connection, asked.up, asked, "server"):
            return
        time.sleep(asked.think)
        _write(connection, asked.down, asked, "server")


def _ask(connection: socket.socket, asked: argparse.Namespace) -> None:
    for number in range(asked.rounds):
        time.sleep(asked.pause if number else 0.0)
        _write(connection, asked.up, asked, "client")
        _read(connection, asked.down, asked, "client")


def _write(connection: socket.socket, size: int, asked: argparse.Namespace, end: str) -> None:
    chunk, pause_s = getattr(asked, f"{end}_chunk") or size, getattr(asked, f"{end}_chunk_pause")
    text = b"%06d the quick brown fox jumps over the lazy dog and back again\n" % asked.port
    for begin in range(0, size, max(chunk, 1)):
        time.sleep(pause_s if begin else 0.0)
        length = min(chunk, size - begin)
        connection.sendall((text * (length // len(text) + 1))[:length])


def _read(connection: socket.socket, size: int, asked: argparse.Namespace, end: str) -> bool:
    most = getattr(asked, f"{end}_read") or LARGEST_READ
    pause_s, stop_after = getattr(asked, f"{end}_read_pause"), getattr(asked, f"{end}_stop_after")
    done = 0
    while done < size:
        got = len(connection.recv(min(most, size - done)))
        if got == 0:
            return False
        if stop_after and done < stop_after <= done + got:
            time.sleep(getattr(asked, f"{end}_stop"))
        done += got
        time.sleep(pause_s)
    return True


def _drain(connection: socket.socket) -> None:
    """Wait until all that was written is acknowledged."""
    while struct.unpack("i", fcntl.ioctl(connection, termios.TIOCOUTQ, bytes(4)))[0]:
        time.sleep(0.002)


def said(connection: socket.socket, end: str) -> dict[str, object]:
    """Give what the kernel says of a connection, times in milliseconds."""
    local, peer = connection.getsockname(), connection.getpeername()
    command = ["ss", "-tinH", f"sport = :{local[1]} and dport = :{peer[1]}"]
    text = " ".join(subprocess.run(command, capture_output=True, text=True, check=True).stdout.split())
    times = {
        f"{word}_ms": int(found[1]) if (found := re.search(rf"\b{word}:(\d+)ms", text)) else 0
        for word in KERNEL_WORDS
    }
    return (
        {"end": "server" if end == "serve" else "client", "local": local[:2], "peer": peer[:2]}
        | times
        | {"ss": text}
    )


if __name__ == "__main__":
    main()
