"""The command, as the tests of the command run it."""

from tests.command.conftest import vxlanalyze

__all__ = ["vxlanalyze"]
