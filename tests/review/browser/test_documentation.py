"""The documentation site in a browser, as `make docs` built it: it fits, is accessible, and is read and searched without a network."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

import facesearch as fs
from review.browser.conftest import Browser

pytestmark = pytest.mark.browser
SITE = Path(__file__).parents[3] / "out" / "site"
PAGES = (
    "../index",
    "index",
    "start",
    "picture_gallery",
    "sessions",
    "how-to/index",
    "how-a-photo-is-searched",
    "quality",
    "reference/search",
    "reference/errors",
    "reference/command-line",
    "models/sface",
    "comparison",
)


@pytest.fixture
def reader(chromium: Browser) -> Iterator[Browser]:
    """The browser, on the first page of the site."""
    folder = SITE / fs.__version__
    if not folder.is_dir() and not os.environ.get("CI"):
        pytest.skip("build the site first: make docs")
    chromium.base = f"{folder.as_uri()}/"
    chromium.requests()
    chromium.complaints()
    yield chromium
    chromium.show()
    chromium.driver.get("about:blank")


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_pages_fit_have_no_serious_finding_and_ask_no_other_host(reader: Browser, width: int, scheme: str) -> None:
    reader.show(width=width, scheme=scheme)
    for page in PAGES:
        reader.open(f"{page}.html")
        reader.wait("true")
        assert reader.driver.execute_script("return document.documentElement.scrollWidth") <= width, page
        assert reader.axe() == [], page
    assert {url.partition(":")[0] for url in reader.requests()} <= {"file", "data", "blob", "chrome"}


def test_a_search_finds_pages_without_a_server(reader: Browser) -> None:
    reader.show()
    reader.open("search.html?q=StorageBusyError")
    reader.wait("document.querySelectorAll('#search-results li a').length > 0")

    found = [link.get_attribute("href") for link in reader.all("#search-results li a")]
    assert any("reference/errors.html" in str(address) for address in found)
