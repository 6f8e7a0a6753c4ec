"""Traffic that no standard program makes: one-way datagrams, segmentation by the kernel, junk, conversations.

``python -m tests.lab.traffic KIND HOST PORT [--flows N] [--count N] [--size BYTES] [--interval SECONDS]``

The servers are ``sink``, which answers nothing, and ``echo`` (TCP and UDP). ``talk`` keeps TCP connections
to an echo open, ``ask`` does the same over UDP, and ``resolve`` asks DNS for A and AAAA from one socket at
once, as libc does.
"""

from __future__ import annotations

import argparse
import random
import selectors
import socket
import struct
import time
from contextlib import ExitStack

UDP_SEGMENT = 103  # linux/udp.h
SEGMENTS_AT_ONCE = 8
DNS_A, DNS_AAAA = 1, 28


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


def echo(host: str, port: int) -> None:
    """Send back what comes, over TCP and UDP, for ever."""
    with (
        socket.create_server((host, port), family=socket.AF_INET6, dualstack_ipv6=True) as listener,
        selectors.DefaultSelector() as ready,
    ):
        datagrams = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
        datagrams.bind((host, port))
        for sock in (listener, datagrams):
            ready.register(sock, selectors.EVENT_READ)
        while True:
            for key, _ in ready.select():
                if key.fileobj is listener:
                    ready.register(listener.accept()[0], selectors.EVENT_READ)
                elif key.fileobj is datagrams:
                    datagrams.sendto(*datagrams.recvfrom(65536))
                elif not _echo_stream(key.fileobj):  # type: ignore[arg-type]
                    ready.unregister(key.fileobj)


def _echo_stream(sock: socket.socket) -> bool:
    """Echo what a connection holds; return whether it is still open."""
    try:
        data = sock.recv(65536)
        sock.sendall(data)
    except OSError:
        data = b""
    if not data:
        sock.close()
    return bool(data)


def talk(asked: argparse.Namespace) -> None:
    """Hold `flows` conversations of `count` messages; one without an answer within `timeout` is given up.

    Over UDP an unanswered message is sent once more.
    """
    with ExitStack() as stack:
        open_ = [sock for _ in range(asked.flows) if (sock := _conversation(asked, stack)) is not None]
        for number in range(asked.count):
            text = (b"%08d " % number) * (asked.size // 9 + 1)
            open_ = [sock for sock in open_ if _exchange(sock, text[: asked.size], asked)]
            time.sleep(asked.interval)


def _conversation(asked: argparse.Namespace, stack: ExitStack) -> socket.socket | None:
    family = socket.AF_INET6 if ":" in asked.host else socket.AF_INET
    kind = socket.SOCK_STREAM if asked.kind == "talk" else socket.SOCK_DGRAM
    sock = stack.enter_context(socket.socket(family, kind))
    sock.settimeout(asked.timeout)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if asked.sport:
        sock.bind(("", asked.sport))
    if asked.tos:
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, asked.tos)
    try:
        sock.connect((asked.host, asked.port))
    except OSError:
        return None
    return sock


def _exchange(sock: socket.socket, message: bytes, asked: argparse.Namespace) -> bool:
    """Send a message and wait for all of it to come back; return whether the conversation goes on."""
    for _ in range(1 if asked.kind == "talk" else 2):
        try:
            sock.send(message)
            left = len(message)
            while left > 0:
                got = len(sock.recv(65536))
                if not got:
                    return False
                left -= got
        except OSError:
            continue
        return True
    return asked.kind == "ask"


def resolve(asked: argparse.Namespace) -> None:
    """Look a name up as libc does: A and AAAA from one socket at once, both again after `timeout`."""
    for number in range(asked.count):
        with socket.socket(
            socket.AF_INET6 if ":" in asked.host else socket.AF_INET, socket.SOCK_DGRAM
        ) as sock:
            sock.settimeout(asked.timeout)
            sock.connect((asked.host, asked.port))
            queries = {number * 2 + place + 7: kind for place, kind in enumerate((DNS_A, DNS_AAAA))}
            for _ in range(2):
                for identifier, kind in queries.items():
                    sock.send(_query(identifier, asked.name, kind))
                if _answered(sock, set(queries)):
                    break
        time.sleep(asked.interval)


def _answered(sock: socket.socket, identifiers: set[int]) -> bool:
    """Wait for the answers to all queries."""
    while identifiers:
        try:
            identifiers.discard(int.from_bytes(sock.recv(4096)[:2], "big"))
        except OSError:
            return False
    return True


def _query(identifier: int, name: str, kind: int) -> bytes:
    """Build a DNS query (RFC 1035 section 4)."""
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    return (
        struct.pack("!HHHHHH", identifier, 0x0100, 1, 0, 0, 0) + labels + b"\0" + struct.pack("!HH", kind, 1)
    )


def _socket(asked: argparse.Namespace) -> socket.socket:
    sock = socket.socket(socket.AF_INET6 if ":" in asked.host else socket.AF_INET, socket.SOCK_DGRAM)
    if asked.kind != "alike":
        sock.connect((asked.host, asked.port))
    if asked.kind == "segmented":
        sock.setsockopt(socket.IPPROTO_UDP, UDP_SEGMENT, asked.size)
    return sock


SERVERS = {"sink": sink, "echo": echo}
CLIENTS = {
    "datagrams": send,
    "segmented": send,
    "junk": send,
    "alike": send,
    "talk": talk,
    "ask": talk,
    "resolve": resolve,
}


def main() -> None:
    """Read the command line and send, or receive."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kind", choices=(*SERVERS, *CLIENTS))
    parser.add_argument("host")
    parser.add_argument("port", type=int)
    parser.add_argument("--flows", type=int, default=1)
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--size", type=int, default=200)
    parser.add_argument("--interval", type=float, default=0.02)
    parser.add_argument("--timeout", type=float, default=1.0)
    parser.add_argument("--name", default="kubernetes.default.svc.cluster.local")
    parser.add_argument("--sport", type=int, default=0)
    parser.add_argument("--tos", type=int, default=0)
    asked = parser.parse_args()
    if asked.kind in SERVERS:
        SERVERS[asked.kind](asked.host, asked.port)
    else:
        CLIENTS[asked.kind](asked)


if __name__ == "__main__":
    main()
