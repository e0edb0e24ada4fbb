"""The descriptors without trained parameters, by the set of functions that defines each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from aga.potential.batch import Batch
from aga.potential.deep.frame import LocalFrame, LocalFrameDescriptor
from aga.potential.neighbours import Pairs
from aga.potential.symmetry.descriptor import Descriptor
from aga.potential.symmetry.functions import FunctionSet
from aga.potential.threads import Threads
from aga.structure.candidate import FloatArray

__all__ = ["FUNCTIONS", "FixedDescriptor", "Functions", "kind_of", "make_descriptor"]

Functions = FunctionSet | LocalFrame
"""What defines a descriptor without trained parameters."""

FUNCTIONS: dict[str, Callable[[dict[str, Any]], Functions]] = {
    "symmetry_functions": FunctionSet.from_dict,
    "deep_local_frame": LocalFrame.from_dict,
}
"""Rebuilds a set from its JSON values, by the name it has in settings and model files."""


class FixedDescriptor(Protocol):
    """N atoms, D columns, with exact derivatives; see :class:`Descriptor` for the meaning.

    ``moments`` is whatever the values leave behind for the derivatives.
    """

    @property
    def size(self) -> int:
        """D."""
        ...

    def pairs(self, batch: Batch) -> Pairs:
        """List the neighbours within the cutoff."""
        ...

    def values(self, pairs: Pairs) -> FloatArray:
        """Give (N, D)."""
        ...

    def values_and_moments(self, pairs: Pairs) -> tuple[FloatArray, Any]:
        """Give (N, D) and the moments."""
        ...

    def vjp(
        self,
        pairs: Pairs,
        adjoints: FloatArray,
        moments: Any = None,  # noqa: ANN401 - each descriptor's own
    ) -> tuple[FloatArray, FloatArray]:
        """Pull ∂E/∂G back to positions and strain."""
        ...

    def jvp(
        self,
        pairs: Pairs,
        displacements: FloatArray,
        strains: FloatArray | None = None,
        moments: Any = None,  # noqa: ANN401 - each descriptor's own
    ) -> FloatArray:
        """Give dG for displacements and strains."""
        ...

    def jacobian(
        self,
        pairs: Pairs,
        moments: Any = None,  # noqa: ANN401 - each descriptor's own
    ) -> list[FloatArray]:
        """Give dG/d(R, ε), dense, for each structure."""
        ...


def kind_of(functions: Functions) -> str:
    """Give the name that a set has in settings and model files."""
    return "deep_local_frame" if isinstance(functions, LocalFrame) else "symmetry_functions"


def make_descriptor(functions: Functions, threads: Threads | None = None) -> FixedDescriptor:
    """Give the descriptor that a set of functions defines, worked on by threads where it can."""
    if isinstance(functions, LocalFrame):
        return LocalFrameDescriptor(functions)
    return Descriptor(functions, threads)
