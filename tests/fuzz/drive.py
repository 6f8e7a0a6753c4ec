"""Runs one case in this process and judges how it ended."""

import contextlib
import io
import os
import re
import shutil
import time
import traceback
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pyarrow.parquet as pq

from tests.fuzz.cases import Case
from vxlanalyze import wire
from vxlanalyze.api.capture import dissect_row
from vxlanalyze.capture import open_source
from vxlanalyze.command import cli
from vxlanalyze.errors import VxlanalyzeError
from vxlanalyze.kernels.decorator import PLAIN
from vxlanalyze.kubernetes.facts import read_facts
from vxlanalyze.kubernetes.gather import with_facts
from vxlanalyze.kubernetes.kube import read_kube
from vxlanalyze.kubernetes.model import Cluster
from vxlanalyze.report import expectation
from vxlanalyze.report.formats import as_json
from vxlanalyze.report.judging import read_text
from vxlanalyze.wire import table

FINE = (0, 1, 2)
MOST_S_A_BYTE = 2e-6
_MOST_ANY_S = 1.6  # 64 interfaces in each capture are as many points, which takes a second whatever they hold


@dataclass(frozen=True)
class Ending:
    """How a case ended.

    Attributes
    ----------
    status : int or None
        Exit status (a reader's error counts as 2); None where it raised.
    wrong : str or None
        What a run must never do, where it did it.
    """

    status: int | None
    seconds: float  # of the processor
    peak_bytes: int
    wrong: str | None


def too_slow(case: Case, ending: Ending) -> str | None:
    """Say where a run took more than its outputs and its bytes explain; a frame has about a hundred."""
    parts = ("html", "tables", "annotate", "decapsulate")
    slow = sum(any(part in argument for part in parts) for argument in case.arguments)
    most_s = _MOST_ANY_S + 2 * slow + sum(map(len, case.files.values())) * MOST_S_A_BYTE
    return f"took {ending.seconds:.1f} s of {most_s:.1f}" if ending.seconds > most_s else None


def take_warnings_for_errors() -> None:
    """Raise where numpy warns: a figure went wrong. The hashes of kernels that run as Python wrap around."""
    warnings.simplefilter("error")
    if PLAIN:
        warnings.filterwarnings("ignore", "overflow encountered in scalar")


def drive(case: Case, folder: Path) -> Ending:
    """Run a case in an empty folder, and leave that empty."""
    case.write(folder)
    before = os.getcwd()
    os.chdir(folder)
    peak = _Peak()
    begin = time.process_time()
    try:
        status, wrong = _DRIVERS[case.subject](case)
    except BaseException:  # noqa: BLE001 - whatever it is, it is what is looked for
        status, wrong = None, traceback.format_exc()
    finally:
        os.chdir(before)
    seconds = time.process_time() - begin
    for entry in folder.iterdir():
        shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
    return Ending(status, seconds, peak.bytes(), wrong)


def _command(case: Case) -> tuple[int, str | None]:
    out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8", newline="") for _ in range(2))
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        status = cli.main(case.arguments)
    written, told = (
        stream.detach().getvalue().decode() if stream.flush() is None else "" for stream in (out, err)
    )
    return status, next(_faults(case, status, written, told), None)


def _faults(case: Case, status: int, written: str, told: str) -> Iterator[str]:
    """Name what must not be in a run's outputs."""
    if status not in FINE:
        yield f"exit status {status}: {told}{re.findall('.*broke.*', written)}"
    new = sorted(p for p in Path().rglob("*") if p.is_file() and str(p) not in case.files)
    if status == 2:
        if written or told.count("\n") != 1 or not told[:-1].isprintable():
            yield f"an error is one line on standard error: {written[:300]!r} {told[:1000]!r}"
        if new:
            yield f"outputs in spite of an error: {new}"
        return
    if any(line and not line.startswith("vxlanalyze: not as expected: ") for line in told.splitlines()):
        yield f"on standard error: {told[:2000]}"
    yield from (f"left behind: {path}" for path in new if path.name.startswith("."))
    if "\x1b" in written:
        yield f"an escape reached standard output: {written!r}"
    _require_readable(case, written, new)


def _require_readable(case: Case, written: str, new: list[Path]) -> None:
    """Read the outputs as their readers would; raises where one is broken."""
    shown = case.arguments[case.arguments.index("--format") + 1] if "--format" in case.arguments else "text"
    if shown == "json":
        as_json.from_json(written)
    elif shown == "junit":
        ElementTree.fromstring(written)
    for path in new:
        if path.suffix == ".json":
            as_json.from_json(path.read_text())
        elif path.suffix == ".xml":
            ElementTree.parse(path)
        elif path.suffix == ".parquet":
            pq.read_table(path)
        elif path.suffix == ".pcapng":
            source = open_source(str(path), name="x")
            assert sum(len(chunk) for chunk in source.chunks()) >= 0
            assert not source.damages


def _reader(case: Case) -> tuple[int, str | None]:
    """Read each file as a capture, twice, and its frames as rows, as a table and as objects."""
    for name in case.files:
        try:
            source = open_source(name, name="x")
        except VxlanalyzeError as error:
            return 2, None if "\n" not in str(error) else f"an error of several lines: {error}"
        with contextlib.closing(source):
            for _ in source.chunks():
                pass
            try:
                decoded = wire.decode(source)
            except VxlanalyzeError:
                return 2, None
            rows = len(decoded.index)
            fetched = source.fetch(decoded.index.place[::-1])
            if not np.array_equal(fetched.time_ns[::-1], decoded.index.time_ns):
                return 0, "frames that were fetched are not those that were read"
            if sum(batch.num_rows for batch in table.frame_batches(source)) != rows:
                return 0, "the table has other rows than the index"
            for row in range(0, rows, 7):
                dissect_row(source, decoded, row, ())
    return 0, None


def _texts(case: Case) -> tuple[int, str | None]:
    for name in case.files:
        try:
            if name == "kube.json":
                read_kube(name)
            elif name == "expect.toml":
                expectation.parse(read_text(name), name)
            elif name == "report.json":
                as_json.from_json(read_text(name), name)
            else:
                with_facts(Cluster(), read_facts("n0", Path(name).parent))
        except VxlanalyzeError as error:
            return 2, None if "\n" not in str(error) else f"an error of several lines: {error}"
    return 0, None


_DRIVERS = {"command": _command, "reader": _reader, "texts": _texts}


class _Peak:
    """How far the memory of this process rises from here on (Linux: proc(5), clear_refs and VmHWM)."""

    def __init__(self) -> None:
        with contextlib.suppress(OSError):
            Path("/proc/self/clear_refs").write_text("5")
        self._before = self._status("VmRSS")

    def bytes(self) -> int:
        return max(self._status("VmHWM") - self._before, 0)

    @staticmethod
    def _status(name: str) -> int:
        found = re.search(rf"{name}:\s+(\d+) kB", Path("/proc/self/status").read_text())
        return int(found[1]) * 1024 if found else 0
