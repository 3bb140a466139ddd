"""What every data set must do: a new file in the room is tested by being there.

One that needs files, or that has more than one way to be read, is made by ``made_here``.
"""

from itertools import pairwise

import pytest
import torch
from data_made_here import NAMES, made_here

from kdsweep import catalog
from kdsweep.batch import PADDING, Batch, Tokens
from kdsweep.data.base import DataInfo, DataSet, Extent, Split, Splits
from kdsweep.errors import SpecError, TrialError
from kdsweep.results.record import EpochMetrics
from kdsweep.spec import Component, TrialSpec
from kdsweep.storage.shared import Shared
from kdsweep.train.loop import Verdict, train
from kdsweep.train.output_store import OutputStore
from kdsweep.train.teacher import Teacher

CPU = torch.device("cpu")


@pytest.fixture(scope="module", params=made_here())
def component(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Component:
    """The settings of a data set that is there."""
    root = tmp_path_factory.mktemp("data") / "images"
    return Component(**made_here()[request.param](root))


@pytest.fixture(scope="module")
def splits(component: Component) -> Splits:
    return catalog.dataset(component).load(CPU)


def parts(splits: Splits) -> dict[str, Split]:
    return {"train": splits.train, "validation": splits.validation, "test": splits.test}


def contents(split: Split, view: int | None = None, batch_size: int = 512) -> list[bytes]:
    """All inputs of each sample, by id."""
    batches = split.in_order(batch_size=batch_size, view=view)
    return [each for batch in batches for each in samples(batch)]


def samples(batch: Batch) -> list[bytes]:
    """All inputs of each sample; texts without their padding, which differs between batches."""
    columns = [
        [(row[row != PADDING] if name == "tokens" else row).numpy().tobytes() for row in values]
        for name, values in batch.inputs.items()
    ]
    return [b"".join(parts) for parts in zip(*columns, strict=True)]


def check_inputs(batch: Batch, info: DataInfo) -> None:
    """Every input is of its shape and kind."""
    assert list(batch.inputs) == list(info.shapes)
    for name, values in batch.inputs.items():
        shape = info.shapes[name]
        if isinstance(shape, Tokens):
            assert values.dtype == torch.int64
            assert values.shape[0] == len(batch)
            assert values.shape[1] == min(shape.length, -(-values.shape[1] // 8) * 8)
            assert values.min() >= 0
            assert values.max() < shape.vocabulary
            used = values != PADDING
            assert used[:, 0].all()
            assert (used.int().diff(dim=1) <= 0).all()
        else:
            assert values.shape == (len(batch), *shape)
            assert values.dtype == torch.float32
            assert values.isfinite().all()


def test_validation_samples_are_put_behind_those_to_train_on(splits):
    both = splits.with_validation().train
    num = splits.train.num_samples
    assert both.num_samples == num + splits.validation.num_samples
    assert contents(both) == contents(splits.train) + contents(splits.validation)
    assert both.labels.tolist() == splits.train.labels.tolist() + splits.validation.labels.tolist()
    # A sample of both keeps its views, which teachers' outputs are stored by.
    for view in {0, splits.num_views - 1}:
        assert contents(both, view)[:num] == contents(splits.train, view)
    seen = [i for b in both.shuffled(batch_size=32, epoch=1, seed=3) for i in b.ids.tolist()]
    assert len(set(seen)) == len(seen) >= both.num_samples - 1
    assert splits.with_validation().fingerprint != splits.fingerprint


def test_the_data_sets_are_all_found():
    expected = {"digits", "docstrings", "glyphs", "image_folder", "text_files", "torchvision"}
    assert expected <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_it_says_what_it_is_and_where_it_is_from(name):
    cls = catalog.find("data", name)
    assert issubclass(cls, DataSet)
    for part in (cls, cls.Params):
        assert len(vars(part)["__doc__"].split()) > 5
    assert cls.source.strip()
    with pytest.raises(SpecError, match=r"data\.lmit: unknown"):
        catalog.params("data", Component(name=name, lmit=3), at="data")


def test_it_is_what_it_says_before_it_is_read(component, splits):
    info = catalog.dataset(component).describe()
    assert info == splits.info
    assert len(info.class_names) == len(set(info.class_names)) == info.num_classes >= 2
    labels = set()
    for split in parts(splits).values():
        for batch in split.in_order(batch_size=300):
            check_inputs(batch, info)
            assert batch.labels.dtype == torch.int64
            labels |= set(batch.labels.tolist())
    assert labels == set(range(info.num_classes))


def test_every_class_is_trained_and_every_split_is_read_whole(splits):
    for name, split in parts(splits).items():
        batches = list(split.in_order(batch_size=37))
        assert torch.cat([b.ids for b in batches]).tolist() == list(range(split.num_samples))
        assert split.num_samples > 1
        assert torch.equal(torch.cat([b.labels for b in batches]), split.labels)
        if name == "train":
            found = torch.cat([b.labels for b in batches]).unique()
            assert len(found) == splits.info.num_classes


def test_no_sample_is_in_two_splits(splits):
    found = {name: set(contents(split)) for name, split in parts(splits).items()}
    assert not found["train"] & found["validation"]
    assert not (found["train"] | found["validation"]) & found["test"]


def test_images_are_normalised_by_the_training_split(splits):
    if "images" not in splits.info.shapes:
        pytest.skip("has no images")
    (batch,) = splits.train.in_order(batch_size=splits.train.num_samples)
    std, mean = torch.std_mean(batch.images, dim=(0, 2, 3), correction=0)
    torch.testing.assert_close(mean, torch.zeros_like(mean), rtol=0, atol=1e-4)
    torch.testing.assert_close(std, torch.ones_like(std), rtol=1e-4, atol=0)


def test_a_view_shows_the_same_in_order_and_shuffled(splits):
    for epoch in range(splits.num_views + 1):
        for batch in splits.train.shuffled(batch_size=400, epoch=epoch, seed=epoch):
            assert 0 <= batch.view < splits.num_views
            check_inputs(batch, splits.info)
            ordered = contents(splits.train, batch.view, batch_size=123)
            assert samples(batch) == [ordered[number] for number in batch.ids.tolist()]


def test_views_differ_where_there_are_several(splits):
    seen = [contents(splits.train, view) for view in range(splits.num_views)]
    if splits.num_views == 1:
        assert seen[0] == contents(splits.train)
    else:
        assert not any(one == two for one, two in pairwise(seen))


def test_with_other_views_the_samples_are_the_same(splits):
    two, three = splits.with_views(2), splits.with_views(3)
    assert two.for_teachers == three.for_teachers == splits.for_teachers
    for part in ("train", "validation", "test"):
        assert torch.equal(getattr(three, part).labels, getattr(splits, part).labels)
    if two is splits:
        assert three is splits
        assert splits.num_views == 1
        return
    assert (two.num_views, three.num_views) == (2, 3)
    assert len({splits.fingerprint, two.fingerprint, three.fingerprint}) == 3
    assert three.num_bytes == splits.num_bytes > 0
    again = three.with_views(splits.num_views)
    for view in range(splits.num_views):
        assert contents(again.train, view) == contents(splits.train, view)
    assert contents(two.train, 1) != contents(three.train, 1)


def test_a_piece_of_a_view_has_the_very_batches_of_the_whole(splits):
    train, view = splits.train, splits.num_views - 1
    whole = list(train.in_order(batch_size=8, view=view))
    end = train.num_samples
    for start, stop in ((0, 8), (8, min(24, end)), (8 * ((end - 1) // 8), end)):
        piece = list(train.piece(start, stop, batch_size=8, view=view))
        wanted = whole[start // 8 : -(-stop // 8)]
        assert [each.view for each in piece] == [view] * len(wanted)
        for found, batch in zip(piece, wanted, strict=True):
            assert torch.equal(found.ids, batch.ids)
            assert all(torch.equal(found.inputs[k], batch.inputs[k]) for k in batch.inputs)


def test_what_it_says_of_its_extent_is_what_is_loaded(component, splits):
    extent = catalog.dataset(component).extent()
    assert extent in (None, Extent(splits.train.num_samples, splits.num_views))


def test_what_it_says_of_its_parts_is_what_is_loaded(component, splits):
    survey = catalog.dataset(component).survey()
    assert survey is None or survey.counts == splits.counts


def test_reading_it_again_gives_the_same(component, splits):
    again = catalog.dataset(component).load(CPU)
    assert again.fingerprint == splits.fingerprint
    for one, other in zip(parts(splits).values(), parts(again).values(), strict=True):
        assert contents(one) == contents(other)
    first, second = (s.train.shuffled(batch_size=50, epoch=3, seed=7) for s in (splits, again))
    for one, other in zip(first, second, strict=True):
        assert samples(one) == samples(other)
        assert torch.equal(one.labels, other.labels)


def test_without_its_training_split_the_rest_is_the_same(component, splits):
    made = catalog.dataset(component)
    if made.problems_without_training():
        used = splits.train.treatment.normalisation
        given = {"mean": used.mean, "std": used.std}
        made = catalog.dataset(component.model_copy(update=given))
    assert made.problems_without_training() == []
    rest = made.load_without_training(CPU)
    assert rest.info == splits.info
    assert rest.fingerprint == made.load_without_training(CPU).fingerprint != splits.fingerprint
    for name in ("validation", "test"):
        assert contents(parts(rest)[name]) == contents(parts(splits)[name])
        assert torch.equal(parts(rest)[name].labels, parts(splits)[name].labels)
    with pytest.raises(TrialError, match="the training data are withheld"):
        rest.train.in_order(batch_size=2)


def test_another_split_has_another_name(component, splits):
    other = Component(**{**component.settings, "name": component.name, "split_seed": 1})
    assert catalog.dataset(other).load(CPU).fingerprint != splits.fingerprint


NETWORKS = {
    "images": {"name": "cnn", "stages": 2, "hidden": 8},
    "tokens": {"name": "text_cnn", "filters": 4, "kernels": [1, 2]},
}
"""A small network for each kind of input, with a width to choose."""


def test_a_student_is_distilled_on_it(component, splits, tmp_path):
    """By a teacher that takes the main input, into a student that takes the last."""
    kinds = list(splits.info.shapes)
    trial = TrialSpec(
        data=component,
        student={**NETWORKS[kinds[-1]], "width": 2},
        strategy="kd",
        train={"epochs": 1, "batch_size": 64},
    )
    torch.manual_seed(0)
    big = catalog.model_for(Component(**NETWORKS[kinds[0]], width=4), splits.info)
    teacher = Teacher(big, digest="drawn", accuracy=0.0)
    seen: list[EpochMetrics] = []

    def report(epoch: EpochMetrics) -> Verdict:
        seen.append(epoch)
        return Verdict.CONTINUE

    live = train(trial, report, splits=splits, device=CPU, teacher=teacher)
    assert list(seen[0].train) == ["total", "hard", "soft"]
    assert not any(parameter.isnan().any() for parameter in live.student.parameters())
    stored = OutputStore(Shared(tmp_path), "weights", teacher, splits.train)
    train(trial, report, splits=splits, device=CPU, teacher=teacher, stored=stored)
    assert any(tmp_path.rglob("*.f16"))
    # Within the rounding of float16.
    assert seen[1].train == pytest.approx(seen[0].train, rel=1e-3)
    assert (seen[1].accuracy, seen[1].loss) == pytest.approx(
        (seen[0].accuracy, seen[0].loss), rel=1e-2
    )
