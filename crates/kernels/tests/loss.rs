//! The losses against naive twins: every level, odd shapes, any number of threads, bit for bit.

use chainrule_kernels::loss::{multiclass_svm, soft_cross_entropy, softmax_cross_entropy};
use chainrule_kernels::simd::with_level;
use chainrule_kernels::threads::set_threads;
use chainrule_kernels::{Level, Real};

/// Numbers in (-4, 4) that depend on the index alone.
fn numbers<T: Real>(n: usize) -> Vec<T> {
    let bits = |i: u64| i.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40;
    (1..=n as u64).map(|i| T::from_f64(bits(i) as f64 / f64::from(1u32 << 21) - 4.0)).collect()
}

fn labels(n: usize, classes: usize) -> Vec<usize> {
    (0..n).map(|i| (i * 7 + 3) % classes).collect()
}

/// The sum along a row: as it comes if it is shorter than 16, else 16 lanes and then the lanes in order.
fn row_sum<T: Real>(row: &[T]) -> T {
    let mut lanes = [T::ZERO; 16];
    let count = if row.len() < 16 { 1 } else { 16 };
    row.iter().enumerate().for_each(|(j, v)| lanes[j % count] += *v);
    lanes.iter().fold(T::ZERO, |sum, lane| sum + *lane)
}

fn naive_softmax<T: Real>(s: &[T], labels: &[usize], e: f64) -> (f64, Vec<T>) {
    let (n, classes) = (labels.len(), s.len() / labels.len());
    let (mut total, mut dx) = (0.0, Vec::new());
    let share = 1.0 / n as f64;
    for (row, y) in s.chunks(classes).zip(labels) {
        let m = row.iter().fold(row[0], |m, v| if *v > m { *v } else { m });
        let powers: Vec<T> = row.iter().map(|v| (*v - m).exp()).collect();
        let sum = row_sum(&powers);
        let mut below = (1.0 - e) * (row[*y] - m).to_f64();
        if e != 0.0 {
            below += e / classes as f64 * row.iter().map(|v| (*v - m).to_f64()).sum::<f64>();
        }
        total += sum.ln().to_f64() - below;
        for (j, power) in powers.iter().enumerate() {
            let spread = T::from_f64(e / classes as f64 * share);
            let d = power.mul_add(T::from_f64(share) / sum, -spread);
            dx.push(if j == *y { d - T::from_f64((1.0 - e) * share) } else { d });
        }
    }
    (total / n as f64, dx)
}

fn naive_soft<T: Real>(s: &[T], shares: &[T], n: usize, e: f64) -> (f64, Vec<T>) {
    let classes = s.len() / n;
    let (mut total, mut dx) = (0.0, Vec::new());
    let share = 1.0 / n as f64;
    for (row, shares) in s.chunks(classes).zip(shares.chunks(classes)) {
        let target: Vec<f64> =
            shares.iter().map(|t| (1.0 - e) * t.to_f64() + e / classes as f64).collect();
        let m = row.iter().fold(row[0], |m, v| if *v > m { *v } else { m });
        let powers: Vec<T> = row.iter().map(|v| (*v - m).exp()).collect();
        let sum = row_sum(&powers);
        let below: f64 = row.iter().zip(&target).map(|(v, t)| t * (*v - m).to_f64()).sum();
        let whole: f64 = target.iter().sum();
        total += whole * sum.ln().to_f64() - below;
        for (power, t) in powers.iter().zip(&target) {
            dx.push(power.mul_add(T::from_f64(share * whole) / sum, -T::from_f64(share * t)));
        }
    }
    (total / n as f64, dx)
}

fn naive_svm<T: Real>(s: &[T], labels: &[usize]) -> (f64, Vec<T>) {
    let (n, classes) = (labels.len(), s.len() / labels.len());
    let (mut total, mut dx) = (0.0, vec![T::ZERO; s.len()]);
    let share = T::from_f64(1.0 / n as f64);
    for (i, y) in labels.iter().enumerate() {
        let (row, dx) = (&s[i * classes..][..classes], &mut dx[i * classes..][..classes]);
        let (mut loss, mut count) = (0.0, 0);
        for j in (0..classes).filter(|j| j != y) {
            let margin = row[j] + (T::ONE - row[*y]);
            if margin > T::ZERO {
                loss += margin.to_f64();
                count += 1;
                dx[j] = share;
            }
        }
        total += loss;
        dx[*y] = -(T::from_f64(f64::from(count)) * share);
    }
    (total / n as f64, dx)
}

fn agree<T: Real>(n: usize, classes: usize) {
    let (scores, labels) = (numbers::<T>(n * classes), labels(n, classes));
    let smoothed = [0.0, 0.1].map(|e| (e, naive_softmax(&scores, &labels, e)));
    let shares: Vec<T> = numbers::<T>(n * classes).iter().map(|v| *v * *v).collect();
    let soft = [0.0, 0.1].map(|e| (e, naive_soft(&scores, &shares, n, e)));
    let hinge = naive_svm(&scores, &labels);
    for level in Level::available() {
        with_level(level, || {
            for threads in [1, 3] {
                set_threads(threads);
                let what = format!("{n} x {classes} at {} on {threads}", level.name());
                let mut dx = vec![T::from_f64(f64::NAN); n * classes];
                for (e, want) in &smoothed {
                    let loss = softmax_cross_entropy(&scores, &labels, *e, &mut dx);
                    assert!(loss == want.0 && dx == want.1, "softmax {what}, smoothing {e}");
                }
                for (e, want) in &soft {
                    let loss = soft_cross_entropy(&scores, &shares, n, *e, &mut dx);
                    assert!(loss == want.0 && dx == want.1, "shares {what}, smoothing {e}");
                }
                let loss = multiclass_svm(&scores, &labels, &mut dx);
                assert!(loss == hinge.0 && dx == hinge.1, "svm {what}");
            }
        });
    }
}

#[test]
fn odd_shapes_agree_with_the_naive_twins() {
    for n in [1, 2, 3, 17, 50] {
        for classes in [1, 2, 3, 10, 15, 16, 17, 33, 100] {
            agree::<f32>(n, classes);
            agree::<f64>(n, classes);
        }
    }
}

#[test]
fn batches_of_several_tasks_agree_with_the_naive_twins() {
    agree::<f32>(1000, 10);
    agree::<f32>(2500, 7);
    agree::<f32>(9, 5000);
    agree::<f64>(300, 100);
}
