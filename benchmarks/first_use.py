"""Measures the time from a clone to a cause, and to a green CI job: ``python -m benchmarks.first_use``.

Runs what the README and docs/ci.md say, in fresh folders, and prints what each step took. Packages come from
pip's cache or its index, as on any machine.
"""

import os
import re
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[1]
_HEALTHY = "tools/vxlanalyze/sample_pcaps/healthy"
_INPUTS = {
    "captures": f"{_HEALTHY}/node1.pcap.gz {_HEALTHY}/node2.pcap.gz",
    "expect": f"{_HEALTHY}/expect.toml",
}


def readme_command() -> str:
    """The first command of the README: install, and find the fault of the sample."""
    return re.findall(r"```sh\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)[0]


def action_scripts(action: dict[str, Any], folder: Path, source: Path) -> list[tuple[str, dict[str, str]]]:
    """The scripts of the composite action with their variables, as GitHub's runner fills them in."""
    inputs = {name: given.get("default", "") for name, given in action["inputs"].items()} | _INPUTS
    known = {"github.action_path": str(source), "runner.temp": str(folder)}
    known |= {f"inputs.{name}": value for name, value in inputs.items()}
    runner = {"RUNNER_TEMP": str(folder), "GITHUB_STEP_SUMMARY": str(folder / "summary")}

    def filled(text: str) -> str:
        return re.sub(r"\$\{\{ *(.*?) *\}\}", lambda found: known[found[1]], text)

    steps = [step for step in action["runs"]["steps"] if "run" in step]
    return [
        (step["run"], runner | {name: filled(value) for name, value in step.get("env", {}).items()})
        for step in steps
    ]


def _bash(script: str, where: Path, variables: dict[str, str] | None = None) -> None:
    command = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script]
    subprocess.run(command, cwd=where, env={**os.environ, **(variables or {})}, check=True, stdout=sys.stderr)


def _timed(title: str, work: Callable[[], None]) -> None:
    began, used = time.monotonic(), _processor_s()
    work()
    print(f"{title}: {time.monotonic() - began:.0f} s ({_processor_s() - used:.0f} s of processor time)")


def _processor_s() -> float:
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    return spent.ru_utime + spent.ru_stime


def main() -> None:
    """Time both, in a temporary folder."""
    with tempfile.TemporaryDirectory() as scratch:
        here = Path(scratch)
        clone = f"git clone -q {ROOT} vxlanalyze && cd vxlanalyze && "
        _timed("from clone to cause", lambda: _bash(clone + readme_command(), here))

        def job() -> None:
            _bash(f"git init -q own && git clone -q {ROOT} own/tools/vxlanalyze", here)
            source = here / "own" / "tools" / "vxlanalyze"
            action = yaml.safe_load((source / "action.yml").read_text(encoding="utf-8"))
            for script, variables in action_scripts(action, here, source):
                _bash(script, here / "own", variables)

        _timed("from clone to a green job", job)


if __name__ == "__main__":
    main()
