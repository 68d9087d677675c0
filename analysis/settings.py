"""What a study is asked for: the values that profiles and `-p` give to notebooks' parameters.

The type of a parameter's default decides how its text is read. Whole numbers and others are read
as people write them (`010` is 10, `1e3` is 1000, `.5` is 0.5), booleans are `true`, `yes` or `on`
and their opposites, and a parameter that is text takes the text as it stands.
"""

import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import yaml

from lib.errors import UserError, nearest
from lib.files import unencodable

PROFILES = Path(__file__).parent / "profiles"
NUMBER = re.compile(r"[+-]?(\d+(_\d+)*\.?\d*|\.\d+)(e[+-]?\d{1,4})?", re.ASCII | re.IGNORECASE)
LONGEST = 40  # digits of a number, that a reader still takes in
BOOLEANS = {
    **dict.fromkeys(("true", "yes", "on"), True),
    **dict.fromkeys(("false", "no", "off"), False),
}


def read_profile(name: str, defaults: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters of the profile of that name in analysis/profiles, or of a YAML file.

    Parameters
    ----------
    defaults : dict   the parameters of all notebooks with their defaults

    Raises
    ------
    UserError   if there is no such profile, it is not one `name: value` a line, or `read` refuses
    """
    try:
        name.encode()  # for the executed copy names it
    except UnicodeEncodeError as error:
        raise UserError(f"--profile: {unencodable(error)}; rename the file") from None
    path = Path(name) if name.endswith((".yaml", ".yml")) else PROFILES / f"{name}.yaml"
    if not path.exists():
        known = sorted(profile.stem for profile in PROFILES.glob("*.yaml"))
        raise UserError(f"no profile {name!r}{nearest(name, known)}; a path to a .yaml works too")
    texts: dict[str, str] = {}
    for place, given, value in _pairs(path):
        if given in texts:
            raise UserError(f"{place}: {given} is named a second time; keep one of the two")
        texts[given] = value
    return read(texts, defaults, f"profile {name}")


def _pairs(path: Path) -> list[tuple[str, str, str]]:
    """The place of each value in a YAML file, its name, and its text as it is written."""
    try:
        # composed, not loaded, so that YAML gives no value a type of its own
        root = yaml.compose(path.read_text(encoding="utf-8-sig"), Loader=yaml.SafeLoader)
    except yaml.YAMLError as error:
        raise UserError(f"{path}: not YAML: {' '.join(str(error).split())}") from error
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not in UTF-8 (byte {error.start}); save it as UTF-8") from error
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from error
    if not isinstance(root, yaml.MappingNode):
        raise UserError(f"{path}: should hold one `name: value` a line")
    pairs = []
    for name, value in root.value:
        place = f"{path}, line {name.start_mark.line + 1}"
        if not isinstance(name, yaml.ScalarNode) or not isinstance(value, yaml.ScalarNode):
            raise UserError(f"{place}: should hold one plain value, as in `name: value`")
        pairs.append((place, name.value, value.value))
    return pairs


def read_changes(pairs: Sequence[tuple[str, str]], defaults: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters that `-p NAME VALUE` gave.

    Raises
    ------
    UserError   what `read` raises
    """
    return read(dict(pairs), defaults, "-p")


def read(texts: Mapping[str, str], defaults: Mapping[str, Any], where: str) -> dict[str, Any]:
    """The values that these texts mean.

    Raises
    ------
    UserError   for a name that no notebook takes, and for a text that is no value of its type, with
                the name, where it stands, and what would do
    """
    values = {}
    for name, text in texts.items():
        if name not in defaults:
            raise UserError(f"{where}: unknown parameter {name!r}{nearest(name, sorted(defaults))}")
        try:
            values[name] = READERS[type(defaults[name])](text)
        except ValueError as error:
            raise UserError(f"{where}: {name} = {text!a} should be {error}") from None
    return values


def _whole_number(text: str) -> int:
    number = _decimal(text, "a whole number, such as 12")
    if number != number.to_integral_value():
        raise ValueError("a whole number, such as 12")
    return int(number)


def _number(text: str) -> float:
    return float(_decimal(text, "a number, such as 12, 0.5 or 1e-3"))


def _decimal(text: str, wanted: str) -> Decimal:
    text = text.strip()
    if "," in text:
        raise ValueError(f"{wanted}, without a comma")
    if not NUMBER.fullmatch(text):
        raise ValueError(wanted)
    number = Decimal(text.replace("_", ""))
    if number.adjusted() > LONGEST:
        raise ValueError(f"{wanted}, and smaller")
    return number


def _boolean(text: str) -> bool:
    try:
        return BOOLEANS[text.strip().lower()]
    except KeyError:
        raise ValueError("true or false") from None


def _text(text: str) -> str:
    if not text.strip():
        raise ValueError("text; put quotes around a value that begins with #")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ValueError(f"text in UTF-8, but {unencodable(error)}; rename it") from None
    return text


READERS = {bool: _boolean, int: _whole_number, float: _number, str: _text}


def check_limits(values: Mapping[str, Any], where: str) -> None:
    """What the notebooks check themselves, before any is started.

    Raises
    ------
    UserError   for a value outside its limits
    """
    from lib.study import parameters  # imports torch, and most calls find nothing to execute

    parameters.check(values, where)
