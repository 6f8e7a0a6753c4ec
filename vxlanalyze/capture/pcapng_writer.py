"""Write a pcapng with times in nanoseconds and packet comments, as shown by Wireshark.

Source: draft-ietf-opsawg-pcapng sections 3.5, 4.1 to 4.3.
"""

import struct
from collections.abc import Iterable, Sequence
from typing import BinaryIO

from vxlanalyze.capture import blocks
from vxlanalyze.capture.model import Interface

_COMMENT, _END = 1, 0
_USER_APPLICATION, _IF_NAME, _IF_TSRESOL = 4, 2, 9
_NANOSECONDS = 9
_LENGTH_UNKNOWN = -1
_LONGEST_OPTION_BYTES = 0xFFFF


class PcapngWriter:
    """Writes one section of little-endian blocks.

    Parameters
    ----------
    handle : BinaryIO
        Takes the bytes; the caller opens and closes it.
    interfaces : sequence of Interface, optional
        The interfaces that packets refer to by position; None to continue a section begun elsewhere.
    """

    def __init__(self, handle: BinaryIO, interfaces: Sequence[Interface] | None = None) -> None:
        self._handle = handle
        if interfaces is not None:
            self._begin(interfaces)

    def _begin(self, interfaces: Sequence[Interface]) -> None:
        head = struct.pack("<IHHq", blocks.LITTLE_ENDIAN_MAGIC, 1, 0, _LENGTH_UNKNOWN)
        self._write_block(blocks.SECTION_HEADER, head, [(_USER_APPLICATION, b"vxlanalyze")])
        for interface in interfaces:
            body = struct.pack("<HHI", interface.link_type, 0, interface.snaplen_bytes)
            name = [] if interface.name is None else [(_IF_NAME, interface.name.encode())]
            self._write_block(
                blocks.INTERFACE_DESCRIPTION, body, [*name, (_IF_TSRESOL, bytes([_NANOSECONDS]))]
            )

    def write(
        self,
        interface: int,
        time_ns: int,
        data: bytes | bytearray | memoryview,
        original_length: int,
        comments: Iterable[str] = (),
    ) -> None:
        """Write one packet.

        Parameters
        ----------
        interface : int
            Position in `interfaces`.
        time_ns : int
            Since 1970-01-01 UTC; the format has no earlier times, which are written as 0.
        data : bytes-like
            The captured bytes.
        original_length : int
            Length of the frame on the wire.
        comments : iterable of str
            Each becomes a comment of the packet.
        """
        time_ns = max(0, time_ns)
        body = struct.pack(
            "<IIIII", interface, time_ns >> 32, time_ns & 0xFFFFFFFF, len(data), original_length
        )
        self._write_block(
            blocks.ENHANCED_PACKET,
            body + _padded(bytes(data)),
            [(_COMMENT, comment.encode(errors="backslashreplace")) for comment in comments],
        )

    def _write_block(self, kind: int, body: bytes, options: Sequence[tuple[int, bytes]]) -> None:
        pieces = [body]
        for code, value in options:
            value = _cut(value)
            pieces += [struct.pack("<HH", code, len(value)), _padded(value)]
        if options:
            pieces.append(struct.pack("<HH", _END, 0))
        content = b"".join(pieces)
        length = struct.pack("<I", blocks.SMALLEST_BYTES + len(content))
        self._handle.write(struct.pack("<I", kind) + length + content + length)


def _padded(value: bytes) -> bytes:
    return value + bytes(-len(value) % 4)


def _cut(value: bytes) -> bytes:
    """Truncate a text to what an option holds, between characters."""
    if len(value) <= _LONGEST_OPTION_BYTES:
        return value
    return value[:_LONGEST_OPTION_BYTES].decode(errors="ignore").encode()
