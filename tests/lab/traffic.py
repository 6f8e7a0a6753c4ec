"""Traffic that no standard program makes: one-way datagrams, segmentation by the kernel, junk.

``python -m tests.lab.traffic KIND HOST PORT [--count N] [--size BYTES] [--interval SECONDS]``
"""

from __future__ import annotations

import argparse
import random
import socket
import time

UDP_SEGMENT = 103  # linux/udp.h
SEGMENTS_AT_ONCE = 8


def sink(host: str, port: int) -> None:
    """Receive datagrams for ever and answer none."""
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sock:
        sock.bind((host, port))
        while True:
            sock.recv(65536)


def send(kind: str, host: str, port: int, count: int, size: int, interval_s: float) -> None:
    """Send `count` datagrams of `size` octets (segmented: in super-packets of eight; junk: random octets)."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    lots = random.Random(port)
    with socket.socket(family, socket.SOCK_DGRAM) as sock:
        sock.connect((host, port))
        if kind == "segmented":
            sock.setsockopt(socket.IPPROTO_UDP, UDP_SEGMENT, size)
        for number in range(count):
            text = (b"%08d " % number) * (size * SEGMENTS_AT_ONCE // 9 + 1)
            if kind == "segmented":
                # The last segment is shorter, as the end of a message is.
                sock.send(text[: size * SEGMENTS_AT_ONCE - size // 3])
            else:
                sock.send(lots.randbytes(size) if kind == "junk" else text[:size])
            time.sleep(interval_s)


def main() -> None:
    """Read the command line and send, or receive."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kind", choices=("sink", "datagrams", "segmented", "junk"))
    parser.add_argument("host")
    parser.add_argument("port", type=int)
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--size", type=int, default=200)
    parser.add_argument("--interval", type=float, default=0.02)
    asked = parser.parse_args()
    if asked.kind == "sink":
        sink(asked.host, asked.port)
    send(asked.kind, asked.host, asked.port, asked.count, asked.size, asked.interval)


if __name__ == "__main__":
    main()
