"""Strategies that do not suit networks: told by the file alone, before anything is trained."""

import textwrap

import pytest
import torch

from kdsweep.errors import SpecError
from kdsweep.sweep_file import load, load_trial
from kdsweep.sweep_file.pairs import Pairing

TEXTS = "label,text\n" + "".join(f"{i % 2},word{i % 7} other{i % 5} more\n" for i in range(60))
CNN = "{name: cnn, width: 4, stages: 2}"
VIT = "{name: vit, patch: 2, width: 8, depth: 2, heads: 2}"


@pytest.fixture
def loaded(tmp_path):
    """A function: the sweep of a file with these parts."""

    def of(*, space, data="digits", student=CNN, teacher=CNN, strategy="kd"):
        path = tmp_path / "sweep.yaml"
        path.write_text(
            textwrap.dedent(
                f"""
                name: pairs
                trial:
                  data: {data}
                  teacher: {{model: {teacher}}}
                  student: {student}
                  strategy: {strategy}
                space:
                """
            )
            + textwrap.indent(textwrap.dedent(space), "  ")
        )
        return load(path)

    return of


def problems(loaded, **parts):
    with pytest.raises(SpecError) as caught:
        loaded(**parts)
    return list(caught.value.problems)


def test_all_suit_each_other(loaded):
    sweep = loaded(space="student.width: {choice: [2, 4]}\nstrategy: {choice: [kd, fitnet]}")
    # The trial's own student and two more, its own strategy and two more.
    assert sweep.pairing == Pairing(num_pairs=9)


def test_a_layer_that_does_not_exist_is_found_in_the_trial(loaded):
    strategy = "{name: fitnet, layers: [{student: stages.1, teacher: stages.7}]}"
    (problem,) = problems(loaded, strategy=strategy, space="train.lr: {choice: [0.1, 0.2]}")
    assert problem.startswith(
        "trial.strategy.layers.0.teacher: no layer 'stages.7'; nearest: 'stages.1', 'stages.0'"
    )


def test_of_an_extra(loaded):
    strategy = "{name: kd, extra: {nst: {layers: [{student: x, teacher: stages.0}]}}}"
    (problem,) = problems(loaded, strategy=strategy, space="train.lr: {choice: [0.1, 0.2]}")
    assert problem.startswith("trial.strategy.extra.nst.layers.0.student: no layer 'x'")


def test_what_is_wrong_with_the_trial_is_said_once(loaded):
    (problem,) = problems(
        loaded,
        strategy="{name: fitnet, layers: [{student: nowhere, teacher: stages.0}]}",
        space="student.width: {choice: [2, 4]}\nstrategy.weight: {choice: [1, 2]}",
    )
    assert problem.startswith("trial.strategy.layers.0.student: no layer 'nowhere'")


def test_a_strategy_that_suits_no_network_is_a_mistake(loaded):
    found = problems(
        loaded,
        space="student.width: {choice: [2, 4]}\nstrategy: {choice: [kd, transformer]}",
    )
    assert found == [
        "space.strategy[transformer]: the student is not a transformer: use vit, bert or "
        "distilbert, or give a network of your own a property anatomy (kdsweep.batch.Anatomy)",
        "space.strategy[transformer]: the teacher is not a transformer: use vit, bert or "
        "distilbert, or give a network of your own a property anatomy (kdsweep.batch.Anatomy)",
    ]


def test_a_network_that_suits_no_strategy_is_a_mistake(loaded):
    (problem,) = problems(
        loaded,
        space=f"student: {{choice: [{CNN}, {VIT}]}}\nstrategy.weight: {{choice: [1, 2]}}",
        strategy="{name: fitnet, layers: [{student: stages.1, teacher: stages.1}]}",
    )
    assert problem.startswith("trial.strategy.layers.0.student: no layer 'stages.1'; nearest: ")
    assert problem.endswith("(with student=vit)")


def test_a_pair_that_clashes_is_told_and_the_sweep_is_good(loaded):
    sweep = loaded(
        space=f"student: {{choice: [{CNN}, {VIT}]}}\n"
        "strategy: {choice: [kd, {name: transformer, layer_map: {choice: [uniform, last]}}]}",
        teacher=VIT,
    )
    pairing = sweep.pairing
    # The trial's own student is such a cnn: it is there twice, for either map of the transformer.
    assert (pairing.num_clashes, pairing.num_pairs) == (4, 12)
    assert len(pairing.clashes) == 1
    assert pairing.clashes[0] == (
        "space.strategy[transformer]: the student is not a transformer: use vit, bert or "
        "distilbert, or give a network of your own a property anatomy (kdsweep.batch.Anatomy) "
        "(with the networks of the trial)"
    )


def test_two_classes_are_too_few_for_what_compares_the_others(loaded):
    data = "{name: glyphs, classes: [latin, greek]}"
    (problem,) = problems(loaded, data=data, strategy="dkd", space="train.lr: {choice: [0.1, 0.2]}")
    assert problem.startswith("trial.strategy: of 2 classes one alone is not the target")


def test_images_cannot_be_made_for_a_network_that_reads(loaded, tmp_path):
    (tmp_path / "texts.csv").write_text(TEXTS)
    reader = "{name: text_cnn, width: 4, filters: 4}"
    found = problems(
        loaded,
        data=f"{{name: text_files, path: {tmp_path / 'texts.csv'}, label: label, text: text}}",
        student=reader,
        teacher=reader,
        strategy="data_free",
        space="train.lr: {choice: [0.1, 0.2]}",
    )
    assert len(found) == 2
    assert found[0].startswith("trial.strategy: data_free makes images, and the student reads")


def test_examples_that_are_made_cannot_be_remembered(loaded):
    (problem,) = problems(
        loaded,
        strategy="{name: data_free, extra: {crd: {}}}",
        space="train.lr: {choice: [0.1, 0.2]}",
    )
    assert problem.startswith("trial.strategy.extra.crd: there are 0 training examples")
    assert "leave crd out where the main strategy makes its own examples (data_free)" in problem


def test_blocks_of_other_sizes_cannot_be_copied(loaded):
    (problem,) = problems(
        loaded,
        student=VIT,
        teacher="{name: vit, patch: 2, width: 16, depth: 2, heads: 2}",
        strategy="{name: transformer, initialise: alternate}",
        space="train.lr: {choice: [0.1, 0.2]}",
    )
    assert problem.startswith("trial.strategy.initialise: ")


def test_a_trial_file_is_checked_as_well(tmp_path):
    path = tmp_path / "trial.yaml"
    path.write_text(
        f"trial: {{data: digits, teacher: {{model: {CNN}}}, student: {CNN}, strategy: transformer}}"
    )
    with pytest.raises(SpecError) as caught:
        load_trial(path)
    assert caught.value.problems[0].startswith("trial.strategy: the student is not a transformer")


def test_other_mistakes_come_first(loaded):
    """A network that cannot be built has no layers to speak of."""
    found = problems(
        loaded,
        student="{name: cnn, width: 4, stages: 9}",
        strategy="{name: fitnet, layers: [{student: x, teacher: y}]}",
        space="train.lr: {choice: [0.1, 0.2]}",
    )
    assert found
    assert not any("layer" in problem for problem in found)


def test_nothing_random_is_used_up(loaded):
    before = torch.get_rng_state()
    loaded(space="student.width: {choice: [2, 4]}\nstrategy: {choice: [kd, crd, online, vid]}")
    assert torch.equal(before, torch.get_rng_state())


OWN = """
from kdsweep.strategies.kd import KnowledgeDistillation as Kd


class Broken(Kd):
    def __init__(self, params, probe):
        super().__init__(params, probe)
        raise ValueError("the moon is full")


class Looks(Kd):
    '''Reads values, which are not there without a device.'''

    def __init__(self, params, probe):
        super().__init__(params, probe)
        self.largest = float(probe.student.logits.max())
"""


def test_strategies_of_ones_own(loaded, tmp_path, monkeypatch):
    (tmp_path / "moonstruck.py").write_text(OWN)
    monkeypatch.syspath_prepend(tmp_path)
    space = "train.lr: {choice: [0.1, 0.2]}"
    assert problems(loaded, strategy="{name: 'moonstruck:Broken'}", space=space) == [
        "trial.strategy: moonstruck:Broken cannot be built for these networks: "
        "ValueError: the moon is full"
    ]
    assert loaded(strategy="{name: 'moonstruck:Looks'}", space=space).pairing.num_pairs == 1
