"""Stands in for VASP, which is licensed: reads its input files, writes its output files.

``fake_vasp.py FAULT`` in a directory with INCAR, KPOINTS, POSCAR and POTCAR. Energies are those of
Tersoff's silicon, so that all that is asked of an engine can be asked of this one too.
``vasprun.xml`` has what VASP 6 writes there and pymatgen reads. FAULT is ``none``, or what is to go
wrong, in the words of :func:`main`.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.filters import FrechetCellFilter
from ase.io.vasp import read_vasp
from ase.optimize import BFGS
from matscipy.calculators.manybody import Manybody
from matscipy.calculators.manybody.explicit_forms import TersoffBrenner
from matscipy.calculators.manybody.explicit_forms.tersoff_brenner import Tersoff_PRB_39_5566_Si_C

EV_PER_A3_IN_KBAR = 1602.1766339999998
HEAD = "<?xml version='1.0' encoding='ISO-8859-1'?>\n<modeling>\n"


def main(fault: str) -> int:
    """Compute, and do wrong what is asked for."""
    tags = dict(re.findall(r"^(\w+) *= *(.*?) *$", Path("INCAR").read_text(), re.MULTILINE))
    sys.stdout.write(" running on    1 total cores\n vasp.6.4.3 (a stand-in)\n")
    if fault == "dies":
        Path("vasprun.xml").write_text(HEAD)
        os.kill(os.getpid(), 9)
    if fault == "brmix" and tags.get("ISTART") != "1" and tags.get("IMIX") is None:
        sys.stdout.write(
            " BRMIX: very serious problems\n the old and the new charge density differ\n"
        )
        Path("vasprun.xml").write_text(HEAD)
        Path("OUTCAR").write_text("")
        return 0
    if fault == "wants k-points":
        sys.stdout.write(" Tetrahedron method fails (number of k-points < 4)\n")
        Path("vasprun.xml").write_text(HEAD)
        return 1
    atoms = read_vasp("POSCAR")
    atoms.calc = Manybody(**TersoffBrenner(Tersoff_PRB_39_5566_Si_C))
    steps = [step(atoms)]
    if int(tags.get("NSW", "0")):
        steps = relaxed(atoms, tags)
    unfinished = fault == "not converged" and tags.get("ALGO", "Normal").lower() != "all"
    stuck = range(len(steps)) if unfinished or fault == "never converges" else ()
    text = document(atoms, tags, steps, stuck=[1] if fault == "second step" else stuck)
    if fault == "cut":
        text = text[: len(text) // 2]
    if fault == "other atoms":
        text = text.replace("Si", "Ge")
    Path("vasprun.xml").write_text(text)
    Path("OUTCAR").write_text(" General timing and accounting\n")
    return 0


def step(atoms: Atoms) -> dict[str, Any]:
    """Give what one ionic step prints."""
    s = -atoms.get_stress(voigt=False) * EV_PER_A3_IN_KBAR
    return {
        "energy": atoms.get_potential_energy(),
        "forces": atoms.get_forces(),
        "stress": s,
        "cell": np.array(atoms.cell),
        "positions": atoms.get_scaled_positions(wrap=False),
    }


def relaxed(atoms: Atoms, tags: dict[str, str]) -> list[dict[str, Any]]:
    """Relax as ISIF = 3 does, and give the steps."""
    assert (tags["IBRION"], tags["ISIF"]) == ("2", "3")
    steps: list[dict[str, Any]] = []
    pressure = float(tags["PSTRESS"]) / EV_PER_A3_IN_KBAR
    run = BFGS(FrechetCellFilter(atoms, scalar_pressure=pressure), logfile=None)
    run.attach(lambda: steps.append(step(atoms)))
    run.run(fmax=-float(tags["EDIFFG"]), steps=int(tags["NSW"]))
    return steps


def document(
    atoms: Atoms, tags: dict[str, str], steps: list[dict[str, Any]], *, stuck: Collection[int]
) -> str:
    """Write ``vasprun.xml``; steps at the places ``stuck`` have not converged."""
    symbols = atoms.get_chemical_symbols()
    nelm = int(tags.get("NELM", "60"))
    incar = f'<i type="string" name="SYSTEM">{tags["SYSTEM"]}</i>\n'
    incar += f'<i type="string" name="ALGO">{tags.get("ALGO", "Normal")}</i>\n'
    incar += f'<i type="int" name="NELM">{nelm}</i>\n<i type="int" name="NSW">{tags["NSW"]}</i>\n'
    incar += f'<i type="int" name="ISMEAR">{tags["ISMEAR"]}</i>\n'
    atoms_list = "".join(f"<rc><c>{s}</c><c>1</c></rc>\n" for s in symbols)
    parts = [
        HEAD,
        (
            '<generator>\n<i name="program" type="string">vasp </i>\n'
            '<i name="version" type="string">6.4.3 </i>\n</generator>\n'
        ),
        f"<incar>\n{incar}</incar>\n",
        (
            '<kpoints>\n<generation param="Gamma">\n<v type="int" name="divisions">1 1 1</v>\n'
            '</generation>\n<varray name="kpointlist">\n<v>0 0 0</v>\n</varray>\n'
            '<varray name="weights">\n<v>1.0</v>\n</varray>\n</kpoints>\n'
        ),
        (
            f'<parameters>\n<separator name="general">\n{incar}'
            '<i type="int" name="ISPIN">1</i>\n<i type="logical" name="LEPSILON">F</i>\n'
            '<i type="int" name="IBRION">-1</i>\n</separator>\n</parameters>\n'
        ),
        (
            f"<atominfo>\n<atoms>{len(symbols)}</atoms>\n<types>1</types>\n"
            '<array name="atoms">\n<dimension dim="1">ion</dimension>\n'
            '<field type="string">element</field>\n<field type="int">atomtype</field>\n'
            f"<set>\n{atoms_list}</set>\n</array>\n"
            '<array name="atomtypes">\n<dimension dim="1">type</dimension>\n<set>\n'
            f"<rc><c>{len(symbols)}</c><c>{symbols[0]}</c><c>28.085</c><c>4.0</c>"
            "<c>PAW_PBE Si 05Jan2001</c></rc>\n</set>\n</array>\n</atominfo>\n"
        ),
        structure(steps[0], 'name="initialpos"'),
        *(calculation(one, nelm if k in stuck else 2) for k, one in enumerate(steps)),
        structure(steps[-1], 'name="finalpos"'),
        "</modeling>\n",
    ]
    return "".join(parts)


def calculation(one: dict[str, Any], electronic: int) -> str:
    """Write one ionic step with some electronic ones."""
    energy = "".join(
        f'<i name="{name}">{one["energy"]:.10f}</i>\n'
        for name in ("e_fr_energy", "e_wo_entrp", "e_0_energy")
    )
    scf = f"<scstep>\n<energy>\n{energy}</energy>\n</scstep>\n" * electronic
    return (
        f"<calculation>\n{scf}{structure(one, '')}"
        f"{varray('forces', one['forces'])}{varray('stress', one['stress'])}"
        f"<energy>\n{energy}</energy>\n</calculation>\n"
    )


def structure(one: dict[str, Any], name: str) -> str:
    """Write cell and positions."""
    return (
        f"<structure {name}>\n<crystal>\n{varray('basis', one['cell'])}</crystal>\n"
        f"{varray('positions', one['positions'])}</structure>\n"
    )


def varray(name: str, rows: Any) -> str:
    """Write an array as VASP does, with a few more digits."""
    lines = "".join("<v>" + " ".join(f"{x:.12f}" for x in row) + "</v>\n" for row in rows)
    return f'<varray name="{name}">\n{lines}</varray>\n'


if __name__ == "__main__":
    sys.exit(main(sys.argv[1] if len(sys.argv) > 1 else "none"))
