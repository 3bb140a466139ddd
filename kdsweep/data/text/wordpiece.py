"""BERT's way of cutting texts into pieces of words, from a vocabulary."""

import os
from collections.abc import Mapping
from typing import Any

import torch

from kdsweep.errors import SpecError

SPECIALS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
"""The first ids of a trained vocabulary; padding is 0."""


def library() -> Any:
    """The ``tokenizers`` library, an optional extra; it keeps to the threads that torch has.

    Raises:
        SpecError: it is not installed.
    """
    try:
        import tokenizers
    except ImportError as error:
        raise SpecError(
            f"data.tokenizer: texts need the library tokenizers, and it cannot be imported "
            f"({error}): pip install 'kdsweep[text]'"
        ) from error
    threads = torch.get_num_threads()
    os.environ.setdefault("RAYON_NUM_THREADS", str(threads))
    # Said either way, so that the library does not warn in every process that is forked later.
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "true" if threads > 1 else "false")
    return tokenizers


def wordpiece(vocabulary: Mapping[str, int], *, lowercase: bool) -> Any:
    """A tokenizer that puts ``[CLS]`` first and ``[SEP]`` after each text (arXiv:1810.04805)."""
    tokenizers = library()
    made = tokenizers.Tokenizer(tokenizers.models.WordPiece(dict(vocabulary), unk_token="[UNK]"))
    made.normalizer = tokenizers.normalizers.BertNormalizer(lowercase=lowercase)
    made.pre_tokenizer = tokenizers.pre_tokenizers.BertPreTokenizer()
    if vocabulary:
        made.add_special_tokens([token for token in SPECIALS if token in vocabulary])
        made.post_processor = tokenizers.processors.TemplateProcessing(
            single="[CLS] $A [SEP]",
            pair="[CLS] $A [SEP] $B [SEP]",
            special_tokens=[(token, vocabulary[token]) for token in ("[CLS]", "[SEP]")],
        )
    return made
