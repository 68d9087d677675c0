"""Streamlit app: the class probabilities and the Grad-CAM heatmap of a picture.

    streamlit run api/streamlit_app.py -- --bundle models/demo

It loads the bundle itself, without the service, and has the same limits on pictures.
"""

import argparse
import re
import sys
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
import streamlit as st
from PIL import Image

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))  # Streamlit may be started in any folder

if TYPE_CHECKING:
    from lib.inference import Predictor


@st.cache_resource(show_spinner="Loading the model")
def load(bundle: str | None) -> "Predictor":
    from lib.inference import Predictor, only_one

    return Predictor.load(bundle or only_one(ROOT / "models"))


@st.cache_data
def samples(classes: tuple[str, ...]) -> dict[str, bytes]:
    """A picture per class if the classes are digits and scikit-learn is installed, else none."""
    try:
        from sklearn.datasets import load_digits
    except ImportError:
        return {}
    digits = load_digits()
    if sorted(classes) != sorted(str(name) for name in digits.target_names):
        return {}
    pictures = {}
    for name in digits.target_names:
        grey = digits.images[digits.target == name][0] * (255 / 16)
        png = BytesIO()
        Image.fromarray(grey.round().astype("uint8")).save(png, "PNG")
        pictures[f"digit {name}"] = png.getvalue()
    return pictures


def selected_picture(predictor: "Predictor") -> tuple[str, bytes] | None:
    """Name and bytes of the uploaded or selected picture."""
    from api.uploads import Limits
    from lib.inference import SUFFIXES

    size = Limits().file_bytes // 1_000_000
    upload = st.file_uploader("Upload a picture", SUFFIXES, max_upload_size=size)
    pictures = samples(predictor.classes)
    sample = st.selectbox("or select a sample", pictures, index=None) if pictures else None
    if upload:
        return upload.name, upload.getvalue()
    return (sample, pictures[sample]) if sample else None


def show_prediction(predictor: "Predictor", name: str, picture: bytes, calibrated: bool) -> None:
    """Show the prediction for a picture and its heatmap.

    Raises
    ------
    UserError, Problem   if it cannot be read or is too large
    """
    from api.decoding import structure_of
    from api.uploads import Limits, Upload

    structure_of(Upload(name, bytearray(picture)), Limits())
    images = predictor.prepare(picture)[None]
    temperature = None if calibrated else 1.0
    row = predictor.probabilities(images, temperature)[0].tolist()
    table = pd.DataFrame({"class": predictor.classes, "probability": row})
    table = table.sort_values("probability", ascending=False, ignore_index=True)
    label, confidence = table.loc[0, "class"], table.loc[0, "probability"]

    left, right = st.columns(2)
    with right:
        st.subheader(f"Predicted: {plain(label)} (confidence {percent(confidence)})")
        bar = st.column_config.ProgressColumn(format="percent", min_value=0.0, max_value=1.0)
        st.dataframe(table, hide_index=True, column_config={"probability": bar})
    with left:
        target = st.selectbox("Class to explain", table["class"])
        caption = f"Grad-CAM for {plain(target)}: brighter regions are stronger evidence"
        st.image(predictor.explain(picture, target), caption, "stretch")
        st.image(picture, plain(name), 160)


def plain(text: str) -> str:
    """The text as Markdown that shows it: a name makes no link, picture, formula or colour."""
    line = " ".join(text.split())
    shown = re.sub(r"[\\`*_{}\[\]<>#|~^$@&!]|:(?=[\w/])|(?<=www)\.", r"\\\g<0>", line)
    return re.sub(r"^(\d*)(?=[-+=.)])", r"\g<1>\\", shown)  # nor a list or a heading


def percent(value: float) -> str:
    return f"{100 * value:.1f} %"


def main() -> None:
    from api.errors import Problem
    from lib.errors import UserError

    parser = argparse.ArgumentParser(prog="streamlit run api/streamlit_app.py --")
    parser.add_argument(
        "--bundle",
        metavar="FOLDER",
        help="folder of the bundle (default: the only one in models/ of this project)",
    )
    bundle = parser.parse_args().bundle

    st.set_page_config("Classify a picture", layout="wide")
    st.title("Classify a picture")
    try:
        predictor = load(bundle)
        facts = predictor.bundle
        accuracy = {name: percent(value) for name, value in facts.metrics["accuracy"].items()}
        st.caption(
            f"{facts.name}: {len(facts.classes)} classes, test accuracy {accuracy['value']} "
            f"(95 % interval {accuracy['low']} to {accuracy['high']})"
        )
        picture = selected_picture(predictor)
        calibrated = st.toggle(
            "Temperature scaling",
            value=True,
            help=f"The logits are divided by the temperature {facts.temperature:.2f}, which was "
            "fitted on the validation split. Without it, the confidence is not calibrated.",
        )
        if picture:
            show_prediction(predictor, *picture, calibrated)
    except (UserError, Problem) as error:
        st.error(plain(str(error)))


main()
