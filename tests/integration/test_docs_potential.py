"""The Python of the page on using the potential, run on files of a committee."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from aga.potential.model import Model

PAGE = Path(__file__).resolve().parents[2] / "docs" / "how-to" / "use-the-potential.md"
PROGRAMS = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text("utf-8"), re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize(
    ("program", "told"),
    zip(PROGRAMS, ["largest spread of a force", " 100 steps", "a7 "], strict=True),
    ids=["ase", "dynamics", "relaxation"],
)
def test_python_of_the_page_runs(
    program: str, told: str, make_member: Callable[..., Model], tmp_path: Path
) -> None:
    (tmp_path / "potential").mkdir()
    for seed in range(4):
        content = make_member(seed, ("Si",)).to_bytes()
        (tmp_path / "potential" / f"member-{seed}.safetensors").write_bytes(content)
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        check=False,
        cwd=tmp_path,
        encoding="utf-8",
        env=os.environ | {"PYTHONIOENCODING": "utf-8"},
    )
    assert done.returncode == 0, done.stderr
    assert told in done.stdout
