"""Answers are late because of the server's end, not the path.

What it checks
    Which requests arrived in time but were answered late, and was it the server or its entire node?
Why it matters
    "The network is slow" usually means a slow server, a resolver that waits for another one, a full listen
    queue, or a node that sends nothing for a while. The captures show how much of each wait was on the path,
    so the right team is called.
How it decides
    Measured in the capture of the server's node, from the last byte of the request to the first of the
    answer. TCP: by the framing of HTTP/1, HTTP/2 (gRPC) and TLS, so requests that share a connection are
    distinguished; otherwise by changes of direction. SYN: from its first copy; DNS and echo: from the copy
    that was answered. It is reported from one second on, or where a server takes 300 ms or more for most of
    its answers, at least three. Where the node sent nothing at all to its peer in that time although more
    packets arrived, the node was silent.
When it cannot tell
    TCP headers are cut by the snap length. The server's end was not captured: then its time and the path's
    cannot be separated exactly. Where framing is encrypted (HTTP/2 in TLS), unknown or cut, requests that
    share a connection only show the first wait. Calls that stream messages are not judged.
What looks like it
    Loss: the request or the answer is retransmitted. A receiver that does not read (`zero-window`). A long
    poll or a subscription, which is held on purpose: waits of a minute or more count as that, half a second
    of Kafka, and whole seconds of Redis. A server that pushes: a note, if the start of the connection was not
    captured. A client that pauses between two requests. A path that became longer (`delay-spike`).
What to do
    For a slow server, check its own logs and traces, processor limits (throttling), and what it waits for.
    For SYNs answered late, check its listen queue. For a silent node, check its neighbour table, processor
    and soft interrupts at that time.
Sources
    RFC 9293 section 3.5; RFC 1035; projectcalico/calico issues 9450 and 4743; cilium/cilium issues 18169,
    28413.
"""

from collections.abc import Iterator, Sequence

import numpy as np

from vxlanalyze.analysis import exhibits
from vxlanalyze.analysis import finding as base
from vxlanalyze.analysis.finding import DiagnosticResult, Finding, NotAssessed, Quantity, RuledOut, Severity
from vxlanalyze.analysis.tcp import accept_queue, port_reuse, silent_node, unseen
from vxlanalyze.analysis.tcp.framed_requests import framed_requests
from vxlanalyze.analysis.tcp.late_answers import LateAnswer, answers_of, late_answers, noticed
from vxlanalyze.analysis.tcp.silent_node import Silence
from vxlanalyze.kubernetes.model import endpoint_text
from vxlanalyze.pairing.model import Comparison
from vxlanalyze.text.commands import anywhere, on, written
from vxlanalyze.text.words import count, listed, moment, span

CODE = "slow-answer"
_MOST_NAMED, _ROWS_SHOWN = 3, 50


def check(pair: Comparison) -> list[DiagnosticResult]:
    """Look for answers that waited in the answering node."""
    groups: dict[str | None, list[LateAnswer]] = {}
    for late in noticed(pair, late_answers(pair)):
        groups.setdefault(late.direction, []).append(late)
    groups = {d: [each for each in late if not each.may_push] or late for d, late in groups.items()}
    order: list[str | None] = [*(d.label for d in pair.directions), None]
    answers: list[DiagnosticResult] = [_finding(pair, d, groups[d]) for d in order if d in groups]
    return [*(answers or unseen.not_followed(pair, CODE)), *_unread(pair)]


def _unread(pair: Comparison) -> Iterator[NotAssessed]:
    """Name the connections whose framing is not read, since there are too many."""
    framed = framed_requests(pair)
    if framed is not None and framed.left_out:
        which = count(framed.left_out, "connection")
        yield NotAssessed(CODE, f"of {which} in a large capture, requests that share one were not read")


def _finding(pair: Comparison, direction: str | None, late: list[LateAnswer]) -> Finding:
    silence = silent_node.of(pair, direction, late)
    worst = late[0]
    kernel = silence is not None or worst.kind != "TCP"
    queued = (
        (0, 0)
        if kernel
        else (accept_queue.ignored_last_acks(late[:_ROWS_SHOWN]), accept_queue.ignored_syns(late))
    )
    waits = np.array([each.waited_ns for each in late])
    servers = list(dict.fromkeys((each.server, each.port) for each in late))
    shown = exhibits.of_rows(
        pair,
        [(e.point, np.array([e.request_row, e.answer_row], np.int32)) for e in late[:_ROWS_SHOWN]],
    )
    return Finding(
        code=CODE,
        severity=Severity.INFO if worst.may_push else Severity.WARNING,
        direction=direction,
        summary=_summary(pair, direction, late, silence)
        + (": the server's accept queue is full" if any(queued) or _refused_by_queue(pair, worst) else ""),
        explanation=" ".join(_explanation(pair, late, silence, queued)),
        remedy=_remedy(pair, direction, late, silence, any(queued)),
        evidence={
            "late_answers": Quantity(len(late), "requests"),
            "servers": Quantity(len(servers)),
            "waited_median": Quantity(int(np.median(waits)), "ns"),
            "waited_most": Quantity(worst.waited_ns, "ns"),
            "server": Quantity(_named(pair, worst)),
            "client": Quantity(worst.client),
            "request": Quantity(worst.kind),
            "from": Quantity(moment(worst.from_ns)),
            "to": Quantity(moment(worst.to_ns)),
            "answered_by_an_old_connection": Quantity(port_reuse.answered_by_old(late), "requests"),
            "usual_answer": Quantity(_usual_ns(pair, worst), "ns"),
            "round_trip": Quantity(silent_node.round_trip_ns(pair), "ns"),
            "syn_acks_repeated": Quantity(queued[0], "connections"),
            "syns_ignored": Quantity(queued[1], "connections"),
            "silent_from": Quantity(moment(silence.from_ns) if silence else None),
            "silent_to": Quantity(moment(silence.to_ns) if silence else None),
            "arrived_meanwhile": Quantity(silence.arrived if silence else None, "packets"),
        },
        ruled_out=tuple(_ruled_out(late)),
        frames=shown.frames,
        frame_count=shown.frame_count,
        display_filter=shown.display_filter,
    )


def _named(pair: Comparison, late: LateAnswer) -> str:
    name = pair.cluster.named(late.server)
    return name if late.kind == "ICMP" else f"{name} port {late.port}"


def _node(direction: str | None) -> str:
    return "the server's node" if direction is None else direction.rpartition(">")[2]


def _summary(
    pair: Comparison, direction: str | None, late: Sequence[LateAnswer], silence: Silence | None
) -> str:
    number = count(len(late), "request")
    if silence is not None:
        return (
            f"{_node(direction)} sent nothing into the tunnel for {span(silence.to_ns - silence.from_ns)} "
            f"from "
            f"{moment(silence.from_ns)} to {moment(silence.to_ns)}, while {count(silence.arrived, 'packet')} "
            f"arrived there: {number} waited, {span(late[0].waited_ns)} at most"
        )
    names = list(dict.fromkeys(_named(pair, each) for each in late))
    where = "at the server" if all(each.exact for each in late) else "at the server or on its side"
    waits = np.array([each.waited_ns for each in late])
    times = (
        f"{span(late[0].waited_ns)}"
        if len(late) == 1
        else f"{span(float(np.median(waits)))} in the median, {span(late[0].waited_ns)} at most"
    )
    old = port_reuse.answered_by_old(late)
    why = (
        f": {count(old, 'SYN')} came from a port whose last connection was in TIME_WAIT there" if old else ""
    )
    if late[0].may_push:
        why = ", or it pushes data of its own: the start of these connections is not captured"
    return f"{number} waited {where} for {times} ({listed(names, at_most=_MOST_NAMED)}){why}"


def _explanation(
    pair: Comparison, late: Sequence[LateAnswer], silence: Silence | None, queued: tuple[int, int]
) -> list[str]:
    worst = late[0]
    kinds = {"TCP": "data over TCP", "SYN": "a TCP handshake", "DNS": "a DNS query", "ICMP": "a ping"}
    request = worst.message or kinds[worst.kind]
    parts = [
        f"The longest: {request} from {pair.cluster.named(worst.client)} to {_named(pair, worst)} arrived at "
        f"{moment(worst.from_ns)} and was answered at {moment(worst.to_ns)}."
    ]
    round_trip = silent_node.round_trip_ns(pair)
    if round_trip is not None:
        parts.append(f"The path took {span(round_trip)} for both ways; the rest is the answering end's.")
    if silence is not None:
        parts.append(
            "Other traffic to that node waited too, so it is the node, not one process: its neighbour or "
            "forwarding entry for the peer was missing, or it had no processor time."
        )
    elif old := port_reuse.answered_by_old(late):
        parts.append(
            f"{count(old, 'SYN')} came from a port that had just been used: the server, which closed first, "
            "held that connection in TIME_WAIT and answered with an acknowledgement of it; the client reset "
            "it, and its repeated SYN was taken. No bytes are missing."
        )
    elif any(queued):
        parts.append(accept_queue.explain(*queued))
    elif worst.kind == "SYN":
        parts.append(_ignored_syns(pair, worst))
    elif worst.kind == "TCP":
        usual = _usual_ns(pair, worst)
        parts.append(
            "The server's node sent other packets meanwhile: its application took the time."
            + (f" Its other answers take {span(usual)} in the median." if usual is not None else "")
        )
    return parts


def _refused_by_queue(pair: Comparison, worst: LateAnswer) -> bool:
    """Whether a kernel ignored a SYN although it answered other requests meanwhile."""
    return worst.kind == "SYN" and worst.copies > 1 and accept_queue.answered_meanwhile(pair, worst) > 0


def _ignored_syns(pair: Comparison, worst: LateAnswer) -> str:
    """Explain SYNs that a kernel took only after their repetition."""
    again = f", after {count(worst.copies, 'copy', 'copies')} of it had arrived" if worst.copies > 1 else ""
    meanwhile = accept_queue.answered_meanwhile(pair, worst)
    why = (
        f"a full listen queue, not the node, which answered {count(meanwhile, 'other request')} meanwhile."
        if meanwhile
        else "a full listen queue, or a node without processor time."
    )
    return f"A kernel answers SYNs by itself{again}: {why}"


def _usual_ns(pair: Comparison, worst: LateAnswer) -> int | None:
    """Median time of a server's other answers."""
    if worst.kind != "TCP":
        return None
    every = np.sort(answers_of(pair, worst.server, worst.port))[:-1]
    return int(np.median(every)) if len(every) else None


def _remedy(
    pair: Comparison, direction: str | None, late: Sequence[LateAnswer], silence: Silence | None, queued: bool
) -> str:
    node, worst = _node(direction), late[0]
    if silence is not None:
        return _of_a_silent_node(node, silence)
    if port_reuse.answered_by_old(late):
        return _more_ports(node, worst)
    if worst.kind == "SYN" or queued:
        return accept_queue.remedy(node, worst)
    if worst.kind == "DNS":
        return written(
            f"Find the upstream that {worst.server} (on {node}) waits for; query it and the upstream "
            "directly:",
            on(node, f"dig @{worst.server} -p {worst.port} kubernetes.default.svc.cluster.local +tries=1"),
            anywhere("kubectl -n kube-system logs -l k8s-app=kube-dns --tail=200"),
        )
    return written(
        "The network is not what is slow. Look at the log and traces of "
        f"{endpoint_text(worst.server, worst.port)} at {moment(worst.from_ns)}, at its processor limit "
        "(nr_throttled) and at what it waits for; in the network namespace of its pod:",
        on(
            node,
            f"ss -tnpi src {_bracketed(worst.server)} sport = :{worst.port}",
            "cat /sys/fs/cgroup/cpu.stat",
        ),
    )


def _of_a_silent_node(node: str, silence: Silence) -> str:
    """Say how to find out why a node sent nothing for a while."""
    since, until = _clock(silence.from_ns, -60), _clock(silence.to_ns, 60)
    peer = f" to {silence.peer}" if silence.peer else ""
    return written(
        f"See whether the neighbour entries of {node} for the peer come and go, and what the kernel logged:",
        on(node, f"ip -s neigh show{peer}", f"journalctl -k --since '{since}' --until '{until}'"),
        "Then whether it had processor time: steal, soft interrupts, throttling.",
        on(node, "mpstat -P ALL 1 5", "cat /proc/net/softnet_stat"),
    )


def _more_ports(node: str, worst: LateAnswer) -> str:
    """Say how to delay the reuse of ports, or to distinguish their connections."""
    return written(
        f"Let {worst.client} use its ports again later than the minute of TIME_WAIT: keep connections open "
        "and use them again, let the client close first, or give it more ports. Where it connects (a "
        "client, or the node that masquerades for it), the range of ports, and whether TCP time stamps "
        "are on, by which the server distinguishes a new connection from the old one at once:",
        on("the client's node", "sysctl net.ipv4.ip_local_port_range net.ipv4.tcp_timestamps"),
        f"How many connections {worst.server} holds, in its network namespace:",
        on(node, f"ss -tan state time-wait sport = :{worst.port}"),
    )


def _bracketed(address: str) -> str:
    return f"[{address}]" if ":" in address else address


def _clock(time_ns: int, seconds: int) -> str:
    """Write a time for journalctl, shifted by some seconds."""
    return moment(time_ns + seconds * 1_000_000_000)[:19].replace("T", " ") + " UTC"


def _ruled_out(late: Sequence[LateAnswer]) -> list[RuledOut]:
    excluded = [
        RuledOut(
            "delay-spike", "the requests had arrived, and the answers had not left: the path is not in it"
        )
    ]
    once = sum(each.copies == 1 for each in late)
    if once == len(late):
        excluded.append(RuledOut("packet-loss", "each of these requests arrived at its first attempt"))
    return excluded if all(each.exact for each in late) else excluded[1:]


DIAGNOSTIC = base.Diagnostic(
    code=CODE,
    check=check,
    explained_by=("integrity",),
)
