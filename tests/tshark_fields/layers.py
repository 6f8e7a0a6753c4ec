"""tshark's layers, brought to the columns of the frames table."""

from typing import Any

Tree = list[tuple[str, Any]]  # a JSON object of tshark's: keys repeat, and their order means something
Row = dict[str, Any]

SHOWN = "frame eth ieee8021ad ah vlan sll null arp ip ipv6 tcp udp icmp icmpv6 sctp vxlan geneve gre"
TRANSPORTS = ("tcp", "udp", "icmp", "icmpv6", "sctp")
TUNNELS = ("vxlan", "geneve", "gre")
# What carries packets that tshark follows and this program does not: what is inside is not compared.
NOT_FOLLOWED = frozenset(
    "pppoed l2tp l2tpv3 gtp gtpv2 gtpprime capwap capwap.data"
    " vntag cdma2k ppi radiotap wlan erspan eoip ax25 fr teredo ayiya batadv socks dtls wg pptp"
    " hsr prp macsec lwapp trill fcoe ieee1722 vssmonitoring cisco-metadata pktap nflog esp isakmp udpencap cmd".split()
)


def not_followed(protocols: str) -> list[str]:
    """Name the first layer of a frame that is not followed here, if there is one."""
    return [name for name in protocols.split(":") if name in NOT_FOLLOWED][:1]


def get(tree: Tree, name: str) -> Any:
    """Find a value by name, on this level only."""
    return next((value for key, value in tree if key == name), None)


def find(tree: Tree, name: str) -> Any:
    """Find the first value by name, on any level."""
    for key, value in tree:
        if key == name:
            return value
        inner = find(value, name) if isinstance(value, list) else None
        if inner is not None:
            return inner
    return None


def number(tree: Tree | None, name: str) -> int | None:
    """Read an integer, decimal or hexadecimal."""
    value = find(tree or [], name)
    return int(value, 0) if isinstance(value, str) and value else None


def columns(shown: Tree) -> Row:
    """Bring the layers of one frame to columns."""
    frame = get(shown, "frame")
    row: Row = {
        "captured_length": number(frame, "frame.cap_len"),
        "original_length": number(frame, "frame.len"),
    }
    time = get(frame, "frame.time_epoch")
    if time is not None:  # a simple packet block of pcapng has none
        row["time"] = nanoseconds(time)
    packets, tunnels = split(shown)
    row |= link_columns(packets[0])
    row |= packet_columns("outer_", packets[0])
    row["tunnel_depth"] = len(tunnels)
    row["tunnel"], row["vni"] = tunnels[-1] if tunnels else (None, None)
    inside = packets[-1] if tunnels else {}
    row |= packet_columns("", inside)
    row["inner_src_mac"] = get(inside.get("eth", []), "eth.src")
    row["inner_dst_mac"] = get(inside.get("eth", []), "eth.dst")
    row["inner_vlan"] = vlan(inside)
    row |= tcp_columns(inside)
    row |= message_columns(packets[-1])
    return row


def nanoseconds(epoch: str) -> int:
    """Read seconds and nanoseconds as tshark prints them: as two numbers, one sign for either.

    Of a fraction that is a second or more, the second number has more than nine digits.
    """
    seconds, fraction = epoch.removeprefix("-").split(".")
    return int(seconds) * 10**9 + (-int(fraction) if epoch.startswith("-") else int(fraction))


def split(shown: Tree) -> tuple[list[dict[str, Any]], list[tuple[str, int | None]]]:
    """Sort the layers into packets, outermost first, and the tunnels between them."""
    packets: list[dict[str, Any]] = [{}]
    tunnels: list[tuple[str, int | None]] = []
    for name, value in shown:
        tree = value if isinstance(value, list) else []  # a text where the layer is cut to nothing
        packet = packets[-1]
        if name in NOT_FOLLOWED:
            break
        if name in TUNNELS:
            tunnels.append(tunnel(name, tree))
            packets.append({})
            if name == "gre" and not gre_followed(tree):
                break
        elif name == "ah" and packet["ip"][0] == "ip":
            break  # of IPv4 it is a protocol like any other, and not passed over
        elif name in ("ip", "ipv6") and "transport" in packet:
            break  # a carrier that has no layer of its own: IP directly in UDP
        elif name in ("ip", "ipv6"):
            if "ip" in packet:
                tunnels.append(("ipip", None))
                packets.append({})
            packets[-1]["ip"] = (name, tree)
        elif name in TRANSPORTS:
            packet.setdefault("transport", (name, tree))
            if find(tree, "ip.version") or find(tree, "ipv6.version"):
                break  # an ICMP error: what follows belongs to the packet it quotes
        else:
            packet.setdefault(name, tree)
    return packets, tunnels


def tunnel(name: str, tree: Tree) -> tuple[str, int | None]:
    """Name a tunnel as the table does, and give its identifier."""
    if name == "gre":
        flags = number(tree, "gre.flags_and_version")
        key = number(tree, "gre.key")
        if flags == 0x2000 and number(tree, "gre.proto") == 0x6558:
            return "nvgre", None if key is None else key >> 8
        return "gre", key if (flags or 0) & 7 == 0 else None
    if name == "vxlan" and find(tree, "vxlan.next_proto") is not None:
        return "vxlan-gpe", number(tree, "vxlan.vni")
    return name, number(tree, f"{name}.vni")


def gre_followed(tree: Tree) -> bool:
    """Tell whether what a GRE header announces is decoded here: no PPTP, EoIP, WCCP ..."""
    version = (number(tree, "gre.flags_and_version") or 0) & 7
    return version == 0 and number(tree, "gre.proto") in (0x0800, 0x86DD, 0x6558, 0x0806, 0x8847, 0x8848)


def link_columns(packet: dict[str, Any]) -> Row:
    ethernet, cooked = packet.get("eth", []), packet.get("sll", [])
    return {
        "outer_src_mac": get(ethernet, "eth.src") or get(cooked, "sll.src.eth"),
        "outer_dst_mac": get(ethernet, "eth.dst"),
        "vlan": vlan(packet),
        "packet_type": number(cooked, "sll.pkttype"),
        "if_index": number(cooked, "sll.ifindex"),
    }


def vlan(packet: dict[str, Any]) -> int | None:
    """Give the identifier of the outermost tag."""
    for name, tree in packet.items():
        if name in ("vlan", "ieee8021ad"):
            return number(tree, f"{name}.id")
    return None


def packet_columns(prefix: str, packet: dict[str, Any]) -> Row:
    """Make the columns of one IP packet with its ports and checksums."""
    version, ip = packet.get("ip", ("", []))
    row = ipv6_columns(ip) if version == "ipv6" else ipv4_columns(ip)
    name, transport = packet.get("transport", ("", []))
    row["sport"] = number(transport, f"{name}.srcport")
    row["dport"] = number(transport, f"{name}.dstport")
    row = {prefix + column: value for column, value in row.items()}
    side = prefix or "inner_"
    row[side + "checksum"] = number(transport, f"{name}.checksum")
    if name in ("tcp", "udp"):  # of the others tshark does not tell it
        row[side + "checksum_expected"] = number(transport, f"{name}.checksum_calculated")
    row[side + "checksum_state"] = state(number(transport, f"{name}.checksum.status"))
    row[side + "ip_checksum_state"] = state(number(ip, "ip.checksum.status"))
    if find(ip, "ip.cur_rt") is not None:  # tshark takes the end of a source route for the destination
        for column in (prefix + "dst", side + "checksum_expected", side + "checksum_state"):
            row.pop(column, None)
    return row


def state(status: int | None) -> str | None:
    """Name a checksum status of Wireshark's (epan/proto.h, ``proto_checksum_enum_e``)."""
    return (
        None if status is None else {0: "bad", 1: "ok", 2: "unverifiable", 3: "absent", 4: "absent"}[status]
    )


def ipv4_columns(ip: Tree) -> Row:
    units = number(ip, "ip.frag_offset")
    return {
        "src": get(ip, "ip.src"),
        "dst": get(ip, "ip.dst"),
        "protocol": number(ip, "ip.proto"),
        "ttl": number(ip, "ip.ttl"),
        "tos": number(ip, "ip.dsfield"),
        "ip_id": number(ip, "ip.id"),
        "length": number(ip, "ip.len"),
        "fragment_offset": None if units is None else 8 * units,
        "more_fragments": truth(number(ip, "ip.flags.mf")),
        "dont_fragment": truth(number(ip, "ip.flags.df")),
    }


def ipv6_columns(ip: Tree) -> Row:
    fragment = get(ip, "ipv6.fraghdr") is not None or find(ip, "ipv6.fraghdr.nxt") is not None
    length = number(ip, "ipv6.plen")
    units = number(ip, "ipv6.fraghdr.offset")
    return {
        "src": get(ip, "ipv6.src"),
        "dst": get(ip, "ipv6.dst"),
        "protocol": last_header(ip),
        "ttl": number(ip, "ipv6.hlim"),
        "tos": number(ip, "ipv6.tclass"),
        "ip_id": number(ip, "ipv6.fraghdr.ident") if fragment else None,
        "length": None if length is None else length + 40,
        "fragment_offset": None if units is None else 8 * units,
        "more_fragments": truth(number(ip, "ipv6.fraghdr.more")),
    }


def last_header(ip: Tree) -> int | None:
    """Give the next header value of the last extension header."""
    last = None
    for key, value in ip:
        if key.endswith((".nxt", ".next_header")) and isinstance(value, str):
            last = int(value, 0)
        elif isinstance(value, list):
            inner = last_header(value)
            last = last if inner is None else inner
    return last


def truth(value: int | None) -> bool | None:
    return None if value is None else bool(value)


def tcp_columns(packet: dict[str, Any]) -> Row:
    name, transport = packet.get("transport", ("", []))
    tcp = transport if name == "tcp" else []
    row: Row = {
        "tcp_seq": number(tcp, "tcp.seq_raw"),
        "tcp_ack": number(tcp, "tcp.ack_raw"),
        "tcp_flags": number(tcp, "tcp.flags"),
        "tcp_window": number(tcp, "tcp.window_size_value"),
    }
    if name == "tcp":
        row["payload_length"] = number(tcp, "tcp.len")
    if name == "udp":
        length = number(transport, "udp.length")
        row["payload_length"] = None if length is None else length - 8
    return row


def message_columns(packet: dict[str, Any]) -> Row:
    """Make the columns of ICMP with the packet it quotes, of ARP and of neighbour discovery."""
    name, transport = packet.get("transport", ("", []))
    icmp = transport if name in ("icmp", "icmpv6") else []
    quoted = next(((key, value) for key, value in icmp if key in ("ip", "ipv6")), ("", []))
    quoted_row = ipv6_columns(quoted[1]) if quoted[0] == "ipv6" else ipv4_columns(quoted[1])
    arp = packet.get("arp", []) if "ip" not in packet else []
    target = get(icmp, "icmpv6.nd.ns.target_address") or get(icmp, "icmpv6.nd.na.target_address")
    row: Row = {
        "icmp_type": number(icmp, f"{name}.type"),
        "icmp_code": number(icmp, f"{name}.code"),
        "icmp_mtu": number(icmp, f"{name}.mtu"),
        "nd_target": target,
        "arp_operation": number(arp, "arp.opcode"),
        "arp_sender": get(arp, "arp.src.proto_ipv4"),
        "arp_target": get(arp, "arp.dst.proto_ipv4"),
        "arp_sender_mac": get(arp, "arp.src.hw_mac"),
        "arp_target_mac": get(arp, "arp.dst.hw_mac"),
    }
    for column in ("src", "dst", "protocol", "ip_id"):
        row["quoted_" + column] = quoted_row[column]
    options = find(transport, "tcp.options_tree") if name == "tcp" else None
    if number(transport, "tcp.flags.syn"):
        row["mss"] = number(options, "tcp.options.mss_val")
        row["window_scale"] = number(options, "tcp.options.wscale.shift")
    return row
