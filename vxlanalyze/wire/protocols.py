"""Numbers of the protocols that IP carries, from the IANA registry "Assigned Internet Protocol Numbers"."""

ICMP = 1
IGMP = 2
IPIP = 4
TCP = 6
UDP = 17
IPV6 = 41
GRE = 47
ESP = 50
AH = 51
ICMPV6 = 58
OSPF = 89
PIM = 103
VRRP = 112
SCTP = 132

WITH_PORTS = (TCP, UDP, SCTP)

TITLES = {
    ICMP: "ICMP",
    IGMP: "IGMP",
    IPIP: "IP in IP",
    TCP: "TCP",
    UDP: "UDP",
    IPV6: "IPv6 in IP",
    GRE: "GRE",
    ESP: "ESP",
    AH: "AH",
    ICMPV6: "ICMPv6",
    SCTP: "SCTP",
}
"""Names as texts have them."""

RULE_NAMES = {ICMP: "icmp", TCP: "tcp", UDP: "udp", GRE: "gre", ICMPV6: "ipv6-icmp", SCTP: "sctp"}
"""Names as iptables and nftables list them, after /etc/protocols."""
