"""Numbers, times and sentences for the HTML outputs: the filters of their templates."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from markupsafe import Markup, escape

from vxlanalyze.text import words
from vxlanalyze.text.commands import merged_steps
from vxlanalyze.text.escaping import plain

NOTHING = "–"
_LEAST_PERCENT = 1e-4  # a smaller ratio is a probability, and is written as a number
_LEAST_PPM = 0.001
_CODE = re.compile(r"`([^`]+)`")


def count(number: int | None) -> str:
    """Format a count with thousands separators."""
    return NOTHING if number is None else f"{number:,}"


def raw(number: int | float | None) -> str:
    """Format a number for a program, empty for None."""
    return "" if number is None else str(number)


def raw_or_dash(number: int | None) -> str:
    """Format a numeric identifier (a frame, a VNI) without thousands separators."""
    return NOTHING if number is None else str(number)


def size(number: int | None) -> str:
    """Format a length in bytes."""
    return NOTHING if number is None else f"{number:,} B"


def percent(ratio: float | None) -> str:
    """Format a ratio in percent."""
    return NOTHING if ratio is None else f"{100 * ratio:.3g} %"


def span(duration_ns: int | None) -> str:
    """Format a duration in a suitable unit."""
    return NOTHING if duration_ns is None else words.span(duration_ns)


def drift(drift_ppm: float) -> str:
    """Format a drift; less than a thousandth is rounding error."""
    return f"{drift_ppm if abs(drift_ppm) >= _LEAST_PPM else 0.0:.3g} ppm"


def moment(time: str | None) -> str:
    """Format an RFC 3339 time for reading, without trailing zeros of the fraction."""
    if time is None:
        return NOTHING
    day, _, clock = time.removesuffix("Z").partition("T")
    return f"{day} {clock.rstrip('0').rstrip('.') if '.' in clock else clock} UTC"


def arrow(direction: str) -> str:
    """Format ``X>Y`` for reading."""
    return direction.replace(">", " → ")


def ends(address: str, port: int | None) -> str:
    """Format an address and a port."""
    if port is None:
        return address
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def quantity(measured: Mapping[str, Any]) -> str:
    """Format a measured value with its unit."""
    value, unit = measured["value"], measured["unit"]
    if value is None:
        return "not known"
    if isinstance(value, str):
        return value
    if unit == "ns":
        return words.span(value)
    if unit == "ratio":
        return percent(value) if value == 0 or abs(value) >= _LEAST_PERCENT else f"{value:.2g}"
    number = f"{value:,}" if isinstance(value, int) else f"{value:,.4g}"
    return f"{number} {_of_one(unit) if value == 1 else unit}".strip()


def _of_one(unit: str) -> str:
    """The singular of a unit: ``packet of the sample``."""
    noun, space, rest = unit.partition(" ")
    if noun == "queries":
        return "query" + space + rest
    return noun.removesuffix("es" if noun.endswith("sses") else "s") + space + rest


def runs(numbers: Sequence[int]) -> str:
    """Format frame numbers as ranges: ``3-9, 12``."""
    return ", ".join(str(a) if a == b else f"{a}-{b}" for a, b in _neighbours(numbers))


def _neighbours(numbers: Iterable[int]) -> Iterator[tuple[int, int]]:
    first = last = None
    for number in numbers:
        if last is not None and number == last + 1:
            last = number
            continue
        if first is not None and last is not None:
            yield first, last
        first = last = number
    if first is not None and last is not None:
        yield first, last


def prose(text: str) -> Markup:
    """Format sentences, with text between backticks as code."""
    return Markup(_CODE.sub(r"<code>\1</code>", str(escape(plain(text)))))


def remedy(text: str) -> Markup:
    """Format a remedy: sentences as paragraphs, commands as a numbered list for copying."""
    parts: list[str] = []
    listing = False
    for step in merged_steps(text):
        if step.command and not listing:
            parts.append('<ol class="commands">' if not any("<ol" in p for p in parts) else _continued(parts))
        elif listing and not step.command:
            parts.append("</ol>")
        listing = bool(step.command)
        if step.command:
            where = f"<small>on {escape(plain(step.node))}</small> " if step.node else ""
            parts.append(f"<li>{where}<code>{whole(step.command)}</code></li>")
        else:
            parts.append(f"<p>{prose(step.text)}</p>")
    return Markup("".join(parts) + ("</ol>" if listing else ""))


def _continued(parts: Sequence[str]) -> str:
    """Begin a list that continues the numbering of the previous one."""
    return f'<ol class="commands" start="{1 + sum("<li>" in part for part in parts)}">'


def whole(text: str) -> Markup:
    """Format text for copying, however long its words."""
    return escape(plain(text, longest_word=None))


FILTERS: dict[str, Callable[..., Any]] = {
    "arrow": arrow,
    "bytes": size,
    "count": count,
    "drift": drift,
    "ends": ends,
    "moment": moment,
    "percent": percent,
    "prose": prose,
    "quantity": quantity,
    "raw": raw,
    "raw_or_dash": raw_or_dash,
    "remedy": remedy,
    "runs": runs,
    "span": span,
    "whole": whole,
}
