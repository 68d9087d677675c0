"""Executed notebooks as Markdown."""

import base64
import json

import pytest

from report import notebook_markdown
from tests.report.samples import code, markdown, notebook, raw

PIXEL = base64.b64encode(b"a picture").decode()


def read(tmp_path, *cells):
    path = tmp_path / "day.ipynb"
    path.write_text(json.dumps(notebook(*cells, name="day1")), encoding="utf-8")
    return notebook_markdown.read(path, "report/studies/demo/day.html", tmp_path / "site")


def with_output(**output):
    cell = code("x")
    cell["outputs"] = [output]
    return cell


def test_the_first_heading_is_the_title(tmp_path):
    page = read(tmp_path, markdown("Before\n\n# Day 1: *Data*\n\nText"), markdown("# Second"))
    assert page.title == "Day 1: *Data*"
    assert "# Day 1" not in page.text
    assert "# Second" in page.text


def test_without_a_heading_the_file_names_the_page(tmp_path):
    assert read(tmp_path, markdown("Text")).title == "day"


def test_code_is_folded_and_its_options_left_out(tmp_path):
    text = read(tmp_path, code("#| label: fig\nprint(1)")).text
    assert "<summary>Code</summary>" in text
    assert "print(1)" in text
    assert "label: fig" not in text


@pytest.mark.parametrize(
    ("tag", "source", "output"),
    [
        ("parameters", True, True),
        ("hide-code", False, True),
        ("hide-output", True, False),
        ("hide-cell", False, False),
        ("remove-cell", False, False),
    ],
)
def test_tags_hide_what_they_say(tmp_path, tag, source, output):
    text = read(tmp_path, code("the_source()", "the output", tags=(tag,))).text
    assert ("the_source()" in text) == source
    assert ("the output" in text) == output


def test_markdown_outputs_are_passed_on(tmp_path):
    block = raw("<figure>`a` *b*</figure>")
    assert block in read(tmp_path, code("show()", block)).text


def test_pictures_are_written_beside_the_page(tmp_path):
    data = {"image/png": PIXEL, "text/plain": "<Figure>"}
    text = read(tmp_path, with_output(output_type="display_data", data=data, metadata={})).text
    assert "![](day_files/cell-0-0.png)" in text
    written = tmp_path / "site" / "report" / "studies" / "demo" / "day_files" / "cell-0-0.png"
    assert written.read_bytes() == b"a picture"


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        ({"output_type": "stream", "name": "stdout", "text": ["```\n", "1"]}, "```\n1"),
        ({"output_type": "stream", "name": "stdout", "text": ["`" * 20]}, "`" * 20),
        ({"output_type": "error", "ename": "E", "evalue": "no", "traceback": []}, "E: no"),
        ({"output_type": "execute_result", "data": {"text/plain": ["4", "2"]}}, "42"),
        ({"output_type": "display_data", "data": {"text/html": "<b>x</b>"}}, "{=html}\n<b>x</b>"),
    ],
)
def test_other_outputs(tmp_path, output, expected):
    text = read(tmp_path, with_output(**output)).text
    assert expected in text
    # The fence is longer than any inside, so nothing of an output is read as Markdown.
    closing = text.split()[-2]
    assert set(closing) == {"`"}
    assert len(closing) >= 3
    assert closing not in expected
