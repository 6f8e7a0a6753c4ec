"""Artefacts that look like faults."""
