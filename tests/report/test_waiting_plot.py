"""The bars of where time goes."""

import pytest
from matplotlib.figure import Figure

from tests.diagnostics.performance.streams import handshake, rounds
from tests.simulate import Traffic, comparison
from vxlanalyze.api.plotting import Plot
from vxlanalyze.diagnostics import diagnose
from vxlanalyze.errors import UsageError
from vxlanalyze.pairing.model import Comparison
from vxlanalyze.report.build import build
from vxlanalyze.report.model import Report
from vxlanalyze.report.plots import pictures


def report(pair: Comparison) -> Report:
    return build(pair, diagnose(pair, select=("window-limited",)))


def limited() -> Comparison:
    there, back = handshake()
    data, acks = rounds(40, 10, 9_984 >> 7)
    return comparison([*there, data], [*back, acks])


def test_a_slow_connection_is_a_bar_and_its_pieces_are_named():
    axes = Figure().subplots()
    Plot(report(limited()), None).waiting(ax=axes)

    assert "receive window" in axes.get_legend_handles_labels()[1]
    assert len(axes.texts) == 1
    assert "10.233.65.20:8080" in axes.texts[0].get_text()


def test_the_page_shows_it_where_somebody_feels_it():
    titles = [picture.title for picture in pictures.draw(report(limited())).pictures]

    assert "Where the time of connections goes" in titles


def test_without_tcp_there_is_nothing_to_draw():
    found = report(comparison([Traffic()], [Traffic()]))

    assert all("time of connections" not in picture.title for picture in pictures.draw(found).pictures)
    with pytest.raises(UsageError, match="no TCP connection"):
        Plot(found, None).waiting()
