"""Compare the JSON reports of two checkouts, byte for byte: what is made faster must say the same.

    python -m benchmarks.same_reports OTHER_CHECKOUT [FOLDER...]

Each folder with captures, at any depth, is one comparison, with the ``kube.json`` beside them; by default
those of tests/captures and sample_pcaps.
"""

import argparse
import contextlib
import hashlib
import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

_HERE = Path(__file__).parents[1]
_ENDS = (".pcap", ".pcapng", ".pcap.gz", ".pcapng.gz")


def comparisons(folders: list[str]) -> Iterator[tuple[str, list[str]]]:
    """Give each folder that holds captures, and the arguments of its comparison."""
    for folder in folders:
        for place, _, names in sorted(os.walk(folder)):
            captures = [str(Path(place, name)) for name in sorted(names) if name.endswith(_ENDS)]
            if captures:
                cluster = Path(place, "kube.json")
                yield place, captures + (["--kube", str(cluster)] if cluster.exists() else [])


def digests(folders: list[str]) -> dict[str, str]:
    """Give the digest of the report of each comparison, by the checkout that this process was started in."""
    from vxlanalyze.command.cli import main

    found = {}
    for place, arguments in comparisons(folders):
        written = io.StringIO()
        with contextlib.redirect_stdout(written), contextlib.redirect_stderr(written):
            try:
                status: object = main([*arguments, "--format", "json", "--no-progress"])
            except SystemExit as end:
                status = end.code
        found[place] = f"{status} {hashlib.sha256(written.getvalue().encode()).hexdigest()}"
    return found


def _digests_of(checkout: Path, folders: list[str]) -> dict[str, str]:
    code = (
        "import json, runpy, sys\n"
        "sys.path.insert(0, '')\n"
        f"digests = runpy.run_path({str(Path(__file__))!r})['digests']\n"
        "print(json.dumps(digests(sys.argv[1:])), file=sys.__stdout__)\n"
    )
    command = [sys.executable, "-c", code, *folders]
    done = subprocess.run(command, cwd=checkout, check=True, stdout=subprocess.PIPE)
    result: dict[str, str] = json.loads(done.stdout)
    return result


def main() -> None:
    """Compare, and end with 1 where a report differs."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("other", type=Path, metavar="OTHER_CHECKOUT")
    parser.add_argument("folders", nargs="*", metavar="FOLDER")
    options = parser.parse_args()
    folders = options.folders or [str(_HERE / "tests" / "captures"), str(_HERE / "sample_pcaps")]
    folders = [str(Path(folder).resolve()) for folder in folders]
    here, there = _digests_of(_HERE, folders), _digests_of(options.other, folders)
    different = sorted(place for place in here if here[place] != there[place])
    for place in different:
        print(f"different: {place}")
    print(f"{len(here) - len(different)} of {len(here)} reports are the same")
    sys.exit(1 if different else 0)


if __name__ == "__main__":
    main()
