"""The verdict answers "what is wrong?" with numbers, or says what was examined, or why it cannot tell."""

from tests.report.fixed import capture, finding, hop
from vxlanalyze.report.verdict import verdict

CAPTURES = [capture("node1", 10), capture("node2", 12)]
BOTH_WAYS = [hop("node1", "node2"), hop("node2", "node1")]
NOTHING = hop("node1", "node2", sent=0, delivered=0, loss_ratio=None)


def test_the_first_finding_is_the_answer_with_its_most_probable_reason():
    found = [finding("path-blocked", "critical", "node1>node2", summary="None of 9 packets arrives.")]

    assert verdict(CAPTURES, BOTH_WAYS, found, []) == (
        "None of 9 packets arrives; most probably a firewall, security group or hypervisor between them "
        "drops the tunnel."
    )


def test_a_network_card_is_not_blamed_where_only_icmp_is_lost():
    found = [finding("protocol-blocked", "critical", "node1>node2", summary="ICMP is lost whole")]
    found[0]["evidence"] = {"lost_protocols": {"value": "ICMP", "unit": ""}}

    assert verdict(CAPTURES, BOTH_WAYS, found, []) == (
        "ICMP is lost whole; most probably a filter on the path that inspects the inner packet."
    )


def test_other_causes_are_named_and_consequences_are_not():
    found = [
        finding("mtu-blackhole", "critical", "node1>node2", summary="All 65 large packets are lost"),
        finding("reordering", "warning", "node2>node1"),
        finding("checksum-offload", "info", "node1>node2"),
        finding("tcp-stalled", "warning", because="mtu-blackhole@node1>node2"),
    ]

    assert verdict(CAPTURES, BOTH_WAYS, found, []) == (
        "All 65 large packets are lost; also found: reordering node2>node1."
    )


def test_nothing_wrong_is_said_with_what_was_examined():
    assert verdict(CAPTURES, BOTH_WAYS, [finding("checksum-offload", "info")], []) == (
        "Nothing is wrong in what the captures show: all 1,200 packets node1>node2 and all 1,200 packets "
        "node2>node1 arrived."
    )


def test_nothing_is_in_order_while_requests_are_unanswered_or_packets_never_arrive():
    silent = {"protocol": "dns", "client": "10.0.0.1", "server": "10.0.0.2:53", "service": None}
    silent |= {"requests": 17, "answered": 0, "refused": 0, "unanswered": 17, "latency_ns": {}}
    found = verdict(CAPTURES, BOTH_WAYS, [], [], [silent])
    assert found.startswith(
        "No cause was found, but not all is well: all 17 dns requests 10.0.0.1 > 10.0.0.2:53"
    )

    missing = [CAPTURES[0], capture("node2", 12, accounting={"judged": 8, "not-arrived": 4})]
    assert "4 unencapsulated pod packets in node2 never arrive" in verdict(missing, BOTH_WAYS, [], [])


def test_what_could_not_be_judged_is_never_shown_as_healthy():
    unsure = [{"code": "packet-loss", "direction": "node2>node1", "reason": "nothing was sent"}]

    assert verdict(CAPTURES, [BOTH_WAYS[0], NOTHING], [], unsure).endswith(
        "arrived; 1 of 2 directions could not be judged; 1 check could not be done."
    )


def test_loss_that_no_finding_names_is_not_called_healthy():
    """So it is with --ignore packet-loss."""
    lossy = hop("node1", "node2", lost=100, delivered=1100)

    assert verdict(CAPTURES, [lossy], [], []) == (
        "The cause cannot be determined: 100 of 1,200 packets node1>node2 did not arrive (no "
        "diagnostic explains it)."
    )


def test_losses_too_few_to_be_made_anything_of_are_told_with_the_reason():
    lossy = hop("node1", "node2", lost=2, delivered=0)
    unsure = {"code": "path-blocked", "direction": "node1>node2", "reason": "too few to decide from chance"}

    assert verdict(CAPTURES, [lossy], [], [unsure]).startswith(
        "The cause cannot be determined: 2 of 2 packets node1>node2 did not arrive (too few to "
        "decide from chance)"
    )


def test_where_the_summary_suspects_a_cause_no_other_is_called_probable():
    lossy = hop("node1", "node2", lost=100, delivered=1100)
    loss = finding("packet-loss", "warning", summary="100 packets are lost; perhaps a path is dead")
    loss["evidence"] = {"suspected": {"value": "ecmp-member-blocked", "unit": ""}}

    assert verdict(CAPTURES, [lossy], [loss], []) == "100 packets are lost; perhaps a path is dead."


def test_unknown_packets_and_damage_limit_what_nothing_wrong_means():
    cut = hop("node1", "node2", delivered=18, unknown=1182, unknown_reasons={"window": 1182})
    damage = finding("capture-damaged", "info", summary="node2 ends in the middle of a record")

    assert verdict(CAPTURES, [cut], [damage], []) == (
        "Nothing is wrong in what the captures show: all 18 packets node1>node2 arrived; "
        "1,182 packets outside the observation window; node2 ends in the middle of a record."
    )


def test_captures_that_tell_nothing_say_why():
    outside = hop("node1", "node2", delivered=0, unknown=1200, unknown_reasons={"window": 1200})
    unsure = {"code": "path-blocked", "direction": None, "reason": "nothing was sent"}
    blind = hop("node1", "node2", not_assessed="nothing tells node2's address")

    assert verdict(CAPTURES, [blind], [], []) == "Not determined: nothing tells node2's address."
    assert verdict(CAPTURES, [outside], [], []) == (
        "Not determined: no packet has a known fate: 1,200 packets outside the observation window."
    )
    assert verdict(CAPTURES, [NOTHING], [], [unsure]) == "Not determined: nothing was sent."
    assert verdict(CAPTURES, [NOTHING], [], []) == "Not determined: no packet is in both captures."


def test_one_capture_needs_a_second():
    assert verdict(CAPTURES[:1], [], [], []) == (
        "No fault shows in node1 alone (10 packets); loss can only be determined with a second capture."
    )


def test_a_finding_of_one_capture_says_that_a_second_is_missing():
    said = verdict(CAPTURES[:1], [], [finding("dns-unanswered", "warning")], [])

    assert said.endswith("only node1 was captured: a second capture would show where packets die.")
    assert "second capture" not in verdict(CAPTURES, [], [finding("dns-unanswered", "warning")], [])
