//! What is a quorum (deviation D1), and what may be a committee.

use quorate_types::{
    committee::{Committee, CommitteeError, POWER_MAX, Seat, SignerSet, Validator, VotingPower},
    crypto::PublicKey,
    epoch::EpochState,
    genesis::Parameters,
    governance::Authority,
    ids::{Address, ValidatorId},
    round::Epoch,
};

use crate::fixture::{CHAIN, Fixture, key, set};

fn validators(count: u8) -> Vec<Validator> {
    let fixture = Fixture::with(CHAIN, &vec![1; usize::from(count)]);
    fixture.committee.members().map(|(_, validator)| validator.clone()).collect()
}

fn with_total(total: u64) -> Committee {
    let mut only = validators(1);
    only[0].power = VotingPower(total);
    std::sync::Arc::into_inner(Committee::new(Epoch(0), only).unwrap()).unwrap()
}

/// If less than a third of the power is faulty (the largest such power is `(total - 1) / 3`).
#[test]
fn two_quorums_share_an_honest_validator_for_every_total() {
    for total in 1..=300 {
        let committee = with_total(total);
        let (quorum, amplify, faulty) = (committee.quorum_power(), committee.amplify_power(), (total - 1) / 3);
        assert_eq!(committee.total_power(), total);
        assert!(2 * quorum > total + faulty, "two quorums overlap in more than the faulty power: total {total}");
        assert!(quorum <= total - faulty, "the honest validators alone are a quorum: total {total}");
        assert_eq!(amplify + quorum, total + 1, "total {total}");
        assert!(amplify > faulty, "at least one of them is honest: total {total}");
        assert_eq!(quorum, 2 * total / 3 + 1, "the other way to write it: total {total}");
    }
}

#[test]
fn quorums_of_equal_powers_are_the_known_numbers() {
    let expected = [(1, 1, 1), (2, 2, 1), (3, 3, 1), (4, 3, 2), (5, 4, 2), (6, 5, 2), (7, 5, 3), (8, 6, 3), (9, 7, 3), (10, 7, 4)];
    for (count, quorum, amplify) in expected {
        let fixture = Fixture::with(CHAIN, &vec![1; count]);
        let committee = &fixture.committee;
        assert_eq!((committee.voters().len(), committee.quorum_power(), committee.amplify_power()), (count, quorum, amplify));
        for members in 0..=count {
            let signers: SignerSet = committee.ids().take(members).collect();
            assert_eq!(committee.is_quorum(signers), members as u64 >= quorum, "{members} of {count}");
            assert_eq!(committee.holds_honest(signers), members as u64 >= amplify, "{members} of {count}");
        }
    }
}

/// Every pair of quorums of small committees with unequal powers, member by member.
#[test]
fn weighted_quorums_intersect_in_more_than_the_faulty() {
    for powers in [&[1, 1, 1, 7][..], &[5, 4, 3, 2, 1], &[1, 6, 2, 1], &[10, 10, 10, 1, 1], &[3, 3, 3], &[100, 1]] {
        let fixture = Fixture::with(CHAIN, powers);
        let committee = &fixture.committee;
        let faulty = (powers.iter().sum::<u64>() - 1) / 3;
        let sets: Vec<SignerSet> =
            (0..1u32 << powers.len()).map(|bits| committee.ids().filter(|id| bits >> id.0 & 1 == 1).collect()).collect();
        for a in sets.iter().filter(|set| committee.is_quorum(**set)) {
            for b in sets.iter().filter(|set| committee.is_quorum(**set)) {
                let both: SignerSet = a.iter().filter(|id| b.contains(*id)).collect();
                assert!(committee.power(both) > faulty, "{powers:?}: {a:?} and {b:?}");
            }
        }
    }
}

#[test]
fn power_outside_the_committee_counts_nothing() {
    let committee = Fixture::new().committee;
    assert_eq!(committee.power(set(&[0, 1, 4, 5, 127])), 2);
    assert!(!committee.is_quorum(set(&[4, 5, 6, 7, 8])));
    assert!(!committee.are_voters(set(&[0, 4])));
    assert!(committee.are_voters(SignerSet::default()));
    assert_eq!(set(&[0, 1]).union(set(&[1, 127])), set(&[0, 1, 127]));
}

#[test]
fn only_the_set_of_nobody_is_empty() {
    assert!(SignerSet::default().is_empty() && set(&[]).is_empty());
    for id in [0, 1, 127] {
        assert!(!set(&[id]).is_empty(), "{id}");
    }
}

#[test]
fn the_largest_powers_do_not_overflow() {
    let fixture = Fixture::with(CHAIN, &[POWER_MAX; 100]);
    let committee = &fixture.committee;
    assert_eq!(committee.total_power(), 100 * POWER_MAX);
    assert_eq!(committee.quorum_power() + committee.amplify_power(), 100 * POWER_MAX + 1);
    assert!(committee.is_quorum(committee.ids().collect()));
    assert!(!committee.is_quorum(committee.ids().take(66).collect()));
    assert!(committee.is_quorum(committee.ids().take(67).collect()));
}

#[test]
fn members_are_found_by_key_and_position() {
    let fixture = Fixture::with(CHAIN, &[1; 10]);
    for (id, validator) in fixture.committee.members() {
        assert_eq!(fixture.committee.find(&validator.consensus_key), Some(id));
        assert_eq!(fixture.committee.get(id), Some(validator));
        assert_eq!(fixture.committee.key(id).unwrap().encoded(), validator.consensus_key);
    }
    assert_eq!(fixture.committee.find(&key(99).public()), None);
    for outside in [10, 128, u16::MAX] {
        assert!(fixture.committee.get(ValidatorId(outside)).is_none() && fixture.committee.key(ValidatorId(outside)).is_none());
    }
}

#[test]
fn what_is_no_committee_is_refused_by_name() {
    let new = |validators| Committee::new(Epoch(0), validators).map(|_| ()).unwrap_err();
    let changed = |change: fn(&mut Vec<Validator>)| {
        let mut four = validators(4);
        change(&mut four);
        new(four)
    };
    assert_eq!(new(vec![]), CommitteeError::Empty);
    assert_eq!(new(vec![validators(1).remove(0); 129]), CommitteeError::TooMany(129));
    assert_eq!(changed(|four| four.swap(1, 2)), CommitteeError::Order("validator-1".into()));
    assert_eq!(changed(|four| four[2].consensus_key = four[1].consensus_key), CommitteeError::Order("validator-2".into()));
    assert_eq!(changed(|four| four[2].network_key = four[0].network_key), CommitteeError::NetworkKey("validator-0".into()));
    assert_eq!(changed(|four| four[2].network_key = four[2].consensus_key), CommitteeError::NetworkKey("validator-2".into()));
    assert_eq!(changed(|four| four[2].network_key = four[3].consensus_key), CommitteeError::NetworkKey("validator-2".into()));
    assert_eq!(changed(|four| four[2].name = "validator-0".into()), CommitteeError::SameName("validator-0".into()));
    let mut powerless = validators(4);
    for validator in &mut powerless {
        validator.power = VotingPower(0);
    }
    assert_eq!(new(powerless), CommitteeError::Empty);
    for power in [POWER_MAX + 1, u64::MAX] {
        let mut four = validators(4);
        four[3].power = VotingPower(power);
        assert_eq!(new(four), CommitteeError::Power("validator-3".into()));
    }
    for text in ["", "\u{1b}[2J", "two\nlines", "nul\0", &"x".repeat(129)] {
        let mut four = validators(4);
        four[1].name = text.into();
        assert_eq!(new(four), CommitteeError::Name(text.into()));
        let mut four = validators(4);
        four[1].address = text.into();
        assert_eq!(new(four), CommitteeError::Name("validator-1".into()));
    }
    let no_point = changed(|four| four[3].network_key = PublicKey([2; 32]));
    assert!(matches!(&no_point, CommitteeError::Key { name, .. } if name == "validator-3"), "{no_point:?}");
    assert!(matches!(changed(|four| four[0].consensus_key = PublicKey([0; 32])), CommitteeError::Key { .. }));
}

fn state(epoch: u64, validators: Vec<Validator>) -> EpochState {
    let seats = (0..).map(ValidatorId).zip(validators).map(|(id, validator)| Seat { id, validator }).collect();
    EpochState { epoch: Epoch(epoch), protocol_version: 1, parameters: Parameters::default(), authority: Authority::Operators, seats }
}

#[test]
fn an_observer_is_a_member_whose_signature_does_not_count() {
    let mut four = validators(4);
    four[1].power = VotingPower(0);
    let committee = Committee::new(Epoch(0), four).unwrap();
    assert_eq!(committee.ids().collect::<Vec<_>>(), [0, 1, 2, 3].map(ValidatorId));
    assert_eq!(committee.voters(), [0, 2, 3].map(ValidatorId));
    assert!(committee.get(ValidatorId(1)).is_some() && committee.key(ValidatorId(1)).is_none() && !committee.is_voter(ValidatorId(1)));
    assert_eq!((committee.total_power(), committee.quorum_power()), (3, 3));
    assert!(!committee.is_quorum(set(&[0, 1, 2])) && !committee.are_voters(set(&[0, 1])) && committee.are_voters(set(&[0, 2])));
}

#[test]
fn members_keep_their_seats_when_others_leave_theirs() {
    let mut seats = state(3, validators(5)).seats;
    seats.remove(1);
    let committee = Committee::of_seats(Epoch(3), &seats).unwrap();
    assert_eq!(committee.ids().collect::<Vec<_>>(), [0, 2, 3, 4].map(ValidatorId));
    assert_eq!(committee.get(ValidatorId(4)).unwrap().name, seats[3].validator.name);
    assert_eq!(committee.find(&seats[3].validator.consensus_key), Some(ValidatorId(4)));
    assert!(committee.get(ValidatorId(1)).is_none() && !committee.is_voter(ValidatorId(1)));
    assert_eq!((committee.quorum_power(), committee.power(set(&[0, 1, 2]))), (3, 2));

    let refused = |change: fn(&mut Vec<Seat>)| {
        let mut changed = seats.clone();
        change(&mut changed);
        Committee::of_seats(Epoch(3), &changed).unwrap_err()
    };
    assert!(matches!(refused(|seats| seats[1].id = ValidatorId(0)), CommitteeError::Seat(_)), "taken");
    assert!(matches!(refused(|seats| seats.swap(0, 1)), CommitteeError::Seat(_)), "out of order");
    assert!(matches!(refused(|seats| seats[3].id = ValidatorId(128)), CommitteeError::Seat(_)), "beyond the last");
    assert!(matches!(refused(|seats| seats[3].validator = seats[0].validator.clone()), CommitteeError::Order(_)), "a key twice");
}

/// The hash that headers carry covers every field and the epoch.
#[test]
fn the_hash_covers_everything() {
    let hash = |epoch, validators| state(epoch, validators).hash();
    let base = hash(0, validators(4));
    let mut all = vec![base, hash(1, validators(4)), hash(0, validators(5))];
    let changes: [fn(&mut Validator); 5] = [
        |validator| validator.name.push('x'),
        |validator| validator.address.push('1'),
        |validator| validator.power = VotingPower(2),
        |validator| validator.network_key = key(99).public(),
        |validator| validator.operator = Some(Address::default()),
    ];
    for change in changes {
        let mut four = validators(4);
        change(&mut four[2]);
        all.push(hash(0, four));
    }
    let count = all.len();
    all.sort_unstable();
    all.dedup();
    assert_eq!(all.len(), count);
}
