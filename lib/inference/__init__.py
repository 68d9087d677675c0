"""Inference: a run becomes a bundle, and a bundle predicts.

    bundle.py      a bundle's files and facts, read and checked
    predictor.py   pictures to calibrated predictions and explanations
    export.py      a run to a bundle
    __main__.py    `python -m lib.inference`: predictions on the command line

`Predictor` and what belongs to it can be imported from here, as every exported model card does.
"""

from lib.data import worker
from lib.data.picture_files import FORMATS, SUFFIXES, UnreadablePicture
from lib.data.picture_structure import Structure, UnknownFormat, inspect
from lib.inference.bundle import SCHEMA_VERSION, Bundle, only_one
from lib.inference.predictor import Prediction, Predictor

__all__ = [
    "FORMATS",
    "SCHEMA_VERSION",
    "SUFFIXES",
    "Bundle",
    "Prediction",
    "Predictor",
    "Structure",
    "UnknownFormat",
    "UnreadablePicture",
    "inspect",
    "only_one",
    "worker",
]
