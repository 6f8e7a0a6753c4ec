"""Find the cause of a fault in an overlay network from a pair of captures.

How to use it, with the captures in path order (the sender's node first):

>>> import vxlanalyze as vx
>>> result = vx.compare("node1.pcap", "node2.pcap", kube="cluster.json")
>>> result                                    # in Jupyter: verdict, path, findings, pictures
>>> result.verdict                            # one sentence: what is wrong
>>> result.findings.to_frame()                # causes before consequences
>>> result.findings["mtu-blackhole"].remedy   # of one finding; also .evidence, .frames
>>> result.packets.query("outcome == 'lost'") # every wire packet with its fate, a DataFrame
>>> result.flows, result.hops.to_frame(), result.services.to_frame()
>>> result.plot.timeline()                    # matplotlib Axes; also .ladder(), .delay(), .loss_by_size()
>>> result.save("report.html", redact=True)   # or .json, .xml, .md

`read` opens one capture, `matrix` compares those of many nodes, `load` and `diff` read saved reports, and
`check` fails a test if a result is not as expected.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from vxlanalyze.errors import CaptureError, OutputError, UsageError, VxlanalyzeError

if TYPE_CHECKING:
    from vxlanalyze.api.capture import Capture, read
    from vxlanalyze.api.checking import UnexpectedError, check
    from vxlanalyze.api.comparing import compare
    from vxlanalyze.api.comparison import Comparison, load
    from vxlanalyze.api.difference import diff
    from vxlanalyze.api.findings import Finding, Findings
    from vxlanalyze.api.matrix import Matrix, matrix

__version__ = "1.0.0"

__all__ = [
    "Capture",
    "CaptureError",
    "Comparison",
    "Finding",
    "Findings",
    "Matrix",
    "OutputError",
    "UnexpectedError",
    "UsageError",
    "VxlanalyzeError",
    "check",
    "compare",
    "diff",
    "load",
    "matrix",
    "read",
]

# Imported on first access: the command's --help and --version need none of them.
_MODULES = {
    "Capture": "capture",
    "Comparison": "comparison",
    "Finding": "findings",
    "Findings": "findings",
    "Matrix": "matrix",
    "UnexpectedError": "checking",
    "check": "checking",
    "compare": "comparing",
    "diff": "difference",
    "load": "comparison",
    "matrix": "matrix",
    "read": "capture",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"vxlanalyze.api.{_MODULES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
