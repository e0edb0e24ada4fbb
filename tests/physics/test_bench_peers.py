"""The peers of the benchmark compute the same numbers, so their times compare."""

from dataclasses import replace

import numpy as np
import pytest

from aga.bench.cases import Case, Form, make_cases, random_cells
from aga.bench.peers.dscribe_acsf import dscribe_columns, dscribe_values
from aga.bench.peers.torch_triplets import TorchTriplets, Variant
from aga.errors import InputError
from aga.potential.batch import Batch
from aga.potential.committee import NetworkCommittee
from aga.potential.model import Model
from aga.potential.symmetry.descriptor import Descriptor
from aga.potential.symmetry.functions import Angular, FunctionSet
from aga.structure.geometry import shortest_distances

FORMS: tuple[Form, ...] = ("wide", "narrow")
VARIANTS: tuple[Variant, ...] = ("formula", "factored")


@pytest.fixture(scope="module")
def cases() -> dict[str, Case]:
    return {case.name.split("-")[0]: case for case in make_cases(quick=True)}


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("form", ["wide", "narrow"])
@pytest.mark.parametrize("family", ["rutile", "silicon", "random"])
def test_plain_torch_agrees(
    cases: dict[str, Case], family: str, form: Form, variant: Variant
) -> None:
    case = cases[family]
    model = case.models(form)[1]
    ours = NetworkCommittee([model]).evaluate(Batch.pack(case.candidates))
    peer = TorchTriplets(model, variant).evaluate(case.candidates)
    assert np.abs(ours.gradient).max() > (1e-3 if family == "random" else 0.0)
    np.testing.assert_allclose(peer.energies, ours.energies, rtol=1e-12)
    np.testing.assert_allclose(peer.gradient, ours.gradient, rtol=1e-9, atol=1e-11)
    np.testing.assert_allclose(peer.strain, ours.strain, rtol=1e-9, atol=1e-9)


def test_the_forms_are_different_potentials(cases: dict[str, Case]) -> None:
    case = cases["random"]
    wide, narrow = (TorchTriplets(case.models(f)[0]).evaluate(case.candidates) for f in FORMS)
    assert np.abs(wide.gradient - narrow.gradient).max() > 1e-2


@pytest.mark.parametrize("form", ["wide", "narrow"])
def test_plain_torch_forces_are_minus_the_slope(cases: dict[str, Case], form: Form) -> None:
    candidate = cases["random"].candidates[2]
    peer, h = TorchTriplets(cases["random"].models(form)[0]), 1e-5
    step = np.zeros((len(candidate), 3))
    step[4, 1] = h
    up, down = (candidate.moved(candidate.positions + sign * step) for sign in (1, -1))
    energies = peer.evaluate([up, down]).energies
    slope = peer.evaluate([candidate]).gradient[4, 1]
    assert slope == pytest.approx((energies[0] - energies[1]) / (2 * h), abs=1e-7)


def test_plain_torch_refuses_what_it_does_not_know(cases: dict[str, Case]) -> None:
    functions = cases["silicon"].functions
    models = cases["silicon"].models("wide")
    for other in (
        replace(functions, cutoff_function="tanh3"),
        replace(
            functions, radial=(functions.radial[0]._replace(cutoff=4.0), *functions.radial[1:])
        ),
    ):
        with pytest.raises(InputError, match="torch"):
            TorchTriplets(renewed(models[0], other))


def renewed(model: Model, functions: FunctionSet) -> Model:
    return replace(model, functions=functions)


@pytest.mark.parametrize("form", ["wide", "narrow"])
@pytest.mark.parametrize("family", ["rutile", "silicon", "random"])
def test_dscribe_agrees(cases: dict[str, Case], family: str, form: Form) -> None:
    pytest.importorskip("dscribe")
    case = cases[family]
    functions = case.form(form)
    descriptor = Descriptor(functions)
    ours = descriptor.values(descriptor.pairs(Batch.pack(case.candidates)))
    theirs = np.concatenate(dscribe_values(functions, case.candidates)())
    columns = dscribe_columns(functions)
    assert len(set(columns)) == case.functions.size
    np.testing.assert_allclose(theirs[:, columns], ours, rtol=1e-9, atol=1e-10)


def test_random_cells_are_sensible_and_always_the_same() -> None:
    cells = random_cells(6)
    for cell, again in zip(cells, random_cells(6), strict=True):
        assert (cell.positions == again.positions).all()
        assert cell.formula == "Ti4O8" or sorted(cell.symbols) == ["O"] * 8 + ["Ti"] * 4
        assert 10.9 < cell.volume / 12 < 18.0
        assert min(shortest_distances(cell).values()) >= 1.6
    assert not np.allclose(cells[0].cell, cells[1].cell)


def test_forms_differ_only_in_the_third_side(cases: dict[str, Case]) -> None:
    case = cases["rutile"]
    assert case.form("wide") == case.functions
    assert all(isinstance(f, Angular) and f.narrow for f in case.form("narrow").angular)
    assert case.form("narrow").size == case.functions.size == 70
