use quorate_sim::{SimOptions, run_with, size_of};
fn main() {
    let a: Vec<String> = std::env::args().skip(1).collect();
    let seed = a[0].parse().unwrap();
    let r = run_with(SimOptions { seed, validators: size_of(seed), trace: true, directed: None }, a[1].parse().unwrap());
    for l in &r.trace {
        println!("{l}");
    }
}
