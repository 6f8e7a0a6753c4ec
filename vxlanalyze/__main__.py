"""``python -m vxlanalyze``, and the command ``vxlanalyze``."""

import gc
import os
import sys

# Objects loaded at the start stay alive: searching them for garbage takes a tenth of the start-up time. Their
# number stays below this threshold, and afterwards only thousands follow, however many packets there are.
_FEW_COLLECTIONS = 200_000
# Decoding threads need the interpreter briefly between two pieces. By default, concurrent imports would yield
# it only after 5 ms, in which the threads could decode as much again.
_SWITCH_S = 50e-6
INTERRUPTED = 130  # as in vxlanalyze.command.cli, which may not be loaded yet


def main() -> int:
    """Run the command; an interrupt during loading gives no traceback."""
    gc.set_threshold(_FEW_COLLECTIONS)
    sys.setswitchinterval(_SWITCH_S)
    # No stage multiplies matrices; numpy's threads for that would spin while the command starts.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    try:
        from vxlanalyze.command.cli import main as command

        return command()
    except KeyboardInterrupt:
        from vxlanalyze.command import terminal

        terminal.write_message("interrupted")
        return INTERRUPTED
    finally:
        # Python treats an interrupt in code compiled from a string (as for data classes during loading) as
        # unhandled, and ends itself by the signal, unless other such code has run since.
        exec("")
        # Nothing more will be created: the interpreter need not collect garbage three times as it ends.
        gc.freeze()


if __name__ == "__main__":
    sys.exit(main())
