import pytest
import torch
from torch import nn

from kdsweep import catalog
from kdsweep.errors import SpecError
from kdsweep.models.cnn import Cnn
from kdsweep.models.size import count_params
from kdsweep.spec import Component


def cnn(shape: tuple[int, int, int] = (3, 32, 32), num_classes: int = 10, **settings) -> nn.Module:
    return catalog.model(Component(name="cnn", **settings), shape=shape, num_classes=num_classes)


def test_the_sources_teacher():
    teacher = cnn(width=128, depth=2, dropout=0.5)
    assert count_params(teacher) == 12_976_266
    convolutions = [m.out_channels for m in teacher.modules() if isinstance(m, nn.Conv2d)]
    assert convolutions == [128, 128, 256, 256, 512, 512]
    assert [m.p for m in teacher.modules() if isinstance(m, nn.Dropout)] == [0.5]


def test_the_sources_student():
    assert count_params(cnn(width=32)) == 620_362
    assert count_params(cnn(width=32, depth=1, hidden=256, stages=3)) == 620_362


def test_computes_what_the_source_prints():
    student = cnn(width=4)
    printed = nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(4, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(8, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(16 * 4 * 4, 32), nn.ReLU(), nn.Linear(32, 10),
    )  # fmt: skip
    own = student.state_dict().values()
    printed.load_state_dict(dict(zip(printed.state_dict(), own, strict=True)))
    images = torch.randn(2, 3, 32, 32)
    torch.testing.assert_close(student(images), printed(images))


def test_digits_by_hand():  # convolutions 1*8, 8*16, 16*32 of 9 weights; 32 -> 64 -> 10
    expected = (72 + 8) + (1152 + 16) + (4608 + 32) + (32 * 64 + 64) + (64 * 10 + 10)
    assert count_params(cnn((1, 8, 8), width=8)) == expected


def test_batch_norm_follows_every_convolution():
    network = cnn((1, 8, 8), width=2, depth=2, batch_norm=True)
    kinds = [type(module) for module in network.stages[0]]
    assert kinds == [nn.Conv2d, nn.BatchNorm2d, nn.ReLU] * 2
    assert not any(isinstance(m, nn.BatchNorm2d) for m in cnn((1, 8, 8), width=2).modules())


def test_images_that_are_neither_square_nor_even():
    assert cnn((2, 9, 30), 5, width=2)(torch.randn(3, 2, 9, 30)).shape == (3, 5)


@pytest.mark.parametrize(
    ("shape", "stages", "remedy"),
    [
        ((1, 8, 8), 4, "use stages: 3 or fewer"),
        ((3, 64, 3), 2, "use stages: 1"),
        ((1, 1, 1), 1, "use larger images"),
    ],
)
def test_refuses_images_that_its_pools_use_up(shape, stages, remedy):
    with pytest.raises(SpecError) as caught:
        cnn(shape, stages=stages)
    assert str(caught.value) == (
        f"cnn: stages: {stages} needs sides of at least {2**stages} (each stage halves the image), "
        f"but the images are {'x'.join(map(str, shape))}: {remedy}"
    )


def test_an_unknown_setting_is_near_to_a_known_one():
    with pytest.raises(SpecError, match=r"unknown key 'widht'; did you mean 'width'\?"):
        cnn(widht=8)


def test_settings_have_bounds():
    with pytest.raises(SpecError, match=r"dropout: 1\.0 is not allowed: must be less than 1"):
        cnn(dropout=1.0)
    assert Cnn.Params().width == 32
