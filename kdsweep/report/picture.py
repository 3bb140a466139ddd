"""The front as a PNG."""

from collections.abc import Sequence
from io import BytesIO
from typing import Any

from kdsweep.report.axes import LABELS, Axes, axes_of, focus, short
from kdsweep.report.labels import strategy_label
from kdsweep.results.pareto import Objectives
from kdsweep.results.record import TrialResult
from kdsweep.results.replicates import by_point

_FRONT, _PALE, _CONTROL, _TEACHER = "#0b5fa5", "#9aa5b1", "#d9822b", "#2f855a"
_MOST_LABELS = 8


def front_picture(
    results: Sequence[TrialResult],
    front: Sequence[TrialResult],
    objectives: Objectives,
    *,
    title: str,
    teacher: dict[str, float] | None = None,
) -> bytes:
    """A PNG of all complete trials: the front as steps, controls and teacher marked.

    With more than two objectives it is their projection on size and quality, and says so.
    Replicates are one mark at their mean, with a bar of a standard deviation to each side.
    """
    # Imported late: it takes a second. Without pyplot, whose global state is not for threads.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    axes = axes_of(objectives)
    figure = Figure(figsize=(8, 5), dpi=150, layout="constrained")
    FigureCanvasAgg(figure)
    plot = figure.add_subplot()
    results = by_point(results)
    noun = "trial" if all(result.replicates == 1 for result in results) else "point"
    groups = _groups(results, front, axes)
    _draw_points(plot, groups, noun)
    marked = _draw_deviations(plot, results, {result.trial_id for result in front}, axes)
    teacher_point = axes.point(teacher) if teacher else None
    if teacher_point:
        _draw_teacher(plot, teacher_point)
        marked.append(teacher_point)
    _draw_labels(plot, front, axes)
    hidden = _show_the_front(plot, groups, marked)
    notes = [f"{hidden} {noun}{'s lie' if hidden > 1 else ' lies'} outside the picture"]
    _dress(plot, axes, objectives, title, notes=notes if hidden else [])
    if plot.get_legend_handles_labels()[0]:
        figure.legend(loc="outside lower center", ncols=4, frameon=False, fontsize=9)
    picture = BytesIO()
    figure.savefig(picture, format="png")
    return picture.getvalue()


Group = list[tuple[float, float]]


def _groups(
    results: Sequence[TrialResult], front: Sequence[TrialResult], axes: Axes
) -> dict[str, Group]:
    on_front = {result.trial_id for result in front}
    groups: dict[str, Group] = {"front": [], "control": [], "other": []}
    for result in results:
        point = axes.point(result.metrics)
        if point is None or result.role == "teacher" or result.status != "complete":
            continue
        if result.trial_id in on_front:
            groups["front"].append(point)
        if result.role == "control":
            groups["control"].append(point)
        elif result.trial_id not in on_front:
            groups["other"].append(point)
    return {name: sorted(points) for name, points in groups.items()}


def _draw_points(plot: Any, groups: dict[str, Group], noun: str) -> None:
    if groups["other"]:
        plot.scatter(*zip(*groups["other"], strict=True), s=22, c=_PALE, alpha=0.55, lw=0,
                     label=f"other {noun}s ({len(groups['other'])})", zorder=2)  # fmt: skip
    if groups["front"]:
        x, y = zip(*groups["front"], strict=True)
        # A step says what can be had for at most this size; a slope would promise students between.
        plot.step(x, y, where="post", c=_FRONT, lw=1.6, alpha=0.8, zorder=3)
        plot.scatter(x, y, s=48, c=_FRONT, ec="white", lw=0.8, zorder=5,
                     label=f"Pareto front ({len(x)})")  # fmt: skip
    if groups["control"]:
        plot.scatter(*zip(*groups["control"], strict=True), s=70, marker="D", c="none",
                     ec=_CONTROL, lw=1.8, label="controls", zorder=6)  # fmt: skip


def _draw_deviations(
    plot: Any, results: Sequence[TrialResult], on_front: set[str], axes: Axes
) -> Group:
    """Bars at the front and the controls, among many others they would be a tangle; their ends."""
    ends: Group = []
    for result in results:
        point, spread = axes.point(result.metrics), axes.spread(result)
        is_control = result.role == "control"
        if point is None or not spread or not (is_control or result.trial_id in on_front):
            continue
        plot.errorbar(*point, yerr=spread, c=_CONTROL if is_control else _FRONT, lw=1.1, capsize=3,
                      alpha=0.8, zorder=4)  # fmt: skip
        ends += [(point[0], point[1] - spread), (point[0], point[1] + spread)]
    return ends


def _draw_teacher(plot: Any, point: tuple[float, float]) -> None:
    plot.axhline(point[1], c=_TEACHER, lw=1, ls="--", alpha=0.7, zorder=1)
    plot.scatter(*point, s=190, marker="*", c=_TEACHER, ec="white", lw=0.8, zorder=6,
                 label="teacher")  # fmt: skip


def _draw_labels(plot: Any, front: Sequence[TrialResult], axes: Axes) -> None:
    """Names the strategies along the front, evenly chosen where there are too many."""
    step = max(1, -(-len(front) // _MOST_LABELS))
    for result in front[::step]:
        point = axes.point(result.metrics)
        if point is not None:
            plot.annotate(strategy_label(result), point, xytext=(6, -11), fontsize=7.5,
                          textcoords="offset points", color="#334155", zorder=7)  # fmt: skip


def _dress(plot: Any, axes: Axes, objectives: Objectives, title: str, *, notes: list[str]) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    plot.set_xscale("log")
    plot.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    plot.xaxis.set_major_formatter(FuncFormatter(lambda value, _: short(value)))
    plot.xaxis.set_minor_formatter(NullFormatter())
    plot.set_xlabel(LABELS[axes.x] + " (log scale)")
    plot.set_ylabel(LABELS[axes.y])
    projected = [name for name in objectives if name not in (axes.x, axes.y)]
    if projected:
        notes = [f"front over {', '.join(objectives)}, projected", *notes]
    plot.set_title(title, fontsize=12, loc="left", fontweight="bold")
    plot.set_title("; ".join(notes), fontsize=8.5, loc="right", color="#64748b")
    plot.grid(True, which="major", color="#e2e8f0", lw=0.7, zorder=0)
    plot.set_axisbelow(True)
    plot.spines[["top", "right"]].set_visible(False)


def _show_the_front(plot: Any, groups: dict[str, Group], marked: Group) -> int:
    """Set the limits of ``y`` to what matters; how many trials that leaves out."""
    wanted = [y for _, y in [*groups["front"], *groups["control"], *marked]]
    others = [y for _, y in groups["other"]]
    if not wanted and not others:
        return 0
    bottom, top = focus(wanted, [*wanted, *others])
    plot.set_ylim(bottom, top)
    return sum(not bottom <= y <= top for y in others)
