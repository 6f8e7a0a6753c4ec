"""Record the kernel's own frames anew: ``python -m tests.wire.record`` (root; what tests/lab needs).

Two namespaces with a veth pair between them, VXLAN on it in the forms that Linux has (group policy, generic
protocol, IPv6 underlay), and traffic whose headers the kernel writes: options, extension headers, fragments,
errors, neighbours. Each capture in ``captures/`` is one run of tcpdump or dumpcap at the first of them.
"""

import shlex
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

from tests.lab.namespaces import Namespaces, namespaces, stop

HERE = Path(__file__).parent
CAPTURES = HERE / "captures"
SIDES = ("a", "b")
GROUP, POLICY_APPLIED, DO_NOT_LEARN = 0x0ABC, 1 << 19, 1 << 22  # include/net/vxlan.h, VXLAN_GBP_...
TUN = "/dev/net/tun"

PINGS = (
    "ping -c 1 -W 1 -m {group} {four}.2",
    "ping -c 1 -W 1 -R {four}.2",  # the IPv4 option that records the route
    "ping -c 1 -W 1 -s 3000 -M dont {four}.2",
    "ping -c 1 -W 1 -Q 0xb8 {six}::2",
    "ping -c 1 -W 1 -s 3000 {six}::2",
)


def main() -> None:
    CAPTURES.mkdir(exist_ok=True)
    with namespaces() as spaces:
        for name in SIDES:
            spaces.add(name)
            spaces.run(name, "sysctl -qw net.ipv6.conf.default.disable_ipv6=0")
        spaces.run("a", f"ip link add eth0 type veth peer name eth0 netns {spaces.real('b')}")
        for number, name in enumerate(SIDES, 1):
            _add_devices(spaces, name, number)
        time.sleep(0.5)
        _capture(spaces, "vxlan.pcap", "-i eth0 -s 200", ["vx4", "10.42.0", "fd42"])
        _capture(spaces, "vxlan-over-ipv6.pcap", "-i eth0 -s 200", ["vx6", "10.66.0", "fd66"])
        _capture(spaces, "vxlan-gpe.pcap", "-i eth0 -s 200", ["gpe", "10.70.0", "fd70"])
        _capture(spaces, "cooked.pcap", "-i any -y LINUX_SLL -s 120", ["vx4", "10.42.0", "fd42"])
        _capture(spaces, "cooked-v2.pcap", "-i any -y LINUX_SLL2 -s 120", ["vx4", "10.42.0", "fd42"])
        _capture(spaces, "raw-ip.pcap", "-i tun0 -s 120", ["tun0", "10.77.0", "fd77"])


def _add_devices(spaces: Namespaces, name: str, number: int) -> None:
    other = 3 - number
    for command in (
        f"ip link set eth0 address 02:00:00:00:00:0{number} mtu 1600 up",
        f"ip addr add 10.9.0.{number}/24 dev eth0",
        f"ip addr add fd09::{number}/64 dev eth0 nodad",
        "ip link add vx4 type vxlan id 42 dev eth0 dstport 4789 gbp"
        f" local 10.9.0.{number} remote 10.9.0.{other}",
        f"ip link add vx6 type vxlan id 16777215 dev eth0 dstport 8472 local fd09::{number} remote fd09::{other}",
        "ip link add gpe type vxlan external gpe dstport 4790",
    ):
        spaces.run(name, command)
    for device, net in (("vx4", 42), ("vx6", 66), ("gpe", 70)):
        if device != "gpe":
            spaces.run(name, f"ip link set {device} address 0a:00:00:00:00:0{number}")
        spaces.run(name, f"ip link set {device} mtu 1500 up")
        spaces.run(name, f"ip addr add 10.{net}.0.{number}/24 dev {device}")
        spaces.run(name, f"ip addr add fd{net}::{number}/64 dev {device} nodad")
    spaces.run(name, f"ip route replace 10.70.0.0/24 encap ip id 70 dst 10.9.0.{other} dev gpe")
    spaces.run(name, f"ip -6 route replace fd70::/64 encap ip id 70 dst 10.9.0.{other} dev gpe")
    for program in ("_tunnel", "_listen"):
        spaces.start(name, [sys.executable, "-m", "tests.wire.record", program, str(number)])


def _capture(spaces: Namespaces, name: str, options: str, traffic: list[str]) -> None:
    path = CAPTURES / name
    path.unlink(missing_ok=True)
    command = [
        "tcpdump",
        "-n",
        "-U",
        "-Z",
        "root",
        "-w",
        str(path),
        "--immediate-mode",
        *shlex.split(options),
    ]
    for side in SIDES:
        spaces.run(side, "ip neigh flush all")
    program = spaces.start("a", command)
    time.sleep(0.7)
    _, four, six = traffic
    for ping in PINGS:
        filled = ping.format(group=GROUP | POLICY_APPLIED | DO_NOT_LEARN, four=four, six=six)
        spaces.run("a", filled, check=False)
    spaces.run("a", f"{sys.executable} -m tests.wire.record _talk {four}.2 {six}::2", check=False)
    time.sleep(0.7)
    stop(program)
    path.chmod(0o644)


def _talk(four: str, six: str) -> None:
    """Connect where somebody listens and where nobody does; send datagrams likewise."""
    for family, host in ((socket.AF_INET, four), (socket.AF_INET6, six)):
        for port in (7000, 7001):
            with suppress(OSError), socket.create_connection((host, port), 1) as connection:
                connection.sendall(b"hello from a")
                connection.recv(100)
        with socket.socket(family, socket.SOCK_DGRAM) as datagrams:
            datagrams.sendto(b"to nobody", (host, 7001))
            if family == socket.AF_INET6:
                datagrams.setsockopt(
                    socket.IPPROTO_IPV6, socket.IPV6_HOPOPTS, bytes([0, 0, 1, 4, 0, 0, 0, 0])
                )
                datagrams.setsockopt(
                    socket.IPPROTO_IPV6, socket.IPV6_DSTOPTS, bytes([0, 0, 1, 4, 0, 0, 0, 0])
                )
                datagrams.sendto(b"with extension headers", (host, 7000))
        time.sleep(0.1)


def _listen(_: str) -> None:
    """Answer one line for each connection on port 7000; leave datagrams there unread."""
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as datagrams:
        datagrams.bind(("::", 7000))
        with socket.create_server(("::", 7000), family=socket.AF_INET6, dualstack_ipv6=True) as server:
            while True:
                connection, _ = server.accept()
                with connection:
                    connection.sendall(connection.recv(100).upper())


def _tunnel(number: str) -> None:
    """Hold a TUN device open, which makes raw IP to be captured; what is sent into it is not answered."""
    from fcntl import ioctl
    from struct import pack

    with open(TUN, "r+b", buffering=0) as device:
        ioctl(device, 0x400454CA, pack("16sH", b"tun0", 0x0001 | 0x1000))  # TUNSETIFF: TUN without a header
        for words in (
            "link set tun0 up",
            f"addr add 10.77.0.{number}/24 dev tun0",
            f"addr add fd77::{number}/64 dev tun0 nodad",
        ):
            subprocess.run(["ip", *words.split()], check=True)
        while True:
            device.read(2000)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        globals()[sys.argv[1]](*sys.argv[2:])
    else:
        main()
