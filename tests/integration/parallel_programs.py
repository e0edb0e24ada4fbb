"""What MPI ranks run in tests: ``python -m parallel_programs NAME [ARG…]``."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

import numpy as np

from aga.errors import AgaError, DataError
from aga.parallel.mpi import open_ranks
from aga.parallel.ranks import FloatArray, Ranks, gather_rows, share
from aga.parallel.reports import report_error

SHAPES = ((), (0,), (1,), (7,), (1000,), (3, 5), (40_000,))
COUNT = 5


def terms(rank: int) -> list[FloatArray]:
    """Give what a rank adds: numbers so unlike that the order of the sum shows in its bits."""
    rng = np.random.default_rng(rank)
    return [
        np.array(rng.normal(size=shape) * 10.0 ** rng.integers(-12, 12, size=shape))
        for shape in SHAPES
    ]


def rows() -> FloatArray:
    return np.random.default_rng(99).normal(size=(COUNT, 2, 3))


def sums(ranks: Ranks, folder: str) -> None:
    given = terms(ranks.rank)
    kept = [array.copy() for array in given]
    found = [ranks.sum(array) for array in given]
    assert all(np.array_equal(a, b) for a, b in zip(given, kept, strict=True))
    first = [ranks.broadcast(array) for array in given]
    places = share(COUNT, ranks)
    gathered = gather_rows(rows()[places], places, COUNT, ranks)
    np.savez(Path(folder) / f"{ranks.rank}.npz", *found, *first, gathered)
    ranks.barrier()
    assert len(list(Path(folder).glob("*.npz"))) == ranks.size


def refuse(ranks: Ranks, who: str) -> None:
    if ranks.rank == int(who):
        raise DataError("frames.xyz, frame 3: no energy", remedy="label it", frame=3)
    ranks.barrier()


def stumble(ranks: Ranks) -> None:
    if ranks.rank == 1:
        raise ZeroDivisionError("by nothing at all")
    ranks.barrier()


def die(ranks: Ranks) -> None:
    if ranks.rank == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    ranks.barrier()


def sleep(ranks: Ranks, folder: str) -> None:
    Path(folder, f"{ranks.rank}.part").write_text(str(os.getpid()))
    Path(folder, f"{ranks.rank}.part").rename(Path(folder, f"{ranks.rank}.pid"))
    time.sleep(600)


def say(ranks: Ranks, word: str) -> None:
    threads = os.environ["OMP_NUM_THREADS"]
    sys.stdout.write(f"{word} from {ranks.rank} of {ranks.size} with {threads} thread\n")


def main(argv: list[str]) -> int:
    programs = {f.__name__: f for f in (sums, refuse, stumble, die, sleep, say)}
    try:
        programs[argv[1]](open_ranks(), *argv[2:])
    except AgaError as error:
        return report_error(error)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
