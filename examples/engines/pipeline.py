"""How many cycles has this engine left? Asked at each cycle; the truth of all of them comes when the engine has failed.

100 simulated turbofan engines of NASA, run until they failed: 20,631 readings.
"""

from river import metrics, tree

from eddyline import Event, Id, Join, Key, Label, Max, Mean, Min, Pipeline, Time, Truth, Versions, Watch, days, hours, jsonl


class Reading(Event):
    id: Id
    engine: Key
    at: Time
    cycle: int
    turbine_temperature: float
    compressor_pressure: float
    static_pressure: float
    fuel_ratio: float
    bypass_ratio: float
    coolant_bleed: float


class Failure(Label):
    id: Id
    at: Time
    remaining: Truth[float]


def features(
    reading: Reading,
    temperature: float | None,
    hottest: float | None,
    pressure: float | None,
    static: float | None,
    fuel: float | None,
    leanest: float | None,
    bypass: float | None,
    coolant: float | None,
) -> dict[str, float]:
    """The last 20 cycles of an engine: one reading is mostly noise, wear shows in means and extremes."""
    return {
        "cycle": float(reading.cycle),
        "temperature": temperature or reading.turbine_temperature,
        "hottest": hottest or reading.turbine_temperature,
        "pressure": pressure or reading.compressor_pressure,
        "static": static or reading.static_pressure,
        "fuel": fuel or reading.fuel_ratio,
        "leanest": leanest or reading.fuel_ratio,
        "bypass": bypass or reading.bypass_ratio,
        "coolant": coolant or reading.coolant_bleed,
    }


recent = hours(20)  # a cycle takes an hour

engines = Pipeline(
    name="engines",
    events=jsonl("data/readings.jsonl", Reading),
    labels=jsonl("data/failures.jsonl", Failure),
    aggregates={
        "temperature": Mean("turbine_temperature", over=recent),
        "hottest": Max("turbine_temperature", over=recent),
        "pressure": Mean("compressor_pressure", over=recent),
        "static": Mean("static_pressure", over=recent),
        "fuel": Mean("fuel_ratio", over=recent),
        "leanest": Min("fuel_ratio", over=recent),
        "bypass": Mean("bypass_ratio", over=recent),
        "coolant": Mean("coolant_bleed", over=recent),
    },
    features=features,
    model=tree.HoeffdingTreeRegressor(grace_period=100, delta=1e-3, tau=0.1),
    join=Join(wait=days(20)),
    versions=Versions(every=5_000),
    watch=Watch(metrics=(metrics.MAE(), metrics.RMSE()), segment="engine", drift=("temperature", "fuel")),
)
