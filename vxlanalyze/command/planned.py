"""Output of ``--plan``: the plan of two captures, or the next probe of a report."""

from vxlanalyze.command.options import Options
from vxlanalyze.errors import UsageError
from vxlanalyze.planning import as_script, as_text, next_probe, stations


def planned(options: Options, *, script: bool) -> str:
    """Write the plan requested on the command line.

    Raises
    ------
    UsageError
        Names are unknown, or a probe is requested as a script.
    """
    if options.report is not None:
        if script:
            raise UsageError("a probe is run by hand, on two nodes: give -o FILE.txt, not .sh")
        from vxlanalyze.report.formats.as_json import from_json
        from vxlanalyze.report.judging import read_text

        return next_probe.render(from_json(read_text(options.report), options.report))
    from vxlanalyze.kubernetes.saved import read_cluster

    cluster = read_cluster(options.kube, (), ())
    plan = stations.make(
        options.captures, cluster, cni=options.cni, seconds=options.seconds, between=options.between
    )
    return as_script.render(plan) if script else as_text.render(plan)
