"""What next probes print, saved as a terminal shows it, is read by the command above it."""

import pytest

from tests.planning.test_next_probe import case
from vxlanalyze.kubernetes.facts import read_facts
from vxlanalyze.planning import commands


def facts(tmp_path, *sessions: str):
    (tmp_path / "probe.txt").write_text("".join(sessions))
    return read_facts("node2", tmp_path)


def test_rules_that_counted_are_one_table_with_the_chains_they_enter(tmp_path):
    (step,) = commands.rules_that_count(case())
    counted = (
        "*filter [3:402] -A HOST-FIREWALL -p udp -m udp --dport 8472 -j DROP\n"
        "*filter [3:402] -A INPUT -j HOST-FIREWALL\n"
    )
    (fact,) = facts(tmp_path, f"root@node2:~# {step.command}\n", counted)

    assert fact.kind == "firewall"
    assert [row["chain"] for row in fact.rows if "policy" in row][:3] == ["INPUT", "FORWARD", "PREROUTING"]
    rules = [row for row in fact.rows if "policy" not in row]
    assert [(row["chain"], row["target"], row["line"]) for row in rules] == [
        ("HOST-FIREWALL", "DROP", "2"),
        ("INPUT", "HOST-FIREWALL", "3"),
    ]


def test_increases_of_nstat_are_no_totals(tmp_path):
    step = commands.rising("TcpExtIPReversePathFilter UdpNoPorts")
    printed = "#kernel\nUdpNoPorts              0      0.0\nTcpExtIPReversePathFilter       3      0.0\n"
    (fact,) = facts(tmp_path, f"$ {step.command}\n", printed)

    assert [(r["name"], r["value"], r["rise"]) for r in fact.rows] == [
        ("UdpNoPorts", "0", "yes"),
        ("TcpExtIPReversePathFilter", "3", "yes"),
    ]


CORE = "cpu=0   \tfound=0 invalid=0 insert=0 insert_failed={failed} drop={drop} early_drop=0 error=0\n"


@pytest.mark.parametrize(
    ("command", "printed", "rises"),
    [
        (
            "conntrack -S",
            f"1c1\n< {CORE.format(failed=1, drop=0)}---\n> {CORE.format(failed=1, drop=7)}",
            {"conntrack drop": "7"},
        ),
        (
            "cat /proc/net/softnet_stat",
            f"2c2\n< 000ee17c 00000000{' 00000000' * 11}\n---\n> 000ee2d0 0000011e{' 00000000' * 11}\n",
            {"softnet dropped": "286"},
        ),
        (
            "ethtool -S eth0 | grep -i drop",
            "1c1\n<      rx_dropped: 4\n---\n>      rx_dropped: 9\n",
            {"ethtool rx_dropped": "5"},
        ),
        ("conntrack -S", "", {}),
    ],
)
def test_lines_that_changed_are_increases(tmp_path, command, printed, rises):
    found = facts(tmp_path, f"node2# {commands.growing(command).command}\n", printed)

    assert {row["name"]: row["value"] for fact in found for row in fact.rows} == rises


@pytest.mark.parametrize(("listed", "nothing"), [("", "8472"), ("UNCONN 0 0 0.0.0.0:8472 0.0.0.0:*\n", None)])
def test_nothing_listed_says_that_nothing_listens(tmp_path, listed, nothing):
    header = "State Recv-Q Send-Q Local Address:Port Peer Address:PortProcess\n"
    (fact,) = facts(tmp_path, "node2# ss -lun sport = :8472\n", header, listed)

    assert fact.rows[0].get("nothing_on") == nothing
