"""What Schemathesis cannot know: pictures, and the values that a token's owner would ask for."""

import schemathesis
from hypothesis import strategies as st
from PIL import Image

from api.openapi import SUBTYPES
from tests.api.service import encoded

SIZES = st.tuples(st.integers(1, 40), st.integers(1, 40))
MODES = {
    "JPEG": ["L", "RGB", "CMYK"],
    "PNG": ["1", "L", "P", "RGB", "RGBA"],
    "WEBP": ["RGB", "RGBA"],
    "BMP": ["L", "RGB"],
    "GIF": ["L", "P"],
    "TIFF": ["1", "L", "RGB", "CMYK"],
    "AVIF": ["RGB", "RGBA"],
    "PPM": ["1", "L", "RGB"],
}

for kind, modes in MODES.items():
    picture = st.builds(
        lambda kind, mode, size: encoded(Image.new(mode, size), kind),
        st.just(kind),
        st.sampled_from(modes),
        SIZES,
    )
    schemathesis.openapi.media_type(f"image/{SUBTYPES.get(kind, kind.lower())}", picture)

VALUES = {"model": ["digits"], "target": [str(digit) for digit in range(10)]}


@schemathesis.hook
def before_load_schema(context, raw_schema):
    """Add the values that the description leaves out where a token is needed."""
    for methods in raw_schema["paths"].values():
        for operation in methods.values():
            for parameter in operation.get("parameters", []):
                if parameter["name"] in VALUES:
                    parameter["schema"].setdefault("enum", VALUES[parameter["name"]])
