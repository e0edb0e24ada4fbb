"""GPL codes are run as programs of their own: nothing of theirs is imported by aga."""

from __future__ import annotations

import ast
from pathlib import Path

AGA = Path(__file__).resolve().parents[2] / "aga"
SCRIPT = AGA / "oracle" / "gpaw_script.py"
GPL = {"gpaw", "abipy", "lammps", "cp2k", "pylammpsmpi", "qe_tools", "qepy"}


def imported(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def test_nothing_imports_a_gpl_code_but_the_script_that_is_a_program_of_its_own() -> None:
    files = sorted(AGA.rglob("*.py"))
    assert SCRIPT in files
    for path in files:
        roots = {name.split(".", maxsplit=1)[0] for name in imported(path)}
        assert path == SCRIPT or not roots & GPL, path
    assert "gpaw" in imported(SCRIPT)


def test_nothing_imports_the_script() -> None:
    for path in AGA.rglob("*.py"):
        assert not any(name.endswith("gpaw_script") for name in imported(path)), path


def test_the_script_needs_nothing_of_aga() -> None:
    roots = {name.split(".", maxsplit=1)[0] for name in imported(SCRIPT)}
    assert roots == {"__future__", "json", "sys", "pathlib", "typing", "gpaw", "ase"}
