//! Every transcript in `tests/transcripts` is what the engine does today. After an intended change, regenerate them with
//! `UPDATE_TRANSCRIPTS=1 cargo test -p quorate-consensus --release` and read the diff.

use std::{env, fs, path::Path};

use crate::script;

fn check(name: &str) {
    let path = Path::new("tests/transcripts").join(name).with_extension("txt");
    let expected = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let actual = script::run(&expected);
    if env::var_os("UPDATE_TRANSCRIPTS").is_some() {
        fs::write(&path, actual).unwrap();
        return;
    }
    for (number, (expected, actual)) in expected.lines().zip(actual.lines()).enumerate() {
        assert_eq!(expected, actual, "{name}.txt line {}", number + 1);
    }
    assert_eq!(expected, actual, "{name}.txt");
}

macro_rules! transcripts {
    ($($name:ident)*) => {
        $(#[test]
        fn $name() {
            check(stringify!($name));
        })*

        #[test]
        fn every_transcript_is_run() {
            let known = [$(stringify!($name)),*];
            for entry in fs::read_dir("tests/transcripts").unwrap() {
                let name = entry.unwrap().path().file_stem().unwrap().to_string_lossy().into_owned();
                assert!(known.contains(&name.as_str()), "{name}.txt is not in the list of transcripts");
            }
        }
    };
}

transcripts! {
    four_rounds_of_the_happy_path_commit
    timeouts_make_a_certificate_and_the_next_leader_proposes_with_it
    e4_a_late_qc_after_a_tc_does_not_make_a_second_proposal
    e5_a_leader_that_learns_a_tc_from_a_message_proposes
    e6_a_tc_goes_along_exactly_when_the_qc_is_not_of_the_round_before
    e8_duplicates_at_the_amplification_threshold_change_nothing
    e9_no_hollow_timeout_is_sent
    e10_an_old_high_commit_qc_replayed_changes_nothing
    e12_a_timeout_is_sent_again_until_the_round_ends
    a_missing_chain_is_fetched_once_and_the_parked_proposal_goes_on
    a_long_absence_is_committed_stretch_by_stretch
    blocks_of_rounds_that_passed_wait_for_their_parents
    a_proposal_that_comes_after_its_votes_is_not_fetched
    a_proposal_on_a_dead_branch_is_neither_voted_for_nor_fetched
    s5_an_equivocating_leader_is_accused_once_and_its_other_block_can_still_win
    s4_a_double_voter_is_accused_and_its_first_vote_counts
    s8_divergence_halts
    s8_votes_for_another_result_do_not_count_together
    a_rejected_block_is_forgotten_and_halts_us_once_it_is_certified
    d8_a_block_is_voted_for_when_its_time_has_come_and_not_after_its_round
    s7_two_certificates_in_one_round_halt
    s13_a_commit_certificate_in_a_vote_moves_the_round_too
    s23_votes_are_told_to_everybody_when_their_round_is_given_up
    s11_restart_in_a_round_that_a_tc_led_into
    s9_s10_a_crash_between_every_two_effects_of_a_round
    s18_an_idle_chain_waits_and_a_lone_transaction_commits_at_once
    s22_help_is_given_once_in_a_round_and_a_sync_info_is_never_answered
    a_single_validator_commits_alone
    far_rounds_and_old_rounds_are_ignored
    an_old_proposal_that_is_not_missing_is_not_executed
    a_payload_for_a_parent_that_is_no_longer_the_highest_is_not_proposed
    the_parent_of_a_proposal_is_fetched_though_a_higher_certificate_is_known
    a_leader_waits_for_the_block_of_its_high_qc
    the_leader_of_a_round_changes_when_a_late_commit_becomes_known
}
