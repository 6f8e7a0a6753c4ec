"""A plan as text: numbered parts, commands on lines of their own, each with its purpose."""

from collections.abc import Iterable, Iterator
from shlex import quote

from vxlanalyze.planning import around, on_node
from vxlanalyze.planning.model import Plan, Station, Step


def render(plan: Plan) -> str:
    """Write a plan as text."""
    first, second = plan.stations
    lines = [
        f"Captures of {_named(first)} and {_named(second)}, both at once, for {plan.seconds} s",
        "Nothing of this has been run. The same as a script: add -o plan.sh",
        "",
        f"Overlay: {plan.network.title}; {plan.network.tunnel}; its MTU: {plan.network.mtu}",
    ]
    parts: list[tuple[str, Iterable[Step]]] = []
    for station, peer in ((first, second), (second, first)):
        shell = [*around.access(plan, station), *_settings(plan, station, peer)]
        parts.append((f"A root shell on {station.name}, in a separate terminal", shell))
    parts.append(("In both shells: prepare", on_node.prepare()))
    for station in plan.stations:
        title = f"Where kubectl reaches the cluster, while the captures run: drops on {station.name}"
        parts.append((title, around.meanwhile(plan, station)))
    parts.append(("In both shells at the same time: capture", on_node.capture(plan)))
    parts.append(("In both shells: save the facts", on_node.facts(plan)))
    for station in plan.stations:
        title = f"On your workstation: fetch the files of {station.name}, and clean up"
        parts.append((title, around.copies(plan, station)))
    for station in plan.stations:
        title = f"Where kubectl reaches the cluster: what the agent on {station.name} knows"
        parts.append((title, around.in_agent(plan, station)))
    parts.append(("Where kubectl reaches the cluster", around.in_cluster(plan)))
    parts.append(("Analyse", [Step(around.analysis(plan))]))
    filled = [(title, list(steps)) for title, steps in parts]
    for number, (title, steps) in enumerate(((t, s) for t, s in filled if s), 1):
        lines += ["", f"{number}. {title}", *_written(steps)]
    return "\n".join(lines) + "\n"


def _named(station: Station) -> str:
    return f"{station.name} ({', '.join(station.addresses)})" if station.addresses else station.name


def _written(steps: Iterable[Step]) -> Iterator[str]:
    for step in steps:
        if step.purpose:
            yield f"   # {step.purpose}"
        yield f"   {step.command}"


def _settings(plan: Plan, station: Station, peer: Station) -> Iterator[Step]:
    pods = " ".join(a for s in plan.stations for a in s.pod_addresses)
    inner = quote(plan.inner_filters)
    yield Step(f"name={station.quoted}; seconds={plan.seconds}; pods={quote(pods)}; inner={inner}")
    if peer.addresses:
        yield Step(f"peers={quote(' '.join(peer.addresses))}")
    else:
        yield Step(
            f"peers=$(getent ahosts {peer.quoted} | awk 'NR == 1 {{print $1}}'); echo \"$peers\"",
            f"must print the address that {peer.name} uses for the tunnel, its INTERNAL-IP in kubectl get "
            "nodes -o wide; else set it by hand",
        )
