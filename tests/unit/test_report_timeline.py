"""Who did what when: shares of time, and the chart."""

from __future__ import annotations

import pytest

from aga.report.timeline import Panel, Span, busy_share, timeline_figure


def span(worker: str, start: float, end: float, kind: str = "label") -> Span:
    return Span(worker=worker, kind=kind, start=start, end=end)


@pytest.mark.parametrize(
    ("spans", "share"),
    [
        ([span("a", 0, 10)], 0.5),
        ([span("a", 0, 10), span("b", 5, 10)], 0.75),
        ([span("a", -5, 5), span("b", 8, 20)], 0.35),
        ([span("a", 20, 30)], 0.0),
        ([], 0.0),
    ],
)
def test_the_busy_share_counts_what_lies_within_the_window(spans: list[Span], share: float) -> None:
    assert busy_share(spans, 2, (0.0, 10.0)) == pytest.approx(share)


def test_the_chart_has_a_line_for_each_worker_and_a_colour_for_each_kind() -> None:
    spans = [span("ga 1", 0, 4, "breed"), span("ga 1", 4, 5, "acquire"), span("oracle 1", 1, 9)]
    workers = ["ga 1", "oracle 1", "oracle 2"]
    panel = Panel(title="concurrent", spans=spans, workers=workers, window=(0.0, 10.0))
    figure = timeline_figure([panel, panel])
    axes = figure.axes
    assert [label.get_text() for label in axes[0].get_yticklabels()] == workers
    assert len(axes) == 2
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["breed", "acquire", "label", "idle"]
