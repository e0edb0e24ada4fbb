"""Asking a real database: what the commands print and write for a stored search."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase.build import bulk
from ase.io import read

from aga.cli.main import main
from aga.config.schema import Settings
from aga.report.summary import write_results
from aga.store.documents import ResultDoc, Step
from aga.store.handle import SearchHandle
from aga.store.repository import Repository
from aga.structure.candidate import Candidate, Lineage
from aga.structure.protocols import Label, Relaxed

pytestmark = pytest.mark.embedded

DIAMOND = {"number": 227, "symbol": "Fd-3m"}
ENERGIES = {"g001-000": -4.58, "g001-001": -4.61, "g002-000": -4.629}


def candidate(name: str, *parents: str, scale: float = 1.0) -> Candidate:
    atoms = bulk("Si", "diamond", a=5.432 * scale)
    generation = int(name[1:4]) if name.startswith("g") else 0
    return Candidate(
        name=name,
        numbers=atoms.numbers,
        positions=atoms.positions,
        cell=atoms.cell.array,
        lineage=Lineage(
            operator="crossover" if parents else "random", parents=parents, generation=generation
        ),
    )


def label(energy_per_atom: float) -> Label:
    return Label(energy=2 * energy_per_atom, forces=np.full((2, 3), 0.001))


def relaxed(item: Candidate, energy_per_atom: float, spread: float = 0.01) -> Relaxed:
    return Relaxed(
        candidate=item,
        energy=2 * energy_per_atom,
        enthalpy=2 * energy_per_atom,
        energy_spread=spread,
        force_spread=0.1,
        max_force=0.01,
        steps=20,
        reason="converged",
    )


@pytest.fixture
def search(repository: Repository) -> str:
    """Store a search of two generations with two results; gives its identifier."""
    settings = Settings.model_validate({"search": {"composition": "Si2", "name": "silicon"}})
    repository.create_search(settings)
    sid = settings.search_id()
    initial = [candidate(f"i000-00{k}", scale=1.0 + 0.1 * k) for k in range(2)]
    repository.put_candidates(sid, 0, initial)
    repository.mark_labelled(sid, "i000-000", label(-4.2), engine="tersoff")
    repository.mark_failed(sid, "i000-001", "timeout", "no answer within 3600 s")
    bred = [
        candidate("g001-000", "i000-000", "i000-001"),
        candidate("g001-001", "i000-000"),
        candidate("g002-000", "g001-000", "g001-001"),
        candidate("g002-001", "g001-000"),
    ]
    people = [
        relaxed(item, ENERGIES.get(item.name, -4.5), 0.02 if item.name == "g002-000" else 0.01)
        for item in bred
    ]
    extras = {item.name: {"space_group": DIAMOND} for item in bred}
    repository.put_relaxed(sid, 1, 1, people, extras)
    repository.put_population(sid, 1, 1, 1, people[:2])
    repository.put_population(sid, 2, 1, 1, people[1:3])
    repository.mark_picked(sid, {"g002-000": {"score": -4.64, "why": "lowest score"}})
    for name, energy in ENERGIES.items():
        repository.mark_labelled(sid, name, label(energy), engine="tersoff")
    repository.plan_steps(
        [
            Step(search_id=sid, kind="label", iteration=1, key="g002-001"),
            Step(search_id=sid, kind="train", iteration=1, key="v002"),
        ]
    )
    fields = {"iteration": 1, "generation": 2, "reference_calls": 4, "phase": "label"}
    repository.update_search(sid, fields)
    return sid


def finish(repository: Repository, sid: str) -> None:
    results = [
        ResultDoc(
            rank=rank,
            candidate=candidate(name, "x", scale=1.0 + 0.01 * rank),
            label=label(-4.6296 + 0.01 * rank),
            engine="tersoff",
            iteration=1,
            space_group=DIAMOND,
        )
        for rank, name in enumerate(["g002-000", "g001-001"])
    ]
    repository.put_results(sid, results)
    repository.update_search(
        sid,
        {
            "state": "finished",
            "verdict": "converged",
            "reason": "best unchanged",
            "refine_calls": 9,
        },
    )


@pytest.fixture
def ask(embedded_database: str, capsys: pytest.CaptureFixture[str]) -> Any:
    """Run a command on the test's database; gives (exit code, output, error output)."""

    def run(*words: str) -> tuple[int, str, str]:
        code = main([*words, "--database", embedded_database])
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


def document(answer: tuple[int, str, str]) -> dict[str, Any]:
    code, out, _ = answer
    assert code == 0
    data = json.loads(out, parse_constant=lambda text: pytest.fail(f"{text} in {out}"))
    assert data["schema"] == 1
    return dict(data)


def test_status(ask: Any, search: str) -> None:
    data = document(ask("status", "--json"))
    assert data["search"] == search
    assert (data["state"], data["reason"]) == ("running", None)
    assert (data["generation"], data["iteration"]) == (2, 1)
    assert data["reference_calls"] == 4
    assert data["structures"] == 6
    code, out, _ = ask("status")
    assert code == 0
    for words in (search, "-4.6290 eV/atom", "4 of 150", "reference 0 running 1 waiting"):
        assert words in out


def test_status_of_all(ask: Any, search: str) -> None:
    data = document(ask("status", "--all", "--json"))
    assert [row["search"] for row in data["searches"]] == [search]
    assert search in ask("status", "--all")[1]


def test_best_before_and_after_the_end(ask: Any, search: str, repository: Repository) -> None:
    data = document(ask("best", "--json", "-n", "2"))
    assert data["search"] == search
    assert [row["name"] for row in data["structures"]] == ["g002-000", "g001-001"]
    assert "not yet relaxed by the reference method" in ask("best")[1]
    finish(repository, search)
    first, second = document(ask("best", "--json"))["structures"]
    assert first["id"] == f"{search}/r000-g002-000"
    assert first["energy_per_atom"] == pytest.approx(-4.6296)
    assert first["space_group"] == DIAMOND
    assert (first["reference"], first["formula"], first["generation"]) == ("tersoff", "Si2", 2)
    assert second["energy_per_atom"] == pytest.approx(-4.6196)
    out = ask("best", "--search", search[:6])[1]
    assert "Fd-3m (227)" in out
    assert "10.0" in out
    assert "not yet" not in out


def test_list_with_filter_and_order(ask: Any, search: str) -> None:
    rows = document(
        ask("structures", "list", "--where", "energy_per_atom < -4.5", "--sort", "energy", "--json")
    )["structures"]
    assert [row["name"] for row in rows] == ["g002-000", "g001-001", "g001-000"]
    rows = document(ask("structures", "list", "--sort", "-generation", "-n", "1", "--json"))
    assert rows["structures"][0]["generation"] == 2
    out = ask("structures", "list", "--where", "stage == failed")[1]
    assert "failed (timeout)" in out
    assert "g002" not in out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["structures", "list", "--where", "energy_per_atom <"], "expected a field or a value"),
        (["structures", "list", "--where", "energi < 1"], "did you mean"),
        (["structures", "list", "--sort", "enrgy"], "can't sort by"),
        (["structures", "show", "g002-00"], "the nearest: g002-00"),
        (["structures", "export", "--format", "xsf"], "one of cif, poscar"),
        (["best", "--search", "germanium"], "there is no search 'germanium'"),
    ],
)
def test_questions_that_make_no_sense(ask: Any, search: str, words: list[str], said: str) -> None:
    code, out, err = ask(*words)
    assert (code, out) == (2, "")
    assert said in err


def test_show_with_ancestry(ask: Any, search: str) -> None:
    out = ask("structures", "show", "g002-000")[1]
    for words in ("lowest score", "├── g001-000", "└── g001-001", "i000-001", "-4.629000 eV/atom"):
        assert words in out
    data = document(ask("structures", "show", f"{search}/g002-000", "--json"))
    assert data["structure"]["name"] == "g002-000"
    assert data["structure"]["pick"]["score"] == -4.64
    assert len(data["structure"]["positions"]) == 2
    assert [row["name"] for row in data["ancestors"]] == [
        "g001-000",
        "g001-001",
        "i000-000",
        "i000-001",
    ]


@pytest.mark.parametrize(
    ("form", "count"), [("cif", 4), ("poscar", 4), ("extxyz", 1), ("ase-db", 1), ("json", 1)]
)
def test_export(ask: Any, search: str, form: str, count: int, tmp_path: Path) -> None:
    words = ["structures", "export", "--format", form, "-o", str(tmp_path / "out")]
    data = document(ask(*words, "--json"))
    assert data["structures"] == 4
    assert len(data["files"]) == count
    assert all(Path(name).stat().st_size > 100 for name in data["files"])
    code, _, err = ask(*words)
    assert code == 2
    assert "exists already" in err
    assert ask(*words, "--force")[0] == 0


def test_export_of_a_selection(ask: Any, search: str, tmp_path: Path) -> None:
    where = ["--where", "predicted_energy_per_atom < -4.6"]
    path = tmp_path / "low.extxyz"
    assert ask("structures", "export", "-f", "extxyz", "-o", str(path), *where)[0] == 0
    assert [atoms.info["id"] for atoms in read(path, ":")] == ["g002-000", "g001-001"]
    single = tmp_path / "one.cif"
    assert ask("structures", "export", "g001-001", "-o", str(single))[0] == 0
    assert len(read(single)) == 2
    code, _, err = ask("structures", "export", "-o", str(tmp_path / "x"), "--where", "rank > 99")
    assert code == 2
    assert "no structure" in err


def test_watch_ends_with_the_search(ask: Any, search: str, repository: Repository) -> None:
    def end() -> None:
        time.sleep(0.5)
        finish(repository, search)

    ending = threading.Thread(target=end)
    ending.start()
    code, out, _ = ask("watch", "--interval", "0.1")
    ending.join()
    assert code == 0
    lines = out.splitlines()
    assert "running (label)" in lines[0]
    assert "finished" in lines[-1]
    assert "best unchanged" in lines[-1]
    assert document(ask("watch", "--json"))["state"] == "finished"


def test_watch_left_by_the_user(ask: Any, search: str, monkeypatch: pytest.MonkeyPatch) -> None:
    sleep = time.sleep

    def interrupt(seconds: float) -> None:
        if threading.current_thread() is threading.main_thread():
            raise KeyboardInterrupt
        sleep(seconds)  # the database driver's threads

    monkeypatch.setattr("time.sleep", interrupt)
    code, out, _ = ask("watch")
    assert code == 0
    assert "the search goes on" in out


def test_the_results_folder(search: str, repository: Repository, tmp_path: Path) -> None:
    handle = SearchHandle(repository, search)
    early = write_results(handle, tmp_path / "early")
    assert tmp_path / "early" / "energy.png" in early
    assert "Not yet relaxed" in (tmp_path / "early" / "summary.md").read_text(encoding="utf-8")
    finish(repository, search)
    folder = tmp_path / "results"
    first = write_results(handle, folder)
    assert write_results(handle, folder) == first, "a second time replaces the files"
    assert {path.relative_to(folder).as_posix() for path in first} == {
        "cif/r000-g002-000.cif",
        "cif/r001-g001-001.cif",
        "poscar/POSCAR_r000-g002-000",
        "poscar/POSCAR_r001-g001-001",
        "structures.extxyz",
        "energy.png",
        "summary.json",
        "summary.md",
    }
    assert (folder / "energy.png").stat().st_size > 20_000
    data = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
    assert data["structures"][0]["energy_per_atom"] == pytest.approx(-4.6296)
    text = (folder / "summary.md").read_text(encoding="utf-8")
    assert "| r000-g002-000 | −4.6296 | 0.0 | Fd-3m (227) |" in text
    assert "converged" in text


def test_an_empty_database(ask: Any, repository: Repository) -> None:
    code, _, err = ask("status")
    assert code == 2
    assert "no search yet" in err


def test_a_database_that_is_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["best", "--json", "--database", "mongodb://127.0.0.1:1/aga"]) == 4
    data = json.loads(capsys.readouterr().out)
    assert data["kind"] == "unavailable"
    assert "aga db start" in data["remedy"]


def test_the_site_file_names_the_database(
    search: str, embedded_database: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    site = tmp_path / "site.yaml"
    site.write_text(f"database: {embedded_database}\n")
    assert main(["status", "--json", "--site", str(site)]) == 0
    assert json.loads(capsys.readouterr().out)["search"] == search


def test_the_embedded_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("AGA_DB_DIR", str(tmp_path / "db"))
    monkeypatch.delenv("AGA_DATABASE", raising=False)
    assert main(["best"]) == 4
    assert "`aga db start`" in capsys.readouterr().err
    try:
        assert main(["db", "start", "--json"]) == 0
        started = json.loads(capsys.readouterr().out)
        assert started["running"] is True
        assert main(["db", "status"]) == 0
        assert started["uri"] in capsys.readouterr().out
        assert main(["status"]) == 2
        assert "no search yet" in capsys.readouterr().err
    finally:
        assert main(["db", "stop", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["stopped"] is True
    assert main(["db", "stop"]) == 0
    assert "no database server was running" in capsys.readouterr().out
