from lib.pages import links


def test_an_address_holds_any_name():
    assert links.gallery("salt & pepper", "a=b") == (
        "gallery.html#true=salt+%26+pepper&predicted=a%3Db"
    )


def test_a_run_and_a_day_have_their_pages():
    assert links.run("abc") == "runs.html#run=abc"
    assert links.day("day2_from_scratch") == "day2_from_scratch.html"
