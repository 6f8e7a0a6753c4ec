"""Prints the oldest version of every dependency that ``pyproject.toml`` allows, as constraints for pip.

``python scripts/oldest.py > oldest.txt; pip install -c oldest.txt WHEEL`` installs what the lower bounds say;
``.ci/run`` runs the tests with them. Extras are named as arguments: ``python scripts/oldest.py dask mcp``.
"""

import re
import sys
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path

ROOT = Path(__file__).parents[1]
_BOUND = re.compile(r"([A-Za-z0-9_.-]+)\s*>=\s*([0-9][0-9A-Za-z.]*)")


def constraints(extras: Sequence[str]) -> Iterator[str]:
    """Turn each lower bound into a pin; a dependency without one is an error."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    optional = project["optional-dependencies"]
    for requirement in [*project["dependencies"], *(r for extra in extras for r in optional[extra])]:
        found = _BOUND.fullmatch(requirement)
        if found is None:
            raise SystemExit(f"pyproject.toml: {requirement!r} has no lower bound of the form name>=version")
        yield f"{found[1]}=={found[2]}"


if __name__ == "__main__":
    print("\n".join(constraints(sys.argv[1:])))
