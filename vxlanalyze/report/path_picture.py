"""Draw the path: the points of each hop, and an arrow for each direction with its figures."""

from collections.abc import Sequence

from rich.cells import cell_len, set_cell_size

from vxlanalyze.report import inside_hops
from vxlanalyze.report.model import CaptureRecord, HopRecord, Report
from vxlanalyze.report.page import Page
from vxlanalyze.report.verdict import UNKNOWN_BECAUSE
from vxlanalyze.text import words
from vxlanalyze.text.escaping import plain
from vxlanalyze.text.places import node_name

_MOST_ADDRESSES = 3
_LEAST_GAP = 8  # columns between the two ends


def draw(page: Page, report: Report, *, verbose: bool) -> None:
    """Draw every hop of a report, in path order; if `verbose`, with the interval of each loss."""
    captures = {capture["name"]: capture for capture in report.captures}
    for forward, backward in zip(report.hops[::2], report.hops[1::2], strict=True):
        _ends(page, captures.get(forward["from"]), captures.get(forward["to"]), forward)
        _arrow(page, forward, towards_right=True)
        _arrow(page, backward, towards_right=False)
        _remarks(page, [_remark(hop, verbose=verbose) for hop in (forward, backward)])
    for hop in inside_hops.losing(report):
        _inside(page, hop)


def _inside(page: Page, hop: HopRecord) -> None:
    """One line for a hop between two interfaces of a node."""
    node = node_name(hop["from"])
    figures = f"{plain(hop['direction'])}: {_labels(hop)[-2]}"
    page.paragraph((f"inside {plain(node)}, ", "dim"), (figures, _style(hop)), indent=2, hanging=4)


def _ends(page: Page, left: CaptureRecord | None, right: CaptureRecord | None, hop: HopRecord) -> None:
    """The names of both points with the addresses of their nodes, in one line if it has room."""
    names = plain(hop["from"]), plain(hop["to"])
    addresses = _addresses(left), _addresses(right)
    gap = page.width - 4 - sum(map(cell_len, (*names, *addresses))) - sum(map(bool, addresses))
    if gap >= _LEAST_GAP:
        inner = f" {addresses[0]}".rstrip() + " " * gap + f"{addresses[1]} ".lstrip()
        page.drawn((f"  {names[0]}", "bold"), (inner, "dim"), (names[1], "bold"))
        return
    _opposite(page, *names, "bold")
    if any(addresses):
        _opposite(page, *addresses, "dim")


def _addresses(capture: CaptureRecord | None) -> str:
    """As many addresses of a node as fit, with assumed ones marked."""
    if capture is None:
        return ""
    known = capture["node_addresses"]
    assumed = {
        part.split(": ")[0] for part in capture["node_addresses_by"].split("; ") if ": assumed" in part
    }
    if known == [capture["name"]]:  # a capture from a pipe that is named by its node's address
        return ""
    shown = [f"{address} (assumed)" if address in assumed else address for address in known[:_MOST_ADDRESSES]]
    more = [f"{len(known) - len(shown)} more"] if len(known) > len(shown) else []
    return ", ".join([*shown, *more])


def _opposite(page: Page, left: str, right: str, style: str) -> None:
    room = (page.width - 6) // 2
    left, right = _fitted(left, room), _fitted(right, room)
    gap = page.width - 4 - cell_len(left) - cell_len(right)
    page.drawn(("  " + left + " " * gap + right, style))


def _fitted(name: str, room: int) -> str:
    if cell_len(name) <= room:
        return name
    return set_cell_size(name, room - 1).rstrip() + "…"


def _arrow(page: Page, hop: HopRecord, *, towards_right: bool) -> None:
    """One line from point to point: ``│─── 12 sent, ... ───►│``."""
    room = page.width - 8
    label = next((text for text in _labels(hop) if cell_len(text) + 8 <= room), _shortest(hop))
    ink = room - cell_len(label) - 2
    tail, rest = "─" * 3, "─" * (ink - 4)
    blocked = hop["sent"] > 0 and hop["delivered"] == 0 and hop["lost"] > 0
    if towards_right:
        line = f"{tail} {label} {rest}{'✗' if blocked else '►'}"
    else:
        line = f"{'✗' if blocked else '◄'}{rest} {label} {tail}"
    page.drawn(("   │", "dim"), (line, _style(hop)), ("│", "dim"))


def _style(hop: HopRecord) -> str:
    if hop["lost"] == 0:
        return ""
    return "red" if hop["delivered"] == 0 else "yellow"


def _labels(hop: HopRecord) -> list[str]:
    """Possible labels of a direction, the longest first."""
    if hop["sent"] == 0:
        return ["nothing sent" if hop["not_assessed"] is None else "not assessed, see below"]
    if hop["not_assessed"] is not None:
        return [f"{hop['sent']:,} sent; loss not assessed, see below", f"{hop['sent']:,} sent, not assessed"]
    lost = f"{hop['lost']:,} lost"
    ratio = hop["loss_ratio"]
    if hop["lost"] and ratio is not None:
        lost += f" ({100 * ratio:.3g} %)"
    counts = [f"{hop['sent']:,} sent", f"{hop['delivered']:,} delivered", lost]
    if hop["unknown"]:
        counts.append(f"{hop['unknown']:,} unknown")
    counted = ", ".join(counts)
    short = [counted, f"{hop['sent']:,} sent, {lost}", f"{hop['sent']:,} sent, {hop['lost']:,} lost"]
    middle, high = hop["delay_ns"]["p50"], hop["delay_ns"]["p99"]
    if middle is None or high is None:
        return short
    return [
        f"{counted}, delay {words.span(middle)} (p99 {words.span(high)})",
        f"{counted}, delay {words.span(middle)}",
        *short,
    ]


def _shortest(hop: HopRecord) -> str:
    return f"{hop['lost']:,} lost" if hop["lost"] else f"{hop['sent']:,} sent"


def _remarks(page: Page, remarks: Sequence[str]) -> None:
    """Write the remarks about both directions, on one line if they fit."""
    written = [remark for remark in remarks if remark]
    together = "; ".join(written)
    for text in [together] if len(together) + 5 <= page.width else written:
        if text:
            page.paragraph((text, "dim"), indent=5, hanging=2)


def _remark(hop: HopRecord, *, verbose: bool) -> str:
    """Say of a direction what does not fit on its arrow; "" if nothing."""
    remarks = [
        f"{words.count(number, 'packet')} {UNKNOWN_BECAUSE.get(reason, reason)}"
        for reason, number in hop["unknown_reasons"].items()
    ]
    low, high = hop["low"], hop["high"]
    if verbose and hop["lost"] and hop["delivered"] and low is not None and high is not None:
        remarks.append(f"loss {100 * low:.3g} to {100 * high:.3g} % (95 % interval)")
    odd = (
        ("reordered", hop["reordered"]),
        ("duplicated", hop["duplicated"]),
        ("corrupted", hop["corrupted"]),
    )
    remarks += [f"{number:,} {what}" for what, number in odd if number]
    if in_part := hop.get("in_part"):
        remarks.append(f"{hop['to']}'s capture holds only the first fragment of {in_part:,} of these packets")
    if hop["not_assessed"] is not None:
        remarks.append(hop["not_assessed"])
    return f"{hop['direction']}: {'; '.join(remarks)}" if remarks else ""
