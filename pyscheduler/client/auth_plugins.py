"""Tokens that need a protocol: exec plugins and auth providers, through ``kubernetes.aio.config``.

Apart from `pyscheduler.client.credentials` because importing the official client costs half a
second and 20 MB, which only a kubeconfig with such a user should pay. The official loader is used
for what it knows (running the plugin, OIDC and GCP); when to ask again is decided here, since its
own refresh loop swallows errors and goes on with the old token.
"""

import datetime as dt
import os

from kubernetes.aio.client import Configuration
from kubernetes.aio.config import ConfigException
from kubernetes.aio.config.dateutil import parse_rfc3339
from kubernetes.aio.config.exec_provider import ExecProvider
from kubernetes.aio.config.kube_config import ConfigNode, KubeConfigLoader

from pyscheduler.client.kubeconfig import Entry
from pyscheduler.clock import Clock
from pyscheduler.errors import CredentialsError

#: Seconds before its expiry at which a token is replaced, so that none expires on the way.
_EXPIRY_MARGIN_S = 60.0

#: Seconds after which an auth provider, which does not tell when its token expires, is asked again.
_PROVIDER_RECHECK_S = 60.0


async def plugin_token_source(user: Entry, clock: Clock) -> "ExecToken | ProviderToken":
    """Return a token source for a user with ``exec`` or ``auth-provider``, asked once already.

    Raises:
        CredentialsError: the plugin cannot be run or refuses.
    """
    source: ExecToken | ProviderToken
    source = ExecToken(user, clock) if "exec" in user.fields else ProviderToken(user, clock)
    await source.authorization()
    return source


class ExecToken:
    """The credential that an exec plugin prints, until the moment the plugin says it expires.

    Attributes:
        client_certificate: PEM certificate and key, when the plugin gave these with, or instead
            of, a token; None otherwise.
    """

    def __init__(self, user: Entry, clock: Clock) -> None:
        spec = user.fields["exec"]
        if not isinstance(spec, dict):
            raise user.error("exec", "must be a mapping")
        command = spec.get("command")
        if not isinstance(command, str) or not command:
            raise user.error("exec.command", "is missing")
        if os.sep in command:
            # Relative commands with a slash count from the kubeconfig, as in kubectl.
            spec = {**spec, "command": str(user.resolve(command))}
        self._user = user
        self._spec = spec
        self._clock = clock
        self._value: str | None = None
        self._valid_until = 0.0
        self.client_certificate: tuple[bytes, bytes] | None = None

    async def authorization(self) -> str | None:
        """Return the token, running the plugin when there is none or it is about to expire.

        Raises:
            CredentialsError: the plugin failed and there is no earlier token.
        """
        if self._clock.now() >= self._valid_until:
            await self._run()
        return self._value

    def expire(self) -> None:
        """Run the plugin at the next request."""
        self._valid_until = 0.0

    async def _run(self) -> None:
        command = self._spec["command"]
        try:
            status = await ExecProvider(ConfigNode("exec", self._spec)).run()
        except (ConfigException, OSError, KeyError, TypeError) as error:
            raise self._user.error("exec", f"{command}: {error}") from error
        token = status.get("token")
        cert, key = status.get("clientCertificateData"), status.get("clientKeyData")
        if cert and key:
            self.client_certificate = (cert.encode(), key.encode())
        if not token and self.client_certificate is None:
            raise self._user.error(
                "exec", f"{command}: printed neither a token nor a client certificate and key"
            )
        self._value = f"Bearer {token}" if token else None
        self._valid_until = self._expiry(status.get("expirationTimestamp"))

    def _expiry(self, timestamp: str | None) -> float:
        if not timestamp:
            return float("inf")
        try:
            moment: dt.datetime = parse_rfc3339(timestamp)
        except (ValueError, AttributeError) as error:
            raise self._user.error(
                "exec", f"printed expirationTimestamp {timestamp!r}, which is not a time"
            ) from error
        return moment.timestamp() - _EXPIRY_MARGIN_S


class ProviderToken:
    """The token of an ``auth-provider`` (oidc or gcp), refreshed by the official loader."""

    #: Auth providers give tokens only.
    client_certificate: tuple[bytes, bytes] | None = None

    def __init__(self, user: Entry, clock: Clock) -> None:
        self._user = user
        self._clock = clock
        self._value: str | None = None
        self._recheck_at = 0.0
        # A kubeconfig with this user alone: the loader takes nothing smaller.
        self._loader = KubeConfigLoader(
            {
                "current-context": "only",
                "contexts": [{"name": "only", "context": {"cluster": "only", "user": "only"}}],
                "clusters": [{"name": "only", "cluster": {}}],
                "users": [{"name": "only", "user": dict(user.fields)}],
            },
            config_base_path=str(user.path.parent),
        )

    async def authorization(self) -> str | None:
        """Return the token, letting the loader refresh it when it has expired.

        Raises:
            CredentialsError: the provider refused.
        """
        if self._clock.monotonic() >= self._recheck_at:
            await self._load()
            self._recheck_at = self._clock.monotonic() + _PROVIDER_RECHECK_S
        return self._value

    def expire(self) -> None:
        """Ask the loader at the next request."""
        self._recheck_at = 0.0

    async def _load(self) -> None:
        configuration = Configuration()
        try:
            await self._loader.load_and_set(configuration)
        except (ConfigException, OSError, ValueError, KeyError) as error:
            raise self._user.error("auth-provider", str(error)) from error
        token = configuration.api_key.get("BearerToken")
        if not token:
            raise CredentialsError(
                f"{self._user.path}: {self._user.where}.auth-provider gave no token"
            )
        self._value = str(token)
