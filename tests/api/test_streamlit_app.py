"""The Streamlit app, by Streamlit's own test harness."""

import html
import json
import re
import shutil
import socket
import subprocess
import sys

import psutil
import pypandoc
import pytest
from PIL import Image
from streamlit.testing.v1 import AppTest

from tests.api.service import ROOT, encoded, wait_until
from tests.hostile_names import STRINGS


@pytest.fixture
def open_app(bundle, monkeypatch):
    def open_app(path=bundle):
        monkeypatch.setattr(sys, "argv", ["streamlit_app.py", "--bundle", str(path)])
        app = AppTest.from_file(ROOT / "api" / "streamlit_app.py", default_timeout=120).run()
        assert not app.exception
        return app

    return open_app


def shown(app):
    table = app.dataframe[0].value
    return dict(zip(table["class"], table["probability"], strict=True))


def test_an_upload_gets_bars_and_a_heatmap(open_app, predictor, pngs):
    app = open_app()
    app.file_uploader[0].set_value(("digit.png", pngs[0], "image/png")).run()
    (expected,) = predictor.predict([pngs[0]])
    assert shown(app) == pytest.approx(expected.probabilities, abs=1e-5)
    assert list(shown(app)) == list(expected.top(10))
    assert app.subheader[0].value == (
        f"Predicted: {expected.label} (confidence {100 * expected.confidence:.1f} %)"
    )
    assert len(app.get("image")) == 2  # the heatmap, and the picture


def test_the_toggle_switches_the_temperature_off(open_app, predictor, pngs):
    app = open_app()
    app.file_uploader[0].set_value(("digit.png", pngs[0], "image/png")).run()
    calibrated = shown(app)
    app.toggle[0].set_value(False).run()
    plain = predictor.probabilities(predictor.prepare(pngs[0])[None], 1.0)[0].tolist()
    assert shown(app) == pytest.approx(dict(zip(predictor.classes, plain, strict=True)), abs=1e-5)
    assert shown(app) != calibrated


def test_a_sample_needs_no_file(open_app):
    app = open_app()
    assert not app.dataframe
    app.selectbox[0].select("digit 7").run()
    assert sum(shown(app).values()) == pytest.approx(1)
    app.selectbox[1].select(app.selectbox[1].options[-1]).run()
    assert not app.exception


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"no picture", "digit.png: not a picture in a supported format"),
        (encoded(Image.new("1", (6000, 6000))), "digit.png: more than 25,000,000 pixels"),
        (encoded(Image.effect_noise((50, 50), 99))[:600], "truncated"),
    ],
)
def test_what_is_no_picture_is_said_in_one_line(open_app, data, says):
    app = open_app()
    app.file_uploader[0].set_value(("digit.png", data, "image/png")).run()
    assert not app.exception
    assert says in app.error[0].value


def test_a_missing_bundle_is_said_in_one_line(open_app, tmp_path):
    app = open_app(tmp_path / "none")
    assert "none: no bundle" in app.error[0].value


def test_the_app_listens_on_this_machine_alone_wherever_it_is_started(bundle, tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "streamlit", "run", str(ROOT / "api" / "streamlit_app.py")]
    command += ["--server.headless", "true", "--server.port", str(port)]
    with subprocess.Popen(
        [*command, "--", "--bundle", str(bundle)], cwd=tmp_path, stdout=subprocess.DEVNULL
    ) as process:

        def addresses():
            found = psutil.Process(process.pid).net_connections("tcp")
            return [c.laddr for c in found if c.status == psutil.CONN_LISTEN]

        try:
            wait_until(addresses, 120)
            assert addresses() == [("127.0.0.1", port)]
        finally:
            process.terminate()


@pytest.mark.parametrize(
    "names",
    [
        STRINGS[:10],
        (*STRINGS[10:], "1. a", "- b", "+ c", "# d", "=", ":smile: :red[e]"),
    ],
)
def test_names_are_shown_as_they_are(open_app, bundle, pngs, tmp_path, names):
    copy = shutil.copytree(bundle, tmp_path / "copy")
    facts = json.loads((copy / "bundle.json").read_text())
    (copy / "bundle.json").write_text(json.dumps(facts | {"classes": names}))
    app = open_app(copy)
    for name in names:
        file = f"{name}.png"
        app.file_uploader[0].set_value((file, pngs[0], "image/png")).run()
        app.selectbox[0].select(name).run()
        captions = [element.proto.imgs[0].caption for element in app.get("image")]
        assert read(captions[0]) == f"Grad-CAM for {name}: brighter regions are stronger evidence"
        assert read(captions[1]) == file
        assert read(app.subheader[0].value).startswith(f"Predicted: {next(iter(shown(app)))} (")
        app.file_uploader[0].set_value((file, b"no picture", "image/png")).run()
        assert read(app.error[0].value).startswith(f"{file}: not a picture")


def read(markdown):
    """What a reader of Markdown sees: plain text, without so much as a link."""
    page = pypandoc.convert_text(markdown, "html", "gfm", extra_args=["--wrap=none"])
    return html.unescape(re.fullmatch("<p>([^<]*)</p>", page.strip())[1])
