"""A browser, and pages in processes of their own. ``make test-browser`` installs what this needs, and runs it."""

import base64
import contextlib
import io
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageEnhance, ImageOps

import facesearch as fs
from samples import astronaut, hopper

LONG = 60  # seconds; only ends what hangs
HOME = Path(__file__).parents[3]
AXE = HOME / ".venv" / "axe" / "node_modules" / "axe-core" / "axe.min.js"
# As root and without a network; https://peter.sh/experiments/chromium-command-line-switches/ lists them.
FLAGS = (
    "--headless=new --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --disable-dev-shm-usage --hide-scrollbars --force-prefers-reduced-motion"
)


def pytest_ignore_collect(config: pytest.Config) -> bool | None:
    """Collect these tests only if they are asked for: others need no browser."""
    return None if "browser" in str(config.getoption("markexpr")).replace("not browser", "") else True


class Browser:
    """Chromium, driven by selenium; typed loosely, because selenium is not installed for other tests."""

    def __init__(self, profile: Path) -> None:
        from selenium import webdriver
        from selenium.webdriver.chrome.options import Options
        from selenium.webdriver.chrome.service import Service

        options: Any = Options()
        options.binary_location = shutil.which("chromium") or "/usr/bin/chromium"
        for flag in (*FLAGS.split(), f"--user-data-dir={profile}"):
            options.add_argument(flag)
        options.set_capability("goog:loggingPrefs", {"performance": "ALL", "browser": "ALL"})
        service: Any = Service(shutil.which("chromedriver") or "/usr/bin/chromedriver")
        self.driver: Any = webdriver.Chrome(options=options, service=service)
        self.driver.set_page_load_timeout(LONG)
        self.base = ""

    def show(self, *, width: int = 1280, height: int = 900, scheme: str = "light", script: bool = True) -> None:
        self.cdp(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 500
        )
        self.cdp("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        self.cdp("Emulation.setScriptExecutionDisabled", value=not script)

    def cdp(self, command: str, **values: Any) -> Any:
        return self.driver.execute_cdp_cmd(command, values)

    def enter(self, address: str) -> None:
        """Open the address that the command printed, which leads to the first page."""
        self.base = address.partition("/?")[0]
        self.driver.get(address)
        self.wait("location.search === '' && document.querySelector('main')")

    def open(self, path: str) -> None:
        with self.leaving():
            self.driver.get(self.base + path)

    @contextlib.contextmanager
    def leaving(self) -> Iterator[None]:
        """Wait, after an action, until another page has replaced this one, with its styles: chromedriver may return earlier."""
        self.driver.execute_script("window.isLeft = true")
        yield
        self.wait("!window.isLeft && document.styleSheets.length && document.styleSheets[0].cssRules.length")

    def all(self, selector: str) -> list[Any]:
        found: list[Any] = self.driver.find_elements("css selector", selector)
        return found

    def one(self, selector: str) -> Any:
        (found,) = self.all(selector)
        return found

    def wait(self, what: str) -> None:
        """Wait until a script returns something true on a page that is loaded."""
        from selenium.common.exceptions import WebDriverException
        from selenium.webdriver.support.ui import WebDriverWait

        waiting: Any = WebDriverWait(self.driver, LONG, poll_frequency=0.05, ignored_exceptions=[WebDriverException])
        waiting.until(lambda driver: driver.execute_script(f"return document.readyState === 'complete' && ({what})"))

    def wait_for(self, text: str) -> None:
        """Wait until a page shows a text."""
        self.wait(f"document.querySelector('main').innerText.includes({json.dumps(text)})")

    def press(self, *keys: str) -> None:
        """Press keys one by one, wherever the focus is."""
        from selenium.webdriver.common.action_chains import ActionChains

        ActionChains(self.driver).send_keys(*keys).perform()

    def drop(self, selector: str, file: Path) -> None:
        """Drop a file as a person does, with the browser's own events."""
        box = self.driver.execute_script(
            "const at = document.querySelector(arguments[0]).getBoundingClientRect(); return [at.x + 9, at.y + 9]",
            selector,
        )
        data = {"items": [], "files": [str(file)], "dragOperationsMask": 1}
        for kind in ("dragEnter", "dragOver", "drop"):
            self.cdp("Input.dispatchDragEvent", type=kind, x=box[0], y=box[1], data=data)

    def focused(self) -> str:
        """The focused element, as the beginning of its HTML."""
        return str(self.driver.execute_script("return document.activeElement.outerHTML.slice(0, 300)"))

    def axe(self) -> list[str]:
        """Serious and critical findings of axe-core about the page."""
        self.driver.execute_script(AXE.read_text("utf-8"))
        self.driver.set_script_timeout(LONG)
        report = self.driver.execute_async_script(
            "const done = arguments[0]; axe.run(document, {resultTypes: ['violations']}).then(done, error => done(String(error)))"
        )
        assert isinstance(report, dict), report
        return [
            f"{found['impact']}: {found['id']}: {found['nodes'][0]['html']}"
            for found in report["violations"]
            if found["impact"] in {"serious", "critical"}
        ]

    def picture(self) -> Image.Image:
        """What the window shows, with the pictures loaded."""
        self.wait("[...document.images].every(image => image.loading !== 'lazy' || image.complete)")
        shot = base64.b64decode(self.cdp("Page.captureScreenshot", format="png")["data"])
        with Image.open(io.BytesIO(shot)) as image:
            return image.convert("RGB")

    def requests(self) -> set[str]:
        """The addresses that the browser asked for since the last call."""
        messages = [json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance")]
        return {each["params"]["request"]["url"] for each in messages if each["method"] == "Network.requestWillBeSent"}

    def complaints(self) -> list[str]:
        """Messages on the console, such as those of a refused script, since the last call."""
        return [entry["message"] for entry in self.driver.get_log("browser")]


@pytest.fixture(scope="session")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    browser = Browser(tmp_path_factory.mktemp("profile"))
    yield browser
    browser.driver.quit()


def copies(photo: Image.Image, count: int, first: int = 0) -> list[Image.Image]:
    """Return altered copies of a photo, which are other photos of the same face."""
    return [
        ImageEnhance.Brightness(
            (ImageOps.mirror(photo) if place % 2 else photo).rotate(3 * place - 9, Image.Resampling.BICUBIC)
        ).enhance(0.8 + 0.05 * place)
        for place in range(first, first + count)
    ]


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory, real: fs.FaceAnalyzer) -> Path:
    """A folder with photos and a collection: one person under two names, and two groups without a name."""
    folder = tmp_path_factory.mktemp("made")
    eileen, grace = Image.fromarray(astronaut()), Image.fromarray(hopper())
    Image.new("RGB", (1100, 600)).save(folder / "nobody.png")
    both = Image.new("RGB", (1100, 600), (200, 200, 200))
    both.paste(eileen, (20, 40))
    both.paste(grace, (560, 0))
    both.save(folder / "both.jpg")
    with fs.Collection.open(folder / "people.db", "people", analyzer=real, thumbnails=True) as collection:
        for name, photos in (
            ("Eileen_Collins", copies(eileen, 3)),
            ("Eileen", copies(eileen, 2, 3)),
            ("", [*copies(grace, 3), *copies(eileen, 2, 5)]),
        ):
            ids = []
            for place, photo in enumerate(photos):
                path = folder / "album" / (name or "unknown") / f"{place}.jpg"
                path.parent.mkdir(parents=True, exist_ok=True)
                photo.save(path, quality=92)
                source = path.relative_to(folder / "album").as_posix()
                ids += [each.face.face_id for each in collection.index_faces(path, source=source).face_records]
            if name:
                collection.create_user(name)
                collection.associate_faces(name, ids)
    return folder


@contextlib.contextmanager
def reviewing(database: Path, *options: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """Run the command, and yield the address and the process."""
    command = [sys.executable, "-m", "facesearch", "review", str(database), "--no-open", "--json", *options]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(  # noqa: S603  # our own arguments
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    ) as process:
        try:
            assert process.stdout
            printed = ""
            while not printed.endswith("}\n"):
                line = process.stdout.readline()
                assert line, process.stderr and process.stderr.read()
                printed += line
            yield json.loads(printed)["url"], process
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGINT)
                process.communicate(timeout=LONG)


@pytest.fixture
def database(made: Path, tmp_path: Path) -> Path:
    """A copy of the collection, to be changed."""
    return Path(shutil.copy(made / "people.db", tmp_path / "people.db"))


@pytest.fixture
def browser(chromium: Browser, made: Path, database: Path) -> Iterator[Browser]:
    """The browser, on the page of a collection of its own."""
    with reviewing(database, "--photos", str(made / "album")) as (address, _):
        chromium.show()
        chromium.driver.delete_all_cookies()
        chromium.requests()
        chromium.complaints()
        chromium.enter(address)
        yield chromium
        chromium.show()
        chromium.driver.get("about:blank")
