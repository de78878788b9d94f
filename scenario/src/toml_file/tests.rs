use super::*;

/// The error of a bad file, as the user sees it.
fn wrong(text: &str) -> String {
    read(text).unwrap_err().to_string()
}

#[test]
fn every_error_says_where_what_and_how_to_mend_it() {
    let failure = "[[failures]]\nfail_type = \"MsgLoss\"\n";
    for (text, expected) in [
        ("validatorz = 4".into(), "1:1: the file has no key `validatorz`; the keys are name,"),
        ("validator = 4".into(), "1:1: the file has no key `validator`; did you mean `validators`?"),
        ("validators = 'four'".into(), "1:14: validators is not a whole number in range; write a whole number in"),
        ("name = \"a\"\nvalidators = 3\nfaulty = 1".into(), "3:10: 3 validators cannot tolerate 1 faulty ones (3f+1); use at least 4"),
        ("exclude_size = 3".into(), "1:16: exclude_size 3 with 4 validators; choose between f and 2f, here 1..=2"),
        ("expect = \"ok\"".into(), "1:10: \"ok\" is not a value of expect; write \"committed\" or \"stalled\""),
        ("name = \"a\"\nname = \"b\"".into(), "2:1: duplicate key; write valid TOML"),
        (format!("{failure}src = 4"), "3:7: there is no validator 4; use a number below `validators`"),
        (format!("{failure}src = \"boss\""), "3:7: src is not a validator; write a number, \"leader\" or \"_\" for any"),
        (format!("{failure}msg_type = \"Prepare\""), "3:12: there is no msg_type \"Prepare\"; choose one of Proposal"),
        (format!("{failure}prob = 1.5"), "3:8: a probability above 1; choose 0 to 1"),
        (format!("{failure}prob = -0.5"), "3:8: prob is not a number in range; write a decimal"),
        (format!("{failure}round = \"9..=3\""), "3:9: the range 9..=3 contains no round; write the smaller number first"),
        (format!("{failure}val = 3"), "3:7: MsgLoss takes no val; remove it"),
        (format!("{failure}why = 3"), "3:1: a failure has no key `why`"),
        ("[[failures]]\nsrc = 1".into(), "1:1: `fail_type` is missing; add fail_type = ..."),
        ("[[failures]]\nfail_type = \"Delay\"".into(), "2:13: a Delay without val; give the seconds, as in val"),
        (
            "[[failures]]\nsrc = 1\nfail_type = \"SetAttr\"\nattr = \"current_round\"\nval = 1".into(),
            "2:7: SetAttr only applies to faulty validators, and 1 is not one; add it to `faulty`",
        ),
        ("[[workload]]\nclient = 0\noperations = \"put('k','v'); pop('k')\"".into(), "3:29: there is no operation `pop`"),
        ("[[triggers]]\nvalidator = 1\non = \"shuttle(0)\"\ndo = \"crash()\"".into(), "3:7: shuttle counts a client's messages"),
        (
            "[[triggers]]\nvalidator = 1\non = \"shuttle(0,1)\"\ndo = \"extra_op()\"".into(),
            "4:6: extra_op() is a lie, and validator 1 is not faulty; add the validator to `faulty`",
        ),
    ] {
        let found = wrong(&text);
        assert!(found.starts_with(expected), "{text}\n  found    {found}\n  expected {expected}");
    }
}

#[test]
fn the_course_s_rule_about_setting_attributes_can_be_broken_on_purpose_only() {
    let text = "faulty = [2, 3]\n[[failures]]\nsrc = 2\nfail_type = \"SetAttr\"\nattr = \"current_round\"\nval = 1";
    assert!(wrong(text).starts_with("1:10: 4 validators cannot tolerate 2 faulty ones"));
    assert!(read(&format!("beyond_f = true\n{text}")).is_ok());
}

#[test]
fn the_template_states_the_defaults() {
    let lines = super::super::print::TEMPLATE.lines().filter(|line| !line.starts_with("description"));
    let end: Vec<&str> = lines.take_while(|line| !line.starts_with("# The clients")).collect();
    let scenario = read(&end.join("\n")).unwrap();
    // The template spells out the exclude_size that a committee of four gets by default.
    let mut default = Scenario { name: "template".into(), seed: Some(1), ..Scenario::default() };
    default.parameters.exclude_size = Some(default.parameters.excluded(4));
    assert_eq!(scenario, default);
}
