"""``python -m tests.lab``: record scenarios. Needs root and the Debian packages that README.md names."""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path

from tests.lab import verify
from tests.lab.namespaces import LabError, remove_leftovers
from tests.lab.record import PROJECT, record
from tests.lab.scenario import load

HERE = Path(__file__).parent
SETS = {HERE / "samples": PROJECT / "sample_pcaps", HERE / "scenarios": PROJECT / "tests" / "captures"}


def main() -> int:
    """Record what the command line asks for; 1 where a recording failed or contradicts its truth."""
    parser = argparse.ArgumentParser(prog="python -m tests.lab", description=__doc__)
    parser.add_argument("scenario", nargs="?", type=Path, help="a scenario file")
    parser.add_argument("out", nargs="?", type=Path, help="folder of the recording; with --all, of the recordings")
    parser.add_argument("--all", action="store_true", help="record every scenario of the project into OUT/NAME")
    parser.add_argument("--again", action="store_true", help="record sample_pcaps/ and tests/captures/ anew")
    parser.add_argument("--clean", action="store_true", help="remove namespaces of killed runs, and nothing else")
    asked = parser.parse_args()
    if os.geteuid():
        parser.error("only root can make network namespaces")
    if asked.clean:
        remove_leftovers()
        return 0
    if asked.all and asked.out is None:
        asked.out, asked.scenario = asked.scenario, None
    if not asked.again and (asked.out is None or (asked.scenario is None) != asked.all):
        parser.error("give SCENARIO.toml OUT, --all OUT or --again")
    return 1 if any([_record(file, folder) for file, folder in _jobs(asked)]) else 0


def _jobs(asked: argparse.Namespace) -> list[tuple[Path, Path]]:
    """Return the scenario files and the folders they are recorded into."""
    if asked.scenario is not None:
        return [(asked.scenario, asked.out)]
    return [
        (file, (folder if asked.again else asked.out) / file.stem)
        for source, folder in SETS.items()
        for file in sorted(source.glob("*.toml"))
    ]


def _record(file: Path, folder: Path) -> bool:
    """Record one scenario and check it; return whether something is wrong with it."""
    began_s = time.monotonic()
    try:
        frames = record(load(file), folder)
        wrong = verify.differences(folder)
    except (LabError, ValueError) as error:
        frames, wrong = {}, [str(error)]
    size_kb = sum(made.stat().st_size for made in folder.rglob("*") if made.is_file()) // 1000
    seen = " ".join(f"{name}={count}" for name, count in frames.items())
    sys.stdout.write(f"{file.stem}: {time.monotonic() - began_s:.1f} s, {size_kb} kB; {seen}\n")
    for difference in wrong:
        sys.stdout.write(f"  WRONG {difference}\n")
    sys.stdout.flush()
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
