import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from kdsweep.data import digits
from kdsweep.data.digits import Digits
from kdsweep.data.memory import InMemorySplit
from kdsweep.errors import SpecError

CPU = torch.device("cpu")


def parts(**settings: object) -> tuple[InMemorySplit, ...]:
    splits = Digits(Digits.Params(**settings)).load(CPU)
    found = (splits.train, splits.validation, splits.test)
    assert all(isinstance(split, InMemorySplit) for split in found)
    return found


def rows(split: InMemorySplit) -> list[bytes]:
    return [
        image.numpy().tobytes() + bytes([label])
        for image, label in zip(split.images, split.labels.tolist(), strict=True)
    ]


def test_every_digit_is_in_one_part_and_is_the_scanned_one() -> None:
    found = parts()
    assert [split.num_samples for split in found] == [1079, 359, 359]
    bunch = load_digits()
    expected = [
        (image * 15).astype(np.uint8).tobytes() + bytes([label])
        for image, label in zip(bunch.images, bunch.target, strict=True)
    ]
    assert sorted(row for split in found for row in rows(split)) == sorted(expected)


def test_classes_keep_their_shares() -> None:
    counts = np.bincount(load_digits().target)
    for split, share in zip(parts(), (0.6, 0.2, 0.2), strict=True):
        held = np.bincount(split.labels.numpy())
        assert np.abs(held - counts * share).max() <= 1


def test_file_and_library_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    table = digits._table()
    monkeypatch.setattr(digits.importlib.util, "find_spec", lambda _: None)
    assert np.array_equal(digits._table(), table)


def test_limit_takes_from_train_alone() -> None:
    train, validation, test = parts(limit=100)
    assert np.bincount(train.labels.numpy()).tolist() == [10] * 10
    assert [validation.num_samples, test.num_samples] == [359, 359]
    assert not set(rows(train)) & set(rows(validation) + rows(test))


def test_the_fingerprint_follows_what_batches_follow() -> None:
    def name(**settings: object) -> str:
        return Digits(Digits.Params(**settings)).load(CPU).fingerprint

    names = [
        name(),
        name(split_seed=1),
        name(limit=500),
        name(test=0.1),
        name(mean=(0.5,)),
        name(augment={"crop": 1}),
        name(augment={"crop": 1, "views": 4}),
    ]
    assert len(set(names)) == len(names)
    assert name(augment={"views": 3}) == name()


def test_views() -> None:
    assert Digits(Digits.Params()).load(CPU).num_views == 1
    assert Digits(Digits.Params(augment={"crop": 1})).load(CPU).num_views == 8


def test_settings_that_do_not_fit_are_refused_together() -> None:
    with pytest.raises(SpecError) as caught:
        Digits(Digits.Params(augment={"crop": 8}, mean=(0.1, 0.2))).describe()
    assert len(caught.value.problems) == 2
