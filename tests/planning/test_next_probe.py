"""The next probe tells most for its time, and every outcome says what is left."""

import re
import shutil
import subprocess

import pytest

from tests.command.conftest import SEED
from vxlanalyze.api.comparing import compare
from vxlanalyze.planning import next_probe
from vxlanalyze.planning.probes import Case, best
from vxlanalyze.planning.questions import MTU, NOT_ANSWERED, PATH_BLOCKED, QUESTIONS

each_question = pytest.mark.parametrize("question", QUESTIONS, ids=lambda question: question.code)


def case(**evidence: object) -> Case:
    figures = {name: {"value": value, "unit": ""} for name, value in evidence.items()}
    finding = {"code": "", "direction": "node1>node2", "evidence": figures}
    return Case(finding, "node1", "node2", "10.0.0.1", "10.0.0.2", 8472, "10.244.2.9", "10.244.1.4")


@each_question
def test_outcomes_name_explanations_of_the_question(question):
    for test in question.tests:
        left = {key for outcome in test.outcomes for key in outcome.leaves}

        assert left == set(question.explanations), test.title


@each_question
def test_tests_lead_to_one_explanation_at_last(question):
    """Whatever is the cause, the tests in their order tell it from the rest, or say that they cannot."""
    for cause in question.explanations:
        keys, asked = set(question.explanations), 0
        while (test := best(question, sorted(keys))) is not None and asked < 10:
            outcome = next(o for o in test.outcomes if cause in o.leaves)
            keys &= set(outcome.leaves)
            asked += 1

        assert cause in keys
        assert best(question, sorted(keys)) is None


@each_question
def test_every_command_is_one_for_a_shell(question):
    for test in question.tests:
        for _, step in test.steps(case()):
            assert subprocess.run(["sh", "-n", "-c", step.command], check=False).returncode == 0


@pytest.mark.skipif(not shutil.which("tcpdump"), reason="tcpdump is not installed")
def test_filters_compile():
    for address in ("10.0.0.1", "fd00::1"):
        ends = Case({"evidence": {}}, "a", "b", address, address, 8472, address, address)
        for _, step in PATH_BLOCKED.tests[0].steps(ends):
            for rule in re.findall(r"'(src host [^']*)'", step.command):
                subprocess.run(["tcpdump", "-d", rule], check=True, capture_output=True)


def test_what_the_evidence_excludes_is_not_open():
    assert PATH_BLOCKED.still_open(case(others_delivered=3)) == ("payload",)
    assert "firewall" not in NOT_ANSWERED.still_open(case(taken_out_of_tunnel="yes"))


def test_the_size_of_the_ping_is_that_of_the_smallest_lost_packet():
    (step,) = (s for t in MTU.tests for _, s in t.steps(case(smallest_lost=1450)) if "ping" in s.command)

    assert step.command == "ping -M do -c 3 -s 1422 10.0.0.2"


def test_the_seed_s_report_leaves_the_filter_open():
    text = next_probe.render(compare(SEED / "node1.pcap.gz", SEED / "node2.pcap.gz").report)

    assert text.startswith("path-blocked@node1>node2: ")
    assert "src host 172.26.50.200 and udp dst port 8472" in text
    assert "/dev/udp/172.26.50.201/8472" in text
