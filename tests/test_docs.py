"""The documentation says what the code says."""

import re
import runpy
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

import vxlanalyze as vx
from benchmarks import first_use
from tests.command.conftest import environment
from vxlanalyze.command import cli
from vxlanalyze.report.expectation import parse

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = runpy.run_path(str(DOCS / "generate.py"))["pages"]()
WRITTEN = [*ROOT.glob("*.md"), *DOCS.rglob("*.md"), *(ROOT / "sample_pcaps").glob("**/README.md")]


@pytest.mark.parametrize("name", PAGES)
def test_a_generated_page_is_current(name):
    """Otherwise: python docs/generate.py."""
    assert (DOCS / name).read_text() == PAGES[name], "run python docs/generate.py"


@pytest.mark.parametrize("page", WRITTEN, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    targets = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text())
    missing = [target for target in targets if not (page.parent / target).exists()]

    assert not missing


def test_the_sample_output_in_the_readme_is_what_the_command_prints(capsys):
    readme = (ROOT / "README.md").read_text()
    command, shown = re.search(
        r"```text\n\$ vxlanalyze ([^\n]*)\n(.*?)\n\.\.\.\n```", readme, re.DOTALL
    ).groups()
    arguments = [str(ROOT / "sample_pcaps" / "seed" / a) if "." in a else a for a in command.split()]

    assert cli.main(arguments) == 0
    assert capsys.readouterr().out.startswith(shown)


@pytest.mark.parametrize("page", [ROOT / "README.md", DOCS / "ci.md"], ids=lambda page: page.name)
def test_expectations_in_the_documentation_can_be_read(page):
    for text in re.findall(r"```toml\n(.*?)```", page.read_text(), re.DOTALL):
        expected = parse(text, "pyproject.toml" if "[tool." in text else page.name)
        assert expected.must or expected.must_not


def test_the_examples_for_python_run(tmp_path, monkeypatch):
    """All of the page's blocks, one after the other, as somebody would paste them."""
    (tmp_path / "sample_pcaps").symlink_to(ROOT / "sample_pcaps")
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```python\n(.*?)```", (DOCS / "api.md").read_text(), re.DOTALL)

    exec(compile("\n".join(blocks), "api.md", "exec"), {})

    assert sorted(path.name for path in tmp_path.glob("*.json")) == ["after.json", "before.json"]


def test_every_public_name_has_its_place_in_the_reference():
    documented = re.findall(r"^::: vxlanalyze\.(\w+)$", (DOCS / "api.md").read_text(), re.MULTILINE)

    assert sorted(documented) == sorted(vx.__all__)


def test_options_named_in_the_documentation_exist():
    command = [sys.executable, "-m", "vxlanalyze", "--help"]
    help_ = subprocess.run(command, check=True, capture_output=True, text=True, env=environment()).stdout
    for page in (ROOT / "README.md", DOCS / "ci.md", DOCS / "capturing.md", DOCS / "troubleshooting.md"):
        named = re.findall(r"(?<![\w-])vxlanalyze [^`\n]*?(--[a-z-]+)", page.read_text())

        assert [option for option in named if option not in help_] == []


def test_errors_that_troubleshooting_explains_exist():
    """A cell quotes what the program says; … stands for what varies."""
    page = (DOCS / "troubleshooting.md").read_text()
    cells = re.search(r"\| it says \|(.*?)\n\n", page, re.DOTALL)[1]
    source = "".join(path.read_text() for path in sorted(Path(vx.__file__).parent.rglob("*.py")))
    quoted = [text for cell in re.findall(r"\n\| (.*?) \|", cells) for text in re.findall("`(.*?)`", cell)]
    parts = [part.strip(" ().") for text in quoted for part in text.split("…")]

    assert len(quoted) > 5
    assert [part for part in parts if part not in source] == []


@pytest.fixture
def captures(tmp_path, monkeypatch):
    """A folder as docs/ci.md has it, with a pair in which nothing is wrong."""
    folder = tmp_path / "captures"
    folder.mkdir()
    for name in ("node1.pcap.gz", "node2.pcap.gz", "expect.toml"):
        shutil.copy(ROOT / "sample_pcaps" / "healthy" / name, folder)
    shutil.copy(ROOT / "sample_pcaps" / "healthy" / "kube.json", folder / "cluster.json")
    monkeypatch.chdir(tmp_path)
    return folder


def test_the_tests_in_the_documentation_run(captures):
    (written,) = re.findall(r"```python\n(.*?)```", (DOCS / "ci.md").read_text(), re.DOTALL)
    (captures.parent / "test_overlay.py").write_text(written)

    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    done = subprocess.run(command, check=False, capture_output=True, text=True, env=environment())

    assert "3 passed" in done.stdout, done.stdout


def test_the_sample_workflow_runs(captures, capsys):
    workflow = (DOCS / "workflow.yml").read_text()
    (folded,) = re.findall(r"run: >\n((?: {10}.*\n)+)", workflow)

    assert cli.main(shlex.split(folded)[1:]) == 0
    assert sorted(path.name for path in captures.parent.glob("*.*")) == [
        "report.html",
        "report.xml",
        "summary.md",
    ]


def test_the_action_passes_options_that_exist():
    """What a step gives stands in variables, never in the script: a shell would run it."""
    action = (ROOT / "action.yml").read_text()
    help_ = subprocess.run(
        [sys.executable, "-m", "vxlanalyze", "--help"], check=True, capture_output=True, text=True
    ).stdout
    scripts = re.findall(r"run: \|\n((?: {8}.*\n)+)", action)

    assert scripts
    assert all("${{" not in script for script in scripts)
    assert [o for script in scripts for o in re.findall(r"(?<= )--[a-z]+", script) if o not in help_] == []


def test_the_action_compares_and_keeps_a_summary(captures, tmp_path):
    (script,) = re.findall(r"run: \|\n((?: {8}.*\n)+)", (ROOT / "action.yml").read_text())
    program = tmp_path / "vxlanalyze" / "bin" / "vxlanalyze"
    program.parent.mkdir(parents=True)
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m vxlanalyze "$@"\n')
    program.chmod(0o755)
    given = {
        "RUNNER_TEMP": str(tmp_path),
        "GITHUB_STEP_SUMMARY": str(tmp_path / "step.md"),
        "CAPTURES": "captures/node1.pcap.gz captures/node2.pcap.gz",
        "EXPECT": "captures/expect.toml",
        "OPTIONS": "--kube captures/cluster.json",
    }

    done = subprocess.run(
        ["bash", "-e", "-c", script],
        check=False,
        capture_output=True,
        text=True,
        env={**environment(), **given},
    )

    assert done.returncode == 0, done.stderr
    assert "Nothing is wrong" in (tmp_path / "step.md").read_text()
    assert (tmp_path / "report" / "report.xml").exists()


def test_first_use_runs_the_first_command_of_the_readme_and_every_script_of_the_action(tmp_path):
    action = yaml.safe_load((ROOT / "action.yml").read_text())
    scripts = first_use.action_scripts(action, tmp_path, ROOT)

    assert first_use.readme_command().startswith("python3 -m venv .venv && .venv/bin/pip install")
    assert len(scripts) == sum("run" in step for step in action["runs"]["steps"]) == 2
    assert not [
        value for script, variables in scripts for value in (script, *variables.values()) if "${{" in value
    ]


def test_the_site_builds_without_a_warning(tmp_path):
    pytest.importorskip("mkdocs")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "-q", "-d", str(tmp_path)]

    done = subprocess.run(command, check=False, capture_output=True, text=True, cwd=ROOT)

    assert done.returncode == 0, done.stderr
    assert 'id="mtu-blackhole"' in (tmp_path / "findings" / "index.html").read_text()
