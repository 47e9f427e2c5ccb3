"""A web server on this machine that does what servers do, and counts what it sends."""

import hashlib
import threading
from collections import Counter
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit


class Site:
    """The files of a server and how it behaves.

    Attributes:
        files: Path (with its query) to content.
        headers: Path to further header fields of its answers.
        statuses: Path to statuses with which the next answers refuse.
        cuts: Path to numbers of bytes after which the next answers break off.
        redirects: Path to the address that is given instead.
        ignore_range: Send the whole file whatever part was asked for.
        ignore_if_range: Send the part even if the file has changed.
        validators: Send ETag and Last-Modified.
        lengths: Send Content-Length.
        head: Answer HEAD requests.
        served: Path to bytes of content sent.
        requests: (method, path, Range) of every request.
    """

    def __init__(self):
        self.files = {}
        self.headers = {}
        self.statuses = {}
        self.cuts = {}
        self.redirects = {}
        self.ignore_range = self.ignore_if_range = False
        self.validators = self.lengths = self.head = True
        self.served = Counter()
        self.requests = []
        self.on_request = lambda path: None
        self.url = ""

    def etag(self, path):
        return f'"{hashlib.sha256(self.files[path]).hexdigest()}"'

    def gets(self, path):
        return [
            requested
            for method, name, requested in self.requests
            if (method, name) == ("GET", path)
        ]

    def forget(self):
        self.served.clear()
        self.requests.clear()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *arguments):
        pass

    def do_HEAD(self):
        self.answer(body=False)

    def do_GET(self):
        self.answer(body=True)

    def answer(self, body):
        site, path = self.server.site, self.path
        site.requests.append((self.command, path, self.headers.get("Range")))
        site.on_request(path)
        if path in site.redirects:
            return self.refuse(302, {"Location": site.redirects[path]})
        if not body and not site.head:
            return self.refuse(405)
        if body and site.statuses.get(path):
            status, *fields = site.statuses[path].pop(0)
            return self.refuse(status, *fields)
        if path not in site.files:
            return self.refuse(404)
        content = site.files[path]
        part = self.part(content)
        if part == "bad":
            return self.refuse(416, {"Content-Range": f"bytes */{len(content)}"})
        self.send_response(206 if part else 200)
        if part:
            self.send_header("Content-Range", f"bytes {part}-{len(content) - 1}/{len(content)}")
        if site.validators:
            self.send_header("ETag", site.etag(path))
        for name, value in site.headers.get(path, {}).items():
            self.send_header(name, value)
        rest = content[part or 0 :]
        if site.lengths:
            self.send_header("Content-Length", str(len(rest)))
        else:
            self.close_connection = True
            self.send_header("Connection", "close")
        self.end_headers()
        if body:
            self.send(path, rest)
        return None

    def part(self, content):
        site, asked = self.server.site, self.headers.get("Range")
        if site.ignore_range or not asked:
            return None
        condition = self.headers.get("If-Range")
        changed = condition is not None and condition != site.etag(self.path)
        if changed and not site.ignore_if_range:
            return None
        start = int(asked.removeprefix("bytes=").removesuffix("-"))
        return start if start < len(content) else "bad"

    def send(self, path, content):
        site = self.server.site
        cuts = site.cuts.get(path)
        if cuts:
            content = content[: cuts.pop(0)]
            self.close_connection = True
        site.served[path] += len(content)
        self.wfile.write(content)

    def refuse(self, status, fields=None):
        self.send_response(status)
        for name, value in (fields or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", "0")
        self.end_headers()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        """A client that was killed is no error of the server."""


@contextmanager
def serving():
    """A site with an address, for as long as the block lasts."""
    site = Site()
    server = _Server(("127.0.0.1", 0), _Handler)
    server.site = site
    site.url = f"http://127.0.0.1:{server.server_port}/"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield site
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def path_of(url):
    """The path and query of a URL, as `Site.files` names it."""
    parts = urlsplit(url)
    return parts.path + (f"?{parts.query}" if parts.query else "")
