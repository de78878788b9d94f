# One configuration, as the validators read it.
{
    'nvalidators': 4,
    'nfaulty': 1,
    'nclients': 2,
    'nclientops': 3,
    'sleeptime': 0.1,
    'clienttimeout': 10,
    'delta': 0.5,
    'window_size': 5,
    'exclude_size': 1,
    'failure_config': FailureConfig(
        failures=[
            Failure(src='leader', dest='_', msg_type=MsgType.Proposal, round=3, prob=1, fail_type=FailType.MsgLoss),
            Failure('_', 'leader', MsgType.Vote, 5, 1, FailType.Delay, 4, None),
        ],
        seed=123456789,
    ),
}
