"""Rehearsals: a workflow carried many times on the simulator, in virtual time, before anything is paid.

`prepare` puts stand-ins in the place of its providers; `carry` performs it under each `Variation` with the same seeds;
`figures` says what that comes to.
"""

from stretto.rehearsal.carrying import carry, carry_enough
from stretto.rehearsal.conditions import AS_IT_IS, Conditions, Rehearsal, Variation, prepare, usual, vary
from stretto.rehearsal.figures import Change, Comparison, Figures, compared, figures
from stretto.rehearsal.recorded import ENOUGH, Recorded, recorded
from stretto.rehearsal.trial import Trial, perform

__all__ = [
    "AS_IT_IS",
    "ENOUGH",
    "Change",
    "Comparison",
    "Conditions",
    "Figures",
    "Recorded",
    "Rehearsal",
    "Trial",
    "Variation",
    "carry",
    "carry_enough",
    "compared",
    "figures",
    "perform",
    "prepare",
    "recorded",
    "usual",
    "vary",
]
