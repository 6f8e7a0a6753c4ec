"""Fisher's exact test of a 2 x 2 table.

Source: R. A. Fisher, "The Design of Experiments" (1935), chapter 2.
"""

from math import comb


def chance(hit: int, spared: int, other_hit: int, other_spared: int) -> float:
    """Give the probability that this many hits or more fall into the first group, given the margins."""
    group, others, hits = hit + spared, other_hit + other_spared, hit + other_hit
    total = comb(group + others, hits)
    return sum(comb(group, k) * comb(others, hits - k) for k in range(hit, min(group, hits) + 1)) / total
