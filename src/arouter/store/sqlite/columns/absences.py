"""How many users are there between any two quarters of a day, without looking at the users.

A user's day is cut by its quarters with requests into absences: longest runs of quarters without any. A user is away
between two quarters if, and only if, one of the absences, and no other, holds all that lies between. So the numbers of
absences by their beginning and end tell the distinct users of each hour and each day of every time zone.
"""

from collections.abc import Mapping

import numpy as np

from arouter.store.buckets import SLOTS_OF_DAY
from arouter.store.sqlite.columns.blocks import Column

ABSENCES = ("first", "beyond", "users")
"""The columns: quarters from one to before another, and how many users were away for exactly these."""
_BITS = 64


def absences_of(rows: Mapping[str, Column]) -> Mapping[str, Column]:
    """From rows with one for each user, with the two masks: the columns `ABSENCES`, of all users but 0, who is none."""
    someone = np.asarray(rows["user_no"]) != 0
    masks = [np.asarray(rows[name])[someone] for name in ("early", "late")]
    # Where the run without requests began that goes on, of each user.
    began = np.zeros(int(np.count_nonzero(someone)), dtype=np.int64)
    found = np.zeros((SLOTS_OF_DAY, SLOTS_OF_DAY + 1), dtype=np.int64)
    for slot in range(SLOTS_OF_DAY):
        there = (masks[slot // _BITS] >> np.uint64(slot % _BITS)) & np.uint64(1) != 0
        found[:, slot] = np.bincount(began[there], minlength=SLOTS_OF_DAY)[:SLOTS_OF_DAY]
        # Who is there in two quarters in a row was not away between them.
        found[slot, slot] = 0
        began[there] = slot + 1
    found[:, SLOTS_OF_DAY] = np.bincount(began, minlength=SLOTS_OF_DAY)[:SLOTS_OF_DAY]
    first, beyond = np.nonzero(found)
    return {"first": first, "beyond": beyond, "users": found[first, beyond]}


def present_between(absences: Mapping[str, Column], users: int) -> Column:
    """How many of so many users are there from one quarter to before another: a table by both."""
    away = np.zeros((SLOTS_OF_DAY + 1, SLOTS_OF_DAY + 1), dtype=np.int64)
    away[absences["first"], absences["beyond"]] = absences["users"]
    # Of the absences that began by then, those that last until then.
    away = np.cumsum(away, axis=0)
    away = np.cumsum(away[:, ::-1], axis=1)[:, ::-1]
    present: Column = users - away
    return present
