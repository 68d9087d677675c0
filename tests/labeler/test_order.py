import pytest

from labeler.order import ALL, CLASS, PREFETCH, SKIPPED, UNLABELLED, Order
from labeler.record.session import Session

NAMES = [f"{number}.png" for number in range(8)]


@pytest.fixture
def order(tmp_path):
    """Eight pictures; 0 and 1 are cats, 4 is a dog, 5 is skipped."""
    session = Session(tmp_path, ["cat", "dog"])
    order = Order(session)
    order.add(NAMES)
    session.label("0.png", "cat")
    session.label("1.png", "cat")
    session.label("4.png", "dog")
    session.skip("5.png")
    yield order
    session.close()


def walk(order, step):
    seen = [order.current]
    while (name := step()) and name not in seen:
        seen.append(name)
        order.current = name
    return seen[1:]


def test_one_begins_at_the_first_unlabelled_picture(order):
    assert order.next_unlabelled() == "2.png"


def test_next_unlabelled_goes_round(order):
    order.current = "6.png"
    assert walk(order, order.next_unlabelled) == ["7.png", "2.png", "3.png"]


def test_after_the_last_label_nothing_is_next(order):
    for name in ("2.png", "3.png", "6.png", "7.png"):
        order.session.label(name, "cat")
    order.current = "7.png"
    assert order.after_mark() is None


def test_steps_end_at_the_ends(order):
    order.current = "0.png"
    assert order.step(-1) is None
    assert walk(order, lambda: order.step(1)) == NAMES[1:]
    order.current = None
    assert order.step(1) == "0.png"
    assert order.step(-1) == "7.png"


@pytest.mark.parametrize(
    ("chosen", "view"),
    [
        (ALL, NAMES),
        (UNLABELLED, ["2.png", "3.png", "6.png", "7.png"]),
        (SKIPPED, ["5.png"]),
        (CLASS + "cat", ["0.png", "1.png"]),
        (CLASS + "dog", ["4.png"]),
    ],
)
def test_filters(order, chosen, view):
    order.current = "2.png"
    order.choose(chosen)
    assert order.view == view
    assert order.current == ("2.png" if "2.png" in view else view[0])


def test_filters_have_their_counts(order):
    assert order.filters() == [
        (ALL, 8),
        (UNLABELLED, 4),
        (SKIPPED, 1),
        (CLASS + "cat", 2),
        (CLASS + "dog", 1),
    ]


def test_a_label_does_not_move_the_view_and_review_goes_straight_on(order):
    order.choose(CLASS + "cat")
    order.session.label("0.png", "dog")
    assert order.view == ["0.png", "1.png"]
    assert order.after_mark() == "1.png"


def test_later_finds_join_the_view_that_lets_them_pass(order):
    order.session.label("9.png", "cat")
    order.choose(CLASS + "cat")
    order.add(["8.png", "9.png"])
    assert order.view == ["0.png", "1.png", "9.png"]
    order.choose(ALL)
    assert order.view == [*NAMES, "8.png", "9.png"]


def test_upcoming_are_the_next_unlabelled_and_the_neighbours(order):
    order.current = "3.png"
    assert order.upcoming() == ["6.png", "7.png", "4.png", "2.png"]
    order.choose(CLASS + "cat")
    order.current = "0.png"
    assert order.upcoming() == ["1.png"]


def test_find_by_number_or_by_name(order):
    order.current = "3.png"
    assert order.find("1") == "0.png"
    assert order.find("7.P") == "7.png"
    assert order.find("99") is None
    order.choose(UNLABELLED)
    assert order.find("3") == "6.png"


def test_doubtful_pictures_come_after_the_settled_ones(tmp_path):
    session = Session(tmp_path)
    order = Order(session)
    names = [f"{number}.png" for number in range(30)]
    order.add(names)
    order.current = "0.png"
    order.put_first(["25.png", "3.png", "20.png", "elsewhere.png"])
    settled = names[: 1 + PREFETCH]
    assert order.view[: len(settled) + 3] == [*settled, "25.png", "20.png", "9.png"]
    assert sorted(order.view) == sorted(names)
    order.add(["30.png"])
    assert order.view[-1] == "30.png"
    session.close()
