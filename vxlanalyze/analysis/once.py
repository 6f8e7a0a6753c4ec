"""Measurements shared by several diagnostics are made once, and kept as long as what they measure."""

from collections.abc import Callable
from functools import wraps
from threading import RLock
from typing import TypeVar
from weakref import WeakKeyDictionary

_Key = TypeVar("_Key")
_Value = TypeVar("_Value")


def once(measure: Callable[[_Key], _Value]) -> Callable[[_Key], _Value]:
    """Cache a function of one Comparison or Direction.

    A caller waits while another thread measures; measurements must not depend on each other in a cycle.
    """
    kept: WeakKeyDictionary[_Key, _Value] = WeakKeyDictionary()
    measuring = RLock()

    @wraps(measure)
    def measured(key: _Key) -> _Value:
        with measuring:
            if key not in kept:
                kept[key] = measure(key)
            return kept[key]

    return measured
