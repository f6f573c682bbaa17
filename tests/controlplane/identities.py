"""Who may talk to the API server of a `ControlPlane`: token users, the signing key, kubeconfigs.

Users are known by static tokens, so that a test can have any user in any group. Only the harness
and the control plane's own programs are privileged; a scheduler under test gets a service account
or an ordinary user, so that RBAC is really exercised.
"""

from __future__ import annotations

import base64
import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

#: The harness itself; RBAC does not apply to its group.
ADMIN = "harness"
KUBE_SCHEDULER = "system:kube-scheduler"
KUBE_CONTROLLER_MANAGER = "system:kube-controller-manager"
#: kwok and the hollow kubelets: they act for many nodes, which no built-in role allows.
NODE_FAKER = "node-faker"

_MASTERS = ("system:masters",)

#: Groups of the users that every control plane has.
STANDING_USERS: Mapping[str, Sequence[str]] = {
    ADMIN: _MASTERS,
    NODE_FAKER: _MASTERS,
    KUBE_SCHEDULER: (),
    KUBE_CONTROLLER_MANAGER: (),
}

# SEC1 ECPrivateKey on P-256: version 1, the scalar, the curve's name; the public key is optional.
_EC_KEY_HEAD = bytes.fromhex("30310201010420")
_EC_KEY_TAIL = bytes.fromhex("a00a06082a8648ce3d030107")
#: Order of P-256; a private key is below it.
_P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


@dataclass(slots=True)
class Identities:
    """The users of one control plane, and their kubeconfig files in its folder."""

    folder: Path
    server: str
    #: The server's certificate, which it makes itself when it first starts.
    certificate_authority: Path
    users: Mapping[str, Sequence[str]]
    #: By user; filled once.
    tokens: dict[str, str] = field(default_factory=dict)

    def write(self) -> None:
        """The token file and the signing key exist."""
        rows = []
        for user, groups in self.users.items():
            token = self.tokens[user] = secrets.token_hex(16)
            rows.append(f'{token},{user},{user},"{",".join(groups)}"\n')
        self.token_file.write_text("".join(rows))
        self.signing_key_file.write_text(_new_signing_key())

    @property
    def token_file(self) -> Path:
        return self.folder / "tokens.csv"

    @property
    def signing_key_file(self) -> Path:
        return self.folder / "service-account.key"

    def kubeconfig(self, user: str) -> Path:
        """Returns a kubeconfig file of one of `users`."""
        return self.kubeconfig_with_token(user, self.tokens[user])

    def kubeconfig_with_token(self, name: str, token: str) -> Path:
        """Returns a kubeconfig file with that token; `name` only names the file."""
        path = self.folder / f"{name.replace(':', '-').replace('/', '-')}.kubeconfig"
        # Replaced as a whole: a program that was started with it may be reading it just now.
        draft = path.with_suffix(".new")
        draft.write_text(json.dumps(self._kubeconfig(token), indent=1))
        draft.chmod(0o600)
        return draft.replace(path)

    def _kubeconfig(self, token: str) -> dict[str, object]:
        cluster = {
            "server": self.server,
            "certificate-authority": str(self.certificate_authority),
        }
        return {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "test", "cluster": cluster}],
            "users": [{"name": "test", "user": {"token": token}}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
            "current-context": "test",
        }


def _new_signing_key() -> str:
    """Returns a fresh P-256 private key as PEM; any number in range is one."""
    scalar = secrets.randbelow(_P256_ORDER - 1) + 1
    der = _EC_KEY_HEAD + scalar.to_bytes(32, "big") + _EC_KEY_TAIL
    body = base64.encodebytes(der).decode()
    return f"-----BEGIN EC PRIVATE KEY-----\n{body}-----END EC PRIVATE KEY-----\n"
