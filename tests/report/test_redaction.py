"""Nothing of what the captures and the cluster call their own survives in any output."""

import ast
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from ipaddress import ip_address
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import vxlanalyze
from tests.report.broken_pair import report
from tests.report.recorded import CAPTURES, paths, run
from tests.report.test_html import HOSTILE
from tests.tools import tshark
from vxlanalyze.export.annotate import annotate
from vxlanalyze.export.decapsulate import decapsulate
from vxlanalyze.export.redaction import Redactor
from vxlanalyze.export.redaction.addresses import AddressCipher
from vxlanalyze.export.redaction.wording import Wording
from vxlanalyze.kubernetes.model import Cluster, Pod
from vxlanalyze.report import RENDERERS
from vxlanalyze.report.formats.as_json import from_json, render
from vxlanalyze.report.model import Report
from vxlanalyze.report.renderer import Judgement

RECORDINGS = ("random-loss", "dns-server-silent", "healthy-ipv6-pods", "mtu-icmp", "healthy-geneve")
NOBODYS = {"0.0.0.0", "127.0.0.1", "255.255.255.255", "::", "::1"}
DECODED = ("-d", "udp.port==8472,vxlan")


@pytest.fixture
def cipher() -> AddressCipher:
    return AddressCipher(b"key")


@pytest.fixture
def wording(cipher: AddressCipher) -> Wording:
    return Wording(cipher)


def whole_report(name: str) -> Report:
    return run(name).with_digests().report()


def redactor(name: str) -> Redactor:
    return Redactor(whole_report(name), run(name).comparison.cluster)


def secrets(name: str) -> set[str]:
    """Addresses and names of a recording: from tshark, from its cluster, and from where it lies."""
    addresses, words = set(), set()
    for path in paths(name):
        told = tshark(
            path,
            *DECODED,
            "-T",
            "fields",
            *(x for f in ADDRESS_FIELDS for x in ("-e", f)),
            "-E",
            "occurrence=a",
        )
        addresses |= {a for a in re.split(r"[\s,]+", told) if a}
        words |= {str(path.parent), path.parent.name + "/", path.name}
    told = tshark(paths(name)[0], *DECODED, "-T", "fields", "-e", "dns.qry.name")
    words |= {n for n in re.split(r"[\s,]+", told) if n}
    items = json.loads((CAPTURES / name / "kube.json").read_text())["items"]
    words |= {item["metadata"]["name"] for item in items}
    words |= {capture.name for capture in run(name).comparison.captures}
    kept = {"kubernetes", "kubernetes.default.svc.cluster.local", ""}
    return {a for a in addresses if not nobodys(a)} | (words - kept)


ADDRESS_FIELDS = ("ip.src", "ip.dst", "ipv6.src", "ipv6.dst", "eth.src", "eth.dst", "arp.src.proto_ipv4")


def nobodys(address: str) -> bool:
    if address.count(":") == 5 and len(address) == 17:
        return address in ("ff:ff:ff:ff:ff:ff", "00:00:00:00:00:00")
    parsed = ip_address(address)
    return address in NOBODYS or (
        str(parsed).startswith(("224.0.0.", "ff02::")) and "ff02::1:ff" not in str(parsed)
    )


def survivors(text: str, wanted: set[str]) -> set[str]:
    """Which of some words stand in a text, as words."""
    return {w for w in wanted if w in text and re.search(rf"(?<![\w-]){re.escape(w)}(?![\w-])", text)}


@pytest.mark.parametrize("name", RECORDINGS)
def test_no_address_and_no_name_survives_in_any_report(name: str):
    wanted = secrets(name)
    redacted = redactor(name).report(whole_report(name))

    assert survivors(render(whole_report(name)), wanted)
    for renderer in RENDERERS:
        assert survivors(renderer.render(redacted), wanted) == set(), renderer.name


@pytest.mark.parametrize("name", RECORDINGS)
def test_no_address_and_no_name_survives_in_captures(name: str, tmp_path: Path):
    found, hides = run(name), redactor(name)
    annotate(found.comparison, found.diagnosis.findings, tmp_path, hides)
    (tmp_path / "whole").mkdir()
    decapsulate(found.comparison, tmp_path / "whole", hides)

    wanted = secrets(name)
    written = [*tmp_path.glob("*.pcapng"), *(tmp_path / "whole").glob("*.pcapng")]
    assert len(written) == 2 * len(found.comparison.captures)
    for path in written:
        assert survivors(path.name.removesuffix(".pcapng"), wanted) == set()
        assert survivors(tshark(path, *DECODED, "-T", "pdml"), wanted) == set()


@pytest.mark.parametrize("name", RECORDINGS)
def test_no_byte_of_payload_survives_in_captures(name: str, tmp_path: Path):
    """No eight bytes that stood behind a header of the input stand anywhere in the output."""
    found = run(name)
    decapsulate(found.comparison, tmp_path, redactor(name))

    for capture, path in zip(found.comparison.captures, paths(name), strict=True):
        behind = set(payload_windows(path))
        assert behind
        output = (tmp_path / f"{redactor(name).name(capture.name)}.pcapng").read_bytes()
        assert [w for w in behind if w in output] == []


def payload_windows(path: Path) -> Iterator[bytes]:
    """Eight varied bytes out of the payload of each packet, as tshark finds it."""
    for field, shown in (("tcp.payload", "tcp.len > 0"), ("udp.payload", "dns"), ("data.data", "icmp")):
        wanted = ("-Y", shown, "-T", "fields", "-e", field, "-E", "occurrence=l")
        for line in tshark(path, *DECODED, *wanted).split():
            payload = bytes.fromhex(line.replace(":", ""))
            window = payload[-8:]
            if len(payload) >= 24 and len(set(window)) > 5:
                yield window


def test_frames_keep_their_headers_times_and_lengths(tmp_path: Path):
    kept = (
        "frame.time_epoch",
        "frame.len",
        "ip.id",
        "ip.ttl",
        "tcp.srcport",
        "tcp.seq_raw",
        "tcp.flags",
        "tcp.options.timestamp.tsval",
    )
    found = run("random-loss")
    decapsulate(found.comparison, tmp_path)
    (tmp_path / "redacted").mkdir()
    decapsulate(found.comparison, tmp_path / "redacted", redactor("random-loss"))

    def table(path: Path) -> str:
        return tshark(path, "-Y", "tcp", "-T", "fields", *(x for f in kept for x in ("-e", f)))

    assert table(tmp_path / "node1.pcapng").count("\n") > 50
    assert table(tmp_path / "redacted" / "point1.pcapng") == table(tmp_path / "node1.pcapng")


@pytest.mark.parametrize(
    "name", ["random-loss", "healthy-ipv6-pods", "healthy-geneve", "inner-checksum-bad", "healthy-no-offload"]
)
def test_checksums_stay_as_right_or_wrong_as_they_were(name: str, tmp_path: Path):
    """tshark verifies what it can: packets without payload, and IP headers."""
    found = run(name)
    hides = redactor(name)
    annotated = tmp_path / "annotated"
    for directory in (tmp_path / "plain", tmp_path / "redacted", annotated):
        directory.mkdir()
    decapsulate(found.comparison, tmp_path / "plain")
    decapsulate(found.comparison, tmp_path / "redacted", hides)

    states = (
        "frame.number",
        "ip.checksum.status",
        "tcp.checksum.status",
        "udp.checksum.status",
        "icmp.checksum.status",
    )
    checked = (
        "-o",
        "ip.check_checksum:TRUE",
        "-o",
        "tcp.check_checksum:TRUE",
        "-o",
        "udp.check_checksum:TRUE",
    )
    compared = 0
    for capture in found.comparison.captures:
        tables = []
        for path in (tmp_path / "plain" / capture.name, tmp_path / "redacted" / hides.name(capture.name)):
            told = tshark(
                path.with_suffix(".pcapng"),
                *checked,
                "-Y",
                "tcp.len == 0",
                "-T",
                "fields",
                *(x for f in states for x in ("-e", f)),
            )
            tables.append(told.splitlines())
        assert tables[0] == tables[1]
        compared += len(tables[0])
    assert compared > 20


def test_every_cut_of_a_frame_keeps_no_half_of_an_address():
    """Frames cut anywhere by a snap length: what is left is known as what it is, or gone."""
    comparison = run("random-loss").comparison
    facts, point = comparison.captures[0], comparison.points[0]
    frames = facts.source.fetch(point.index.place[5:8])
    hides = redactor("random-loss")
    sent = {frames.data[frames.start[0] + at : frames.start[0] + at + 3].tobytes() for at in (3, 9, 27, 31)}

    for length in range(int(frames.captured_length.min())):
        cut = replace(frames, captured_length=np.full(3, length, np.uint32))
        left = hides.frames(cut, facts.interfaces, comparison.ports)
        assert (left.captured_length <= length).all()
        start, kept = int(left.start[0]), int(left.captured_length[0])
        assert not any(part in left.data[start : start + kept].tobytes() for part in sent)


def test_tables_hold_pseudonyms(tmp_path: Path):
    from vxlanalyze.export.tables import write

    write(run("random-loss").comparison, tmp_path, redactor("random-loss").text)

    wanted = secrets("random-loss")
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "flows.parquet",
        "frames-point1.parquet",
        "frames-point2.parquet",
        "packets.parquet",
    ]
    for path in tmp_path.iterdir():
        table = pq.read_table(path)
        columns = [c for c in table.columns if pa.types.is_dictionary(c.type) or pa.types.is_string(c.type)]
        words = {str(value) for column in columns for value in column.unique().to_pylist()}
        assert survivors("\n".join(words), wanted) == set()
        assert survivors(str(table.schema), wanted) == set()


def test_the_same_input_gives_the_same_pseudonyms_in_every_output():
    first, second = redactor("random-loss"), redactor("random-loss")

    assert first.report(whole_report("random-loss")) == second.report(whole_report("random-loss"))
    assert first.text("172.16.0.1 node1") == second.text("172.16.0.1 node1")


def test_a_saved_report_gives_the_same_pseudonyms_as_the_captures():
    saved = from_json(render(whole_report("random-loss")))

    assert Redactor(saved).report(saved) == redactor("random-loss").report(whole_report("random-loss"))


def test_the_key_cannot_be_made_from_what_is_handed_out():
    original = whole_report("random-loss")
    redacted = redactor("random-loss").report(original)

    before = [f["sha256"] for c in original.captures for f in c["files"]]
    after = [f["sha256"] for c in redacted.captures for f in c["files"]]
    assert not set(before) & set(after)
    assert all(re.fullmatch("[0-9a-f]{64}", digest) for digest in after)


def test_figures_are_not_touched():
    original = whole_report("random-loss")
    redacted = redactor("random-loss").report(original)

    def figures(report: Report) -> list[tuple[object, ...]]:
        return [(h["sent"], h["lost"], h["low"], h["delay_ns"], h["window"]) for h in report.hops]

    assert figures(redacted) == figures(original)
    assert [(f["code"], f["severity"], f["frame_count"]) for f in redacted.findings] == [
        (f["code"], f["severity"], f["frame_count"]) for f in original.findings
    ]
    assert (
        redacted.plots["timeline"]["directions"][0]["lost"]
        == original.plots["timeline"]["directions"][0]["lost"]
    )


def test_what_is_called_like_a_part_of_the_report_takes_nothing_away_from_it():
    sound = report()
    keys = sorted(key for record in (*sound.hops, *sound.findings, *sound.captures) for key in record)
    pods = tuple(Pod(key, key, "node1", (f"10.9.9.{n % 250}",)) for n, key in enumerate(keys))
    redacted = Redactor(sound, Cluster(pods=pods)).report(sound)

    assert [list(hop) for hop in redacted.hops] == [list(hop) for hop in sound.hops]
    for renderer in RENDERERS:
        assert renderer.render(redacted)


def test_causes_still_lead_to_their_findings():
    redacted = Redactor(report()).report(report())

    keys = {f"{f['code']}@{f['direction']}" for f in redacted.findings}
    assert {f["because"] for f in redacted.findings if f["because"]} <= keys
    assert redacted.plots["ladders"][0]["finding"] in keys


def test_a_judgement_is_redacted_too():
    hides = Redactor(report())

    judged = hides.judgement(Judgement(frozenset({"path-blocked@node1>node2"}), ("node1 lost",), None))

    assert judged == Judgement(frozenset({"path-blocked@point1>point2"}), ("point1 lost",), None)


@pytest.mark.parametrize("name", [n for n in HOSTILE if len(n) < 1000])
def test_hostile_names_of_points_and_queries_do_not_survive(name: str):
    sound = report()
    asked = {
        **sound.findings[0],
        "summary": f"asks for {name} twice",
        "evidence": {"name_1": {"value": name, "unit": "name"}},
    }
    captures = [{**sound.captures[0], "name": name}, sound.captures[1]]

    redacted = Redactor(replace(sound, captures=captures, findings=[asked])).report(
        replace(sound, captures=captures, findings=[asked])
    )

    assert name not in json.dumps(redacted.findings, ensure_ascii=False)
    assert redacted.captures[0]["name"] == "point1"


def test_prefixes_are_kept(cipher: AddressCipher):
    """Two addresses share exactly as many bits afterwards as before."""
    random = np.random.default_rng(1)
    for size, kind in ((4, "IPv4"), (16, "IPv6")):
        rows = random.integers(0, 256, (200, size), dtype=np.uint8)
        rows[1::2, : size // 2] = rows[::2, : size // 2]
        for one, other in zip(rows[::2], rows[1::2], strict=True):
            before = common_bits(one.tobytes(), other.tobytes())
            after = common_bits(cipher.ip(one.tobytes()), cipher.ip(other.tobytes()))
            assert before == after, kind


def common_bits(one: bytes, other: bytes) -> int:
    return 8 * len(one) - (int.from_bytes(one, "big") ^ int.from_bytes(other, "big")).bit_length()


def test_different_addresses_stay_different(cipher: AddressCipher):
    whole = {cipher.ip(bytes([10, 0, a, b])) for a in range(32) for b in range(256)}

    assert len(whole) == 32 * 256


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("10.1.2.3", "10.0.0.0/8"),
        ("172.20.9.9", "172.16.0.0/12"),
        ("192.168.4.4", "192.168.0.0/16"),
        ("100.64.3.3", "100.64.0.0/10"),
        ("169.254.1.1", "169.254.0.0/16"),
        ("239.1.2.3", "224.0.0.0/4"),
        ("fd00:1::5", "fc00::/7"),
        ("fe80::1:2", "fe80::/10"),
        ("ff15::9", "ff00::/8"),
    ],
)
def test_what_kind_of_network_an_address_is_of_stays(cipher: AddressCipher, address: str, network: str):
    from ipaddress import ip_network

    changed = cipher.text(address)

    assert changed != address
    assert ip_address(changed) in ip_network(network)


@pytest.mark.parametrize(
    "address", ["0.0.0.0", "255.255.255.255", "127.0.0.1", "224.0.0.251", "::", "::1", "ff02::fb"]
)
def test_addresses_that_name_nobody_stay(cipher: AddressCipher, address: str):
    assert cipher.text(address) == address


def test_a_public_address_does_not_become_a_private_one(cipher: AddressCipher):
    random = np.random.default_rng(2)
    for row in random.integers(0, 256, (2000, 4), dtype=np.uint8):
        address = ip_address(row.tobytes())
        assert ip_address(cipher.ip(row.tobytes())).is_private == address.is_private or address.is_reserved


def test_makers_of_cards_stay_and_local_macs_stay_local(cipher: AddressCipher):
    maker = cipher.mac(bytes.fromhex("005056aabbcc"))
    local = cipher.mac(bytes.fromhex("0a580af40005"))

    assert maker.hex().startswith("005056")
    assert maker.hex() != "005056aabbcc"
    assert local[0] & 3 == 2
    assert local.hex()[2:] != "580af40005"
    assert cipher.mac(b"\xff" * 6) == b"\xff" * 6


def test_another_key_gives_other_pseudonyms(cipher: AddressCipher):
    assert AddressCipher(b"other").text("10.1.2.3") != cipher.text("10.1.2.3")


@pytest.mark.parametrize(
    "sentence",
    [
        "Allow UDP 8472 from {0} to {1}.",
        "{0}:53 left 3 of 4 queries unanswered",
        "[{2}]:8080 and {2}, then {2}.",
        "({0}/24)",
        "MAC {3}; {3}.",
        "`dig @{0} example.corp`",
    ],
)
def test_addresses_are_found_in_sentences(wording: Wording, cipher: AddressCipher, sentence: str):
    addresses = ("10.7.8.9", "172.16.3.4", "fd00:3::7", "02:42:0a:01:02:03")
    changed = [cipher.text(a) for a in addresses[:3]] + [cipher.mac(bytes.fromhex("02420a010203")).hex(":")]

    written = wording.text(sentence.format(*addresses))

    assert written == sentence.format(*changed).replace("example.corp", "name1.name2")


@pytest.mark.parametrize(
    "sentence",
    [
        "sent at 2026-11-23T18:57:31.271295000Z, 41.5 s later, 0.35ms; kernel 5.6.13 and v1.17.9",
        "12:30:45 of 1,278 bytes; 4e-25; a :: b",
        "set `net.ipv4.conf.all.rp_filter` to 2 on flannel.1",
    ],
)
def test_times_numbers_and_settings_are_no_addresses(wording: Wording, sentence: str):
    assert wording.text(sentence) == sentence


def test_a_display_filter_keeps_its_own_words(wording: Wording, cipher: AddressCipher):
    wording.know("tcp")

    written = wording.filter('ip.src == 10.7.8.9 && tcp.port in {80} && dns.qry.name == "a.corp"')

    changed = cipher.text("10.7.8.9")
    assert written == f'ip.src == {changed} && tcp.port in {{80}} && dns.qry.name == "name2.name3"'


def test_networks_stay_networks(wording: Wording, cipher: AddressCipher):
    written = wording.text("pods of 10.233.64.0/18")

    network = re.search(r"[\d.]+/18", written)
    assert network is not None
    from ipaddress import ip_network

    assert ip_address(cipher.text("10.233.64.9")) in ip_network(network[0])


def test_names_are_replaced_as_whole_words_only(wording: Wording):
    wording.know("web")

    assert wording.text("web web-0 webs web.") == "name1 web-0 webs name1."


def test_domains_keep_what_they_are_below(wording: Wording):
    written = wording.text("a.corp.example b.corp.example kubernetes.default.svc.cluster.local")

    assert written == "name1.name2.name3 name4.name2.name3 kubernetes.default.svc.cluster.local"


def test_what_the_program_itself_writes_is_not_taken_for_a_name(wording: Wording):
    """All words with dots in the sentences of diagnostics stay readable."""
    package = Path(vxlanalyze.__file__).parent
    words = set()
    for path in (p for room in ("diagnostics", "analysis") for p in (package / room).rglob("*.py")):
        if path.name == "__init__.py":  # the registry names modules
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and "\n" not in node.value:
                words |= set(re.findall(r"(?<![\w.@/-])[A-Za-z_][\w-]*(?:\.[\w-]+)+", node.value))
    # display filters have a way of their own, and numpy stands in docstrings
    other_words = re.compile(r"(np|arp|dns|esp|eth|frame|geneve|icmp|icmpv6|ip|ipv6|tcp|udp|vxlan)\.")

    changed = {w for w in words if wording.text(w) != w and not other_words.match(w)}

    assert changed == set()


def test_what_facts_cite_keeps_file_names_and_loses_comments():
    wording = Wording(AddressCipher(b"key" * 16))
    rules = 'ip saddr 10.1.2.3 drop comment "tenant acme"; -m comment --comment acme/web'
    said = wording.text(f"nft.txt, line 7: {rules}")

    assert said.startswith("nft.txt, line 7: ip saddr ")
    assert "acme" not in said
    assert "10.1.2.3" not in said
