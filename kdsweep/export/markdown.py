"""Tables and numbers as the model card has them."""

from collections.abc import Iterable, Mapping, Sequence

from kdsweep.report.labels import flatten


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; a bar in a cell is no end of it."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(_cell(each) for each in line) + " |" for line in lines)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def metric_words(name: str, value: float | int | None, deviation: float | None = None) -> str:
    """``97.77% ±0.35``, ``0.06127 ±0.01``, ``2,314``: an accuracy is in percent and points."""
    if value is None:
        return ""
    if name.endswith("accuracy"):
        return f"{value:.2%}" + ("" if deviation is None else f" ±{100 * deviation:.2f}")
    return _number(value) + ("" if deviation is None else f" ±{_number(deviation)}")


def _number(value: float | int) -> str:
    return f"{value:,.0f}" if value == round(value) else f"{value:.4g}"


def settings_words(component: Mapping[str, object], name: str | None = None) -> str:
    """``kd+fitnet (temperature 2.7, fitnet.weight 0.02)``; numbers to four digits.

    ``name`` is for one that is called by more than its own name.
    """
    given = ", ".join(
        f"{key.removeprefix('extra.')} {f'{value:.4g}' if isinstance(value, float) else value}"
        for key, value in flatten(_given(component)).items()
        if key != "name"
    )
    return f"`{name or component['name']}`" + (f" ({given})" if given else "")


def _given(settings: Mapping[str, object]) -> dict[str, object]:
    """Those that are given, at any depth."""
    return {
        key: _given(value) if isinstance(value, Mapping) else value
        for key, value in settings.items()
        if value is not None
    }
