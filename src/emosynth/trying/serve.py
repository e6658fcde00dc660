"""``emosynth browse``: pages of rows, served to this machine alone."""

from __future__ import annotations

from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import BaseServer
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

from emosynth.errors import UserError
from emosynth.progress import counted
from emosynth.trying.web import POLICY, document, escaped

if TYPE_CHECKING:
    from emosynth.trying.found import Rows


class Server(ThreadingHTTPServer):
    """Serves the pages of `rows`; who asks before they are there waits."""

    rows: Rows


def server_of(port: int) -> Server:
    """Return a server of the pages on 127.0.0.1, not yet serving. It answers to its own address and no other name, and only reads.

    Raises
    ------
    UserError
        If the port is taken.
    """

    class Handler(BaseHTTPRequestHandler):
        server: Server

        def do_GET(self) -> None:
            own = port_of(self.server)
            # A page elsewhere could let a name of its own point here and read what is answered.
            if self.headers.get("Host", "") not in (f"127.0.0.1:{own}", f"localhost:{own}"):
                return self._answer(403, document("Not here", "<p>Only 127.0.0.1 is answered.</p>"))
            address = urlsplit(self.path)
            from emosynth.trying.browser import listing, row_page
            from emosynth.trying.found import Query

            rows = self.server.rows
            try:
                if address.path == "/":
                    return self._answer(200, listing(rows, Query.read(address.query)))
                if address.path == "/row":
                    place = rows.place_of(parse_qs(address.query).get("id", [""])[0])
                    if place is not None:
                        return self._answer(200, row_page(rows, place))
            except UserError as error:
                return self._answer(400, document("This cannot be shown", f"<p>{escaped(error.what)} {escaped(error.remedy)}</p>"))
            return self._answer(404, document("Nothing is here", '<p><a href="/">all rows</a></p>'))

        def _answer(self, status: int, page: str) -> None:
            body = page.encode("utf-8", "replace")
            self.send_response(status)
            for name, value in (
                ("Content-Type", "text/html; charset=utf-8"), ("Content-Length", str(len(body))), ("Cache-Control", "no-store"),
                ("Content-Security-Policy", f"{POLICY}; frame-ancestors 'none'"), ("X-Content-Type-Options", "nosniff"),
                ("Referrer-Policy", "no-referrer"), ("Cross-Origin-Resource-Policy", "same-origin"),
            ):  # fmt: skip
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def version_string(self) -> str:
            return "emosynth"

        def log_message(self, format: str, *args: object) -> None:
            pass

    try:
        return Server(("127.0.0.1", port), Handler)
    except (OSError, OverflowError) as error:
        raise UserError(f"Nothing can be served here: {error}.", where=f"127.0.0.1:{port}", remedy="Take another port: --port 0") from None


def port_of(server: BaseServer) -> int:
    """Return the port that a server listens on."""
    return int(server.server_address[1])  # type: ignore[index,arg-type]


def serve(server: Server, rows: Rows) -> int:
    """Serve the pages of rows until interrupted."""
    server.rows = rows
    print(f"ready: {counted(len(rows.frame), 'row')}, which hold corpus text. Stop: Ctrl+C", flush=True)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        print("stopped")
    return 0
