"""Ranks over MPI. mpi4py is imported inside functions: importing its MPI starts MPI."""

from __future__ import annotations

import os

import numpy as np

from aga.errors import SiteError
from aga.parallel.process import RANKS_VARIABLE
from aga.parallel.ranks import Alone, FloatArray, Ranks

__all__ = ["MpiRanks", "open_ranks"]

# Launchers say who is who in the environment; MPICH, Intel MPI and SLURM's pmi2, PMIx, Open MPI.
_RANK = ("PMI_RANK", "PMIX_RANK", "OMPI_COMM_WORLD_RANK")
_SIZE = (RANKS_VARIABLE, "PMI_SIZE", "OMPI_COMM_WORLD_SIZE", "SLURM_STEP_NUM_TASKS")


class MpiRanks:
    """All ranks of this MPI job.

    Raises
    ------
    aga.errors.SiteError
        mpi4py is not installed, or finds no MPI library.
    """

    def __init__(self) -> None:
        try:
            from mpi4py import MPI  # noqa: PLC0415 - starts MPI
        except (ImportError, RuntimeError) as error:
            raise SiteError(
                f"MPI can't be used: {error}", remedy="pip install mpi4py mpich, or set ranks to 1"
            ) from error
        self._world = MPI.COMM_WORLD
        self.rank = int(self._world.rank)
        self.size = int(self._world.size)

    def sum(self, values: FloatArray) -> FloatArray:
        """Add up the arrays of all ranks, element by element, in the order of the ranks.

        Floating-point sums depend on their order, and that of ``MPI_Allreduce`` is the library's
        choice: it changes with the size of the array and with how ranks lie on nodes, and may
        differ between ranks. So each rank adds up one part of the arrays, rank by rank, and all
        get its result. No rank sends or receives more than twice the array.
        """
        given = np.asarray(values, dtype=np.float64)
        length = -(-given.size // self.size)
        parts = np.zeros((self.size, length))
        parts.ravel()[: given.size] = given.ravel()
        received = np.empty_like(parts)
        self._world.Alltoall(parts, received)
        total = received[0].copy()
        for part in received[1:]:
            total += part
        self._world.Allgather(total, parts)
        return parts.ravel()[: given.size].reshape(given.shape).copy()

    def broadcast(self, values: FloatArray) -> FloatArray:
        """Give the array of rank 0 on every rank."""
        given = np.array(values, dtype=np.float64, order="C")
        self._world.Bcast(given, root=0)
        return given

    def barrier(self) -> None:
        """Wait until every rank has come here."""
        self._world.Barrier()


def open_ranks() -> Ranks:
    """Give the ranks that this process is one of.

    Returns
    -------
    Ranks
        :class:`~aga.parallel.ranks.Alone` where no launcher has started more than one;
        mpi4py is not needed then.

    Raises
    ------
    aga.errors.SiteError
        A launcher started several processes and MPI can't be used, or counts otherwise: each
        would take itself for rank 0 and write the same files.
    """
    expected = _launched()
    if expected == 1:
        return Alone()
    ranks = MpiRanks()
    if ranks.size != expected:
        raise SiteError(
            f"the launcher was asked for {expected} ranks, but MPI has {ranks.size}",
            remedy="let machine.mpi_command name the launcher of the MPI library that mpi4py "
            "uses, with {ranks} in it (in SLURM perhaps: srun --mpi=pmi2 -n {ranks})",
            expected=expected,
            found=ranks.size,
        )
    return ranks


def _launched() -> int:
    """Give how many ranks the launcher says it has started; 1 without a launcher."""
    if RANKS_VARIABLE not in os.environ and not any(name in os.environ for name in _RANK):
        return 1  # a batch job of SLURM has its variables too, but is one process
    return next((int(os.environ[name]) for name in _SIZE if name in os.environ), 1)
