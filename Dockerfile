# The scheduler as an image: non-root, happy with a read-only root, nothing to compile at run time.
# Works with BuildKit and with the classic builder; any base with Python 3.11+ and venv will do.
ARG PYTHON_IMAGE=python:3.13-slim

FROM ${PYTHON_IMAGE} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
RUN python3 -m venv /opt/venv
WORKDIR /src
# Dependencies first, in a layer that only pyproject.toml can invalidate. Bytecode is made here, since
# nothing can be written at run time, and never checked against the sources, whose times a builder
# may change. The official client has none: a third of the image, and in a cluster nothing imports it.
COPY pyproject.toml ./
RUN /opt/venv/bin/python -c "import tomllib; p = tomllib.load(open('pyproject.toml', 'rb')); \
extras = p['project']['optional-dependencies']; \
print(*p['project']['dependencies'], *extras['dra'], sep='\n')" \
        > /tmp/requirements.txt \
    && /opt/venv/bin/pip install --quiet --no-compile -r /tmp/requirements.txt \
    && /opt/venv/bin/python -m compileall -q -j 0 --invalidation-mode unchecked-hash \
        -x '/site-packages/(kubernetes|pip|setuptools)/' /opt/venv/lib
COPY README.md LICENSE ./
COPY pyscheduler ./pyscheduler
RUN /opt/venv/bin/pip install --quiet --no-compile --no-deps . \
    && /opt/venv/bin/python -m compileall -q -j 0 --invalidation-mode unchecked-hash \
        /opt/venv/lib/python3*/site-packages/pyscheduler

FROM ${PYTHON_IMAGE}
COPY --from=build /opt/venv /opt/venv
ENV PATH=/opt/venv/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
USER 65532:65532
EXPOSE 10259
CMD ["pyscheduler", "run"]
