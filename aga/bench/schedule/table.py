"""What the benchmark of the schedule prints and draws."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.figure import Figure
from rich.box import SIMPLE_HEAD
from rich.console import Group
from rich.table import Table
from rich.text import Text

from aga.bench.schedule.cost import Cost
from aga.bench.schedule.limits import limits
from aga.bench.schedule.measure import MAIN, Measured
from aga.bench.schedule.throughput import Row
from aga.report.plots import BLUE, ORANGE
from aga.report.timeline import timeline_figure

__all__ = ["gantt", "schedule_table", "throughput_figure"]


def schedule_table(measured: Measured) -> Group:
    """Give the tables and what follows from them."""
    parts: list[Table | Text] = [_rows(measured.rows)]
    if measured.ratio is not None:
        ga, oracle = MAIN
        parts.append(
            Text(
                f"concurrent over sequential, {ga} GA and {oracle} DFT workers: "
                f"{measured.ratio:.2f} × the structures\n"
            )
        )
    parts.append(_costs(measured.costs))
    parts += [Text(line) for line in _limits(measured.costs[-1])]
    return Group(*parts)


def _rows(rows: Sequence[Row]) -> Table:
    case = rows[0].case
    table = Table(
        title=f"generation : reference job : retraining = 1 : {case.oracle_time:g} : "
        f"{case.training_time:g}, in {case.window:g} times a generation",
        title_justify="left",
        title_style="bold",
        box=SIMPLE_HEAD,
    )
    table.add_column("schedule")
    for heading in (
        "GA",
        "DFT",
        "training",
        "unit/s",
        "new\nstructures",
        "generations",
        "retrainings",
        "busy\n%",
    ):
        table.add_column(heading, justify="right")
    table.add_column("busy %\nGA/DFT/training", justify="right")
    for row in rows:
        case = row.case
        table.add_row(
            case.schedule,
            str(case.ga),
            str(case.oracle),
            str(case.train),
            f"{case.unit:g}",
            str(row.saved),
            str(row.generations),
            str(row.trainings),
            f"{100 * row.busy:.0f}",
            " / ".join(f"{100 * share:.0f}" for share in row.busy_by_kind.values()),
        )
    return table


def _costs(costs: Sequence[Cost]) -> Table:
    table = Table(
        title="the scheduler's own cost per reference job",
        title_justify="left",
        title_style="bold",
        box=SIMPLE_HEAD,
    )
    for heading in ("finished jobs", "worker CPU/ms", "server CPU/ms", "database commands"):
        table.add_column(heading, justify="right")
    for cost in costs:
        table.add_row(
            str(cost.finished),
            f"{cost.worker_ms:.0f}",
            "–" if cost.server_ms is None else f"{cost.server_ms:.0f}",
            f"{cost.operations:.0f}",
        )
    return table


def _limits(cost: Cost) -> list[str]:
    lines = []
    for one in limits(cost):
        cores = one["server_cores"]
        lines.append(
            f"{one['workers']} workers, jobs of {one['job_seconds']:g} s: "
            f"{one['jobs_per_second']:.1f} jobs/s, {one['commands_per_second']:.0f} commands/s"
            + ("" if cores is None else f", {cores:.1f} cores of this server")
            + f"; all idle: {one['idle_commands_per_second']:.0f} commands/s"
        )
    return lines


def gantt(measured: Measured) -> Figure | None:
    """Draw who did what when, for the comparison of the two schedules."""
    panels = [row.panel for row in measured.rows if (row.case.ga, row.case.oracle) == MAIN]
    return timeline_figure(panels) if panels else None


def throughput_figure(measured: Measured) -> Figure:
    """Draw the structures saved against the number of DFT workers, a line for each number of GA.

    The figure of merit of a parallel search: what is added by workers of either kind.
    """
    figure = Figure(figsize=(6.2, 4.2), layout="constrained")
    ax = figure.add_subplot()
    rows = [row for row in measured.rows if row.case.unit == measured.rows[0].case.unit]
    numbers = sorted({row.case.ga for row in rows})
    styles = dict(zip(numbers, ("o-", "s--", "^:", "d-."), strict=False))
    for schedule, colour in (("concurrent", BLUE), ("sequential", ORANGE)):
        for ga in numbers:
            own = [r for r in rows if (r.case.schedule, r.case.ga) == (schedule, ga)]
            if own:
                ax.plot(
                    [r.case.oracle for r in own],
                    [r.saved for r in own],
                    styles.get(ga, "o-"),
                    color=colour,
                    label=f"{schedule}, {ga} GA",
                )
    ax.set_xlabel("DFT workers")
    ax.set_ylabel("new structures saved")
    ax.set_ylim(bottom=0)
    ax.set_xticks(sorted({row.case.oracle for row in rows}))
    for side in ("top", "right"):
        ax.spines[side].set_visible(False)
    ax.legend(frameon=False)
    return figure
