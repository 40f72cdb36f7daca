"""A fleet cut into chunks of whole vehicles, each with its own rows of the reference.

What is computed of a chunk belongs to the caller, and where it is computed to the engines (`local`, `spark`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa

from fleet_audit.logic.reference.reference import Reference


@dataclass(frozen=True)
class Chunk:
    """Whole vehicles of a fleet.

    Attributes:
        plates: theirs, sorted.
        vehicles: their rows of `ref.vehicles`; devices: those of `ref.devices`. A device that was in several vehicles
            has all its rows in one chunk.
    """

    plates: pa.Array
    vehicles: pd.DataFrame
    devices: pd.DataFrame

    @property
    def device_ids(self) -> pa.Array:
        """The devices that were ever in these vehicles, sorted."""
        return _texts(self.devices["device_id"])

    def reference(self, shared: Reference) -> Reference:
        """The reference with only these vehicles and devices; `shared` is `shared_reference` of the fleet's."""
        return shared.with_tables(vehicles=self.vehicles, devices=self.devices)


def shared_reference(reference: Reference) -> Reference:
    """The reference without the tables that grow with the fleet and that each chunk has its own rows of."""
    return reference.with_tables(vehicles=reference.vehicles.iloc[:0], devices=reference.devices.iloc[:0])


def cut_fleet(reference: Reference, other_plates: Iterable[str], size: int) -> list[Chunk]:
    """Chunks of about `size` vehicles: those that one device was in stay together, in the chunk of the first of them.

    Chunks follow the order of device ids, because positions in the lake do: a chunk reads few row groups.
    `other_plates` are plates of declarations, which the reference may lack.
    """
    chunk_of = _chunk_numbers(reference, other_plates, size)
    plates = _parts(pd.DataFrame({"plate": chunk_of.index}), chunk_of)
    vehicles, devices = _parts(reference.vehicles, chunk_of), _parts(reference.devices, chunk_of)
    return [
        Chunk(
            _texts(plates[number]["plate"]),
            vehicles.get(number, reference.vehicles.iloc[:0]),
            devices.get(number, reference.devices.iloc[:0]),
        )
        for number in sorted(plates)
    ]


def _chunk_numbers(reference: Reference, other_plates: Iterable[str], size: int) -> pd.Series:
    """The number of its chunk by plate."""
    mounted = reference.devices[["plate", "device_id"]].drop_duplicates().reset_index(drop=True)
    alone = pd.Index([*reference.vehicles["plate"], *other_plates], dtype=object).unique().difference(mounted["plate"])
    members = pd.DataFrame({"plate": mounted["plate"], "group": _groups(mounted)}).drop_duplicates("plate")
    members = pd.concat(
        [members, pd.DataFrame({"plate": alone, "group": len(mounted) + np.arange(len(alone))})], ignore_index=True
    ).sort_values(["group", "plate"], ignore_index=True)
    first = members.drop_duplicates("group").set_index("group").index
    begins = pd.Series(np.flatnonzero(~members["group"].duplicated()), index=first)
    return pd.Series(members["group"].map(begins).to_numpy() // size, index=members["plate"].to_numpy())


def _groups(mounted: pd.DataFrame) -> np.ndarray:
    """A number per row (plate, device_id), the same for vehicles that a device joins, in the order of device ids."""
    plates, devices = pd.factorize(mounted["plate"])[0], pd.factorize(mounted["device_id"], sort=True)[0]
    group = devices.astype(np.int64)
    while True:  # as often as a chain of moved devices is long
        before = group
        for owner in (plates, devices):
            lowest = np.full(len(mounted), len(mounted), dtype=np.int64)
            np.minimum.at(lowest, owner, group)
            group = lowest[owner]
        if np.array_equal(group, before):
            return group


def _parts(rows: pd.DataFrame, chunk_of: pd.Series) -> dict[int, pd.DataFrame]:
    """The rows by the number of their plate's chunk, in their order."""
    numbers = chunk_of.reindex(rows["plate"]).to_numpy()
    return {int(number): rows.iloc[at] for number, at in pd.Series(numbers).groupby(numbers).indices.items()}


def _texts(values: pd.Series) -> pa.Array:
    return pa.array(sorted(set(values)), pa.string())
