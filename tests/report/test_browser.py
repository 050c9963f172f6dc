"""The report in a real browser: loaded from disk, used with pointer and keyboard, printed."""

from __future__ import annotations

import base64
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from corenas.runs import journal
from corenas.testing.browser import (
    console_of,
    look_like,
    missing_programs,
    open_browser,
    requests_of,
)
from corenas.values.trial import Event

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        bool(missing_programs()), reason=f"not installed: {', '.join(missing_programs())}"
    ),
]
pytest.importorskip("selenium", reason="it drives the browser")


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with open_browser(tmp_path_factory.mktemp("profile")) as driver:
        yield driver


@pytest.fixture
def page(browser: Any, tiny_run: Path) -> Any:
    look_like(browser)
    browser.get((tiny_run / "report.html").as_uri())
    assert browser.execute_async_script(
        "const done = arguments[0];"
        "Promise.all([...document.images].map((i) => i.decode())).then(() => done(true), done)"
    )
    return browser


def run_script(driver: Any, script: str, *arguments: Any) -> Any:
    return driver.execute_script(f"return {script}", *arguments)


def test_it_loads_from_disk_without_an_error_or_a_request(
    browser: Any, tiny_run: Path, digits_run: Path
) -> None:
    for run in (tiny_run, digits_run):
        address = (run / "report.html").as_uri()
        requests_of(browser)
        browser.get(address)
        assert run_script(browser, "document.readyState") == "complete"
        assert requests_of(browser) == [address]
        assert console_of(browser) == []


class _Counting(BaseHTTPRequestHandler):
    asked: list[str]

    def do_GET(self) -> None:
        self.asked.append(self.path)
        self.send_response(200)
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None: ...


@pytest.mark.abuse("a report of names that would act")
def test_its_policy_forbids_requests_and_foreign_code(page: Any) -> None:
    asked: list[str] = []
    handler = type("Handler", (_Counting,), {"asked": asked})
    with HTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        address = f"http://127.0.0.1:{server.server_port}/"
        found = page.execute_async_script(
            """
            const [address, done] = arguments;
            const blocked = [];
            document.addEventListener("securitypolicyviolation", (event) =>
              blocked.push(event.effectiveDirective));
            document.body.insertAdjacentHTML("beforeend",
              `<img src="${address}a" onerror="window.acted = true"><div style="color: red">`);
            const script = document.createElement("script");
            script.textContent = "window.acted = true";
            document.body.append(script);
            fetch(address + "b").catch(() => 0).then(() =>
              setTimeout(() => done([blocked.sort(), window.acted ?? false]), 300));
            """,
            address,
        )
        server.shutdown()
        thread.join()
    blocked, acted = found
    assert asked == []
    assert not acted
    wanted = {"connect-src", "img-src", "script-src-attr", "script-src-elem", "style-src-attr"}
    assert set(blocked) == wanted
    console_of(page)  # the browser told of each


def move_to(driver: Any, x: float, y: float, *, pressed: bool = False) -> None:
    kind = {"type": "mouseMoved", "x": x, "y": y, "buttons": int(pressed)}
    driver.execute_cdp_cmd("Input.dispatchMouseEvent", kind)


def press(driver: Any, key: str) -> None:
    for kind in ("keyDown", "keyUp"):
        driver.execute_cdp_cmd("Input.dispatchKeyEvent", {"type": kind, "key": key})


def middle_of(driver: Any, script: str) -> tuple[float, float]:
    x, y = run_script(
        driver,
        f"""(() => {{
          const element = {script};
          element.scrollIntoView({{ block: "center", behavior: "instant" }});
          const box = element.getBoundingClientRect();
          return [box.x + box.width / 2, box.y + box.height / 2];
        }})()""",
    )
    return x, y


TIP = "[document.getElementById('tip').hidden, document.getElementById('tip').textContent]"


def test_a_dot_tells_what_it_is_below_pointer_and_keyboard(page: Any) -> None:
    dot = "document.querySelector('#progress-search circle.chosen')"
    x, y = middle_of(page, dot)
    time.sleep(0.2)  # scrolling hides what was shown
    move_to(page, x + 2, y + 1)
    hidden, text = run_script(page, TIP)
    assert not hidden
    assert text == run_script(page, f"{dot}.dataset.t")
    assert text.startswith("trial ")
    move_to(page, 2, 2)
    assert run_script(page, TIP)[0]
    run_script(page, "document.querySelector('#progress-search').focus({ preventScroll: true })")
    press(page, "ArrowRight")
    hidden, first = run_script(page, TIP)
    assert not hidden
    assert first.startswith("trial 0,")
    press(page, "ArrowRight")
    assert run_script(page, TIP)[1].startswith("trial 1,")
    press(page, "Escape")
    assert run_script(page, TIP)[0]
    assert console_of(page) == []


def test_the_slider_parts_two_pictures_and_the_zoom_shows_one_place(
    page: Any, tiny_run: Path
) -> None:
    view = "document.querySelector('.compare .view')"
    left, right = run_script(page, f"[...{view}.querySelectorAll('img')].map((i) => i.src)")
    shots = run_script(
        page, "[...document.querySelectorAll('.shots img')].map((image) => image.src)"
    )
    assert (left, right) == (shots[1], shots[2])
    x, y = middle_of(page, view)
    width = run_script(page, f"{view}.getBoundingClientRect().width")
    move_to(page, x + width / 4, y, pressed=True)
    clip = run_script(page, f"getComputedStyle({view}.querySelector('.right')).clipPath")
    assert clip.startswith("inset(0px 0px 0px 7")
    assert float(run_script(page, "document.querySelector('.sides input').value")) == (
        pytest.approx(75, abs=1)
    )
    run_script(
        page,
        """(() => {
          const select = document.querySelector(".sides select");
          select.value = "3";
          select.dispatchEvent(new Event("change"));
        })()""",
    )
    assert run_script(page, f"{view}.querySelector('.left').src") == shots[3]
    # All pictures are enlarged at the same place: the middle of each is that pixel of its file.
    move_to(page, x, y)
    place = run_script(
        page,
        """(() => {
          const frame = document.querySelector(".compare .frame");
          const box = document.querySelector(".compare");
          return [parseFloat(frame.style.left) * box.dataset.width / 100,
                  parseFloat(frame.style.top) * box.dataset.height / 100,
                  parseFloat(frame.style.width) * box.dataset.width / 100];
        })()""",
    )
    column, row, side = map(round, place)
    for number in (1, 2, 3):
        drawn = run_script(
            page,
            """(() => {
              const canvas = document.querySelectorAll(".shots canvas")[arguments[0]];
              const at = Math.round(canvas.width * (arguments[1] + 0.5) / arguments[2]);
              return [...canvas.getContext("2d").getImageData(at, at, 1, 1).data].slice(0, 3);
            })()""",
            number,
            side // 2,
            side,
        )
        with Image.open(tiny_run / "crops" / "x4" / f"{number}.png") as image:
            assert tuple(drawn) == image.getpixel((column + side // 2, row + side // 2))
    assert console_of(page) == []


def test_it_fits_a_phone_follows_the_colour_scheme_and_prints_on_a4(page: Any) -> None:
    light = run_script(page, "getComputedStyle(document.documentElement).backgroundColor")
    look_like(page, dark=True, phone=(360, 740))
    page.refresh()
    dark = run_script(page, "getComputedStyle(document.documentElement).backgroundColor")
    assert sum(map(int, light[4:-1].split(", "))) > 600
    assert sum(map(int, dark[4:-1].split(", "))) < 150
    assert run_script(page, "document.documentElement.scrollWidth") == 360
    look_like(page)
    printed = page.execute_cdp_cmd(
        "Page.printToPDF", {"paperWidth": 8.27, "paperHeight": 11.69, "preferCSSPageSize": True}
    )
    content = base64.b64decode(printed["data"])
    assert content.startswith(b"%PDF")
    assert 2 <= content.count(b"/Type /Page\n") <= 12


def test_the_served_page_reloads_itself(
    browser: Any, digits_run: Path, tmp_path: Path, serve: Callable[[Path], HTTPServer]
) -> None:
    folder = Path(shutil.copytree(digits_run, tmp_path / "run"))
    address = f"http://127.0.0.1:{serve(folder).server_port}/"
    requests_of(browser)
    browser.get(address)
    event = Event("epoch", 21, 20, {"loss": 0.5}, stage="train", message="another line")
    line = {"time": "2026-11-27T20:01:02.345+00:00", **event.to_json()}
    with (folder / "journal.jsonl").open("ab") as file:
        file.write(journal.encode(line))
    until = time.monotonic() + 30
    while "another line" not in run_script(browser, "document.body.textContent"):
        assert time.monotonic() < until
        time.sleep(0.2)
    assert console_of(browser) == []
    asked = {each for each in requests_of(browser) if each != f"{address}favicon.ico"}
    assert asked == {address, f"{address}version"}
    browser.get("about:blank")
