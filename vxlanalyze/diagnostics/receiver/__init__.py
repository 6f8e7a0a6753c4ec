"""Receiver: whether the receiving node accepts what arrives."""
