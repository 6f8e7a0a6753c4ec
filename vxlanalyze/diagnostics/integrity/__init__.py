"""Integrity: whether packets arrive as they were sent."""
