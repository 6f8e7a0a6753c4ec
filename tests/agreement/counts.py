"""How many packets were sent, arrived and were lost, and how long they took: tables against the report."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from tests.agreement.world import World
from vxlanalyze.report.series.packed import unpack

FATES = ("delivered", "lost", "unknown")
QUANTILES = {"min": 0.0, "p50": 0.5, "p90": 0.9, "p99": 0.99, "max": 1.0}
FLOW = ["direction", "vni", "src", "dst", "sport", "dport", "protocol"]


def hops_against_packets(world: World) -> Iterator[str]:
    """Each figure of a hop, counted again from the rows of the table."""
    for hop in world.saved["hops"]:
        rows = world.packets[world.packets["direction"] == hop["direction"]]
        sent = rows[rows["outcome"] != "unsent"]
        for name, figure in _figures(sent).items():
            if hop[name] != figure:
                yield f"{hop['direction']}: {name} is {hop[name]} in hops, {figure} by the packets"
        for name, figure in _delays(sent["delay_ns"]).items():
            if hop["delay_ns"][name] != figure:
                yield f"{hop['direction']}: delay {name} {hop['delay_ns'][name]} in hops, {figure} by packets"


def _figures(sent: pd.DataFrame) -> dict[str, Any]:
    of = {fate: sent[sent["outcome"] == fate] for fate in FATES}
    on_wire = {fate: rows["outer_length"].fillna(rows["length"]).astype("int64") for fate, rows in of.items()}
    judged = len(of["lost"]) + len(of["delivered"])
    reasons = of["unknown"]["reason"].dropna().value_counts()
    return {
        "sent": len(sent),
        **{fate: len(rows) for fate, rows in of.items()},
        "unknown_reasons": {str(reason): int(n) for reason, n in reasons.items() if n},
        "loss_ratio": len(of["lost"]) / judged if judged else None,
        "bytes_lost": int(on_wire["lost"].sum()),
        "duplicated": int((sent["copies"] > 1).sum()),
        "corrupted": int(sent["corrupted"].fillna(False).astype(bool).sum()),
        "largest_delivered": int(on_wire["delivered"].max()) if len(of["delivered"]) else None,
        "smallest_lost": int(on_wire["lost"].min()) if len(of["lost"]) else None,
    }


def _delays(delays: "pd.Series[Any]") -> dict[str, int | None]:
    ordered = np.sort(delays.dropna().to_numpy(np.int64))
    if not len(ordered):
        return dict.fromkeys(QUANTILES)
    places = {name: max(int(np.ceil(share * len(ordered))) - 1, 0) for name, share in QUANTILES.items()}
    return {name: int(ordered[place]) for name, place in places.items()}


def flows_against_packets(world: World) -> Iterator[str]:
    """The sums of `flows` over a direction, and each flow's own counts."""
    for direction, flows in world.flows.groupby("direction", observed=True):
        rows = world.packets[world.packets["direction"] == direction]
        for fate in (*FATES, "unsent"):
            if flows[fate].sum() != (rows["outcome"] == fate).sum():
                yield f"{direction}: {flows[fate].sum()} {fate} in flows, {(rows['outcome'] == fate).sum()}"
    counted = world.packets.groupby([*FLOW, "outcome"], observed=True, dropna=False).size().to_dict()
    for row in world.flows.itertuples():
        of = tuple(getattr(row, name) for name in FLOW)
        for fate in (*FATES, "unsent"):
            found = counted.get((*of, fate), 0)
            if found != getattr(row, fate) and not any(pd.isna(part) for part in of):
                yield f"{of}: {getattr(row, fate)} {fate} in flows, {found} in packets"


def pictures_against_hops(world: World) -> Iterator[str]:
    """What the pictures and lists of the page are drawn from."""
    plots = world.saved["plots"]
    for hop in world.between:
        for what, figures in _drawn(plots, hop["direction"]):
            for name, figure in figures.items():
                if figure != hop[name]:
                    yield f"{hop['direction']}: {name} is {figure} in the {what}, {hop[name]} in hops"
    if plots["lost_packets"]["total"] != sum(hop["lost"] for hop in world.between):
        yield f"{plots['lost_packets']['total']} in the list of lost packets, other in hops"


def _drawn(plots: dict[str, Any], direction: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Figures of a direction, summed up in each series."""
    for entry in plots["timeline"]["directions"]:
        if entry["direction"] == direction:
            yield "timeline", {fate: sum(entry[fate]) for fate in FATES}
    for entry in plots["sizes"]:
        if entry["direction"] == direction:
            limits = {name: entry[name] for name in ("largest_delivered", "smallest_lost")}
            yield "sizes", {fate: sum(entry[fate]) for fate in ("delivered", "lost")} | limits
    flows = plots["flows"]
    if flows["total"] == flows["table"]["rows"]:
        rows = [row for row in unpack(flows["table"]) if row["direction"] == direction]
        yield "list of flows", {name: sum(row[name] for row in rows) for name in ("sent", *FATES)}


def requests_against_services(world: World) -> Iterator[str]:
    """The sums that texts and `summary` give, by the rows of `services`."""
    services = world.saved["services"]
    for service in services:
        parts = service["answered"] + service["refused"] + service["unanswered"]
        if parts != service["requests"]:
            yield f"{service['client']} > {service['server']}: {parts} of {service['requests']} requests"
    summary = world.result.summary()
    for name in ("requests", "unanswered"):
        if summary[name] != sum(s[name] for s in services):
            yield f"{summary[name]} {name} in the summary, {sum(s[name] for s in services)} in services"
    for hop in world.result.hops:
        if any(hop[name] != value for name, value in summary["directions"][hop["direction"]].items()):
            yield f"{hop['direction']}: the summary is not what hops say"


CHECKS = (
    hops_against_packets,
    flows_against_packets,
    pictures_against_hops,
    requests_against_services,
)
