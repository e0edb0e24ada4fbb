"""From records of runs to the rows of the table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from aga.bench.search.arms import ARMS
from aga.bench.search.jobs import Record
from aga.bench.search.ledger import TOLERANCE
from aga.bench.search.statistics import median_until, plain_median, wilson

__all__ = ["PEERS", "answer_of", "found_at", "ratio", "summarise"]

PEERS = ("ase-ga", "ga")
"""Arms that the others are compared with, directly on the reference method."""


def summarise(records: Sequence[Record]) -> list[dict[str, Any]]:
    """Give a row for each problem and arm; docs/reference/json.md describes it.

    Parameters
    ----------
    records
        Finished runs. Problems come in the order of the records, arms in that of the registry.
    """
    rows = []
    for problem in dict.fromkeys(record["problem"] for record in records):
        of_problem = [record for record in records if record["problem"] == problem]
        answer = answer_of(of_problem)
        for arm in ARMS:
            runs = [record for record in of_problem if record["arm"] == arm]
            if runs:
                rows.append(_row(problem, arm, runs, answer))
    for row in rows:
        row |= {f"ratio_{peer.replace('-', '_')}": ratio(row, peer, rows) for peer in PEERS}
    return rows


def answer_of(records: Sequence[Record]) -> float | None:
    """Give the answer of a problem in eV/atom; where unknown, the lowest that any run found."""
    answer = records[0]["answer"]
    lowest = [record["lowest"] for record in records if record["lowest"] is not None]
    return float(answer) if answer is not None else min(lowest, default=None)


def found_at(record: Record, answer: float | None) -> tuple[int, int] | None:
    """Give calls and relaxations at which a run was first within 1 meV/atom of the answer."""
    if answer is None:
        return None
    for calls, relaxations, enthalpy in record["marks"]:
        if enthalpy <= answer + TOLERANCE:
            return int(calls), int(relaxations)
    return None


def _row(problem: str, arm: str, runs: Sequence[Record], answer: float | None) -> dict[str, Any]:
    hits = [found_at(run, answer) for run in runs]
    successes = sum(hit is not None for hit in hits)
    direct, whole = ARMS[arm].direct, ARMS[arm].whole
    return {
        "problem": problem,
        "arm": arm,
        "seeds": len(runs),
        "successes": successes,
        "interval": list(wilson(successes, len(runs))),
        "median_reference_calls": median_until([h and h[0] for h in hits]),
        "median_relaxations": median_until([h and h[1] for h in hits]) if direct else None,
        "overhead_ms_per_candidate": plain_median([r["overhead_ms_per_candidate"] for r in runs]),
        "answer": answer,
        "lowest": min((r["lowest"] for r in runs if r["lowest"] is not None), default=None),
        "median_total_calls": plain_median([r["calls"] for r in runs]) if whole else None,
        "median_candidates": plain_median([r["candidates"] for r in runs]),
        "duplicate_rate": plain_median([r["duplicate_rate"] for r in runs]),
        "correlation": plain_median([r["correlation"] for r in runs]),
        "median_seconds": plain_median([r["seconds"] - r["watching_seconds"] for r in runs]),
        "failed": sum(run["failed"] is not None for run in runs),
        "codes": sorted({run["code"] for run in runs}),
    }


def ratio(row: dict[str, Any], peer: str, rows: Sequence[dict[str, Any]]) -> float | None:
    """Give how many times as many calls another arm needed; None where one has no median."""
    others = [r for r in rows if (r["problem"], r["arm"]) == (row["problem"], peer)]
    own = row["median_reference_calls"]
    theirs = others[0]["median_reference_calls"] if others else None
    return theirs / own if own and theirs else None
