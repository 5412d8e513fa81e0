"""The page as a server gives it: one document for every address, and the modules and styles that it loads."""

from functools import cache

from stretto.ground.files import SHIPPED
from stretto.page.document import MODULES

ENTRY = "app"
_OWN = ("early", "asking", "live", "runs", "start", "steering", "gate", "beside", ENTRY)
SERVED = (*(name for name in MODULES if name != "file"), *_OWN)
"""The modules that are loaded there, each after those that it imports."""
_STYLES = ("page", "app")
_KINDS = {".js": "text/javascript", ".css": "text/css"}

_POLICY = """
default-src 'none';
script-src 'self';
style-src 'self';
connect-src 'self';
img-src data:;
base-uri 'none';
form-action 'none';
frame-ancestors 'none';
require-trusted-types-for 'script';
trusted-types 'none'
"""
HEADERS = {
    "content-security-policy": " ".join(_POLICY.split()),
    "cache-control": "no-cache",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-frame-options": "DENY",
}
"""What each part of it is sent with: it loads nothing from elsewhere, runs its modules alone, stands in no frame."""


@cache
def assets() -> dict[str, tuple[str, bytes]]:
    """What it loads, by name: the kind of each, and its bytes."""
    names = (*(f"{name}.js" for name in SERVED), *(f"{name}.css" for name in _STYLES))
    return {name: (_KINDS[name[name.rindex(".") :]], (SHIPPED / "page" / name).read_bytes()) for name in names}


@cache
def shell() -> bytes:
    """The document; nothing in it is anybody's but ours."""
    styles = "".join(f'<link rel="stylesheet" href="/page/{name}.css">\n' for name in _STYLES)
    modules = "".join(f'<link rel="modulepreload" href="/page/{name}.js">\n' for name in SERVED)
    return _SHELL.format(styles=styles, modules=modules, entry=ENTRY).encode()


_SHELL = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>Stretto</title>
<link rel="icon" href="data:,">
<script type="module" async fetchpriority="high" src="/page/early.js"></script>
{styles}{modules}</head>
<body>
<noscript>This page draws runs with scripts of its own and asks this server alone. Allow scripts to see it.</noscript>
<div id="page"></div>
<script type="module" src="/page/{entry}.js"></script>
</body>
</html>
"""
