"""Comparisons too large for one process: the work runs on the machines of a Dask cluster.

`tasks` defines what workers do, `on_dask` manages them, and `compare` orders the tasks. Dask is only imported
where used: it is an extra.
"""
