"""The ladder of VASP: what custodian's handlers propose, as far as the energy stays what it is.

S. P. Ong et al., Comput. Mater. Sci. 68, 314 (2013). The handlers know VASP's errors; here they
look at a copy of the failed run, and what they say is all that is taken: a change of the INCAR
becomes a repair, one of k-points, cutoff or structure is refused: its energy would not belong to
the others.
"""

from __future__ import annotations

import logging
import re
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from aga.errors import OracleError
from aga.oracle.repair import REPAIRABLE, Ladder, Repair
from aga.oracle.vasp_input import quiet

__all__ = ["CustodianLadder"]

OUTPUT = "vasp.out"

FREE = frozenset(
    {
        *("ALGO", "IALGO", "ISEARCH", "TIME", "NELM", "NELMDL", "NELMIN", "NBANDS", "IMIX", "AMIN"),
        *("AMIX", "BMIX", "AMIX_MAG", "BMIX_MAG", "MAXMIX", "LMAXMIX", "ISYM", "SYMPREC", "ISTART"),
        *("ICHARG", "INIWAV", "POTIM", "IBRION", "KPAR", "NCORE", "NPAR", "NSIM", "LPLANE"),
        *("LSCALAPACK", "LSCALU", "LWAVE", "LCHARG"),
    }
)
"""Tags that change the way to the energy, not the energy."""

_FILES = ("INCAR", "KPOINTS", "POSCAR", "POTCAR", "OUTCAR", "OSZICAR", "CONTCAR", "vasprun.xml")
_ANY = re.compile("")
_SILENT = logging.getLogger(f"{__name__}.silent")


@dataclass(frozen=True, slots=True, kw_only=True)
class CustodianLadder(Ladder):
    """Asks custodian's handlers; they count in themselves how often they were asked."""

    handlers: tuple[Any, ...] = field(default=())

    def fresh(self) -> Self:
        """Give a ladder for a new job."""
        from custodian.vasp import handlers as known  # noqa: PLC0415 - takes seconds to import

        made = (
            known.VaspErrorHandler(output_filename=OUTPUT),
            known.StdErrHandler(output_filename="stderr.txt"),
            known.UnconvergedErrorHandler(),
            known.NonConvergingErrorHandler(),
            known.PositiveEnergyErrorHandler(),
        )
        for handler in made:  # the log of the job says it, and says it once
            getattr(handler, "logger", _SILENT).disabled = True
        return type(self)(repairs=self.repairs, kept=self.kept, runs=self.runs, handlers=made)

    def after(self, error: OracleError, tried: Sequence[str], runs: int) -> Repair | None:
        """Give the first proposal that leaves the energy alone, else the next plain repair.

        What is refused is written into ``error.facts["refused"]``.
        """
        if error.reason not in REPAIRABLE or runs >= self.runs:
            return None
        for handler, actions in self._proposals(error):
            changes, refused = _sorted_out(actions)
            if refused:
                error.facts.setdefault("refused", []).extend(
                    f"{type(handler).__name__}: {what} would change the energy" for what in refused
                )
                continue
            name = f"custodian's {type(handler).__name__}: " + ", ".join(
                f"{tag}={value}" for tag, value in sorted(changes.items())
            )
            if changes and name not in tried:
                return Repair(name=name, after=_ANY, changes={"incar": changes})
        # Not super(): a slotted dataclass is made anew, and super() would look for the first.
        return Ladder.after(self, error, tried, runs)

    def _proposals(self, error: OracleError) -> list[tuple[Any, list[dict[str, Any]]]]:
        """Let each handler look at a copy of the failed run; they write where they look."""
        directory = Path(error.facts.get("directory", ""))
        found = []
        for handler in self.handlers:
            with tempfile.TemporaryDirectory() as folder, quiet():
                for name in (*_FILES, OUTPUT, "stderr.txt"):
                    if (directory / name).is_file():
                        shutil.copy(directory / name, folder)
                try:
                    if not handler.check(directory=folder):
                        continue
                    actions = handler.correct(directory=folder).get("actions")
                except Exception:  # noqa: BLE001, S112 - torn files: it has nothing to say then
                    continue
            if actions:
                found.append((handler, actions))
        return found


def _sorted_out(actions: list[dict[str, Any]]) -> tuple[dict[str, Any], list[str]]:
    """Give the changes of INCAR tags, and what is refused."""
    changes: dict[str, Any] = {}
    refused: list[str] = []
    for action in actions:
        if "file" in action:  # old files: the next run has a directory of its own
            continue
        if action.get("dict") != "INCAR":
            refused.append(str(action.get("dict")))
            continue
        tags = dict(action["action"].get("_set", {}))
        tags |= dict.fromkeys(action["action"].get("_unset", {}))
        refused += sorted(tag for tag in tags if tag not in FREE)
        changes |= tags
    return changes, refused
