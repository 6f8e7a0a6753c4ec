"""``python -m vxlanalyze``, and the command ``vxlanalyze``."""

import gc
import sys

# What is loaded at the start lives on; looking for garbage among it takes a tenth of that time.
_FEW_COLLECTIONS = 50_000
INTERRUPTED = 130  # as in vxlanalyze.cli, which may not be loaded yet


def main() -> int:
    """Run the command; an interrupt while it is loaded is no traceback."""
    gc.set_threshold(_FEW_COLLECTIONS)
    try:
        from vxlanalyze.cli import main as command

        return command()
    except KeyboardInterrupt:
        from vxlanalyze import terminal

        terminal.complain("interrupted")
        return INTERRUPTED


if __name__ == "__main__":
    sys.exit(main())
