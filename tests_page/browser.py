"""A browser without a window, told what to do over Chrome's DevTools protocol, through a pair of pipes."""

import base64
import json
import os
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any, Self

_NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--remote-debugging-pipe",
)
_PATIENCE = 120.0  # seconds that anything may take on a busy machine
_KEYS = {"ArrowDown": 40, "ArrowUp": 38, "Home": 36, "End": 35, "PageDown": 34, "Enter": 13, "Escape": 27, "Tab": 9}
_LEFT = "Inspected target navigated or closed"


class LeftError(Exception):
    """The page was left for another one while it was asked something."""


class Browser:
    """One page of a browser; `wrong` is what it complained of, `asked` the addresses that it wanted."""

    def __init__(self, folder: Path) -> None:
        self.wrong: list[str] = []
        self.asked: list[str] = []
        self._number = 0
        self._session: str | None = None
        self._rest = b""
        self._said: dict[int, dict[str, Any]] = {}
        self._at = (0.0, 0.0)
        theirs_in, self._to = os.pipe()
        self._from, theirs_out = os.pipe()

        # It reads its orders from 3 and answers on 4, which a shell can give it.
        given = f'exec "$0" "$@" 3<&{theirs_in} 4>&{theirs_out}'
        self.child = subprocess.Popen(
            ["bash", "-c", given, _program(), *_FLAGS, f"--user-data-dir={folder}"],
            pass_fds=(theirs_in, theirs_out),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(theirs_in)
        os.close(theirs_out)

    def __enter__(self) -> Self:
        target = self.tell("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.tell("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.tell(f"{domain}.enable")
        return self

    def __exit__(self, *_: object) -> None:
        self.child.kill()
        self.child.wait()
        os.close(self._to)
        os.close(self._from)

    def tell(self, method: str, **params: object) -> dict[str, Any]:
        """One order of the protocol, and what came of it."""
        self._number += 1
        order = {"id": self._number, "method": method, "params": params}
        if self._session and not method.startswith("Target."):
            order["sessionId"] = self._session
        os.write(self._to, json.dumps(order).encode() + b"\0")
        while self._number not in self._said:
            self._hear()
        said = self._said.pop(self._number)
        if said.get("error", {}).get("message") == _LEFT:
            raise LeftError(method)
        assert "error" not in said, f"{method}: {said['error']}"
        result: dict[str, Any] = said["result"]
        return result

    def open(self, file: Path, fragment: str = "") -> None:
        """Show a file, and wait until it stands there."""
        self.go(file.as_uri() + fragment)

    def go(self, url: str) -> None:
        """Show what is at an address, and wait until it stands there."""
        self.tell("Page.navigate", url="about:blank")
        self.wrong.clear()
        self.asked.clear()
        self.tell("Page.navigate", url=url)
        self.until("document.readyState === 'complete' && document.querySelector('main') !== null")

    def js(self, expression: str) -> Any:
        """What an expression comes to there."""
        said = self.tell("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in said, f"{expression}: {said['exceptionDetails']}"
        return said["result"].get("value")

    def until(self, expression: str) -> None:
        """Wait until it is true."""
        end = time.monotonic() + _PATIENCE
        while not self._holds(expression):
            assert time.monotonic() < end, f"never true: {expression}"
            time.sleep(0.02)

    def _holds(self, expression: str) -> bool:
        """Whether it is true; nothing is of a page that is being left while it is asked."""
        try:
            return bool(self.js(expression))
        except LeftError:
            return False

    def text(self, selector: str) -> str:
        """What stands in an element."""
        return str(self.js(f"document.querySelector({json.dumps(selector)})?.textContent ?? ''"))

    def click(self, selector: str) -> None:
        """Click on the middle of an element, with the mouse."""
        self.hold(selector)
        self.let_go()

    def hold(self, selector: str) -> None:
        """Press the mouse on the middle of an element."""
        self._at = self.js(
            f"(() => {{ const e = document.querySelector({json.dumps(selector)}); "
            "e.scrollIntoView({block: 'center'}); const b = e.getBoundingClientRect(); "
            "return [b.x + b.width / 2, b.y + b.height / 2]; })()"
        )
        self._mouse("mousePressed")

    def let_go(self) -> None:
        """Let go of what the mouse is pressed on."""
        self._mouse("mouseReleased")

    def _mouse(self, kind: str) -> None:
        x, y = self._at
        self.tell("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def write(self, selector: str, text: str) -> None:
        """Write into a field, in the place of what stands there."""
        self.js(f"(() => {{ const e = document.querySelector({json.dumps(selector)}); e.focus(); e.select?.(); }})()")
        self.tell("Input.insertText", text=text)

    def press(self, key: str, text: str = "") -> None:
        """Press a key."""
        code = _KEYS.get(key, 0)
        for kind in ("keyDown", "keyUp"):
            more = {"text": text} if text and kind == "keyDown" else {}
            self.tell("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=code, **more)

    def size(self, width: int, height: int, *, phone: bool = False) -> None:
        """The window, in pixels of CSS."""
        self.tell("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=phone)

    def scheme(self, name: str) -> None:
        """`light` or `dark`."""
        self.tell("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": name}])

    def picture(self, file: Path, *, whole: bool = False) -> None:
        """What is to be seen, as a PNG."""
        shot = self.tell("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        file.write_bytes(base64.b64decode(shot["data"]))

    def _hear(self) -> None:
        while b"\0" not in self._rest:
            piece = os.read(self._from, 1 << 16)
            assert piece, "the browser has ended"
            self._rest += piece
        line, _, self._rest = self._rest.partition(b"\0")
        told = json.loads(line)
        if "id" in told:
            self._said[told["id"]] = told
            return
        params = told.get("params", {})
        match told["method"]:
            case "Runtime.exceptionThrown":
                self.wrong.append(json.dumps(params["exceptionDetails"]))
            case "Log.entryAdded":
                self.wrong.append(params["entry"]["text"])
            case "Network.requestWillBeSent":
                self.asked.append(params["request"]["url"])


def _program() -> str:
    found = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, _NAMES)), "")
    assert found, "no Chromium here: apt-get install chromium, or name one in CHROMIUM"
    return found
