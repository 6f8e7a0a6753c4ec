"""One fact, one figure: what text, pages, JSON, tables and captures say of it must be the same.

`world.py` runs a pair through every output; each module of facts compares them, two or more at a time, and
yields a sentence for each disagreement. ``python -m tests.agreement FOLDER...`` tries other pairs.
"""
