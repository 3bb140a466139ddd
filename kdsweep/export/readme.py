"""The model card: what a stranger needs to use an exported student without kdsweep."""

from collections.abc import Iterable, Sequence

from kdsweep.export.card import Card, metrics_said, notes, teacher_said
from kdsweep.export.files import CODE, INT8, ONNX, PT2, WEIGHTS, Written
from kdsweep.export.inputs import Contract
from kdsweep.export.loading import loading
from kdsweep.export.speed import here
from kdsweep.results.confirmation import Confirmed
from kdsweep.sweep_file.resolve import resolved

_MOST_CLASSES = 100
_IN_WORDS = {
    "accuracy": "accuracy", "loss": "cross-entropy [nats]", "params": "parameters",
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
    how = "without distillation" if trial.strategy.name == "none" else (
        f"distilled by `{trial.strategy.name}`{taught}"
    )  # fmt: skip
    return (
        f"# {result.label}",
        f"A classifier of {card.info.num_classes} classes: student `{trial.student.name}`{size}, "
        f"{how}. Trial {result.number} of the sweep `{card.meta.name}`, made by kdsweep.",
    )


def _results(card: Card) -> Iterable[str]:
    rows = []
    for name, said in metrics_said(card.result).items():
        spread = "" if said["deviation"] is None else f" ± {_number(said['deviation'])}"
        rows.append((_in_words(card, name), _number(said["value"]) + spread))
    yield _table(("", "trial"), rows)
    if card.num_trials > 1:
        yield (
            f"Mean and standard deviation of {card.num_trials} trainings with other seeds; the "
            "files hold the one of median accuracy."
        )
    accuracy = None if card.point is None else metrics_said(card.point).get("accuracy")
    if accuracy is not None:
        yield (
            f"It is one of {accuracy['trials']} trainings of the same settings with other seeds; "
            f"of all of them the accuracy is {_number(accuracy['value'])} ± "
            f"{_number(accuracy['deviation'])}."
        )
    yield f"{_where(card)} {_measured_again(card)}"
    for run, found in card.confirmed:
        yield _fresh_seeds(run, found)
    teacher = card.meta.teacher
    if teacher is not None and teacher.accuracy is not None and card.trial.all_teachers:
        yield f"The teacher's accuracy on the same data: {teacher.accuracy:.4f}."


def _in_words(card: Card, metric: str) -> str:
    latency = card.result.latency
    beside = metric == "latency_ms" and latency is not None and latency.busy
    return _IN_WORDS.get(metric, metric.replace("_", " ")) + ", while others trained" * beside


def _where(card: Card) -> str:
    if card.meta.confirms is not None:
        return (
            "Trained with a fresh seed, to confirm what a sweep had found: it was not chosen by "
            "these numbers. Those of test data are named so, the others are of validation data."
        )
    return (
        "Accuracy and cross-entropy are on validation data, which the sweep chose its students "
        "by: they are a little better than on new data."
    )


def _measured_again(card: Card) -> str:
    return (
        f"On the {card.quality.samples:,} validation samples the student in the files was "
        f"measured again: accuracy {card.quality.accuracy:.4f}, cross-entropy "
        f"{card.quality.loss:.4f}."
    )


def _fresh_seeds(run: str, found: Confirmed) -> str:
    test, same, above = found.test, found.validation, found.optimism
    assert test is not None
    seeds = f"{len(test.values)} fresh seed{'s' * (len(test.values) > 1)}"
    spread = f" ± {test.deviation:.4f}" if len(test.values) > 1 else ""
    # Against test data the two sets would be compared, and not luck alone.
    sweeps = "" if above is None or same is None else (
        f"; on the validation data it is {same.mean:.4f}, and the sweep's own accuracy there "
        f"{abs(above):.4f} {'above' if above >= 0 else 'below'} that"
    )  # fmt: skip
    front = "" if found.on_front is None else (
        f" It is on the front with a probability of {found.on_front:.2f}."
    )  # fmt: skip
    return (
        f"Confirmed in the run `{run}`: trained again with {seeds} its accuracy on test data is "
        f"{test.mean:.4f}{spread}{sweeps}.{front} The files hold the sweep's own training."
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
            f"{each.quality.accuracy:.4f}", f"{one.p50_ms:.4g} / {one.p95_ms:.4g}",
            f"{many.p50_ms:.4g} / {many.p95_ms:.4g}", f"{each.agreement.max_difference:.2g}",
        ))  # fmt: skip
    batches = [each.batch for each in card.written[0].latency]
    yield _table(
        ("file", "", "bytes", "accuracy", f"ms, {batches[0]} at once", f"ms, {batches[-1]} at once",
         "logits off by"), rows,
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
    yield _table(("", ""), [
        ("data", f"`{card.trial.data.name}`: {card.source}"),
        ("student", _settings(trial["student"])),
        ("strategy", _settings(trial["strategy"])),
        *((name, _teacher(said)) for name, said in teacher_said(card).items()),
        ("trained on", card.result.device or "not recorded"),
    ])  # fmt: skip
    yield "`trial.yaml` is the whole of it, and makes it again where kdsweep is installed:"
    yield f"    kdsweep trial trial.yaml --weights {WEIGHTS}"


def _teacher(said: dict[str, object]) -> str:
    accuracy = said.get("accuracy")
    known = f", accuracy {accuracy:.4f} on validation" if isinstance(accuracy, float) else ""
    model = said["model"]
    assert isinstance(model, dict)
    return f"{_settings(model)}{known}"


def _licence(card: Card) -> str:
    return card.licence or (
        "Not stated: nobody gave one when this was exported (`--licence`). The data and the "
        "teacher may have licences that bind what is made of them."
    )


def _settings(component: dict[str, object]) -> str:
    given = ", ".join(
        f"{key} {value}" for key, value in component.items() if key != "name" and value is not None
    )
    return f"`{component['name']}`" + (f" ({given})" if given else "")


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(_cell(each) for each in line) + " |" for line in lines)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def _number(value: float | int | None) -> str:
    if value is None:
        return ""
    return f"{value:,.0f}" if value == round(value) else f"{value:.4g}"


def _listed(values: Sequence[float]) -> str:
    return ", ".join(f"{value:.6g}" for value in values)
