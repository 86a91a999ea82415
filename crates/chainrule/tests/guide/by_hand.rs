use crate::Snippet;
use chainrule::gradcheck::{numerical_gradient, rel_error};
use chainrule::ops::{affine, affine_relu, softmax_cross_entropy};
use chainrule::rng::Rng;
use chainrule::tensor::{DType, Tensor};

pub const SNIPPETS: &[Snippet] = &[("scores", scores), ("backward", backward), ("check", check)];

fn scores() -> chainrule::Result<()> {
    // show: scores
    let x = Tensor::new([2, 3], &[1.0, 2.0, 0.0, -1.0, 0.5, 1.0]); // two examples of three numbers
    let w = Tensor::new([3, 2], &[0.5, -0.5, 1.0, 0.0, 0.0, 2.0]); // scores of two classes
    let b = Tensor::new([2], &[0.1, -0.1]);
    let (scores, _) = affine::forward(&x, &w, &b);
    println!("scores\n{scores}");
    println!("probabilities\n{:.3}", scores.softmax());
    let (loss, _) = softmax_cross_entropy::forward(&scores, &[0, 1], &Default::default());
    println!("loss {loss:.4}");
    // end
    Ok(())
}

fn backward() -> chainrule::Result<()> {
    // show: backward
    let mut rng = Rng::new(0);
    let x = Tensor::randn([4, 6], 1.0, DType::F64, &mut rng);
    let (w1, b1) =
        (Tensor::randn([6, 5], 0.5, DType::F64, &mut rng), Tensor::zeros([5], DType::F64));
    let (w2, b2) =
        (Tensor::randn([5, 3], 0.5, DType::F64, &mut rng), Tensor::zeros([3], DType::F64));
    let labels = [0, 2, 1, 2];

    let (hidden, first) = affine_relu::forward(&x, &w1, &b1);
    let (scores, second) = affine::forward(&hidden, &w2, &b2);
    let (loss, top) = softmax_cross_entropy::forward(&scores, &labels, &Default::default());

    let dscores = softmax_cross_entropy::backward(&top);
    let upper = affine::backward(&dscores, &second);
    let lower = affine_relu::backward(&upper.dx, &first);
    println!("loss {loss:.4}");
    println!("dw2\n{:.3}", upper.dw);
    println!("db1 {:.3}", lower.db);
    // end
    Ok(())
}

fn check() -> chainrule::Result<()> {
    // show: check
    let mut rng = Rng::new(0);
    let x = Tensor::randn([4, 6], 1.0, DType::F64, &mut rng);
    let w = Tensor::randn([6, 3], 0.5, DType::F64, &mut rng);
    let b = Tensor::zeros([3], DType::F64);
    let loss = |w: &Tensor| {
        let (scores, _) = affine::forward(&x, w, &b);
        softmax_cross_entropy::forward(&scores, &[0, 2, 1, 2], &Default::default()).0
    };

    let (scores, cache) = affine::forward(&x, &w, &b);
    let (_, top) = softmax_cross_entropy::forward(&scores, &[0, 2, 1, 2], &Default::default());
    let by_hand = affine::backward(&softmax_cross_entropy::backward(&top), &cache).dw;
    let by_differences = numerical_gradient(loss, &w, 1e-5);
    let error = rel_error(&by_hand, &by_differences);
    println!("the largest relative error is below 1e-7: {}", error < 1e-7);
    // end
    Ok(())
}
