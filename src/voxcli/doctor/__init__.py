"""`vox doctor`: what is wrong with a machine, a recipe, a data set, a run or a checkpoint, where, and what to change.

subject     an argument of the command line -> what it is
context     what checks look at, each part opened when it is first asked for, and once
examine     checks and a context -> a report; a check that crashes is a finding
checks/     one file a check, `checks/thresholds` for every figure that they compare with
"""
