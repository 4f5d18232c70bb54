//! A forest of randomised trees, seeded and class-balanced.
//!
//! Extremely randomised trees (Geurts, Ernst, Wehenkel, Machine Learning 63 (2006),
//! doi:10.1007/s10994-006-6226-1): at every node a few features are drawn, each with one threshold drawn
//! between the least and the greatest value there, and the pair with the greatest decrease of Gini impurity
//! is kept. Or random forests (Breiman, Machine Learning 45 (2001), doi:10.1023/A:1010933404324): the samples
//! are drawn with replacement and the best threshold is searched. Trees grow until a node is pure or small;
//! leaves keep class frequencies, which the forest averages to probabilities. Weights are scaled so that
//! every class weighs the same in all.
//!
//! Every tree has its own random stream from (seed, number of the tree), so the forest does not depend on the
//! number of threads. `fast prediction`: blocks of rows go through one tree at a time, several rows in step,
//! without branches (a leaf points to itself), until all of them have come to a leaf. Rows that the first [`JURY`] trees
//! agree about are done.
//!
//! Cost: training n samples takes about `trees · features per node · n · depth` operations; predicting takes
//! `trees · depth` steps per row. Memory: 12 bytes per node and 4 per leaf and class.

use rand::Rng as _;
use rand_pcg::Pcg32;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::base::{Cancelled, Progress};

/// Greatest depth of a tree.
const MAX_DEPTH: u32 = 64;
/// Trees that are asked first. With 20 of 50 the Dice stays what it is, with 12 single cells lose 0.01.
const JURY: usize = 20;

/// How splits are chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ForestKind {
    /// Random thresholds on all samples.
    ExtraTrees,
    /// Best thresholds on samples drawn with replacement.
    RandomForest,
}

/// What may be chosen about a forest.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ForestParams {
    /// How splits are chosen.
    pub kind: ForestKind,
    /// Number of trees, 1 to 10 000.
    pub trees: u32,
    /// Greatest depth of a tree, 1 to 64.
    pub max_depth: u32,
    /// Samples below which a node is not split, 2 or more.
    pub min_split: u32,
    /// Features tried at a node as a multiple of the square root of their number, 0.1 to 100.
    pub features_per_node: f32,
}

impl Default for ForestParams {
    fn default() -> Self {
        Self { kind: ForestKind::ExtraTrees, trees: 50, max_depth: 24, min_split: 2, features_per_node: 2.0 }
    }
}

/// Training samples, row after row.
#[derive(Debug, Clone, Copy)]
pub struct Samples<'a> {
    /// Features, `classes.len()` rows of `n_features`.
    pub features: &'a [f32],
    /// Columns of `features`.
    pub n_features: usize,
    /// Zero-based class of every row.
    pub classes: &'a [u16],
    /// Weight of every row, positive.
    pub weights: &'a [f32],
    /// Group of every row (its stroke): a tree sees a group whole or not at all.
    pub groups: &'a [u32],
    /// Number of classes.
    pub n_classes: usize,
}

/// One node: go to `next + 1` where the feature is above the threshold, else to `next`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Node {
    feature: u32,
    threshold: f32,
    next: u32,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Tree {
    nodes: Vec<Node>,
    /// Class frequencies of every node (leaves only are read), `n_classes` each.
    leaves: Vec<f32>,
    depth: u32,
}

/// A trained forest.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Stored")]
pub struct Forest {
    n_features: usize,
    n_classes: usize,
    trees: Vec<Tree>,
}

/// A forest as it comes from a file: nothing in it is believed.
#[derive(Deserialize)]
struct Stored {
    n_features: usize,
    n_classes: usize,
    trees: Vec<Tree>,
}

impl TryFrom<Stored> for Forest {
    type Error = &'static str;

    fn try_from(Stored { n_features, n_classes, trees }: Stored) -> Result<Self, Self::Error> {
        let is_sound = |tree: &Tree| {
            let n = tree.nodes.len();
            n.checked_mul(n_classes) == Some(tree.leaves.len())
                && (1..u32::MAX as usize).contains(&n)
                && tree.depth <= MAX_DEPTH
                && tree.nodes.iter().enumerate().all(|(at, node)| {
                    // A leaf leads to itself whatever the value.
                    let is_leaf = node.next as usize == at && node.threshold == f32::MAX;
                    (node.feature as usize) < n_features && (is_leaf || (node.next as usize) < n - 1)
                })
        };
        if n_classes > 0 && !trees.is_empty() && trees.iter().all(is_sound) {
            Ok(Self { n_features, n_classes, trees })
        } else {
            Err("a tree of the forest is damaged")
        }
    }
}

/// A forest and what it says of its own samples when only trees that have not seen their group are asked.
#[derive(Debug, Clone, PartialEq)]
pub struct Trained {
    /// The forest.
    pub forest: Forest,
    /// Class probabilities of every sample, row after row: from the trees that left its group out; from all
    /// trees where there is no such tree.
    pub held_out: Vec<f32>,
}

impl Forest {
    /// Trains a forest; the same samples and seed give the same forest.
    ///
    /// Every tree leaves out about a quarter of the groups, but never all of a class. What those trees say of
    /// the groups they have not seen is an honest estimate, which `held_out` returns: samples of one stroke
    /// are so alike that leaving out single samples would flatter.
    ///
    /// # Errors
    /// [`Cancelled`], checked once per tree.
    ///
    /// # Panics
    /// If the lengths in `samples` disagree or there are none: a bug of the caller.
    pub fn train(
        progress: &Progress,
        samples: &Samples<'_>,
        params: &ForestParams,
        seed: u64,
    ) -> Result<Trained, Cancelled> {
        let n = samples.classes.len();
        assert!(n > 0 && samples.n_features > 0, "a forest needs samples and features");
        assert_eq!(samples.features.len(), n * samples.n_features, "one row of features per sample");
        assert_eq!(samples.weights.len(), n, "one weight per sample");
        assert_eq!(samples.groups.len(), n, "one group per sample");
        let groups = Groups::new(samples);
        // Columns are read at every node, so they are laid out one after the other.
        let columns: Vec<f32> = (0..samples.n_features)
            .flat_map(|f| (0..n).map(move |i| samples.features[i * samples.n_features + f]))
            .collect();
        let trees = (0..params.trees.max(1))
            .into_par_iter()
            .map(|tree| {
                progress.check()?;
                let mut rng = Pcg32::new(seed, u64::from(tree));
                let members = groups.draw(&mut rng);
                let grower = Grower {
                    columns: &columns,
                    n_samples: n,
                    samples,
                    weights: balanced(samples, &members),
                    params,
                    rng,
                    tree: Tree { nodes: Vec::new(), leaves: Vec::new(), depth: 0 },
                    scratch: Vec::new(),
                };
                let mut seen = vec![false; n];
                members.iter().for_each(|i| seen[*i as usize] = true);
                Ok((grower.grow(members), seen))
            })
            .collect::<Result<Vec<_>, Cancelled>>()?;
        let (trees, seen): (Vec<Tree>, Vec<_>) = trees.into_iter().unzip();
        let forest = Self { n_features: samples.n_features, n_classes: samples.n_classes, trees };
        let held_out = forest.held_out(samples, &seen);
        Ok(Trained { forest, held_out })
    }

    /// Probabilities of the samples from the trees that have not seen them.
    fn held_out(&self, samples: &Samples<'_>, seen: &[Vec<bool>]) -> Vec<f32> {
        let k = self.n_classes;
        let mut out = vec![0.0; samples.classes.len() * k];
        out.par_chunks_exact_mut(k).enumerate().for_each(|(i, out)| {
            let row = &samples.features[i * self.n_features..][..self.n_features];
            let is_asked_by_all = seen.iter().all(|seen| seen[i]);
            let mut n = 0.0f32;
            for (tree, seen) in self.trees.iter().zip(seen) {
                if is_asked_by_all || !seen[i] {
                    tree.add(row, self.n_features, k, out);
                    n += 1.0;
                }
            }
            out.iter_mut().for_each(|p| *p /= n);
        });
        out
    }

    /// Number of features a row must have.
    pub fn n_features(&self) -> usize {
        self.n_features
    }

    /// Number of classes.
    pub fn n_classes(&self) -> usize {
        self.n_classes
    }

    /// Class probabilities of every row, row after row; each row sums to 1.
    ///
    /// # Errors
    /// [`Cancelled`], checked once per block of rows.
    ///
    /// # Panics
    /// If `features` is not a whole number of rows: a bug of the caller.
    pub fn predict(&self, progress: &Progress, features: &[f32]) -> Result<Vec<f32>, Cancelled> {
        const BLOCK: usize = 256;
        assert_eq!(features.len() % self.n_features, 0, "whole rows of features");
        let n = features.len() / self.n_features;
        let mut out = vec![0.0f32; n * self.n_classes];
        out.par_chunks_mut(BLOCK * self.n_classes)
            .zip(features.par_chunks(BLOCK * self.n_features))
            .try_for_each(|(out, rows)| {
                progress.check()?;
                self.predict_rows(rows, out);
                Ok(())
            })?;
        Ok(out)
    }

    /// Probabilities of a block of rows on this thread; `out` must be 0.
    ///
    /// Where the first [`JURY`] trees all say the same class and nothing else, the others are not asked.
    pub(crate) fn predict_rows(&self, rows: &[f32], out: &mut [f32]) {
        let k = self.n_classes;
        let (jury, others) = self.trees.split_at(if self.trees.len() > JURY { JURY } else { 0 });
        for tree in jury {
            tree.add(rows, self.n_features, k, out);
        }
        let agreed = jury.len() as f32;
        let is_open = |votes: &[f32]| agreed == 0.0 || votes.iter().all(|vote| *vote != agreed);
        let open: Vec<usize> =
            out.chunks_exact(k).enumerate().filter(|(_, votes)| is_open(votes)).map(|(row, _)| row).collect();
        let (mut open_rows, mut open_votes) = (Vec::new(), Vec::new());
        for row in &open {
            open_rows.extend_from_slice(&rows[row * self.n_features..][..self.n_features]);
            open_votes.extend_from_slice(&out[row * k..][..k]);
        }
        for tree in others {
            tree.add(&open_rows, self.n_features, k, &mut open_votes);
        }
        if agreed > 0.0 {
            out.iter_mut().for_each(|vote| *vote /= agreed);
        }
        let scale = 1.0 / self.trees.len() as f32;
        for (row, votes) in open.iter().zip(open_votes.chunks_exact(k)) {
            out[row * k..][..k].iter_mut().zip(votes).for_each(|(p, vote)| *p = vote * scale);
        }
    }
}

/// Which samples belong to which group, and which groups a class has.
struct Groups {
    members: Vec<Vec<u32>>,
    of_class: Vec<Vec<u32>>,
}

impl Groups {
    fn new(samples: &Samples<'_>) -> Self {
        let n = samples.groups.iter().max().map_or(0, |g| *g as usize + 1);
        let mut members = vec![Vec::new(); n];
        let mut of_class = vec![Vec::new(); samples.n_classes];
        for (i, (group, class)) in samples.groups.iter().zip(samples.classes).enumerate() {
            members[*group as usize].push(i as u32);
            let of_class: &mut Vec<u32> = &mut of_class[*class as usize];
            if !of_class.contains(group) {
                of_class.push(*group);
            }
        }
        Self { members, of_class }
    }

    /// Samples of about three quarters of the groups, in order; every class keeps at least one group.
    fn draw(&self, rng: &mut Pcg32) -> Vec<u32> {
        let mut taken: Vec<bool> = self.members.iter().map(|_| rng.next_u32() >= u32::MAX / 4).collect();
        for groups in &self.of_class {
            let pick = ((u64::from(rng.next_u32()) * groups.len() as u64) >> 32) as usize;
            if let Some(pick) = groups.get(pick).filter(|_| !groups.iter().any(|g| taken[*g as usize])) {
                taken[*pick as usize] = true;
            }
        }
        let mut members: Vec<u32> = self
            .members
            .iter()
            .zip(&taken)
            .filter(|(_, taken)| **taken)
            .flat_map(|(m, _)| m.clone())
            .collect();
        members.sort_unstable();
        members
    }
}

/// Weights scaled so that, over the members, every class sums to the same and all to their number.
fn balanced(samples: &Samples<'_>, members: &[u32]) -> Vec<f32> {
    let mut sums = vec![0.0f64; samples.n_classes];
    for i in members {
        sums[samples.classes[*i as usize] as usize] += f64::from(samples.weights[*i as usize]);
    }
    let n_present = sums.iter().filter(|s| **s > 0.0).count().max(1);
    let share = members.len() as f64 / n_present as f64;
    let mut weights = vec![0.0; samples.weights.len()];
    for i in members {
        let i = *i as usize;
        weights[i] = (f64::from(samples.weights[i]) * share / sums[samples.classes[i] as usize]) as f32;
    }
    weights
}

impl Tree {
    /// Adds the frequencies of the leaves that the rows end in.
    fn add(&self, rows: &[f32], n_features: usize, n_classes: usize, out: &mut [f32]) {
        const IN_STEP: usize = 16;
        let n = rows.len() / n_features;
        let mut first = 0;
        while first < n {
            let count = IN_STEP.min(n - first);
            let mut at = [0u32; IN_STEP];
            for _ in 0..self.depth {
                let mut moved = 0;
                for (i, at) in at[..count].iter_mut().enumerate() {
                    let node = self.nodes[*at as usize];
                    let value = rows[(first + i) * n_features + node.feature as usize];
                    let next = node.next + u32::from(value > node.threshold);
                    moved |= next ^ *at;
                    *at = next;
                }
                if moved == 0 {
                    break;
                }
            }
            for (i, at) in at[..count].iter().enumerate() {
                let leaf = &self.leaves[*at as usize * n_classes..][..n_classes];
                for (out, p) in out[(first + i) * n_classes..][..n_classes].iter_mut().zip(leaf) {
                    *out += p;
                }
            }
            first += count;
        }
    }
}

/// A tree while it grows.
struct Grower<'a> {
    columns: &'a [f32],
    n_samples: usize,
    samples: &'a Samples<'a>,
    weights: Vec<f32>,
    params: &'a ForestParams,
    rng: Pcg32,
    tree: Tree,
    scratch: Vec<(f32, u32)>,
}

/// A candidate split and the impurity that is left after it (smaller is better).
struct Split {
    feature: u32,
    threshold: f32,
    impurity: f64,
}

impl Grower<'_> {
    fn below(&mut self, n: usize) -> usize {
        ((u64::from(self.rng.next_u32()) * n as u64) >> 32) as usize
    }

    /// Uniform in [0, 1).
    fn uniform(&mut self) -> f32 {
        (self.rng.next_u32() >> 8) as f32 / 16_777_216.0
    }

    fn grow(mut self, mut members: Vec<u32>) -> Tree {
        let n = self.n_samples;
        if self.params.kind == ForestKind::RandomForest {
            let pool = members.clone();
            members.iter_mut().for_each(|m| *m = pool[self.below(pool.len())]);
        }
        self.tree.nodes.push(Node { feature: 0, threshold: f32::MAX, next: 0 });
        // Nodes still to be split: node, range of `members`, depth.
        let mut open = vec![(0usize, 0, members.len(), 0u32)];
        while let Some((node, from, to, depth)) = open.pop() {
            self.tree.depth = self.tree.depth.max(depth);
            let frequencies = self.frequencies(&members[from..to]);
            let is_pure = frequencies.iter().filter(|f| **f > 0.0).count() <= 1;
            self.set_leaf(node, &frequencies);
            if is_pure || depth >= self.params.max_depth || to - from < self.params.min_split.max(2) as usize
            {
                continue;
            }
            let Some(split) = self.best_split(&members[from..to]) else { continue };
            let column = &self.columns[split.feature as usize * n..][..n];
            let middle = from + partition(&mut members[from..to], |i| column[i as usize] <= split.threshold);
            let next = self.tree.nodes.len();
            self.tree.nodes[node] =
                Node { feature: split.feature, threshold: split.threshold, next: next as u32 };
            for child in [next, next + 1] {
                self.tree.nodes.push(Node { feature: 0, threshold: f32::MAX, next: child as u32 });
            }
            open.push((next + 1, middle, to, depth + 1));
            open.push((next, from, middle, depth + 1));
        }
        self.tree
    }

    /// Summed weight of every class.
    fn frequencies(&self, members: &[u32]) -> Vec<f64> {
        let mut sums = vec![0.0f64; self.samples.n_classes];
        for i in members {
            sums[self.samples.classes[*i as usize] as usize] += f64::from(self.weights[*i as usize]);
        }
        sums
    }

    fn set_leaf(&mut self, node: usize, frequencies: &[f64]) {
        let n = self.samples.n_classes;
        self.tree.leaves.resize(self.tree.leaves.len().max((node + 1) * n), 0.0);
        let sum: f64 = frequencies.iter().sum();
        for (leaf, f) in self.tree.leaves[node * n..].iter_mut().zip(frequencies) {
            *leaf = (f / sum) as f32;
        }
    }

    fn best_split(&mut self, members: &[u32]) -> Option<Split> {
        let n_features = self.samples.n_features;
        let wanted = (self.params.features_per_node * (n_features as f32).sqrt()).ceil().max(1.0) as usize;
        let mut best: Option<Split> = None;
        let mut useful = 0;
        // Constant features do not count; twice the number of features bounds the search.
        for _ in 0..2 * n_features.max(wanted) {
            if useful >= wanted {
                break;
            }
            let feature = self.below(n_features);
            let column = &self.columns[feature * self.n_samples..][..self.n_samples];
            let (mut low, mut high) = (f32::INFINITY, f32::NEG_INFINITY);
            for i in members {
                low = low.min(column[*i as usize]);
                high = high.max(column[*i as usize]);
            }
            if low >= high {
                continue;
            }
            useful += 1;
            let split = match self.params.kind {
                ForestKind::ExtraTrees => {
                    let threshold = (low + self.uniform() * (high - low)).clamp(low, high.next_down());
                    let impurity = self.impurity_at(members, feature, threshold);
                    Split { feature: feature as u32, threshold, impurity }
                }
                ForestKind::RandomForest => self.search(members, feature),
            };
            if best.as_ref().is_none_or(|b| split.impurity < b.impurity) {
                best = Some(split);
            }
        }
        best
    }

    fn impurity_at(&self, members: &[u32], feature: usize, threshold: f32) -> f64 {
        match self.samples.n_classes {
            n @ 0..=8 => self.impurity_of(members, feature, threshold, &mut [0.0; 16], n),
            n @ 9..=64 => self.impurity_of(members, feature, threshold, &mut [0.0; 128], n),
            n => self.impurity_of(members, feature, threshold, &mut vec![0.0; 2 * n], n),
        }
    }

    /// With room for the sums of both sides, which must be 0.
    #[inline(always)]
    fn impurity_of(
        &self,
        members: &[u32],
        feature: usize,
        threshold: f32,
        sums: &mut [f64],
        n_classes: usize,
    ) -> f64 {
        let column = &self.columns[feature * self.n_samples..][..self.n_samples];
        for i in members {
            let i = *i as usize;
            let side = usize::from(column[i] > threshold) * n_classes;
            sums[side + self.samples.classes[i] as usize] += f64::from(self.weights[i]);
        }
        gini(&sums[..n_classes]) + gini(&sums[n_classes..2 * n_classes])
    }

    /// The best threshold of a feature among the middles between neighbouring values.
    fn search(&mut self, members: &[u32], feature: usize) -> Split {
        let column = &self.columns[feature * self.n_samples..][..self.n_samples];
        self.scratch.clear();
        self.scratch.extend(members.iter().map(|i| (column[*i as usize], *i)));
        self.scratch.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        let mut right = self.frequencies(members);
        let mut left = vec![0.0f64; right.len()];
        let mut best = Split { feature: feature as u32, threshold: f32::INFINITY, impurity: f64::INFINITY };
        for pair in self.scratch.windows(2) {
            let i = pair[0].1 as usize;
            let (class, weight) = (self.samples.classes[i] as usize, f64::from(self.weights[i]));
            left[class] += weight;
            right[class] -= weight;
            if pair[0].0 < pair[1].0 {
                let impurity = gini(&left) + gini(&right);
                if impurity < best.impurity {
                    let middle = pair[0].0 + 0.5 * (pair[1].0 - pair[0].0);
                    best.threshold = middle.clamp(pair[0].0, pair[1].0.next_down());
                    best.impurity = impurity;
                }
            }
        }
        best
    }
}

/// Gini impurity times the weight.
fn gini(sums: &[f64]) -> f64 {
    let (total, squares) = sums.iter().fold((0.0, 0.0), |(t, s), v| (t + v, s + v * v));
    if total > 0.0 { total - squares / total } else { 0.0 }
}

/// Moves members that satisfy `is_left` to the front, keeping the order on both sides; gives their number.
fn partition(members: &mut [u32], is_left: impl Fn(u32) -> bool) -> usize {
    let right: Vec<u32> = members.iter().copied().filter(|i| !is_left(*i)).collect();
    let mut n = 0;
    for at in 0..members.len() {
        if is_left(members[at]) {
            members[n] = members[at];
            n += 1;
        }
    }
    members[n..].copy_from_slice(&right);
    n
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rows (x, y, noise) in the unit square, class 1 where exactly one of x and y is above a half.
    fn xor(n: usize, seed: u64) -> (Vec<f32>, Vec<u16>) {
        let mut rng = Pcg32::new(seed, 9);
        let mut uniform = || (rng.next_u32() >> 8) as f32 / 16_777_216.0;
        let features: Vec<f32> = (0..3 * n).map(|_| uniform()).collect();
        let classes = features.chunks(3).map(|f| u16::from((f[0] > 0.5) != (f[1] > 0.5))).collect();
        (features, classes)
    }

    fn train(features: &[f32], classes: &[u16], weights: &[f32], params: &ForestParams, seed: u64) -> Forest {
        let n_features = features.len() / classes.len();
        let groups: Vec<u32> = (0..classes.len() as u32).collect();
        let samples = Samples { features, n_features, classes, weights, groups: &groups, n_classes: 2 };
        Forest::train(&Progress::new(), &samples, params, seed).unwrap().forest
    }

    fn both() -> [ForestParams; 2] {
        [ForestKind::ExtraTrees, ForestKind::RandomForest].map(|kind| ForestParams {
            kind,
            trees: 60,
            ..ForestParams::default()
        })
    }

    #[test]
    fn xor_is_learnt_and_probabilities_sum_to_one() {
        let (features, classes) = xor(400, 1);
        let (test, truth) = xor(300, 2);
        for params in both() {
            let forest = train(&features, &classes, &[1.0; 400], &params, 7);
            let p = forest.predict(&Progress::new(), &test).unwrap();
            assert!(p.chunks(2).all(|p| (p[0] + p[1] - 1.0).abs() < 1e-5));
            let right = p.chunks(2).zip(&truth).filter(|(p, t)| u16::from(p[1] > p[0]) == **t).count();
            // A linear rule reaches half; the nearest 400 samples leave a few percent at the borders.
            assert!(right >= 270, "{right} of 300 with {:?}", params.kind);
        }
    }

    #[test]
    fn same_seed_same_forest_for_any_thread_count_and_another_seed_another() {
        let (features, classes) = xor(100, 3);
        for params in both() {
            let run = |n, seed| {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(n).build().unwrap();
                pool.install(|| train(&features, &classes, &[1.0; 100], &params, seed))
            };
            assert_eq!(run(1, 5), run(3, 5));
            assert_ne!(run(1, 5), run(1, 6));
        }
    }

    #[test]
    fn a_rare_class_weighs_as_much_as_a_common_one() {
        // One feature that says nothing: probabilities must be even although one class is 19 times rarer.
        let features = vec![0.5f32; 200];
        let classes: Vec<u16> = (0..200).map(|i| u16::from(i % 20 == 0)).collect();
        let forest = train(&features, &classes, &[1.0; 200], &both()[0], 1);
        let p = forest.predict(&Progress::new(), &[0.5]).unwrap();
        assert!((p[0] - 0.5).abs() < 1e-5, "{p:?}");
    }

    #[test]
    fn weights_decide_between_contradicting_samples() {
        let samples = Samples {
            features: &[0.0, 0.0, 1.0],
            n_features: 1,
            classes: &[0, 1, 1],
            weights: &[1.0, 9.0, 0.001],
            // One group, so that every tree sees all.
            groups: &[0, 0, 0],
            n_classes: 2,
        };
        let forest = Forest::train(&Progress::new(), &samples, &both()[0], 1).unwrap().forest;
        let p = forest.predict(&Progress::new(), &[0.0]).unwrap();
        // Balanced: class 0 weighs 1.5, class 1 weighs 1.5 of which 9 / 9.001 lie here.
        assert!((p[1] - 0.5).abs() < 1e-3, "{p:?}");
    }

    #[test]
    fn a_forest_survives_json() {
        let (features, classes) = xor(50, 3);
        let forest = train(&features, &classes, &[1.0; 50], &both()[0], 5);
        let text = serde_json::to_string(&forest).unwrap();
        let back: Forest = serde_json::from_str(&text).unwrap();
        let progress = Progress::new();
        assert_eq!(forest.predict(&progress, &features), back.predict(&progress, &features));
    }

    #[test]
    fn a_single_sample_and_a_cancel_are_answered() {
        let forest = train(&[1.0, 2.0], &[1], &[1.0], &both()[1], 1);
        assert_eq!(forest.predict(&Progress::new(), &[0.0, 0.0]).unwrap(), vec![0.0, 1.0]);
        let progress = Progress::new();
        progress.cancel();
        assert_eq!(forest.predict(&progress, &[0.0, 0.0]), Err(Cancelled));
    }

    #[test]
    fn a_forest_from_a_damaged_file_is_refused() {
        let (features, classes) = xor(50, 1);
        let forest = train(&features, &classes, &[1.0; 50], &both()[0], 7);
        let sound = serde_json::to_value(&forest).unwrap();
        assert_eq!(serde_json::from_value::<Forest>(sound.clone()).unwrap(), forest);
        let damaged = |place: &str, value: serde_json::Value| {
            let mut forest = sound.clone();
            *forest.pointer_mut(place).unwrap() = value;
            serde_json::from_value::<Forest>(forest).is_err()
        };
        // A step out of the tree, back to its root for ever, a feature that no row has, leaves that are missing.
        assert!(damaged("/trees/0/nodes/0/next", 1_000_000.into()));
        assert!(damaged("/trees/0/nodes/0/next", u32::MAX.into()));
        assert!(damaged("/trees/0/nodes/0/feature", 3.into()));
        assert!(damaged("/trees/0/leaves", serde_json::json!([1.0])));
        assert!(damaged("/trees/0/depth", u32::MAX.into()));
        assert!(damaged("/trees/0/nodes", serde_json::json!([])));
        assert!(damaged("/trees", serde_json::json!([])));
        assert!(damaged("/n_classes", 0.into()));
    }
}
