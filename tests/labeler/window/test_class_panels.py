import pytest

from labeler.record.table import read_table
from labeler.window.class_panels import Classes, ClassList

NAMES = [f"class {n}" for n in range(30)]


def texts(box):
    return list(box.get(0, "end"))


def fill(entry, text):
    entry.delete(0, "end")
    entry.insert(0, text)


def test_classes_are_named_in_the_window(open_window, pictures):
    driver = open_window(pictures())
    driver.press("a", "Control-k")
    panel = driver.window.panel
    for entry, name in zip(panel._entries, ["cat", "cat"], strict=True):
        entry.delete(0, "end")
        entry.insert(0, name)
    driver.press("Return")
    assert "Two classes are called cat" in panel.note["text"]
    panel._entries[1].delete(0, "end")
    panel._entries[1].insert(0, "dog")
    panel._add_class_button.invoke()
    driver.type("bird")
    driver.press("Return")
    assert driver.session.classes == ("cat", "dog", "bird")
    assert len(driver.window.layout.buttons) == 3
    driver.press("c")
    assert driver.session.labels == {"0.png": "cat", "1.png": "bird"}


def test_a_panel_closes_once(tk_root, style):
    closed = []

    def change(names, merge):
        closed.append(names)

    panel = Classes(tk_root, style, lambda: closed.append(True), ["cat", "dog"], change)
    panel._add("")
    panel._done()
    assert closed == [["cat", "dog"], True]
    assert not panel.winfo_exists()
    tk_root.event_generate("<Escape>")
    assert closed == [["cat", "dog"], True]


def test_a_merger_is_asked_for_and_done_the_second_time(open_window, pictures):
    driver = open_window(pictures(), classes=["cat", "kitten", "dog"])
    driver.press("a", "b", "b", "Control-k")
    panel = driver.window.panel
    fill(panel._entries[1], "cat")
    driver.press("Return")
    question = "Class cat exists: 2 labels of kitten will become cat. Press Done again to merge."
    assert panel.note["text"] == question
    assert driver.session.classes == ("cat", "kitten", "dog")
    driver.press("Return")
    assert driver.window.panel is None
    assert driver.session.classes == ("cat", "dog")
    assert driver.session.labels == dict.fromkeys(("0.png", "1.png", "2.png"), "cat")
    assert [driver.count(number) for number in (0, 1)] == ["3", "0"]
    driver.press("Control-z")
    assert driver.session.classes == ("cat", "kitten", "dog")
    assert [driver.count(number) for number in (0, 1, 2)] == ["1", "2", "0"]
    assert driver.window.notice == "Undone: the classes are as before."
    driver.press("b")
    assert driver.session.labels["3.png"] == "kitten"


def test_an_edit_after_the_question_cancels_it(open_window, pictures):
    driver = open_window(pictures(), classes=["cat", "kitten", "dog"])
    driver.press("a", "b", "Control-k")
    panel = driver.window.panel
    fill(panel._entries[1], "cat")
    driver.press("Return")
    fill(panel._entries[2], "hound")
    panel._entries[2].event_generate("<KeyRelease-d>")
    assert "Press Done again" not in panel.note["text"]
    driver.press("Return")
    assert "Press Done again" in panel.note["text"], "it asks once more"
    panel._add_class_button.invoke()
    assert "Press Done again" not in panel.note["text"]
    fill(panel._entries[1], "kitten")
    driver.press("Return")
    assert driver.session.classes == ("cat", "kitten", "hound")


def test_all_of_thirty_classes_are_named_in_the_window(open_window, pictures):
    driver = open_window(pictures(), classes=NAMES)
    driver.press("Control-k")
    panel = driver.window.panel
    assert [entry.get() for entry in panel._entries] == NAMES
    fill(panel._entries[29], "the last")
    panel._add_class_button.invoke()
    driver.type("one more")
    driver.press("Return")
    assert driver.session.classes == (*NAMES[:29], "the last", "one more")
    assert "Classes without a key: 5 of 31." in driver.window.notice


def test_names_that_need_more_room_are_scrolled_to(tk_root, style):
    panel = Classes(tk_root, style, lambda: None, [str(n) for n in range(300)], print)
    tk_root.update()
    tk_root.update()
    assert panel._bar.winfo_ismapped()
    assert panel.winfo_reqheight() < tk_root.winfo_screenheight()
    panel._show(panel._entries[299])
    assert panel._canvas.yview()[1] == 1
    panel._show(panel._entries[0])
    assert panel._canvas.yview()[0] == 0
    panel._entries[0].event_generate("<Button-5>")
    assert panel._canvas.yview()[0] > 0
    panel.close()


def test_a_class_without_a_key_is_chosen_with_the_keyboard(open_window, pictures):
    folder = pictures()
    driver = open_window(folder, classes=NAMES)
    driver.press("Control-l")
    driver.type("S 29")
    driver.press("Return")
    assert driver.session.labels == {"0.png": "class 29"}
    assert driver.displayed == "1.png"
    driver.press("Control-l")
    driver.press(*["Down"] * 30, "Up", "Return")
    assert driver.session.labels["1.png"] == "class 28"
    driver.press("Control-l")
    driver.type("cow")
    driver.press("Return")
    assert "No name contains this: cow" in driver.window.panel.note["text"]
    driver.press("Escape")
    driver.window.close()
    assert read_table(folder / "labels.csv").values == {"0.png": "class 29", "1.png": "class 28"}


def test_a_class_without_a_key_is_chosen_with_the_mouse(open_window, pictures):
    driver = open_window(pictures(), classes=NAMES)
    more = driver.window.layout.more
    assert [more.itemcget(item, "text") for item in (more._key, more._text)] == ["+4", "Ctrl+L"]
    driver.click(more, 20, 20)
    box = driver.window.panel._list
    box.see(29)
    driver.root.update()
    left, top, _, height = box.bbox(27)
    driver.click(box, left + 3, top + height // 2)
    assert driver.session.labels == {"0.png": "class 27"}
    assert more.itemcget(more._count, "text") == "1"
    assert driver.window.panel is None


def test_the_list_begins_at_the_label_of_the_picture(open_window, pictures):
    driver = open_window(pictures(), classes=NAMES)
    driver.press("z", "Left", "Control-l")
    panel = driver.window.panel
    assert panel._list.curselection() == (25,)
    assert texts(panel._list)[25] == "class 25  (1)"
    assert texts(panel._keys)[25:27] == ["Z", ""]
    driver.root.update()
    assert panel._list.bbox(25), "it is in sight"
    assert panel._list.yview() == panel._keys.yview()
    driver.press("Escape")


@pytest.mark.parametrize(("text", "listed"), [("", 3), ("A", 2), ("b a", 1), ("x", 0)])
def test_the_list_shows_what_contains_the_text(tk_root, style, text, listed):
    chosen = []
    rows = [("cat", "cat (1)", "A"), ("dog", "dog (2)", "B"), ("b a", "b a (0)", "")]
    panel = ClassList(tk_root, style, lambda: None, "Label as", rows, 1, chosen.append)
    panel._entry.insert(0, text)
    panel._entry.event_generate("<KeyRelease-a>")
    panel._filter()
    assert panel._list.size() == panel._keys.size() == listed
    panel._done()
    assert len(chosen) == (listed > 0)
    if listed:
        assert text.casefold() in rows[chosen[0]][0]
    else:
        panel.close()
