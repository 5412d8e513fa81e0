"""The page as one file: nothing in it is fetched, and no script runs in it but its own."""

import base64
import hashlib
import re
from html import escape

from stretto.ground.files import SHIPPED
from stretto.ground.regex import regex
from stretto.ground.text import clean, one_line
from stretto.page.content import Content, encoded

MODULES = (
    "dom",
    "format",
    "model",
    "source",
    "axis",
    "bars",
    "forecast",
    "timeline",
    "graph",
    "calls",
    "inspector",
    "answer",
    "summary",
    "main",
    "file",
)
"""The page's own modules, each after those that it imports."""

_IMPORT = regex(r'^import \{([^}]*)\} from "\./(\w+)\.js";$', re.MULTILINE)
_EXPORT = regex(r"^export ((?:const|class|function) (\w+))", re.MULTILINE)
_TITLE = 80


def document(content: Content) -> str:
    """The HTML of a page; whatever is in the content is data to it.

    Its policy names script and style by their digests, so that nothing else could run even if it came to stand there.
    """
    code, style = script(), _asset("page.css")
    policy = "; ".join(
        (
            "default-src 'none'",
            f"script-src {_digest(code)}",
            f"style-src {_digest(style)}",
            "img-src data:",
            "base-uri 'none'",
            "form-action 'none'",
            "require-trusted-types-for 'script'",
            "trusted-types 'none'",
        )
    )
    title = one_line(clean(content.task))[:_TITLE] or content.id
    return _SHELL.format(policy=escape(policy), title=escape(title), style=style, data=encoded(content), script=code)


def script() -> str:
    """The modules in one: a file cannot import a part of itself, so each is a function that returns what it exports."""
    return "\n".join(map(_module, MODULES))


def _module(name: str) -> str:
    text = _asset(f"{name}.js")
    exported = ", ".join(each for _, each in _EXPORT.findall(text))
    body = _EXPORT.sub(r"\1", _IMPORT.sub(r"const {\1} = $\2;", text))
    return f"const ${name} = (() => {{\n{body}return {{ {exported} }};\n}})();"


def _asset(name: str) -> str:
    return (SHIPPED / "page" / name).read_text(encoding="utf-8")


def _digest(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


_SHELL = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="referrer" content="no-referrer">
<title>{title}</title>
<link rel="icon" href="data:,">
<style>{style}</style>
</head>
<body>
<noscript>This page draws a run with a script of its own; it fetches nothing. Allow scripts to see it.</noscript>
<div id="page"></div>
<script type="application/json" id="content">{data}</script>
<script type="module">{script}</script>
</body>
</html>
"""
