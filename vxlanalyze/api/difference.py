"""Compare two results in the library."""

from vxlanalyze.api.comparison import Comparison, load
from vxlanalyze.api.questions import PathLike
from vxlanalyze.report.difference import Difference, difference


def diff(before: PathLike | Comparison, after: PathLike | Comparison) -> Difference:
    """Compare two reports, saved before and after a change: what is fixed, new, worse, better.

    Parameters
    ----------
    before, after : path or Comparison
        Reports in JSON, or results.

    Returns
    -------
    Difference
        ``print`` gives one screen; `changes` lists them, `verdict` answers "is it fixed?".

    Raises
    ------
    UsageError
        A file cannot be read, or is not a report.
    """
    first, second = (each if isinstance(each, Comparison) else load(each) for each in (before, after))
    return difference(first.report, second.report)
