"""Decode saved text, whatever encoding the shell used."""

_BYTE_ORDER_MARKS = {b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16", b"\xef\xbb\xbf": "utf-8-sig"}


def decode_text(data: bytes) -> str:
    """Decode UTF-8, or UTF-16 with a byte order mark, as written by PowerShell; other bytes become U+FFFD."""
    for mark, encoding in _BYTE_ORDER_MARKS.items():
        if data.startswith(mark):
            return data.decode(encoding, errors="replace")
    return data.decode("utf-8", errors="replace")


def shown(text: str, limit: int = 60) -> str:
    """Quote foreign text for a message: truncated, with control characters escaped."""
    piece = text.strip()
    cut = piece if len(piece) <= limit else piece[: limit - 1] + "…"
    return '"' + "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in cut) + '"'
