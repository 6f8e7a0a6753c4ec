"""Limits of the analysis."""
