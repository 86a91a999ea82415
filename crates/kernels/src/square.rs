//! A square of numbers transposed in registers: what transposing copies are made of.

/// The side of the square.
pub(crate) const SIDE: usize = 8;

/// The square with rows and columns exchanged: three rounds that each interleave the upper half of the rows with the lower one.
/// Interleaving is one instruction, so compilers keep the square in registers; number by number they take it apart.
#[inline(always)]
pub(crate) fn transpose<T: Copy>(mut square: [[T; SIDE]; SIDE]) -> [[T; SIDE]; SIDE] {
    for _ in 0..SIDE.ilog2() {
        let [a, b, c, d, e, f, g, h] = square;
        let pairs = [interleave(a, e), interleave(b, f), interleave(c, g), interleave(d, h)];
        let [[a, b], [c, d], [e, f], [g, h]] = pairs;
        square = [a, b, c, d, e, f, g, h];
    }
    square
}

#[inline(always)]
fn interleave<T: Copy>(a: [T; SIDE], b: [T; SIDE]) -> [[T; SIDE]; 2] {
    [
        [a[0], b[0], a[1], b[1], a[2], b[2], a[3], b[3]],
        [a[4], b[4], a[5], b[5], a[6], b[6], a[7], b[7]],
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_become_columns() {
        let square: [[usize; SIDE]; SIDE] =
            std::array::from_fn(|i| std::array::from_fn(|j| i * SIDE + j));
        let turned = transpose(square);
        for (i, row) in turned.iter().enumerate() {
            (0..SIDE).for_each(|j| assert_eq!(row[j], square[j][i]));
        }
    }
}
