"""Angular functions with ζ ≤ 4, written out: what presets and automatic sets are made of.

The ten cubic and fifteen quartic monomials of a direction stay in registers, so a pair costs
about seventy multiply-adds for each channel in either direction. Other degrees take the loops of
:mod:`aga.potential.symmetry.monomials`; the order of the monomials is that of
:attr:`aga.potential.symmetry.plan.Plan.powers`.
"""

from __future__ import annotations

from aga.potential.jit import lanes_of, vectorised
from aga.structure.candidate import FloatArray

__all__ = ["quartic_adjoint", "quartic_moments", "quartic_products", "quartic_pull"]


@vectorised
def quartic_moments(  # noqa: PLR0915 - one line per moment
    unit: FloatArray, w: FloatArray, lanes: tuple[int, int, int], A: FloatArray, e: int
) -> None:
    """Write the moments Σ_j w_j m_k(u_j) of one channel, and Σ_j w_j².

    ``lanes`` is the channel h, the first lane and the last but one; they go to ``A[e, h]``. The
    lower degrees are traces of the third and fourth.
    """
    h, start, stop = lanes
    if h < 0 or start < 0:
        return
    sxxx = sxxy = sxxz = sxyy = sxyz = 0.0
    sxzz = syyy = syyz = syzz = szzz = 0.0
    sxxxx = sxxxy = sxxxz = sxxyy = sxxyz = 0.0
    sxxzz = sxyyy = sxyyz = sxyzz = sxzzz = 0.0
    syyyy = syyyz = syyzz = syzzz = szzzz = 0.0
    square = 0.0
    for j in lanes_of(start, stop):
        x, y, z, weight = unit[0, j], unit[1, j], unit[2, j], w[h, j]
        xx, xy, xz, yy, yz = x * x, x * y, x * z, y * y, y * z
        zz = z * z
        xxx, xxy, xxz, xyy, xyz = x * xx, x * xy, x * xz, x * yy, x * yz
        xzz, yyy, yyz, yzz, zzz = x * zz, y * yy, y * yz, y * zz, z * zz
        sxxx += weight * xxx
        sxxy += weight * xxy
        sxxz += weight * xxz
        sxyy += weight * xyy
        sxyz += weight * xyz
        sxzz += weight * xzz
        syyy += weight * yyy
        syyz += weight * yyz
        syzz += weight * yzz
        szzz += weight * zzz
        sxxxx += weight * (x * xxx)
        sxxxy += weight * (x * xxy)
        sxxxz += weight * (x * xxz)
        sxxyy += weight * (x * xyy)
        sxxyz += weight * (x * xyz)
        sxxzz += weight * (x * xzz)
        sxyyy += weight * (x * yyy)
        sxyyz += weight * (x * yyz)
        sxyzz += weight * (x * yzz)
        sxzzz += weight * (x * zzz)
        syyyy += weight * (y * yyy)
        syyyz += weight * (y * yyz)
        syyzz += weight * (y * yzz)
        syzzz += weight * (y * zzz)
        szzzz += weight * (z * zzz)
        square += weight * weight
    sxx = sxxxx + sxxyy + sxxzz
    sxy = sxxxy + sxyyy + sxyzz
    sxz = sxxxz + sxyyz + sxzzz
    syy = sxxyy + syyyy + syyzz
    syz = sxxyz + syyyz + syzzz
    szz = sxxzz + syyzz + szzzz
    sx = sxxx + sxyy + sxzz
    sy = sxxy + syyy + syzz
    sz = sxxz + syyz + szzz
    s = sxx + syy + szz
    totals = (
        s, sx, sy, sz, sxx, sxy, sxz, syy, syz, szz,
        sxxx, sxxy, sxxz, sxyy, sxyz, sxzz, syyy, syyz, syzz, szzz,
        sxxxx, sxxxy, sxxxz, sxxyy, sxxyz, sxxzz, sxyyy, sxyyz,
        sxyzz, sxzzz, syyyy, syyyz, syyzz, syzzz, szzzz, square,
    )  # fmt: skip
    for k in range(len(totals)):
        A[e, h, k] = totals[k]


@vectorised
def quartic_products(A: FloatArray, s: int, t: int, h: int) -> tuple[float, ...]:
    """Give S_p = Σ_k p!/(a!b!c!) A^s_k A^t_k for p = 0 … 4, not yet less j = k for s = t."""
    s0 = A[s, h, 0] * A[t, h, 0]
    s1 = A[s, h, 1] * A[t, h, 1] + A[s, h, 2] * A[t, h, 2] + A[s, h, 3] * A[t, h, 3]
    s2 = (
        A[s, h, 4] * A[t, h, 4]
        + A[s, h, 7] * A[t, h, 7]
        + A[s, h, 9] * A[t, h, 9]
        + 2.0 * (A[s, h, 5] * A[t, h, 5] + A[s, h, 6] * A[t, h, 6] + A[s, h, 8] * A[t, h, 8])
    )
    s3 = (
        A[s, h, 10] * A[t, h, 10]
        + A[s, h, 16] * A[t, h, 16]
        + A[s, h, 19] * A[t, h, 19]
        + 3.0
        * (
            A[s, h, 11] * A[t, h, 11]
            + A[s, h, 12] * A[t, h, 12]
            + A[s, h, 13] * A[t, h, 13]
            + A[s, h, 15] * A[t, h, 15]
            + A[s, h, 17] * A[t, h, 17]
            + A[s, h, 18] * A[t, h, 18]
        )
        + 6.0 * (A[s, h, 14] * A[t, h, 14])
    )
    s4 = (
        A[s, h, 20] * A[t, h, 20]
        + A[s, h, 30] * A[t, h, 30]
        + A[s, h, 34] * A[t, h, 34]
        + 4.0
        * (
            A[s, h, 21] * A[t, h, 21]
            + A[s, h, 22] * A[t, h, 22]
            + A[s, h, 26] * A[t, h, 26]
            + A[s, h, 29] * A[t, h, 29]
            + A[s, h, 31] * A[t, h, 31]
            + A[s, h, 33] * A[t, h, 33]
        )
        + 6.0 * (A[s, h, 23] * A[t, h, 23] + A[s, h, 25] * A[t, h, 25] + A[s, h, 32] * A[t, h, 32])
        + 12.0 * (A[s, h, 24] * A[t, h, 24] + A[s, h, 27] * A[t, h, 27] + A[s, h, 28] * A[t, h, 28])
    )
    return s0, s1, s2, s3, s4


@vectorised
def quartic_adjoint(
    A: FloatArray, s: int, t: int, h: int, g: tuple[float, ...], bar: FloatArray
) -> None:
    """Add Σ_p g_p ∂S_p/∂A^s_k = Σ_p g_p p!/(a!b!c!) A^t_k to ``bar[s, h]``."""
    g0, g1, g2, g3, g4 = g
    bar[s, h, 0] += g0 * A[t, h, 0]
    bar[s, h, 1] += g1 * A[t, h, 1]
    bar[s, h, 2] += g1 * A[t, h, 2]
    bar[s, h, 3] += g1 * A[t, h, 3]
    bar[s, h, 4] += g2 * A[t, h, 4]
    bar[s, h, 5] += 2.0 * g2 * A[t, h, 5]
    bar[s, h, 6] += 2.0 * g2 * A[t, h, 6]
    bar[s, h, 7] += g2 * A[t, h, 7]
    bar[s, h, 8] += 2.0 * g2 * A[t, h, 8]
    bar[s, h, 9] += g2 * A[t, h, 9]
    bar[s, h, 10] += g3 * A[t, h, 10]
    bar[s, h, 11] += 3.0 * g3 * A[t, h, 11]
    bar[s, h, 12] += 3.0 * g3 * A[t, h, 12]
    bar[s, h, 13] += 3.0 * g3 * A[t, h, 13]
    bar[s, h, 14] += 6.0 * g3 * A[t, h, 14]
    bar[s, h, 15] += 3.0 * g3 * A[t, h, 15]
    bar[s, h, 16] += g3 * A[t, h, 16]
    bar[s, h, 17] += 3.0 * g3 * A[t, h, 17]
    bar[s, h, 18] += 3.0 * g3 * A[t, h, 18]
    bar[s, h, 19] += g3 * A[t, h, 19]
    bar[s, h, 20] += g4 * A[t, h, 20]
    bar[s, h, 21] += 4.0 * g4 * A[t, h, 21]
    bar[s, h, 22] += 4.0 * g4 * A[t, h, 22]
    bar[s, h, 23] += 6.0 * g4 * A[t, h, 23]
    bar[s, h, 24] += 12.0 * g4 * A[t, h, 24]
    bar[s, h, 25] += 6.0 * g4 * A[t, h, 25]
    bar[s, h, 26] += 4.0 * g4 * A[t, h, 26]
    bar[s, h, 27] += 12.0 * g4 * A[t, h, 27]
    bar[s, h, 28] += 12.0 * g4 * A[t, h, 28]
    bar[s, h, 29] += 4.0 * g4 * A[t, h, 29]
    bar[s, h, 30] += g4 * A[t, h, 30]
    bar[s, h, 31] += 4.0 * g4 * A[t, h, 31]
    bar[s, h, 32] += 6.0 * g4 * A[t, h, 32]
    bar[s, h, 33] += 4.0 * g4 * A[t, h, 33]
    bar[s, h, 34] += g4 * A[t, h, 34]


@vectorised
def quartic_pull(
    unit: FloatArray,
    w: FloatArray,
    slope: FloatArray,
    lanes: tuple[int, int, int],
    D: FloatArray,
    square: float,
    out: FloatArray,
) -> None:
    """Add ∂E/∂u and ∂E/∂r through one channel to ``out`` (4, W).

    ``lanes`` is the channel h, the first lane and the last but one; ``D`` (3, K) holds the
    coefficients of ∇Q of the cubic and quartic parts of Q = Σ_k (∂E/∂A_k) m_k, by the place of
    the monomial; ``square`` is ∂E/∂(Σ w²). The value of a homogeneous polynomial of degree p is
    u·∇/p (Euler).
    """
    h, start, stop = lanes
    if h < 0 or start < 0:
        return
    x_xx, x_xy, x_xz, x_yy, x_yz = D[0, 4], D[0, 5], D[0, 6], D[0, 7], D[0, 8]
    x_zz = D[0, 9]
    x_xxx, x_xxy, x_xxz, x_xyy, x_xyz = D[0, 10], D[0, 11], D[0, 12], D[0, 13], D[0, 14]
    x_xzz, x_yyy, x_yyz, x_yzz, x_zzz = D[0, 15], D[0, 16], D[0, 17], D[0, 18], D[0, 19]
    y_xx, y_xy, y_xz, y_yy, y_yz = D[1, 4], D[1, 5], D[1, 6], D[1, 7], D[1, 8]
    y_zz = D[1, 9]
    y_xxx, y_xxy, y_xxz, y_xyy, y_xyz = D[1, 10], D[1, 11], D[1, 12], D[1, 13], D[1, 14]
    y_xzz, y_yyy, y_yyz, y_yzz, y_zzz = D[1, 15], D[1, 16], D[1, 17], D[1, 18], D[1, 19]
    z_xx, z_xy, z_xz, z_yy, z_yz = D[2, 4], D[2, 5], D[2, 6], D[2, 7], D[2, 8]
    z_zz = D[2, 9]
    z_xxx, z_xxy, z_xxz, z_xyy, z_xyz = D[2, 10], D[2, 11], D[2, 12], D[2, 13], D[2, 14]
    z_xzz, z_yyy, z_yyz, z_yzz, z_zzz = D[2, 15], D[2, 16], D[2, 17], D[2, 18], D[2, 19]
    for j in lanes_of(start, stop):
        x, y, z = unit[0, j], unit[1, j], unit[2, j]
        xx, xy, xz, yy, yz = x * x, x * y, x * z, y * y, y * z
        zz = z * z
        xxx, xxy, xxz, xyy, xyz = x * xx, x * xy, x * xz, x * yy, x * yz
        xzz, yyy, yyz, yzz, zzz = x * zz, y * yy, y * yz, y * zz, z * zz
        low_x = x_xx * xx + x_xy * xy + x_xz * xz + x_yy * yy + x_yz * yz + x_zz * zz
        high_x = (
            x_xxx * xxx
            + x_xxy * xxy
            + x_xxz * xxz
            + x_xyy * xyy
            + x_xyz * xyz
            + x_xzz * xzz
            + x_yyy * yyy
            + x_yyz * yyz
            + x_yzz * yzz
            + x_zzz * zzz
        )
        low_y = y_xx * xx + y_xy * xy + y_xz * xz + y_yy * yy + y_yz * yz + y_zz * zz
        high_y = (
            y_xxx * xxx
            + y_xxy * xxy
            + y_xxz * xxz
            + y_xyy * xyy
            + y_xyz * xyz
            + y_xzz * xzz
            + y_yyy * yyy
            + y_yyz * yyz
            + y_yzz * yzz
            + y_zzz * zzz
        )
        low_z = z_xx * xx + z_xy * xy + z_xz * xz + z_yy * yy + z_yz * yz + z_zz * zz
        high_z = (
            z_xxx * xxx
            + z_xxy * xxy
            + z_xxz * xxz
            + z_xyy * xyy
            + z_xyz * xyz
            + z_xzz * xzz
            + z_yyy * yyy
            + z_yyz * yyz
            + z_yzz * yzz
            + z_zzz * zzz
        )
        value = (low_x * x + low_y * y + low_z * z) / 3.0
        value += (high_x * x + high_y * y + high_z * z) / 4.0
        out[0, j] += w[h, j] * (low_x + high_x)
        out[1, j] += w[h, j] * (low_y + high_y)
        out[2, j] += w[h, j] * (low_z + high_z)
        out[3, j] += slope[h, j] * (value + 2.0 * square * w[h, j])
