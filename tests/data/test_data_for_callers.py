"""What whoever uses an exported network has to know of its data."""

import numpy as np
import torch
from PIL import Image
from tokenizers import Tokenizer

from kdsweep import catalog
from kdsweep.data.base import DataSet
from kdsweep.data.text.tokenizer import encode
from kdsweep.spec import Component


def dataset(**settings):
    return catalog.dataset(Component(**settings))


def test_every_set_of_ours_says_how_an_input_is_made():
    for name in catalog.names("data"):
        assert catalog.find("data", name).preparation is not DataSet.preparation, name


def test_a_pixel_of_digits_is_what_the_card_says():
    from sklearn.datasets import load_digits

    data = dataset(name="digits")
    splits = data.load(torch.device("cpu"))
    mine = {split.images[k].numpy().tobytes() for split in (splits.train, splits.validation,
            splits.test) for k in range(split.num_samples)}  # fmt: skip
    assert "a pixel is that times 15" in data.preparation
    assert {(15 * image).astype(np.uint8).tobytes() for image in load_digits().images} == mine


def test_a_file_becomes_an_input_by_the_words_of_the_card(tmp_path):
    from PIL import ImageOps

    for name in ("cat", "dog"):
        (tmp_path / name).mkdir()
        for number in range(10):
            colour = (20 * number, 90, 200 - 10 * number)
            Image.linear_gradient("L").convert("RGB").resize((50 + number, 30)).point(
                lambda value, c=colour: (value + c[0]) % 256
            ).save(tmp_path / name / f"{number}.png")
    data = dataset(name="image_folder", path=str(tmp_path), size=[12, 16])
    assert data.preparation == (
        "turned upright (ImageOps.exif_transpose), in RGB, then ImageOps.fit(image, (16, 12), "
        "Image.Resampling.BILINEAR): resized to cover, cut at the centre; channels first"
    )
    images = data.load(torch.device("cpu")).validation.images
    made = set()
    for path in tmp_path.glob("*/*.png"):
        image = ImageOps.exif_transpose(Image.open(path)).convert("RGB")
        fitted = ImageOps.fit(image, (16, 12), Image.Resampling.BILINEAR)
        made.add(np.asarray(fitted).transpose(2, 0, 1).tobytes())
    assert {image.numpy().tobytes() for image in images} <= made


def test_the_tokenizer_of_pairs_gives_the_ids_of_the_data(tmp_path):
    words = ["red", "green", "blue", "one", "two", "three", "a longer word"]
    rows = [f"{words[k % 7]} {k}\t{words[k % 5]} [SEP]\t{k % 2}\n" for k in range(40)]
    path = tmp_path / "pairs.tsv"
    path.write_text("".join(["text\tother\tlabel\n", *rows]))
    data = dataset(
        name="text_files", path=str(path), pair="other", length=16,
        tokenizer={"vocabulary": 100},
    )  # fmt: skip
    assert data.preparation.startswith("a pair of texts through tokenizer.json, which cuts off")
    file = tmp_path / "tokenizer.json"
    file.write_bytes(data.tokenizer_file())
    tokenizer = Tokenizer.from_file(str(file))
    tokenizer.encode_special_tokens = True
    train, validation, _ = data._listings
    texts = data._texts(validation.index)
    _, ids = encode([data._texts(train.index), texts], data.params)
    found = tokenizer.encode_batch(list(zip(texts.texts, texts.pairs, strict=True)))
    assert [each.ids for each in found] == ids.tolist()
