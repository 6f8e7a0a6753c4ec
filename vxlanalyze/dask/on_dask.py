"""The workers of a Dask cluster, and their possible failures.

Results stay where they were computed and move between workers as numpy arrays, without passing through this
process. Results lost with a worker are recomputed by Dask from the files.

The files must have the same path on this machine and on all workers.
"""

import logging
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from vxlanalyze import __version__
from vxlanalyze.errors import UsageError, VxlanalyzeError
from vxlanalyze.memory.threads import alone

if TYPE_CHECKING:
    from distributed import Client

_CONNECT_S = 10
_FIRST_WORKER_S = 30
_AHEAD = 1  # results per thread that wait to be fetched in order
_RETRIES = 2  # of failing tasks; dying workers are covered by Dask's own `allowed-failures`
INSTALL = "pip install 'vxlanalyze[dask]'"

Handle = Any
"""Stands for a result that lies on a worker or is still to come; as an argument of later work, for it."""


class OnDask:
    """The workers of a cluster. As a context, it releases all results at its end.

    Parameters
    ----------
    client : distributed.Client
        Connected to the scheduler.

    Raises
    ------
    UsageError
        No worker appears within 30 s, or the workers cannot do this work.
    """

    def __init__(self, client: "Client") -> None:
        self._client: Any = client  # only some of its functions have types
        self._started: list[Handle] = []
        _require_workers(client)

    def __enter__(self) -> "OnDask":
        return self

    def __exit__(self, *error: object) -> None:
        self._client.cancel(self._started, force=True)
        self._started.clear()

    @property
    def threads(self) -> int:
        """Number of tasks that can run at once."""
        return max(sum(self._client.nthreads().values()), 1)

    def start(self, function: Callable[..., Any], *arguments: Any) -> Handle:
        """Call a function on a worker, with handles among its arguments, also in lists, as results."""
        handle = self._submit(function, *arguments)
        self._started.append(handle)
        return handle

    def _submit(self, function: Callable[..., Any], *arguments: Any) -> Handle:
        """Limit a task to one thread: as many tasks as the worker has threads run side by side."""
        key = f"{function.__name__}-{uuid4().hex}"
        return self._client.submit(_alone, function, *arguments, key=key, retries=_RETRIES, pure=False)

    def keep(self, handles: Sequence[Handle]) -> None:
        """Release all results except some; their dependencies are still recomputed if a worker dies."""
        self._started[:] = handles

    def in_turn(self, calls: Iterable[tuple[Any, ...]]) -> Iterator[Any]:
        """Call functions on the workers, and give their results in order, a few at a time.

        Parameters
        ----------
        calls : iterable of tuple
            Each a function and its arguments.

        Raises
        ------
        VxlanalyzeError
            See `results`.
        """
        ahead: deque[Handle] = deque()
        most = _AHEAD * self.threads
        for function, *arguments in calls:
            ahead.append(self._submit(function, *arguments))
            if len(ahead) > most:
                yield from self.results([ahead.popleft()])
        while ahead:
            yield from self.results([ahead.popleft()])

    def results(self, handles: Sequence[Handle]) -> list[Any]:
        """Fetch results to this process.

        Raises
        ------
        VxlanalyzeError
            Workers died repeatedly at a task, or the scheduler is gone; or the task's own error.
        """
        from distributed import KilledWorker
        from distributed.client import FutureCancelledError

        try:
            found: list[Any] = self._client.gather(list(handles))
        except KilledWorker as error:
            raise VxlanalyzeError(
                f"workers died at a task, {error.last_worker.address} last; most probably for lack of memory"
            ) from error
        except (FutureCancelledError, OSError) as error:
            raise VxlanalyzeError(f"the Dask scheduler is gone: {error}") from error
        return found


@contextmanager
def connected(address: str) -> Iterator[OnDask]:
    """Connect to the workers of the scheduler at an address.

    Raises
    ------
    UsageError
        Dask is not installed, the scheduler does not answer within 10 s, or there is no worker.
    """
    try:
        import distributed
    except ImportError as error:
        raise UsageError(f"--scheduler needs Dask: {INSTALL}") from error
    # Dask's messages about lost connections are replaced by a one-line error of ours.
    logging.getLogger("distributed").setLevel(logging.CRITICAL)
    client_class: Any = distributed.Client
    try:
        client = client_class(address, timeout=_CONNECT_S, set_as_default=False)
    except (OSError, ValueError) as error:  # asyncio's TimeoutError is an OSError
        raise UsageError(
            f"--scheduler {address}: no Dask scheduler answers there ({str(error).splitlines()[0]})"
        ) from error
    with client, OnDask(client) as workers:
        yield workers


def _require_workers(client: Any) -> None:
    try:
        client.wait_for_workers(1, timeout=_FIRST_WORKER_S)
    except TimeoutError as error:
        raise UsageError(f"{client.scheduler.address}: the Dask scheduler has no worker") from error
    try:
        version = client.submit(_version, pure=False).result()
    except Exception as error:  # the error of a worker that lacks a module depends on Dask
        raise UsageError(
            f"the Dask workers cannot run vxlanalyze {__version__}; install it there: {INSTALL}"
        ) from error
    if version != __version__:
        raise UsageError(f"the Dask workers have vxlanalyze {version}, and this is {__version__}")


def _alone(function: Callable[..., Any], *arguments: Any) -> Any:
    with alone():
        return function(*arguments)


def _version() -> str:
    return __version__
