"""``python -m vxlanalyze.kernels.build``."""

from vxlanalyze.kernels.build import main

if __name__ == "__main__":
    main()
