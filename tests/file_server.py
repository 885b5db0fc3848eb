"""A web server on this machine, which delivers files well or badly, as told."""

import gzip
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class FileServer(ThreadingHTTPServer):
    """Answers each path with what `answers` has for it: a function of the request.

    A list of functions is used up from the front, except for its last one.
    """

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answers = {}
        self.requests = []
        self.n_sent = 0
        self.released = threading.Event()  # what an answer waits for that never ends

    def mirror(self, name):
        """Return the template of addresses of a mirror on this server."""
        return f"http://127.0.0.1:{self.server_port}/{name}/{{repository}}/{{commit}}/{{path}}"

    def handle_error(self, request, client_address):
        """Say nothing: some clients hang up, and they are meant to."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.close_connection = True
        self.server.requests.append((self.path, self.headers.get("Range")))
        answer = self.server.answers.get(self.path.split("/")[1], status(404))
        if isinstance(answer, list):
            answer = answer.pop(0) if len(answer) > 1 else answer[0]
        answer(self)

    def log_message(self, *_):
        pass

    def send(self, piece):
        self.server.n_sent += len(piece)
        self.wfile.write(piece)

    def head(self, code, **headers):
        self.send_response(code)
        self.send_header("Connection", "close")
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()


@contextmanager
def file_server():
    """Run a server in a thread of its own."""
    server = FileServer()
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield server
    finally:
        server.released.set()
        server.shutdown()
        server.server_close()
        thread.join()


def status(code, **headers):
    """Answer with a status and no content."""
    return lambda request: request.head(code, Content_Length=0, **headers)


def content(data, *, ranges=True, cut=None, declared=True, hang=False):
    """Answer with a content.

    With `ranges`, only the rest if that is asked for. At most `cut` bytes are sent, and then the
    connection breaks or, with `hang`, falls silent. Without `declared` the size is not told.
    """

    def answer(request):
        wanted = request.headers.get("Range")
        first = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted and ranges else 0
        if first >= len(data) > 0:
            request.head(416, Content_Length=0)
            return
        headers = {"Content_Length": len(data) - first} if declared else {}
        if first:
            headers["Content_Range"] = f"bytes {first}-{len(data) - 1}/{len(data)}"
        request.head(206 if first else 200, **headers)
        end = len(data) if cut is None else min(len(data), first + cut)
        for begin in range(first, end, 65536):
            request.send(data[begin : min(end, begin + 65536)])
        if hang:
            request.wfile.flush()
            request.server.released.wait(30)

    return answer


def wrong_range(data):
    """Answer a request for the rest with some other part."""

    def answer(request):
        request.head(206, Content_Length=10, Content_Range=f"bytes 0-9/{len(data)}")
        request.send(data[:10])

    return answer


def compressed(data):
    """Answer with gzip compression, although nobody asked for it."""

    def answer(request):
        small = gzip.compress(data)
        request.head(200, Content_Length=len(small), Content_Encoding="gzip")
        request.send(small)

    return answer


def with_head(code=200, **headers):
    """Answer with a head that makes no sense, and a few bytes."""

    def answer(request):
        request.head(code, **headers)
        request.send(bytes(100))

    return answer


def endless(code, **headers):
    """Answer with 100 million bytes, of a size that is not told."""

    def answer(request):
        request.head(code, **headers)
        for _ in range(1000):
            request.send(bytes(100_000))

    return answer
