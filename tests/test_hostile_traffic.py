"""Hostile traffic goes through the whole program; `python -m benchmarks.adversaries` measures it."""

import numpy as np
import pytest

import vxlanalyze as vx
from benchmarks import adversaries
from benchmarks.hostile import names, slots, traffic
from benchmarks.hostile.frames import write
from vxlanalyze import wire
from vxlanalyze.capture import open_sources
from vxlanalyze.pairing import tuples
from vxlanalyze.pairing.identity import Level, frame_keys
from vxlanalyze.wire import flow_keys, flow_table

_EPOCH_US = 1_700_000_000_000_000  # where the writer's times begin
_LAST_US = 2**63 // 1000 - _EPOCH_US  # the last that 64 bits of nanoseconds hold


def last_moments(frames):
    """Time stamps that end where 64 bits of nanoseconds do."""
    for number, sight in enumerate(traffic.one_flow(frames)):
        yield sight._replace(time_us=_LAST_US - frames - 1000 + number)


def ends_of_time(frames):
    """Time stamps that are alternately the first and the last."""
    for number, sight in enumerate(traffic.one_flow(frames)):
        yield sight._replace(time_us=_LAST_US - 301 if number % 2 else -_EPOCH_US)


@pytest.mark.parametrize("case", [*adversaries.CASES, *traffic.CLOCKS], ids=lambda case: case.__name__)
def test_each_kind_gets_a_report(case, tmp_path):
    beside = names.BESIDE[case](160, tmp_path) if case in names.BESIDE else []
    kube = {"kube": beside[1]} if beside else {}

    result = vx.compare(*map(str, write(case, 160, tmp_path)), **kube)

    assert len(result.report.captures) == 2
    assert not result.report.broken


@pytest.mark.parametrize("case", [last_moments, ends_of_time])
@pytest.mark.parametrize("part", [{}, {"since": "0.01", "until": "0.03"}])
def test_time_stamps_at_the_ends_of_time(case, part, tmp_path):
    result = vx.compare(*map(str, write(case, 60, tmp_path)), **part)

    assert not result.report.broken


def test_the_documentation_has_a_row_for_each_case():
    """Of one run, within the bounds that the benchmark holds."""
    _, _, rest = adversaries.DOCUMENT.read_text().partition(adversaries.BEGIN)
    written, end, _ = rest.partition(adversaries.END)
    rows = [line.strip("| ").split(" | ") for line in written.splitlines() if line.startswith("|")]
    names = [row[0] for row in rows if not row[0].startswith("---")]
    ratios = [float(row[3]) for row in rows if row[3].replace(".", "").isdigit()]
    of_sizes = [case.__name__.replace("_", " ") for case in adversaries.CASES]
    of_clocks = [case.__name__.replace("_", " ") for case in traffic.CLOCKS]

    assert end
    assert names == ["traffic", *of_sizes, "clocks", *of_clocks]
    assert max(ratios[: len(of_sizes)]) <= adversaries.MOST
    assert max(ratios[len(of_sizes) :]) <= adversaries.MOST_OF_CLOCKS


def decoded(case, folder):
    path, _ = write(case, 50, folder)
    (source,) = open_sources((str(path),))
    return wire.decode(source)


def test_a_flood_of_flows_has_one_hash_without_the_secret(tmp_path, monkeypatch):
    tables = []
    unpacked = flow_table.FlowTable.flows
    monkeypatch.setattr(flow_table.FlowTable, "flows", lambda table: tables.append(table) or unpacked(table))
    decoded(slots.of_flows, tmp_path)
    (table, *_) = tables

    def runs(secret):
        """How many runs of neighbouring slots the keys fill."""
        taken = np.full(1 << 20, -1, np.int32)
        flow_table.place_again(table.keys, table.count, taken, secret)
        return int((np.diff(np.flatnonzero(taken >= 0)) > 1).sum()) + 1

    assert table.count == 50
    assert runs(np.zeros(flow_keys.KEY_WORDS, np.uint64)) == 1
    assert runs(table.secret) > 40


def test_a_flood_of_rows_has_one_hash_without_the_secret(tmp_path):
    flows = decoded(slots.of_rows, tmp_path).flows
    words = tuples._words(tuples._pack(flows))
    hashes = set()
    for row in words:
        value = np.uint64(0)
        with np.errstate(over="ignore"):
            for word in row:
                value = tuples.folded(value, word)
        hashes.add(int(value))

    assert len(words) == 50
    assert len(hashes) == 1


def test_a_flood_of_keys_falls_into_the_first_slots_without_the_secret(tmp_path):
    found = decoded(slots.of_keys, tmp_path)
    keys = frame_keys(Level.OUTER, found, np.arange(50, dtype=np.int32))

    assert keys.tolist() == list(range(50))
