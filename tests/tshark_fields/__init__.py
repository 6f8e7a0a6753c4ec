"""Compare the frames table with what tshark says, field by field: ``python -m tests.tshark_fields CAPTURE...``.

tshark's layers are read from its JSON, where a packet quoted by an ICMP error stands inside the
error and so cannot be mistaken for a layer. Both sides are brought to the columns of the frames table;
a difference is either explained by one of `reasons` or it is a fault of this program.
"""

from tests.tshark_fields.compare import Difference, Outcome, compare

__all__ = ["Difference", "Outcome", "compare"]
