"""How structures stand in the database."""

from __future__ import annotations

from typing import Literal

import numpy as np

from aga.store.documents import SCHEMA, Document, ResultDoc, plain
from aga.structure.candidate import Candidate
from aga.structure.protocols import Label, Relaxed

__all__ = [
    "Stage",
    "committee_part",
    "geometry",
    "reference_part",
    "relaxed_from",
    "result_document",
    "structure_document",
]

Stage = Literal["proposed", "relaxed", "picked", "labelled", "failed", "result"]
"""How far a structure is."""


def geometry(candidate: Candidate) -> Document:
    """Give the fields that depend on the geometry."""
    return {
        "positions": candidate.positions.tolist(),
        "cell": candidate.cell.tolist(),
        "volume_per_atom": candidate.volume / len(candidate),
    }


def structure_document(
    search_id: str, iteration: int, candidate: Candidate, stage: Stage
) -> Document:
    """Give the document of a new structure."""
    return {
        "_id": f"{search_id}/{candidate.name}",
        "schema": SCHEMA,
        "search_id": search_id,
        "name": candidate.name,
        "formula": candidate.formula,
        "n_atoms": len(candidate),
        "symbols": candidate.symbols,
        "lineage": candidate.lineage.to_dict(),
        "generation": candidate.lineage.generation,
        "iteration": iteration,
        "stage": stage,
        "failure": None,
        "committee": None,
        "reference": None,
        "space_group": None,
        "space_group_strict": None,
        "fingerprint": None,
        "pick": None,
        "rank": None,
        **geometry(candidate),
    }


def committee_part(version: int, item: Relaxed) -> Document:
    """Give what a committee says of a relaxed structure."""
    values = {
        "version": version,
        "energy": item.energy,
        "enthalpy": item.enthalpy,
        "energy_per_atom": item.energy_per_atom,
        "enthalpy_per_atom": item.enthalpy_per_atom,
        "energy_spread": item.energy_spread,
        "force_spread": item.force_spread,
        "max_force": item.max_force,
        "steps": item.steps,
        "reason": item.reason,
    }
    return dict(plain(values))


def relaxed_from(document: Document) -> Relaxed:
    """Rebuild a relaxed structure from its document, bit by bit."""
    said = document["committee"]
    return Relaxed(
        candidate=Candidate.from_dict(document),
        energy=said["energy"],
        enthalpy=said["enthalpy"],
        energy_spread=said["energy_spread"],
        force_spread=said["force_spread"],
        max_force=said["max_force"],
        steps=int(said["steps"]),
        reason=said["reason"],
    )


def reference_part(label: Label, engine: str, n_atoms: int, pv_per_atom: float) -> Document:
    """Give what the reference method says; ``pv_per_atom`` is pV/atom in eV."""
    energy = float(label.energy) / n_atoms
    return {
        "energy": float(label.energy),
        "energy_per_atom": energy,
        "enthalpy_per_atom": energy + pv_per_atom,
        "max_force": float(np.linalg.norm(label.forces, axis=1).max()),
        "evaluations": label.evaluations,
        "engine": engine,
    }


def result_document(search_id: str, result: ResultDoc) -> Document:
    """Give the document of a final structure."""
    candidate = result.candidate
    pv_per_atom = result.pressure * candidate.volume / len(candidate)
    lineage = {
        "operator": "reference_relaxation",
        "parents": [candidate.name],
        "generation": candidate.lineage.generation,
        "stream": "",
    }
    return structure_document(
        search_id, result.iteration, candidate.renamed(result.name), "result"
    ) | {
        "lineage": lineage,
        "reference": reference_part(result.label, result.engine, len(candidate), pv_per_atom),
        "space_group": plain(result.space_group),
        "space_group_strict": plain(result.space_group_strict),
        "fingerprint": plain(result.fingerprint),
        "rank": result.rank,
        "symmetrised": None if result.symmetrised is None else _cell(result.symmetrised),
        "prototype": plain(result.prototype),
        "found": plain(result.found),
        "twins": list(result.twins),
    }


def _cell(candidate: Candidate) -> Document:
    """Give the symbols and the geometry alone."""
    return {
        "symbols": candidate.symbols,
        "positions": candidate.positions.tolist(),
        "cell": candidate.cell.tolist(),
    }
