import pytest

from labeler.window.keys import BY_METHOD, MENU


def test_a_class_button_is_a_key_too(open_window, pictures):
    driver = open_window(pictures())
    driver.click(driver.window.layout.buttons[1], 20, 20)
    assert driver.session.labels == {"0.png": "1"}


def test_filters(open_window, pictures):
    driver = open_window(pictures())
    driver.press("a", "b", "space", "a")
    menu = driver.window.layout.filter.nametowidget(driver.window.layout.filter["menu"])
    driver.window.layout._fill_filters(menu)
    entries = [menu.entrycget(n, "label") for n in range(menu.index("end") + 1)]
    assert entries == [
        "all  (6)",
        "unlabelled  (2)",
        "skipped  (1)",
        "class 0  (2)",
        "class 1  (1)",
    ]
    menu.invoke(3)
    assert driver.stage.desk.order.view == ["0.png", "3.png"]
    driver.press("b")
    assert driver.displayed == "3.png"
    menu.invoke(0)
    assert driver.displayed == "3.png"


def test_everything_grows_with_the_display(open_window, pictures):
    folder = pictures()
    small = open_window(folder).window.layout
    large = open_window(folder, scale=1.5).window.layout
    assert large.buttons[0].winfo_reqheight() == 1.5 * small.buttons[0].winfo_reqheight()
    assert large.style.normal.metrics("linespace") > 1.3 * small.style.normal.metrics("linespace")


def test_every_menu_entry_shows_its_key(open_window):
    menu_button = open_window().window.layout.menu
    menu = menu_button.nametowidget(menu_button["menu"])
    places = [n for n in range(menu.index("end") + 1) if menu.type(n) == "command"]
    keys = [menu.entrycget(place, "accelerator") for place in places]
    assert keys == [BY_METHOD[method].keys for block in MENU for method in block]


@pytest.mark.parametrize(
    ("classes", "rows"), [(2, [2]), (8, [4, 4]), (26, [7, 7, 7, 5]), (40, [7, 7, 7, 5])]
)
def test_class_buttons_fill_their_rows_evenly(open_window, pictures, classes, rows):
    driver = open_window(pictures(), classes=[f"class {n}" for n in range(classes)])
    places = [int(button.grid_info()["row"]) for button in driver.window.layout.buttons]
    assert [places.count(row) for row in sorted(set(places))] == rows


def test_a_long_filter_menu_ends_in_a_list_of_all(open_window, pictures):
    driver = open_window(pictures(), classes=[f"class {n}" for n in range(30)])
    driver.window.run("label", 28)
    driver.wait_for_picture()
    layout = driver.window.layout
    menu = layout.filter.nametowidget(layout.filter["menu"])
    layout._fill_filters(menu)
    assert menu.index("end") + 1 == 20
    assert menu.entrycget(19, "label") == "14 more …"
    menu.invoke(19)
    driver.type("class 28")
    driver.press("Return")
    assert driver.stage.desk.order.filter == "class:class 28"
    assert driver.stage.desk.order.view == ["0.png"]
    assert layout.filter["text"] == "Show: class 28 ▾"


def test_the_age_of_labels_csv_is_shown_from_a_few_seconds_on(open_window, pictures):
    layout = open_window(pictures()).window.layout
    shown = []
    for seconds in (0, 4.9, 5, 12.4, 99, 100, 200):
        layout.set_behind(seconds)
        shown.append(layout._behind["text"].removeprefix("labels.csv: "))
    ages = ["5 s behind", "12 s behind", "99 s behind", "2 min behind", "3 min behind"]
    assert shown == ["", "", *ages]


def test_a_notice_lies_over_the_picture_until_it_is_removed(open_window, pictures):
    layout = open_window(pictures()).window.layout
    layout.set_notice("Written: labels.csv", warning=False)
    assert layout._notice.place_info()["in"] is layout.view
    assert layout._notice["fg"] == layout.style.palette.text
    layout.set_notice("The disk is full.", warning=True)
    assert layout._notice["fg"] == layout.style.palette.warning
    layout.set_notice("", warning=False)
    assert not layout._notice.place_info()
