"""The sequences of blocks of the pcapng conformance set, written by our builder in both byte orders.

The set's captures hold what a reader trips over: nothing but a section header, interfaces described between
packets, statistics and names everywhere, sections of different byte orders. Its lists of blocks (github.com,
hadrielk/pcapng-test-generator, the `.txt` beside each capture) say what must be found.
"""

import pytest

from tests.capture import build
from tests.capture.conftest import Reader

SEQUENCES = {
    "001": "SHB IDB EPB EPB EPB EPB",
    "002": "SHB",
    "003": "SHB IDB",
    "004": "SHB IDB IDB EPB EPB EPB EPB",
    "005": "SHB IDB EPB IDB EPB EPB EPB",
    "006": "SHB IDB IDB EPB EPB EPB EPB EPB",
    "007": "SHB IDB EPB",
    "008": "SHB IDB EPB IDB EPB EPB EPB",
    "009": "SHB IDB EPB EPB",
    "010": "SHB IDB SPB SPB SPB SPB",
    "011": "SHB IDB SPB EPB SPB EPB",
    "012": "SHB IDB SPB SPB EPB EPB",
    "013": "SHB IDB ISB",
    "014": "SHB IDB IDB ISB ISB IDB ISB",
    "015": "SHB IDB NRB",
    "016": "SHB IDB NRB SPB EPB NRB SPB EPB NRB",
    "017": "SHB CB DCB CB DCB",
    "018": "SHB IDB CB SPB EPB DCB SPB CB EPB DCB",
    "100": "SHB IDB NRB SPB NRB IDB NRB EPB IDB NRB SPB EPB EPB NRB",
    "101": "SHB IDB IDB EPB ISB ISB ISB IDB EPB ISB SPB ISB EPB ISB",
    "102": "SHB CB NRB IDB IDB ISB EPB ISB ISB DCB IDB EPB ISB SPB NRB EPB ISB EPB DCB NRB ISB",
    "200": "SHB IDB SHB IDB SHB IDB",
    "201": "SHB IDB IDB EPB ISB SHB IDB EPB ISB SPB SHB IDB IDB ISB EPB ISB",
    "202": "SHB IDB NRB IDB CB NRB EPB ISB EPB EPB SHB IDB SPB EPB DCB NRB NRB ISB SPB EPB"
    " SHB NRB IDB DCB IDB ISB ISB EPB",
}
OTHER_BLOCKS = {"NRB": 4, "CB": 0x00000BAD, "DCB": 0x40000BAD}
PACKETS = ("EPB", "SPB")
NOT_DAMAGE = "simple packet blocks: they have no time, and 1970 is given"


def write(blocks: list[str], orders: str) -> tuple[bytes, list[bytes], list[int], set[int]]:
    """Write a capture, its sections with the byte orders in turn.

    Give it with the data and the interface of each packet, and the interfaces that have statistics.
    """
    content, data, interfaces, counted = b"", [], [], set()
    sections = described = before = 0
    order = orders[0]
    for kind in blocks:
        frame = f"packet {len(data)}".encode() * (1 + len(data) % 3)
        if kind == "SHB":
            order = orders[sections % len(orders)]
            sections, before, described = sections + 1, before + described, 0
            content += build.section(order)
        elif kind == "IDB":
            content += build.interface(options=build.option(2, b"eth%d" % described, order), order=order)
            described += 1
        elif kind == "EPB":
            content += build.enhanced(frame, 10**15, described - 1, order=order)
        elif kind == "SPB":
            content += build.simple(frame, len(frame), order)
        elif kind == "ISB":
            content += build.statistics(described - 1, build.option(5, bytes(8), order), order)
            counted.add(before + described - 1)
        else:
            content += build.block(OTHER_BLOCKS[kind], b"\xff\xff\xff\x7f" * 5, order)
        if kind in PACKETS:
            data.append(frame)
            interfaces.append(before + (described - 1 if kind == "EPB" else 0))
    return content, data, interfaces, counted


@pytest.mark.parametrize("orders", ["<", ">", "<>", "><"])
@pytest.mark.parametrize("blocks", SEQUENCES.values(), ids=SEQUENCES)
def test_blocks_in_this_sequence(read: Reader, blocks: str, orders: str) -> None:
    content, data, interfaces, counted = write(blocks.split(), orders)

    whole = read(content)

    assert (whole.data, whole.interface) == (data, interfaces)
    assert len(whole.interfaces) == blocks.count("IDB")
    assert {entry.interface for entry in whole.statistics} == counted
    assert {entry.what for entry in whole.damages} <= {NOT_DAMAGE}
