"""Termination by signals: clean up first, and leave nothing half done.

Ctrl-C raises KeyboardInterrupt by itself; SIGTERM and SIGHUP would end the process immediately. Sources:
signal(7); POSIX, Shell Command Language, 2.8.2 (exit status of a command that a signal ended).
"""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

_ENDING = (signal.SIGTERM, signal.SIGHUP)


class TerminatedError(BaseException):
    """A signal requested termination; not an Exception, so that no handler mistakes it for an error.

    Parameters
    ----------
    number : int
        The signal.
    """

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.exit_status = 128 + number


@contextmanager
def signals_unwind() -> Iterator[None]:
    """Within it, SIGTERM and SIGHUP raise TerminatedError in the main thread.

    Signals that the caller ignores or handles stay so: ``nohup`` ignores SIGHUP.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    changed = [number for number in _ENDING if signal.getsignal(number) == signal.SIG_DFL]
    for number in changed:
        signal.signal(number, _end)
    try:
        yield
    except RuntimeError as error:  # before Python 3.12, what __set_name__ raises while a class is created
        if isinstance(error.__cause__, TerminatedError | KeyboardInterrupt):
            raise error.__cause__ from None
        raise
    finally:
        for number in changed:
            signal.signal(number, signal.SIG_DFL)


def _end(number: int, frame: FrameType | None) -> None:
    raise TerminatedError(number)


@contextmanager
def held() -> Iterator[None]:
    """Within it, no signal interrupts; pending ones are delivered afterwards: for atomic steps."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        came.append(number)

    before: dict[int, Any] = {
        number: signal.signal(number, note)
        for number in (signal.SIGINT, *_ENDING)
        if callable(signal.getsignal(number))
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        for number in came[:1]:
            signal.raise_signal(number)
