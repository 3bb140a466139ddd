"""The code of a model card: how each file is loaded, in plain Python without kdsweep."""

import math
from collections.abc import Iterable

from kdsweep.export.card import Card
from kdsweep.export.files import CODE, INT8, ONNX, PT2, WEIGHTS, Written
from kdsweep.export.inputs import Contract

_SHOWN = 5
"""Logits of a blank input that the code compares with."""
_SAMPLES = 2


def loading(card: Card, *, has_tokenizer: bool) -> Iterable[str]:
    """The paragraphs on how each file is loaded, each with code that runs as it stands."""
    yield (
        "In this folder, without kdsweep. Each block asks for a blank input and compares with what "
        "it gave when it was exported."
    )
    for each in card.written:
        yield f"### {each.name}"
        needs = "onnxruntime numpy" if each.name in (ONNX, INT8) else (
            "torch safetensors" if each.name == WEIGHTS else "torch"
        )  # fmt: skip
        yield f"    pip install {needs}"
        yield f"```python\n{_block(card.contract, each)}\n```"
    if has_tokenizer:
        yield "### tokenizer.json"
        yield "    pip install tokenizers numpy"
        yield f"```python\n{_TOKENIZING}\n```"


_TOKENIZING = """import numpy as np
from tokenizers import Tokenizer

tokenizer = Tokenizer.from_file("tokenizer.json")
tokenizer.encode_special_tokens = True  # "[SEP]" in a text is text
texts = ["a text", "another one"]
tokens = np.array([each.ids for each in tokenizer.encode_batch(texts)], np.int64)"""


def _block(contract: Contract, written: Written) -> str:
    shape = ", ".join(map(str, (_SAMPLES, *contract.sizes)))
    dtype, name = str(contract.dtype).removeprefix("torch."), contract.name
    what = {"uint8": "pixels, 0 to 255", "int64": "token ids"}.get(dtype, "prepared images")
    fill = "ones" if name == "tokens" else "zeros"
    blank = ", ".join(map(_number, written.blank[:_SHOWN]))
    close = f"[{blank}], rtol=1e-3, atol=1e-3"
    if written.name in (ONNX, INT8):
        return "\n".join((
            "import numpy as np", "import onnxruntime", "",
            f'session = onnxruntime.InferenceSession("{written.name}")',
            f"{name} = np.{fill}(({shape}), np.{dtype})  # {what}",
            f'(logits,) = session.run(["logits"], {{"{name}": {name}}})',
            f"np.testing.assert_allclose(logits[0, :{_SHOWN}], {close})",
        ))  # fmt: skip
    given = f"{name} = torch.{fill}(({shape}), dtype=torch.{dtype})  # {what}"
    equal = "" if "nan" not in blank else ", equal_nan=True"
    check = (
        f"torch.testing.assert_close(logits[0, :{_SHOWN}], torch.tensor([{blank}]), "
        f"rtol=1e-3, atol=1e-3{equal})"
    )
    if written.name == PT2:
        return "\n".join((
            "import torch", "", f'network = torch.export.load("{PT2}").module()', given,
            f"with torch.inference_mode():\n    logits = network({name})", check,
        ))  # fmt: skip
    return "\n".join((
        "import torch", "from safetensors.torch import load_file",
        f"from student import student  # {CODE}, which lies beside", "",
        f'weights = load_file("{WEIGHTS}")', given,
        f"with torch.inference_mode():\n    logits = student(weights, {name})", check,
    ))  # fmt: skip


def _number(value: float) -> str:
    return f"{value:.6g}" if math.isfinite(value) else f"float('{value}')"
