"""Predict the classes of pictures, with calibrated confidence.

python -m lib.inference cat.jpg holiday/                files, and all pictures of a folder
python -m lib.inference - --explain heat.png < cat.jpg  standard input, with a Grad-CAM heatmap
"""

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from io import BytesIO
from pathlib import Path

import torch
from PIL import Image

from lib.data.pictures import SUFFIXES, Source, UnreadablePicture
from lib.errors import UserError, command
from lib.files import replacing
from lib.inference.predictor import BATCH, Prediction, Predictor


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the predictions of a bundle; 2 if a picture could not be read, else 0.

    Raises
    ------
    UserError   for a bundle, a folder or an option that will not do
    """
    options = parse(arguments)
    names = [name for given in options.pictures for name in pictures_in(given)]
    if options.top < 1:
        raise UserError(f"--top must be at least 1 (got {options.top})")
    if options.explain and len(names) > 1:
        raise UserError(f"--explain takes one picture (got {len(names)})")
    kind = picture_format(options.explain) if options.explain else None
    predictor = Predictor.load(options.bundle)
    sources = [(name, sys.stdin.buffer.read() if name == "-" else name) for name in names]
    width = max(map(len, names))
    answers = []
    for name, prediction in predictions(predictor, sources):
        top = prediction.top(options.top)
        answers.append({"picture": name, **asdict(prediction), "probabilities": top})
        if not options.json:
            print(f"{name:<{width}}  {listed(top, predictor.classes)}")
    if options.json:
        print(json.dumps(answers, indent=2))
    if options.explain and answers:
        with replacing(options.explain) as temporary:
            predictor.explain(sources[0][1]).save(temporary, kind)
    return 0 if len(answers) == len(names) else 2


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The command's options."""
    parser = argparse.ArgumentParser(
        prog="python -m lib.inference", description=__doc__.partition("\n")[0]
    )
    parser.add_argument(
        "pictures", nargs="+", metavar="PICTURE", help="a file, a folder, or - for standard input"
    )
    parser.add_argument(
        "--bundle", default="models/best", help="folder of the bundle (default: %(default)s)"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON list instead of lines")
    parser.add_argument(
        "--top", type=int, default=5, help="number of classes to print (default: %(default)s)"
    )
    parser.add_argument(
        "--explain",
        metavar="FILE",
        type=Path,
        help="write a Grad-CAM heatmap of the picture to this file, in the format that its name "
        "ends in (.png, .jpg, .webp, ...)",
    )
    return parser.parse_args(arguments)


def picture_format(path: Path) -> str:
    """Pillow's name of the format that the file's name ends in.

    Raises
    ------
    UserError   if it ends in none that can be written
    """
    name = Image.registered_extensions().get(path.suffix.lower(), "")
    try:
        # Some formats have an extension but no writer, or a writer for other modes alone.
        Image.new("RGB", (1, 1)).save(BytesIO(), name)
    except (KeyError, OSError, ValueError):
        raise UserError(
            f"--explain {path}: no picture can be written in that format; choose a name that ends "
            "in .png, .jpg or .webp"
        ) from None
    return name


def pictures_in(given: str) -> list[str]:
    """The picture of that name, or those in the folder of that name, sub-folders included.

    Raises
    ------
    UserError   if the folder holds none
    """
    folder = Path(given)
    if given == "-" or not folder.is_dir():
        return [given]
    files = (
        path
        for path in sorted(folder.rglob("*"))
        if path.suffix.lower() in SUFFIXES
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    )
    names = [str(path) for path in files if path.is_file()]
    if not names:
        raise UserError(
            f"{given}: no picture in that folder; file names end in {', '.join(SUFFIXES)}"
        )
    return names


def predictions(
    predictor: Predictor, sources: Sequence[tuple[str, Source]]
) -> Iterator[tuple[str, Prediction]]:
    """Each readable picture with its prediction; one line on stderr for each other picture."""
    for first in range(0, len(sources), BATCH):
        names, images = [], []
        for name, source in sources[first : first + BATCH]:
            try:
                images.append(predictor.prepare(source))
                names.append(name)
            except UnreadablePicture as error:
                print(f"error: cannot read {name}: {error.reason}", file=sys.stderr)
        if images:
            rows = predictor.probabilities(torch.stack(images))
            yield from zip(names, predictor.labelled(rows), strict=True)


def listed(probabilities: dict[str, float], classes: Sequence[str]) -> str:
    """Classes and probabilities in columns that are as wide for every picture."""
    width = max(map(len, classes))
    return "   ".join(f"{name:<{width}} {100 * p:5.1f} %" for name, p in probabilities.items())


if __name__ == "__main__":
    command(main)
