"""The edition by Pandoc."""

import pytest

from lib.errors import UserError
from report import pandoc_edition
from report.__main__ import build


def test_pandoc_failing_leaves_the_old_site(project, monkeypatch):
    (project / "_site").mkdir()
    monkeypatch.setattr(pandoc_edition, "TEMPLATE", project / "missing.html")
    with pytest.raises(UserError, match=r"Pandoc on \S+ failed: .*; the site is as it was$"):
        build(project, "pandoc")
    assert list((project / "_site").iterdir()) == []
