"""Machine code on disk is used again, but never beside changed sources."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from aga.potential import jit

SCRIPT = """
import sys
sys.path.insert(0, sys.argv[1])
from package.kernels import outer
print(outer(1.0), sum(outer.stats.cache_hits.values()))
"""


def run(folder: Path) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(folder)],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "NUMBA_CACHE_DIR": str(folder / "cache")},
    )
    return done.stdout.split()


def test_a_change_in_another_file_recompiles_its_callers(tmp_path: Path) -> None:
    package = tmp_path / "package"
    package.mkdir()
    shutil.copy(jit.__file__, package / "jit.py")
    (package / "__init__.py").touch()
    source = "from package.jit import compiled\n@compiled\ndef inner(x):\n    return x + {}\n"
    (package / "block.py").write_text(source.format("1.0"))
    (package / "kernels.py").write_text(
        "from package.block import inner\nfrom package.jit import compiled\n"
        "@compiled\ndef outer(x):\n    return inner(x)\n"
    )
    assert run(tmp_path) == ["2.0", "0"]
    assert run(tmp_path) == ["2.0", "1"]
    (package / "block.py").write_text(source.format("10.0"))
    assert run(tmp_path) == ["11.0", "0"]


def test_a_caller_with_looser_arithmetic_does_not_pass_it_on(tmp_path: Path) -> None:
    """Rounding by a large number added and taken away is nothing where sums may be reordered."""
    package = tmp_path / "package"
    package.mkdir()
    shutil.copy(jit.__file__, package / "jit.py")
    (package / "__init__.py").touch()
    (package / "kernels.py").write_text(
        "from package.jit import compiled, vectorised\n"
        "@compiled\ndef rounded(x):\n    z = x + 1.5 * 2.0**52\n    return z - 1.5 * 2.0**52\n"
        "@vectorised\ndef outer(x):\n    return rounded(x / 4.0)\n"
    )
    assert run(tmp_path)[0] == "0.0"


def test_a_function_of_another_room_follows_its_own_file_and_the_kernels(tmp_path: Path) -> None:
    room, package = tmp_path / "room", tmp_path / "package"
    for folder in (room, package):
        folder.mkdir()
        (folder / "__init__.py").touch()
    shutil.copy(jit.__file__, room / "jit.py")
    source = "from room.jit import compiled\n@compiled\ndef {}(x):\n    return {}\n"
    (room / "block.py").write_text(source.format("inner", "x + 1.0"))
    kernels = "from room.block import inner\n" + source.format("outer", "inner(x) {}")
    (package / "kernels.py").write_text(kernels.format("+ 1.0"))
    assert run(tmp_path) == ["3.0", "0"]
    assert run(tmp_path) == ["3.0", "1"]
    (package / "kernels.py").write_text(kernels.format("+ 100.0"))
    assert run(tmp_path) == ["102.0", "0"]
    (room / "block.py").write_text(source.format("inner", "x + 20.0"))
    assert run(tmp_path) == ["121.0", "0"]
