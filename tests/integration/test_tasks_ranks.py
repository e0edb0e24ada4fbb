"""A search whose trainings and relaxations run on two MPI ranks: what one rank gives."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from aga.cycle import breed
from aga.potential.kinds import load_model, make_committee
from aga.potential.relax import ranked
from aga.potential.relax.relaxer import BatchedRelaxer
from aga.training.fit import fit_member
from aga.training.recipe import Recipe

pytestmark = [pytest.mark.embedded, pytest.mark.mpi, pytest.mark.slow]


def test_a_search_on_two_ranks_gives_what_one_rank_gives(
    new_search: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    ran: list[tuple[str, int]] = []

    def spy(module: str, arguments: list[str], **options: Any) -> None:
        ran.append((module, options["ranks"]))
        run_ranks(module, arguments, **options)

    run_ranks = ranked.run_ranks
    monkeypatch.setattr(ranked, "run_ranks", spy)
    monkeypatch.setattr("aga.training.members.run_ranks", spy)
    tree = new_search.__globals__["SmallSearch"].TREE  # type: ignore[attr-defined] # a function
    monkeypatch.setitem(tree, "potential", {"hidden": [8], "members": 2})
    monkeypatch.setitem(tree, "training", {"passes": 15})
    search = new_search(oracle="tersoff", training_ranks=2, relax_ranks=2)
    search.add()
    search.drain()
    assert search.state == "finished"
    assert set(ran) == {("aga.training.ranked", 2), (ranked.PROGRAM, 2)}
    card = search.repository.get_committee(search.id, 0)
    check_training(search, card)
    check_relaxation(search, card)
    left = list((search.folder / "runs").rglob("relax-*"))
    assert not left, "a relaxation left its files behind"


def check_training(search: Any, card: dict[str, Any]) -> None:
    """The losses of a training in this process are those of the ranks, up to the rounding."""
    frames = search.repository.dataset_frames(search.id, 0)
    alone = fit_member(frames, Recipe.of_search(search.settings), member=0)
    record = json.loads(search.repository.get_blob(card["records"][0]))
    shared = [entry["loss"] for entry in record["history"]]
    np.testing.assert_allclose(shared, [entry["loss"] for entry in alone.history], rtol=1e-3)


def check_relaxation(search: Any, card: dict[str, Any]) -> None:
    """The first generation is bred anew in this process, on the very same committee."""
    members = [load_model(search.repository.get_blob(digest)) for digest in card["members"]]
    settings = search.settings.search
    relaxer = BatchedRelaxer.from_settings(make_committee(members), settings)
    bred = breed([], relaxer, settings, generation=1)
    sound = sorted((one for one in bred.relaxed if one.fingerprint.size), key=lambda o: o.name)
    stored = search.repository.relaxed_structures(search.id, 1)
    assert stored
    assert [one.to_dict() for one in stored] == [one.relaxed.to_dict() for one in sound]
    kept = [one.relaxed.to_dict() for one in bred.population.individuals]
    assert [one.to_dict() for one in search.repository.get_population(search.id, 1)] == kept
