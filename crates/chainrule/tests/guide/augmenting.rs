use crate::Snippet;
use chainrule::data::{Augment, Augmented, DataLoader, Normalization, embedded};
use chainrule::train::Labels;

pub const SNIPPETS: &[Snippet] = &[("loader", loader), ("threads", threads), ("mixing", mixing)];

fn loader() -> chainrule::Result<()> {
    // show: loader
    let splits = embedded()?;
    let normalization = Normalization::of("channels", &splits.train)?;
    let augment = Augment::named("flip,crop:4")?;
    let train = Augmented::new(splits.train, normalization, augment, 0);
    let loader = DataLoader::new(train, 64).shuffled(0).prefetch(2);
    for (k, (x, labels)) in loader.epoch(0).take(2).enumerate() {
        println!("batch {k}: {:?}, {} labels", x.shape(), labels.len());
    }
    println!("{} batches an epoch", loader.batches());
    // end
    Ok(())
}

fn threads() -> chainrule::Result<()> {
    let splits = embedded()?;
    let normalization = Normalization::of("channels", &splits.train)?;
    let augment = Augment::named("flip,crop,jitter")?;
    let train = Augmented::new(splits.train.slice(0..300), normalization, augment, 0);
    // show: threads
    let loader = DataLoader::new(train, 50).shuffled(7);
    let alone: Vec<_> = loader.epoch(3).map(|(x, _)| x.to_vec()).collect();
    let ahead: Vec<_> = loader.prefetch(3).epoch(3).map(|(x, _)| x.to_vec()).collect();
    println!("the same bits: {}", alone == ahead);
    // end
    Ok(())
}

fn mixing() -> chainrule::Result<()> {
    let splits = embedded()?;
    let normalization = Normalization::of("channels", &splits.train)?;
    // show: mixing
    let train = Augmented::new(splits.train, normalization, Augment::named("mixup:0.4")?, 0);
    let loader = DataLoader::new(train, 4).shuffled(0);
    let (_, labels) = loader.epoch(0).next().expect("a first batch");
    let Labels::Shares(shares) = labels else { panic!("mixed pictures have several classes") };
    for i in 0..4 {
        let some = |c: &usize| shares.at(&[i, *c]) > 0.0;
        let classes: Vec<_> = (0..10).filter(some).map(|c| (c, shares.at(&[i, c]))).collect();
        println!("{classes:.2?}");
    }
    // end
    Ok(())
}
