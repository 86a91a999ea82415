//! Where batches come from.

use crate::ops::Targets;
use crate::tensor::{DType, Order, Shape, Tensor, float};

/// Labelled examples that can be put together into batches.
pub trait Examples: Sync {
    /// How many there are.
    fn len(&self) -> usize;

    /// Whether there are none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The shape of one example, without the batch axis.
    fn shape(&self) -> &[usize];

    /// The label of example `i`.
    fn label(&self, i: usize) -> usize;

    /// The examples of these numbers as a batch (indices.len(), ...) of this type, stored in this order if they are pictures.
    fn batch(&self, indices: &[usize], dtype: DType, order: Order) -> Tensor;

    /// The same for a step of the training: whoever changes pictures at random does so here, keyed by the epoch.
    fn training_batch(&self, indices: &[usize], _epoch: u64, dtype: DType, order: Order) -> Tensor {
        self.batch(indices, dtype, order)
    }

    /// How much of each class is in each example of [`Examples::training_batch`], (indices.len(), classes); `None` where each is
    /// of its own class alone.
    fn training_shares(&self, _indices: &[usize], _epoch: u64, _dtype: DType) -> Option<Tensor> {
        None
    }
}

/// What the examples of a batch are to be taken for. `cross_entropy(&labels)` takes it.
#[derive(Clone, Debug)]
pub enum Labels {
    /// The class of each.
    Classes(Vec<usize>),
    /// How much of each class each is, (N, C): of examples that were mixed.
    Shares(Tensor),
}

impl Default for Labels {
    fn default() -> Self {
        Labels::Classes(Vec::new())
    }
}

impl Labels {
    /// The number of examples.
    pub fn len(&self) -> usize {
        match self {
            Labels::Classes(labels) => labels.len(),
            Labels::Shares(shares) => shares.shape()[0],
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<'a> From<&'a Labels> for Targets<'a> {
    fn from(labels: &'a Labels) -> Self {
        match labels {
            Labels::Classes(labels) => Targets::Classes(labels),
            Labels::Shares(shares) => Targets::Shares(shares),
        }
    }
}

/// The examples of batch `k` of an epoch that visits them in this order; fewer at the end, none behind it.
pub fn nth_batch(order: &[usize], size: usize, k: usize) -> &[usize] {
    let n = order.len();
    &order[(k * size).min(n)..((k + 1) * size).min(n)]
}

/// The batch of a step of the training, of a type and in a memory order, and its labels, in the memory of the labels before.
pub fn training_step(
    examples: &dyn Examples,
    indices: &[usize],
    epoch: u64,
    (dtype, order): (DType, Order),
    labels: &mut Labels,
) -> Tensor {
    match (examples.training_shares(indices, epoch, dtype), &mut *labels) {
        (Some(shares), _) => *labels = Labels::Shares(shares),
        (None, Labels::Classes(classes)) => {
            classes.clear();
            classes.extend(indices.iter().map(|i| examples.label(*i)));
        }
        (None, Labels::Shares(_)) => {
            *labels = Labels::Classes(indices.iter().map(|i| examples.label(*i)).collect());
        }
    }
    examples.training_batch(indices, epoch, dtype, order)
}

/// Examples that are numbers in memory: a tensor (N, ...) and N labels.
#[derive(Clone, Debug)]
pub struct Arrays {
    x: Tensor,
    labels: Vec<usize>,
}

impl Arrays {
    /// Examples x (N, ...) with one label each.
    ///
    /// # Panics
    /// If the number of labels is not N.
    #[track_caller]
    pub fn new(x: Tensor, labels: Vec<usize>) -> Arrays {
        assert_eq!(x.rows().0, labels.len(), "one label an example");
        Arrays { x: x.to_order(Order::RowMajor), labels }
    }
}

impl Examples for Arrays {
    fn len(&self) -> usize {
        self.labels.len()
    }

    fn shape(&self) -> &[usize] {
        &self.x.shape()[1..]
    }

    fn label(&self, i: usize) -> usize {
        self.labels[i]
    }

    fn batch(&self, indices: &[usize], dtype: DType, order: Order) -> Tensor {
        let (_, d) = self.x.rows();
        let mut batch = Tensor::dirty(
            batch_shape(indices.len(), self.shape()),
            self.x.dtype(),
            Order::RowMajor,
        );
        float!(self.x.dtype(), T => {
            let from = self.x.data::<T>();
            let rows = batch.data_mut::<T>().chunks_exact_mut(d.max(1));
            rows.zip(indices).for_each(|(row, &i)| row.copy_from_slice(&from[i * d..(i + 1) * d]));
        });
        let batch = batch.to_dtype(dtype);
        if batch.shape().len() == 4 { batch.to_order(order) } else { batch }
    }
}

/// `shape` with a batch axis of size `n` before it.
pub(crate) fn batch_shape(n: usize, shape: &[usize]) -> Shape {
    let mut sizes = [n; crate::tensor::MAX_AXES];
    sizes[1..=shape.len()].copy_from_slice(shape);
    Shape::new(&sizes[..=shape.len()])
}
