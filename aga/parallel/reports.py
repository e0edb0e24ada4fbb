"""How an error of aga gets from one process to another, with its type and its facts."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import Any

from aga.errors import AgaError, Problem, SettingsError

__all__ = ["rebuild", "report_error", "reported_error"]

MARK = "aga-error: "
"""What a line begins with that holds an error as JSON."""


def report_error(error: AgaError) -> int:
    """Print an error for the process that started this one, and give its exit code.

    A rank's program ends with ``sys.exit(report_error(error))``:
    :func:`aga.parallel.launch.run_ranks` finds the line in the log and raises the error anew.
    """
    # In one piece: the lines of the ranks meet in one file.
    sys.stdout.write(f"{MARK}{json.dumps(error.to_dict(), default=str)}\n")
    sys.stdout.flush()
    return error.exit_code


def reported_error(text: str) -> AgaError | None:
    """Find the first error in the output of ranks that :func:`report_error` has printed."""
    for line in text.split("\n"):
        # Launchers may write the rank before a line, and another rank's output after it.
        _, mark, rest = line.partition(MARK)
        if not mark:
            continue
        try:
            document, _ = json.JSONDecoder().raw_decode(rest)
        except ValueError:  # torn by the output of another rank; the next may be whole
            continue
        return rebuild(document)
    return None


def rebuild(document: dict[str, Any]) -> AgaError:
    """Give the error that :meth:`aga.errors.AgaError.to_dict` has described.

    Its class is found by name among those that this process knows; else it is an ``AgaError``.
    (Pickle can't carry these errors: it calls the class with the message alone.)
    """
    classes = {known.__name__: known for known in _tree(AgaError)}
    chosen = classes.get(document["error"], AgaError)
    facts = document["facts"]
    if issubclass(chosen, SettingsError):
        return SettingsError([Problem(**problem) for problem in facts["problems"]])
    return chosen(document["message"], remedy=document["remedy"], **facts)


def _tree(root: type[AgaError]) -> Iterator[type[AgaError]]:
    yield root
    for branch in root.__subclasses__():
        yield from _tree(branch)
