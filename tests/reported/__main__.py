"""Write pairs to folders that ``score.py`` reads, or list them."""

import argparse
import sys
from pathlib import Path

from tests.reported.registry import discover


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.reported", description=__doc__)
    parser.add_argument("--write", type=Path, metavar="DIR", help="write a folder a pair below this one")
    parser.add_argument(
        "--pairs",
        type=Path,
        metavar="DIR",
        help="take the modules of this folder, not of tests/reported/pairs",
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="only these (default: all)")
    said = parser.parse_args()
    pairs = discover(said.pairs)
    unknown = [name for name in said.names if name not in pairs]
    if unknown:
        parser.error(f"no pair is named {', '.join(unknown)}")
    for name in said.names or sorted(pairs):
        if said.write:
            pairs[name].write(said.write / name)
        print(f"{pairs[name].kind:4} {name:36} {pairs[name].root}")
    return 0


sys.exit(main())
