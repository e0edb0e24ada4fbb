"""Labelled frames from files: extended XYZ, ASE databases, VASP, Quantum ESPRESSO."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from fnmatch import fnmatch
from io import StringIO
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from ase import Atoms
from ase.db import connect
from ase.io import iread
from ase.io.formats import get_compression, open_with_compression

from aga.errors import AgaError, DataError
from aga.structure.candidate import Candidate
from aga.structure.protocols import Frame
from aga.training.data.duplicates import check_duplicates
from aga.training.data.frames import check_frames, refusal
from aga.training.data.outputs import Step, outcar_steps, pwscf_steps, vasprun_steps

__all__ = ["FORMATS", "read_files", "read_frames"]

GROUP_KEYS = ("group", "config_type")
"""Where files tell what kind of structure a frame is; the second is that of GAP."""

_HEAD = 65536
"""Characters in which a program names itself."""


class Format(NamedTuple):
    """A kind of file: how it is called, how it is named, what its text must say, who reads it."""

    title: str
    patterns: tuple[str, ...]
    read: Callable[[Path], Iterator[Step]]
    mark: str = ""

    def fits(self, path: Path) -> bool:
        """Tell whether a file's name, and its text where that decides, are those of the format."""
        name = get_compression(path.name.lower())[0]
        return any(fnmatch(name, pattern) for pattern in self.patterns) and (
            not self.mark or self.mark in _head(path)
        )


def _head(path: Path) -> str:
    with open_with_compression(str(path), "rb") as file:
        return str(file.read(_HEAD), encoding="utf-8", errors="replace")


def _extxyz_steps(path: Path) -> Iterator[Step]:
    source: str | StringIO = str(path)
    if get_compression(path.name)[1]:  # ASE jumps about in it: a gzipped file starts anew each time
        with open_with_compression(str(path)) as file:
            source = StringIO(str(file.read()))
    for atoms in iread(source, index=":", format="extxyz", do_not_split_by_at_sign=True):
        yield Step(atoms)


def _database_steps(path: Path) -> Iterator[Step]:
    kind = path.suffix.lower().removeprefix(".")
    if get_compression(path.name)[1]:
        raise DataError(f"{path}: a database has to be decompressed first", file=str(path))
    for row in connect(str(path), type=kind, use_lock_file=False).select():
        atoms = row.toatoms()
        atoms.info.update(row.key_value_pairs)
        yield Step(atoms)


FORMATS = (
    Format("extended XYZ (.xyz, .extxyz)", ("*.xyz", "*.extxyz"), _extxyz_steps),
    Format("ASE databases (.db, .json)", ("*.db", "*.json"), _database_steps),
    Format("VASP's vasprun.xml", ("*vasprun*.xml*",), vasprun_steps),
    Format("VASP's OUTCAR", ("*outcar*",), outcar_steps),
    Format(
        "outputs of pw.x of Quantum ESPRESSO (.pwo, .out, .log)",
        ("*.pwo", "*.out", "*.log"),
        pwscf_steps,
        mark="Program PWSCF",
    ),
)
"""What is read, in the order in which a file is tried."""


def read_frames(path: Path, elements: Sequence[str] | None = None) -> list[Frame]:
    """Read a file of labelled structures.

    Formats are told apart by the file's name, see :data:`FORMATS`; each may be compressed
    (``.gz``), but for databases. Energy (eV, total; ASE's ``energy``, else ``free_energy``),
    forces (eV/Å) and stress (eV/Å³, ASE's sign; (6,) or (3, 3)) stand under the names that ASE
    gives them; forces and stress may be missing.

    Parameters
    ----------
    path
        The file. Frames are named ``<stem>-<index>``, their source is the file name, their group
        what the file calls ``group`` or ``config_type``.
    elements
        Element symbols of the search; any other is refused. Not checked where None.

    Raises
    ------
    aga.errors.DataError
        The file is not there, of another format, can't be read, or holds no frame; or frames that
        can't be trained on: without energy, cut off, not converged, with labels that are not
        finite or of the wrong shape, or of one structure with different energies. Lists each by
        file and frame number, which counts from 0.
    """
    frames, problems, remedy = [], [], "correct or remove these frames"
    for index, step in enumerate(_steps(path)):
        try:
            frames.append(_frame(step, f"{_stem(path)}-{index:05d}", path.name))
        except (AgaError, ValueError, TypeError) as error:
            problems.append((str(path), index, str(error)))
            remedy = _UNFINISHED if step.problem else remedy
    if problems:
        raise refusal(problems, remedy)
    if not frames:
        raise DataError(f"{path}: holds no frame", file=str(path))
    check_frames(frames, elements)
    check_duplicates(frames)
    return frames


_UNFINISHED = (
    "let the calculation end, or keep its good steps alone: `ase convert FILE frames.xyz` writes "
    "what ASE reads as extended XYZ, from which bad ones can be removed"
)


def read_files(paths: Iterable[Path], elements: Sequence[str] | None = None) -> list[Frame]:
    """Read several files as one set of frames.

    As :func:`read_frames`; where a second file has the stem of an earlier one (``vasprun.xml``
    of another folder), its frames are named ``<stem>.1-<index>``, those of a third
    ``<stem>.2-<index>``.

    Raises
    ------
    aga.errors.DataError
        As :func:`read_frames`; also for structures with different energies in two files.
    """
    frames: list[Frame] = []
    taken: Counter[str] = Counter()
    for path in paths:
        stem, own = _stem(path), read_frames(path, elements)
        if taken[stem]:
            own = [_renamed(frame, f"{stem}.{taken[stem]}") for frame in own]
        taken[stem] += 1
        frames += own
    if len(taken) > 1 or max(taken.values(), default=0) > 1:
        check_duplicates(frames)
    return frames


def _stem(path: Path) -> str:
    return path.name.split(".")[0]


def _renamed(frame: Frame, stem: str) -> Frame:
    number = frame.name.rpartition("-")[2]
    return replace(frame, candidate=frame.candidate.renamed(f"{stem}-{number}"))


def _steps(path: Path) -> Iterator[Step]:
    """Read a file by the reader of its format; any failure names the frame it was met at."""
    if not path.is_file():
        what = "it is a folder" if path.is_dir() else "there is no such file"
        raise DataError(f"{path}: cannot read it: {what}", file=str(path))
    count = 0
    try:
        for step in _recognised(path).read(path):
            yield step
            count += 1
    except DataError:
        raise
    except Exception as error:  # a parser of free text raises whatever it likes
        raise DataError(
            f"{path}: cannot read frame {count}: {_reason(error)}",
            remedy="see whether the file is whole, and in the format that its name says",
            file=str(path),
            frame=count,
        ) from error


def _recognised(path: Path) -> Format:
    for form in FORMATS:
        if form.fits(path):
            return form
    raise DataError(
        f"{path}: this is no file of labelled structures that aga knows",
        remedy=f"give one of: {'; '.join(form.title for form in FORMATS)}",
        file=str(path),
    )


def _reason(error: Exception) -> str:
    """Give the message of an exception, with its type where it says little without."""
    plain = isinstance(error, OSError | ValueError) and str(error)
    return str(error) if plain else f"{type(error).__name__}: {error}".removesuffix(": ")


def _frame(step: Step, name: str, source: str) -> Frame:
    if step.atoms is None or step.problem:
        raise DataError(step.problem)
    atoms = step.atoms
    results: dict[str, Any] = atoms.calc.results if atoms.calc is not None else {}
    energy = results.get("energy", results.get("free_energy"))
    if energy is None:
        raise DataError(f"has no energy{_other_energies(atoms.info)}")
    forces, stress = results.get("forces"), results.get("stress")
    return Frame(
        candidate=Candidate.from_ase(atoms, name=name),
        energy=float(energy),
        forces=None if forces is None else np.array(forces, dtype=np.float64),
        stress=None if stress is None else np.array(stress, dtype=np.float64),
        source=source,
        group=_group(atoms),
    )


def _other_energies(info: Mapping[str, Any]) -> str:
    """Name what may be meant: many programs write REF_energy, dft_energy and the like."""
    named = sorted(str(key) for key in info if "energy" in str(key).lower())
    return f"; {', '.join(named)} would have to be called energy" if named else ""


def _group(atoms: Atoms) -> str:
    named = (atoms.info[key] for key in GROUP_KEYS if key in atoms.info)
    return str(next(named, "")).strip()
