"""Make the skeleton of a diagnostic, a tunnel or an output: ``python scripts/new.py diagnostic ROOM CODE``.

It writes the module and its tests, registers the module, and prints the remaining steps. The
tests of a skeleton fail until they are written: nothing is registered half done.
"""

import argparse
import re
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "vxlanalyze"

_DIAGNOSTIC = '''"""TODO: what holds when this is found, in one sentence.

What it checks
    TODO
Why it matters
    TODO
How it decides
    TODO
When it cannot tell
    TODO
What looks like it
    TODO
What to do
    TODO
Sources
    TODO
"""

from vxlanalyze.analysis import finding as base
from vxlanalyze.analysis.finding import DiagnosticResult
from vxlanalyze.pairing.model import Comparison

CODE = "{code}"


def check(pair: Comparison) -> list[DiagnosticResult]:
    """Report TODO."""
    raise NotImplementedError(CODE)


DIAGNOSTIC = base.Diagnostic(code=CODE, check=check)
'''
_DIAGNOSTIC_TESTS = '''"""TODO: what holds, in one sentence."""

from tests.simulate import Traffic, comparison
from vxlanalyze.analysis.finding import NotAssessed
from vxlanalyze.diagnostics.{room} import {name}


def test_found_where_the_fault_is():
    (finding,) = {name}.check(comparison([Traffic(lost=True)]))

    assert finding.remedy
    assert finding.evidence
    assert finding.frames


def test_clear_where_nothing_is_wrong():
    assert {name}.check(comparison([Traffic()])) == []


def test_not_fooled_by_what_looks_like_it():
    assert {name}.check(comparison([Traffic()])) == []


def test_cannot_tell_with_too_little():
    (answer,) = {name}.check(comparison([Traffic(packets=1)]))

    assert isinstance(answer, NotAssessed)
'''
_TUNNEL = '''"""{title}: TODO.

    TODO: the picture of the header

Sources: TODO.
"""

from vxlanalyze.kernels.decorator import compiled
from vxlanalyze.wire import ethernet
from vxlanalyze.wire.fields import AT, STOP, VNI, Record, holds
from vxlanalyze.wire.model import Tunnel
from vxlanalyze.wire.octets import Octets, be24
from vxlanalyze.wire.tunnels.encapsulation import Encapsulation

HEADER_BYTES = 8  # TODO


@compiled
def read(data: Octets, found: Record) -> int:
    """Read one header; an Ethernet frame follows."""
    at = found[AT]
    if not holds(found, at + HEADER_BYTES):
        return STOP
    found[VNI] = be24(data, at + 4)  # TODO
    found[AT] = at + HEADER_BYTES
    return ethernet.TRANSPARENT_ETHERNET


@compiled
def recognise(data: Octets, found: Record, carrier: int) -> bool:
    """Decide from content, where neither port nor protocol number does."""
    return False


ENCAPSULATION = Encapsulation(
    Tunnel.{upper},
    "{title}",
    priority=100,  # TODO: lower where it is a special case of another
    header_bytes=HEADER_BYTES,
    read=read,
    recognise=recognise,
    udp_ports=(),  # TODO
)
'''
_OUTPUT = '''"""The report as TODO.

Source: TODO.
"""

from vxlanalyze.report.model import Report, key_of
from vxlanalyze.report.renderer import Judgement
from vxlanalyze.text.escaping import inert, plain


def render(report: Report, judgement: Judgement | None = None) -> str:
    """Write a report; never fails on its content, and is the same for the same report."""
    lines = [report.verdict, *(f"{{key_of(f)}}: {{f['summary']}}" for f in report.findings)]
    if judgement is not None:
        lines += judgement.differences
    return "".join(f"{{inert(plain(line))}}\\n" for line in lines)
'''


def main() -> None:
    """Read the command line, write the files, and print the remaining steps."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    kinds = parser.add_subparsers(dest="kind", required=True)
    diagnostic = kinds.add_parser("diagnostic", help="a module of diagnostics/ROOM with its tests")
    diagnostic.add_argument("room", choices=_rooms())
    diagnostic.add_argument("code", type=_code)
    tunnel = kinds.add_parser("tunnel", help="a module of wire/tunnels")
    tunnel.add_argument("code", type=_code, metavar="name")
    output = kinds.add_parser("output", help="a module of report/formats")
    output.add_argument("code", type=_code, metavar="name")
    given = parser.parse_args()
    makers: dict[str, Callable[[argparse.Namespace], list[str]]] = {
        "diagnostic": _new_diagnostic,
        "tunnel": _new_tunnel,
        "output": _new_output,
    }
    print("\n".join(makers[given.kind](given)))


def _rooms() -> list[str]:
    return sorted(path.parent.name for path in (PACKAGE / "diagnostics").glob("*/__init__.py"))


def _code(text: str) -> str:
    if not re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", text):
        raise argparse.ArgumentTypeError(f"{text}: write it in lower case with hyphens, as in path-blocked")
    return text


def _new_diagnostic(given: argparse.Namespace) -> list[str]:
    name = given.code.replace("-", "_")
    module = PACKAGE / "diagnostics" / given.room / f"{name}.py"
    tests = ROOT / "tests" / "diagnostics" / given.room / f"test_{name}.py"
    _write(module, _DIAGNOSTIC.format(code=given.code))
    _write(tests, _DIAGNOSTIC_TESTS.format(room=given.room, name=name))
    registry = PACKAGE / "diagnostics" / "__init__.py"
    _enter(registry, r"(_MODULES = \((?:.|\n)*?)(\n\)\n)", f'\n    "{given.room}.{name}",')
    return [
        "remaining steps:",
        f"- move its entry in {_shown(registry)} to its place among the causes",
        "- write the manual, the check, and the four tests until they pass:",
        f"  python -m pytest -q -p no:randomly {_shown(tests)}",
        "- demonstrate it with a pair of captures: tests/reported/pairs (see tests/reported/README.md),",
        "  or tests/lab/scenarios",
        "- python docs/generate.py; python -m pytest -q tests/test_registry.py tests/test_architecture.py",
    ]


def _new_tunnel(given: argparse.Namespace) -> list[str]:
    name = given.code.replace("-", "_")
    model = PACKAGE / "wire" / "model.py"
    numbers = [int(n) for n in re.findall(r"^    [A-Z_]+ = (\d+)", _tunnel_class(model.read_text()), re.M)]
    _write(
        PACKAGE / "wire" / "tunnels" / f"{name}.py",
        _TUNNEL.format(upper=name.upper(), title=given.code.upper()),
    )
    last = f"\n    {name.upper()} = {max(numbers) + 1}"
    _enter(model, r"(class Tunnel\(IntEnum\):(?:.|\n)*?    [A-Z_]+ = " + f"{max(numbers)})()", last)
    return [
        "remaining steps:",
        "- write the header's picture, `read`, `recognise`, and what ENCAPSULATION says",
        "- add a valid frame to tests/wire/outside.py, exact bytes to tests/wire/test_tunnels.py,",
        "  tshark's names of its fields in tests/tshark_fields/layers.py",
        "- python -m vxlanalyze.kernels.build; python docs/generate.py; python -m pytest -q tests/wire",
    ]


def _tunnel_class(source: str) -> str:
    return source[source.index("class Tunnel(") :].split("\n\n\n")[0]


def _new_output(given: argparse.Namespace) -> list[str]:
    name = given.code.replace("-", "_")
    _write(PACKAGE / "report" / "formats" / f"as_{name}.py", _OUTPUT.format())
    registry = PACKAGE / "report" / "__init__.py"
    entry = f'\n    Renderer("{given.code}", (), "as_{name}"),'
    _enter(registry, r"(RENDERERS = \((?:.|\n)*?)(\n\)\n)", entry)
    return [
        "remaining steps:",
        f"- give its entry in {_shown(registry)} the suffixes that select it",
        "- write `render`; then: python docs/generate.py,",
        "  python -m pytest tests/report/test_golden.py --update-golden, and read the new files",
        "- python -m pytest -q tests/report/test_plain.py tests/report/test_redaction.py",
    ]


def _write(path: Path, text: str) -> None:
    if path.exists():
        raise SystemExit(f"{_shown(path)} exists already")
    path.write_text(text, encoding="utf-8")
    print(f"wrote {_shown(path)}")


def _enter(path: Path, place: str, entry: str) -> None:
    source = path.read_text(encoding="utf-8")
    entered, times = re.subn(place, lambda match: f"{match[1]}{entry}{match[2]}", source, count=1)
    if not times:
        raise SystemExit(f"{_shown(path)}: its registry is not where it was")
    path.write_text(entered, encoding="utf-8")
    print(f"registered it in {_shown(path)}")


def _shown(path: Path) -> str:
    return str(path.relative_to(ROOT))


if __name__ == "__main__":
    main()
