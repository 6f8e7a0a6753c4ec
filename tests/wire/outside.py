"""Good frames to cut and to spoil: what a kernel sent, and what the standards say, one or more a protocol."""

from tests.wire import build, kernel
from tests.wire.build import POD1, POD1_6, POD2, POD2_6

ETHERNET, NULL, RAW, LOOP, SLL, SLL2 = 1, 0, 101, 108, 113, 276
SLL_HEADER = bytes.fromhex("0000 0001 0006 020000000001 0000 0800")
SYN_OPTIONS = bytes.fromhex("020405b4 01 030307 0402 080a 00000001 00000000")
GENEVE_OPTION = bytes.fromhex("0102 80 01 0000000c")  # class, critical type, one word
NSH = bytes.fromhex("0fc60203 00000001 00000002" + "00" * 16)
SR_HEADER = bytes([build.UDP, 2, 4, 0, 0, 0, 0, 0]) + bytes(16)  # RFC 8754: one segment, none left

STANDARD: dict[str, tuple[int, bytes]] = {
    "ethernet, tagged twice": (
        ETHERNET,
        build.ethernet(
            build.small_packet(),
            tags=build.tag(100, build.SERVICE_TAG) + build.tag(200),
            ethertype=build.IPV4,
        ),
    ),
    "snap": (
        ETHERNET,
        build.ethernet(
            bytes.fromhex("aaaa03000000 0800") + build.small_packet(), 8 + len(build.small_packet())
        ),
    ),
    "sll": (SLL, SLL_HEADER + build.small_packet()),
    "null": (NULL, bytes.fromhex("02000000") + build.small_packet()),
    "loop": (LOOP, bytes.fromhex("0000001e") + build.small_packet6()),
    "raw": (RAW, build.small_packet6()),
    "arp": (ETHERNET, build.ethernet(build.arp(), build.ARP)),
    "syn": (
        ETHERNET,
        build.ethernet(build.ipv4(build.tcp(flags=2, options=SYN_OPTIONS), build.TCP, POD1, POD2)),
    ),
    "sctp": (ETHERNET, build.ethernet(build.ipv4(build.sctp(bytes.fromhex("0a000004")), build.SCTP))),
    "ipv6 extensions": (
        ETHERNET,
        build.ethernet(
            build.ipv6(
                bytes([43, 0, 1, 4, 0, 0, 0, 0]) + SR_HEADER + build.udp(b"x", build.NODE1_6, build.NODE2_6),
                0,
            ),
            build.IPV6,
        ),
    ),
    "authentication header": (
        ETHERNET,
        build.ethernet(
            build.ipv6(
                bytes([build.UDP, 4, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1])
                + bytes(12)
                + build.udp(b"x", build.NODE1_6, build.NODE2_6),
                build.AH,
            ),
            build.IPV6,
        ),
    ),
    "packet too big": (
        ETHERNET,
        build.ethernet(
            build.ipv6(
                build.icmpv6(2, 0, (1400).to_bytes(4, "big") + build.small_packet6()),
                build.ICMPV6,
                POD1_6,
                POD2_6,
            ),
            build.IPV6,
        ),
    ),
    "vxlan": (ETHERNET, build.ethernet(build.vxlan(build.ethernet(build.small_packet())))),
    "vxlan, tags inside": (
        ETHERNET,
        build.ethernet(build.vxlan(build.ethernet(build.small_packet6(), build.IPV6, build.tag(7)))),
    ),
    "vxlan-gpe": (
        ETHERNET,
        build.ethernet(build.vxlan(build.small_packet6(), dport=4790, first=0x0C, second=2)),
    ),
    "geneve": (
        ETHERNET,
        build.ethernet(build.geneve(build.ethernet(build.small_packet()), options=GENEVE_OPTION)),
    ),
    "geneve with ip": (ETHERNET, build.ethernet(build.geneve(build.small_packet(), build.IPV4))),
    "gre": (
        ETHERNET,
        build.ethernet(
            build.ipv4(
                bytes.fromhex("b000 0800 3a5c0000 0000002a 00000001") + build.small_packet(), build.GRE
            )
        ),
    ),
    "nvgre": (
        ETHERNET,
        build.ethernet(
            build.ipv4(bytes.fromhex("2000 6558 002a1107") + build.ethernet(build.small_packet()), build.GRE)
        ),
    ),
    "ipip": (ETHERNET, build.ethernet(build.ipv4(build.small_packet(), build.IPIP))),
    "6in4": (ETHERNET, build.ethernet(build.ipv4(build.small_packet6(), build.IN_IPV6))),
    "4in6": (ETHERNET, build.ethernet(build.ipv6(build.small_packet(), build.IPIP), build.IPV6)),
    "gue": (
        ETHERNET,
        build.ethernet(build.gue(build.small_packet(), header=bytes.fromhex("01040001 00000000"))),
    ),
    "gue with gre": (
        ETHERNET,
        build.ethernet(
            build.gue(
                bytes.fromhex("2000 86dd 0000002a") + build.small_packet6(), header=bytes.fromhex("002f0000")
            )
        ),
    ),
    "ip in udp": (ETHERNET, build.ethernet(build.gue(build.small_packet6()))),
    "esp": (ETHERNET, build.ethernet(build.ipv4(bytes.fromhex("c0de0001 00000007") + bytes(24), build.ESP))),
    "esp in udp": (
        ETHERNET,
        build.ethernet(build.ipv4(build.udp(bytes.fromhex("c0de0001 00000007") + bytes(24), dport=4500))),
    ),
    "wireguard": (
        ETHERNET,
        build.ethernet(build.ipv4(build.udp(bytes.fromhex("04000000") + bytes(92), dport=51820))),
    ),
    "tunnel in a tunnel": (
        ETHERNET,
        build.ethernet(
            build.vxlan(build.ethernet(build.geneve(build.ethernet(build.small_packet()), vni=200)), vni=100)
        ),
    ),
}


def kernel_frames() -> list[kernel.Frame]:
    """All frames that the kernel sent."""
    names = sorted(path.name for path in kernel.CAPTURES.glob("*.pcap"))
    return [frame for name in names for frame in kernel.frames(name)]


def all_frames() -> list[kernel.Frame]:
    return kernel_frames() + [
        kernel.Frame(link_type, data, len(data)) for link_type, data in STANDARD.values()
    ]
