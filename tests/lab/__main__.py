"""``python -m tests.lab``: record scenarios. Needs root and the Debian packages that README.md names."""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path

from tests.lab import truth, verify
from tests.lab.namespaces import PROJECT, LabError, remove_leftovers
from tests.lab.record import record
from tests.lab.scenario import load

HERE = Path(__file__).parent
SHOWN_DIFFERENCES = 3
INTERRUPTED = 130
SETS = {HERE / "samples": PROJECT / "sample_pcaps", HERE / "scenarios": PROJECT / "tests" / "captures"}


def main() -> int:
    """Record what the command line asks for; 1 where a recording failed or contradicts its truth."""
    parser = argparse.ArgumentParser(prog="python -m tests.lab", description=__doc__)
    parser.add_argument(
        "paths", nargs="*", type=Path, metavar="SCENARIO.toml OUT", help="what to record, and where to"
    )
    parser.add_argument(
        "--all", type=Path, metavar="OUT", help="record every scenario of the project into OUT/NAME"
    )
    parser.add_argument(
        "--again",
        nargs="*",
        metavar="NAME",
        help="record sample_pcaps/ and tests/captures/ anew, or only those named",
    )
    parser.add_argument(
        "--expected",
        action="store_true",
        help="only bring stories and expectations of recorded truths up to date",
    )
    parser.add_argument(
        "--clean", action="store_true", help="remove namespaces of killed runs, and nothing else"
    )
    asked = parser.parse_args()
    if asked.expected:
        return _update_expectations()
    if os.geteuid():
        parser.error("only root can make network namespaces")
    if asked.clean:
        remove_leftovers()
        return 0
    jobs = _jobs(asked)
    if not jobs:
        parser.error("give SCENARIO.toml OUT, --all OUT or --again")
    try:
        wrong = [file.stem for file, folder in jobs if _record(file, folder)]
    except KeyboardInterrupt:
        return INTERRUPTED
    sys.stdout.write(f"{len(jobs) - len(wrong)} of {len(jobs)} recorded well {' '.join(wrong)}\n")
    return 1 if wrong else 0


def recordings() -> list[tuple[Path, Path]]:
    """Return every scenario file of the project with the folder of its recording."""
    return [
        (file, folder / file.stem)
        for source, folder in SETS.items()
        for file in sorted(source.glob("*.toml"))
    ]


def _jobs(asked: argparse.Namespace) -> list[tuple[Path, Path]]:
    """Return the scenario files and the folders they are recorded into."""
    if len(asked.paths) == 2:
        return [(asked.paths[0], asked.paths[1])]
    if asked.all is None and asked.again is None:
        return []
    return [
        (file, asked.all / file.stem if asked.all else folder)
        for file, folder in recordings()
        if not asked.again or file.stem in asked.again
    ]


def _update_expectations() -> int:
    for file, folder in recordings():
        truth.update(load(file), folder)
    return 0


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
    for difference in wrong[:SHOWN_DIFFERENCES]:
        sys.stdout.write(f"  WRONG {difference}\n")
    if len(wrong) > SHOWN_DIFFERENCES:
        sys.stdout.write(f"  WRONG and {len(wrong) - SHOWN_DIFFERENCES} more\n")
    sys.stdout.flush()
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
