"""Which frame it is, when it was seen and what it holds: packets, findings and comments against `frames`."""

import re
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd

from tests.agreement.world import World
from vxlanalyze.report.series.packed import unpack

# Columns of `packets` that say what the sender's frame holds, under their names in `frames`.
INSIDE = {
    "src": "src",
    "dst": "dst",
    "sport": "sport",
    "dport": "dport",
    "protocol": "protocol",
    "vni": "vni",
    "tunnel": "tunnel",
    "outer_src": "outer_src",
    "outer_dst": "outer_dst",
    "outer_sport": "outer_sport",
    "outer_dport": "outer_dport",
    "tcp_flags": "tcp_flags",
    "tcp_ack": "tcp_ack",
}
PARTNER = re.compile(r"(Reached|Left) (\S+) as frames? (\d+)")


def captures_against_frames(world: World) -> Iterator[str]:
    """What the report says of a capture, by the rows of its table."""
    for capture in (c for c in world.saved["captures"] if c["name"] in world.frames):
        frames = world.frames[capture["name"]]
        ends = (frames["time"].min(), frames["time"].max()) if len(frames) else (None, None)
        told = tuple(capture[name] and pd.Timestamp(capture[name]) for name in ("first", "last"))
        found = {
            "packets": (capture["packets"], len(frames)),
            "tunnel packets": (capture["tunnel_packets"], int(frames["tunnel"].notna().sum())),
            "first and last": (told, ends),
            "accounted for": (sum(capture["accounting"].values()), len(frames)),
        }
        for what, (said, counted) in found.items():
            if said != counted:
                yield f"{capture['name']}: {what}: {said} in the report, {counted} by its frames"


def summaries_against_frames(world: World) -> Iterator[str]:
    """What `Capture.summary` says, by the rows of its table."""
    for capture, (name, frames) in zip(world.reads, world.frames.items(), strict=bool(world.frames)):
        summary = capture.summary()
        tunnels = frames["tunnel"].value_counts()
        found = {
            "packets": len(frames),
            "tunnel_packets": int(frames["tunnel"].notna().sum()),
            "tunnels": {str(kind): int(n) for kind, n in tunnels.items() if n},
        }
        for what, counted in found.items():
            if summary[what] != counted:
                yield f"{name}: {what}: {summary[what]} in its summary, {counted} by its frames"


def packets_against_frames(world: World) -> Iterator[str]:
    """A packet's frames are what it says: time, addresses, ports, tunnel, flags."""
    for direction, rows in world.packets.groupby("direction", observed=True):
        ends = str(direction).split(">")
        for side, point in zip(("sent", "received"), ends, strict=True):
            frames = world.frames.get(point.split("/")[0])
            seen = rows[rows[f"{side}_frame"].notna()]
            if frames is None or not len(seen):
                continue
            numbers = seen[f"{side}_frame"].astype("int64")
            if not numbers.isin(frames.index).all():
                yield f"{direction}: frames that {point} does not have"
                continue
            there = frames.loc[numbers]
            if (there["time"].to_numpy() != seen[f"{side}_time"].to_numpy()).any():
                yield f"{direction}: {side}_time is not the time of {side}_frame"
            if side == "sent":
                yield from _unlike(str(direction), seen, there)


def _unlike(direction: str, seen: pd.DataFrame, there: pd.DataFrame) -> Iterator[str]:
    tunnelled = there["tunnel"].notna().to_numpy()
    for name, column in INSIDE.items():
        bare = f"outer_{column}" if f"outer_{column}" in there else column
        held = there[column].astype(object).where(tunnelled, there[bare].astype(object)).to_numpy()
        said = seen[name].astype(object).to_numpy()
        both = pd.notna(said) & pd.notna(held)
        apart = np.flatnonzero(said[both] != held[both])
        if len(apart):
            a, b = said[both][apart[0]], held[both][apart[0]]
            yield f"{direction}: {name} {a!r} in packets, {b!r} in frames"


def findings_against_frames(world: World) -> Iterator[str]:
    """Cited frames exist, and are no more than are counted."""
    names = {capture["name"] for capture in world.saved["captures"]}
    for finding in world.saved["findings"]:
        for capture, numbers in finding["frames"].items():
            if capture not in names:
                yield f"{finding['code']}: frames of {capture}, which is no capture"
            elif capture in world.frames and not set(numbers) <= set(world.frames[capture].index):
                yield f"{finding['code']}: frames that {capture} does not have"
        shown = sum(map(len, finding["frames"].values()))
        if finding["frame_count"] < shown or (shown < 100 and finding["frame_count"] != shown):
            yield f"{finding['code']}: {finding['frame_count']} frames in all, {shown} shown"


def pictures_against_packets(world: World) -> Iterator[str]:
    """Ladders and the list of lost packets name the frames that the table names."""
    table = world.packets
    pairs = set(zip(table["direction"], table["sent_frame"], table["received_frame"], strict=True))
    lost = table[table["outcome"] == "lost"]
    columns = ("direction", "sent_frame", "segment", "length", "time")
    known = set(zip(*(lost[name] for name in columns), strict=True))
    listed = world.saved["plots"]["lost_packets"]
    for row in unpack(listed["table"]):
        time = pd.Timestamp(listed["start"]) + pd.Timedelta(row["time_ns"], "ns")
        if (row["direction"], row["frame"], row["segment"], row["length"], time) not in known:
            yield f"lost packet of frame {row['frame']} {row['direction']} is not lost in packets"
    for ladder in world.saved["plots"]["ladders"]:
        for packet in ladder["packets"]:
            order = 1 if packet["way"] == "forward" else -1
            points, seen = ladder["points"][::order], packet["seen"][::order]
            for n, (a, b) in enumerate(pairwise(seen)):
                way = f"{points[n]}>{points[n + 1]}"
                if a and b and (way, a["frame"], b["frame"]) not in pairs:
                    yield f"ladder: {a['frame']} to {b['frame']} {way} is no packet of the table"


def comments_against_the_report(world: World) -> Iterator[str]:
    """Annotated captures hold the findings' frames, say what they say, and name the partners of `packets`."""
    table = world.packets
    pairs = _pairs(table)
    for capture, entries in world.comments.items() if world.frames else ():
        frames, told = world.frames[capture], _cited(world.saved["findings"], capture)
        numbers = []
        for time_ns, comments in entries:
            *findings, where = comments
            number = int(re.match(r"Frame (\d+) of ", where)[1])
            numbers.append(number)
            if frames.loc[number, "time"].value != max(time_ns, 0):
                yield f"{capture}: comment of frame {number} stands at the time of another"
            keys = [re.match(r"([a-z-]+) \[(\w+)\](?: (\S+>\S+))?:", f) for f in findings]
            if {(m[1], m[3]) for m in keys if m} != told.get(number, set()):
                yield f"{capture}: frame {number} has comments of other findings"
            for verb, point, partner in PARTNER.findall(where):
                pair = (capture, number, point.split("/")[0], int(partner))
                if (pair if verb == "Reached" else (*pair[2:], *pair[:2])) not in pairs:
                    yield f"{capture}: frame {number}: {verb} {point} as {partner}: not so in packets"
        if sorted(numbers) != sorted(told):
            yield f"{capture}: {len(numbers)} frames annotated, {len(told)} cited"


def _pairs(table: pd.DataFrame) -> set[tuple[Any, ...]]:
    """Capture and frame at both ends of each packet; frames of an `any` capture stand at several points."""
    ends = [str(direction).split(">") for direction in table["direction"]]
    frames = zip(table["sent_frame"], table["received_frame"], strict=True)
    return {
        (sender.split("/")[0], sent, receiver.split("/")[0], received)
        for (sender, receiver), (sent, received) in zip(ends, frames, strict=True)
    }


def _cited(findings: list[dict[str, Any]], capture: str) -> dict[int, set[tuple[str, str | None]]]:
    cited: dict[int, set[tuple[str, str | None]]] = {}
    for finding in findings:
        for number in finding["frames"].get(capture, ()):
            cited.setdefault(number, set()).add((finding["code"], finding["direction"]))
    return cited


CHECKS = (
    captures_against_frames,
    summaries_against_frames,
    packets_against_frames,
    findings_against_frames,
    pictures_against_packets,
    comments_against_the_report,
)
