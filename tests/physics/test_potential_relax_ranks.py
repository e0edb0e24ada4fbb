"""Relaxation shared by ranks, over MPI and in worker processes: the bits of one batch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from aga.config import SearchSettings
from aga.config.machine import MachineSettings
from aga.errors import InputError, ModelError, SiteError
from aga.potential.kinds import AnyModel, load_model, make_committee
from aga.potential.model import Model
from aga.potential.relax import ranked
from aga.potential.relax.ranked import RankedRelaxer, relax_on_ranks
from aga.potential.relax.relaxer import BatchedRelaxer
from aga.search.initial import initial_structures
from aga.structure.candidate import Candidate
from aga.structure.protocols import Relaxed

SEARCH = SearchSettings.model_validate(
    {"composition": "TiO2", "seed": 4, "initial_structures": 7, "relax_steps": 15, "pressure": 5}
)
POOL = "no-such-launcher -n {ranks}"
MPI = pytest.param("mpiexec -n {ranks}", marks=pytest.mark.mpi, id="mpi")
ROUTES = pytest.mark.parametrize("command", [MPI, pytest.param(POOL, id="pool")])


@pytest.fixture(scope="module")
def structures() -> list[Candidate]:
    return initial_structures(SEARCH)


@pytest.fixture(scope="module")
def models(make_member: Callable[..., Model]) -> list[bytes]:
    return [make_member(seed).to_bytes() for seed in range(2)]


@pytest.fixture(scope="module")
def alone(structures: list[Candidate], models: list[bytes]) -> list[dict[str, Any]]:
    """What one batch in this process gives."""
    loaded: list[AnyModel] = [load_model(content) for content in models]
    relaxer = BatchedRelaxer.from_settings(make_committee(loaded), SEARCH)
    return exact(relaxer.relax(structures))


def exact(relaxed: Sequence[Relaxed]) -> list[dict[str, Any]]:
    return [one.to_dict() for one in relaxed]


def machine(command: str, ranks: int = 1) -> MachineSettings:
    return MachineSettings(mpi_command=command, relax_ranks=ranks, device="cpu")


@ROUTES
@pytest.mark.parametrize("ranks", [1, 2, 3])
def test_any_number_of_ranks_gives_the_bits_of_one_batch(
    command: str,
    ranks: int,
    structures: list[Candidate],
    models: list[bytes],
    alone: list[dict[str, Any]],
    tmp_path: Path,
) -> None:
    relaxer = RankedRelaxer(models, SEARCH, machine(command, ranks), tmp_path / "work")
    assert exact(relaxer.relax(structures)) == alone
    assert len({one["steps"] for one in alone} | {one["reason"] for one in alone}) > 1
    assert not (tmp_path / "work").exists()


@ROUTES
def test_fewer_structures_than_ranks(
    command: str,
    structures: list[Candidate],
    models: list[bytes],
    alone: list[dict[str, Any]],
    tmp_path: Path,
) -> None:
    (tmp_path / "other").write_text("not ours")
    site = machine(command)
    for count in (2, 0):
        few = relax_on_ranks(
            structures[:count], models, SEARCH, machine=site, ranks=3, folder=tmp_path
        )
        assert exact(few) == alone[:count]
    assert [path.name for path in tmp_path.iterdir()] == ["other"]


@ROUTES
def test_what_a_rank_refuses_keeps_its_type(
    command: str,
    structures: list[Candidate],
    models: list[bytes],
    make_member: Callable[..., Model],
    tmp_path: Path,
) -> None:
    damaged = [models[0], models[1][:-8]]
    with pytest.raises(ModelError, match="truncated"):
        relax_on_ranks(
            structures, damaged, SEARCH, machine=machine(command), ranks=2, folder=tmp_path
        )
    silicon = [make_member(0, ("Si",)).to_bytes()]
    with pytest.raises(InputError, match="does not know O"):
        relax_on_ranks(
            structures, silicon, SEARCH, machine=machine(command), ranks=2, folder=tmp_path
        )
    kept = sorted(path.name for path in next(tmp_path.iterdir()).iterdir())
    assert {"job.json", "member-000.safetensors"} <= set(kept)
    assert ("log.txt" in kept) == (command != POOL)


KILLER = """\
import os, sys, runpy
from aga.parallel.mpi import open_ranks
print("a rank is about to die", flush=True)
if open_ranks().rank == 1:
    os.kill(os.getpid(), 9)
runpy.run_module("aga.potential.relax.one_rank", run_name="__main__")
"""


@pytest.mark.mpi
def test_a_rank_that_dies_is_told_of_with_the_end_of_its_log(
    structures: list[Candidate],
    models: list[bytes],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "killer.py").write_text(KILLER)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(ranked, "PROGRAM", "killer")
    site = machine("mpiexec -n {ranks}")
    with pytest.raises(SiteError, match="about to die") as caught:
        relax_on_ranks(structures, models, SEARCH, machine=site, ranks=2, folder=tmp_path / "work")
    assert "use fewer ranks" in str(caught.value.remedy)
    assert Path(caught.value.facts["log"]).exists()


def kill_itself(job: tuple[str, int, int], say: Callable[[Any], None]) -> None:
    import os

    os.kill(os.getpid(), 9)


def test_a_worker_process_that_dies_is_told_of(
    structures: list[Candidate],
    models: list[bytes],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(ranked, "_relax_share", kill_itself)
    with pytest.raises(SiteError, match="killed by SIGKILL"):
        relax_on_ranks(structures, models, SEARCH, machine=machine(POOL), ranks=2, folder=tmp_path)


def test_ranks_that_do_not_share_the_folder_are_told_so(tmp_path: Path) -> None:
    with pytest.raises(SiteError, match=r"job\.json is missing") as caught:
        ranked.relax_share(tmp_path, 0, 2)
    assert "that all nodes share" in str(caught.value.remedy)
