"""The child process that serves a GGUF file on loopback: `python -P -m stretto.models.local.child`.

Its standard input is one line of JSON that says what to serve, and then stays open for as long as the parent lives. Its
standard output is one line that says where it listens; its errors are llama.cpp's log.
"""

import json
import os
import select
import sys
from typing import Any


def main() -> None:
    """Serve until the parent is gone."""
    wanted = json.loads(sys.stdin.buffer.readline())
    told = os.dup(1)
    os.dup2(2, 1)  # whatever llama.cpp prints belongs to its log
    _end_with_the_parent()
    from xllamacpp import Server

    try:
        server = Server(_settings(wanted))  # until the model is loaded, this holds Python's lock
    except RuntimeError:  # its log says why
        sys.exit(1)
    os.write(told, f"{server.listening_address}\n".encode())
    while os.read(0, 1):  # the parent says nothing more: this ends when it closes the pipe, or is killed
        pass
    os._exit(0)  # without waiting for what is being generated


def _end_with_the_parent() -> None:
    """Have the kernel end this process when the pipe from the parent closes, even while Python's lock is held."""
    try:
        import fcntl
    except ImportError:  # Windows: it ends once the model is loaded
        return
    fcntl.fcntl(0, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(0, fcntl.F_SETFL, fcntl.fcntl(0, fcntl.F_GETFL) | os.O_ASYNC)  # SIGIO ends who does not handle it
    pipe = select.poll()
    pipe.register(0, select.POLLIN)
    if pipe.poll(0):  # it has closed already
        os._exit(0)


def _settings(wanted: dict[str, Any]) -> Any:
    from xllamacpp import CommonParams

    settings = CommonParams()
    settings.model.path = wanted["path"]
    settings.model_alias = {wanted["name"]}  # or its answers would tell the path
    settings.hostnames, settings.port = ["127.0.0.1"], 0
    settings.n_parallel, settings.n_ctx = wanted["slots"], wanted["slots"] * wanted["context"]
    settings.cache_ram_mib = wanted["prompts"]
    settings.cors_origins = "http://localhost"  # no page that a browser shows may ask it
    settings.ui = False
    settings.sleep_idle_seconds = wanted["idle"]
    if wanted["threads"]:
        settings.cpuparams.n_threads = settings.cpuparams_batch.n_threads = wanted["threads"]
    return settings


if __name__ == "__main__":
    main()
