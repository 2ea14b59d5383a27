"""A headless browser, driven by the WebDriver protocol, with nothing but Python."""

import base64
import json
import shutil
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

__all__ = ["BROWSER", "DRIVER", "Browser"]

BROWSER = next(filter(None, map(shutil.which, ("chromium", "google-chrome", "chrome"))), None)
DRIVER = shutil.which("chromedriver")
_ARGUMENTS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)


class Browser:
    """One Chromium with a new profile.

    Used as a context manager; `page` and what follows act on the window that is chosen.
    """

    def __enter__(self) -> "Browser":
        self._folder = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self._address = f"http://127.0.0.1:{port}"
        self._driver = subprocess.Popen(
            [str(DRIVER), f"--port={port}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            self.until(lambda: self._ask("GET", "/status")["ready"])
            options = {"args": [*_ARGUMENTS, f"--user-data-dir={self._folder.name}"]}
            wanted = {"goog:chromeOptions": options | {"binary": BROWSER}}
            made = self._ask("POST", "/session", {"capabilities": {"alwaysMatch": wanted}})
            self._session = f"/session/{made['sessionId']}"
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(self, *_exception: object) -> None:
        try:
            self._ask("DELETE", self._session)
        finally:
            self._end()

    def _end(self) -> None:
        self._driver.terminate()
        self._driver.wait()
        self._folder.cleanup()

    def _ask(self, method: str, path: str, content: Any = None) -> Any:
        data = None if content is None else json.dumps(content).encode()
        request = urllib.request.Request(self._address + path, data, method=method)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as error:
            raise AssertionError(json.load(error)["value"]["message"]) from None

    @property
    def process_id(self) -> int:
        """Of the driver, whose children the browser's processes are."""
        return self._driver.pid

    def open(self, address: str, width: int = 1280, height: int = 1000) -> None:
        """Load a page in a window of this size inside."""
        self._width = width
        rect = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        command = {"cmd": "Emulation.setDeviceMetricsOverride", "params": rect}
        self._ask("POST", f"{self._session}/goog/cdp/execute", command)
        self._ask("POST", f"{self._session}/url", {"url": address})

    def run(self, script: str, *arguments: Any) -> Any:
        """What a script returns."""
        content = {"script": script, "args": list(arguments)}
        return self._ask("POST", f"{self._session}/execute/sync", content)

    def keys(self, text: str) -> None:
        """Press keys, one after the other, wherever the focus is."""
        pressed = [{"type": kind, "value": k} for k in text for kind in ("keyDown", "keyUp")]
        actions = [{"type": "key", "id": "keyboard", "actions": pressed}]
        self._ask("POST", f"{self._session}/actions", {"actions": actions})

    def log(self) -> list[str]:
        """Errors of the page's console since the last call."""
        entries = self._ask("POST", f"{self._session}/se/log", {"type": "browser"})
        return [entry["message"] for entry in entries if entry["level"] == "SEVERE"]

    def window(self) -> str:
        """Open another window and choose it; its name."""
        name = str(self._ask("POST", f"{self._session}/window/new", {"type": "window"})["handle"])
        self.choose(name)
        return name

    def windows(self) -> list[str]:
        """Names of all."""
        return list(self._ask("GET", f"{self._session}/window/handles"))

    def choose(self, name: str) -> None:
        """Let what follows act on this window."""
        self._ask("POST", f"{self._session}/window", {"handle": name})

    def close(self) -> None:
        """Close the window that is chosen."""
        self._ask("DELETE", f"{self._session}/window")

    def screenshot(self, path: Path) -> None:
        """Write all of the page as PNG."""
        height = self.run("return document.documentElement.scrollHeight")
        clip = {"x": 0, "y": 0, "width": self._width, "height": height, "scale": 1}
        params = {"captureBeyondViewport": True, "clip": clip}
        command = {"cmd": "Page.captureScreenshot", "params": params}
        found = self._ask("POST", f"{self._session}/goog/cdp/execute", command)
        path.write_bytes(base64.b64decode(found["data"]))

    def until(self, condition: Callable[[], Any], seconds: float = 60) -> Any:
        """What a condition returns once it is true."""
        end = time.monotonic() + seconds
        while True:
            try:
                if found := condition():
                    return found
            except (OSError, urllib.error.URLError):
                pass
            if time.monotonic() > end:
                raise AssertionError("the condition did not come true")
            time.sleep(0.05)
