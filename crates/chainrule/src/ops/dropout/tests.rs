use super::*;

fn ones(n: usize) -> Tensor {
    Tensor::ones([n], DType::F32)
}

#[test]
fn an_element_is_kept_by_its_own_word() {
    let keep = 0.8;
    for n in [0, 1, 63, 65, 40_001] {
        let key = Rng::new(9).dropout_key().expect("a keyed generator");
        let (y, cache) = forward(&ones(n), keep, Mode::Train, &mut Rng::new(9));
        let dx = backward(&ones(n), &cache);
        assert_eq!(y.to_vec(), dx.to_vec());
        for (i, y) in y.to_vec().into_iter().enumerate() {
            let kept = u64::from(key.word(i)) < DropoutKey::threshold(keep);
            assert_eq!(y, if kept { 1.25 } else { 0.0 }, "element {i} of {n}");
        }
    }
}

#[test]
fn numpy_draws_one_uniform_an_element() {
    let (mut rng, mut twin) = (Rng::numpy(231), Rng::numpy(231));
    let (y, _) = forward(&Tensor::ones([5, 7], DType::F64), 0.3, Mode::Train, &mut rng);
    let mut uniforms = vec![0.0; 35];
    twin.rand_fill(&mut uniforms);
    let want: Vec<f64> = uniforms.iter().map(|u| f64::from(*u < 0.3) / 0.3).collect();
    assert_eq!(y.to_vec(), want);
    assert_eq!(rng.state(), twin.state(), "the sequence goes on where the draws ended");
}

#[test]
fn a_test_is_the_identity_and_draws_nothing() {
    let x = Tensor::randn([3, 4], 1.0, DType::F32, &mut Rng::new(1));
    for mut rng in [Rng::new(2), Rng::numpy(2)] {
        let before = rng.clone();
        let (y, cache) = forward(&x, 0.5, Mode::Test, &mut rng);
        assert_eq!((y.to_vec(), backward(&x, &cache).to_vec()), (x.to_vec(), x.to_vec()));
        let next = |rng: &Rng| forward(&x, 0.5, Mode::Train, &mut rng.clone()).0.to_vec();
        assert_eq!(next(&rng), next(&before));
    }
}

#[test]
fn a_layer_with_a_seed_drops_the_same_units_and_one_without_does_not() {
    for mut rng in [Rng::new(1), Rng::numpy(1)] {
        let mut seeded = || forward_seeded(&ones(200), 0.5, 123, Mode::Train, &mut rng).0.to_vec();
        assert_eq!(seeded(), seeded());
        let mut free = || forward(&ones(200), 0.5, Mode::Train, &mut rng).0.to_vec();
        assert_ne!(free(), free());
    }
}

#[test]
fn with_a_seed_numpys_sequence_starts_over_in_a_test_too() {
    let mut rng = Rng::numpy(1);
    forward_seeded(&ones(3), 0.5, 123, Mode::Test, &mut rng);
    assert_eq!(rng.state(), Rng::numpy(123).state());
}

#[test]
fn the_memory_order_is_kept_and_does_not_move_the_mask() {
    let x = Tensor::randn([2, 3, 4, 5], 1.0, DType::F32, &mut Rng::new(1));
    let run = |order| {
        let (y, cache) = forward(&x.to_order(order), 0.5, Mode::Train, &mut Rng::new(7));
        let dx = backward(&x, &cache);
        assert_eq!((y.order(), dx.order()), (order, order));
        (y.to_vec(), dx.to_vec())
    };
    assert_eq!(run(Order::RowMajor), run(Order::ChannelsLast));
}

#[test]
fn what_is_dropped_does_not_hide_a_nan() {
    let x = Tensor::full([100], f64::NAN, DType::F32);
    let (y, _) = forward(&x, 0.5, Mode::Train, &mut Rng::new(7));
    assert!(y.to_vec().iter().all(|y| y.is_nan()));
}

#[test]
#[should_panic(expected = "dropout: keep is 0; a probability of keeping is above 0 and at most 1")]
fn keeping_nothing_panics() {
    forward(&ones(3), 0.0, Mode::Train, &mut Rng::new(1));
}
