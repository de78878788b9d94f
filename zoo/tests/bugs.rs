//! Every bug applies to the current sources. (`make hunt` shows that each is found; that takes too long for every test run.)

use std::path::Path;

use quorate_zoo::{
    bug::{BUGS, Bug},
    search::Search,
};

fn root() -> &'static Path {
    Path::new("..")
}

#[test]
fn every_bug_is_there_and_says_what_it_is() {
    let bugs = Bug::load_all(&root().join("zoo/bugs")).unwrap();
    let numbers: Vec<u8> = bugs.iter().map(|bug| bug.number).collect();
    assert_eq!(numbers, (1..=BUGS).collect::<Vec<_>>());
    for bug in &bugs {
        assert!(bug.name.len() > 5 && bug.what.len() > 40 && bug.event.len() > 10, "{}", bug.number);
        assert!(Search::named(&bug.expected).is_some(), "bug {} names a search that does not exist: {}", bug.number, bug.expected);
    }
}

#[test]
fn every_bug_fits_the_sources_of_today() {
    let broken: Vec<String> = Bug::load_all(&root().join("zoo/bugs")).unwrap().iter().filter_map(|bug| bug.apply(root()).err()).collect();
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn an_edit_that_does_not_fit_says_so() {
    let text = r#"
        number = 1
        name = "x"
        what = "y"
        event = "z"
        expected = "worlds"
        [[edit]]
        file = "zoo/Cargo.toml"
        find = "FIND"
        replace = "REPLACE"
    "#;
    let bug = |find: &str, replace: &str| -> Bug { toml::from_str(&text.replace("FIND", find).replace("REPLACE", replace)).unwrap() };
    assert!(bug("not in there", "x").apply(root()).unwrap_err().contains("is not there"));
    assert!(bug("workspace", "x").apply(root()).unwrap_err().contains("times"));
    assert!(bug("quorate-zoo", "quorate-zoo").apply(root()).unwrap_err().contains("changes nothing"));
    let changed = bug("quorate-zoo", "other").apply(root()).unwrap();
    assert!(changed.values().next().unwrap().contains("name = \"other\""));
}
