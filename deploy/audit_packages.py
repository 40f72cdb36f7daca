"""Asks the OSV database, by pip-audit, for known vulnerabilities of the packages of an environment.

    python deploy/audit_packages.py .venv-audit/bin/pip-audit .venv/lib/python3.11/site-packages

Prints a line per vulnerability and ends with 1 when there is one. Where the database cannot be reached, one sentence
says that nothing was checked and the end is 0: pip-audit itself reports "no known vulnerabilities" when its default
service, PyPI's, lacks every package.
"""

from __future__ import annotations

import json
import subprocess
import sys

TIMEOUT_S = "15"  # of one request


def audit(pip_audit: str, site_packages: str) -> int:
    """Prints what is known of each package; returns 1 when one of them is vulnerable."""
    options = ["--path", site_packages, "--skip-editable", "--vulnerability-service", "osv", "--timeout", TIMEOUT_S]
    command = [pip_audit, *options, "--progress-spinner", "off", "--format", "json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    try:
        packages = json.loads(done.stdout)["dependencies"]
    except ValueError:
        reason = (done.stderr.strip().splitlines() or ["no reason was given"])[-1]
        print(f"The packages were not checked for vulnerabilities, because OSV did not answer: {reason}")
        return 0
    checked = [package for package in packages if "vulns" in package]
    for package in checked:
        for found in package["vulns"]:
            fixed = ", ".join(found["fix_versions"]) or "none yet"
            print(f"{package['name']} {package['version']}: {found['id']}, fixed in {fixed}")
    print(f"{len(checked)} of {len(packages)} packages were checked.")
    return int(any(package["vulns"] for package in checked))


if __name__ == "__main__":
    sys.exit(audit(*sys.argv[1:]))
