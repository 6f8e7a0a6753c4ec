"""What the files themselves limit: damage, snap lengths."""

from tests.simulate import Traffic, comparison
from vxlanalyze.analysis.finding import Finding, Severity
from vxlanalyze.capture.model import Damage, File
from vxlanalyze.diagnostics.limits import capture_damaged, truncated_capture
from vxlanalyze.pairing.model import Comparison
from vxlanalyze.wire.model import Anomaly

CUT, HEADER_CUT = Anomaly.CUT.value, (Anomaly.CUT | Anomaly.HEADER_CUT).value


def damaged(*damages: Damage, compression: str | None = None) -> Comparison:
    file = File("node2.pcap", 1_000_000, "pcap", compression)
    return comparison([Traffic()], facts={"node2": {"damages": damages, "files": (file,)}})


def found(answers) -> Finding:
    (finding,) = answers
    assert isinstance(finding, Finding)
    return finding


def test_damage_in_the_middle_is_a_warning_with_its_place():
    pair = damaged(Damage("node2.pcap", 20_048, "a record claims 946581811 captured bytes", 23_156))
    finding = found(capture_damaged.check(pair))

    assert finding.severity == Severity.WARNING
    assert "node2.pcap, byte 20,048: a record claims" in finding.summary
    assert finding.evidence["left_out"].value == 3108


def test_a_file_that_ends_within_a_record_is_only_said():
    finding = found(
        capture_damaged.check(damaged(Damage("node2.pcap", 999_900, "86 of 116 bytes are there")))
    )

    assert finding.severity == Severity.INFO
    assert "ends in the middle of a record" in finding.summary


def test_a_file_given_up_far_before_its_end_is_a_warning():
    finding = found(
        capture_damaged.check(damaged(Damage("node2.pcap", 100_000, "more than 1000 damaged places")))
    )

    assert finding.severity == Severity.WARNING
    assert finding.evidence["left_out"].value == 900_000


def test_damage_of_a_compressed_file_is_a_warning_since_nobody_knows_how_much_is_gone():
    pair = damaged(Damage("node2.pcap", 999_900, "the compressed data ends"), compression="gzip")

    assert found(capture_damaged.check(pair)).severity == Severity.WARNING


def test_sound_files_are_clear():
    assert capture_damaged.check(damaged()) == []


def test_short_snap_lengths_are_not_taken_for_damage():
    pair = comparison([Traffic(packets=10, anomalies=CUT)], facts={"node1": {"snaplen_bytes": 128}})

    assert capture_damaged.check(pair) == []


def test_cut_payload_is_only_said():
    finding = found(
        truncated_capture.check(
            comparison([Traffic(packets=10, anomalies=CUT)], facts={"node1": {"snaplen_bytes": 128}})
        )
    )

    assert finding.severity == Severity.INFO
    assert "all 20 frames are cut at 128 bytes; all headers are there" in finding.summary
    assert finding.evidence["cut_frames"].value == 20


def test_cut_headers_are_a_warning():
    finding = found(
        truncated_capture.check(comparison([Traffic(packets=4, anomalies=[CUT, HEADER_CUT] * 2)]))
    )

    assert finding.severity == Severity.WARNING
    assert finding.evidence["cut_headers"].value == 4
    assert finding.frames["node1"].tolist() == [2, 4]


def test_whole_frames_are_clear_whatever_the_snap_length():
    assert truncated_capture.check(comparison([Traffic()], facts={"node1": {"snaplen_bytes": None}})) == []


def test_a_lying_length_is_no_cut():
    assert truncated_capture.check(comparison([Traffic(anomalies=Anomaly.LENGTH_LIES.value)])) == []
