"""Models of this machine, without a server of one's own: a GGUF file, loaded by llama.cpp in a child process."""

from stretto.models.local.server import LocalServer

__all__ = ["LocalServer"]
