"""Any space: what is drawn is inside it, is found again, and its grid is a grid."""

from hypothesis import given
from hypothesis import strategies as st

from kdsweep.errors import SpecError
from kdsweep.spec import Space

KEYS = st.sampled_from(["name", "width", "alpha", "extra", "deep"])
SCALARS = st.one_of(st.none(), st.booleans(), st.integers(-99, 99), st.text("abc", max_size=3))


@st.composite
def ranges(draw):
    kind = draw(st.sampled_from(["uniform", "loguniform", "int", "log int", "steps"]))
    if kind == "steps":
        low, step, num = draw(st.tuples(st.integers(-9, 9), st.integers(1, 9), st.integers(1, 9)))
        return {"int": [low, low + step * num], "step": step}
    if kind in ("int", "log int"):
        low = draw(st.integers(1, 10**6))
        high = draw(st.integers(low + 1, 2 * 10**6))
        return {"int": [low, high], "log": kind == "log int"}
    smallest = 1e-9 if kind == "loguniform" else -1e9
    ends = st.floats(smallest, 1e9, allow_subnormal=False)
    low, high = sorted(draw(st.lists(ends, min_size=2, max_size=2, unique=True)))
    return {kind: [low, high]}


def choices(members):
    unique = st.lists(members, min_size=1, max_size=3, unique_by=repr)
    return unique.map(lambda given: {"choice": given})


def distinct(raw):
    """A drawn space, or nothing where two members happen to be equal."""
    try:
        return Space.parse(raw)
    except SpecError as error:
        if all("are the same" in problem for problem in error.problems):
            return None
        raise


LEAVES = SCALARS | st.lists(st.integers(0, 9), max_size=2) | ranges()
MEMBERS = st.recursive(
    LEAVES, lambda inner: st.dictionaries(KEYS, inner, max_size=3) | choices(inner), max_leaves=6
)
SPACES = (
    st.dictionaries(
        st.sampled_from(["student.width", "train.lr", "strategy", "data.views"]),
        ranges() | choices(MEMBERS),
        min_size=1,
        max_size=3,
    )
    .map(distinct)
    .filter(lambda space: space is not None)
)


def drawn(data, dimension):
    """What a sampler might suggest."""
    if dimension.kind == "choice":
        return data.draw(st.sampled_from(dimension.labels))
    if dimension.kind == "int":
        steps = (dimension.high - dimension.low) // dimension.step
        return dimension.low + dimension.step * data.draw(st.integers(0, steps))
    return data.draw(st.floats(dimension.low, dimension.high))


def nested(changes):
    trial = {}
    for path, value in changes.items():
        *parents, last = path.split(".")
        place = trial
        for key in parents:
            place = place.setdefault(key, {})
        place[last] = value
    return trial


@given(SPACES)
def test_names_are_unique_and_conditions_name_dimensions_before(space):
    seen = {}
    for dimension in space.dimensions():
        assert dimension.name not in seen
        for name, label in dimension.conditions:
            assert label in seen[name].labels
        seen[dimension.name] = dimension


@given(SPACES, st.data())
def test_what_is_drawn_is_reached_inside_and_found_again(space, data):
    point = space.resolve(lambda dimension: drawn(data, dimension))
    dimensions = {d.name: d for d in space.dimensions()}
    for name, value in point.params.items():
        assert dimensions[name].contains(value)
    reached = {
        d.name for d in dimensions.values()
        if all(point.params.get(name, ...) == label for name, label in d.conditions)
    }  # fmt: skip
    assert point.params.keys() == reached
    located = space.locate(nested(point.changes))
    assert located is not None
    assert space.resolve(lambda d: located[d.name]).changes == point.changes


@given(SPACES)
def test_corners_visit_every_end_and_are_inside(space):
    visited = {}
    for corner in space.corners():
        for name, value in corner.params.items():
            visited.setdefault(name, set()).add(repr(value))
        part = Space(tuple(entry for entry in space.entries if entry[0] in corner.changes))
        assert part.locate(nested(corner.changes)) is not None
    for dimension in space.dimensions():
        assert visited[dimension.name] == {repr(end) for end in dimension.ends()}


@given(SPACES.filter(lambda space: space.grid_size(3) <= 200), st.integers(2, 3))
def test_the_grid_has_as_many_distinct_points_as_it_says(space, points):
    grid = list(space.grid(points))
    distinct_points = {repr(sorted(point.params.items())) for point in grid}
    assert len(grid) == len(distinct_points) == space.grid_size(points)
    taken = {(name, repr(value)) for point in grid for name, value in point.params.items()}
    for dimension in space.dimensions():
        for end in dimension.ends():
            assert (dimension.name, repr(end)) in taken


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["choice", "uniform", "loguniform", "int", "step", "log", "a.b"])
            | st.text(max_size=3),
            inner,
            max_size=3,
        )
    ),
    max_leaves=12,
)


@given(PLAIN)
def test_anything_is_a_space_or_a_clear_refusal(raw):
    space, problems = None, ()
    try:
        space = Space.parse(raw)
    except SpecError as error:
        problems = error.problems
    assert (space is None) == bool(problems)
    assert all(problem.startswith("space") for problem in problems)
    for corner in space.corners() if space else ():
        assert corner.changes.keys() <= raw.keys()
