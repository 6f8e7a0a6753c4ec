"""Numbers of packet fields that many parts read: TCP flags, ports, and the kinds of ICMP messages.

Sources: RFC 9293 section 3.1 (flags); RFC 1035 section 4.1.1 and RFC 6762 (DNS); RFC 792, RFC 4443 section 4
(echo); Linux net.ipv4.ip_local_port_range.
"""

from vxlanalyze.wire.protocols import ICMP, ICMPV6

FIN, SYN, RST, PSH, ACK = 0x01, 0x02, 0x04, 0x08, 0x10

DNS_PORT, MULTICAST_DNS_PORT = 53, 5353
DNS_PORTS = (DNS_PORT, MULTICAST_DNS_PORT)
DNS_RESPONSE = 0x8000  # QR, of the flags of a message
FIRST_EPHEMERAL_PORT = 32_768  # Linux; other systems begin above it, and services rarely have such ports

# UDP ports of protocols whose servers answer each request from the port that it was sent to: DHCP (unicast),
# Kerberos, sun-rpc, NTP, SNMP, LDAP, QUIC, kpasswd, IKE, RADIUS, GTP-C, SIP, PFCP, memcached (IANA).
REQUEST_PORTS = (
    67, 88, 111, 123, 161, 389, 443, 464, 500, 1645, 1646, 1812, 1813, 2123, 5060, 8805, 11_211
)  # fmt: skip

# Type << 8 | code: what flows of ICMP have in place of the source port.
ECHO_REPLY, ECHO_REQUEST = 0 << 8, 8 << 8
ECHO_REQUEST_V6, ECHO_REPLY_V6 = 128 << 8, 129 << 8
ECHO_REQUESTS = {ICMP: ECHO_REQUEST, ICMPV6: ECHO_REQUEST_V6}

SMALLEST_INITIAL_TTL = 32
"""Operating systems send packets with 32 (Windows 95), 64, 128 or 255; a traceroute, with 1 to 30."""
