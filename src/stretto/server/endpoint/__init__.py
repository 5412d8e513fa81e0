"""Workflows behind an OpenAI-compatible endpoint."""

from stretto.server.endpoint.app import endpoint_app
from stretto.server.endpoint.desk import Door, Means
from stretto.server.endpoint.guard import Guard
from stretto.server.endpoint.service import LARGEST_BODY, MOST_RUNS, MOST_WAITING, SERVICE, Offer
from stretto.server.endpoint.serving import GRACE, serve
from stretto.server.listening import listening

__all__ = [
    "GRACE",
    "LARGEST_BODY",
    "MOST_RUNS",
    "MOST_WAITING",
    "SERVICE",
    "Door",
    "Guard",
    "Means",
    "Offer",
    "endpoint_app",
    "listening",
    "serve",
]
