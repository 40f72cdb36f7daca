"""Names for frames in signatures: each names the table whose columns a `pandas.DataFrame` has.

The columns themselves are in `facts`, `lake` and `reference`; `derive.conform` gives a frame exactly those.
"""

from __future__ import annotations

from typing import Annotated

import pandas as pd

from fleet_audit.schema import facts, lake, reference

TripWindowFrame = Annotated[pd.DataFrame, facts.TRIP_WINDOW]
TripCostsFrame = Annotated[pd.DataFrame, facts.TRIP_COSTS]
DeclaredRunsFrame = Annotated[pd.DataFrame, facts.DECLARED_RUNS]
MatchesFrame = Annotated[pd.DataFrame, facts.MATCHES]
HeldRunsFrame = Annotated[pd.DataFrame, facts.HELD_RUNS]
FindingsFrame = Annotated[pd.DataFrame, facts.FINDINGS]
IncidentsFrame = Annotated[pd.DataFrame, facts.INCIDENTS]
TripScoresFrame = Annotated[pd.DataFrame, facts.TRIP_SCORES]
RulesNotTestedFrame = Annotated[pd.DataFrame, facts.RULES_NOT_TESTED]
ReferenceChangesFrame = Annotated[pd.DataFrame, facts.REFERENCE_CHANGES]
LegsFrame = Annotated[pd.DataFrame, lake.LEGS]
DwellCountsFrame = Annotated[pd.DataFrame, lake.DWELL_COUNTS]
SpansFrame = Annotated[pd.DataFrame, lake.OBSERVED_SPANS]
WrittenRunsFrame = Annotated[pd.DataFrame, lake.STAGING_DECLARED_RUNS]
NotesFrame = Annotated[pd.DataFrame, lake.STAGING_NOTES]
ContractsFrame = Annotated[pd.DataFrame, reference.CONTRACTS]
DevicesFrame = Annotated[pd.DataFrame, reference.DEVICES]
ExceptionsFrame = Annotated[pd.DataFrame, reference.EXCEPTIONS]
