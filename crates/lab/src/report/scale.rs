//! Axes: from values to places, where the ticks go, and how numbers are written.

/// How the numbers of an axis are written.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Format {
    /// Any real number, with four significant digits.
    Number,
    /// A fraction, as a percentage.
    Percent,
    /// Something counted, such as steps, with separators between thousands.
    Count,
}

/// An axis from `lo` to `hi`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Scale {
    /// The value at the beginning.
    pub lo: f64,
    /// The value at the end, larger than `lo`.
    pub hi: f64,
    /// Whether equal distances are equal ratios.
    pub log: bool,
}

/// A logarithmic axis ends this many times below its largest value, however small the smallest is.
const DEEPEST: f64 = 1e-12;

impl Scale {
    /// A linear axis that begins and ends exactly at the given values, widened when they are equal.
    pub fn exact(lo: f64, hi: f64) -> Scale {
        if hi > lo {
            Scale { lo, hi, log: false }
        } else {
            let margin = if lo == 0.0 { 1.0 } else { lo.abs() * 0.5 };
            Scale { lo: lo - margin, hi: lo + margin, log: false }
        }
    }

    /// A linear axis that ends on ticks and holds all `values`, which must be finite. It includes zero when zero is near.
    pub fn linear(values: impl Iterator<Item = f64> + Clone) -> Scale {
        let (mut lo, hi) = extent(values);
        if lo > 0.0 && lo < 0.35 * hi {
            lo = 0.0;
        }
        let Scale { lo, hi, log } =
            if lo > 0.0 && hi <= lo { Scale::exact(0.0, 2.0 * lo) } else { Scale::exact(lo, hi) };
        let step = nice_step((hi - lo) / 5.0);
        Scale { lo: (lo / step + 1e-9).floor() * step, hi: (hi / step - 1e-9).ceil() * step, log }
    }

    /// A logarithmic axis when positive values lie over decades, a linear one otherwise.
    ///
    /// The measure is the largest value against the lower quartile rather than against the smallest: a cosine schedule
    /// that ends in 1e-9, or one lucky batch, is no reason to spend the axis on a handful of points.
    pub fn automatic(values: impl Iterator<Item = f64> + Clone) -> Scale {
        let mut sorted: Vec<f64> = values.clone().collect();
        sorted.sort_by(f64::total_cmp);
        let (Some(&least), Some(&most)) = (sorted.first(), sorted.last()) else {
            return Scale::exact(0.0, 1.0);
        };
        if least <= 0.0 || most / sorted[sorted.len() / 4] < 20.0 {
            return Scale::linear(values);
        }
        let least = least.max(most * DEEPEST);
        Scale { lo: log_edge(least, false), hi: log_edge(most, true), log: true }
    }

    /// Where a value lies, from 0 at `lo` to 1 at `hi`; values outside are drawn on the nearer edge.
    pub fn place(&self, value: f64) -> f64 {
        let place = if self.log {
            (value.max(f64::MIN_POSITIVE) / self.lo).ln() / (self.hi / self.lo).ln()
        } else {
            (value - self.lo) / (self.hi - self.lo)
        };
        place.clamp(0.0, 1.0)
    }

    /// Round values inside the axis, at most about `count` of them. `whole` asks for whole numbers only.
    pub fn ticks(&self, count: usize, whole: bool) -> Vec<f64> {
        if self.log {
            return self.log_ticks(count);
        }
        let mut step = nice_step((self.hi - self.lo) / count as f64);
        if whole {
            step = step.max(1.0);
        }
        let first = (self.lo / step - 1e-9).ceil() as i64;
        let last = (self.hi / step + 1e-9).floor() as i64;
        (first..=last).map(|k| k as f64 * step).collect()
    }

    /// Ticks at 1, 2 and 5 times the powers of ten if there is room, else at powers of ten, skipping as many as needed.
    fn log_ticks(&self, count: usize) -> Vec<f64> {
        let inside = |v: &f64| *v >= self.lo * (1.0 - 1e-9) && *v <= self.hi * (1.0 + 1e-9);
        let first = self.lo.log10().floor() as i32;
        let last = self.hi.log10().ceil() as i32;
        let fine: Vec<f64> = (first..=last)
            .flat_map(|e| [1.0, 2.0, 5.0].map(|m| m * 10f64.powi(e)))
            .filter(inside)
            .collect();
        if fine.len() <= count + 2 {
            return fine;
        }
        let every = ((last - first) as usize).div_ceil(count).max(1);
        (first..=last).step_by(every).map(|e| 10f64.powi(e)).filter(inside).collect()
    }

    /// The text of a tick, with the decimals that tell it from its neighbours.
    pub fn label(&self, tick: f64, ticks: &[f64], format: Format) -> String {
        let step = ticks.windows(2).map(|pair| pair[1] - pair[0]).fold(f64::INFINITY, f64::min);
        let step = if step.is_finite() { step } else { self.hi - self.lo };
        match format {
            Format::Percent => format!("{}%", fixed(tick * 100.0, step * 100.0)),
            Format::Count => count(tick),
            Format::Number if self.log => short(tick),
            Format::Number if tick == 0.0 => "0".to_string(),
            Format::Number if step < 0.9e-4 || self.hi.abs().max(self.lo.abs()) >= 1e6 => {
                let digits = (tick.abs().log10().floor() - step.log10().floor()).clamp(0.0, 6.0);
                scientific(tick, digits as usize)
            }
            Format::Number => fixed(tick, step),
        }
    }
}

/// The smallest and the largest value; 0 and 1 when there is none.
pub(super) fn extent(values: impl Iterator<Item = f64>) -> (f64, f64) {
    let (lo, hi) = values
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(lo, hi), value| (lo.min(value), hi.max(value)));
    if lo <= hi { (lo, hi) } else { (0.0, 1.0) }
}

/// The smallest of 1, 2 and 5 times a power of ten that is not below `rough`.
fn nice_step(rough: f64) -> f64 {
    let power = 10f64.powf(rough.log10().floor());
    let nice = [1.0, 2.0, 5.0, 10.0].into_iter().find(|m| m * power >= rough * (1.0 - 1e-9));
    nice.unwrap_or(10.0) * power
}

/// The nearest of 1, 2 and 5 times a power of ten at or outside `value`.
fn log_edge(value: f64, above: bool) -> f64 {
    let power = 10f64.powf(value.log10().floor());
    let rungs = [1.0, 2.0, 5.0, 10.0].map(|m| m * power);
    if above {
        rungs.into_iter().find(|rung| *rung >= value * (1.0 - 1e-9)).unwrap_or(10.0 * power)
    } else {
        rungs.into_iter().rev().find(|rung| *rung <= value * (1.0 + 1e-9)).unwrap_or(power)
    }
}

/// A number with as many decimals as a step of this size needs.
fn fixed(value: f64, step: f64) -> String {
    let decimals = (-(step * 1.000_001).log10().floor()).clamp(0.0, 9.0) as usize;
    let text = format!("{value:.decimals$}");
    let text = text.strip_prefix('-').map_or(text.clone(), |digits| format!("\u{2212}{digits}"));
    if decimals == 0 { separated(&text) } else { text }
}

/// A number as mantissa and power of ten, without useless zeros: `2.5e-5`.
fn scientific(value: f64, digits: usize) -> String {
    let text = format!("{value:.digits$e}");
    let Some((mantissa, exponent)) = text.split_once('e') else { return text };
    let mantissa = if mantissa.contains('.') {
        mantissa.trim_end_matches('0').trim_end_matches('.')
    } else {
        mantissa
    };
    format!("{mantissa}e{exponent}").replace('-', "\u{2212}")
}

/// A round number in as few characters as possible: `0.05`, `200`, `1e-6`.
fn short(value: f64) -> String {
    if (0.9e-4..1e5).contains(&value.abs()) {
        separated(format!("{value:.6}").trim_end_matches('0').trim_end_matches('.'))
    } else {
        scientific(value, 1)
    }
}

/// A count, in millions when it is long.
pub(super) fn count(value: f64) -> String {
    if value.abs() >= 1e6 {
        let millions = format!("{:.2}", value / 1e6);
        let millions = millions.trim_end_matches('0').trim_end_matches('.');
        return format!("{millions}M");
    }
    let text = format!("{value:.2}");
    separated(text.trim_end_matches('0').trim_end_matches('.'))
}

/// Commas between the thousands of the whole part.
fn separated(number: &str) -> String {
    let (whole, rest) = number.split_at(number.find('.').unwrap_or(number.len()));
    let digits = whole.chars().filter(char::is_ascii_digit).count();
    let mut text = String::new();
    let mut left = digits;
    for c in whole.chars() {
        if c.is_ascii_digit() {
            if left < digits && left.is_multiple_of(3) {
                text.push(',');
            }
            left -= 1;
        }
        text.push(c);
    }
    text + rest
}

/// A measured value as the legend shows it. The script in `script.js` writes the values under the pointer in the same way.
pub(super) fn measured(value: f64, format: Format) -> String {
    match format {
        Format::Percent => format!("{:.1}%", value * 100.0),
        Format::Count => count(value),
        Format::Number if value == 0.0 => "0".to_string(),
        Format::Number if !(1e-3..1e5).contains(&value.abs()) => scientific(value, 2),
        Format::Number => {
            let decimals = (3.0 - value.abs().log10().floor()).clamp(0.0, 6.0) as usize;
            format!("{value:.decimals$}").replace('-', "\u{2212}")
        }
    }
}

/// A number in a sentence: measured, without zeros at the end.
pub(super) fn rounded(value: f64) -> String {
    let text = measured(value, Format::Number);
    if text.contains('.') && !text.contains('e') {
        text.trim_end_matches('0').trim_end_matches('.').to_string()
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(scale: Scale, format: Format) -> Vec<String> {
        let ticks = scale.ticks(5, false);
        ticks.iter().map(|t| scale.label(*t, &ticks, format)).collect()
    }

    #[test]
    fn linear_axes_end_on_round_ticks() {
        let scale = Scale::linear([0.31, 2.34].into_iter());
        assert_eq!((scale.lo, scale.hi), (0.0, 2.5));
        assert_eq!(labels(scale, Format::Number), ["0", "0.5", "1.0", "1.5", "2.0", "2.5"]);
        let scale = Scale::linear([0.42, 0.57].into_iter());
        assert_eq!(labels(scale, Format::Percent), ["40%", "45%", "50%", "55%", "60%"]);
        let scale = Scale::linear([0.0, 1e-3].into_iter());
        assert_eq!(labels(scale, Format::Number).last().map(String::as_str), Some("0.0010"));
        let scale = Scale::linear([0.0, 4.2e-5].into_iter());
        assert_eq!(labels(scale, Format::Number)[..3], ["0", "1e\u{2212}5", "2e\u{2212}5"]);
    }

    #[test]
    fn equal_values_still_have_an_axis() {
        for value in [0.0, 1e-3, -7.0, 1e200] {
            let scale = Scale::automatic([value, value].into_iter());
            assert!(scale.hi > scale.lo && scale.place(value).is_finite(), "{scale:?}");
            assert!(!scale.ticks(5, false).is_empty());
        }
    }

    #[test]
    fn decades_choose_a_logarithmic_axis() {
        let decay = |n: i32| 10f64.powf(1.0 - f64::from(n) / 25.0);
        let scale = Scale::automatic((0..100).map(decay));
        assert!(scale.log);
        assert_eq!(labels(scale, Format::Number), ["0.001", "0.01", "0.1", "1", "10"]);
        assert!((scale.place(0.1) - 0.5).abs() < 1e-12);
        // Two decades have room for 1, 2 and 5.
        let scale = Scale::automatic([0.02, 0.02, 0.03, 1.0].into_iter());
        assert_eq!(labels(scale, Format::Number), ["0.02", "0.05", "0.1", "0.2", "0.5", "1"]);
    }

    #[test]
    fn an_ordinary_loss_and_a_cosine_schedule_stay_linear() {
        assert!(!Scale::automatic((0..100).map(|n| 2.3 - 0.015 * f64::from(n))).log);
        let cosine = |n: i32| 0.5 * (1.0 + (f64::from(n) / 100.0 * std::f64::consts::PI).cos());
        assert!(!Scale::automatic((0..100).map(cosine)).log);
        assert!(!Scale::automatic([1.0, 0.0, 1e-9].into_iter()).log);
    }

    #[test]
    fn many_decades_have_few_ticks() {
        let scale = Scale::automatic([1e-9, 1e-9, 1e-9, 1e9].into_iter());
        assert!((3..=7).contains(&labels(scale, Format::Number).len()));
    }

    #[test]
    fn numbers_are_written_for_people() {
        assert_eq!(count(1234.0), "1,234");
        assert_eq!(count(2_500_000.0), "2.5M");
        assert_eq!(measured(0.512_345, Format::Number), "0.5123");
        assert_eq!(measured(2.0e-5, Format::Number), "2e\u{2212}5");
        assert_eq!(
            (rounded(0.1), rounded(100.0), rounded(2.5e-5)),
            ("0.1".into(), "100".into(), "2.5e\u{2212}5".into())
        );
        assert_eq!(measured(0.5234, Format::Percent), "52.3%");
        assert_eq!(separated("\u{2212}1234567.5"), "\u{2212}1,234,567.5");
    }
}
