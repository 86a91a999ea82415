use crate::Snippet;
use chainrule::data::{Normalization, Pictures, embedded};
use chainrule::tensor::{DType, Order};
use chainrule::train::Examples;

pub const SNIPPETS: &[Snippet] = &[("pictures", pictures)];

fn pictures() -> chainrule::Result<()> {
    // show: pictures
    let splits = embedded()?;
    let bytes = splits.train.picture(0); // rows of red, green, blue
    println!(
        "{} pictures, the first is a {}",
        splits.train.len(),
        splits.train.classes()[splits.train.label(0)]
    );
    println!("its first pixel: {:?}", &bytes[..3]);

    let normalization = Normalization::of("channels", &splits.train)?;
    let train = Pictures::new(splits.train, normalization);
    let x = train.batch(&[0, 1, 2, 3], DType::F32, Order::RowMajor);
    println!("a batch: {:?}, mean {:.2}", x.shape(), x.mean().item());
    // end
    Ok(())
}
