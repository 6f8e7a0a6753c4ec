"""Rules that matter are tests: imports go one way, registries are complete, manuals have their headings."""

import ast
import importlib
import itertools
import pkgutil
import re
from collections import Counter
from functools import cache
from pathlib import Path

import numpy as np
import pytest

import vxlanalyze
from vxlanalyze import diagnostics, report
from vxlanalyze.wire import hashing, numbers, protocols, tunnels

PACKAGE = Path(vxlanalyze.__file__).parent
MODULES = sorted(PACKAGE.rglob("*.py"))
# Each may import what stands before it.
ORDER = (
    "errors",
    "text",
    "kernels",
    "memory",
    "capture",
    "wire",
    "kubernetes",
    "pairing",
    "analysis",
    "diagnostics",
    "report",
    "planning",
    "export",
    "pipeline",
    "dask",
    "api",
    "assistant",
    "command",
    "__main__",
)
# Inside `analysis`, likewise; modules that stand in no room come first.
ANALYSIS = ("statistics", "requests", "underlay", "integrity", "timing", "messages", "tcp", "loss")
HEADINGS = (
    "What it checks",
    "Why it matters",
    "How it decides",
    "When it cannot tell",
    "What looks like it",
    "What to do",
    "Sources",
)
CIRCLES = {"kernels", "build"}  # the decorator compiles, and what is compiled is decorated
LONGEST_LINES = 300
MOST_PARAMETERS = 5
# Their options are keywords that a user knows from the command line; a structure would only rename them.
OPTIONS = {
    "api/comparing.compare",
    "api/matrix.matrix",
    "api/questions.questions_of",
    "assistant/tools.packets",
    "dask/compare.compare",
    "pipeline/run.run",
    "report/formats/as_text.render",
}
PRINTING = {"terminal.py"}
WRAPPED = {"Comparison", "Finding", "Matrix"}  # by the Python interface, under the same names

each_module = pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
each_diagnostic = pytest.mark.parametrize("diagnostic", diagnostics.DIAGNOSTICS, ids=lambda d: d.code)


@cache
def nodes_of(path: Path) -> tuple[ast.AST, ...]:
    """The syntax tree of a module; the module itself comes first."""
    return tuple(ast.walk(ast.parse(path.read_text())))


@pytest.fixture(scope="module", autouse=True)
def trees_that_are_forgotten():
    yield
    nodes_of.cache_clear()


def stage_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def is_stage(name: str) -> bool:
    return (PACKAGE / name).is_dir() or (PACKAGE / f"{name}.py").exists()


def imported_stages(path: Path) -> set[str]:
    """First parts of the modules of this package that a module imports, at its head or inside functions."""
    found = set()
    for node in nodes_of(path):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "vxlanalyze":
            names = node.module.split(".")[1:2] or [alias.name for alias in node.names]
            found.update(
                name for name in names if (PACKAGE / name).is_dir() or (PACKAGE / f"{name}.py").exists()
            )
        elif isinstance(node, ast.Import):
            found.update(a.name.split(".")[1] for a in node.names if a.name.startswith("vxlanalyze."))
    return found


@each_module
def test_imports_go_one_way(path):
    stage = stage_of(path)
    if stage == "__init__":
        return  # gives the library lazily
    later = {name for name in imported_stages(path) if ORDER.index(name) > ORDER.index(stage)}

    assert not later


@pytest.mark.parametrize("path", sorted((PACKAGE / "analysis").rglob("*.py")), ids=lambda path: path.stem)
def test_imports_in_analysis_go_one_way(path):
    room = path.relative_to(PACKAGE / "analysis").parts[0]
    imported = re.findall(r"vxlanalyze\.analysis\.(\w+)", path.read_text())
    allowed = ANALYSIS[: ANALYSIS.index(room) + 1] if room in ANALYSIS else ()

    assert {name for name in imported if name in ANALYSIS} <= set(allowed)


def imported_modules(path: Path) -> set[str]:
    """Modules of this package that a module imports, also those for types alone; not packages."""
    found = set()
    for node in nodes_of(path):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("vxlanalyze"):
            found |= {node.module or "", *(f"{node.module}.{alias.name}" for alias in node.names)}
    names = {module: PACKAGE.parent / f"{module.replace('.', '/')}.py" for module in found}
    return {str(file) for file in names.values() if file.exists()}


def test_modules_import_each_other_in_no_circle():
    """Also not for types alone: a circle is one idea in two files, or two ideas in one."""
    left = {str(path): imported_modules(path) for path in MODULES}
    for _ in range(
        len(MODULES)
    ):  # what imports nothing that is left, or is imported by nothing left, is in none
        imported = {name for names in left.values() for name in names}
        left = {path: names for path, names in left.items() if names & left.keys() and path in imported}

    assert {Path(path).parent.name for path in left} <= CIRCLES, sorted(left)


def assigned_numbers(path: Path) -> set[tuple[str, object]]:
    """Names that a module gives to constants, without the underscore before them, and these."""
    found = set()
    for node in nodes_of(path)[0].body:
        for target in node.targets if isinstance(node, ast.Assign) else ():
            names, values = (getattr(part, "elts", [part]) for part in (target, node.value))
            for name, value in zip(names, values, strict=False):
                if isinstance(name, ast.Name) and isinstance(value, ast.Constant):
                    found.add((name.id.removeprefix("_"), value.value))
    return found


@each_module
def test_numbers_of_protocols_are_written_once(path):
    """`wire.protocols` has those of IP, `wire.numbers` TCP flags, ports and kinds of ICMP messages."""
    once = {
        named
        for module in (protocols, numbers)
        for named in vars(module).items()
        if named[0].isupper() and isinstance(named[1], int)
    }
    own = path.parent.name == "wire" and path.name in ("protocols.py", "numbers.py", "icmp.py")

    assert own or not once & assigned_numbers(path)


def multipliers() -> set[int]:
    kept = (value for value in vars(hashing).values() if isinstance(value, np.generic | np.ndarray))
    return {int(number) for value in kept for number in np.ravel(value)}


@each_module
def test_multipliers_of_hashes_are_written_once(path):
    nodes = nodes_of(path)
    written = {node.value for node in nodes if isinstance(node, ast.Constant) and type(node.value) is int}

    assert path.name == "hashing.py" or not multipliers() & written


@each_module
def test_files_stay_short(path):
    assert len(path.read_text().splitlines()) <= LONGEST_LINES


def parameters_of(function: ast.FunctionDef | ast.AsyncFunctionDef) -> list[str]:
    arguments = function.args
    every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    return [argument.arg for argument in every if argument.arg not in ("self", "cls")]


def test_functions_take_few_parameters():
    """What belongs together is a structure with a name: see `pairing.sightings.SightingColumns`."""
    many = {
        f"{path.relative_to(PACKAGE).with_suffix('')}.{node.name}"
        for path in MODULES
        for node in nodes_of(path)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and len(parameters_of(node)) > MOST_PARAMETERS
    }

    assert many == OPTIONS


def test_a_class_name_means_one_thing():
    """A private name (``_Row``) is its module's own business."""
    classes = [
        node.name
        for path in MODULES
        for node in nodes_of(path)
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_")
    ]

    assert {name for name, times in Counter(classes).items() if times > 1} == WRAPPED


@each_module
def test_skeletons_are_filled_in(path):
    """`scripts/new.py` marks by TODO what is left to write."""
    left = [n for n, line in enumerate(path.read_text().splitlines(), 1) if "TODO" in line]

    assert not left, f"lines {left} are still as scripts/new.py wrote them"


@each_module
def test_names_say_what_is_inside(path):
    assert not {"utils", "util", "common", "helpers", "core", "misc"} & {
        part.removesuffix(".py") for part in path.parts
    }


@each_module
def test_only_the_terminal_prints(path):
    """`print` and the standard streams belong to one module."""
    if path.name in PRINTING:
        return
    streams = [n for n in nodes_of(path) if isinstance(n, ast.Attribute) and n.attr in ("stdout", "stderr")]

    assert not streams


@each_module
def test_only_capture_opens_captures(path):
    uses_pcap = re.search(r"^(?:from|import) (?:dpkt\.pcap|scapy|pyshark)", path.read_text(), re.MULTILINE)

    assert not uses_pcap


def modules_of(package):
    for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        yield importlib.import_module(module.name)


def test_every_diagnostic_is_registered():
    defined = {module.DIAGNOSTIC.code for module in modules_of(diagnostics) if hasattr(module, "DIAGNOSTIC")}

    assert defined == {diagnostic.code for diagnostic in diagnostics.DIAGNOSTICS}


def test_every_tunnel_is_registered():
    defined = {
        module.ENCAPSULATION.name for module in modules_of(tunnels) if hasattr(module, "ENCAPSULATION")
    }

    assert defined == {tunnel.name for tunnel in tunnels.TUNNELS}


def test_every_format_is_registered():
    defined = {path.stem for path in (PACKAGE / "report" / "formats").glob("as_*.py")}

    assert defined == {renderer.module for renderer in report.RENDERERS}
    assert len({renderer.name for renderer in report.RENDERERS}) == len(report.RENDERERS)


def test_codes_are_unique():
    codes = [diagnostic.code for diagnostic in diagnostics.DIAGNOSTICS]

    assert len(set(codes)) == len(codes)


@each_diagnostic
def test_a_diagnostic_is_called_as_its_module(diagnostic):
    assert diagnostic.check.__module__.rpartition(".")[2] == diagnostic.code.replace("-", "_")


@each_diagnostic
def test_a_diagnostic_has_its_manual(diagnostic):
    manual = importlib.import_module(diagnostic.check.__module__).__doc__
    first, *rest = manual.splitlines()
    headings = [line for line in rest if line and not line.startswith(" ")]

    assert first.endswith((".", "?"))
    assert tuple(headings) == HEADINGS


@each_diagnostic
def test_what_explains_a_diagnostic_is_one(diagnostic):
    """And a finding never explains one of its own code."""
    known = {d.code for d in diagnostics.DIAGNOSTICS} | {d.layer for d in diagnostics.DIAGNOSTICS}

    assert set(diagnostic.explained_by) <= known - {diagnostic.code}


def test_causes_are_not_copied_by_hand():
    """What several diagnostics name together stands in `diagnostics.explaining`, or is a layer."""
    known = {d.code for d in diagnostics.DIAGNOSTICS}
    lists = {}
    for path in sorted((PACKAGE / "diagnostics").rglob("*.py")):
        if path.parent.name == "host_facts":
            continue  # what saved files speak of, not causes
        for node in nodes_of(path):
            if isinstance(node, ast.Tuple):
                codes = {e.value for e in node.elts if isinstance(e, ast.Constant)} & known
                lists[f"{path.relative_to(PACKAGE)}:{node.lineno}"] = codes
    alike = [(a, b) for a, b in itertools.combinations(lists, 2) if len(lists[a] & lists[b]) > 4]

    assert not alike, f"name these causes once, in diagnostics/explaining.py: {alike}"


@each_diagnostic
def test_a_diagnostic_is_tested(diagnostic):
    """By tests of its own, which name it."""
    tests = (Path(__file__).parent / "diagnostics").rglob("test_*.py")
    name = diagnostic.code.replace("-", "_")

    assert any(name in path.read_text() or diagnostic.code in path.read_text() for path in tests)
