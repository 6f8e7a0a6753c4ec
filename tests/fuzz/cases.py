"""One damaged input, complete: the files, and what is done with them. The same number gives the same case."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

from tests.fuzz import cuts, mutation, traffic
from tests.fuzz.seeds import SAMPLES, Seed, seeds
from vxlanalyze.command import cli

SUBJECTS = ("command", "reader", "texts", "cuts", "traffic")
_ARGUMENTS = "arguments.json"


@dataclass(frozen=True)
class Case:
    """Files by name, and the subject that gets them.

    Attributes
    ----------
    subject : str
        ``command``: the whole command with `arguments`; ``reader``: each file is read as a capture, each
        frame decoded; ``texts``: each file goes through the parser that its name tells.
        What ``cuts`` and ``traffic`` make is for the whole command, too.
    """

    subject: str
    arguments: tuple[str, ...]
    files: Mapping[str, bytes]

    def write(self, folder: Path) -> None:
        """Write the files."""
        for name, content in self.files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)

    def keep(self, folder: Path) -> None:
        """Write the files and, beside them, what is done with them."""
        folder.mkdir(parents=True, exist_ok=True)
        self.write(folder)
        (folder / _ARGUMENTS).write_text(json.dumps([self.subject, *self.arguments]) + "\n")


def kept(folder: Path) -> Case:
    """Read a case that was kept."""
    subject, *arguments = json.loads((folder / _ARGUMENTS).read_text())
    paths = [path for path in sorted(folder.rglob("*")) if path.is_file() and path.name != _ARGUMENTS]
    return Case(subject, tuple(arguments), {str(p.relative_to(folder)): p.read_bytes() for p in paths})


def make(subject: str, number: int) -> Case:
    """Make a case from its number."""
    random = Random(f"{subject} {number}")
    return _cut(number, random) if subject == "cuts" else _MAKERS[subject](random)


def warming(subject: str) -> list[Case]:
    """Give sound cases that touch what damaged ones will."""
    random = Random(subject)
    if subject == "texts":
        return [Case("texts", (), {path: text.encode() for path, text in texts().items()})]
    pairs = [{f"n{k}.cap": mutation.packaged(p, random) for k, p in enumerate(s.points)} for s in seeds()]
    if subject == "reader":
        return [Case("reader", (), files) for files in pairs]
    return [
        Case("command", (*files, *options), files)
        for files in pairs[:4]
        for options in (*OUTPUTS, ("--redact", "--decapsulate", "inside", "--annotate", "annotated"))
    ]


def _cut(number: int, random: Random) -> Case:
    files = cuts.cut(number)
    return Case("command", (*files, *random.choices(OUTPUTS, _OUTPUT_WEIGHTS)[0]), files)


def _traffic(random: Random) -> Case:
    files = traffic.captures(random)
    options = random.choices(OUTPUTS, _OUTPUT_WEIGHTS)[0]
    redact = ("--redact",) if random.random() < 0.1 else ()
    return Case("command", (*files, *options, *redact), files)


def _reader(random: Random) -> Case:
    seed = random.choice(seeds())
    point = mutation.point(random.choice(seed.points), random)
    return Case("reader", (), {"capture": mutation.packaged(point, random)})


def _command(random: Random) -> Case:
    seed = random.choice(seeds())
    files = _captures(seed, random)
    captures = list(files)
    if random.random() < 0.04:
        captures[-1:] = [",".join(captures[-2:])]  # as if they were one rotated set
    if random.random() < 0.04:
        captures = [captures[0], f"again={captures[0]}"]
    if random.random() < 0.04:
        captures = captures[:1]
    return _with_options(seed, captures, files, random)


def _captures(seed: Seed, random: Random) -> dict[str, bytes]:
    """Damage all points or one of them."""
    chosen = random.choice((None, *range(len(seed.points))))
    whole = [
        mutation.point(point, random) if chosen in (None, place) else point
        for place, point in enumerate(seed.points)
    ]
    return {f"n{place}.cap": mutation.packaged(point, random) for place, point in enumerate(whole)}


def _with_options(seed: Seed, captures: list[str], files: dict[str, bytes], random: Random) -> Case:
    options = list(random.choices(OUTPUTS, _OUTPUT_WEIGHTS)[0])
    options += random.choice(_PARTS) if random.random() < 0.2 else ()
    options += ["--redact"] if random.random() < 0.15 else []
    if random.random() < 0.3:
        name, wanted = random.choice(_BESIDE)
        whole = {path: text for path, text in texts().items() if path.startswith(name)}
        damaged = random.choice((True, False))
        for path, text in whole.items():
            files[path] = _damaged(path, text, random) if damaged else text.encode()
        options += wanted
    return Case("command", (*captures, *options), files)


OUTPUTS: tuple[tuple[str, ...], ...] = (
    (),
    ("--format", "json"),
    ("--format", "junit"),
    ("--format", "github", "--fail-on", "warning"),
    ("--format", "markdown"),
    ("--tables", "tables"),
    ("--annotate", "annotated"),
    ("--decapsulate", "inside"),
    ("-o", "r.json", "-o", "r.xml", "-o", "r.md", "--quiet"),
    ("-o", "r.html", "--tables", "tables", "--annotate", "annotated", "--decapsulate", "inside"),
)
_OUTPUT_WEIGHTS = (200, 200, 200, 200, 150, 100, 150, 150, 50, 8)
_PARTS = (
    *(("--since", "0.1"), ("--until", "2106-01-01T00:00:00Z"), ("--only", "proto=udp")),
    *(("--only", "vni=1,host=10.0.0.1"), ("--port", "53,443"), ("--jobs", "1")),
    *(("--select", "mtu-blackhole,packet-loss,clock-step"), ("--ignore", "path-blocked")),
)
_BESIDE = (
    ("kube.json", ("--kube", "kube.json")),
    ("facts/", ("--facts", "n0=facts")),
    ("expect.toml", ("--expect", "expect.toml")),
    ("report.json", ("--baseline", "report.json")),
)


def _from_texts(random: Random) -> Case:
    """Damage texts for their parsers; now and then a saved report, for the whole command."""
    if random.random() < 0.15:
        files = {"report.json": mutation.json_text(texts()["report.json"], random)}
        formats = random.choices(("text", "json", "junit", "github", "markdown", "html"), (9, 9, 9, 9, 9, 1))
        redact = ("--redact",) if random.random() < 0.2 else ()
        return Case("command", ("--from", "report.json", "--format", *formats, *redact), files)
    path = random.choice(sorted(texts()))
    return Case("texts", (), {path: _damaged(path, texts()[path], random)})


def _damaged(path: str, text: str, random: Random) -> bytes:
    change = mutation.json_text if path.endswith(".json") else mutation.plain_text
    return change(text, random)


@cache
def texts() -> dict[str, str]:
    """Give what a user saves beside captures, by the name that tells what it is."""
    healthy = SAMPLES / "healthy"
    found = {
        "kube.json": (SAMPLES / "seed" / "kube.json").read_text(),
        "expect.toml": (SAMPLES / "mtu-blackhole" / "expect.toml").read_text() + _BOUNDS,
        "report.json": _report(),
    }
    for folder in (SAMPLES / "seed" / "facts" / "node1", healthy / "facts" / "node1"):
        found.update({f"facts/{path.name}": path.read_text() for path in sorted(folder.iterdir())})
    return found


_BOUNDS = '\n[bounds."node1>node2"]\nloss_ratio = {max = 0.01}\n"delay_ns.p99" = {min = 1, max = 5_000_000}\n'


def _report() -> str:
    pair = [str(SAMPLES / "seed" / f"node{k}.pcap.gz") for k in (1, 2)]
    with TemporaryDirectory() as folder:
        path = Path(folder) / "report.json"
        cli.main([*pair, "--quiet", "-o", str(path)])
        return path.read_text()


_MAKERS: dict[str, Callable[[Random], Case]] = {
    "command": _command,
    "reader": _reader,
    "texts": _from_texts,
    "traffic": _traffic,
}
