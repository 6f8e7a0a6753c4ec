"""TCP connections with windows and turns, for the diagnostics of what is slow."""

import numpy as np

from tests.simulate import TCP, Flow, Traffic

SYN, SYN_ACK, ACK, PSH_ACK = 0x02, 0x12, 0x10, 0x18
WEB = Flow(protocol=TCP, sport=40000, dport=8080)
SCALE = 7


def syn_window(window: int, scale: int | None = SCALE) -> int:
    """Write a SYN's window as the index holds it."""
    return window | (0 if scale is None else (scale + 1) << 16)


def handshake(
    flow: Flow = WEB, one_way_s: float = 0.05, window: int = 65535, scale: int | None = SCALE
) -> tuple[list[Traffic], list[Traffic]]:
    """Open a connection at 0 s; sequence numbers begin at 1000 and 5000."""
    there = Traffic(
        flow,
        time_s=[0.0],
        seq=999,
        tcp_flags=SYN,
        payload=0,
        window=syn_window(window, scale),
        delay_s=one_way_s,
    )
    back = Traffic(
        flow.reverse(),
        time_s=[one_way_s],
        seq=4999,
        ack=1000,
        tcp_flags=SYN_ACK,
        payload=0,
        window=syn_window(window, scale),
        delay_s=one_way_s,
    )
    return [there], [back]


def rounds(
    number: int, segments: int, window: int, *, one_way_s: float = 0.05, flow: Flow = WEB, wait_s: float = 0.0
) -> tuple[Traffic, Traffic]:
    """Send as many segments of 1,000 bytes in each round trip, each acknowledged on arrival with a raw
    window.

    The first segment of a round leaves when the first acknowledgement of the round before arrives, or
    `wait_s` later.
    """
    round_s = 2 * one_way_s + wait_s
    start = 2 * one_way_s + 0.001 + round_s * np.repeat(np.arange(number), segments)
    sent = start + 0.0001 * np.tile(np.arange(segments), number)
    seq = 1000 + 1000 * np.arange(number * segments)
    data = Traffic(flow, time_s=sent, seq=seq, ack=5000, payload=1000, delay_s=one_way_s, tcp_flags=ACK)
    acks = Traffic(
        flow.reverse(),
        time_s=sent + one_way_s,
        seq=5000,
        ack=seq + 1000,
        payload=0,
        tcp_flags=ACK,
        window=window,
        delay_s=one_way_s - 0.00005,
    )
    return data, acks
