//! Spellings of enumeration members: accepts any that is unambiguous.
//!
//! `MsgType.Vote`, `MsgType.VOTE`, `"vote"`, `VoteMsg` and `vote_message` are one message type. Case, underscores, a leading name of the
//! enumeration and a trailing "message" are ignored; the rest is looked up among the names that the course's programs use.

use super::rules::{Attribute, Kind};

/// Only the letters and digits, in lower case.
pub fn plain(text: &str) -> String {
    text.chars().filter(char::is_ascii_alphanumeric).map(|letter| letter.to_ascii_lowercase()).collect()
}

/// Whether a word means any validator, any round or any message.
pub(crate) fn is_any(text: &str) -> bool {
    matches!(text.trim(), "_" | "*") || matches!(plain(text).as_str(), "any" | "all" | "wildcard")
}

/// The bare member of an enumeration: `MsgType.Vote` and `MsgType.Vote.value` give `vote`.
fn member(text: &str) -> String {
    let text = text.trim();
    let text = text.strip_suffix(".value").or_else(|| text.strip_suffix(".name")).unwrap_or(text);
    plain(text.rsplit(['.', ':']).next().unwrap_or(text))
}

/// The message types, for error messages.
pub(crate) const KINDS: &str = "Proposal (propose), Vote (voting), TimeOut, QC (TC, SyncInfo), SyncRequest, SyncResponse, Gossip, Request, \
                                Response (reply), Wildcard (any, _); upper or lower case, with or without _, `MsgType.` or `Msg`";

/// Parses a message type; `Some(None)` is the wildcard, any message between validators.
#[must_use]
pub fn kind(text: &str) -> Option<Option<Kind>> {
    if is_any(text) {
        return Some(None);
    }
    let name = member(text);
    let name = ["messages", "message", "msgs", "msg", "type"].iter().find_map(|end| name.strip_suffix(end)).unwrap_or(&name);
    let name = ["messagetype", "msgtype", "message", "msg"].iter().find_map(|start| name.strip_prefix(start)).unwrap_or(name);
    let kind = match name {
        "wildcard" | "any" | "all" => return Some(None),
        "proposal" | "proposals" | "propose" => Kind::Proposal,
        "vote" | "votes" | "voting" => Kind::Vote,
        "timeout" | "timeouts" | "tmo" => Kind::TimeOut,
        "qc" | "tc" | "quorumcert" | "quorumcertificate" | "timeoutcert" | "timeoutcertificate" | "syncinfo" => Kind::QC,
        "syncrequest" | "syncreq" | "syncuprequest" => Kind::SyncRequest,
        "syncresponse" | "syncresp" | "syncreply" | "syncupresponse" => Kind::SyncResponse,
        "gossip" => Kind::Gossip,
        "request" | "requests" | "clientrequest" => Kind::Request,
        "response" | "responses" | "reply" | "replies" | "clientresponse" => Kind::Response,
        _ => return None,
    };
    Some(Some(kind))
}

/// A kind of failure, without its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failing {
    MsgLoss,
    Delay,
    SetAttr,
    Crash,
    NoPropose,
}

/// The kinds of failures, for error messages.
pub(crate) const FAILINGS: &str = "MsgLoss (loss, drop, omission), Delay, SetAttr, Crash, NoPropose; upper or lower case, with or without _ \
                                   or `FailType.`";

/// Parses a kind of failure.
pub(crate) fn failing(text: &str) -> Option<Failing> {
    Some(match member(text).as_str() {
        "msgloss" | "messageloss" | "loss" | "msgdrop" | "messagedrop" | "drop" | "omission" => Failing::MsgLoss,
        "delay" | "msgdelay" | "messagedelay" => Failing::Delay,
        "setattr" | "setattribute" => Failing::SetAttr,
        "crash" => Failing::Crash,
        // The misspelled one is in one project's enumeration.
        "nopropose" | "noproposal" | "byzantinenopropose" | "byzatinenopropose" => Failing::NoPropose,
        _ => return None,
    })
}

/// The attributes, for error messages.
pub(crate) const ATTRIBUTES: &str = "highest_vote_round, current_round (round), high_qc.round; upper or lower case, with or without _ or an \
                                     owner such as `pacemaker.`";

/// Parses an attribute.
pub(crate) fn attribute(text: &str) -> Option<Attribute> {
    let owners = ["self", "safety", "pacemaker", "blocktree", "validator", "replica"];
    let name: String = text.split('.').map(plain).skip_while(|part| owners.contains(&part.as_str())).collect();
    Some(match name.as_str() {
        "highestvoteround" => Attribute::HighestVoteRound,
        "currentround" | "round" => Attribute::CurrentRound,
        "highqcround" => Attribute::HighQcRound,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_of_a_message_type_is_one_message_type() {
        for (kind_of, spellings) in [
            (None, "Wildcard MsgType.Wildcard WILDCARD wildcard _ * any ALL MsgType.ANY"),
            (
                Some(Kind::Proposal),
                "Proposal PROPOSAL MsgType.PROPOSE propose ProposalMsg proposal_msg MsgType.Proposal.value PROPOSAL_MESSAGE",
            ),
            (Some(Kind::Vote), "Vote VOTE MsgType.VOTE vote Voting VoteMsg VOTE_MSG vote_message MessageType.Vote MSG_VOTE msgtype.vote"),
            (Some(Kind::TimeOut), "TimeOut Timeout TIMEOUT time_out TIME_OUT TimeoutMsg MsgType.TIMEOUT Time-Out tmo"),
            (Some(Kind::QC), "QC qc Qc MsgType.QC TC tc QuorumCert QUORUM_CERTIFICATE SyncInfo"),
            (Some(Kind::SyncRequest), "SyncRequest SYNC_REQUEST syncReq"),
            (Some(Kind::SyncResponse), "SyncResponse SYNC_RESPONSE"),
            (Some(Kind::Request), "Request CLIENT_REQUEST MsgType.REQUEST"),
            (Some(Kind::Response), "Response reply REPLY"),
            (Some(Kind::Gossip), "Gossip GOSSIP"),
        ] {
            for spelling in spellings.split(' ') {
                assert_eq!(kind(spelling), Some(kind_of), "{spelling}");
            }
        }
        for kind_of in Kind::ALL {
            assert_eq!(kind(kind_of.name()), Some(Some(kind_of)));
        }
        for none in ["", "Prevote", "voteproposal", "MsgType", "V", "certificate of", "Done"] {
            assert_eq!(kind(none), None, "{none}");
        }
    }

    #[test]
    fn every_spelling_of_a_failure_or_an_attribute_is_one() {
        for (wanted, spellings) in [
            (Failing::MsgLoss, "MsgLoss MSG_LOSS FailType.MsgLoss FailType.MSGLOSS message_loss loss drop Omission"),
            (Failing::Delay, "Delay DELAY FailType.delay msg_delay"),
            (Failing::SetAttr, "SetAttr SET_ATTR set_attr FailType.SetAttribute"),
            (Failing::Crash, "Crash CRASH FailType.Crash"),
            (Failing::NoPropose, "NoPropose NO_PROPOSE ByzantineNoPropose ByzatineNoPropose"),
        ] {
            for spelling in spellings.split(' ') {
                assert_eq!(failing(spelling), Some(wanted), "{spelling}");
            }
        }
        for (wanted, spellings) in [
            (
                Attribute::HighestVoteRound,
                "highest_vote_round highestVoteRound HIGHEST_VOTE_ROUND safety.highest_vote_round self.highest_vote_round",
            ),
            (Attribute::CurrentRound, "current_round currentRound round pacemaker.current_round self.pacemaker.current_round"),
            (Attribute::HighQcRound, "high_qc.round high_qc_round highQC.round block_tree.high_qc.round"),
        ] {
            for spelling in spellings.split(' ') {
                assert_eq!(attribute(spelling), Some(wanted), "{spelling}");
            }
        }
        assert_eq!((failing("explode"), failing(""), attribute("high_qc"), attribute("last_round")), (None, None, None, None));
    }
}
