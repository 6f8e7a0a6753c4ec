"""Frozen data, made quickly: a decorator in the place of ``dataclass(frozen=True, slots=True)``.

That one compiles six functions for each class. There are a hundred classes, every run makes nearly all, and
whoever starts the command would wait longer for them than for all the rest that is ours. Here, ``__init__``
alone is compiled; the others are the same for all classes, and that nobody assigns to a field is for the type
checker to see.
"""

from dataclasses import dataclass, field
from typing import Any, TypeVar, dataclass_transform

_Type = TypeVar("_Type")


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def frozen(class_: type[_Type]) -> type[_Type]:
    """Make a data class that is compared and hashed by its values; `fields` and `replace` work on it."""
    made: Any = dataclass(slots=True, eq=False, repr=False)(class_)
    made.__eq__, made.__hash__, made.__repr__ = _equal, _hash, _shown
    return made


def _values(data: Any) -> tuple[Any, ...]:
    return tuple([getattr(data, name) for name in data.__match_args__])


def _equal(data: object, other: object) -> bool:
    return _values(data) == _values(other) if type(data) is type(other) else NotImplemented


def _hash(data: object) -> int:
    return hash(_values(data))


def _shown(data: Any) -> str:
    values = (f"{name}={getattr(data, name)!r}" for name in data.__match_args__)
    return f"{type(data).__qualname__}({', '.join(values)})"
