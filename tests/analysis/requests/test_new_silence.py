"""Conversations that begin after a moment and are never answered, while those from before go on."""

import pytest

from tests.recorded import recording
from vxlanalyze.analysis.requests import new_silence


def found(name: str) -> new_silence.NewSilence | None:
    return new_silence.of(recording(name).hops[0].forward)


def test_what_begins_after_the_moment_is_counted():
    silence = found("new-flows-dropped-in-the-node")

    assert silence is not None
    assert silence.protocols >= 2
    assert silence.endpoints == 2
    assert silence.established >= 3
    assert silence.requests.sum() >= silence.conversations >= 4


@pytest.mark.parametrize("name", ["new-flows-healthy", "path-dies", "endpoint-silent", "source-reverse-path"])
def test_nothing_is_found_where_all_begin_or_all_end_or_one_is_silent(name: str):
    assert found(name) is None
