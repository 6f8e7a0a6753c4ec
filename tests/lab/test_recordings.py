"""The truth of each recording, out of the network's log, agrees with a plain comparison of its captures."""

import csv
import gzip
import json
import shutil
from pathlib import Path

import pytest

from tests.lab import __main__ as lab
from tests.lab import verify

RECORDINGS = [folder for _, folder in lab.recordings()]


@pytest.mark.parametrize("folder", RECORDINGS, ids=lambda folder: folder.name)
def test_log_and_captures_agree_on_every_packet(folder: Path):
    assert verify.differences(folder) == []


@pytest.mark.parametrize("folder", RECORDINGS, ids=lambda folder: folder.name)
def test_captures_hold_packets_or_nothing_was_there_to_capture(folder: Path):
    truth = json.loads((folder / "truth.json").read_text())
    seen = [next(verify.packets(folder / point["path"]), None) for point in truth["captures"]]
    assert seen[0] is not None


def test_fates_tell_of_every_frame_that_the_counts_tell_of():
    for folder in RECORDINGS:
        with gzip.open(folder / "fates.csv.gz", "rt") as lines:
            frames = sum(1 for _ in csv.DictReader(lines))
        network = json.loads((folder / "truth.json").read_text())["network"]
        assert frames == sum(count for name, count in network.items() if name.endswith(".seen"))


class TestTheComparisonIsNotFooled:
    """The check must be able to fail: a truth that was tampered with is noticed."""

    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        copy = tmp_path / "random-loss"
        shutil.copytree(lab.PROJECT / "tests" / "captures" / "random-loss", copy)
        return copy

    @staticmethod
    def tamper(folder: Path, **changes: object) -> None:
        file = folder / "truth.json"
        file.write_text(json.dumps(json.loads(file.read_text()) | changes))

    def test_a_lost_packet_left_out_is_noticed(self, folder: Path):
        lost = json.loads((folder / "truth.json").read_text())["lost"]
        self.tamper(folder, lost=lost[1:])
        assert verify.differences(folder) == [f"{tuple(lost[0])} is missing, yet the network delivered it"]

    def test_a_packet_that_arrived_told_as_lost_is_noticed(self, folder: Path):
        truth = json.loads((folder / "truth.json").read_text())
        point = truth["captures"][0]
        first = verify.sightings(folder / point["path"], frozenset(truth["ports"]), None)[0]
        direction = "ab" if first.ends[0].startswith("192.168.77.") else "ba"
        row = [direction, *first.identity]
        self.tamper(folder, lost=[*truth["lost"], row])
        assert verify.differences(folder) == [f"the network lost {tuple(row)}, yet both captures hold it"]
