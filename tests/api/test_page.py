"""The page at /, in a browser: what a person sees, and that nothing comes from elsewhere."""

import json
import shutil

import pytest

from tests.api.service import TOKEN, serving
from tests.hostile_names import STRINGS


@pytest.fixture
def visit(browser):
    """Opens a service's page and notes what goes wrong there, and what else is loaded."""
    contexts = []

    def visit(server, path="/", **options):
        context = browser.new_context(**options)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(60_000)
        page.complaints = []
        page.on("pageerror", lambda error: page.complaints.append(str(error)))
        page.on(
            "console",
            lambda line: page.complaints.append(line.text) if line.type == "error" else None,
        )
        origin = f"http://127.0.0.1:{server.port}"
        page.on(
            "request",
            lambda request: (
                None
                if request.url.startswith((origin, "blob:", "data:"))
                else page.complaints.append(request.url)
            ),
        )
        page.on(
            "requestfailed",
            lambda request: request.failure == "csp" and page.complaints.remove(request.url),
        )
        page.goto(origin + path)
        return page

    yield visit
    for context in contexts:
        context.close()


def picture(png, name="digit.png"):
    return {"name": name, "mimeType": "image/png", "buffer": png}


@pytest.mark.parametrize("width", [1100, 360])
def test_a_picture_gets_bars_a_heatmap_and_its_json(server, visit, pngs, predictor, width):
    page = visit(server, viewport={"width": width, "height": 800})
    page.locator("#model", has_text="test accuracy").wait_for()
    page.set_input_files("#file", picture(pngs[0]))
    page.wait_for_selector("#heatmap[src]")
    (expected,) = predictor.predict([pngs[0]])
    ranked = expected.top(10).items()
    assert page.locator(".bar .label").all_text_contents() == [label for label, _ in ranked]
    shares = [float(text.split()[0]) for text in page.locator(".percent").all_text_contents()]
    assert shares == pytest.approx([100 * share for _, share in ranked], abs=0.051)
    assert page.locator("#predicted").text_content() == (
        f"Predicted: {expected.label} (confidence {100 * expected.confidence:.1f}\xa0%)"
    )
    assert page.locator('.bar[aria-pressed="true"] .label').text_content() == expected.label
    page.click("text=Response as JSON")
    assert '"confidence"' in page.locator("#json").text_content()
    wide = "document.documentElement.scrollWidth > innerWidth"
    assert not page.evaluate(wide)
    assert page.complaints == []


def test_everything_can_be_done_by_keyboard(server, visit, pngs):
    page = visit(server)
    page.locator("#model", has_text="test accuracy").wait_for()
    with page.expect_file_chooser() as chooser:
        page.keyboard.press("Tab")
        # the round trip also gives the browser the time to expect a chooser before Enter comes
        page.wait_for_function("document.activeElement.id == 'file'")
        page.keyboard.press("Enter")
    chooser.value.set_files(picture(pngs[0]))
    page.wait_for_selector("#heatmap[src]")
    label = page.locator(".bar .label").nth(1).text_content()
    page.locator(".bar").nth(1).focus()
    page.keyboard.press("Enter")
    page.locator("#explained", has_text=f"Grad-CAM for {label}: brighter").wait_for()


def test_a_picture_can_be_dropped_anywhere(server, visit, pngs):
    page = visit(server)
    page.evaluate(
        """bytes => {
            const carried = new DataTransfer();
            carried.items.add(new File([new Uint8Array(bytes)], "dropped.png"));
            const options = { dataTransfer: carried, bubbles: true, cancelable: true };
            document.body.dispatchEvent(new DragEvent("dragover", options));
            document.body.dispatchEvent(new DragEvent("drop", options));
        }""",
        list(pngs[1]),
    )
    page.wait_for_selector("#heatmap[src]")
    assert page.locator("#name").text_content() == "dropped.png"


def test_what_the_service_refuses_is_said(server, visit, pngs):
    page = visit(server)
    page.set_input_files("#file", picture(pngs[0]))
    page.wait_for_selector(".bar")
    page.set_input_files("#file", picture(b"no picture", "notes.txt"))
    page.wait_for_selector("#problem:visible")
    assert "notes.txt: not a picture" in page.locator("#problem").text_content()
    assert page.locator("#result").is_hidden()


def test_a_token_is_asked_for_once(guarded, visit, pngs):
    page = visit(guarded)
    page.wait_for_selector("#token:visible")
    page.fill("#token input", TOKEN)
    page.keyboard.press("Enter")
    page.wait_for_selector("#token", state="hidden")
    page.set_input_files("#file", picture(pngs[0]))
    page.wait_for_selector("#heatmap[src]")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_passes_axe(server, visit, pngs, scheme):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe is missing")
    page = visit(server, color_scheme=scheme, bypass_csp=True)
    page.set_input_files("#file", picture(pngs[0]))
    page.wait_for_selector("#heatmap[src]")
    found = axe.Axe().run(page)
    assert found.violations_count == 0, found.generate_report()


def test_the_documentation_needs_no_other_host_and_its_example_works(server, visit):
    page = visit(server, "/docs")
    operation = page.locator("[id$='-infer_v2_models__model__infer_post']")
    operation.locator(".opblock-summary-control").click()
    operation.get_by_role("button", name="Try it out").click()
    operation.get_by_role("button", name="Execute").click()
    status = operation.locator(".live-responses-table tbody .response-col_status").first
    status.wait_for()
    assert status.text_content().startswith("200")
    assert page.complaints == []


@pytest.fixture(scope="module", params=[STRINGS[:10], STRINGS[-10:]], ids=["first", "last"])
def hostile(request, bundle, tmp_path_factory):
    """The service of a bundle whose classes are named like script and markup, and these names."""
    copy = shutil.copytree(bundle, tmp_path_factory.mktemp("hostile") / "best")
    facts = json.loads((copy / "bundle.json").read_text())
    (copy / "bundle.json").write_text(json.dumps(facts | {"classes": request.param}))
    with serving(copy, tmp_path_factory.mktemp("server")) as server:
        yield server, request.param


def test_names_of_classes_and_files_are_shown_as_they_are(hostile, visit, pngs):
    server, names = hostile
    page = visit(server, bypass_csp=True)  # the page itself is tested, not its policy
    for name in names:
        file = name.replace("/", ":")  # which no name of a file can have
        page.set_input_files("#file", picture(b"no picture", file))
        page.locator("#problem", has_text="not a picture").wait_for()
        sent = file.replace('"', "%22")  # as browsers send a name in a form
        assert page.inner_text("#problem").startswith(f"{sent}: not a picture")
        page.set_input_files("#file", picture(pngs[0], file))
        page.locator("#name", has_text=file).wait_for()
        bar = page.locator(".bar").nth(page.locator(".bar .label").all_text_contents().index(name))
        bar.click()
        page.locator("#explained", has_text=f"Grad-CAM for {name}: brighter").wait_for()
    assert page.locator("#predicted").text_content().split(": ", 1)[1].startswith(names)
    assert page.evaluate("window.hacked") is None
    assert page.locator("main b, main svg, main script, main a[href^=javascript]").count() == 0


def test_names_of_classes_run_and_load_nothing_in_the_documentation(hostile, visit):
    server, names = hostile
    page = visit(server, "/docs")
    operation = page.locator("[id$='-explain_explain_post']")
    operation.locator(".opblock-summary-control").click()
    operation.get_by_role("button", name="Try it out").click()
    options = operation.locator("select option")
    assert set(names) <= set(options.all_text_contents())
    assert page.evaluate("window.hacked") is None
    page.wait_for_load_state("networkidle")
    assert [line for line in page.complaints if line.startswith("http")] == []  # of other hosts
