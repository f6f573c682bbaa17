"""An HTTP extender that does what a file says and writes down what it was asked.

    python tests/extender/program.py --port 8888 --rules rules.json --requests requests.jsonl

Needs nothing but Python. The rules are read again for every request, so that a test may change
them; `Rules` in `process.py` says what they can be. With ``--certificate`` and ``--key`` it speaks
HTTPS, with ``--client-authority`` only to clients that have a certificate of that authority.
"""

from __future__ import annotations

import argparse
import json
import ssl
import threading
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    rules_path: Path
    requests_path: Path
    lock = threading.Lock()

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        verb = self.path.rpartition("/")[2]
        line = json.dumps({"verb": verb, "body": body})
        with self.lock, self.requests_path.open("a") as requests:
            requests.write(line + "\n")
        rules = json.loads(self.rules_path.read_text())
        if verb in rules.get("broken", ()):
            self._send(500, {"Error": "out of order"})
            return
        answer = VERBS[verb](json.loads(body), rules)
        self._send(200, answer)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the library's name
        pass

    def _send(self, status: int, answer: Any) -> None:
        body = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def filter_nodes(asked: Any, rules: Any) -> Any:
    """Rejects what the rules reject; answers in the form it was asked in."""
    failed, unresolvable = rules.get("failed", {}), rules.get("unresolvable", {})
    answer: dict[str, Any] = {
        "FailedNodes": failed,
        "FailedAndUnresolvableNodes": unresolvable,
        "Error": "",
    }
    lost = {*failed, *unresolvable}
    if asked["NodeNames"] is not None:
        answer["NodeNames"] = [name for name in asked["NodeNames"] if name not in lost]
    else:
        kept = [item for item in asked["Nodes"]["items"] if item["metadata"]["name"] not in lost]
        answer["Nodes"] = {"metadata": {}, "items": kept}
    return answer


def prioritize(asked: Any, rules: Any) -> Any:
    """The scores of the rules; keys in lower case, as programs not written in Go like them."""
    return [{"host": host, "score": score} for host, score in rules.get("scores", {}).items()]


def preempt(asked: Any, rules: Any) -> Any:
    """Leaves the candidates that the rules name, or all, with their victims."""
    meta = asked["NodeNameToMetaVictims"]
    if meta is None:
        meta = {
            name: {
                "Pods": [{"UID": pod["metadata"]["uid"]} for pod in victims["Pods"]],
                "NumPDBViolations": victims["NumPDBViolations"],
            }
            for name, victims in asked["NodeNameToVictims"].items()
        }
    wanted = rules.get("candidates")
    return {
        "NodeNameToMetaVictims": {
            name: victims for name, victims in meta.items() if wanted is None or name in wanted
        }
    }


def bind(asked: Any, rules: Any) -> Any:
    """Binds through the API server that the rules name."""
    api = rules["api"]
    namespace, name = asked["PodNamespace"], asked["PodName"]
    binding = {
        "apiVersion": "v1",
        "kind": "Binding",
        "metadata": {"name": name, "namespace": namespace, "uid": asked["PodUID"]},
        "target": {"apiVersion": "v1", "kind": "Node", "name": asked["Node"]},
    }
    request = urllib.request.Request(
        f"{api['server']}/api/v1/namespaces/{namespace}/pods/{name}/binding",
        data=json.dumps(binding).encode(),
        headers={
            "Content-Type": "application/json",
            "User-Agent": "extender",
            "Authorization": f"Bearer {api.get('token', '')}",
        },
    )
    context = ssl.create_default_context(cafile=api["authority"]) if "authority" in api else None
    try:
        with urllib.request.urlopen(request, context=context):
            return {"Error": ""}
    except urllib.error.HTTPError as error:
        return {"Error": error.read().decode()}


VERBS = {"filter": filter_nodes, "prioritize": prioritize, "preempt": preempt, "bind": bind}


def main() -> None:
    """Serves until it is ended."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--rules", type=Path, required=True)
    parser.add_argument("--requests", type=Path, required=True)
    parser.add_argument("--certificate")
    parser.add_argument("--key")
    parser.add_argument("--client-authority")
    options = parser.parse_args()
    Handler.rules_path, Handler.requests_path = options.rules, options.requests
    server = ThreadingHTTPServer(("127.0.0.1", options.port), Handler)
    if options.certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(options.certificate, options.key)
        if options.client_authority:
            context.load_verify_locations(options.client_authority)
            context.verify_mode = ssl.CERT_REQUIRED
        server.socket = context.wrap_socket(server.socket, server_side=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
