//! `chainrule bench layers`: the course's table of layers, explicit loops against the library's own, beside NumPy and PyTorch.

use crate::show;
use anstyle::Style;
use anyhow::Result;
use chainrule::Error;
use chainrule::data::files;
use chainrule_bench::gate::{Options, Sample, measure};
use chainrule_bench::layers::{Pair, pairs};
use chainrule_kernels::threads;
use clap::Args;
use serde::Deserialize;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

/// Where bench/peers/layers.py leaves the peers' times.
const PEERS: &str = "runs/layers.json";

/// Compare convolution and max pooling with explicit loops, on the shapes of the course's 'Fast layers'.
#[derive(Args)]
pub struct LayersArgs {
    /// Threads; without it all processors
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u16).range(1..=256))]
    threads: Option<u16>,
    /// Seconds a measurement may take
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u64).range(1..=600))]
    seconds: u64,
    /// One JSON object a line
    #[arg(long)]
    json: bool,
}

/// The peers' file.
#[derive(Deserialize)]
struct Peers {
    cpu: String,
    numpy: String,
    torch: String,
    rows: Vec<PeerRow>,
}

/// The medians of one layer, in milliseconds.
#[derive(Deserialize)]
struct PeerRow {
    name: String,
    threads: usize,
    numpy_ms: f64,
    torch_ms: f64,
}

impl Peers {
    /// What the file holds, if there is one.
    fn read(path: &Path) -> Result<Option<Peers>> {
        if !path.exists() {
            return Ok(None);
        }
        let text = files::text(path, 1 << 20, "bench/peers/layers.py writes it")?;
        let peers = serde_json::from_str(&text).map_err(|e| {
            Error::file(
                path,
                format!("not the peers' times ({e})"),
                "bench/peers/layers.py writes it",
            )
        })?;
        Ok(Some(peers))
    }

    fn row(&self, name: &str, threads: usize) -> Option<&PeerRow> {
        self.rows.iter().find(|row| row.name == name && row.threads == threads)
    }
}

/// Measures and prints.
pub fn run(args: &LayersArgs) -> Result<ExitCode> {
    let peers = Peers::read(Path::new(PEERS))?;
    if let Some(n) = args.threads {
        threads::set_threads(n.into());
    }
    let count = threads::threads();
    if !args.json {
        head(count);
    }
    let options = Options { budget: Duration::from_secs(args.seconds), ..Options::default() };
    let naive_options = Options { warmup: 1, samples: 5, ..options };
    let (mut all_quiet, mut shapes) = (true, "");
    for mut pair in pairs() {
        let naive = measure(&format!("{} naive", pair.name), &naive_options, &mut pair.naive);
        let fast = measure(pair.name, &options, &mut pair.fast);
        let beside = peers.as_ref().and_then(|p| p.row(pair.name, count));
        all_quiet &= naive.quiet && fast.quiet;
        if args.json {
            show::line(as_json(&pair, &naive, &fast, beside));
            continue;
        }
        if shapes != pair.shapes {
            shapes = pair.shapes;
            let dim = Style::new().dimmed();
            show::line(format!("{dim}  {shapes}{dim:#}"));
        }
        row(&pair, &naive, &fast, beside);
    }
    if !args.json {
        foot(peers.as_ref(), count, all_quiet);
    }
    Ok(ExitCode::SUCCESS)
}

fn head(count: usize) {
    let bold = Style::new().bold();
    let of = if count == 1 { "1 thread".into() } else { format!("{count} threads") };
    show::line(format!("Fast layers, f64, {of}; times are medians in milliseconds"));
    show::line(format!(
        "{bold}{:<16}{:>10}{:>9}{:>11}{:>12}{:>11}{:>11}{bold:#}",
        "layer", "naive", "fast", "speed-up", "difference", "NumPy", "PyTorch"
    ));
}

fn row(pair: &Pair, naive: &Sample, fast: &Sample, beside: Option<&PeerRow>) {
    let peer = |ms: Option<f64>| ms.map_or("-".to_string(), |ms| format!("{ms:.3}"));
    show::line(format!(
        "{:<16}{:>10.2}{:>9.3}{:>10.0}x{:>12.1e}{:>11}{:>11}",
        pair.name,
        naive.median_ms,
        fast.median_ms,
        naive.median_ms / fast.median_ms,
        pair.difference,
        peer(beside.map(|row| row.numpy_ms)),
        peer(beside.map(|row| row.torch_ms)),
    ));
}

fn foot(peers: Option<&Peers>, count: usize, all_quiet: bool) {
    let dim = Style::new().dimmed();
    let note = |text: String| show::line(format!("{dim}{text}{dim:#}"));
    note(
        "difference: the largest relative error between naive and fast, dx, dw and db alike".into(),
    );
    if !all_quiet {
        note("The machine was not quiet: read these times as weather, and measure again.".into());
    }
    match peers {
        None => {
            note(format!("No times of NumPy and PyTorch: bench/peers/layers.py writes {PEERS}."))
        }
        Some(peers) if !peers.rows.iter().any(|row| row.threads == count) => {
            note(format!("{PEERS} has no times for this number of threads."));
        }
        Some(Peers { cpu, numpy, torch, .. }) => {
            note(format!("NumPy {numpy} and PyTorch {torch}: {PEERS}"));
            if *cpu != crate::machine::cpu() {
                note(format!("They were measured on another processor: {cpu}."));
            }
        }
    }
}

fn as_json(pair: &Pair, naive: &Sample, fast: &Sample, beside: Option<&PeerRow>) -> String {
    serde_json::json!({
        "name": pair.name, "shapes": pair.shapes, "threads": fast.threads,
        "naive_ms": naive.median_ms, "fast_ms": fast.median_ms,
        "speedup": naive.median_ms / fast.median_ms, "difference": pair.difference,
        "quiet": naive.quiet && fast.quiet,
        "numpy_ms": beside.map(|row| row.numpy_ms), "torch_ms": beside.map(|row| row.torch_ms),
    })
    .to_string()
}
