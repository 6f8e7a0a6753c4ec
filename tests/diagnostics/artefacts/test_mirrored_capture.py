"""What a mirror brought is said, with what it cut and lost; other captures say nothing."""

from dataclasses import replace
from pathlib import Path

import vxlanalyze as vx
from tests.reported import mirrors as made
from tests.simulate import Traffic, comparison
from tests.wire.test_mirrors import underlay, write
from vxlanalyze.diagnostics.artefacts import mirrored_capture
from vxlanalyze.pairing.model import Comparison
from vxlanalyze.wire.mirrors import Mirror
from vxlanalyze.wire.model import Anomaly

_SWITCH = int.from_bytes(bytes([198, 51, 100, 1]), "little")
_COLLECTOR = int.from_bytes(bytes([198, 51, 100, 9]), "little")


def mirrored(**said: int | None) -> Comparison:
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
    assert "2 frames of the file do not belong to a mirror" in finding.explanation
    assert "copy whole packets" in finding.remedy


def test_clear_without_a_mirror() -> None:
    assert mirrored_capture.check(comparison([Traffic()], [Traffic()])) == []


def test_not_fooled_by_frames_that_the_snap_length_cut() -> None:
    cut = Traffic(anomalies=Anomaly.CUT.value)

    assert mirrored_capture.check(comparison([cut], facts={"node1": {"snaplen_bytes": 128}})) == []


def codes(tmp_path: Path, frames: list[bytes]) -> set[str]:
    return {finding.code for finding in vx.compare(write(tmp_path / "collector.pcap", frames)).findings}


def test_found_in_a_collectors_file(tmp_path: Path) -> None:
    frames = [made.aws(1, number, underlay(number % 2 == 0, number)) for number in range(8)]

    assert "mirrored-capture" in codes(tmp_path, frames)


def test_one_direction_alone_cannot_tell_a_mirror_from_a_tunnel(tmp_path: Path) -> None:
    """VXLAN around VXLAN, all to one address: a tunnel in a tunnel looks the same."""
    found = codes(tmp_path, [made.aws(1, number, underlay(number=number)) for number in range(8)])

    assert "mirrored-capture" not in found
    assert "nested-tunnel" in found


def test_copies_without_numbers_cannot_tell_which_were_lost() -> None:
    """The reason why no figure of lost copies is given, rather than 0."""
    (finding,) = mirrored_capture.check(mirrored(missing=None))

    assert not any("lost" in name for name in finding.evidence)
    assert "lost" not in finding.summary


def test_not_fooled_by_a_tunnel_in_a_tunnel(tmp_path: Path) -> None:
    """Hosts that carry an overlay of their guests' overlay: each direction goes to another address."""
    frames = []
    for number in range(8):
        frame = made.aws(1, number, underlay(number % 2 == 0, number))
        if number % 2:
            frame = frame[:26] + frame[30:34] + frame[26:30] + frame[34:]
        frames.append(frame)
    found = codes(tmp_path, frames)

    assert "mirrored-capture" not in found
    assert "nested-tunnel" in found
