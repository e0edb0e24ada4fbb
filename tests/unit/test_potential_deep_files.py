"""Files of Deep Potential models: every bit back, the right kind, and no number from a bad one."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.numpy import load, save

from aga.errors import ModelError
from aga.potential.deep.frame import LocalFrame
from aga.potential.deep.model import DeepModel, DeepStandard, network_names
from aga.potential.deep.network import draw_embedding
from aga.potential.deep.smooth import DeepSmooth
from aga.potential.files import SCHEMA, read_model, write_model
from aga.potential.guard import Repulsion
from aga.potential.kinds import load_model
from aga.potential.model import Model
from aga.potential.network import initialise
from aga.potential.symmetry.presets import automatic
from aga.rng import stream

ELEMENTS = ("O", "Ti")
DESCRIPTOR = DeepSmooth(elements=ELEMENTS, cutoff=5.0, inner=1.0, embedding=(5, 6), axis=2)


@pytest.fixture
def model() -> DeepModel:
    generator, rng = torch.Generator().manual_seed(5), stream(1, "model")
    return DeepModel(
        descriptor=DESCRIPTOR,
        hidden=(4, 3),
        activation="tanh",
        weights={
            name: draw_embedding(DESCRIPTOR, generator)
            if "-" in name
            else initialise(DESCRIPTOR.size, (4, 3), generator)
            for name in network_names(ELEMENTS)
        },
        standard=DeepStandard(
            s_mean=rng.normal(size=(2, 2)),
            s_scale=rng.uniform(0.1, 2.0, (2, 2)),
            gain=rng.uniform(0.1, 2.0, (2, 2)),
            offset=rng.normal(size=(2, 6)),
            mean=rng.normal(size=(2, DESCRIPTOR.size)),
            scale=rng.uniform(0.1, 2.0, (2, DESCRIPTOR.size)),
            reference_energies=np.array([-432.1, -1e-300]),
            energy_scale=1 / 3,
        ),
        repulsion=Repulsion(ELEMENTS),
        facts={"member": 2, "metrics": {"energy_mae": 0.1 + 0.2, "stress_mae": None}},
    )


def plain(functions: object) -> Model:
    size = functions.size  # type: ignore[attr-defined] # either kind of functions
    generator = torch.Generator().manual_seed(5)
    return Model(
        functions=functions,  # type: ignore[arg-type] # either kind of functions
        hidden=(4,),
        activation="tanh",
        weights={el: initialise(size, (4,), generator) for el in ELEMENTS},
        mean=np.zeros((2, size)),
        scale=np.ones((2, size)),
        reference_energies=np.zeros(2),
        energy_scale=1.0,
        repulsion=None,
    )


FRAME = LocalFrame(elements=ELEMENTS, cutoff=5.0, neighbours=(3, 2), information="radial")


def header_of(data: bytes) -> dict:
    length = int.from_bytes(data[:8], "little")
    return json.loads(json.loads(data[8 : 8 + length])["__metadata__"]["aga"])


def test_every_bit_comes_back(model: DeepModel) -> None:
    back = load_model(model.to_bytes())
    assert isinstance(back, DeepModel)
    assert (back.descriptor, back.hidden, back.activation) == (DESCRIPTOR, (4, 3), "tanh")
    assert (back.facts, back.repulsion) == (model.facts, model.repulsion)
    assert back.standard.energy_scale == model.standard.energy_scale
    for name, array in model.arrays().items():
        assert back.arrays()[name].tobytes() == array.tobytes(), name
    assert back.to_bytes() == DeepModel.from_bytes(model.to_bytes()).to_bytes() == model.to_bytes()


@pytest.mark.parametrize("functions", [FRAME, automatic(ELEMENTS, 5.0)])
def test_every_kind_is_read_as_what_it_is(functions: object) -> None:
    model = plain(functions)
    back = load_model(model.to_bytes())
    assert isinstance(back, Model)
    assert back.functions == functions
    assert back.to_bytes() == model.to_bytes()


def test_a_model_is_read_only_as_its_own_kind(model: DeepModel) -> None:
    with pytest.raises(ModelError, match="kind 'deep_smooth'"):
        Model.from_bytes(model.to_bytes())
    with pytest.raises(ModelError, match="kind 'deep_local_frame'"):
        DeepModel.from_bytes(plain(FRAME).to_bytes())
    with pytest.raises(ModelError, match="descriptor is deep_local_frame"):
        _ = plain(FRAME).symmetry_functions
    assert plain(automatic(ELEMENTS, 5.0)).symmetry_functions.size > 0


def test_an_unknown_kind_is_refused(model: DeepModel) -> None:
    content, arrays = read_model(model.to_bytes())
    for kind in ("graph", None, 3):
        with pytest.raises(ModelError, match="this version knows deep_local_frame, deep_smooth"):
            load_model(write_model(content | {"kind": kind}, arrays))
    del content["kind"]
    with pytest.raises(ModelError, match="kind None"):
        load_model(write_model(content, arrays))


def test_truncated_changed_and_newer_files_are_refused(model: DeepModel) -> None:
    data = model.to_bytes()
    for length in [0, 7, 8, 100, len(data) // 2, len(data) - 1]:
        with pytest.raises(ModelError, match=r"no model file|truncated"):
            load_model(data[:length])
    changed = bytearray(data)
    changed[-3] ^= 1
    with pytest.raises(ModelError, match="checksum"):
        load_model(bytes(changed))
    header = header_of(data)
    newer = save(load(data), metadata={"aga": json.dumps(header | {"schema": SCHEMA + 1})})
    with pytest.raises(ModelError, match=f"schema {SCHEMA + 1}"):
        load_model(newer)
    other = save(load(data), metadata={"aga": json.dumps(header | {"content": []})})
    with pytest.raises(ModelError, match="checksum"):
        load_model(other)


def test_what_is_missing_in_a_file_is_named(model: DeepModel) -> None:
    content, arrays = read_model(model.to_bytes())
    for name in ("O-Ti", "Ti"):
        left = {key: array for key, array in arrays.items() if not key.startswith(f"{name}.")}
        with pytest.raises(ModelError, match=f"no network for {name}"):
            load_model(write_model(content, left))
    with pytest.raises(ModelError, match="s_mean"):
        load_model(write_model(content, {k: a for k, a in arrays.items() if k != "s_mean"}))
    nonsense = content | {"descriptor": content["descriptor"] | {"cutoff": 0.0}}
    with pytest.raises(ModelError, match="range"):
        load_model(write_model(nonsense, arrays))
    wide = arrays | {"mean": np.ones((2, 3))}
    with pytest.raises(ModelError, match="do not fit"):
        load_model(write_model(content, wide))


def test_models_of_nonsense_are_refused(model: DeepModel) -> None:
    with pytest.raises(ModelError, match="no network for Ti-O"):
        replace(model, weights={k: w for k, w in model.weights.items() if k != "Ti-O"})
    with pytest.raises(ModelError, match="do not fit"):
        replace(model, hidden=(4, 5))
    with pytest.raises(ModelError, match="activation"):
        replace(model, activation="step")  # type: ignore[arg-type] # the point of the test
    for name in model.standard.arrays():
        bad = getattr(model.standard, name).copy()
        bad.flat[0] = np.nan
        with pytest.raises(ModelError, match=f"{name} is not finite"):
            replace(model, standard=replace(model.standard, **{name: bad}))
    for name in ("scale", "s_scale", "gain"):
        flipped = replace(model.standard, **{name: -getattr(model.standard, name)})
        with pytest.raises(ModelError, match="above 0"):
            replace(model, standard=flipped)
