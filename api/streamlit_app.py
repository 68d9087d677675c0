"""The model in a Streamlit app: a picture, its probabilities, a Grad-CAM heatmap.

    streamlit run api/streamlit_app.py -- --bundle models/best

Predicts by itself, without the service, from pictures within the same limits.
"""

import argparse
import sys
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
import streamlit as st
from PIL import Image

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))  # Streamlit runs this file from wherever it was started

if TYPE_CHECKING:
    from lib.inference import Predictor

KINDS = ["jpg", "jpeg", "png", "webp", "bmp", "gif"]


@st.cache_resource(show_spinner="Loading the model")
def load(bundle: str) -> "Predictor":
    from lib.inference import Predictor

    return Predictor.load(bundle)


@st.cache_data
def samples(classes: tuple[str, ...]) -> dict[str, bytes]:
    """A digit of each class if the model knows digits and scikit-learn is there, else nothing."""
    try:
        from sklearn.datasets import load_digits
    except ImportError:
        return {}
    digits = load_digits()
    if sorted(classes) != sorted(str(name) for name in digits.target_names):
        return {}
    found = {}
    for name in digits.target_names:
        grey = digits.images[digits.target == name][0] * (255 / 16)
        png = BytesIO()
        Image.fromarray(grey.round().astype("uint8")).save(png, "PNG")
        found[f"digit {name}"] = png.getvalue()
    return found


def chosen(predictor: "Predictor") -> tuple[str, bytes] | None:
    """Name and bytes of the picture that was uploaded or chosen."""
    from api.uploads import Limits

    size = Limits().file_bytes // 1_000_000
    upload = st.file_uploader("A picture of your own", KINDS, max_upload_size=size)
    offered = samples(predictor.classes)
    sample = st.selectbox("or a sample", offered, index=None) if offered else None
    if upload:
        return upload.name, upload.getvalue()
    return (sample, offered[sample]) if sample else None


def ask(predictor: "Predictor", name: str, picture: bytes, calibrated: bool) -> None:
    """Show the prediction for a picture.

    Raises
    ------
    UserError, Problem   if it cannot be read or is too large
    """
    from api.uploads import Limits, Upload, count_pixels

    count_pixels(Upload(name, bytearray(picture)), Limits())
    images = predictor.prepare(picture)[None]
    temperature = None if calibrated else 1.0
    row = predictor.probabilities(images, temperature)[0].tolist()
    table = pd.DataFrame({"class": predictor.classes, "probability": row})
    table = table.sort_values("probability", ascending=False, ignore_index=True)
    label, confidence = table.loc[0, "class"], table.loc[0, "probability"]

    left, right = st.columns(2)
    with right:
        st.subheader(f"Predicted: {label} (confidence {100 * confidence:.1f} %)")
        bar = st.column_config.ProgressColumn(format="percent", min_value=0.0, max_value=1.0)
        st.dataframe(table, hide_index=True, column_config={"probability": bar})
    with left:
        target = st.selectbox("Grad-CAM heatmap for", table["class"])
        st.image(
            predictor.explain(picture, target), "brighter regions are stronger evidence", "stretch"
        )
        st.image(picture, name, 160)


def main() -> None:
    from api.errors import Problem
    from lib.errors import UserError

    parser = argparse.ArgumentParser(prog="streamlit run api/streamlit_app.py --")
    parser.add_argument("--bundle", default=str(ROOT / "models" / "best"))
    bundle = parser.parse_args().bundle

    st.set_page_config("What does the picture show?", layout="wide")
    st.title("What does the picture show?")
    try:
        predictor = load(bundle)
        facts = predictor.bundle
        accuracy = facts.metrics["accuracy"]
        st.caption(
            f"{facts.name}: {len(facts.classes)} classes, test accuracy "
            f"{100 * accuracy['value']:.1f} % (95 % interval {100 * accuracy['low']:.1f} to "
            f"{100 * accuracy['high']:.1f} %)"
        )
        picture = chosen(predictor)
        calibrated = st.toggle(
            "Temperature scaling",
            value=True,
            help=f"The logits are divided by {facts.temperature:.2f}, which was fitted on "
            "validation pictures. Switched off, the logits are used unscaled.",
        )
        if picture:
            ask(predictor, *picture, calibrated)
    except (UserError, Problem) as error:
        st.error(str(error))


main()
