"""What the committees of a search said of structures before these were labelled."""

from __future__ import annotations

from typing import NamedTuple

from aga.errors import NotFoundError
from aga.potential.atoms import predict_many
from aga.potential.device.choice import Device
from aga.store.repository import Repository
from aga.structure.protocols import Frame, Prediction
from aga.tasks.steps.learn import load_committee

__all__ = ["Foretold", "foretold"]


class Foretold(NamedTuple):
    """Labelled frames, and what the committee trained before them says of each."""

    frames: list[Frame]
    predictions: list[Prediction]
    members: int


def foretold(repository: Repository, search_id: str, *, device: Device = "cpu") -> Foretold:
    """Predict the frames of each dataset by the committee trained on the dataset before.

    No committee has seen the frames that it is asked about, and they are those that the search
    needed to know: the fairest test of its spread that costs no label.

    Parameters
    ----------
    repository, search_id
        Where the search is.
    device
        Where to compute.

    Raises
    ------
    aga.errors.NotFoundError
        No frame was labelled after a committee was trained.
    aga.errors.SiteError
        A GPU is wanted and there is none.
    """
    trained = {card["dataset"]: card["version"] for card in repository.list_committees(search_id)}
    found = Foretold([], [], 0)
    for manifest in repository.list_datasets(search_id):
        version = trained.get(manifest["parent"])
        if version is None or not manifest["added"]:
            continue
        names = [identifier.removeprefix(f"{search_id}/") for identifier in manifest["added"]]
        frames = repository.frames(search_id, names)
        committee = load_committee(repository, search_id, version, device=device)
        found.frames.extend(frames)
        found.predictions.extend(predict_many(committee, [frame.candidate for frame in frames]))
        found = found._replace(members=len(committee))
    if not found.frames:
        raise NotFoundError(
            f"search {search_id} has no frame that was labelled after a committee was trained",
            remedy="wait for its next iteration, or name frames with --frames",
            search=search_id,
        )
    return found
