"""Print what differs, capture by capture; exit status 1 if anything is left unexplained."""

import sys
from collections import Counter

from tests.tshark_fields import compare
from vxlanalyze.errors import CaptureError

MOST_SHOWN = 12


def main(paths: list[str]) -> int:
    total = Counter()
    reasons = Counter()
    nulls = Counter()
    not_compared = Counter()
    for path in paths:
        try:
            outcome = compare(path)
        except CaptureError as error:
            total["not readable"] += 1
            print(f"{path}: not readable: {error.what}")
            continue
        total["captures"] += 1
        total["frames"] += outcome.frames
        total["values"] += outcome.values
        total["explained"] += sum(outcome.explained.values())
        total["differences"] += len(outcome.differences)
        reasons += outcome.explained
        nulls += outcome.nulls
        not_compared += outcome.not_compared
        for difference in outcome.differences[:MOST_SHOWN]:
            print(
                f"{path}: frame {difference.frame}: {difference.column}: {difference.ours!r},"
                f" tshark {difference.theirs!r} ({difference.protocols})"
            )
        if len(outcome.differences) > MOST_SHOWN:
            print(f"{path}: and {len(outcome.differences) - MOST_SHOWN} more")
    print(", ".join(f"{count} {what}" for what, count in total.items()))
    for reason, count in reasons.most_common():
        print(f"{count:8} explained: {reason}")
    for (column, reason), count in nulls.most_common():
        print(f"{count:8} null here, a value in tshark: {column}: {reason}")
    for layer, count in not_compared.most_common():
        print(f"{count:8} frames not compared behind: {layer}")
    return 1 if total["differences"] else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
