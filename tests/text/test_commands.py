"""A remedy is sentences and commands, each on a line of its own with its node."""

from vxlanalyze.report.formats.as_markdown import remedy as as_markdown
from vxlanalyze.report.page import Page
from vxlanalyze.text import commands, formatting

REMEDY = (
    "Allow the peer."
    + commands.on("node2", "iptables -I INPUT -s 10.0.0.1 -p udp -j ACCEPT")
    + "\nThen look at the pods."
    + commands.anywhere("kubectl get pods -A -o wide")
)


def test_commands_are_told_from_sentences():
    assert [(s.node, s.command) for s in commands.steps(REMEDY)] == [
        ("", ""),
        ("node2", "iptables -I INPUT -s 10.0.0.1 -p udp -j ACCEPT"),
        ("", ""),
        ("", "kubectl get pods -A -o wide"),
    ]
    assert commands.steps("Costs $ 5 and # of pods.") == [commands.RemedyStep("Costs $ 5 and # of pods.")]


def test_a_firewall_rule_names_its_peer_and_how_to_undo_it():
    written = commands.allow("node2", ["10.0.0.1", "fd00::1"], "-p esp")
    assert written.splitlines()[1:] == [
        "node2# iptables -I INPUT -s 10.0.0.1 -p esp -j ACCEPT",
        "node2# ip6tables -I INPUT -s fd00::1 -p esp -j ACCEPT",
        "To undo it:",
        "node2# iptables -D INPUT -s 10.0.0.1 -p esp -j ACCEPT",
        "node2# ip6tables -D INPUT -s fd00::1 -p esp -j ACCEPT",
    ]


def test_text_numbers_commands_and_keeps_each_on_one_line():
    page = Page(40)
    page.remedy(REMEDY, indent=3)
    lines = page.render().splitlines()
    assert "     1. on node2: iptables -I INPUT -s 10.0.0.1 -p udp -j ACCEPT" in lines
    assert "     2. kubectl get pods -A -o wide" in lines


def test_html_and_markdown_list_them():
    html = str(formatting.remedy(REMEDY))
    assert html.count("<ol") == html.count("</ol>") == 2
    assert 'start="2"' in html
    assert "<code>kubectl get pods -A -o wide</code>" in html
    assert "2. `kubectl get pods -A -o wide`" in as_markdown(REMEDY)


def test_html_escapes_what_stands_in_commands():
    assert "<script>" not in str(formatting.remedy(commands.on("n", "echo <script>")))
