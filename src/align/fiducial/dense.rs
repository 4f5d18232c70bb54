//! Normal equations of views and beads: dense over the views, three by three for each bead.

use crate::kernels::registration::inverse;

/// The square root of what is not negative but for rounding.
pub(super) fn root(value: f64) -> f64 {
    value.max(0.0).sqrt()
}

/// One bead's part: its own block, its right side, and what ties it to the views.
#[derive(Debug, Clone, Default)]
struct Block {
    own: [[f64; 3]; 3],
    right: [f64; 3],
    /// Column of a view's parameter and the three values that tie it.
    ties: Vec<(usize, [f64; 3])>,
}

/// The equations.
#[derive(Debug, Clone)]
pub(super) struct Dense {
    size: usize,
    /// Columns from here on are shared by views, so that a bead may be tied to one several times.
    shared: usize,
    /// Lower triangle by rows.
    matrix: Vec<f64>,
    right: Vec<f64>,
    beads: Vec<Block>,
}

/// Steps of the views' parameters and of the beads.
pub(super) struct Solution {
    pub(super) views: Vec<f64>,
    pub(super) beads: Vec<[f64; 3]>,
}

impl Dense {
    pub(super) fn new(size: usize, shared: usize, n_beads: usize) -> Self {
        Self {
            size,
            shared,
            matrix: vec![0.0; size * size],
            right: vec![0.0; size],
            beads: vec![Block::default(); n_beads],
        }
    }

    /// Adds an observation of a bead: derivatives by parameters of the views and by the bead, residual, weight.
    pub(super) fn add(
        &mut self,
        bead: usize,
        columns: &[(usize, [f64; 2])],
        by_bead: [[f64; 3]; 2],
        residual: [f64; 2],
        weight: f64,
    ) {
        let block = &mut self.beads[bead];
        for (i, a) in columns {
            self.right[*i] += weight * (a[0] * residual[0] + a[1] * residual[1]);
            for (j, b) in columns {
                if j <= i {
                    self.matrix[i * self.size + j] += weight * (a[0] * b[0] + a[1] * b[1]);
                }
            }
            let tie = std::array::from_fn(|k| weight * (a[0] * by_bead[0][k] + a[1] * by_bead[1][k]));
            let known = block.ties.iter_mut().find(|(column, _)| *i >= self.shared && column == i);
            match known {
                Some((_, known)) => known.iter_mut().zip::<[f64; 3]>(tie).for_each(|(k, t)| *k += t),
                None => block.ties.push((*i, tie)),
            }
        }
        for k in 0..3 {
            block.right[k] += weight * (by_bead[0][k] * residual[0] + by_bead[1][k] * residual[1]);
            for l in 0..3 {
                block.own[k][l] += weight * (by_bead[0][k] * by_bead[0][l] + by_bead[1][k] * by_bead[1][l]);
            }
        }
    }

    /// Pulls a parameter that is `value` off towards where it should be.
    pub(super) fn hold(&mut self, column: usize, value: f64, strength: f64) {
        self.matrix[column * self.size + column] += strength;
        self.right[column] -= strength * value;
    }

    /// Solves with the diagonal raised by `damping`; `None` where that is not enough.
    pub(super) fn solve(&self, damping: f64) -> Option<Solution> {
        let n = self.size;
        let (mut matrix, mut right) = (self.matrix.clone(), self.right.clone());
        for i in 0..n {
            let diagonal = &mut matrix[i * n + i];
            *diagonal += damping * *diagonal + 1e-9;
        }
        let mut inverses = Vec::with_capacity(self.beads.len());
        for block in &self.beads {
            let mut own = block.own;
            for (k, row) in own.iter_mut().enumerate() {
                row[k] += damping * row[k] + 1e-9;
            }
            let own = inverse(own)?;
            let times = |v: &[f64; 3]| -> [f64; 3] {
                std::array::from_fn(|k| (0..3).map(|l| own[k][l] * v[l]).sum())
            };
            let through = times(&block.right);
            for (i, a) in &block.ties {
                right[*i] -= a[0] * through[0] + a[1] * through[1] + a[2] * through[2];
                let b = times(a);
                for (j, c) in &block.ties {
                    if j <= i {
                        matrix[i * n + j] -= b[0] * c[0] + b[1] * c[1] + b[2] * c[2];
                    }
                }
            }
            inverses.push(own);
        }
        cholesky(&mut matrix, &mut right, n)?;
        let beads = self.beads.iter().zip(&inverses);
        let beads = beads.map(|(block, own)| {
            let mut v = block.right;
            for (i, a) in &block.ties {
                (0..3).for_each(|k| v[k] -= a[k] * right[*i]);
            }
            std::array::from_fn(|k| (0..3).map(|l| own[k][l] * v[l]).sum())
        });
        Some(Solution { beads: beads.collect(), views: right })
    }
}

/// Solves in place by Cholesky; `matrix` holds the lower triangle by rows.
fn cholesky(matrix: &mut [f64], right: &mut [f64], n: usize) -> Option<()> {
    for i in 0..n {
        for j in 0..=i {
            let (above, below) = matrix.split_at(i * n);
            let row_i = &below[..j];
            let row_j = if j == i { row_i } else { &above[j * n..j * n + j] };
            let dot: f64 = row_i.iter().zip(row_j).map(|(a, b)| a * b).sum();
            let value = matrix[i * n + j] - dot;
            matrix[i * n + j] = if i == j {
                if !(value > 0.0 && value.is_finite()) {
                    return None;
                }
                value.sqrt()
            } else {
                value / matrix[j * n + j]
            };
        }
    }
    for i in 0..n {
        let dot: f64 = matrix[i * n..i * n + i].iter().zip(&right[..i]).map(|(a, b)| a * b).sum();
        right[i] = (right[i] - dot) / matrix[i * n + i];
    }
    for i in (0..n).rev() {
        let value = right[i] / matrix[i * n + i];
        right[i] = value;
        for j in 0..i {
            right[j] -= matrix[i * n + j] * value;
        }
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cholesky_solves_and_refuses_what_is_not_positive() {
        let n = 20;
        let entry =
            |i: usize, j: usize| ((i * 7 + j * 3) % 11) as f64 * 0.1 + f64::from(u8::from(i == j)) * 9.0;
        let full = |i: usize, j: usize| if i >= j { entry(i, j) } else { entry(j, i) };
        let mut matrix: Vec<f64> = (0..n * n).map(|k| full(k / n, k % n)).collect();
        let wanted: Vec<f64> = (0..n).map(|i| i as f64 - 4.5).collect();
        let mut right: Vec<f64> = (0..n).map(|i| (0..n).map(|j| full(i, j) * wanted[j]).sum()).collect();
        cholesky(&mut matrix, &mut right, n).unwrap();
        assert!(right.iter().zip(&wanted).all(|(a, b)| (a - b).abs() < 1e-9));
        assert!(cholesky(&mut [1.0, 0.0, 2.0, 1.0], &mut [1.0, 1.0], 2).is_none());
        assert!(cholesky(&mut [f64::NAN], &mut [1.0], 1).is_none());
    }
}
