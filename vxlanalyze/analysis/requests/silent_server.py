"""What to check at a DNS server whose node the queries reach."""

from vxlanalyze.pairing.model import Comparison
from vxlanalyze.text.commands import anywhere, written


def of_a_silent_server(pair: Comparison, server: str) -> str:
    """State what to check at a server whose node the queries reach."""
    pod = pair.cluster.name_of(server)
    if pod and "/" in pod:
        namespace, _, name = pod.rpartition("/")
        looks = (
            "The queries reach its node: look at the pod (readiness, restarts, its log):",
            anywhere(f"kubectl get pod -n {namespace} {name} -o wide", f"kubectl logs -n {namespace} {name}"),
        )
    else:
        looks = (
            "The queries reach its node: see which pod has the address, and whether it is ready:",
            anywhere(f"kubectl get pods -A -o wide --field-selector status.podIP={server}"),
        )
    return written(
        *looks,
        "See which NetworkPolicy selects it (port 53 must be admitted):",
        anywhere("kubectl get networkpolicies -A"),
    )
