"""Names of observation points: ``NODE``, or ``NODE/INTERFACE`` where a capture holds several."""


def node_name(place: str) -> str:
    """Give the name of the node that a place belongs to."""
    return place.partition("/")[0]
