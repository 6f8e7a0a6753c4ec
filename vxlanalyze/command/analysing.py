"""Run one comparison for the command line: read, compare, redact, write."""

from collections.abc import Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from typing import TYPE_CHECKING

from vxlanalyze.command import terminal
from vxlanalyze.command.options import Options
from vxlanalyze.export.outputs import Outputs
from vxlanalyze.memory import heap
from vxlanalyze.memory import limit as memory
from vxlanalyze.report.model import Report

if TYPE_CHECKING:
    from vxlanalyze.capture.logical import LogicalCapture
    from vxlanalyze.export.exports import Exports
    from vxlanalyze.export.redaction import Redactor
    from vxlanalyze.kubernetes.model import Cluster
    from vxlanalyze.pipeline.run import Questions


def read_again(options: Options) -> "tuple[Report, Redactor | None]":
    """Load a saved report; there are no packets to write."""
    from vxlanalyze.report.formats.as_json import from_json
    from vxlanalyze.report.judging import read_text

    path = options.report or ""
    report = from_json(read_text(path), path)
    return report, _redactor(options, report)


def _redactor(options: Options, report: Report, cluster: "Cluster | None" = None) -> "Redactor | None":
    if not options.redact:
        return None
    from vxlanalyze.export.redaction import Redactor

    return Redactor(report, cluster)


def analyse(options: Options, outputs: Outputs, series: bool) -> "tuple[Report, Redactor | None]":
    """Run the pipeline, and write the outputs that need the packets themselves."""
    from vxlanalyze.pipeline.decoding import decoding
    from vxlanalyze.pipeline.opening import open_points

    if options.memory is None:
        heap.reuse_freed()
    with ExitStack() as stack:
        stack.enter_context(memory.limited(options.memory))
        with terminal.waiting_for(path for path in options.captures if Path(path).is_fifo()):
            sources = open_points(options.captures)
        for source in sources:
            stack.enter_context(closing(source))
            outputs.protect(file.path for file in source.files)
        digests = series or options.redact
        with terminal.progress_bar(options.progress and not options.quiet) as progress:
            if options.scheduler is not None:
                from vxlanalyze.dask.compare import run_there
                from vxlanalyze.dask.on_dask import connected

                questions = questions_of(options, sources)
                workers = stack.enter_context(connected(options.scheduler))
                there = run_there(sources, questions, workers, digests=digests, progress=progress)
                report = there.report(plots=series)
                redactor = _redactor(options, report, there.cluster)
                _write_packets(options, there, outputs, redactor)
                return report, redactor
            with decoding(sources, options.port, jobs=options.jobs, progress=progress) as decoded:
                # During decoding, later modules are loaded and the options are read.
                from vxlanalyze.pipeline import run as pipeline

                questions = questions_of(options, sources)
                run = pipeline.finish(sources, questions, decoded, digests=digests)
        report = run.report(plots=series)
        redactor = _redactor(options, report, run.comparison.cluster)
        if options.tables or options.annotate or options.decapsulate:
            from vxlanalyze.export.exports import ExportsHere

            here = ExportsHere(run.comparison, run.diagnosis.findings)
            _write_packets(options, here, outputs, redactor)
        return report, redactor


def _write_packets(
    options: Options, exports: "Exports", outputs: Outputs, redactor: "Redactor | None"
) -> None:
    """Write the tables and captures requested on the command line."""
    if options.tables is not None:
        exports.write_tables(outputs.directory(options.tables), redactor)
    if options.annotate is not None:
        exports.annotate(outputs.directory(options.annotate), redactor)
    if options.decapsulate is not None:
        exports.decapsulate(outputs.directory(options.decapsulate), redactor)


def questions_of(options: Options, sources: "Sequence[LogicalCapture]") -> "Questions":
    """Read the analysis options of the command line, and the cluster files that it names."""
    from vxlanalyze.kubernetes.saved import read_cluster
    from vxlanalyze.pairing.part import Part, parse_moment, parse_term
    from vxlanalyze.pipeline import bundled
    from vxlanalyze.pipeline import run as pipeline

    names = [source.name for source in sources]
    bundles = tuple(bundled.bundles(options.captures, sources))
    cluster = read_cluster(options.kube, options.facts, names, bundles)
    return pipeline.Questions(
        cluster=cluster,
        ports=options.port,
        part=Part(
            None if options.since is None else parse_moment(options.since),
            None if options.until is None else parse_moment(options.until),
            tuple(parse_term(term, cluster) for term in options.only),
        ),
        select=options.select,
        ignore=options.ignore,
    )
