"""Which code the runs of a comparison are of."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from aga.bench.search.code import combined
from aga.bench.search.jobs import Record

__all__ = ["footer", "left_out_lines", "provenance"]


def provenance(records: Sequence[Record], codes: Collection[str]) -> dict[str, Any]:
    """Say which code the runs are of.

    Parameters
    ----------
    records
        Those that count.
    codes
        Digests of the code as it is now, of all jobs.

    Returns
    -------
    dict
        ``versions`` of aga and ``code`` (None without such runs) of the runs of this code;
        ``runs`` altogether and ``other_code``, how many of them are of another.
    """
    own = [record for record in records if record["code"] in codes]
    return {
        "versions": sorted({str(record["version"]) for record in own}),
        "code": combined(str(record["code"]) for record in own) if own else None,
        "runs": len(records),
        "other_code": len(records) - len(own),
    }


def footer(document: Mapping[str, Any]) -> str:
    """Say it in a line below the table; empty without runs."""
    runs, others = document["runs"], document["other_code"]
    said = []
    if document["code"] is not None:
        versions = " and ".join(document["versions"])
        said.append(f"runs of aga {versions}, code {document['code'][:8]}")
    if others:
        number = f"{others} of {_runs(runs)} {_are(others)}"
        said.append(f"{number} of another version of aga, counted by --any-code")
    return "; ".join(said)


def left_out_lines(number: int, unidentified: int) -> list[str]:
    """Say that runs of another code do not count; nothing where there are none.

    Parameters
    ----------
    number
        Runs of another code.
    unidentified
        Runs of before codes were written down.
    """
    said = []
    if number:
        what = f"{_runs(number)} of another version of aga {_are(number)} left out"
        said.append(f"{what}; --any-code counts them")
    if unidentified:
        what = f"{_runs(unidentified)} of an early version of aga {_are(unidentified)} left out"
        said.append(f"{what}: no code was written down, so that nobody can tell what they measured")
    return said


def _runs(number: int) -> str:
    return "1 run" if number == 1 else f"{number} runs"


def _are(number: int) -> str:
    return "is" if number == 1 else "are"
