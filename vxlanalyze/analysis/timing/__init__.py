"""Delays and packet order."""
