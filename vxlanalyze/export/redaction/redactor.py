"""Remove private data from everything that leaves the machine: addresses, names and payload.

Pseudonyms are consistent in all outputs of a run, and the same for the same captures: the key is derived from
the SHA-256 of their files. With the captures, the key can be derived again and pseudonyms resolved; with the
outputs alone it cannot, since the digests themselves are replaced, too. Times, ports, VNIs, sizes, counts and
the structure of networks stay.
"""

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, replace
from pathlib import PurePosixPath
from typing import Any

from vxlanalyze.capture.model import Frames, Interface
from vxlanalyze.export.redaction.addresses import AddressCipher
from vxlanalyze.export.redaction.frames import redact_frames
from vxlanalyze.export.redaction.wording import Wording, labels_of
from vxlanalyze.kubernetes.model import Cluster
from vxlanalyze.report.matrix.model import Matrix
from vxlanalyze.report.model import CaptureRecord, FindingRecord, Report
from vxlanalyze.report.renderer import Judgement

# Fields with the program's own words, wherever they are in a report.
_OWN_WORDS = frozenset(
    (
        *("schema", "code", "diagnostics", "severity", "unit", "protocol", "kind", "format", "compression"),
        *("link_types", "first", "last", "start", "way", "fate", "flags", "sha256", "state"),
    )
)
# Keys below these may be names of captures and addresses; all others are the program's own words.
_KEYED_BY_NAMES = ("names", "frames", "evidence")


class Redactor:
    """Replaces addresses and names of one run.

    Parameters
    ----------
    report : Report
        Has the names of captures, files, pods and services, and gives the key.
    cluster : Cluster, optional
        Has the names of all nodes, pods and services, whether or not in the report.
    """

    def __init__(self, report: Report, cluster: Cluster | None = None) -> None:
        self._key = _key(report)
        self.cipher = AddressCipher(self._key)
        self._wording = Wording(self.cipher)
        for number, capture in enumerate(report.captures, 1):
            self._wording.know(capture["name"], f"point{number}")
        for number, capture in enumerate(report.captures, 1):
            for place, file in enumerate(capture["files"], 1):
                self._know_file(file["path"], f"point{number}", place, len(capture["files"]))
        for number, fact in enumerate(report.facts, 1):
            self._wording.know(fact["path"], f"facts{number}")
        cluster = cluster or Cluster()
        for number, path in enumerate(cluster.sources, 1):
            self._wording.know(path, f"cluster{number}")
        codes = {finding["code"] for finding in report.findings}.union(report.diagnostics)
        for name in (*_names(report), *_names_of_cluster(cluster)):
            if name not in codes:
                self._wording.know(name)
        for name in _requested_in(report):
            self._wording.know(name, self._wording.domain(name))

    def _know_file(self, path: str, point: str, place: int, files: int) -> None:
        suffix = "".join(PurePosixPath(path).suffixes[-2:])
        suffix = suffix if suffix.lower() in _KEPT_SUFFIXES else ""
        pseudonym = f"{point}{suffix}" if files == 1 else f"{point}-{place}{suffix}"
        self._wording.know(path, pseudonym)
        self._wording.know(PurePosixPath(path).name or path, pseudonym)

    @classmethod
    def of_matrix(cls, matrix: Matrix, cluster: Cluster | None = None) -> "Redactor":
        """Create one for the comparisons of many nodes."""
        return cls(_as_report(matrix, cluster or Cluster()), cluster)

    def name(self, name: str) -> str:
        """Give the pseudonym of a capture's name."""
        return self._wording.text(name)

    def text(self, text: str) -> str:
        """Replace every address and name in a text."""
        return self._wording.text(text)

    def interfaces(self, interfaces: Iterable[Interface]) -> tuple[Interface, ...]:
        """Replace the names of a capture's interfaces, and remove descriptions."""
        named = (i if i.name is None else replace(i, name=self._wording.know(i.name)) for i in interfaces)
        return tuple(replace(i, description=None) for i in named)

    def frames(self, frames: Frames, interfaces: Sequence[Interface], ports: Sequence[int]) -> Frames:
        """Replace the addresses in frames, and remove everything after their headers."""
        return redact_frames(frames, interfaces, ports, self.cipher)

    def report(self, report: Report) -> Report:
        """Replace every address and name in a report."""
        changed: dict[str, Any] = {
            name: self._changed(name, value) for name, value in vars(report).items() if name != "tool"
        }
        changed["captures"] = [self._capture(c) for c in report.captures]
        changed["findings"] = [self._finding(f) for f in report.findings]
        return replace(report, **changed)

    def matrix(self, matrix: Matrix) -> Matrix:
        """Replace every address and name in a matrix."""
        changed: dict[str, Any] = {
            name: self._changed(name, value) for name, value in vars(matrix).items() if name != "tool"
        }
        changed["nodes"] = [self._capture(node) for node in matrix.nodes]
        for pair, whole in zip(changed["pairs"], matrix.pairs, strict=True):
            pair["findings"] = [self._finding(finding) for finding in whole["findings"]]
        return replace(matrix, **changed)

    def judgement(self, judgement: Judgement) -> Judgement:
        """Replace every address and name in a judgement."""
        changes = judgement.changes
        return replace(
            judgement,
            failing=frozenset(self.text(key) for key in judgement.failing),
            differences=tuple(self.text(line) for line in judgement.differences),
            changes=None if changes is None else tuple(self.text(line) for line in changes),
        )

    def _changed(self, name: str, value: Any) -> Any:
        if isinstance(value, str):
            return value if name in _OWN_WORDS else self._wording.text(value)
        if isinstance(value, list):
            return [self._changed(name, entry) for entry in value]
        if isinstance(value, dict):
            of_others = name in _KEYED_BY_NAMES
            return {
                self._wording.text(key) if of_others else key: self._changed(key, entry)
                for key, entry in value.items()
            }
        return value

    def _finding(self, finding: FindingRecord) -> FindingRecord:
        changed: FindingRecord = self._changed("", finding)
        changed["display_filter"] = self._wording.filter(finding["display_filter"])
        return changed

    def _capture(self, capture: CaptureRecord) -> CaptureRecord:
        changed: CaptureRecord = self._changed("", capture)
        for file, whole in zip(changed["files"], capture["files"], strict=True):
            if whole["sha256"] is not None:
                digest = hashlib.blake2b(whole["sha256"].encode(), key=self._key, digest_size=32)
                file["sha256"] = digest.hexdigest()
        return changed


_KEPT_SUFFIXES = frozenset(
    f"{kind}{packed}"
    for kind in (".pcap", ".pcapng", ".cap", "")
    for packed in ("", ".gz", ".zst", ".lz4", ".bz2")
)


def _key(report: Report) -> bytes:
    """The key of pseudonyms: the digests of the files or, without them, the content of the report."""
    digests = [file["sha256"] for capture in report.captures for file in capture["files"]]
    content = digests if digests and None not in digests else asdict(report)
    return hashlib.blake2b(json.dumps(content, sort_keys=True).encode(), digest_size=32).digest()


def _as_report(matrix: Matrix, cluster: Cluster) -> Report:
    """The identifying parts of a matrix, in the form of one comparison's report."""
    return Report(
        tool=matrix.tool,
        verdict=matrix.verdict,
        captures=matrix.nodes,
        clock=[],
        hops=[],
        findings=matrix.findings,
        not_assessed=[],
        services=[service for pair in matrix.pairs for service in pair["services"]],
        names={},
        plots={},
        broken=[],
        facts=[{"capture": f.capture, "kind": f.kind, "path": f.path} for f in cluster.facts],
    )


def _names(report: Report) -> list[str]:
    """Names in a report, and the points inside its captures."""
    points = [hop[end] for hop in (*report.hops, *report.inside) for end in ("from", "to")]
    services = [service["service"] for service in report.services if service["service"]]
    return labels_of([*points, *services, *report.names.values()])


def _requested_in(report: Report) -> list[str]:
    """Domain names that findings and tables quote from packets."""
    quantities = [q for finding in report.findings for q in finding["evidence"].values()]
    quoted = [str(q["value"]) for q in quantities if q["unit"] == "name" and q["value"] is not None]
    queried = [q["name"] for service in report.services for q in service.get("questions", ())]
    return list(dict.fromkeys([*quoted, *filter(None, queried)]))


def _names_of_cluster(cluster: Cluster) -> list[str]:
    named = [*(n.name for n in cluster.nodes), *(p.full_name for p in cluster.pods)]
    named += [name for _, name in cluster.hosts]
    return labels_of([*named, *(s.full_name for s in cluster.services)])
