"""The seal of a run: a hash of what is asked, so that no answer to something else is taken.

It is written beside the input before the program starts, and the program itself carries it through
to its output, as a title, a project name or the name of a file.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

from aga.errors import OracleError
from aga.oracle.repair import Inputs
from aga.oracle.runner import STATE
from aga.structure.candidate import Candidate

__all__ = ["FILE", "Hashes", "Seal", "hashes", "seal_of"]

FILE = "input.json"
MARK_DIGITS = 16

Hashes = dict[str, str | None]
"""Hash of each file, by its name; None where it can't be read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seal:
    """SHA-256 of structure, settings and engine, in hexadecimal, and what it was made of."""

    sha256: str
    text: str

    @property
    def mark(self) -> str:
        """The short form that goes through the program, e.g. ``aga-0123456789abcdef``."""
        return f"aga-{self.sha256[:MARK_DIGITS]}"

    def write(self, directory: Path, files: Hashes) -> None:
        """Write it down, with the hashes of the input files."""
        document = {"sha256": self.sha256, "files": files, **json.loads(self.text)}
        (directory / FILE).write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")

    def check(self, directory: Path, output: str, *, where: str) -> None:
        """Refuse an output that is not the answer to this input.

        Parameters
        ----------
        directory
            Of the run.
        output
            The text in which the program repeats the mark.
        where
            Engine and structure, for the message.

        Raises
        ------
        aga.errors.OracleError
            ``garbage``: the seal or an input file is another one, or the output bears no mark.
        """
        try:
            document = json.loads((directory / FILE).read_text(encoding="utf-8"))
            there, files = document["sha256"], document["files"]
        except (OSError, ValueError, KeyError, TypeError):
            there, files = None, {}
        wrong = None
        if there != self.sha256:
            wrong = f"{FILE} is missing or belongs to another input"
        elif any(_hash(directory / name) != digest for name, digest in files.items()):
            wrong = "an input file was changed during the run"
        elif self.mark not in output:
            wrong = f"the output does not bear the mark of this input ({self.mark})"
        if wrong is not None:
            raise OracleError(
                f"{where}: {wrong}",
                reason="garbage",
                remedy="let no other program write into the run directory",
                directory=str(directory),
                sha256=self.sha256,
            )


def seal_of(engine: str, candidate: Candidate, inputs: Inputs) -> Seal:
    """Give the seal of an input: the same structure and settings give the same."""
    structure = {
        "symbols": candidate.symbols,
        "positions": candidate.positions.tolist(),
        "cell": candidate.cell.tolist(),
    }
    document = {"engine": engine, "structure": structure, "inputs": inputs}
    text = json.dumps(document, sort_keys=True)
    return Seal(sha256=hashlib.sha256(text.encode()).hexdigest(), text=text)


def hashes(directory: Path) -> Hashes:
    """Give the SHA-256 of each file of a directory, without the notes of our own."""
    names = sorted(p.name for p in directory.iterdir() if p.is_file())
    return {name: _hash(directory / name) for name in names if name not in {FILE, STATE}}


def _hash(path: Path) -> str | None:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return None
