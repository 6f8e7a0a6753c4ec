"""Captures with the tunnel removed, frame by frame.

Frames keep their numbers and times: a frame without a tunnel is unchanged, so frame 4711 of the capture is
frame 4711 here.
"""

from collections.abc import Sequence
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vxlanalyze import wire
from vxlanalyze.capture.model import Frames, Interface, Readable
from vxlanalyze.capture.pcapng_writer import PcapngWriter
from vxlanalyze.errors import writing
from vxlanalyze.export.redaction import Redactor
from vxlanalyze.export.redaction.addresses import AddressCipher
from vxlanalyze.export.redaction.frames import redact_frames
from vxlanalyze.pairing.model import Comparison

_LINK_ETHERNET, _LINK_RAW_IP = 1, 101
_TRANSPARENT_ETHERNET = 0x6558  # EtherType of a bridged frame (RFC 1701, RFC 7637)


def decapsulate(comparison: Comparison, directory: Path, redactor: Redactor | None = None) -> None:
    """Write ``NAME.pcapng`` for each capture into a directory, chunk by chunk.

    Parameters
    ----------
    redactor : Redactor, optional
        Removes addresses, names and payload.

    Raises
    ------
    CaptureError
        A capture changed since it was read.
    OutputError
        A file cannot be written.
    """
    for facts in comparison.captures:
        name = facts.name if redactor is None else redactor.name(facts.name)
        path = directory / f"{name}.pcapng"
        interfaces = facts.interfaces if redactor is None else redactor.interfaces(facts.interfaces)
        with writing(path), path.open("xb") as handle:
            writer = PcapngWriter(handle, three_of_each(interfaces))
            _copy(facts.source, comparison.ports, writer, None if redactor is None else redactor.cipher)


def packets_of(part: Readable, ports: Sequence[int], cipher: AddressCipher | None) -> bytes:
    """Give the blocks of the frames of a part of a capture, to follow the interfaces."""
    blocks = BytesIO()
    _copy(part, ports, PcapngWriter(blocks), cipher)
    return blocks.getvalue()


def three_of_each(interfaces: Sequence[Interface]) -> list[Interface]:
    """Each interface as it is, then one for the frames inside, then one for the IP packets inside.

    A pcapng interface has one link type, and a tunnel may carry either.
    """
    kinds = [
        (interface, replace(interface, link_type=_LINK_ETHERNET), replace(interface, link_type=_LINK_RAW_IP))
        for interface in interfaces
    ]
    return [interface for kind in kinds for interface in kind]


def _copy(source: Readable, ports: Sequence[int], writer: PcapngWriter, cipher: AddressCipher | None) -> None:
    for frames in source.chunks():
        interfaces = source.interfaces
        if cipher is not None:
            frames = redact_frames(frames, interfaces, ports, cipher)
        start, captured, original, kind = _inside(frames, interfaces, ports)
        data = memoryview(frames.data.data)
        interface = frames.interface.astype(np.int64) * 3 + kind
        for number, time_ns, first, length, whole in zip(
            interface.tolist(),
            frames.time_ns.tolist(),
            start.tolist(),
            captured.tolist(),
            original.tolist(),
            strict=True,
        ):
            writer.write(number, time_ns, data[first : first + length], whole)


def _inside(
    frames: Frames, interfaces: Sequence[Interface], ports: Sequence[int]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Position, captured length, original length and kind of the inner frame of each frame.

    The kind is 0 if the frame is unchanged, 1 for an Ethernet frame, 2 for an IP packet inside.
    """
    table = wire.columns(frames, interfaces, ports=ports)
    outer_start, outer_captured = frames.start.astype(np.int64), frames.captured_length.astype(np.int64)
    inner = table["inner_start"]
    tunnelled = inner >= 0
    start = np.where(tunnelled, inner, outer_start)
    left = outer_start + outer_captured - start
    captured = np.where(tunnelled, np.clip(table["inner_bytes"], 0, left), outer_captured)
    original = np.where(tunnelled, np.maximum(table["inner_bytes"], captured), frames.original_length)
    bridged = table["inner_ethertype"] == _TRANSPARENT_ETHERNET
    return start, captured, original, np.where(tunnelled, np.where(bridged, 1, 2), 0)
