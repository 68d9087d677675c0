"""Pictures for Schemathesis, which otherwise sends random bytes in their place."""

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
