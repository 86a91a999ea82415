//! Workloads in turn within one process, so that what differs is them and not the weather: the tape beside the explicit net.
//!
//!     cargo run --release -p chainrule-bench --example in_turn -- THREADS ROUNDS W1-sgdm W1-modules
//!
//! A round is five steps of a workload to warm up, 20 that are timed, and then the next workload. The medians are over rounds, in
//! milliseconds a step; ratios are to the first workload.

use chainrule_bench::workloads::{NAMES, Workload};
use chainrule_kernels::threads::set_threads;
use std::process::ExitCode;
use std::time::Instant;

/// Steps that are timed together.
const STEPS: u32 = 20;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let numbers: Vec<usize> =
        args.iter().take(2).filter_map(|n| n.parse().ok()).filter(|n| *n > 0).collect();
    let names = args.get(2..).unwrap_or_default();
    let (&[threads, rounds], true) =
        (&numbers[..], !names.is_empty() && names.iter().all(|n| NAMES.contains(&&n[..])))
    else {
        eprintln!("usage: in_turn THREADS ROUNDS WORKLOAD...; the workloads are {NAMES:?}");
        return ExitCode::from(2);
    };
    set_threads(threads);
    let workloads: chainrule::Result<Vec<Workload>> =
        names.iter().map(|n| Workload::new(n)).collect();
    let mut workloads = match workloads {
        Ok(workloads) => workloads,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::FAILURE;
        }
    };
    let mut times = vec![Vec::new(); names.len()];
    for _ in 0..rounds {
        for (workload, times) in workloads.iter_mut().zip(&mut times) {
            (0..5).for_each(|_| _ = workload.step());
            let start = Instant::now();
            (0..STEPS).for_each(|_| _ = workload.step());
            times.push(1e3 * start.elapsed().as_secs_f64() / f64::from(STEPS));
        }
    }
    let mut first = None;
    for (name, times) in names.iter().zip(&mut times) {
        times.sort_by(f64::total_cmp);
        let (median, least) = (times[times.len() / 2], times[0]);
        let ratio = median / *first.get_or_insert(median);
        println!(
            "{name:<12}{threads:>3} threads  median {median:.3}  least {least:.3}  ratio {ratio:.3}"
        );
    }
    ExitCode::SUCCESS
}
