"""Requests that a kernel acknowledges and no application answers, recognised by their framing."""

from collections.abc import Callable
from pathlib import Path

import pytest

import vxlanalyze as vx
from tests.reported.talks import Connection, tcp_talk
from tests.reported.world import Endpoint, World
from vxlanalyze.analysis.finding import Finding
from vxlanalyze.diagnostics.symptoms import hung_endpoint
from vxlanalyze.pairing.model import Comparison

NEVER = {"request": 1 << 40}
Talk = Callable[[Endpoint, Endpoint], None]


@pytest.fixture
def compared(tmp_path: Path) -> Callable[[Talk], vx.Comparison]:
    def run(talk: Talk) -> vx.Comparison:
        w = World(5)
        client, server = (
            w.node("node1", "192.0.2.1").pod("10.1.0.5"),
            w.node("node2", "192.0.2.2").pod("10.2.0.7"),
        )
        tcp_talk(client, server, 8080, 0.1)
        talk(client, server)
        tcp_talk(client, server, 8080, 12.0)
        w.run()
        return vx.compare(*sorted(path for path in w.write(tmp_path) if ".pcap" in path.name))

    return run


def ask(
    client: Endpoint,
    server: Endpoint,
    *,
    number: int = 3,
    port: int = 3000,
    after: float = 4.0,
    **said: object,
) -> list[list[Connection]]:
    """Send requests that get no answer, and close each connection a while later."""
    world, made = client.node.world, []
    for i in range(number):
        talk = {"server_options": NEVER, "close": "never", **said}
        made.append(tcp_talk(client, server, port, 1.0 + i, **talk))
        if after:
            world.at(1.0 + i + after, lambda i=i: made[i][0].close())
    return made


def found(result: vx.Comparison) -> list[Finding]:
    return list(hung_endpoint.find(comparison(result)))


def comparison(result: vx.Comparison) -> Comparison:
    assert result._run is not None
    return result._run.comparison


def test_requests_that_clients_give_up_are_found_and_counted(compared):
    result = compared(ask)
    (finding,) = found(result)

    assert finding.direction == "node1>node2"
    assert finding.summary == (
        "10.2.0.7 port 3000 accepted the connection and acknowledged 3 requests (HTTP/1) but sent no data"
    )
    assert finding.evidence["given_up"].value == 3
    assert finding.frame_count == 3
    assert "ss -tanp sport = :3000" in finding.remedy
    (service,) = (each for each in result.report.services if each["server"] == "10.2.0.7:3000")
    assert (service["requests"], service["answered"], service["unanswered"]) == (6, 3, 3)


def test_requests_open_at_the_end_count_after_five_seconds(compared):
    (finding,) = found(compared(lambda a, b: ask(a, b, after=0)))

    assert finding.evidence["given_up"].value == 0
    assert "long polling" in finding.explanation


def test_answered_requests_are_clear(compared):
    assert not found(compared(lambda a, b: ask(a, b, server_options={})))


def test_two_connections_are_too_few(compared):
    assert not found(compared(lambda a, b: ask(a, b, number=2)))


def test_data_without_framing_may_need_no_answer(compared):
    assert not found(compared(lambda a, b: ask(a, b, port=5170)))


def test_requests_given_up_at_once_may_have_been_sent_to_several(compared):
    assert not found(compared(lambda a, b: ask(a, b, after=0.4)))


def test_a_server_that_takes_as_long_as_they_waited_may_only_be_slow(compared):
    def talk(client: Endpoint, server: Endpoint) -> None:
        tcp_talk(client, server, 3000, 0.5, think=3.0)
        ask(client, server)

    assert not found(compared(talk))


def test_connections_that_the_server_ends_are_not_those_of_a_hung_one(compared):
    def talk(client: Endpoint, server: Endpoint) -> None:
        made: list[Connection] = []
        ask(client, server, after=0, server_options=NEVER | {"made": made})
        for i in range(3):
            client.node.world.at(3.5 + i, lambda i=i: made[i].close())

    assert not found(compared(talk))
