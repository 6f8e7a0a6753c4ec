"""Pairs of captures made after public bug reports: see README.md."""

from tests.reported.registry import PAIRS, Pair, pair

__all__ = ["PAIRS", "Pair", "pair"]
