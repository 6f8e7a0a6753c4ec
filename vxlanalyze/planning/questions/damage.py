"""Open questions where packets arrive damaged, or with invalid checksums."""

from vxlanalyze.planning import commands as run
from vxlanalyze.planning.model import Step
from vxlanalyze.planning.probes import Case, Question, Steps, probe
from vxlanalyze.planning.questions.path import between


def _errors(case: Case) -> Steps:
    counted = "grep -iE '(err|crc|fcs|symbol)[^:]*: [1-9]'"
    near, far = run.device_to(case.far_address), run.device_to(case.near_address)
    return (
        (case.far_node, run.growing(f"ethtool -S {far} | {counted}")),
        (case.near_node, run.growing(f"ethtool -S {near} | {counted}")),
    )


def _switched(case: Case, *features: str) -> Steps:
    """Disable offloads of the sending card, and enable them again."""
    device = run.device_to(case.far_address)
    off = [Step(f"ethtool -K {device} {feature} off", "then repeat the transfer") for feature in features]
    on = [Step(f"ethtool -K {device} {feature} on", "afterwards") for feature in features]
    return tuple((case.near_node, step) for step in (*off, *on))


CORRUPTED = Question(
    "corrupted-in-transit",
    {
        "near": "the sending NIC damages them (offload, driver, memory)",
        "link": "a link damages them (optics, cables); the NICs' frame checksum errors would show it",
        "device": "a device between the nodes rewrites them, or damages them in its memory",
    },
    between("near", "link", "device"),
    (
        probe(
            "error counters of both NICs while the traffic runs",
            1,
            _errors,
            ("one rises", "link"),
            ("none rises", "near device"),
        ),
        probe(
            "the sender's offloads",
            1.5,
            lambda case: _switched(case, "tx", "tx-udp_tnl-segmentation"),
            ("with them off, the packets arrive unchanged", "near"),
            ("nothing changes", "link device"),
        ),
    ),
)


def _translations(case: Case) -> Steps:
    counted = "iptables-save -t nat -c | grep -E 'MASQUERADE|SNAT'"
    return ((case.near_node, run.growing(counted, "while tunnel packets leave")),)


OUTER_CHECKSUM = Question(
    "outer-checksum-bad",
    {
        "nat": "the sending kernel translates the tunnel's own packets and leaves an invalid checksum",
        "offload": "the sending NIC, or segmentation in software, computes them incorrectly",
    },
    lambda case: between("nat", "offload")(case) if case.value("kind") == "wrong when it left" else (),
    (
        probe(
            "rules that translate",
            1,
            _translations,
            ("the counter of a rule rises with the tunnel packets", "nat"),
            ("none rises", "offload"),
        ),
    ),
)
INNER_CHECKSUM = Question(
    "inner-checksum-bad",
    {
        "segments": "the NIC computes them incorrectly only where it segments",
        "all": "the NIC or the hypervisor computes all of them incorrectly",
    },
    lambda case: between("segments", "all")(case) if "card" in str(case.value("where")) else (),
    (
        probe(
            "segmentation by the kernel",
            1,
            lambda case: _switched(case, "tx-udp_tnl-segmentation"),
            ("with it off, checksums are valid", "segments"),
            ("they are still invalid", "all"),
        ),
    ),
)


def _joining(case: Case) -> Steps:
    wanted = "rx-gro-hw|large-receive-offload|rx-udp-gro-forwarding|rx-udp_tunnel"
    return ((case.far_node, Step(f"ethtool -k {run.device_to(case.near_address)} | grep -E '{wanted}'")),)


MERGED = Question(
    "merged-datagram",
    {
        "card": "the receiving NIC or its hypervisor merges datagrams (hardware GRO, LRO)",
        "kernel": "the receiving kernel merges them (UDP GRO forwarding)",
    },
    between("card", "kernel"),
    (
        probe(
            "which offloads are on",
            0.3,
            _joining,
            ("rx-udp-gro-forwarding is on", "kernel"),
            ("it is off", "card"),
        ),
    ),
)
DAMAGE_QUESTIONS = (CORRUPTED, OUTER_CHECKSUM, INNER_CHECKSUM, MERGED)
