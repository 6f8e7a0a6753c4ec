"""Above a limit, arrays lie in a file that has no name; nothing else changes."""

import platform
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from benchmarks.generate import generate
from vxlanalyze.errors import UsageError
from vxlanalyze.memory import heap
from vxlanalyze.memory import limit as memory
from vxlanalyze.wire.passages import Columns

MIB = 1 << 20


@pytest.mark.parametrize(
    ("text", "size"),
    [("512M", 512 * MIB), ("1.5 GiB", 1536 * MIB), ("2g", 2048 * MIB), ("300000KB", 300000 * 1024), ("7", 7)],
)
def test_sizes_are_read_as_people_write_them(text: str, size: int):
    assert memory.size_bytes(text) == size


@pytest.mark.parametrize("text", ["", "M", "much", "1X", "1e999", "nan"])
def test_what_is_no_size_is_refused(text: str):
    with pytest.raises(UsageError, match="is not a size of memory; write it as 512M or 2G"):
        memory.size_bytes(text)


def test_too_little_is_refused():
    with pytest.raises(UsageError, match="128 MB is the least"), memory.limited(100 * MIB):
        pass


def test_no_limit_changes_nothing():
    with memory.limited(None):
        assert np.ones(10**6).sum() == 10**6


def test_arrays_above_the_budget_lie_on_disk_and_hold_what_they_should():
    before, _ = memory.spilled_bytes()
    with memory.limited(memory.LEAST_BYTES):
        parts = [np.arange(3_000_000) * k for k in range(12)]
        whole = np.concatenate(parts)
        zeros = np.zeros(20_000_000)
        on_disk, _ = memory.spilled_bytes()

        assert on_disk - before > 300 * MIB
        assert whole.sum() == sum(range(12)) * (3_000_000 * 2_999_999 // 2)
        assert not zeros.any()

        zeros.resize(30_000_000, refcheck=False)
        parts[1].resize(10, refcheck=False)
        assert not zeros.any()
        assert parts[1].tolist() == list(range(10))
        assert np.fromiter(range(1_000_000), np.int64)[-1] == 999_999
    del parts, whole, zeros
    assert memory.spilled_bytes()[0] == before


def test_arrays_outlive_the_limit():
    with memory.limited(memory.LEAST_BYTES):
        kept = np.full(40_000_000, 3.0)
    assert kept.sum() == 120_000_000
    assert np.ones(10**7).sum() == 10**7


def test_threads_work_under_the_limit_once_they_adopt_it():
    on_disk: list[int] = []

    def work():
        memory.join_limit()
        held = np.ones(40_000_000)
        on_disk.append(memory.spilled_bytes()[0])
        assert held.all()

    before, _ = memory.spilled_bytes()
    with memory.limited(memory.LEAST_BYTES):
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()

    assert on_disk[0] - before >= 320_000_000


def test_many_threads_share_it():
    """numpy sorts without the interpreter's lock, and asks for memory meanwhile."""

    def work(seed: int):
        memory.join_limit()
        for _ in range(20):
            values = np.random.default_rng(seed).integers(0, 10**6, 400_000)
            assert (np.diff(values[np.argsort(values, kind="stable")]) >= 0).all()

    before, _ = memory.spilled_bytes()
    with memory.limited(memory.LEAST_BYTES):
        held = np.ones(12_000_000)
        threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    del held

    assert memory.spilled_bytes()[0] == before


def run(*arguments: object, **options: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "vxlanalyze", *map(str, arguments), "--no-progress"]
    return subprocess.run(command, capture_output=True, text=True, check=False, **options)  # type: ignore[call-overload,no-any-return]


def test_a_run_within_the_limit_gives_the_same_and_leaves_nothing(tmp_path: Path, monkeypatch):
    pair = generate(tmp_path / "pair", 100_000)
    room = tmp_path / "room"
    room.mkdir()
    monkeypatch.setenv("TMPDIR", str(room))

    def outputs(folder: Path, *more: str) -> dict[str, bytes]:
        folder.mkdir()
        kinds = ("tables", "annotate", "decapsulate")
        wanted = [word for kind in kinds for word in (f"--{kind}", folder / kind)]
        files = ("-o", folder / "r.json", "-o", folder / "r.html")
        done = run(*pair, *wanted, *files, "--quiet", *more)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
        return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}

    free, limited = outputs(tmp_path / "free"), outputs(tmp_path / "limited", "--memory", "128M")

    assert len(free) == 2 + 4 + 2 + 2
    assert limited.keys() == free.keys()
    assert [name for name in free if limited[name] != free[name]] == []
    assert list(room.iterdir()) == []


def test_the_limit_is_asked_for_in_vain_where_nothing_can_be_kept(tmp_path: Path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path / "none"))

    done = run("sample_pcaps/seed/node1.pcap.gz", "sample_pcaps/seed/node2.pcap.gz", "--memory", "300M")

    assert done.returncode == 2
    assert "cannot hold what is above --memory: No such file or directory; set TMPDIR" in done.stderr


def test_decoded_columns_lie_in_one_piece():
    """Small ones would stand outside of the limit, and leave holes in the heap."""
    written = np.arange(100_000)
    columns = Columns()
    for some in np.array_split(written, 500):
        columns.room(len(some))[0][:] = some

    (piece,) = columns.written()[0]

    assert np.array_equal(piece, written)
    assert piece.nbytes == written.nbytes


_TOUCHED_AGAIN = """
import resource
import numpy as np
from vxlanalyze.memory import heap

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    np.full(20 << 20, 1, np.uint8)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

faults()
mapped_anew = faults()
heap.reuse_freed()
faults()
kept = faults()
heap.trim()
print(mapped_anew, kept, faults())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries cannot be asked to")
def test_freed_memory_is_used_again_until_it_is_trimmed():
    """Counted are the pages that the kernel clears for an array of 20 MB."""
    done = subprocess.run([sys.executable, "-c", _TOUCHED_AGAIN], check=True, capture_output=True, text=True)
    mapped_anew, kept, trimmed = map(int, done.stdout.split())
    assert kept < 5 < min(mapped_anew, trimmed)


def test_a_c_library_without_these_settings_is_left_as_it_is(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(heap.ctypes, "CDLL", lambda _: object())
    heap.reuse_freed()
    heap.trim()
