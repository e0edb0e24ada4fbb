"""Potentials of n2p2: read as documented, and nothing from bad files."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from ase.data import atomic_numbers

from aga.errors import ModelError
from aga.potential.model import Model
from aga.potential.n2p2.read import BOHR, HARTREE, read_n2p2
from aga.potential.n2p2.write import write_n2p2
from aga.potential.network import evaluate
from aga.potential.symmetry.functions import Angular, FunctionSet, Radial
from aga.rng import stream
from aga.structure.candidate import FloatArray

SETTINGS = """\
# Length unit     : Angstrom
# Energy unit     : eV
number_of_elements  2
elements            Au Cu           # in no particular order
atom_energy         Cu -3.5
atom_energy         Au -2.25 ! a comment of RuNNer
cutoff_type         1
scale_symmetry_functions
scale_min_short     0.0
scale_max_short     1.0
global_hidden_layers_short 1
global_nodes_short         2
global_activation_short    t l
symfunction_short Cu 3 Au Cu 0.1 -1.0 4.0 6.0
symfunction_short Cu 3 Cu Au 0.1 -1.0 2.0 6.0
symfunction_short Cu 3 Au Cu 0.1  1.0 2.0 6.0
symfunction_short Cu 2 Au 0.2 1.0 6.0
symfunction_short Cu 2 Cu 0.2 1.0 6.0
symfunction_short Cu 2 Cu 0.2 0.0 6.0
symfunction_short Cu 2 Cu 9.0 0.0 5.0
symfunction_short Cu 9 Cu Au 0.0  1.0 1.5 6.0 0.5
symfunction_short Au 2 Au 0.2 0.0 6.0
symfunction_short Au 2 Cu 0.1 0.0 6.0
"""
CUTOFF = 6.0
COPPER = (
    # as n2p2 sorts them: type, cutoff, eta, shift, zeta, lambda, neighbours by atomic number
    Radial("Cu", 9.0, 0.0, 5.0),
    Radial("Cu", 0.2, 0.0, None),
    Radial("Cu", 0.2, 1.0, None),
    Radial("Au", 0.2, 1.0, None),
    Angular(("Au", "Cu"), 0.1, 2.0, -1.0, narrow=True),
    Angular(("Au", "Cu"), 0.1, 2.0, 1.0, narrow=True),
    Angular(("Au", "Cu"), 0.1, 4.0, -1.0, narrow=True),
    Angular(("Au", "Cu"), 0.0, 1.5, 1.0, shift=0.5),
)
GOLD = (Radial("Cu", 0.1), Radial("Au", 0.2))
SORTED = {"Cu": COPPER, "Au": GOLD}


def number_of(symbol: str, place: int, column: int) -> float:
    """Give an entry of scaling.data: minimum, maximum, mean, sigma."""
    base = 0.1 * place + (0.03 if symbol == "Au" else 0.0)
    return (base, base + 2.0 + 0.5 * place, base + 0.7, 0.25 + 0.125 * place)[column]


def connections(symbol: str, inputs: int) -> list[float]:
    rng = stream(3, symbol)
    return rng.normal(size=(inputs + 1) * 2 + 3).round(6).tolist()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A potential in the format, made by hand."""
    (tmp_path / "input.nn").write_text(SETTINGS)
    rows = ["# a comment"]
    for e, symbol in enumerate(SORTED, start=1):
        for n in range(len(SORTED[symbol])):
            values = " ".join(repr(number_of(symbol, n, c)) for c in range(4))
            rows.append(f"  {e}  {n + 1}  {values}")
    (tmp_path / "scaling.data").write_text("\n".join(rows) + "\n")
    for symbol, own in SORTED.items():
        values = connections(symbol, len(own))
        letters = "a" * (2 * len(own)) + "bb" + "aa" + "b"
        text = "".join(
            f"{v!r} {c} {n}\n" for n, (v, c) in enumerate(zip(values, letters, strict=True), 1)
        )
        (tmp_path / f"weights.{atomic_numbers[symbol]:03d}.data").write_text("# header\n" + text)
    return tmp_path


def change(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


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


def by_hand(
    symbol: str,
    values: dict[Radial | Angular, float],
    scaled: Callable[[float, FloatArray], float],
    *,
    divide: bool = False,
) -> float:
    """What n2p2 documents, term by term: scaled functions, one hidden layer of two nodes."""
    own = SORTED[symbol]
    x = np.array(
        [
            scaled(values[f], np.array([number_of(symbol, n, c) for c in range(4)]))
            for n, f in enumerate(own)
        ]
    )
    c = np.array(connections(symbol, len(own)))
    n = len(own)
    signal = x @ c[: 2 * n].reshape(n, 2) + c[2 * n : 2 * n + 2]
    nodes = np.tanh(signal / n if divide else signal)
    output = nodes @ c[2 * n + 2 : 2 * n + 4] + c[-1]
    return float(output / 2 if divide else output)


class TestReading:
    def test_functions_belong_to_their_centre_and_keep_the_order_of_their_lines(
        self, folder: Path
    ) -> None:
        functions = read_n2p2(folder).symmetry_functions
        assert functions.elements == ("Au", "Cu")
        assert functions.cutoff == CUTOFF
        assert functions.cutoff_function == "cosine"
        assert [bare(f) for f in functions.of("Au")] == [GOLD[1], GOLD[0]]
        places = [3, 2, 1, 0, 6, 4, 5, 7]
        assert [bare(f) for f in functions.of("Cu")] == [COPPER[n] for n in places]

    @pytest.mark.parametrize("symbol", ["Cu", "Au"])
    @pytest.mark.parametrize(
        ("keywords", "scaled"),
        [
            ("scale_symmetry_functions", lambda g, c: (g - c[0]) / (c[1] - c[0])),
            (
                "scale_symmetry_functions\ncenter_symmetry_functions",
                lambda g, c: (g - c[2]) / (c[1] - c[0]),
            ),
            ("center_symmetry_functions", lambda g, c: g - c[2]),
            ("scale_symmetry_functions_sigma", lambda g, c: (g - c[2]) / c[3]),
            ("", lambda g, _: g),
        ],
    )
    def test_every_scaling(
        self, folder: Path, symbol: str, keywords: str, scaled: Callable[[float, FloatArray], float]
    ) -> None:
        change(folder / "input.nn", "scale_symmetry_functions", keywords)
        values = drawn(SORTED[symbol])
        offset = {"Cu": -3.5, "Au": -2.25}[symbol]
        wanted = by_hand(symbol, values, scaled) + offset
        assert energy(read_n2p2(folder), symbol, values) == pytest.approx(wanted, rel=1e-13)

    @pytest.mark.parametrize("sigma", [False, True])
    def test_scaling_to_another_interval(self, folder: Path, *, sigma: bool) -> None:
        change(folder / "input.nn", "scale_min_short     0.0", "scale_min_short -1.0")
        change(folder / "input.nn", "scale_max_short     1.0", "scale_max_short 2.0")
        if sigma:
            change(
                folder / "input.nn", "scale_symmetry_functions", "scale_symmetry_functions_sigma"
            )

        def scaled(g: float, c: FloatArray) -> float:
            return float(-1.0 + 3.0 * ((g - c[2]) / c[3] if sigma else (g - c[0]) / (c[1] - c[0])))

        values = drawn(COPPER)
        wanted = by_hand("Cu", values, scaled) - 3.5
        assert energy(read_n2p2(folder), "Cu", values) == pytest.approx(wanted, rel=1e-13)

    def test_normalised_energies_and_nodes(self, folder: Path) -> None:
        text = "mean_energy -25.0\nconv_energy 200.0\nconv_length 5.8\nnormalize_nodes\ncutoff_type"
        change(folder / "input.nn", "cutoff_type", text)
        values = drawn(COPPER)
        network = by_hand("Cu", values, lambda g, c: (g - c[0]) / (c[1] - c[0]), divide=True)
        wanted = network / 200.0 - 25.0 - 3.5
        assert energy(read_n2p2(folder), "Cu", values) == pytest.approx(wanted, rel=1e-13)

    def test_units_are_those_that_the_comments_state(self, folder: Path) -> None:
        metal = read_n2p2(folder)
        change(folder / "input.nn", ": Angstrom", ": Bohr")
        change(folder / "input.nn", ": eV", ": Ha")
        atomic = read_n2p2(folder)
        assert atomic.functions.cutoff == CUTOFF * BOHR
        assert atomic.energy_scale == HARTREE
        # atom_energy is in the unit of every other energy of the file
        assert np.array_equal(atomic.reference_energies, metal.reference_energies * HARTREE)
        pairs = zip(atomic.symmetry_functions.every, metal.symmetry_functions.every, strict=True)
        for f, g in pairs:
            assert f.eta == pytest.approx(g.eta / BOHR**2, rel=1e-15)
            assert f.shift == pytest.approx(g.shift * BOHR, rel=1e-15)
            assert f.cutoff == (None if g.cutoff is None else g.cutoff * BOHR)

    def test_the_callers_units_win(self, folder: Path) -> None:
        assert read_n2p2(folder, units="bohr-hartree").functions.cutoff == CUTOFF * BOHR

    def test_without_units_nothing_is_guessed(self, folder: Path) -> None:
        change(folder / "input.nn", "# Energy unit     : eV\n", "")
        with pytest.raises(ModelError, match=r"input\.nn: no comment states the units") as caught:
            read_n2p2(folder)
        assert "bohr-hartree" in str(caught.value.remedy)
        assert read_n2p2(folder, units="angstrom-ev").functions.cutoff == CUTOFF

    def test_inner_cutoff(self, folder: Path) -> None:
        change(folder / "input.nn", "cutoff_type         1", "cutoff_type 6 0.25")
        functions = read_n2p2(folder).symmetry_functions
        assert (functions.cutoff_function, functions.inner) == ("polynomial5", 0.25)
        change(folder / "input.nn", "cutoff_type 6 0.25", "cutoff_type 5\ncutoff_alpha 0.5")
        functions = read_n2p2(folder).symmetry_functions
        assert (functions.cutoff_function, functions.inner) == ("polynomial3", 0.5)
        change(folder / "input.nn", "cutoff_type 5\ncutoff_alpha 0.5", "cutoff_type 2 0.5")
        functions = read_n2p2(folder).symmetry_functions  # n2p2 takes no notice of it
        assert (functions.cutoff_function, functions.inner) == ("tanh3", 0.0)

    def test_ranges_of_the_training_data_come_along(self, folder: Path) -> None:
        ranges = read_n2p2(folder).facts["descriptor_range"]
        assert ranges["Au"]["minimum"] == [number_of("Au", 1, 0), number_of("Au", 0, 0)]
        assert ranges["Cu"]["maximum"][3] == number_of("Cu", 0, 1)

    def test_same_thing_said_twice_is_harmless(self, folder: Path) -> None:
        with (folder / "input.nn").open("a") as file:
            file.write("cutoff_type 1\natom_energy Cu -3.5\nelement_nodes_short Au 1 2\n")
        assert read_n2p2(folder).hidden == (2,)

    def test_last_line_of_runner_and_its_missing_sigma(self, folder: Path) -> None:
        path = folder / "scaling.data"
        path.write_text(re.sub(r" \S+\n", "\n", path.read_text()[12:]) + " -0.1 0.3\n")
        assert read_n2p2(folder).functions.size == len(COPPER)
        change(folder / "input.nn", "scale_symmetry_functions", "scale_symmetry_functions_sigma")
        with pytest.raises(ModelError, match=r"scaling\.data, line 9: .*sigma"):
            read_n2p2(folder)


BAD_SETTINGS = {
    "another cutoff": ("cutoff_type         1", "cutoff_type 4", 7, "4 .exponential. is not supp"),
    "a number for a cutoff": ("cutoff_type         1", "cutoff_type one", 7, "one is not support"),
    "inner cutoff of 1": ("cutoff_type         1", "cutoff_type 1 1.0", 7, "inner cutoff"),
    "zero cutoff": ("0.2 1.0 6.0", "0.2 1.0 0.0", 17, "cutoff must be above 0"),
    "negative cutoff": ("0.2 1.0 6.0", "0.2 1.0 -6.0", 17, "cutoff must be above 0"),
    "zeta below 1": ("-1.0 4.0", "-1.0 0.5", 14, "ζ must be 1 or more"),
    "negative eta": ("Au 0.2 1.0", "Au -0.2 1.0", 17, "η must not be below 0"),
    "lambda": ("-1.0 4.0", "-1.5 4.0", 14, "λ must be"),
    "no number": ("Au 0.2 1.0", "Au 0.2x 1.0", 17, "'0.2x' is no finite number"),
    "NaN": ("Au 0.2 1.0", "Au nan 1.0", 17, "'nan' is no finite number"),
    "infinite": ("Au 0.2 1.0", "Au 1e999 1.0", 17, "too large"),
    "another function": ("Cu 9 Cu Au", "Cu 22 Cu Au", 21, "22 .compact wide.* not supported"),
    "too few values": ("0.2 1.0 6.0", "0.2 1.0", 17, "needs 6 values"),
    "unknown neighbour": ("Cu 2 Au", "Cu 2 Ag", 17, "Ag is not among the elements"),
    "unknown centre": ("short Cu 2 Au", "short Ag 2 Au", 17, "Ag is not among the elements"),
    "unknown element": ("elements            Au", "elements Qq", 4, "no such element: Qq"),
    "element twice": ("elements            Au", "elements Cu", 4, "listed twice"),
    "number of elements": ("elements  2", "elements  3", 3, "number_of_elements is not that"),
    "two values": ("cutoff_type", "cutoff_type 2\ncutoff_type", 8, "given on line 7 already"),
    "two atom energies": ("atom_energy         Au", "atom_energy Cu", 6, "given already"),
    "atom energy": ("Cu -3.5", "Cu", 5, "needs an element and an energy"),
    "activation": ("t l", "c l", 13, "c .cosine. is not supported; known: t .tanh."),
    "output activation": ("t l", "t s", 13, "output layer with activation s"),
    "network per element": ("symf", "element_nodes_short Au 1 3\nsymf", 14, "differ between elem"),
    "layers": ("layers_short 1", "layers_short 0", 11, "no whole number above 0"),
    "too few layers": ("layers_short 1", "layers_short 2", 12, "needs 2 values"),
    "charges": ("symf", "use_electrostatics\nsymf", 14, "electrostatics is not supported"),
    "fourth generation": ("symf", "nnp_type 4G-HDNNP\nsymf", 14, "nnp_type 4G-HDNNP"),
    "interval": ("scale_max_short     1.0", "scale_max_short 0.0", 10, "must be above"),
    "normalisation": (
        "symf",
        "mean_energy 1.0\nconv_energy 0.0\nconv_length 1.0\nsymf",
        15,
        "conv_energy must be above 0",
    ),
}


class TestBadFiles:
    @pytest.mark.parametrize("name", list(BAD_SETTINGS))
    def test_settings(self, folder: Path, name: str) -> None:
        old, new, line, message = BAD_SETTINGS[name]
        change(folder / "input.nn", old, new)
        with pytest.raises(ModelError, match=rf"input\.nn, line {line}: .*{message}") as caught:
            read_n2p2(folder)
        assert caught.value.facts == {"file": str(folder / "input.nn"), "line": line}

    def test_different_activations_in_one_network(self, folder: Path) -> None:
        path = folder / "input.nn"
        change(path, "layers_short 1", "layers_short 2")
        change(path, "short         2", "short 2 2")
        change(path, "t l", "t p l")
        with pytest.raises(ModelError, match=r"line 13: layers with different activations"):
            read_n2p2(folder)

    @pytest.mark.parametrize(
        "keyword",
        [
            "number_of_elements",
            "elements",
            "cutoff_type",
            "global_hidden_layers_short",
            "global_nodes_short",
            "global_activation_short",
        ],
    )
    def test_missing_keyword(self, folder: Path, keyword: str) -> None:
        change(folder / "input.nn", f"\n{keyword} ", "\n#")
        with pytest.raises(ModelError, match=rf"input\.nn: the keyword {keyword} is missing"):
            read_n2p2(folder)

    def test_missing_part_of_the_normalisation(self, folder: Path) -> None:
        change(folder / "input.nn", "cutoff_type", "mean_energy 1.0\nconv_energy 2.0\ncutoff_type")
        with pytest.raises(ModelError, match=r"the keyword conv_length is missing"):
            read_n2p2(folder)

    def test_element_without_functions(self, folder: Path) -> None:
        path = folder / "input.nn"
        path.write_text(re.sub(r"symfunction_short Au.*\n", "", path.read_text()))
        with pytest.raises(ModelError, match=r"input\.nn, line 4: Au has no symmetry function"):
            read_n2p2(folder)

    @pytest.mark.parametrize(
        "name", ["input.nn", "scaling.data", "weights.029.data", "weights.079.data"]
    )
    def test_missing_file(self, folder: Path, name: str) -> None:
        (folder / name).unlink()
        with pytest.raises(ModelError, match=rf"{re.escape(name)}: the file is missing"):
            read_n2p2(folder)

    @pytest.mark.parametrize("name", ["input.nn", "scaling.data", "weights.029.data"])
    def test_binary_file(self, folder: Path, name: str) -> None:
        (folder / name).write_bytes(b"\x93\xff\xfe\x00")
        with pytest.raises(ModelError, match=rf"{re.escape(name)}: this is no text file"):
            read_n2p2(folder)

    @pytest.mark.parametrize("name", ["scaling.data", "weights.029.data", "weights.079.data"])
    def test_truncated_file_at_every_line(self, folder: Path, name: str) -> None:
        path = folder / name
        lines = path.read_text().splitlines(keepends=True)
        for count in range(len(lines)):
            path.write_text("".join(lines[:count]))
            with pytest.raises(ModelError, match=rf"{re.escape(name)}, line {count}: "):
                read_n2p2(folder)

    @pytest.mark.parametrize(
        ("name", "line", "text", "message"),
        [
            ("weights.029.data", 3, "nan a 2", "'nan' is no finite number"),
            ("weights.029.data", 3, "0.5.5 a 2", "'0.5.5' is no finite number"),
            ("weights.029.data", 3, "-inf a 2", "'-inf' is no finite number"),
            ("weights.029.data", 3, "0.5 b 2", "expected a weight"),
            ("weights.029.data", 18, "0.5 a 2", "expected a bias"),
            ("scaling.data", 3, "1 2 0.0 NaN 0.1 0.1", "'NaN' is no finite number"),
            ("scaling.data", 3, "1 2 0.0 2.0", "5 or 6 values"),
            ("scaling.data", 3, "1 3 0.0 2.0 1.0 1.0", "expected element 1, function 2; found 1 3"),
            ("scaling.data", 3, "1 2 2.0 2.0 2.0 0.0", "cannot be scaled"),
            ("scaling.data", 12, "1 9 0.0 2.0 1.0 1.0", "more rows"),
        ],
    )
    def test_bad_lines(self, folder: Path, name: str, line: int, text: str, message: str) -> None:
        path = folder / name
        lines = path.read_text().splitlines()
        lines[line - 1 : line] = [text]
        path.write_text("\n".join(lines) + "\n")
        with pytest.raises(ModelError, match=rf"{re.escape(name)}, line {line}: .*{message}"):
            read_n2p2(folder)

    def test_too_many_weights(self, folder: Path) -> None:
        with (folder / "weights.079.data").open("a") as file:
            file.write("0.5 b\n")
        with pytest.raises(ModelError, match=r"a network 2-2-1 for Au has 9 .* the file has 10"):
            read_n2p2(folder)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def same(first: Model, second: Model) -> bool:
    return first.to_bytes() == second.to_bytes()


@pytest.mark.parametrize("units", ["bohr-hartree", "angstrom-ev"])
def test_their_model_comes_back(folder: Path, tmp_path: Path, units: str) -> None:
    text = "mean_energy -25.0\nconv_energy 200.0\nconv_length 5.8\ncutoff_type"
    change(folder / "input.nn", "cutoff_type", text)
    model = read_n2p2(folder, units="bohr-hartree" if units == "bohr-hartree" else None)
    write_n2p2(model, tmp_path / "1")
    once = read_n2p2(tmp_path / "1")
    assert once.functions == model.functions
    assert once.facts["descriptor_range"] == model.facts["descriptor_range"]
    for symbol in ("Au", "Cu"):
        own = tuple(bare(f) for f in model.symmetry_functions.of(symbol))
        wanted = energy(model, symbol, drawn(own))
        assert energy(once, symbol, drawn(own)) == pytest.approx(wanted, rel=1e-14)
    write_n2p2(once, tmp_path / "2")
    assert same(read_n2p2(tmp_path / "2"), once)
    assert contents(tmp_path / "2") == contents(tmp_path / "1")


def test_functions_of_few_elements_are_padded(folder: Path) -> None:
    model = read_n2p2(folder)
    assert isinstance(model.functions, FunctionSet)
    matrix = model.weights["Au"][0][0][0]
    assert matrix.shape == (len(COPPER), 2)
    assert not matrix[len(GOLD) :].any()
    assert not model.mean[0, len(GOLD) :].any()
    assert (model.scale[0, len(GOLD) :] == 1.0).all()
