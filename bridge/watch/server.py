"""One page on this machine's loopback: what is played goes out, orders come in.

Python's `http.server` is all it needs: a page reads one long answer, message after message, and
sends orders as small JSON documents. Requests are answered only to this machine under its own
name, so that no page from elsewhere can reach it by way of the browser.
"""

import contextlib
import json
import socket
import sys
import threading
from collections.abc import Iterator
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from typing import Any, ClassVar
from urllib.parse import parse_qs, urlsplit

from mstpn.bridge.watch.live import Live, PageView
from mstpn.bridge.watch.session import FIELDS

__all__ = ["Server", "page"]

_LONGEST_ORDER = 4096
_MOST_PAGES = 16
_PATIENCE_S = 10
_POLICY = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:; "
    "connect-src 'self'; frame-ancestors 'self' http://localhost:* http://127.0.0.1:*"
)


def page() -> str:
    """The page, HTML with all that it needs."""
    return files("mstpn.bridge.watch").joinpath("page.html").read_text("utf-8")


class Server(ThreadingHTTPServer):
    """Serves a live session to pages on this machine.

    Parameters
    ----------
    live : Live
    port : int
        0 for any that is free.

    Raises
    ------
    ValueError
        If the port cannot be had.
    """

    daemon_threads = True
    block_on_close = False
    allow_reuse_address = True

    def __init__(self, live: Live, port: int = 0) -> None:
        self.live, self.page, self.closed = live, page().encode(), False
        try:
            super().__init__(("127.0.0.1", port), _Handler)
        except (OSError, OverflowError) as error:
            reason = getattr(error, "strerror", None) or error
            raise ValueError(f"port {port} of 127.0.0.1 cannot be had: {reason}") from error
        names = ("127.0.0.1", "localhost")
        self.hosts = {f"{name}:{self.server_port}" for name in names}

    @property
    def address(self) -> str:
        """Of the page."""
        return f"http://127.0.0.1:{self.server_port}/"

    def start(self) -> None:
        """Answer requests, in a thread of its own."""
        threading.Thread(target=self.serve_forever, name="mstpn watch", daemon=True).start()

    def stop(self) -> None:
        """End all pages' answers and close the port."""
        self.closed = True
        self.shutdown()
        self.server_close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A page that went away is no error."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    """Three requests: the page, its long answer, an order."""

    server: Server
    timeout = _PATIENCE_S
    server_version, sys_version = "mstpn", ""
    error_message_format = "%(message)s\n"
    error_content_type = "text/plain"
    _waiting: ClassVar[threading.Lock] = threading.Lock()

    def do_GET(self) -> None:
        address = self._from_here()
        if address is None:
            return
        if address.path == "/":
            self._answer(HTTPStatus.OK, self.server.page, "text/html; charset=utf-8")
        elif address.path == "/moments":
            self._moments(address.query)
        else:
            self._refuse(HTTPStatus.NOT_FOUND, "there is the page, /, and nothing else")

    def do_POST(self) -> None:
        address = self._from_here()
        if address is None:
            return
        if address.path != "/order":
            self._refuse(HTTPStatus.NOT_FOUND, "orders go to /order")
            return
        try:
            self.server.live.order(self._order())
        except ValueError as error:
            self._refuse(HTTPStatus.BAD_REQUEST, str(error))
        else:
            self._answer(HTTPStatus.NO_CONTENT, b"", "text/plain")

    def _from_here(self) -> Any:
        """What is asked for, or None if that was refused."""
        host, origin = self.headers.get("Host"), self.headers.get("Origin")
        if host not in self.server.hosts:
            self._refuse(HTTPStatus.FORBIDDEN, "Host is not this machine")
            return None
        if origin is not None and origin != f"http://{host}":
            self._refuse(HTTPStatus.FORBIDDEN, "Origin is another page")
            return None
        try:
            return urlsplit(self.path)
        except ValueError:
            self._refuse(HTTPStatus.BAD_REQUEST, "the address is none")
            return None

    def _order(self) -> dict[str, Any]:
        kind, length = self.headers.get_content_type(), self.headers.get("Content-Length", "")
        if kind != "application/json":
            raise ValueError("an order must be application/json")
        plain = length.isascii() and length.isdecimal() and len(length) < 6
        if not plain or int(length) > _LONGEST_ORDER:
            raise ValueError(f"an order must have a length of at most {_LONGEST_ORDER}")
        try:
            order = json.loads(self.rfile.read(int(length)))
        except (ValueError, RecursionError) as error:
            raise ValueError("an order must be JSON") from error
        if not isinstance(order, dict):
            raise ValueError("an order must be an object")
        return order

    def _moments(self, query: str) -> None:
        asked = parse_qs(query)
        number = asked.get("synapse", [""])[0]
        try:
            if number and not (number.isascii() and number.isdecimal() and len(number) < 10):
                raise ValueError(f"synapse must be a number, got {number!r:.80}")
            chosen = int(number) if number else None
            view = PageView(asked.get("field", [FIELDS[0]])[0], chosen)
        except ValueError as error:
            self._refuse(HTTPStatus.BAD_REQUEST, str(error))
            return
        with self._shown(view) as shown:
            if not shown:
                reason = f"{_MOST_PAGES} pages are open, close one"
                self._refuse(HTTPStatus.SERVICE_UNAVAILABLE, reason)
                return
            self._head(HTTPStatus.OK, "application/octet-stream")
            for content in view.messages(lambda: not self.server.closed):
                self.wfile.write(content)

    @contextlib.contextmanager
    def _shown(self, view: PageView) -> Iterator[bool]:
        live = self.server.live
        with self._waiting:
            room = live.n_viewers < _MOST_PAGES
            if room:
                live.add(view)
        try:
            yield room
        finally:
            live.remove(view)

    def _head(self, status: HTTPStatus, kind: str, length: int | None = None) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Cache-Control", "no-store")
        self.send_header("Content-Security-Policy", _POLICY)
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Referrer-Policy", "no-referrer")
        if length is not None:
            self.send_header("Content-Length", str(length))
        self.end_headers()

    def _answer(self, status: HTTPStatus, body: bytes, kind: str) -> None:
        self._head(status, kind, len(body))
        self.wfile.write(body)

    def _refuse(self, status: HTTPStatus, reason: str) -> None:
        self._answer(status, f"{reason}\n".encode("utf-8", "replace"), "text/plain; charset=utf-8")

    def setup(self) -> None:
        """Small messages go out at once."""
        super().setup()
        with contextlib.suppress(OSError):
            self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, True)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""
