//! How much processor time a seed costs: `cargo run --release --example pace -- FIRST COUNT [VALIDATORS]`.
use quorate_sim::{SimOptions, run_with, size_of};
fn main() {
    let faults = std::env::args().nth(4).map_or_else(Default::default, |w| w.parse().unwrap());
    let a: Vec<u64> = std::env::args().skip(1).take(3).map(|a| a.parse().unwrap()).collect();
    let mut seen: std::collections::BTreeMap<String, u64> = Default::default();
    let mut rounds_max = 0;
    let mut settle = 0;
    let cpu = || {
        let s = std::fs::read_to_string("/proc/self/stat").unwrap();
        let f: Vec<&str> = s.rsplit(')').next().unwrap().split_whitespace().collect();
        (f[11].parse::<u64>().unwrap() + f[12].parse::<u64>().unwrap()) * 10
    };
    let mut by: std::collections::BTreeMap<u16, (u64, u64, u64, u64)> = Default::default();
    for seed in a[0]..a[0] + a[1] {
        let v = a.get(2).filter(|v| **v > 0).map_or_else(|| size_of(seed), |v| *v as u16);
        let t = cpu();
        let r = run_with(SimOptions { seed, validators: v, trace: false, directed: None }, faults);
        for (k, n) in &r.seen {
            *seen.entry(k.clone()).or_default() += n;
        }
        rounds_max = rounds_max.max(r.rounds_to_commit.unwrap_or(0));
        settle = settle.max(r.ms_to_settle.unwrap_or(0));
        if !r.culprits.is_empty() {
            println!("{seed} culprits {:?} byz {:?}", r.culprits, r.byzantine);
        }
        if let Some(v) = &r.violation {
            println!("seed {seed}: {v:?}");
        }
        let e = by.entry(v).or_default();
        e.0 += 1;
        e.1 += cpu() - t;
        e.2 += r.round;
        e.3 += r.events;
    }
    for (v, (n, ms, rounds, events)) in &by {
        println!("n={v}: {n} seeds, {:.1} ms each, {} rounds, {} events", *ms as f64 / *n as f64, rounds / n, events / n);
    }
    println!("{seen:#?} rounds {rounds_max} settle {settle}");
    println!("mean {:.1} ms", cpu() as f64 / a[1] as f64);
}
