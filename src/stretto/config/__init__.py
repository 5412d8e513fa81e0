"""TOML, environment and flags become a `Workflow`."""

from stretto.config.building import Configuration
from stretto.config.reading import Source, presets, read_file, read_preset, read_workflow
from stretto.config.record import recorded_providers, recorded_roles
from stretto.config.teams import Choice
from stretto.config.values import dollars, number, seconds, share

__all__ = [
    "Choice",
    "Configuration",
    "Source",
    "dollars",
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
