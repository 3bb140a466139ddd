"""The model card: what a stranger needs to use an exported student without kdsweep."""

from collections.abc import Iterable, Sequence

from kdsweep.export.card import Card, metrics_said, notes, split_of, teacher_said
from kdsweep.export.confirmed import paragraphs
from kdsweep.export.files import CODE, INT8, ONNX, PT2, WEIGHTS, Written
from kdsweep.export.inputs import Contract
from kdsweep.export.loading import loading
from kdsweep.export.markdown import metric_words, settings_words, table
from kdsweep.export.speed import here
from kdsweep.report.labels import strategy_label
from kdsweep.sweep_file.resolve import resolved

_MOST_CLASSES = 100
_IN_WORDS = {
    "accuracy": "accuracy", "loss": "cross-entropy [nats]",
    "test_accuracy": "accuracy", "test_loss": "cross-entropy [nats]", "params": "parameters",
    "macs": "multiply-adds of one input", "size_bytes": "bytes of its weights",
    "latency_ms": "ms for one input (p50), as the sweep measured it",
}  # fmt: skip
_WHAT = {
    WEIGHTS: f"weights as safetensors; `{CODE}` beside it has the network as plain PyTorch",
    ONNX: "the network in ONNX",
    INT8: "the same with 8-bit weights and arithmetic",
    PT2: "the network as PyTorch's own archive (`torch.export`)",
}


def readme(card: Card, *, has_tokenizer: bool) -> str:
    """The text of README.md."""
    sections = (
        _head(card),
        ("## How good it is", *_results(card)),
        ("## What goes in, what comes out", *_input(card, has_tokenizer)),
        ("## Files", *_files(card), *_notes(card)),
        ("## How to load it", *loading(card, has_tokenizer=has_tokenizer)),
        ("## How it was made", *_made(card)),
        ("## Licence", _licence(card)),
    )
    return "\n\n".join(block for section in sections for block in section) + "\n"


def _head(card: Card) -> tuple[str, ...]:
    trial, result = card.trial, card.result
    params = result.metrics.get("params")
    size = "" if params is None else f", {params:,.0f} parameters"
    teachers = [each.model.name for each in trial.all_teachers.values()]
    taught = f" from the teacher {', '.join(teachers)}" if teachers else ""
    strategy = strategy_label(result)
    how = "without distillation" if strategy == "none" else f"distilled by `{strategy}`{taught}"
    confirms = card.meta.confirms
    run = f"the sweep `{card.meta.name}`, a search of kdsweep over students and their training" if (
        confirms is None
    ) else (
        f"`{card.meta.name}`, in which kdsweep trained students of the sweep `{confirms.run}` again"
    )  # fmt: skip
    return (
        f"# {result.label}",
        f"A classifier of {card.info.num_classes} classes: student `{trial.student.name}`{size}, "
        f"{how}. Trial {result.number} of {run}.",
    )


def _results(card: Card) -> Iterable[str]:
    teacher = card.taught.metrics if card.trial.all_teachers else {}
    rows = []
    for name, said in metrics_said(card.result).items():
        student = metric_words(name, said["value"], said["deviation"])
        # Times are of the moment: whether others trained then may differ.
        theirs = None if name == "latency_ms" else teacher.get(name)
        rows.append((_in_words(card, name), student, metric_words(name, theirs)))
    if any(theirs for *_, theirs in rows):
        yield table(("", "student", "teacher"), rows)
    else:
        yield table(("", "student"), [(name, ours) for name, ours, _ in rows])
    if card.num_trials > 1:
        yield (
            f"Mean and standard deviation of {card.num_trials} trainings with other seeds; the "
            "files hold the one of median accuracy."
        )
    accuracy = None if card.point is None else metrics_said(card.point).get("accuracy")
    if accuracy is not None:
        yield (
            f"It is one of {accuracy['trials']} trainings of the same settings with other seeds; "
            "of all of them the accuracy on validation data is "
            f"{metric_words('accuracy', accuracy['value'], accuracy['deviation'])}."
        )
    yield f"{_where(card)} {_measured_again(card)}"
    for each in card.confirmed:
        yield from paragraphs(each)


def _in_words(card: Card, metric: str) -> str:
    latency = card.result.latency
    beside = metric == "latency_ms" and latency is not None and latency.busy
    split = split_of(metric)
    data = "" if split is None else f" on {split} data"
    words = _IN_WORDS.get(metric, metric.replace("_", " "))
    return f"{words}{data}{', while others trained' * beside}"


def _where(card: Card) -> str:
    if card.meta.confirms is not None:
        learned = "training and validation data" if card.trial.with_validation else "training data"
        return (
            f"Trained with a fresh seed on {learned}, to confirm what a sweep had found: it was "
            "not chosen by these numbers."
        )
    chosen = "The sweep chose its students by what they reach on validation data"
    if not card.confirmed:
        return (
            f"{chosen}: on new data they are likely a little worse. No confirmation with it as a "
            "student (`kdsweep confirm`) has ended, so nothing here was measured on test data."
        )
    order = "; what had untouched test data comes first" * (len(card.confirmed) > 1)
    return f"{chosen}. What the same settings reach on test data stands below{order}."


def _measured_again(card: Card) -> str:
    learned = ", from which it has learned," if card.trial.with_validation else ""
    return (
        f"On the {card.quality.samples:,} validation samples{learned} the student in the files was "
        f"measured again: accuracy {card.quality.accuracy:.2%}, cross-entropy "
        f"{card.quality.loss:.4f}."
    )


def _input(card: Card, has_tokenizer: bool) -> Iterable[str]:
    contract = card.contract
    shape = ", ".join(map(str, contract.sizes))
    dtype = str(contract.dtype).removeprefix("torch.")
    yield f"Input `{contract.name}`, {dtype} `[N, {shape}]`, any number N: {card.preparation}."
    yield _normalised(contract, has_tokenizer)
    names = card.info.class_names
    shown = ", ".join(names[:_MOST_CLASSES])
    rest = len(names) - _MOST_CLASSES
    more = f" and {rest} more, which are in card.json" if rest > 0 else ""
    yield (
        f"Output `logits`, float32 `[N, {card.info.num_classes}]`; softmax makes probabilities of "
        f"them, the largest is the answer. The classes in their order: {shown}{more}."
    )


def _normalised(contract: Contract, has_tokenizer: bool) -> str:
    given = contract.normalisation
    if given is not None:
        return (
            "Pixels go in as they are, 0 to 255. They are normalised inside the network: give it "
            f"no normalised ones. (Mean {_listed(given.mean)} and standard deviation "
            f"{_listed(given.std)} of each channel, for pixels in 0..1.)"
        )
    if contract.name == "tokens":
        made = " `tokenizer.json` is for the library `tokenizers`." if has_tokenizer else ""
        return f"Shorter texts are filled up with 0 at the end.{made}"
    return (
        "Nothing is normalised inside the network: give it what the data set gives, with all that "
        "this class of your own does to an image."
    )


def _files(card: Card) -> Iterable[str]:
    rows = []
    for each in card.written:
        one, many = each.latency[0], each.latency[-1]
        rows.append((
            f"`{each.name}`", _WHAT[each.name], f"{each.num_bytes:,}",
            f"{each.quality.accuracy:.2%}", f"{one.p50_ms:.4g} / {one.p95_ms:.4g}",
            f"{many.p50_ms:.4g} / {many.p95_ms:.4g}", f"{each.agreement.max_difference:.2g}",
        ))  # fmt: skip
    batches = [each.batch for each in card.written[0].latency]
    yield table(
        ("file", "", "bytes", "validation accuracy", f"ms, {batches[0]} at once",
         f"ms, {batches[-1]} at once", "logits off by"), rows,
    )  # fmt: skip
    device = here(card.written[0].latency)
    busy = "; other work ran at the same time" if device.busy else ""
    threads = f"{device.threads} thread{'s' if device.threads != 1 else ''}"
    yield (
        f"Times are p50 / p95 on {device.device} with {threads}{busy}. Accuracy is on the "
        f"{card.quality.samples:,} validation samples, asked of each file; the last column is the "
        "largest difference to the student's own logits on them. "
        f"{_tolerance(card.written)}"
    )


def _tolerance(written: Sequence[Written]) -> str:
    exact = [each for each in written if each.name != INT8]
    most = max((each.agreement.tolerance for each in exact), default=0.0)
    sizes = ", ".join(map(str, written[0].agreement.batch_sizes))
    return (
        f"More than {most:.2g} would have stopped the export (not for int8). They were asked in "
        f"batches of {sizes}."
    )


def _notes(card: Card) -> Iterable[str]:
    said = notes(card)
    if said:
        yield "\n".join(f"- {each}." for each in said)


def _made(card: Card) -> Iterable[str]:
    trial = resolved(card.trial)
    yield table(("", ""), [
        ("data", f"`{card.trial.data.name}`: {card.source}"),
        ("student", settings_words(trial["student"])),
        ("strategy", settings_words(trial["strategy"], strategy_label(card.result))),
        *((name, _teacher(said)) for name, said in teacher_said(card).items()),
        ("trained on", card.result.device or "not recorded"),
    ])  # fmt: skip
    yield "`trial.yaml` is the whole of it, and makes it again where kdsweep is installed:"
    yield f"    kdsweep trial trial.yaml --weights {WEIGHTS}"


def _teacher(said: dict[str, object]) -> str:
    accuracy = said.get("validation_accuracy")
    known = f", accuracy {accuracy:.2%} on validation data" if isinstance(accuracy, float) else ""
    model = said["model"]
    assert isinstance(model, dict)
    return f"{settings_words(model)}{known}"


def _licence(card: Card) -> str:
    return card.licence or (
        "Not stated: nobody gave one when this was exported (`--licence`). The data and the "
        "teacher may have licences that bind what is made of them."
    )


def _listed(values: Sequence[float]) -> str:
    return ", ".join(f"{value:.6g}" for value in values)
