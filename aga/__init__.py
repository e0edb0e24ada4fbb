"""aga: adaptive genetic algorithm crystal structure search with neural network potentials."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aga.store.handle import SearchHandle

__version__ = "0.1.0"

__all__ = ["__version__", "open_search"]


def open_search(uri: str | None = None, search_id: str | None = None) -> SearchHandle:
    """Open one search of a database for reading.

    Parameters
    ----------
    uri
        ``mongodb://…`` address; the address of the machine settings where None.
    search_id
        Identifier of the search; the newest search of the database where None.

    Returns
    -------
    SearchHandle
        Its ``best(n)`` gives the structures found, lowest enthalpy first.

    Raises
    ------
    aga.errors.DatabaseUnavailableError
        The database does not answer.
    aga.errors.NotFoundError
        There is no such search.
    """
    from aga.store.handle import open_search as _open  # noqa: PLC0415 - keeps `import aga` light

    return _open(uri, search_id)
