"""Repeat database operations through short failures; name the long ones plainly."""

from __future__ import annotations

import errno
import re
from collections.abc import Callable
from typing import TypeVar

from pymongo.errors import (
    BulkWriteError,
    ConfigurationError,
    ConnectionFailure,
    OperationFailure,
    PyMongoError,
)
from tenacity import Retrying, retry_if_exception, stop_after_delay, wait_exponential

from aga.errors import AgaError, DatabaseUnavailableError, DiskFullError, InputError

__all__ = ["READ_PATIENCE", "WRITE_PATIENCE", "call", "redact", "translate"]

T = TypeVar("T")

WRITE_PATIENCE = 60.0
"""Seconds for which a write is repeated: a primary election or a server restart fits in."""

READ_PATIENCE = 15.0
"""Seconds for which a read is repeated."""

_DUPLICATE_KEY = 11000
_WRITE_CONFLICT = 112
_OUT_OF_DISK_SPACE = 14031
_AUTHENTICATION = {13, 18}

REMEDY = "`aga db start` starts the embedded server; otherwise check the address of the database"


def redact(text: str) -> str:
    """Hide user name and password in any ``mongodb://`` address of a text."""
    return re.sub(r"(mongodb(?:\+srv)?://)[^/\s]*@", r"\1***@", text)


def call(operation: Callable[[], T], *, patience: float) -> T:
    """Run a database operation, repeating it while the database is away for a moment.

    Parameters
    ----------
    operation
        Must be safe to repeat: an acknowledgement can get lost after the work was done.
    patience
        Seconds after which it is given up.

    Raises
    ------
    aga.errors.DatabaseUnavailableError
        The database did not answer for that long.
    aga.errors.DiskFullError
        The server's disk is full.
    aga.errors.InputError
        The server refuses the user or the address.
    """
    try:
        return _repeated(operation, patience)
    except PyMongoError as error:
        known = translate(error)
        if known is None:
            raise
        raise known from error


def _repeated(operation: Callable[[], T], patience: float) -> T:
    try:
        return operation()
    except PyMongoError as error:
        if not is_transient(error):
            raise
    retrying = Retrying(
        retry=retry_if_exception(is_transient),
        stop=stop_after_delay(patience),
        wait=wait_exponential(multiplier=0.05, max=3.0),
        reraise=True,
    )
    return retrying(operation)


def is_transient(error: BaseException) -> bool:
    """Tell whether the same operation may succeed a moment later."""
    if isinstance(error, BulkWriteError):
        codes = {entry.get("code") for entry in error.details.get("writeErrors", [])}
        # Two processes upserting one _id: the loser finds the document when it repeats.
        return bool(codes) and codes <= {_DUPLICATE_KEY, _WRITE_CONFLICT}
    if isinstance(error, OperationFailure):
        return error.code == _WRITE_CONFLICT or error.has_error_label("TransientTransactionError")
    return isinstance(error, ConnectionFailure)


def translate(error: PyMongoError) -> AgaError | None:
    """Give the error of aga that says what to do; None where there is none."""
    # What follows names the driver's own timeouts and objects.
    text = redact(str(error)).split(" (configured timeouts")[0].split(", Timeout:")[0]
    if _says_disk_full(error):
        return DiskFullError(
            f"the database server can't write: {text}",
            remedy="free some space on the disk of the database, then run the command again; "
            "everything stored so far is kept",
        )
    if isinstance(error, OperationFailure) and error.code in _AUTHENTICATION:
        return InputError(
            f"the database refuses the user: {text}",
            remedy="check user name, password and authSource",
        )
    if isinstance(error, ConnectionFailure):
        return DatabaseUnavailableError(f"the database does not answer: {text}", remedy=REMEDY)
    if isinstance(error, ConfigurationError):
        return InputError(
            f"the address of the database can't be used: {text}",
            remedy="write mongodb://host:port/name",
        )
    return None


def _says_disk_full(error: PyMongoError) -> bool:
    if isinstance(error, OperationFailure) and error.code == _OUT_OF_DISK_SPACE:
        return True
    text = str(error)
    return "No space left on device" in text or errno.errorcode[errno.ENOSPC] in text
