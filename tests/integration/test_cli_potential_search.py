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
from aga.structure.candidate import Candidate
from aga.structure.protocols import Frame

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


def test_calibration_on_what_was_labelled_after_the_committee(
    search: str,
    repository: Repository,
    embedded_database: str,
    make_member: Callable[..., Model],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Of the two committees the first is asked: it is the one that did not know the frames."""
    words = ["potential", "calibrate", "--search", search, "--database", embedded_database]
    assert main(words) == 2
    assert "no frame that was labelled after" in capsys.readouterr().err
    files = [tmp_path / f"{k}.safetensors" for k in range(2)]
    for k, file in enumerate(files):
        file.write_bytes(make_member(k).to_bytes())
    calculator, names = CommitteeCalculator.from_files(files), []
    for number in range(12):
        atoms = bulk("TiO", "rocksalt", a=4.3)
        atoms.rattle(0.2, seed=number)
        atoms.calc = calculator
        energy = atoms.get_potential_energy() + 0.01 * 2 * (-1) ** number
        candidate = Candidate.from_ase(atoms, name=f"g001-{number:03d}")
        frame = Frame(candidate=candidate, energy=energy, forces=atoms.get_forces() + 0.03)
        repository.put_frame(search, number // 10, frame)
        names.append(frame.name)
    repository.commit_dataset(search, 0, None, names[:10])
    repository.commit_dataset(search, 1, 0, names)
    assert main([*words, "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert [row["name"] for row in said["frames"]] == names[10:]
    assert [row["energy_error"] for row in said["frames"]] == pytest.approx([-0.01, 0.01])
    assert said["forces"]["groups"][0]["rms_error"] == pytest.approx(0.03 * 3**0.5)
    assert (said["potential"], said["members"]) == (search, 2)
    assert main([*words, "--iteration", "1"]) == 2
    assert "need labelled frames" in capsys.readouterr().err
    assert main([*words, "--plot", str(tmp_path / "a.svg")]) == 0
    assert "2 frames: picks, each by the committee before" in capsys.readouterr().out


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
