"""The command ``vxlanalyze``: options, terminal, and the run from arguments to an exit status."""
