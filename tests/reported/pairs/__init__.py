"""Pairs, one module a kind (``k01_addresses.py``): see ../README.md."""
