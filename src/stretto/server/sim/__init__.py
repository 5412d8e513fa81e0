"""The simulator as an OpenAI-compatible server."""

from stretto.server.listening import listening
from stretto.server.sim.app import PROVIDER, serve, served, simulator_app

__all__ = ["PROVIDER", "listening", "serve", "served", "simulator_app"]
