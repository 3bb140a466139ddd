"""A wrong ``layers`` is one sentence that shows how pairs are written."""

import pytest

from kdsweep import catalog
from kdsweep.errors import SpecError
from kdsweep.spec import Component

PAIRS = "or a list of pairs, as [{student: PATH, teacher: PATH}]"


@pytest.mark.parametrize(
    ("name", "layers", "said"),
    [
        ("fitnet", "middle", f"must be auto, {PAIRS}"),
        ("fitnet", ["stages.0"], f"must be auto, {PAIRS}"),
        ("nst", [{"student": "stages.0"}], f"must be auto, {PAIRS}"),
        ("rkd", "middle", f"must be embedding or last, {PAIRS}"),
        ("similarity", 3, f"must be embedding or last, {PAIRS}"),
        (
            "self_distillation",
            "stages.0",
            "must be auto, or a list of module paths, as [stages.0]",
        ),
    ],
)
def test_it_is_one_problem_in_words(name, layers, said):
    with pytest.raises(SpecError) as refused:
        catalog.params("strategy", Component(name=name, layers=layers), at="strategy")
    (problem,) = refused.value.problems
    assert problem == f"strategy.layers: {layers!r}: {said}"


def test_two_weights_of_nothing_are_refused():
    with pytest.raises(SpecError, match=r"w_ce and w_kd are both 0: nothing is learned"):
        catalog.params("strategy", Component(name="kd", w_ce=0, w_kd=0))
