"""The image: what the Containerfile makes, where somebody has a builder and a base image.

    VXLANALYZE_CONTAINER_BASE=docker.io/library/python:3.13-slim python -m pytest tests/test_container.py

It takes minutes, so it runs only if a base image is named; `podman` or `docker` builds. Where neither can
run containers (no cgroups of its own), `buildah` does, with VXLANALYZE_CONTAINER_CHROOT=1.
"""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
BUILDER = shutil.which("podman") or shutil.which("docker")
BUILDAH = shutil.which("buildah")
BASE = os.environ.get("VXLANALYZE_CONTAINER_BASE")
ISOLATION = ["--isolation", "chroot"] if os.environ.get("VXLANALYZE_CONTAINER_CHROOT") == "1" else []
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
    build = [BUILDER, "build", *ISOLATION, "--build-arg", f"BASE={BASE}", "-t", "vxlanalyze-test", str(ROOT)]
    subprocess.run(build, check=True, timeout=1800)
    seed = f"{ROOT / 'sample_pcaps' / 'seed'}:/captures:ro"

    if ISOLATION:
        store = ["--storage-driver", printed(BUILDER, "info", "--format", "{{.Store.GraphDriverName}}")]
        made = printed(BUILDAH, *store, "from", "--pull-never", "localhost/vxlanalyze-test")
        run = [BUILDAH, *store, "run", *ISOLATION, "-v", seed, made, "--", "/opt/vxlanalyze/bin/vxlanalyze"]
    else:
        run = [BUILDER, "run", "--rm", "--network", "none", "-v", seed, "vxlanalyze-test"]

    assert "CRITICAL path-blocked node1>node2" in printed(*run, "node1.pcap.gz", "node2.pcap.gz")


def printed(*command: str | None) -> str:
    """Run a command, and give what it prints."""
    words = [word for word in command if word is not None]
    done = subprocess.run(words, check=True, capture_output=True, text=True, timeout=120)
    return done.stdout.strip()
