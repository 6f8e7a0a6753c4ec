"""What stands on the command line: names, files, directories, globs, lists, streams."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.capture import build
from tests.capture.conftest import read_whole
from vxlanalyze.capture import PLACE_FILE_SHIFT, open_source, open_sources
from vxlanalyze.errors import CaptureError, UsageError

FRAMES = build.packets(30)


def write(path: Path, frames: list[build.Packet], make: object = build.pcap) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(make(frames))  # type: ignore[operator]
    return path


@pytest.fixture
def rotated(tmp_path: Path) -> Path:
    """A ring of four files whose names do not tell the order, the last one empty."""
    directory = tmp_path / "node1"
    parts = [FRAMES[20:], FRAMES[:10], FRAMES[10:20], []]
    for number, part in enumerate(parts):
        write(directory / f"ring.pcap{number}", part)
    return directory


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("node1.pcap", "node1"),
        ("node1.pcap.gz", "node1"),
        ("node1", "node1"),
        ("node-2_b.x.y", "node-2_b"),
        (".hidden.pcap", "hidden"),
        ("a,b>c@d.pcap", "a-b-c-d"),
    ],
)
def test_name_is_the_files_name_up_to_its_first_dot(tmp_path: Path, file: str, name: str) -> None:
    assert open_source(write(tmp_path / file, FRAMES)).name == name


def test_given_name_stands_before_the_capture(tmp_path: Path) -> None:
    path = write(tmp_path / "x.pcap", FRAMES)

    assert open_source(f"sender={path}").name == "sender"
    assert open_source(path, name="receiver").name == "receiver"


def test_path_that_exists_goes_before_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "a=b.pcap", FRAMES)

    source = open_source("a=b.pcap")

    assert source.name == "a-b"
    assert source.files[0].path == "a=b.pcap"


def test_equals_sign_in_a_directory_is_no_name(tmp_path: Path) -> None:
    path = write(tmp_path / "run=7" / "node1.pcap", FRAMES)

    assert open_source(path).name == "node1"
    assert open_source(f"n={path}").name == "n"


@pytest.mark.parametrize("name", ["a>b", "a@b", "a/b", "a,b", "a=b", "", "a\nb"])
def test_refused_characters_in_a_name(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match="cannot name a capture"):
        open_source(write(tmp_path / "x.pcap", FRAMES), name=name)


@pytest.mark.parametrize("name", ["a>b", "a@b", "a/b", "a,b"])
def test_refused_characters_before_the_equals_sign(tmp_path: Path, name: str) -> None:
    path = write(tmp_path / "x.pcap", FRAMES)

    with pytest.raises(UsageError, match="cannot name a capture"):
        open_source(f"{name}={path}")


def test_name_without_a_capture(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="a capture must follow"):
        open_source("node1=")


def test_equal_names_get_their_directory(tmp_path: Path) -> None:
    specs = [write(tmp_path / node / "eth0.pcap", FRAMES) for node in ("left", "right")]

    assert [source.name for source in open_sources(specs)] == ["left-eth0", "right-eth0"]


def test_names_equal_with_their_directories_are_numbered(tmp_path: Path) -> None:
    path = write(tmp_path / "left" / "eth0.pcap", FRAMES)
    other = write(tmp_path / "other" / "left" / "eth0.pcap", FRAMES)

    assert [source.name for source in open_sources([path, other, path])] == [
        "left-eth0-1",
        "left-eth0-2",
        "left-eth0-3",
    ]


def test_given_name_is_kept_where_another_file_is_called_so(tmp_path: Path) -> None:
    path = write(tmp_path / "lab" / "a.pcap", FRAMES)

    assert [source.name for source in open_sources([f"a={path}", path])] == ["a", "lab-a"]


def test_name_given_twice_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "a.pcap", FRAMES)

    with pytest.raises(UsageError, match="the name x is given twice"):
        open_sources([f"x={path}", f"x={path}"])


@pytest.mark.parametrize(
    "spec", ["{0}", "{0}/", "{0}/ring.pcap*", "{0}/ring.pcap3,{0}/ring.pcap0,{0}/ring.pcap2,{0}/ring.pcap1"]
)
def test_rotated_set_is_one_capture_in_order_of_time(rotated: Path, spec: str) -> None:
    source = open_source(spec.format(rotated))
    chunks = [(chunk.first_frame, chunk.time_ns.copy(), chunk.place.copy()) for chunk in source.chunks()]

    assert np.concatenate([times for _, times, _ in chunks]).tolist() == [frame.time_ns() for frame in FRAMES]
    assert [first for first, _, _ in chunks] == [1, 11, 21]
    assert [int(place[0] >> PLACE_FILE_SHIFT) for _, _, place in chunks] == [0, 1, 2]
    assert [Path(file.path).name[-1] for file in source.files] == ["1", "2", "0", "3"]


@pytest.mark.parametrize(
    ("spec", "name"),
    [
        ("{0}", "node1"),
        ("{0}/", "node1"),
        ("{0}/*", "node1"),
        ("{0}/ring.*", "ring"),
        ("{0}/ring.pcap1,{0}/ring.pcap0", "ring"),
    ],
)
def test_name_of_a_rotated_set(rotated: Path, spec: str, name: str) -> None:
    assert open_source(spec.format(rotated)).name == name


def test_frames_of_a_rotated_set_by_place(rotated: Path) -> None:
    source = open_source(rotated)
    places = np.concatenate([chunk.place for chunk in source.chunks()])
    order = np.random.default_rng(1).permutation(30)

    again = source.fetch(places[order])

    for row, frame in enumerate(order):
        begin, length = int(again.start[row]), int(again.captured_length[row])
        assert again.data[begin : begin + length].tobytes() == FRAMES[frame].data
    assert again.place.tolist() == places[order].tolist()


def test_equal_interfaces_of_a_rotated_set_are_numbered_once(tmp_path: Path) -> None:
    described = build.interface(1, 0, build.option(2, b"eth0")) + build.interface(
        1, 0, build.option(2, b"eth1")
    )
    for number in range(3):
        frames = b"".join(build.enhanced(b"abcd", number * 1000 + k, k % 2) for k in range(4))
        (tmp_path / f"part{number}.pcapng").write_bytes(build.section() + described + frames)

    source = open_source(tmp_path)
    numbers = np.concatenate([chunk.interface for chunk in source.chunks()])

    assert [entry.name for entry in source.interfaces] == ["eth0", "eth1"]
    assert numbers.tolist() == 6 * [0, 1]


def test_equal_unnamed_interfaces_of_one_file_stay_apart(tmp_path: Path) -> None:
    for number in range(2):
        frames = b"".join(build.enhanced(b"abcd", number * 1000 + k, k % 2) for k in range(4))
        (tmp_path / f"part{number}").write_bytes(build.section() + 2 * build.interface() + frames)

    source = open_source(tmp_path)
    numbers = np.concatenate([chunk.interface for chunk in source.chunks()])

    assert numbers.tolist() == 4 * [0, 1]


def test_reading_twice_gives_the_same_and_counts_nothing_twice(rotated: Path) -> None:
    (rotated / "ring.pcap9").write_bytes(build.pcap(FRAMES[:1])[:-3])
    source = open_source(rotated)
    passes = [[chunk.time_ns.tolist() for chunk in source.chunks()] for _ in range(2)]

    assert passes[0] == passes[1]
    assert len(source.damages) == 1
    assert len(source.interfaces) == 1


def test_what_is_no_capture_in_a_directory_is_left(rotated: Path) -> None:
    (rotated / "README.md").write_text("who captured this, and where\n")
    (rotated / "empty").write_bytes(b"")
    (rotated / "deeper").mkdir()

    assert len(open_source(rotated).files) == 4


def test_broken_file_that_is_called_a_capture_is_an_error_in_a_directory(rotated: Path) -> None:
    (rotated / "ring.pcap4").write_bytes(b"")

    with pytest.raises(CaptureError, match=r"ring\.pcap4: empty"):
        open_source(rotated)


def test_directory_without_a_capture(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("nothing here")

    with pytest.raises(CaptureError, match="a directory without a capture"):
        open_source(tmp_path)


def test_glob_without_a_match(tmp_path: Path) -> None:
    with pytest.raises(CaptureError, match="no file matches"):
        open_source(f"{tmp_path}/*.pcap")


def test_one_file_twice_in_a_set(rotated: Path) -> None:
    with pytest.raises(UsageError, match="occurs twice in one capture"):
        open_source(f"{rotated}/ring.pcap0,{rotated}/ring.pcap0")


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"", "empty; a capture has at least its header"),
        (b"just some text\n", "a text file, not a capture; tcpdump writes a capture with -w FILE"),
        ("12:00 IP größer\n".encode() * 9000, "a text file"),
        (b"snoop\0\0\0\0\0\0\2\0\0\0\4", "a snoop capture"),
        (b"RTSS\x02\0\0\0" + bytes(120), "a Microsoft Network Monitor 1 capture"),
        (b"GMBU\0\2" + bytes(120), "a Microsoft Network Monitor 2 capture"),
        (b"PK\x03\x04" + bytes(60), "a zip archive, not a capture that can be read; unpack it first"),
        (b"node1.pcap" + bytes(247) + b"ustar\0" + b"00" + bytes(300), "a tar archive"),
        (
            bytes(8) + b"\x02\x04\x00\x20" + bytes(20) + bytes(8) + b"\x02\x04\x00\x20" + bytes(20),
            "Endace ERF",
        ),
        (b"\x7fELF" + bytes(60), "a program"),
        (bytes(100), "not a capture: it begins with 00 00 00 00"),
        (b"\xd4\xc3", "2 bytes long, too short for a capture"),
    ],
)
def test_what_is_no_capture_is_named(tmp_path: Path, content: bytes, what: str) -> None:
    path = tmp_path / "x.pcap"
    path.write_bytes(content)

    with pytest.raises(CaptureError) as caught:
        open_source(path)

    assert str(caught.value).startswith(f"{path}: ")
    assert what in str(caught.value)


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(CaptureError, match=r"absent\.pcap: no such file"):
        open_source(tmp_path / "absent.pcap")


def test_device_is_no_capture() -> None:
    with pytest.raises(CaptureError, match="/dev/zero: a device"):
        open_source("/dev/zero")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_unreadable_file(tmp_path: Path) -> None:
    path = write(tmp_path / "x.pcap", FRAMES)
    path.chmod(0)

    with pytest.raises(CaptureError, match="permission denied"):
        open_source(path)


@pytest.mark.parametrize("change", ["grown", "replaced", "removed"])
def test_file_that_changed_is_an_error(tmp_path: Path, change: str) -> None:
    path = write(tmp_path / "x.pcap", FRAMES)
    source = open_source(path)
    places = np.concatenate([chunk.place for chunk in source.chunks()])
    if change == "grown":
        path.write_bytes(build.pcap(FRAMES) + build.record(FRAMES[0]))
    else:
        path.unlink()
    if change == "replaced":
        write(path, FRAMES)

    with pytest.raises(CaptureError, match="no such file" if change == "removed" else "it changed"):
        source.fetch(places[:1])


def test_file_that_grows_while_it_is_read_is_an_error(tmp_path: Path) -> None:
    path = write(tmp_path / "x.pcap", FRAMES)
    source = open_source(path)
    chunks = source.chunks()
    next(chunks)
    with path.open("ab") as handle:
        handle.write(build.record(FRAMES[0]))

    with pytest.raises(CaptureError, match="it changed while it was read"):
        list(chunks)


def test_place_of_no_frame_is_a_mistake_of_the_caller(tmp_path: Path) -> None:
    source = open_source(write(tmp_path / "x.pcap", FRAMES))
    list(source.chunks())

    for place in (0, 39, 10**9, 1 << PLACE_FILE_SHIFT, -1):
        with pytest.raises(ValueError, match=r"no frame at byte|a place of another capture"):
            source.fetch(np.array([place], np.int64))


def test_no_places_give_no_frames(tmp_path: Path) -> None:
    source = open_source(write(tmp_path / "x.pcap", FRAMES))

    assert len(source.fetch(np.zeros(0, np.int64))) == 0


def test_digest_is_of_the_file_as_it_lies_there(tmp_path: Path) -> None:
    """The digest of the empty capture, computed by sha256sum."""
    source = open_source(write(tmp_path / "x.pcap", []))

    known = subprocess.run(["sha256sum", tmp_path / "x.pcap"], capture_output=True, text=True, check=True)
    assert source.sha256() == (known.stdout.split()[0],)


READ_STANDARD_INPUT = """
import sys, numpy as np
from vxlanalyze.capture import open_sources
(source,) = open_sources(sys.argv[1:])
times = [chunk.time_ns.tolist() for chunk in source.chunks()]
places = np.concatenate([chunk.place for chunk in source.chunks()])
again = source.fetch(places[::-1])
assert again.time_ns.tolist()[::-1] == sum(times, [])
print(source.name, source.files[0].path, source.files[0].bytes, len(places), len(source.sha256()[0]))
"""


def run_with_input(content: bytes, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-c", READ_STANDARD_INPUT, *arguments],
        input=content,
        capture_output=True,
        check=False,
    )


@pytest.mark.parametrize(
    ("spec", "name"), [("-", "stdin"), ("node1=-", "node1"), ("node1=/dev/stdin", "node1")]
)
def test_standard_input_is_read_as_often_as_needed(spec: str, name: str) -> None:
    content = build.pcap(FRAMES)

    done = run_with_input(content, spec)

    assert done.stderr == b""
    assert done.stdout.decode().split() == [name, spec.split("=")[-1], str(len(content)), "30", "64"]


def test_standard_input_that_is_no_capture_is_refused_before_it_is_copied() -> None:
    done = run_with_input(b"some text\n" * 100_000, "-")

    assert b"CaptureError: -: a text file" in done.stderr


def test_standard_input_twice_is_refused() -> None:
    with pytest.raises(UsageError, match="one capture only"):
        open_sources(["-", "b=-"])


def test_closed_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", None)

    with pytest.raises(CaptureError, match="standard input is closed"):
        open_source("-")


def test_no_space_for_the_copy_of_a_stream(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "x.pcap", FRAMES)
    (tmp_path / "copy").touch()
    full = os.open("/dev/full", os.O_RDWR)  # the copy closes it
    monkeypatch.setattr("tempfile.mkstemp", lambda **_: (full, str(tmp_path / "copy")))

    with path.open("rb") as handle, monkeypatch.context() as patched:
        patched.setattr(sys, "stdin", handle)
        with pytest.raises(CaptureError, match=r"no space to keep the stream in .*TMPDIR"):
            open_source("-")


def test_pipe_is_read_as_a_stream(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    (tmp_path / "file").write_bytes(build.pcapng(FRAMES))
    writer = subprocess.Popen(["sh", "-c", f"cat {tmp_path}/file > {pipe}"])

    whole = read_whole(pipe)

    assert writer.wait() == 0
    assert [time for time, _, _ in whole.frames] == [frame.time_ns() for frame in FRAMES]


def test_closing_leaves_no_file_open(rotated: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))
    source = open_source(rotated)
    list(source.chunks())
    source.close()

    assert len(os.listdir("/proc/self/fd")) == before
