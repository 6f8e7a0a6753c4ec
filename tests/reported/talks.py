"""Conversations: TCP with its acknowledgements and retransmissions, DNS, UDP, ping."""

import random
import struct
import zlib
from collections.abc import Callable
from typing import Any

from tests.reported import frames as f
from tests.reported.frames import ACK, FIN, PSH, RST, SYN, Packet, Tcp
from tests.reported.world import Endpoint, Service, refuse

ResponseBytes = int | Callable[[int], int]


def content(seed: object, size: int) -> bytes:
    return random.Random(zlib.crc32(repr(seed).encode())).randbytes(size)


def http_request(seed: object, size: int) -> bytes:
    """Return a GET request of this many bytes (filled up with a header)."""
    head = (
        f"GET /v1/items/{zlib.crc32(repr(seed).encode()) % 9000} HTTP/1.1\r\nHost: api\r\nX-Trace: ".encode()
    )
    return (
        head
        + content(seed, size)[: max(size - len(head) - 4, 0) // 2]
        .hex()
        .ljust(size - len(head) - 4, "0")
        .encode()
        + b"\r\n\r\n"
    )


def http_answer(seed: object, size: int) -> bytes:
    """Return an answer of this many bytes."""
    kind = "HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream"
    head = f"{kind}\r\nContent-Length: {size:07}\r\n\r\n".encode()
    head = head.replace(b"%07d" % size, b"%07d" % max(size - len(head), 0))
    return head + content(seed, size - len(head)) if size > len(head) else content(seed, size)


HTTP = {80, 3000, 8000, 8080, 9090}


def usual_mss(me: Endpoint) -> int:
    """Return what an endpoint offers where the MTU of its interface fits the tunnel and a NIC of 1500."""
    world = me.node.world
    tunnel = world.tunnel6 if me.ip6 else world.tunnel
    return 1460 - 20 * me.ip6 - (tunnel.overhead if me.kind == "pod" else 0)


class Connection:
    """One end of a TCP connection: slow start, delayed ACKs, SACK, fast retransmit and time-outs."""

    def __init__(self, me: Endpoint, peer: str, sport: int, dport: int, **options: Any) -> None:
        self.me, self.peer, self.sport, self.dport = me, peer, sport, dport
        self.world = me.node.world
        self.mss: int = options.get("mss") or usual_mss(me)
        self.window: int = options.get("window", 64256)
        self.scale: int = options.get("scale", 7)
        self.timestamps: bool = options.get("timestamps", True)
        self.ip: dict[str, Any] = options.get("ip", {})
        self.options: bytes = options.get("tcp_options", b"")
        self.tries: int = options.get("tries", 6)
        self.cwnd: int = options.get("cwnd", 10)
        self.cwnd_max: int = options.get("cwnd_max", 64)
        self.iss = self.world.random.randrange(2**32)
        self.ident = self.world.random.randrange(65536)
        self.una = self.next = 0  # relative to iss
        self.received = 0  # next byte expected, relative; 1 behind the SYN
        self.peer_iss = 0
        self.peer_window = 64240
        self.peer_scale = 0
        self.peer_mss = 536
        self.recent = 0
        self.queue = bytearray()  # from relative byte 1 on
        self.early: dict[int, bytes] = {}
        self.state = "closed"
        self.fin_at: int | None = None
        self.peer_fin: int | None = None
        self.unread = 0  # bytes in the receive buffer
        self.reads = True
        self.owed = 0
        self.dupacks = 0
        self.timer = 0
        self.backoff = 0
        self.recovering = -1
        self.on_data: Callable[[Connection, int], None] = lambda *_: None
        self.on_open: Callable[[Connection], None] = lambda _: None
        self.on_end: Callable[[Connection, str], None] = lambda *_: None
        me.sockets[f.TCP, sport, peer, dport] = self.take

    # ------------------------------------------------------------ sending

    def emit(self, flags: int, at: int | None = None, data: bytes = b"", sack: bool = False) -> None:
        at = self.next if at is None else at
        stamps = (self.me.timestamp(), self.recent) if self.timestamps else None
        blocks: tuple[tuple[int, int], ...] = ()
        if flags & SYN:
            options = f.tcp_options(self.mss, True, stamps, self.scale, other=self.options)
        else:
            if sack and self.early:
                first = min(self.early)
                end = first
                while end in self.early:
                    end += len(self.early[end])
                blocks = (((self.peer_iss + first) % 2**32, (self.peer_iss + end) % 2**32),)
            options = f.tcp_options(timestamps=stamps, sack=blocks, other=self.options)
        free = max(self.window - self.unread, 0)
        free = free if free >= min(self.mss, self.window // 2) else 0  # no silly windows
        window = min(self.window, 65535) if flags & SYN else min(free >> self.scale, 65535)
        ack = (self.peer_iss + self.received) % 2**32 if flags & ACK else 0
        body = Tcp(self.sport, self.dport, (self.iss + at) % 2**32, ack, flags, window, options, data)
        self.ident = (self.ident + 1) & 0xFFFF
        ip = {"ttl": self.me.ttl, "ident": self.ident} | self.ip
        self.owed = 0
        self.me.send(Packet(self.me.address, self.peer, body, **ip))

    def open(self) -> None:
        self.state = "syn-sent"
        self.emit(SYN, 0)
        self.next = 1
        self.arm(1000)

    def send(self, data: bytes) -> None:
        self.queue += data
        self.pump()

    def close(self) -> None:
        self.fin_at = 1 + len(self.queue)
        self.pump()

    def abort(self) -> None:
        self.emit(RST | ACK)
        self.forget("aborted")

    def forget(self, why: str) -> None:
        if self.state != "gone":
            self.state = "gone"
            self.timer += 1
            self.me.sockets.pop((f.TCP, self.sport, self.peer, self.dport), None)
            self.on_end(self, why)

    def pump(self) -> None:
        if self.state not in ("open", "closing"):
            return
        sent = False
        end = 1 + len(self.queue)
        segment = min(self.mss, self.peer_mss) - (12 if self.timestamps else 0)
        while self.next < end:
            size = min(segment, end - self.next)
            if self.next + size - self.una > min(self.cwnd * segment, max(self.peer_window, 0)):
                break
            data = bytes(self.queue[self.next - 1 : self.next - 1 + size])
            self.emit(ACK | (PSH if self.next + size == end else 0), data=data)
            self.next += size
            sent = True
        if self.fin_at is not None and self.next == self.fin_at == end:
            self.emit(FIN | ACK)
            self.next += 1
            self.state = "closing"
            sent = True
        if sent:
            self.arm(200)

    def stop_reading(self) -> None:
        """Leave what arrives in the receive buffer, so that the window closes."""
        self.reads = False

    def read(self) -> None:
        """Take everything out of the receive buffer again, and open the window."""
        closed = self.unread > 0
        self.reads, self.unread = True, 0
        if closed and self.state not in ("gone", "closed"):
            self.emit(ACK)

    def probe(self, wait: float = 0.21) -> None:
        """Ask for the peer's window while it is zero, ever more rarely (RFC 9293 section 3.8.6.1)."""
        if self.state in ("open", "closing") and self.una == self.next and self.next < 1 + len(self.queue):
            self.emit(ACK, self.una - 1)
            self.world.after(wait, lambda: self.probe(2 * wait))

    def arm(self, base_ms: int) -> None:
        self.timer += 1
        mine = self.timer
        wait = (base_ms << self.backoff) + self.world.random.randint(3, 12)
        self.world.after(wait / 1000, lambda: self.time_out(base_ms) if mine == self.timer else None)

    def time_out(self, base_ms: int) -> None:
        if self.state == "gone" or self.una >= self.next:
            return
        self.backoff += 1
        if self.backoff > self.tries:
            self.forget("timed out")
            return
        self.cwnd, self.recovering = 2, self.next
        self.again()
        self.arm(base_ms)

    def again(self) -> None:
        """Retransmit what is expected next."""
        if self.una == 0:
            self.emit(SYN | (ACK if self.state == "syn-received" else 0), 0)
        elif self.fin_at is not None and self.una == self.fin_at:
            self.emit(FIN | ACK, self.una)
        else:
            size = min(
                min(self.mss, self.peer_mss) - (12 if self.timestamps else 0), 1 + len(self.queue) - self.una
            )
            self.emit(ACK | PSH, self.una, bytes(self.queue[self.una - 1 : self.una - 1 + size]))

    # ------------------------------------------------------------ receiving

    def take(self, packet: Packet) -> None:
        tcp = packet.tcp
        if tcp.flags & RST:
            self.forget("reset")
            return
        self._note_stamps(tcp)
        if tcp.flags & SYN:
            self._syn(tcp)
            return
        if self.state == "syn-received":
            self.state, self.una = "open", max(self.una, 1)
            self.backoff, self.timer = 0, self.timer + 1
            self.on_open(self)
        self.peer_window = tcp.window << self.peer_scale
        was_open = self.una < self.next
        self._acknowledged((tcp.ack - self.iss) % 2**32, tcp)
        if self.peer_window == 0 and was_open and self.una == self.next:
            self.world.after(0.21, self.probe)
        if (tcp.seq - self.peer_iss) % 2**32 == self.received - 1 and not tcp.payload and not tcp.flags & FIN:
            self.emit(ACK)  # a keep-alive, or a probe of the window
            return
        self._data((tcp.seq - self.peer_iss) % 2**32, tcp)
        self.pump()

    def _note_stamps(self, tcp: Tcp) -> None:
        at = tcp.options.find(b"\x08\x0a")
        if at >= 0:
            self.recent = int.from_bytes(tcp.options[at + 2 : at + 6])

    def _syn(self, tcp: Tcp) -> None:
        options = tcp.options
        at, scale = options.find(b"\x02\x04"), options.find(b"\x03\x03")
        if self.state in ("open", "closing"):
            self.emit(ACK)
            return
        self.peer_iss, self.received = tcp.seq, 1
        self.peer_window = tcp.window
        self.peer_mss = int.from_bytes(options[at + 2 : at + 4]) if at >= 0 else 536
        self.peer_scale = options[scale + 2] if scale >= 0 else 0
        if tcp.flags & ACK:
            self.una, self.state, self.backoff, self.timer = 1, "open", 0, self.timer + 1
            self.emit(ACK)
            self.on_open(self)
            self.pump()
        else:
            self.state = "syn-received"
            self.emit(SYN | ACK, 0)
            self.next = 1
            self.arm(1000)

    def _acknowledged(self, ack: int, tcp: Tcp) -> None:
        if self.una < ack <= self.next:
            if self.recovering < 0:
                self.cwnd = min(self.cwnd + 1, self.cwnd_max)
            self.una, self.dupacks, self.backoff = ack, 0, 0
            self.timer += 1
            if self.una < self.next:
                if self.una < self.recovering:
                    self.again()
                self.arm(200)
            if self.una >= self.recovering:
                self.recovering = -1
            if self.fin_at is not None and self.una > self.fin_at and self.peer_fin is not None:
                self.forget("closed")
        elif ack == self.una and self.next > self.una and not tcp.payload:
            self.dupacks += 1
            if self.dupacks == 3 and self.recovering < 0:
                self.cwnd, self.recovering = max(self.cwnd // 2, 2), self.next
                self.again()

    def _data(self, at: int, tcp: Tcp) -> None:
        if tcp.flags & FIN:
            self.peer_fin = at + len(tcp.payload)
        if tcp.payload and not self._take_in(at, tcp.payload):
            return
        if self.peer_fin is not None and self.received == self.peer_fin:
            self.received += 1
            if self.fin_at is None:
                self.close()
            else:
                self.emit(ACK)
            if self.una >= self.next:
                self.forget("closed")

    def _take_in(self, at: int, payload: bytes) -> bool:
        """Take data; False where nothing new could be read."""
        if at > self.received:
            self.early[at] = payload
            self.emit(ACK, sack=True)
            return False
        new = at + len(payload) - self.received
        if new <= 0:
            self.emit(ACK)
            return False
        self.received += new
        self.unread += 0 if self.reads else new
        while self.received in self.early:
            more = self.early.pop(self.received)
            self.received, new = self.received + len(more), new + len(more)
        self.owed += 1
        self.on_data(self, new)
        if self.owed >= 2:
            self.emit(ACK)
        elif self.owed:
            self._acknowledge_later()
        return True

    def keep_alive(self, every: float, until: float) -> None:
        """Send keep-alives while nothing else is to be said."""
        if self.state == "open" and self.world.elapsed < until:
            self.emit(ACK, self.next - 1)
            self.world.after(every, lambda: self.keep_alive(every, until))

    def _acknowledge_later(self) -> None:
        def late() -> None:
            if self.owed and self.state != "gone":
                self.emit(ACK)

        self.world.after(0.04, late)


def tcp_listen(server: Endpoint, port: int, **said: Any) -> None:
    """Let a server take connections: it does what the talk of the client's port says, or ``said``."""
    world = server.node.world

    def come(packet: Packet) -> None:
        if packet.tcp.flags & (SYN | ACK | RST) != SYN:
            refuse(server, packet)
            return
        dialogue = {"answer": 2000, "request": 300, "think": 0.002} | said
        dialogue |= world.dialogues.get((port, packet.sport), {})
        answer, request, think = (dialogue.pop(name) for name in ("answer", "request", "think"))
        end = Connection(server, packet.src, port, packet.sport, **dialogue)
        dialogue.get("made", []).append(end)
        heard, served = [0], [0]

        def serve(number: int) -> None:
            make = http_answer if port in HTTP else content
            end.send(make((packet.src, packet.sport, port, number, end.iss), asked_for(answer, number)))

        def on_data(_: Connection, size: int) -> None:
            heard[0] += size
            while heard[0] >= (served[0] + 1) * request:
                served[0] += 1
                wait = think(served[0]) if callable(think) else think
                world.after(wait, lambda number=served[0]: serve(number))  # type: ignore[misc]

        end.on_data = on_data
        end.take(packet)

    server.listeners[f.TCP, port] = come


def asked_for(answer: ResponseBytes, number: int) -> int:
    return answer(number) if callable(answer) else answer


def tcp_talk(
    client: Endpoint,
    server: Endpoint | Service | str,
    port: int,
    at: float,
    *,
    request: int = 300,
    answer: ResponseBytes = 2000,
    repeat: int = 1,
    pause: float = 0.1,
    think: float | Callable[[int], float] = 0.002,
    close: str = "fin",
    sport: int | None = None,
    listen: bool = True,
    server_options: dict[str, Any] | None = None,
    **options: Any,
) -> list[Connection]:
    """Let a client connect, ask ``repeat`` times and close (``fin``, ``rst``, ``never``).

    Returns a list that holds its end once it began. ``listen`` False: nobody need listen there.
    """
    world, made = client.node.world, []
    peer = server if isinstance(server, str) else server.address
    target = server.target if isinstance(server, Service) else port
    for backend in _backends(server) if listen else []:
        if (f.TCP, target) not in backend.listeners:
            tcp_listen(backend, target)
    dialogue = {"answer": answer, "request": request, "think": think} | options | (server_options or {})

    def begin() -> None:
        end = Connection(client, peer, sport or client.next_sport(), port, **options)
        world.dialogues[target, end.sport] = dialogue
        made.append(end)
        got, asked, due = [0], [0], [0]

        def ask(_: object = None) -> None:
            asked[0] += 1
            due[0] += asked_for(answer, asked[0])
            make = http_request if target in HTTP and request > 120 else content
            end.send(make((client.address, end.sport, asked[0], end.iss), request))

        def on_data(_: Connection, size: int) -> None:
            got[0] += size
            if got[0] < due[0]:
                return
            if asked[0] < repeat:
                world.after(pause, ask)
            elif close in ("fin", "rst"):
                world.after(0.0005, end.close if close == "fin" else end.abort)

        end.on_open, end.on_data = ask, on_data
        end.open()

    world.at(at, begin)
    return made


def _backends(server: Endpoint | Service | str) -> list[Endpoint]:
    if isinstance(server, str):
        return []
    return server.backends if isinstance(server, Service) else [server]


def udp_listen(server: Endpoint, port: int, answer: int | None = None, think: float = 0.0002) -> None:
    def come(packet: Packet) -> None:
        if answer is not None:
            data = (b"answer " + content((packet.src, packet.sport, packet.ident), answer))[:answer]
            reply = Packet(
                server.address,
                packet.src,
                f.Udp(port, packet.sport, data),
                ttl=server.ttl,
                ident=server.next_ident(),
            )
            server.node.world.after(think, lambda: server.send(reply))

    server.listeners[f.UDP, port] = come


def udp_talk(
    client: Endpoint,
    server: Endpoint,
    port: int,
    at: float,
    *,
    count: int = 10,
    size: int = 400,
    gap: float = 0.05,
    answer: int | None = 400,
    sport: int | None = None,
    ip: dict[str, Any] | None = None,
) -> None:
    """Send datagrams from one socket; ``answer`` None: nobody answers, by design."""
    world, own = client.node.world, sport or client.next_sport()
    udp_listen(server, port, answer)
    client.sockets[f.UDP, own, server.address, port] = lambda _: None

    def one(number: int) -> None:
        body = f.Udp(own, port, (b"%06d " % number + content((client.address, own, number), size))[:size])
        fields = {"ttl": client.ttl, "ident": client.next_ident()} | (ip or {})
        client.send(Packet(client.address, server.address, body, **fields))

    for number in range(count):
        world.at(at + number * gap, lambda number=number: one(number))  # type: ignore[misc]


def dns_listen(
    server: Endpoint, records: dict[str, list[str]] | None = None, think: float = 0.0006, port: int = 53
) -> None:
    """Answer queries: names with the addresses said, or one made up; AAAA of unsaid names has no data."""

    def come(packet: Packet) -> None:
        query = packet.payload
        end = query.index(b"\0", 12)
        kind = struct.unpack("!H", query[end + 1 : end + 3])[0]
        name = _read_name(query)
        known = (records or {}).get(name)
        if known is None:
            known = [f"10.96.{zlib.crc32(name.encode()) % 200}.{zlib.crc32(name[::-1].encode()) % 250 + 1}"]
        fit = [r for r in known if f.is_ip6(r) == (kind == f.AAAA)] if kind in (f.A, f.AAAA) else []
        body = f.Udp(port, packet.sport, f.dns_answer(query, fit))
        reply = Packet(server.address, packet.src, body, ttl=server.ttl, ident=server.next_ident())
        server.node.world.after(think, lambda: server.send(reply))

    server.listeners[f.UDP, port] = come


def _read_name(query: bytes) -> str:
    labels, at = [], 12
    while query[at]:
        labels.append(query[at + 1 : at + 1 + query[at]].decode())
        at += query[at] + 1
    return ".".join(labels)


def dns_talk(
    client: Endpoint,
    server: Endpoint | Service,
    name: str,
    at: float,
    *,
    kinds: tuple[int, ...] = (f.A, f.AAAA),
    one_socket: bool = True,
    timeout: float = 5.0,
    tries: int = 2,
    sport: int | None = None,
    gap: float = 0.00004,
    edns: int | None = None,
    listen: bool = True,
) -> None:
    """Ask for a name as a resolver does (glibc: A and AAAA from one socket, both again after 5 s)."""
    world = client.node.world
    for backend in _backends(server) if listen else []:
        if not backend.listeners.get((f.UDP, 53)):
            dns_listen(backend)

    def query(port: int, ident: int, kind: int) -> None:
        body = f.Udp(port, 53, f.dns_query(ident, name, kind, edns))
        client.send(Packet(client.address, server.address, body, ttl=client.ttl, ident=client.next_ident()))

    def begin() -> None:
        first = sport or client.next_sport()
        ports = [first if one_socket else client.next_sport() for _ in kinds]
        ids = [world.random.randrange(65536) for _ in kinds]
        missing = dict(zip(ids, zip(ports, kinds, strict=True), strict=True))

        def come(packet: Packet) -> None:
            missing.pop(int.from_bytes(packet.payload[:2]), None)

        def ask(left: int) -> None:
            for n, (ident, (port, kind)) in enumerate(missing.items()):
                world.after(n * gap, lambda p=port, i=ident, k=kind: query(p, i, k))  # type: ignore[misc]
            if missing and left > 1:
                world.after(timeout, lambda: ask(left - 1))

        for port in ports:
            client.sockets[f.UDP, port, server.address, 53] = come
        ask(tries)

    world.at(at, begin)


def ping(
    client: Endpoint,
    server: Endpoint,
    at: float,
    *,
    count: int = 5,
    size: int = 56,
    gap: float = 1.0,
    ident: int | None = None,
    **ip: Any,
) -> None:
    world, own = client.node.world, ident or client.node.world.random.randrange(1, 65536)

    def one(number: int) -> None:
        seconds, rest = divmod(world.now, 10**9)
        stamp = seconds.to_bytes(8, "little") + (rest // 1000).to_bytes(8, "little")
        data = (stamp + bytes(i & 0xFF for i in range(16, max(size, 16))))[:size]
        fields = {"ttl": client.ttl, "ident": client.next_ident()} | ip
        client.send(f.echo(client.address, server.address, own, number, data, **fields))

    for number in range(count):
        world.at(at + number * gap, lambda number=number: one(number + 1))  # type: ignore[misc]


__all__ = [
    "Connection",
    "content",
    "dns_listen",
    "dns_talk",
    "ping",
    "tcp_listen",
    "tcp_talk",
    "udp_listen",
    "udp_talk",
]
