"""Blobs: files too large for documents, named by the SHA-256 of their content."""

from __future__ import annotations

import hashlib

from gridfs import GridFS
from gridfs.errors import CorruptGridFile, FileExists
from pymongo import ASCENDING
from pymongo.errors import DuplicateKeyError

from aga.errors import ModelError, NotFoundError
from aga.store.base import DURABLE, Store

__all__ = ["Blobs"]

_BUCKET = "aga_blobs"


class Blobs(Store):
    """The GridFS bucket ``aga_blobs``; equal contents are stored once."""

    def ensure_indexes(self) -> None:
        """Create the indexes; those that exist stay as they are."""
        super().ensure_indexes()
        files = self.database[f"{_BUCKET}.files"]
        self.write(lambda: files.create_index([("filename", ASCENDING)], unique=True))

    def put_blob(self, content: bytes) -> str:
        """Store bytes and give their SHA-256; what is stored already is not stored again."""
        digest = hashlib.sha256(content).hexdigest()
        bucket = self._bucket()

        def put() -> None:
            # Each upload has an identifier of its own: the pieces of one that was cut off by
            # a crash can't collide with the next try's.
            if bucket.find_one({"filename": digest}) is None:
                try:
                    bucket.put(content, filename=digest)
                except (DuplicateKeyError, FileExists):
                    return  # another process stored it meanwhile

        self.write(put)
        return digest

    def get_blob(self, digest: str) -> bytes:
        """Give stored bytes.

        Raises
        ------
        aga.errors.NotFoundError
            There are none of this hash.
        aga.errors.ModelError
            What the database holds has another hash: it was damaged.
        """
        bucket = self._bucket()

        def get() -> bytes | None:
            found = bucket.find_one({"filename": digest})
            try:
                return None if found is None else bytes(found.read())
            except CorruptGridFile:
                return b""  # pieces are missing: the checksum says so

        content = self.read(get)
        if content is None:
            raise NotFoundError(f"the database holds no blob {digest}", blob=digest)
        if hashlib.sha256(content).hexdigest() != digest:
            raise ModelError(
                f"blob {digest[:12]}… is damaged: its checksum does not fit",
                remedy="restore the database from a backup, or train the committee again",
                blob=digest,
            )
        return content

    def _bucket(self) -> GridFS:
        return GridFS(self.database.with_options(write_concern=DURABLE), collection=_BUCKET)
