"""Model files: every bit back, and never a number from a bad file."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.numpy import load, save

from aga.errors import ModelError
from aga.potential.files import SCHEMA
from aga.potential.guard import Repulsion
from aga.potential.model import Model
from aga.potential.network import initialise
from aga.potential.symmetry.presets import automatic
from aga.rng import stream


@pytest.fixture
def model() -> Model:
    functions = automatic(["O", "Ti"], 5.0)
    generator = torch.Generator().manual_seed(5)
    rng = stream(1, "model")
    return Model(
        functions=functions,
        hidden=(4, 3),
        activation="tanh",
        weights={el: initialise(functions.size, (4, 3), generator) for el in ("O", "Ti")},
        mean=rng.normal(size=(2, functions.size)),
        scale=rng.uniform(0.1, 2.0, (2, functions.size)),
        reference_energies=np.array([-432.1, -1e-300]),
        energy_scale=1 / 3,
        repulsion=Repulsion(functions.elements),
        facts={"member": 2, "metrics": {"energy_mae": 0.1 + 0.2, "stress_mae": None}},
    )


def header_of(data: bytes) -> dict:
    length = int.from_bytes(data[:8], "little")
    return json.loads(json.loads(data[8 : 8 + length])["__metadata__"]["aga"])


def with_header(data: bytes, **changes: object) -> bytes:
    header = header_of(data) | changes
    return save(load(data), metadata={"aga": json.dumps(header)})


def test_every_bit_comes_back(model: Model) -> None:
    back = Model.from_bytes(model.to_bytes())
    assert back.functions == model.functions
    assert (back.hidden, back.activation, back.facts) == (model.hidden, "tanh", model.facts)
    assert back.energy_scale == model.energy_scale
    for name, array in model.arrays().items():
        assert back.arrays()[name].tobytes() == array.tobytes(), name
    assert back.to_bytes() == model.to_bytes()


def test_equal_models_give_equal_bytes(model: Model) -> None:
    again = replace(model, weights=dict(reversed(list(model.weights.items()))))
    assert again.to_bytes() == model.to_bytes()
    assert replace(model, energy_scale=0.5).to_bytes() != model.to_bytes()


def test_a_truncated_file_is_refused(model: Model) -> None:
    data = model.to_bytes()
    for length in [0, 1, 7, 8, 9, 100, len(data) // 2, len(data) - 8, len(data) - 1]:
        with pytest.raises(ModelError, match=r"no model file|truncated"):
            Model.from_bytes(data[:length])


def test_a_file_of_something_else_is_refused() -> None:
    for data in (b"hello, this is no model at all", save({"x": np.ones(3)}), b"\x00" * 64):
        with pytest.raises(ModelError, match="no model file"):
            Model.from_bytes(data)


def test_a_changed_number_is_noticed(model: Model) -> None:
    data = bytearray(model.to_bytes())
    data[-3] ^= 1
    with pytest.raises(ModelError, match="checksum"):
        Model.from_bytes(bytes(data))


def test_a_changed_description_is_noticed(model: Model) -> None:
    data = model.to_bytes()
    content = header_of(data)["content"] | {"activation": "silu"}
    with pytest.raises(ModelError, match="checksum"):
        Model.from_bytes(with_header(data, content=content))


def test_a_newer_schema_is_refused(model: Model) -> None:
    with pytest.raises(ModelError, match=f"schema {SCHEMA + 1}") as caught:
        Model.from_bytes(with_header(model.to_bytes(), schema=SCHEMA + 1))
    assert caught.value.remedy == "upgrade aga"


def test_an_element_without_a_network_is_refused(
    model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ModelError, match="no network for Ti"):
        replace(model, weights={"O": model.weights["O"]})
    arrays = {k: v for k, v in model.arrays().items() if not k.startswith("Ti.")}
    header = header_of(model.to_bytes())
    monkeypatch.setattr("aga.potential.files._checksum", lambda *_: header["sha256"])
    data = save(arrays, metadata={"aga": json.dumps(header)})
    with pytest.raises(ModelError, match="no network for Ti"):
        Model.from_bytes(data)


def test_the_repulsion_is_stored(model: Model) -> None:
    assert Model.from_bytes(model.to_bytes()).repulsion == model.repulsion
    without = replace(model, repulsion=None)
    assert Model.from_bytes(without.to_bytes()).repulsion is None
    narrow = replace(model, repulsion=Repulsion(model.functions.elements, 0.3, 0.5))
    assert Model.from_bytes(narrow.to_bytes()).repulsion == narrow.repulsion


def test_an_unknown_repulsion_is_refused(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Repulsion, "to_dict", lambda _: {"kind": "another"})
    with pytest.raises(ModelError, match="another"):
        Model.from_bytes(model.to_bytes())


@pytest.mark.parametrize("name", ["mean", "scale", "reference_energies"])
def test_numbers_that_are_not_finite_are_refused(model: Model, name: str) -> None:
    array = getattr(model, name).copy()
    array.flat[0] = np.nan
    with pytest.raises(ModelError, match=f"{name} is not finite"):
        replace(model, **{name: array})


def test_arrays_that_do_not_fit_are_refused(model: Model) -> None:
    with pytest.raises(ModelError, match="do not fit"):
        replace(model, hidden=(4, 5))
    with pytest.raises(ModelError, match="do not fit"):
        replace(model, mean=model.mean[:, :-1])
    with pytest.raises(ModelError, match="above 0"):
        replace(model, scale=-model.scale)
