"""Predict the classes of pictures, with calibrated confidence.

python -m lib.inference cat.jpg holiday/                files, and all pictures of a folder
python -m lib.inference - --explain heat.png < cat.jpg  standard input, with a Grad-CAM heatmap
python -m lib.inference --digest                        check the bundle, print what pins it
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

from lib.data import names
from lib.data.picture_files import SUFFIXES, Source, UnreadablePicture
from lib.errors import UserError, command
from lib.files import replacing
from lib.inference.bundle import Bundle
from lib.inference.predictor import BATCH, Prediction, Predictor


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the predictions of a bundle; 2 if a picture could not be read, else 0.

    Raises
    ------
    UserError   for a bundle, a folder or an option that will not do
    """
    options = parse(arguments)
    if options.digest:
        print(Bundle.load(options.bundle, options.bundle_sha256).digest())
        return 0
    paths = [path for given in options.pictures for path in pictures_in(given)]
    if options.top < 1:
        raise UserError(f"--top must be at least 1 (got {options.top})")
    if options.explain and len(paths) > 1:
        raise UserError(f"--explain takes one picture (got {len(paths)})")
    kind = picture_format(options.explain) if options.explain else None
    predictor = Predictor.load(options.bundle, sha256=options.bundle_sha256)
    sources = [(path, sys.stdin.buffer.read() if path == "-" else path) for path in paths]
    width = max(map(len, paths))
    answers = []
    for name, prediction in predictions(predictor, sources):
        top = prediction.top(options.top)
        answers.append({"picture": name, **asdict(prediction), "probabilities": top})
        if not options.json:
            print(f"{name:<{width}}  {listed(top, predictor.classes)}")
    if options.json:
        print(json.dumps(answers, indent=2))
    if options.explain and answers:
        overlay = predictor.explain(sources[0][1])
        with replacing(options.explain) as file:
            overlay.save(file, kind)
    return 0 if len(answers) == len(paths) else 2


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The command's options."""
    parser = argparse.ArgumentParser(
        prog="python -m lib.inference", description=__doc__.partition("\n")[0]
    )
    parser.add_argument(
        "pictures", nargs="*", metavar="PICTURE", help="a file, a folder, or - for standard input"
    )
    parser.add_argument(
        "--bundle",
        metavar="FOLDER",
        help="folder of the bundle (default: the only one in models/)",
    )
    parser.add_argument(
        "--bundle-sha256",
        metavar="DIGEST",
        help="SHA-256 that its bundle.json must have (default: any)",
    )
    parser.add_argument(
        "--digest",
        action="store_true",
        help="compare every file of the bundle with bundle.json, and print the digest that "
        "--bundle-sha256 takes",
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
    options = parser.parse_args(arguments)
    if options.digest == bool(options.pictures):
        parser.error("name pictures, or --digest alone")
    return options


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

    What the folder holds beside pictures is named on stderr.

    Raises
    ------
    UserError   if the folder holds none
    """
    if given == "-" or not Path(given).is_dir():
        return [given]
    left_out = names.new_left_out()
    files = [file.entry.path for batch in names.walk(given, left_out) for file in batch]
    for line in names.summary(left_out):
        print(f"{names.printable(given)}: passed over: {line}", file=sys.stderr)
    if not files:
        raise UserError(
            f"{names.printable(given)}: no picture in that folder; "
            f"file names end in {', '.join(SUFFIXES)}"
        )
    return files


def predictions(
    predictor: Predictor, sources: Sequence[tuple[str, Source]]
) -> Iterator[tuple[str, Prediction]]:
    """Each readable picture with its prediction; one line on stderr for each other picture."""
    for first in range(0, len(sources), BATCH):
        read, images = [], []
        for name, source in sources[first : first + BATCH]:
            try:
                images.append(predictor.prepare(source))
                read.append(name)
            except UnreadablePicture as error:
                print(f"error: cannot read {name}: {error.reason}", file=sys.stderr)
        if images:
            rows = predictor.probabilities(torch.stack(images))
            yield from zip(read, predictor.labelled(rows), strict=True)


def listed(probabilities: dict[str, float], classes: Sequence[str]) -> str:
    """Classes and probabilities in columns that are as wide for every picture."""
    width = max(map(len, classes))
    return "   ".join(f"{name:<{width}} {100 * p:5.1f} %" for name, p in probabilities.items())


if __name__ == "__main__":
    command(main)
