"""Find where the bytes of damaged packets differ, and whether there is a pattern."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.analysis.integrity.damaged_sample import Sample, SampleFrames


@dataclass(frozen=True, slots=True)
class Pattern:
    """What a sample of damaged packets has in common.

    Parameters
    ----------
    sampled : int
        Packets whose bytes were compared and differ.
    offsets, from_end : NDArray[np.int64]
        Shape ``(sampled,)``: first differing byte of each, counted from the start of the L4 payload and from
        its end (1 is the last byte).
    spans, changed, bits : NDArray[np.int64]
        Shape ``(sampled,)``: bytes from the first to the last difference, number of differing bytes, number
        of differing bits.
    masks : int
        Number of distinct values of the first changed byte, sent XOR received.
    example : str
        The first packet in words: offset, and the bytes before and after.
    """

    sampled: int
    offsets: NDArray[np.int64]
    from_end: NDArray[np.int64]
    spans: NDArray[np.int64]
    changed: NDArray[np.int64]
    bits: NDArray[np.int64]
    masks: int
    example: str

    @property
    def shape(self) -> str:
        """Describe the damage of most packets."""
        if not self.sampled:
            return "in bytes that one of the captures does not hold"
        half = self.sampled / 2
        if (self.bits == 1).sum() > half:
            return "one bit each"
        if (self.changed == 1).sum() > half:
            return "one byte each"
        if (self.from_end == self.spans).sum() > half:
            last = np.unique(self.spans)
            return f"the last {last[0]} bytes each" if len(last) == 1 else "everything after some offset"
        if (self.changed * 2 > self.spans).sum() > half:
            return f"one block of some {int(np.median(self.spans))} bytes each"
        return "bytes in several places"

    @property
    def place(self) -> str:
        """Say whether it is always in the same place."""
        if not self.sampled:
            return ""
        at = np.unique(self.offsets)
        if len(at) == 1:
            return f"always at byte {at[0]} of the payload"
        if len(np.unique(self.from_end)) == 1:
            last = int(self.from_end[0])
            return "always at the last byte" if last == 1 else f"always {last} bytes before the end"
        return f"at changing places (byte {at[0]} to {at[-1]} of the payload)"


def find(sample: Sample) -> Pattern:
    """Compare the payloads of damaged packets at both points."""
    sent, received = (_payloads(reading, sample.length_bytes) for reading in (sample.sent, sample.received))
    found = [_compare(a, b) for a, b in zip(sent, received, strict=True)]
    differing = [f for f in found if f is not None]
    first = next((i for i, f in enumerate(found) if f is not None), None)
    numbers = np.array(differing, np.int64).reshape(-1, 6)
    return Pattern(
        sampled=len(differing),
        offsets=numbers[:, 0],
        spans=numbers[:, 1],
        changed=numbers[:, 2],
        bits=numbers[:, 3],
        from_end=numbers[:, 4],
        masks=len(np.unique(numbers[:, 5])),
        example="" if first is None else _example(sent[first], received[first], int(numbers[0, 0])),
    )


def _payloads(reading: SampleFrames, length: NDArray[np.int64]) -> list[NDArray[np.uint8]]:
    """L4 payload of each wire packet, as far as captured."""
    data, fields = reading.frames.data, reading.fields
    skip = reading.point.segment_bytes[reading.rows].astype(np.int64) * reading.segment
    start = fields["payload_start"] + skip
    end = np.minimum(start + length, fields["payload_start"] + fields["payload_captured"])
    return [data[a:b] if 0 <= a < b else data[:0] for a, b in zip(start, end, strict=True)]


def _compare(
    sent: NDArray[np.uint8], received: NDArray[np.uint8]
) -> tuple[int, int, int, int, int, int] | None:
    """Offset, span, changed bytes and bits, offset from the end, first mask; None where equal."""
    both = min(len(sent), len(received))
    mask = sent[:both] ^ received[:both]
    at = np.flatnonzero(mask)
    if len(at) == 0:
        return None
    first, last = int(at[0]), int(at[-1])
    bits = int(np.bitwise_count(mask[at]).sum())
    return first, last - first + 1, len(at), bits, both - first, int(mask[first])


def _example(sent: NDArray[np.uint8], received: NDArray[np.uint8], first: int) -> str:
    before, after = (data[first : first + 8].tobytes().hex(" ") for data in (sent, received))
    return f"byte {first}: {before} became {after}"
