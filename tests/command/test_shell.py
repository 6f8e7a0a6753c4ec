"""Completions and the manual page: they know every option, shells read them, wheels hold them."""

import json
import os
import re
import shutil
import subprocess
from importlib.metadata import PackageNotFoundError, distribution

import pytest

pytest.importorskip("shtab")
pytest.importorskip("argparse_manpage")

from vxlanalyze.command import options, shell

OPTIONS = {
    name for group in options.described().values() for o, _ in group for name in re.findall("--[a-z-]+", o)
}


@pytest.fixture(scope="module")
def files() -> dict[str, str]:
    return shell.files()


def test_each_file_knows_every_option(files):
    assert len(OPTIONS) > 25
    for place, text in files.items():
        flat = text.replace("\\-", "-")
        missing = [name for name in OPTIONS - {"--help"} if not re.search(rf"(--|-l ){name[2:]}\b", flat)]
        assert missing == [], place


def test_bash_completes_options_and_codes(files, tmp_path):
    (tmp_path / "completion").write_text(files[shell.PLACES["bash"]])
    script = f"""
        . {tmp_path}/completion
        COMP_WORDS=(vxlanalyze --explain mtu-b); COMP_CWORD=2
        $(complete -p vxlanalyze | grep -o -- '-F [^ ]*' | cut -c4-) vxlanalyze mtu-b --explain
        echo "${{COMPREPLY[@]}}"
    """

    done = subprocess.run(["bash", "-c", script], check=True, capture_output=True, text=True)

    assert "mtu-blackhole" in done.stdout


@pytest.mark.parametrize("name", ["zsh", "fish"])
def test_other_shells_can_read_theirs(files, tmp_path, name):
    if shutil.which(name) is None:
        pytest.skip(f"{name} is not installed")
    path = tmp_path / "completion"
    path.write_text(files[shell.PLACES[name]])

    done = subprocess.run([name, "-n", str(path)], check=False, capture_output=True, text=True)

    assert (done.returncode, done.stderr) == (0, "")


def test_fish_completes_options_and_codes(files, tmp_path):
    if shutil.which("fish") is None:
        pytest.skip("fish is not installed")
    path = tmp_path / "completion.fish"
    path.write_text(files[shell.PLACES["fish"]])
    script = f"source {path}; complete -C 'vxlanalyze --explain mtu-b'; complete -C 'vxlanalyze --fail-on-un'"
    environment = {**os.environ, "HOME": str(tmp_path)}

    done = subprocess.run(["fish", "-c", script], check=True, capture_output=True, text=True, env=environment)

    assert "mtu-blackhole" in done.stdout
    assert "--fail-on-unassessed" in done.stdout


def test_the_manual_page_says_what_the_program_is(files):
    assert '.TH VXLANALYZE "1" ""' in files[shell.MANUAL]
    assert re.search(r"exit status:\s+0 +done", files[shell.MANUAL])


def test_an_installed_wheel_holds_them():
    try:
        installed = distribution("vxlanalyze")
    except PackageNotFoundError:
        pytest.skip("not installed")
    where = json.loads(installed.read_text("direct_url.json") or "{}")
    if where.get("dir_info", {}).get("editable"):
        pytest.skip("installed as a link to a checkout")
    held = [str(path) for path in installed.files or []]

    for place in (*shell.PLACES.values(), shell.MANUAL):
        assert any(path.endswith(f"share/{place}") for path in held), place
