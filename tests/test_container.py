"""The image: what the Containerfile makes, where somebody has a builder and a base image.

    VXLANALYZE_CONTAINER_BASE=docker.io/library/python:3.13-slim python -m pytest tests/test_container.py

It takes minutes, so it is asked for by name; `podman` or `docker` builds.
"""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
BUILDER = shutil.which("podman") or shutil.which("docker")
BASE = os.environ.get("VXLANALYZE_CONTAINER_BASE")
TEXT = (ROOT / "Containerfile").read_text()


def test_the_image_runs_as_nobody_and_holds_no_compiler():
    first, last = TEXT.split("\nFROM ${BASE}\n")

    assert "gcc" in first
    assert "apt-get" not in last
    assert "USER 65534:65534" in last
    assert 'ENTRYPOINT ["/opt/vxlanalyze/bin/vxlanalyze"]' in last


def test_what_the_build_needs_is_not_ignored():
    ignored = set((ROOT / ".containerignore").read_text().split())

    assert not ignored & {"pyproject.toml", "hatch_build.py", "README.md", "LICENSE", "vxlanalyze", "docs"}


@pytest.mark.skipif(not (BUILDER and BASE), reason="needs podman or docker and VXLANALYZE_CONTAINER_BASE")
def test_the_image_diagnoses_a_pair():
    build = [BUILDER, "build", "--build-arg", f"BASE={BASE}", "-t", "vxlanalyze-test", str(ROOT)]
    subprocess.run(build, check=True, timeout=1800)
    seed = f"{ROOT / 'sample_pcaps' / 'seed'}:/captures:ro"

    run = [BUILDER, "run", "--rm", "--network", "none", "-v", seed, "vxlanalyze-test"]
    done = subprocess.run(
        [*run, "node1.pcap.gz", "node2.pcap.gz"], check=True, capture_output=True, text=True, timeout=120
    )

    assert "CRITICAL path-blocked node1>node2" in done.stdout
