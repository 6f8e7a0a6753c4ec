"""Threads inside a stage: nearly all of their work is numpy and kernels, which release Python's lock."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, TypeVar

from vxlanalyze.memory import limit

_Answer = TypeVar("_Answer")
_mode = threading.local()


def threads(most: int) -> Executor:
    """Give that many threads to work beside the caller; none where the caller has to be `alone`."""
    if getattr(_mode, "alone", False):
        return _Caller()
    return ThreadPoolExecutor(most, initializer=limit.join_limit)


@contextmanager
def alone() -> Iterator[None]:
    """Have what this thread calls use no other thread: others do the same kind of work beside it."""
    before, _mode.alone = getattr(_mode, "alone", False), True
    try:
        yield
    finally:
        _mode.alone = before


class _Caller(Executor):
    """Does what it is given at once, on the thread that gives it."""

    def submit(self, fn: Callable[..., _Answer], /, *args: Any, **kwargs: Any) -> Future[_Answer]:
        done: Future[_Answer] = Future()
        try:
            done.set_result(fn(*args, **kwargs))
        except Exception as error:  # noqa: BLE001  who asks for the result gets it
            done.set_exception(error)
        return done
