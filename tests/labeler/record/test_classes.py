import pytest

from labeler.errors import LabelerError
from labeler.record.classes import check_classes, question, rename


@pytest.mark.parametrize(
    ("names", "complaint"),
    [
        (["cat"], "Number of class names: 1. Give at least 2."),
        (["cat", " "], "empty"),
        (["cat", "cat "], "Two classes are called cat"),
        (["cat", "caf\udce9"], r"'caf\\udce9' is not valid text"),
    ],
)
def test_invalid_classes_are_refused(names, complaint):
    with pytest.raises(LabelerError, match=complaint):
        check_classes(names)


def test_names_lose_their_spaces_and_may_be_many():
    names = check_classes([f" class {n} " for n in range(1000)])
    assert names[999] == "class 999"


OLD = ("cat", "kitten", "dog")


@pytest.mark.parametrize(
    ("new", "kept", "asked"),
    [
        (("cat", "kitten", "dog"), ("cat", "kitten", "dog"), ""),
        (("a", "b", "c", "d"), ("a", "b", "c", "d"), ""),
        (("kitten", "cat", "dog"), ("kitten", "cat", "dog"), ""),
        (("cat", "kitten"), ("cat", "kitten"), ""),
        (
            ("cat", " cat", "dog"),
            ("cat", "dog"),
            "Class cat exists: 12 labels of kitten will become cat.",
        ),
        (
            ("dog", "kitten", "dog"),
            ("kitten", "dog"),
            "Class dog exists: 1 label of cat will become dog.",
        ),
        (
            ("pet", "kitten", "pet"),
            ("pet", "kitten"),
            "Classes get the same name: 1 label of cat and 0 labels of dog will become pet.",
        ),
        (
            ("dog", "kitten"),
            ("dog", "kitten"),
            "Class dog exists: 1 label of cat will become dog.",
        ),
        (
            ("kitten", "dog", "dog"),
            ("kitten", "dog"),
            "Class dog exists: 12 labels of kitten will become dog.",
        ),
        (
            ("cat", "cat", "cat", "bird"),
            ("cat", "bird"),
            "Class cat exists: 12 labels of kitten and 0 labels of dog will become cat.",
        ),
    ],
)
def test_equal_names_are_a_merger_that_is_asked_for(new, kept, asked):
    classes, renamed = rename(OLD, new)
    assert classes == kept
    assert question(renamed, {"cat": 1, "kitten": 12, "dog": 0}) == asked


@pytest.mark.parametrize(
    "new",
    [
        ("cat", "kitten", "dog", "cat"),  # a further class is no other
        ("cat", "kitten", "dog", "bird", "bird"),
        ("cat", "cat", "cat"),  # a single class would be left
    ],
)
def test_equal_names_that_are_no_merger_are_refused(new):
    with pytest.raises(LabelerError, match="Two classes are called"):
        rename(OLD, new)
