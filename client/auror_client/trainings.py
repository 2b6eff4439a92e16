"""The threads that train, and an end of the program that does not wait for them."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, NoReturn, TypeVar

_Result = TypeVar("_Result")
_under_way: set[Future[Any]] = set()


class TrainingPool(ThreadPoolExecutor):
    """A training cannot be broken off, but what it yields can be left unused."""

    def __init__(self, threads: int) -> None:
        super().__init__(threads, "training")

    def submit(self, fn: Callable[..., _Result], /, *args: Any, **kwargs: Any) -> Future[_Result]:
        future = super().submit(fn, *args, **kwargs)
        _under_way.add(future)
        future.add_done_callback(_under_way.discard)
        return future

    def abandon(self) -> None:
        """Begin no training any more, and wait for none."""
        self.shutdown(wait=False, cancel_futures=True)


def leave(code: int) -> NoReturn:
    """End the process, at once even while a thread trains: the interpreter would wait for it.

    Everything that must survive has to be on disk.
    """
    if any(future.running() for future in tuple(_under_way)):
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)
