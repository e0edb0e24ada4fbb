"""The AFLOW library of crystal structure types, as it ships with pymatgen.

Mehl et al., Comput. Mater. Sci. 136, S1 (2017). The file is read as it stands: importing pymatgen's
module for it takes seconds.
"""

from __future__ import annotations

import gzip
import json
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from aga.errors import SiteError

__all__ = ["aflow_entries"]

_FILES = ("aflow_prototypes.json.gz", "aflow_prototypes.json")


@lru_cache(maxsize=1)
def aflow_entries() -> tuple[dict[str, Any], ...]:
    """Read the library, in the order of the file.

    Each entry has ``tags`` (``aflow``, ``mineral``, ``pearson``, ``strukturbericht``) and ``snl``,
    its crystal: ``lattice.matrix`` in Å and ``sites`` with ``species`` and fractions ``abc``.

    Raises
    ------
    aga.errors.SiteError
        Pymatgen ships none, or one that can't be read.
    """
    spec = find_spec("pymatgen")
    places = [Path(p) / "analysis" for p in (spec.submodule_search_locations or ())] if spec else []
    files = [path for place in places for name in _FILES for path in sorted(place.rglob(name))]
    try:
        raw = files[0].read_bytes()
        return tuple(json.loads(gzip.decompress(raw) if files[0].suffix == ".gz" else raw))
    except (IndexError, OSError, ValueError) as error:
        raise SiteError(
            "pymatgen's library of prototypes can't be read: "
            f"{files[0] if files else 'it is not there'}",
            remedy="install pymatgen again",
        ) from error
