use crate::Snippet;
use chainrule::rng::Rng;
use chainrule::tape::Tape;
use chainrule::tensor::{DType, Tensor};

pub const SNIPPETS: &[Snippet] =
    &[("chain", chain), ("train", train), ("look-inside", look_inside), ("evaluate", evaluate)];

fn chain() -> chainrule::Result<()> {
    // show: chain
    let a = Tensor::scalar(2.0, DType::F64);
    let b = Tensor::scalar(3.0, DType::F64);
    let tape = Tape::train(0);
    let (x, y) = (tape.leaf(&a), tape.leaf(&b));
    let z = (&x * &y + x.exp()).log(); // ln(ab + e^a)
    let grads = z.backward();
    println!(
        "z = {:.4}, dz/da = {:.4}, dz/db = {:.4}",
        z.item(),
        grads[&a].item(),
        grads[&b].item()
    );
    // end
    Ok(())
}

fn train() -> chainrule::Result<()> {
    // show: train
    let mut rng = Rng::new(0);
    let x = Tensor::randn([32, 20], 1.0, DType::F32, &mut rng);
    let labels: Vec<usize> = (0..32).map(|i| i % 4).collect();
    let mut w1 = Tensor::randn([20, 50], 0.3, DType::F32, &mut rng);
    let mut w2 = Tensor::randn([50, 4], 0.2, DType::F32, &mut rng);

    let tape = Tape::train(0);
    for step in 0..61 {
        let hidden = tape.constant(x.clone()).matmul(&w1).relu();
        let loss = hidden.matmul(&w2).cross_entropy(&labels);
        if step % 20 == 0 {
            println!("step {step}: loss {:.2}", loss.item());
        }
        let grads = loss.backward();
        w1.add_scaled(-0.5, &grads[&w1]);
        w2.add_scaled(-0.5, &grads[&w2]);
    }
    // end
    Ok(())
}

fn look_inside() -> chainrule::Result<()> {
    // show: look-inside
    let w = Tensor::new([2], &[1.0, -2.0]);
    let tape = Tape::train(0);
    let squares = tape.leaf(&w).pow(2.0);
    squares.retain_grad(); // gradients of what lies between are thrown away unless asked for
    let target = squares.detach(); // the same numbers, through which no gradient flows
    let loss = (&squares * &target).sum();
    let grads = loss.backward();
    println!("by the squares {:.1}, by w {:.1}", grads[&squares], grads[&w]);
    // end
    Ok(())
}

fn evaluate() -> chainrule::Result<()> {
    // show: evaluate
    let x = Tensor::ones([1, 1000], DType::F32);
    let tape = Tape::eval(); // records nothing; dropout and batch norm behave as in a test
    let y = tape.constant(x).dropout(0.5);
    println!("{} recorded, mean {}", tape.len(), y.value().mean().item());
    // end
    Ok(())
}
