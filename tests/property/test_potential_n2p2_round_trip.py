"""Any model that n2p2 can express is the same potential after it was written and read."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from aga.potential.model import Model
from aga.potential.n2p2.read import read_n2p2
from aga.potential.n2p2.write import write_n2p2
from aga.potential.network import evaluate, initialise
from aga.potential.symmetry.functions import Angular, FunctionSet, Radial
from aga.rng import stream

ELEMENTS = ("Au", "H", "O", "Ti")  # n2p2 numbers them by atomic number: H, O, Ti, Au
CUTOFF = 6.5

etas = st.sampled_from([0.0, 1e-3, 0.1, 1 / 3]) | st.floats(0.0, 9.0)
shifts = st.sampled_from([0.0, 1.0]) | st.floats(0.0, 5.0)
cutoffs = st.none() | st.floats(0.5, CUTOFF)


@st.composite
def function_sets(draw: st.DrawFn) -> FunctionSet:
    elements = tuple(sorted(draw(st.sets(st.sampled_from(ELEMENTS), min_size=1, max_size=3))))
    element = st.sampled_from(elements)
    centres = st.none() | element
    radial = st.builds(Radial, element, etas, shifts, cutoffs, centres)
    angular = st.builds(
        Angular,
        st.tuples(element, element),
        etas,
        st.sampled_from([1, 2.0, 4.0, 16.0]) | st.floats(1.0, 20.0),
        st.sampled_from([-1.0, 1.0]) | st.floats(-1.0, 1.0),
        shifts,
        st.booleans(),
        cutoffs,
        centres,
    )
    kind = draw(st.sampled_from(["cosine", "tanh3", "polynomial3", "polynomial5", "polynomial7"]))
    return FunctionSet(
        elements=elements,
        cutoff=CUTOFF,
        cutoff_function=kind,
        inner=0.0 if kind == "tanh3" else draw(st.sampled_from([0.0, 0.1, 0.7])),
        # at least one for every centre
        radial=(Radial(elements[0], 0.5), *draw(st.lists(radial, max_size=4, unique=True))),
        angular=tuple(draw(st.lists(angular, max_size=5, unique=True))),
    )


def model_of(functions: FunctionSet, seed: int) -> Model:
    rng = stream(seed, "model")
    shape = (len(functions.elements), functions.size)
    mean, scale = rng.normal(size=shape), rng.uniform(0.1, 2.0, shape)
    generator = torch.Generator().manual_seed(seed)
    for row, symbol in enumerate(functions.elements):
        mean[row, len(functions.of(symbol)) :] = 0.0
    return Model(
        functions=functions,
        hidden=(3, 2),
        activation="tanh",
        weights={s: initialise(functions.size, (3, 2), generator) for s in functions.elements},
        mean=mean,
        scale=scale,
        reference_energies=rng.normal(scale=500.0, size=len(functions.elements)),
        energy_scale=float(rng.uniform(0.1, 3.0)),
        repulsion=None,
    )


Key = tuple[object, ...]


def described(functions: FunctionSet, symbol: str) -> list[Key]:
    """Name each function of an element by what it computes."""
    keys: list[Key] = []
    for f in functions.of(symbol):
        rest = f._replace(centre=None, cutoff=functions.cutoff_of(f))
        if isinstance(rest, Angular):
            rest = rest._replace(elements=tuple(sorted(rest.elements)))
        keys.append((type(f).__name__, *rest))
    return keys


def energy(model: Model, symbol: str, values: dict[Key, float]) -> float:
    e = model.functions.elements.index(symbol)
    G = np.zeros(model.functions.size)
    own = [values[key] for key in described(model.symmetry_functions, symbol)]
    G[: len(own)] = own
    x = torch.from_numpy((G - model.mean[e]) / model.scale[e]).unsqueeze(0)
    output, _ = evaluate(model.weights[symbol], model.activation, x)
    return float(output) * model.energy_scale + float(model.reference_energies[e])


@settings(max_examples=60)
@given(functions=function_sets(), seed=st.integers(0, 2**16))
def test_round_trip(functions: FunctionSet, seed: int) -> None:
    model = model_of(functions, seed)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_n2p2(model, folder / "1")
        once = read_n2p2(folder / "1")
        write_n2p2(once, folder / "2")
        twice = read_n2p2(folder / "2")
        for path in (folder / "1").iterdir():
            assert (folder / "2" / path.name).read_bytes() == path.read_bytes()
    assert twice.to_bytes() == once.to_bytes()
    rng = stream(seed, "values")
    for symbol in functions.elements:
        keys = described(functions, symbol)
        assert described(once.symmetry_functions, symbol) == keys
        values = {key: float(rng.uniform(0.0, 3.0)) for key in keys}
        difference = energy(once, symbol, values) - energy(model, symbol, values)
        assert abs(difference) < 1e-11
