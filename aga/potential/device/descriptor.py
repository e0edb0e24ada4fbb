"""The symmetry functions of a batch on a device (a GPU, or the processor through PyTorch).

The same functions, signs and units as :class:`aga.potential.symmetry.descriptor.Descriptor`. All
that belongs to one central atom is computed in one go – its functions, what the energy model makes
of them, and the adjoints of the vectors to its neighbours – for as many atoms at a time as memory
allows, so nothing is stored but one vector per pair.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from aga.potential.batch import Batch
from aga.potential.device.choice import Precision
from aga.potential.device.moments import Density, density, moment_values, pull_moments
from aga.potential.device.pairs import DevicePairs, find_device_pairs, to_device
from aga.potential.device.shells import Shell, make_shell
from aga.potential.device.tables import ClassTables, make_tables
from aga.potential.device.triplets import Triplets, list_triplets, pull_triplets, triplet_values
from aga.potential.neighbours import find_pairs
from aga.potential.symmetry.functions import FunctionSet

__all__ = ["Pulled", "Respond", "TorchDescriptor"]

Respond = Callable[[Tensor, Tensor], Tensor | None]
"""From atoms (n,) and their G (n, D) to adjoints (A, n, D), or None where only G is wanted."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Pulled:
    """What adjoints of G come to, for each of A sets of adjoints.

    ``gradient`` (A, N, 3) ∂E/∂R; ``strain`` (A, N, 3, 3) each central atom's share of ∂E/∂ε, not
    symmetrised. Float64, on the device.
    """

    gradient: Tensor
    strain: Tensor


class TorchDescriptor:
    """Symmetry functions G (N, D) of a batch on a device, with exact derivatives.

    Parameters
    ----------
    functions
        The set; its order is the order of the columns of G.
    device
        Where to compute.
    precision
        With ``float32`` the work per pair and triplet is done in single precision, for devices
        that are slow in double; sums over an atom's functions stay double.

    References
    ----------
    J. Behler, J. Chem. Phys. 134, 074106 (2011).
    """

    def __init__(
        self,
        functions: FunctionSet,
        device: torch.device,
        precision: Precision = "float64",
    ) -> None:
        self.functions = functions
        self.device = device
        self.dtype = torch.float64 if precision == "float64" else torch.float32
        self._tables = make_tables(functions, device, self.dtype)

    def pairs(self, batch: Batch) -> DevicePairs:
        """List the neighbours within the cutoff; raises like ``Descriptor.pairs``.

        On a processor the compiled search of the host is the quicker one.
        """
        functions = self.functions
        if self.device.type == "cpu":
            pairs = find_pairs(batch, functions.cutoff, functions.numbers)
            return to_device(pairs, self.device)
        return find_device_pairs(batch, functions.cutoff, functions.numbers, self.device)

    def values(self, pairs: DevicePairs) -> Tensor:
        """Give G (N, D), float64."""
        G = torch.zeros(len(pairs.species), self.functions.size, dtype=torch.float64)
        G = G.to(self.device)

        def keep(atoms: Tensor, found: Tensor) -> None:
            G[atoms] = found

        self.sweep(pairs, keep)
        return G

    def vjp(self, pairs: DevicePairs, adjoints: Tensor) -> Pulled:
        """Pull adjoints ∂E/∂G (A, N, D) back to positions and strain."""
        return self.sweep(pairs, lambda atoms, _: adjoints[:, atoms], len(adjoints))

    @torch.no_grad()
    def sweep(self, pairs: DevicePairs, respond: Respond, sets: int = 0) -> Pulled:
        """Go through the atoms: compute G, ask for adjoints, pull them back.

        Parameters
        ----------
        pairs
            From :meth:`pairs`.
        respond
            Called with some atoms and their G, each atom once.
        sets
            A, the number of sets of adjoints; 0 where only G is wanted.
        """
        atoms = len(pairs.species)
        f = torch.zeros(sets, len(pairs) + 1, 3, dtype=self.dtype, device=self.device)
        central = torch.zeros(sets, atoms, 3, dtype=torch.float64, device=self.device)
        strain = torch.zeros(sets, atoms, 3, 3, dtype=torch.float64, device=self.device)
        for tables, chosen, width in self._chunks(pairs):
            work = _Chunk(tables, make_shell(tables, pairs, chosen, width, self.dtype))
            adjoints = respond(chosen, work.values())
            if adjoints is None:
                continue
            for a, g in enumerate(adjoints):
                pulled = work.pull(g)
                v = work.shell.unit * work.shell.r.unsqueeze(2)
                central[a, chosen] = pulled.sum((1, 3), dtype=torch.float64)
                strain[a, chosen] = torch.einsum("nexw,neyw->nxy", pulled, v).double()
                f[a, work.shell.place.flatten()] = pulled.transpose(2, 3).reshape(-1, 3)
        if not sets:
            return Pulled(gradient=central, strain=strain)
        return Pulled(gradient=_arriving(pairs, f, atoms) - central, strain=strain)

    def _chunks(self, pairs: DevicePairs) -> Iterator[tuple[ClassTables, Tensor, int]]:
        """Give the atoms to compute together, those with as many neighbours side by side."""
        widths = pairs.counts.max(axis=1, initial=1)
        for tables in self._tables:
            mine = np.flatnonzero(np.isin(pairs.species, tables.species))
            mine = mine[np.argsort(-widths[mine], kind="stable")]
            room = _memory(self.device, tables)
            while len(mine):
                width = int(widths[mine[0]])
                step = max(1, int(room / (_bytes(tables, width) * self.dtype.itemsize)))
                yield tables, torch.from_numpy(mine[:step]).to(self.device), width
                mine = mine[step:]


def _memory(device: torch.device, tables: ClassTables) -> float:
    """Give the bytes that one chunk may take."""
    if device.type == "cuda":
        held = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return float(min(0.25 * (torch.cuda.mem_get_info(device)[0] + held), 8e9))
    return 64e6 if tables.triplets else 16e6  # quickest on a processor, by trial


def _bytes(tables: ClassTables, width: int) -> float:
    """Estimate the numbers stored per atom with ``width`` neighbours of each element."""
    _, E, F, _ = tables.parameters.shape
    pair = 16.0 + 5.0 * F
    if tables.moments is not None:
        channels = tables.moments.channels
        pair += len(tables.moments.weights) + 5.0 * (channels.stop - channels.start)
    triplet = sum(
        4.0
        + (0.5 if g.narrow or g.elements[0] == g.elements[1] else 1.0)
        * (12.0 + 9.0 * len(g.channels) + 3.0 * len(g.zeta))
        for g in tables.triplets
    )
    return E * width * pair + width**2 * triplet


def _arriving(pairs: DevicePairs, f: Tensor, atoms: int) -> Tensor:
    """Sum what arrives at each atom as a neighbour: (A, N, 3), float64, in a fixed order."""
    counts = torch.bincount(pairs.second, minlength=atoms)
    order = torch.argsort(pairs.second, stable=True)
    order = torch.cat([order, order.new_tensor([len(pairs)])])
    begins = (torch.cumsum(counts, dim=0) - counts).unsqueeze(1)
    place = torch.arange(int(counts.max()) if atoms else 0, device=f.device)
    table = torch.where(place < counts.unsqueeze(1), begins + place, len(pairs))
    f[:, -1] = 0.0  # where the idle places wrote
    return f[:, order[table]].sum(2, dtype=torch.float64)


class _Chunk:
    """Some atoms of one class, from their neighbours to G and back."""

    def __init__(self, tables: ClassTables, shell: Shell) -> None:
        self.tables = tables
        self.shell = shell
        self._density: Density | None = None
        if tables.moments is not None:
            self._density = density(tables.moments, shell)
        self._triplets: list[Triplets | None] = [
            list_triplets(tables, group, shell) for group in tables.triplets
        ]

    def values(self) -> Tensor:
        """Give G (n, D)."""
        tables, n = self.tables, len(self.shell.atoms)
        raw = [self.shell.basis[:, :, : tables.radial].sum(-1, dtype=torch.float64).flatten(1)]
        if self._density is not None and tables.moments is not None:
            raw.append(moment_values(tables.moments, self._density))
        for group, found in zip(tables.triplets, self._triplets, strict=True):
            size = len(group.channels) * len(group.zeta)
            raw.append(raw[0].new_zeros(n, size) if found is None else triplet_values(found))
        return torch.cat([*raw, raw[0].new_zeros(n, 1)], dim=1)[:, tables.source]

    def pull(self, g: Tensor) -> Tensor:
        """Pull ∂E/∂G (n, D) back to the vectors to the neighbours, (n, E, 3, W)."""
        tables, shell = self.tables, self.shell
        n, E, _, W = shell.unit.shape
        raw = torch.nn.functional.pad(g, (0, 1))[:, tables.column]
        R = tables.radial
        radial, start = raw[:, : E * R].to(shell.r.dtype).reshape(n, E, 1, R), E * R
        dr = (radial @ shell.slope[:, :, :R]).reshape(n, E, W)
        out = shell.unit * dr.unsqueeze(2)
        if self._density is not None and tables.moments is not None:
            size = tables.moments.coefficients[:, 0].numel()
            part = raw[:, start : start + size]
            du, dr = pull_moments(tables.moments, self._density, shell, part)
            along = (shell.unit * du).sum(2, keepdim=True)
            out += shell.unit * dr.unsqueeze(2)
            out += (du - shell.unit * along) / shell.r.unsqueeze(2)
            start += size
        for group, found in zip(tables.triplets, self._triplets, strict=True):
            size = len(group.channels) * len(group.zeta)
            if found is not None:
                pull_triplets(group, found, shell, raw[:, start : start + size], out)
            start += size
        return out
