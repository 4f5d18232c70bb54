//! Weights of the components of a flat in one view, from pairs of neighbouring blocks of pixels.

use super::flats::Frames;

/// Weights of components.
pub(super) type Weights = Vec<f64>;

/// Pairs of one size and direction at most.
const MOST_PAIRS: usize = 12_000;
/// Blocks that a side of the view holds at least.
const LEAST_BLOCKS: usize = 6;
/// Parts of the view along each side that are asked apart.
const PARTS: usize = 8;
/// Residuals of this many standard deviations count for a quarter.
const OUTLIER: f64 = 2.0;
/// Steps of the least squares at each scale of outliers.
const STEPS: usize = 4;
/// Less light than this share of the flat says nothing.
const LEAST_LIGHT: f64 = 0.02;

/// Two neighbouring blocks.
struct Pair {
    a: u32,
    b: u32,
    part: u16,
}

/// Pairs of blocks of one size.
struct Level {
    side: usize,
    rows: usize,
    cols: usize,
    pairs: Vec<Pair>,
    /// Good pixels of each block.
    counts: Vec<f32>,
    /// Differences of the components between the blocks of a pair, pair after pair.
    differences: Vec<f32>,
}

/// Which pairs are asked, and how the components differ there.
pub(super) struct Pairs {
    n: usize,
    n_cols: usize,
    good: Vec<bool>,
    levels: Vec<Level>,
    /// Noise of the logarithm of a pixel of a flat.
    sigma: f64,
}

/// Sums over blocks of an image of some columns; pixels that are not good count nothing.
fn block_sums(
    image: &[f32],
    good: &[bool],
    n_cols: usize,
    side: usize,
    rows: usize,
    cols: usize,
) -> Vec<f64> {
    let mut sums = vec![0.0; rows * cols];
    for y in 0..rows * side {
        let line = &image[y * n_cols..(y + 1) * n_cols];
        let good = &good[y * n_cols..(y + 1) * n_cols];
        let sums = &mut sums[y / side * cols..(y / side + 1) * cols];
        for ((block, good), sum) in line.chunks_exact(side).zip(good.chunks_exact(side)).zip(sums) {
            *sum +=
                block.iter().zip(good).filter(|(_, good)| **good).map(|(v, _)| f64::from(*v)).sum::<f64>();
        }
    }
    sums
}

impl Pairs {
    pub(super) fn new(frames: &Frames, images: &[Vec<f32>], sigma: f64) -> Self {
        let (n_rows, n_cols) = (frames.n_rows, frames.n_cols);
        let sides = (0..).map(|power| 1usize << power);
        let sides = sides.take_while(|side| *side == 1 || n_rows.min(n_cols) / side >= LEAST_BLOCKS);
        let levels = sides.map(|side| Level::new(frames, images, side)).collect();
        Self { n: images.len(), n_cols, good: frames.good.clone(), levels, sigma }
    }

    /// The weights with which the components make `counts` smoothest over `flat`; `spread` is the variance they may have.
    pub(super) fn fit(&self, counts: &[f32], flat: &[f32], spread: f64) -> Weights {
        let equations = self.equations(counts, flat);
        let n = self.n;
        let mut weights = vec![0.0; n];
        if equations.right.len() < 8 * n {
            return weights;
        }
        // From outliers that are as common as they seem down to those that noise cannot be.
        let mut sizes: Vec<f64> = equations.right.iter().map(|v| v.abs()).collect();
        sizes.sort_unstable_by(f64::total_cmp);
        let mut scale = (1.4826 * sizes[sizes.len() / 2]).max(1.0);
        loop {
            for _ in 0..STEPS {
                let (matrix, right) = equations.normal(&weights, scale, spread);
                let Some(solved) = solve(matrix, right, n) else { return vec![0.0; n] };
                weights = solved;
            }
            if scale <= 1.0 {
                break;
            }
            scale = (scale / 1.6).max(1.0);
        }
        equations.shrunk(&weights, spread)
    }

    /// Differences of the logarithm of the light between the blocks of each pair, in standard deviations of their noise.
    fn equations(&self, counts: &[f32], flat: &[f32]) -> Equations {
        let mut equations = Equations { n: self.n, left: Vec::new(), right: Vec::new(), parts: Vec::new() };
        for level in &self.levels {
            let sums = |image| block_sums(image, &self.good, self.n_cols, level.side, level.rows, level.cols);
            let (light, full) = (sums(counts), sums(flat));
            let whole: f64 = light.iter().sum::<f64>() / full.iter().sum::<f64>().max(f64::MIN_POSITIVE);
            for (pair, differences) in level.pairs.iter().zip(level.differences.chunks_exact(self.n)) {
                let (a, b) = (pair.a as usize, pair.b as usize);
                let (ta, tb) = (light[a] / full[a], light[b] / full[b]);
                // Of a view that is weaker than its flat as a whole, too.
                let enough = LEAST_LIGHT * whole.min(1.0);
                if !(ta > enough && tb > enough && ta.is_finite() && tb.is_finite()) {
                    continue;
                }
                let noise = 1.0 / (ta * f64::from(level.counts[a])) + 1.0 / (tb * f64::from(level.counts[b]));
                let scale = 1.0 / (self.sigma * noise.sqrt());
                equations.right.push((ta / tb).ln() * scale);
                equations.left.extend(differences.iter().map(|d| f64::from(*d) * scale));
                equations.parts.push(pair.part);
            }
        }
        equations
    }
}

impl Level {
    fn new(frames: &Frames, images: &[Vec<f32>], side: usize) -> Self {
        let (n_rows, n_cols) = (frames.n_rows, frames.n_cols);
        let (rows, cols) = (n_rows / side, n_cols / side);
        let ones = vec![1.0f32; n_rows * n_cols];
        let sums = |image: &[f32]| block_sums(image, &frames.good, n_cols, side, rows, cols);
        let counts: Vec<f32> = sums(&ones).into_iter().map(|v| v as f32).collect();
        let enough = |block: usize| 2.0 * counts[block] >= (side * side) as f32;
        let mut pairs = Vec::new();
        for (down, right) in [(0, 1), (1, 0)] {
            let (tall, wide) = (rows.saturating_sub(down), cols.saturating_sub(right));
            // A stride without a common factor with the lines, so that pairs lie all over.
            let stride = (tall * wide).div_ceil(MOST_PAIRS).max(1);
            let stride = if stride > 1 && wide.is_multiple_of(stride) { stride + 1 } else { stride };
            for index in (0..tall * wide).step_by(stride) {
                let (y, x) = (index / wide, index % wide);
                let (a, b) = (y * cols + x, (y + down) * cols + x + right);
                if enough(a) && enough(b) {
                    let part = y * PARTS / rows * PARTS + x * PARTS / cols;
                    pairs.push(Pair { a: a as u32, b: b as u32, part: part as u16 });
                }
            }
        }
        let mut differences = vec![0.0f32; pairs.len() * images.len()];
        for (k, image) in images.iter().enumerate() {
            let sums = sums(image);
            let mean = |block: u32| (sums[block as usize] / f64::from(counts[block as usize])) as f32;
            for (pair, line) in pairs.iter().zip(differences.chunks_exact_mut(images.len())) {
                line[k] = mean(pair.a) - mean(pair.b);
            }
        }
        Self { side, rows, cols, pairs, counts, differences }
    }
}

/// `left · weights = right`, each line with noise of one, and the part of the view that it comes from.
struct Equations {
    n: usize,
    left: Vec<f64>,
    right: Vec<f64>,
    parts: Vec<u16>,
}

impl Equations {
    fn residual(&self, line: usize, weights: &[f64]) -> f64 {
        let left = &self.left[line * self.n..(line + 1) * self.n];
        self.right[line] - left.iter().zip(weights).map(|(a, b)| a * b).sum::<f64>()
    }

    /// What a residual counts (Geman and McClure).
    fn weight(residual: f64, scale: f64) -> f64 {
        let r = residual / (OUTLIER * scale);
        (1.0 + r * r).powi(-2)
    }

    /// Normal equations around `weights`, with the spread that weights are known to have.
    fn normal(&self, weights: &[f64], scale: f64, spread: f64) -> (Vec<f64>, Vec<f64>) {
        let n = self.n;
        let (mut matrix, mut right) = (vec![0.0; n * n], vec![0.0; n]);
        for (line, left) in self.left.chunks_exact(n).enumerate() {
            let weight = Self::weight(self.residual(line, weights), scale);
            for i in 0..n {
                let scaled = weight * left[i];
                right[i] += scaled * self.right[line];
                for j in 0..=i {
                    matrix[i * n + j] += scaled * left[j];
                }
            }
        }
        for i in 0..n {
            matrix[i * n + i] += 1.0 / spread;
            for j in i + 1..n {
                matrix[i * n + j] = matrix[j * n + i];
            }
        }
        (matrix, right)
    }

    /// Weights with what the view does not tell taken back: the error of the weights is how far parts of the view disagree.
    fn shrunk(&self, weights: &[f64], spread: f64) -> Weights {
        let n = self.n;
        let mut pulls = vec![0.0; PARTS * PARTS * n];
        for (line, left) in self.left.chunks_exact(n).enumerate() {
            let residual = self.residual(line, weights);
            let pull = residual * Self::weight(residual, 1.0);
            let part = usize::from(self.parts[line]) * n;
            pulls[part..part + n].iter_mut().zip(left).for_each(|(sum, v)| *sum += v * pull);
        }
        // H w for the matrix H of the last step; then the mean of no weight, with error spread, and these, with error
        // H⁻¹ G H⁻¹: (H G⁻¹ H + 1/spread)⁻¹ H G⁻¹ H w, with a little of H in G so that it can be divided by.
        let (h, _) = self.normal(weights, 1.0, spread);
        let mut g: Vec<f64> = h.clone();
        for pull in pulls.chunks_exact(n) {
            for i in 0..n {
                for j in 0..n {
                    g[i * n + j] += 2.0 * pull[i] * pull[j];
                }
            }
        }
        let columns: Option<Vec<Vec<f64>>> =
            (0..n).map(|j| solve(g.clone(), (0..n).map(|i| h[i * n + j]).collect(), n)).collect();
        let Some(columns) = columns else { return vec![0.0; n] };
        let mut information = vec![0.0; n * n];
        for i in 0..n {
            for (j, column) in columns.iter().enumerate() {
                information[i * n + j] = (0..n).map(|k| h[i * n + k] * column[k]).sum();
            }
        }
        let right = (0..n).map(|i| (0..n).map(|j| information[i * n + j] * weights[j]).sum()).collect();
        for i in 0..n {
            information[i * n + i] += 1.0 / spread;
        }
        solve(information, right, n).unwrap_or_else(|| vec![0.0; n])
    }
}

/// Solves by elimination with pivots; none where the matrix is singular.
fn solve(mut matrix: Vec<f64>, mut right: Vec<f64>, n: usize) -> Option<Vec<f64>> {
    for i in 0..n {
        let pivot = (i..n).max_by(|a, b| matrix[a * n + i].abs().total_cmp(&matrix[b * n + i].abs()))?;
        if !(matrix[pivot * n + i].abs() > 0.0 && matrix[pivot * n + i].is_finite()) {
            return None;
        }
        for k in 0..n {
            matrix.swap(i * n + k, pivot * n + k);
        }
        right.swap(i, pivot);
        for row in i + 1..n {
            let factor = matrix[row * n + i] / matrix[i * n + i];
            for k in i..n {
                matrix[row * n + k] -= factor * matrix[i * n + k];
            }
            right[row] -= factor * right[i];
        }
    }
    for i in (0..n).rev() {
        let known: f64 = (i + 1..n).map(|k| matrix[i * n + k] * right[k]).sum();
        right[i] = (right[i] - known) / matrix[i * n + i];
    }
    right.iter().all(|v| v.is_finite()).then_some(right)
}
