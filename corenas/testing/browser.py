"""A headless Chromium for tests of pages, such as a report with a plugin's sections.

It needs the packages ``selenium`` of Python, and ``chromium`` and ``chromium-driver`` of Debian.
"""

from __future__ import annotations

import base64
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_PROGRAMS = ("chromium", "chromedriver")


def missing_programs() -> list[str]:
    """Return which of the programs that it takes are not installed."""
    return [name for name in _PROGRAMS if shutil.which(name) is None]


_FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    *("--hide-scrollbars", "--force-color-profile=srgb"),
)


@contextmanager
def open_browser(profile: Path, *, width: int = 1280, height: int = 900) -> Iterator[Any]:
    """Start Chromium with an empty profile; it logs its console and its requests."""
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    for flag in (*_FLAGS, f"--window-size={width},{height}", f"--user-data-dir={profile}"):
        options.add_argument(flag)
    options.binary_location = shutil.which("chromium") or ""
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options, Service(shutil.which("chromedriver")))
    try:
        yield driver
    finally:
        driver.quit()


def look_like(driver: Any, *, dark: bool = False, phone: tuple[int, int] | None = None) -> None:
    """Let the browser prefer a colour scheme, and be a phone of a size."""
    scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})
    driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    if phone is not None:
        width, height = phone
        metrics = {"width": width, "height": height, "deviceScaleFactor": 2, "mobile": True}
        driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)


def requests_of(driver: Any) -> list[str]:
    """Return the addresses that pages asked for since the last call, but for pictures within.

    The browser's own page for a new tab is none of ours.
    """
    messages = (json.loads(entry["message"])["message"] for entry in driver.get_log("performance"))
    asked = (m["params"] for m in messages if m["method"] == "Network.requestWillBeSent")
    ours = (each for each in asked if not each["documentURL"].startswith("chrome:"))
    addresses: list[str] = [each["request"]["url"] for each in ours]
    return [address for address in addresses if not address.startswith("data:")]


def console_of(driver: Any) -> list[str]:
    """Return what the console said since the last call."""
    return [entry["message"] for entry in driver.get_log("browser")]


def screenshot(driver: Any, path: Path, *, top: int = 0, height: int = 0) -> None:
    """Write what a page shows as a PNG file, all of its width.

    Args:
        driver: Has loaded the page.
        path: Where to.
        top: Where to begin, in pixels of the page.
        height: How much to show; by default all.
    """
    size = driver.execute_cdp_cmd("Page.getLayoutMetrics", {})["cssContentSize"]
    shown = height or size["height"] - top
    clip = {"x": 0, "y": top, "width": size["width"], "height": shown, "scale": 1}
    shot = driver.execute_cdp_cmd(
        "Page.captureScreenshot", {"captureBeyondViewport": True, "clip": clip}
    )
    path.write_bytes(base64.b64decode(shot["data"]))
