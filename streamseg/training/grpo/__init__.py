"""Group-relative policy optimisation of a reasoner, by the rewards of `training/rewards.py`."""
