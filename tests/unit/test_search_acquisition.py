from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from aga.config import SearchSettings
from aga.search.acquisition import Acquisition, acquire
from aga.search.individual import Individual, Known
from aga.structure.candidate import FloatArray

MakeIndividual = Callable[..., Individual]
MakeKnown = Callable[..., Known]
FingerprintAt = Callable[..., FloatArray]


def search(picks: int = 4, **rules: float) -> SearchSettings:
    return SearchSettings(composition="Si8", acquisition={"picks_per_iteration": picks, **rules})


def picked(acquisition: Acquisition) -> list[str]:
    return [pick.name for pick in acquisition.picks]


@pytest.fixture
def crowd(
    make_individual: MakeIndividual,
    fingerprint_at: FingerprintAt,
) -> list[Individual]:
    """Ten structures, each unlike the others, of rising enthalpy."""
    return [
        make_individual(f"x{k}", -4.6 + 0.02 * k, fingerprint=fingerprint_at(0.5, axis=k + 1))
        for k in range(10)
    ]


def test_low_enthalpies_go_first_and_no_more_than_asked(crowd: list[Individual]) -> None:
    got = acquire(crowd, [], search(picks=4), calls_left=100)
    assert picked(got) == ["x0", "x1", "x2", "x3"]
    assert got.refused == {"number": 6}
    assert "eV/atom" in got.picks[0].why


def test_the_budget_limits_the_batch(crowd: list[Individual]) -> None:
    assert len(acquire(crowd, [], search(picks=4), calls_left=2).picks) == 2
    assert acquire(crowd, [], search(picks=4), calls_left=0).picks == ()


def test_what_is_under_way_is_not_chosen_again(crowd: list[Individual]) -> None:
    first = acquire(crowd, [], search(picks=2), calls_left=100)
    chosen = {one.name: one for one in crowd}
    under_way = [chosen[name].fingerprint for name in picked(first)]
    then = acquire(crowd, [], search(picks=2), calls_left=100, pending=under_way)
    assert then.picks
    assert not set(picked(then)) & set(picked(first))
    assert then.refused["pending"] >= len(under_way)
    assert "pending" not in first.refused


def test_disagreement_makes_up_for_energy_as_kappa_says(
    make_individual: MakeIndividual,
    fingerprint_at: FingerprintAt,
) -> None:
    sure = make_individual("sure", -4.60, spread=0.01)
    unsure = make_individual("unsure", -4.55, spread=0.10, fingerprint=fingerprint_at(0.5))
    bold = acquire([sure, unsure], [], search(picks=1, kappa=1.0), calls_left=9)
    assert picked(bold) == ["unsure"]
    assert bold.picks[0].score == pytest.approx(-4.65)
    assert picked(acquire([sure, unsure], [], search(picks=1, kappa=0), calls_left=9)) == ["sure"]


def test_what_no_label_could_help_is_refused(
    make_individual: MakeIndividual,
    fingerprint_at: FingerprintAt,
) -> None:
    crowd = [
        make_individual("good", -4.6),
        make_individual("exploded", -9.0, reason="exploded", fingerprint=fingerprint_at(0.5, 2)),
        make_individual("too wide", -4.6, edge=8.0, fingerprint=fingerprint_at(0.5, 3)),
        make_individual("too close", -4.6, edge=2.8, fingerprint=fingerprint_at(0.5, 4)),
        make_individual("too unsure", -4.6, spread=1.5, fingerprint=fingerprint_at(0.5, 5)),
        make_individual("too high", -4.0, fingerprint=fingerprint_at(0.5, 6)),
    ]
    got = acquire(crowd, [], search(picks=9), calls_left=100)
    assert picked(got) == ["good"]
    assert got.refused == {"exploded": 1, "unphysical": 2, "spread": 1, "energy": 1}


def test_atoms_closer_than_the_users_own_distance_are_unphysical(
    make_individual: MakeIndividual,
) -> None:
    settings = SearchSettings(composition="Si8", min_distances={"Si-Si": 2.8})
    got = acquire([make_individual("x", -4.6)], [], settings, calls_left=9)
    assert got.refused == {"unphysical": 1}


def test_a_hole_of_untrusted_energy_does_not_shut_out_the_others(
    make_individual: MakeIndividual,
    fingerprint_at: FingerprintAt,
) -> None:
    hole = make_individual("hole", -9.0, reason="untrusted", fingerprint=fingerprint_at(0.5))
    got = acquire([hole, make_individual("good", -4.6)], [], search(), calls_left=9)
    assert set(picked(got)) == {"hole", "good"}


def test_untrusted_get_a_wider_window_and_a_third_of_the_batch(
    make_individual: MakeIndividual,
    fingerprint_at: FingerprintAt,
) -> None:
    trusted = [
        make_individual(f"t{k}", -4.6 + 0.01 * k, fingerprint=fingerprint_at(0.5, k + 1))
        for k in range(6)
    ]
    untrusted = [
        make_individual(
            f"u{k}",
            -4.6 + 0.75,
            spread=0.9,
            reason="untrusted",
            fingerprint=fingerprint_at(0.7, k + 1),
        )
        for k in range(4)
    ]
    got = acquire([*trusted, *untrusted], [], search(picks=6), calls_left=100)
    assert sum(name.startswith("u") for name in picked(got)) == 2
    assert got.refused["untrusted_share"] == 2
    beyond = make_individual("far", -4.6 + 1.1, reason="untrusted", fingerprint=fingerprint_at(1))
    assert acquire([*trusted, beyond], [], search(), calls_left=9).refused["energy"] == 1


def test_a_committee_that_trusts_nothing_is_taught_with_a_full_batch(
    make_individual: MakeIndividual,
    fingerprint_at: FingerprintAt,
) -> None:
    crowd = [
        make_individual(f"u{k}", -4.6, reason="untrusted", fingerprint=fingerprint_at(0.5, k + 1))
        for k in range(6)
    ]
    assert len(acquire(crowd, [], search(picks=6), calls_left=100).picks) == 6


def test_labelled_structures_are_not_sent_again(
    make_individual: MakeIndividual,
    make_known: MakeKnown,
    fingerprint_at: FingerprintAt,
) -> None:
    labelled = [make_known("known", -4.6)]
    same = make_individual("same", -4.6, fingerprint=fingerprint_at(0.0004))
    higher = make_individual("higher", -4.59, fingerprint=fingerprint_at(0.01))
    other = make_individual("other", -4.5, fingerprint=fingerprint_at(0.05))
    got = acquire([same, higher, other], labelled, search(), calls_left=9)
    assert picked(got) == ["other"]
    assert got.refused == {"known": 2}


def test_the_lowest_structure_is_sent_again_where_its_minimum_has_moved(
    make_individual: MakeIndividual,
    make_known: MakeKnown,
    fingerprint_at: FingerprintAt,
) -> None:
    labelled = [make_known("known", -4.6)]
    moved = make_individual("moved", -4.5995, spread=0.0005, fingerprint=fingerprint_at(0.001))
    got = acquire([moved], labelled, search(), calls_left=9)
    assert picked(got) == ["moved"]
    assert "again: like known" in got.picks[0].why
    lower = make_individual("lower", -4.61, fingerprint=fingerprint_at(0.5))
    assert picked(acquire([moved, lower], labelled, search(), calls_left=9)) == ["lower"]
    labelled = [make_known("known", -4.6), make_known("best", -4.7, fingerprint=fingerprint_at(1))]
    assert acquire([moved], labelled, search(), calls_left=9).picks == ()


def test_a_committee_that_misfits_the_lowest_label_asks_where_its_own_minimum_is(
    make_individual: MakeIndividual,
    make_known: MakeKnown,
    fingerprint_at: FingerprintAt,
) -> None:
    labelled = [make_known("known", -4.6)]
    moved = make_individual("moved", -4.58, spread=0.0005, fingerprint=fingerprint_at(0.005))
    assert picked(acquire([moved], labelled, search(), calls_left=9)) == ["moved"]
    there = make_individual("there", -4.58, spread=0.0005, fingerprint=fingerprint_at(0.0004))
    assert acquire([there], labelled, search(), calls_left=9).refused == {"known": 1}
    best = make_known("best", -4.7, fingerprint=fingerprint_at(1))
    assert acquire([moved], [*labelled, best], search(), calls_left=9).refused == {"known": 1}


@pytest.mark.parametrize(
    ("enthalpy", "spread", "again"),
    [
        (-4.6000, 0.0500, True),  # the committee disagrees by more than 0.02
        (-4.6100, 0.0100, True),  # it predicts 10 meV/atom less than the label
        (-4.6010, 0.0100, False),  # 1 meV/atom less: within the tolerance
        (-4.6100, 0.0015, False),  # below spread_min it has nothing to say
    ],
)
def test_a_labelled_structure_is_sent_again_only_with_a_question(
    make_individual: MakeIndividual,
    make_known: MakeKnown,
    enthalpy: float,
    spread: float | None,
    again: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    twin = make_individual("twin", enthalpy, spread=spread)
    got = acquire([twin], [make_known("known", -4.6)], search(), calls_left=9)
    assert bool(got.picks) is again
    if again:
        assert "known" in got.picks[0].why


def test_structures_sent_again_get_a_third_of_the_batch(
    make_individual: MakeIndividual,
    make_known: MakeKnown,
    fingerprint_at: FingerprintAt,
) -> None:
    places = [fingerprint_at(0.5, k + 1) for k in range(4)]
    labelled = [make_known(f"k{k}", -4.6, fingerprint=p) for k, p in enumerate(places)]
    twins = [
        make_individual(f"t{k}", -4.7, spread=0.1, fingerprint=p) for k, p in enumerate(places)
    ]
    got = acquire(twins, labelled, search(picks=3), calls_left=9)
    assert len(got.picks) == 1
    assert got.refused == {"known": 3}


def test_one_batch_does_not_hold_one_structure_twice(
    make_individual: MakeIndividual,
    fingerprint_at: FingerprintAt,
) -> None:
    twins = [
        make_individual("low", -4.60),
        make_individual("high", -4.59, fingerprint=fingerprint_at(0.01)),
    ]
    got = acquire(twins, [], search(), calls_left=9)
    assert picked(got) == ["low"]
    assert got.refused == {"duplicate": 1}


def test_a_batch_is_diverse_while_it_can_be(
    make_individual: MakeIndividual,
    fingerprint_at: FingerprintAt,
) -> None:
    near = make_individual("near", -4.59, fingerprint=fingerprint_at(0.05))
    crowd = [
        make_individual("best", -4.60),
        near,
        make_individual("far", -4.50, fingerprint=fingerprint_at(0.5)),
    ]
    assert picked(acquire(crowd, [], search(picks=2), calls_left=9)) == ["best", "far"]
    # where nothing else is left the near one is better than an empty place
    assert picked(acquire(crowd, [], search(picks=3), calls_left=9)) == ["best", "far", "near"]


def test_the_window_is_measured_from_labels_too(
    make_individual: MakeIndividual,
    make_known: MakeKnown,
    fingerprint_at: FingerprintAt,
) -> None:
    labelled = [make_known("deep", -5.2, fingerprint=fingerprint_at(0.5))]
    got = acquire([make_individual("x", -4.6)], labelled, search(), calls_left=9)
    assert got.refused == {"energy": 1}


def test_nothing_to_choose_from_is_no_error() -> None:
    got = acquire([], [], search(), calls_left=9)
    assert got.picks == ()
    assert got.refused == {}


@pytest.fixture
def near_and_far(
    make_individual: MakeIndividual, fingerprint_at: FingerprintAt
) -> list[Individual]:
    """Eight low structures that are rather like what is labelled, and a high one that is not."""
    near = [
        make_individual(f"n{k}", -4.60 + 0.001 * k, fingerprint=fingerprint_at(0.11, axis=k + 1))
        for k in range(8)
    ]
    return [*near, make_individual("far", -4.30, fingerprint=fingerprint_at(0.5, axis=10))]


def test_what_is_unlike_anything_labelled_may_be_higher_in_energy(
    near_and_far: list[Individual], make_known: MakeKnown
) -> None:
    labelled = [make_known(f"i{k}", -4.6) for k in range(3)]

    def chosen(weight: float) -> list[str]:
        rules = search(picks=3, novelty_weight=weight)
        return picked(acquire(near_and_far, labelled, rules, calls_left=99))

    assert chosen(0.0) == ["n0", "n1", "n2"]
    assert chosen(1.0) == ["n0", "n1", "far"]
    assert chosen(2.0) == ["n0", "far", "n1"]


def test_the_weight_of_novelty_goes_round_whatever_the_size_of_a_batch(
    near_and_far: list[Individual], make_known: MakeKnown
) -> None:
    """The concurrent schedule asks for one pick at a time, and gets what a batch would have."""
    rules = search(picks=1, novelty_weight=1.0)

    def first(labels: int) -> str:
        labelled = [make_known(f"i{k}", -4.6) for k in range(labels)]
        (only,) = acquire(near_and_far, labelled, rules, calls_left=99).picks
        return only.name

    assert [first(labels) for labels in (3, 4, 5, 6)] == ["n0", "n0", "far", "n0"]


@pytest.mark.parametrize("labels", [3, 4, 5, 6])
def test_the_pick_of_the_bound_alone_is_the_first_of_its_batch(
    near_and_far: list[Individual], make_known: MakeKnown, labels: int
) -> None:
    labelled = [make_known(f"i{k}", -4.6) for k in range(labels)]
    rules = search(picks=3, novelty_weight=1.0)
    assert picked(acquire(near_and_far, labelled, rules, calls_left=99)) == ["n0", "n1", "far"]


def test_a_pick_makes_what_is_like_it_less_attractive(
    make_individual: MakeIndividual, fingerprint_at: FingerprintAt, make_known: MakeKnown
) -> None:
    labelled = [make_known(f"i{k}", -4.6) for k in range(4)]
    angle = np.deg2rad(50.0)
    alike = np.cos(angle) * fingerprint_at(0.5) + np.sin(angle) * fingerprint_at(0.5, axis=3)
    crowd = [
        make_individual("first", -4.61, fingerprint=fingerprint_at(0.5)),
        make_individual("alike", -4.6, fingerprint=alike),  # 0.5 from labels, 0.18 from the first
        make_individual("other", -4.5, fingerprint=fingerprint_at(0.25, axis=2)),
    ]
    rules = search(picks=2, novelty_weight=2.0)
    assert picked(acquire(crowd[1:], labelled, rules, calls_left=1)) == ["alike"]
    got = acquire(crowd, labelled, rules, calls_left=99)
    assert picked(got) == ["first", "other"]
    assert got.picks[1].score == pytest.approx(-4.5 - 0.01 - 2.0 * 0.25)


def test_a_spread_of_the_forces_can_be_too_large_as_well(make_individual: MakeIndividual) -> None:
    one = make_individual("x", -4.6)  # its forces differ by 0.1 eV/Å
    assert acquire([one], [], search(force_spread_max=0.2), calls_left=9).picks
    assert acquire([one], [], search(force_spread_max=0.05), calls_left=9).refused == {"spread": 1}


def test_a_committee_that_can_be_trusted_with_nothing_is_lost(
    make_individual: MakeIndividual, fingerprint_at: FingerprintAt, make_known: MakeKnown
) -> None:
    labelled = [make_known("known", -4.6)]
    unsure = [
        make_individual(
            f"u{k}", -9.0, spread=3.0, reason=reason, fingerprint=fingerprint_at(0.5, k)
        )
        for k, reason in enumerate(("untrusted", "converged", "exploded"), 1)
    ]
    lost = acquire(unsure, labelled, search(), calls_left=9)
    assert lost.lost
    assert lost.picks == ()  # what is above the bound is not sent, whatever else there is
    assert lost.refused == {"spread": 2, "exploded": 1}
    sure = make_individual("twin", -4.59, fingerprint=fingerprint_at(0.0001))
    found = acquire([*unsure, sure], labelled, search(), calls_left=9)
    assert found.picks == ()  # known: there is nothing to ask, which is not the same
    assert not found.lost
    assert not acquire([], labelled, search(), calls_left=9).lost
