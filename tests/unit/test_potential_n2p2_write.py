"""Models written for n2p2 and LAMMPS: nothing is lost, and the repulsion comes along."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from ase.data import atomic_numbers

from aga.errors import InputError, ModelError
from aga.potential.batch import Batch
from aga.potential.guard import Repulsion, repelled
from aga.potential.model import Model
from aga.potential.n2p2.read import read_n2p2
from aga.potential.n2p2.write import write_n2p2
from aga.potential.neighbours import find_pairs
from aga.potential.network import Activation, activate, evaluate, initialise
from aga.potential.symmetry.functions import Angular, Radial
from aga.potential.symmetry.presets import automatic
from aga.rng import stream
from aga.structure.candidate import Candidate


def bare(f: Radial | Angular) -> Radial | Angular:
    return f._replace(centre=None)


def energy(model: Model, symbol: str, values: dict[Radial | Angular, float]) -> float:
    """Energy of one atom from the value of each of its functions."""
    e = model.functions.elements.index(symbol)
    G = np.zeros(model.functions.size)
    own = model.symmetry_functions.of(symbol)
    G[: len(own)] = [values[bare(f)] for f in own]
    x = torch.from_numpy((G - model.mean[e]) / model.scale[e]).unsqueeze(0)
    output, _ = evaluate(model.weights[symbol], model.activation, x)
    return float(output) * model.energy_scale + float(model.reference_energies[e])


def drawn(own: tuple[Radial | Angular, ...], seed: int = 0) -> dict[Radial | Angular, float]:
    return dict(zip(own, stream(7, seed).uniform(0.0, 3.0, len(own)).tolist(), strict=True))


def shared_model(activation: Activation = "tanh", *, repulsion: bool = True) -> Model:
    """A model as training makes them: the same functions for every centre."""
    functions = automatic(["Au", "Cu"], 5.0)
    generator = torch.Generator().manual_seed(5)
    rng = stream(1, "model")
    return Model(
        functions=functions,
        hidden=(4, 3),
        activation=activation,
        weights={el: initialise(functions.size, (4, 3), generator) for el in functions.elements},
        mean=rng.normal(size=(2, functions.size)),
        scale=rng.uniform(0.1, 2.0, (2, functions.size)),
        reference_energies=np.array([-432.1, -1e-30]),
        energy_scale=1 / 3,
        repulsion=Repulsion(functions.elements) if repulsion else None,
    )


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def same(first: Model, second: Model) -> bool:
    return first.to_bytes() == second.to_bytes()


class TestWriting:
    def test_our_model_comes_back(self, tmp_path: Path) -> None:
        model = shared_model()
        paths = write_n2p2(model, tmp_path / "new" / "folder")
        assert {path.name for path in paths} == {
            "input.nn",
            "scaling.data",
            "weights.029.data",
            "weights.079.data",
            "in.lammps.example",
            "README.txt",
            "repulsion.table",
        }
        back = read_n2p2(tmp_path / "new" / "folder")
        assert back.functions == model.functions  # shared ones stay shared
        assert np.array_equal(back.mean, model.mean)
        assert np.array_equal(back.scale, model.scale)
        assert np.array_equal(back.reference_energies, model.reference_energies)
        assert (back.repulsion, back.energy_scale) == (None, 1.0)
        for symbol in ("Au", "Cu"):
            for seed in range(5):
                values = drawn(model.symmetry_functions.of(symbol), seed)
                wanted = energy(model, symbol, values)
                assert energy(back, symbol, values) == pytest.approx(wanted, abs=1e-12)

    def test_second_trip_keeps_every_bit(self, tmp_path: Path) -> None:
        write_n2p2(shared_model(repulsion=False), tmp_path / "1")
        once = read_n2p2(tmp_path / "1")
        write_n2p2(once, tmp_path / "2")
        assert same(read_n2p2(tmp_path / "2"), once)
        assert contents(tmp_path / "2") == contents(tmp_path / "1")

    @pytest.mark.parametrize("activation", ["softplus", "logistic", "gaussian", "identity"])
    def test_activations(self, tmp_path: Path, activation: Activation) -> None:
        write_n2p2(shared_model(activation), tmp_path)
        assert read_n2p2(tmp_path).activation == activation

    @pytest.mark.parametrize("kind", ["tanh3", "polynomial3", "polynomial5", "polynomial7"])
    def test_cutoff_functions(self, tmp_path: Path, kind: str) -> None:
        model = shared_model()
        inner = 0.0 if kind == "tanh3" else 0.3
        functions = replace(model.symmetry_functions, cutoff_function=kind, inner=inner)
        write_n2p2(replace(model, functions=functions), tmp_path)
        assert read_n2p2(tmp_path).functions == functions

    def test_inexpressible(self, tmp_path: Path) -> None:
        with pytest.raises(ModelError, match="n2p2 has no activation silu"):
            write_n2p2(shared_model("silu"), tmp_path)
        model = shared_model()
        weights = {s: (w[0],) for s, w in model.weights.items()}
        weights = {s: initialise(model.functions.size, (), torch.Generator()) for s in weights}
        with pytest.raises(ModelError, match="at least one hidden layer"):
            write_n2p2(replace(model, hidden=(), weights=weights), tmp_path)
        assert not list(tmp_path.iterdir())

    def test_nothing_is_overwritten_unasked(self, tmp_path: Path) -> None:
        (tmp_path / "scaling.data").write_text("precious")
        with pytest.raises(InputError, match=r"scaling\.data is there already"):
            write_n2p2(shared_model(), tmp_path)
        assert contents(tmp_path) == {"scaling.data": b"precious"}
        write_n2p2(shared_model(), tmp_path, overwrite=True)
        assert read_n2p2(tmp_path).hidden == (4, 3)

    def test_folder_that_cannot_be_made(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")
        with pytest.raises(InputError, match="cannot be written"):
            write_n2p2(shared_model(), tmp_path / "file" / "folder")

    def test_lammps_input(self, tmp_path: Path) -> None:
        write_n2p2(shared_model(), tmp_path)
        text = (tmp_path / "in.lammps.example").read_text()
        assert 'pair_style      hybrid/overlay hdnnp 5.0 dir "./"' in text
        assert "cflength 1.0 cfenergy 1.0 table spline 5000" in text
        assert "pair_coeff      * * hdnnp Cu Au" in text
        for pair in ("1 1 table repulsion.table Cu-Cu", "1 2 table repulsion.table Cu-Au"):
            assert f"pair_coeff      {pair}\n" in text
        assert "repulsion.table" in (tmp_path / "README.txt").read_text()
        for content in contents(tmp_path).values():
            content.decode("ascii")

    def test_without_repulsion_there_is_no_table(self, tmp_path: Path) -> None:
        paths = write_n2p2(shared_model(repulsion=False), tmp_path)
        assert "repulsion.table" not in {path.name for path in paths}
        for name in ("in.lammps.example", "README.txt"):
            assert "table" not in (tmp_path / name).read_text()
        text = (tmp_path / "in.lammps.example").read_text()
        assert "pair_style      hdnnp 5.0" in text
        assert "pair_coeff      * * Cu Au" in text

    def test_table_is_the_repulsion(self, tmp_path: Path) -> None:
        model = shared_model()
        write_n2p2(model, tmp_path)
        sections = re.split(r"\n(?=\w+-\w+\n)", (tmp_path / "repulsion.table").read_text())[1:]
        assert [section.split("\n")[0] for section in sections] == ["Cu-Cu", "Cu-Au", "Au-Au"]
        for section in sections:
            name, header, *lines = section.split("\n")
            rows = np.array([line.split() for line in lines if line], dtype=float)
            _, count, _, low, high = header.split()
            assert len(rows) == int(count)
            assert np.array_equal(rows[:, 0], np.arange(1, len(rows) + 1))
            assert np.allclose(rows[:, 1], np.linspace(float(low), float(high), len(rows)))
            assert rows[-1, 2:] == pytest.approx([0.0, 0.0], abs=0.0)
            for _, r, e, f in rows[[0, 700, 2500, 3700, 4500, -2]]:
                assert dimer(model, name.split("-"), r) == pytest.approx((e, f), rel=1e-12)


def dimer(model: Model, symbols: list[str], r: float) -> tuple[float, float]:
    """Repulsion of two atoms far from their images, and the force that drives them apart."""
    candidate = Candidate(
        name="dimer",
        numbers=np.array([atomic_numbers[s] for s in symbols]),
        positions=np.array([[0.0, 0.0, 0.0], [r, 0.0, 0.0]]),
        cell=20.0 * np.eye(3),
    )
    batch = Batch.pack([candidate])
    pairs = find_pairs(batch, 5.0, model.functions.numbers)
    repulsion = repelled(model.repulsion, batch, pairs)
    return float(repulsion.energies[0]), -float(repulsion.gradient[1, 0])


@pytest.mark.parametrize("kind", ["logistic", "gaussian", "identity"])
def test_derivatives_of_activations(kind: Activation) -> None:
    a = torch.linspace(-3.0, 3.0, 13, dtype=torch.float64)
    h = 1e-5
    _, first, second = activate(kind, a)
    above, below = activate(kind, a + h), activate(kind, a - h)
    assert torch.allclose((above[0] - below[0]) / (2 * h), first, atol=1e-9)
    assert torch.allclose((above[1] - below[1]) / (2 * h), second, atol=1e-9)
