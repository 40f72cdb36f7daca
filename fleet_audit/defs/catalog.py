"""Groups and owners of assets as the UI shows them: groups lettered in reading order, owners by domain.

The UI sorts groups by name, so that without letters `audit` stood before what it is computed from. A selection such as
`group:f_costs` needs no quotes; one of a name that starts with a digit does.
"""

from string import ascii_lowercase

_OWNERS = {
    "ingestion": "team:data-platform",
    "reference": "team:contracts",
    "staging": "team:data-platform",
    "trips": "team:fleet-telemetry",
    "devices": "team:fleet-telemetry",
    "costs": "team:contracts",
    "audit": "team:audit",
    "marts": "team:data-platform",
    "reports": "team:audit",
    "cycle": "team:audit",
    "closing": "team:contracts",
    "health": "team:data-platform",
}  # in reading order: from what arrives to what is closed
_SUBJECTS = list(_OWNERS)


def group_of(subject: str) -> str:
    """The group of a subject, e.g. `d_trips`."""
    return f"{ascii_lowercase[_SUBJECTS.index(subject)]}_{subject}"


def owners_of(subject: str) -> list[str]:
    """Who answers for a subject's tables: whom the UI names, and whom a failed check concerns."""
    return [_OWNERS[subject]]
