"""A capture was taken by a collector, from a mirror.

What it checks
    Are the frames of a capture copies that a switch or a cloud sent to a collector (ERSPAN, TZSP, AWS VPC
    Traffic Mirroring, Azure vTAP, Ethernet in GRE)?
Why it matters
    The mirror's header is not part of the traffic: if kept, it makes packets too large and headers seem to
    differ. And packets that a mirror truncates, omits or loses are missing from the capture only.
How it decides
    By protocol type (ERSPAN, TZSP). A VXLAN or GRE header is a mirror's where the frames inside carry a
    tunnel themselves, both directions of a conversation go to one address, and that address sends none. The
    header is removed first; each session (VNI, key) is an observation point. Missing sequence numbers are
    lost copies: they count as dropped by the capture (`capture-loss`).
When it cannot tell
    A mirror that shows only one direction in one session looks like a tunnel in a tunnel (`nested-tunnel`).
    Without sequence numbers (VXLAN, ERSPAN I) a lost copy looks like a lost packet.
What looks like it
    A tunnel in a tunnel: its outer header goes from node to node, in both directions.
What to do
    Nothing in the network. Raise the mirror's packet length (or the MTU towards the collector) where packets
    were truncated.
Sources
    draft-foschiano-erspan-03; AWS "Traffic Mirroring considerations" (what is not mirrored: ARP, DHCP,
    instance metadata; truncation); beats 1283 and 34819; zui 1067.
"""

from vxlanalyze.analysis import finding as base
from vxlanalyze.analysis.finding import DiagnosticResult, Finding, Quantity, Severity
from vxlanalyze.pairing.model import Comparison
from vxlanalyze.text.words import count, listed
from vxlanalyze.wire.mirrors import Mirror

CODE = "mirrored-capture"


def check(pair: Comparison) -> list[DiagnosticResult]:
    """Describe the mirrors that produced the captures."""
    mirrors = {facts.name: facts.mirror for facts in pair.captures if facts.mirror is not None}
    return [_finding(mirrors)] if mirrors else []


def _finding(mirrors: dict[str, Mirror]) -> Finding:
    cut = {name: mirror for name, mirror in mirrors.items() if mirror.cut}
    parts = [_part(name, mirror) for name, mirror in mirrors.items()]
    evidence: dict[str, Quantity] = {}
    for name, mirror in mirrors.items():
        evidence[f"{name} mirrored"] = Quantity(mirror.frames, "frames")
        evidence[f"{name} cut_by_mirror"] = Quantity(mirror.cut, "frames")
        if mirror.missing is not None:
            evidence[f"{name} lost_copies"] = Quantity(mirror.missing, "frames")
    return Finding(
        code=CODE,
        severity=Severity.INFO,
        summary=f"A mirror brought what these captures hold: {listed(parts)}",
        explanation=f"{_explanation(mirrors)}{_cut(cut)}",
        remedy="Let the mirror copy whole packets (AWS: no packet length in the session, and a collector "
        "whose MTU leaves room for the mirror's header)."
        if cut
        else "Nothing is wrong with the network here.",
        evidence=evidence,
    )


def _part(name: str, mirror: Mirror) -> str:
    missing = f", {count(mirror.missing, 'copy', 'copies')} lost on the path" if mirror.missing else ""
    return f"{name} ({mirror.title}, {mirror.session_text} from {mirror.source}{missing})"


def _explanation(mirrors: dict[str, Mirror]) -> str:
    others = max(mirror.others for mirror in mirrors.values())
    text = (
        "The mirror's header was taken off every frame before anything else: sizes, headers and payloads "
        "are those of the copied frames. Times are the collector's. A mirror may leave out what its kind "
        "does not copy (AWS: ARP, DHCP and link-local addresses): that these are missing is not a fault. "
    )
    if others:
        text += f"{count(others, 'frame')} of the file do not belong to a mirror and were left out. "
    return text


def _cut(cut: dict[str, Mirror]) -> str:
    if not cut:
        return ""
    parts = [f"{count(m.cut, 'frame')} of {name} to {m.cut_at_bytes:,} bytes" for name, m in cut.items()]
    return f"The mirror cut {listed(parts)}: lengths are those in the packets' own headers."


DIAGNOSTIC = base.Diagnostic(code=CODE, check=check)
