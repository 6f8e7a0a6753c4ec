"""Parts of the tests' commands: interface, filter, family."""

import re
from shlex import quote

from vxlanalyze.planning.model import Step
from vxlanalyze.planning.probes import Case

_BLOCKED = re.compile(r"^TCP port (\d+) of ([0-9a-fA-F.:]+)")
_MOMENT = re.compile(r"^(\d{4}-\d\d-\d\d)T(\d\d:\d\d:\d\d)")
_HARMLESS = "ACCEPT|RETURN|CT|(CONN)?MARK|NFLOG|LOG|TCPMSS|MASQUERADE|[SD]NAT|REDIRECT|NOTRACK|SET"
TUNNELS = "ip -d link show | grep -E -B 2 '^ +(vxlan|geneve|gretap|ipip|sit|bareudp) '"


def device_to(address: str) -> str:
    """Shell words that give the interface used to reach an address."""
    return f"\"$(ip -o route get {quote(address)} | sed -n 's/.* dev \\([^ ]*\\).*/\\1/p')\""


def small_datagrams(case: Case, port: int, seconds: int = 20) -> Step:
    """Wait at the far node for datagrams too small to carry a tunnel."""
    longest = 90 if ":" in case.far_address else 70
    rule = f"src host {case.near_address} and udp dst port {port} and less {longest}"
    return Step(f"timeout {seconds} tcpdump -ni {device_to(case.near_address)} -c 3 {quote(rule)}")


def send_datagrams(case: Case, port: int) -> Step:
    """Send three datagrams of two bytes."""
    target = quote(f"for i in 1 2 3; do echo x > /dev/udp/{case.far_address}/{port}; sleep 1; done")
    return Step(f"bash -c {target}")


def rising(names: str, seconds: int = 20) -> Step:
    """Show the increase of kernel counters."""
    return Step(f"nstat -n; sleep {seconds}; nstat -z {names}", "while the other node sends")


def growing(command: str, purpose: str = "", seconds: int = 20) -> Step:
    """Show the lines of an output that change."""
    changed = f"count() {{ {command}; }}; count > before.txt; sleep {seconds}; count | diff before.txt -"
    return Step(changed, purpose or "while the traffic that suffers runs")


def rules_that_count(case: Case, seconds: int = 20) -> list[Step]:
    """Show the dropping rules whose counters rise, each with its table, and the jumps that lead to them."""
    program = "ip6tables" if ":" in (case.endpoint or case.far_address) else "iptables"
    chosen = f"/^\\*/ {{table = $1}} /-A/ && !/-j ({_HARMLESS})/ {{print table, $0}}"
    return [
        Step(
            f"rules() {{ {program}-save -c | awk '{chosen}' | sort; }}; "
            f"rules > before.txt; sleep {seconds}; rules | comm -13 before.txt -",
            "jumps and rules that counted meanwhile, except those that accept; with nftables, "
            "the same with nft list ruleset, where rules have counters",
        )
    ]


def watch(case: Case, seconds: int = 20) -> Step:
    """Show all interfaces on which packets to the endpoint appear outside of the tunnel."""
    return Step(
        f"timeout {seconds} tcpdump -nei any -c 20 {quote(f'host {case.endpoint}')}",
        "tcpdump 4.99 on names the interfaces",
    )


def ping(case: Case) -> Step:
    """Send echo requests to the endpoint, or to the other node itself if none is known."""
    return Step(f"ping -c 3 {quote(case.endpoint or case.far_address)}", "from a pod there, best of all")


def connections(case: Case) -> Step | None:
    """Connect to the blocked TCP service ten times, each from another port; None if there is none."""
    blocked = _BLOCKED.match(str(case.value("blocked") or ""))
    if blocked is None:
        return None
    attempt = f"nc -z -w 2 {blocked[2]} {blocked[1]} && echo open"
    return Step(
        f"for i in 1 2 3 4 5 6 7 8 9 10; do {attempt}; done",
        "from a pod there, best of all: each connection takes another path of several",
    )


def journal(case: Case) -> str:
    """Command that shows a node's log around the time of the finding; "" without a time."""
    moment = _MOMENT.match(str(case.value("from") or case.value("since") or ""))
    if moment is None:
        return ""
    at = f"{moment[1]} {moment[2]} UTC"
    return f"at=$(date -u -d '{at}' +%s); journalctl --utc --since @$((at - 10)) --until @$((at + 10))"
