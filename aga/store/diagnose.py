"""Say what is wrong with a server that answers, but only with internal errors.

The embedded server goes on listening when its storage engine has stopped, as it does on a
full disk, and answers ``ping`` but no other request.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path

from pymongo.errors import OperationFailure

from aga.errors import AgaError, DatabaseUnavailableError, DiskFullError
from aga.store.process import find_process
from aga.store.state import MIN_FREE

__all__ = ["INTERNAL_ERROR", "internal_failure"]

INTERNAL_ERROR = 1
"""MongoDB's code for a failure inside the server."""

_LOOPBACK = {"127.0.0.1", "localhost", "::1"}


def internal_failure(error: OperationFailure, nodes: Iterable[tuple[str, int | None]]) -> AgaError:
    """Give the error that says what to do about an internal error of the server.

    Parameters
    ----------
    error
        What the server answered.
    nodes
        Host and port of the servers.

    Returns
    -------
    AgaError
        :class:`~aga.errors.DiskFullError` where the server runs here and its disk is full.
    """
    for host, port in nodes:
        state = find_process(port=port) if host in _LOOPBACK else None
        if state is None:
            continue
        root = Path(state.data).parent
        if shutil.disk_usage(root).free < MIN_FREE:
            return DiskFullError(
                f"the disk of the database in {root} is full",
                remedy="free some space, then `aga db start`, which restarts the server, and run "
                "the command again; everything stored so far is kept",
                directory=str(root),
            )
        return DatabaseUnavailableError(
            f"the database server in {root} has failed: {error}",
            remedy=f"`aga db start` restarts it; {root / 'server.log'} tells more",
            directory=str(root),
        )
    return DatabaseUnavailableError(
        f"the database server has failed: {error}", remedy="restart it; its log tells more"
    )
