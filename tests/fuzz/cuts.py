"""Every truncation of the small samples: each of their files cut at each length, beside its whole partner.

Cut are both the files as they lie there, compressed, and what they hold.
"""

import gzip
from functools import cache

from tests.fuzz.seeds import SAMPLES

_PAIRS = ("seed", "checksum")
_STRIDE = 7919  # a prime: the first few inputs already come from everywhere

Files = dict[str, bytes]


def cut(number: int) -> Files:
    """Give a pair, one file of which is cut; numbers beyond `total` come round again."""
    at = number * _STRIDE % total()
    for whole, name in _chosen():
        if at < len(whole[name]):
            return {**whole, name: whole[name][:at]}
        at -= len(whole[name])
    raise AssertionError("not below the total")


@cache
def total() -> int:
    """Count the truncations."""
    return sum(len(whole[name]) for whole, name in _chosen())


@cache
def _chosen() -> tuple[tuple[Files, str], ...]:
    """Give each pair, packed and unpacked, with each of its files as the one to be cut."""
    chosen = []
    for pair in _PAIRS:
        packed = {path.name: path.read_bytes() for path in sorted((SAMPLES / pair).glob("*.pcap.gz"))}
        plain = {name.removesuffix(".gz"): gzip.decompress(content) for name, content in packed.items()}
        chosen += [(whole, name) for whole in (packed, plain) for name in whole]
    return tuple(chosen)
