"""How quick a large search answers: queries, whole commands, and how large its documents are."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aga.bench.volume_fill import fill
from aga.errors import SiteError
from aga.store.handle import SearchHandle
from aga.store.query import parse_sort, parse_where
from aga.store.repository import Repository
from aga.store.server import start, stop
from aga.store.sizes import LIMIT, drop, largest_documents

__all__ = ["LISTS", "TARGET", "VolumeOptions", "measure_volume"]

TARGET = 0.5
"""Seconds in which `aga best` and `aga structures list` have to answer."""

LONG = 2.0
"""Seconds after which a query is measured once."""

LISTS: Mapping[str, tuple[str, str]] = {
    "structures list": ("", "energy"),
    "… --where energy": ("energy_per_atom < -8.9", "energy"),
    "… --where energy, space group": ("energy_per_atom < -8.7 and space_group < 100", "energy"),
    "… --where generation": ("generation == 7", "energy"),
    "… --where space group": ("space_group == 14", "energy"),
    "… --where stage": ("stage == picked", "energy"),
    "… --sort predicted_energy": ("", "predicted_energy"),
    "… --sort -generation": ("", "-generation"),
    "… --where predicted": ("predicted_energy_per_atom < -9.1", "predicted_energy"),
}
"""Name → filter and order of `aga structures list`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VolumeOptions:
    """Structures of the search; repetitions of each measurement; a server, None for our own."""

    structures: int = 100_000
    repetitions: int = 5
    database: str | None = None


def measure_volume(options: VolumeOptions, say: Callable[[str], None]) -> dict[str, Any]:
    """Fill a database with a search and measure what it answers.

    Parameters
    ----------
    options
        How large, how often, where. The database is new and is removed afterwards.
    say
        Told what is measured.

    Returns
    -------
    dict
        ``queries`` and ``commands`` (median seconds; indexes used), ``documents`` (bytes of the
        largest of each collection and its share of what MongoDB allows), ``server``, ``within``:
        whether everything of ``aga best`` and the default list stays below ``target_s``.

    Raises
    ------
    aga.errors.UnavailableError, aga.errors.SiteError
        There is no server, or a command fails.
    """
    with _database(options.database) as uri, Repository.open(uri) as repository:
        try:
            measured = _measure(repository, uri, options, say)
        finally:
            if options.database is not None:  # our own server goes with its folder
                drop(repository.database)
    quick = [q["seconds"] for q in measured["queries"] if q["query"] in {"best", "structures list"}]
    quick += [c["seconds"] for c in measured["commands"]]
    fixed = {"structures": options.structures, "target_s": TARGET, "limit_bytes": LIMIT}
    return {**fixed, "within": max(quick) < TARGET, **measured}


def _measure(
    repository: Repository, uri: str, options: VolumeOptions, say: Callable[[str], None]
) -> dict[str, Any]:
    """Fill an empty database and measure everything."""
    began = time.perf_counter()
    search_id = fill(repository, options.structures, say)
    filled = time.perf_counter() - began
    handle = SearchHandle(repository, search_id)
    say("measuring queries")
    queries = [
        _query(handle, name, call, options.repetitions) for name, call in _calls(handle).items()
    ]
    say("measuring commands")
    commands = [
        {"command": " ".join(words), "seconds": _command(words, uri, options.repetitions)}
        for words in (["aga", "--version"], ["aga", "best"], ["aga", "structures", "list"])
    ]
    say("measuring documents")
    documents = [
        {
            "collection": one.collection,
            "count": one.count,
            "largest": one.id,
            "bytes": one.size,
            "share": one.share,
        }
        for one in largest_documents(repository.database)
    ]
    return {
        "server": str(repository.database.client.server_info()["version"]),
        "fill_s": filled,
        "queries": queries,
        "commands": commands,
        "documents": documents,
    }


@contextmanager
def _database(uri: str | None) -> Iterator[str]:
    """Give the address of a new database, on a server of our own where none is named."""
    name = f"aga_volume_{uuid.uuid4().hex[:8]}"
    if uri is not None:
        address, _, options = uri.partition("?")
        host = "/".join(address.split("/")[:3])
        yield f"{host}/{name}" + (f"?{options}" if options else "")
        return
    with tempfile.TemporaryDirectory(prefix="aga-volume-") as folder:
        own = start(Path(folder)).uri
        try:
            yield f"{str(own).rpartition('/')[0]}/{name}"
        finally:
            stop(Path(folder))


def _calls(handle: SearchHandle) -> dict[str, Callable[[], Sequence[Any]]]:
    lists: dict[str, Callable[[], Sequence[Any]]] = {
        name: lambda where=where, sort=sort: handle.structures(where, sort, 20)  # type: ignore[misc] # defaults bind the loop variables
        for name, (where, sort) in LISTS.items()
    }
    return {
        "best": lambda: handle.best(10),
        **lists,
        "structures show": lambda: handle.ancestry("g004-000"),
        "status": lambda: [SearchHandle(handle.repository, handle.id).status()],
    }


def _query(
    handle: SearchHandle, name: str, call: Callable[[], Sequence[Any]], repetitions: int
) -> dict[str, Any]:
    seconds: list[float] = []
    found: Sequence[Any] = ()
    while len(seconds) < repetitions and (not seconds or seconds[0] < LONG):
        began = time.perf_counter()
        found = call()
        seconds.append(time.perf_counter() - began)
    return {
        "query": name,
        "seconds": statistics.median(seconds),
        "found": len(found),
        "indexes": _indexes(handle, name),
    }


def _indexes(handle: SearchHandle, name: str) -> list[str] | None:
    """Give the indexes that a query used; None where it is no single query."""
    if name == "best":
        order = [("reference.enthalpy_per_atom", 1)]
        return handle.repository.indexes_used(handle.id, {"stage": "labelled"}, sort=order)
    if name not in LISTS:
        return None
    where, sort = LISTS[name]
    return handle.repository.indexes_used(handle.id, parse_where(where), sort=parse_sort(sort))


def _command(words: Sequence[str], uri: str, repetitions: int) -> float:
    """Measure a command as a user types it, with its start; the first run reads the disk."""
    program = [sys.executable, "-m", *words]
    environment = os.environ | {"AGA_DATABASE": uri, "OMP_NUM_THREADS": "1"}
    seconds = []
    for _ in range(repetitions + 1):
        began = time.perf_counter()
        done = subprocess.run(program, env=environment, capture_output=True, text=True, check=False)
        seconds.append(time.perf_counter() - began)
        if done.returncode:
            raise SiteError(f"{' '.join(words)} failed: {done.stderr.strip()}")
    return statistics.median(seconds[1:])
