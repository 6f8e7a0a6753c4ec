"""Check that plain data has the types declared in `model`, before anything relies on it."""

import math
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from functools import cache
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints, is_typeddict


class ShapeError(ValueError):
    """Data is not of its declared type; the message says where and what."""


def demand(value: object, wanted: Any, where: str) -> None:
    """Check a value against a type made of TypedDict, list, dict, unions and plain types.

    Keys beyond those of a TypedDict are allowed: a later version may write more.

    Raises
    ------
    ShapeError
        It does not match.
    """
    origin = get_origin(wanted)
    if wanted is Any:
        return
    if is_typeddict(wanted):
        _require_record(value, wanted, where)
    elif origin is list:
        (item,) = get_args(wanted)
        for number, entry in enumerate(_as(value, list, where)):
            demand(entry, item, f"{where}[{number}]")
    elif origin is dict:
        _, item = get_args(wanted)
        for key, entry in _as(value, dict, where).items():
            demand(entry, item, f"{where}.{key[:40]}")
    elif origin in (Union, UnionType):
        _require_one_of(value, get_args(wanted), where)
    else:
        _require_plain(value, wanted, where)


def _require_record(value: object, wanted: Any, where: str) -> None:
    record: Mapping[str, object] = _as(value, dict, where)
    for key, kind in _keys(wanted).items():
        if key not in record and key not in wanted.__required_keys__:
            continue
        if key not in record:
            raise ShapeError(f"{where} lacks {key!r}{slip(key, record.keys() - _keys(wanted).keys())}")
        demand(record[key], kind, f"{where}.{key}")


def slip(key: str, odd: Iterable[str]) -> str:
    """Name an unknown key that may be a typo for a missing one."""
    close = get_close_matches(key, sorted(odd), n=1)
    return f", and {close[0]!r} is not a key of it" if close else ""


@cache
def _keys(wanted: Any) -> dict[str, Any]:
    """The types of a record's values; cached, since there may be thousands of records."""
    return get_type_hints(wanted)


def _require_one_of(value: object, kinds: tuple[Any, ...], where: str) -> None:
    failures = []
    for kind in kinds:
        try:
            demand(value, kind, where)
        except ShapeError as error:
            failures.append(error)
        else:
            return
    # The longest path went deepest into the value: that is the intended type.
    raise max(failures, key=lambda error: len(str(error)))


def _require_plain(value: object, wanted: Any, where: str) -> None:
    if isinstance(value, float) and not math.isfinite(value):
        raise ShapeError(f"{where} is {value}, which is not a JSON number")
    # In Python, True is an int, and an int is not a float; in JSON it is the other way round.
    accepted = (int, float) if wanted is float else wanted
    if not isinstance(value, accepted) or (isinstance(value, bool) and wanted is not bool):
        raise ShapeError(f"{where} is {type(value).__name__}, not {wanted.__name__}")


def _as(value: object, kind: type, where: str) -> Any:
    if not isinstance(value, kind):
        raise ShapeError(f"{where} is {type(value).__name__}, not {kind.__name__}")
    return value
