//! Connected parts of a class in one slice, and which of two slices belong together.

use ndarray::Array2;

/// A connected part, corners included.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Part {
    /// Its voxels, rows first.
    pub(super) voxels: Vec<[usize; 2]>,
    /// Its box, half open.
    pub(super) lo: [usize; 2],
    pub(super) hi: [usize; 2],
    /// Its middle in units of length.
    middle: [f64; 2],
    /// Radius of the disc of its area, in units of length.
    radius: f64,
}

impl Part {
    /// Whether two parts share a place.
    pub(super) fn overlaps(&self, other: &Self) -> bool {
        if (0..2).any(|a| self.lo[a] >= other.hi[a] || other.lo[a] >= self.hi[a]) {
            return false;
        }
        // Both lists are sorted by rows.
        let (mut i, mut j) = (0, 0);
        while let (Some(a), Some(b)) = (self.voxels.get(i), other.voxels.get(j)) {
            match a.cmp(b) {
                std::cmp::Ordering::Equal => return true,
                std::cmp::Ordering::Less => i += 1,
                std::cmp::Ordering::Greater => j += 1,
            }
        }
        false
    }

    fn distance(&self, other: &Self) -> f64 {
        (self.middle[0] - other.middle[0]).hypot(self.middle[1] - other.middle[1])
    }
}

/// The parts of a mask in scan order.
pub(super) fn parts(mask: &Array2<bool>, steps: [f64; 2]) -> Vec<Part> {
    let mut open = mask.clone();
    let mut found = Vec::new();
    for ((u, v), inside) in mask.indexed_iter() {
        if !*inside || !open[[u, v]] {
            continue;
        }
        let mut voxels = vec![[u, v]];
        open[[u, v]] = false;
        let mut next = 0;
        while let Some([u, v]) = voxels.get(next).copied() {
            next += 1;
            for du in -1isize..=1 {
                for dv in -1isize..=1 {
                    let at = [u.wrapping_add_signed(du), v.wrapping_add_signed(dv)];
                    if open.get(at) == Some(&true) {
                        open[at] = false;
                        voxels.push(at);
                    }
                }
            }
        }
        voxels.sort_unstable();
        let n = voxels.len() as f64;
        let end = |a: usize, pick: fn(usize, usize) -> usize| {
            voxels.iter().map(|at| at[a]).reduce(pick).unwrap_or(0)
        };
        found.push(Part {
            lo: [end(0, usize::min), end(1, usize::min)],
            hi: [end(0, usize::max) + 1, end(1, usize::max) + 1],
            middle: std::array::from_fn(|a| voxels.iter().map(|at| at[a] as f64).sum::<f64>() / n * steps[a]),
            radius: (n * steps[0] * steps[1] / std::f64::consts::PI).sqrt(),
            voxels,
        });
    }
    found
}

/// Groups of parts of two slices that belong together: `(parts here, parts there)`, both never empty.
///
/// Parts that overlap do; of the rest, two that are each other's nearest and within `reach` of touching, or that are
/// the only ones of their slices: then nothing else can be meant.
pub(super) fn groups(here: &[Part], there: &[Part], reach: f64) -> Vec<(Vec<usize>, Vec<usize>)> {
    let n = here.len();
    let mut roots: Vec<usize> = (0..n + there.len()).collect();
    let mut alone = vec![true; n + there.len()];
    for (i, a) in here.iter().enumerate() {
        for (j, _) in there.iter().enumerate().filter(|(_, b)| a.overlaps(b)) {
            unite(&mut roots, i, n + j);
            (alone[i], alone[n + j]) = (false, false);
        }
    }
    let nearest = |part: &Part, others: &[Part], first: usize| {
        let free = others.iter().enumerate().filter(|(k, _)| alone[first + k]);
        free.map(|(k, other)| (k, part.distance(other))).min_by(|a, b| a.1.total_cmp(&b.1))
    };
    let mut pairs = Vec::new();
    for (i, a) in here.iter().enumerate().filter(|(i, _)| alone[*i]) {
        let Some((j, d)) = nearest(a, there, n) else { continue };
        let back = nearest(&there[j], here, 0).map(|(k, _)| k);
        let is_only = n == 1 && there.len() == 1;
        if back == Some(i) && (is_only || d <= a.radius + there[j].radius + reach) {
            pairs.push((i, n + j));
        }
    }
    for (i, j) in pairs {
        unite(&mut roots, i, j);
    }
    let mut groups: Vec<(Vec<usize>, Vec<usize>)> = vec![(Vec::new(), Vec::new()); roots.len()];
    for k in 0..roots.len() {
        let group = &mut groups[root(&roots, k)];
        if k < n { group.0.push(k) } else { group.1.push(k - n) }
    }
    groups.retain(|(a, b)| !a.is_empty() && !b.is_empty());
    groups
}

fn root(roots: &[usize], mut k: usize) -> usize {
    while roots[k] != k {
        k = roots[k];
    }
    k
}

fn unite(roots: &mut [usize], a: usize, b: usize) {
    let (a, b) = (root(roots, a), root(roots, b));
    roots[a.max(b)] = a.min(b);
}
