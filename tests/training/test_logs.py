"""The tables of a run: exact numbers, columns that come late, lines that a kill cut short."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rrjax.training import logs
from rrjax.training.logs import METRICS, CsvLog, Logs, read_table

FINITE = st.floats(allow_nan=False, allow_infinity=False)


@given(st.lists(st.dictionaries(st.sampled_from("abc"), FINITE), min_size=1, max_size=6))
def test_numbers_come_back_to_the_bit_and_absent_ones_as_nan(tmp_path_factory, rows):
    path = tmp_path_factory.mktemp("table") / "t.csv"
    table = CsvLog(path)
    rows = [{"step": float(index), **row} for index, row in enumerate(rows)]
    for row in rows:
        table.append([row])
    assert table.rows() == rows
    columns = read_table(path)
    assert set(columns) == {name for row in rows for name in row}
    for name, column in columns.items():
        expected = np.array([row.get(name, np.nan) for row in rows])
        np.testing.assert_array_equal(column, expected)


def test_a_late_column_is_empty_before(tmp_path):
    table = CsvLog(tmp_path / "t.csv")
    table.append([{"step": 1, "loss": 0.5}])
    table.append([{"step": 2, "loss": 0.25, "test/accuracy": 1.0}])
    table.append([{"step": 3, "loss": 0.125}])
    text = (tmp_path / "t.csv").read_text()
    assert text == "step,loss,test/accuracy\n1,0.5,\n2,0.25,1\n3,0.125,\n"
    table.keep(3)
    assert (tmp_path / "t.csv").read_text() == text


@pytest.mark.parametrize("torn", ["", "3", "3,", "25,0."])
def test_what_follows_the_checkpoint_and_half_a_line_are_dropped(tmp_path, torn):
    table = CsvLog(tmp_path / "t.csv")
    table.append([{"step": step, "loss": step / 8} for step in (1, 2, 3)])
    with (tmp_path / "t.csv").open("a") as file:
        file.write(torn)
    table.keep(2)
    assert table.rows() == [{"step": 1, "loss": 1 / 8}, {"step": 2, "loss": 2 / 8}]


def test_a_table_that_does_not_exist_stays_so(tmp_path):
    CsvLog(tmp_path / "t.csv").keep(5)
    assert list(tmp_path.iterdir()) == []
    assert CsvLog(tmp_path / "t.csv").rows() == []


def test_a_damaged_table_is_named(tmp_path):
    (tmp_path / "t.csv").write_text("step,loss\n1,half\n")
    with pytest.raises(ValueError, match=r"t\.csv is damaged: .*half"):
        read_table(tmp_path / "t.csv")


def test_a_table_without_steps_is_named(tmp_path):
    (tmp_path / "metrics.csv").write_text("loss\n1\n")
    with pytest.raises(ValueError, match=r"metrics.csv is damaged: it has no column step"):
        CsvLog(tmp_path / "metrics.csv").keep(3)


def test_best_and_last_evaluation_are_read_from_the_file(tmp_path):
    logs = Logs(tmp_path)
    assert (logs.best(), logs.last_evaluation()) == (-1, {})
    for step, value in enumerate((0.25, 0.5, None, 0.125, None)):
        row = {"step": step, "loss": 1.0}
        logs.write(METRICS, row if value is None else row | {"test/exact_accuracy": value})
    again = Logs(tmp_path)
    assert again.best() == 0.5
    assert again.last_evaluation() == {"exact_accuracy": 0.125}
    again.keep(0)
    assert again.best() == 0.25


def test_a_process_that_does_not_write_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(logs, "writes", lambda: False)
    Logs(tmp_path).write(METRICS, {"step": 1, "loss": 1.0})
    assert list(tmp_path.iterdir()) == []
