//! Where batches come from.

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
