"""What runs on each rank: ``mpiexec -n 2 python -m mpi4py -m aga.potential.relax.one_rank DIR``."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from aga.errors import AgaError
from aga.parallel.mpi import open_ranks
from aga.parallel.reports import report_error
from aga.potential.relax.ranked import relax_share

__all__ = ["main"]


def main(arguments: Sequence[str]) -> int:
    """Relax this rank's share of the structures whose job lies in a folder."""
    try:
        ranks = open_ranks()
        relax_share(Path(arguments[1]), ranks.rank, ranks.size)
        ranks.barrier()  # results are files: nobody ends before all are written
    except AgaError as error:
        return report_error(error)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
