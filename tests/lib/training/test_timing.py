import pytest

from lib.training import timing


def test_precisions_are_timed_on_the_same_batch(tiny, quick):
    table = timing.compare_precisions(quick, tiny, steps=3, device="cpu").set_index("precision")
    assert list(table.index) == ["fp32", "bf16"]
    assert table["taken"].tolist() == [True, False]  # by the recipe
    assert table["peak_memory_mib"].isna().all()  # of a process, not of a precision
    pictures = table["images_per_second"] * table["seconds_per_step"]
    assert pictures.tolist() == pytest.approx([quick.batch_size] * 2)


def test_only_the_asked_precisions_are_timed(tiny, quick):
    table = timing.compare_precisions(quick, tiny, ["bf16"], steps=1, device="cpu")
    assert table["precision"].tolist() == ["bf16"]
