//! What a cell finds: lines, charts, tables, pictures, checks, questions with answers. Plain data, so that it can lie in a file
//! until a page is made of it.

use crate::report::plot::Plot;
use chainrule::gradcheck::{numerical_gradient_array, rel_error};
use chainrule::tensor::Tensor;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt::Display;

/// What a cell finds, in the order in which it is to be read.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Found {
    /// The pieces.
    pub pieces: Vec<Piece>,
    /// Numbers that later cells of the lab use, by name: see [`Found::keep`].
    kept: BTreeMap<String, Vec<f64>>,
}

/// A piece of what a cell finds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Piece {
    /// A paragraph; words between backticks are code.
    Text(String),
    /// Lines as a program prints them.
    Printed(Vec<String>),
    /// A chart.
    Plot(Plot),
    /// A table.
    Table(Table),
    /// Pictures beside each other.
    Pictures(Vec<Picture>),
    /// Something that must hold.
    Check(Check),
    /// A question, and its answer argued from what was measured.
    Question(String, String),
}

/// A table of text.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Table {
    /// What it shows; may be empty.
    pub title: String,
    /// The names of the columns.
    pub head: Vec<String>,
    /// The rows, each as long as `head`. The first column names them.
    pub rows: Vec<Vec<String>>,
}

/// A picture.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Picture {
    /// Pixels from left to right, and from top to bottom.
    pub size: [u32; 2],
    /// Row by row: one byte a pixel (grey), or three (red, green, blue).
    pub pixels: Vec<u8>,
    /// The title.
    pub title: String,
    /// A sentence below it.
    pub text: String,
}

impl Picture {
    fn is_sound(&self) -> bool {
        let [width, height] = self.size.map(u64::from);
        let channels = [1, 3].map(|c| width.checked_mul(height).and_then(|n| n.checked_mul(c)));
        width > 0 && height > 0 && channels.contains(&Some(self.pixels.len() as u64))
    }
}

/// Something that must hold.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Check {
    /// What was measured.
    pub what: String,
    /// The measured value.
    pub value: String,
    /// What it has to be.
    pub wanted: String,
    /// Whether it is.
    pub passed: bool,
}

impl Found {
    /// Whether a page can be made of it; what was read from a file need not have been made here.
    pub fn is_sound(&self) -> bool {
        self.pieces.iter().all(|piece| match piece {
            Piece::Plot(plot) => plot.is_sound(),
            Piece::Pictures(all) => all.iter().all(Picture::is_sound),
            _ => true,
        })
    }

    /// A paragraph; words between backticks are code.
    pub fn text(&mut self, text: impl Into<String>) {
        self.pieces.push(Piece::Text(text.into()));
    }

    /// A line as a program prints it.
    pub fn print(&mut self, line: impl Into<String>) {
        match self.pieces.last_mut() {
            Some(Piece::Printed(lines)) => lines.push(line.into()),
            _ => self.pieces.push(Piece::Printed(vec![line.into()])),
        }
    }

    /// A chart.
    pub fn plot(&mut self, plot: Plot) {
        self.pieces.push(Piece::Plot(plot));
    }

    /// A table: its title (may be empty), the names of its columns, its rows.
    ///
    /// # Panics
    /// If a row is not as long as the head.
    #[track_caller]
    pub fn table<const N: usize>(
        &mut self,
        title: &str,
        head: [&str; N],
        rows: impl IntoIterator<Item = [String; N]>,
    ) {
        let head = head.map(String::from).to_vec();
        let rows = rows.into_iter().map(Vec::from).collect();
        self.pieces.push(Piece::Table(Table { title: title.into(), head, rows }));
    }

    /// A picture; pictures that follow one another stand beside each other.
    pub fn picture(&mut self, picture: Picture) {
        match self.pieces.last_mut() {
            Some(Piece::Pictures(all)) => all.push(picture),
            _ => self.pieces.push(Piece::Pictures(vec![picture])),
        }
    }

    /// A question, and its answer argued from what was measured.
    pub fn question(&mut self, question: &str, answer: impl Into<String>) {
        self.pieces.push(Piece::Question(question.into(), answer.into()));
    }

    /// Must be: says in words what was measured, what it is and has to be, and whether it is.
    pub fn check(
        &mut self,
        what: impl Into<String>,
        value: impl Display,
        wanted: impl Display,
        passed: bool,
    ) {
        let (value, wanted) = (value.to_string(), wanted.to_string());
        self.pieces.push(Piece::Check(Check { what: what.into(), value, wanted, passed }));
    }

    /// Must be below a bound (or equal to it).
    pub fn check_below(&mut self, what: impl Into<String>, value: f64, bound: f64) {
        self.check(what, format!("{value:.2e}"), format!("at most {bound:e}"), value <= bound);
    }

    /// Must be what the course printed, up to a relative tolerance; 0 asks for the very digits.
    pub fn check_printed(&mut self, what: impl Into<String>, value: f64, printed: f64, tol: f64) {
        let passed = (value - printed).abs() <= tol * printed.abs();
        let within = if tol == 0.0 { String::new() } else { format!(", within {}", share(tol)) };
        let (value, printed) = (digits(value), digits(printed));
        self.check(what, value, format!("{printed} as the course printed{within}"), passed);
    }

    /// Prints means and deviations, and checks them against eight printed digits: within a unit of the last.
    pub fn statistics(&mut self, title: &str, of: (Vec<f64>, Vec<f64>), printed: [&[f64]; 2]) {
        self.print(title);
        for ((name, ours), printed) in [("means", of.0), ("stds", of.1)].into_iter().zip(printed) {
            self.print(format!("  {name}:  {}", numbers(&ours)));
            let off = ours.iter().zip(printed).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
            let what = format!("{title} {name}, off from the printed {}", numbers(printed));
            self.check_below(what, off, 1.01e-8);
        }
    }

    /// Compares a hand-derived gradient with numerical ones of `forward` at `x` (f64), beside the error that the course printed.
    pub fn gradient(
        &mut self,
        name: &str,
        (x, gradient, upstream): (&Tensor, &Tensor, &Tensor),
        forward: impl Fn(&Tensor) -> Tensor,
        printed: f64,
    ) {
        let error = rel_error(&numerical_gradient_array(forward, x, upstream, 1e-5), gradient);
        self.check_error(name, error, 1e-6, printed);
    }

    /// The relative error of a gradient must be at most `bound`. Beside it stands the course's, which is rounding as ours is.
    pub fn check_error(&mut self, name: &str, error: f64, bound: f64, printed: f64) {
        let wanted = format!("at most {bound:e}; the course printed {printed:e}");
        self.check(format!("error of {name}"), format!("{error:e}"), wanted, error <= bound);
    }

    /// Keeps numbers for later cells, which ask for them with `Context::kept`.
    pub fn keep(&mut self, name: &str, numbers: impl Into<Vec<f64>>) {
        self.kept.insert(name.into(), numbers.into());
    }

    /// Numbers that were kept.
    pub fn kept(&self, name: &str) -> Option<&[f64]> {
        self.kept.get(name).map(Vec::as_slice)
    }

    /// The checks.
    pub fn checks(&self) -> impl Iterator<Item = &Check> + Clone {
        self.pieces.iter().filter_map(|piece| match piece {
            Piece::Check(check) => Some(check),
            _ => None,
        })
    }
}

/// All digits of a number, small ones with a power of ten.
fn digits(value: f64) -> String {
    if value != 0.0 && value.abs() < 1e-4 { format!("{value:e}") } else { value.to_string() }
}

/// A tolerance as people write it.
fn share(tolerance: f64) -> String {
    if tolerance >= 1e-5 { format!("{}%", tolerance * 100.0) } else { format!("{tolerance:e}") }
}

/// A tensor's numbers on one line, as a program prints them: eight digits after the point.
pub fn numbers(values: &[f64]) -> String {
    let all: Vec<String> = values.iter().map(|v| format!("{v:.8}")).collect();
    format!("[{}]", all.join(" "))
}

/// Mean and standard deviation (of the whole, not of a sample) of each column of (N, D).
pub fn of_columns(x: &Tensor) -> (Vec<f64>, Vec<f64>) {
    let (n, columns) = x.rows();
    let values = x.to_vec();
    let column = |j: usize| values.iter().skip(j).step_by(columns);
    let mean = |j| column(j).sum::<f64>() / n as f64;
    let std = |j| {
        let mean = mean(j);
        (column(j).map(|v| (v - mean).powi(2)).sum::<f64>() / n as f64).sqrt()
    };
    ((0..columns).map(mean).collect(), (0..columns).map(std).collect())
}
