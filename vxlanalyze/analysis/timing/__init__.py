"""Delays and the order of packets."""
