from collections import namedtuple
from enum import Enum


class MsgType(Enum):
    Proposal = 1
    QC = 2
    TimeOut = 3
    Vote = 4
    Wildcard = 5  # matches all message types


class FailType(Enum):
    MsgLoss = 1
    Delay = 2
    SetAttr = 3


FailureConfig = namedtuple("FailureConfig", ["failures", "seed"])
Failure = namedtuple("Failure", ["src", "dest", "msg_type", "round", "prob", "fail_type", "val", "attr"])

failure_cases = [
    {"msg": "no failures", "rules": FailureConfig(failures=[], seed=0)},
    {
        "msg": "one validator's messages of a round are lost",
        "rules": FailureConfig(
            failures=[
                Failure(src=0, dest="_", msg_type=MsgType.Wildcard, round=1, prob=1, fail_type=FailType.MsgLoss, val=None, attr=None),
            ],
            seed=0,
        ),
    },
    {
        "msg": "the votes of a round come late",
        "rules": FailureConfig(
            failures=[
                Failure(src="_", dest="leader", msg_type=MsgType.Vote, round=1, prob=1, fail_type=FailType.Delay, val=7, attr=None),
            ],
            seed=0,
        ),
    },
    {
        "msg": "chained: a late proposal, then late votes",
        "rules": FailureConfig(
            failures=[
                Failure(src="leader", dest="_", msg_type=MsgType.Proposal, round=1, prob=1, fail_type=FailType.Delay, val=None, attr=None),
                Failure(src="_", dest="leader", msg_type=MsgType.Vote, round=2, prob=1, fail_type=FailType.Delay, val=None, attr=None),
            ],
            seed=0,
        ),
    },
    {
        "msg": "a wrong round number",
        "rules": FailureConfig(
            failures=[
                Failure(src=3, dest="_", msg_type=MsgType.Wildcard, round=3, prob=1, fail_type=FailType.SetAttr, val=1, attr="round"),
            ],
            seed=0,
        ),
    },
]
