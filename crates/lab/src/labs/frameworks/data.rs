//! Where the pictures of this lab come from.

use super::super::found::numbers;
use super::super::{Context, Found};
use anyhow::Result;
use chainrule::data::{DataLoader, Dataset, Normalization, Pictures, Splits};
use chainrule::tensor::{DType, Order};

/// Batches of 64 pictures, and when to check the accuracy.
pub struct Loaders {
    /// For learning, in another order in each epoch.
    pub train: DataLoader,
    /// For choosing.
    pub val: DataLoader,
    /// For the end.
    pub test: DataLoader,
    /// Steps between two checks: the course's hundred, or fewer where an epoch has fewer.
    pub every: usize,
}

/// The loaders of these pictures. `order` is how a batch lies in memory: pixel by pixel for convolutions, plane by plane for
/// matrices.
pub fn loaders(splits: &Splits, order: Order) -> Result<Loaders> {
    // show: loaders
    let normalization = Normalization::of("cifar10", &splits.train)?;
    let seen = |data: &Dataset| Pictures::new(data.clone(), normalization.clone());
    let loader = |data: &Dataset| DataLoader::new(seen(data), 64).of(DType::F32, order);
    let train = loader(&splits.train).shuffled(0); // another order in each epoch
    let val = loader(&splits.val).shuffled(0);
    let test = loader(&splits.test);
    // end
    let every = if train.batches() > 200 { 100 } else { 20 };
    Ok(Loaders { train, val, test, every })
}

/// Mean and standard deviation of some numbers.
fn moments(values: impl Iterator<Item = f64> + Clone) -> (f64, f64) {
    let n = values.clone().count() as f64;
    let mean = values.clone().sum::<f64>() / n;
    (mean, (values.map(|v| (v - mean).powi(2)).sum::<f64>() / n).sqrt())
}

/// The deviation of each channel, of all pixels together and as the mean over the deviations of single pictures.
fn deviations(data: &Dataset) -> [[f64; 3]; 2] {
    let plane = |i: usize, c: usize| {
        data.picture(i)[c * 1024..][..1024].iter().map(|b| f64::from(*b) / 255.0)
    };
    let all =
        |c| moments((0..data.len()).flat_map(|i| plane(i, c)).collect::<Vec<_>>().into_iter()).1;
    let single =
        |c| (0..data.len()).map(|i| moments(plane(i, c)).1).sum::<f64>() / data.len() as f64;
    [std::array::from_fn(all), std::array::from_fn(single)]
}

pub fn loading(context: &mut Context<'_>) -> Result<Found> {
    let mut found = Found::default();
    let splits = context.splits()?;
    let Loaders { train, val, test, .. } = loaders(&splits, Order::RowMajor)?;
    found.print("using device: cpu");
    let all = [("training", &train), ("validation", &val), ("test", &test)];
    for (name, loader) in all {
        let (pictures, batches) = (loader.examples(), loader.batches());
        found.print(format!("{name}: {pictures} pictures in {batches} batches"));
    }
    let sample = splits.train.slice(0..splits.train.len().min(1000));
    let [pixels, single] = deviations(&sample);
    found.print(format!("deviation of each channel, all pixels:       {}", numbers(&pixels)));
    found.print(format!("deviation of each channel, mean of pictures: {}", numbers(&single)));
    let Some((x, _)) = train.epoch(0).next() else { return Ok(found) };
    let after = moments(x.to_vec().into_iter());
    found.print(format!("numbers of a batch: mean {:.3}, deviation {:.3}", after.0, after.1));
    for (name, loader) in all {
        let (pictures, batches) = (loader.examples(), loader.batches());
        let right = batches == pictures.div_ceil(64);
        found.check(
            format!("batches, {name}"),
            batches,
            format!("{pictures} / 64, rounded up"),
            right,
        );
    }
    let labels = |epoch| train.epoch(epoch).map(|(_, y)| format!("{y:?}")).collect::<Vec<_>>();
    let (first, again, second) = (labels(0), labels(0), labels(1));
    found.check(
        "order of an epoch",
        if first == again { "the same when asked again" } else { "another when asked again" },
        "the same when asked again, another in the next epoch",
        first == again && first != second,
    );
    let constants = [0.2023, 0.1994, 0.2010];
    let off = single.iter().zip(constants).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
    found.check_below("mean deviation of single pictures, off from the constants", off, 0.02);
    found.text(format!(
        "Everybody divides CIFAR-10 by 0.2023, 0.1994 and 0.2010, and so does the course. These are not the deviations of the pixels, but \
         means of the deviations of single pictures, as the two lines above show: a picture varies less within itself than pictures do \
         among each other. So what the networks see has a deviation of {:.2} rather than 1. It does no harm.",
        after.1,
    ));
    Ok(found)
}
