"""The generator of images: any shape, normalised, nothing kept."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from kdsweep.strategies.parts.generator import SMALLEST_SIDE, Generator

SIDES = st.integers(1, 40)


def generator(*shape, noise=5, width=2, seed=0):
    torch.manual_seed(seed)
    return Generator(shape, noise=noise, width=width)


@settings(deadline=None, max_examples=20)
@given(st.integers(1, 4), SIDES, SIDES)
def test_images_have_the_shape_that_was_asked_for(channels, height, width):
    assert generator(channels, height, width).drawn(3).shape == (3, channels, height, width)


def test_maps_double_until_the_image_is_reached():
    made = generator(3, 32, 20, width=4)
    assert made.sizes == [(8, 5), (16, 10), (32, 20)]
    assert [block[0].out_channels for block in made.blocks] == [16, 8, 4]
    assert min(generator(1, 33, 33).sizes[0]) >= SMALLEST_SIDE


def test_channels_grow_to_eight_times_the_width_and_no_further():
    made = generator(1, 256, 256, width=2)
    assert [block[0].out_channels for block in made.blocks] == [16, 16, 16, 16, 8, 4, 2]


def test_every_channel_is_normalised_as_the_data_are():
    images = generator(3, 16, 16).drawn(64)
    torch.testing.assert_close(images.mean(dim=(0, 2, 3)), torch.zeros(3), atol=1e-5, rtol=0)
    torch.testing.assert_close(
        images.std(dim=(0, 2, 3), correction=0), torch.ones(3), atol=1e-3, rtol=0
    )


def test_all_of_it_learns_from_the_images():
    made = generator(2, 12, 9)
    weights = torch.randn(8, 2, 12, 9)
    (made.drawn(8) * weights).sum().backward()
    for name, parameter in made.named_parameters():
        assert parameter.grad.isfinite().all()
        # What is added to a whole channel, the norm behind it takes away again; but the linear
        # layer has a bias for each pixel.
        assert parameter.grad.abs().max() > 1e-4, name


def test_it_keeps_nothing_of_what_it_made():
    made = generator(1, 8, 8)
    before = {name: value.clone() for name, value in made.state_dict().items()}
    first, second = made.drawn(4), made.drawn(4)
    assert not torch.equal(first, second)
    assert not list(made.buffers())
    assert all(torch.equal(before[name], value) for name, value in made.state_dict().items())


def test_the_same_noise_gives_the_same_images_in_either_mode():
    made, noise = generator(1, 8, 8), torch.randn(4, 5)
    assert torch.equal(made.train()(noise), made.eval()(noise))


def test_the_same_seed_draws_the_same_images():
    made = generator(1, 8, 8)
    drawn = []
    for _ in range(2):
        torch.manual_seed(3)
        drawn.append(made.drawn(4))
    assert torch.equal(*drawn)
