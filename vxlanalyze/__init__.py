"""Paired captures of an overlay network in, the cause of the fault out."""

__version__ = "0.1.0"
