"""`vox doctor`: what is wrong with a machine, a recipe, a data set, a run or a checkpoint, where, and what to change.

subject     an argument of the command line -> what it is
context     what checks look at, each part opened when it is first asked for, and once
known       which checks there are, and which a subject and the words of a command line choose
examine     checks and a context -> a report; a check that crashes is a finding
checks/     one file a check, `checks/thresholds` for every figure that they compare with
report      a report -> the screen, JSON
explain     a code -> its documentation, with the `figures` that it compares with
fix         findings -> the repairs that can be written; `leave_out` writes the list of utterances
paste       a report -> a text for an issue; `masks` takes secrets and names out of it

What checks look at has folders of its own: machine/ data/ audio/ memory/ run/ checkpoint/.
"""
