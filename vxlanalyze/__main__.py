"""``python -m vxlanalyze``, and the command ``vxlanalyze``."""

import gc
import os
import sys

# What is loaded at the start lives on: looking for garbage among it takes a tenth of that time. It stays
# below this number, and after it objects come by the thousand, however many packets there are.
_FEW_COLLECTIONS = 200_000
# Threads that decode want the interpreter for a moment between two pieces. By default, what is loaded
# meanwhile would give it to them after 5 ms, in which they decode as much again.
_SWITCH_S = 50e-6
INTERRUPTED = 130  # as in vxlanalyze.command.cli, which may not be loaded yet


def main() -> int:
    """Run the command; an interrupt while it is loaded is no traceback."""
    gc.set_threshold(_FEW_COLLECTIONS)
    sys.setswitchinterval(_SWITCH_S)
    # No stage multiplies matrices; the threads that numpy keeps for it would spin while the command starts.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    try:
        from vxlanalyze.command.cli import main as command

        return command()
    except KeyboardInterrupt:
        from vxlanalyze.command import terminal

        terminal.complain("interrupted")
        return INTERRUPTED
    finally:
        # Python takes an interrupt in source that it has as a string (data classes are made of such, as they
        # are loaded) for one that nobody handled, and ends itself by the signal; unless other such ran since.
        exec("")
        # Nothing more is to be made: the interpreter need not look three times for garbage as it ends.
        gc.freeze()


if __name__ == "__main__":
    sys.exit(main())
