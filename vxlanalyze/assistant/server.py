"""``vxlanalyze-mcp --root DIR``: the tools over standard input and output, by the official SDK."""

import argparse
import sys
from collections.abc import Callable, Sequence
from functools import wraps
from typing import TYPE_CHECKING, ParamSpec

from vxlanalyze import __version__
from vxlanalyze.assistant.root import Root
from vxlanalyze.assistant.tools import Tools
from vxlanalyze.errors import UsageError, VxlanalyzeError

if TYPE_CHECKING:
    from mcp.server import MCPServer

_Given = ParamSpec("_Given")
_INSTRUCTIONS = """\
vxlanalyze compares packet captures taken at the same time on two nodes of an overlay network
(VXLAN, Geneve) and says what is wrong. Call facts first to see which captures and saved tables
there are, then compare with the captures in path order. The first finding is the cause; findings
with "because" are its consequences. Quote frame numbers with every statement. What was not assessed
is not known to be healthy. Nothing here is run on the nodes: remedies and plans are commands for
the user to judge and run.\
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until standard input ends; 2 where it cannot."""
    parser = argparse.ArgumentParser(
        prog="vxlanalyze-mcp",
        description="Serve compare, explain, packets, plan and facts to an assistant over standard input "
        "and output (Model Context Protocol). Reads files below one folder, writes none.",
    )
    parser.add_argument("--root", required=True, metavar="DIR", help="the only folder that is read")
    parser.add_argument(
        "--no-redact",
        action="store_true",
        help="show addresses and names as they are (default: pseudonyms, the same in all answers)",
    )
    parser.add_argument("--version", action="version", version=f"vxlanalyze {__version__}")
    options = parser.parse_args(arguments)
    try:
        build(Root(options.root), redact=not options.no_redact).run("stdio")
    except VxlanalyzeError as error:
        parser.exit(error.exit_status, f"vxlanalyze-mcp: error: {error}\n")
    return 0


def build(root: Root, *, redact: bool = True) -> "MCPServer":
    """Create the server of one folder.

    Raises
    ------
    UsageError
        The SDK is not installed.
    """
    try:
        from mcp.server import MCPServer
        from mcp.server.mcpserver.exceptions import ToolError
        from mcp.types import ToolAnnotations
    except ImportError as error:
        raise UsageError("the MCP SDK (2.0 or later) is missing: pip install 'vxlanalyze[mcp]'") from error

    def guarded(function: Callable[_Given, str]) -> Callable[_Given, str]:
        """Give usage and input errors as one line, with paths relative to the root."""

        @wraps(function)
        def answered(*args: _Given.args, **kwargs: _Given.kwargs) -> str:
            try:
                return function(*args, **kwargs)
            except VxlanalyzeError as error:
                raise ToolError(root.shown(str(error))) from None
            except OSError as error:
                raise ToolError(f"cannot be read ({error.strerror})") from None

        return answered

    server = MCPServer("vxlanalyze", version=__version__, instructions=_INSTRUCTIONS, log_level="ERROR")
    only_reads = ToolAnnotations(read_only_hint=True, idempotent_hint=True, open_world_hint=False)
    tools = Tools(root, redact=redact)
    for function in (tools.compare, tools.packets, tools.explain, tools.plan, tools.facts):
        server.tool(annotations=only_reads, structured_output=False)(guarded(function))
    return server


if __name__ == "__main__":
    sys.exit(main())
