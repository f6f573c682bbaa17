"""The class of a pod: what a profile's plugins sign of it, joined.

Most plugins sign the spec alone, and pods of one template have equal specs: what these plugins
signed is remembered by the spec. The others are asked about each pod, and as a rule sign of it what
they signed of the one before it with that spec; then the class is that one's, and is not even
hashed again.

Called by: ``profile``, at each attempt of each pod.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from pyscheduler.api.core_v1 import Pod, PodSpec
from pyscheduler.runtime.class_cache import Signature
from pyscheduler.runtime.instrument import Instrument

SignFn = Callable[[Pod], tuple[Any, ...] | None]
#: One for each of several plugins.
Parts = tuple[tuple[Any, ...], ...]

#: Specs whose signatures are remembered. A guess: the templates of a busy hour.
_SPECS_KEPT = 2048


@dataclass(frozen=True, slots=True)
class Signer:
    """One plugin's hook.

    Attributes:
        plugin: its name.
        sign: the hook.
        signs_spec: as the plugin says, see `SignPlugin`.
        skips_unsigned: likewise.
    """

    plugin: str
    sign: SignFn
    signs_spec: bool
    skips_unsigned: bool


class _SignedSpec:
    """What was signed of pods with one spec."""

    __slots__ = ("latest", "parts", "signature")

    def __init__(self, parts: Parts | None) -> None:
        #: by who signs the spec alone; None when one of them signed nothing
        self.parts = parts
        #: by the others, of the latest of these pods
        self.latest: Parts = ()
        #: all of it; None when no pod has come so far
        self.signature: Signature | None = None


class Signing:
    """Asks the plugins of one profile."""

    def __init__(self, signers: Sequence[Signer], instrument: Instrument) -> None:
        self._instrument = instrument
        of_spec = [signer for signer in signers if signer.signs_spec]
        of_pod = [signer for signer in signers if not signer.signs_spec]
        self._of_spec = [signer.sign for signer in of_spec]
        self._of_pod = [signer.sign for signer in of_pod]
        #: whose the parts of a signature are
        self._signers = (*of_spec, *of_pod)
        self._by_spec: dict[PodSpec, _SignedSpec] = {}

    def sign(self, pod: Pod) -> Signature | None:
        """The class of ``pod``; None when a plugin says that it is like no other.

        Raises:
            PluginFault: a plugin raised, or signed what cannot be a key.
        """
        known = self._by_spec.get(pod.spec)
        if known is None:
            known = _SignedSpec(_signed(pod, self._of_spec))
            if len(self._by_spec) == _SPECS_KEPT:
                self._by_spec.clear()
            self._by_spec[pod.spec] = known
        if known.parts is None:
            return None
        parts = _signed(pod, self._of_pod)
        if parts is None:
            return None
        if known.signature is None or parts != known.latest:
            known.signature = self._joined(pod, known.parts + parts)
            known.latest = parts
        return known.signature

    def parts(self, signature: tuple[Any, ...]) -> dict[str, tuple[Any, ...]]:
        """What each plugin signed of a class."""
        return {signer.plugin: part for signer, part in zip(self._signers, signature, strict=True)}

    def unconcerned(self, signature: tuple[object, ...]) -> frozenset[str]:
        """The plugins that skip pods of this class whatever the nodes are like."""
        return frozenset(
            signer.plugin
            for signer, part in zip(self._signers, signature, strict=True)
            if part == () and signer.skips_unsigned
        )

    def _joined(self, pod: Pod, parts: Parts) -> Signature:
        try:
            return Signature(parts)
        except TypeError as error:
            signed = zip(self._signers, parts, strict=True)
            guilty = next(signer.plugin for signer, part in signed if not _is_hashable(part))
            raise self._instrument.fault(guilty, "Sign", error, pod=pod.key) from error


def _signed(pod: Pod, signs: Sequence[SignFn]) -> Parts | None:
    """What these hooks sign of ``pod``; None when one of them signs nothing."""
    parts = []
    for sign in signs:
        part = sign(pod)
        if part is None:
            return None
        parts.append(part)
    return tuple(parts)


def _is_hashable(part: object) -> bool:
    try:
        hash(part)
    except TypeError:
        return False
    return True
