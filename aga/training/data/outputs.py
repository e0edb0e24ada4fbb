"""Outputs of electronic structure programs: their ionic steps, and what is wrong with one.

ASE reads structures and labels. What it passes over in silence is looked for here: a last step
that was cut off, and a self-consistent cycle that ended before it converged.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree as ET

from ase import Atoms
from ase.io import iread
from ase.io.formats import open_with_compression

__all__ = ["Step", "outcar_steps", "pwscf_steps", "vasprun_steps"]

CUT = "the file ends within this step"
UNCONVERGED = "the self-consistent cycle has not converged"


class Step(NamedTuple):
    """A structure with its labels (None where they can't be read), and what is wrong with it."""

    atoms: Atoms | None
    problem: str = ""


def vasprun_steps(path: Path) -> Iterator[Step]:
    """Read the ionic steps of VASP's vasprun.xml.

    A cycle of NELM electronic steps counts as not converged.
    """
    cycles, limit, broken = _survey(path)
    if cycles:  # of a file that breaks off ASE may give one step more
        for atoms, cycle in zip(_images(path, "vasp-xml"), cycles, strict=False):
            yield Step(atoms, UNCONVERGED if limit is not None and cycle >= limit else "")
    if broken:
        yield Step(None, f"{CUT} ({broken})")


def _survey(path: Path) -> tuple[list[int], int | None, str]:
    """Give the electronic steps of each ionic step, NELM, and why the XML breaks off."""
    cycles: list[int] = []
    limit, running = None, 0
    with open_with_compression(str(path), "rb") as file:
        try:
            for _, element in ET.iterparse(file):  # noqa: S314 - expat bounds what entities grow to
                if element.tag == "i" and element.get("name") == "NELM":
                    limit = int(element.text or 0)
                elif element.tag == "scstep":
                    running += 1
                elif element.tag == "calculation":
                    cycles.append(running)
                    running = 0
                    element.clear()  # eigenvalues take much memory
        except ET.ParseError as error:
            return cycles, limit, str(error)
    return cycles, limit, ""


_ITERATION = re.compile(r"Iteration\s+\d+\(\s*(\d+)\)")
_NELM = re.compile(r"^\s*NELM\s*=\s*(\d+)")
_STEP_ENDS = "FREE ENERGIE OF THE ION-ELECTRON SYSTEM"


def outcar_steps(path: Path) -> Iterator[Step]:
    """Read the ionic steps of VASP's OUTCAR; not converged as in :func:`vasprun_steps`."""
    failed, cut = _outcar_cycles(path)
    if failed:
        for atoms, problem in zip(_images(path, "vasp-out"), failed, strict=False):
            yield Step(atoms, UNCONVERGED if problem else "")
    if cut:
        yield Step(None, CUT)


def _outcar_cycles(path: Path) -> tuple[list[bool], bool]:
    """Tell of each whole ionic step whether its cycle failed, and whether another one began."""
    failed: list[bool] = []
    limit, iteration, converged, tail = None, 0, False, 5
    with open_with_compression(str(path)) as file:
        for line in file:
            tail += 1
            if _STEP_ENDS in line:
                reached = limit is not None and iteration >= limit
                failed.append(reached and not converged)
                iteration, converged, tail = 0, False, 0
            elif found := _ITERATION.search(line):
                iteration = int(found[1])
            elif "EDIFF is reached" in line:
                converged = True
            elif limit is None and (found := _NELM.match(line)):
                limit = int(found[1])
    # ASE takes the energy from the four lines below the heading.
    return failed, iteration > 0 or tail < 4


@dataclass(slots=True)
class _Part:
    """What pw.x prints of one configuration."""

    unconverged: bool = False
    repeated: bool = False
    done: bool = False
    last: bool = True


def pwscf_steps(path: Path) -> Iterator[Step]:
    """Read the configurations of an output of pw.x.

    The structure that a relaxation prints once more at its end is left away, unless it was
    computed anew. A file may hold the outputs of several runs.
    """
    images = _images(path, "espresso-out", results_required=False)
    for part in _parts(path):
        if part.last and not part.done:  # ASE would stumble over what is missing
            yield Step(None, f"{CUT}: JOB DONE is missing")
            return
        atoms = next(images)
        energy = None if atoms.calc is None else atoms.calc.results.get("energy")
        if part.unconverged:
            yield Step(atoms, UNCONVERGED)
        elif energy is not None or not part.repeated:
            yield Step(atoms)


def _parts(path: Path) -> list[_Part]:
    """Survey the configurations, which begin where ASE lets them begin."""
    parts: list[_Part] = []
    with open_with_compression(str(path)) as file:
        for line in file:
            if "Program PWSCF" in line or "ATOMIC_POSITIONS" in line:
                if parts:
                    parts[-1].last = "Program PWSCF" in line
                parts.append(_Part())
            elif not parts:
                continue
            elif "convergence NOT achieved" in line:
                parts[-1].unconverged = True
            elif "End final coordinates" in line:
                parts[-1].repeated = True
            elif "JOB DONE" in line:
                parts[-1].done = True
    return parts


def _images(path: Path, form: str, **options: bool) -> Iterator[Atoms]:
    yield from iread(str(path), index=":", format=form, do_not_split_by_at_sign=True, **options)
