"""The command ``vxlanalyze``: reads the command line, runs the pipeline, prints, and exits.

Heavy modules are imported where needed, so ``--help`` and ``--version`` respond at once.
"""

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing
from typing import TYPE_CHECKING

from vxlanalyze.command import options as command_line
from vxlanalyze.command import terminal
from vxlanalyze.command.analysing import analyse, questions_of, read_again
from vxlanalyze.command.options import Options
from vxlanalyze.errors import (
    OutOfMemoryError,
    TooFewFilesError,
    UsageError,
    VxlanalyzeError,
    is_too_few_files,
    require_address_space,
    require_open_files,
)
from vxlanalyze.export.outputs import Outputs, require_apart, require_directory, require_writable
from vxlanalyze.export.signals import TerminatedError, signals_unwind
from vxlanalyze.memory import limit as memory
from vxlanalyze.report import RENDERERS, by_suffix
from vxlanalyze.report.judging import failing, judging
from vxlanalyze.report.model import Report
from vxlanalyze.report.renderer import Judgement, Renderer
from vxlanalyze.text.escaping import plain

if TYPE_CHECKING:
    from vxlanalyze.export.redaction import Redactor
    from vxlanalyze.report.matrix.model import Matrix

DONE, OBJECTED, BROKEN, INTERRUPTED = 0, 1, 3, 130  # 2 is VxlanalyzeError's


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and give its exit status; usage and input errors are one line on standard error."""
    try:
        with signals_unwind():
            return _run(command_line.parse(arguments))
    except VxlanalyzeError as error:
        return _refused(error)
    except OSError as error:
        if not is_too_few_files(error):
            raise
        return _refused(TooFewFilesError())
    except MemoryError:
        return _refused(OutOfMemoryError())
    except KeyboardInterrupt:
        terminal.write_message("interrupted")
        return INTERRUPTED
    except TerminatedError as ended:
        terminal.write_message("terminated")
        return ended.exit_status


def _refused(error: VxlanalyzeError) -> int:
    terminal.write_message(f"error: {plain(str(error), longest_word=None)}")
    return error.exit_status


def _run(options: Options) -> int:
    if options.explain is not None:
        terminal.say(_manual(options.explain))
        return DONE
    if options.diff:
        return _difference(options)
    if options.plan:
        return _plan(options)
    return _compare(options)


def _compare(options: Options) -> int:
    """Compare captures, or render a saved report, and write all outputs."""
    shown, files = _formats(options)
    _require_directories(options)
    require_address_space()
    require_open_files()
    judge = judging(options.fail_on, options.baseline, options.expect, options.fail_on_unassessed)
    series = any(renderer.series for renderer in (shown, *(r for _, r in files)))
    if series:
        _hush_matplotlib()
    if options.matrix:
        return _matrix(options, shown, files)
    with Outputs() as outputs:
        report, redactor = read_again(options) if options.report else analyse(options, outputs, series)
        judgement = judge(report)
        if redactor is not None:
            report, judgement = redactor.report(report), redactor.judgement(judgement)
        for path, renderer in files:
            outputs.write_text(path, _rendered(renderer, report, judgement, options))
    if not options.quiet:
        _print(shown, report, judgement, options)
    for difference in judgement.differences:
        terminal.write_message(f"not as expected: {plain(difference)}")
    if report.broken:
        return BROKEN
    return DONE if judgement.passed else OBJECTED


def _difference(options: Options) -> int:
    """Print the changes between two saved reports."""
    from vxlanalyze.report.difference import difference
    from vxlanalyze.report.formats.as_json import from_json
    from vxlanalyze.report.judging import read_text

    if options.format not in (None, "text") or options.output:
        raise UsageError("--diff writes text to standard output; leave --format and -o out")
    if options.redact:
        raise UsageError("--redact: give --diff reports that were saved with --redact")
    before, after = (from_json(read_text(path), path) for path in options.diff)
    found = difference(before, after)
    if not options.quiet:
        terminal.say(found.text(terminal.look(options.color).width))
    return OBJECTED if failing(found.counting, options.fail_on) else DONE


def _plan(options: Options) -> int:
    """Print what to run on the nodes; nothing is run here."""
    from vxlanalyze.command.planned import planned

    for path in options.output:
        require_writable(path)
    with Outputs() as outputs:
        for path in options.output:
            outputs.write_text(path, planned(options, script=path.endswith(".sh")))
        text = planned(options, script=False)
    if not options.quiet:
        terminal.say(text)
    return DONE


def _require_directories(options: Options) -> None:
    for directory in (options.tables, options.annotate, options.decapsulate):
        if directory is not None:
            require_directory(directory)
    require_apart(options.annotate, options.decapsulate)


def _hush_matplotlib() -> None:
    """Suppress its message to users with a read-only home about the location of its font cache."""
    import logging

    logging.getLogger("matplotlib").setLevel(logging.ERROR)


def _matrix(options: Options, shown: Renderer, files: Sequence[tuple[str, Renderer]]) -> int:
    """Compare all pairs of nodes."""
    from vxlanalyze.report import matrix as outputs_of_matrix
    from vxlanalyze.report.matrix import as_text

    for renderer in (shown, *(renderer for _, renderer in files)):
        outputs_of_matrix.require_format(renderer.name)
    with Outputs() as outputs:
        matrix, redactor = _compare_nodes(options)
        if redactor is not None:
            matrix = redactor.matrix(matrix)
        for path, renderer in files:
            outputs.write_text(path, outputs_of_matrix.render(matrix, renderer.name))
    if not options.quiet and shown.name == "text":
        look = terminal.look(options.color)
        terminal.say(as_text.render(matrix, width=look.width, colour=look.colour, ascii_only=look.ascii_only))
    elif not options.quiet:
        terminal.say(outputs_of_matrix.render(matrix, shown.name))
    if matrix.broken:
        return BROKEN
    return OBJECTED if failing(matrix.findings, options.fail_on) else DONE


def _compare_nodes(options: Options) -> "tuple[Matrix, Redactor | None]":
    from vxlanalyze.capture import other_files
    from vxlanalyze.dask.matrix import compare_nodes, compare_nodes_there
    from vxlanalyze.dask.on_dask import connected
    from vxlanalyze.pipeline.bundled import archive_of
    from vxlanalyze.pipeline.opening import open_node_points

    with ExitStack() as stack:
        stack.enter_context(memory.limited(options.memory))
        others = [path for path in other_files(options.captures) if archive_of(path) is None]
        for path in others:
            terminal.write_message(f"{path} is not a capture; skipped")
        sources = open_node_points([capture for capture in options.captures if capture not in others])
        for source in sources:
            stack.enter_context(closing(source))
        questions = questions_of(options, sources)
        progress = stack.enter_context(terminal.progress_bar(options.progress and not options.quiet))
        if options.scheduler is None:
            matrix = compare_nodes(sources, questions, jobs=options.jobs, progress=progress)
        else:
            workers = stack.enter_context(connected(options.scheduler))
            matrix = compare_nodes_there(sources, questions, workers, progress=progress)
    if not options.redact:
        return matrix, None
    from vxlanalyze.export.redaction import Redactor

    return matrix, Redactor.of_matrix(matrix, questions.cluster)


def _rendered(renderer: Renderer, report: Report, judgement: Judgement, options: Options) -> str:
    if renderer.name != "text":
        return renderer.render(report, judgement)
    from vxlanalyze.report.formats import as_text

    return as_text.render(report, judgement, verbose=options.verbose)


def _print(renderer: Renderer, report: Report, judgement: Judgement, options: Options) -> None:
    if renderer.name != "text":
        terminal.say(renderer.render(report, judgement))
        return
    from vxlanalyze.report.formats import as_text

    look = terminal.look(options.color)
    written = as_text.render(
        report,
        judgement,
        width=look.width,
        colour=look.colour,
        ascii_only=look.ascii_only,
        verbose=options.verbose,
    )
    terminal.say(written)


def _manual(code: str) -> str:
    """Give the manual of a finding, or the list of codes with this prefix."""
    from vxlanalyze.diagnostics import DIAGNOSTICS, require_codes

    manuals = {d.code: (sys.modules[d.check.__module__].__doc__ or "").strip() for d in DIAGNOSTICS}
    meant = [code] if code in manuals else [name for name in manuals if name.startswith(code)]
    if not meant:
        require_codes([code])
    if len(meant) == 1:
        return f"{meant[0]}\n\n{manuals[meant[0]]}\n"
    width = max(map(len, meant))
    lines = [f"{name:{width}}  {manuals[name].splitlines()[0]}" for name in meant]
    return "\n".join([*lines, "", "vxlanalyze --explain CODE prints the manual of one."]) + "\n"


def _formats(options: Options) -> tuple[Renderer, list[tuple[str, Renderer]]]:
    """Give the format of standard output, and each file with its own."""
    by_name = {renderer.name: renderer for renderer in RENDERERS}
    named = by_name[options.format or "text"]
    inputs = list(_inputs(options))
    for path in options.output:
        require_writable(path)
        for what, input_ in inputs:
            if os.path.exists(path) and os.path.samefile(path, input_):
                raise UsageError(f"{path}: is {what} that is to be read, and would be overwritten")
    if len({os.path.realpath(path) for path in options.output}) < len(options.output):
        raise UsageError(f"-o: {options.output[-1]} and another output are the same file")
    if len(options.output) == 1 and options.format is not None:
        return by_name["text"], [(options.output[0], named)]
    return named, [(path, by_suffix(path)) for path in options.output]


def _inputs(options: Options) -> Iterator[tuple[str, str]]:
    """Give the input files, each with its role."""
    named = {
        "the file of --kube": options.kube,
        "the file of --baseline": options.baseline,
        "the file of --expect": options.expect,
        "the report of --from": options.report,
    }
    given = [*named.items(), *(("a capture", path) for path in options.captures)]
    yield from ((what, path) for what, path in given if path is not None and os.path.isfile(path))
    for _, place in options.facts:
        for folder, _, files in os.walk(place):
            yield from (("a file of --facts", os.path.join(folder, name)) for name in files)
        if os.path.isfile(place):
            yield "a file of --facts", place
