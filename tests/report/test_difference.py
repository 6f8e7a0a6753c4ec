"""Two reports, before and after a change."""

from dataclasses import replace

from tests.diagnostics.performance.streams import handshake, rounds
from tests.simulate import Traffic, comparison
from vxlanalyze.diagnostics import diagnose
from vxlanalyze.pairing.model import Comparison
from vxlanalyze.report.build import build
from vxlanalyze.report.difference import difference
from vxlanalyze.report.model import Report


def report(pair: Comparison, select: tuple[str, ...] | None = None) -> Report:
    return build(pair, diagnose(pair, select=select), plots=False)


def transfer(window: int, segments: int = 10) -> Report:
    there, back = handshake()
    data, acks = rounds(400 // segments, segments, window)
    return report(comparison([*there, data], [*back, acks]))


def losing(share: float, packets: int = 2000, **more) -> Report:
    lost = [i * share % 1 + share >= 1 for i in range(packets)]
    return report(comparison([Traffic(packets=packets, lost=lost)], [Traffic()]), **more)


def test_what_is_gone_is_fixed():
    found = difference(transfer(9_984 >> 7), transfer(500, segments=40))

    assert found.verdict == "Fixed: window-limited@node1>node2; nothing new."
    assert [change.about for change in found.of("fixed")] == ["window-limited@node1>node2"]
    (faster,) = [change for change in found.of("better") if "throughput" in change.text]
    assert "10.233.65.20:8080" in faster.about
    assert "window -> congestion" in faster.text


def test_the_same_fault_is_not_fixed_and_is_told_once():
    before = transfer(9_984 >> 7)
    found = difference(before, before)

    assert found.verdict.startswith("Not fixed")
    assert str(found).count("per round trip") == 1


def test_more_loss_is_worse_and_less_is_better():
    assert any("loss" in change.text for change in difference(losing(0.01), losing(0.2)).of("worse"))
    assert any("loss" in change.text for change in difference(losing(0.2), losing(0.01)).of("better"))


def test_the_same_loss_is_no_change():
    found = difference(losing(0.05), losing(0.051))

    assert found.of("worse") == found.of("better") == []


def test_what_was_not_checked_again_is_not_known():
    found = difference(losing(0.05), losing(0.0, select=("path-blocked",)))

    (unsure,) = found.of("not known")
    assert "not checked" in unsure.text
    assert found.verdict.startswith("Not known")


def test_a_few_packets_do_not_show_that_it_is_fixed():
    found = difference(losing(0.05), losing(0.0, packets=5))

    assert "too few" in found.of("not known")[0].text


def test_nothing_before_and_nothing_now():
    assert "Nothing was wrong before" in difference(losing(0.0), losing(0.0)).verdict


def test_a_report_of_an_earlier_version_can_be_compared():
    before = replace(transfer(9_984 >> 7), connections=[])

    assert difference(before, transfer(500, segments=40)).of("fixed")
