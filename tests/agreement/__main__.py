"""Print what the outputs of pairs disagree about: ``python -m tests.agreement [FOLDER...]``.

A folder holds captures of one pair, and kube.json where there is one; without a folder, all pairs of
``tests/reported`` are made and tried.
"""

import json
import re
import sys
import tempfile
from pathlib import Path

from tests.agreement import counts, frames, words
from tests.agreement.world import World

CAPTURE = re.compile(r"\.pcap(ng)?(\.\w+)?$")
CHECKS = (*counts.CHECKS, *frames.CHECKS, *words.CHECKS)


def tried(folder: Path, scratch: Path) -> list[str]:
    """Everything that the outputs of one pair disagree about."""
    world = world_of(folder, scratch)
    return [f"{check.__name__}: {said}" for check in CHECKS for said in check(world)]


def world_of(folder: Path, scratch: Path) -> World:
    """The pair in a folder, in the order of its truth or of the names."""
    truth, kube = folder / "truth.json", folder / "kube.json"
    entries = json.loads(truth.read_text()).get("captures", ()) if truth.exists() else ()
    captures = [folder / entry["path"] for entry in entries]
    captures = captures or sorted(path for path in folder.iterdir() if CAPTURE.search(path.name))
    return World(captures, kube if kube.exists() else None, scratch)


def main(folders: list[str]) -> int:
    from tests.reported.registry import discover

    failed = 0
    with tempfile.TemporaryDirectory() as temporary:
        places = [Path(folder) for folder in folders if Path(folder).is_dir()]
        if not places:
            for made in discover().values():
                places.append(Path(temporary) / made.name)
                made.write(places[-1])
        for number, folder in enumerate(places):
            said = tried(folder, Path(temporary) / f"annotated-{number}")
            failed += bool(said)
            for line in said[:12]:
                print(f"{folder.name}: {line}", flush=True)
    return min(failed, 1)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
