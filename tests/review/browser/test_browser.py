"""The page in a real browser: dropping, naming, merging, undoing, keys, sizes, schemes, accessibility, and what is asked for."""

import os
import signal
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from PIL import Image

import facesearch as fs
from review.browser.conftest import LONG, Browser, reviewing

pytestmark = pytest.mark.browser

TAB, ENTER, ESCAPE = "\ue004", "\ue007", "\ue00c"  # WebDriver's codes
PAGES = ("/", "/people", "/person?id=Eileen_Collins", "/unknown", "/unknown?aside=1", "/check", "/nowhere")
SIZES = [(390, 844), (768, 1024), (1280, 900)]


def faces_of(database: Path, user_id: str) -> int:
    with fs.Collection.open(database, "people", read_only=True) as collection:
        return len(collection.faces(user_id)) if user_id in collection else 0


def all_pages(browser: Browser, made: Path) -> list[str]:
    """Every kind of page, also those that need a photo, a face or a group."""
    browser.open("/")
    browser.one("#photo").send_keys(str(made / "both.jpg"))
    browser.wait_for("2 faces")
    found = browser.driver.current_url.removeprefix(browser.base)
    browser.open("/unknown")
    group = browser.all("a.more")[0].get_attribute("href").removeprefix(browser.base)
    browser.open("/person?id=Eileen_Collins")
    photo = browser.all("a[href^='/photo']")[0].get_attribute("href").removeprefix(browser.base)
    return [*PAGES, found, group, photo]


def test_a_dropped_photo_is_answered(browser: Browser, made: Path) -> None:
    browser.drop("#drop", made / "both.jpg")
    browser.wait_for("Nobody known")

    assert "Eileen" in browser.one(".answer.known h2").text
    assert "%" in browser.one(".answer.known .meter").text
    assert "strangers" in browser.one(".answer.known").text
    assert "Otherwise" in browser.one(".answer.known .others").text
    assert len(browser.all(".frame .mark")) == 2
    for image in browser.all("main img"):
        assert int(image.get_attribute("naturalWidth")) > 0
    browser.drop("body", made / "nobody.png")  # anywhere on the page
    browser.wait_for("No face was found")


def test_a_pasted_photo_is_answered(browser: Browser, made: Path) -> None:
    # A page can not fill the clipboard: the event is made from a file that another field was given.
    browser.driver.execute_script("document.body.insertAdjacentHTML('beforeend', '<input type=file id=other>')")
    browser.one("#other").send_keys(str(made / "both.jpg"))
    browser.driver.execute_script(
        "const data = new DataTransfer(); data.items.add(document.querySelector('#other').files[0]);"
        "document.dispatchEvent(new ClipboardEvent('paste', {clipboardData: data, bubbles: true}))"
    )
    browser.wait_for("2 faces")


def test_a_group_is_named_and_that_is_undone(browser: Browser, database: Path) -> None:
    browser.open("/unknown")
    first = browser.all(".card.group")[0]
    first.find_element("css selector", "input[name=name][list]").send_keys("Grace Hopper")
    first.find_element("css selector", "form[id] button").click()
    browser.wait_for("How about Grace_Hopper?")
    assert faces_of(database, "Grace_Hopper") == 0

    browser.press(ENTER)  # the offered name is in the field, which has the focus
    browser.wait_for("3 faces named Grace_Hopper.")
    assert faces_of(database, "Grace_Hopper") == 3

    browser.one(".said button").click()
    browser.wait_for("Undone: 3 faces named Grace_Hopper.")
    assert faces_of(database, "Grace_Hopper") == 0


def test_the_script_suggests_names(browser: Browser) -> None:
    browser.open("/unknown")
    browser.all("input[list=known]")[0].send_keys("eil")
    browser.wait(
        "[...document.querySelectorAll('#known option')].map(each => each.value).join() === 'Eileen,Eileen_Collins'"
    )
    browser.all("input[list=known]")[0].send_keys("x")
    browser.wait("document.querySelectorAll('#known option').length === 0")


def test_two_names_of_one_person_are_merged_and_that_is_undone(browser: Browser, database: Path) -> None:
    browser.open("/check")
    browser.one("button[value=Eileen_Collins]").click()
    browser.wait_for("Eileen is merged into Eileen_Collins.")
    assert faces_of(database, "Eileen_Collins") == 5

    browser.one(".said button").click()
    browser.wait_for("Undone")
    assert faces_of(database, "Eileen_Collins") == 3
    assert faces_of(database, "Eileen") == 2


def test_a_face_is_moved_and_a_person_renamed_by_the_menus(browser: Browser, database: Path) -> None:
    browser.open("/person?id=Eileen_Collins")
    browser.all(".tile .menu summary")[0].click()
    browser.wait("document.activeElement.name === 'to'")
    browser.press("Eileen", ENTER)
    browser.wait_for("The face belongs to Eileen now.")
    assert faces_of(database, "Eileen") == 3

    browser.all(".tools .menu summary")[0].click()
    browser.wait("document.activeElement.id === 'rename'")
    browser.press("Eileen Marie Collins", ENTER)
    browser.wait_for("How about Eileen_Marie_Collins?")
    browser.all(".tools .menu summary")[0].click()
    browser.wait("document.activeElement.id === 'rename'")
    browser.press(ENTER)
    browser.wait_for("Eileen_Collins is Eileen_Marie_Collins now.")
    assert faces_of(database, "Eileen_Marie_Collins") == 2


def test_single_keys_are_enough(browser: Browser, database: Path) -> None:
    browser.press("3")
    browser.wait_for("2 groups")
    browser.press("n")
    browser.press("Grace_Hopper", ENTER)
    browser.wait_for("3 faces named Grace_Hopper.")
    browser.press(ESCAPE)  # from the field of the next group to its card
    browser.press("y")  # it is who is suggested
    browser.wait_for("Nobody is left without a name.")
    assert faces_of(database, "Eileen_Collins") + faces_of(database, "Eileen") == 7
    browser.press("z")
    browser.wait_for("Undone: 2 faces named")
    browser.press("x")  # not a person I know
    browser.wait_for("does not come up again")
    browser.press("z")
    browser.wait_for("Undone: 2 faces set aside")
    browser.press("4")
    browser.wait_for("the same person?")
    browser.press("j", "y")
    browser.wait_for("is merged into")
    browser.press("2")
    browser.wait_for("2 people")
    browser.press("/")
    browser.press("grace", ENTER)
    browser.wait_for("1 person")
    with browser.leaving():
        browser.press("j", ENTER)
    browser.wait_for("Grace_Hopper")
    browser.press("?")
    browser.wait("document.querySelector('#shortcuts').open")


def test_single_keys_leave_a_face_out_of_a_group(browser: Browser, database: Path) -> None:
    browser.open("/unknown")
    browser.press("j", ENTER)
    browser.wait_for("3 faces without a name")
    browser.press("j", "x")
    assert [box.is_selected() for box in browser.all("input[name=without]")] == [True, False, False]
    browser.press("x", "j", "x")  # the second one instead
    assert [box.is_selected() for box in browser.all("input[name=without]")] == [False, True, False]
    browser.press("n")
    browser.press("Grace_Hopper", ENTER)
    browser.wait_for("2 faces named Grace_Hopper.")
    assert faces_of(database, "Grace_Hopper") == 2


def test_single_keys_can_be_switched_off(browser: Browser) -> None:
    browser.press("?")
    browser.wait("document.querySelector('#shortcuts').open")
    browser.one("#keys-on").click()
    browser.open("/people")
    browser.press("3")
    browser.press("?")

    assert browser.driver.current_url == f"{browser.base}/people"
    assert not browser.driver.execute_script("return document.querySelector('#shortcuts').open")
    browser.driver.execute_script("localStorage.clear()")


def test_the_tab_key_alone_is_enough(browser: Browser, database: Path) -> None:
    browser.open("/unknown")
    browser.press(TAB)
    assert "Skip to the content" in browser.focused()
    seen = []
    while 'list="known"' not in browser.focused():
        browser.press(TAB)
        seen.append(browser.focused())
        outline = "const style = getComputedStyle(document.activeElement); return style.outlineStyle + parseInt(style.outlineWidth)"
        assert browser.driver.execute_script(outline) == "solid3", browser.focused()
        assert len(seen) < 40
    browser.press("Grace_Hopper", TAB, ENTER)
    browser.wait_for("3 faces named Grace_Hopper.")
    assert faces_of(database, "Grace_Hopper") == 3


def test_without_scripts_all_forms_work(browser: Browser, made: Path, database: Path) -> None:
    browser.show(script=False)
    browser.open("/")
    browser.one("#photo").send_keys(str(made / "both.jpg"))
    with browser.leaving():
        browser.one("#drop button").click()
    assert len(browser.all(".answer")) == 2
    browser.open("/unknown")
    browser.all("input[name=name][list]")[0].send_keys("Grace_Hopper")
    with browser.leaving():
        browser.all("form[id^=name] button")[0].click()
    assert "3 faces named Grace_Hopper." in browser.one(".said").text
    with browser.leaving():
        browser.one("header form.undo button").click()
    assert "Undone" in browser.one(".said").text
    assert faces_of(database, "Grace_Hopper") == 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_page_fits_and_has_no_serious_finding(browser: Browser, made: Path, scheme: str) -> None:
    for path in all_pages(browser, made):
        for width, height in SIZES:
            browser.show(width=width, height=height, scheme=scheme)
            browser.open(path)
            wide = browser.driver.execute_script("return document.documentElement.scrollWidth")
            assert wide <= width, f"{path} is {wide} px wide of {width}"
            if (width, scheme) in {(390, "light"), (1280, "dark")}:
                assert browser.axe() == [], f"{path} {width} {scheme}"
    ground = browser.driver.execute_script("return getComputedStyle(document.body).backgroundColor")
    assert ground == {"light": "rgb(246, 245, 242)", "dark": "rgb(20, 21, 23)"}[scheme]


def test_menus_and_messages_have_no_serious_finding_and_fit(browser: Browser) -> None:
    for width, height in SIZES:
        browser.show(width=width, height=height)
        browser.open("/person?id=Eileen_Collins")
        for summary in browser.all(".menu summary"):
            summary.click()
            left, right = browser.driver.execute_script(
                "const at = document.querySelector('details.menu[open] form').getBoundingClientRect(); return [at.left, at.right]"
            )
            assert left >= 0
            assert right <= width
        assert browser.axe() == []
    browser.one("header form.undo button").click()
    browser.wait_for("There is nothing to undo.")
    assert browser.axe() == []


def test_no_request_leaves_the_machine_and_nothing_is_complained_of(browser: Browser, made: Path) -> None:
    for path in all_pages(browser, made):
        if path != "/nowhere":
            browser.open(path)
    asked = browser.requests()

    assert len(asked) > 20
    assert {url for url in asked if not url.startswith((f"{browser.base}/", "about:", "data:"))} == set()
    assert browser.complaints() == []


@pytest.fixture
def elsewhere(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """Another server of this machine, and its folder: the same site for cookies, which know no ports."""
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    handler = partial(SimpleHTTPRequestHandler, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield folder, f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_a_page_of_another_server_can_neither_act_nor_see(
    browser: Browser, database: Path, elsewhere: tuple[Path, str]
) -> None:
    folder, address = elsewhere
    (folder / "index.html").write_text(
        f'<form method="post" action="{browser.base}/rename"><input name="user" value="Eileen">'
        f'<input name="name" value="Eve"></form><iframe src="{browser.base}/people"></iframe>'
        f'<img id="seen" src="{browser.base}/static/icon.svg">'
    )
    browser.driver.get(f"{address}/index.html")
    assert browser.driver.execute_script("return document.querySelector('#seen').naturalWidth") == 0
    browser.driver.switch_to.frame(0)
    assert "Eileen" not in browser.driver.page_source
    browser.driver.switch_to.default_content()
    browser.driver.execute_script("document.forms[0].submit()")
    browser.wait("document.body.innerText.includes('another site')")

    assert faces_of(database, "Eve") == 0
    assert faces_of(database, "Eileen") == 2


def test_read_only_shows_everything_and_offers_no_change(chromium: Browser, made: Path, database: Path) -> None:
    before = database.read_bytes()
    with reviewing(database, "--read-only") as (address, _):
        chromium.enter(address)
        for path in all_pages(chromium, made):
            chromium.open(path)
            assert chromium.all("form[method=post]:not(#drop)") == []
    assert database.read_bytes() == before


def test_the_pictures_of_the_documentation_are_taken(browser: Browser, made: Path, tmp_path: Path) -> None:
    """With FACESEARCH_SHOTS=docs they are replaced."""
    folder = Path(os.environ.get("FACESEARCH_SHOTS", tmp_path))
    pages = all_pages(browser, made)
    shots = {"who": pages[-3], "unknown": "/unknown", "check": "/check", "person": "/person?id=Eileen_Collins"}
    phones = []
    for name, path in shots.items():
        browser.show(width=1100, height=760)
        browser.open(path)
        browser.picture().save(folder / f"review-{name}.jpg", quality=82)
        browser.show(width=390, height=844, scheme="dark")
        browser.open(path)
        phones.append(browser.picture())
    together = Image.new("RGB", (390 * len(phones) + 24 * (len(phones) - 1), 844), "#808080")
    for place, phone in enumerate(phones):
        together.paste(phone, (414 * place, 0))
    together.save(folder / "review-phone.jpg", quality=65)

    assert max(path.stat().st_size for path in folder.glob("review-*.jpg")) < 150_000


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM])
def test_the_command_ends_while_a_browser_is_connected(chromium: Browser, database: Path, sign: signal.Signals) -> None:
    with reviewing(database) as (address, process):
        chromium.enter(address)
        process.send_signal(sign)
        _, errors = process.communicate(timeout=LONG)

        assert process.returncode == 0
        assert errors.splitlines()[-1] == "ended"
        assert "Traceback" not in errors
