"""A few damaged inputs of each subject, and all that ever failed. The long run: tests/fuzz/README.md."""

from pathlib import Path

import pytest

from tests.fuzz.cases import SUBJECTS, kept, make
from tests.fuzz.drive import drive

FOUND = sorted((Path(__file__).parent / "found").iterdir())
INPUTS = {"command": 50, "reader": 150, "texts": 300, "cuts": 25, "traffic": 60}


@pytest.mark.parametrize("subject", SUBJECTS)
def test_damaged_inputs_end_clearly(tmp_path, subject):
    for number in range(INPUTS[subject]):
        ending = drive(make(subject, number), tmp_path)

        assert ending.wrong is None, f"python -m tests.fuzz --subjects {subject} --first {number} --inputs 1"


@pytest.mark.parametrize("folder", FOUND, ids=lambda folder: folder.name)
def test_what_once_failed_ends_clearly(tmp_path, folder):
    assert drive(kept(folder), tmp_path).wrong is None


def test_a_number_gives_the_same_case():
    assert [make(subject, 7) for subject in SUBJECTS] == [make(subject, 7) for subject in SUBJECTS]
