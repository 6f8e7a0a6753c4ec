"""The next probe tells most for its time, and every outcome says what is left."""

import re
import shutil
import subprocess

import pytest

from tests.command.conftest import SEED
from vxlanalyze.api.comparing import compare
from vxlanalyze.diagnostics import DIAGNOSTICS
from vxlanalyze.export.redaction.addresses import AddressCipher
from vxlanalyze.export.redaction.wording import Wording
from vxlanalyze.planning import next_probe
from vxlanalyze.planning.probes import Case, best
from vxlanalyze.planning.questions import DECIDED, QUESTIONS
from vxlanalyze.planning.questions.inside import NOT_ANSWERED
from vxlanalyze.planning.questions.path import PATH_BLOCKED
from vxlanalyze.planning.questions.size import MTU

each_question = pytest.mark.parametrize("question", QUESTIONS, ids=lambda question: question.code)


def test_every_diagnostic_declares_what_would_decide_it_or_that_nothing_is_open():
    codes = {diagnostic.code for diagnostic in DIAGNOSTICS}
    asked = {question.code for question in QUESTIONS}

    assert asked | set(DECIDED) == codes
    assert not asked & set(DECIDED)


def case(**evidence: object) -> Case:
    figures = {name: {"value": value, "unit": ""} for name, value in evidence.items()}
    finding = {"code": "", "severity": "critical", "direction": "node1>node2", "evidence": figures}
    finding |= {"summary": "1 connection (10.244.1.4 to 10.244.2.9 port 80)", "because": None}
    ends = ("10.0.0.1", "10.0.0.2", 8472, "10.244.2.9", "10.244.1.4", ("node1", "node2"))
    return Case(finding, "node1", "node2", *ends)


FIGURES = {
    "blocked": "TCP port 8080 of 10.244.2.9",
    "from": "2026-11-24T00:19:25.151Z",
    "groups": "239.1.1.1",
    "refused_port": "8472",
    "mac": "0e:9c:41:7b:05:77",
    "sent_to": "10.43.0.53:53",
    "server": "10.244.2.9 port 80",
    "receiver": "10.244.2.9",
}


@each_question
def test_outcomes_name_explanations_of_the_question(question):
    for test in question.tests:
        left = {key for outcome in test.outcomes for key in outcome.leaves}

        assert left == set(question.explanations), test.title


def test_what_facts_or_another_finding_explain_leaves_nothing_open():
    report = compare(SEED / "node1.pcap.gz", SEED / "node2.pcap.gz").report
    (finding,) = (f for f in report.findings if f["code"] == "path-blocked")
    left = finding["open"]
    cited = {
        **finding,
        "evidence": {**finding["evidence"], "fact_1": {"value": "nft.txt, line 3", "unit": ""}},
    }

    assert len(left["explanations"]) == 4
    assert left["probe"]["title"] == "other datagrams on the tunnel's port"
    assert {step["node"] for step in left["probe"]["steps"]} == {"node1", "node2"}
    assert next_probe.open_in(report, {**finding, "because": "mtu-blackhole"}) is None
    assert next_probe.open_in(report, cited) is None


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


def test_every_command_is_one_for_a_shell():
    steps = [step for q in QUESTIONS for test in q.tests for _, step in test.steps(case(**FIGURES))]
    shells = subprocess.run(
        ["sh", "-n"], input="\n".join(step.command for step in steps), text=True, check=False
    )

    assert shells.returncode == 0


@each_question
def test_every_probe_has_commands_where_the_report_shows_what_they_need(question):
    for test in question.tests:
        steps = test.steps(case(**FIGURES))

        assert steps, test.title
        assert all(node in ("", "node1", "node2") for node, _ in steps)


@each_question
def test_probes_without_what_they_need_are_left_out(question):
    """Rather than with a placeholder in the place of an address."""
    poor = Case(
        {**case().finding, "summary": "", "evidence": {}}, "a", "b", "1.1.1.1", "1.1.1.2", None, "", ""
    )
    for test in question.tests:
        for _, step in test.steps(poor):
            assert not re.search(r"\b(None|ENDPOINT|SOURCE)\b|''", step.command), step.command


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


def test_redaction_leaves_the_words_of_commands():
    """What it would take for a domain name would be replaced, and the command would not run."""
    wording = Wording(AddressCipher(b"key" * 11))
    told = FIGURES | {"blocked": "", "refused_port": 8472, "mac": "", "sent_to": ""}
    commands = [step.command for q in QUESTIONS for test in q.tests for _, step in test.steps(case(**told))]

    for command in commands:
        kept = re.sub(r"\d+(\.\d+){3}", "ADDRESS", command)
        assert re.sub(r"\d+(\.\d+){3}", "ADDRESS", wording.text(command)) == kept
