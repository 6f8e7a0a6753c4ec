"""Sets of causes shared by several diagnostics, where no layer contains exactly these."""

MISDIRECTED = ("wrong-tunnel-endpoint", "duplicate-address")
"""The packets go to another place than they should."""

FOREIGN_TO_THE_DEVICE = ("stale-tunnel-mac", "duplicate-tunnel-mac", "vni-mismatch")
"""The tunnel device takes the packets for another's."""

IGNORED_ON_ARRIVAL = (
    "not-answered",
    "new-flows-blocked",
    "source-unanswered",
    "wrong-tunnel-endpoint",
    "reply-not-translated",
    *FOREIGN_TO_THE_DEVICE,
    "integrity",
)
"""The requests arrive at a node, and it does not pass them on or their answers back."""

LOST_BETWEEN_THE_NODES = (
    "path-blocked",
    "protocol-blocked",
    "ecmp-member-blocked",
    "flow-blocked",
    "header-blocked",
    "new-flows-blocked",
    "rate-limited",
    "mtu-icmp-needed",
    "mtu-blackhole",
    "fragments-lost",
    "burst-outage",
    "packet-loss",
)
"""The packets leave one node and do not reach the other."""
