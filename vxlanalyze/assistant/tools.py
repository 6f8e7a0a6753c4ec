"""The tools for assistants: compare, packets, explain, plan, facts. Plain functions, no protocol."""

import json
import re
import sys
from collections import OrderedDict
from pathlib import Path
from typing import Any, NamedTuple

import vxlanalyze as vx
from vxlanalyze.api.comparison import Comparison
from vxlanalyze.assistant import answers
from vxlanalyze.assistant.root import Root
from vxlanalyze.capture.signatures import format_of
from vxlanalyze.errors import UsageError
from vxlanalyze.report.formats.as_json import from_json
from vxlanalyze.report.model import Report

_KEPT = 2  # comparisons whose packets are kept in memory
_MOST_CAPTURES = 8
_MOST_PACKETS = 200
_MOST_LISTED = 300
_LONGEST_TEXT = 24_000
_LONGEST_S = 86_400
_LARGEST_REPORT_BYTES = 64 << 20
_COLUMNS = (
    *("direction", "outcome", "reason", "time", "src", "dst", "sport", "dport", "protocol_name", "tcp_flags"),
    *("length", "vni", "outer_src", "outer_dst", "outer_dport", "sent_frame", "received_frame"),
)
_ADDRESSES = ("src", "dst", "outer_src", "outer_dst", "direction")


class _Query(NamedTuple):
    """Arguments of `compare` and `packets`."""

    captures: list[str]
    kube: str | None
    facts: list[str] | None
    ports: list[int] | None


class Tools:
    """The tools over one folder.

    Parameters
    ----------
    redact : bool
        Whether addresses and names in answers are replaced by pseudonyms.
    """

    def __init__(self, root: Root, *, redact: bool = True) -> None:
        self._root, self._redact = root, redact
        self._known: OrderedDict[tuple[Any, ...], Comparison] = OrderedDict()

    def compare(
        self,
        captures: list[str],
        kube: str | None = None,
        facts: list[str] | None = None,
        ports: list[int] | None = None,
    ) -> str:
        """Diagnose what is wrong between two or more nodes, from captures in path order (sender first).

        captures: paths below the root, or NAME=PATH. kube: output of kubectl get nodes,pods,services -A.
        facts: NAME=FOLDER of files saved on a node, or the path of a bundle. ports: further tunnel ports.
        Gives verdict, findings (cause first, each with evidence and frames), figures, and what was not
        assessed.
        """
        result = self._comparison(_Query(captures, kube, facts, ports))
        report = json.loads(result.to_json(redact=self._redact))
        return answers.written(answers.of_report(report), ("services", "not_assessed", "findings"))

    def packets(
        self,
        captures: list[str],
        kube: str | None = None,
        facts: list[str] | None = None,
        ports: list[int] | None = None,
        outcome: str | None = None,
        address: str | None = None,
        port: int | None = None,
        offset: int = 0,
        limit: int = 50,
    ) -> str:
        """Give wire packets (at most 200) with their fates, and the frames that hold them.

        The first four as in compare. outcome: lost, delivered or unknown. address: an inner address, as in
        other answers. offset continues where an answer ended.
        """
        result = self._comparison(_Query(captures, kube, facts, ports))
        table = result.packets.loc[:, list(_COLUMNS)]
        for name in _ADDRESSES if self._redact else ():
            change = result.redactor().text
            column = table[name].astype(object)
            table[name] = column.map({value: change(value) for value in column.dropna().unique()})
        if outcome is not None:
            table = table[table["outcome"] == outcome]
        if address is not None:
            table = table[(table["src"] == address) | (table["dst"] == address)]
        if port is not None:
            table = table[(table["sport"] == port) | (table["dport"] == port)]
        first, most = max(0, offset), max(1, min(limit, _MOST_PACKETS))
        part = table.iloc[first : first + most]
        rows = json.loads(part.to_json(orient="records", date_format="iso", date_unit="ns"))
        return answers.written({"matching": len(table), "offset": first, "packets": rows}, ("packets",))

    def explain(self, code: str = "") -> str:
        """Give the manual of a finding: meaning, decision, lookalikes, remedy; "" lists all codes."""
        from vxlanalyze.diagnostics import DIAGNOSTICS, require_codes

        manuals = {d.code: (sys.modules[d.check.__module__].__doc__ or "").strip() for d in DIAGNOSTICS}
        if code:
            require_codes([code])
            return f"{code}\n\n{manuals[code]}"[:_LONGEST_TEXT]
        return "\n".join(f"{name}: {manual.splitlines()[0]}" for name, manual in manuals.items())

    def plan(
        self,
        nodes: list[str] | None = None,
        cni: str | None = None,
        seconds: int = 60,
        report: str | None = None,
        kube: str | None = None,
    ) -> str:
        """Write the commands that take captures and facts on two nodes; with report, the next probe.

        nodes: two of NODE or NODE=ADDRESS. cni: cilium, calico, flannel, canal, k3s, antrea, ovn, swarm,
        openstack. report: a report saved with -o report.json, whose open question the probe decides. Nothing
        is run.
        """
        from vxlanalyze.kubernetes.saved import read_cluster
        from vxlanalyze.planning import as_text, next_probe, stations

        if report is not None:
            saved = from_json(self._text(report), report)
            return next_probe.render(_redacted(saved) if self._redact else saved)[:_LONGEST_TEXT]
        if kube is not None and self._redact:
            raise UsageError("kube would show addresses; leave it out, or start the server with --no-redact")
        cluster = read_cluster(str(self._root.path(kube)) if kube else None, (), ())
        made = stations.make(nodes or [], cluster, cni=cni, seconds=max(1, min(seconds, _LONGEST_S)))
        return as_text.render(made)[:_LONGEST_TEXT]

    def facts(self, path: str = ".") -> str:
        """List a folder or bundle below the root: captures, reports, and recognised tables."""
        from vxlanalyze.kubernetes.facts import read_facts

        place = self._root.path(path)
        files = list(self._root.files(place)) if place.is_dir() else [place]
        listed = [{"path": self._root.shown(f), **_kind(f)} for f in files[:_MOST_LISTED]]
        tables = [
            {"path": self._root.shown(fact.path), "kind": fact.kind, "rows": len(fact.rows)}
            for fact in read_facts("", place)[:_MOST_LISTED]
        ]
        found = {"files": listed, "tables": tables, "files_left_out": max(0, len(files) - _MOST_LISTED)}
        return answers.written(found, ("tables", "files"))

    def _comparison(self, query: "_Query") -> Comparison:
        if not 1 <= len(query.captures) <= _MOST_CAPTURES:
            raise UsageError(f"give 1 to {_MOST_CAPTURES} captures in path order, not {len(query.captures)}")
        named = [self._root.named(capture) for capture in query.captures]
        paths = [f"{name}={path}" if name else str(path) for name, path in named]
        saved = dict(self._root.named(fact) for fact in query.facts or ())
        given = self._root.path(query.kube) if query.kube is not None else None
        read = [*(path for _, path in named), *saved.values(), *filter(None, [given])]
        key = (*paths, *saved.items(), given, *(query.ports or ()), *map(_state, read))
        if key not in self._known:
            self._known[key] = vx.compare(*paths, kube=given, facts=saved, ports=query.ports or ())
            while len(self._known) > _KEPT:
                self._known.popitem(last=False)
        self._known.move_to_end(key)
        return self._known[key]

    def _text(self, path: str) -> str:
        file = self._root.path(path)
        if file.is_dir() or file.stat().st_size > _LARGEST_REPORT_BYTES:
            raise UsageError(f"{path}: not a saved report")
        return file.read_text(encoding="utf-8", errors="replace")


def _redacted(report: Report) -> Report:
    from vxlanalyze.export.redaction import Redactor

    return Redactor(report).report(report)


def _state(path: Path) -> tuple[int, int]:
    """Detect whether a file has changed since it was read; for a folder, its newest file decides."""
    files = [p for p in path.rglob("*") if p.is_file()] if path.is_dir() else [path]
    seen = [p.stat() for p in files]
    return max((s.st_mtime_ns for s in seen), default=0), sum(s.st_size for s in seen)


def _kind(file: Path) -> dict[str, Any]:
    """The kind of a file, as far as its first bytes show."""
    try:
        with file.open("rb") as opened:
            head = opened.read(512)
    except OSError:
        return {"kind": "unreadable"}
    if format_of(head[:4]) is not None or re.search(r"\.pcap(?:ng)?\d*(?:\.\w+)?$", file.name):
        kind = "capture"
    elif b"vxlanalyze.report/" in head:
        kind = "report"
    else:
        kind = "other"
    return {"kind": kind, "bytes": file.stat().st_size}
