"""The shape a reply must have: a JSON schema, and the Python type that may stand behind it."""

from stretto.shapes.kinds import Fitted, Misfit, Shape, fitted, schema_of, shape_of
from stretto.shapes.schema import check_schema

__all__ = ["Fitted", "Misfit", "Shape", "check_schema", "fitted", "schema_of", "shape_of"]
