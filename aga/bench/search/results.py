"""The results file: a line of JSON for each finished run, so that an interrupted series goes on."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path

from aga.bench.search.jobs import Job, Record
from aga.errors import InputError
from aga.oracle.base import disk_full_as_error

__all__ = ["ResultsFile"]


class ResultsFile:
    """Records of runs in ``runs.jsonl`` of a folder, appended one by one.

    Parameters
    ----------
    folder
        Made where it is not there.

    Raises
    ------
    aga.errors.InputError
        The file is not one of records; a last line that was cut off by an interruption is dropped.
    """

    def __init__(self, folder: Path) -> None:
        with disk_full_as_error(folder):
            folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / "runs.jsonl"
        self._records: dict[str, Record] = {record["key"]: record for record in self._read()}

    def _read(self) -> Iterable[Record]:
        if not self.path.exists():
            return
        text = self.path.read_text(encoding="utf-8")
        whole = text[: text.rfind("\n") + 1]
        if whole != text:
            self.path.write_text(whole, encoding="utf-8")
        for number, line in enumerate(whole.splitlines(), 1):
            try:
                record = json.loads(line)
                yield {**record, "key": str(record["key"])}
            except (ValueError, KeyError, TypeError) as error:
                raise InputError(
                    f"{self.path}:{number}: not a record of a run",
                    remedy="remove the line, or name another folder with --output",
                    line=number,
                ) from error

    def add(self, record: Record) -> None:
        """Append a finished run."""
        line = json.dumps(record, ensure_ascii=False, allow_nan=False)
        with disk_full_as_error(self.path), self.path.open("a", encoding="utf-8") as stream:
            stream.write(line + "\n")
        self._records[record["key"]] = record

    def missing(self, jobs: Sequence[Job]) -> list[Job]:
        """Give the jobs that are not done, in their order."""
        return [job for job in jobs if job.key() not in self._records]

    def of(self, jobs: Sequence[Job]) -> list[Record]:
        """Give the records of those jobs that are done, in the order of the jobs."""
        return [self._records[key] for job in jobs if (key := job.key()) in self._records]
