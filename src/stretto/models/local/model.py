"""A model written `local:…`: its file is served once in a process, and asked as any endpoint is."""

import atexit
import os
import threading
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from pathlib import Path

from stretto.calls import Call, Chunk, Model
from stretto.errors import ConfigError, RequestError, ServerError, TransientError
from stretto.models.local.hub import GET, cached, hub_file
from stretto.models.local.server import Launch, LocalServer
from stretto.models.providers import SLOTS, Local, Provider
from stretto.types import Limits

_MOST = 16  # slots that a run's `parallel` may ask for

_servers: dict[tuple[object, ...], LocalServer] = {}
_lock = threading.Lock()


def server_for(label: str, name: str, provider: Local, parallel: int) -> LocalServer:
    """The server of a file, one in a process for the same settings; it ends with the process.

    Not with the run, nor with its event loop: the next run would have to load the file again. Its memory is given back
    when it was not asked for some minutes. Raises `ConfigError` if the file is not here, or cannot be served.
    """
    path = _found(name, label)
    slots = provider.parallel or (SLOTS if parallel == Limits().parallel else min(parallel, _MOST))
    key = (path.resolve(), slots, provider.context, provider.threads, provider.memory)
    with _lock:
        if key not in _servers:
            if not _servers:
                atexit.register(_end_all, os.getpid())
            _servers[key] = LocalServer(
                path,
                slots=slots,
                context=provider.context,
                threads=provider.threads,
                memory=provider.memory,
                called=label,
            )
        return _servers[key]


def _found(name: str, label: str) -> Path:
    """The file behind a model's name; raises `ConfigError` that says how to get it if it is not here."""
    if not name.lower().endswith(".gguf"):
        raise ConfigError(f"{label}: a local model is a GGUF file: local:PATH.gguf, or local:OWNER/REPO/FILE.gguf")
    file = hub_file(name)
    if file is None:
        path = Path(name).expanduser()
        if not path.exists():
            raise ConfigError(f"{label}: there is no such file; `stretto models local` lists those that are here")
        return path
    if (downloaded := cached(file)) is None:
        raise ConfigError(f"{label}: neither a file here nor downloaded; get it with: {GET} {file}")
    return downloaded


def _end_all(pid: int) -> None:
    if pid == os.getpid():  # and not a fork of the process that they belong to
        for server in _servers.values():
            server.end()


class LocalModel:
    """Has its server started with the first call, and asks it by the model that `connect` makes of an endpoint."""

    def __init__(
        self, server: LocalServer, name: str, timeout: float, connect: Callable[[str, Provider], Model]
    ) -> None:
        self._server = server
        self._name = Path(name).stem
        self._timeout = timeout
        self._connect = connect
        self._model: Model | None = None
        self._where = ""

    async def stream(self, call: Call) -> AsyncGenerator[Chunk, None]:
        """The reply of the server; if it has crashed meanwhile, a `ServerError` with the end of its log."""
        model, launch = await self._started()
        try:
            async with aclosing(model.stream(call)) as chunks:
                async for chunk in chunks:
                    yield chunk
        except TransientError as error:
            if why := await launch.crash():
                raise ServerError(why) from error
            raise

    async def _started(self) -> tuple[Model, Launch]:
        try:
            launch = await self._server.start()
        except ConfigError as error:  # there is less memory now
            raise RequestError(str(error)) from error
        if self._model is None or self._where != launch.base_url:
            self._where = launch.base_url
            # What takes long here is computing, and the whole call's time bounds it.
            at = Provider(self._where, local=True, first_byte=self._timeout, silence=self._timeout)
            self._model = self._connect(self._name, at)
        return self._model, launch
