"""What to do about a pod that does not answer, or that no longer exists."""

from vxlanalyze.analysis.requests import stale_entry
from vxlanalyze.analysis.requests.request_columns import Requests
from vxlanalyze.analysis.underlay import tunnel_ends
from vxlanalyze.pairing.model import Comparison
from vxlanalyze.text.commands import anywhere, on, written


def stale_socket(pair: Comparison, address: str, requests: Requests) -> str:
    """State where a socket stays bound to a deleted pod."""
    likely = stale_entry.is_likely(pair, address, requests)
    return f" {stale_entry.explain(pair, address, requests)}" if likely else ""


def free_socket(pair: Comparison, label: str, address: str, requests: Requests) -> str:
    """Say how to free a socket from a deleted pod; "" where that is unlikely."""
    if not stale_entry.is_likely(pair, address, requests):
        return ""
    near = next(d.sender.name for d in pair.directions if d.label == label)
    port = int(requests.point.flows.dport[requests.point.index.flow[requests.first_row[0]]])
    entry = stale_entry.remedy(near, address, port)
    if pair.cluster.lacks(address):
        return entry
    return written(
        entry,
        "If there is none, see which pod has the address, and whether it is ready:",
        anywhere(f"kubectl get pods -A -o wide --field-selector status.podIP={address}"),
    )


def remedy(pair: Comparison, node: str, address: str) -> str:
    """Say how to find out why a pod does not answer."""
    cilium = not pair.cluster.nodes or tunnel_ends.is_cilium(pair.cluster)
    drops = ("Where Cilium runs, in its pod on that node:", on(node, "cilium-dbg monitor --type drop"))
    return written(
        "See whether the pod runs and is ready, and which NetworkPolicy selects it:",
        anywhere(
            f"kubectl get pods -A -o wide --field-selector status.podIP={address}",
            "kubectl get networkpolicies -A",
        ),
        "On its own node, see whether it answers (which separates the pod from the path to it), and, in its "
        "network namespace, whether it listens:",
        on(node, f"ping -c 3 {address}", "ss -lntu"),
        *(drops if cilium else ()),
    )
