"""regression beside the same thing said in numpy, and what a fit must be good for."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from ring0.abi import Op
from ring0.host import Host
from ring0.outcome import Refused, Result
from ring2_orchestrator.kernels import KernelSet
from tests.kernels.references import floats, regression

Array = np.ndarray[Any, Any]
Call = Callable[[Array, int, int], tuple[Array, Array]]
TYPES = ("f32", "f64")
SHAPES = ((1, 1), (1, 7), (2, 1), (3, 2), (8, 1))


@pytest.fixture
def forward(kernels: KernelSet, host: Host) -> Call:
    """Weights and residual, after the inverse gave the lanes back."""
    kernel = kernels.by_name("regression")

    def call(data: Array, record: int, history: int) -> tuple[Array, Array]:
        values = {"record": record, "history": history}
        params = kernel.manifest.encode_parameters(values, dtype=f"f{8 * data.itemsize}")
        outcome = host.call(kernel, Op.FORWARD, params, [data.tobytes()])
        assert isinstance(outcome, Result), outcome
        assert host.call(kernel, Op.INVERSE, params, outcome.outputs) == Result([data.tobytes()])
        weights, residual = outcome.outputs
        return np.frombuffer(weights, "<f8"), np.frombuffer(residual, data.dtype)

    return call


def orbits(dtype: str, records: int, record: int) -> Array:
    """Records of sums of a few waves: each number follows from those before it."""
    time = np.arange(records)[:, None]
    places = np.arange(record)
    waves = [np.sin((time + 4 * places) * speed) for speed in (0.11, 0.31, 0.73)]
    return np.asarray(1e3 * sum(waves), f"<f{int(dtype[1:]) // 8}").reshape(-1)


def misses(residual: Array) -> float:
    """How many bits a residual has, on the average."""
    return float(np.log2(np.abs(residual.view(f"<i{residual.itemsize}")) + 1.0).mean())


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize(("record", "history"), SHAPES)
def test_the_reference_says_the_same(dtype: str, record: int, history: int, forward: Call) -> None:
    whole = orbits(dtype, 90, record)
    for data in (whole, whole[:-1], whole[:5], whole[:0], floats.noise(dtype, 300)):
        weights, residual = forward(data, record, history)
        assert regression.forward(data, weights, record, history).tobytes() == residual.tobytes()
        back = regression.inverse(weights, residual, record, history)
        assert back.tobytes() == data.tobytes()


@pytest.mark.parametrize(("record", "history"), [(1, 6), (3, 2), (6, 1)])
def test_what_follows_from_what_was_before_leaves_next_to_nothing(
    record: int, history: int, forward: Call
) -> None:
    weights, residual = forward(orbits("f64", 2000, record), record, history)
    assert len(weights) > 0
    assert misses(residual[record * history :]) < 16


def test_the_fit_is_as_good_as_numpys(forward: Call) -> None:
    rng = np.random.default_rng(5)
    data = np.cumsum(rng.normal(size=(4000, 4)), axis=0)
    data[:, 3] += data[:, :3] @ [0.5, -2.0, 3.0]
    lanes = np.ascontiguousarray(data).reshape(-1)
    weights, _ = forward(lanes, 4, 1)
    for place, ours in enumerate(regression.weights_of(weights, 4, 1)):
        rows = np.hstack([data[:-1], data[1:, :place]])
        theirs, *_ = np.linalg.lstsq(rows, data[1:, place], rcond=None)
        missed, least = (np.std(data[1:, place] - rows @ w) for w in (ours, theirs))
        assert missed < 1.01 * least


@pytest.mark.parametrize("scale", [1e-300, 1e-160, 1.0, 1e160, 1e300])
def test_the_size_of_the_numbers_is_no_matter(scale: float, forward: Call) -> None:
    _, residual = forward(orbits("f64", 500, 3) * scale, 3, 2)
    assert misses(residual[6:]) < 16


def test_one_number_that_is_none_spoils_no_fit(forward: Call) -> None:
    data = orbits("f64", 500, 3)
    data[700] = np.nan
    data[900] = np.inf
    weights, residual = forward(data, 3, 2)
    assert np.isfinite(weights).all()
    assert misses(np.concatenate([residual[6:690], residual[920:]])) < 40


def test_lanes_that_are_all_zero_need_no_weights(forward: Call) -> None:
    weights, residual = forward(np.zeros(1000), 2, 2)
    assert not weights.any()
    assert not residual[1:].view("<u8").any()


@pytest.mark.parametrize(
    ("weights", "lanes", "code"), [(1, 5, 0), (1, 4, 3), (2, 5, 3), (0, 0, 0), (1, 0, 3)]
)
def test_weights_come_all_or_none_and_not_for_a_few_lanes(
    weights: int, lanes: int, code: int, kernels: KernelSet, host: Host
) -> None:
    kernel = kernels.by_name("regression")
    params = kernel.manifest.encode_parameters({"record": 1, "history": 1}, dtype="f64")
    outcome = host.call(kernel, Op.INVERSE, params, [bytes(8 * weights), bytes(8 * lanes)])
    assert isinstance(outcome, Result | Refused)
    assert code == (0 if isinstance(outcome, Result) else outcome.code)


def test_hostile_weights_decode_to_something(kernels: KernelSet, host: Host) -> None:
    kernel = kernels.by_name("regression")
    params = kernel.manifest.encode_parameters({"record": 2, "history": 1}, dtype="f64")
    residual = floats.noise("f64", 40)
    for weight in (np.nan, np.inf, -np.inf, 1e308, -0.0, 5e-324):
        weights = np.full(5, weight)
        outcome = host.call(kernel, Op.INVERSE, params, [weights.tobytes(), residual.tobytes()])
        assert isinstance(outcome, Result)
        back = regression.inverse(weights, residual, 2, 1)
        assert outcome.outputs == [back.tobytes()]
