"""Find the database and connect to it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pymongo import MongoClient
from pymongo.database import Database
from pymongo.errors import InvalidURI, PyMongoError
from pymongo.uri_parser import parse_uri

from aga.errors import DatabaseUnavailableError, InputError
from aga.store.documents import Document
from aga.store.retry import redact, translate
from aga.store.server import status

__all__ = ["DEFAULT_NAME", "ENVIRONMENT", "connect", "database_name", "find_uri"]

DEFAULT_NAME = "aga"
"""Name of the database where the address names none."""

ENVIRONMENT = "AGA_DATABASE"
"""Environment variable with the address of the database."""

_SELECTION_TIMEOUT = 5000
_SOCKET_TIMEOUT = 60_000

_REMEDY = (
    "`aga db start` starts the embedded server; a real one is named by --database "
    "mongodb://host:port/name, --launchpad FILE, or the environment variable AGA_DATABASE"
)


def connect(uri: str | None = None, launchpad: Path | None = None) -> Database[Document]:
    """Connect to the database and see that it answers.

    Looked for in this order: ``uri``; ``launchpad``; the environment variable
    ``AGA_DATABASE``; the embedded server, if it runs.

    Parameters
    ----------
    uri
        ``mongodb://[user:password@]host:port/name``; the name is ``aga`` where none is given.
    launchpad
        FireWorks' ``my_launchpad.yaml``.

    Returns
    -------
    pymongo.database.Database
        Plain, as FireWorks wants it too (times without zone). A process that forks has to
        connect again in the child.

    Raises
    ------
    aga.errors.DatabaseUnavailableError
        No database is named and no server runs, or it does not answer within 5 seconds.
    aga.errors.InputError
        The address or the launchpad file is wrong, or the user is refused.
    """
    extra: dict[str, Any] = {}
    if uri is None and launchpad is not None:
        uri, name, extra = read_launchpad(launchpad)
    else:
        uri = find_uri(uri)
        name = database_name(uri)
    try:
        client: MongoClient[Document] = MongoClient(uri, **(_defaults(uri) | extra))
        client.admin.command("ping")
    except PyMongoError as error:
        raise _unreachable(uri, error) from error
    except (TypeError, ValueError) as error:  # what pymongo says of options it doesn't know
        raise InputError(f"{redact(uri)}: {redact(str(error))}") from error
    return client[name]


def find_uri(uri: str | None = None) -> str:
    """Give the address that :func:`connect` uses.

    Raises
    ------
    aga.errors.DatabaseUnavailableError
        None is given, ``AGA_DATABASE`` is empty and the embedded server does not run.
    """
    address = uri or os.environ.get(ENVIRONMENT)
    if address:
        return address
    embedded = status()
    if embedded.running and embedded.uri:
        return embedded.uri
    raise DatabaseUnavailableError(
        f"no database is named, and the embedded server in {embedded.directory} is not running",
        remedy=_REMEDY,
        directory=str(embedded.directory),
    )


def database_name(uri: str) -> str:
    """Give the name of the database in an address; ``aga`` where it names none.

    Raises
    ------
    aga.errors.InputError
        The address can't be read.
    """
    try:
        return str(parse_uri(uri, validate=False)["database"] or DEFAULT_NAME)
    except (InvalidURI, PyMongoError, ValueError) as error:
        raise InputError(
            f"{redact(uri)} is not the address of a database: {redact(str(error))}",
            remedy="write mongodb://host:port/name",
        ) from error


def read_launchpad(path: Path) -> tuple[str, str, dict[str, Any]]:
    """Read FireWorks' ``my_launchpad.yaml``.

    Parameters
    ----------
    path
        The file; ``host`` may be a full address (``uri_mode``).

    Returns
    -------
    uri : str
        Address without the password.
    name : str
        Name of the database.
    options : dict
        Options of ``MongoClient``: user, password and those of ``mongoclient_kwargs``.

    Raises
    ------
    aga.errors.InputError
        The file is missing or is not a launchpad.
    """
    from ruamel.yaml import YAML  # noqa: PLC0415 - most commands read no such file
    from ruamel.yaml.error import YAMLError  # noqa: PLC0415

    try:
        data = YAML(typ="safe").load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(
            f"{path}: {error.strerror}",
            remedy="`lpad init` writes a launchpad file; hpc/ has an example",
        ) from error
    except (YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not YAML: {error}") from error
    if not isinstance(data, Mapping):
        raise InputError(f"{path}: not a launchpad file: expected keys such as host and name")
    options = dict(data.get("mongoclient_kwargs") or {})
    host = str(data.get("host") or "localhost")
    if data.get("uri_mode") or host.startswith(("mongodb://", "mongodb+srv://")):
        return host, str(data.get("name") or database_name(host)), options
    name = str(data.get("name") or "fireworks")
    if data.get("username"):
        options |= {
            "username": str(data["username"]),
            "password": str(data.get("password") or ""),
            "authSource": str(data.get("authsource") or name),
        }
    return f"mongodb://{host}:{int(data.get('port') or 27017)}/", name, options


def _defaults(uri: str) -> dict[str, Any]:
    """Give our options, without those that the address sets itself."""
    options = {
        "serverSelectionTimeoutMS": _SELECTION_TIMEOUT,
        "socketTimeoutMS": _SOCKET_TIMEOUT,
        "appname": "aga",
    }
    return {key: value for key, value in options.items() if f"{key}=".lower() not in uri.lower()}


def _unreachable(uri: str, error: PyMongoError) -> Exception:
    known = translate(error)
    if not isinstance(known, DatabaseUnavailableError):
        return known or DatabaseUnavailableError(f"{redact(uri)}: {redact(str(error))}")
    reason = redact(str(error)).split(" (configured timeouts")[0].split(", Timeout:")[0]
    return DatabaseUnavailableError(
        f"the database at {redact(uri)} does not answer: {reason}",
        remedy=_REMEDY,
        uri=redact(uri),
    )
