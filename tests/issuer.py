"""An issuer of OpenID Connect on this machine: it publishes, takes codes, and signs. It can be told to do wrong."""

import base64
import hashlib
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa

CLIENT_ID, CLIENT_SECRET = "gateway", "s3cret/+&"


class LocalIssuer:
    """`visit` is what a browser and its user do; `claims` change what is said of the user."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.keys = {"k1": rsa.generate_private_key(public_exponent=65537, key_size=2048)}
        self.signs_with = "k1"
        self.claims: dict[str, Any] = {}
        self.token: str | None = None
        """Said instead of a right one."""
        self.now_s = int(time.time())
        self.codes: dict[str, dict[str, str]] = {}
        self.fetched: list[str] = []
        self.calls_itself = self.url
        self.is_public = False
        """Whether the client needs no secret."""

    def visit(self, url: str) -> tuple[str, str]:
        """The code and the state that the browser comes back with."""
        query = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
        assert query["response_type"] == "code"
        assert query["client_id"] == CLIENT_ID
        assert query["code_challenge_method"] == "S256"
        assert set(query["scope"].split()) >= {"openid", "email"}
        code = f"code-{len(self.codes)}"
        self.codes[code] = query
        return code, query["state"]

    def answer(self, path: str, form: dict[str, str], authorization: str | None) -> tuple[int, Any]:
        self.fetched.append(path)
        if path == "/.well-known/openid-configuration":
            return 200, {
                "issuer": self.calls_itself,
                "authorization_endpoint": f"{self.url}/authorize",
                "token_endpoint": f"{self.url}/token",
                "jwks_uri": f"{self.url}/keys",
            }
        if path == "/keys":
            return 200, {"keys": [self._published(name) for name in self.keys]}
        if path == "/token":
            return self._exchange(form, authorization)
        return 404, {}

    def _published(self, name: str) -> dict[str, Any]:
        return {
            **jwt.algorithms.RSAAlgorithm.to_jwk(self.keys[name].public_key(), as_dict=True),
            "kid": name,
            "use": "sig",
        }

    def _exchange(self, form: dict[str, str], authorization: str | None) -> tuple[int, Any]:
        pair = base64.b64encode(b"gateway:s3cret%2F%2B%26").decode()
        asked = self.codes.pop(form.get("code", ""), None)
        public = self.is_public and authorization is None and form.get("client_id") == CLIENT_ID
        if asked is None or not (public or authorization == f"Basic {pair}"):
            return 400, {"error": "invalid_grant"}
        challenge = base64.urlsafe_b64encode(hashlib.sha256(form["code_verifier"].encode()).digest()).decode()
        if challenge.rstrip("=") != asked["code_challenge"] or form["redirect_uri"] != asked["redirect_uri"]:
            return 400, {"error": "invalid_grant"}
        claims = {
            "iss": self.url,
            "aud": CLIENT_ID,
            "sub": "user-1",
            "iat": self.now_s,
            "exp": self.now_s + 300,
            "nonce": asked["nonce"],
            "email": "boss@example.com",
            "email_verified": True,
            "name": "The Boss",
            **self.claims,
        }
        said = {name: value for name, value in claims.items() if value is not None}
        right = jwt.encode(said, self.keys[self.signs_with], algorithm="RS256", headers={"kid": self.signs_with})
        return 200, {
            "id_token": right if self.token is None else self.token,
            "access_token": "x",
            "token_type": "Bearer",
        }


@contextmanager
def local_issuer() -> Iterator[LocalIssuer]:
    """One that runs."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._say(*issuer.answer(self.path, {}, None))

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"])).decode()
            form = {name: values[0] for name, values in parse_qs(body).items()}
            self._say(*issuer.answer(self.path, form, self.headers.get("authorization")))

        def _say(self, status: int, content: Any) -> None:
            body = json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Nothing is written."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    issuer = LocalIssuer(server.server_address[1])
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield issuer
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
