"""What is said of a call that a run cannot pay: the ceiling that binds, by its name, and what to do."""

from stretto.policies.estimate import usual_output
from stretto.policies.spending import NOTHING, Amount
from stretto.types import Limits


def shortage(limits: Limits, spent: Amount, need: Amount, aside: Amount) -> str:
    """Why a call cannot be paid that may need so much, beside what is `aside` for the answer.

    Of two ceilings only the one that it would break is named, or both if it would break both.
    """
    budget, tokens = limits.budget or NOTHING.money, limits.tokens or 0
    left = Amount(max(NOTHING.money, budget - spent.money), max(0, tokens - spent.tokens))
    broken = [_money(budget, left, need, aside)] if limits.budget is not None else []
    if limits.tokens is not None:
        broken.append(_tokens(tokens, left, need, aside))
    binding = [told for told, breaks in broken if breaks] or [told for told, _ in broken]
    names = [name for name in ("budget", "tokens") if any(told.startswith(name) for told in binding)]
    return (
        f"{'; '.join(binding)}; raise {' and '.join(names)}, or lower max_tokens "
        f"({usual_output('worker', 0):,} for a reply that sets none)"
    )


def _money(budget: object, left: Amount, need: Amount, aside: Amount) -> tuple[str, bool]:
    kept = f", ${aside.money:.4f} are kept for the answer" if aside.money else ""
    told = f"budget: this call may cost as much as ${need.money:.4f}{kept}, and of ${budget:.4f} only ${left.money:.4f}"
    return f"{told} are left", need.money + aside.money > left.money


def _tokens(most: int, left: Amount, need: Amount, aside: Amount) -> tuple[str, bool]:
    kept = f", {aside.tokens:,} are kept for the answer" if aside.tokens else ""
    told = f"tokens: this call may take as many as {need.tokens:,}{kept}, and of {most:,} only {left.tokens:,}"
    return f"{told} are left", need.tokens + aside.tokens > left.tokens
