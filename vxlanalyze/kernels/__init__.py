"""Compiled functions: written in Python, compiled when the wheel is built (`build`), called without numba."""
