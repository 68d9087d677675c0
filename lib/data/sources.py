"""What a dataset's name means, and a key of its content.

A source is `digits`, `cifar10` or the path of a folder of pictures.
"""

from importlib.metadata import version
from pathlib import Path

from lib.data.folders import scan, short_hash
from lib.data.names import is_utf8, printable
from lib.errors import UserError

NAMES = ("digits", "cifar10")


def content_key(source: str | Path, root: str | Path = "data") -> str:
    """Short text that changes when a dataset's content may have; no picture is opened for it."""
    folder = find(source, root)
    if folder is not None:
        listing = scan(folder)
        return short_hash(listing.key, listing.left_out)
    return f"digits-{version('scikit-learn')}" if source == "digits" else str(source)


def find(source: str | Path, root: str | Path = "data") -> Path | None:
    """Folder in which a dataset's pictures lie; None for one that is built in or downloaded.

    Raises
    ------
    UserError   if `source` is neither a known name nor a folder, or its name is not UTF-8
    """
    if source == "cifar10" and (Path(root) / "cifar10").is_dir():
        return Path(root) / "cifar10"
    if source in NAMES:
        return None
    if not is_utf8(str(source)):
        raise UserError(
            f"the folder {printable(str(source))} has a name that is not UTF-8; rename it"
        )
    folder = Path(source).expanduser()
    if not folder.is_dir():
        raise UserError(
            f"unknown dataset {str(source)!r}: the known names are {' and '.join(NAMES)}, "
            "and the path of a folder of pictures works too"
        )
    return folder
