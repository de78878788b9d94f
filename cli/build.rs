//! Sets the commit that the program is built from: "unknown" without git or outside a checkout.

use std::{env, process::Command};

fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).output().ok().filter(|output| output.status.success())?;
    Some(String::from_utf8(output.stdout).ok()?.trim().to_owned()).filter(|text| !text.is_empty())
}

fn main() {
    println!("cargo:rerun-if-env-changed=QUORATE_COMMIT");
    // HEAD changes on a checkout of another branch, the index on every commit.
    for file in ["HEAD", "index"] {
        if let Some(path) = git(&["rev-parse", "--path-format=absolute", "--git-path", file]) {
            println!("cargo:rerun-if-changed={path}");
        }
    }
    let commit = env::var("QUORATE_COMMIT").ok().filter(|text| !text.is_empty()).or_else(|| git(&["rev-parse", "--short=12", "HEAD"]));
    println!("cargo:rustc-env=QUORATE_BUILT_FROM={}", commit.as_deref().unwrap_or("unknown"));
    println!("cargo:rustc-env=QUORATE_BUILT_FOR={}", env::var("TARGET").unwrap_or_default());
}
