//! `chainrule bench`: training and inference on the reference workloads, behind the quiet-machine gate.

mod layers;

use crate::settings::{Usage, closest};
use crate::show;
use anyhow::Result;
use chainrule_bench::gate::{Options, Sample, measure};
use chainrule_bench::single;
use chainrule_bench::workloads::{BATCH_NORM, NAMES, Workload, batch_norm_backward};
use chainrule_kernels::buffer::{pool_stats, reset_peak};
use clap::{Args, Subcommand};
use std::process::ExitCode;
use std::time::Duration;

/// Time training and inference on the reference workloads.
#[derive(Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct BenchArgs {
    #[command(subcommand)]
    what: Option<What>,
    /// Only these: W1, W2, W3, single layers W8 and W9, or BN for the two backward passes of batch norm
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    only: Vec<String>,
    /// Threads, as in 2,1; without it all processors
    #[arg(long, value_name = "COUNTS", value_delimiter = ',', value_parser = clap::value_parser!(u16).range(1..=256))]
    threads: Vec<u16>,
    /// Seconds a measurement may take
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u64).range(1..=600))]
    seconds: u64,
    /// Time inference too
    #[arg(long)]
    infer: bool,
    /// One JSON object a line
    #[arg(long)]
    json: bool,
}

/// What to measure instead of the workloads.
#[derive(Subcommand)]
enum What {
    /// Compare convolution and max pooling with explicit loops, NumPy and PyTorch
    Layers(layers::LayersArgs),
}

/// Measures and prints.
pub fn run(args: &BenchArgs) -> Result<ExitCode> {
    if let Some(What::Layers(layers)) = &args.what {
        return layers::run(layers);
    }
    let names = chosen(&args.only)?;
    let counts: Vec<usize> = match args.threads.as_slice() {
        [] => vec![chainrule_kernels::threads::threads()],
        some => some.iter().map(|n| usize::from(*n)).collect(),
    };
    if !args.json {
        show::line(format!(
            "{:<24}{:>8}{:>12}{:>10}{:>6}  {:<6}{:>12}",
            "workload", "threads", "median ms", "min ms", "n", "quiet", "memory MiB"
        ));
    }
    let options = Options { budget: Duration::from_secs(args.seconds), ..Options::default() };
    for threads in counts {
        chainrule_kernels::threads::set_threads(threads);
        for name in &names {
            reset_peak();
            if BATCH_NORM.contains(name) {
                let sample =
                    measure(&format!("{name} backward"), &options, batch_norm_backward(name));
                print(args, &sample, pool_stats().peak);
                continue;
            }
            if single::NAMES.contains(name) {
                for (pass, run) in single::passes(name) {
                    let sample = measure(&format!("{name} {pass}"), &options, run);
                    print(args, &sample, pool_stats().peak);
                }
                continue;
            }
            let mut workload = Workload::new(name)?;
            let sample = measure(&format!("{name} train"), &options, || {
                workload.step();
            });
            print(args, &sample, pool_stats().peak - workload.waiting());
            if args.infer {
                let sample = measure(&format!("{name} infer"), &options, || drop(workload.infer()));
                print(args, &sample, pool_stats().peak - workload.waiting());
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The measurements a user named: `W1` means both of its forms, `W9` all of its layers, `BN` the two backward passes of batch
/// norm. Without a name, the trainings.
fn chosen(only: &[String]) -> Result<Vec<&'static str>> {
    if only.is_empty() {
        return Ok(NAMES.into());
    }
    let all = || NAMES.into_iter().chain(single::NAMES).chain(BATCH_NORM);
    let matches =
        |wanted: &String, name: &str| name == wanted || name.split('-').next() == Some(wanted);
    if let Some(unknown) = only.iter().find(|w| !all().any(|n| matches(w, n))) {
        let close = closest(unknown, all());
        return Err(Usage(format!("--only: unknown workload {unknown:?}; {close}")).into());
    }
    Ok(all().filter(|n| only.iter().any(|w| matches(w, n))).collect())
}

fn print(args: &BenchArgs, sample: &Sample, memory: usize) {
    if args.json {
        let mut object = serde_json::to_value(sample).unwrap_or_default();
        object["memory_bytes"] = memory.into();
        return show::line(object.to_string());
    }
    let Sample { name, threads, median_ms, min_ms, n, quiet, .. } = sample;
    let mib = memory as f64 / (1 << 20) as f64;
    show::line(format!(
        "{name:<24}{threads:>8}{median_ms:>12.3}{min_ms:>10.3}{n:>6}  {:<6}{mib:>12.1}",
        if *quiet { "yes" } else { "no" }
    ));
}
