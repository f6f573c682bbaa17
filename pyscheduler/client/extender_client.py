"""One HTTP extender: its verbs as requests, over connections of its own.

Pods and nodes are sent byte for byte as the API server wrote them (`Pod.raw`), never as we know
them: an extender may look at fields that we drop. Each verb is one POST; its whole time, from
connecting to the last byte, is the extender's `httpTimeout`.

Called by: ``cycle.extenders``, whose protocol this is. Source: kube-scheduler 1.37,
``pkg/scheduler/extender.go``. Knowing differences: redirects are not followed, and proxies of the
environment not used.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Protocol, TypeVar

import msgspec

from pyscheduler.api.core_v1 import Node, Pod
from pyscheduler.api.extender_v1 import (
    ExtenderBindingResult,
    ExtenderFilterResult,
    ExtenderPreemptionResult,
    HostPriority,
    MetaVictims,
)
from pyscheduler.client.aiohttp_transport import AiohttpTransport
from pyscheduler.client.credentials import Credentials, TlsMaterial
from pyscheduler.client.errors import ClientError
from pyscheduler.client.go_json import decode
from pyscheduler.client.transport import Transport
from pyscheduler.config.models import Extender, ExtenderTLSConfig
from pyscheduler.errors import CredentialsError
from pyscheduler.preemption.candidates import Victims

T = TypeVar("T")

#: Longest piece of an answer that a message quotes, in characters.
_QUOTE_LIMIT = 200

_encode = msgspec.json.Encoder().encode


class ExtenderAnswerError(ClientError):
    """The extender answered with an error, or with what is no answer."""


class _Raw(Protocol):
    @property
    def raw(self) -> bytes: ...


class ExtenderClient:
    """Asks one extender."""

    def __init__(self, config: Extender, transport: Transport) -> None:
        self.config = config
        self._transport = transport
        self._url = config.url_prefix.rstrip("/")

    async def filter(self, pod: Pod, nodes: Sequence[Node]) -> ExtenderFilterResult:
        """Returns which of the nodes can run the pod."""
        answer = await self._post(
            self.config.filter_verb, self._pod_and_nodes(pod, nodes), ExtenderFilterResult
        )
        self._check(self.config.filter_verb, answer.error)
        return answer

    async def prioritize(self, pod: Pod, nodes: Sequence[Node]) -> Sequence[HostPriority]:
        """Returns scores."""
        body = self._pod_and_nodes(pod, nodes)
        return await self._post(self.config.prioritize_verb, body, tuple[HostPriority, ...])

    async def preempt(self, pod: Pod, victims: Mapping[str, Victims]) -> Mapping[str, MetaVictims]:
        """Returns which of the nodes remain, and who really has to leave each."""
        is_meta = self.config.node_cache_capable
        by_node = b",".join(
            b'%b:{"Pods":[%b],"NumPDBViolations":%d}'
            % (
                _encode(name),
                b",".join(
                    b'{"UID":%b}' % _encode(pod.uid) if is_meta else self._bytes_of(pod)
                    for pod in there.pods
                ),
                there.pdb_violations,
            )
            for name, there in victims.items()
        )
        body = b'{"Pod":%b,"NodeNameToVictims":%b,"NodeNameToMetaVictims":%b}' % (
            self._bytes_of(pod),
            b"null" if is_meta else b"{%b}" % by_node,
            b"{%b}" % by_node if is_meta else b"null",
        )
        answer = await self._post(self.config.preempt_verb, body, ExtenderPreemptionResult)
        return answer.node_name_to_meta_victims

    async def bind(self, pod: Pod, node_name: str) -> None:
        """Has the pod bound."""
        body = {
            "PodName": pod.name,
            "PodNamespace": pod.namespace,
            "PodUID": pod.uid,
            "Node": node_name,
        }
        answer = await self._post(self.config.bind_verb, _encode(body), ExtenderBindingResult)
        self._check(self.config.bind_verb, answer.error)

    async def close(self) -> None:
        """Closes its connections; requests under way fail."""
        await self._transport.close()

    def _pod_and_nodes(self, pod: Pod, nodes: Sequence[Node]) -> bytes:
        if self.config.node_cache_capable:
            names = _encode([node.name for node in nodes])
            return b'{"Pod":%b,"Nodes":null,"NodeNames":%b}' % (self._bytes_of(pod), names)
        items = b",".join([self._bytes_of(node) for node in nodes])
        return b'{"Pod":%b,"Nodes":{"metadata":{},"items":[%b]},"NodeNames":null}' % (
            self._bytes_of(pod),
            items,
        )

    def _bytes_of(self, subject: _Raw) -> bytes:
        if not subject.raw:
            # only what an informer delivered can be sent
            raise ExtenderAnswerError(f"{self._url}: the bytes of {subject!r:.80} were not kept")
        return subject.raw

    async def _post(self, verb: str, body: bytes, wanted: type[T]) -> T:
        answer = await self._transport.request(
            "POST", f"/{verb}", body=body, timeout_s=self.config.http_timeout
        )
        if answer.status != 200:  # upstream takes no other for success
            text = " ".join(answer.body.decode("utf-8", "replace").split())[:_QUOTE_LIMIT]
            raise ExtenderAnswerError(f"{self._url}/{verb}: {answer.status}: {text}")
        try:
            return decode(answer.body, wanted)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise ExtenderAnswerError(f"{self._url}/{verb}: no valid answer: {error}") from error

    def _check(self, verb: str, error: str) -> None:
        if error:
            raise ExtenderAnswerError(f"{self._url}/{verb}: {error}")


def connect_extenders(extenders: Iterable[Extender]) -> list[ExtenderClient]:
    """Returns a client for each; connections are opened as they are needed.

    Raises:
        CredentialsError: certificates of one cannot be read, or its URL is none.
    """
    # all that can fail comes first: a session that was opened would have to be closed
    reached = [
        (
            extender,
            Credentials(
                extender.url_prefix,
                source=f"extenders[{index}]",
                tls=tls_material(extender, f"extenders[{index}]"),
            ),
        )
        for index, extender in enumerate(extenders)
    ]
    return [
        ExtenderClient(extender, AiohttpTransport(credentials)) for extender, credentials in reached
    ]


def keeps_raw_node(extenders: Iterable[Extender]) -> Callable[[Node], bool] | None:
    """Of which nodes the bytes must be kept so that the extenders can be asked; None: of none."""
    if any(
        not extender.node_cache_capable and (extender.filter_verb or extender.prioritize_verb)
        for extender in extenders
    ):
        return lambda _node: True
    return None


def keeps_raw_pod(extenders: Iterable[Extender]) -> Callable[[Pod], bool] | None:
    """The same for pods: those still to be scheduled and, for some extenders, possible victims."""
    asked = [e for e in extenders if e.filter_verb or e.prioritize_verb or e.preempt_verb]
    if not asked:
        return None
    if any(extender.preempt_verb and not extender.node_cache_capable for extender in asked):
        return lambda _pod: True
    return lambda pod: not pod.node_name


def tls_material(config: Extender, source: str) -> TlsMaterial | None:
    """What an extender is trusted by and we are known by to it; None for the system's defaults.

    Raises:
        CredentialsError: a file cannot be read.
    """
    tls = config.tls_config or ExtenderTLSConfig()
    ca_pem = tls.ca_data or _read(tls.ca_file, f"{source}.tlsConfig.caFile")
    # as upstream: HTTPS that is asked for without saying whom to trust trusts anybody
    is_insecure = tls.insecure or (config.enable_https and not ca_pem)
    if config.tls_config is None and not is_insecure:
        return None
    return TlsMaterial(
        ca_pem=ca_pem,
        cert_pem=tls.cert_data or _read(tls.cert_file, f"{source}.tlsConfig.certFile"),
        key_pem=tls.key_data or _read(tls.key_file, f"{source}.tlsConfig.keyFile"),
        is_verified=not is_insecure,
        server_name=tls.server_name or None,
    )


def _read(name: str, what: str) -> bytes | None:
    if not name:
        return None
    try:
        return Path(name).read_bytes()
    except OSError as error:
        raise CredentialsError(f"{what}: cannot read {name}: {error.strerror}") from error
