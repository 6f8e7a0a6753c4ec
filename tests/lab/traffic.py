"""Traffic that no standard program makes: one-way datagrams, segmentation by the kernel, junk.

``python -m tests.lab.traffic KIND HOST PORT [--flows N] [--count N] [--size BYTES] [--interval SECONDS]``
"""

from __future__ import annotations

import argparse
import random
import socket
import time
from contextlib import ExitStack

UDP_SEGMENT = 103  # linux/udp.h
SEGMENTS_AT_ONCE = 8


def sink(host: str, port: int) -> None:
    """Receive datagrams for ever and answer none."""
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sock:
        sock.bind((host, port))
        while True:
            sock.recv(65536)


def send(asked: argparse.Namespace) -> None:
    """Send `count` datagrams of `size` octets in each flow.

    ``segmented`` hands the kernel eight at once, to be cut; ``junk`` holds random octets; ``alike`` are all
    the same, from a socket without a peer, so that Linux gives them the IP ID 0 too.
    """
    lots = random.Random(asked.port)
    with ExitStack() as stack:
        flows = [stack.enter_context(_socket(asked)) for _ in range(asked.flows)]
        for number in range(asked.count):
            text = (b"%08d " % (0 if asked.kind == "alike" else number)) * (
                asked.size * SEGMENTS_AT_ONCE // 9 + 1
            )
            # The last segment is shorter, as the end of a message is.
            length = (
                asked.size * SEGMENTS_AT_ONCE - asked.size // 3 if asked.kind == "segmented" else asked.size
            )
            for flow in flows:
                data = lots.randbytes(length) if asked.kind == "junk" else text[:length]
                if asked.kind == "alike":
                    flow.sendto(data, (asked.host, asked.port))
                else:
                    flow.send(data)
            time.sleep(asked.interval)


def _socket(asked: argparse.Namespace) -> socket.socket:
    sock = socket.socket(socket.AF_INET6 if ":" in asked.host else socket.AF_INET, socket.SOCK_DGRAM)
    if asked.kind != "alike":
        sock.connect((asked.host, asked.port))
    if asked.kind == "segmented":
        sock.setsockopt(socket.IPPROTO_UDP, UDP_SEGMENT, asked.size)
    return sock


def main() -> None:
    """Read the command line and send, or receive."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kind", choices=("sink", "datagrams", "segmented", "junk", "alike"))
    parser.add_argument("host")
    parser.add_argument("port", type=int)
    parser.add_argument("--flows", type=int, default=1)
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--size", type=int, default=200)
    parser.add_argument("--interval", type=float, default=0.02)
    asked = parser.parse_args()
    if asked.kind == "sink":
        sink(asked.host, asked.port)
    send(asked)


if __name__ == "__main__":
    main()
