"""Why a value may differ from tshark's without being wrong; each reason is a sentence and a test."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.tshark_fields.compare import Difference

Row = dict[str, Any]
Test = Callable[["Difference", Row, Row], bool]


def offload(difference: "Difference", ours: Row, theirs: Row) -> bool:
    return (
        difference.column.endswith("checksum_state")
        and difference.ours == "offload"
        and difference.theirs == "bad"
    )


def fragment(difference: "Difference", ours: Row, theirs: Row) -> bool:
    """Of a packet that goes on in another fragment, a checksum cannot be right."""
    return (
        difference.column.startswith(("inner_checksum", "outer_checksum"))
        and "first_fragment" in ours["anomalies"]
        and difference.ours in (None, "unverifiable")
    )


REASONS: tuple[tuple[str, Test], ...] = (
    ("tshark calls a checksum bad that the network card will fill in: here it is offload", offload),
    ("tshark sums what the first of several fragments holds", fragment),
)


def explain(difference: "Difference", ours: Row, theirs: Row) -> str | None:
    """Give the reason that explains a difference, or None."""
    return next((reason for reason, test in REASONS if test(difference, ours, theirs)), None)
