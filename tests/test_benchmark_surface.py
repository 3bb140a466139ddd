"""The made-up surface that samplers and early stopping are measured on: what it promises."""

import sys
from pathlib import Path

import numpy as np
import pytest

from kdsweep.search.draws import draw
from kdsweep.spec import Space
from kdsweep.sweep_file.read import parse_yaml

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def surface():
    sys.path.insert(0, str(ROOT / "benchmarks"))
    try:
        import surface
    finally:
        sys.path.pop(0)
    return surface


@pytest.fixture(scope="module")
def points():
    """Points at random of the real digits space."""
    text = (ROOT / "search_spaces" / "digits.yaml").read_text(encoding="utf-8")
    space = Space.parse(parse_yaml(text)[0]["space"])
    chance = np.random.default_rng(0)
    return [space.resolve(lambda d: draw(d, chance)).changes for _ in range(600)]


def ranks(values):
    return np.argsort(np.argsort(values))


@pytest.mark.parametrize(("share", "expected"), [(1 / 12, 0.55), (1 / 4, 0.85), (1 / 2, 0.95)])
def test_early_ranks_agree_with_the_last_as_those_of_real_trials_do(
    surface, points, share, expected
):
    curves = np.array([surface.curve(point, 0) for point in points])
    early = curves[:, round(share * surface.EPOCHS) - 1]
    found = np.corrcoef(ranks(early), ranks(curves[:, -1]))[0, 1]
    assert found == pytest.approx(expected, abs=0.05)


def test_a_curve_is_of_its_point_and_its_seed(surface, points):
    for point in points[:5]:
        assert surface.curve(point, 1) == surface.curve(point, 1)
        assert surface.curve(point, 1) != surface.curve(point, 2)
        accuracy, params = surface.evaluate(point, 1)
        assert (accuracy, params) == (surface.curve(point, 1)[-1], surface.params(point))


def test_seeds_differ_by_as_much_as_is_said(surface):
    point = {"student.width": 16, "strategy": {"name": "kd"}}
    found = [surface.evaluate(point, seed)[0] for seed in range(400)]
    mean = surface.expected(point)
    spread = surface.NOISE * (1 + 4 * (1 - mean))
    assert np.mean(found) == pytest.approx(mean, abs=3 * spread / 20)
    assert np.std(found) == pytest.approx(spread, rel=0.15)


def test_the_parameters_are_those_of_a_network_by_hand(surface):
    # 1 -> 2 -> 4 channels of 3x3 with biases, 2x2 pixels into 8, ten classes.
    by_hand = (9 * 2 + 2) + (9 * 2 * 4 + 4) + (4 * 4 * 8 + 8) + (8 * 10 + 10)
    point = {"student.width": 2, "student.stages": 2, "student.hidden": 8}
    assert surface.params(point) == by_hand
    whole = {"student": {"name": "cnn", "width": 2, "stages": 2, "hidden": 8}}
    assert surface.params(whole) == by_hand


def test_every_size_and_strategy_has_its_own_best_settings(surface):
    """Else one point would be all that a sampler has to find."""

    def best(path, values, **others):
        return max(values, key=lambda value: surface.expected({path: value, **others}))

    rates = list(np.geomspace(1e-4, 1e-1, 61))
    small, large = (best("train.lr", rates, **{"student.width": w}) for w in (2, 32))
    assert small > 1.5 * large
    weights = [
        {"name": "fitnet", "weight": float(weight)} for weight in np.geomspace(1e-3, 1e2, 51)
    ]
    low, high = (best("strategy", weights, **{"student.width": w})["weight"] for w in (4, 32))
    assert high > 10 * low
    assert surface.expected({"student.width": 2}) < surface.expected({"student.width": 32})
