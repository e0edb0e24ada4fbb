"""The exceptions of aga, ordered by what the caller does next.

::

    AgaError
    ├── InputError               fix the input                       exit 2
    │   ├── SettingsError        … the settings file (every problem at once)
    │   ├── CompositionError     … the chemical composition
    │   ├── StructureError       … a structure (NaN, zero volume, atoms on one point)
    │   ├── DataError            … labelled frames (missing energy, wrong shapes)
    │   ├── ModelError           … a model file (truncated, checksum, newer schema)
    │   └── NotFoundError        … the identifier asked for
    ├── SiteError                fix the machine                     exit 3
    │   ├── MissingExecutableError
    │   └── MissingPseudopotentialError
    ├── UnavailableError         try again later                     exit 4
    │   ├── DatabaseUnavailableError
    │   └── DiskFullError        free some space                     exit 5
    ├── SearchFailedError        stop: the search can't go on        exit 6
    ├── CandidateError           drop this candidate, go on
    │   ├── OracleError          the reference method failed on it (with a reason)
    │   └── GenerationError      an operator found no acceptable structure
    └── StaleAttemptError        somebody else owns this step now: discard

Each carries ``facts`` (plain JSON values) and a ``remedy``: what to do about it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

__all__ = [
    "AgaError",
    "CandidateError",
    "CompositionError",
    "DataError",
    "DatabaseUnavailableError",
    "DiskFullError",
    "GenerationError",
    "InputError",
    "MissingExecutableError",
    "MissingPseudopotentialError",
    "ModelError",
    "NotFoundError",
    "OracleError",
    "Problem",
    "SearchFailedError",
    "SettingsError",
    "SiteError",
    "StaleAttemptError",
    "StructureError",
    "UnavailableError",
]

OracleReason = Literal[
    "timeout", "crashed", "not_converged", "incomplete", "garbage", "non_finite", "exploded"
]
"""Why the reference method gave no label for a candidate."""


class AgaError(Exception):
    """Anything aga raises on purpose.

    Parameters
    ----------
    message
        What is wrong, and where.
    remedy
        What the user can do about it.
    **facts
        Plain JSON values for programs.
    """

    exit_code: ClassVar[int] = 1
    kind: ClassVar[str] = "error"

    def __init__(self, message: str, *, remedy: str | None = None, **facts: Any) -> None:  # noqa: ANN401 - JSON values
        super().__init__(message)
        self.message = message
        self.remedy = remedy
        self.facts = facts

    def to_dict(self) -> dict[str, Any]:
        """Give the error as one JSON document."""
        return {
            "error": type(self).__name__,
            "kind": self.kind,
            "message": self.message,
            "remedy": self.remedy,
            "facts": self.facts,
            "exit_code": self.exit_code,
        }


class InputError(AgaError):
    """The input has to be corrected."""

    exit_code = 2
    kind = "input"


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One thing that is wrong in a settings file.

    ``line`` and ``column`` count from 1; None where the file does not hold the place.
    """

    key: str
    message: str
    file: str | None = None
    line: int | None = None
    column: int | None = None
    hint: str | None = None

    def __str__(self) -> str:
        """Give the problem as ``file:line: key: message (hint)``."""
        place = self.file or "settings"
        if self.line is not None:
            place += f":{self.line}"
        text = f"{place}: {self.key}: {self.message}" if self.key else f"{place}: {self.message}"
        return f"{text} ({self.hint})" if self.hint else text


class SettingsError(InputError):
    """The settings are wrong; holds every problem found, not only the first."""

    def __init__(self, problems: list[Problem]) -> None:
        count = f"{len(problems)} problem{'s' if len(problems) != 1 else ''} in the settings"
        super().__init__(
            "\n".join([f"{count}:", *(f"  {p}" for p in problems)]),
            remedy="correct the lines named above; `aga check FILE` lists them all again",
            problems=[
                {
                    "key": p.key,
                    "message": p.message,
                    "file": p.file,
                    "line": p.line,
                    "column": p.column,
                    "hint": p.hint,
                }
                for p in problems
            ],
        )
        self.problems = problems


class CompositionError(InputError):
    """The text is not a chemical composition, or one that can't be searched."""


class StructureError(InputError):
    """A structure that nothing can be computed for."""


class DataError(InputError):
    """Labelled frames that can't be trained on."""


class ModelError(InputError):
    """A model file that can't be read."""


class NotFoundError(InputError):
    """There is nothing under this identifier."""


class SiteError(AgaError):
    """The machine lacks something that the settings ask for."""

    exit_code = 3
    kind = "site"


class MissingExecutableError(SiteError):
    """A program isn't on this machine."""


class MissingPseudopotentialError(SiteError):
    """An element has no pseudopotential file."""


class UnavailableError(AgaError):
    """Something outside is away for the moment; nothing stored is lost."""

    exit_code = 4
    kind = "unavailable"


class DatabaseUnavailableError(UnavailableError):
    """The database does not answer."""


class DiskFullError(UnavailableError):
    """There is no space left where results are written."""

    exit_code = 5


class SearchFailedError(AgaError):
    """A search that can't go on."""

    exit_code = 6
    kind = "stop"


class CandidateError(AgaError):
    """One candidate has to be dropped; the search goes on."""

    kind = "candidate"
    reason: str = "failed"


class OracleError(CandidateError):
    """The reference method gave no usable label.

    ``reason`` is one of the :data:`OracleReason` words.
    """

    def __init__(
        self,
        message: str,
        *,
        reason: OracleReason,
        remedy: str | None = None,
        **facts: Any,  # noqa: ANN401 - JSON values
    ) -> None:
        super().__init__(message, remedy=remedy, reason=reason, **facts)
        self.reason = reason


class GenerationError(CandidateError):
    """An operator found no acceptable structure in its bounded number of tries."""

    reason = "no_structure"


class StaleAttemptError(AgaError):
    """The step has been given to another worker; this result is discarded."""

    kind = "stale"
