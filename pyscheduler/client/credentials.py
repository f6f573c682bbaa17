"""Who we are to the API server and how we reach it: one `Credentials` for every transport.

`load_credentials` looks, in this order, at the file it is given, at the service account of the pod
we run in, at ``$KUBECONFIG`` and at ``~/.kube/config``. Certificates, keys and tokens, which are
files or data, are read here, because each mistake in them must be told by file and field; what
needs a protocol (exec plugins, and the OIDC and GCP auth providers) goes through
``kubernetes.aio.config`` by way of `pyscheduler.client.auth_plugins`, which is imported only then:
that import takes half a second and 20 MB.

A token comes from a `TokenSource`, which is asked before each request and answers from memory
until its own time has come.
"""

import base64
import binascii
import os
import platform
import ssl
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from pyscheduler import __version__
from pyscheduler.client.kubeconfig import Entry, Kubeconfig, read_kubeconfig
from pyscheduler.clock import Clock, SystemClock
from pyscheduler.errors import CredentialsError

#: Where a pod finds its service account; the variable exists for processes outside of a pod.
SERVICE_ACCOUNT_DIR_VARIABLE = "PYSCHEDULER_SERVICE_ACCOUNT_DIR"
DEFAULT_SERVICE_ACCOUNT_DIR = "/var/run/secrets/kubernetes.io/serviceaccount"

#: Seconds between two looks at a token file: the kubelet rotates projected tokens in place, well
#: before they expire, and client-go looks once a minute as well.
TOKEN_FILE_REREAD_S = 60.0

#: Seconds that must pass between two forced refreshes, so that a stream of 401 answers does not
#: start an exec plugin for each.
_FORCED_REFRESH_PAUSE_S = 10.0

USER_AGENT = f"pyscheduler/{__version__} ({platform.system().lower()}/{platform.machine()})"


class TokenSource(Protocol):
    """Gives the value of the ``Authorization`` header, fresh enough to be used now."""

    @property
    def client_certificate(self) -> tuple[bytes, bytes] | None:
        """PEM certificate and key that came instead of a token, if any."""
        ...

    async def authorization(self) -> str | None:
        """Return the header value, or None for no header."""
        ...

    def expire(self) -> None:
        """Make the next `authorization` fetch anew: the server has refused this one."""
        ...


@dataclass(frozen=True, slots=True)
class TlsMaterial:
    """What TLS needs, as PEM bytes, so that each transport can hand it to its own library."""

    ca_pem: bytes | None = None
    cert_pem: bytes | None = None
    key_pem: bytes | None = None
    is_verified: bool = True
    #: Name to expect in the server's certificate when it is not the host of the URL.
    server_name: str | None = None

    def context(self, *, source: str) -> ssl.SSLContext:
        """Return an SSL context made of this material.

        Raises:
            CredentialsError: a certificate or key is not valid PEM, or they do not fit together.
        """
        if self.ca_pem is None:
            context = ssl.create_default_context()  # reads the system's CAs, some 40 ms
        else:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            try:
                context.load_verify_locations(cadata=self.ca_pem.decode("ascii", "replace"))
            except ssl.SSLError as error:
                raise CredentialsError(
                    f"{source}: certificate-authority holds no valid PEM certificate: "
                    f"{error.reason or error}"
                ) from error
        # As client-go and aiohttp since OpenSSL 3.x: cluster CAs made by kubeadm and friends often
        # lack the key usage extension that Python 3.13 began to insist on.
        context.verify_flags &= ~getattr(ssl, "VERIFY_X509_STRICT", 0)
        if not self.is_verified:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        if self.cert_pem is not None and self.key_pem is not None:
            _load_client_certificate(context, self.cert_pem, self.key_pem, source=source)
        return context


class StaticToken:
    """An authorization that never changes; None for client certificates and plain HTTP."""

    client_certificate = None

    def __init__(self, authorization: str | None) -> None:
        self._authorization = authorization

    async def authorization(self) -> str | None:
        """Return the header value given at the start."""
        return self._authorization

    def expire(self) -> None:
        """Do nothing: there is no other token to be had."""


class TokenFile:
    """A bearer token in a file that somebody else rotates, such as a projected token."""

    client_certificate = None

    def __init__(self, path: Path, *, clock: Clock, field: str) -> None:
        self._path = path
        self._clock = clock
        self._field = field
        self._value = self._read()
        self._reread_at = clock.monotonic() + TOKEN_FILE_REREAD_S

    async def authorization(self) -> str | None:
        """Return the token, read at most a minute ago; the last good one if reading fails."""
        if self._clock.monotonic() >= self._reread_at:
            self._reread_at = self._clock.monotonic() + TOKEN_FILE_REREAD_S
            try:
                self._value = self._read()
            except CredentialsError:
                # In the midst of a rotation, or gone for good: then the server's 401 says so.
                return self._value
        return self._value

    def expire(self) -> None:
        """Read the file again at the next request."""
        self._reread_at = self._clock.monotonic()

    def _read(self) -> str:
        token = _read_file(self._path, self._field).decode("utf-8", "replace").strip()
        if not token:
            raise CredentialsError(f"{self._path}: {self._field} is empty")
        return f"Bearer {token}"


class Credentials:
    """How to reach the API server and who we are there.

    Attributes:
        server: URL of the server, without a slash at its end.
        source: where all this was read, for messages.
        tls: certificates and keys, or None for plain HTTP.
        proxy: URL of the proxy to go through, or None.
    """

    def __init__(
        self,
        server: str,
        *,
        source: str,
        tls: TlsMaterial | None = None,
        tokens: TokenSource | None = None,
        proxy: str | None = None,
        user_agent: str = USER_AGENT,
        clock: Clock | None = None,
    ) -> None:
        if not server.startswith(("https://", "http://")):
            raise CredentialsError(
                f"{source}: server {server!r} must begin with https:// or http://"
            )
        self.server = server.rstrip("/")
        self.source = source
        self.tls = tls if self.server.startswith("https://") else None
        if self.tls is None and self.server.startswith("https://"):
            self.tls = TlsMaterial()
        self.proxy = proxy
        self.user_agent = user_agent
        self._tokens = tokens if tokens is not None else StaticToken(None)
        self._clock = clock if clock is not None else SystemClock()
        self._expire_allowed_at = 0.0
        #: None for plain HTTP; made once, because a context costs milliseconds.
        self.ssl_context = self.tls.context(source=source) if self.tls is not None else None

    async def headers(self) -> dict[str, str]:
        """Return the headers that identify us, with a token that is fresh enough."""
        authorization = await self._tokens.authorization()
        headers = {"User-Agent": self.user_agent}
        if authorization is not None:
            headers["Authorization"] = authorization
        return headers

    def expire(self) -> bool:
        """Have the token fetched anew after a 401; False when that was done just now."""
        now = self._clock.monotonic()
        if now < self._expire_allowed_at:
            return False
        self._expire_allowed_at = now + _FORCED_REFRESH_PAUSE_S
        self._tokens.expire()
        return True


async def load_credentials(
    kubeconfig: str | os.PathLike[str] | None = None,
    *,
    context: str | None = None,
    environ: Mapping[str, str] | None = None,
    home: Path | None = None,
    clock: Clock | None = None,
    user_agent: str = USER_AGENT,
) -> Credentials:
    """Return the credentials of the first source there is.

    Args:
        kubeconfig: a file that must be used; else in-cluster, ``$KUBECONFIG``, ``~/.kube/config``.
        context: name of the kubeconfig context; its ``current-context`` when None.
        environ: environment variables, ``os.environ`` when None.
        home: the home folder, the user's when None.
        clock: decides when tokens are read again.
        user_agent: what to call ourselves in the server's audit log.

    Raises:
        CredentialsError: nothing found, or what was found cannot be used; names file and field.
    """
    environ = os.environ if environ is None else environ
    clock = clock if clock is not None else SystemClock()
    if kubeconfig is not None:
        paths = [Path(kubeconfig)]
    elif environ.get("KUBERNETES_SERVICE_HOST"):
        return in_cluster_credentials(environ, clock=clock, user_agent=user_agent)
    else:
        paths = _default_paths(environ, home if home is not None else Path.home())
    config = read_kubeconfig(paths)
    return await _kubeconfig_credentials(
        config, context=context, clock=clock, user_agent=user_agent
    )


def in_cluster_credentials(
    environ: Mapping[str, str], *, clock: Clock, user_agent: str = USER_AGENT
) -> Credentials:
    """Return the credentials of the service account mounted into our pod.

    Raises:
        CredentialsError: a variable or a file of the service account is missing or empty.
    """
    host = environ.get("KUBERNETES_SERVICE_HOST", "")
    port = environ.get("KUBERNETES_SERVICE_PORT", "")
    if not host or not port:
        raise CredentialsError(
            "environment: KUBERNETES_SERVICE_HOST is set but KUBERNETES_SERVICE_PORT is not"
            if host
            else "environment: KUBERNETES_SERVICE_HOST is not set"
        )
    folder = Path(environ.get(SERVICE_ACCOUNT_DIR_VARIABLE) or DEFAULT_SERVICE_ACCOUNT_DIR)
    return Credentials(
        f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}",
        source=str(folder),
        tls=TlsMaterial(ca_pem=_read_file(folder / "ca.crt", "service account CA")),
        tokens=TokenFile(folder / "token", clock=clock, field="service account token"),
        user_agent=user_agent,
        clock=clock,
    )


def _default_paths(environ: Mapping[str, str], home: Path) -> list[Path]:
    listed = [Path(part) for part in environ.get("KUBECONFIG", "").split(os.pathsep) if part]
    if listed:
        return listed
    default = home / ".kube" / "config"
    if not default.exists():
        raise CredentialsError(
            f"no kubeconfig: pass --kubeconfig or set KUBECONFIG ({default} does not exist, "
            "and this is not a pod: KUBERNETES_SERVICE_HOST is not set)"
        )
    return [default]


async def _kubeconfig_credentials(
    config: Kubeconfig, *, context: str | None, clock: Clock, user_agent: str
) -> Credentials:
    chosen = config.context(context)
    cluster = config.cluster(chosen)
    user = config.user(chosen)
    cert_pem = _file_or_data(user, "client-certificate") if user else None
    key_pem = _file_or_data(user, "client-key") if user else None
    if user and (cert_pem is None) != (key_pem is None):
        there, lacking = "client-certificate", "client-key"
        if cert_pem is None:
            there, lacking = lacking, there
        raise user.error(there, f"needs {lacking} as well")
    tokens = await _token_source(user, clock) if user else None
    if tokens is not None and tokens.client_certificate is not None:
        cert_pem, key_pem = tokens.client_certificate
    return Credentials(
        cluster.text("server", required=True) or "",
        source=f"{cluster.path}: {cluster.where}",
        tls=TlsMaterial(
            ca_pem=_file_or_data(cluster, "certificate-authority"),
            cert_pem=cert_pem,
            key_pem=key_pem,
            is_verified=not cluster.flag("insecure-skip-tls-verify"),
            server_name=cluster.text("tls-server-name"),
        ),
        tokens=tokens,
        proxy=cluster.text("proxy-url"),
        user_agent=user_agent,
        clock=clock,
    )


async def _token_source(user: Entry, clock: Clock) -> TokenSource | None:
    """Return the source that the first kind of authentication in `user` asks for."""
    if "exec" in user.fields or "auth-provider" in user.fields:
        # Imported here: see the module's docstring.
        from pyscheduler.client.auth_plugins import plugin_token_source

        return await plugin_token_source(user, clock)
    token = user.text("token")
    if token:
        return StaticToken(f"Bearer {token}")
    token_file = user.text("tokenFile")
    if token_file:
        return TokenFile(user.resolve(token_file), clock=clock, field=f"{user.where}.tokenFile")
    name, password = user.text("username"), user.text("password")
    if name is not None and password is not None:
        pair = base64.b64encode(f"{name}:{password}".encode()).decode()
        return StaticToken(f"Basic {pair}")
    return None


def _file_or_data(entry: Entry, field: str) -> bytes | None:
    """Return the PEM bytes of ``field-data`` (base64) or of the file named by ``field``."""
    data = entry.text(f"{field}-data")
    if data:
        try:
            return base64.b64decode(data, validate=True)
        except binascii.Error as error:
            raise entry.error(f"{field}-data", f"is not base64: {error}") from error
    name = entry.text(field)
    if not name:
        return None
    return _read_file(entry.resolve(name), f"{entry.path}: {entry.where}.{field}")


def _read_file(path: Path, what: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise CredentialsError(f"{what}: cannot read {path}: {error.strerror}") from error


def _load_client_certificate(
    context: ssl.SSLContext, cert_pem: bytes, key_pem: bytes, *, source: str
) -> None:
    """Load certificate and key, which the ssl module takes from a file only."""
    with tempfile.NamedTemporaryFile(delete=False) as pem:
        pem.write(cert_pem.rstrip() + b"\n" + key_pem)
    try:
        context.load_cert_chain(pem.name)
    except (ssl.SSLError, OSError) as error:
        raise CredentialsError(
            f"{source}: client-certificate and client-key cannot be used: "
            f"{getattr(error, 'reason', None) or error}"
        ) from error
    finally:
        Path(pem.name).unlink()
