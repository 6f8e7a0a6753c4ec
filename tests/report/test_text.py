"""The text report: readable in 80 columns, in a pipe, without colour, in any character set."""

import re
from statistics import median

from rich.cells import cell_len

import vxlanalyze as vx
from tests.lab import __main__ as lab
from tests.report.fixed import HEALTHY, REPORT, capture, finding, hop
from tests.test_recorded import truth_of
from vxlanalyze.report.formats import as_text
from vxlanalyze.report.model import Report


def replaced(report: Report, **changes) -> Report:
    return Report(**{**vars(report), **changes})


def test_the_verdict_stands_first():
    assert as_text.render(HEALTHY).splitlines()[0] == HEALTHY.verdict


def test_a_summary_that_is_the_verdict_is_not_said_twice():
    first = finding("packet-loss", "warning")
    echoed = replaced(HEALTHY, findings=[first], verdict=f"{first['summary'].rstrip('.')}; also found: x.")
    said_apart = replaced(echoed, verdict="Something else is wrong.")

    assert " ".join(as_text.render(echoed).split()).count(first["summary"].rstrip(".")) == 1
    assert " ".join(as_text.render(said_apart).split()).count(first["summary"].rstrip(".")) == 1


def test_lines_fit_the_width_but_for_filters_that_must_paste():
    """And those in which a workflow command was made harmless, after they were laid out."""
    for width in (40, 60, 80, 120):
        lines = as_text.render(REPORT, width=width).splitlines()
        too_long = [line for line in lines if cell_len(line) > width]

        assert all(re.match(r" +(Filter: |\d+\. )", line) for line in too_long if r"\x3a" not in line)


def test_a_filter_is_one_line_however_long():
    terms = " || ".join(f"ip.addr == 10.0.0.{number}" for number in range(40))
    text = as_text.render(
        replaced(HEALTHY, findings=[finding("packet-loss", "warning", display_filter=terms)])
    )

    assert f"   Filter: {terms}\n" in text


def test_without_colour_there_is_no_escape():
    assert "\x1b" not in as_text.render(REPORT)


def test_colour_changes_nothing_but_colour():
    plain = re.sub(r"\x1b\[[0-9;]*m", "", as_text.render(REPORT, colour=True))

    assert plain == as_text.render(REPORT)


def test_ascii_alone_is_enough_for_what_the_program_draws():
    assert as_text.render(HEALTHY, ascii_only=True).isascii()


def test_wide_characters_keep_the_drawing_in_line():
    """Korean letters take two columns each."""
    named = replaced(
        HEALTHY,
        hops=[hop("노드하나", "node2"), hop("node2", "노드하나")],
        captures=[capture("노드하나", 10), capture("node2", 10)],
    )
    lines = as_text.render(named).splitlines()

    assert {cell_len(line) for line in lines if "│" in line} == {77}
    assert {cell_len(line) for line in lines if line.startswith("  노드하나 ")} == {78}


def test_consequences_stand_under_their_cause_and_are_not_numbered():
    text = as_text.render(REPORT)

    assert re.search(r"1\. CRITICAL mtu-blackhole.*Consequence: tcp-stalled: .*\n2\. ", text, re.DOTALL)
    assert not re.search(r"^\d\. WARNING tcp-stalled", text, re.MULTILINE)


def test_a_consequence_of_a_consequence_is_told_once():
    chain = [
        finding("a", "critical"),
        finding("b", "warning", because="a"),
        finding("c", "warning", because="b"),
    ]
    text = as_text.render(replaced(HEALTHY, findings=chain))

    assert [text.count(f"{name}: ") for name in ("- b", "- c")] == [1, 1]
    assert "Consequences:" in text


def test_a_finding_whose_cause_is_not_there_is_told_in_full():
    """So it is where --ignore or --only hid the cause."""
    alone = finding("tcp-stalled", "warning", because="path-blocked@node1>node2", remedy="Look there")
    text = as_text.render(replaced(HEALTHY, findings=[alone]))

    assert "1. WARNING tcp-stalled" in text
    assert "Look there" in text


def test_findings_that_blame_each_other_are_not_lost():
    circle = [finding("a", "critical", because="b"), finding("b", "critical", because="a")]
    text = as_text.render(replaced(HEALTHY, findings=circle))

    assert "CRITICAL a" in text
    assert "b: " in text


def test_what_was_not_assessed_is_never_left_out():
    assert "\nNot assessed: 3 checks" in as_text.render(REPORT)
    assert "path-blocked, packet-loss node2>node1: nothing was sent" in as_text.render(REPORT, verbose=True)


def test_the_remedy_comes_before_the_evidence():
    text = as_text.render(REPORT)

    assert text.index("Remedy: ") < text.index("Evidence: ") < text.index("Ruled out: ")


def test_one_fault_in_both_directions_is_one_finding():
    forward = finding("path-blocked", "critical", "node1>node2", remedy="Allow it:\nnode2# iptables -A a")
    reverse = finding("path-blocked", "critical", "node2>node1", remedy="Allow it:\nnode1# iptables -A b")
    effects = [
        finding("dns-unanswered", "warning", "node1>node2", because="path-blocked@node1>node2"),
        finding("tcp-stalled", "warning", "node2>node1", because="path-blocked@node2>node1"),
    ]
    text = as_text.render(replaced(HEALTHY, findings=[forward, reverse, *effects]))

    assert "1. CRITICAL path-blocked node1>node2 and node2>node1" in text
    assert "2. " not in text.replace("2. on node1: iptables -A b", "")
    assert "1. on node2: iptables -A a" in text
    assert [text.count(f"- {name}: ") for name in ("dns-unanswered", "tcp-stalled")] == [1, 1]


def test_a_sentence_that_both_directions_begin_with_appears_once():
    forward = finding("path-blocked", "critical", "node1>node2", remedy="Set it. Seen by 1:\nnode1# ip a")
    reverse = finding("path-blocked", "critical", "node2>node1", remedy="Set it. Seen by 2:\nnode2# ip a")

    shown = as_text.render(replaced(HEALTHY, findings=[forward, reverse]))

    assert shown.count("Set it.") == 1
    assert shown.index("1. on node1: ip a") < shown.index("Seen by 2:") < shown.index("2. on node2: ip a")


def test_what_both_directions_advise_is_said_once():
    forward = finding("path-blocked", "critical", "node1>node2", remedy="Set it.\nSee it at 2:\nnode2# ip a")
    reverse = finding("path-blocked", "critical", "node2>node1", remedy="Set it.\nSee it at 1:\nnode1# ip a")
    text = as_text.render(replaced(HEALTHY, findings=[forward, reverse]))

    assert text.count("Set it.") == 1
    assert "2. on node1: ip a" in text


def test_notes_take_a_line_each():
    notes = [finding("clock-offset", "info", summary="word " * 60), finding("nested-tunnel", "info")]
    lines = as_text.render(replaced(HEALTHY, findings=notes)).splitlines()
    (start,) = (number for number, line in enumerate(lines) if line.startswith("Note: clock-offset: "))

    assert lines[start].endswith("…")
    assert lines[start + 1].startswith("Note: nested-tunnel: ")


def test_verbose_leaves_nothing_out():
    long = finding("clock-offset", "info", summary="word " * 60 + "end")
    text = as_text.render(replaced(HEALTHY, findings=[long]), verbose=True)

    assert "end" in text.split()


def test_a_single_capture_has_no_path():
    text = as_text.render(replaced(HEALTHY, hops=[], clock=[], captures=[capture("node1", 12)]))

    assert "\nPath\n" not in text
    assert "node1: 12 packets (8 in the tunnel)" in text


def test_the_report_of_an_average_fault_fits_on_one_screen():
    faults = [folder for _, folder in lab.recordings() if truth_of(folder)["root"]]
    lines = []
    for folder in faults[::12]:
        captures = [folder / point["path"] for point in truth_of(folder)["captures"]]
        lines.append(len(str(vx.compare(*captures)).splitlines()))
    assert len(lines) >= 12
    assert median(lines) <= 50, sorted(lines)


def test_a_remedy_that_another_finding_has_is_referred_to():
    first, second = finding("packet-loss", "warning"), finding("outer-fragmentation", "warning")
    first["remedy"] = "Lower the MTU.\nnode1# ip link show"
    second["remedy"] = "Lower the MTU.\nnode2# ip link show"
    text = as_text.render(replaced(HEALTHY, findings=[first, second]))

    assert text.count("Lower the MTU.") == 1
    assert "As under 1." in text
    assert "on node2: ip link show" in text


def test_a_command_that_both_nodes_run_appears_once():
    fault = finding("packet-loss", "warning", remedy="Look:\nnode1# ip a\nnode1# ip r\nnode2# ip r")
    text = as_text.render(replaced(HEALTHY, findings=[fault]))

    assert "1. on node1: ip a\n" in text
    assert "2. on node1 and node2: ip r\n" in text
    assert "3. " not in text


def test_no_command_of_a_node_changes_its_place():
    fault = finding("packet-loss", "warning", remedy="Do:\nnode1# ip a\nnode2# ip b\nnode2# ip a")
    lines = as_text.render(replaced(HEALTHY, findings=[fault])).splitlines()

    assert [line.strip() for line in lines if ". on node" in line] == [
        "1. on node1: ip a",
        "2. on node2: ip b",
        "3. on node2: ip a",
    ]


def test_requests_that_all_fail_alike_are_not_listed():
    """They add nothing to their sum; --verbose lists them."""
    one = {**HEALTHY.services[0], "answered": 0, "unanswered": 4, "requests": 4, "refused": 0}
    both = [one, {**one, "client": "10.0.0.9"}]
    text = as_text.render(replaced(HEALTHY, services=both))
    verbose = as_text.render(replaced(HEALTHY, services=both), verbose=True)

    assert "Requests: 0 of 8 answered (all 2 client-server pairs: --verbose)\n" in text
    assert "10.0.0.9" not in text
    assert "10.0.0.9" in verbose


def test_frames_take_one_line():
    frames = {"node1": list(range(1_000_001, 1_000_040, 2)), "node2": list(range(2_000_001, 2_000_040, 2))}
    fault = finding("packet-loss", "warning")
    text = as_text.render(replaced(HEALTHY, findings=[{**fault, "frames": frames, "frame_count": 40}]))

    (line,) = (line for line in text.splitlines() if "Frames: " in line)
    assert line.endswith("(40 in all)")
    assert len(line) <= 80


def test_steps_that_an_earlier_finding_has_are_referred_to():
    first, second = finding("packet-loss", "warning"), finding("outer-fragmentation", "warning")
    first["remedy"] = "Look:\nnode1# ip a\nnode2# ip a\nThen:\nnode1# ip r"
    second["remedy"] = "Here too:\nnode1# ip r\nAnd:\nnode1# ip n"
    text = as_text.render(replaced(HEALTHY, findings=[first, second]))

    assert text.count("on node1: ip r\n") == 1
    assert "Here too:\n     Step 2 under 1.\n     And:\n     1. on node1: ip n\n" in text
