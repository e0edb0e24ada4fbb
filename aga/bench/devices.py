"""How fast a committee is on each device: the processor's kernels, and PyTorch on a GPU.

Needs nothing but ASE beside the potential, so it runs on a bare GPU node too.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from ase.spacegroup import crystal

from aga.bench.cases import MEMBERS, random_model
from aga.bench.timing import interleave
from aga.potential.batch import Batch
from aga.potential.committee import NetworkCommittee
from aga.potential.device.choice import Device, Precision, choose_device
from aga.potential.device.committee import DeviceCommittee
from aga.potential.symmetry.presets import preset
from aga.rng import stream
from aga.structure.candidate import Candidate

__all__ = ["DeviceOptions", "measure_devices"]

SEED = 2016
PRECISIONS: tuple[Precision, ...] = ("float64", "float32")


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceOptions:
    """What is measured.

    Parameters
    ----------
    device
        Where PyTorch computes; the processor's own kernels are always measured beside it.
    cells
        Sizes of the batches, in cells of 12 atoms.
    repeats
        Rounds.
    """

    device: Device = "auto"
    cells: tuple[int, ...] = (1, 16, 64, 256, 1024)
    repeats: int = 5


def measure_devices(options: DeviceOptions, progress: Callable[[str], None]) -> dict[str, Any]:
    """Evaluate batches of TiO2 cells by the ``tio2`` set: energies, forces and stresses.

    Returns
    -------
    dict
        ``device`` (name of the hardware), ``host_threads``, and ``rows``: for each number of
        ``cells`` and ``precision`` the ``atoms``, ``us_per_atom`` of PyTorch on the device, of it
        the ``neighbours_us_per_atom``, ``host_us_per_atom`` of the processor's kernels, the
        ``ratio`` of the two, ``force_difference``, the largest in eV/Å, and ``peak_megabytes`` of
        GPU memory (None on the processor).

    Raises
    ------
    aga.errors.SiteError
        A GPU is wanted and there is none.
    """
    device = choose_device(options.device)
    models = [random_model(preset("tio2", ["O", "Ti"]), member) for member in range(MEMBERS)]
    host = NetworkCommittee(models)
    rows = []
    for cells in options.cells:
        batch = Batch.pack(rattled_cells(cells))
        for precision in PRECISIONS:
            progress(f"{cells} cells, {precision}")
            committee = DeviceCommittee(models, device=device, precision=precision)
            rows.append(_row(committee, host, batch, options.repeats))
    return {"device": _name(device), "host_threads": torch.get_num_threads(), "rows": rows}


def _row(
    committee: DeviceCommittee, host: NetworkCommittee, batch: Batch, repeats: int
) -> dict[str, Any]:
    device, dtype = committee.on_device.device, committee.on_device.dtype
    calls = {
        "host": lambda: host.evaluate(batch),
        "device": lambda: committee.evaluate(batch),
        "neighbours": lambda: _finished(committee, batch),
    }
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    samples = interleave(calls, repeats)
    atoms = len(batch.numbers)
    gap = committee.evaluate(batch).gradient - host.evaluate(batch).gradient
    return {
        "cells": len(batch),
        "atoms": atoms,
        "precision": str(dtype).removeprefix("torch."),
        "us_per_atom": samples.median("device") / atoms * 1e6,
        "neighbours_us_per_atom": samples.median("neighbours") / atoms * 1e6,
        "host_us_per_atom": samples.median("host") / atoms * 1e6,
        "ratio": samples.ratio("host", "device"),
        "force_difference": float(np.abs(gap).max()),
        "peak_megabytes": _peak(device),
    }


def _finished(committee: DeviceCommittee, batch: Batch) -> None:
    """List the neighbours and wait until the device has done so."""
    pairs = committee.on_device.pairs(batch)
    if pairs.second.is_cuda:
        torch.cuda.synchronize(pairs.second.device)


def _peak(device: torch.device) -> float | None:
    return torch.cuda.max_memory_allocated(device) / 1e6 if device.type == "cuda" else None


def _name(device: torch.device) -> str:
    if device.type == "cuda":
        return f"cuda ({torch.cuda.get_device_name(device)})"
    return "cpu (PyTorch on the processor)"


def rattled_cells(count: int) -> Sequence[Candidate]:
    """Give cells of 12 atoms of anatase, each with strains and displacements of its own."""
    anatase = crystal(
        ["Ti", "O"],
        [(0, 0, 0), (0, 0, 0.208)],
        spacegroup=141,
        cellpar=[3.785, 3.785, 9.514, 90, 90, 90],
    )
    found = []
    for number in range(count):
        rng = stream(SEED, "bench-device", number)
        strain = np.eye(3) + rng.normal(0.0, 0.05, (3, 3))
        positions = anatase.positions @ strain + rng.normal(0.0, 0.1, (len(anatase), 3))
        found.append(
            Candidate(
                name=f"a{number:04d}",
                numbers=anatase.numbers,
                positions=positions,
                cell=anatase.cell[:] @ strain,
            )
        )
    return found
