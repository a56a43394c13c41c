"""Drives a headless Chromium through the devtools protocol over a pair of pipes: no driver, no package."""

import json
import os
import select
import shutil
import subprocess
import time
from collections import deque

CHROMIUM = next(
    (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None
)
FLAGS = (
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
# Chromium reads commands from descriptor 3 and answers on 4
PIPES = 'exec "$@" 3<&0 4>&1 </dev/null >/dev/null'
PATIENCE_SECONDS = 60


class NoAnswerError(Exception):
    """What is called Chromium did not answer its first call."""


class Browser:
    """One Chromium with one tab; everything that it asks of a network or says on its console is kept."""

    def __init__(self, profile):
        command = ["sh", "-c", PIPES, "sh", CHROMIUM, *FLAGS, f"--user-data-dir={profile}", "about:blank"]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        self.number, self.session, self.rest, self.events = 0, None, b"", deque()
        try:
            target = self.call("Target.createTarget", url="about:blank")["targetId"]
        except (OSError, AssertionError) as error:
            self.process.kill()
            self.process.wait()
            raise NoAnswerError(str(error)) from error
        self.session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Network", "Runtime", "Log"):
            self.call(f"{domain}.enable")

    def call(self, method, **params):
        """Send a command and wait for its answer; events on the way are kept."""
        self.number += 1
        message = {"id": self.number, "method": method, "params": params}
        if self.session is not None:
            message["sessionId"] = self.session
        self.process.stdin.write(json.dumps(message).encode() + b"\0")
        self.process.stdin.flush()
        while True:
            answer = self._next_message()
            if answer.get("id") == self.number:
                assert "error" not in answer, f"{method}: {answer['error']}"
                return answer["result"]
            self.events.append(answer)

    def _next_message(self):
        until = time.monotonic() + PATIENCE_SECONDS
        pipe = self.process.stdout.fileno()
        while b"\0" not in self.rest:
            ready, _, _ = select.select([pipe], [], [], max(0, until - time.monotonic()))
            assert ready, f"chromium said nothing for {PATIENCE_SECONDS} s"
            read = os.read(pipe, 2**20)
            assert read, "chromium has gone"
            self.rest += read
        first, _, self.rest = self.rest.partition(b"\0")
        return json.loads(first)

    def open(self, path, *, width=1280, height=900):
        """Load a file and wait until it is there; what was kept before is forgotten."""
        self.events.clear()
        self.resize(width, height)
        self.call("Page.navigate", url=path.as_uri())
        while self.run("document.readyState") != "complete" or self.run("location.href") != path.as_uri():
            time.sleep(0.02)

    def resize(self, width, height=900):
        """Give the page this many CSS pixels."""
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=width < 600,
        )

    def run(self, script):
        """The value of an expression, or of the promise that it makes."""
        answer = self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def requests(self):
        """Addresses that the page asked for, other than itself and what it holds."""
        asked = [
            event["params"]["request"]["url"]
            for event in self.events
            if event.get("method") == "Network.requestWillBeSent"
        ]
        return [address for address in asked if not address.startswith(("file:", "data:"))]

    def complaints(self):
        """What stands on the console: errors, warnings, refusals of the page's policy."""
        kinds = {"Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Log.entryAdded"}
        return [event["params"] for event in self.events if event.get("method") in kinds]

    def close(self):
        """End the browser."""
        self.session = None
        self.call("Browser.close")
        self.process.wait(PATIENCE_SECONDS)
        self.process.stdin.close()
        self.process.stdout.close()
