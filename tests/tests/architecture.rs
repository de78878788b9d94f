//! The rings of ARCHITECTURE.md, compared with what Cargo says: an arrow only points left.

use std::{
    collections::{BTreeMap, BTreeSet},
    process::Command,
};

use serde_json::Value;

/// Each crate, the crates of ours that it may name, and the outside crates that it must never name.
const TABLE: &[(&str, &[&str], &[&str])] = &[
    ("types", &[], OUTSIDE),
    ("consensus", &["types"], OUTSIDE),
    ("app", &["types"], OUTSIDE),
    ("faults", &[], OUTSIDE),
    ("ledger", &["types", "app"], &["tokio", "libp2p", "reqwest", "clap", "getrandom", "rand"]),
    ("replica", &["types", "consensus", "app", "ledger"], OUTSIDE),
    ("sim", &["types", "consensus", "app", "ledger", "replica", "faults"], OUTSIDE),
    ("network", &[], &["rocksdb", "axum", "reqwest"]),
    ("node", &["types", "app", "ledger", "replica", "network", "client", "keygen", "genesis"], &["rocksdb", "libp2p"]),
    ("client", &["types"], &["rocksdb", "libp2p", "axum"]),
    ("wallet", &["types", "client", "keygen", "genesis"], &["rocksdb", "libp2p", "axum"]),
    ("keygen", &["types", "client"], &["rocksdb", "libp2p", "axum"]),
    ("genesis", &["types", "client", "keygen"], &["rocksdb", "libp2p", "axum"]),
];

/// What a deterministic crate must never name.
const OUTSIDE: &[&str] = &["tokio", "libp2p", "rocksdb", "reqwest", "axum", "clap", "getrandom", "rand", "futures", "hashbrown"];

fn dependencies() -> BTreeMap<String, BTreeSet<String>> {
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
            // What a feature adds (the command line of `sim`, RocksDB in `ledger`) is absent from the crate that the others build on.
            let normal = package["dependencies"]
                .as_array()
                .expect("dependencies")
                .iter()
                .filter(|dependency| dependency["kind"].is_null() && dependency["optional"] == false);
            (name, normal.map(|dependency| dependency["name"].as_str().expect("name").to_owned()).collect())
        })
        .collect()
}

#[test]
fn an_arrow_only_points_left() {
    let dependencies = dependencies();
    for (name, ours, never) in TABLE {
        let named = dependencies.get(*name).unwrap_or_else(|| panic!("the workspace has no crate {name}"));
        for dependency in named {
            assert!(!never.contains(&dependency.as_str()), "{name} must never name {dependency}");
            if let Some(other) = dependency.strip_prefix("quorate-") {
                assert!(ours.contains(&other), "{name} must not depend on {other}");
            }
        }
    }
}

#[test]
fn every_library_of_the_workspace_is_in_the_table() {
    let listed: BTreeSet<&str> = TABLE.iter().map(|(name, ..)| *name).chain(["cli", "tests", "zoo", "bindgen"]).collect();
    let found = dependencies();
    let found: BTreeSet<&str> = found.keys().map(String::as_str).collect();
    assert_eq!(found, listed);
}
