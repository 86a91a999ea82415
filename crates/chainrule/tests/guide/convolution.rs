use crate::Snippet;
use chainrule::gradcheck::rel_error;
use chainrule::ops::conv2d::{self, Conv2dParams};
use chainrule::ops::max_pool2d::{self, MaxPool2dParams};
use chainrule::rng::Rng;
use chainrule::tensor::{DType, Order, Tensor};

pub const SNIPPETS: &[Snippet] =
    &[("edges", edges), ("naive", naive), ("pool", pool), ("order", order)];

fn edges() -> chainrule::Result<()> {
    // show: edges
    // A picture of one channel, dark on the left and bright on the right, and Sobel's filter for vertical edges.
    let x = Tensor::new([1, 1, 3, 6], &[0.0, 0.0, 0.0, 9.0, 9.0, 9.0].repeat(3));
    let w = Tensor::new([1, 1, 3, 3], &[-1.0, 0.0, 1.0, -2.0, 0.0, 2.0, -1.0, 0.0, 1.0]);
    let (y, _) = conv2d::forward(&x, &w, None, &Conv2dParams::default());
    println!("{y:.0}");
    let (y, _) = conv2d::forward(&x, &w, None, &Conv2dParams::new(2, 1)); // stride 2, padding 1
    println!("{:?}", y.shape());
    // end
    Ok(())
}

fn naive() -> chainrule::Result<()> {
    // show: naive
    let mut rng = Rng::new(0);
    let x = Tensor::randn([2, 3, 16, 16], 1.0, DType::F64, &mut rng);
    let w = Tensor::randn([4, 3, 3, 3], 1.0, DType::F64, &mut rng);
    let params = Conv2dParams::same(3);
    let (slow, cache) = conv2d::naive::forward(&x, &w, None, &params);
    let (fast, _) = conv2d::forward(&x, &w, None, &params);
    println!("forward {}", rel_error(&slow, &fast) < 1e-9);
    let dy = Tensor::randn([2, 4, 16, 16], 1.0, DType::F64, &mut rng);
    let (slow, fast) = (conv2d::naive::backward(&dy, &cache), conv2d::backward(&dy, &cache));
    println!(
        "dx {}, dw {}",
        rel_error(&slow.dx, &fast.dx) < 1e-9,
        rel_error(&slow.dw, &fast.dw) < 1e-9
    );
    // end
    Ok(())
}

fn pool() -> chainrule::Result<()> {
    // show: pool
    let x = Tensor::new([1, 1, 2, 4], &[1.0, 5.0, 2.0, 2.0, 3.0, 4.0, 8.0, 0.0]);
    let (y, cache) = max_pool2d::forward(&x, &MaxPool2dParams::new(2, 2));
    println!("{y:.0}");
    let dx = max_pool2d::backward(&Tensor::new([1, 1, 1, 2], &[10.0, 20.0]), &cache);
    println!("{dx:.0}");
    // end
    Ok(())
}

fn order() -> chainrule::Result<()> {
    // show: order
    let x = Tensor::randn([8, 3, 32, 32], 1.0, DType::F32, &mut Rng::new(0));
    let w = Tensor::randn([16, 3, 3, 3], 0.2, DType::F32, &mut Rng::new(1));
    let (y, _) = conv2d::forward(&x, &w, None, &Conv2dParams::same(3));
    println!("x {:?} {:?}", x.shape(), x.order());
    println!("y {:?} {:?}", y.shape(), y.order());
    let again = x.to_order(Order::ChannelsLast);
    println!("same numbers at the same places: {}", again.at(&[3, 1, 5, 7]) == x.at(&[3, 1, 5, 7]));
    // end
    Ok(())
}
