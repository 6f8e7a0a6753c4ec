"""The script that makes a release."""

import importlib.util
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[1]
_SPEC = importlib.util.spec_from_file_location("release", ROOT / "scripts" / "release.py")
assert _SPEC is not None
assert _SPEC.loader is not None
release = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(release)

_LISTED = "import importlib.metadata as m; print(sorted(d.name for d in m.distributions()))"


def test_the_bill_of_materials_begins_with_an_empty_environment(tmp_path):
    """Whatever the interpreter puts into environments with pip: setuptools up to Python 3.11."""
    python = release.empty_environment(tmp_path / "environment")

    done = subprocess.run([python, "-I", "-c", _LISTED], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "[]"


def test_changelog_and_citation_have_the_version_of_the_package():
    assert release.version()
