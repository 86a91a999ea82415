use crate::Snippet;
use chainrule::ops::{Mode, dropout};
use chainrule::rng::Rng;
use chainrule::tensor::{DType, Tensor};

pub const SNIPPETS: &[Snippet] = &[("drop", drop), ("keyed", keyed)];

fn drop() -> chainrule::Result<()> {
    // show: drop
    let x = Tensor::full([500, 500], 10.0, DType::F32);
    for keep in [0.25, 0.5, 0.9] {
        let (y, _) = dropout::forward(&x, keep, Mode::Train, &mut Rng::new(0));
        let kept = y.data::<f32>().iter().filter(|v| **v != 0.0).count() as f64 / y.len() as f64;
        let (test, _) = dropout::forward(&x, keep, Mode::Test, &mut Rng::new(0));
        println!(
            "keep {keep}: {:.1}% kept, mean {:.1}, in a test {:.1}",
            100.0 * kept,
            y.mean().item(),
            test.mean().item()
        );
    }
    // end
    Ok(())
}

fn keyed() -> chainrule::Result<()> {
    // show: keyed
    let x = Tensor::ones([2, 8], DType::F32);
    let mut rng = Rng::new(7);
    let mut masks = Vec::new();
    for (epoch, step) in [(0, 0), (0, 1), (0, 0)] {
        rng.at(epoch, step);
        let (y, _) = dropout::forward(&x, 0.5, Mode::Train, &mut rng);
        masks.push(y.to_vec());
    }
    println!("another step, another mask: {}", masks[0] != masks[1]);
    println!("the same step, the same mask: {}", masks[0] == masks[2]);
    // end
    Ok(())
}
