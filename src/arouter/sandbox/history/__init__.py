"""A pretend history: what the ledger of a busy gateway would hold, made up from a seed.

`population` describes who asks what of which models, `people` draws the users from it, `columns` makes a day's requests
as columns of numbers, `prices` their costs, `records` the records of such a day. All but `population` need numpy, which
belongs to the extra `analytics`: whoever may do without imports them when asked.
"""
