"""Makes a release in ``dist``: sdist, wheel, SBOM (CycloneDX), and SHA256SUMS. ``python scripts/release.py``.

Needs ``pip install build cyclonedx-bom``. The wheel is built from the sdist, twice. A release is refused
whose wheels differ, whose version is not that of the changelog's first dated section and of CITATION.cff, or
that does not diagnose the sample.

Sources: CycloneDX 1.6; PEP 517; reproducible-builds.org, "SOURCE_DATE_EPOCH".
"""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).parents[1]
DIST = ROOT / "dist"
_DATED = re.compile(r"^## \[(\d+\.\d+\.\d+)\] - \d{4}-\d{2}-\d{2}$", re.MULTILINE)


def version() -> str:
    """The version of the package, where the changelog and CITATION.cff agree with it."""
    package = _found(r'^__version__ = "(.*)"$', ROOT / "vxlanalyze" / "__init__.py")
    changelog = _DATED.search((ROOT / "CHANGELOG.md").read_text(encoding="utf-8"))
    said = {
        "CHANGELOG.md": changelog[1] if changelog else "none",
        "CITATION.cff": _found(r"^version: (.*)$", ROOT / "CITATION.cff"),
    }
    for name, other in said.items():
        if other != package:
            raise SystemExit(f"{name} says {other}, vxlanalyze/__init__.py says {package}")
    return package


def _found(pattern: str, path: Path) -> str:
    match = re.search(pattern, path.read_text(encoding="utf-8"), re.MULTILINE)
    return match[1] if match else "none"


def _run(*command: object) -> None:
    environment = {"SOURCE_DATE_EPOCH": "315532800", **os.environ}  # 1980, the first date that a zip can hold
    subprocess.run([str(part) for part in command], check=True, cwd=ROOT, env=environment)


def _built(folder: Path) -> Path:
    _run(sys.executable, "-m", "build", "--outdir", folder)
    (wheel,) = folder.glob("*.whl")
    return wheel


def empty_environment(folder: Path) -> Path:
    """Create an environment without pip and setuptools: no part of an installation. Gives its Python."""
    venv.create(folder, with_pip=False)
    return folder / "bin" / "python"


def _sbom(wheel: Path, scratch: Path) -> Path:
    """Install the wheel alone, and list what came with it."""
    python = empty_environment(scratch / "environment")
    _run(sys.executable, "-m", "pip", "--python", python, "install", "-q", wheel)
    _run(
        python.with_name("vxlanalyze"),
        *sorted((ROOT / "sample_pcaps" / "seed").glob("*.pcap.gz")),
        "--quiet",
    )
    made = DIST / f"vxlanalyze-{version()}.cdx.json"
    _run(
        *(sys.executable, "-m", "cyclonedx_py", "environment", "--output-reproducible", "--of", "JSON"),
        *("--pyproject", ROOT / "pyproject.toml", "-o", made, python),
    )
    held = {component["name"].lower() for component in json.loads(made.read_text())["components"]}
    if not {"numpy", "pandas", "pyarrow"} <= held:
        raise SystemExit(f"{made}: lacks what the wheel needs, and has {sorted(held)}")
    if held & {"pip", "setuptools", "wheel"}:
        raise SystemExit(f"{made}: lists what only the build needs: {sorted(held)}")
    return made


def main() -> None:
    """Build, compare, list, sum up."""
    version()
    shutil.rmtree(DIST, ignore_errors=True)
    DIST.mkdir()
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        first, second = _built(DIST), _built(scratch / "again")
        if first.read_bytes() != second.read_bytes():
            raise SystemExit(f"{first.name}: two builds differ")
        _sbom(first, scratch)
    files = sorted(DIST.iterdir())
    sums = [f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {file.name}\n" for file in files]
    (DIST / "SHA256SUMS").write_text("".join(sums), encoding="utf-8")
    print("".join(sums), end="")


if __name__ == "__main__":
    main()
