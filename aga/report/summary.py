"""A search in a folder: structures as files, the plot, a summary for people and programs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from aga.errors import NotFoundError
from aga.report.export import export_structures
from aga.report.operators import OperatorRow, operator_rows, operators_markdown
from aga.report.plots import Generation, History, ReferencePoint, energy_figure, save_figure
from aga.report.rows import (
    best_enthalpy,
    duration,
    first_found,
    group_name,
    prototype_name,
    strict_group,
    times_found,
    unfinished_lines,
    unicode_minus,
)
from aga.store.handle import Found, SearchHandle

__all__ = ["history_of", "summary_markdown", "write_results"]


_COLUMNS = (
    "| structure | energy (eV/atom) | above best (meV/atom) | space group | prototype "
    "| volume (Å³/atom) | found | first |"
)


def write_results(handle: SearchHandle, folder: Path, *, best: int = 10) -> list[Path]:
    """Write the best structures, the energy plot and a summary; replaces those of before.

    Parameters
    ----------
    handle
        The search.
    folder
        Made if it isn't there. Gets ``cif/``, ``poscar/``, ``structures.extxyz``,
        ``energy.png``, ``summary.json`` and ``summary.md``.
    best
        How many of the best structures.

    Returns
    -------
    list of Path
        The files written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    status, found = handle.status(), handle.best(best)
    written: list[Path] = []
    if found:
        written += export_structures(found, "cif", folder / "cif", overwrite=True)
        written += export_structures(found, "poscar", folder / "poscar", overwrite=True)
        written += export_structures(found, "extxyz", folder, overwrite=True)
    figure = energy_figure(history_of(handle, status, found))
    written.append(save_figure(figure, folder / "energy.png"))
    document = status | {"structures": [item.to_dict() for item in found]}
    document["structures_proposed"] = status["structures"]
    operators = _operators(handle)
    document["operators"] = [row.to_dict() for row in operators]
    text = json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False)
    written.append(_write(folder / "summary.json", text + "\n"))
    written.append(_write(folder / "summary.md", summary_markdown(status, found, operators)))
    return written


def _operators(handle: SearchHandle) -> list[OperatorRow]:
    bred = handle.repository.list_steps(handle.id, kind="breed", state="done")
    bred.sort(key=lambda step: step.generation or 0)
    return operator_rows([step.result or {} for step in bred])


def history_of(handle: SearchHandle, status: dict[str, Any], found: Sequence[Found]) -> History:
    """Gather what the energy plot shows.

    Parameters
    ----------
    handle
        The search.
    status
        As :meth:`SearchHandle.status` gives it.
    found
        Its best structures.
    """
    repository = handle.repository
    labelled = repository.find_structures(handle.id, {"stage": "labelled"})
    results = [item for item in found if item.stage == "result"]
    engines = [doc["reference"]["engine"] for doc in labelled]
    engines += [str(item.reference) for item in results]
    pressure = repository.get_search(handle.id)["settings"]["search"].get("pressure", 0.0)
    return History(
        title=f"{status['formula']}, search {handle.id}",
        engine=engines[-1] if engines else "none",
        generations=_generations(handle),
        references=[
            ReferencePoint(
                generation=doc["generation"], enthalpy=doc["reference"]["enthalpy_per_atom"]
            )
            for doc in labelled
        ],
        final=best_enthalpy(results),
        pressed=bool(pressure),
    )


def _generations(handle: SearchHandle) -> list[Generation]:
    newest = handle.repository.latest_population(handle.id)
    step = _per_iteration(handle)
    generations = []
    for number in range(newest["generation"] + 1 if newest else 0):
        try:
            population = handle.repository.get_population(handle.id, number)
        except NotFoundError:
            continue
        generations.append(
            Generation(
                number=number,
                iteration=max(1, -(-number // step)),
                enthalpies=tuple(item.enthalpy_per_atom for item in population),
            )
        )
    return generations


def _per_iteration(handle: SearchHandle) -> int:
    settings = handle.repository.get_search(handle.id)["settings"]["search"]
    return int(settings["generations_per_iteration"])


def summary_markdown(
    status: dict[str, Any], found: Sequence[Found], operators: Sequence[OperatorRow] = ()
) -> str:
    """Write the summary of a search as Markdown.

    Parameters
    ----------
    status
        As :meth:`SearchHandle.status` gives it.
    found
        The best structures, lowest enthalpy first.
    operators
        What each has brought.
    """
    verdict = f", {status['verdict']}" if status["verdict"] else ""
    lines = [
        f"# {status['formula']}: search {status['search']}",
        "",
        f"- state: {status['state']}{verdict}" + (f" ({r})" if (r := status["reason"]) else ""),
        f"- iterations: {status['iteration']}, generations: {status['generation']}",
        f"- reference energy+force evaluations of the loop: {_used(status)}",
        f"- reference evaluations of the final relaxations: {status['refine_calls']}",
        *(f"- {line}" for line in unfinished_lines(status)),
        f"- structures proposed: {status['structures']}",
        f"- time: {duration(status['elapsed'])}",
        "",
    ]
    if not found:
        return "\n".join([*lines, "No structure has an energy by the reference method yet.", ""])
    lowest = best_enthalpy(found)
    final = all(item.stage == "result" for item in found)
    lines += [
        "## Structures found",
        "",
        "Relaxed by the reference method." if final else "Not yet relaxed by the reference method.",
        "",
        _COLUMNS,
        "|---|---:|---:|---|---|---:|---:|---|",
    ]
    lines += [_row(item, lowest) for item in found]
    lines += ["", "![energy per generation](energy.png)", "", *operators_markdown(operators)]
    return "\n".join(lines)


def _row(item: Found, lowest: float | None) -> str:
    energy = "–" if item.energy_per_atom is None else f"{item.energy_per_atom:.4f}"
    cells = (
        item.name,
        unicode_minus(energy),
        _above(item, lowest),
        _groups(item),
        prototype_name(item.prototype),
        f"{item.volume_per_atom:.2f}",
        times_found(item.found),
        first_found(item.found) if item.found else f"gen. {item.generation}",
    )
    return f"| {' | '.join(cells)} |"


def _groups(item: Found) -> str:
    """Give the space group, and the strict one where it is another."""
    name, strict = group_name(item.space_group), strict_group(item)
    return f"{name}, strictly {strict}" if strict else name


def _used(status: dict[str, Any]) -> str:
    return f"{status['reference_calls']} (of at most {status['budget']['reference_calls']})"


def _above(item: Found, lowest: float | None) -> str:
    if item.enthalpy_per_atom is None or lowest is None:
        return "–"
    return f"{1000 * (item.enthalpy_per_atom - lowest):.1f}"


def _write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path
