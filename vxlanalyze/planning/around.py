"""Commands for the machine with kubectl and ssh: access, copies, the agent's tables, analysis."""

from collections.abc import Iterator
from shlex import quote

from vxlanalyze.planning.model import Plan, Station, Step
from vxlanalyze.planning.on_node import FOLDER

IMAGE = "nicolaka/netshoot"
CLUSTER = "kubectl get nodes,pods,services -A -o json > cluster.json"


def access(plan: Plan, station: Station) -> Iterator[Step]:
    """How to get a root shell in a node's network namespace."""
    if plan.network.kubernetes:
        target = quote(f"node/{station.name}")
        yield Step(f"kubectl debug {target} -it --profile=sysadmin --image={IMAGE} -- sh", "kubectl 1.27 on")
    yield Step(
        f"ssh -t {station.quoted} sudo sh", "or, if you have SSH access" if plan.network.kubernetes else ""
    )


def copies(plan: Plan, station: Station) -> Iterator[Step]:
    """How to fetch the saved files and clean up, with both means of access."""
    archive = quote(f"{station.name}.tar.gz")
    pack = f"tar -C {FOLDER} -czf - {station.quoted}"
    if plan.network.kubernetes:
        start = quote(f"node-debugger-{station.name}-")
        yield Step(
            f"pod=$(kubectl get pods -o name | grep -F -- {start} | tail -n 1)",
            "while that shell is still open",
        )
        yield Step(f'kubectl exec "$pod" -- {pack} > {archive}')
        yield Step('kubectl delete "$pod"', "clean-up")
    over = " (with ssh)" if plan.network.kubernetes else ""
    yield Step(f"ssh {station.quoted} {quote('sudo ' + pack)} > {archive}", f"fetch it{over}")
    yield Step(f"ssh {station.quoted} {quote(f'sudo rm -r {FOLDER}/{station.quoted}')}", f"clean-up{over}")
    yield Step(f"tar -xzf {archive}")


def agent_pod(plan: Plan, station: Station) -> str:
    """Command that prints namespace and name of the agent's pod on a node."""
    label, _ = plan.network.agent or ("", "")
    selector = quote(f"spec.nodeName={station.name}")
    columns = "custom-columns=:metadata.namespace,:metadata.name"
    return f"kubectl get pods -A -l {quote(label)} --field-selector {selector} --no-headers -o {columns}"


def meanwhile(plan: Plan, station: Station) -> Iterator[Step]:
    """How to save the agent's output while the captures run."""
    if plan.network.during is None:
        return
    file, command = plan.network.during
    folder = quote(f"{station.name}/facts")
    yield _found(plan, station)
    yield Step(f"mkdir -p {folder}")
    yield Step(f"{_run(plan)} timeout -s INT {plan.seconds} {command} > {folder}/{file}")


def in_agent(plan: Plan, station: Station) -> Iterator[Step]:
    """How to save the agent's state."""
    if not plan.network.in_agent:
        return
    folder = quote(f"{station.name}/facts")
    yield _found(plan, station)
    for file, command in plan.network.in_agent:
        yield Step(f"{_run(plan)} {command} > {folder}/{file}")


def _found(plan: Plan, station: Station) -> Step:
    return Step(
        f"set -- $({agent_pod(plan, station)}); namespace=$1; pod=$2",
        f"the pod of {plan.network.title} on {station.name}",
    )


def _run(plan: Plan) -> str:
    _, container = plan.network.agent or ("", "")
    return f'kubectl -n "$namespace" exec "$pod" -c {container} --'


def in_cluster(plan: Plan) -> Iterator[Step]:
    """How to save the state of the whole cluster."""
    if not plan.network.kubernetes:
        return
    yield Step(CLUSTER, "names of pods, services and nodes")
    first = quote(f"{plan.stations[0].name}/facts")
    for file, command in plan.network.in_cluster:
        yield Step(f"{command} > {first}/{file}")


def analysis(plan: Plan) -> str:
    """Command that analyses the files saved by the plan's commands."""
    words = ["vxlanalyze"]
    words += [quote(f"{s.name}={s.name}/capture") for s in plan.stations]
    for station in plan.stations:
        words += ["--facts", quote(f"{station.name}={station.name}/facts")]
    if plan.network.kubernetes:
        words += ["--kube", "cluster.json"]
    return " ".join(words)
