"""Lets coverage choose what to damage next: ``python -m tests.fuzz.guided SUBJECT FOLDER [OPTIONS]``.

Needs atheris (``pip install '.[fuzz]'``), which instruments the Python code of the package; the kernels run
as Python, too (``NUMBA_DISABLE_JIT``), so that their branches count. FOLDER holds the corpus: it is begun
with sound inputs, and what reaches new code is added. OPTIONS are libFuzzer's (``-max_total_time=600``). An
input that ends wrong is written beside, and raises.
"""

import os
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from random import Random

os.environ["NUMBA_DISABLE_JIT"] = "1"  # before anything imports numba

import atheris

with atheris.instrument_imports(include=["vxlanalyze"]):
    from tests.fuzz.cases import OUTPUTS, SUBJECTS, Case, texts
    from tests.fuzz.drive import drive, take_warnings_for_errors
    from tests.fuzz.seeds import Point, seeds

from tests.fuzz import mutation

LONGEST_BYTES = 4096
SEED_FRAMES = 8  # of each capture: short inputs are the fast ones
_SOUND = "n0.cap"


def main() -> None:
    subject, folder, *options = sys.argv[1:]
    if not Path(folder).is_file():
        _begin(subject, Path(folder))
    take_warnings_for_errors()
    with tempfile.TemporaryDirectory() as scratch:

        def run(octets: bytes) -> None:
            ending = drive(_case(subject, octets), Path(scratch))
            if ending.wrong is not None:
                raise AssertionError(ending.wrong)

        atheris.Setup([sys.argv[0], folder, f"-max_len={LONGEST_BYTES}", *options], run)
        atheris.Fuzz()


def _case(subject: str, octets: bytes) -> Case:
    """Make a case of an input: of its first octet what is done, of the rest what it is done with."""
    kind, content = (octets or b"\0")[0], octets[1:]
    if subject == "reader":
        return Case("reader", (), {"capture": content})
    if subject == "texts":
        name = sorted(texts())[kind % len(texts())]
        return Case("texts", (), {name: content})
    files = {_SOUND: _partner(), "n1.cap": content}
    return Case("command", (*files, *OUTPUTS[kind % len(OUTPUTS)]), files)


def _partner() -> bytes:
    return mutation.pcap(_first(seeds()[0].points[0]), Random(0))


def _first(point: Point) -> Point:
    return replace(point, frames=point.frames[:SEED_FRAMES])


def _begin(subject: str, corpus: Path) -> None:
    corpus.mkdir(parents=True, exist_ok=True)
    for name, octets in _beginnings(subject).items():
        (corpus / name).write_bytes(octets)


def _beginnings(subject: str) -> dict[str, bytes]:
    """Give sound inputs by file name."""
    if subject not in SUBJECTS or subject == "cuts":
        raise SystemExit(f"no such subject: {subject}")
    if subject == "texts":
        names = sorted(texts())
        return {
            name.replace("/", "-"): bytes([kind]) + texts()[name].encode() for kind, name in enumerate(names)
        }
    return {
        f"{seed.name}-{kind}": bytes([number]) + write(_first(seed.points[-1]), Random(number))
        for number, seed in enumerate(seeds())
        for kind, write in (("pcap", mutation.pcap), ("pcapng", mutation.pcapng))
    }


if __name__ == "__main__":
    main()
