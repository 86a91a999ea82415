//! Curves before they are drawn: finite values only, smoothed, and thinned.

/// A curve as pairs of x and y, x rising.
pub(crate) type Curve = Vec<(f64, f64)>;

/// No curve is drawn with more points than this; a wide screen shows about one per pixel.
pub(super) const MOST_POINTS: usize = 2000;

/// Larger than this is no use on an axis: the difference of two such values would overflow.
const LARGEST: f64 = 1e300;

/// The finite points in the order of their x, and how many were left out.
pub(super) fn finite(points: impl Iterator<Item = (f64, f64)>) -> (Curve, usize) {
    let mut left_out = 0;
    let mut kept: Curve = points
        .filter(|(x, y)| {
            let usable = x.abs() < LARGEST && y.abs() < LARGEST;
            left_out += usize::from(!usable);
            usable
        })
        .collect();
    kept.sort_by(|a, b| a.0.total_cmp(&b.0));
    (kept, left_out)
}

/// The mean of each point and its neighbours, `window` points in all, at no more than [`MOST_POINTS`] places spread evenly
/// over the curve, the first and the last point among them. The points must be finite.
///
/// At the beginning, where a loss falls fast, the window shrinks on both sides (down to a sixteenth) so that the curve
/// starts near where training started; at the end it only loses its right half, so that the last value is still a mean.
pub(super) fn smooth(points: &[(f64, f64)], window: usize) -> Curve {
    let Some(last) = points.len().checked_sub(1) else { return Curve::new() };
    let places = points.len().min(MOST_POINTS);
    let half = window / 2;
    (0..places)
        .map(|place| {
            let i = place * last / (places - 1).max(1);
            let (before, after) = (half.min(i), half.min(i.max(half / 8)));
            let near = &points[i - before..=(i + after).min(last)];
            // Dividing first keeps a sum of huge values finite.
            (points[i].0, near.iter().map(|(_, y)| y / near.len() as f64).sum())
        })
        .collect()
}

/// The window that shows the trend of `n` points: about a fortieth of them, an odd number, 1 for short curves.
pub(super) fn window_for(n: usize) -> usize {
    if n < 40 { 1 } else { (n / 40).max(4) | 1 }
}

/// At most [`MOST_POINTS`] points that draw the same picture: the lowest and the highest of each of equally many
/// neighbours, and the first and the last point.
pub(super) fn thin(points: &[(f64, f64)]) -> Curve {
    if points.len() <= MOST_POINTS {
        return points.to_vec();
    }
    let (first, last) = (points[0], points[points.len() - 1]);
    let inner = &points[1..points.len() - 1];
    let bins = (MOST_POINTS - 2) / 2;
    let mut kept = vec![first];
    for bin in 0..bins {
        let part = &inner[bin * inner.len() / bins..(bin + 1) * inner.len() / bins];
        let by_height = |a: &&(f64, f64), b: &&(f64, f64)| a.1.total_cmp(&b.1);
        let (low, high) = (part.iter().min_by(by_height), part.iter().max_by(by_height));
        let mut pair: Curve = low.into_iter().chain(high).copied().collect();
        pair.sort_by(|a, b| a.0.total_cmp(&b.0));
        pair.dedup();
        kept.extend(pair);
    }
    kept.push(last);
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_finite_points_are_kept_and_the_others_counted() {
        let points = [(1.0, 2.0), (2.0, f64::NAN), (3.0, f64::INFINITY), (4.0, -1e308), (5.0, 1.0)];
        let (kept, left_out) = finite(points.into_iter());
        assert_eq!(kept, [(1.0, 2.0), (5.0, 1.0)]);
        assert_eq!(left_out, 3);
    }

    #[test]
    fn smoothing_keeps_a_straight_line_and_its_beginning() {
        let line: Curve = (0..50).map(|n| (f64::from(n), 3.0 - 0.5 * f64::from(n))).collect();
        for ((_, smooth), (_, exact)) in smooth(&line, 9).into_iter().zip(line).take(46) {
            assert!((smooth - exact).abs() < 1e-9);
        }
        assert_eq!(smooth(&[(0.0, 0.0), (1.0, 3.0), (2.0, 0.0)], 3)[1], (1.0, 1.0));
        assert_eq!(smooth(&[(0.0, 1.0), (1.0, 4.0)], 3)[1], (1.0, 2.5));
        assert!(smooth(&[], 3).is_empty());
        assert_eq!(smooth(&[(5.0, 1e299); 9], 9)[4], (5.0, 1e299));
        let long: Curve = (0..7_001).map(|n| (f64::from(n), 1.0)).collect();
        let smoothed = smooth(&long, 175);
        assert_eq!(smoothed.len(), MOST_POINTS);
        assert_eq!((smoothed[0].0, smoothed[MOST_POINTS - 1].0), (0.0, 7_000.0));
    }

    #[test]
    fn thinning_keeps_the_ends_and_every_spike() {
        let mut points: Curve = (0..50_000).map(|n| (f64::from(n), 1.0)).collect();
        points[31_234].1 = 9.0;
        points[7].1 = -9.0;
        let thinned = thin(&points);
        assert!(thinned.len() <= MOST_POINTS);
        assert_eq!((thinned[0], thinned[thinned.len() - 1]), (points[0], points[49_999]));
        assert!(thinned.contains(&(31_234.0, 9.0)) && thinned.contains(&(7.0, -9.0)));
        assert!(thinned.windows(2).all(|pair| pair[0].0 < pair[1].0));
    }

    #[test]
    fn windows_are_odd() {
        assert!([0, 1, 39, 40, 41, 1000, 12_345].iter().all(|n| window_for(*n) % 2 == 1));
    }
}
