"""Frames without payload and with pseudonyms for addresses.

Only known headers are kept, each listed explicitly: link layer, IP, UDP, TCP with its harmless options,
ICMP's own eight bytes, the tunnel's header, and the same of the innermost packet. The frame is truncated
after them, so everything else (payload, quoted packets, options with addresses, tunnels in the middle) is
gone; its original length stays. Checksums keep their error: valid ones stay valid, invalid ones stay equally
wrong.

Sources: RFC 1624 section 3 (a checksum follows what it covers); RFC 9293 section 3.1, RFC 7323 and RFC 2018
(TCP options); RFC 8926 section 3.4 (Geneve).
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.capture.model import Frames, Interface
from vxlanalyze.export.redaction.addresses import AddressCipher
from vxlanalyze.export.redaction.headers import Headers
from vxlanalyze.export.redaction.rewriting import Rewriting
from vxlanalyze.wire.dispatch import bindings
from vxlanalyze.wire.fields import INNER, OUTER
from vxlanalyze.wire.raw_frames import link_types_of
from vxlanalyze.wire.rows import records


def redact_frames(
    frames: Frames, interfaces: Sequence[Interface], ports: Sequence[int], cipher: AddressCipher
) -> Frames:
    """Give a copy of frames with pseudonyms for addresses and nothing after the headers.

    Parameters
    ----------
    frames : Frames
        `n` frames of one source.
    interfaces : sequence of Interface
        Those of the source.
    ports : sequence of int
        Further tunnel ports.
    """
    link_types = link_types_of(interfaces)
    record, _, _ = records(frames, slice(None), link_types, bindings(ports))
    headers = Headers(frames, record, link_types[frames.interface])
    spans, end = headers.kept()
    data = _only(frames.data, spans)
    rewriting = Rewriting(data, frames.data, record, cipher)
    start = frames.start.astype(np.int64)
    for base, frame_at in ((OUTER, start), (INNER, headers.inner_frame)):
        rewriting.link(base, frame_at, headers.link_kind(base), end)
        rewriting.packet(base, end)
    rewriting.finish(headers.geneve_options, end)
    captured = (end - start).astype(np.uint32)
    return replace(frames, data=data, captured_length=captured)


def _only(
    data: NDArray[np.uint8], spans: Sequence[tuple[NDArray[np.int64], NDArray[np.int64]]]
) -> NDArray[np.uint8]:
    """A copy with zeros outside of the spans (first byte, byte after the last)."""
    steps = np.zeros(len(data) + 1, np.int8)
    for first, end in spans:
        some = end > first
        np.add.at(steps, first[some], 1)
        np.subtract.at(steps, end[some], 1)
    return np.where(np.cumsum(steps[:-1], dtype=np.int8) > 0, data, np.uint8(0))
