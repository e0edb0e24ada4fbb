"""Ewald sums of q_i q_j / r and of −C_ij / r⁶ in a triclinic cell.

P. P. Ewald, Ann. Phys. 369, 253 (1921); for the dispersion N. Karasawa and W. A. Goddard,
J. Phys. Chem. 93, 7320 (1989). Both are split at the same κ: a pair part that decays as
exp(−κ²r²), and a part over reciprocal vectors that decays as exp(−k²/4κ²).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import erfc

from aga.structure.candidate import FloatArray, IntArray

__all__ = [
    "COULOMB",
    "Reciprocal",
    "coulomb_pair",
    "coulomb_self",
    "dispersion_pair",
    "dispersion_self",
    "reciprocal_sum",
    "reciprocal_vectors",
]

COULOMB = 14.399645478425668
"""e²/4πε₀ in eV Å (CODATA 2018)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reciprocal:
    """Energy (eV), forces (n, 3) in eV/Å and strain derivative (3, 3) in eV."""

    energy: float
    forces: FloatArray
    virial: FloatArray


def coulomb_pair(r: FloatArray, kappa: float) -> tuple[FloatArray, FloatArray]:
    """Give erfc(κr)/r and its derivative, for (m,) distances in Å; per e², in 1/Å."""
    value = erfc(kappa * r) / r
    slope = -(value + 2 * kappa / np.sqrt(np.pi) * np.exp(-((kappa * r) ** 2))) / r
    return value, slope


def dispersion_pair(r: FloatArray, kappa: float) -> tuple[FloatArray, FloatArray]:
    """Give the pair part of 1/r⁶ and its derivative, for (m,) distances in Å.

    exp(−a²)(1 + a² + a⁴/2)/r⁶ with a = κr (Karasawa & Goddard, eq. 5).
    """
    a2 = (kappa * r) ** 2
    damping = np.exp(-a2)
    value = damping * (1 + a2 + a2**2 / 2) / r**6
    slope = -6 * value / r - damping * kappa**6 / r
    return value, slope


def coulomb_self(charges: FloatArray, kappa: float) -> float:
    """Give the self energy of the (n,) screening charges, eV."""
    return float(-COULOMB * kappa / np.sqrt(np.pi) * (charges**2).sum())


def dispersion_self(coefficients: FloatArray, kappa: float) -> float:
    """Give the self term of the reciprocal dispersion for (n,) C_ii in eV Å⁶; eV."""
    return float(coefficients.sum() * kappa**6 / 12)


def reciprocal_vectors(cell: FloatArray, cutoff: float) -> FloatArray:
    """Give half of the reciprocal vectors 0 < |k| ≤ cutoff, (m, 3) in 1/Å (with 2π).

    Of k and −k one is kept: they contribute the same.
    """
    reciprocal = 2 * np.pi * np.linalg.inv(cell).T
    # |k·a_i| ≤ |k||a_i| bounds each index.
    top = np.floor(cutoff * np.linalg.norm(cell, axis=1) / (2 * np.pi)).astype(int)
    grids = [np.arange(-n, n + 1) for n in top]
    index = np.stack(np.meshgrid(*grids, indexing="ij"), axis=-1).reshape(-1, 3)
    index = index[len(index) // 2 + 1 :]  # the list is symmetric about 0 0 0
    k = index @ reciprocal
    kept: FloatArray = k[(k**2).sum(axis=1) <= cutoff**2]
    return kept


def reciprocal_sum(
    positions: FloatArray,
    cell: FloatArray,
    species: IntArray,
    kernels: tuple[FloatArray, FloatArray],
    *,
    kappa: float,
    cutoff: float,
) -> Reciprocal:
    """Sum both reciprocal parts.

    Parameters
    ----------
    positions, cell
        (n, 3) and (3, 3), Å.
    species
        (n,) index of each atom's species.
    kernels
        (s,) charge of each species in e, and (s, s) C in eV Å⁶.
    kappa
        Splitting parameter, 1/Å.
    cutoff
        Longest reciprocal vector, 1/Å.
    """
    charges, dispersion = kernels
    volume = abs(np.linalg.det(cell))
    k = reciprocal_vectors(cell, cutoff)
    k2 = (k**2).sum(axis=1)
    phase = np.exp(1j * (k @ positions.T))  # (m, n)
    one_hot = np.eye(len(charges))[species]  # (n, s)
    S = phase @ one_hot  # (m, s) structure factor of each species
    # Half the vectors: each counts twice, which cancels the ½ of the pair sum.
    g_q, dg_q = _coulomb_kernel(k2, kappa)
    g_d, dg_d = _dispersion_kernel(k2, kappa)
    Sq = S @ charges
    SC = S @ dispersion  # (m, s)
    quad_q = (Sq.conj() * Sq).real
    quad_d = (S.conj() * SC).real.sum(axis=1)
    weight = (g_q * quad_q - g_d * quad_d) / volume
    slope = (dg_q * quad_q - dg_d * quad_d) / volume
    energy = weight.sum()
    virial = -energy * np.eye(3) - 2 * np.einsum("m,mi,mj->ij", slope, k, k)
    # dE/dR_i = (2/V) Σ_k Re[i k e^{ikR_i} conj(Σ_b K_ab S_b)] g
    field = g_q[:, None] * (Sq[:, None] * charges) - g_d[:, None] * SC  # (m, s)
    pull = (phase * (field.conj() @ one_hot.T)).imag  # (m, n)
    forces = 2 / volume * (pull.T @ k)
    # k = 0 of the dispersion, which does not vanish: a homogeneous background.
    counts = one_hot.sum(axis=0)
    zero = -0.5 * np.pi**1.5 * kappa**3 / 3 * float(counts @ dispersion @ counts) / volume
    return Reciprocal(energy=float(energy + zero), forces=forces, virial=virial - zero * np.eye(3))


def _coulomb_kernel(k2: FloatArray, kappa: float) -> tuple[FloatArray, FloatArray]:
    """4π exp(−k²/4κ²)/k² in eV Å³ per e², and its derivative with respect to k²."""
    value = COULOMB * 4 * np.pi * np.exp(-k2 / (4 * kappa**2)) / k2
    return value, -value * (1 / k2 + 1 / (4 * kappa**2))


def _dispersion_kernel(k2: FloatArray, kappa: float) -> tuple[FloatArray, FloatArray]:
    """Fourier transform of the smooth part of 1/r⁶ in 1/Å³, and its derivative to k².

    (π^{3/2} κ³/3)[(1 − 2b²) e^{−b²} + 2√π b³ erfc b] with b = k/2κ.
    """
    b = np.sqrt(k2) / (2 * kappa)
    damping, tail = np.exp(-(b**2)), np.sqrt(np.pi) * erfc(b)
    value = np.pi**1.5 * kappa**3 / 3 * ((1 - 2 * b**2) * damping + 2 * b**3 * tail)
    slope = -(np.pi**1.5) * kappa / 4 * (damping - b * tail)
    return value, slope
