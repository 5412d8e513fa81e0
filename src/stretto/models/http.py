"""One HTTP session for all endpoints of an event loop, and what its failures mean."""

import contextlib
import ssl
from collections.abc import Iterator

import aiohttp
import truststore

from stretto import errors


class Http:
    """An `aiohttp` session made on first use: no cap on connections, proxies from the environment, system certificates.

    Time is kept by the callers; the only limit of the session itself is on making a connection.
    """

    def __init__(self) -> None:
        self._session: aiohttp.ClientSession | None = None
        self._tls: ssl.SSLContext | None = None

    @property
    def tls(self) -> ssl.SSLContext:
        """The system's certificates, read now if need be."""
        if self._tls is None:
            self._tls = truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        return self._tls

    @property
    def session(self) -> aiohttp.ClientSession:
        """The session, opened now if need be."""
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0),
                timeout=aiohttp.ClientTimeout(total=None),
                trust_env=True,
                cookie_jar=aiohttp.DummyCookieJar(),
                # A reply can have long lines and large bodies; the default buffer would stall them for nothing.
                read_bufsize=2**18,
            )
        return self._session

    async def close(self) -> None:
        """Close the session and every connection."""
        if self._session is not None:
            await self._session.close()
            self._session = None


@contextlib.contextmanager
def explained(where: str, *, began: bool) -> Iterator[None]:
    """Turn failures of the network into our errors; `began`: a part of the reply was here already."""
    broke = errors.CutError if began else errors.ConnectError
    try:
        yield
    except TimeoutError as error:
        raise errors.CallTimeout(f"{where}: nothing arrived in time") from error
    except aiohttp.ClientConnectorCertificateError as error:
        raise errors.RequestError(f"{where}: the certificate is refused: {error.certificate_error}") from error
    except aiohttp.InvalidURL as error:
        raise errors.RequestError(f"{where}: no usable URL") from error
    except aiohttp.ClientConnectorError as error:
        raise errors.ConnectError(f"{where}: cannot connect to {error.host}:{error.port} ({error.strerror})") from error
    except (aiohttp.ClientError, OSError) as error:
        text = str(error) or type(error).__name__
        raise broke(f"{where}: the connection broke: {text}") from error
