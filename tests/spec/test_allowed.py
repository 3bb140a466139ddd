"""Where, what was found, what is allowed: for all that pydantic says in terms of its own."""

import math

import pytest
from pydantic import ValidationError

from kdsweep.data.text.settings import TextSettings
from kdsweep.spec import SweepSpec, TrialSpec
from kdsweep.spec.problems import as_yaml, sentences
from kdsweep.strategies.kd import KnowledgeDistillation

TRIAL = {"data": "digits", "student": "cnn"}


def said(model, given):
    with pytest.raises(ValidationError) as caught:
        model.model_validate(given)
    return sentences(caught.value, model)


A_TEACHER = (
    "must be null, or a mapping of model, weights, train, seed, stored, max_cache_bytes, "
    "as {model: WORD} to train it first, or {model: WORD, weights: PATH}"
)


@pytest.mark.parametrize(
    ("key", "value", "sentence"),
    [
        ("teacher", "resnet18", "teacher: 'resnet18' is not allowed: "
         + A_TEACHER.replace("WORD", "resnet18")),
        ("teacher", "runs/t.safetensors", "teacher: 'runs/t.safetensors' is not allowed: "
         + A_TEACHER.replace("WORD", "NAME")),
        ("teacher", ["cnn"],
         "teacher: ['cnn'] is not allowed: " + A_TEACHER.replace("WORD", "NAME")),
        ("teacher", {"name": "cnn", "width": 8},
         "teacher: has the settings of a network itself: put them under model, as "
         "{model: {name: cnn, ...}}, with weights or train beside it"),
        ("teachers", {"big": "vgg"}, "teachers.big: 'vgg' is not allowed: must be a mapping of "
         "model, weights, train, seed, stored, max_cache_bytes, as {model: vgg} to train it first, "
         "or {model: vgg, weights: PATH}"),
        ("student", 5, "student: 5 is not allowed: must be a name, or a mapping with a name and "
         "settings, as {name: NAME, SETTING: VALUE}"),
        ("student", {"name": 5}, "student.name: 5 is not allowed: must be text: put it in quotes"),
        ("student", {"name": ["cnn"]}, "student.name: ['cnn'] is not allowed: must be text"),
        ("student", {"name": ""}, "student.name: has 0 characters: must have 1 or more"),
        ("train", "fast", "train: 'fast' is not allowed: must be a mapping of epochs, batch_size, "
         "lr, optimizer, schedule, label_smoothing, label_share, clip_norm, precision, "
         "memory_format, compile"),
        ("train", {"lr": "fast"}, "train.lr: 'fast' is not allowed: must be a number, greater than "
         "0, at most 100"),
        ("train", {"lr": math.nan}, "train.lr: .nan is not allowed: must be a finite number, "
         "greater than 0, at most 100"),
        ("train", {"epochs": -math.inf}, "train.epochs: -.inf is not allowed: must be a finite "
         "whole number, at least 1, at most 100000"),
        ("train", {"epochs": 2.5}, "train.epochs: 2.5 is not allowed: must be a whole number, "
         "at least 1, at most 100000"),
        ("train", {"epochs": None}, "train.epochs: null is not allowed: must be a whole number, "
         "at least 1, at most 100000"),
        ("train", {"clip_norm": [1]}, "train.clip_norm: [1] is not allowed: must be null, or a "
         "number, greater than 0"),
        ("train", {"optimizer": {"name": "sgd", "nesterov": "maybe"}},
         "train.optimizer.nesterov: 'maybe' is not allowed: must be true or false"),
        ("train", {"optimizer": 5}, "train.optimizer: 5 is not allowed: must be a name, or a "
         "mapping with a name and settings (names: adam, adamw, sgd)"),
        ("train", {"schedule": {"factor": 0.5}}, "train.schedule: {'factor': 0.5} has no name "
         "(allowed: constant, cosine, per_rung, steps)"),
        ("train", {"schedule": {"name": "steps", "milestones": 0.5}},
         "train.schedule.milestones: 0.5 is not allowed: must be a list, as [0.5]"),
        ("train", {"schedule": {"name": "steps", "milestones": "half"}},
         "train.schedule.milestones: 'half' is not allowed: must be a list"),
    ],
)  # fmt: skip
def test_of_a_trial(key, value, sentence):
    assert said(TrialSpec, {**TRIAL, key: value}) == [sentence]


@pytest.mark.parametrize(
    ("key", "value", "sentence"),
    [
        ("objectives", dict.fromkeys(("params", "macs", "loss", "size_bytes", "latency_ms"), "min"),
         "objectives: has 5 entries: at most 4 are allowed, remove 1 or more"),
        ("objectives", {}, "objectives: has 0 entries: must have 1 or more"),
        ("objectives", "accuracy", "objectives: 'accuracy' is not allowed: must be a mapping of "
         "accuracy, loss, params, macs, size_bytes, latency_ms to max or min"),
        ("constraints", 7, "constraints: 7 is not allowed: must be a mapping of accuracy, loss, "
         "params, macs, size_bytes, latency_ms"),
        ("constraints", {"params": 1000}, "constraints.params: 1000 is not allowed: must be a "
         "mapping of min, max, as {max: 20000}"),
        ("search", "tpe", "search: 'tpe' is not allowed: must be a mapping of sampler, trials, "
         "budget, rungs, replicates, seed, batch, grid_points, population, "
         "warm_start, as {sampler: tpe, trials: 40}"),
        ("space", 5, "space: 5 is not allowed: must be a mapping"),
        ("description", True, "description: true is not allowed: must be text: put it in quotes"),
    ],
)  # fmt: skip
def test_of_a_sweep(key, value, sentence):
    good = {"name": "x", "trial": TRIAL, "space": {"train.lr": {"uniform": [0.1, 1]}}}
    assert said(SweepSpec, {**good, key: value}) == [sentence]


def test_of_a_tokenizer_by_its_name():
    assert said(TextSettings, {"tokenizer": "bert-base-uncased"}) == [
        "tokenizer: 'bert-base-uncased' is not allowed: must be a mapping of vocabulary, "
        "lowercase, pretrained, as {pretrained: bert-base-uncased}, or {vocabulary: 4000} to "
        "train one"
    ]


def test_of_a_component_of_the_catalog():
    assert said(KnowledgeDistillation.Params, {"temperature": "hot", "alpha": math.inf}) == [
        "temperature: 'hot' is not allowed: must be a number, greater than 0, at most 1000",
        "alpha: .inf is not allowed: must be a finite number, at least 0, at most 1",
    ]


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "null"), (True, "true"), (False, "false"), (math.nan, ".nan"), (-math.inf, "-.inf"),
     (1, "1"), (0.5, "0.5"), ("a" * 80, "'" + "a" * 56 + "...")],
)  # fmt: skip
def test_values_are_shown_as_they_are_written(value, text):
    assert as_yaml(value) == text
