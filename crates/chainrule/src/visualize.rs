//! Weights as pictures, and pictures through filters.

use crate::tensor::{DType, Order, Tensor};

/// Pictures x (N, H, W, C) in one square grid, as the course's visualize_grid: g = ceil(sqrt N) pictures a side, `padding` pixels
/// of 0 between them, each picture scaled on its own so that its smallest value is 0 and its largest `ubound`. Cells without a
/// picture stay 0, and so does a picture of one value. Returns (g H + (g-1) padding, g W + (g-1) padding, C) of `f64`.
///
/// # Panics
/// If x does not have four axes.
#[track_caller]
pub fn grid(x: &Tensor, ubound: f64, padding: usize) -> Tensor {
    let [n, h, w, c] = x.shape()[..] else {
        panic!("pictures have four axes (N, H, W, C); the shape is {:?}", x.shape())
    };
    let side = (1..=n).find(|g| g * g >= n).unwrap_or(0);
    let gaps = side.saturating_sub(1) * padding;
    let (height, width) = (side * h + gaps, side * w + gaps);
    let mut canvas = vec![0.0; height * width * c];
    let size = (h * w * c).max(1);
    for (i, picture) in x.to_vec().chunks_exact(size).enumerate() {
        let low = picture.iter().fold(f64::INFINITY, |m, v| m.min(*v));
        let high = picture.iter().fold(f64::NEG_INFINITY, |m, v| m.max(*v));
        let (top, left) = (i / side * (h + padding), i % side * (w + padding));
        for (y, row) in picture.chunks_exact(w * c).enumerate() {
            let start = ((top + y) * width + left) * c;
            for (out, v) in canvas[start..start + w * c].iter_mut().zip(row) {
                *out = if high > low { ubound * (v - low) / (high - low) } else { 0.0 };
            }
        }
    }
    Tensor::from_f64([height, width, c], &canvas)
}

/// The first `n` rows of w (M, C H W), each a picture of channels, as pictures (n, H, W, C) for [`grid`].
///
/// # Panics
/// If the rows are not of `shape` (C, H, W), or there are fewer than `n`.
#[track_caller]
pub fn rows_as_pictures(w: &Tensor, n: usize, shape: [usize; 3]) -> Tensor {
    let [c, h, width] = shape;
    let (rows, d) = w.rows();
    assert!(d == c * h * width && n <= rows, "{n} pictures {shape:?} from {:?}", w.shape());
    let values = w.to_dtype(DType::F64).to_vec();
    let mut out = Vec::with_capacity(n * d);
    for row in values.chunks_exact(d).take(n) {
        for pixel in 0..h * width {
            out.extend((0..c).map(|channel| row[channel * h * width + pixel]));
        }
    }
    Tensor::from_f64([n, h, width, c], &out)
}

/// Filters w (F, C, H, W) as pictures (F, H, W, C) for [`grid`].
///
/// # Panics
/// If w does not have four axes.
#[track_caller]
pub fn filters_as_pictures(w: &Tensor) -> Tensor {
    let [f, c, height, width] = w.shape()[..] else {
        panic!("filters have four axes (F, C, H, W); the shape is {:?}", w.shape())
    };
    let pixels = w.to_dtype(DType::F64).to_order(Order::ChannelsLast);
    Tensor::from_f64([f, height, width, c], pixels.data::<f64>())
}

/// Numbers as bytes: the smallest becomes 0, the largest 255, fractions are cut off. If all are the same, all become 0.
pub fn to_bytes(values: &[f64]) -> Vec<u8> {
    let low = values.iter().fold(f64::INFINITY, |m, v| m.min(*v));
    let high = values.iter().fold(f64::NEG_INFINITY, |m, v| m.max(*v));
    let byte = |v: &f64| if high > low { 255.0 * (v - low) / (high - low) } else { 0.0 };
    values.iter().map(|v| byte(v) as u8).collect()
}

/// How much a score depends on each pixel, (H, W) row by row: the largest size of its gradient dx (1, C, H, W) over the channels.
/// Source: K. Simonyan, A. Vedaldi, A. Zisserman, "Deep inside convolutional networks", 2013.
///
/// # Panics
/// If dx is not that of one picture.
#[track_caller]
pub fn saliency(dx: &Tensor) -> Vec<f64> {
    let [1, _, h, w] = dx.shape()[..] else {
        panic!("one picture (1, C, H, W); the shape is {:?}", dx.shape())
    };
    let mut map = vec![0.0f64; h * w];
    for plane in dx.to_vec().chunks_exact((h * w).max(1)) {
        map.iter_mut().zip(plane).for_each(|(m, v)| *m = m.max(v.abs()));
    }
    map
}

/// Where a convolution saw what speaks for a score, (H, W) row by row: `max(0, sum over F of mean(da[f]) a[f])` for its output a
/// and the gradient da of the score by it, both (1, F, H, W). Source: R. Selvaraju et al., "Grad-CAM", 2017.
///
/// # Panics
/// If they are not of one picture and one shape.
#[track_caller]
pub fn grad_cam(a: &Tensor, da: &Tensor) -> Vec<f64> {
    let [1, _, h, w] = a.shape()[..] else {
        panic!("one picture (1, F, H, W); the shape is {:?}", a.shape())
    };
    assert_eq!(a.shape(), da.shape(), "a gradient of the features' shape");
    let (a, da, plane) = (a.to_vec(), da.to_vec(), (h * w).max(1));
    let mut map = vec![0.0f64; h * w];
    for (a, da) in a.chunks_exact(plane).zip(da.chunks_exact(plane)) {
        let weight = da.iter().sum::<f64>() / plane as f64;
        map.iter_mut().zip(a).for_each(|(m, a)| *m += weight * a);
    }
    map.iter_mut().for_each(|m| *m = m.max(0.0));
    map
}

/// Two filters to see with one's own eyes what a convolution does, w (2, 3, 3, 3) and b (2), for stride 1 and padding 1. The
/// first makes red, green and blue grey (0.3, 0.6, 0.1); the second finds horizontal edges of blue (the rows 1 2 1, 0 0 0,
/// -1 -2 -1; Sobel 1968) around a middle grey of 128.
pub fn gray_and_edges() -> (Tensor, Tensor) {
    let mut w = [0.0; 2 * 27];
    [0.3, 0.6, 0.1].iter().enumerate().for_each(|(channel, v)| w[channel * 9 + 4] = *v);
    w[5 * 9..].copy_from_slice(&[1.0, 2.0, 1.0, 0.0, 0.0, 0.0, -1.0, -2.0, -1.0]);
    (Tensor::from_f64([2, 3, 3, 3], &w), Tensor::from_f64([2], &[0.0, 128.0]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_are_scaled_on_their_own() {
        let x = Tensor::from_f64([3, 1, 2, 1], &[0.0, 2.0, 5.0, 5.0, -1.0, 3.0]);
        let g = grid(&x, 255.0, 1);
        assert_eq!(&g.shape()[..], &[3, 5, 1]);
        assert_eq!(g.to_vec(), [0., 255., 0., 0., 0., 0., 0., 0., 0., 0., 0., 255., 0., 0., 0.]);
    }

    #[test]
    fn maps_of_what_a_score_depends_on() {
        let dx = Tensor::from_f64([1, 2, 1, 2], &[1.0, -3.0, -2.0, 0.5]);
        assert_eq!(saliency(&dx), [2.0, 3.0]);
        // The first feature speaks for the score with weight 2, the second against it with weight -1.
        let a = Tensor::from_f64([1, 2, 1, 2], &[1.0, 0.0, 0.5, 4.0]);
        let da = Tensor::from_f64([1, 2, 1, 2], &[3.0, 1.0, 0.0, -2.0]);
        assert_eq!(grad_cam(&a, &da), [1.5, 0.0]);
    }

    #[test]
    fn bytes_reach_from_0_to_255() {
        assert_eq!(to_bytes(&[-1.0, 0.0, 3.0]), [0, 63, 255]);
        assert_eq!(to_bytes(&[7.0, 7.0]), [0, 0]);
    }

    #[test]
    fn channels_move_last() {
        let w = Tensor::from_f64([1, 8], &[0., 1., 2., 3., 4., 5., 6., 7.]);
        assert_eq!(rows_as_pictures(&w, 1, [2, 2, 2]).to_vec(), [0., 4., 1., 5., 2., 6., 3., 7.]);
    }
}
