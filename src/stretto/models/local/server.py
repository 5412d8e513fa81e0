"""llama.cpp's server for one GGUF file, in a child process that ends with this one."""

import asyncio
import contextlib
import importlib.util
import json
import os
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any, Self

from stretto.errors import ConfigError, RequestError, ServerError
from stretto.ground.extras import installing
from stretto.models.local import gguf
from stretto.models.local.memory import available, check, fitting, idle

_KEPT = 40  # lines of its log
_TOLD = 6  # of these, in an error
_CRASHES = 2  # within `_LATELY` seconds, after which it is not started again
_LATELY = 120.0
_IDLE = 300
_PATIENCE = 900.0  # seconds to load a file in
_PROMPTS = 512  # megabytes for prompts that no slot holds any more


class LocalServer:
    """Serves a GGUF file on loopback, by a child process that loads it: `async with LocalServer(path) as server: …`.

    `slots` calls are answered at the same time, each with `context` tokens at the most (by itself: what the model was
    trained for, as far as memory goes); `threads`: by itself one for each processor
    that is idle when it is started; `memory`: bytes that it may take (by itself,
    what is free). After `idle` seconds without a call it gives its memory back, and loads the file again with the
    next call. Belongs to no event loop, so that runs in several can share it. `called`: what messages call the
    file. Raises `ConfigError` if the file or the memory does not do, or `xllamacpp` is not installed.
    """

    def __init__(
        self,
        path: Path,
        *,
        slots: int = 4,
        context: int | None = None,
        threads: int | None = None,
        memory: int | None = None,
        idle: int = _IDLE,
        called: str = "",
    ) -> None:
        self._called = called or path.name
        self.model = gguf.read(path, called or str(path))
        if importlib.util.find_spec("xllamacpp") is None:
            missing = f"local models need llama.cpp, which is not installed: {installing('local')}"
            raise ConfigError(f"{self._called}: {missing}")
        self.slots = slots
        self._memory = memory
        self.context = fitting(self.model, slots, context, self._free)
        check(self.model, slots, self.context, self._free, self._called)
        self._threads = threads
        self._lock = threading.Lock()
        self._launch: Launch | None = None
        self._idle = idle
        self._crashes: list[float] = []

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def start(self) -> "Launch":
        """Wait until it listens, having started it if it does not run; whoever is cancelled here stops nothing.

        Raises `ConfigError` if there is too little memory, `RequestError` with the end of its log if it cannot be
        loaded or has crashed again and again.
        """
        launch = self._running()
        if not launch.listening.done():  # else it is one of many calls
            await self._loaded(launch)
        if launch.listening.exception():
            await _done(launch.ended)
            raise RequestError(launch.told())
        return launch

    async def _loaded(self, launch: "Launch") -> None:
        try:
            async with asyncio.timeout(_PATIENCE):
                await _done(launch.listening)
        except TimeoutError:
            raise RequestError(f"{self._called}: not loaded within {_PATIENCE:g} s; take a smaller file") from None

    async def stop(self) -> None:
        """End the child process, if there is one; `start` begins anew."""
        if launch := self.end():
            await _done(launch.ended)

    def end(self) -> "Launch | None":
        """End the child process without waiting for that, as at the end of this one; which it is, if there is one."""
        with self._lock:
            launch, self._launch = self._launch, None
        if launch is not None:
            launch.end()
        return launch

    @property
    def base_url(self) -> str:
        """Where it is asked, once it listens: `http://127.0.0.1:PORT/v1`."""
        if self._launch is None or not self._launch.listening.done():
            raise ServerError(f"{self._called}: it does not run; `await server.start()` first")
        return self._launch.base_url

    @property
    def _free(self) -> int | None:
        return available() if self._memory is None else self._memory

    @property
    def child(self) -> int | None:
        """The id of the child process, if there is one."""
        return None if self._launch is None else self._launch.process.pid

    def _running(self) -> "Launch":
        with self._lock:
            if self._launch is not None and self._launch.ended.done():
                self._count(self._launch)
                self._launch = None
            if self._launch is None:
                self._launch = self._begin()
            return self._launch

    def _count(self, launch: "Launch") -> None:
        """What could not be loaded is not loaded again at once; what has crashed is started once more."""
        now = time.monotonic()
        worth = _CRASHES if launch.listening.exception() else 1
        if not launch.counted:
            launch.counted = True
            self._crashes += [now] * worth
        self._crashes = [at for at in self._crashes if now - at < _LATELY]
        if len(self._crashes) >= _CRASHES:
            raise RequestError(launch.told())

    def _begin(self) -> "Launch":
        check(self.model, self.slots, self.context, self._free, self._called)
        wanted = {
            "path": str(self.model.path.absolute()),
            "name": self.model.path.stem,
            "slots": self.slots,
            "context": self.context,
            "threads": self._threads or idle(),
            "prompts": _PROMPTS,
            "idle": self._idle,
        }
        return Launch(self._called, wanted)


class Launch:
    """One child process, from its start to its end; a thread reads what it says.

    `listening` is where it listens, or why it does not; `ended` is its exit code; `counted`: its end was looked at.
    """

    def __init__(self, called: str, wanted: dict[str, Any]) -> None:
        self.listening: Future[str] = Future()
        self.ended: Future[int] = Future()
        self.counted = False
        self._called = called
        self._path = wanted["path"]
        self._log: deque[str] = deque(maxlen=_KEPT)
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-m", "stretto.models.local.child"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            # What can be imported here can be there; the current folder only if it can be here.
            env=os.environ | {"PYTHONPATH": os.pathsep.join(map(os.path.abspath, sys.path))},
            start_new_session=True,  # Ctrl-C at the terminal is for this process, which ends the child when it is done
        )
        self._logging = self._thread(self._read_log)
        self._thread(self._listen, wanted)

    def end(self) -> None:
        """Kill it: there is nothing it has to put away."""
        self.process.kill()

    @property
    def base_url(self) -> str:
        """Where it is asked; it must be listening."""
        return f"{self.listening.result()}/v1"

    async def crash(self, patience: float = 0.5) -> str:
        """Why it has ended, with the end of its log; empty if it runs on, as far as that shows within `patience`."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(patience):
                await _done(self.ended)
        return self.told() if self.ended.done() else ""

    def told(self) -> str:
        """Why it has ended, and the end of its log without the place of the file."""
        code = self.ended.result()
        what = "has crashed" if self.listening.exception() is None else "cannot load it"
        how = f"signal {-code}" if code < 0 else f"exit code {code}"
        log = [line.replace(self._path, self._called) for line in list(self._log)[-_TOLD:]]
        return "\n  ".join([f"{self._called}: llama.cpp {what} ({how}); the end of its log:", *log])

    def _thread(self, work: Callable[..., None], *arguments: Any) -> threading.Thread:
        thread = threading.Thread(target=work, args=arguments, name="stretto-local", daemon=True)
        thread.start()
        return thread

    def _listen(self, wanted: dict[str, Any]) -> None:
        """Tell the child what to serve, take from it where it listens, and wait for its end."""
        stdin, stdout = self.process.stdin, self.process.stdout
        assert stdin is not None and stdout is not None  # noqa: S101, PT018 - both are pipes
        with contextlib.suppress(BrokenPipeError):  # it has died already; its log says of what
            stdin.write(json.dumps(wanted).encode() + b"\n")
            stdin.flush()
        with stdout:
            if line := stdout.readline():
                self.listening.set_result(line.decode().strip())
        code = self.process.wait()
        self._logging.join()
        with contextlib.suppress(BrokenPipeError):
            stdin.close()
        if not self.listening.done():
            self.listening.set_exception(RequestError(self._called))
        self.ended.set_result(code)

    def _read_log(self) -> None:
        stderr = self.process.stderr
        assert stderr is not None  # noqa: S101 - it is a pipe
        with stderr:
            self._log.extend(line.decode("utf-8", "replace").rstrip() for line in stderr)


async def _done(future: "Future[Any]") -> None:
    """Wait for what a thread sets; whoever is cancelled here stops nothing."""
    loop = asyncio.get_running_loop()
    done = asyncio.Event()

    def tell(_: "Future[Any]") -> None:
        with contextlib.suppress(RuntimeError):  # nobody waits any more: the loop is closed
            loop.call_soon_threadsafe(done.set)

    future.add_done_callback(tell)
    await done.wait()
