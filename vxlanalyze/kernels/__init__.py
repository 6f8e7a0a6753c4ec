"""Compiled functions: written in Python, compiled by numba while the wheel is made, loaded without it."""
