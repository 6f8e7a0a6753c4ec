"""All pairs of nodes of a cluster: what was done to a direction stands in its cell, and nowhere else."""

import json
import re
import shutil
from xml.etree import ElementTree

import pytest

import vxlanalyze as vx
from tests.dask.nodes import Nodes
from vxlanalyze.command import cli
from vxlanalyze.report.matrix import FORMATS, as_html, as_text

LOST = {
    **{f"node{n}>node3": 1.0 for n in (1, 2, 4)},
    "node1>node2": ">700",
    "node4>node1": 0.2,
}
FOUND = {
    **{f"node{n}>node3": "path-blocked" for n in (1, 2, 4)},
    "node1>node2": "mtu-blackhole",
    "node4>node1": "packet-loss",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    written = tmp_path_factory.mktemp("cluster")
    Nodes(4, lost=LOST).write(written)
    return written


@pytest.fixture(scope="module")
def matrix(folder):
    return vx.matrix(folder)


@pytest.fixture(scope="module")
def healthy(tmp_path_factory):
    written = tmp_path_factory.mktemp("healthy")
    Nodes(4, apart=(frozenset({0, 3}), frozenset({1, 3}))).write(written)
    return written


def run(capsys, *arguments):
    status = cli.main([str(argument) for argument in arguments])
    captured = capsys.readouterr()
    return status, captured.out, captured.err


def test_each_fault_stands_in_its_cell_and_all_others_are_good(matrix):
    found = {c["direction"]: c["finding"] for c in matrix.report.cells if c["finding"] is not None}

    assert found == FOUND
    assert {c["state"] for c in matrix.report.cells if c["direction"] not in FOUND} == {"good"}
    assert len(matrix.report.cells) == 12


def test_the_verdict_puts_together_what_one_node_has_in_common(matrix):
    assert matrix.verdict == (
        "5 of 12 directions between 4 nodes are in trouble: path-blocked to node3 (from node1, node2 and "
        "node4), mtu-blackhole node1>node2, packet-loss node4>node1."
    )


def test_nothing_is_wrong_where_nothing_was_done_and_strangers_are_no_fault(healthy):
    found = vx.matrix(healthy)

    states = {cell["direction"]: cell["state"] for cell in found.report.cells}
    idle = {"node1>node4", "node4>node1", "node2>node4", "node4>node2"}
    assert {direction for direction, state in states.items() if state == "idle"} == idle
    assert set(states.values()) == {"idle", "good"}
    assert found.verdict == "Nothing is wrong in 8 directions between 4 nodes."


def test_nodes_are_known_by_their_own_tunnel_addresses(matrix):
    assert [node["node_addresses"] for node in matrix.nodes] == [[f"172.16.0.{10 + n}"] for n in range(4)]


def test_a_cell_counts_the_packets_of_its_direction_alone(matrix, folder):
    """40 requests and the answers to those of the other's that arrived."""
    cells = {cell["direction"]: cell for cell in matrix.report.cells}

    assert (cells["node1>node3"]["sent"], cells["node1>node3"]["delivered"]) == (80, 0)
    assert (cells["node3>node2"]["sent"], cells["node3>node2"]["lost"]) == (40, 0)
    assert all(cell["unknown"] == 0 for cell in cells.values())


def test_frames_of_findings_are_those_of_the_whole_capture(matrix, folder):
    blocked = next(f for f in matrix.findings if f.code == "path-blocked" and f.direction == "node1>node3")
    frames = vx.read(folder / "node1.pcap").frames().set_index("frame")

    assert set(frames.loc[blocked.frames["node1"], "outer_dst"]) == {"172.16.0.12"}


def test_a_capture_without_a_frame_is_the_node_whose_address_is_left(tmp_path):
    """Where a node is blocked from all sides, that is what `tcpdump udp port 8472` leaves there."""
    ways = [(n, 3) for n in (1, 2, 4)] + [(3, n) for n in (1, 2, 4)]
    Nodes(4, lost={f"node{a}>node{b}": 1.0 for a, b in ways}).write(tmp_path)
    deaf = tmp_path / "node3.pcap"
    deaf.write_bytes(deaf.read_bytes()[:24])

    found = vx.matrix(tmp_path)

    cells = {cell["direction"]: cell["finding"] for cell in found.report.cells}
    assert [cells[f"node{n}>node3"] for n in (1, 2, 4)] == ["path-blocked"] * 3
    assert found.nodes[2]["node_addresses"] == ["172.16.0.12"]
    assert "the other addresses being those of other nodes" in found.nodes[2]["node_addresses_by"]


def test_two_nodes_give_what_comparing_them_gives(folder, tmp_path):
    Nodes(2, lost={"node1>node2": 0.3}).write(tmp_path)
    pair = [tmp_path / "node1.pcap", tmp_path / "node2.pcap"]

    found, alone = vx.matrix(*pair), vx.compare(*pair)

    assert found.pair("node2", "node1")["findings"] == list(alone.report.findings)
    assert [c["loss_ratio"] for c in found.report.cells] == [hop["loss_ratio"] for hop in alone.hops]


def test_a_dask_cluster_gives_the_same(client, folder, matrix):
    assert vx.matrix(folder, client=client).to_json() == matrix.to_json()


def test_the_command_works_on_a_dask_cluster(capsys, cluster, folder, matrix):
    status, out, _ = run(
        capsys, "--matrix", folder, "--format", "json", "--scheduler", cluster.scheduler_address
    )

    assert (status, out) == (0, matrix.to_json())


def test_library_users_get_tables(matrix):
    assert matrix.table("finding").loc["node1", "node2"] == "mtu-blackhole"
    assert matrix.table("lost").loc["node2", "node3"] == 80
    assert matrix.cells["delay_ns.p50"].dropna().between(0, 1_000_000).all()
    assert matrix.findings["packet-loss"].direction == "node4>node1"
    with pytest.raises(KeyError, match="node1 and node9"):
        matrix.pair("node1", "node9")


def test_text_shows_the_matrix_and_what_to_do(matrix):
    text = str(matrix)

    assert re.search(r"1 node1 +· +B [\d.]+ % +A 100 % +ok\n", text)
    assert "A CRITICAL path-blocked to node3 (from node1, node2 and node4)" in text
    assert re.search(r"UDP 8472.*172\.16\.0\.10", " ".join(text.split()))


@pytest.mark.parametrize("shown", ["page", "notebook"])
def test_html_needs_nothing_else_and_is_well_formed(matrix, tmp_path, shown):
    matrix.save(tmp_path / "matrix.html")
    html = (tmp_path / "matrix.html").read_text() if shown == "page" else matrix._repr_html_()

    assert not re.search(r"<script|https?://|<link|<img", html)
    assert html.count('<td class="critical"') == 4
    body = html[html.index("<body>") : html.index("</body>") + 7] if shown == "page" else html
    ElementTree.fromstring(re.sub(r"<style>.*?</style>", "", body, flags=re.DOTALL))


def test_hostile_names_are_escaped(folder, tmp_path):
    found = vx.matrix(folder / "node1.pcap", folder / "node2.pcap", names=["<b|x", "node2"])
    found.save(tmp_path / "matrix.md")

    assert "<b|" not in found._repr_html_()
    assert r"|  | \<b\|x | node2 |" in (tmp_path / "matrix.md").read_text()


def test_markdown_is_a_table(matrix, tmp_path):
    matrix.save(tmp_path / "matrix.md")
    lines = (tmp_path / "matrix.md").read_text().splitlines()

    assert "|  | node1 | node2 | node3 | node4 |" in lines
    assert any(re.fullmatch(r"\| node2 \| ok \| · \| A 100 % \| ok \|", line) for line in lines)


def test_exit_statuses_are_those_of_a_comparison(capsys, folder, healthy):
    assert run(capsys, "--matrix", folder)[0] == 0
    assert run(capsys, "--matrix", folder, "--fail-on", "critical")[0] == 1
    assert run(capsys, "--matrix", healthy, "--fail-on", "warning")[0] == 0


def test_outputs_are_written_beside_the_text(capsys, folder, tmp_path):
    status, out, _ = run(
        capsys,
        "--matrix",
        folder,
        "-o",
        tmp_path / "m.json",
        "-o",
        tmp_path / "m.html",
        "--only",
        "port=9000",
    )

    assert (status, out.splitlines()[0][:12]) == (0, "5 of 12 dire")
    assert json.loads((tmp_path / "m.json").read_text())["schema"] == "vxlanalyze.matrix/1"
    assert (tmp_path / "m.html").exists()


@pytest.mark.parametrize("format_", FORMATS)
def test_no_address_and_no_name_survives_what_is_handed_on(capsys, folder, tmp_path, format_):
    pod = {
        "kind": "Pod",
        "metadata": {"name": "records-0", "namespace": "ward"},
        "spec": {"nodeName": "node2"},
        "status": {"podIP": "10.244.1.10", "phase": "Running"},
    }
    kube = tmp_path / "of-the-ward.json"
    kube.write_text(json.dumps({"kind": "List", "items": [pod]}))
    asked = ("--matrix", folder, "--kube", kube, "--format", format_)
    secret = re.compile(r"node[1-4]|172\.16\.0\.|10\.244\.|records-0|(?<!for)ward|" + re.escape(str(folder)))

    assert {"node1", "172.16.0."} <= set(secret.findall(run(capsys, *asked)[1]))
    assert secret.findall(run(capsys, *asked, "--redact")[1]) == []


def test_what_is_saved_redacted_is_what_the_command_writes(capsys, folder, matrix, tmp_path):
    matrix.save(tmp_path / "m.json", redact=True)
    _, out, _ = run(capsys, "--matrix", folder, "--format", "json", "--redact")

    saved = (tmp_path / "m.json").read_text()
    assert json.loads(saved) == json.loads(out)
    assert [cell["state"] for cell in json.loads(saved)["cells"]] == [c["state"] for c in matrix.report.cells]


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["node1.pcap"], "a matrix needs the captures of two nodes or more"),
        (["spoiled"], "spoiled/node2.pcap: "),
        (
            ["node1.pcap", "node2.pcap", "--format", "junit"],
            "a matrix is written as text, json, html, markdown",
        ),
        (["node1.pcap", "node2.pcap", "-o", "m.xml"], "a matrix is written as text, json, html, markdown"),
        (["node1.pcap", "node2.pcap", "--expect", "x"], "--expect is of one comparison; leave --matrix out"),
        (["x=node1.pcap", "x=node2.pcap"], "the name x is given twice"),
        (["empty"], "empty: a directory without captures"),
        (["missing"], "missing: no such file"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(capsys, monkeypatch, folder, tmp_path, arguments, why):
    for path in folder.iterdir():
        shutil.copy(path, tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "spoiled").mkdir()
    (tmp_path / "spoiled" / "node2.pcap").write_bytes(b"no capture")
    monkeypatch.chdir(tmp_path)

    status, out, err = run(capsys, "--matrix", *arguments)

    assert (status, out, err.count("\n")) == (2, "", 1)
    assert err.startswith("vxlanalyze: error: ")
    assert why in err


def test_eight_nodes_fit_into_80_columns_by_letters_alone(tmp_path):
    Nodes(8, lost=LOST).write(tmp_path)
    lines = as_text.render(vx.matrix(tmp_path).report).splitlines()
    start = lines.index("Matrix")

    assert lines[start + 5].split() == ["4", "node4", "C", "ok", "A", "·", "ok", "ok", "ok", "ok"]
    assert max(map(len, lines[start : start + 10])) <= 80


def test_the_page_names_each_pair_in_trouble_and_folds_the_others(matrix):
    page = as_html.render(matrix.report)
    troubled, _, fine = page.partition("<h2>Pairs</h2>")[2].partition("<details>")

    assert re.search(r"node1 and node\d: UDP port \d+: \d+ of", page)
    assert "node3 and node4:</strong> None of" in troubled
    assert "<summary>Nothing wrong: " in fine
    assert "node2 and node4:</strong> Nothing is wrong" in fine
