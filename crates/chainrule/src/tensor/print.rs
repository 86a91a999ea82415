//! How tensors print: type and shape, then the values as nested rows, long axes shortened to their ends.

use super::Tensor;
use std::fmt;

/// Along an axis longer than this only the first and last three entries are printed.
const LONG: usize = 8;

impl fmt::Display for Tensor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut index = Vec::with_capacity(self.shape().len());
        write_axis(self, &mut index, f.precision().unwrap_or(4), f)
    }
}

impl fmt::Debug for Tensor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tensor {} {:?} {self}", self.dtype().name(), self.shape())
    }
}

fn write_axis(
    t: &Tensor,
    index: &mut Vec<usize>,
    digits: usize,
    f: &mut fmt::Formatter<'_>,
) -> fmt::Result {
    let axis = index.len();
    if axis == t.shape().len() {
        return write!(f, "{:.digits$}", t.at(index));
    }
    let size = t.shape()[axis];
    let last_axis = axis + 1 == t.shape().len();
    f.write_str("[")?;
    let mut first = true;
    for i in 0..size {
        if size > LONG && i == 3 {
            f.write_str(if last_axis { ", ..." } else { ",\n ..." })?;
        }
        if size > LONG && (3..size - 3).contains(&i) {
            continue;
        }
        if !first {
            let indent = axis + 1;
            if last_axis { f.write_str(", ")? } else { write!(f, ",\n{:indent$}", "")? }
        }
        first = false;
        index.push(i);
        write_axis(t, index, digits, f)?;
        index.pop();
    }
    f.write_str("]")
}
