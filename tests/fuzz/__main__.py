"""Runs damaged inputs by number: ``python -m tests.fuzz --inputs 100000 --keep /tmp/found``.

A process of its own runs them, so that one that crashes or hangs is a failure like any other: it is counted
and kept, and the rest go on behind it.
"""

import argparse
import faulthandler
import json
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from tests.fuzz.cases import SUBJECTS, make, warming
from tests.fuzz.drive import FINE, drive, take_warnings_for_errors, too_slow

TIME_LIMIT_S = 30.0  # of the processor: others may keep it busy
MEMORY_LIMIT_BYTES = 400 << 20
HANGS_S = 600.0
_A_PROCESS = 4000  # inputs, before it is begun anew


def main() -> int:
    options = _options()
    if options.worker:
        _work(options.subject, options.first, options.inputs)
        return 0
    figures = [_run(subject, options) for subject in options.subjects]
    print(
        "\n".join(("| inputs | number | exit 0, 1, 2 | failed | median, p99, most ms | most MB |", *figures))
    )
    return 0 if all("| 0 failed |" in figure for figure in figures) else 1


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--inputs", type=int, default=1000, help="how many of each subject (1000)")
    parser.add_argument("--first", type=int, default=0, help="number of the first (0)")
    parser.add_argument("--subjects", nargs="+", choices=SUBJECTS, default=SUBJECTS, metavar="SUBJECT")
    parser.add_argument("--keep", type=Path, help="folder for the inputs that failed")
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--subject", help=argparse.SUPPRESS)
    return parser.parse_args()


def _run(subject: str, options: argparse.Namespace) -> str:
    """Run the inputs of a subject and give a line of figures."""
    statuses: Counter[int] = Counter()
    milliseconds, peaks, failed = [], [], 0
    at, end = options.first, options.first + options.inputs
    while at < end:
        command = [sys.executable, "-m", "tests.fuzz", "--worker", "--subject", subject]
        command += ["--first", str(at), "--inputs", str(min(_A_PROCESS, end - at))]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            for line in process.stdout:
                ended = json.loads(line)
                at += 1
                statuses[ended["status"]] += 1
                milliseconds.append(1000 * ended["seconds"])
                peaks.append(ended["peak_bytes"])
                failed += _told(subject, at - 1, ended["wrong"], options.keep)
                if at % 1000 == 0:
                    print(f"{subject} {at}: {failed} failed", file=sys.stderr, flush=True)
        if process.returncode:
            failed += _told(subject, at, f"the process ended with {process.returncode}", options.keep)
            at += 1
    quantiles = np.quantile(milliseconds or [0.0], [0.5, 0.99, 1.0])
    ended = " ".join(f"{statuses[status]}" for status in FINE)
    shown = ", ".join(f"{value:.0f}" for value in quantiles)
    most = max(peaks, default=0) / 1e6
    return f"| {subject} | {options.inputs} | {ended} | {failed} failed | {shown} | {most:.0f} |"


def _told(subject: str, number: int, wrong: str | None, keep: Path | None) -> int:
    if wrong is None:
        return 0
    print(f"--- {subject} {number}\n{wrong}", file=sys.stderr, flush=True)
    if keep is not None:
        make(subject, number).keep(keep / f"{subject}-{number}")
    return 1


def _work(subject: str, first: int, inputs: int) -> None:
    """Run inputs and print a line of JSON about each; a hang ends the process with all its stacks."""
    take_warnings_for_errors()
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    with tempfile.TemporaryDirectory() as folder:
        for sound in warming(subject):  # imports what is used, so that no input is charged for it
            drive(sound, Path(folder))
        for number in range(first, first + inputs):
            faulthandler.dump_traceback_later(HANGS_S, exit=True)
            ending = drive(make(subject, number), Path(folder))
            told: dict[str, Any] = {
                "status": ending.status,
                "seconds": ending.seconds,
                "peak_bytes": ending.peak_bytes,
                "wrong": ending.wrong,
            }
            if ending.wrong is None and ending.seconds > TIME_LIMIT_S:
                told["wrong"] = f"took {ending.seconds:.1f} s"
            if ending.wrong is None and subject == "traffic":
                told["wrong"] = too_slow(make(subject, number), ending)
            if ending.wrong is None and ending.peak_bytes > MEMORY_LIMIT_BYTES:
                told["wrong"] = f"took {ending.peak_bytes / 1e6:.0f} MB"
            print(json.dumps(told), flush=True)


if __name__ == "__main__":
    sys.exit(main())
