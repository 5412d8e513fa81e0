"""Texts that tasks come with and that no file needs to hold."""

from itertools import cycle

_QUIET = (
    ("gateway", "INFO", "GET /orders 200 in 41 ms"),
    ("search", "INFO", "index merged, 1,204 documents"),
    ("billing", "INFO", "invoice written"),
    ("mailer", "INFO", "queue is empty"),
    ("gateway", "INFO", "GET /health 200 in 2 ms"),
    ("search", "WARN", "slow query, 812 ms"),
    ("billing", "INFO", "payment confirmed"),
)
_TROUBLE = {
    9: ("billing", "ERROR", "cannot write invoice 5521: no space left on disk /var/lib/billing"),
    10: ("billing", "ERROR", "cannot write invoice 5522: no space left on disk /var/lib/billing"),
    23: ("mailer", "ERROR", "SMTP connection to mx.example.org:25 refused, 14 mails wait"),
    31: ("mailer", "ERROR", "SMTP connection to mx.example.org:25 refused, 22 mails wait"),
}


def log(lines: int = 40) -> str:
    """A night's log of five services, two of which have errors, one for each of two causes."""
    quiet = cycle(_QUIET)
    told = [_TROUBLE[at] if at in _TROUBLE else next(quiet) for at in range(lines)]
    stamps = [f"0{1 + at * 7 // 60}:{at * 7 % 60:02}" for at in range(lines)]
    return "".join(
        f"{stamp} {service} {level} {said}\n" for stamp, (service, level, said) in zip(stamps, told, strict=True)
    )
