"""How many packets a capture says it dropped.

Sources: pcap_stats(3PCAP); draft-ietf-opsawg-pcapng sections 4.3 (epb_dropcount) and 4.6 (isb_ifdrop,
isb_osdrop).
"""

from vxlanalyze.pairing.model import CaptureFacts, Comparison


def stated(pair: Comparison, facts: CaptureFacts) -> int | None:
    """Packets that the kernel dropped, as the capture or tcpdump's closing lines count them."""
    rows = [row for fact in pair.cluster.facts_of("tcpdump-summary", facts.name) for row in fact.rows]
    stated_ = [int(row["dropped_by_kernel"]) for row in rows if "dropped_by_kernel" in row]
    counted = [facts.dropped_by_kernel] if facts.dropped_by_kernel is not None else []
    return max([*counted, sum(stated_)] if stated_ else counted, default=None)
