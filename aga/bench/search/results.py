"""The results file: a line of JSON for each finished run, so that an interrupted series goes on."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path

from aga.bench.search.jobs import Job, Record
from aga.errors import InputError
from aga.oracle.base import disk_full_as_error

__all__ = ["ResultsFile", "as_line"]


def as_line(record: Record) -> str:
    """Write a record as a line of a results file."""
    return json.dumps(record, ensure_ascii=False, allow_nan=False) + "\n"


class ResultsFile:
    """Records of runs in ``runs.jsonl`` of a folder, appended one by one.

    A run counts for a job that asks for the same and is decided by the same code.

    Parameters
    ----------
    folder
        Made where it is not there.
    any_code
        Let runs of another code count where there is none of this one.
    published
        Another file of records, beside a page of results, that count too; it may be missing.

    Raises
    ------
    aga.errors.InputError
        A file is not one of records; a last line that was cut off by an interruption is dropped.
    """

    def __init__(
        self, folder: Path, *, any_code: bool = False, published: Path | None = None
    ) -> None:
        with disk_full_as_error(folder):
            folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / "runs.jsonl"
        self.any_code = any_code
        self._records: dict[str, dict[str, Record]] = {}
        self._unidentified: set[tuple[str, str, int]] = set()
        for file in [self.path] if published is None else [published, self.path]:
            for record in self._read(file):
                self._keep(record)

    def _read(self, file: Path) -> Iterable[Record]:
        if not file.exists():
            return
        text = file.read_text(encoding="utf-8")
        whole = text[: text.rfind("\n") + 1]
        if whole != text and file == self.path:
            file.write_text(whole, encoding="utf-8")
        for number, line in enumerate(whole.splitlines(), 1):
            try:
                record = json.loads(line)
                _ = record["problem"], record["arm"], record["seed"]
                yield {**record, "key": str(record["key"])}
            except (ValueError, KeyError, TypeError) as error:
                raise InputError(
                    f"{file}:{number}: not a record of a run",
                    remedy="remove the line, or name another folder with --output",
                    line=number,
                ) from error

    def _keep(self, record: Record) -> None:
        """Remember a record; of one without a code not even its key says what was asked for."""
        if "code" in record:
            self._records.setdefault(record["key"], {})[record["code"]] = record
        else:
            self._unidentified.add((record["problem"], record["arm"], record["seed"]))

    def add(self, record: Record) -> None:
        """Append a finished run."""
        with disk_full_as_error(self.path), self.path.open("a", encoding="utf-8") as stream:
            stream.write(as_line(record))
        self._keep(record)

    def missing(self, jobs: Sequence[Job]) -> list[Job]:
        """Give the jobs that are not done, in their order."""
        return [job for job in jobs if self._of(job) is None]

    def left_out(self, jobs: Sequence[Job]) -> int:
        """Count the jobs that are not done, but were by another code."""
        return sum(job.key() in self._records for job in self.missing(jobs))

    def unidentified(self, jobs: Sequence[Job]) -> int:
        """Count the jobs that are not done, but were by a version that wrote down no code."""
        old = self._unidentified
        return sum((j.problem.name, j.arm.name, j.seed) in old for j in self.missing(jobs))

    def of(self, jobs: Sequence[Job]) -> list[Record]:
        """Give the records of those jobs that are done, in the order of the jobs."""
        return [record for job in jobs if (record := self._of(job)) is not None]

    def _of(self, job: Job) -> Record | None:
        known = self._records.get(job.key(), {})
        newest = next(reversed(known.values()), None) if self.any_code else None
        return known.get(job.code(), newest)
