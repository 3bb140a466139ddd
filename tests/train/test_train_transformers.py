"""Transformers through the trainer: images and pairs of texts, started from a teacher's blocks."""

from functools import partial

import pytest
import torch
from tiny_trials import CPU, STILL, curve, go_on, numbers, spec, splits_of, teacher, trained

from kdsweep import catalog
from kdsweep.spec import Component, TrialSpec
from kdsweep.train import bf16_probe
from kdsweep.train.loop import Trained, train

VIT = {"name": "vit", "patch": 4, "width": 8, "heads": 2, "depth": 2}
BERT = {"name": "bert", "layers": 4, "width": 8, "heads": 2, "separator": 3}
DISTILBERT = {"name": "distilbert", "layers": 2, "width": 8, "heads": 2}
ALTERNATE = {"layer_map": "skip", "initialise": "alternate"}


def taught(trial: TrialSpec, of_teacher: dict[str, object]) -> tuple[Trained, torch.nn.Module]:
    """The trial with a teacher that was drawn, and the teacher."""
    splits = splits_of(trial)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        network = catalog.model_for(Component(**of_teacher), splits.info)
    made = teacher(network)
    result = train(trial, go_on, splits=splits, device=CPU, teacher=made)
    return result, made.network


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    """Questions that the second text answers with yes where it repeats the first's word."""
    words = ["cat", "dog", "bird", "fish", "frog", "horse"]
    rows = []
    for one in words:
        for number, other in enumerate([*words, one, one, one, one]):
            said = f"is it a {one} ?\tit is a {other}" + " indeed" * (number % 5)
            rows.append(f"{said}\t{'yes' if one == other else 'no'}")
    file = tmp_path_factory.mktemp("pairs") / "pairs.tsv"
    file.write_text("\n".join(["text\tanswer\tlabel", *rows]) + "\n")
    return {
        "name": "text_files",
        "path": str(file),
        "pair": "answer",
        "length": 24,
        "tokenizer": {"vocabulary": 100},
    }


def still(one: torch.Tensor, other: torch.Tensor) -> bool:
    """Whether they are equal but for what the smallest learning rate moved zeros by."""
    return torch.allclose(one, other, rtol=0, atol=1e-20)


def of_texts(data, strategy, **train):
    return TrialSpec(
        data=data,
        student=DISTILBERT,
        strategy=strategy,
        train={"epochs": 2, "batch_size": 16, "lr": 0.01, **train},
    )


def test_a_vit_learns_from_a_vit():
    trial = spec({"name": "transformer", "relations": "qkv"}, student=VIT)
    result, _ = taught(trial, {**VIT, "depth": 3})
    assert set(result.raw_weights) == {"hard", "hidden", "attention", "relations"}
    assert all(weight > 0 for weight in result.raw_weights.values())
    again, _ = taught(trial, {**VIT, "depth": 3})
    assert curve(again.epochs) == curve(result.epochs)


def test_a_distilbert_learns_from_a_bert_on_pairs_of_texts(pairs):
    strategy = {
        "name": "kd",
        "extra": {"transformer": {"embeddings": True, "attention": "scores", **ALTERNATE}},
    }
    result, _ = taught(of_texts(pairs, strategy), BERT)
    assert set(result.raw_weights) == {"hard", "soft", "hidden", "attention"}
    means = [epoch.train for epoch in result.epochs]
    assert means[1]["hidden"] < means[0]["hidden"]
    again, _ = taught(of_texts(pairs, strategy), BERT)
    assert curve(again.epochs) == curve(result.epochs)


@pytest.mark.parametrize("main", ["none", "kd"])
def test_training_starts_from_the_teachers_blocks(main, pairs):
    extra = {"transformer": {"hidden": "none", "attention": "none", **ALTERNATE}}
    result, network = taught(of_texts(pairs, {"name": main, "extra": extra}, **STILL), BERT)
    ours, theirs = result.student.anatomy, network.anatomy
    for block, position in zip(ours.blocks, (0, 3), strict=True):
        for role, path in block.parts.items():
            own = result.student.get_submodule(path).state_dict()
            other = network.get_submodule(theirs.blocks[position].parts[role]).state_dict()
            assert list(own) == list(other)
            for name in own:
                assert still(own[name], other[name])


def test_without_it_training_starts_from_the_students_own(pairs):
    plain = trained(of_texts(pairs, "none", **STILL)).student
    compared, network = taught(of_texts(pairs, "transformer", **STILL), BERT)
    for name, value in compared.student.state_dict().items():
        assert still(value, plain.state_dict()[name])
    first = compared.student.anatomy.blocks[0].query
    other = network.get_submodule(network.anatomy.blocks[1].query)
    assert not still(compared.student.get_submodule(first).weight, other.weight)


@pytest.mark.parametrize("setting", [{"precision": "bf16"}, {"compile": "default"}], ids=str)
def test_readers_train_with_every_setting_to_nearly_the_same_numbers(pairs, setting, monkeypatch):
    monkeypatch.setattr(bf16_probe, "gain", lambda student, batch: 2.0)
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend="eager"))
    strategy = {"name": "transformer", "layer_map": "last"}
    expected, _ = taught(of_texts(pairs, strategy, epochs=1), BERT)
    found, _ = taught(of_texts(pairs, strategy, epochs=1, **setting), BERT)
    torch.compiler.reset()
    said = {"bf16": "bf16, contiguous"}
    wanted = said.get(setting.get("precision", ""), "float32, contiguous, compiled (default)")
    live = ", teacher live"
    assert (expected.computed, found.computed) == ("float32, contiguous" + live, wanted + live)
    torch.testing.assert_close(numbers(found.epochs), numbers(expected.epochs), rtol=0.1, atol=0.1)
