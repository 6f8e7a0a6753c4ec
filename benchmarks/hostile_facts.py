"""Measure what reading hostile files of facts costs, for every kind that is read, in processor time.

    python -m benchmarks.hostile_facts [--bytes N]

Each case is a file that begins as an output of its kind does and goes on with what is slow for careless
patterns: its own lines without end, or lines near the longest that is read, made of one fragment repeated.
Printed is what 64 MiB of it would take (goal: 5 s), with the limits on lines and on YAML: what comes after
them is not read.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from vxlanalyze.kubernetes.facts import read_facts

LARGEST_BYTES, MOST_LINES, LONGEST_LINE = 64 << 20, 150_000, 8_190
LARGEST_YAML_BYTES = 2 << 20  # `hosts.document`
OUTPUTS = Path(__file__).parents[1] / "tests" / "kubernetes" / "hosts" / "outputs"
_LIST = "Chain INPUT (policy ACCEPT)\ntarget     prot opt source               destination\n"
_MONITOR = (
    "xx drop (Policy denied) flow 0x0 to endpoint 7, identity 1->2: 10.0.0.1:42 -> 10.0.1.2:80 tcp SYN\n"
)
_RETIS = "3316376220653 (1) [ping] 100854 [k] kfree_skb #304a drop (NETFILTER_DROP)\n"
_PWRU = "SKB CPU PROCESS NETNS MARK/x IFACE PROTO MTU LEN TUPLE FUNC\n"
# Beginnings that recordings have none of, with fragments that their patterns begin to match again and again.
_FRAGMENTS: dict[str, tuple[str, tuple[str, ...]]] = {
    "pwru": (_PWRU, ("0xff 0 1.1.1.1:", "0xff 1:", "0xff " + "f:" * 40)),
    "retis": (_RETIS, ("1.1.1.1 > ", "111111", "33 [k] kfree_skb #304a drop (X1) ", "a:b:c ")),
    "monitor": (_MONITOR, ("drop (x) ", "drop (", "10.0.0.1:1 -> ", " -> ", " a:a:a:a:a:a", "file a.c:1 ")),
    "log": ("[ 1.5] IPv4: martian source 10.0.1.2 from 10.0.0.1, on dev f\n", ("[ 1.1] ", "nf_conntrack: ")),
    "json": ('{"type":"drop","reason":"x","summary":{"source":"10.0.0.1"}}\n', ('{"type":"drop",', "[[")),
    "services": ("ID   Frontend   Service Type   Backend\n1    10.96.0.1:443   ClusterIP   1 => 10.0.0.1:1\n",
                 ("1 10.96.0.1:443 ClusterIP 1 => ", "2 => 1.1.1.1:1 ", "=> ")),
    "tunnels": ("TUNNEL         VALUE\n10.0.1.0:0     192.168.1.1:0\n", ("10.0.1.0:0 ", "1.1.1.1:0")),
    "pods": ("NAMESPACE NAME READY STATUS RESTARTS AGE IP NODE\nd w 1/1 Running 0 1d 1.1.1.1 n\n", ("a  ",)),
    "switch": ("11111111-2222-3333-4444-555555555555\n    Bridge b\n", ('{remote_ip="1.1.1.1"} ',)),
    "virtual": ("IP Virtual Server version 1.2.1 (size=4096)\nTCP  10.96.0.1:443 rr\n", ("  -> 1.1.1.1:1 ",)),
    "yaml": ("apiVersion: v1\nkind: ConfigMap\ndata:\n", ("a: {b: ", "- - - ", "[[[[", "a: &b ")),
    "rules listed": (_LIST, ("/* ", "dports ", "state ", "mark match 0x1")),
    "commands": ("$ ip link\n", ("# # ", "$ ethtool ", "$ ethtool -", "$ kubectl x get ", "$ dev ")),
    "nothing": ("", ("x", "\u00e9", "( ", "{ ", "1.1.1.1 ", "- ", "#", " ", "\t")),
}  # fmt: skip


def cases(size_bytes: int) -> Iterator[tuple[str, str]]:
    """Give every case as name and text of about a size."""
    for path in sorted(OUTPUTS.iterdir()):
        text = path.read_text()
        head = "\n".join(text.splitlines()[:12]) + "\n"
        longest = max(text.splitlines(), key=len)
        yield f"{path.name}, its lines again", text * (size_bytes // len(text) + 1)
        yield f"{path.name}, its longest line again", head + _lines(longest, size_bytes)
        yield f"{path.name}, long lines of it", head + _lines(_long(f"{longest} "), size_bytes)
        yield f"{path.name}, long lines of a word", head + _lines(_long(longest.split()[0]), size_bytes)
    for name, (head, fragments) in _FRAGMENTS.items():
        yield f"{name}, its last line again", head + _lines((head.splitlines() or [""])[-1], size_bytes)
        for fragment in fragments:
            yield f"{name}, long lines of {fragment!r}", head + _lines(_long(fragment), size_bytes)
            yield f"{name}, lines of {fragment!r}", head + _lines(fragment * 3, size_bytes)
    yield "many commands with their output", _lines("$ ip rule\n0: from all lookup local", size_bytes)
    yield "many commands with none", _lines("$ foo\nbar", size_bytes)
    yield from _documents(size_bytes)


def _documents(size_bytes: int) -> Iterator[tuple[str, str]]:
    """JSON of many entries, each of which stands on a line of its own."""
    count = size_bytes // 300
    chain = {"family": "inet", "table": "f", "name": "c", "hook": "input", "type": "filter", "policy": "drop"}
    rules = [{"rule": {"family": "inet", "table": "f", "chain": "c", "handle": n, "expr": [{"drop": None}]}}
             for n in range(count)]  # fmt: skip
    yield "nft -j", json.dumps({"nftables": [{"chain": chain}, *rules]}, indent=1)
    hops = [{"dst": f"10.{n >> 16}.{n >> 8 & 255}.{n & 255}", "gateway": "10.0.0.1", "dev": "eth0"}
            for n in range(count)]  # fmt: skip
    yield "ip -j route", json.dumps(hops, indent=1)


def _lines(line: str, size_bytes: int) -> str:
    return f"{line}\n" * (size_bytes // (len(line.encode()) + 1) + 1)


def _long(fragment: str) -> str:
    return (fragment * (LONGEST_LINE // len(fragment) + 1))[:LONGEST_LINE]


def seconds_of_largest(text: str, folder: Path) -> float:
    """Read a text, and give the processor time that the largest file of its kind would take."""
    path = folder / "facts"
    path.write_text(text)
    begin = time.process_time()
    read_facts("node", path)
    taken = time.process_time() - begin
    largest = LARGEST_YAML_BYTES if text.startswith("apiVersion:") else LARGEST_BYTES
    by_size, by_lines = largest / max(path.stat().st_size, 1), MOST_LINES / max(text.count("\n"), 1)
    return taken * min(by_size, max(1.0, by_lines))


def main() -> None:
    """Print what each case takes, the slowest first."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--bytes", type=int, default=1 << 20, help="size that is measured (default 1 MiB)")
    with tempfile.TemporaryDirectory() as folder:
        measured = [
            (seconds_of_largest(text, Path(folder)), name) for name, text in cases(parser.parse_args().bytes)
        ]
    for taken, name in sorted(measured, reverse=True)[:20]:
        print(f"{taken:5.1f} s  {name}")
    print(f"{len(measured)} cases, the 20 slowest shown")


if __name__ == "__main__":
    main()
