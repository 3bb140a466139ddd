"""Controls with replicates in the picture of strategies."""

import pytest
from sweep_views import NONE, replicated, student, view

from kdsweep.report.pictures import PICTURES, strategies

RESULTS = [
    *replicated(0, [0.90, 0.91, 0.92], 1_000, role="control"),
    *replicated(1, [0.80, 0.81, 0.82], 1_000, strategy=NONE, role="control"),
    *replicated(2, [0.85, 0.86, 0.87], 9_000),
]


def test_a_control_with_replicates_has_its_interval():
    data = strategies.gather(view(RESULTS, replicates=3))
    assert [(each.strategy, each.place) for each in data.controls] == [("kd", 0), ("none", 0)]
    # Student's t of two degrees: 4.302653 * 1 / sqrt(3) points to each side.
    kd = data.controls[0]
    assert (kd.low, kd.mean, kd.high) == pytest.approx((88.5159, 91, 93.4841), abs=1e-4)
    assert "95% interval 88.52 to 93.48" in kd.hover
    assert data.low <= 78.5
    assert data.high >= kd.high
    figure = PICTURES["strategies"].figure(view(RESULTS, replicates=3))
    (drawn,) = (trace for trace in figure.data if trace.name == "controls, 95% interval")
    assert list(drawn.y) == pytest.approx([91, 81])
    assert list(drawn.error_y.array) == pytest.approx([2.4841, 2.4841], abs=1e-4)
    # Side by side, each beside its strategy: none comes first.
    assert drawn.x[1] < drawn.x[0]
    assert strategies.draw_png(data).startswith(b"\x89PNG")


def test_controls_of_single_seeds_have_no_spread_to_draw():
    single = [student(0, 0.9, 1_000, role="control"), student(1, 0.8, 1_000, strategy=NONE)]
    assert strategies.gather(view(single)).controls == ()
    of_loss = view(RESULTS, replicates=3, objectives={"loss": "min", "params": "min"})
    assert strategies.gather(of_loss).controls == ()
