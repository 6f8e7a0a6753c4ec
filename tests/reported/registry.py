"""The pairs that were made, what is true of them, and how an answer is judged."""

import importlib
import importlib.util
import json
import re
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.reported.world import World

Code = str | list[str] | None
LIMITS = ("truncated-capture", "clock-step")  # what limits captures is no fault of the network
TEXTS = ("summary", "explanation", "remedy", "evidence", "ruled_out")


@dataclass
class Pair:
    """A pair to be made, with its truth (what each field means: README.md, and `differences` below)."""

    name: str
    make: Callable[[], World]
    root: Code
    must: list[str]
    mustnot: list[str]
    says: list[str]
    unsaid: list[str]
    source: str
    story: str
    kind: str
    lost: str | list[list[Any]] | None
    kube: bool | str
    want: str = ""
    extra: dict[str, Any] = field(default_factory=dict)

    def write(self, folder: Path) -> dict[str, Any]:
        """Write captures and truth.json (and kube.json) into a folder; return the truth."""
        world = self.make().run()
        world.write(folder)
        if self.kube:
            cluster = world.kube if world.kube is not None else world.cluster()
            (folder / "kube.json").write_text(json.dumps(cluster, indent=1) + "\n")
        truth = {
            "name": self.name,
            "kind": self.kind,
            "story": self.story,
            "source": self.source,
            "root": self.root,
            "must": self.must,
            "mustnot": self.mustnot,
            "says": self.says,
            "unsaid": self.unsaid,
            "kube": self.kube,
            "lost": world.lost if self.lost == "world" else self.lost,
            "want": self.want,
        } | self.extra
        (folder / "truth.json").write_text(json.dumps(truth, indent=1, ensure_ascii=False) + "\n")
        return truth


PAIRS: dict[str, Pair] = {}


def pair(
    name: str,
    *,
    root: Code,
    must: Iterable[str] = (),
    mustnot: Iterable[str] = (),
    says: Iterable[str] = (),
    unsaid: Iterable[str] = (),
    source: str,
    story: str,
    kind: str = "",
    lost: str | list[list[Any]] | None = None,
    kube: bool | str = False,
    want: str = "",
    **extra: Any,
) -> Callable[[Callable[[], World]], Callable[[], World]]:
    """Register the function below as the maker of a pair.

    ``lost``: None where no per-packet truth exists, ``"world"`` what the world lost, or rows of its own.
    ``kube``: True (the answer is judged with kube.json), ``"both"`` (without it and with it).
    """

    def register(make: Callable[[], World]) -> Callable[[], World]:
        if name in PAIRS:
            raise ValueError(f"two pairs are named {name}")
        PAIRS[name] = Pair(
            name,
            make,
            root,
            list(must),
            list(mustnot),
            list(says),
            list(unsaid),
            source,
            story,
            kind or make.__module__.rpartition(".")[2].partition("_")[0].upper(),
            lost,
            kube,
            want,
            extra,
        )
        return make

    return register


def discover(folder: Path | None = None) -> dict[str, Pair]:
    """Import every module of pairs, of this package or of another folder."""
    if folder is None:
        for path in sorted((Path(__file__).parent / "pairs").glob("[a-z]*.py")):
            importlib.import_module(f"tests.reported.pairs.{path.stem}")
        return PAIRS
    for path in sorted(folder.glob("[a-z]*.py")):
        spec = importlib.util.spec_from_file_location(path.stem, path)
        assert spec is not None
        assert spec.loader is not None
        spec.loader.exec_module(importlib.util.module_from_spec(spec))
    return PAIRS


def written(code: str, names: list[str]) -> tuple[str, str | None]:
    """Take ``code@ab`` apart, with the direction as reports write it."""
    code, _, direction = code.partition("@")
    ends = {"ab": f"{names[0]}>{names[-1]}", "ba": f"{names[-1]}>{names[0]}"}
    return code, ends.get(direction, direction) or None


def judge(
    truth: dict[str, Any], findings: list[dict[str, Any]], lost: Counter[tuple[Any, ...]], names: list[str]
) -> list[str]:
    """Return what is wrong with an answer, as score.py sees it."""
    have = {(f["code"], f.get("direction")) for f in findings}
    codes = {code for code, _ in have}

    def found(key: str) -> bool:
        code, direction = written(key, names)
        return (code, direction) in have if direction else code in codes

    why = [f"missing {m}" for m in truth["must"] if not found(m)] + [
        f"false {m}" for m in truth["mustnot"] if found(m)
    ]
    why += judge_root(truth, findings)
    text = json.dumps([[f.get(k) for k in TEXTS] for f in findings], ensure_ascii=False)
    why += [f"does not say /{x}/" for x in truth["says"] if not re.search(x, text)]
    why += [f"says /{x}/" for x in truth["unsaid"] if re.search(x, text)]
    if truth["lost"] is not None:
        ends = {"ab": f"{names[0]}>{names[-1]}", "ba": f"{names[-1]}>{names[0]}"}
        want = Counter((ends.get(row[0], row[0]), *row[1:]) for row in truth["lost"])
        if want != lost:
            right = sum((want & lost).values())
            why.append(
                f"lost packets: {sum(lost.values())} reported, {sum(want.values())} true, {right} right"
            )
    return why


def judge_root(truth: dict[str, Any], findings: list[dict[str, Any]]) -> list[str]:
    root = [truth["root"]] if isinstance(truth["root"], str) else truth["root"]
    first = findings[0]["code"] if findings else "nothing"
    if root:
        return [] if first in root else [f"first is {first}, not {' or '.join(root)}"]
    fine = {*LIMITS, *(m.partition("@")[0] for m in truth["must"])}
    odd = [f["code"] for f in findings if f["severity"] != "info" and f["code"] not in fine]
    return [f"nothing is wrong, yet {', '.join(odd)}"] if odd else []
