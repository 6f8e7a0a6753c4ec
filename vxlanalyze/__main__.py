"""``python -m vxlanalyze``, and the command ``vxlanalyze``."""

import sys

INTERRUPTED = 130  # as in vxlanalyze.cli, which may not be loaded yet


def main() -> int:
    """Run the command; an interrupt while it is loaded is no traceback."""
    try:
        from vxlanalyze.cli import main as command

        return command()
    except KeyboardInterrupt:
        from vxlanalyze import terminal

        terminal.complain("interrupted")
        return INTERRUPTED


if __name__ == "__main__":
    sys.exit(main())
