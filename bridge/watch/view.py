"""The same view in a notebook."""

import threading
from collections.abc import Mapping
from typing import Any

from mstpn.bridge.watch.live import Live
from mstpn.bridge.watch.server import Server
from mstpn.bridge.watch.session import Session

__all__ = ["View"]


class View:
    """A session that plays in a thread of its own; shown, it is a frame with the page.

    Parameters
    ----------
    session : Session
    gpu : mapping of str to float, optional
        As for `mstpn.bridge.watch.live.Live`.
    height : int
        Of the frame, pixels.
    port : int
        0 for any that is free.

    Attributes
    ----------
    live : Live
    address : str
        Of the page, on the machine of the kernel.

    Raises
    ------
    ValueError
        If the port cannot be had.
    """

    def __init__(
        self,
        session: Session,
        *,
        gpu: Mapping[str, float] | None = None,
        height: int = 980,
        port: int = 0,
    ) -> None:
        self.live, self.height = Live(session, gpu=gpu), height
        self._server = Server(self.live, port)
        self.address = self._server.address
        self._server.start()
        self._player = threading.Thread(target=self.live.run, name="mstpn watch play", daemon=True)
        self._player.start()

    def order(self, **changes: Any) -> None:
        """Change settings, `paused`, `speed` or `step`, as the page does; see `Live.order`."""
        self.live.order(changes)

    def close(self) -> None:
        """End the game and the page; the session is then the caller's alone."""
        self.live.stop()
        self._player.join()
        self._server.stop()

    def _repr_html_(self) -> str:
        return (
            f'<iframe src="{self.address}" title="mstpn watch" '
            f'style="width: 100%; height: {self.height}px; border: 0"></iframe>'
        )
