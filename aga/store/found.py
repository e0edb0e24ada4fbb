"""One structure of a search, as users read it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:  # a list of structures is printed without them
    from ase import Atoms

    from aga.store.documents import Document
    from aga.structure.candidate import Candidate

__all__ = ["Found"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """One structure of a search.

    ``energy_per_atom`` and ``enthalpy_per_atom`` (eV/atom) are those of the reference method
    ``reference``, None where it was not asked; ``predicted_energy_per_atom`` and
    ``energy_spread`` (eV/atom) are the committee's. ``space_group`` is
    ``{"number": …, "symbol": …}`` or None, ``space_group_strict`` the same at a tenth of the
    tolerance; ``volume_per_atom`` in Å³; ``rank`` counts the results from 0. Results alone have
    ``prototype``, the structure type (``name``, ``strukturbericht``, ``pearson``, ``aflow``), and
    ``found``: how many ``times`` it was found, and ``first``, ``iteration``, ``generation``,
    ``operator`` and ``reference_calls`` of the first time.
    """

    id: str
    search: str
    stage: str
    name: str
    formula: str
    n_atoms: int
    volume_per_atom: float
    operator: str
    parents: tuple[str, ...]
    generation: int
    iteration: int
    energy_per_atom: float | None
    enthalpy_per_atom: float | None
    reference: str | None
    predicted_energy_per_atom: float | None
    energy_spread: float | None
    space_group: dict[str, Any] | None
    rank: int | None
    failure: dict[str, Any] | None
    space_group_strict: dict[str, Any] | None = None
    prototype: dict[str, Any] | None = None
    found: dict[str, Any] | None = None
    stored: Mapping[str, Any] = field(repr=False, compare=False, default_factory=dict)

    @property
    def candidate(self) -> Candidate:
        """The structure itself: species, positions, cell, lineage."""
        from aga.structure.candidate import Candidate  # noqa: PLC0415 - loads ASE

        return Candidate.from_dict(dict(self.stored))

    @property
    def symmetrised(self) -> Candidate | None:
        """The conventional cell of exact symmetry; None where it isn't known or costs energy.

        No energy has been computed for it: those here are of :attr:`candidate`.
        """
        from aga.structure.candidate import Candidate  # noqa: PLC0415 - loads ASE

        cell = self.stored.get("symmetrised")
        if cell is None:
            return None
        known = {"name": self.name, "lineage": self.stored["lineage"]}
        return Candidate.from_dict(known | dict(cell))

    @classmethod
    def of(cls, candidate: Candidate, **values: Any) -> Self:  # noqa: ANN401 - the other fields
        """Describe a structure that is in memory; ``values`` are what it does not say itself."""
        return cls(
            name=candidate.name,
            formula=candidate.formula,
            n_atoms=len(candidate),
            volume_per_atom=candidate.volume / len(candidate),
            operator=candidate.lineage.operator,
            parents=candidate.lineage.parents,
            stored=candidate.to_dict(),
            **values,
        )

    @classmethod
    def from_document(cls, document: Document) -> Self:
        """Read a document of ``aga_structures``."""
        reference = document["reference"] or {}
        committee = document["committee"] or {}
        same = ("stage", "name", "formula", "n_atoms", "volume_per_atom", "generation", "iteration")
        return cls(
            id=document["_id"],
            search=document["search_id"],
            **{key: document[key] for key in (*same, "space_group", "rank", "failure")},
            # older documents have none of these, and the last two are of results alone
            space_group_strict=document.get("space_group_strict"),
            prototype=document.get("prototype"),
            found=document.get("found"),
            operator=document["lineage"]["operator"],
            parents=tuple(document["lineage"].get("parents", ())),
            energy_per_atom=reference.get("energy_per_atom"),
            enthalpy_per_atom=reference.get("enthalpy_per_atom"),
            reference=reference.get("engine"),
            predicted_energy_per_atom=committee.get("energy_per_atom"),
            energy_spread=committee.get("energy_spread"),
            stored=document,
        )

    def to_ase(self) -> Atoms:
        """Give an ASE ``Atoms``."""
        return self.candidate.to_ase()

    def to_pymatgen(self) -> Any:  # noqa: ANN401 - pymatgen is untyped here
        """Give a pymatgen ``Structure``."""
        return self.candidate.to_pymatgen()

    def to_dict(self) -> dict[str, Any]:
        """Give plain JSON values."""
        keys = (
            *("id", "name", "formula", "n_atoms", "energy_per_atom", "enthalpy_per_atom"),
            *("space_group", "space_group_strict", "volume_per_atom", "reference"),
            *("generation", "iteration", "operator", "parents", "rank", "stage"),
            *("predicted_energy_per_atom", "energy_spread", "prototype", "found", "failure"),
        )
        return {key: getattr(self, key) for key in keys} | {"parents": list(self.parents)}
