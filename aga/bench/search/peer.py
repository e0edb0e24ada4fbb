"""The arm of ase-ga: its own genetic algorithm on our relaxation."""

from __future__ import annotations

from aga.bench.peers.ase_ga_search import AseGaOptions, search_with_ase_ga
from aga.bench.search.bout import Bout
from aga.bench.search.ledger import Ended
from aga.errors import AgaError, GenerationError
from aga.structure.candidate import Candidate
from aga.structure.protocols import Relaxed
from aga.structure.volume import target_volume_per_atom

__all__ = ["ase_ga"]


def ase_ga(bout: Bout) -> None:
    """Search by ase-ga; the ledger ends it.

    Raises
    ------
    aga.errors.GenerationError
        ase-ga finds no structures to relax, or fails.
    aga.bench.search.ledger.Ended
        The answer is found or a cap reached.
    """
    search = bout.settings.search
    counts = search.atom_counts()
    options = AseGaOptions(
        counts=counts,
        volume=target_volume_per_atom(search) * sum(counts.values()),
        distance_factor=search.min_distance_factor,
        population=search.population_size,
        seed=search.seed,
        folder=bout.folder,
    )
    relaxer = bout.relaxer()

    def relax(candidate: Candidate) -> Relaxed:
        (found,) = relaxer.relax([candidate])
        return found

    try:
        search_with_ase_ga(options, relax)
    except (Ended, AgaError):
        raise
    except Exception as error:  # of ase-ga's own: the run has failed, the comparison goes on
        raise GenerationError(f"ase-ga: {type(error).__name__}: {error}") from error
