import pytest

from analysis import __main__ as command
from analysis import notebooks
from lib.errors import UserError
from tests.analysis.samples import write_notebook


@pytest.mark.parametrize("value", ["-1", "-1e-3", "-.5", "--force", "-p"])
def test_a_value_may_begin_with_a_hyphen(value):
    assert command.parse(["-p", "lr", value, "--force"]).p == [("lr", value)]


def test_a_change_without_a_value_is_a_mistake_of_usage(capsys):
    with pytest.raises(SystemExit) as raised:
        command.parse(["-p", "lr"])
    assert raised.value.code == 2
    assert "-p" in capsys.readouterr().err


@pytest.fixture
def no_kernel(monkeypatch):
    """The study's own notebooks, none of which may be started."""
    monkeypatch.setattr(notebooks, "execute", lambda *_: pytest.fail("a notebook was started"))


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("seeds", "0", "seeds = 0 should be a whole number from 1 to 1,000"),
        ("seeds", "-1", "seeds = -1 should be a whole number from 1 to 1,000"),
        ("image_size", "1", "image_size = 1 should be a whole number from 2 to 1,024"),
        ("lr", "1e3", "lr = 1000.0 should be a number from 1e-08 to 100"),
        ("epochs", "0", "epochs = 0 should be a whole number from 1 to 10,000"),
        ("ablation_pictures", "-3", "ablation_pictures = -3 should be a whole number from 1 to"),
        ("gallery_pictures", "-1", "gallery_pictures = -1 should be"),
        ("batch_size", "1", "batch_size = 1 should be a whole number from 2 to"),
        ("augmentation", "flip", "augmentation = 'flip' should be one of none, flip_crop"),
    ],
)
def test_a_value_outside_its_limits_is_refused_before_a_notebook_starts(
    no_kernel, tmp_path, name, text, words
):
    with pytest.raises(UserError) as raised:
        command.main(["-p", name, text])
    assert str(raised.value).startswith(f"-p: {words}")
    (tmp_path / "own.yaml").write_text(f"{name}: {text}\n")
    with pytest.raises(UserError) as raised:
        command.main(["--force", "--profile", str(tmp_path / "own.yaml")])
    assert str(raised.value).startswith(f"profile {tmp_path / 'own.yaml'}: {words}")
    assert "\n" not in str(raised.value)


def test_a_change_that_the_day_does_not_take_is_checked_too(no_kernel):
    with pytest.raises(UserError, match=r"^-p: ablation_pictures = -3 should be"):
        command.main(["--only", "day2", "-p", "ablation_pictures", "-3"])


def test_one_and_one_point_nought_are_the_same_number(small_study):
    parameters = 'dataset = "digits"\nrate = 0.1\n'
    write_notebook(small_study / "analysis" / "day1_first.ipynb", "First day", parameters)
    jobs = [command.plan(command.parse(["-p", "rate", text]))[0] for text in ("1", "1.0", "1e0")]
    assert len({job.record["key"] for job in jobs}) == 1
    stored = {"rate": 1}  # as a copy may have it that was made when `-p rate 1` was a whole number
    assert jobs[0].notebook.parameters(stored) == {"rate": 1.0}
    assert isinstance(jobs[0].notebook.parameters(stored)["rate"], float)
