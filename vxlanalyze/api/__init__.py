"""The library: the contents of ``import vxlanalyze as vx``."""
