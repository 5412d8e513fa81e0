"""The simulator as an OpenAI-compatible server."""

from stretto.server.sim.app import PROVIDER, listening, serve, simulator_app

__all__ = ["PROVIDER", "listening", "serve", "simulator_app"]
