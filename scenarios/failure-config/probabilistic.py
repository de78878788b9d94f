FailureConfig(
    failures=[
        Failure(src='_', dest='_', msg_type=MsgType.Proposal, round='_', prob=0.15, fail_type=FailType.MsgLoss),
        Failure(src='_', dest='_', msg_type=MsgType.Vote, round='_', prob=0.25, fail_type=FailType.MsgLoss),
        Failure(src='_', dest='_', msg_type=MsgType.TimeOut, round='_', prob=0.2, fail_type=FailType.Delay, val=0.5),
    ],
    seed=None,
)
