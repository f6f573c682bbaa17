"""Image names, made comparable with those a node reports."""


def normalized_image_name(name: str) -> str:
    """Returns the name with `:latest` when it has neither tag nor digest.

    Source: `imagelocality.normalizedImageName`, 1.37: what counts is a colon after the last slash,
    so that a registry's port is no tag and `name@sha256:...` stays as it is.
    """
    return name if name.rfind(":") > name.rfind("/") else name + ":latest"
