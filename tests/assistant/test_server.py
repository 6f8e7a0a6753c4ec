"""The server as an assistant's program meets it: by the SDK's own client, in memory and over its streams."""

import json
import shutil
import sys
from pathlib import Path

import pytest

pytest.importorskip("mcp")
anyio = pytest.importorskip("anyio")

from mcp import Client, StdioServerParameters  # noqa: E402

from vxlanalyze.assistant.root import Root  # noqa: E402
from vxlanalyze.assistant.server import build, main  # noqa: E402

PROJECT = Path(__file__).resolve().parents[2]
RECORDED = PROJECT / "tests" / "captures" / "facts-iptables-input"
ADDRESS = "192.168.56.11"
BOTH = {"captures": ["node1.pcap.gz", "node2.pcap.gz"], "facts": ["facts.tar.xz"]}


@pytest.fixture
def root(tmp_path):
    """A folder with a pair, its facts, a report, and ways out of it."""
    folder = tmp_path / "served"
    shutil.copytree(RECORDED, folder)
    (tmp_path / "secret.txt").write_text("net.ipv4.ip_forward = 1\n")
    (folder / "way-out").symlink_to(tmp_path / "secret.txt")
    return folder


def called(server, name, arguments):
    async def call():
        async with Client(server) as client:
            result = await client.call_tool(name, arguments)
            return "".join(block.text for block in result.content), result.is_error

    return anyio.run(call)


@pytest.fixture
def ask(root):
    """Call one tool; give what it says, and whether that is an error."""
    return lambda name, arguments, redact=True: called(build(Root(root), redact=redact), name, arguments)


def process(root, *options):
    return StdioServerParameters(
        command=sys.executable,
        args=["-m", "vxlanalyze.assistant.server", "--root", str(root), *options],
        cwd=str(PROJECT),
    )


@pytest.mark.parametrize("options", [[], ["--no-redact"]], ids=["redacted", "as it is"])
def test_the_command_serves_over_standard_input_and_output(root, options):
    text, wrong = called(process(root, *options), "compare", BOTH)

    assert not wrong
    assert (ADDRESS in text) == bool(options)


def test_the_command_refuses_a_root_that_is_none(capsys, tmp_path):
    with pytest.raises(SystemExit) as ended:
        main(["--root", str(tmp_path / "missing")])

    assert ended.value.code == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_the_tools_are_listed_as_reading_only(root):
    async def listed():
        async with Client(build(Root(root))) as client:
            return client.instructions, (await client.list_tools()).tools

    instructions, tools = anyio.run(listed)
    assert [tool.name for tool in tools] == ["compare", "packets", "explain", "plan", "facts"]
    assert all(tool.annotations.read_only_hint and tool.description for tool in tools)
    assert "frame numbers" in instructions


def test_a_comparison_names_the_cause_with_frames_and_pseudonyms(ask):
    text, wrong = ask("compare", BOTH)
    answer = json.loads(text)

    assert not wrong
    assert answer["findings"][0]["code"] == "not-answered"
    assert "iptables-save.txt, line" in answer["findings"][0]["evidence"]["fact_1"]
    assert all(finding["frames"] for finding in answer["findings"])
    assert ADDRESS not in text
    assert str(PROJECT) not in text


def test_addresses_are_shown_where_the_user_started_it_so(ask):
    text, _ = ask("compare", BOTH, redact=False)

    assert ADDRESS in text


def test_packets_are_bounded_and_have_frames(ask):
    text, _ = ask("packets", {**BOTH, "outcome": "delivered", "limit": 5})
    answer = json.loads(text)

    assert len(answer["packets"]) == 5 < answer["matching"]
    assert all(packet["sent_frame"] for packet in answer["packets"])
    assert "10.42.0.10" not in text


@pytest.mark.parametrize(
    "path", ["../secret.txt", "/etc/passwd", "way-out", "node1.pcap.gz,node2.pcap.gz", "*.gz", "missing", "-"]
)
def test_what_lies_outside_is_refused(ask, path):
    text, wrong = ask("compare", {"captures": [path, "node2.pcap.gz"]})

    assert wrong
    assert "ip_forward" not in text


def test_a_folder_with_a_link_out_of_it_is_refused(ask):
    text, wrong = ask("facts", {"path": "."})

    assert wrong
    assert "leads out of the folder" in text


def test_facts_lists_captures_and_tables(ask, root):
    (root / "way-out").unlink()
    answer = json.loads(ask("facts", {"path": "facts.tar.xz"})[0])

    assert {"firewall", "devices", "routes", "counters"} <= {table["kind"] for table in answer["tables"]}
    kinds = {file["path"]: file["kind"] for file in json.loads(ask("facts", {})[0])["files"]}
    assert kinds["node1.pcap.gz"] == "capture"


def test_a_plan_and_a_manual_are_text(ask):
    plan, _ = ask("plan", {"nodes": ["a", "b"], "cni": "cilium"})
    manual, _ = ask("explain", {"code": "mtu-blackhole"})
    codes, _ = ask("explain", {})

    assert "tcpdump -ni" in plan
    assert "How it decides" in manual
    assert "not-answered:" in codes


@pytest.mark.parametrize(
    ("name", "arguments"), [("explain", {"code": "no-such"}), ("plan", {"nodes": ["a"]})]
)
def test_errors_are_one_line(ask, name, arguments):
    text, wrong = ask(name, arguments)

    assert wrong
    assert len(text.splitlines()) == 1
