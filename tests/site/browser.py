"""Headless Chromium, told what to do over its DevTools protocol."""

from __future__ import annotations

import itertools
import json
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from websockets.sync.client import ClientConnection, connect

__all__ = ["CHROMIUM", "Page", "browser"]

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("chrome")

#: How long a page may take to show what is waited for, in seconds.
PATIENCE = 30


class Page:
    """One tab, and what it has asked the network for."""

    def __init__(self, connection: ClientConnection) -> None:
        self.requests: list[str] = []
        self.complaints: list[str] = []
        self._connection = connection
        self._numbers = itertools.count(1)
        self._session: str | None = None
        target = self._call("Target.createTarget", url="about:blank")["targetId"]
        attached = self._call("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Network", "Page", "Runtime"):
            self._call(f"{domain}.enable")

    def _call(self, method: str, **params: Any) -> dict[str, Any]:
        number = next(self._numbers)
        message = {"id": number, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        self._connection.send(json.dumps(message))
        while True:
            answer = json.loads(self._connection.recv(timeout=PATIENCE))
            if answer.get("id") == number:
                if "navigated" in answer.get("error", {}).get("message", ""):
                    return {"result": {}}  # the page that was asked is gone, as after a click
                assert "error" not in answer, answer
                result: dict[str, Any] = answer["result"]
                return result
            self._note(answer)

    def _note(self, event: dict[str, Any]) -> None:
        params = event.get("params", {})
        match event.get("method"):
            case "Network.requestWillBeSent":
                self.requests.append(params["request"]["url"])
            case "Network.responseReceived" if params["response"]["status"] >= 400:
                self.complaints.append(
                    f"{params['response']['status']} {params['response']['url']}"
                )
            case "Runtime.exceptionThrown":
                self.complaints.append(str(params["exceptionDetails"]))

    def open(self, url: str) -> None:
        """Go to a URL, and wait until it is loaded."""
        self._call("Page.navigate", url=url)
        self.wait_for(
            f"document.readyState === 'complete' && location.href.startsWith({json.dumps(url)})"
        )

    def evaluate(self, expression: str) -> Any:
        """Return the value of an expression in JavaScript, which has a JSON form."""
        done = self._call("Runtime.evaluate", expression=expression, returnByValue=True)
        return done["result"].get("value")

    def wait_for(self, expression: str) -> Any:
        """Wait until an expression is true, and return its value."""
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            if value := self.evaluate(expression):
                return value
            time.sleep(0.02)  # the page's own scripts run meanwhile
        raise AssertionError(f"the page never came to {expression}: {self.complaints}")


@contextmanager
def browser(folder: Path) -> Iterator[ClientConnection]:
    """Run a browser, with a profile in a folder; yield the connection that commands it."""
    assert CHROMIUM
    # As root there is no sandbox to be had. What it shows is ours, from loopback.
    options = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
    options += ["--remote-debugging-port=0", f"--user-data-dir={folder}", "--no-first-run"]
    options += ["--disable-background-networking", "--disable-component-update"]
    with subprocess.Popen(
        [CHROMIUM, *options, "about:blank"], stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stderr is not None
            lines = iter(process.stderr.readline, "")
            found = (re.search(r"DevTools listening on (ws://\S+)", line) for line in lines)
            url = next(match[1] for match in found if match)
            with connect(url, max_size=None, proxy=None) as connection:
                yield connection
        finally:
            process.terminate()
