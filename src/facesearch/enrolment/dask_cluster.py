"""Photos analyzed by the workers of a Dask cluster: connect to its scheduler, count its cores, and explain its failures.

Dask restarts nothing of ours. If a worker dies, another one analyzes its photo, because the scheduler keeps the task with
the photo's bytes until its result is here. ``distributed`` is imported only by `dask_executor`, or by whoever made the executor.
"""

import asyncio
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, Executor, Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, Self, TypeVar

from typing_extensions import override

from facesearch.common.validation import check_float
from facesearch.errors import ExecutorError, InvalidParameterError, MissingExtraError

if TYPE_CHECKING:
    from distributed.cfexecutor import ClientExecutor

__all__ = ["DaskExecutor", "dask_executor"]

R = TypeVar("R")
_COUNT_EVERY: Final = 2.0  # seconds between two questions about the size of the cluster
_LONGEST_WAIT: Final = 3600  # seconds
_ADDRESS: Final = "an address such as tcp://10.0.0.5:8786"
# Dask warns of tasks above 10 MB; a photo of 15 MB is a large task on purpose, so that it outlives its worker.
_NO_WARNING: Final = {"distributed.admin.large-graph-warning-threshold": "1 GB"}


class DaskExecutor(Executor):
    """Submits photos to a Dask cluster by ``client.get_executor()``; whoever made that closes the client."""

    def __init__(self, executor: "ClientExecutor") -> None:
        self._executor: Any = executor  # distributed does not annotate it
        self._cores = 0
        self._counted = float("-inf")

    @classmethod
    def of(cls, executor: Executor | None) -> Self | None:
        """Return the executor of a Dask cluster as one of these; ``None`` for any other executor."""
        if isinstance(executor, cls):
            return executor
        dask = sys.modules.get("distributed.cfexecutor")  # whoever has such an executor has imported it
        return cls(executor) if dask and isinstance(executor, dask.ClientExecutor) else None

    @property
    def cores(self) -> int:
        """Threads of all workers; 0 while no worker is there. The number may change while photos are analyzed."""
        if time.monotonic() - self._counted > _COUNT_EVERY:
            # After the scheduler is lost, the client has no answer; the photos under way have the error then.
            try:
                self._cores = sum(self._executor._client.nthreads().values())  # noqa: SLF001  # there is no public way to the client
            except Exception:  # noqa: BLE001  # what it raises is not documented
                self._cores = 0
            self._counted = time.monotonic()
        return self._cores

    @override
    def submit(self, fn: Callable[..., R], /, *args: Any, **kwargs: Any) -> "Future[R]":
        import dask

        # Not pure: Dask would otherwise answer a path with the result of an earlier call, of a file that has changed since.
        with dask.config.set(_NO_WARNING):
            future: Future[R] = self._executor.submit(fn, *args, pure=False, **kwargs)
        return future

    @staticmethod
    def explained(error: BaseException) -> str | None:
        """Return what an error of Dask means; ``None`` for an error of the analysis."""
        kind = type(error)
        if isinstance(error, CancelledError):
            return "the scheduler was lost, or somebody cancelled the photo; the same call goes on when it is back"
        if isinstance(error, ImportError | AttributeError | RuntimeError) and isinstance(
            error.__cause__ or error, ImportError | AttributeError
        ):
            lost = str(error.__cause__ or error)
            if "facesearch" in lost or isinstance(error, RuntimeError):
                return f"the scheduler or a worker can't load the task ({lost}); both need this facesearch and your own stages"
        if not kind.__module__.startswith("distributed."):
            return None
        if kind.__name__ == "KilledWorker":
            return "all workers that got this photo died, perhaps for lack of memory; see their logs, and remove it or give them more"
        return f"{kind.__name__}: {error}"


@contextmanager
def dask_executor(scheduler: str, *, timeout: float = 10) -> Iterator[DaskExecutor]:
    """Connect to the scheduler of a Dask cluster, and yield its executor for `Collection.index_folder`.

    Parameters
    ----------
    scheduler
        Its address, such as ``"tcp://10.0.0.5:8786"``; ``tls://`` with the certificates of Dask's own configuration. The scheduler must
        be trusted: Dask transfers pickles, which run code.
    timeout
        Seconds to wait for it, 0-3600.

    Yields
    ------
    DaskExecutor
        Valid until the end of the block, which cancels what is not analyzed.

    Raises
    ------
    MissingExtraError
        If distributed is not installed.
    InvalidParameterError
        If *scheduler* is no address, or an argument is wrong.
    ExecutorError
        If no scheduler answers there.

    Examples
    --------
    >>> with dask_executor("localhost") as executor:
    ...     pass
    Traceback (most recent call last):
    facesearch.errors.InvalidParameterError: scheduler: expected an address such as tcp://10.0.0.5:8786, got 'localhost'; ...
    """
    seconds = check_float("timeout", timeout, 0, _LONGEST_WAIT)
    try:
        from distributed import Client
    except ImportError as error:
        raise MissingExtraError.of("a Dask cluster", "distributed", "dask") from error
    _check_scheduler(scheduler, seconds)
    try:
        client = Client(scheduler, timeout=seconds, set_as_default=False)  # type: ignore[no-untyped-call]  # distributed annotates some of its methods only
    except OSError as error:
        raise _no_scheduler(scheduler, str(error)) from error
    try:
        yield DaskExecutor(client.get_executor())  # type: ignore[no-untyped-call]  # likewise
    finally:
        client.close()  # type: ignore[no-untyped-call]  # likewise


def _check_scheduler(scheduler: str, seconds: float) -> None:
    """Check that a scheduler answers at the address: a `Client` waits for ever if another server does, and fails late if none does."""
    if not isinstance(scheduler, str):
        raise InvalidParameterError.of("scheduler", scheduler, _ADDRESS)
    try:
        with ThreadPoolExecutor(1) as thread:  # in a notebook this one has an event loop already
            kind = thread.submit(asyncio.run, asyncio.wait_for(_kind_of(scheduler), seconds)).result()
    except (ValueError, TypeError) as error:  # the latter for tls:// without certificates
        raise InvalidParameterError.of("scheduler", scheduler, _ADDRESS, fix=str(error)) from error
    except OSError as error:  # a timeout is one
        raise _no_scheduler(scheduler, str(error) or f"no answer within {seconds:g} s") from error
    if kind != "Scheduler":
        raise _no_scheduler(scheduler, f"a {kind} answered")


async def _kind_of(address: str) -> str:
    """Return what kind of Dask's servers answers at an address."""
    from distributed.core import rpc
    from distributed.security import Security

    arguments = Security().get_connection_args("client")  # type: ignore[no-untyped-call]  # likewise
    async with rpc(address, connection_args=arguments) as server:  # type: ignore[no-untyped-call]  # likewise
        return str((await server.identity())["type"])


def _no_scheduler(scheduler: str, detail: str) -> ExecutorError:
    return ExecutorError(
        f"scheduler: expected a Dask scheduler at {scheduler}, got none ({detail}); start one with `dask scheduler`, "
        "and give the address that it prints"
    )
