use crate::Snippet;
use chainrule::nn::{Params, Sequential};
use chainrule::rng::Rng;
use chainrule::tape::Tape;
use chainrule::tensor::{DType, Tensor};
use chainrule::train::{load_module, save_module};

pub const SNIPPETS: &[Snippet] = &[("weights", weights)];

fn weights() -> chainrule::Result<()> {
    let file =
        std::env::temp_dir().join(format!("chainrule-guide-{}.safetensors", std::process::id()));
    // show: weights
    let build = |seed| Sequential::on([12], &mut Rng::new(seed)).linear(8).relu().linear(3).build();
    let net = build(0);
    save_module(&net, &file)?; // PyTorch: load_state_dict(safetensors.torch.load_file(file), strict=True)

    let mut other = build(1);
    load_module(&mut other, &file)?;
    let x = Tensor::ones([1, 12], DType::F32);
    let scores = |net: &Sequential| Tape::eval().constant(x.clone()).apply(net).value().to_vec();
    println!("{:?}", net.named_params().iter().map(|(name, _)| &name[..]).collect::<Vec<_>>());
    println!("the same scores: {}", scores(&net) == scores(&other));
    // end
    let _ = std::fs::remove_file(&file);
    Ok(())
}
