# The enumerations as other files spell them.
cases = [
    {
        "msg": "votes of a round are lost",
        "rules": FailureConfig(
            failures=[Failure(src="_", dest="leader", msg_type=MsgType.VOTE, round=2, prob=1, fail_type=FailType.MSG_LOSS, val=None, attr=None)],
            seed=0,
        ),
    },
    {
        "msg": "a leader does not propose to anybody, and timeouts come late",
        "rules": FailureConfig(
            failures=[
                Failure(src="leader", dest="_", msg_type=MsgType.PROPOSE, round=3, prob=1, fail_type=FailType.MessageLoss, val=None, attr=None),
                Failure(src="_", dest="_", msg_type="TimeoutMsg", round=3, prob=1, fail_type="DELAY", val=1, attr=None),
            ],
            seed=0,
        ),
    },
    {
        "msg": "a validator believes to be in another round",
        "rules": FailureConfig(
            failures=[Failure(src=3, dest="_", msg_type=MsgType.WILDCARD, round=3, prob=1, fail_type=FailType.SET_ATTR, val=1, attr="pacemaker.current_round")],
            seed=0,
        ),
    },
]
