//! The changes, one by one.

use super::*;
use crate::tensor::float;
use chainrule_kernels::Real;
use chainrule_kernels::threads::set_threads;

/// Twenty pictures of 3 x 8 x 10 bytes that are all different.
fn pictures(augment: Augment) -> Augmented {
    let bytes: Vec<u8> = (0..20 * 240).map(|i| (i * 7 % 251) as u8).collect();
    let data = Dataset::new(bytes, vec![0u8; 20], [3, 8, 10], &["thing"]);
    Augmented::new(data, Normalization::MeanImage(vec![-1.0; 240]), augment, 5)
}

fn picture(x: &Augmented, i: usize, epoch: u64) -> Tensor {
    x.training_batch(&[i], epoch, DType::F64, Order::RowMajor)
}

#[test]
fn a_flip_is_a_mirror_image_of_about_half_of_them() {
    let x = pictures(Augment { flip: true, ..Augment::default() });
    let mut mirrored = 0;
    for epoch in 0..10 {
        for i in 0..20 {
            let plain = x.batch(&[i], DType::F64, Order::RowMajor);
            let seen = picture(&x, i, epoch);
            let rows = |t: &Tensor| t.to_vec().chunks(10).map(<[f64]>::to_vec).collect::<Vec<_>>();
            let mut turned = rows(&plain);
            turned.iter_mut().for_each(|row| row.reverse());
            if rows(&seen) == turned {
                mirrored += 1;
            } else {
                assert_eq!(rows(&seen), rows(&plain));
            }
        }
    }
    assert!((70..130).contains(&mirrored), "{mirrored} of 200");
}

#[test]
fn a_crop_shifts_and_leaves_zeroes() {
    let x = pictures(Augment { crop: 2, ..Augment::default() });
    let mut shifts = std::collections::BTreeSet::new();
    for i in 0..20 {
        let (plain, seen) = (x.batch(&[i], DType::F64, Order::RowMajor), picture(&x, i, 3));
        let shifted = |down: isize, right: isize| {
            (0..240isize).all(|k| {
                let (c, y, x) = (k / 80, k / 10 % 8 + down, k % 10 + right);
                let inside = (0..8).contains(&y) && (0..10).contains(&x);
                let want =
                    if inside { plain.at(&[0, c as usize, y as usize, x as usize]) } else { 0.0 };
                seen.to_vec()[k as usize] == want
            })
        };
        let found =
            (-2..=2).flat_map(|d| (-2..=2).map(move |r| (d, r))).find(|s| shifted(s.0, s.1));
        shifts.insert(found.expect("a shift of at most two pixels each way"));
    }
    assert!(shifts.len() > 8, "{shifts:?}");
}

#[test]
fn a_hole_is_a_square_of_zeroes() {
    let x = pictures(Augment { cutout: 4, ..Augment::default() });
    for i in 0..20 {
        let (plain, seen) = (x.batch(&[i], DType::F64, Order::RowMajor), picture(&x, i, 0));
        let differs = |k: &usize| plain.to_vec()[*k] != seen.to_vec()[*k];
        let changed: Vec<usize> = (0..240).filter(differs).collect();
        assert!(changed.iter().all(|k| seen.to_vec()[*k] == 0.0));
        // At an edge only a part of the square is inside.
        let size = changed.len() / 3;
        assert!((4..=16).contains(&size), "{size} pixels");
    }
}

#[test]
fn a_picture_depends_on_seed_epoch_and_number_alone() {
    let all = Augment {
        flip: true,
        crop: 3,
        cutout: 3,
        erase: 0.5,
        jitter: 0.4,
        mixup: 0.5,
        cutmix: 1.0,
    };
    let x = pictures(all);
    let indices: Vec<usize> = (0..20).rev().chain([4, 4]).collect();
    let bits = |t: &Tensor| float!(t.dtype(), T => t.data::<T>().iter().map(|v| v.to_f64()).collect::<Vec<_>>());
    let batches = [1, 2, 3, 8].map(|threads| {
        set_threads(threads);
        bits(&x.training_batch(&indices, 2, DType::F32, Order::ChannelsLast))
    });
    assert!(batches.iter().all(|b| *b == batches[0]), "whatever the number of threads");
    for (row, &i) in batches[0].chunks_exact(240).zip(&indices) {
        let alone = x.training_batch(&[i], 2, DType::F32, Order::ChannelsLast);
        assert_eq!(row, bits(&alone), "whatever the batch");
    }
    assert_ne!(bits(&picture(&x, 0, 1)), bits(&picture(&x, 0, 2)), "another epoch");
    let other = Augmented { seed: 6, ..x.clone() };
    assert_ne!(bits(&picture(&x, 0, 1)), bits(&picture(&other, 0, 1)), "another seed");
}

#[test]
fn names_make_the_changes() {
    let sized = Augment { crop: 2, mixup: 0.2, ..Augment::default() };
    assert_eq!(Augment::named("crop:2, mixup:0.2").expect("known"), sized);
    let both = Augment { flip: true, crop: 4, ..Augment::default() };
    assert_eq!(Augment::named("flip,crop").expect("known"), both);
    assert_eq!(Augment::named("none").expect("known"), Augment::default());
    for (list, part) in [
        ("flop", "did you mean flip"),
        ("flip,flip", "twice"),
        ("", "unknown"),
        ("crop:2.5", "a whole number above 0"),
        ("mixup:9", "at most 4"),
        ("erase:0", "above 0"),
        ("jitter:x", "a number"),
    ] {
        let error = Augment::named(list).expect_err("refused").to_string();
        assert!(error.contains(part), "{list}: {error}");
    }
}

/// Pictures of one value each, `10 i + 5` for picture i, of class `i mod 4`; numbers are the bytes.
fn even(augment: Augment) -> Augmented {
    let bytes: Vec<u8> = (0..20u8).flat_map(|i| [10 * i + 5; 240]).collect();
    let labels = (0..20u8).map(|i| i % 4);
    let data = Dataset::new(bytes, labels, [3, 8, 10], &["a", "b", "c", "d"]);
    Augmented::new(data, Normalization::MeanImage(vec![0.0; 240]), augment, 5)
}

#[test]
fn erasing_takes_a_rectangle_out_of_as_many_as_are_wanted() {
    let x = pictures(Augment { erase: 0.5, ..Augment::default() });
    let mut erased = 0;
    for epoch in 0..10 {
        for i in 0..20 {
            let (plain, seen) = (x.batch(&[i], DType::F64, Order::RowMajor), picture(&x, i, epoch));
            let (plain, seen) = (plain.to_vec(), seen.to_vec());
            let hole: Vec<usize> = (0..80).filter(|k| plain[*k] != seen[*k]).collect();
            if hole.is_empty() {
                continue;
            }
            erased += 1;
            let side = |of: &dyn Fn(usize) -> usize| {
                let all = hole.iter().map(|k| of(*k));
                all.clone().max().unwrap_or(0) + 1 - all.min().unwrap_or(0)
            };
            let (height, width) = (side(&|k| k / 10), side(&|k| k % 10));
            assert_eq!(hole.len(), height * width, "a whole rectangle");
            assert!((1..=36).contains(&hole.len()), "{} of 80 pixels", hole.len());
            assert!(hole.iter().all(|k| (0..3).all(|c| seen[c * 80 + k] == 0.0)));
        }
    }
    assert!((70..130).contains(&erased), "{erased} of 200");
}

#[test]
fn colours_change_by_the_formula_and_by_as_much_as_is_wanted() {
    // Pictures of one value are grey and have no contrast: what changes is their brightness.
    let x = even(Augment { jitter: 0.25, ..Augment::default() });
    let factors: Vec<f64> = (0..20)
        .flat_map(|epoch| (0..20).map(move |i| (epoch, i)))
        .map(|(epoch, i)| picture(&x, i, epoch).to_vec()[0] / (10 * i + 5) as f64)
        .collect();
    assert!(factors.iter().all(|f| (0.75..=1.25).contains(f)));
    let mean = factors.iter().sum::<f64>() / 400.0;
    assert!((mean - 1.0).abs() < 0.03, "{mean}");
    assert!(factors.iter().any(|f| *f < 0.8) && factors.iter().any(|f| *f > 1.2));
    // Of others a byte becomes b (c (s x + (1 - s) g) + (1 - c) m): three numbers of the picture give back the rest.
    let x = pictures(Augment { jitter: 0.2, ..Augment::default() });
    let (plain, seen) = (x.batch(&[3], DType::F64, Order::RowMajor), picture(&x, 3, 0));
    let bytes: Vec<f64> = plain.to_vec().iter().map(|v| v - 1.0).collect();
    let seen: Vec<f64> = seen.to_vec().iter().map(|v| v - 1.0).collect();
    let grey = |k: usize| 0.299 * bytes[k] + 0.587 * bytes[80 + k] + 0.114 * bytes[160 + k];
    let saturated = |k: usize| (seen[k] - seen[80 + k]) / (bytes[k] - bytes[80 + k]);
    let inside = |k: &usize| (0..3).all(|c| seen[c * 80 + k] > 0.0 && seen[c * 80 + k] < 255.0);
    let all: Vec<usize> = (0..80).filter(inside).collect();
    let bcs = saturated(all[0]);
    let of_grey = |k: usize| seen[k] - bcs * bytes[k];
    let slope = (of_grey(all[1]) - of_grey(all[0])) / (grey(all[1]) - grey(all[0]));
    let offset = of_grey(all[0]) - slope * grey(all[0]);
    for k in all {
        for c in 0..3 {
            let want = bcs * bytes[c * 80 + k] + slope * grey(k) + offset;
            assert!((seen[c * 80 + k] - want).abs() < 1e-9, "{want}");
        }
    }
}

#[test]
fn a_blend_has_the_shares_of_its_label() {
    let x = even(Augment { mixup: 0.5, ..Augment::default() });
    let all: Vec<usize> = (0..20).collect();
    let mut own = Vec::new();
    for epoch in 0..20 {
        let mixed = x.training_batch(&all, epoch, DType::F64, Order::ChannelsLast).to_vec();
        let shares = x.training_shares(&all, epoch, DType::F64).expect("mixed").to_vec();
        for i in all.clone() {
            let (row, value) = (&shares[4 * i..4 * i + 4], mixed[240 * i]);
            assert!((row.iter().sum::<f64>() - 1.0).abs() < 1e-12);
            // The partner that the value tells must be of a class that has the rest of the label.
            let partner = |j: usize| {
                let (a, b) = ((10 * i + 5) as f64, (10 * j + 5) as f64);
                let share = if i == j { 1.0 } else { (value - b) / (a - b) };
                let mut want = [0.0; 4];
                want[i % 4] += share;
                want[j % 4] += 1.0 - share;
                (0.0..=1.0).contains(&share) && (0..4).all(|c| (row[c] - want[c]).abs() < 1e-9)
            };
            assert!(all.iter().any(|j| partner(*j)), "{i}: {row:?} {value}");
            own.push(row[i % 4]);
        }
    }
    // Beta(0.5, 0.5) has mean 1/2, and a quarter of the partners is of the same class.
    let mean = own.iter().sum::<f64>() / 400.0;
    assert!((mean - 0.625).abs() < 0.06, "{mean}");
}

#[test]
fn a_patch_has_the_share_of_its_pixels() {
    let x = even(Augment { cutmix: 1.0, ..Augment::default() });
    let mut own = 0.0;
    for i in 0..20 {
        let seen = picture(&x, i, 1).to_vec();
        let shares = x.training_shares(&[i], 1, DType::F64).expect("mixed").to_vec();
        let kept = seen.iter().filter(|v| **v == (10 * i + 5) as f64).count() as f64 / 240.0;
        let others: Vec<f64> = seen.into_iter().filter(|v| *v != (10 * i + 5) as f64).collect();
        assert!(others.iter().all(|v| *v == others[0]), "one other picture");
        let other = others.first().map_or(i, |v| (*v as usize - 5) / 10);
        let want = if other % 4 == i % 4 { 1.0 } else { kept };
        assert!((shares[i % 4] - want).abs() < 1e-12, "{shares:?} {kept}");
        own += kept / 20.0;
    }
    assert!((0.3..0.9).contains(&own), "{own}");
}

#[test]
fn both_mixes_take_turns() {
    let x = even(Augment { mixup: 1.0, cutmix: 1.0, ..Augment::default() });
    let of_two_values = |i: usize| {
        let seen = picture(&x, i, 0).to_vec();
        seen.iter().any(|v| *v != seen[0])
    };
    let patched = (0..20).filter(|i| of_two_values(*i)).count();
    assert!((4..=16).contains(&patched), "{patched} of 20");
    assert!(x.training_shares(&[0], 0, DType::F32).is_some());
    assert!(
        even(Augment::named("flip,erase").expect("known"))
            .training_shares(&[0], 0, DType::F32)
            .is_none()
    );
}
