"""Records for the table of services: unanswered requests that left a node without a tunnel."""

from collections.abc import Iterator, Sequence

from vxlanalyze.analysis.underlay import native_requests
from vxlanalyze.kubernetes.model import endpoint_text
from vxlanalyze.pairing.model import Comparison
from vxlanalyze.report.model import ServiceRecord
from vxlanalyze.wire.numbers import DNS_PORT


def unencapsulated(pair: Comparison, known: Sequence[ServiceRecord]) -> Iterator[ServiceRecord]:
    """Give those of clients and servers that the table does not have yet."""
    named = {(s["protocol"], s["client"], s["server"]) for s in known}
    for found in native_requests.silent(pair):
        alone = found.protocol == "icmp" or (found.protocol == "dns" and found.port == DNS_PORT)
        server = found.server if alone else endpoint_text(found.server, found.port)
        if (found.protocol, found.client, server) in named:
            continue
        services = pair.cluster.services_of(found.server, found.port or None)
        record: ServiceRecord = {
            "protocol": found.protocol,
            "client": found.client,
            "server": server,
            "service": next((s.full_name for s in services if s.name), None),
            "requests": found.requests,
            "answered": 0,
            "refused": 0,
            "unanswered": found.requests,
            "latency_ns": {"p50": None, "p99": None},
            "time_ns": None,
        }
        if found.protocol == "dns":
            record["questions"] = []
        yield record
