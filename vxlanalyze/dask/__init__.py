"""More than one process can carry: the work of a comparison on the machines of a Dask cluster.

`tasks` is what workers do, `on_dask` who they are, `compare` says what has to be done in which order. Dask is
loaded where it is used only: it is an extra.
"""
