"""Choosing, checking and building the reference method."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase.calculators.calculator import Calculator, all_changes

from aga.config.schema import MachineSettings, OracleSettings
from aga.errors import DiskFullError, OracleError, Problem, SettingsError
from aga.oracle import registry
from aga.oracle.registry import (
    build_oracle,
    check_oracle,
    engine_names,
    options_schema,
    resolve_engine,
)
from aga.structure.candidate import Candidate


class Odd(Calculator):
    """A user's own calculator, which does what its option says."""

    implemented_properties = ("energy", "forces", "stress")

    def __init__(self, does: str = "works") -> None:
        super().__init__()
        self.does = does

    def calculate(
        self,
        atoms: Any = None,
        properties: Any = None,
        system_changes: Any = all_changes,
    ) -> None:
        super().calculate(atoms, properties, system_changes)
        if self.does == "raises":
            raise ZeroDivisionError("float division by zero")
        if self.does == "disk":
            raise OSError(28, "No space left on device")
        n = len(atoms)
        # Attraction to nothing: energy p·V, so the cell shrinks without end.
        volume = atoms.get_volume()
        self.results = {
            "energy": volume,
            "forces": np.zeros((n, 3)),
            "stress": np.array([1.0, 1, 1, 0, 0, 0]),
        }
        change: dict[str, dict[str, Any]] = {
            "nan energy": {"energy": float("nan")},
            "inf force": {"forces": np.full((n, 3), np.inf)},
            "short forces": {"forces": np.zeros((n - 1, 3))},
            "net force": {"forces": np.ones((n, 3))},
            "huge force": {"forces": np.array([[1e4, 0, 0], [-1e4, 0, 0]])},
            "free": {"free_energy": -3.0},
        }
        self.results |= change.get(self.does, {})
        if self.does == "no energy":
            del self.results["energy"]
        if self.does == "no stress":
            del self.results["stress"]


class Mute(Calculator):
    implemented_properties = ("energy",)


def target(name: str) -> str:
    module = sys.modules[__name__]
    sys.modules.setdefault("aga_test_calculators", module)
    return f"aga_test_calculators:{name}"


def candidate() -> Candidate:
    return Candidate(
        name="g000-001",
        numbers=np.array([14, 14]),
        positions=np.array([[0, 0, 0], [1.5, 1.5, 1.5]]),
        cell=3 * np.eye(3),
    )


def check(engine: str, elements: Any, **options: Any) -> dict[str, Problem]:
    settings = OracleSettings(engine=engine, options=options)
    return {p.key: p for p in check_oracle(settings, MachineSettings(), elements)}


def odd(does: str) -> Any:
    settings = OracleSettings(engine=target("Odd"), options={"does": does})
    return build_oracle(settings, MachineSettings(), ["Si"])


def test_the_registry_imports_no_engine() -> None:
    code = (
        "import sys, aga.oracle.registry as r; r.resolve_engine('auto', ['Si']);"
        "heavy = [m for m in sys.modules if m.startswith(('matscipy', 'ase.optimize', 'spglib'))"
        " or m.startswith('aga.oracle.') and not m.endswith('registry')];"
        "sys.exit(str(heavy) if heavy else 0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_every_engine_loads_and_shows_its_options() -> None:
    schemas = options_schema()
    programs = {"espresso", "gpaw", "abinit", "cp2k", "vasp", "lammps"}
    analytic = {"tersoff", "matsui-akaogi", "emt", "lj-mixture"}
    assert set(schemas) == set(engine_names()) == analytic | programs
    assert "kpoint_spacing" in schemas["espresso"]["properties"]
    assert "pair_style" in schemas["lammps"]["required"]
    assert schemas["tersoff"]["additionalProperties"] is False


def test_auto_never_takes_effective_medium_theory() -> None:
    assert resolve_engine("auto", ["Cu", "Au"]) == "espresso"
    assert resolve_engine("emt", ["Cu", "Au"]) == "emt"


def test_the_registry_and_the_engines_agree_on_the_elements() -> None:
    for name, entry in registry.ENGINES.items():
        cls, _ = registry._load(name)
        assert cls is not None
        assert cls.name == name
        assert cls.known == entry.elements


@pytest.mark.parametrize(
    ("elements", "engine"),
    [
        (["Si"], "tersoff"),
        (["C"], "tersoff"),
        ({"Si": 4, "C": 4}, "tersoff"),
        (["Ti", "O"], "matsui-akaogi"),
        ({"O": 4, "Ti": 2}, "matsui-akaogi"),
        ({"O": 3, "Ti": 2}, "espresso"),
        (["O"], "espresso"),
        (["Si", "O"], "espresso"),
    ],
)
def test_auto_takes_an_analytic_potential_that_knows_all(elements: Any, engine: str) -> None:
    assert resolve_engine("auto", elements) == engine
    assert resolve_engine("tersoff", elements) == "tersoff"


def test_a_misspelt_engine_names_the_nearest() -> None:
    problem = check("terssof", ["Si"])["oracle.engine"]
    assert "terssof" in problem.message
    assert "'tersoff'" in (problem.hint or "")
    with pytest.raises(SettingsError):
        build_oracle(OracleSettings(engine="terssof"), MachineSettings(), ["Si"])


def test_all_problems_are_told_at_once() -> None:
    problems = check("tersoff", ["Ti", "Si"], cutof=3)
    assert "Ti" in problems["oracle.engine"].message
    assert "no options" in (problems["oracle.options.cutof"].hint or "")
    problems = check("espresso", [], ecutwf=30, kpoint_spacing=-1, mixing_beta="much")
    assert "'ecutwfc'" in (problems["oracle.options.ecutwf"].hint or "")
    assert {"oracle.options.kpoint_spacing", "oracle.options.mixing_beta"} <= set(problems)


def test_wrong_options_do_not_hide_a_missing_program() -> None:
    settings = OracleSettings(
        engine="espresso",
        options={"ecutwf": 30, "ecutwfc": 30, "ecutrho": 60, "pseudopotentials": {"Sj": "x"}},
    )
    machine = MachineSettings(espresso_command="no-such-pw.x", pseudo_dir=Path("nowhere"))
    keys = [p.key for p in check_oracle(settings, machine, ["Si"])]
    assert sorted(keys) == [
        "machine.espresso_command",
        "machine.pseudo_dir",
        "oracle.options.ecutrho",
        "oracle.options.ecutwf",
        "oracle.options.pseudopotentials",
    ]


def test_an_ionic_potential_wants_its_composition() -> None:
    assert not check("matsui-akaogi", {"Ti": 2, "O": 4})
    assert not check("matsui-akaogi", ["O", "Ti"])
    assert not check("matsui-akaogi", [])
    assert "TiO2" in check("matsui-akaogi", {"Ti": 2, "O": 3})["oracle.engine"].message


def test_a_users_calculator_is_an_engine() -> None:
    label = odd("works").label(candidate(), Path())
    assert label.energy == pytest.approx(27.0)
    assert odd("free").label(candidate(), Path()).energy == -3.0


@pytest.mark.parametrize(
    ("name", "word"),
    [
        ("no_such_module:Class", "no_such_module"),
        ("ase.calculators.emt:Missing", "Missing"),
        ("json:dumps", "not an ASE calculator"),
    ],
)
def test_a_users_calculator_that_is_not_there(name: str, word: str) -> None:
    assert word in check(name, ["Si"])["oracle.engine"].message


def test_a_users_calculator_needs_forces_and_stress() -> None:
    assert "no forces and no stress" in check(target("Mute"), ["Si"])["oracle.engine"].message


@pytest.mark.parametrize(
    ("does", "reason"),
    [
        ("raises", "crashed"),
        ("nan energy", "non_finite"),
        ("inf force", "non_finite"),
        ("short forces", "incomplete"),
        ("no energy", "incomplete"),
        ("no stress", "incomplete"),
        ("net force", "garbage"),
        ("huge force", "exploded"),
    ],
)
def test_what_a_calculator_does_wrong_has_a_reason(does: str, reason: str) -> None:
    with pytest.raises(OracleError) as caught:
        odd(does).label(candidate(), Path())
    assert caught.value.reason == reason
    assert "g000-001" in caught.value.message


def test_a_full_disk_is_not_the_candidates_fault() -> None:
    with pytest.raises(DiskFullError):
        odd("disk").label(candidate(), Path("runs"))


def test_a_cell_that_collapses_while_relaxing_has_exploded() -> None:
    with pytest.raises(OracleError) as caught:
        odd("works").relax(candidate(), Path(), pressure=0.0)
    assert caught.value.reason == "exploded"
    assert "Å³" in caught.value.message
