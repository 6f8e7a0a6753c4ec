"""Kubernetes and Calico objects from JSON or YAML text: lists are split, documents may be concatenated.

YAML is read by PyYAML (with libyaml if available), which is much slower than JSON: its size is limited. Tools
print no anchors, and aliases can expand a few lines to a document of any size: both are rejected.

Sources: Kubernetes API reference v1; YAML 1.1 section 7.1 (aliases).
"""

import json
import re
from collections.abc import Iterator

from vxlanalyze.errors import UsageError
from vxlanalyze.kubernetes.kube_objects import Object
from vxlanalyze.kubernetes.yaml_text import has_more_values, without_unused

LARGEST_YAML_BYTES = 32 << 20
_SHORT_YAML_BYTES = 64 << 10
_MOST_VALUES = 1_000_000  # pods of the largest clusters
_DEEPEST_LIST = 16
_SPACE = re.compile(r"\s*")
_LOGS, _END_OF_LOGS = "==== START logs for ", re.compile(r"==== END logs for [^\n]*")
_ALIAS = re.compile(r"^[^\"'#|>\n]*(?:[:\[,{-] )[&*][\w.-]+\s*$", re.MULTILINE)


def objects(name: str, text: str) -> Iterator[tuple[str, Object]]:
    """Give kind and object of everything in a text.

    Raises
    ------
    UsageError
        It is neither JSON nor YAML; with file, line and column.
    """
    for value in _json(name, text) if text.lstrip()[:1] in ("{", "[") else _yaml(name, text):
        yield from members(value)


def members(value: object, kind_of_list: str = "", depth: int = 0) -> Iterator[tuple[str, Object]]:
    """Give kind and object of a value, or of all its members if it is a list."""
    if isinstance(value, list):
        for member in value if depth < _DEEPEST_LIST else ():
            yield from members(member, kind_of_list, depth + 1)
    elif isinstance(value, dict):
        kind = value.get("kind")
        kind = kind if isinstance(kind, str) and kind else kind_of_list
        if isinstance(value.get("items"), list):
            # The API omits the kind in members of a NodeList.
            for member in value["items"]:
                if isinstance(member, dict):
                    yield from members(member, kind.removesuffix("List"), depth + 1)
        elif kind:
            yield kind, value


def _json(name: str, text: str) -> Iterator[object]:
    decoder = json.JSONDecoder()
    place = 0
    while (place := _after_logs(text, place)) < len(text):
        try:
            value, place = decoder.raw_decode(text, place)
        except json.JSONDecodeError as error:
            where = f"{name}, line {error.lineno}, column {error.colno}"
            raise UsageError(f"{where}: not JSON ({error.msg}); save it with kubectl's -o json") from error
        except (RecursionError, ValueError) as error:  # nested too deeply; a number with too many digits
            raise UsageError(f"{name}, character {place}: not kubectl's JSON ({error})") from error
        yield value


def _after_logs(text: str, place: int) -> int:
    """Skip space, and the logs of containers that ``kubectl cluster-info dump`` puts between documents."""
    while (match := _SPACE.match(text, place)) is not None and text.startswith(_LOGS, match.end()):
        end = _END_OF_LOGS.search(text, match.end())
        place = end.end() if end is not None else len(text)
    return match.end() if match is not None else place


def _yaml(name: str, text: str) -> Iterator[object]:
    import yaml

    if len(text) > _SHORT_YAML_BYTES:
        text = without_unused(text)
    if len(text) > LARGEST_YAML_BYTES or has_more_values(text, _MOST_VALUES):
        raise UsageError(f"{name}: too much YAML to parse; save it with -o json")
    alias = _ALIAS.search(text)
    if alias is not None:
        line = text.count("\n", 0, alias.end()) + 1
        raise UsageError(f"{name}, line {line}: a YAML anchor or alias, which no tool prints; it is not read")
    try:
        values = list(yaml.load_all(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader)))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f", line {mark.line + 1}, column {mark.column + 1}" if mark is not None else ""
        raise UsageError(
            f"{name}{where}: neither JSON nor YAML ({error.problem}); save it with kubectl's -o json"
        ) from error
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        what = str(error).splitlines()[0][:100] if str(error) else type(error).__name__
        raise UsageError(f"{name}: neither JSON nor YAML ({what}); save it with kubectl's -o json") from error
    if text.strip() and not any(isinstance(value, dict | list) for value in values):
        raise UsageError(f"{name}, line 1, column 1: neither JSON nor YAML; save it with kubectl's -o json")
    yield from values
