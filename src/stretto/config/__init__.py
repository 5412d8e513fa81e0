"""TOML, environment and flags become what a `Workflow` is made of."""

from stretto.config.building import Configuration
from stretto.config.defaults import default_model
from stretto.config.loading import load
from stretto.config.reading import Source, presets, read_file, read_preset, read_workflow
from stretto.config.record import recorded_providers, recorded_roles
from stretto.config.teams import Choice
from stretto.config.values import dollars, nearest, number, seconds, share

__all__ = [
    "Choice",
    "Configuration",
    "Source",
    "default_model",
    "dollars",
    "load",
    "nearest",
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
