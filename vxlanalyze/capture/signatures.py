"""Identify a file by its first bytes: a capture, or something else, which is named.

Sources: draft-ietf-opsawg-pcap; draft-ietf-opsawg-pcapng section 4.1; RFC 1761 (snoop); Wireshark,
wiretap/*.c, for the magic numbers of other capture formats; POSIX pax, "ustar Interchange Format".
"""

from vxlanalyze.capture.pcap import MAGICS as PCAP_MAGICS

SECTION_MAGIC = b"\x0a\x0d\x0d\x0a"
HEAD_BYTES = 1 << 16
SUPPORTED = "pcap and pcapng are read, plain or in gzip, zstd, lz4, bzip2 or xz"

_CONVERT = "editcap -F pcapng converts it"
_OTHERS = (
    (b"snoop\0\0\0", "a snoop capture (RFC 1761)", _CONVERT),
    (b"btsnoop\0", "a Bluetooth btsnoop capture", SUPPORTED),
    (b"RTSS", "a Microsoft Network Monitor 1 capture", _CONVERT),
    (b"GMBU", "a Microsoft Network Monitor 2 capture", _CONVERT),
    (b"XCP\0", "a NetXray or Windows Sniffer capture", _CONVERT),
    (b"TRSNIFF data", "a DOS Sniffer capture", _CONVERT),
    (b"iptrace 1.0", "an AIX iptrace capture", _CONVERT),
    (b"iptrace 2.0", "an AIX iptrace capture", _CONVERT),
    (b"\xa1\xb2\x34\xcd", "a pcap of a format that only its maker reads", SUPPORTED),
    (b"\xcd\x34\xb2\xa1", "a pcap of a format that only its maker reads", SUPPORTED),
    (b"PK\x03\x04", "a zip archive", "unpack it first"),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive", "unpack it first"),
    (b"Rar!\x1a\x07", "a RAR archive", "unpack it first"),
    (b"\x1f\x9d", "compress (.Z) data", "unpack it first"),
    (b"\x02\x21\x4c\x18", "lz4 data of the legacy format", "unpack it first"),
    (b"\x1f\x8b", "gzip data of an unknown method", "unpack it first"),
    (b"PAR1", "a Parquet table", SUPPORTED),
    (b"\x7fELF", "a program", SUPPORTED),
)
_TAR_MAGIC_AT = 257
_ERF_TYPES = 48  # types of extensible record format in use: Endace ERF types reference guide


def format_of(head: bytes) -> str | None:
    """Give the capture format: "pcap", "pcapng", or None."""
    if head[:4] in PCAP_MAGICS:
        return "pcap"
    return "pcapng" if head[:4] == SECTION_MAGIC else None


def what_else(head: bytes) -> str:
    """Describe in one sentence what a file other than a capture is, and what to use instead."""
    if not head:
        return "empty; a capture has at least its header (24 bytes), which tcpdump writes when it starts"
    for magic, what, remedy in _OTHERS:
        if head.startswith(magic):
            return f"{what}, not a capture that can be read; {remedy}"
    if head[_TAR_MAGIC_AT:].startswith(b"ustar"):
        return "a tar archive, not a capture; unpack it first"
    if _is_text(head):
        return "a text file, not a capture; tcpdump writes a capture with -w FILE"
    if len(head) < 4:
        return f"{len(head)} bytes long, too short for a capture; {SUPPORTED}"
    if _looks_like_erf(head):
        return f"perhaps an Endace ERF capture; {_CONVERT}"
    return f"not a capture: it begins with {head[:4].hex(' ')}; {SUPPORTED}"


def _is_text(head: bytes) -> bool:
    try:
        text = head.decode()
    except UnicodeDecodeError as error:
        if len(head) < HEAD_BYTES or error.start < len(head) - 4:  # a character may be cut at the end
            return False
        text = head[: error.start].decode()
    return all(letter.isprintable() or letter in "\t\r\n\f\v\b\x1b" for letter in text)


def _looks_like_erf(head: bytes) -> bool:
    """Two consecutive records: type in byte 8, record length in bytes 10 and 11, big-endian."""
    at = 0
    for _ in range(2):
        if len(head) < at + 16 or not 0 < head[at + 8] & 0x7F <= _ERF_TYPES:
            return False
        length = int.from_bytes(head[at + 10 : at + 12], "big")
        if length < 16:
            return False
        at += length
    return True
