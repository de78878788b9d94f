use super::{super::*, *};

const ALL: u32 = 0b1_1111;

/// For each of the actors v0 v0' v1 v2 v3, the set of those that hear it.
fn heard_by(hearing: &Hearing) -> [u32; 5] {
    [0, 1, 2, 3, 4].map(|actor| hearing.of(actor) & ALL)
}

fn script(text: &str) -> Script {
    read(text, None).unwrap_or_else(|error| panic!("{error}\n{text}")).script
}

#[test]
fn every_shape_of_the_courses_says_the_same() {
    // v0 v1 v3 | v0' v2, led by v1; then everybody together, led by the twin; then without votes of the first group.
    let flat = r#"[{"number_of_nodes": 4, "number_of_twins": 1, "partitions": [[[0, 1, 3], [2, 4]], [[0, 1, 2, 3, 4]], [[0, 1, 3], [2, 4]]],
        "leaders": [1, 4, 3], "message_types": [[[], []], [], [["Voting"], []]]}]"#;
    let wanted = script(flat);
    assert_eq!((wanted.validators, wanted.cast.len(), wanted.acts.len()), (4, 5, 3));
    assert_eq!(wanted.acts.iter().map(|act| act.leader.0).collect::<Vec<_>>(), [1, 0, 3]);
    let [first, second, third] = wanted.acts.as_slice() else { panic!() };
    assert_eq!(heard_by(&first.proposals), [0b1_0101, 0b0_1010, 0b1_0101, 0b0_1010, 0b1_0101]);
    assert_eq!(heard_by(&second.votes), [ALL; 5]);
    assert_eq!(heard_by(&third.votes), [0, 0b0_1010, 0, 0b0_1010, 0]);
    assert_eq!(heard_by(&third.timeouts), heard_by(&first.timeouts));

    let maps = r#"{"num_of_nodes": 4, "num_of_twins": 1, "round_leaders": {"1": 1, "2": 0, "3": 3},
        "round_partitions": {"1": [[[0, 1, 3], [2, 4]]], "2": [[[0, 1, 2, 3, 4]]], "3": [[[0], [1], [2], [3], [4]], [[0, 1, 3], [2, 4]]]},
        "drop_round_msg": {"1": {"Vote": [], "Timeout": []}, "3": {"Vote": [0, 1, 3]}}}"#;
    let letters = r#"{"no_of_replicas": 4, "no_of_twins": 1, "no_of_rounds": 3, "round_configs": {
        "1": {"leader": ["B"], "partitions": [["A", "B", "D"], ["C", "A'"]]},
        "2": {"leader": ["A", "A'"], "partitions": [["A", "B", "C", "D", "A'"]]},
        "3": {"leader": ["D"], "partitions": [["A", "B", "D"], ["C", "A'"]]}}}"#;
    let kinds = r#"{"num_of_nodes": 4, "num_of_faulty": 1, "nodes": [1, 2, 3, 4, 5], "test_case_config": {
        "proposal_partitions": [[[1, 2, 4], [3, 5]], [[1, 2, 3, 4, 5]], [[1, 2, 4], [3, 5]]],
        "vote_partitions": [[[1, 2, 4], [3, 5]], [[1, 2, 3, 4, 5]], [[1], [2], [4], [3, 5]]],
        "timeout_partitions": [[[1, 2, 4], [3, 5]], [[1, 2, 3, 4, 5]], [[1, 2, 4], [3, 5]]],
        "leader": [[2], [1, 5], [4]]}}"#;
    for (other, same) in [(maps, [true; 3]), (letters, [true, true, false]), (kinds, [true; 3])] {
        let other = script(other);
        assert_eq!(other.cast, wanted.cast);
        for ((one, other), all) in wanted.acts.iter().zip(&other.acts).zip(same) {
            assert_eq!(one.leader, other.leader);
            assert_eq!((heard_by(&one.proposals), heard_by(&one.timeouts)), (heard_by(&other.proposals), heard_by(&other.timeouts)));
            if all {
                // Whether an actor hears itself does not matter.
                let others = |hearing: &Hearing| [0, 1, 2, 3, 4].map(|actor| hearing.of(actor) & ALL & !(1 << actor));
                assert_eq!(others(&one.votes), others(&other.votes));
            }
        }
    }
}

#[test]
fn kinds_are_dropped_for_a_round_between_two_or_of_one_node() {
    let base = r#""number_of_nodes": 4, "number_of_twins": 1, "leaders": [0, 0], "partitions": [[[0, 1, 2, 3, 4]], [[0, 1, 2, 3, 4]]]"#;
    let config = r#"{"no_of_replicas": 4, "no_of_twins": 1, "round_configs": {"1": {"leader": ["A"], "partitions": [], "MsgType": "Vote"}}, "timeout_msg_drop_cnt": 3}"#;
    let round = script(config);
    assert_eq!((heard_by(&round.acts[0].votes), heard_by(&round.acts[0].proposals), round.timeouts_lost), ([0; 5], [ALL; 5], 3));
    let between = script(&format!(r#"{{{base}, "random_message_drops": {{"1": [["Timeout", 0, 2], []]}}}}"#));
    assert_eq!(heard_by(&between.acts[0].timeouts), [0b1_0111, ALL, ALL, 0b1_1110, ALL]);
    assert_eq!(heard_by(&between.acts[1].timeouts), [ALL; 5]);
    let drops = r#"[{"type_of_msg_to_drop": "proposal", "node_number": 3, "round_from": 2, "round_to": 5}]"#;
    let cut = script(&format!(r#"{{{base}, "drops": {drops}}}"#));
    assert_eq!(heard_by(&cut.acts[0].proposals), [ALL; 5]);
    assert_eq!(heard_by(&cut.acts[1].proposals), [0b0_1111, 0b0_1111, 0b0_1111, 0b0_1111, 0]);
    let named = script(r#"{"number_of_nodes": 4, "twins": {"2": [9]}, "leaders": [9], "partitions": [[[9, 0], [1, 2, 3]]]}"#);
    assert_eq!(named.names(), ["v0", "v1", "v2", "v2'", "v3"]);
    assert_eq!((named.acts[0].leader.0, named.acts[0].rest.of(3) & ALL), (2, 0b0_1001));
}

#[test]
fn a_scenario_of_ours_is_the_same_after_it_was_exported_and_read() {
    for (validators, rounds, two_phase) in [(4, 3, false), (4, 2, true), (7, 3, false)] {
        let space = Space::new(validators, rounds, two_phase).unwrap();
        let lab = Lab::for_rounds(validators, rounds).unwrap();
        for number in 0..6 {
            let scenario = space.draw(5, number);
            let imported = read(&export::export(&scenario).unwrap(), None).unwrap();
            assert!(imported.notes.is_empty());
            let (one, other) = (play(&lab, &scenario, false), play_script(&lab, &imported.script, false));
            assert_eq!((one.history, one.counters, one.violation), (other.history, other.counters, other.violation), "{scenario}");
        }
    }
}

#[test]
fn says_where_a_file_is_wrong() {
    let with = |rest: &str| format!("{{\"number_of_nodes\": 4, \"number_of_twins\": 1,\n{rest}}}");
    for (text, expected) in [
        ("[1]".into(), "1:1: the file has no twins scenario"),
        ("{\"leaders\": [0]}".into(), "1:1: the scenario does not say how many nodes there are; add number_of_nodes"),
        (
            "{\"number_of_nodes\": 99, \"leaders\": [0]}".into(),
            "1:21: the number of nodes is not a number in range; write a whole number from 0 to 16",
        ),
        ("{\"number_of_nodes\": 0, \"leaders\": [0]}".into(), "1:21: there are no nodes"),
        ("{\"number_of_nodes\": 4, \"leaders\": [0]}".into(), "1:1: the scenario does not say how many twins there are"),
        (with("\"leaders\": [7]"), "2:13: there is no node \"7\"; nodes are 0..=4"),
        (with("\"leaders\": [[0, 1]]"), "2:13: a round with 2 leaders"),
        (with("\"leaders\": [[]]"), "2:13: a round with 0 leaders"),
        (with("\"leaders\": 3"), "2:12: a number where leaders should be"),
        (with("\"leaders\": {\"99\": 3}"), "2:19: there is no round 99 in leaders; rounds are 1..=64"),
        (with("\"leaders\": [0],\n\"partitions\": [[[0]], [[1]]]"), "2:12: round 2 has no leader"),
        (with("\"leaders\": [0],\n\"partitions\": [[[0, 9]]]"), "3:21: there is no node \"9\""),
        (with("\"leaders\": [0],\n\"partitions\": [[0]]"), "3:17: a number where a partition should be"),
        (
            with("\"leaders\": [0],\n\"partitions\": [[[0]]],\n\"message_types\": [[[\"Prepare\"]]]"),
            "4:21: validators do not send messages of the kind \"Prepare\"",
        ),
        (with("\"leaders\": [0],\n\"partitions\": [[[0]]],\n\"message_types\": [[[], []]]"), "4:19: dropped kinds for 2 partitions"),
        (with("\"leaders\": [0], \"nodes\": [1, 2]"), "2:26: 2 names for 5 nodes and twins"),
        (
            format!("[{},\n{}]", with("\"leaders\": [0]"), with("\"leaders\": [1]")),
            "3:1: the second of 2 scenarios; choose one: --case 1 to --case 2",
        ),
        ("{".into(), "1:2: "),
    ] {
        let error = read(&text, None).unwrap_err().to_string();
        assert!(error.starts_with(expected), "{text}\n  found    {error}\n  expected {expected}");
    }
    let two = format!("[{},\n{}]", with("\"leaders\": [0]"), with("\"leaders\": [1]"));
    assert_eq!(read(&two, Some(2)).unwrap().script.acts[0].leader, ValidatorId(1));
    assert!(read(&two, Some(3)).unwrap_err().to_string().contains("there is no case 3"));
    assert!(read(&two, Some(0)).is_err());
    let notes = read(&with("\"leaders\": [0], \"quorum_size\": 3,\n\"delay_round_msg\": {}"), None).unwrap().notes;
    assert_eq!(notes.len(), 2, "{notes:?}");
    assert!(notes.iter().any(|note| note.starts_with("2:17: unknown key `quorum_size`")), "{notes:?}");
}
