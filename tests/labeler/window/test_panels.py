def test_jump_by_number_and_by_name(open_window, pictures):
    driver = open_window(pictures("cat.png", "dog.png", "sub/hen.png"))
    driver.press("Control-g")
    driver.type("3")
    driver.press("Return")
    assert driver.displayed == "sub/hen.png"
    driver.press("Control-g")
    driver.type("cow")
    driver.press("Return")
    assert driver.window.panel, "it stays open for another name"
    driver.type("DOG")
    driver.press("Return")
    assert (driver.displayed, driver.window.panel) == ("dog.png", None)


def test_help_names_the_keys_and_hides_the_picture_from_them(open_window, pictures):
    driver = open_window(pictures())
    driver.press("question")
    driver.press("a")
    assert driver.session.labels == {}
    driver.press("Escape", "a")
    assert driver.session.labels == {"0.png": "0"}


def test_information_about_the_picture(open_window, pictures):
    driver = open_window(pictures())
    driver.press("Control-i")
    facts = dict(driver.stage.desk.picture_info())
    assert facts["size"] == "12 × 8 pixels"
    assert facts["format"] == "PNG, RGB"
    assert facts["label"] == "none yet"
    driver.press("Escape")


def test_export_writes_splits_and_shows_counts(open_window, pictures, read_csv):
    folder = pictures(*[f"{n}.png" for n in range(20)])
    driver = open_window(folder)
    driver.press(*"ab" * 10, "Control-e")
    panel = driver.window.panel
    for entry, ratio in zip(panel._ratios, ("0.6", "0.2", "0.3"), strict=True):
        entry.delete(0, "end")
        entry.insert(0, ratio)
    driver.press("Return")
    assert "sum to 1.1" in panel.note["text"]
    panel._ratios[2].delete(0, "end")
    panel._ratios[2].insert(0, "0.2")
    driver.press("Return")
    driver.wait(lambda: "Written" in panel.note["text"])
    cells = [cell["text"] for cell in panel._table.grid_slaves(row=3)][::-1]
    assert cells == ["all", "12", "4", "4", "20"]
    assert len(read_csv(folder / "splits.csv")) == 21
    assert len(read_csv(folder / "labels.csv")) == 21
    driver.press("Escape")


def test_the_export_refuses_what_is_no_number(open_window, pictures):
    folder = pictures()
    driver = open_window(folder)
    driver.press("a", "Control-e")
    driver.type("most")
    driver.press("Return")
    assert "Ratios must be numbers" in driver.window.panel.note["text"]
    assert not (folder / "splits.csv").exists()
    driver.press("Escape")
