"""Explanations of lost packets."""
