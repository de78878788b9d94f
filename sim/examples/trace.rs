use quorate_sim::{SimOptions, run_with, size_of};
fn main() {
    let a: Vec<String> = std::env::args().skip(1).collect();
    let seed = a[0].parse().unwrap();
    let r = run_with(
        SimOptions { seed, validators: a.get(2).map_or_else(|| size_of(seed), |v| v.parse().unwrap()), trace: true, directed: None },
        a[1].parse().unwrap(),
    );
    for l in &r.trace {
        println!("{l}");
    }
}
