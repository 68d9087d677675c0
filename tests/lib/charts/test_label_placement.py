import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lib.charts.label_placement import CHARACTER, GAP, LINE, REACH, places

SIZE = (560, 250)


def box(x, name, place):
    """Left, top, right, bottom of a name that was given a place."""
    width = CHARACTER * len(name)
    left = {"right": x + GAP, "left": x - GAP - width, "middle": x - width / 2}[place.side]
    return left, place.y - LINE / 2, left + width, place.y + LINE / 2


def apart(one, other):
    """Whether two boxes share no area, but for rounding."""
    return any(one[i + 2] <= other[i] + 1e-6 or other[i + 2] <= one[i] + 1e-6 for i in (0, 1))


def check(x, y, names, size=SIZE):
    found = places(x, y, names, size)
    boxes = [box(a, n, p) for a, n, p in zip(x, names, found, strict=True) if p]
    assert all(apart(b, c) for i, b in enumerate(boxes) for c in boxes[:i])
    assert all(b[0] >= 0 and b[2] <= size[0] for b in boxes)
    return found


def test_a_lonely_point_has_its_name_at_its_right_and_one_at_the_edge_at_its_left():
    first, second = places([20, 550], [30, 200], ["one", "another"], SIZE)
    assert (first.side, first.y) == ("right", 30)
    assert (second.side, second.y) == ("left", 200)


def test_names_of_points_that_lie_on_one_another_stand_under_one_another():
    names = [f"name {i}" for i in range(8)]
    found = check([280] * 8, [125] * 8, names)
    assert None not in found
    assert {place.side for place in found} >= {"left", "right"}
    assert max(abs(place.y - 125) for place in found) <= 2 * LINE


def test_a_name_covers_no_point_where_it_can_be_helped():
    found = check([100, 130, 160], [100, 100, 100], ["first", "second", "third"])
    assert found[0].side == "left" or found[0].y != 100


def test_a_name_too_long_for_either_side_stands_over_or_under_its_point():
    (place,) = places([130], [125], ["x" * 30], (260, 250))
    assert place.side == "middle"
    assert abs(place.y - 125) == LINE


def test_names_without_room_are_left_out():
    names = [f"quite a long name {i:02d}" for i in range(60)]
    found = check([130] * 60, [20] * 60, names, (260, 250))
    assert 2 <= sum(place is not None for place in found) < 60


def test_there_may_be_no_points():
    assert places([], [], [], SIZE) == []


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(st.floats(0, 560), st.floats(8, 242), st.integers(3, 24)), min_size=1, max_size=14
    )
)
def test_names_never_cover_each_other_nor_leave_the_chart(points):
    x, y, lengths = zip(*points, strict=True)
    found = check(x, y, ["x" * length for length in lengths])
    moved = [abs(p.y - at) for p, at in zip(found, y, strict=True) if p]
    assert max(moved, default=0) <= REACH * LINE + 1e-6


@pytest.mark.parametrize("wider", [1.3, 3])
def test_names_that_fit_fit_a_wider_chart_too(wider):
    random = np.random.default_rng(0)
    x, y = random.uniform(0, 260, 9), random.uniform(0, 250, 9)
    names = [f"name {i}" for i in range(9)]
    found = places(x, y, names, (260, 250))
    boxes = [box(a * wider, n, p) for a, n, p in zip(x, names, found, strict=True) if p]
    assert all(apart(b, c) for i, b in enumerate(boxes) for c in boxes[:i])
