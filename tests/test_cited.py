"""On every recording whose facts decide: the first finding cites the line that is the cause."""

import io
import json
import re
import tarfile
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path

import pytest

import vxlanalyze as vx
from tests.findings_to_act_on import shortcomings
from tests.lab import __main__ as lab
from tests.lab.planned import FACTS

FOLDERS = [folder for _, folder in lab.recordings() if (folder / FACTS).exists()]

each = pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)


@cache
def truth_of(folder: Path) -> dict:
    return json.loads((folder / "truth.json").read_text())


@cache
def analysed(folder: Path) -> vx.Comparison:
    captures = [folder / point["path"] for point in truth_of(folder)["captures"]]
    kube = folder / "kube.json" if truth_of(folder)["kube"] else None
    return vx.compare(*captures, kube=kube, facts={"": folder / FACTS})


@cache
def lines_of(folder: Path) -> dict[str, list[str]]:
    """Lines of each file in the bundle, by its path there."""
    with tarfile.open(fileobj=io.BytesIO((folder / FACTS).read_bytes())) as bundle:
        files = [member for member in bundle if member.isfile()]
        return {m.name: bundle.extractfile(m).read().decode(errors="replace").splitlines() for m in files}


def cited(folder: Path) -> list[str]:
    """The lines that the first finding cites as the cause, as ``FILE: text``."""
    found = []
    for name, quantity in analysed(folder).findings[0].evidence.items():
        if name.startswith("fact_"):
            places = re.findall(r"([\w./-]+), line (\d+)", str(getattr(quantity, "value", quantity)))
            found += [line for file, number in places for line in _at(folder, file, int(number))]
    return found


def _at(folder: Path, file: str, number: int) -> list[str]:
    return [
        f"{path}: {' '.join(lines[number - 1].split())}"
        for path, lines in lines_of(folder).items()
        if path == file and number <= len(lines)
    ]


@each
def test_the_first_finding_cites_the_line(folder: Path):
    wanted = truth_of(folder).get("cites", [])
    lines = cited(folder)

    assert [w for w in wanted if not any(fnmatchcase(line, w) for line in lines)] == [], lines
    assert lines == [] if not wanted else True


def test_a_line_decides_each_of_at_least_15_faults():
    """Of different kinds of tables, each saved on the nodes by the script of ``--plan``."""
    deciding = {folder.name: truth_of(folder).get("cites", []) for folder in FOLDERS}
    files = {line.partition(":")[0].rpartition("/")[2] for lines in deciding.values() for line in lines}

    assert sum(map(bool, deciding.values())) >= 20
    assert files >= {
        *("iptables-save.txt", "nft.txt", "ip-route.txt", "ip-link.txt", "ip-neigh.txt", "fdb.txt"),
        *("sysctl.txt", "nstat.txt", "conntrack.txt", "conntrack-S.txt", "tc.txt", "softnet_stat.txt"),
    }


@each
def test_each_finding_with_facts_can_be_acted_on(folder: Path):
    assert shortcomings(json.loads(analysed(folder).to_json())) == []
