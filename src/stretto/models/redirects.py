"""Where a redirect leads: it is told and not followed, for what is sent there bears a key."""

from urllib.parse import urljoin

from stretto.models.providers import PATH


def of_redirect(url: str, location: str) -> str:
    """What to say of a redirect from this URL, with what to do about it."""
    target = _base(urljoin(url, location))
    if target == _base(url):
        why = "redirects to itself" if location else "redirects, and does not say where to"
        return f"{why}; check the base URL, and proxies in between"
    if not target.startswith(("http://", "https://")):
        return f"redirects to {target}, which is no place to ask; check the base URL, and proxies in between"
    return f"redirects elsewhere; if that is right, set the base URL to {target}"


def _base(url: str) -> str:
    """The base URL that it stands for, without anybody's name and password: `https://known.com@unknown.com`."""
    scheme, slashes, rest = url.partition("?")[0].removesuffix(PATH).partition("//")
    host, slash, path = rest.partition("/")
    return f"{scheme}{slashes}{host.rpartition('@')[2]}{slash}{path}"
