"""What a mirror brought is said, with what it cut and lost; other captures say nothing."""

from dataclasses import replace

from tests.simulate import Traffic, comparison
from vxlanalyze.diagnostics.artefacts import mirrored_capture
from vxlanalyze.pairing.model import Comparison
from vxlanalyze.wire.mirrors import Mirror
from vxlanalyze.wire.model import Anomaly

_SWITCH = int.from_bytes(bytes([198, 51, 100, 1]), "little")
_COLLECTOR = int.from_bytes(bytes([198, 51, 100, 9]), "little")


def mirrored(**said: int) -> Comparison:
    mirror = Mirror((1, 41, 4, _SWITCH, 0, _COLLECTOR, 0), "ERSPAN", frames=20, **said)
    pair = comparison([Traffic(packets=20)])
    first, *others = pair.captures
    return replace(pair, captures=(replace(first, mirror=mirror), *others))


def test_found_with_session_and_source() -> None:
    (finding,) = mirrored_capture.check(mirrored(missing=3))

    assert "ERSPAN, session 41 from 198.51.100.1, 3 copies lost" in finding.summary
    assert finding.evidence["node1 lost_copies"].value == 3
    assert "Nothing is wrong" in finding.remedy


def test_what_the_mirror_cut_is_said() -> None:
    (finding,) = mirrored_capture.check(mirrored(cut=7, cut_at_bytes=512, others=2))

    assert "7 frames of node1 to 512 bytes" in finding.explanation
    assert "2 frames of the file belong to no mirror" in finding.explanation
    assert "copy whole packets" in finding.remedy


def test_clear_without_a_mirror() -> None:
    assert mirrored_capture.check(comparison([Traffic()], [Traffic()])) == []


def test_not_fooled_by_frames_that_the_snap_length_cut() -> None:
    cut = Traffic(anomalies=Anomaly.CUT.value)

    assert mirrored_capture.check(comparison([cut], facts={"node1": {"snaplen_bytes": 128}})) == []
