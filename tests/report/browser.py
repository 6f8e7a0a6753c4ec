"""A headless Chromium, driven over the WebDriver protocol with the standard library alone.

Source: W3C WebDriver; the `goog:` capabilities are chromedriver's.
"""

import json
import re
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

from tests.tools import tool

_ARGUMENTS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
)


class Browser:
    """One session with an empty profile."""

    def __init__(self, port: int, chromium: str, profile: str) -> None:
        self._port = port
        options = {"binary": chromium, "args": [*_ARGUMENTS, f"--user-data-dir={profile}"]}
        always = {
            "browserName": "chrome",
            "goog:chromeOptions": options,
            "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"},
        }
        self._session = self._send("POST", "/session", {"capabilities": {"alwaysMatch": always}})["sessionId"]

    def _send(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        connection = HTTPConnection("127.0.0.1", self._port, timeout=60)
        try:
            connection.request(method, path, None if body is None else json.dumps(body))
            answer = json.loads(connection.getresponse().read())["value"]
        finally:
            connection.close()
        if isinstance(answer, dict) and "error" in answer:
            raise RuntimeError(answer["message"])
        return answer

    def _do(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        return self._send(method, f"/session/{self._session}{path}", body)

    def open(self, page: Path) -> None:
        """Load a file."""
        self.visit(page.resolve().as_uri())

    def visit(self, address: str) -> None:
        """Load a page by its address."""
        self._do("POST", "/url", {"url": address})

    def run(self, script: str) -> Any:
        """Run a function body in the page, and give what it returns."""
        return self._do("POST", "/execute/sync", {"script": script, "args": []})

    def size(self, width: int, height: int) -> None:
        """Set the size of the page's window, whatever a window's least size is."""
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 700}
        self._do(
            "POST", "/goog/cdp/execute", {"cmd": "Emulation.setDeviceMetricsOverride", "params": metrics}
        )

    def run_async(self, script: str) -> Any:
        """The same of a script that calls its argument with what it gives."""
        return self._do("POST", "/execute/async", {"script": script, "args": []})

    def media(self, kind: str, scheme: str = "light") -> None:
        """Show the page as on a screen, or as on paper; in a light or dark scheme."""
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        emulated = {"media": kind, "features": features}
        self._do("POST", "/goog/cdp/execute", {"cmd": "Emulation.setEmulatedMedia", "params": emulated})

    def console(self) -> list[str]:
        """What the page has written to the console since the last call, errors of loading included."""
        return [entry["message"] for entry in self._do("POST", "/se/log", {"type": "browser"})]

    def requests(self) -> list[str]:
        """Addresses that the page has asked for since the last call."""
        entries = self._do("POST", "/se/log", {"type": "performance"})
        messages = [json.loads(entry["message"])["message"] for entry in entries]
        sent = [m["params"] for m in messages if m["method"] == "Network.requestWillBeSent"]
        return [params["request"]["url"] for params in sent]

    def close(self) -> None:
        """End the session."""
        self._do("DELETE", "")


@contextmanager
def browser() -> Iterator[Browser]:
    """Start chromedriver and a session; skips the test where they are not installed."""
    command = [tool("chromedriver"), "--port=0"]
    chromium = tool("chromium")
    driver = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile, driver:
        try:
            session = Browser(_port(driver), chromium, profile)
            try:
                yield session
            finally:
                session.close()
        finally:
            driver.terminate()


def _port(driver: "subprocess.Popen[str]") -> int:
    assert driver.stdout is not None
    for line in driver.stdout:
        found = re.search(r"started successfully on port (\d+)", line)
        if found:
            return int(found[1])
    raise RuntimeError("chromedriver did not start")
