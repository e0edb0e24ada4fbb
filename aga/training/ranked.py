"""What runs on each MPI rank: ``mpiexec -n 2 python -m mpi4py -m aga.training.ranked FOLDER``."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from aga.errors import AgaError
from aga.parallel.mpi import open_ranks
from aga.parallel.reports import report_error
from aga.training.fit import Workshop, fit_member
from aga.training.members import read_job, write_result

__all__ = ["main"]


def main(arguments: Sequence[str]) -> int:
    """Train the member whose job lies in a folder; rank 0 leaves the result there."""
    folder = Path(arguments[1])
    try:
        ranks = open_ranks()
        frames, recipe, member, previous, threads = read_job(folder)
        workshop = Workshop(ranks=ranks, threads=threads, checkpoint=folder / "checkpoint")
        result = fit_member(frames, recipe, member=member, previous=previous, workshop=workshop)
        if ranks.rank == 0:
            write_result(folder, result)
    except AgaError as error:
        return report_error(error)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
