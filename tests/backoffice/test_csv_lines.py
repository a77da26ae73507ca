"""No cell of a CSV file begins a formula, whatever a spreadsheet takes for a separator."""

import csv
import io
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backoffice import csv_lines

SIGNS = "=+-@\uff1d\uff0b\uff0d\uff20"
IGNORED = ' \t\r\n\u00a0\u200b\ufeff"'
ODD = st.text(alphabet=st.sampled_from(SIGNS + "\t\r\n ;,|\"'\u00a0\u200b\ufeffa1("), max_size=20)


def cells(text: str, separator: str) -> list[str]:
    file = io.StringIO(text, newline=None)
    return [cell for row in csv.reader(file, delimiter=separator) for cell in row]


@pytest.mark.parametrize(
    "text",
    [
        *(f"{sign}cmd|' /C calc'!A0" for sign in SIGNS),
        "  =1+1",
        "\u00a0=1+1",
        "\ufeff=1+1",
        "\t1",
        "\r1",
        "a;=1+1",
        'a;"=1+1"',
        "a\n=1+1",
        "a\t=1+1",
    ],
)
def test_a_cell_that_begins_a_formula_is_defused(text: str) -> None:
    line = csv_lines.line(["first", text, "last"])

    for separator in ",;\t|":
        for cell in cells(line, separator):
            assert not cell.strip(IGNORED).startswith(tuple(SIGNS))
            assert separator != "," or not cell.startswith(("\t", "\r", "\n"))


@given(st.lists(ODD, min_size=1, max_size=4))
def test_no_cell_begins_a_formula_whatever_separates(values: list[str]) -> None:
    line = csv_lines.line(values)

    for separator in ",;\t|":
        for cell in cells(line, separator):
            assert not cell.strip(' \t\r\n\u00a0\u200b\ufeff"').startswith(tuple(SIGNS)), cell


@given(st.lists(st.text(alphabet=st.characters(exclude_characters=SIGNS + "\t\r\n")), min_size=1))
def test_every_cell_is_quoted_and_harmless_text_is_kept(values: list[str]) -> None:
    line = csv_lines.line(values)

    assert line == ",".join('"' + value.replace('"', '""') + '"' for value in values) + "\r\n"
    assert cells(line, ",") == values


def test_a_long_cell_costs_no_more_than_its_length() -> None:
    began = time.process_time()

    csv_lines.line([";" + " \t" * 100_000])

    assert time.process_time() - began < 1
