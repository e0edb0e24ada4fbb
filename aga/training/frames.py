"""Labelled frames: reading them, refusing bad ones, setting some aside for validation."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.io import iread

from aga.errors import AgaError, DataError
from aga.rng import derive_seed
from aga.structure.candidate import Candidate
from aga.structure.protocols import Frame

__all__ = ["check_frames", "read_frames", "split_frames"]

SHOWN = 10
"""Problems that an error message lists in full."""


def read_frames(path: Path, elements: Sequence[str] | None = None) -> list[Frame]:
    """Read a labelled extended XYZ file (plain or gzipped).

    Energies (eV, total), forces (eV/Å) and stress (eV/Å³, ASE sign) are taken under the names
    that ASE knows; forces and stress may be missing.

    Parameters
    ----------
    path
        The file. Frames are named ``<stem>-<index>``, their source is the file name.
    elements
        Element symbols of the search; any other is refused. Not checked where None.

    Raises
    ------
    aga.errors.DataError
        The file can't be read, holds no frame, or holds frames that can't be trained on; lists
        each by file and frame number, which counts from 0.
    """
    images: list[Atoms] = []
    try:
        images.extend(iread(str(path), index=":", format="extxyz"))
    except Exception as error:  # a parser of free text raises whatever it likes
        raise DataError(
            f"{path}: cannot read frame {len(images)}: {error or type(error).__name__}",
            remedy="give an extended XYZ file",
            file=str(path),
            frame=len(images),
        ) from error
    if not images:
        raise DataError(f"{path}: holds no frame", file=str(path))
    stem = path.name.split(".")[0]
    frames, problems = [], []
    for index, atoms in enumerate(images):
        try:
            frames.append(_frame(atoms, f"{stem}-{index:05d}", path.name))
        except (AgaError, ValueError) as error:
            problems.append((index, str(error)))
    if problems:
        raise _data_error([(str(path), index, what) for index, what in problems])
    check_frames(frames, elements)
    return frames


def _frame(atoms: Atoms, name: str, source: str) -> Frame:
    results: dict[str, Any] = atoms.calc.results if atoms.calc is not None else {}
    energy = results.get("energy", results.get("free_energy"))
    if energy is None:
        raise DataError("has no energy")
    forces, stress = results.get("forces"), results.get("stress")
    return Frame(
        candidate=Candidate.from_ase(atoms, name=name),
        energy=float(energy),
        forces=None if forces is None else np.array(forces, dtype=np.float64),
        stress=None if stress is None else np.array(stress, dtype=np.float64),
        source=source,
    )


def check_frames(frames: Sequence[Frame], elements: Sequence[str] | None = None) -> None:
    """Refuse frames that can't be trained on.

    Parameters
    ----------
    frames
        Labelled structures; the number in a message is the place in this sequence.
    elements
        Element symbols of the search; not checked where None.

    Raises
    ------
    aga.errors.DataError
        No frame at all, or an energy, force or stress that isn't finite, an array of the wrong
        shape, or an element outside the search; lists every such frame with its source.
    """
    if not frames:
        raise DataError("there is no labelled frame to train on")
    problems = [
        (frame.source, index, what)
        for index, frame in enumerate(frames)
        for what in _problems(frame, elements)
    ]
    if problems:
        raise _data_error(problems)


def _problems(frame: Frame, elements: Sequence[str] | None) -> Iterable[str]:
    if not np.isfinite(frame.energy):
        yield f"the energy is {frame.energy}"
    shapes = (
        ("forces", frame.forces, (len(frame.candidate), 3)),
        ("stress", frame.stress, (6,)),
    )
    for name, array, shape in shapes:
        if array is None:
            continue
        if array.shape != shape:
            yield f"{name} have shape {array.shape} instead of {shape}"
        elif not np.isfinite(array).all():
            yield f"{name} hold a value that isn't finite"
    unknown = sorted(set(frame.candidate.symbols) - set(elements or frame.candidate.symbols))
    if unknown:
        yield f"{', '.join(unknown)} does not belong to the search ({', '.join(elements or ())})"


def _data_error(problems: list[tuple[str, int, str]]) -> DataError:
    lines = [f"{source}, frame {index}: {what}" for source, index, what in problems]
    more = [f"… and {len(lines) - SHOWN} more"] if len(lines) > SHOWN else []
    return DataError(
        "\n".join(lines[:SHOWN] + more),
        remedy="correct or remove these frames",
        frames=[
            {"file": source, "frame": index, "problem": what}
            for source, index, what in problems[:SHOWN]
        ],
    )


def split_frames(
    frames: Sequence[Frame], fraction: float, *, seed: int, member: int
) -> tuple[list[int], list[int]]:
    """Set frames aside that only stop the training of one member.

    Whether a frame is one of them depends on seed, member and the frame's name alone, so a
    frame keeps its side when others join, and a retraining from earlier weights never
    validates on what those weights were fitted to.

    Returns
    -------
    training, validation
        Places of the frames. All train where the draw would leave fewer than two.
    """
    training: list[int] = []
    validation: list[int] = []
    for place, frame in enumerate(frames):
        draw = derive_seed(seed, "validation", member, frame.name) / 2.0**63
        (validation if draw < fraction else training).append(place)
    if len(training) < min(2, len(frames)):
        return list(range(len(frames))), []
    return training, validation
