"""Compiled functions: written in Python, compiled by numba when the wheel is built, loaded without it."""
