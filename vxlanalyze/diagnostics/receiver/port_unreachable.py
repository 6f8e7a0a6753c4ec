"""A node answers tunnel packets with ICMP port unreachable: nothing listens there.

What it checks
    Do ICMP (or ICMPv6) "port unreachable" errors come back that quote an outer tunnel packet?
Why it matters
    The two nodes disagree on the tunnel's UDP port, or the receiver has no tunnel device at all.
    Every packet of the direction is refused, and the error goes to the sending node, where no pod sees it.
How it decides
    An error outside of any tunnel quotes a UDP packet with the addresses and the destination port of tunnel
    packets in one of the captures. One is enough: a host sends it for no other reason. Kernels limit the rate
    of errors, so their number does not show how many packets were refused.
When it cannot tell
    The captures were filtered by the tunnel's port (ICMP has none), and nothing is answered.
What looks like it
    A pod that refuses (that error comes back inside the tunnel: `endpoint-refused`); a firewall that rejects
    instead of dropping, since iptables' REJECT sends the same error.
What to do
    Use one port on all nodes: Linux's default is 8472, IANA's 4789. `ss -lun` on the receiver shows whether
    anything listens, `nft list ruleset` whether a rule rejects.
Sources
    RFC 792 and RFC 1122 section 3.2.2.1 (code 3); RFC 4443 section 3.1 (code 4); RFC 1812 section 4.3.2.8
    (rate limits); RFC 7348 section 5; calico issue 10692; flannel Documentation/backends.md (8472, but
    4789 for Windows).
"""

from vxlanalyze.analysis import exhibits
from vxlanalyze.analysis import finding as base
from vxlanalyze.analysis.finding import DiagnosticResult, Finding, NotAssessed, Quantity, RuledOut, Severity
from vxlanalyze.analysis.integrity import alone
from vxlanalyze.analysis.requests import answers
from vxlanalyze.analysis.underlay import disagreements, tunnel_ends, underlay, underlay_errors
from vxlanalyze.analysis.underlay.underlay import Underlay
from vxlanalyze.analysis.underlay.underlay_errors import PORT_UNREACHABLE, Errors
from vxlanalyze.pairing.model import Comparison, Direction, Point
from vxlanalyze.text.commands import on, written
from vxlanalyze.text.words import count, listed
from vxlanalyze.wire.model import Tunnel

CODE = "port-unreachable"


def check(pair: Comparison) -> list[DiagnosticResult]:
    """Look for "port unreachable" errors that quote tunnel packets of each direction."""
    return alone.run(pair, CODE, _run)


def _run(pair: Comparison) -> list[DiagnosticResult]:
    results: list[DiagnosticResult] = []
    for direction in tunnel_ends.leaving(pair):
        seen = underlay_errors.about(pair, direction, PORT_UNREACHABLE)
        if seen:
            results.append(_finding(pair, direction, seen))
        elif _blind(direction):
            why = (
                "nothing is answered, and the captures hold no packet outside of the tunnel: filtered by port"
            )
            results.append(NotAssessed(CODE, why, direction.label))
    return results


def _blind(direction: Direction) -> bool:
    """Whether nothing is answered and no capture holds anything but tunnel packets."""
    if any(p.encapsulated and _holds_others(p) for p in (direction.sender, direction.receiver)):
        return False
    return answers.of(direction).silent(1e-6)


def _holds_others(point: Point) -> bool:
    used = point.decoded.usage.used
    return bool((point.flows.tunnel[used] == Tunnel.NONE).any())


def _finding(pair: Comparison, direction: Direction, seen: list[Errors]) -> Finding:
    near, far = direction.sender.name, direction.receiver.name
    most = max(seen, key=lambda e: len(e.row))
    errors, ports = len(most.row), sorted(set(most.port.tolist()))
    there, back = tunnel_ends.of(direction), tunnel_ends.of(answers.opposite(pair, direction))
    sent = sum(there.ports.get(p, 0) for p in ports)
    other = [p for p in back.ports if p not in ports]
    kind = disagreements.other_kind(pair, direction, there, back)
    responses = answers.of(direction)
    shown = exhibits.of_rows(pair, [(e.point, e.row) for e in seen])
    hint = f" {far} itself sends to UDP port {listed(other)}, so it listens there." if other else ""
    if kind:
        hint = f" {kind.words}"
    own = f"; it uses port {listed(other)} itself" if other else ""
    who = f"{far} itself refuses" if most.by_target.all() else "another address than the one sent to refuses"
    lived = (
        " Some requests were answered, so this did not last all the time." if responses.answered.any() else ""
    )
    return Finding(
        code=CODE,
        severity=Severity.CRITICAL,
        direction=direction.label,
        summary=f"{far} refuses tunnel packets to UDP port {listed(ports)}: "
        f"{count(errors, 'ICMP error')} (port unreachable) for {count(sent, 'packet')} sent"
        + (f"; {kind.verdict}" if kind else own),
        explanation=f"{count(errors, 'error')} quote outer packets from {near} to UDP port {listed(ports)}; "
        f"{who}. Nothing listens on that port, or a firewall rejects it with this error (kernels limit how "
        f"many they send, so fewer errors than packets is normal).{hint}{lived}",
        remedy=kind.cure if kind else _remedy(direction, underlay.of(direction, pair.cluster), ports, other),
        evidence={
            "errors": Quantity(errors, "packets"),
            "refused_port": Quantity(listed(ports)),
            "own_port": Quantity(listed(other) if other else None),
            "sent": Quantity(sent, "packets"),
            "unanswered_requests": Quantity(int(responses.unanswered().sum()), "packets"),
        },
        ruled_out=(
            RuledOut("endpoint-refused", "the errors come outside of the tunnel and quote its outer packets"),
        ),
        frames=shown.frames,
        frame_count=shown.frame_count,
        display_filter=_filter(ports),
    )


def _filter(ports: list[int]) -> str:
    """Wireshark shows the fields of a quoted packet under their own names."""
    quoted = " || ".join(f"udp.dstport == {p}" for p in ports)
    kinds = "(icmp.type == 3 && icmp.code == 3) || (icmpv6.type == 1 && icmpv6.code == 4)"
    return f"({kinds}) && ({quoted})"


def _remedy(direction: Direction, below: Underlay, ports: list[int], other: list[int]) -> str:
    near, far = direction.sender.name, direction.receiver.name
    wanted = f"{other[0]} on {near}, or {ports[0]} on {far}" if other else f"{ports[0]} on {far}"
    return written(
        f"Use one port on both nodes: {wanted} ({below.port_setting}). See whether anything listens there, "
        "and what the tunnel device has:",
        on(far, f"ss -lun | grep {ports[0]}", below.listing),
        "If it does listen, find the rule that rejects:",
        on(far, "iptables-save | grep REJECT", "nft list ruleset | grep reject"),
    )


DIAGNOSTIC = base.Diagnostic(code=CODE, check=check, explained_by=("wrong-tunnel-endpoint",))
