"""``python -m vxlanalyze``, and the command ``vxlanalyze``."""

import sys

from vxlanalyze.cli import main

__all__ = ["main"]

if __name__ == "__main__":
    sys.exit(main())
