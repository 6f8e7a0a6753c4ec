"""The same reports from a Dask cluster: to the byte, whatever happens to its workers."""

import gzip
import json
import os
import signal
import sys
import threading
import time
from pathlib import Path

import pandas as pd
import pyarrow.parquet
import pytest

import vxlanalyze as vx
from tests.lab import __main__ as lab
from vxlanalyze import wire
from vxlanalyze.capture import open_sources
from vxlanalyze.command import cli
from vxlanalyze.dask import on_dask, tasks
from vxlanalyze.dask.compare import compare, decode
from vxlanalyze.dask.on_dask import OnDask
from vxlanalyze.errors import CaptureError, UsageError
from vxlanalyze.memory.threads import threads
from vxlanalyze.pipeline import decoding
from vxlanalyze.pipeline import run as pipeline
from vxlanalyze.pipeline.progress import silent
from vxlanalyze.pipeline.run import Questions
from vxlanalyze.report.formats import as_json

pytestmark = pytest.mark.filterwarnings("default")  # what Dask warns of is not ours to mend

SAMPLES = Path(__file__).parents[2] / "sample_pcaps"
SEED = [str(SAMPLES / "seed" / f"node{n}.pcap.gz") for n in (1, 2)]
RECORDINGS = [folder for _, folder in lab.recordings()]


@pytest.fixture
def pair(tmp_path, monkeypatch):
    """A pair that is cut into many stretches."""
    monkeypatch.setattr(decoding, "_LEAST_STRETCH_BYTES", 2000)
    return [str(unpacked(path, tmp_path)) for path in SEED]


@pytest.fixture
def workers(client):
    with OnDask(client) as connected:
        yield connected


def unpacked(path, folder):
    target = folder / Path(path).stem
    target.write_bytes(gzip.decompress(Path(path).read_bytes()))
    return target


def run(capsys, *arguments):
    status = cli.main([str(argument) for argument in arguments])
    captured = capsys.readouterr()
    return status, captured.out, captured.err


@pytest.mark.parametrize("folder", RECORDINGS, ids=lambda folder: folder.name)
def test_every_recording_has_the_same_report(workers, folder):
    truth = json.loads((folder / "truth.json").read_text())
    sources = open_sources([folder / point["path"] for point in truth["captures"]])

    there = compare(sources, Questions(), workers, digests=False, plots=False)

    here = pipeline.run(sources, Questions(), digests=False).report(plots=False)
    assert as_json.render(there) == as_json.render(here)


@pytest.mark.parametrize("format_", ["json", "text", "html"])
def test_the_command_gives_the_same_bytes(capsys, cluster, pair, format_):
    kube = ("--kube", SAMPLES / "seed" / "kube.json", "--format", format_)

    assert run(capsys, *pair, *kube, "--scheduler", cluster.scheduler_address) == run(capsys, *pair, *kube)


@pytest.mark.parametrize("redact", [(), ("--redact",)], ids=["plain", "redacted"])
def test_the_command_writes_the_same_tables_and_captures(capsys, cluster, pair, tmp_path, redact):
    outputs = ("tables", "annotate", "decapsulate")

    def write(folder, *more):
        wanted = [word for name in outputs for word in (f"--{name}", tmp_path / folder / name)]
        (tmp_path / folder).mkdir()
        status, _, err = run(capsys, *pair, "--kube", SAMPLES / "seed" / "kube.json", *wanted, *redact, *more)
        assert (status, err) == (0, "")
        return {path.relative_to(tmp_path / folder): path for path in (tmp_path / folder).rglob("*.p*")}

    here, there = write("here"), write("there", "--scheduler", cluster.scheduler_address)

    assert len(here) == 4 + 2 + 2
    assert here.keys() == there.keys()
    for name, path in here.items():
        if path.suffix == ".parquet":
            assert rows(path) == rows(there[name]), name
        else:
            assert path.read_bytes() == there[name].read_bytes(), name


def rows(path):
    return pyarrow.parquet.read_table(path).to_pylist()


@pytest.mark.parametrize(
    "files",
    [
        pytest.param([path], id=path.name)
        for path in (
            *sorted((Path(__file__).parents[1] / "captures" / "any-interface-loss").glob("*.pcap*"))[:1],
            *sorted((Path(__file__).parents[1] / "captures" / "kernel-drops-pcapng").glob("*.pcap*"))[:1],
        )
    ],
)
def test_parts_of_a_capture_give_its_frames(files, tmp_path):
    """Numbers of frames and interfaces are the whole capture's, whatever it was cut into."""
    path = unpacked(files[0], tmp_path)
    (source,) = open_sources([str(path)])
    whole = [frame for chunk in source.chunks() for frame in frames_of(chunk)]
    parts = [wire.decode_stretch(source, stretch) for stretch in source.stretches(2000)]
    wire.join_stretches(source, parts, lambda stretch: wire.decode_stretch(source, stretch))

    found = [frame for part in source.parts() for chunk in part.chunks() for frame in frames_of(chunk)]

    assert len(source.parts()) > 1
    assert found == whole


def frames_of(chunk):
    ends = chunk.start + chunk.captured_length
    data = [chunk.data[a:b].tobytes() for a, b in zip(chunk.start, ends, strict=True)]
    columns = (chunk.numbers, chunk.interface, chunk.time_ns, chunk.place, chunk.original_length)
    return list(zip(*(column.tolist() for column in columns), data, strict=True))


def test_the_library_has_the_report_and_the_packets(client, pair, tmp_path):
    there, here = vx.compare(*pair, client=client), vx.compare(*pair)

    assert there.to_json() == here.to_json()
    pd.testing.assert_frame_equal(there.packets, here.packets)
    pd.testing.assert_frame_equal(there.flows, here.flows)
    assert there.to_arrow().equals(here.to_arrow())
    there.annotate(tmp_path / "there")
    here.annotate(tmp_path / "here")
    assert (tmp_path / "there" / "node1.pcapng").read_bytes() == (
        tmp_path / "here" / "node1.pcapng"
    ).read_bytes()
    pd.testing.assert_frame_equal(there.requests, here.requests)
    for row in (0, len(here.packets) - 1):
        assert there.packet(row) == here.packet(row)
        assert [bytes(layer) for layer in there.packet(row).dissect()] == [
            bytes(layer) for layer in here.packet(row).dissect()
        ]
    with pytest.raises(IndexError, match="rows, from 0 on"):
        there.packet(len(here.packets))


def threads_of_a_stage(count):
    with threads(2) as pool:
        return set(pool.map(lambda _: threading.get_ident(), range(count))) == {threading.get_ident()}


def test_a_task_uses_one_thread(client):
    """Those that the worker has are for as many tasks."""
    with OnDask(client) as workers:
        assert workers.results([workers.start(threads_of_a_stage, 5)]) == [True]
    assert not threads_of_a_stage(5)


def test_relative_paths_are_those_of_this_process(client, pair, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)

    assert vx.compare("node1.pcap", "node2.pcap", client=client).verdict == vx.compare(*pair).verdict


def test_a_worker_killed_in_the_middle_changes_nothing(client, pair):
    """Dask makes again what it took with it."""
    expected = pipeline.run(open_sources(pair), Questions()).report()
    killed = []

    def kill_one(name, done_bytes, total_bytes):
        if not killed:
            killed.append(pids[0])
            os.kill(pids[0], signal.SIGKILL)

    pids = list(client.run(os.getpid).values())
    with OnDask(client) as workers:
        report = compare(open_sources(pair), Questions(), workers, progress=kill_one)

    assert killed
    assert as_json.render(report) == as_json.render(expected)


def test_a_worker_that_dies_with_the_packets_changes_nothing(client, pair):
    there = vx.compare(*pair, client=client)
    (holder,) = client.who_has([there._exports._run])[there._exports._run.key]
    pid = client.run(os.getpid, workers=[holder])[holder]

    os.kill(pid, signal.SIGKILL)

    pd.testing.assert_frame_equal(there.packets, vx.compare(*pair).packets)


def test_a_file_that_a_worker_does_not_see_is_named_with_the_worker(client, tmp_path):
    source = open_sources([str(unpacked(SEED[0], tmp_path))])[0]
    os.remove(source.files[0].path)

    with OnDask(client) as workers, pytest.raises(CaptureError) as caught:
        workers.results([workers.start(tasks.sha256_of, source)])

    assert str(caught.value).startswith(f"{tmp_path}/node1.pcap: no such file, says the worker tcp://")


def test_another_file_of_the_same_name_is_refused(client, tmp_path):
    source = open_sources([str(unpacked(SEED[0], tmp_path))])[0]
    Path(source.files[0].path).write_bytes(b"something else")

    with OnDask(client) as workers, pytest.raises(CaptureError, match="another file: 14 bytes"):
        workers.results([workers.start(tasks.sha256_of, source)])


def test_an_interrupt_lets_go_of_all_work(capsys, cluster, client, pair, monkeypatch):
    def interrupted(self, handles):
        raise KeyboardInterrupt

    monkeypatch.setattr(OnDask, "results", interrupted)

    status, out, err = run(capsys, *pair, "--scheduler", cluster.scheduler_address)

    assert (status, out, err) == (130, "", "vxlanalyze: interrupted\n")
    # The scheduler forgets them when it hears that nobody wants them any more.
    deadline = time.monotonic() + 10
    while left := client.run_on_scheduler(lambda dask_scheduler: len(dask_scheduler.tasks)):
        assert time.monotonic() < deadline, f"{left} tasks are left"
        time.sleep(0.05)


def test_a_stream_cannot_be_read_by_workers(client, tmp_path):
    pipe = tmp_path / "node1.pcap"
    os.mkfifo(pipe)
    if os.fork() == 0:
        pipe.write_bytes(gzip.decompress(Path(SEED[0]).read_bytes()))
        os._exit(0)
    sources = open_sources([str(pipe)])
    os.wait()

    with OnDask(client) as workers, pytest.raises(UsageError, match="save it to a file first"):
        decode(sources, (), workers, silent)
    sources[0].close()


def test_a_scheduler_that_does_not_answer(capsys, monkeypatch):
    pytest.importorskip("distributed")
    monkeypatch.setattr(on_dask, "_CONNECT_S", 1)

    status, out, err = run(capsys, *SEED, "--scheduler", "tcp://127.0.0.1:9")

    assert (status, out) == (2, "")
    assert err.startswith("vxlanalyze: error: --scheduler tcp://127.0.0.1:9: no Dask scheduler answers")
    assert err.count("\n") == 1


def test_without_dask_the_extra_is_named(capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)

    status, _, err = run(capsys, *SEED, "--scheduler", "tcp://127.0.0.1:9")

    assert (status, err) == (
        2,
        "vxlanalyze: error: --scheduler needs Dask: pip install 'vxlanalyze[dask]'\n",
    )


@pytest.mark.parametrize(
    ("option", "value", "why"),
    [
        (
            "--memory",
            "1G",
            "--memory is of this machine; with --scheduler, the Dask workers have limits of their own",
        ),
    ],
)
def test_what_is_of_one_machine_is_refused(capsys, option, value, why):
    status, _, err = run(capsys, *SEED, "--scheduler", "tcp://127.0.0.1:9", option, value)

    assert (status, err) == (2, f"vxlanalyze: error: {why}\n")
