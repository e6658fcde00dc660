"""What published numbers of rows would take: arithmetic on measured tokens, at a throughput and prices that are stated."""

from __future__ import annotations

from types import SimpleNamespace

import pandas as pd
import pytest

from emosynth.errors import UserError
from emosynth.params import load_params, validate
from emosynth.params.analysis import Forecast
from emosynth.params.base import read_file
from emosynth.report import responsible as report
from emosynth.responsible.cost import CALLS, COLUMNS, FORECAST, HOURS, PUBLISHED, forecast
from toy_trials import ROOT

NAN = float("nan")
PAID = pd.DataFrame(
    [
        ["naive", 100, 2, 400, 100, 300, 4000, 2000, 40.0, 20.0, 0.5],
        ["counts-none", 100, 2, 400, 100, 300, 0, 0, NAN, NAN, 0.0],
        ["rejected", 100, 2, 400, 0, 400, 4000, 2000, float("inf"), float("inf"), 0.5],
    ],
    columns=COLUMNS,
)


def only(given: Forecast) -> pd.Series:
    (row,) = forecast(PAID, given).to_dict("records")
    return row


def test_tokens_are_those_of_a_kept_row_and_hours_those_of_published_calls():
    row = only(Forecast(rows={"naive": 1000}))
    assert (row["texts"], row["tokens_read"], row["tokens_written"]) == (4000, 40_000, 20_000)
    assert row["gpu_hours"] == pytest.approx(4000 * 450 / 700_000) and row["basis"] == PUBLISHED and (CALLS, HOURS) == (700_000, 450)
    assert pd.isna(row["money"]) and row["currency"] == ""


def test_a_stated_throughput_and_prices_count():
    speed = {"read_per_second": 100.0, "written_per_second": 10.0, "source": "a 7B model on a GPU, measured by us"}
    row = only(Forecast(rows={"naive": 1000}, **speed, price_gpu_hour=2.0, currency="EUR"))
    assert row["gpu_hours"] == pytest.approx((400 + 2000) / 3600) and row["basis"] == "a 7B model on a GPU, measured by us"
    assert row["money"] == pytest.approx(2 * 2400 / 3600) and row["currency"] == "EUR"
    assert only(Forecast(rows={"naive": 1000}, price_in=1.0, price_out=10.0, currency="EUR"))["money"] == pytest.approx(0.04 + 0.2)


def test_what_is_not_known_has_a_note_and_no_number():
    found = forecast(PAID, Forecast(rows={"counts-none": 5, "rejected": 5, "nobody": 5}))
    assert found["note"].tolist() == ["its writer counts no tokens", "no row of it was accepted", "nothing was written for it"]
    assert found[["texts", "tokens_read", "tokens_written", "gpu_hours", "money"]].isna().all(axis=None)
    empty = forecast(PAID, Forecast())
    assert empty.columns.tolist() == FORECAST and empty.empty


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"read_per_second": 5.0}, "a throughput takes"),
        ({"read_per_second": 5.0, "written_per_second": 5.0}, "where they are from"),
        ({"price_in": 5.0}, "a price takes a currency"),
        ({"row": {"naive": 5}}, "row"),
    ],
)
def test_half_a_statement_is_an_error(given, said):
    values = read_file(ROOT / "params.yaml")
    values["responsible"]["forecast"] |= given
    with pytest.raises(UserError, match=said):
        validate(values, "params.yaml")


def test_the_demo_asks_for_the_published_sizes():
    assert load_params(ROOT, "demo").responsible.forecast.rows == {
        "naive": 1000,
        "shap": 1000,
        "sentisynth": 20_000,
        "emo-pillars": 400_000,
    }


def test_the_page_names_the_basis_and_shows_what_is_not_known():
    frame = forecast(PAID, Forecast(rows={"naive": 1000, "nobody": 5})).assign(corpus="toy")
    tables = SimpleNamespace(get={"responsible/forecast": frame}.get, target="toy", looks=SimpleNamespace(title=str.upper))
    _, (first, second), note = report._forecast(tables)
    assert (first["arm"], first["texts to be written"], first["GPU hours"]) == ("NAIVE", "4\u202f000", "2.6") and PUBLISHED in note
    assert "money" not in first | second and second["tokens read"] == "nothing was written for it"
    assert report._forecast(SimpleNamespace(get={}.get, target="toy"))[1] == []
