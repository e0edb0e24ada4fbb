"""`aga potential` on the committees that a search has stored."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ase.build import bulk
from ase.io import write

from aga.cli.main import main
from aga.config.schema import Settings
from aga.potential.calculator import CommitteeCalculator
from aga.potential.model import Model
from aga.store.repository import Repository

pytestmark = pytest.mark.embedded


@pytest.fixture
def search(repository: Repository, make_member: Callable[..., Model]) -> str:
    """Store a search with the committees of two iterations, of two members each."""
    tree = {"search": {"composition": "TiO2", "name": "oxide"}, "potential": {"preset": "tio2"}}
    settings = Settings.model_validate(tree)
    repository.create_search(settings)
    sid = settings.search_id()
    for version in range(2):
        blobs = [repository.put_blob(make_member(10 * version + k).to_bytes()) for k in range(2)]
        card = {
            "dataset": version,
            "members": blobs,
            "metrics": [],
            "settings_digest": settings.digest(),
            "seed": 0,
            "code_version": "0",
        }
        repository.commit_committee(sid, version, card)
    return sid


def test_the_committees_of_a_search(
    search: str,
    embedded_database: str,
    make_member: Callable[..., Model],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def document(*words: str, code: int = 0) -> dict[str, Any]:
        place = ["--search", "oxide", "--database", embedded_database]
        assert main(["potential", *words, *place, "--json"]) == code
        return dict(json.loads(capsys.readouterr().out))

    assert document("functions")["count"] == {"O": 70, "Ti": 70}
    atoms = bulk("TiO", "rocksalt", a=4.3)
    atoms.rattle(0.1, seed=1)
    write(tmp_path / "a.xyz", atoms, format="extxyz")
    for version, words in ((1, []), (0, ["--iteration", "0"])):
        said = document("evaluate", str(tmp_path / "a.xyz"), *words)
        assert said["potential"] == f"{search}/v{version:03d}"
        files = [tmp_path / f"{version}-{k}.safetensors" for k in range(2)]
        for k, file in enumerate(files):
            file.write_bytes(make_member(10 * version + k).to_bytes())
        atoms.calc = CommitteeCalculator.from_files(files)
        (row,) = said["structures"]
        assert row["energy"] == pytest.approx(atoms.get_potential_energy(), rel=1e-7)
        assert row["energy_spread"] == pytest.approx(atoms.calc.results["energy_spread"], rel=1e-6)
    exported = document("export", "--member", "1", "-o", str(tmp_path / "out"))
    (file,) = exported["files"]
    assert Path(file).read_bytes() == make_member(11).to_bytes()
    error = document("evaluate", str(tmp_path / "a.xyz"), "--iteration", "7", code=2)
    assert "no committee v007" in error["message"]


def test_a_search_without_a_committee_says_so(
    repository: Repository,
    embedded_database: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    repository.create_search(Settings.model_validate({"search": {"composition": "Si2"}}))
    write(tmp_path / "a.xyz", bulk("Si"), format="extxyz")
    words = ["evaluate", str(tmp_path / "a.xyz"), "--database", embedded_database]
    assert main(["potential", *words]) == 2
    assert "has no committee yet" in capsys.readouterr().err
