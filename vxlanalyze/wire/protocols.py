"""Numbers of the protocols that IP carries, from the IANA registry "Assigned Internet Protocol Numbers"."""

ICMP = 1
TCP = 6
UDP = 17
ICMPV6 = 58
SCTP = 132
