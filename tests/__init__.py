"""The tests of vxlanalyze."""
