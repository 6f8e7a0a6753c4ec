"""Odd constants that spread bits by multiplication, for fingerprints that are compared for equality.

Sources: Knuth, TAOCP volume 3 section 6.4 (multiplicative hashing); xxHash's specification (its primes);
Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014 (splitmix64).
"""

import numpy as np

GOLDEN = np.uint64(0x9E3779B97F4A7C15)
"""2**64 over the golden ratio; another one would change the identity of every flow."""

PRIMES = np.array([0x9E3779B185EBCA87, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9], np.uint64)
"""The first three primes of xxHash, for one constant a column."""

PRIME_2 = np.uint64(PRIMES[1])

MIX_1, MIX_2 = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
"""The two multipliers of splitmix64, which adds `GOLDEN` at each step."""
