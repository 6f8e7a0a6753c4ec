"""Addresses as numbers, so that sets of them are compared as integers."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vxlanalyze.pairing.tuples import distinct
from vxlanalyze.wire.addresses import text
from vxlanalyze.wire.model import Decoded

NO_ADDRESS = -1


@dataclass(frozen=True, slots=True)
class AddressBook:
    """The distinct IP addresses of some captures.

    Parameters
    ----------
    texts : tuple of str
        Each as `ipaddress` writes it.
    outer_src, outer_dst, src, dst : tuple of NDArray[np.int32]
        For each capture, shape ``(f,)``: number of the address, or NO_ADDRESS.
    """

    texts: tuple[str, ...]
    outer_src: tuple[NDArray[np.int32], ...]
    outer_dst: tuple[NDArray[np.int32], ...]
    src: tuple[NDArray[np.int32], ...]
    dst: tuple[NDArray[np.int32], ...]

    def numbers(self, addresses: Sequence[str]) -> NDArray[np.int32]:
        """Numbers of those of the given addresses that occur in any capture."""
        known = {name: number for number, name in enumerate(self.texts)}
        return np.array([known[a] for a in addresses if a in known], dtype=np.int32)


def number(captures: Sequence[Decoded]) -> AddressBook:
    """Number the addresses of all flows."""
    columns: list[NDArray[np.uint8]] = []
    for capture in captures:
        flows = capture.flows
        # ARP has no IP family; its protocol addresses are IPv4.
        arp = (flows.family == 0) & flows.src[:, :4].any(axis=1)
        inner_family = np.where(arp, 4, flows.family).astype(np.uint8)
        for kind, address in (
            (flows.outer_family, flows.outer_src),
            (flows.outer_family, flows.outer_dst),
            (inner_family, flows.src),
            (inner_family, flows.dst),
        ):
            columns.append(np.column_stack([kind, address]).astype(np.uint8))
    every = np.concatenate([np.zeros((0, 17), np.uint8), *columns])
    rows, code = distinct(every)
    has_address = np.isin(rows[:, 0], (4, 6))
    texts = np.full(len(rows), "", dtype=object)
    for family in (4, 6):
        mine = rows[:, 0] == family
        texts[mine] = text(rows[mine, 1:], np.full(int(mine.sum()), family, dtype=np.uint8))
    numbers = np.where(has_address[code], code, NO_ADDRESS).astype(np.int32)
    parts = np.split(numbers, np.cumsum([len(c) for c in columns])[:-1]) if columns else []
    return AddressBook(tuple(texts), *(tuple(parts[kind::4]) for kind in range(4)))
