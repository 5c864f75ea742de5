"""Drives headless Chromium through the DevTools protocol over a pipe. Needs the standard library alone."""

import base64
import fcntl
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

# Chromium reads commands from file descriptor 3 and writes answers to 4; each message ends in a zero byte.
READ, WRITE = 3, 4
FLAGS = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars",
         "--no-first-run", "--disable-extensions", "--disable-background-networking", "--remote-debugging-pipe"]


class BrowserError(Exception):
    """The browser failed, or a script in the page threw."""


class Chromium:
    """A browser with one page. Use it in a `with` statement: it ends the browser and removes its profile."""

    def __init__(self, path: str | None = None, answer_timeout: float = 120):
        path = path or shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
        if path is None:
            raise BrowserError("no Chromium is installed: install it, or name it with --browser")
        self.answer_timeout = answer_timeout
        self.profile = tempfile.TemporaryDirectory(prefix="browser-test-", ignore_cleanup_errors=True)
        commands, answers = os.pipe(), os.pipe()
        # Descriptors above 9 cannot collide with 3 and 4 in the child.
        child_ends = [fcntl.fcntl(end, fcntl.F_DUPFD, 10) for end in (commands[0], answers[1])]
        def place_ends():
            for end, place in zip(child_ends, (READ, WRITE)):
                os.dup2(end, place)
            # A group of its own, so that all of the browser's processes end together.
            os.setpgrp()
        self.log = open(Path(self.profile.name, "browser.log"), "w+b")
        self.process = subprocess.Popen([path, *FLAGS, f"--user-data-dir={self.profile.name}", "about:blank"],
                                        preexec_fn=place_ends, pass_fds=(READ, WRITE), stdin=subprocess.DEVNULL,
                                        stdout=subprocess.DEVNULL, stderr=self.log)
        for end in (*child_ends, commands[0], answers[1]):
            os.close(end)
        self.to_browser, self.from_browser = commands[1], answers[0]
        os.set_blocking(self.from_browser, False)
        self.buffer, self.number, self.session = b"", 0, None
        # What the page wrote with console.error, and exceptions that nothing caught.
        self.complaints: list[str] = []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "DOM", "Log"):
            self.call(f"{domain}.enable")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait()
        os.close(self.to_browser)
        os.close(self.from_browser)
        self.log.close()
        self.profile.cleanup()

    def call(self, method: str, **params) -> dict:
        """Sends a command and waits for its answer."""
        self.number += 1
        message = {"id": self.number, "method": method, "params": params}
        if self.session:
            message["sessionId"] = self.session
        data = json.dumps(message).encode() + b"\0"
        while data:
            data = data[os.write(self.to_browser, data):]
        end = time.monotonic() + self.answer_timeout
        while time.monotonic() < end:
            for answer in self._messages():
                if answer.get("id") == self.number:
                    if "error" in answer:
                        raise BrowserError(f"{method}: {answer['error']['message']}")
                    return answer["result"]
                self._note(answer)
        raise BrowserError(f"{method}: no answer within {self.answer_timeout} s")

    def _messages(self):
        try:
            part = os.read(self.from_browser, 1 << 20)
            if not part:
                self.log.seek(0)
                raise BrowserError(f"the browser ended: {self.log.read()[-2000:].decode(errors='replace')}")
            self.buffer += part
        except BlockingIOError:
            time.sleep(0.005)
        *whole, self.buffer = self.buffer.split(b"\0")
        return [json.loads(text) for text in whole]

    def _note(self, event: dict):
        params = event.get("params", {})
        if event.get("method") == "Runtime.exceptionThrown":
            details = params["exceptionDetails"]
            self.complaints.append(details.get("exception", {}).get("description") or details["text"])
        if event.get("method") == "Runtime.consoleAPICalled" and params["type"] == "error":
            words = [str(part.get("value", part.get("description"))) for part in params["args"]]
            self.complaints.append("console: " + " ".join(words))
        if event.get("method") == "Log.entryAdded" and params["entry"]["source"] == "security":
            self.complaints.append("security: " + params["entry"]["text"])

    def open(self, url: str):
        """Opens an address in the page."""
        result = self.call("Page.navigate", url=url)
        if result.get("errorText"):
            raise BrowserError(f"{url}: {result['errorText']}")

    def run(self, script: str):
        """The value of a JavaScript expression, awaited where it is a promise."""
        result = self.call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in result:
            details = result["exceptionDetails"]
            raise BrowserError(details.get("exception", {}).get("description") or details["text"])
        return result["result"].get("value")

    def wait(self, script: str, seconds: float, what: str):
        """Waits until an expression is true."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            try:
                if self.run(f"Boolean({script})"):
                    return
            except BrowserError as error:
                if "context" not in str(error):  # The page is still on its way.
                    raise
            time.sleep(0.05)
        raise BrowserError(f"{what}: not within {seconds:g} s")

    def click(self, selector: str):
        """Clicks the middle of an element with the mouse."""
        place = self.run(f"""(() => {{ const node = document.querySelector({json.dumps(selector)});
            node.scrollIntoView({{ block: "center", behavior: "instant" }});
            const box = node.getBoundingClientRect(); return [box.x + box.width / 2, box.y + box.height / 2]; }})()""")
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, x=place[0], y=place[1], button="left", clickCount=1)

    def type(self, selector: str, text: str):
        """Replaces the text of a field, as a keyboard would."""
        self.run(f"(() => {{ const node = document.querySelector({json.dumps(selector)}); node.focus(); node.select(); }})()")
        if text:
            self.call("Input.insertText", text=text)
        else:
            self.press("Backspace")

    def press(self, key: str):
        """Presses a key."""
        codes = {"Backspace": 8, "Tab": 9, "Enter": 13, "Escape": 27, " ": 32}
        for kind in ("keyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=key, windowsVirtualKeyCode=codes.get(key, 0),
                      code="Space" if key == " " else key)

    def choose(self, selector: str, path: Path):
        """Gives a file field a file."""
        root = self.call("DOM.getDocument")["root"]["nodeId"]
        node = self.call("DOM.querySelector", nodeId=root, selector=selector)["nodeId"]
        self.call("DOM.setFileInputFiles", nodeId=node, files=[str(path.resolve())])

    def screen(self, width: int, height: int, scale: float = 1, dark: bool = False, phone: bool = False):
        """Sets the size of the window and whether it is light or dark."""
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=scale, mobile=phone)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme, {"name": "prefers-reduced-motion", "value": "reduce"}])

    def picture(self, path: Path):
        """Writes a PNG of the whole page."""
        self.run("scrollTo(0, 0)")
        data = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=True)["data"]
        path.write_bytes(base64.b64decode(data))
