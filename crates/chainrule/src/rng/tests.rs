//! Properties of the keyed streams.

use proptest::prelude::*;

use super::philox::philox4x32;
use super::{DropoutKey, Key, KeyedRng, Purpose, Rng};

const PURPOSES: [Purpose; 8] = [
    Purpose::Init,
    Purpose::Sample,
    Purpose::Shuffle,
    Purpose::Augment,
    Purpose::Dropout,
    Purpose::Noise,
    Purpose::Check,
    Purpose::Search,
];

fn keyed(seed: u64) -> KeyedRng {
    KeyedRng::new(Key::new(seed, Purpose::Check))
}

/// Mean, variance, skewness and kurtosis.
fn moments(values: &[f64]) -> [f64; 4] {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let central = |k| values.iter().map(|v| (v - mean).powi(k)).sum::<f64>() / n;
    let variance = central(2);
    [mean, variance, central(3) / variance.powf(1.5), central(4) / variance.powi(2)]
}

fn assert_moments(values: &[f64], want: [f64; 4], within: [f64; 4]) {
    for ((got, want), within) in moments(values).into_iter().zip(want).zip(within) {
        assert!((got - want).abs() < within, "moment {got}, expected {want} to within {within}");
    }
}

#[test]
fn uniforms_have_the_moments_of_a_uniform() {
    let mut values = vec![0.0; 100_000];
    keyed(1).fill_uniform(&mut values);
    assert!(values.iter().all(|v| (0.0..1.0).contains(v)));
    // Five standard errors of each moment.
    assert_moments(&values, [0.5, 1.0 / 12.0, 0.0, 1.8], [0.005, 0.0012, 0.03, 0.03]);
}

#[test]
fn normals_have_the_moments_of_a_normal_and_pairs_are_uncorrelated() {
    let mut values = vec![0.0; 100_000];
    keyed(2).fill_normal(1.0, &mut values);
    assert_moments(&values, [0.0, 1.0, 0.0, 3.0], [0.016, 0.023, 0.04, 0.08]);
    let product = values.chunks_exact(2).map(|pair| pair[0] * pair[1]).sum::<f64>() / 50_000.0;
    assert!(product.abs() < 5.0 / 50_000f64.sqrt(), "{product}");
    let beyond_2 = values.iter().filter(|v| v.abs() > 2.0).count() as f64 / 1e5;
    assert!((beyond_2 - 0.0455).abs() < 0.0033, "{beyond_2}");
}

/// The bits of keyed draws are a promise: they change only if seeds are to mean something else. Computed with another
/// implementation; the uniform is exact, and the normals agreed to the last bit with another library's logarithm and sine.
#[test]
fn draws_are_the_same_on_every_machine_and_in_every_version() {
    let key = Key::new(0x1234_5678_9abc_def0, Purpose::Augment).epoch(3).sample(2 << 32).stream(5);
    let want = philox4x32([0, 0, 0x302, 0x0300_0005], [0x9abc_def0, 0x1234_5678]);
    assert_eq!(KeyedRng::new(key).next_u32(), want[0]);
    let mut rng = keyed(7);
    let bits = [rng.uniform(), rng.normal(), rng.normal(), rng.normal()].map(f64::to_bits);
    let want =
        [4607130850019538930, 13835484817142709978, 13822409844463253948, 13833249523679616696];
    assert_eq!(bits, want);
}

#[test]
fn integers_below_n_are_equally_frequent() {
    for n in [2, 3, 10, 100] {
        let mut rng = keyed(n as u64);
        let mut counts = vec![0f64; n];
        let draws = 2000 * n;
        (0..draws).for_each(|_| counts[rng.below(n)] += 1.0);
        // Chi-squared has mean n - 1 and variance 2 (n - 1).
        let chi2: f64 = counts.iter().map(|c| (c - 2000.0).powi(2) / 2000.0).sum();
        let dof = (n - 1) as f64;
        assert!(chi2 < dof + 5.0 * (2.0 * dof).sqrt(), "n {n}: chi squared {chi2}");
    }
}

/// With n = 3 * 2^62, taking the product's high half without rejecting would make every third value twice as frequent.
#[test]
fn integers_below_a_large_n_are_unbiased() {
    let (mut rng, n) = (keyed(5), 3usize << 62);
    let thirds = (0..30_000).filter(|_| rng.below(n) % 3 == 0).count();
    assert!((thirds as f64 - 10_000.0).abs() < 5.0 * (30_000.0 * 2.0 / 9.0f64).sqrt(), "{thirds}");
}

#[test]
fn every_order_of_four_is_equally_frequent() {
    let mut counts = std::collections::HashMap::new();
    let mut rng = keyed(11);
    (0..24_000).for_each(|_| *counts.entry(rng.permutation(4)).or_insert(0f64) += 1.0);
    assert_eq!(counts.len(), 24);
    let chi2: f64 = counts.values().map(|c| (c - 1000.0).powi(2) / 1000.0).sum();
    assert!(chi2 < 23.0 + 5.0 * 46f64.sqrt(), "{chi2}");
}

#[test]
fn dropout_words_keep_the_asked_fraction() {
    let key = DropoutKey::new(Key::new(3, Purpose::Dropout).epoch(1).sample(2));
    for keep in [0.0, 0.25, 0.8, 1.0] {
        let threshold = DropoutKey::threshold(keep);
        let kept = (0..40_000).filter(|&i| u64::from(key.word(i)) < threshold).count() as f64;
        let error = 5.0 * (40_000.0 * keep * (1.0 - keep)).sqrt();
        assert!((kept - 40_000.0 * keep).abs() <= error, "keep {keep}: {kept}");
    }
}

#[test]
fn steps_know_nothing_of_each_other() {
    let step = |rng: &mut Rng| {
        let (mut rows, mut noise) = (Vec::new(), [0.0; 3]);
        rng.choice(1000, 5, &mut rows);
        rng.rand_fill(&mut noise);
        (rows, noise.map(f64::to_bits), [rng.dropout_key(), rng.dropout_key()])
    };
    let mut straight = Rng::new(8);
    let mut steps = Vec::new();
    for t in 0..4 {
        straight.at(t / 2, t);
        steps.push(step(&mut straight));
    }
    let mut resumed = Rng::from_state(Rng::new(8).state()).unwrap();
    resumed.at(1, 3);
    assert_eq!(step(&mut resumed), steps[3]);
    for (i, a) in steps.iter().enumerate() {
        assert!(a.2[0].is_some() && a.2[0] != a.2[1]);
        for b in &steps[..i] {
            assert!(a.0 != b.0 && a.1 != b.1 && a.2 != b.2);
        }
    }
}

#[test]
fn an_epoch_keeps_its_order_and_the_next_has_another() {
    let order_at = |epoch, step| {
        let (mut rng, mut order) = (Rng::new(6), vec![7; 3]);
        rng.at(epoch, step);
        rng.rand_fill(&mut [0.0; 9]);
        rng.epoch_order(50, &mut order);
        order
    };
    let first = order_at(0, 0);
    assert_eq!(first, order_at(0, 3));
    assert_ne!(first, order_at(1, 3));
    let mut sorted = first.clone();
    sorted.sort_unstable();
    assert!(sorted.into_iter().eq(0..50));
}

#[test]
fn weights_come_from_a_stream_of_their_own() {
    let mut straight = Rng::new(4);
    let first: Vec<f64> = (0..6).map(|_| straight.normal(0.5)).collect();
    let mut rng = Rng::new(4);
    let mut got = vec![0.0; 3];
    rng.fill_normal(0.5, &mut got);
    rng.choice(9, 100, &mut Vec::new());
    rng.at(0, 0);
    let mut rng = Rng::from_state(rng.state()).unwrap();
    got.extend((0..3).map(|_| rng.normal(0.5)));
    assert_eq!(got, first);
}

#[test]
fn a_layer_with_its_own_seed_drops_the_same_units_each_time() {
    for mut rng in [Rng::new(1), Rng::numpy(1)] {
        let mut draws = || {
            rng.seed_dropout(123);
            let mut noise = [0.0; 4];
            let key = rng.dropout_key();
            if key.is_none() {
                rng.rand_fill(&mut noise);
            }
            (key, noise.map(f64::to_bits))
        };
        assert_eq!(draws(), draws());
    }
}

#[test]
fn a_damaged_state_is_an_error() {
    let state = super::RngState::Keyed { seed: 1, epoch: 1 << 24, step: 0, init: 0 };
    let message = Rng::from_state(state).unwrap_err().to_string();
    assert_eq!(message, "random generator state: epoch 16777216; it must be below 2^24");
}

fn any_key() -> impl Strategy<Value = Key> {
    (any::<u64>(), 0..PURPOSES.len(), 0u64..1 << 24, 0u64..1 << 40, 0u32..1 << 24).prop_map(
        |(seed, purpose, epoch, sample, stream)| {
            Key::new(seed, PURPOSES[purpose]).epoch(epoch).sample(sample).stream(stream)
        },
    )
}

proptest! {
    #[test]
    fn no_two_keys_share_their_blocks(a in any_key(), b in any_key(), flip in 0usize..155) {
        let place = |key| { let d = DropoutKey::new(key); (d.key, d.counter) };
        prop_assert_eq!(a == b, place(a) == place(b));
        // Neighbours: one bit of one field changed.
        let near = match flip {
            0..3 => Key { purpose: PURPOSES[(a.purpose as usize + 1 + flip) % PURPOSES.len()], ..a },
            3..27 => Key { epoch: a.epoch ^ 1 << (flip - 3), ..a },
            27..67 => Key { sample: a.sample ^ 1 << (flip - 27), ..a },
            67..91 => Key { stream: a.stream ^ 1 << (flip - 67), ..a },
            _ => Key { seed: a.seed ^ 1 << (flip - 91), ..a },
        };
        prop_assert_ne!(place(a), place(near));
        prop_assert_ne!(DropoutKey::new(a).block(0), DropoutKey::new(near).block(0));
    }

    #[test]
    fn draws_of_one_key_do_not_depend_on_draws_of_another(a in any_key(), b in any_key(), n in 1usize..20) {
        let alone: Vec<u64> = { let mut r = KeyedRng::new(a); (0..n).map(|_| r.next_u64()).collect() };
        let (mut r, mut other) = (KeyedRng::new(a), KeyedRng::new(b));
        for word in alone {
            other.normal();
            other.below(n);
            prop_assert_eq!(r.next_u64(), word);
        }
    }

    /// Which draw it is, is told by the position alone: memory of earlier draws changes nothing.
    #[test]
    fn a_draw_is_a_function_of_key_and_position(key in any_key(), kinds in prop::collection::vec(0..4, 1..30)) {
        let mut straight = KeyedRng::new(key);
        let draw = |rng: &mut KeyedRng, kind| match kind {
            0 => u64::from(rng.next_u32()),
            1 => rng.uniform().to_bits(),
            2 => rng.below(1000) as u64,
            _ => rng.normal().to_bits(),
        };
        for kind in kinds {
            let mut fresh = KeyedRng::new(key);
            fresh.set_position(straight.position());
            prop_assert_eq!(draw(&mut fresh, kind), draw(&mut straight, kind));
            prop_assert_eq!(fresh.position(), straight.position());
        }
    }

    #[test]
    fn permutations_hold_each_index_once(key in any_key(), n in 0usize..300) {
        let mut order = KeyedRng::new(key).permutation(n);
        order.sort_unstable();
        prop_assert!(order.into_iter().eq(0..n));
    }

    #[test]
    fn a_dropout_word_is_its_streams_word(key in any_key(), i in 0usize..1000) {
        let mut rng = KeyedRng::new(key);
        rng.set_position(i as u64);
        prop_assert_eq!(DropoutKey::new(key).word(i), rng.next_u32());
    }
}
