"""How far the axis of time reaches."""

_STEPS = (1, 2, 3, 5, 8, 10, 15, 20, 30, 45)


def reach(now: float) -> float:
    """Where the axis ends while a run goes on: a round number of seconds, so that bars seldom move."""
    scale = 1.0
    while True:
        for step in _STEPS:
            if now <= step * scale:
                return step * scale
        scale *= 60 if scale < 60 else 10
