"""A hub on this machine: answers to the making of a repository and to one commit, and keeps what came in."""

from __future__ import annotations

import base64
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Hub:
    """Listens on a free port until `close`; `files` are those of the newest commit, `made` the repositories."""

    def __init__(self, *, refuses: bool = False) -> None:
        hub = self
        self.files: dict[str, bytes] = {}
        self.made: list[dict[str, object]] = []

        class Answers(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                self._answer(*((403, {"error": "not yours"}) if refuses else hub.answer(self.path, body)))

            def do_GET(self) -> None:
                self._answer(404, {"error": "nothing here"})

            def _answer(self, code: int, content: dict[str, object]) -> None:
                said = json.dumps(content).encode()
                self.send_response(code)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(said)))
                self.end_headers()
                self.wfile.write(said)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
        self.address = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def answer(self, path: str, body: bytes) -> tuple[int, dict[str, object]]:
        if path == "/api/repos/create":
            self.made.append(json.loads(body))
            return 200, {"url": f"{self.address}/ada/mine"}
        if path == "/api/validate-yaml":
            return 200, {"errors": [], "warnings": []}
        if "/preupload/" in path:
            files = json.loads(body)["files"]
            return 200, {
                "files": [{"path": one["path"], "uploadMode": "regular", "shouldIgnore": False} for one in files]
            }
        if "/commit/" in path:
            for line in body.splitlines():
                entry = json.loads(line)
                if entry["key"] == "file":
                    self.files[entry["value"]["path"]] = base64.b64decode(entry["value"]["content"])
            return 200, {"commitUrl": f"{self.address}/ada/mine/commit/1", "commitOid": "1" * 40}
        return 404, {"error": path}

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
