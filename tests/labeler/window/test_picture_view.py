from PIL import Image, ImageTk

from labeler.pictures import Picture
from labeler.window.picture_view import PictureView, _blend, _clamp
from labeler.window.theme import CLASS_COLOURS


def test_the_picture_is_framed_in_the_colour_of_the_class(open_window, pictures):
    driver = open_window(pictures())
    view = driver.window.layout.view
    driver.wait_for_picture()
    driver.root.event_generate("<KeyPress-b>")
    assert view.itemcget(view._frame, "state") == "normal"
    assert view.itemcget(view._frame, "outline") == CLASS_COLOURS[1]
    driver.wait(lambda: view.itemcget(view._frame, "state") == "hidden")


def test_zoom_shows_hard_pixels_and_fits_again(open_window, pictures):
    driver = open_window(pictures())
    view = driver.window.layout.view
    assert view.magnification == int(view.magnification) > 30
    driver.press("plus")
    driver.wait(lambda: view.zoom == 96)
    assert view._photo.width() % 96 == view._photo.height() % 96 == 0
    driver.press("1")
    assert (view.zoom, view._photo.width(), view._photo.height()) == (1, 12, 8)
    driver.press("0")
    assert view.zoom is None
    driver.press("minus")
    driver.wait(lambda: view.zoom)
    driver.press("Right")
    assert view.zoom is None, "the next picture is fitted"


def test_zoomed_one_moves_about_within_the_picture(open_window, tmp_path, pictures):
    folder = pictures("0.png")
    Image.linear_gradient("L").resize((3000, 2000)).save(folder / "0.png")
    driver = open_window(folder)
    view = driver.window.layout.view
    driver.press("1")
    driver.wait(lambda: view.zoom == 1)
    assert view._centre == (1500, 1000)
    driver.press("Shift-Left", "Shift-Up", "Shift-Up")
    assert view._centre == (1420, 840)
    driver.press(*["Shift-Right"] * 40)
    assert view._centre == (3000 - view.winfo_width() / 2, 840)


def test_a_text_takes_the_place_of_the_picture(tk_root, style):
    view = PictureView(tk_root, style)
    view.pack(fill="both", expand=True)
    tk_root.update()
    image = Image.new("RGB", (40, 30))
    view.show(Picture(image, (4, 3), "PNG", "RGB"), ImageTk.PhotoImage(image, master=tk_root))
    assert view.needs_full_image
    assert view.magnification >= 1
    view.show_text("Searching for pictures …")
    assert view.itemcget(view._text, "text") == "Searching for pictures …"
    assert view.itemcget(view._image, "image") == ""
    assert (view.magnification, view.needs_full_image) == (1.0, False)
    view.zoom_by(1)
    assert view.zoom is None, "there is nothing to zoom"


def test_the_view_stays_inside_the_picture():
    assert _clamp(0, 100, 400) == 50
    assert _clamp(390, 100, 400) == 350
    assert _clamp(200, 100, 400) == 200
    assert _clamp(0, 500, 400) == 200, "a smaller picture is centred"


def test_a_colour_fades_into_the_background():
    assert _blend("#ff0080", "#000000", 0) == "#ff0080"
    assert _blend("#ff0080", "#000000", 1) == "#000000"
    assert _blend("#ff0080", "#0000ff", 0.5) == "#8000c0"
