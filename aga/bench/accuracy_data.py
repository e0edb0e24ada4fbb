"""The data sets of `aga bench accuracy`: public ones, what was published of them, or any files."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from aga.errors import InputError
from aga.structure.protocols import Frame
from aga.training.data.formats import read_frames
from aga.training.data.splits import assign_splits

__all__ = ["CUSTOM", "FOLDER", "SETS", "DataSet", "Published", "Source", "find_set", "read_set"]

FOLDER = "AGA_BENCH_DATA"
"""Environment variable that names the folder of data sets."""

PAGE = "docs/how-to/benchmark-data.md"

CUSTOM = "custom"
"""Name of a pair of files that the user gives."""

SEED = 0
TEST_FRACTION = 0.1
"""Of a set in one file: which frames are tested on is drawn by their names."""

LARGEST_FORCE = 20.0
"""eV/Å on an atom; frames of a set in one file with a larger one are left out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """Errors on test frames that others report; None where they do not.

    Energies in meV/atom, forces in eV/Å; ``title`` for the table, ``source`` in full.
    """

    title: str
    source: str
    energy_mae: float | None = None
    energy_rmse: float | None = None
    force_mae: float | None = None
    force_rmse: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """Give plain JSON values."""
        return asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where a set lies, and what was published of it.

    ``files``, in the folder of the data sets or anywhere: to train on and to test on, or a
    single one that is divided.
    """

    files: tuple[Path, ...]
    published: Published | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DataSet:
    """Frames to train on, validation frames among them, and frames to test on."""

    training: tuple[Frame, ...]
    test: tuple[Frame, ...]


def _zuo(element: str, energy: float, force: float) -> Source:
    return Source(
        files=tuple(Path("mlearn") / f"{element}_{part}.xyz.gz" for part in ("train", "test")),
        published=Published(
            title="network of Zuo et al.",
            source="Y. Zuo et al., J. Phys. Chem. A 124, 731 (2020): their Behler-Parrinello "
            "network, evaluated by n2p2 on the same test frames",
            energy_rmse=energy,
            force_rmse=force,
        ),
    )


SETS: dict[str, Source] = {
    "mlearn-Si": _zuo("Si", 6.93, 0.170),
    "mlearn-Mo": _zuo("Mo", 5.43, 0.203),
    "tio2": Source(
        files=(Path("tio2") / "TiO2_1000.xyz.gz",),
        published=Published(
            title="example of ænet",
            source="ænet, examples/example-chebyshev, with the data of N. Artrith, A. Urban, "
            "Comput. Mater. Sci. 114, 135 (2016): trained on the energies alone of nine tenths "
            "of the whole set of 7815 frames, tested on the rest",
            energy_mae=2.9,
            energy_rmse=5.2,
        ),
    ),
}
"""Sets by name."""


def find_set(name: str, folder: Path | None) -> Source:
    """Give a set with the full paths of its files, which exist.

    ``folder`` that of the data sets; the one that the environment names where None.

    Raises
    ------
    aga.errors.InputError
        No set has this name, or a file is missing.
    """
    if name not in SETS:
        raise InputError(f"no data set is called {name!r}", remedy=f"there are {', '.join(SETS)}")
    source = SETS[name]
    place = os.environ.get(FOLDER) if folder is None else folder
    remedy = f"give the folder of the data sets by --folder or {FOLDER}; {PAGE} says how to fill it"
    if not place:
        raise InputError(f"{source.files[0]} of {name}: no folder of data sets", remedy=remedy)
    files = tuple(Path(place) / file for file in source.files)
    for file in files:
        if not file.is_file():
            raise InputError(f"{file} of {name} is missing", remedy=remedy, file=str(file))
    return Source(files=files, published=source.published)


def read_set(source: Source) -> DataSet:
    """Read the frames of a set.

    Raises
    ------
    aga.errors.DataError
        A file that can't be read, or frames that can't be trained on; names both.
    aga.errors.InputError
        The same file to train on and to test on.
    """
    if len(source.files) == 1:
        return divide(read_frames(source.files[0]))
    training, test = source.files
    if training.exists() and test.exists() and training.samefile(test):
        raise InputError(f"{test} is the file to train on and to test on", remedy="give two files")
    return DataSet(training=tuple(read_frames(training)), test=tuple(read_frames(test)))


def divide(frames: Sequence[Frame]) -> DataSet:
    """Leave out frames with violent forces, and set some of the others aside for the test."""
    calm = [frame for frame in frames if _largest(frame) <= LARGEST_FORCE]
    rest, test = assign_splits(calm, seed=SEED, test_fraction=TEST_FRACTION)
    return DataSet(
        training=tuple(calm[place] for place in rest), test=tuple(calm[place] for place in test)
    )


def _largest(frame: Frame) -> float:
    """Give the largest force on an atom in eV/Å."""
    if frame.forces is None:
        return 0.0
    return float(np.linalg.norm(frame.forces, axis=1).max())
