"""What each operator has brought, summed over the generations."""

from __future__ import annotations

from aga.report.operators import OperatorRow, operator_rows, operators_markdown

FIRST = {"made": {"random": 10, "strain": 4}, "entered": {"random": 5}, "shares": {"random": 0.7}}
SECOND = {
    "made": {"random": 6, "strain": 8},
    "entered": {"random": 1, "strain": 7},
    "shares": {"random": 0.4, "strain": 0.6, "slip": 0.0},
}


def test_offspring_add_up_and_the_newest_share_counts() -> None:
    assert operator_rows([FIRST, SECOND]) == [
        OperatorRow(operator="strain", made=12, entered=7, share=0.6),
        OperatorRow(operator="random", made=16, entered=6, share=0.4),
        OperatorRow(operator="slip", made=0, entered=0, share=0.0),
    ]


def test_generations_of_before_have_no_record() -> None:
    assert operator_rows([{"made": {"random": 3}}, {}]) == [
        OperatorRow(operator="random", made=3, entered=0, share=0.0)
    ]
    assert operator_rows([]) == []


def test_the_table() -> None:
    lines = operators_markdown(operator_rows([FIRST, SECOND]))
    assert "| strain | 12 | 7 | 60 % |" in lines
    assert operators_markdown([]) == []
