"""Assertions on a result, for tests."""

import os
from collections.abc import Mapping

from vxlanalyze.api.comparison import Comparison
from vxlanalyze.api.questions import PathLike
from vxlanalyze.report import expectation, judging


def check(result: Comparison, expect: PathLike | Mapping[str, object]) -> None:
    """Assert that a result is as expected; for tests.

    Parameters
    ----------
    expect : path or mapping
        A TOML file as for ``--expect``, or its content.

    Raises
    ------
    UnexpectedError
        It is not; an AssertionError that lists the differences.
    UsageError
        The expectation is invalid.
    """
    __tracebackhide__ = True  # pytest shows the test, not this
    if isinstance(expect, Mapping):
        expected = expectation.from_table(expect)
    else:
        expected = expectation.parse(judging.read_text(os.fspath(expect)), os.fspath(expect))
    differences = expectation.differences(expected, result.report)
    if differences:
        raise UnexpectedError("\n".join(differences))


class UnexpectedError(AssertionError):
    """Captures do not show what was expected; the message lists the differences."""
