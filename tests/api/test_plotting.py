"""``result.plot``: every plot returns its Axes, draws onto given ones, and says what it cannot draw."""

from collections.abc import Iterator

import matplotlib as mpl
import pytest
from matplotlib import pyplot
from matplotlib.axes import Axes

from tests.report.broken_pair import broken, report
from vxlanalyze.api.plotting import Plot
from vxlanalyze.errors import UsageError
from vxlanalyze.export.tables import flows_frame
from vxlanalyze.pairing.model import Comparison

PAIR = broken()
REPORT = report(PAIR)
METHODS = ("timeline", "delay", "loss_by_size", "sequence", "ladder")


@pytest.fixture(autouse=True)
def headless() -> Iterator[None]:
    before = mpl.get_backend()
    pyplot.switch_backend("agg")
    yield
    pyplot.close("all")
    pyplot.switch_backend(before)


def plot(comparison: Comparison | None = PAIR) -> Plot:
    return Plot(REPORT, comparison)


def written(axes: Axes) -> list[str]:
    return [axes.get_title(loc="left"), *(text.get_text() for text in axes.texts)]


@pytest.mark.parametrize("method", METHODS)
def test_each_plot_returns_axes_of_a_figure_of_its_own(method: str):
    axes = getattr(plot(), method)()

    assert isinstance(axes, Axes)
    assert axes.figure.number in pyplot.get_fignums()


@pytest.mark.parametrize("method", METHODS)
def test_each_plot_draws_onto_given_axes(method: str):
    _, axes = pyplot.subplots()

    assert getattr(plot(), method)(ax=axes) is axes


@pytest.mark.parametrize("method", METHODS)
def test_a_loaded_report_is_drawn_as_well(method: str):
    assert isinstance(getattr(plot(None), method)(), Axes)


def test_the_direction_that_lost_most_is_drawn_first():
    assert "node1>node2" in written(plot().loss_by_size())


def test_a_direction_can_be_chosen():
    assert "node2>node1" in written(plot().loss_by_size("node2>node1"))


def test_a_direction_that_is_not_there_is_named_with_those_that_are():
    with pytest.raises(UsageError, match=r"no direction node1>node3; these are: node1>node2, node2>node1"):
        plot().timeline("node1>node3")


@pytest.mark.parametrize("number", range(4))
def test_any_row_of_flows_can_be_drawn(number: int):
    row = flows_frame(PAIR).iloc[number]

    by_number, by_row = plot().ladder(number), plot().ladder(row)

    assert written(by_number) == written(by_row)
    assert any(str(row["src"]) in text for text in written(by_row))
    assert isinstance(plot().sequence(row), Axes)


def test_a_flow_is_drawn_as_a_row_however_the_row_was_taken():
    flows = flows_frame(PAIR)
    rows = (flows.iloc[1], flows.iloc[[1]], next(flows.iloc[[1]].itertuples()), flows.iloc[1].to_dict())

    assert len({tuple(written(plot().ladder(row))) for row in rows}) == 1


def test_one_flow_is_drawn_at_a_time():
    with pytest.raises(UsageError, match="one flow is drawn, and 4 are given"):
        plot().sequence(flows_frame(PAIR))


@pytest.mark.parametrize("number", [4, -1])
def test_a_row_that_is_not_there_is_said(number: int):
    with pytest.raises(UsageError, match=f"no flow {number}; flows has 4 rows"):
        plot().sequence(number)


def test_a_finding_can_be_drawn_by_its_key():
    by_code = plot().ladder("mtu-blackhole")
    by_key = plot().ladder("mtu-blackhole@node1>node2")

    assert written(by_code) == written(by_key)


def test_a_finding_without_packets_is_said():
    with pytest.raises(
        UsageError, match=r"no packets are kept of tcp-stalled; there are some of: mtu-blackhole"
    ):
        plot().ladder("tcp-stalled")


def test_a_loaded_report_has_no_other_flows():
    with pytest.raises(UsageError, match="a loaded report has no packets"):
        plot(None).sequence({"direction": "node1>node2"})


def test_a_flow_that_is_not_there_is_said():
    row = {**flows_frame(PAIR).iloc[0].to_dict(), "dport": 1}

    with pytest.raises(UsageError, match="no packet was sent node1>node2 of a flow with src 10"):
        plot().sequence(row)
