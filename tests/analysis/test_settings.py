import pytest

from analysis import notebooks, settings
from lib.errors import UserError
from lib.study import parameters

DEFAULTS = {"count": 3, "rate": 0.1, "fast": False, "name": "digits"}

READ = [
    *[("count", text, 10) for text in ("10", "010", " 10 ", "+10", "1e1", "1E+1", "10.0", "1_0")],
    *[("count", text, 1000) for text in ("1e3", "1E3", "1_000", "1.0e3")],
    *[("count", text, 0) for text in ("0", "-0", "00")],
    ("count", "-1", -1),
    *[("rate", text, 0.001) for text in ("1e-3", "1E-3", "0.001", ".001", "1.e-3", "+.1e-2")],
    *[("rate", text, 1000.0) for text in ("1e3", "1000", "1_000", "01000")],
    ("rate", ".5", 0.5),
    ("rate", "-.5", -0.5),
    *[("fast", text, True) for text in ("true", "True", "TRUE", "yes", "Yes", "on", "ON")],
    *[("fast", text, False) for text in ("false", "False", "no", "NO", "off", "Off")],
    *[
        ("name", text, text)
        for text in ("2024", "no", "2024-01-05", "#photos", "null", "1e3", "~", "[a]", "a: b")
    ],
    ("name", ' my "photos" ', ' my "photos" '),
    ("name", "a\nb", "a\nb"),
    ("name", "-photos", "-photos"),
]


@pytest.mark.parametrize(("name", "text", "value"), READ)
def test_the_type_of_the_default_decides_how_a_text_is_read(name, text, value):
    read = settings.read_changes([(name, text)], DEFAULTS)[name]
    assert (read, type(read)) == (value, type(DEFAULTS[name]))


@pytest.mark.parametrize(
    ("name", "text", "value"), [row for row in READ if row[1].strip() == row[1]]
)
def test_a_profile_is_read_as_the_command_is(tmp_path, name, text, value):
    quoted = text.startswith(("#", "[", "~")) or ": " in text or "\n" in text
    profile = tmp_path / "own.yaml"
    profile.write_text(f"{name}: {text!r}\n" if quoted and "\n" not in text else f"{name}: {text}")
    if "\n" in text:
        profile.write_text(f'{name}: "{text.encode("unicode_escape").decode()}"\n')
    read = settings.read_profile(str(profile), DEFAULTS)[name]
    assert (read, type(read)) == (value, type(DEFAULTS[name]))


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        *[
            ("count", text, "a whole number, such as 12")
            for text in (
                "1.5",
                "15e-1",
                "three",
                "",
                "0x10",
                "1__0",
                "_1",
                "1e",
                "yes",
                "nan",
                "\u0661",
            )
        ],
        ("count", "1,000", "a whole number, such as 12, without a comma"),
        ("count", "1e99", "a whole number, such as 12, and smaller"),
        ("count", "1e99999999", "a whole number"),
        *[("rate", text, "a number, such as") for text in ("fast", "inf", "nan", "1e-", ".", "e3")],
        *[("rate", text, "without a comma") for text in ("1,000", "0,1")],
        *[("fast", text, "true or false") for text in ("1", "maybe", "", "y")],
        *[("name", text, "text") for text in ("", "  ")],
        ("name", "caf\udce9", "text in UTF-8"),
    ],
)
def test_a_text_of_another_type_is_refused_in_one_line(name, text, words):
    with pytest.raises(UserError) as raised:
        settings.read_changes([(name, text)], DEFAULTS)
    line = str(raised.value)
    assert line.startswith(f"-p: {name} = {text!a} should be ")
    assert words in line
    assert "\n" not in line
    assert line.isascii()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("cuont: 3", "profile .*: unknown parameter 'cuont'; did you mean 'count'"),
        ("count: yes", "count = 'yes' should be a whole number"),
        ("rate: 1,000", "rate = '1,000' should be a number, .* without a comma"),
        ("name: #photos", "name = '' should be text; put quotes around"),
        ("- 3", "should hold one `name: value` a line"),
        ("3", "should hold one `name: value` a line"),
        ("", "should hold one `name: value` a line"),
        ("a: [", "not YAML"),
        ("a: 1\n--- \nb: 2", "not YAML"),
        ("name: \0", "not YAML"),
        ("count: 1\nname: [a, b]", "line 2: should hold one plain value"),
        ("name:\n  count: 3", "line 1: should hold one plain value"),
        ("? [a]\n: 3", "should hold one plain value"),
        ("count: 1\nname: a\ncount: 2", "line 3: count is named a second time"),
    ],
)
def test_a_mistake_in_a_profile_is_one_line_with_the_remedy(tmp_path, text, words):
    profile = tmp_path / "own.yaml"
    profile.write_text(text)
    with pytest.raises(UserError, match=words) as raised:
        settings.read_profile(str(profile), DEFAULTS)
    assert "\n" not in str(raised.value)


def test_a_profile_that_cannot_be_read_is_one_line(tmp_path):
    (tmp_path / "folder.yaml").mkdir()
    with pytest.raises(UserError, match=r"^cannot read .*folder\.yaml: "):
        settings.read_profile(str(tmp_path / "folder.yaml"), DEFAULTS)
    (tmp_path / "latin.yaml").write_bytes(b"name: caf\xe9")
    with pytest.raises(UserError, match=r"latin\.yaml: not in UTF-8 \(byte 9\)"):
        settings.read_profile(str(tmp_path / "latin.yaml"), DEFAULTS)
    with pytest.raises(UserError, match=r"^--profile: .*udce9.* rename the file"):
        settings.read_profile(str(tmp_path / "caf\udce9.yaml"), DEFAULTS)


def test_a_byte_order_mark_is_no_part_of_a_profile(tmp_path):
    (tmp_path / "own.yaml").write_text("count: 4\n", encoding="utf-8-sig")
    assert settings.read_profile(str(tmp_path / "own.yaml"), DEFAULTS) == {"count": 4}


@pytest.mark.parametrize("profile", sorted(path.stem for path in settings.PROFILES.glob("*.yaml")))
def test_the_profiles_that_come_with_the_project_are_valid(profile):
    values = settings.read_profile(profile, notebooks.all_defaults())
    parameters.check(values, profile)
