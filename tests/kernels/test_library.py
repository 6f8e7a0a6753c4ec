"""The library of compiled functions: complete, current, used without numba, and refused where it is wrong."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import vxlanalyze
from vxlanalyze.kernels import build, decorator, loader
from vxlanalyze.kernels.build import checkout, signature
from vxlanalyze.kernels.build.fingerprint import alone, fingerprint
from vxlanalyze.kernels.decorator import Kernel, compiled
from vxlanalyze.kernels.loader import KernelError
from vxlanalyze.pairing import rows as pairing_rows
from vxlanalyze.wire import wireguard

SAMPLES = Path(__file__).parents[2] / "sample_pcaps" / "seed"
PAIR = [str(SAMPLES / name) for name in ("node1.pcap.gz", "node2.pcap.gz")]

pytestmark = pytest.mark.skipif(
    decorator.PLAIN or loader.CHECKED, reason="the library is not used with these settings of numba"
)


@pytest.fixture
def fresh():
    """Have the loader look at its files again, before and after."""
    for cached in (loader.manifest, loader.library):
        cached.cache_clear()
    yield
    for cached in (loader.manifest, loader.library):
        cached.cache_clear()


def test_every_kernel_is_built_from_the_source_as_it_is():
    """After a change: ``python -m vxlanalyze.kernels.build``."""
    built = loader.manifest()["kernels"]
    current = {kernel.name: fingerprint(kernel) for kernel in build.kernels()}

    assert {name: entry["fingerprint"] for name, entry in built.items()} == current


def test_every_level_of_this_machine_is_built():
    assert set(loader.manifest()["libraries"]) == set(build.levels())


def test_a_run_needs_no_numba():
    code = (
        "import sys\n"
        "for name in ('numba', 'llvmlite'):\n"
        "    sys.modules[name] = None  # an import of it fails\n"
        "from vxlanalyze.__main__ import main\n"
        "main()\n"
    )
    package = str(Path(vxlanalyze.__file__).parents[1])
    done = subprocess.run(
        [sys.executable, "-c", code, *PAIR], cwd=package, capture_output=True, text=True, check=True
    )

    assert done.stdout.startswith("None of the 9 packets that node1 sends to node2 arrives")


def test_arguments_and_results_are_what_python_makes_of_them():
    kernel = pairing_rows._choose
    flow = np.array([0, 2, -1, 1, 2], np.int32)
    chosen = np.array([False, False, True])
    rows, expected = np.zeros(5, np.int32), np.zeros(5, np.int32)

    assert kernel(flow, chosen, rows) == kernel.py_func(flow, chosen, expected)
    assert rows.tolist() == expected.tolist()


@pytest.mark.parametrize(
    "wrong",
    [
        (np.zeros(3, np.int64), np.zeros(1, bool), np.zeros(3, np.int32)),
        (np.zeros(6, np.int32)[::2], np.zeros(1, bool), np.zeros(3, np.int32)),
        (np.zeros((3, 1), np.int32), np.zeros(1, bool), np.zeros(3, np.int32)),
        ([0, 1], np.zeros(1, bool), np.zeros(3, np.int32)),
        (np.zeros(3, np.int32), np.zeros(1, bool)),
    ],
)
def test_arguments_that_do_not_fit_are_refused(wrong):
    """Compiled code would read what is not there."""
    with pytest.raises(TypeError, match="takes"):
        pairing_rows._choose(*wrong)


def test_a_function_without_declared_arguments_is_not_called_from_python():
    @compiled
    def only_inside(value):
        return value

    with pytest.raises(TypeError, match="has to declare"):
        only_inside(1)


def test_a_change_of_what_a_kernel_reaches_changes_its_fingerprint():
    def made(constant, doc):
        def inner(value):
            return value + constant

        def outer(value):
            return inner(value)

        inner.__doc__ = doc
        return fingerprint(outer)

    assert made(1, "One.") == made(1, "Another.")
    assert made(1, "One.") != made(2, "One.")


def test_functions_that_are_reached_through_their_module_count(monkeypatch):
    """As the readers of single headers are: `wireguard.in_udp`."""
    kernel = next(kernel for kernel in build.kernels() if kernel.name == "wire.index._decode_rows")
    before = fingerprint(kernel)
    monkeypatch.setattr(wireguard, "_NEAR_MTU_BYTES", 1)
    alone.cache_clear()

    assert fingerprint(kernel) != before
    alone.cache_clear()


def test_a_kernel_that_changed_is_compiled_by_numba():
    """In a checkout, edits take effect at once."""

    def doubled(values):
        return 2 * len(values)

    kernel = Kernel(doubled, "u1[]")

    assert not checkout.is_current(kernel)
    assert kernel(np.zeros(3, np.uint8)) == 6


def test_without_numba_a_changed_kernel_says_what_to_run(monkeypatch):
    monkeypatch.setattr(checkout, "has_numba", lambda: False)

    monkeypatch.setattr(checkout, "fingerprint", lambda _: "another")
    with pytest.raises(KernelError, match="numba is not installed; run pip install"):
        Kernel(pairing_rows._choose.py_func, "u1[]")(np.zeros(3, np.uint8))

    monkeypatch.setattr(loader, "manifest", lambda: {"kernels": {}})
    with pytest.raises(KernelError, match=r"in a checkout: pip install \."):
        Kernel(pairing_rows._choose.py_func, "u1[]")(np.zeros(3, np.uint8))


def copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "built"
    shutil.copytree(loader.FOLDER, folder)
    monkeypatch.setattr(loader, "FOLDER", folder)
    monkeypatch.setattr(loader, "MANIFEST", folder / "manifest.json")
    return folder


def test_a_library_that_is_not_the_one_built_is_refused(tmp_path, monkeypatch, fresh):
    folder = copied(tmp_path, monkeypatch)
    for library in folder.glob("*.so"):
        library.write_bytes(library.read_bytes() + b"\0")

    with pytest.raises(KernelError, match=r"not the library that was built; install vxlanalyze again"):
        loader.library()


def test_a_library_that_cannot_be_loaded_is_refused(tmp_path, monkeypatch, fresh):
    folder = copied(tmp_path, monkeypatch)
    for library in folder.glob("*.so"):
        library.unlink()

    with pytest.raises(KernelError, match="cannot be loaded"):
        loader.library()


@pytest.mark.parametrize(("content", "says"), [(None, "holds no compiled kernels"), ("{", "damaged")])
def test_a_manifest_that_is_missing_or_damaged_is_an_error_of_one_line(
    tmp_path, monkeypatch, fresh, content, says
):
    manifest = copied(tmp_path, monkeypatch) / "manifest.json"
    manifest.unlink()
    if content is not None:
        manifest.write_text(content)

    with pytest.raises(KernelError, match=says) as error:
        loader.manifest()
    assert "\n" not in str(error.value)


def test_the_loader_takes_arguments_as_the_compiler_does():
    """Both read declarations: the loader, in few lines, those that the compiler has taken."""
    for kernel in build.kernels():
        taken = [code for _, codes in loader.arguments(kernel.declared) for code in codes]

        assert taken == list(signature.flattened(signature.parse(kernel.declared)))


def test_kernels_with_checks_are_a_library_of_their_own():
    code = "from vxlanalyze.kernels import loader; print(loader.BUILT_CHECKED.name, loader.CHECKED)"
    package = str(Path(vxlanalyze.__file__).parents[1])
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=package,
        env={**os.environ, "NUMBA_BOUNDSCHECK": "1"},
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stdout == "checked True\n"


def test_an_old_processor_is_told_what_there_is(monkeypatch, fresh):
    monkeypatch.setattr(loader, "runnable", list)

    with pytest.raises(KernelError, match=r"no kernels for this processor .* only for"):
        loader.library()


def test_the_lower_level_is_used_where_the_best_was_not_built(tmp_path, monkeypatch, fresh):
    if "x86-64-v2" not in build.levels():
        pytest.skip("this processor has no levels")
    folder = copied(tmp_path, monkeypatch)
    content = json.loads((folder / "manifest.json").read_text())
    del content["libraries"]["x86-64-v3"]
    (folder / "manifest.json").write_text(json.dumps(content))

    assert loader.library()._name.endswith("x86-64-v2.so")


def test_a_kernel_that_needs_numba_to_run_is_not_built():
    """It would end the process that loads it. In a process of its own: a builder runs nothing."""
    code = (
        "import numpy as np\n"
        "from vxlanalyze.kernels.decorator import Kernel\n"
        "from vxlanalyze.kernels.build.compiler import compile_kernel\n"
        "def chance():\n"
        "    return np.random.random()\n"
        "compile_kernel(Kernel(chance, ''), 'chance')\n"
    )
    package = str(Path(vxlanalyze.__file__).parents[1])
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=package, capture_output=True, text=True, check=False
    )

    assert done.returncode == 1
    assert "chance calls numba_" in done.stderr


def test_code_is_made_for_other_machines(monkeypatch):
    from vxlanalyze.kernels.build import compiler

    monkeypatch.setenv("VXLANALYZE_MACHINE", "aarch64")

    code = compiler.assembled(compiler.target_machine("aarch64"), "define i64 @one() { ret i64 1 }")

    assert build.levels() == ("aarch64",)
    assert int.from_bytes(code[18:20], "little") == 183  # EM_AARCH64, in an ELF header


def test_a_compiler_of_this_machine_links_for_no_other(monkeypatch):
    monkeypatch.setenv("VXLANALYZE_MACHINE", "aarch64" if build.machine() != "aarch64" else "x86_64")
    monkeypatch.delenv("CC", raising=False)

    command = build.linker()

    assert command is None or command[1:] == [
        "-m",
        "ziglang",
        "cc",
        "-target",
        f"{build.machine()}-linux-gnu",
    ]

    monkeypatch.setenv("CC", f"{sys.executable} -x")
    assert build.linker() == [sys.executable, "-x"]


def test_machines_without_a_level_are_named(monkeypatch, tmp_path):
    monkeypatch.setenv("VXLANALYZE_MACHINE", "riscv64")
    monkeypatch.setenv("CC", sys.executable)

    with pytest.raises(SystemExit, match="no kernels are built for riscv64, only for x86_64 and aarch64"):
        build.build(tmp_path)


def test_what_a_user_runs_of_the_kernels_stays_small():
    """The rest, which compiles them, is not needed on a user's machine."""
    room = Path(decorator.__file__).parent

    assert sum(len(path.read_text().splitlines()) for path in room.glob("*.py")) <= 300
