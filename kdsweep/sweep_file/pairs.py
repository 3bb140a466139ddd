"""Which strategies of a space suit which of its networks."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product

from kdsweep.errors import SpecError
from kdsweep.spec import Assignment, Space, TrialSpec
from kdsweep.spec.branch import Node
from kdsweep.spec.together import paths_of
from kdsweep.sweep_file.changes import put
from kdsweep.sweep_file.corners import blamed, without_echoes
from kdsweep.sweep_file.fit import Fitting

_MOST_PAIRS = 4096
_NETWORKS = ("data", "teacher", "teachers", "student")
_AS_WRITTEN = Assignment({}, {})

Table = dict[tuple[int, int], list[str]]
"""What is wrong with a pair, by the numbers of its networks and its strategy."""


@dataclass(frozen=True)
class Pairing:
    """What came of putting the networks and the strategies of a space together.

    ``problems`` are of what cannot be trained at all. ``clashes`` are of pairs whose trials fail as
    they start, while either of the two can be trained with another: ``num_clashes`` of
    ``num_pairs``.
    """

    problems: tuple[str, ...] = ()
    clashes: tuple[str, ...] = ()
    num_clashes: int = 0
    num_pairs: int = 0


def pair_up(trial: TrialSpec, space: Space, fitting: Fitting) -> Pairing:
    """Build every strategy at the ends of the space for every choice of networks at its ends.

    The trial's own are among both. What is wrong for other reasons is passed over.
    """
    networks, strategies = _sides(space)
    table: Table = {}
    for row, column in _cells(len(networks), len(strategies)):
        wrong = _unsuited(trial, networks[row], strategies[column], fitting)
        if wrong is not None:
            table[row, column] = wrong
    problems = [f"trial.{problem}" for problem in table.get((0, 0), ())]
    # What is wrong with the trial as written shows again at every end of the space.
    bad_networks, bad_strategies = (
        {} if problems else _without_a_good(table, side) for side in (0, 1)
    )
    for bad, sides in ((bad_networks, networks), (bad_strategies, strategies)):
        for number, wrong in bad.items():
            problems += [blamed(problem, sides[number], space) for problem in wrong]
    left = {
        (row, column): wrong
        for (row, column), wrong in table.items()
        if wrong and (row or column) and row not in bad_networks and column not in bad_strategies
    }
    clashes = [
        _clash(problem, networks[row], strategies[column], space)
        for (row, column), wrong in left.items() for problem in wrong
    ]  # fmt: skip
    told = tuple(without_echoes(clashes))
    return Pairing(tuple(without_echoes(problems)), told, len(left), len(table))


def _sides(space: Space) -> tuple[list[Assignment], list[Assignment]]:
    """The corners of what sets networks, whatever it sets beside them, and of other strategies."""
    of_networks: list[tuple[str, Node]] = []
    of_strategies: list[tuple[str, Node]] = []
    for name, node in space.entries:
        above = {path.partition(".")[0] for path in paths_of(name, node)}
        if above.intersection(_NETWORKS):
            of_networks.append((name, node))
        elif "strategy" in above:
            of_strategies.append((name, node))
    return _corners(of_networks), _corners(of_strategies)


def _corners(entries: Sequence[tuple[str, Node]]) -> list[Assignment]:
    found = [_AS_WRITTEN]
    for corner in Space(tuple(entries)).corners():
        if corner not in found:
            found.append(corner)
    return found


def _cells(rows: int, columns: int) -> Iterator[tuple[int, int]]:
    """Every pair; of too many those in which one side is as written."""
    if rows * columns <= _MOST_PAIRS:
        yield from product(range(rows), range(columns))
    else:
        yield from ((row, 0) for row in range(rows))
        yield from ((0, column) for column in range(1, columns))


def _unsuited(
    trial: TrialSpec, networks: Assignment, strategy: Assignment, fitting: Fitting
) -> list[str] | None:
    try:
        changed = put(trial, networks.changes | strategy.changes)
    except SpecError:
        return None
    return fitting.strategy_problems(changed)


def _without_a_good(table: Table, side: int) -> dict[int, list[str]]:
    """What has no good pair, but for the trial's own, with what is wrong with its first one."""
    found: dict[int, list[str]] = {}
    for number in {cell[side] for cell in table} - {0}:
        cells = [wrong for cell, wrong in table.items() if cell[side] == number]
        if all(cells):
            found[number] = cells[0]
    return found


def _clash(problem: str, networks: Assignment, strategy: Assignment, space: Space) -> str:
    told = blamed(problem, strategy, space) if strategy.params else f"trial.{problem}"
    return f"{told} (with {networks.label or 'the networks of the trial'})"
