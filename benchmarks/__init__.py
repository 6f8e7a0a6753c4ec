"""Measurements of the program beside the machine's own limits."""
