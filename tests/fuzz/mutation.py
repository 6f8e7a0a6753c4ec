"""How inputs are damaged: octets, fields of frames, the files around them, texts by their structure."""

import bz2
import gzip
import json
import struct
from collections.abc import Callable
from dataclasses import replace
from random import Random
from typing import Any

import pyarrow as pa

from tests.capture import build
from tests.capture.build import Packet
from tests.fuzz.seeds import Point

INTERESTING = (
    0,
    1,
    4,
    7,
    8,
    20,
    40,
    45,
    64,
    127,
    128,
    255,
    256,
    1500,
    4789,
    8472,
    32767,
    32768,
    65535,
    65536,
)
HUGE = (0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 0xFFFFFFF0, 262_144, 262_145, 1 << 24)
LONGEST_FRAME = 9000

_MOST_CHANGES = 6


def octets(content: bytes, random: Random, begin: int = 0) -> bytes:
    """Change one to six places behind `begin`."""
    data = bytearray(content)
    for _ in range(random.randint(1, _MOST_CHANGES)):
        if len(data) <= begin:
            break
        random.choice(_OCTET_CHANGES)(data, random.randrange(begin, len(data)), random)
    return bytes(data)


def _flip(data: bytearray, at: int, random: Random) -> None:
    data[at] ^= 1 << random.randrange(8)


def _set(data: bytearray, at: int, random: Random) -> None:
    data[at] = random.choice((0, 1, 0x7F, 0x80, 0xFF, random.randrange(256)))


def _number(data: bytearray, at: int, random: Random) -> None:
    size, order = random.choice((2, 4)), random.choice("<>")
    value = random.choice(INTERESTING + HUGE) & (1 << 8 * size) - 1
    data[at : at + size] = struct.pack(order + ("H" if size == 2 else "I"), value)


def _remove(data: bytearray, at: int, random: Random) -> None:
    del data[at : at + random.choice((1, 2, 4, 16, 100))]


def _repeat(data: bytearray, at: int, random: Random) -> None:
    piece = data[at : at + random.choice((1, 4, 16, 60, 300))]
    data[at:at] = piece * random.randint(1, 3)


def _insert(data: bytearray, at: int, random: Random) -> None:
    data[at:at] = random.randbytes(random.choice((1, 2, 4, 16, 64)))


def _end(data: bytearray, at: int, random: Random) -> None:
    del data[at:]


def _move(data: bytearray, at: int, random: Random) -> None:
    size = random.choice((4, 16, 60))
    piece = data[at : at + size]
    to = random.randrange(len(data))
    data[to : to + len(piece)] = piece


_OCTET_CHANGES: tuple[Callable[[bytearray, int, Random], None], ...] = (
    *(_flip, _set, _set, _number, _number, _remove, _repeat, _insert, _end, _move),
)


def point(whole: Point, random: Random) -> Point:
    """Change some frames of a capture: their octets, lengths, times, order and number; or its link type."""
    frames = list(whole.frames)
    for _ in range(random.randint(0, _MOST_CHANGES)):
        if frames:
            random.choice(_FRAME_CHANGES)(frames, random.randrange(len(frames)), random)
    link_type = random.choice((0, 1, 101, 108, 113, 147, 228, 229, 276)) if random.random() < 0.02 else None
    return Point(whole.link_type if link_type is None else link_type, tuple(frames))


def _octets_of_frame(frames: list[Packet], at: int, random: Random) -> None:
    # Headers stand at the beginning: most changes go there.
    data = frames[at].data
    head = data[: random.choice((60, 60, 140, LONGEST_FRAME))]
    changed = (octets(head, random) + data[len(head) :])[:LONGEST_FRAME]
    frames[at] = replace(frames[at], data=changed, original=max(frames[at].original, len(changed)))


def _length_of_frame(frames: list[Packet], at: int, random: Random) -> None:
    frames[at] = replace(frames[at], original=random.choice(INTERESTING + HUGE))


def _cut_frame(frames: list[Packet], at: int, random: Random) -> None:
    frames[at] = replace(frames[at], data=frames[at].data[: random.randrange(len(frames[at].data) + 1)])


def _time_of_frame(frames: list[Packet], at: int, random: Random) -> None:
    seconds = random.choice((0, 1, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, frames[at].seconds - 1))
    frames[at] = replace(
        frames[at], seconds=seconds & 0xFFFFFFFF, fraction=random.choice((0, 999_999, 1 << 31))
    )


def _swap_frames(frames: list[Packet], at: int, random: Random) -> None:
    other = random.randrange(len(frames))
    frames[at], frames[other] = frames[other], frames[at]


def _repeat_frame(frames: list[Packet], at: int, random: Random) -> None:
    frames[at:at] = [frames[at]] * random.choice((1, 2, 30))


def _lose_frames(frames: list[Packet], at: int, random: Random) -> None:
    del frames[at : at + random.choice((1, 5, 50))]


_FRAME_CHANGES: tuple[Callable[[list[Packet], int, Random], None], ...] = (
    *(_octets_of_frame, _octets_of_frame, _octets_of_frame, _octets_of_frame, _length_of_frame, _cut_frame),
    *(_time_of_frame, _swap_frames, _repeat_frame, _lose_frames),
)


def packaged(whole: Point, random: Random) -> bytes:
    """Write a capture in some format, sometimes compressed, and damage the file now and then."""
    content = random.choice(_FORMATS)(whole, random)
    if random.random() < 0.4:
        begin = 0 if random.random() < 0.1 else 24
        content = octets(content, random, min(begin, len(content) - 1))
    if random.random() < 0.2:
        content = random.choice(_COMPRESSIONS)(content)
        content = octets(content, random) if random.random() < 0.5 else content
    return content


def pcap(whole: Point, random: Random) -> bytes:
    magic = random.choice((build.MICROSECONDS, build.MICROSECONDS, build.NANOSECONDS))
    frames = [_representable(frame) for frame in whole.frames]
    return build.pcap(frames, magic, random.choice("<<>"), network=whole.link_type)


def _representable(frame: Packet) -> Packet:
    return replace(frame, original=frame.original & 0xFFFFFFFF)


def pcapng(whole: Point, random: Random) -> bytes:
    """Write a section with several interfaces, packet blocks of all kinds, drop counts and comments."""
    order = random.choice("<<>")
    unit, unit_option = random.choice(
        ((10**6, b""), (10**9, build.option(9, b"\x09", order)), (1 << 20, build.option(9, b"\x94", order)))
    )
    name = build.option(2, random.choice((b"eth0", b"\xff\xfe", b"<script>", b"a" * 300)), order)
    kinds = random.randint(1, 3)
    blocks = [build.section(order)]
    blocks += [build.interface(whole.link_type, 0, name + unit_option, order) for _ in range(kinds)]
    for place, frame in enumerate(whole.frames):
        time = frame.seconds * unit + frame.fraction * unit // 10**6
        comment = build.option(1, b"x\x1b[31m", order) if random.random() < 0.05 else b""
        blocks.append(_packet_block(frame, time, place % kinds, comment, order, random))
    counts = build.option(4, struct.pack(order + "Q", 99), order) + build.option(
        5, struct.pack(order + "Q", 3), order
    )
    blocks += [build.statistics(number, counts, order) for number in range(kinds)]
    return b"".join(blocks)


def _packet_block(frame: Packet, time: int, number: int, comment: bytes, order: str, random: Random) -> bytes:
    kind = random.random()
    if kind < 0.02:
        return build.simple(frame.data, len(frame.data), order)
    if kind < 0.04:
        return build.obsolete(frame.data, time, number, order=order)
    return build.enhanced(frame.data, time, number, frame.original & 0xFFFFFFFF, comment, order)


_FORMATS: tuple[Callable[[Point, Random], bytes], ...] = (pcap, pcap, pcapng)


def _packed(codec: str) -> Callable[[bytes], bytes]:
    return lambda content: pa.compress(content, codec=codec, asbytes=True)


def _gzip(content: bytes) -> bytes:
    return gzip.compress(content, mtime=0)  # the same in every run


def _lz4(content: bytes) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "lz4") as stream:
        stream.write(content)
    return sink.getvalue().to_pybytes()


_COMPRESSIONS: tuple[Callable[[bytes], bytes], ...] = (_gzip, bz2.compress, _packed("zstd"), _lz4)

_HOSTILE: tuple[Any, ...] = (
    *(None, True, 0, -1, 2**63, 10**400, 1e308, float("nan"), "", "x" * 5000, "\ud800", "\x00\x1b[31m<b>"),
    *([], {}, [[]], [None], {"a": None}, "10.0.0.0/99", "fe80::1%eth0", "1970-01-01", "path-blocked@a>b"),
)


def json_text(text: str, random: Random) -> bytes:
    """Change values of a JSON document, and its octets now and then."""
    if random.random() < 0.25:
        return octets(text.encode(), random)
    document = json.loads(text)
    for _ in range(random.randint(1, _MOST_CHANGES)):
        document = _changed_value(document, random)
    return json.dumps(document).encode()


def _changed_value(value: Any, random: Random) -> Any:
    """Walk down to a value by chance and put something else there."""
    if isinstance(value, dict) and value and random.random() < 0.93:
        key = random.choice(sorted(value))
        if random.random() < 0.08:
            return {k: v for k, v in value.items() if k != key}
        return {**value, key: _changed_value(value[key], random)}
    if isinstance(value, list) and value and random.random() < 0.93:
        at = random.randrange(len(value))
        if random.random() < 0.08:
            return value[:at] + value[at:] * 2
        return [*value[:at], _changed_value(value[at], random), *value[at + 1 :]]
    return random.choice(_HOSTILE)


def plain_text(text: str, random: Random) -> bytes:
    """Change the lines of a text: leave out, repeat, swap, and change octets."""
    lines = text.splitlines(keepends=True) or [""]
    for _ in range(random.randint(0, 3)):
        at = random.randrange(len(lines))
        lines[at] = random.choice(("", lines[at] * 2, random.choice(lines), lines[at].replace(" ", "\t")))
    return octets("".join(lines).encode(), random) if random.random() < 0.7 else "".join(lines).encode()
