"""What a run will ask, known before it is asked: the run itself, walked without the world."""

from stretto.forecast.earlier import Forecast
from stretto.forecast.explain import explain

__all__ = ["Forecast", "explain"]
