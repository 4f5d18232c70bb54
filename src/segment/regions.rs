//! Regions of a volume: ids, connectivity, sizes, who touches whom.
//!
//! [`Regions::from_labels`] splits labels into 6-connected components (union-find over runs along x, slab by
//! slab, slabs joined in order), merges crumbs into the neighbour they share most faces with and numbers what
//! is left in the order of its first voxel. Ids of a slab therefore lie close together, which lets statistics
//! be summed per slab into short dense vectors and combined in the order of the slabs: the same bits for any
//! number of threads.
//!
//! Cost: linear in the voxels. Memory: the ids and one more volume of u32 while components are found.

use std::ops::Range;

use ndarray::Array3;
use rayon::prelude::*;

use crate::base::{Cancelled, Progress};

use super::SegmentError;

/// Slices of a slab, the unit of parallel work over regions.
pub(crate) const SLAB: usize = 16;

/// A partition of a volume into connected regions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Regions {
    /// Region of every voxel, shape (z, y, x): 1 to `n`, 0 outside the mask.
    pub ids: Array3<u32>,
    /// How many regions there are.
    pub n: u32,
}

/// Who touches whom: neighbours of every region with the number of shared voxel faces.
///
/// Region `r` (from 1) has the entries `offsets[r - 1]..offsets[r]`, in order of the neighbour's id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Adjacency {
    offsets: Vec<usize>,
    entries: Vec<(u32, u32)>,
}

impl Adjacency {
    /// Neighbours of the region with zero-based index `region`, as (zero-based index, shared faces).
    pub fn of(&self, region: usize) -> &[(u32, u32)] {
        &self.entries[self.offsets[region]..self.offsets[region + 1]]
    }

    /// Where the entries of [`Self::of`] lie among those of all regions.
    pub(super) fn entries_of(&self, region: usize) -> Range<usize> {
        self.offsets[region]..self.offsets[region + 1]
    }

    /// Number of unordered pairs of touching regions.
    pub fn n_pairs(&self) -> usize {
        self.entries.len() / 2
    }
}

/// Size and place of a region.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Place {
    /// Voxels of the region.
    pub n_voxels: u32,
    /// Mean index of its voxels as z, y, x.
    pub centre_zyx: [f32; 3],
}

impl Regions {
    /// Shape of the volume as z, y, x.
    pub fn shape(&self) -> [usize; 3] {
        let (z, y, x) = self.ids.dim();
        [z, y, x]
    }

    /// Ids of all voxels, x fastest.
    pub fn values(&self) -> &[u32] {
        self.ids.as_slice().unwrap_or(&[])
    }

    /// Makes regions of labels: equal labels that touch by a face are one region, pieces under `min_voxels`
    /// join the neighbour they share most faces with (or stay, where they have none).
    ///
    /// Voxels outside `mask` become 0. Without a mask, and inside it, label 0 is a label like any other.
    ///
    /// # Errors
    /// [`SegmentError::Cancelled`], checked once per slab.
    pub fn from_labels(
        progress: &Progress,
        labels: Array3<u32>,
        mask: Option<&[bool]>,
        min_voxels: u32,
    ) -> Result<Self, SegmentError> {
        let (nz, ny, nx) = labels.dim();
        let shape = [nz, ny, nx];
        progress.phase("Joining supervoxels", 3 * nz.div_ceil(SLAB) as u64);
        let values = labels.as_slice().unwrap_or(&[]);
        let (mut pieces, sizes) = components(progress, values, shape, mask)?;
        drop(labels);
        let target = merge_crumbs(progress, &pieces, &sizes, shape, min_voxels)?;
        // Numbers in the order of the first voxel: components are already in that order.
        let mut ids = vec![0u32; sizes.len()];
        let mut n = 0;
        for (piece, target) in target.iter().enumerate().skip(1) {
            if piece as u32 == *target {
                n += 1;
                ids[piece] = n;
            }
        }
        pieces.par_chunks_mut(SLAB * ny * nx).try_for_each(|slab| {
            progress.check()?;
            for voxel in slab {
                *voxel = ids[target[*voxel as usize] as usize];
            }
            progress.advance(1);
            Ok::<_, Cancelled>(())
        })?;
        let ids = Array3::from_shape_vec((nz, ny, nx), pieces).unwrap_or_default();
        Ok(Self { ids, n })
    }

    /// Sums something over the voxels of every region.
    ///
    /// `visit` gets a range of slices, the id of the first entry and the entries of the regions that may
    /// occur there; `merge` adds the later of two partial results of a region to the earlier.
    pub(crate) fn accumulate<A: Default + Clone + Send>(
        &self,
        progress: &Progress,
        visit: impl Fn(Range<usize>, u32, &mut [A]) -> Result<(), Cancelled> + Sync,
        merge: impl Fn(&mut A, &A),
    ) -> Result<Vec<A>, Cancelled> {
        let [nz, ny, nx] = self.shape();
        let mut total = vec![A::default(); self.n as usize];
        let n_slabs = nz.div_ceil(SLAB);
        // A few slabs at a time, so that partial results stay small beside the total.
        for batch in (0..n_slabs).step_by(16) {
            let partial: Vec<(u32, Vec<A>)> = (batch..(batch + 16).min(n_slabs))
                .into_par_iter()
                .map(|slab| {
                    progress.check()?;
                    let z = slab * SLAB..((slab + 1) * SLAB).min(nz);
                    let voxels = &self.values()[z.start * ny * nx..z.end * ny * nx];
                    let inside = || voxels.iter().filter(|id| **id > 0);
                    let first = inside().min().copied().unwrap_or(1);
                    let last = inside().max().copied().unwrap_or(0);
                    let mut entries = vec![A::default(); (last + 1 - first) as usize];
                    visit(z, first, &mut entries)?;
                    progress.advance(1);
                    Ok((first, entries))
                })
                .collect::<Result<_, Cancelled>>()?;
            for (first, entries) in &partial {
                for (entry, total) in entries.iter().zip(&mut total[*first as usize - 1..]) {
                    merge(total, entry);
                }
            }
        }
        Ok(total)
    }

    /// Size and centre of every region, in order of id.
    ///
    /// # Errors
    /// [`Cancelled`], checked once per slab.
    pub fn places(&self, progress: &Progress) -> Result<Vec<Place>, Cancelled> {
        let [_, ny, nx] = self.shape();
        let sums = self.accumulate(
            progress,
            |z, first, entries: &mut [(u32, [u64; 3])]| {
                for z in z {
                    for y in 0..ny {
                        for (x, id) in self.values()[(z * ny + y) * nx..][..nx].iter().enumerate() {
                            if *id > 0 {
                                let (n, sum) = &mut entries[(id - first) as usize];
                                *n += 1;
                                sum[0] += z as u64;
                                sum[1] += y as u64;
                                sum[2] += x as u64;
                            }
                        }
                    }
                }
                Ok(())
            },
            |total, part| {
                total.0 += part.0;
                for a in 0..3 {
                    total.1[a] += part.1[a];
                }
            },
        )?;
        let mean = |sum: u64, n: u32| (sum as f64 / f64::from(n.max(1))) as f32;
        Ok(sums.iter().map(|(n, s)| Place { n_voxels: *n, centre_zyx: s.map(|s| mean(s, *n)) }).collect())
    }

    /// Neighbours of every region through faces.
    ///
    /// # Errors
    /// [`Cancelled`], checked once per slab.
    pub fn adjacency(&self, progress: &Progress) -> Result<Adjacency, Cancelled> {
        let [nz, _, _] = self.shape();
        let n_slabs = nz.div_ceil(SLAB);
        let mut faces: Vec<(u64, u32)> = (0..n_slabs)
            .into_par_iter()
            .map(|slab| {
                progress.check()?;
                let mut keys = Vec::new();
                for_each_face(self.values(), self.shape(), slab, |a, b| {
                    if a != b && a != 0 && b != 0 {
                        keys.push(u64::from(a.min(b)) << 32 | u64::from(a.max(b)));
                    }
                });
                keys.sort_unstable();
                progress.advance(1);
                Ok(keys.chunk_by(|a, b| a == b).map(|run| (run[0], run.len() as u32)).collect::<Vec<_>>())
            })
            .collect::<Result<Vec<_>, Cancelled>>()?
            .concat();
        faces.par_sort_unstable();
        let mut pairs: Vec<(u32, u32, u32)> = Vec::with_capacity(faces.len());
        for (key, n) in faces {
            let (a, b) = ((key >> 32) as u32 - 1, key as u32 - 1);
            match pairs.last_mut() {
                Some(last) if (last.0, last.1) == (a, b) => last.2 += n,
                _ => pairs.push((a, b, n)),
            }
        }
        Ok(Adjacency::from_pairs(self.n as usize, &pairs))
    }
}

impl Adjacency {
    /// From sorted pairs (a, b, faces) with a < b, zero-based.
    fn from_pairs(n: usize, pairs: &[(u32, u32, u32)]) -> Self {
        let mut offsets = vec![0usize; n + 1];
        for (a, b, _) in pairs {
            offsets[*a as usize + 1] += 1;
            offsets[*b as usize + 1] += 1;
        }
        for i in 0..n {
            offsets[i + 1] += offsets[i];
        }
        let mut next = offsets.clone();
        let mut entries = vec![(0, 0); 2 * pairs.len()];
        // Lower neighbours first, then higher ones: both loops run in the order of the pairs.
        for (a, b, faces) in pairs {
            entries[next[*b as usize]] = (*a, *faces);
            next[*b as usize] += 1;
        }
        for (a, b, faces) in pairs {
            entries[next[*a as usize]] = (*b, *faces);
            next[*a as usize] += 1;
        }
        Self { offsets, entries }
    }
}

/// Calls `visit` with the values on both sides of every face whose lower voxel lies in the slab.
fn for_each_face(values: &[u32], shape: [usize; 3], slab: usize, mut visit: impl FnMut(u32, u32)) {
    for_each_face_at(values, shape, slab, |a, b| visit(values[a], values[b]));
}

/// Calls `visit` with the voxels on both sides of every face between different values whose lower voxel lies in the slab.
#[inline(always)]
pub(super) fn for_each_face_at(
    values: &[u32],
    [nz, ny, nx]: [usize; 3],
    slab: usize,
    mut visit: impl FnMut(usize, usize),
) {
    for z in slab * SLAB..((slab + 1) * SLAB).min(nz) {
        for y in 0..ny {
            let at = (z * ny + y) * nx;
            let row = &values[at..at + nx];
            for (x, pair) in row.windows(2).enumerate() {
                if pair[0] != pair[1] {
                    visit(at + x, at + x + 1);
                }
            }
            let mut across = |step: usize| {
                for (x, (a, b)) in row.iter().zip(&values[at + step..][..nx]).enumerate() {
                    if a != b {
                        visit(at + x, at + step + x);
                    }
                }
            };
            if y + 1 < ny {
                across(nx);
            }
            if z + 1 < nz {
                across(ny * nx);
            }
        }
    }
}

/// Union-find whose roots are the smallest member, so that numbering does not depend on the order of unions.
struct Forest(Vec<u32>);

impl Forest {
    fn root(&mut self, mut i: u32) -> u32 {
        while self.0[i as usize] != i {
            let up = self.0[self.0[i as usize] as usize];
            self.0[i as usize] = up;
            i = up;
        }
        i
    }

    fn union(&mut self, a: u32, b: u32) {
        let (a, b) = (self.root(a), self.root(b));
        self.0[a.max(b) as usize] = a.min(b);
    }
}

/// Components of equal labels inside the mask: number of each voxel's component from 1 in array order of the
/// first voxel (0 outside the mask), and their sizes (entry 0 is unused).
fn components(
    progress: &Progress,
    labels: &[u32],
    [nz, ny, nx]: [usize; 3],
    mask: Option<&[bool]>,
) -> Result<(Vec<u32>, Vec<u32>), Cancelled> {
    let slice_len = ny * nx;
    let mut pieces = vec![0u32; labels.len()];
    let slab_len = SLAB * slice_len;
    let forests: Vec<(Forest, Vec<u32>)> = pieces
        .par_chunks_mut(slab_len)
        .enumerate()
        .map(|(slab, pieces)| {
            progress.check()?;
            let at = slab * slab_len;
            let mask = mask.map(|m| &m[at..at + pieces.len()]);
            let result = slab_components(&labels[at..at + pieces.len()], [ny, nx], mask, pieces);
            progress.advance(1);
            Ok(result)
        })
        .collect::<Result<_, Cancelled>>()?;
    // Join the slabs: number of a piece = offset of its slab + its number there.
    let mut offsets = vec![0u32];
    let mut joined = Forest(vec![0]);
    let mut counts = vec![0u32];
    for (forest, sizes) in &forests {
        let offset = joined.0.len() as u32 - 1;
        offsets.push(offset);
        joined.0.extend(forest.0.iter().skip(1).map(|p| p + offset));
        counts.extend_from_slice(&sizes[1..]);
    }
    let offsets = &offsets[1..];
    for slab in 1..nz.div_ceil(SLAB) {
        progress.check()?;
        let (below, above) = (slab * slab_len - slice_len, slab * slab_len);
        let mut last = (0, 0);
        for i in 0..slice_len {
            let (a, b) = (pieces[below + i], pieces[above + i]);
            if a != 0 && b != 0 && (a, b) != last && labels[below + i] == labels[above + i] {
                joined.union(a + offsets[slab - 1], b + offsets[slab]);
                last = (a, b);
            }
        }
    }
    // Roots in increasing order are components in array order of their first voxel.
    let mut numbers = vec![0u32; joined.0.len()];
    let mut sizes = vec![0u32];
    for i in 1..joined.0.len() as u32 {
        let root = joined.root(i) as usize;
        if root == i as usize {
            numbers[root] = sizes.len() as u32;
            sizes.push(0);
        }
        numbers[i as usize] = numbers[root];
        sizes[numbers[root] as usize] += counts[i as usize];
    }
    pieces.par_chunks_mut(slab_len).enumerate().for_each(|(slab, pieces)| {
        for piece in pieces.iter_mut().filter(|p| **p != 0) {
            *piece = numbers[(*piece + offsets[slab]) as usize];
        }
    });
    Ok((pieces, sizes))
}

/// Provisional pieces of one slab from 1 (0 outside the mask), their union-find and their voxel counts.
fn slab_components(
    labels: &[u32],
    [ny, nx]: [usize; 2],
    mask: Option<&[bool]>,
    pieces: &mut [u32],
) -> (Forest, Vec<u32>) {
    let mut forest = Forest(vec![0]);
    let mut sizes = vec![0u32];
    for row in 0..labels.len() / nx.max(1) {
        let at = row * nx;
        // Starts of the rows already done that touch this one: y - 1 and z - 1.
        let before = [(row % ny > 0).then(|| at - nx), (row >= ny).then(|| at - ny * nx)];
        let is_inside = |x: usize| mask.is_none_or(|m| m[at + x]);
        let mut x = 0;
        while x < nx {
            if !is_inside(x) {
                x += 1;
                continue;
            }
            let (start, label) = (x, labels[at + x]);
            while x < nx && labels[at + x] == label && is_inside(x) {
                x += 1;
            }
            let mut piece = 0;
            for before in before.into_iter().flatten() {
                let mut last = 0;
                for x in start..x {
                    let other = pieces[before + x];
                    if other != 0 && other != last && labels[before + x] == label {
                        last = other;
                        if piece == 0 {
                            piece = forest.root(other);
                        } else {
                            forest.union(piece, other);
                        }
                    }
                }
            }
            if piece == 0 {
                piece = forest.0.len() as u32;
                forest.0.push(piece);
                sizes.push(0);
            }
            sizes[piece as usize] += (x - start) as u32;
            pieces[at + start..at + x].fill(piece);
        }
    }
    (forest, sizes)
}

/// For every component the component it becomes part of: itself, or the one a crumb joins.
fn merge_crumbs(
    progress: &Progress,
    pieces: &[u32],
    sizes: &[u32],
    shape: [usize; 3],
    min_voxels: u32,
) -> Result<Vec<u32>, Cancelled> {
    let is_crumb = |piece: u32| sizes[piece as usize] < min_voxels;
    let mut target: Vec<u32> = (0..sizes.len() as u32).collect();
    let contacts: Vec<Vec<u64>> = (0..shape[0].div_ceil(SLAB))
        .into_par_iter()
        .map(|slab| {
            progress.check()?;
            let mut keys = Vec::new();
            for_each_face(pieces, shape, slab, |a, b| {
                if a != 0 && b != 0 {
                    for (a, b) in [(a, b), (b, a)] {
                        if is_crumb(a) {
                            keys.push(u64::from(a) << 32 | u64::from(b));
                        }
                    }
                }
            });
            keys.sort_unstable();
            progress.advance(1);
            Ok(keys)
        })
        .collect::<Result<_, Cancelled>>()?;
    let mut contacts = contacts.concat();
    contacts.par_sort_unstable();
    let crumbs: Vec<(u32, &[u64])> =
        contacts.chunk_by(|a, b| a >> 32 == b >> 32).map(|run| ((run[0] >> 32) as u32, run)).collect();
    let mut settled: Vec<bool> = (0..sizes.len() as u32).map(|piece| !is_crumb(piece)).collect();
    loop {
        progress.check()?;
        let mut is_changed = false;
        let mut first_left = None;
        for (crumb, run) in &crumbs {
            if settled[*crumb as usize] {
                continue;
            }
            // The most faces win; among equals the lower number, since `>` keeps the first.
            let mut best = (0, 0);
            for same in run.chunk_by(|a, b| a == b) {
                let other = same[0] as u32;
                if settled[other as usize] && same.len() > best.0 {
                    best = (same.len(), other);
                }
            }
            if best.0 > 0 {
                target[*crumb as usize] = target[best.1 as usize];
                settled[*crumb as usize] = true;
                is_changed = true;
            } else {
                first_left = first_left.or(Some(*crumb));
            }
        }
        match first_left {
            None => return Ok(target),
            // Crumbs that touch only crumbs: the first of them becomes the region the others join.
            Some(crumb) if !is_changed => settled[crumb as usize] = true,
            Some(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::segment::test_data;

    fn regions(labels: Array3<u32>, min_voxels: u32) -> Regions {
        Regions::from_labels(&Progress::new(), labels, None, min_voxels).unwrap()
    }

    #[test]
    fn a_label_in_two_places_becomes_two_regions_in_array_order() {
        // Taller than a slab, with one label on both ends and one that bends across the border of slabs.
        let labels = Array3::from_shape_fn((40, 3, 5), |(z, y, _)| match z {
            0..10 | 36.. => 9,
            _ if y == 1 => 2,
            _ if z == 30 => 4,
            _ => 4 + u32::from(y == 2),
        });
        let found = regions(labels, 1);
        assert!(test_data::regions_are_connected(&found), "a region falls apart");
        let at = |z, y| found.ids[[z, y, 0]];
        assert_eq!([at(0, 0), at(12, 0), at(12, 1), at(12, 2), at(30, 2), at(39, 0)], [1, 2, 3, 4, 5, 7]);
        assert_eq!((at(30, 0), at(31, 2), found.n), (2, 6, 7));
    }

    #[test]
    fn a_crumb_joins_the_neighbour_it_touches_most_and_lonely_crumbs_stay() {
        let mut labels = Array3::from_elem((6, 6, 6), 1u32);
        labels.slice_mut(ndarray::s![3.., .., ..]).fill(2);
        labels[[2, 2, 2]] = 7;
        let found = regions(labels, 5);
        assert_eq!((found.n, found.ids[[2, 2, 2]]), (2, 1));
        let all_crumbs = Array3::from_shape_fn((2, 2, 2), |(z, y, x)| (z * 4 + y * 2 + x) as u32);
        assert_eq!(regions(all_crumbs, 100).n, 1);
    }

    #[test]
    fn places_and_adjacency_of_two_halves() {
        let labels = Array3::from_shape_fn((20, 4, 6), |(_, _, x)| u32::from(x >= 2));
        let found = regions(labels, 1);
        let places = found.places(&Progress::new()).unwrap();
        assert_eq!(places[0], Place { n_voxels: 160, centre_zyx: [9.5, 1.5, 0.5] });
        assert_eq!(places[1], Place { n_voxels: 320, centre_zyx: [9.5, 1.5, 3.5] });
        let adjacency = found.adjacency(&Progress::new()).unwrap();
        assert_eq!((adjacency.of(0), adjacency.of(1)), (&[(1, 80)][..], &[(0, 80)][..]));
        assert_eq!(adjacency.n_pairs(), 1);
    }
}
