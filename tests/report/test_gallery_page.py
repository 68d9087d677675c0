"""The gallery in a real browser: filters, order, and one picture close by."""

import json

import pytest

from tests.report.test_pages import Visit


@pytest.fixture
def visit(fullest_address, context):
    def visit(state=""):
        opened = Visit(
            context, f"{fullest_address}/report/studies/demo/gallery.html{state and '#'}{state}"
        )
        opened.page.wait_for_selector(".gallery-grid")
        return opened

    return visit


@pytest.fixture(scope="session")
def items(study):
    script = (study / "report" / "studies" / "demo" / "gallery" / "gallery.js").read_text(
        encoding="utf-8"
    )
    return json.loads(script.partition("daybook.gallery = ")[2].rstrip(";\n"))["items"]


def labels(page):
    return page.eval_on_selector_all(
        ".gallery-grid button", "all => all.map((button) => button.getAttribute('aria-label'))"
    )


def description(item):
    outcome = "correct" if item["true"] == item["predicted"] else "misclassified"
    confidence = f"confidence {100 * item['confidence']:.0f} %"
    return f"{item['true']}, predicted {item['predicted']}, {confidence}, {outcome}"


def test_all_pictures_by_loss(visit, items):
    page = visit().page
    ordered = sorted(items, key=lambda item: -item["loss"])
    assert labels(page) == [description(item) for item in ordered]


def test_the_summary_gives_the_run_and_the_numbers_of_pictures(visit):
    page = visit().page
    summary = page.inner_text("#daybook-gallery > p")
    assert summary.startswith("Test-split predictions of the run with the best validation accuracy")
    assert summary.endswith(": 6 of 8 misclassified and 6 of 92 correctly classified pictures.")
    page.click("#daybook-gallery > p a")
    page.wait_for_url("**/report/runs.html#run=000000000000")


@pytest.mark.parametrize(
    ("label", "choice", "keeps"),
    [
        ("Prediction", "misclassified", lambda item: item["true"] != item["predicted"]),
        ("True class", "car", lambda item: item["true"] == "car"),
        ("Predicted class", "bird", lambda item: item["predicted"] == "bird"),
    ],
)
def test_filters(visit, items, label, choice, keeps):
    page = visit().page
    page.locator("label", has_text=label).locator("select").select_option(choice)
    kept = sorted(filter(keeps, items), key=lambda item: -item["loss"])
    assert kept
    assert labels(page) == [description(item) for item in kept]


def test_confidence_and_order_live_in_the_address(visit, items):
    first = visit().page
    first.get_by_label("Confidence from").fill("70")
    first.get_by_label("Confidence from").press("Enter")
    first.get_by_label("Order").select_option("least confident first")
    again = visit(first.url.partition("#")[2]).page
    kept = [item for item in items if item["confidence"] >= 0.7]
    kept.sort(key=lambda item: item["confidence"])
    assert labels(again) == labels(first) == [description(item) for item in kept]


def test_a_cell_of_a_confusion_matrix(visit, items):
    page = visit("true=bird&predicted=cat").page
    kept = [i for i in items if (i["true"], i["predicted"]) == ("bird", "cat")]
    assert sorted(labels(page)) == sorted(description(item) for item in kept)


def test_one_picture_close_by(visit, items):
    wrong = next(item for item in items if item["true"] != item["predicted"])
    opened = visit(f"id={wrong['id']}")
    page = opened.page
    dialog = page.locator("dialog[open]")
    assert dialog.locator("figcaption").all_inner_texts() == [
        "original",
        f"Grad-CAM for {wrong['predicted']} (predicted)",
        f"Grad-CAM for {wrong['true']} (true)",
        f"after FGSM, ε = 4/255: predicted {wrong['adversarial_predicted']}",
    ]
    assert dialog.locator(".bars").count() == 2
    assert (
        f"{100 * wrong['top5_before'][0][1]:.1f} %" in dialog.locator(".bars").nth(0).inner_text()
    )
    assert f"{100 * wrong['top5_after'][0][1]:.1f} %" in dialog.locator(".bars").nth(1).inner_text()
    dialog.get_by_label("Heatmap opacity").fill("0.2")
    opacity = "getComputedStyle(document.querySelector('dialog .heatmap')).opacity"
    assert page.evaluate(opacity) == "0.2"
    page.keyboard.press("Escape")
    page.wait_for_url(lambda url: "id=" not in url)
    assert page.locator("dialog[open]").count() == 0
    assert opened.complaints == []


def test_pictures_in_the_dialog_keep_their_size(address, context, items):
    wrong = next(item for item in items if item["true"] != item["predicted"])
    page = Visit(context, f"{address}/report/studies/demo/gallery.html#id={wrong['id']}").page
    page.wait_for_selector("dialog[open] img")
    sizes = page.eval_on_selector_all(
        "dialog img", "images => images.map((image) => [image.clientWidth, image.clientHeight])"
    )
    assert len(sizes) == 6  # original, two heatmaps over the grey picture, adversarial
    assert set(map(tuple, sizes)) == {(192, 192)}


def test_arrow_keys_and_buttons_turn_the_pages(visit, items):
    first, second, third, *_ = sorted(items, key=lambda item: -item["loss"])
    page = visit().page
    page.locator(".gallery-grid button").first.click()
    dialog = page.locator("dialog[open]")
    assert f"{first['id']} " in dialog.inner_text()
    assert dialog.get_by_role("button", name="Previous picture").is_disabled()
    page.keyboard.press("ArrowRight")
    assert f"{second['id']} " in dialog.inner_text()
    dialog.get_by_role("button", name="Next picture").click()
    assert f"{third['id']} " in dialog.inner_text()
    assert f"3 of {len(items)}" in dialog.inner_text()
    page.keyboard.press("Enter")  # the button keeps the focus
    assert f"4 of {len(items)}" in dialog.inner_text()


def test_pictures_are_crisp_and_lazy(visit):
    page = visit().page
    facts = page.eval_on_selector_all(
        ".gallery-grid img",
        """async (images) => Promise.all(images.map(async (image) => {
            image.scrollIntoView();
            await image.decode();
            return [image.width / image.naturalWidth, image.height / image.naturalHeight,
                getComputedStyle(image).imageRendering, image.loading];
        }))""",
    )
    for horizontal, vertical, rendering, loading in facts:
        assert horizontal == vertical == int(horizontal) >= 2
        assert (rendering, loading) == ("pixelated", "lazy")
