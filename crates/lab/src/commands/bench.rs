//! `chainrule bench`: training and inference on the reference workloads, behind the quiet-machine gate.

mod layers;

use crate::settings::{Usage, closest};
use crate::show;
use anyhow::Result;
use chainrule::models::{ARCHITECTURES, Architecture};
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
    /// Only these: W1 to W7, models by their names, single layers W8 and W9, or BN for the two backward passes of batch norm
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    only: Vec<String>,
    /// Batches of the models, as in 32,128; without it that of their recipes. The workloads W1 to W7 have their own
    #[arg(long, value_name = "COUNTS", value_delimiter = ',', value_parser = clap::value_parser!(u32).range(1..=65536))]
    batch: Vec<u32>,
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
            "{:<30}{:>3}{:>9}{:>9}{:>5}  {:<5}{:>8}{:>8}",
            "workload", "thr", "median ms", "min ms", "n", "quiet", "MiB", "summary"
        ));
    }
    for threads in counts {
        chainrule_kernels::threads::set_threads(threads);
        for name in &names {
            one(args, name)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Measures what has this name.
fn one(args: &BenchArgs, name: &str) -> Result<()> {
    let options = Options { budget: Duration::from_secs(args.seconds), ..Options::default() };
    reset_peak();
    if BATCH_NORM.contains(&name) {
        let sample = measure(&format!("{name} backward"), &options, batch_norm_backward(name));
        print(args, &sample, pool_stats().peak, None);
    } else if single::NAMES.contains(&name) {
        for (pass, run) in single::passes(name) {
            let sample = measure(&format!("{name} {pass}"), &options, run);
            print(args, &sample, pool_stats().peak, None);
        }
    } else if NAMES.contains(&name) {
        // A step of W7 takes most of a second.
        let warmup = if name == "W7" { 2 } else { options.warmup };
        net(args, name, &Options { warmup, ..options }, || Workload::new(name))?;
    } else {
        let architecture = Architecture::named(name)?;
        let own = [u32::try_from(architecture.recipe.batch)?];
        let batches = if args.batch.is_empty() { &own[..] } else { &args.batch[..] };
        for batch in batches {
            let make = || Workload::training(architecture, *batch as usize);
            net(args, &format!("{name} {batch}"), &options, make)?;
        }
    }
    Ok(())
}

/// Measures the training of a net, and inference if that is wanted.
fn net(
    args: &BenchArgs,
    name: &str,
    options: &Options,
    make: impl FnOnce() -> chainrule::Result<Workload>,
) -> Result<()> {
    let before = pool_stats().in_use;
    let mut workload = make()?;
    reset_peak();
    let taken = |workload: &Workload| pool_stats().peak - before - workload.waiting();
    let sample = measure(&format!("{name} train"), options, || {
        workload.step();
    });
    print(args, &sample, taken(&workload), Some(workload.predicted));
    if args.infer {
        reset_peak();
        let sample = measure(&format!("{name} infer"), options, || drop(workload.infer()));
        print(args, &sample, taken(&workload), None);
    }
    Ok(())
}

/// The measurements a user named: `W1` means all of its forms, `W9` all of its layers, `BN` the two backward passes of batch
/// norm, an architecture's name its training. Without a name, the workloads.
fn chosen(only: &[String]) -> Result<Vec<&'static str>> {
    if only.is_empty() {
        return Ok(NAMES.into());
    }
    let models = ARCHITECTURES.iter().map(|a| a.name);
    let all = || NAMES.into_iter().chain(single::NAMES).chain(BATCH_NORM).chain(models.clone());
    let matches =
        |wanted: &String, name: &str| name == wanted || name.split('-').next() == Some(wanted);
    if let Some(unknown) = only.iter().find(|w| !all().any(|n| matches(w, n))) {
        let close = closest(unknown, all());
        return Err(Usage(format!("--only: unknown workload {unknown:?}; {close}")).into());
    }
    Ok(all().filter(|n| only.iter().any(|w| matches(w, n))).collect())
}

fn print(args: &BenchArgs, sample: &Sample, memory: usize, predicted: Option<usize>) {
    if args.json {
        let mut object = serde_json::to_value(sample).unwrap_or_default();
        object["memory_bytes"] = memory.into();
        object["predicted_bytes"] = predicted.into();
        object["process_bytes"] = chainrule_bench::peak_process_bytes().into();
        return show::line(object.to_string());
    }
    let Sample { name, threads, median_ms, min_ms, n, quiet, .. } = sample;
    let mib = |bytes: usize| format!("{:.1}", bytes as f64 / (1 << 20) as f64);
    let summary = predicted.map_or(String::new(), mib);
    show::line(format!(
        "{name:<30}{threads:>3}{median_ms:>9.3}{min_ms:>9.3}{n:>5}  {:<5}{:>8}{summary:>8}",
        if *quiet { "yes" } else { "no" },
        mib(memory)
    ));
}
