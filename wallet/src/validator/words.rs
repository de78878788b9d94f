//! Changes of what governs the chain in plain words.

use quorate_app::governance;
use quorate_terminal::escape_untrusted;
use quorate_types::{
    committee::{Committee, Seat, SignerSet, Validator},
    crypto::PublicKey,
    epoch::EpochState,
    genesis::Parameters,
    governance::{Authority, Board, Change},
    ids::{Address, ValidatorId},
    permission::{PermissionChange, Role},
};

/// What a change does, as the end of a sentence about it: "makes v2 (seat 1) an observer: ...".
pub(super) fn change(change: &Change, epoch: &EpochState) -> String {
    match change {
        Change::Power { seat, power } => {
            let who = member(*seat, epoch);
            match (find(*seat, epoch).map_or(0, |seat| seat.validator.power.0), power.0) {
                (from, 0) => format!("makes {who} an observer; its power is {from}"),
                (0, to) => format!("makes {who} a voter with power {to}"),
                (from, to) => format!("changes the power of {who} from {from} to {to}"),
            }
        }
        Change::Add(entry) => {
            let Validator { name, address, power, operator, .. } = &entry.validator;
            let role = if power.0 == 0 { "an observer".into() } else { format!("a voter with power {}", power.0) };
            format!("adds {} as {role}, at {}, with {}", escape_untrusted(name), escape_untrusted(address), of_operator(*operator))
        }
        Change::Remove { seat, evidence } => {
            let power = find(*seat, epoch).map_or(0, |seat| seat.validator.power.0);
            let why = evidence.as_ref().map_or_else(String::new, |evidence| {
                format!(", for evidence {}: two {}s in round {}", evidence.id(), evidence.kind(), evidence.round())
            });
            format!("removes {}, whose power is {power}{why}", member(*seat, epoch))
        }
        Change::Replace { seat, entry } => {
            let differences = find(*seat, epoch).map_or_else(String::new, |seat| differences(&seat.validator, &entry.validator));
            format!("replaces the entry of {}: {differences}", member(*seat, epoch))
        }
        Change::Parameters(change) => format!("changes parameters: {}", parameters(&epoch.parameters, &change.after(&epoch.parameters))),
        Change::Permit { account, change } => format!("{} account {account}", permission(*change)),
        Change::Authority(Authority::Operators) => "lets the operators of voters decide, with a quorum of the power".into(),
        Change::Authority(Authority::Board(Board { members, needed })) => {
            format!("lets a board decide, {needed} of {}: {}", members.len(), accounts(members, epoch).join(", "))
        }
        Change::Version(version) => format!("goes over from protocol version {} to {version}", epoch.protocol_version),
    }
}

/// A change of a permission, as the beginning of a sentence that goes on with an account.
pub(crate) fn permission(change: PermissionChange) -> String {
    match change {
        PermissionChange::Grant(Role::Send) => "gives the role to send to".into(),
        PermissionChange::Grant(Role::Grant) => "gives the role to grant to".into(),
        PermissionChange::Revoke(Role::Send) => "takes the role to send from".into(),
        PermissionChange::Revoke(Role::Grant) => "takes the role to grant from".into(),
        PermissionChange::Freeze => "freezes".into(),
        PermissionChange::Unfreeze => "unfreezes".into(),
        PermissionChange::LimitTransactions(0) => "removes the limit on transactions of".into(),
        PermissionChange::LimitTransactions(max) => format!("allows {max} transactions in a block to"),
        PermissionChange::LimitState(0) => "removes the limit on the state of".into(),
        PermissionChange::LimitState(max) => format!("allows {max} bytes of the state to"),
    }
}

/// The parameters that differ, by the names that the genesis gives them.
fn parameters(before: &Parameters, after: &Parameters) -> String {
    let fields = |parameters: &Parameters| {
        let value = serde_json::to_value(parameters).unwrap_or_default();
        let of_state = value.get("state").cloned().unwrap_or_default();
        let fields = [value, of_state].map(|value| value.as_object().cloned().unwrap_or_default());
        fields.into_iter().flatten().filter(|(_, value)| !value.is_object()).collect::<std::collections::BTreeMap<_, _>>()
    };
    let (before, after) = (fields(before), fields(after));
    let differs = after.iter().filter(|(name, value)| before.get(*name) != Some(value));
    let text = |(name, value): (&String, &serde_json::Value)| {
        format!("{name} from {} to {value}", before.get(name).unwrap_or(&serde_json::Value::Null))
    };
    let texts: Vec<String> = differs.map(text).collect();
    if texts.is_empty() { "nothing differs".into() } else { texts.join(", ") }
}

/// What differs between an entry and the one that replaces it.
fn differences(before: &Validator, after: &Validator) -> String {
    let mut differences = Vec::new();
    if before.name != after.name {
        differences.push(format!("its name becomes {}", escape_untrusted(&after.name)));
    }
    if before.consensus_key != after.consensus_key {
        differences.push(format!("new consensus key {}", short(&after.consensus_key)));
    }
    if before.network_key != after.network_key {
        differences.push(format!("new network key {}", short(&after.network_key)));
    }
    if before.address != after.address {
        differences.push(format!("its address becomes {}", escape_untrusted(&after.address)));
    }
    if before.operator != after.operator {
        differences.push(format!("from now on with {}", of_operator(after.operator)));
    }
    if differences.is_empty() { "nothing differs".into() } else { differences.join(", ") }
}

fn of_operator(operator: Option<Address>) -> String {
    operator.map_or_else(|| "no operator".into(), |operator| format!("operator {operator}"))
}

fn find(seat: ValidatorId, epoch: &EpochState) -> Option<&Seat> {
    epoch.seats.iter().find(|member| member.id == seat)
}

fn member(seat: ValidatorId, epoch: &EpochState) -> String {
    find(seat, epoch).map_or_else(|| format!("nobody (seat {seat} is free)"), |found| format!("{} (seat {seat})", name(&found.validator)))
}

/// A member's name, safe to show.
pub(super) fn name(validator: &Validator) -> String {
    escape_untrusted(&validator.name)
}

/// The names of the members on these seats.
pub(super) fn names(seats: SignerSet, committee: &Committee) -> Vec<String> {
    seats.iter().map(|seat| committee.get(seat).map_or_else(|| format!("seat {seat}"), name)).collect()
}

/// Accounts by the names of the members that they speak for.
pub(super) fn accounts<'a>(accounts: impl IntoIterator<Item = &'a Address>, epoch: &EpochState) -> Vec<String> {
    let names = |account: &Address| {
        let of: Vec<_> = epoch.seats.iter().filter(|member| member.validator.operator == Some(*account)).collect();
        let names: Vec<_> = of.iter().map(|member| name(&member.validator)).collect();
        if names.is_empty() { account.to_string() } else { names.join(", ") }
    };
    accounts.into_iter().map(names).collect()
}

/// The beginning of a key.
pub(super) fn short(key: &PublicKey) -> String {
    let text: String = key.to_string().chars().take(14).collect();
    format!("{text}…")
}

/// Whether an epoch state is as a change would make it. A permission is no part of one.
pub(super) fn is_done(change: &Change, epoch: &EpochState) -> bool {
    match change {
        Change::Add(entry) => epoch.seats.iter().any(|member| member.validator.consensus_key == entry.validator.consensus_key),
        Change::Remove { seat, .. } => find(*seat, epoch).is_none(),
        Change::Version(version) => epoch.protocol_version >= *version,
        Change::Power { .. } | Change::Replace { .. } | Change::Parameters(_) | Change::Authority(_) => {
            governance::after(epoch, change).is_err_and(|failure| failure.code() == "no-change")
        }
        Change::Permit { .. } => false,
    }
}

/// A number with commas between its thousands.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && digits.len().saturating_sub(position).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
pub(super) mod tests {
    use quorate_types::{
        committee::VotingPower,
        crypto::{Hash, SigningKey},
        genesis::{GenesisValidator, ParametersChange},
        ids::DraftHash,
        message::PROTOCOL_VERSION,
        round::Epoch,
    };

    use super::*;

    pub(in super::super) fn validator(name: &str, seed: u8, power: u64) -> Validator {
        let key = |seed| SigningKey::from_seed(&[seed; 32]).public();
        Validator {
            name: name.into(),
            consensus_key: key(seed),
            network_key: key(seed + 100),
            address: format!("/ip4/10.0.0.{seed}/tcp/6180"),
            power: VotingPower(power),
            operator: None,
        }
    }

    fn entry(validator: Validator) -> GenesisValidator {
        let key = SigningKey::from_seed(&[9; 32]);
        GenesisValidator::sign(DraftHash::default(), validator, &key, &key)
    }

    /// Seat 0 is free; v1 and v2 have power 1 and 2, v3 observes.
    pub(in super::super) fn epoch() -> EpochState {
        let seats = (1..=3u16).zip([("v1", 1), ("v2", 2), ("v3", 0)]);
        let seats = seats.map(|(id, (name, power))| Seat { id: ValidatorId(id), validator: validator(name, id.to_le_bytes()[0], power) });
        EpochState {
            epoch: Epoch(4),
            protocol_version: PROTOCOL_VERSION,
            parameters: Parameters::default(),
            authority: Authority::Operators,
            seats: seats.collect(),
        }
    }

    fn seat(seat: u16) -> ValidatorId {
        ValidatorId(seat)
    }

    #[test]
    fn every_change_is_told_in_plain_words_with_names() {
        let operator = Some(Address(Hash([7; 32])));
        let power = |at, power| Change::Power { seat: seat(at), power: VotingPower(power) };
        let new = Validator { operator, ..validator("w", 8, 3) };
        let key = short(&validator("w", 8, 3).consensus_key);
        let replace = |after: Validator| Change::Replace { seat: seat(2), entry: entry(after) };
        let cases = [
            (power(2, 5), "changes the power of v2 (seat 2) from 2 to 5".into()),
            (power(2, 0), "makes v2 (seat 2) an observer; its power is 2".into()),
            (power(3, 1), "makes v3 (seat 3) a voter with power 1".into()),
            (power(7, 1), "makes nobody (seat 7 is free) a voter with power 1".into()),
            (
                Change::Add(entry(new.clone())),
                format!("adds w as a voter with power 3, at /ip4/10.0.0.8/tcp/6180, with operator 0x{}", "07".repeat(32)),
            ),
            (Change::Add(entry(validator("w", 8, 0))), "adds w as an observer, at /ip4/10.0.0.8/tcp/6180, with no operator".into()),
            (Change::Remove { seat: seat(1), evidence: None }, "removes v1 (seat 1), whose power is 1".into()),
            (
                replace(Validator { consensus_key: new.consensus_key, ..validator("v2", 2, 9) }),
                format!("replaces the entry of v2 (seat 2): new consensus key {key}"),
            ),
            (
                replace(Validator { name: "w".into(), address: "/ip4/10.0.0.8/tcp/1".into(), operator, ..validator("v2", 2, 2) }),
                format!(
                    "replaces the entry of v2 (seat 2): its name becomes w, its address becomes /ip4/10.0.0.8/tcp/1, from now on with operator 0x{}",
                    "07".repeat(32)
                ),
            ),
            (
                replace(Validator { network_key: new.network_key, ..validator("v2", 2, 2) }),
                format!("replaces the entry of v2 (seat 2): new network key {}", short(&new.network_key)),
            ),
            (replace(validator("v2", 2, 7)), "replaces the entry of v2 (seat 2): nothing differs".into()),
        ];
        for (proposed, words) in cases {
            assert_eq!(change(&proposed, &epoch()), words);
        }
    }

    #[test]
    fn names_that_would_act_on_a_terminal_are_escaped() {
        let mut epoch = epoch();
        epoch.seats[0].validator.name = "a\u{202e}b".into();
        let words = change(&Change::Remove { seat: seat(1), evidence: None }, &epoch);
        assert!(words.contains("a\\u{202e}b"), "{words}");
    }

    #[test]
    fn a_change_is_done_once_the_committee_is_as_it_makes_it() {
        let before = epoch();
        let changes = [
            Change::Power { seat: seat(2), power: VotingPower(5) },
            Change::Add(entry(validator("w", 8, 3))),
            Change::Remove { seat: seat(1), evidence: None },
            Change::Replace { seat: seat(2), entry: entry(validator("w", 8, 3)) },
            Change::Parameters(Box::new(ParametersChange { heartbeat_ms: Some(5_000), ..ParametersChange::default() })),
            Change::Authority(Authority::Board(Board { members: [Address::default()].into(), needed: 1 })),
            Change::Version(PROTOCOL_VERSION + 1),
        ];
        for change in changes {
            assert!(!is_done(&change, &before), "{change:?}");
            let next = governance::after(&before, &change).unwrap();
            next.committee().unwrap();
            assert!(is_done(&change, &next), "{change:?}");
        }
        let added = governance::after(&before, &Change::Add(entry(validator("w", 8, 3)))).unwrap().seats;
        assert_eq!((added[0].id, added[0].validator.name.as_str()), (seat(0), "w"), "on the lowest free seat");
    }

    #[test]
    fn thousands_are_grouped() {
        for (number, text) in [(0, "0"), (999, "999"), (1_204, "1,204"), (1_000_000, "1,000,000")] {
            assert_eq!(grouped(number), text);
        }
    }
}
