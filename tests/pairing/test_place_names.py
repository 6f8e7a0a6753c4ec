"""What places inside a node are called: by descriptions, by names, by the node's table of devices."""

import pytest

import vxlanalyze as vx
from tests.reported.talks import ping, tcp_talk
from tests.reported.world import World
from vxlanalyze.capture.model import Interface
from vxlanalyze.pairing.place_names import names

ETHERNET = 1


def interfaces(*said: tuple[str | None, str | None]) -> list[Interface]:
    return [Interface(i, ETHERNET, 0, *each) for i, each in enumerate(said)]


@pytest.mark.parametrize(
    ("said", "called"),
    [
        ([("veth1", None), ("veth2", None)], ["n/veth1", "n/veth2"]),
        ([("veth1", "default/web-0"), ("veth2", "default/db-0")], ["n/default-web-0", "n/default-db-0"]),
        ([("veth1", "a card"), ("veth2", "a card")], ["n/veth1", "n/veth2"]),
        ([("veth", None), ("veth", None)], ["n/veth-0-0", "n/veth-1-0"]),
        ([(None, None), ("veth1", "x" * 41)], ["n/if0", "n/veth1"]),
    ],
    ids=["names", "descriptions", "equal descriptions", "equal names", "nothing, or prose"],
)
def test_places_have_names_of_their_own(said, called):
    assert names("n", interfaces(*said), [i << 32 for i in range(len(said))], {}) == called


def test_the_nodes_own_table_names_its_devices():
    keys = [0 << 32 | 7, 0 << 32 | 8]
    assert names("n", interfaces(("any", None)), keys, {7: "cali4f2"}) == ["n/cali4f2", "n/if8"]


def inside(result):
    """Places of the left node in the rows of the table of packets."""
    ends = {end for label in result.packets["direction"].unique() for end in label.split(">")}
    return {end.partition("/")[2] for end in ends if "/" in end}


def test_ip_link_names_what_any_shows(tmp_path):
    w = World(66)
    left, right = w.node("left", "10.61.0.5", any=True), w.node("right", "10.61.0.6")
    a, b = left.pod("10.244.8.2"), right.pod("10.244.9.3")
    ping(a, b, 0.1, count=5)
    tcp_talk(a, b, 8080, 0.3, repeat=2)
    captures = [c.write(tmp_path) for c in w.run().captures]
    numbered = inside(vx.compare(*captures))
    assert numbered
    assert all(name.startswith("if") for name in numbered)

    table = "".join(
        f"{name[2:]}: calix{name[2:]}@if3: <BROADCAST,UP,LOWER_UP> mtu 1450 qdisc noqueue state UP\n"
        f"    link/ether ee:ee:ee:ee:ee:ee brd ff:ff:ff:ff:ff:ff\n"
        for name in sorted(numbered)
    )
    (tmp_path / "link.txt").write_text(table)
    assert inside(vx.compare(*captures, facts={"left": tmp_path / "link.txt"})) == {
        f"calix{n[2:]}" for n in numbered
    }
