"""The one table of bad requests: name, expected answer, and what is wrong with each; all else in it is right."""

from tests.e2e.bad_input.bodies import BODIES, CONTROL, TYPES
from tests.e2e.bad_input.contents import ADDRESSES, ASKED, LAW, MANY, RECEIPT
from tests.e2e.bad_input.requests import ACTS, CALLERS, KEYS, PLACES, STEPS

TABLE = (*BODIES, *CONTROL, *TYPES, *LAW, *ADDRESSES, *RECEIPT, *MANY, *CALLERS, *KEYS, *STEPS, *ACTS, *ASKED, *PLACES)
