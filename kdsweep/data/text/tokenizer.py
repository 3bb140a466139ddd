"""From texts to the ids that networks take."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kdsweep.batch import PADDING, Tokens
from kdsweep.data.text.pretrained import opened
from kdsweep.data.text.settings import TextSettings
from kdsweep.data.text.vocabulary import trained
from kdsweep.data.text.wordpiece import library, wordpiece

_AT_ONCE = 8192
_KNOWN = {
    "bert-base-uncased": 30_522,
    "bert-large-uncased": 30_522,
    "distilbert-base-uncased": 30_522,
    "bert-base-cased": 28_996,
    "bert-large-cased": 28_996,
    "distilbert-base-cased": 28_996,
    "bert-base-multilingual-cased": 119_547,
}
"""The vocabularies of models by the names that their directories have."""


@dataclass(frozen=True)
class Texts:
    """Texts ``[N]`` in the order of ids; ``pairs`` are the second ones, where texts go by two."""

    texts: Sequence[str]
    pairs: Sequence[str] | None = None


def shape(params: TextSettings) -> Tokens:
    """The shape of a text by its settings, before any is read.

    Raises:
        SpecError: the library is not there, or the tokenizer that is named cannot be used.
    """
    library()
    given = opened(params.tokenizer)
    if given is None:
        return Tokens(params.length, params.tokenizer.vocabulary)
    ids = given.get_vocab(with_added_tokens=True).values()
    return Tokens(params.length, max(ids) + 1)


def promised_shape(params: TextSettings) -> Tokens:
    """What ``shape`` says, without looking for the tokenizer of a well-known model.

    Raises:
        SpecError: as ``shape``, for the tokenizers of other models.
    """
    name = (params.tokenizer.pretrained or "").rstrip("/").rpartition("/")[2]
    known = _KNOWN.get(name)
    return shape(params) if known is None else Tokens(params.length, known)


def encode(parts: Sequence[Texts], params: TextSettings) -> list[NDArray[Any]]:
    """The ids ``[N, S]`` of each part, padded with zeros; the first is the one that is trained on.

    Each text is ``[CLS] ... [SEP]``, a pair ``[CLS] ... [SEP] ... [SEP]``; what is longer than
    ``length`` is cut off, of a pair from the longer one. 16 bits each where the vocabulary allows.

    Raises:
        SpecError: as ``shape``.
    """
    vocabulary = shape(params).vocabulary
    tokenizer = opened(params.tokenizer)
    if tokenizer is None:
        tokenizer = _trained(parts[0], params)
    tokenizer.no_padding()
    tokenizer.enable_truncation(params.length)
    # What is written in a text is text: "[SEP]" in it separates nothing, "[PAD]" hides nothing.
    tokenizer.encode_special_tokens = True
    dtype: np.dtype[Any] = np.dtype("int16" if vocabulary <= np.iinfo(np.int16).max else "int32")
    return [_encoded(tokenizer, part, params.length, dtype) for part in parts]


def tokenizer_file(train: Texts, params: TextSettings) -> bytes:
    """A ``tokenizer.json`` that gives the ids of ``encode``, cut off and padded to ``length``.

    ``train`` are the texts that are trained on, of which the vocabulary is made if none is named.

    Raises:
        SpecError: as ``shape``.
    """
    tokenizer = opened(params.tokenizer)
    if tokenizer is None:
        tokenizer = _trained(train, params)
    tokenizer.enable_truncation(params.length)
    name = tokenizer.id_to_token(PADDING) or "[PAD]"
    tokenizer.enable_padding(length=params.length, pad_id=PADDING, pad_token=name)
    return str(tokenizer.to_str(pretty=False)).encode()


def texts_in_words(params: TextSettings, *, pairs: bool) -> str:
    """How a text of one's own becomes ids, for model cards."""
    given = "a pair of texts" if pairs else "a text"
    return (
        f"{given} through tokenizer.json, which cuts off after {params.length} tokens and fills "
        f"up to as many with {PADDING}"
    )


def _trained(part: Texts, params: TextSettings) -> Any:
    lowercase = params.tokenizer.lowercase is not False
    texts = [*part.texts, *(part.pairs or ())]
    size = params.tokenizer.vocabulary
    return wordpiece(trained(texts, size=size, lowercase=lowercase), lowercase=lowercase)


def _encoded(tokenizer: Any, part: Texts, length: int, dtype: np.dtype[Any]) -> NDArray[Any]:
    ids = np.full((len(part.texts), length), PADDING, dtype)
    for start in range(0, len(part.texts), _AT_ONCE):
        end = start + _AT_ONCE
        batch: list[Any] = list(part.texts[start:end])
        if part.pairs is not None:
            batch = list(zip(batch, part.pairs[start:end], strict=True))
        for row, encoding in zip(ids[start:end], tokenizer.encode_batch_fast(batch), strict=True):
            found = encoding.ids
            row[: len(found)] = found
    return ids
