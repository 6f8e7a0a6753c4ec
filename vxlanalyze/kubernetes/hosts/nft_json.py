"""``nft -j list ruleset`` (libnftables-json(5), nftables 1.0): rows as for the text form."""

from collections.abc import Iterator, Mapping
from typing import Any

from vxlanalyze.kubernetes.hosts.document import Document, Locate
from vxlanalyze.kubernetes.hosts.model import Row

_VERDICTS = ("accept", "drop", "reject", "return", "queue", "continue")
_META = {"l4proto": "protocol", "iifname": "in", "iif": "in", "oifname": "out", "oif": "out", "mark": "mark"}
_PAYLOAD = {"saddr": "source", "daddr": "destination", "dport": "dport", "sport": "sport"}
_PROTOCOL_FIELDS = {("ip", "protocol"), ("ip6", "nexthdr")}
_NOT = {"==": "", "in": "", "!=": "!"}


def opens(value: object) -> bool:
    """Whether a document is a rule set."""
    return isinstance(value, dict) and isinstance(value.get("nftables"), list)


def read(value: Any, locate: Locate) -> Iterator[Row]:
    """Give chains and rules."""
    entries = [entry for entry in value["nftables"] if isinstance(entry, dict)]
    sets = {
        f"{item.get('table')}/{item.get('name')}": _elements(item.get("elem"))
        for item in (entry.get("set") for entry in entries)
        if isinstance(item, dict)
    }
    for entry in entries:
        chain, rule = entry.get("chain"), entry.get("rule")
        if isinstance(chain, dict):
            yield {**_place(chain, "name", locate), **_hook(chain)}
        elif isinstance(rule, dict) and isinstance(rule.get("expr"), list):
            row, words = _rule(rule, sets)
            yield {**_place(rule, "chain", locate), **row, "text": " ".join(words)}


def _place(item: Mapping[str, Any], chain: str, locate: Locate) -> Row:
    handle = item.get("handle")
    return {
        "line": str(locate(f'"handle": {handle},')),
        "text": f"chain {item.get(chain)}",
        "tool": "nft",
        "family": str(item.get("family")),
        "table": str(item.get("table")),
        "chain": str(item.get(chain)),
    }


def _hook(chain: Mapping[str, Any]) -> Row:
    if "hook" not in chain:
        return {"policy": "-"}
    policy = str(chain.get("policy", "accept"))
    hook, priority = str(chain["hook"]), str(chain.get("prio", 0))
    kind = str(chain.get("type"))
    text = f"chain {chain.get('name')}: type {kind} hook {hook} priority {priority}; policy {policy};"
    return {
        "hook": hook,
        "type": kind,
        "priority": priority,
        "policy": policy.upper(),
        "text": text,
    }


def _rule(rule: Mapping[str, Any], sets: Mapping[str, str]) -> tuple[Row, list[str]]:
    """Parse a rule's expressions, and write it in nft's text form."""
    row: Row = {"target": ""}
    words: list[str] = []
    other: list[str] = []
    for expression in (e for e in rule["expr"] if isinstance(e, dict) and e):
        kind, value = next(iter(expression.items()))
        if kind == "counter" and isinstance(value, dict):
            row["packets"] = str(value.get("packets", ""))
            words.append(f"counter packets {value.get('packets')}")
        elif kind in ("jump", "goto") and isinstance(value, dict):
            row |= {"target": str(value.get("target")), "goto": "yes" if kind == "goto" else ""}
            words.append(f"{kind} {value.get('target')}")
        elif kind in _VERDICTS:
            row["target"] = kind.upper()
            words.append(kind)
        elif kind == "match" and isinstance(value, dict):
            words.append(_match(value, str(rule.get("table")), sets, row, other))
        elif kind not in ("comment", "log"):
            other.append(kind)
            words.append(kind)
    return (row if not other else {**row, "other": " ".join(other)}), words


def _match(value: Mapping[str, Any], table: str, sets: Mapping[str, str], row: Row, other: list[str]) -> str:
    """Add a match to the row, or to what is not understood; give it in words."""
    name, label, protocol = _left(value.get("left"))
    right = value.get("right")
    looked_up = isinstance(right, str) and right.startswith("@")
    wanted = sets.get(f"{table}/{right[1:]}") if looked_up else _values(right)  # type: ignore[index]
    sign = _NOT.get(str(value.get("op")))
    words = f"{label} {'!= ' if sign == '!' else ''}{right if looked_up else wanted}"
    if name and wanted and sign is not None and name not in row:
        row[name] = sign + wanted
        if protocol in ("tcp", "udp", "sctp"):
            row.setdefault("protocol", protocol)
    else:
        other.append(words)
    return words


def _left(left: object) -> tuple[str, str, str]:
    """Row key, words, and protocol of the left side of a match."""
    if not isinstance(left, dict):
        return "", "match", ""
    payload, meta, ct = (left.get(key) for key in ("payload", "meta", "ct"))
    if isinstance(payload, dict):
        protocol, field = str(payload.get("protocol")), str(payload.get("field"))
        name = "protocol" if (protocol, field) in _PROTOCOL_FIELDS else _PAYLOAD.get(field, "")
        return name, f"{protocol} {field}", protocol
    if isinstance(meta, dict):
        return _META.get(str(meta.get("key")), ""), f"meta {meta.get('key')}", ""
    if isinstance(ct, dict):
        return "state" if ct.get("key") == "state" else "", f"ct {ct.get('key')}", ""
    return "", "match", ""


def _values(right: object) -> str:
    """Values in iptables notation: a comma-separated list, ranges with a colon."""
    if isinstance(right, dict):
        prefix, range_, set_ = right.get("prefix"), right.get("range"), right.get("set")
        if isinstance(prefix, dict):
            return f"{prefix.get('addr')}/{prefix.get('len')}"
        if isinstance(range_, list):
            return ":".join(map(str, range_))
        return _elements(set_)
    return _elements(right) if isinstance(right, list) else str(right) if isinstance(right, str | int) else ""


def _elements(items: object) -> str:
    if not isinstance(items, list):
        return ""
    plain = (item.get("elem", item) if isinstance(item, dict) else item for item in items[:5000])
    values = (value.get("val", value) if isinstance(value, dict) else value for value in plain)
    return ",".join(filter(None, map(_values, values)))


DOCUMENT = Document("firewall", opens, read)
