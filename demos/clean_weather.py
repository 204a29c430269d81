"""Clean four years of daily weather, summarise them by month, archive them and draw them.

    python demos/clean_weather.py [CSV] [-o FOLDER]

It knows nothing of recording: run it through `scripts/run.py` or `redoxa run` and it is recorded.
"""

import argparse
import csv
import datetime
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import astuple, dataclass, field, fields
from pathlib import Path
from typing import NoReturn

import numpy as np
import numpy.typing as npt

from redoxa import VM

HERE = Path(__file__).resolve().parent
# Below a folder that is there from the start: Python lists the folder of a script, so what appears
# in that one would be news to every other script in it.
OUT = HERE / "out" / "weather"
FIELDS = ("precipitation", "temp_max", "temp_min", "wind")
POSSIBLE = {  # what an instrument at 47° north can mean: mm a day, °C, °C, m/s
    "precipitation": (0.0, 500.0),
    "temp_max": (-40.0, 55.0),
    "temp_min": (-40.0, 55.0),
    "wind": (0.0, 75.0),
}
WET_LABELS = frozenset({"rain", "drizzle", "snow"})
WET_MM = 0.25  # the smallest amount the gauge reports, 0.01 inch
UNKNOWN = -32768  # what stands for an empty value in the archive, far from any temperature
MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
BLOCK_DAYS = 7  # weather remembers about a week: resample weeks, not days
ROUNDS = 20_000
SEED = 2012

Values = npt.NDArray[np.float64]


@dataclass(slots=True)
class Weather:
    """One row a day without a gap; what is unknown is NaN."""

    days: npt.NDArray[np.datetime64]
    columns: dict[str, Values]
    labels: list[str]
    mended: Counter[str] = field(default_factory=Counter[str])


@dataclass(frozen=True, slots=True)
class Month:
    """What one calendar month was like, over all its years."""

    name: str
    days: int
    temp_max: float
    temp_min: float
    rain_mm: float
    rain_low_mm: float
    rain_high_mm: float
    wet_share: float


def main() -> int:
    """Read, clean, summarise, archive, draw."""
    args = arguments()
    weather = clean(args.csv)
    months = list(summarise(weather))
    args.output.mkdir(parents=True, exist_ok=True)
    write_summary(args.output / "months.csv", months)
    report(weather, months)
    archive(args.output / "weather.rdx", weather, args.csv.stat().st_size)
    title = f"{args.csv.stem}, {weather.days[0]} to {weather.days[-1]}"
    draw(args.output / "months.svg", months, title)
    return 0


def arguments() -> argparse.Namespace:
    """The command line, with the shipped data as its default."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("csv", nargs="?", type=Path, default=HERE / "data" / "seattle-weather.csv")
    parser.add_argument("-o", "--output", type=Path, default=OUT, metavar="FOLDER")
    args = parser.parse_args()
    if not args.csv.is_file():
        parser.error(f"{args.csv} is not a file")
    return args


def clean(path: Path) -> Weather:
    """Every day from the first to the last, once, with impossible values taken out."""
    mended: Counter[str] = Counter()
    rows = dated_rows(path, mended)
    days = np.arange(min(rows), max(rows) + np.timedelta64(1, "D"))
    mended["absent days left empty"] = len(days) - len(rows)
    columns = {name: column(name, days, rows, mended) for name in FIELDS}
    swapped = columns["temp_max"] < columns["temp_min"]
    for name in ("temp_max", "temp_min"):
        columns[name][swapped] = np.nan
    mended["days warmer by night than by day"] = int(swapped.sum())
    labels = [rows.get(day, {}).get("weather") or "" for day in days]
    return Weather(days, columns, labels, mended)


def dated_rows(path: Path, mended: Counter[str]) -> dict[np.datetime64, dict[str, str]]:
    """The rows of a table by their day, the first of each; the rest are counted."""
    rows: dict[np.datetime64, dict[str, str]] = {}
    try:
        with path.open(newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                day = parsed_day(row.get("date"))
                if day is None:
                    mended["rows without a date dropped"] += 1
                elif day in rows:
                    mended["repeated days dropped"] += 1
                else:
                    rows[day] = row
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        refuse(f"{path} cannot be read as a table: {error}")
    if not rows:
        refuse(f"{path}: no row has a date like 2012/01/31 in a column `date`")
    return rows


def parsed_day(text: str | None) -> np.datetime64 | None:
    """The day that 2012/01/31 or 2012-01-31 means, or None."""
    try:
        return np.datetime64(datetime.date.fromisoformat((text or "").replace("/", "-")), "D")
    except ValueError:
        return None


def refuse(sentence: str) -> NoReturn:
    """End with one sentence and the exit code of a wrong command line."""
    print(f"clean_weather: {sentence}", file=sys.stderr)
    sys.exit(2)


def column(
    name: str,
    days: npt.NDArray[np.datetime64],
    rows: dict[np.datetime64, dict[str, str]],
    mended: Counter[str],
) -> Values:
    """One column as numbers; what is absent, unreadable or impossible becomes NaN."""
    values = np.full(len(days), np.nan)
    low, high = POSSIBLE[name]
    for at, day in enumerate(days):
        try:
            values[at] = float(rows[day][name])
        except (KeyError, TypeError, ValueError):
            continue
    impossible = ~((values >= low) & (values <= high)) & ~np.isnan(values)
    values[impossible] = np.nan
    mended[f"impossible values of {name} taken out"] = int(impossible.sum())
    return values


def contradictions(weather: Weather) -> dict[str, int]:
    """How often a day's label disagrees with its rain gauge."""
    rain = weather.columns["precipitation"]
    wet = np.array([label in WET_LABELS for label in weather.labels])
    sunny = np.array([label == "sun" for label in weather.labels])
    return {
        "labelled rain, drizzle or snow, and nothing in the gauge": int((wet & (rain == 0)).sum()),
        "labelled sun, and rain in the gauge": int((sunny & (rain >= WET_MM)).sum()),
    }


def summarise(weather: Weather) -> Iterator[Month]:
    """Twelve months; each mean rainfall with the interval that 95 % of resamplings fall into."""
    month_of = weather.days.astype("datetime64[M]").astype(int) % 12
    generator = np.random.default_rng(SEED)
    for number, name in enumerate(MONTHS):
        here = month_of == number
        if not here.any():
            continue
        rain = weather.columns["precipitation"][here]
        low, high = np.nanpercentile(resampled_means(rain, generator), (2.5, 97.5))
        length = float(here.sum()) / len(np.unique(weather.days[here].astype("datetime64[Y]")))
        yield Month(
            name=name,
            days=int(here.sum()),
            temp_max=float(np.nanmean(weather.columns["temp_max"][here])),
            temp_min=float(np.nanmean(weather.columns["temp_min"][here])),
            rain_mm=float(np.nanmean(rain)) * length,
            rain_low_mm=float(low) * length,
            rain_high_mm=float(high) * length,
            wet_share=float((rain[~np.isnan(rain)] >= WET_MM).mean()),
        )


def resampled_means(values: Values, generator: np.random.Generator) -> Values:
    """The means of ROUNDS imagined months, each put together from weeks that did happen."""
    blocks = -(-len(values) // BLOCK_DAYS)
    starts = generator.integers(0, len(values), size=(ROUNDS, blocks))
    days = (starts[:, :, None] + np.arange(BLOCK_DAYS)) % len(values)
    return np.nanmean(values[days.reshape(ROUNDS, -1)[:, : len(values)]], axis=1)


def write_summary(path: Path, months: list[Month]) -> None:
    """The months as CSV, one decimal: as exact as the instruments were."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([part.name for part in fields(Month)])
        for month in months:
            writer.writerow(
                f"{value:.2f}" if isinstance(value, float) else value for value in astuple(month)
            )


def report(weather: Weather, months: list[Month]) -> None:
    """What was mended, what to doubt, and the months, for a person."""
    print(f"{len(weather.days):,} days, {weather.days[0]} to {weather.days[-1]}")
    mended = {what: count for what, count in weather.mended.items() if count}
    for what, count in (mended or {"values needed mending": 0}).items():
        print(f"  {count:5,} {what}")
    for what, count in contradictions(weather).items():
        print(f"  {count:5,} days {what}")
    print("So the months below trust the gauge, not the label.\n")
    print("month   max °C  min °C   rain mm   95 % of resamplings   wet days")
    for month in months:
        print(
            f"{month.name:5}  {month.temp_max:7.1f} {month.temp_min:7.1f} {month.rain_mm:9.0f}"
            f"   {month.rain_low_mm:8.0f} to {month.rain_high_mm:<4.0f} {month.wet_share:14.0%}"
        )
    print()


def archive(path: Path, weather: Weather, csv_bytes: int) -> None:
    """The measurements as whole tenths in one packed file, read back before it is believed."""
    known = [np.nan_to_num(weather.columns[name] * 10, nan=UNKNOWN) for name in FIELDS]
    # A day's four values side by side: what they have in common is then close together.
    tenths = np.rint(np.stack(known, axis=1)).astype("<i2")
    with tempfile.TemporaryDirectory() as home, VM(home) as vm:
        container = vm.pack(vm.put(tenths))
        path.write_bytes(vm.get(container))
        back = vm.view(vm.unpack(container), "<i2", tenths.shape)
        if not np.array_equal(back, tenths):
            sys.exit(f"{path} does not give the measurements back")
    print(
        f"archive: {path.name}, {path.stat().st_size:,} bytes; "
        f"{tenths.nbytes:,} as an array, {csv_bytes:,} as CSV"
    )


def draw(path: Path, months: list[Month], title: str) -> None:
    """Rain as bars with their intervals, temperatures as a band; skipped without matplotlib."""
    try:
        import matplotlib as mpl  # noqa: PLC0415 - an extra: the rest works without it
    except ImportError:
        print("no plot: matplotlib is not installed (the extra `plot` names it)")
        return
    mpl.use("svg")
    from matplotlib import pyplot as plt  # noqa: PLC0415 - after the backend is chosen

    # The same months must give the same bytes: a fixed salt for ids, text as text, no date.
    mpl.rcParams.update({"svg.hashsalt": "redoxa", "svg.fonttype": "none", "font.size": 9})
    figure, (warmth, rain) = plt.subplots(2, 1, sharex=True, figsize=(7, 5), layout="constrained")
    at = np.arange(len(months))
    warmth.fill_between(
        at, [m.temp_min for m in months], [m.temp_max for m in months], color="#e8a33d", alpha=0.6
    )
    warmth.set_ylabel("mean daily\nminimum to maximum, °C")
    heights = np.array([m.rain_mm for m in months])
    spread = [
        heights - [m.rain_low_mm for m in months],
        [m.rain_high_mm for m in months] - heights,
    ]
    rain.bar(at, heights, yerr=spread, color="#4c7ea8", ecolor="#333333", capsize=3)
    rain.set_ylabel("rain in the month, mm\n(whiskers: 95 % of resamplings)")
    rain.set_xticks(at, [m.name for m in months])
    for axes in (warmth, rain):
        axes.spines[["top", "right"]].set_visible(False)
    figure.suptitle(title)
    figure.savefig(path, metadata={"Date": None})
    print(f"plot: {path.name}")


if __name__ == "__main__":
    sys.exit(main())
