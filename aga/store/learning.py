"""What the committee learns from, and the committees: frames, datasets, committee cards.

All of it is immutable. A dataset is a manifest (its parent and the frames it adds), so that
every committee can be traced to the exact frames it was trained on.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from pymongo import ASCENDING, DESCENDING, UpdateOne

from aga.errors import NotFoundError
from aga.store.base import Store
from aga.store.documents import SCHEMA, Document, plain, utcnow
from aga.structure.candidate import FloatArray
from aga.structure.fingerprint import fingerprint
from aga.structure.protocols import Frame

__all__ = ["Learning"]


class Learning(Store):
    """The collections ``aga_frames``, ``aga_datasets`` and ``aga_committees``."""

    def put_frame(
        self, search_id: str, iteration: int, frame: Frame, *, pending: bool = True
    ) -> bool:
        """Add a labelled structure; one of the same name stays as it is. True if it is new."""
        return self.put_frames(search_id, iteration, [frame], pending=pending) == 1

    def put_frames(
        self, search_id: str, iteration: int, frames: Sequence[Frame], *, pending: bool = True
    ) -> int:
        """Add labelled structures; those that exist stay as they are. Gives how many are new.

        ``pending`` frames wait for the next dataset; the others join none.
        """
        documents = [
            {
                "_id": f"{search_id}/{frame.name}",
                "schema": SCHEMA,
                "search_id": search_id,
                "name": frame.name,
                "iteration": iteration,
                "frame": plain(frame.to_dict(), finite=False),
                "focal_weights": {},
                "pending": pending,
                "fingerprint": fingerprint(frame.candidate).tolist(),
            }
            for frame in frames
        ]
        return self.insert_new("frames", documents)

    def frames(self, search_id: str, names: Iterable[str] | None = None) -> list[Frame]:
        """Give frames, sorted by name.

        Parameters
        ----------
        search_id
            The search.
        names
            None for all frames of the search.

        Raises
        ------
        aga.errors.NotFoundError
            A name has no frame.
        """
        query: Document = {"search_id": search_id}
        wanted = None if names is None else set(names)
        if wanted is not None:
            query["_id"] = {"$in": [f"{search_id}/{name}" for name in sorted(wanted)]}
        found = {doc["name"]: doc["frame"] for doc in self.find("frames", query)}
        if wanted is not None and len(found) < len(wanted):
            missing = sorted(wanted - set(found))
            raise NotFoundError(
                f"search {search_id} has no frame {', '.join(missing[:5])}", frames=missing
            )
        return [Frame.from_dict(found[name]) for name in sorted(found)]

    def frame_fingerprints(self, search_id: str) -> dict[str, FloatArray]:
        """Give the fingerprints of the labelled structures, by name."""
        source, fields = self.collection("frames"), ["name", "fingerprint"]
        found = self.read(lambda: list(source.find({"search_id": search_id}, fields)))
        return {d["name"]: np.array(d["fingerprint"]) for d in found if "fingerprint" in d}

    def count_pending(self, search_id: str) -> int:
        """Count the labelled structures that no dataset holds yet."""
        source, query = self.collection("frames"), {"search_id": search_id, "pending": True}
        return self.read(lambda: source.count_documents(query))

    def pending_frames(self, search_id: str) -> list[str]:
        """Give the names of the labelled structures that no dataset holds yet, sorted."""
        source, query = self.collection("frames"), {"search_id": search_id, "pending": True}
        return sorted(doc["name"] for doc in self.read(lambda: list(source.find(query, ["name"]))))

    def record_weights(
        self, search_id: str, version: int, member: int, weights: Mapping[str, float]
    ) -> None:
        """Remember with which focal weight each frame was last trained into a member.

        Frames that the member set aside for validation have no weight in it.
        """
        key = f"focal_weights.v{version:03d}.m{member}"
        self.bulk(
            "frames",
            [
                UpdateOne({"_id": f"{search_id}/{name}"}, {"$set": {key: plain(weight)}})
                for name, weight in weights.items()
            ],
        )

    def commit_dataset(
        self, search_id: str, version: int, parent: int | None, names: Iterable[str]
    ) -> Document:
        """Commit a dataset: the frames of its parent and those named.

        A version that exists stays as it is: whoever commits first decides.

        Parameters
        ----------
        search_id
            The search.
        version, parent
            Numbers of the dataset and of the one it grows from (None: from nothing).
        names
            Names of frames; those that the parent holds already are left away.

        Returns
        -------
        dict
            The manifest as stored, with ``added``, ``count`` and ``hash`` (SHA-256 of the
            parent's hash and of the added frames).

        Raises
        ------
        aga.errors.NotFoundError
            The parent or a frame does not exist.
        """
        before = None if parent is None else self.get_dataset(search_id, parent)
        held = set() if parent is None else set(self.dataset_names(search_id, parent))
        added = sorted(set(names) - held)
        content = hashlib.sha256((before["hash"] if before else "").encode())
        for frame in self.frames(search_id, added):
            content.update(json.dumps(frame.to_dict(), sort_keys=True).encode())
        manifest = {
            "_id": f"{search_id}/d{version:03d}",
            "schema": SCHEMA,
            "search_id": search_id,
            "version": version,
            "parent": parent,
            "added": [f"{search_id}/{name}" for name in added],
            "count": len(held) + len(added),
            "hash": content.hexdigest(),
            "created": utcnow(),
        }
        self.insert_new("datasets", [manifest])
        stored = self.get_dataset(search_id, version)
        held_now = [
            UpdateOne({"_id": one}, {"$set": {"pending": False}}) for one in stored["added"]
        ]
        self.bulk("frames", held_now)
        return stored

    def get_dataset(self, search_id: str, version: int) -> Document:
        """Give the manifest of a dataset.

        Raises
        ------
        aga.errors.NotFoundError
            There is none of this version.
        """
        return self._card("datasets", search_id, f"d{version:03d}")

    def dataset_names(self, search_id: str, version: int) -> list[str]:
        """Give the names of all frames of a dataset, its parents' included, sorted."""
        query = {"search_id": search_id, "version": {"$lte": version}}
        cards = {doc["version"]: doc for doc in self.find("datasets", query)}
        names: list[str] = []
        at: int | None = version
        while at is not None:
            if at not in cards:
                raise NotFoundError(f"search {search_id} has no dataset d{at:03d}", version=at)
            names += [identifier.removeprefix(f"{search_id}/") for identifier in cards[at]["added"]]
            at = cards[at]["parent"]
        return sorted(names)

    def dataset_frames(self, search_id: str, version: int) -> list[Frame]:
        """Give all frames of a dataset, its parents' included, sorted by name.

        Raises
        ------
        aga.errors.NotFoundError
            There is no such dataset.
        """
        return self.frames(search_id, self.dataset_names(search_id, version))

    def commit_committee(self, search_id: str, version: int, card: Mapping[str, Any]) -> Document:
        """Commit a committee card; a version that exists stays as it is.

        Parameters
        ----------
        search_id, version
            The search and the number of the committee.
        card
            ``dataset`` (version), ``members`` (hashes of :meth:`put_blob`), ``metrics``,
            ``settings_digest``, ``seed``, ``code_version``.

        Returns
        -------
        dict
            The card as stored.
        """
        document = plain(dict(card)) | {
            "_id": f"{search_id}/v{version:03d}",
            "schema": SCHEMA,
            "search_id": search_id,
            "version": version,
            "created": utcnow(),
        }
        self.insert_new("committees", [document])
        return self.get_committee(search_id, version)

    def get_committee(self, search_id: str, version: int) -> Document:
        """Give a committee card.

        Raises
        ------
        aga.errors.NotFoundError
            There is none of this version.
        """
        return self._card("committees", search_id, f"v{version:03d}")

    def latest_committee(self, search_id: str) -> Document | None:
        """Give the newest committee card, None before the first training."""
        return self._latest("committees", search_id)

    def latest_dataset(self, search_id: str) -> Document | None:
        """Give the newest dataset manifest, None before the first."""
        return self._latest("datasets", search_id)

    def list_committees(self, search_id: str) -> list[Document]:
        """Give all committee cards, oldest first."""
        return self.find("committees", {"search_id": search_id}, [("version", ASCENDING)])

    def list_datasets(self, search_id: str) -> list[Document]:
        """Give all dataset manifests, oldest first."""
        return self.find("datasets", {"search_id": search_id}, [("version", ASCENDING)])

    def _latest(self, name: str, search_id: str) -> Document | None:
        source, order = self.collection(name), [("version", DESCENDING)]
        return self.read(lambda: source.find_one({"search_id": search_id}, sort=order))

    def _card(self, name: str, search_id: str, key: str) -> Document:
        found = self.get(name, f"{search_id}/{key}")
        if found is None:
            raise NotFoundError(
                f"search {search_id} has no {name.removesuffix('s')} {key}", search=search_id
            )
        return found
