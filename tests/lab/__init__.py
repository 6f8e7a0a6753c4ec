"""A network laboratory: real overlay networks with faults, captured, with the truth beside the captures.

``python -m tests.lab SCENARIO.toml OUT`` builds nodes and pods out of network namespaces, joins the
nodes by a network in user space that damages packets as the scenario says and writes down what it did
to each of them, runs real traffic, captures it with tcpdump or dumpcap and writes ``truth.json``.
"""
