"""Pseudopotential files in the UPF format: what they are, and which belong together.

Energies of pseudopotentials made for different exchange-correlation functionals can't be
mixed, so all elements of a search get files of one functional.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from aga.errors import Problem
from aga.oracle.executables import PSEUDOPOTENTIALS

__all__ = ["Pseudopotential", "choose_pseudopotentials", "read_header"]

KEY = PSEUDOPOTENTIALS

_FUNCTIONALS = {
    "SLA PZ NOGX NOGC": "PZ",
    "SLA PW PBX PBC": "PBE",
    "SLA PW PBE PBE": "PBE",
    "SLA PW PSX PSC": "PBEsol",
    "PBESOL": "PBEsol",
}
_PREFERENCE = ("PBE", "PBEsol", "PZ")
_HEADER_BYTES = 200_000
_HEADER = re.compile(r"<PP_HEADER(.*?)(?:/>|</PP_HEADER>)", re.DOTALL)
_ATTRIBUTE = re.compile(r"(\w+)\s*=\s*(?:\"([^\"]*)\"|'([^']*)')")


@dataclass(frozen=True, slots=True, kw_only=True)
class Pseudopotential:
    """One UPF file.

    ``functional`` as PZ, PBE, PBEsol or the file's own words; ``kind`` NC, US or PAW;
    ``wfc_cutoff`` and ``rho_cutoff`` in Ry as the author suggests them (0: no suggestion);
    ``valence``: number of electrons; ``ordinary``: not one with spin-orbit coupling or a
    fractional charge.
    """

    path: Path
    element: str
    functional: str
    kind: str
    wfc_cutoff: float
    rho_cutoff: float
    valence: float
    ordinary: bool


def read_header(path: Path) -> Pseudopotential:
    """Read the header of a UPF file, of version 1 or 2.

    Raises
    ------
    ValueError
        It is not a UPF file.
    OSError
        It can't be read.
    """
    with path.open("rb") as file:
        text = file.read(_HEADER_BYTES).decode("utf-8", errors="replace")
    found = _HEADER.search(text)
    if found is None:
        raise ValueError(f"{path} is not a UPF pseudopotential")
    body = found.group(1)
    values = _version_1(body) if body.lstrip().startswith(">") else _version_2(body)
    try:
        charge = float(values["z_valence"].replace("D", "E"))
        words = " ".join(values["functional"].upper().split())
        return Pseudopotential(
            path=path,
            element=values["element"].strip().capitalize(),
            functional=_FUNCTIONALS.get(words, words),
            kind=_kind(values["pseudo_type"]),
            wfc_cutoff=float(values.get("wfc_cutoff") or 0),
            rho_cutoff=float(values.get("rho_cutoff") or 0),
            valence=charge,
            ordinary=values.get("has_so", "f").strip(". ").lower()[:1] != "t"
            and abs(charge - round(charge)) < 1e-6,
        )
    except (KeyError, ValueError) as error:
        raise ValueError(f"{path}: the UPF header can't be read ({error})") from error


def _kind(word: str) -> str:
    kind = word.strip().upper()
    return {"USPP": "US", "SL": "NC"}.get(kind, kind)


def _version_2(body: str) -> dict[str, str]:
    return {key: a or b for key, a, b in _ATTRIBUTE.findall(body)}


def _version_1(body: str) -> dict[str, str]:
    """Read the older form: one value a line, named behind it."""
    values: dict[str, str] = {}
    for line in body.splitlines():
        words = line.split()
        if "Exchange-Correlation" in line:
            values["functional"] = " ".join(words[:4])
        elif "Z valence" in line:
            values["z_valence"] = words[0]
        elif "Suggested cutoff" in line:
            values["wfc_cutoff"], values["rho_cutoff"] = words[:2]
        elif line.rstrip().endswith("Element"):
            values["element"] = words[0]
        elif "pseudopotential" in line.lower() and "pseudo_type" not in values:
            values["pseudo_type"] = words[0]
    return values


def choose_pseudopotentials(
    named: Mapping[str, str], folder: Path, elements: Iterable[str], functional: str | None
) -> tuple[dict[str, Pseudopotential], list[Problem]]:
    """Give one file for each element, all of one functional, and what stands in the way.

    Parameters
    ----------
    named
        Files the user has named, by element.
    folder
        Where they are; searched for the other elements.
    elements
        Element symbols.
    functional
        PBE, PBEsol, PZ; None: the first of these that every element has.
    """
    if not folder.is_dir():
        message = f"{folder} is not a folder"
        hint = "the folder of UPF files; see https://www.quantum-espresso.org/pseudopotentials"
        return {}, [Problem(key="machine.pseudo_dir", message=message, hint=hint)]
    there = {element: _candidates(folder, element) for element in sorted(set(elements))}
    chosen: dict[str, Pseudopotential] = {}
    problems: list[Problem] = []
    for element, files in there.items():
        if element not in named:
            if not files:
                message = f"no UPF file for {element} in {folder}"
                problems.append(_missing(element, message, files, None))
            continue
        try:
            chosen[element] = _named(folder, element, named[element])
        except (OSError, ValueError) as error:
            problems.append(_missing(element, str(error), files, named[element]))
    if problems:
        return chosen, problems
    open_elements = {el: files for el, files in there.items() if el not in chosen}
    wanted = {p.functional for p in chosen.values()} | ({functional} if functional else set())
    if len(wanted) > 1:
        return chosen, [_mixed(chosen, functional)]
    return _complete(chosen, open_elements, next(iter(wanted), None), folder)


def _candidates(folder: Path, element: str) -> list[Pseudopotential]:
    """Give the readable files of an element, the preferred ones first."""
    name = re.compile(rf"{element}[._-].*\.upf$|{element}\.upf$", re.IGNORECASE)
    found = []
    for path in sorted(folder.iterdir()):
        if name.match(path.name):
            try:
                header = read_header(path)
            except (OSError, ValueError):
                continue  # other files are no business of this search
            if header.element == element:
                found.append(header)
    # The newest version of a family sorts last; a suggested cutoff marks a documented file.
    found.reverse()
    found.sort(key=lambda p: (not p.ordinary, p.wfc_cutoff <= 0))
    return found


def _named(folder: Path, element: str, name: str) -> Pseudopotential:
    path = folder / name
    if not path.is_file():
        raise ValueError(f"there is no file {name} in {folder}")
    header = read_header(path)
    if header.element != element:
        raise ValueError(f"{name} is made for {header.element}, not for {element}")
    return header


def _missing(element: str, message: str, files: list[Pseudopotential], name: str | None) -> Problem:
    names = [p.path.name for p in files]
    near = difflib.get_close_matches(name or "", names, n=1, cutoff=0.6)
    hint = f"files for {element} there: {', '.join(names) or 'none'}"
    if near:
        hint = f"did you mean {near[0]}? {hint}"
    return Problem(key=f"{KEY}.{element}", message=message, hint=hint)


def _mixed(chosen: Mapping[str, Pseudopotential], functional: str | None) -> Problem:
    parts = [f"{el}: {p.path.name} is {p.functional}" for el, p in sorted(chosen.items())]
    if functional:
        parts.append(f"functional: {functional}")
    message = f"files of different functionals can't be mixed ({'; '.join(parts)})"
    return Problem(key=KEY, message=message, hint="choose files of one functional")


def _complete(
    chosen: dict[str, Pseudopotential],
    open_elements: Mapping[str, list[Pseudopotential]],
    wanted: str | None,
    folder: Path,
) -> tuple[dict[str, Pseudopotential], list[Problem]]:
    """Choose files for the elements that the user has named none for."""
    order = [wanted] if wanted else [*_PREFERENCE, *_others(open_elements)]
    for functional in order:
        pick = {
            el: next((p for p in files if p.functional == functional and p.ordinary), None)
            for el, files in open_elements.items()
        }
        if all(pick.values()):
            return chosen | {el: p for el, p in pick.items() if p is not None}, []
    has = "; ".join(
        f"{el}: {', '.join(sorted({p.functional for p in files}))}"
        for el, files in open_elements.items()
    )
    target = wanted or "any one functional"
    message = f"{folder} has no files of {target} for {', '.join(open_elements)} ({has})"
    return chosen, [Problem(key=KEY, message=message, hint="add files, or name others")]


def _others(open_elements: Mapping[str, list[Pseudopotential]]) -> list[str]:
    return sorted({p.functional for files in open_elements.values() for p in files})
