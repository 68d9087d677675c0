"""A study of quick notebooks, for tests."""

import json

NOTEBOOK = {
    "nbformat": 4,
    "nbformat_minor": 5,
    "metadata": {
        "kernelspec": {"name": "python3", "display_name": "Python 3"},
        "language_info": {"name": "python"},
    },
}
PARAMETERS = 'dataset = "digits"  # which\nfactor = 2\nmessage = "fine"\n'
BODY = """
import sys
from lib.errors import UserError
from lib.data.picture_files import UnreadablePicture
print("noise", file=sys.stderr)
if message == "damaged":
    raise UnreadablePicture("a.png", "truncated")
if message != "fine":
    raise UserError(message)
print(dataset, factor * 21)
"""


def write_notebook(path, heading, parameters=PARAMETERS, body=BODY):
    cells = [
        {"cell_type": "markdown", "id": "a", "metadata": {}, "source": [f"# {heading}\n"]},
        code(parameters, ["parameters"]),
        code(body),
    ]
    path.write_text(json.dumps({**NOTEBOOK, "cells": cells}))


def code(source, tags=()):
    return {
        "cell_type": "code",
        "id": f"c{len(source)}",
        "metadata": {"tags": list(tags)},
        "source": source.splitlines(keepends=True),
        "execution_count": None,
        "outputs": [],
    }
