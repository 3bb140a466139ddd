"""What a set of text files says of itself where the files are on another machine."""

import pytest

from kdsweep import catalog
from kdsweep.batch import Tokens
from kdsweep.errors import SpecError
from kdsweep.spec import Component


def promised(**settings):
    given = {"path": "nowhere/train.tsv", "classes": ["no", "yes"], "length": 32, **settings}
    return catalog.dataset(Component(name="text_files", **given)).promised()


@pytest.mark.parametrize(
    ("tokenizer", "vocabulary"),
    [
        ({"pretrained": "models/bert-base-uncased"}, 30_522),
        ({"pretrained": "google-bert/bert-base-cased"}, 28_996),
        ({"pretrained": "./distilbert-base-uncased/"}, 30_522),
        ({"vocabulary": 500}, 500),
    ],
)
def test_classes_and_vocabulary_are_told_without_the_files(tokenizer, vocabulary):
    info = promised(tokenizer=tokenizer)
    assert (info.num_classes, info.class_names) == (2, ("no", "yes"))
    assert info.shape == Tokens(32, vocabulary)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"classes": None}, r"nowhere/train.tsv' does not exist"),
        ({"tokenizer": {"pretrained": "models/another"}}, "no directory or file 'models/another'"),
        (
            {"path": {"train": "a.csv", "test": "b.csv"}, "test": 0.5},
            r"data\.test: .*data\.path",
        ),
    ],
)
def test_what_cannot_be_told_is_refused(settings, message):
    with pytest.raises(SpecError, match=message):
        promised(**settings)
