"""What `aga doctor` runs on two MPI ranks: each says the sum of their numbers, 1 + 2."""

from __future__ import annotations

import sys

import numpy as np

from aga.errors import AgaError
from aga.parallel.mpi import open_ranks
from aga.parallel.reports import report_error

__all__ = ["main"]


def main() -> int:
    """Add up the numbers of all ranks."""
    try:
        ranks = open_ranks()
        total = ranks.sum(np.array([ranks.rank + 1.0]))
    except AgaError as error:
        return report_error(error)
    sys.stdout.write(f"the sum is {total[0]:g}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
