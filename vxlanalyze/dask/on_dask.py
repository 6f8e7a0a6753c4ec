"""The workers of a Dask cluster, and what can go wrong with them.

Results lie where they were made and travel from worker to worker as numpy arrays, without a copy through this
process. What a worker takes with it when it dies is made again by Dask, from the files.

The files must lie under the same path on this machine and on all workers.
"""

import logging
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from vxlanalyze import __version__
from vxlanalyze.errors import UsageError, VxlanalyzeError

if TYPE_CHECKING:
    from distributed import Client

_CONNECT_S = 10
_FIRST_WORKER_S = 30
_AHEAD = 1  # results for each thread that wait to be fetched in order
_RETRIES = 2  # of work that fails; workers that die are Dask's own `allowed-failures`
INSTALL = "pip install 'vxlanalyze[dask]'"

Handle = Any
"""Stands for a result that lies on a worker or is still to come; as an argument of later work, for it."""


class OnDask:
    """The workers of a cluster. As a context, it lets go of all results at its end.

    Parameters
    ----------
    client : distributed.Client
        Connected to the scheduler.

    Raises
    ------
    UsageError
        No worker comes within 30 s, or the workers cannot do this work.
    """

    def __init__(self, client: "Client") -> None:
        self._client: Any = client  # of its functions, some have types
        self._started: list[Handle] = []
        _demand_workers(client)

    def __enter__(self) -> "OnDask":
        return self

    def __exit__(self, *error: object) -> None:
        self._client.cancel(self._started, force=True)
        self._started.clear()

    @property
    def threads(self) -> int:
        """How many tasks can run at once."""
        return max(sum(self._client.nthreads().values()), 1)

    def start(self, function: Callable[..., Any], *arguments: Any) -> Handle:
        """Have a function called on a worker; handles among its arguments, in lists too, are then results."""
        handle = self._client.submit(function, *arguments, retries=_RETRIES, pure=False)
        self._started.append(handle)
        return handle

    def keep(self, handles: Sequence[Handle]) -> None:
        """Let go of all results but some; what these rest on is still made again where a worker dies."""
        self._started[:] = handles

    def in_turn(self, calls: Iterable[tuple[Any, ...]]) -> Iterator[Any]:
        """Have functions called on the workers, and give their results in order, a few of them at a time.

        Parameters
        ----------
        calls : iterable of tuple
            A function and its arguments each.

        Raises
        ------
        VxlanalyzeError
            See `results`.
        """
        ahead: deque[Handle] = deque()
        most = _AHEAD * self.threads
        for function, *arguments in calls:
            ahead.append(self._client.submit(function, *arguments, retries=_RETRIES, pure=False))
            if len(ahead) > most:
                yield from self.results([ahead.popleft()])
        while ahead:
            yield from self.results([ahead.popleft()])

    def results(self, handles: Sequence[Handle]) -> list[Any]:
        """Fetch results to this process.

        Raises
        ------
        VxlanalyzeError
            Workers died at a task again and again, or the scheduler is gone; or what the work raised.
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
    """Give the workers of the scheduler at an address.

    Raises
    ------
    UsageError
        Dask is not installed, nobody answers within 10 s, or there is no worker.
    """
    try:
        import distributed
    except ImportError as error:
        raise UsageError(f"--scheduler needs Dask: {INSTALL}") from error
    # What Dask would say of lost connections, an error of ours says in one line.
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


def _demand_workers(client: Any) -> None:
    try:
        client.wait_for_workers(1, timeout=_FIRST_WORKER_S)
    except TimeoutError as error:
        raise UsageError(f"{client.scheduler.address}: the Dask scheduler has no worker") from error
    try:
        version = client.submit(_version, pure=False).result()
    except Exception as error:  # what a worker raises that lacks a module is up to Dask
        raise UsageError(
            f"the Dask workers cannot run vxlanalyze {__version__}; install it there: {INSTALL}"
        ) from error
    if version != __version__:
        raise UsageError(f"the Dask workers have vxlanalyze {version}, and this is {__version__}")


def _version() -> str:
    return __version__
