"""Captures that would be slow for a careless program; `benchmarks.adversaries` measures them."""
