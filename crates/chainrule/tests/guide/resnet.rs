use crate::Snippet;
use chainrule::models::ResNetCe;
use chainrule::nn::{Linear, Module, Params};
use chainrule::rng::Rng;
use chainrule::tape::{Tape, Var};
use chainrule::tensor::{DType, Tensor};

pub const SNIPPETS: &[Snippet] = &[("gate", gate), ("whole", whole)];

// show: squeeze-excite
#[derive(Params)]
struct SqueezeExcite {
    down: Linear,
    up: Linear,
}

impl Module for SqueezeExcite {
    fn forward(&self, x: &Var) -> Var {
        let (n, c) = (x.shape()[0], x.shape()[1]);
        let means = x.global_avg_pool(); // (N, C): what is in the whole picture
        let gate = means.apply(&self.down).relu().apply(&self.up).sigmoid();
        x * &gate.reshape(&[n, c, 1, 1]) // each channel louder or softer
    }
}
// end

fn gate() -> chainrule::Result<()> {
    // show: gate
    let mut rng = Rng::new(0);
    let block =
        SqueezeExcite { down: Linear::new(16, 4, &mut rng), up: Linear::new(4, 16, &mut rng) };
    let x = Tensor::randn([2, 16, 8, 8], 1.0, DType::F32, &mut rng);
    let y = Tape::eval().constant(x.clone()).apply(&block);
    let ratio = |c| y.value().at(&[0, c, 3, 3]) / x.at(&[0, c, 3, 3]);
    println!("{:?}; the gates of two channels differ: {}", y.shape(), ratio(0) != ratio(1));
    // end
    Ok(())
}

fn whole() -> chainrule::Result<()> {
    // show: whole
    let net = ResNetCe::new(10, 0.3, &mut Rng::new(0));
    println!("{} numbers to learn", net.num_params());
    let x = Tape::eval().constant(Tensor::zeros([1, 3, 32, 32], DType::F32));
    println!("{:?}", x.apply(&net).shape());
    // end
    Ok(())
}
