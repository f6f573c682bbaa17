"""Names of labels and resources as the Kubernetes API allows them, for configurations.

Apart from the models because the arguments of plugins need the same checks as extenders do.

Source: kube-scheduler 1.37, apimachinery's ``util/validation`` (IsQualifiedName) and
``pkg/apis/core/v1/helper`` (IsExtendedResourceName).
"""

from __future__ import annotations

import re
from typing import Final

_PREFIX: Final = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_NAME: Final = re.compile(r"([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]")
_MAX_PREFIX_LENGTH: Final = 253
_MAX_NAME_LENGTH: Final = 63
#: What a quota puts before the name of a resource; it still has to be a name then.
_QUOTA_PREFIX: Final = "requests."


def checked_qualified_name(text: str) -> str:
    """Return the text, which is a name with or without a DNS prefix: ``example.com/gpu``.

    Raises:
        ValueError: it is none; the message says which part is wrong.
    """
    prefix, slash, name = text.partition("/")
    if not slash:
        prefix, name = "", text
    elif len(prefix) > _MAX_PREFIX_LENGTH or not _PREFIX.fullmatch(prefix):
        raise ValueError(f'"{prefix}", the part of "{text}" before the "/", is not a DNS subdomain')
    if len(name) > _MAX_NAME_LENGTH:
        raise ValueError(f'"{name}" is longer than {_MAX_NAME_LENGTH} characters')
    if not _NAME.fullmatch(name):
        raise ValueError(
            f'"{name}" must consist of letters, digits, "-", "_" and ".", '
            "and begin and end with a letter or digit"
        )
    return text


def checked_label_value(text: str) -> str:
    """Return the text, which a label may have as its value; nothing at all is one.

    Raises:
        ValueError: it may not; the message says why.
    """
    if text and (len(text) > _MAX_NAME_LENGTH or not _NAME.fullmatch(text)):
        raise ValueError(
            f'"{text}" is no value of a label: at most {_MAX_NAME_LENGTH} letters, digits, "-", '
            '"_" and ".", a letter or digit at both ends'
        )
    return text


def checked_extended_resource(text: str) -> str:
    """Return the text, which names a resource that is none of Kubernetes' own.

    Raises:
        ValueError: it is no name, or that of a resource that Kubernetes itself defines.
    """
    checked_qualified_name(text)
    is_native = "/" not in text or "kubernetes.io/" in text
    prefix_length = len(_QUOTA_PREFIX) + len(text.partition("/")[0])
    if is_native or text.startswith(_QUOTA_PREFIX) or prefix_length > _MAX_PREFIX_LENGTH:
        raise ValueError(f'"{text}" is not the name of an extended resource')
    return text
