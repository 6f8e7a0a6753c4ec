"""Checksums and damaged bytes."""
