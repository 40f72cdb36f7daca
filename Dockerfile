# One image for every service of deploy/docker-compose.yml.
# The package is installed from its checkout: it reads dbt_like_sql/ and pyproject.toml beside it.
# Name the base by digest in a deployment: --build-arg PYTHON_IMAGE=python:3.12-slim@sha256:… (docs/production.md).
ARG PYTHON_IMAGE=python:3.12-slim
FROM ${PYTHON_IMAGE}

ENV PYTHONUNBUFFERED=1 \
    PIP_NO_CACHE_DIR=1 \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    FLEET_HOME=/var/lib/fleet \
    DAGSTER_HOME=/opt/dagster \
    NUMBA_CACHE_DIR=/var/lib/fleet/numba

RUN groupadd --gid 10001 fleet \
    && useradd --uid 10001 --gid 10001 --create-home --shell /usr/sbin/nologin fleet \
    && install --directory --owner fleet --group fleet /var/lib/fleet /opt/dagster /inbox

WORKDIR /opt/fleet
# Dependencies first: they change less often than the code, and are the slow layer.
COPY pyproject.toml setup.py constraints.txt README.md ./
COPY fleet_audit/__init__.py fleet_audit/__init__.py
RUN pip install --constraint constraints.txt --editable '.[otel]'
COPY . .
COPY --chown=fleet:fleet deploy/dagster.yaml /opt/dagster/dagster.yaml
# Bytecode stays in the image, whose user may not write it. Compiled functions go to the volume, which a new one is
# filled from; another kind of processor compiles its own.
RUN python -m fleet_audit.cli.prepare --no-database && chown --recursive fleet:fleet /var/lib/fleet

USER 10001:10001
VOLUME /var/lib/fleet
EXPOSE 3000
HEALTHCHECK --interval=30s --timeout=10s --start-period=60s \
    CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:3000/server_info', timeout=8)"]
CMD ["dagster-webserver", "--host", "0.0.0.0", "--port", "3000", "--workspace", "deploy/workspace.yaml"]
