"""Views in a running JupyterLab: as it runs a notebook, and as it shows one that it does not trust.

JupyterLab takes style elements out of notebooks of others, so a view must also read well without its own.
"""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from socket import socket
from urllib.request import urlopen

import pytest

from tests.report.browser import Browser, browser
from tests.tools import tool

NOTEBOOK = Path(__file__).parents[2] / "notebooks" / "01-from-symptom-to-cause.ipynb"
LABELS = """
return [...document.querySelectorAll('.vxlanalyze dt')].filter(e => e.offsetHeight)
    .map(e => e.getBoundingClientRect().height / parseFloat(getComputedStyle(e).fontSize))
"""
LINES = 2.0  # line heights: a label broken into letters has ten of them
PATIENCE_S = 90


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The notebook twice, one of them trusted."""
    if os.environ.get("VXLANALYZE_REQUIRE_TOOLS") != "1":
        pytest.importorskip("jupyterlab")
    made = tmp_path_factory.mktemp("lab")
    for name in ("trusted.ipynb", "foreign.ipynb"):
        shutil.copy(NOTEBOOK, made / name)
    return made


@pytest.fixture(scope="module")
def address(folder: Path) -> Iterator[str]:
    """Run JupyterLab in the folder, with settings of its own; gives its address."""
    tool("chromedriver")
    homes = {f"JUPYTER_{what}_DIR": str(folder / f".{what}") for what in ("CONFIG", "DATA", "RUNTIME")}
    environment = {**os.environ, **homes}
    trust = [sys.executable, "-m", "jupyter", "trust", "trusted.ipynb"]
    subprocess.run(trust, cwd=folder, env=environment, check=True, capture_output=True)
    with socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    listening = [f"--ServerApp.port={port}", "--ServerApp.token=", "--ServerApp.password="]
    command = [sys.executable, "-m", "jupyter", "lab", "--no-browser", "--allow-root", *listening]
    with open(folder / "log", "wb") as log:
        server = subprocess.Popen(command, cwd=folder, env=environment, stderr=log)
    try:
        yield wait_for(f"http://127.0.0.1:{port}")
    finally:
        server.terminate()
        server.wait(timeout=30)


def wait_for(address: str) -> str:
    """Wait until a server answers."""
    for _ in range(PATIENCE_S):
        try:
            with urlopen(f"{address}/api"):
                return address
        except OSError:
            time.sleep(1)
    pytest.fail("JupyterLab did not start")


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with browser() as session:
        yield session


def shown(chromium: Browser, address: str, name: str) -> list[float]:
    """Open a notebook; give the heights of the labels in its views, in font sizes."""
    chromium.size(1500, 2400)
    chromium.visit(f"{address}/lab/tree/{name}?reset")
    for _ in range(PATIENCE_S):
        heights: list[float] = chromium.run(LABELS)
        if heights:
            return heights
        time.sleep(1)
    pytest.fail("no view appeared")


@pytest.mark.parametrize("name", ["trusted.ipynb", "foreign.ipynb"])
def test_labels_stand_on_one_line(chromium: Browser, address: str, name: str):
    heights = shown(chromium, address, name)

    assert len(heights) > 5
    assert max(heights) < LINES


def test_a_foreign_notebook_shows_verdict_and_commands_without_our_styles(chromium: Browser, address: str):
    shown(chromium, address, "foreign.ipynb")
    text = chromium.run("return document.querySelector('.vxlanalyze').textContent")

    assert "None of the 9 packets that node1 sends to node2 arrives" in text
    assert "ip -d link show dev NIC | grep -w xdp" in text
