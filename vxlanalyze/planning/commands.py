"""Pieces of the tests' commands: which interface, which filter, which family."""

from shlex import quote

from vxlanalyze.planning.model import Step
from vxlanalyze.planning.probes import Case


def device_to(address: str) -> str:
    """Shell words that give the interface which leads to an address."""
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
    """Show by how much counters of the kernel rise."""
    return Step(f"nstat -n; sleep {seconds}; nstat -z {names}", "while the other node sends")


def rules_that_count(seconds: int = 20) -> list[Step]:
    """Show the dropping rules whose counters rise, with the rules of the first chains that lead to them."""
    wanted = "grep -iE 'drop|reject|-A (INPUT|FORWARD|PREROUTING) ' | sort"
    return [
        Step(
            f"iptables-save -c | {wanted} > before.txt; sleep {seconds}; "
            f"iptables-save -c | {wanted} | comm -13 before.txt -",
            "rules that dropped something meanwhile; with nftables, "
            "the same with nft list ruleset, where rules have counters",
        )
    ]


def watch(case: Case, seconds: int = 20) -> Step:
    """Show all interfaces on which packets for the endpoint appear outside of the tunnel."""
    host = quote(f"host {case.endpoint}") if case.endpoint else "ENDPOINT"
    return Step(f"timeout {seconds} tcpdump -nei any -c 20 {host}", "tcpdump 4.99 on names the interfaces")


def ping(case: Case) -> Step:
    """Ask the endpoint, or the other node itself where none is known."""
    return Step(f"ping -c 3 {quote(case.endpoint or case.far_address)}", "from a pod there, best of all")
