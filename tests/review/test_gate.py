"""Nobody but the opened page gets an answer."""

import re
from collections.abc import Iterator

import pytest

from facesearch.analysis.analyzer import FaceAnalyzer
from facesearch.review.application import ROUTES
from facesearch.review.gate import MOST_BODY_BYTES, Keys
from review_pages import BLUE, ORIGIN, PORT, RED, Reviewed, reviewed

PATHS = sorted({route.path for route in ROUTES})
FORMS = sorted({route.path for route in ROUTES if "POST" in (route.methods or ())})


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory, fake: FaceAnalyzer) -> Iterator[Reviewed]:
    made = reviewed(tmp_path_factory.mktemp("gate"), fake, users={"ada": [RED, RED], "bob": [BLUE]})
    yield made
    made.site.collection.close()


@pytest.mark.parametrize("path", PATHS)
def test_no_path_answers_without_the_cookie(page: Reviewed, path: str) -> None:
    for method in ("GET", "POST"):
        answer = page.visitor().request(method, path, headers={"Origin": ORIGIN})

        assert answer.status_code == 403
        assert "ada" not in answer.text


def test_a_wrong_token_opens_nothing(page: Reviewed) -> None:
    visitor = page.visitor()

    assert visitor.get("/", params={"token": page.site.keys.lasting_token[:-1]}).status_code == 403
    assert visitor.get("/").status_code == 403
    assert not visitor.cookies


def test_the_printed_token_opens_the_page_as_often_as_needed_and_is_not_left_in_the_address(page: Reviewed) -> None:
    for _ in range(2):
        visitor = page.visitor()
        answer = visitor.get("/", params={"token": page.site.keys.lasting_token})

        assert 'http-equiv="refresh" content="0;url=/"' in answer.text
        assert visitor.get("/").status_code == 200


def test_the_token_on_the_browsers_command_line_opens_the_page_once(page: Reviewed) -> None:
    token = page.site.keys.single_token()

    assert page.visitor().get("/", params={"token": token}).status_code == 200
    assert page.visitor().get("/", params={"token": token}).status_code == 403


def test_the_cookie_is_for_this_site_alone_and_no_script_reads_it(page: Reviewed) -> None:
    answer = page.visitor().get("/", params={"token": page.site.keys.lasting_token})
    cookie = answer.headers["set-cookie"].lower()

    assert cookie.startswith(f"facesearch_review_{PORT}=")
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert page.site.keys.lasting_token.lower() not in cookie


@pytest.mark.parametrize(
    "host", ["evil.example", f"evil.example:{PORT}", "127.0.0.1", "127.0.0.1:1", f"127.0.0.1.evil.example:{PORT}", ""]
)
def test_a_page_of_another_name_is_refused_even_with_the_cookie(page: Reviewed, host: str) -> None:
    assert page.client.get("/people", headers={"Host": host}).status_code == 403


def test_localhost_is_a_name_of_this_machine(page: Reviewed) -> None:
    assert page.client.get("/people", headers={"Host": f"localhost:{PORT}"}).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": f"https://127.0.0.1:{PORT}"},
        {"Origin": f"http://127.0.0.1:{PORT + 1}"},  # another server of this machine, which gets the cookie too
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
def test_pages_of_other_sites_can_neither_read_nor_change(page: Reviewed, headers: dict[str, str]) -> None:
    form = {"token": page.site.keys.form, "user": "ada", "name": "eve"}

    assert page.client.get("/people", headers=headers).status_code == 403
    assert page.client.post("/rename", data=form, headers=headers).status_code == 403
    assert "ada" in page.site.collection


@pytest.mark.parametrize("path", FORMS)
@pytest.mark.parametrize("token", ["", "wrong"])
def test_every_form_needs_the_token_of_this_run(page: Reviewed, path: str, token: str) -> None:
    answer = page.client.post(path, data={"token": token, "user": "ada", "name": "eve"}, headers={"Origin": ORIGIN})

    assert answer.status_code == 403
    assert "eve" not in page.site.collection


def test_every_form_of_every_page_has_the_token(page: Reviewed) -> None:
    for path in ("/", "/people", "/person?id=ada", "/unknown", "/check"):
        text = page.client.get(path).text
        for form in re.findall(r'<form method="post".*?</form>', text, re.DOTALL):
            assert f'name="token" value="{page.site.keys.form}"' in form


@pytest.mark.parametrize("path", ["/", "/people", "/nowhere", "/static/style.css", "/face/x.jpg", "/?token=wrong"])
def test_every_answer_has_the_headers_that_protect_it(page: Reviewed, path: str) -> None:
    headers = page.client.get(path).headers
    policy = headers["content-security-policy"]

    assert policy.startswith("default-src 'none';")
    assert "unsafe" not in policy
    assert "http" not in policy
    assert "frame-ancestors 'none'" in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cache-control"] == "no-store"
    assert headers["referrer-policy"] == "same-origin"
    assert "access-control-allow-origin" not in headers


def test_no_page_has_a_script_or_style_in_it(page: Reviewed) -> None:
    for path in ("/", "/people", "/person?id=ada", "/unknown", "/check"):
        text = page.client.get(path).text
        assert re.findall(r"<script(?! src=)", text) == []
        assert re.findall(r"<style|\sstyle=|\son\w+=", text) == []
        assert re.findall(r"""(?:src|href|action)=["']?(?:https?:)?//""", text) == []


def test_more_bytes_than_a_photo_may_have_are_not_read(page: Reviewed) -> None:
    headers = {"Origin": ORIGIN, "Content-Type": "multipart/form-data; boundary=b"}

    assert page.client.post("/search", content=b"x" * (MOST_BODY_BYTES + 1), headers=headers).status_code == 413

    def chunks() -> Iterator[bytes]:
        yield b'--b\r\nContent-Disposition: form-data; name="photo"; filename="a.jpg"\r\n\r\n'
        for _ in range(MOST_BODY_BYTES // 2**20 + 2):
            yield bytes(2**20)

    assert page.client.post("/search", content=chunks(), headers=headers).status_code == 413


def test_long_headers_are_refused(page: Reviewed) -> None:
    assert page.client.get("/people", headers={"X": "x" * 20_000}).status_code == 403


def test_tokens_are_long_and_random() -> None:
    one, other = Keys(), Keys()
    secrets = {
        each for keys in (one, other) for each in (keys.session, keys.form, keys.lasting_token, keys.single_token())
    }

    assert len(secrets) == 8
    assert all(len(each) >= 43 for each in secrets)


def test_only_listed_files_of_the_package_are_served(page: Reviewed) -> None:
    assert page.client.get("/static/page.js").headers["content-type"].startswith("text/javascript")
    for name in ("../gate.py", "%2e%2e%2fgate.py", "..%5cgate.py", "gate.py", ""):
        assert page.client.get(f"/static/{name}").status_code == 404
