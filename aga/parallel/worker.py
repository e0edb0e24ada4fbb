"""What a worker process of :func:`aga.parallel.pool.run_each` runs: one job after another.

``python -m aga.parallel.worker DESCRIPTOR``, the number of its end of a connection. The parent
sends its module search path, then for each job its number, and its function and argument. The
worker answers with any number of ``("said", value)`` and one of ``("done", result)``,
``("refused", document)`` of an ``AgaError``, and ``("raised", traceback)``, which the exception
follows.
"""

from __future__ import annotations

import os
import sys
import traceback
from multiprocessing.connection import Connection
from typing import Any

from aga.errors import AgaError

__all__ = ["main"]


def main(argv: list[str]) -> int:
    """Work jobs off until the parent closes the connection."""
    descriptor = int(argv[1])
    os.set_inheritable(descriptor, False)  # what a job starts must not keep it open
    connection = Connection(descriptor)
    sys.path[:] = connection.recv()
    while True:
        try:
            connection.recv()
        except EOFError:
            return 0
        _work(connection)
        sys.stdout.flush()


def _work(connection: Connection[Any, Any]) -> None:
    """Receive a job, do it, and send what came of it."""

    def say(value: object) -> None:
        connection.send(("said", value))

    try:
        function, job = connection.recv()
        connection.send(("done", function(job, say)))
    except AgaError as error:
        connection.send(("refused", error.to_dict()))
    except Exception as error:  # noqa: BLE001 - whatever it is, the parent raises it
        connection.send(("raised", traceback.format_exc()))
        try:
            connection.send(error)
        except Exception:  # noqa: BLE001 - one that can't be packed; the traceback tells
            connection.send(None)


if __name__ == "__main__":
    sys.exit(main(sys.argv))
