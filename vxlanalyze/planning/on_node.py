"""Commands for a node: counters before, tcpdump with suitable options, counters after, facts.

The lines are for a POSIX shell with `name`, `peers` (at least one address of the other node), `pods`, `inner`
(see `Plan.inner_filters`) and `seconds` set; text and script print the same lines.

Sources: tcpdump(1) 4.99, pcap-filter(7), nstat(8), ethtool(8), timeout(1).
"""

from collections.abc import Iterator

from vxlanalyze.planning.model import Plan, Step

FOLDER = "/var/lib/vxlanalyze"  # on the nodes: on disk, and writable only by root
_COUNTERS = (
    ("nstat.txt", "nstat -asz"),
    ("ethtool-S.txt", 'ethtool -S "$dev"'),
    ("ip-s-link.txt", "ip -s -s link"),
    ("conntrack-S.txt", "conntrack -S"),
    ("softnet_stat.txt", "cat /proc/net/softnet_stat"),
    ("tc.txt", "tc -s qdisc show"),
    ("iptables-save.txt", "host iptables-save -c"),
    ("ip6tables-save.txt", "host ip6tables-save -c"),
    ("nft.txt", "host nft list ruleset"),
)
_FACTS = (
    ("ip-link.txt", "ip -d link"),
    ("ip-route.txt", "ip route show table all"),
    ("ip-6-route.txt", "ip -6 route show table all"),
    ("ip-rule.txt", "ip rule"),
    ("ip-neigh.txt", "ip neigh"),
    ("fdb.txt", "bridge fdb show"),
    (
        "sysctl.txt",
        "sysctl -a 2> /dev/null | grep -E 'rp_filter|forward|nf_conntrack_(max|count)|udp_mem|netdev_max'",
    ),
    ("ethtool-k.txt", 'ethtool -k "$dev"'),
    ("ss.txt", "ss -tulnpm"),
    ("ipvsadm.txt", "ipvsadm -Ln"),
    ("conntrack.txt", "conntrack -L | head -n 100000"),
    ("dmesg.txt", "dmesg 2> /dev/null | tail -n 2000"),
)
# File names that do not reveal their node.
FILES = frozenset(name for name, _ in (*_COUNTERS, *_FACTS))


def prepare() -> Iterator[Step]:
    """Lines that find the interface, write the filter, and create the folder."""
    yield Step(
        'for first in $peers; do break; done; dev=$(ip -o route get "$first" | '
        "sed -n 's/.* dev \\([^ ]*\\).*/\\1/p')",
        "the interface that leads to the other node",
    )
    yield Step(
        'filter="icmp or icmp6 or arp"; '
        'for address in $peers $pods; do filter="host $address or $filter"; done',
        "all of the other node (later fragments and any tunnel port included), ICMP of routers, ARP",
    )
    yield Step(
        'for inner in $inner; do filter="$inner or $filter"; done',
        "what is meant for the other node's pods, to whatever node it goes (VXLAN or Geneve over IPv4)",
    )
    yield Step(
        'speed=$(cat "/sys/class/net/$dev/speed" 2> /dev/null || echo 0); snap=0; buffer=65536; '
        'if [ "$speed" -gt 10000 ]; then snap=256; buffer=262144; fi',
        "whole packets; above 10 Gbit/s all headers only, and a larger buffer (KiB)",
    )
    yield Step(
        f'mkdir -p {FOLDER}/"$name" && cd {FOLDER}/"$name" && mkdir -p capture facts/before facts/after'
    )
    yield Step(
        'host() { if [ -d /host/proc ]; then chroot /host "$@"; else "$@"; fi; }',
        "the node's own programs, where this is a debugging pod",
    )


def capture(plan: Plan) -> Iterator[Step]:
    """Lines that capture, with counters taken before and after."""
    yield from _saved(_COUNTERS, "facts/before/")
    device = "any" if any(station.pod_addresses for station in plan.stations) else '"$dev"'
    yield Step(
        f'timeout -s INT "$seconds" tcpdump -ni {device} -s "$snap" -B "$buffer" -C 100 -W 20 -Z root '
        '-w "capture/$name.pcap" "$filter" 2> facts/tcpdump.txt',
        "a ring of 20 files of 100 MB; provoke the trouble meanwhile"
        + (
            "; -i any shows the pod's interface, the tunnel's and the node's, so where packets die"
            if device == "any"
            else ""
        ),
    )
    yield from _saved(_COUNTERS, "facts/after/")


def facts(plan: Plan) -> Iterator[Step]:
    """Lines that save the decisive facts, common to all overlays and specific to this one."""
    yield from _saved(_FACTS, "facts/")
    yield from _saved(plan.network.on_node, "facts/")


def _saved(commands: tuple[tuple[str, str], ...], folder: str) -> Iterator[Step]:
    for file, command in commands:
        yield Step(f"{command} > {folder}{file}")
