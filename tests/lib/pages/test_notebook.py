import pytest

from lib.pages.notebook import finding, title


def cell(kind, source, **more):
    return {"cell_type": kind, "source": [source], **more}


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        ([cell("markdown", "# Second <day>\n\nWords.")], "Second <day>"),
        ([cell("raw", "---\ntitle: 'Home'\n---")], "Home"),
        ([cell("code", "# a comment"), cell("markdown", "Text.\n\n# Later")], "Later"),
        ([cell("markdown", "## Only a section")], None),
    ],
)
def test_the_title_is_the_first_heading(cells, expected):
    assert title({"cells": cells}) == expected


def test_the_finding_is_the_first_of_the_outputs():
    outputs = [
        {"data": {"text/plain": "a chart"}},
        {"data": {"text/markdown": ["<div>", '<p class="daybook-finding">A &lt; B.</p></div>']}},
    ]
    assert finding({"cells": [cell("code", ""), cell("code", "", outputs=outputs)]}) == "A < B."
    assert finding({"cells": [cell("code", "")]}) == ""
