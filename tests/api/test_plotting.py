"""A comparison draws itself."""

from pathlib import Path

import matplotlib as mpl
import pytest

mpl.use("Agg")

from matplotlib import pyplot

import vxlanalyze as vx
from vxlanalyze.errors import UsageError

SAMPLES = Path(__file__).parent.parent.parent / "sample_pcaps"


@pytest.fixture(scope="module")
def result():
    folder = SAMPLES / "mtu-blackhole"
    return vx.compare(str(folder / "node1.pcap.gz"), str(folder / "node2.pcap.gz"))


@pytest.mark.parametrize("picture", ["timeline", "delay", "loss_by_size", "sequence", "ladder"])
def test_each_picture_has_labelled_axes(result, picture):
    axes = getattr(result.plot, picture)()

    assert axes.get_title() or axes.get_xlabel() or axes.texts
    pyplot.close("all")


def test_a_picture_goes_where_it_is_told(result):
    _, mine = pyplot.subplots()

    assert result.plot.timeline(ax=mine) is mine
    pyplot.close("all")


def test_an_unknown_direction_is_named_with_the_known_ones(result):
    with pytest.raises(UsageError, match="node1>node2"):
        result.plot.timeline("a>b")


def test_it_shows_itself_as_html(result):
    assert result._repr_html_().startswith("<iframe")
    assert "mtu-blackhole" in result._repr_html_()
