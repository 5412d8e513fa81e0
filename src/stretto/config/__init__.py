"""TOML, environment and flags become what a `Workflow` is made of."""

from stretto.config.building import Configuration
from stretto.config.clients import Client, keys_of
from stretto.config.loading import default_model, load
from stretto.config.reading import Source, presets, read_file, read_preset, read_workflow
from stretto.config.record import recorded_providers, recorded_roles
from stretto.config.teams import Choice
from stretto.config.trust import Claim, Words, claims, is_harmless
from stretto.config.values import among, number, seconds, share

__all__ = [
    "Choice",
    "Claim",
    "Client",
    "Configuration",
    "Source",
    "Words",
    "among",
    "claims",
    "default_model",
    "is_harmless",
    "keys_of",
    "load",
    "number",
    "presets",
    "read_file",
    "read_preset",
    "read_workflow",
    "recorded_providers",
    "recorded_roles",
    "seconds",
    "share",
]
