//! Compares the dependency rules of ARCHITECTURE.md with Cargo's metadata: arrows only point left.

use std::{
    collections::{BTreeMap, BTreeSet},
    process::Command,
};

use serde_json::Value;

type Names = &'static [&'static str];

/// Each crate, our crates that it may depend on, outside crates that it must never depend on, and what its features may add.
const TABLE: &[(&str, Names, Names, Names)] = &[
    // Its schemas are for whoever describes the API.
    ("types", &[], OUTSIDE, &["utoipa"]),
    ("consensus", &["types"], OUTSIDE, &[]),
    ("app", &["types"], OUTSIDE, &[]),
    ("builtin", &["types", "app"], OUTSIDE, &[]),
    ("faults", &[], OUTSIDE, &[]),
    ("ledger", &["types", "app"], &["tokio", "libp2p", "reqwest", "clap", "getrandom", "rand"], &["rocksdb"]),
    ("replica", &["types", "consensus", "app", "ledger"], OUTSIDE, &[]),
    ("harness", &["types", "consensus", "app", "builtin", "ledger", "replica"], OUTSIDE, &[]),
    ("scenario", &["types", "builtin", "ledger", "replica", "faults", "harness"], OUTSIDE, &["clap", "quorate-terminal", "serde_json"]),
    // Written for a terminal; its replicas do not know.
    (
        "playground",
        &["types", "consensus", "builtin", "ledger", "replica", "harness", "terminal"],
        &["tokio", "libp2p", "rocksdb", "reqwest", "axum", "getrandom", "rand", "futures", "hashbrown"],
        &[],
    ),
    // Its command line draws bars, reads files and asks people; no world does.
    (
        "sim",
        &["types", "consensus", "app", "builtin", "ledger", "replica", "harness", "scenario"],
        OUTSIDE,
        &["clap", "indicatif", "mimalloc", "quorate-keygen", "quorate-playground", "quorate-terminal", "serde_json"],
    ),
    ("network", &[], &["rocksdb", "axum", "reqwest"], &[]),
    (
        "node",
        &["types", "app", "ledger", "replica", "network", "client", "keygen", "genesis", "signer", "terminal"],
        &["rocksdb", "libp2p"],
        &["quorate-faults"],
    ),
    ("client", &["types", "terminal"], &["rocksdb", "libp2p", "axum"], &[]),
    ("wallet", &["types", "app", "builtin", "client", "keygen", "genesis", "terminal"], &["rocksdb", "libp2p", "axum"], &[]),
    ("monitor", &["types", "client", "terminal"], &["rocksdb", "libp2p", "axum"], &[]),
    ("terminal", &["types"], &["tokio", "rocksdb", "libp2p", "axum", "reqwest"], &[]),
    // A process that holds a key links nothing that listens to strangers.
    ("signer", &["types", "consensus", "keygen"], &["tokio", "rocksdb", "libp2p", "axum", "reqwest"], &[]),
    // Keys and ceremonies work offline.
    ("keygen", &["types", "terminal"], &["tokio", "rocksdb", "libp2p", "axum", "reqwest"], &[]),
    ("genesis", &["types", "app", "keygen", "terminal"], &["tokio", "rocksdb", "libp2p", "axum", "reqwest"], &[]),
];

/// Crates on which a deterministic crate must never depend.
const OUTSIDE: &[&str] = &["tokio", "libp2p", "rocksdb", "reqwest", "axum", "clap", "getrandom", "rand", "futures", "hashbrown"];

/// The dependencies of a crate: unconditional ones, and those of features.
#[derive(Default)]
struct Named {
    always: BTreeSet<String>,
    optional: BTreeSet<String>,
}

fn dependencies() -> BTreeMap<String, Named> {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".into());
    let output = Command::new(cargo)
        .args(["metadata", "--format-version", "1", "--no-deps", "--offline", "--manifest-path", "../Cargo.toml"])
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("cargo metadata prints JSON");
    let packages = metadata["packages"].as_array().expect("packages");
    packages
        .iter()
        .map(|package| {
            let name = package["name"].as_str().expect("name").trim_start_matches("quorate-").to_owned();
            let mut named = Named::default();
            for dependency in package["dependencies"].as_array().expect("dependencies").iter().filter(|one| one["kind"].is_null()) {
                let of = if dependency["optional"] == true { &mut named.optional } else { &mut named.always };
                of.insert(dependency["name"].as_str().expect("name").to_owned());
            }
            (name, named)
        })
        .collect()
}

#[test]
fn an_arrow_only_points_left() {
    let dependencies = dependencies();
    for (name, ours, never, optional) in TABLE {
        let named = dependencies.get(*name).unwrap_or_else(|| panic!("the workspace has no crate {name}"));
        for dependency in &named.always {
            assert!(!never.contains(&dependency.as_str()), "{name} must never depend on {dependency}");
            if let Some(other) = dependency.strip_prefix("quorate-") {
                assert!(ours.contains(&other), "{name} must not depend on {other}");
            }
        }
        for dependency in &named.optional {
            assert!(optional.contains(&dependency.as_str()), "no feature of {name} may add {dependency}");
        }
    }
}

#[test]
fn every_library_of_the_workspace_is_in_the_table() {
    let others = ["cli", "tests", "zoo", "bindgen", "example-counter", "example-map", "example-calculator", "example-broken-counter"];
    let listed: BTreeSet<&str> = TABLE.iter().map(|(name, ..)| *name).chain(others).collect();
    let found = dependencies();
    let found: BTreeSet<&str> = found.keys().map(String::as_str).collect();
    assert_eq!(found, listed);
}
