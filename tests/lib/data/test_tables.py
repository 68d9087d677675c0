"""One reader for labels.csv and splits.csv: what it takes, what it refuses, what it writes."""

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.data.names import normal
from lib.data.tables import Table, TableError, parse_table, table_rows, write_rows


def parse(text, column="label"):
    data = text if isinstance(text, bytes) else text.encode()
    return parse_table(data, column, "labels.csv")


PLAIN = {"a.png": "cat", "b.png": "dog"}


@pytest.mark.parametrize(
    "text",
    [
        "filename,label\na.png,cat\nb.png,dog\n",
        "filename,label\r\na.png,cat\r\nb.png,dog",
        "\ufefffilename,label\na.png,cat\nb.png,dog\n",
        "\n\nfilename,label\n\na.png,cat\nb.png,dog\n\n",
        ",\nfilename,label\n , \na.png,cat\n,\nb.png,dog\n",
        "filename, label\na.png, cat\nb.png,dog \n",
        "Filename,LABEL\na.png,cat\nb.png,dog\n",
        "label,filename\ncat,a.png\ndog,b.png\n",
        "filename,label\na.png,cat\nb.png,dog\na.png,cat\n",
        "filename,label\na.png,cat\nb.png,\nb.png,dog\n",
        '"filename","label"\n"a.png","cat"\n"b.png","dog"\n',
    ],
)
def test_tables_as_people_write_them(text):
    assert parse(text).values == PLAIN


@pytest.mark.parametrize("text", ["", "\n\n", "\ufeff", " , \n", "filename,label\n"])
def test_a_file_of_nothing_holds_no_rows(text):
    assert parse(text) == Table()


def test_a_filename_is_taken_whole_and_a_label_without_blanks_around_it():
    table = parse('filename,label\n lead.png,cat \n"two\nlines.png",a b\ntrail.png ,cat\n')
    assert table.values == {" lead.png": "cat", "two\nlines.png": "a b", "trail.png ": "cat"}


def test_names_and_labels_have_one_unicode_form():
    table = parse("filename,label\ncafe\u0301.png,the\u0301\ncafé.png,thé\n")
    assert table.values == {"café.png": "thé"}


def test_rows_without_a_label_and_other_columns_are_kept():
    table = parse("width,filename,label,By\n3,a.png,cat,me\n4,b.png, ,you\n")
    assert table == Table(
        {"a.png": "cat"}, ("b.png",), ("width", "By"), {"a.png": ("3", "me"), "b.png": ("4", "you")}
    )
    assert list(table_rows(table, "label")) == [
        ("filename", "label", "width", "By"),
        ("a.png", "cat", "3", "me"),
        ("b.png", "", "4", "you"),
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a.png,cat\n", "needs the columns filename,label; its line 1 has a.png,cat"),
        ("\n\nfilename;label\n", "its line 3 has filename;label"),
        ("filename,label,label\n", "needs the columns"),
        ("filename,label\na.png\n", "line 2 has 1 columns, not 2"),
        ("filename,label\na.png,cat,\n", "line 2 has 3 columns, not 2"),
        ("filename,label\n ,cat\n", "line 2: filename is empty"),
        ("filename,label\na.png,cat\n\na.png,dog\n", "lines 2 and 4: a.png has the labels cat and"),
        ("filename,label\na.png,c\0t\n", "line 2 has a NUL character"),
        (b"filename,label\na.png,\xe9\n", "line 2 is not UTF-8; save the file as UTF-8"),
        ('filename,label\n"a.png"x,cat\n', "line 2 is not CSV"),
        ('filename,label\n"a.png,cat\n', "is not CSV"),
    ],
)
def test_what_does_not_follow_the_rules_gets_one_line(text, message):
    with pytest.raises(TableError) as caught:
        parse(text)
    assert str(caught.value).startswith("labels.csv")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


cells = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
filenames = cells.map(normal).filter(str.strip)
labels = cells.map(lambda text: normal(text.strip())).filter(bool)


@given(st.dictionaries(filenames, labels))
def test_what_is_written_is_read_back(values):
    lines = io.StringIO(newline="")
    write_rows(lines, table_rows(Table(values), "split"))
    assert parse(lines.getvalue(), "split").values == values
