import inspect
from pathlib import Path

import pytest
from torchvision import datasets

from kdsweep.data.torchvision_parts import check_options, labels_of, open_parts
from kdsweep.data.torchvision_sets import LAYOUTS
from kdsweep.errors import SpecError


@pytest.mark.parametrize("name", sorted(LAYOUTS))
def test_every_layout_fits_its_constructor(name: str) -> None:
    layout = LAYOUTS[name]
    accepted: set[str] = set()
    for cls in getattr(datasets, name).__mro__:
        accepted |= set(inspect.signature(cls.__init__).parameters)
    for arguments in (layout.train, layout.validation or {}, layout.test or {}, layout.options):
        assert set(arguments) <= accepted
    check_options(name, {}, download=False)


@pytest.mark.parametrize(
    "name",
    [name for name, layout in LAYOUTS.items() if "split" in layout.train and name != "ImageNet"],
)
def test_no_split_of_a_layout_is_unknown_to_torchvision(name: str, tmp_path: Path) -> None:
    with pytest.raises(SpecError) as caught:
        open_parts(name, root=tmp_path, download=False, options={})
    assert "Unknown value" not in str(caught.value)


def test_labels_are_believed_only_if_the_set_agrees() -> None:
    class Misleading:
        targets = (0, 0, 0, 0)

        def __len__(self) -> int:
            return 4

        def __getitem__(self, index: int) -> tuple[None, int]:
            return None, index + 1

    assert labels_of(Misleading()).tolist() == [1, 2, 3, 4]


def test_missing_labels_are_refused() -> None:
    class Unlabelled:
        def __len__(self) -> int:
            return 2

        def __getitem__(self, index: int) -> tuple[None, None]:
            return None, None

    with pytest.raises(SpecError, match="the files of Unlabelled have no labels"):
        labels_of(Unlabelled())
