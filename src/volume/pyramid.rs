//! A volume that lies in a file in levels, each coarser than the one before, read block by block.
//!
//! Nobody needs all of it at once: a picture shows some blocks of one level, and work is done on a
//! level that fits into memory (the *working level*, an ordinary [`Volume`]). The source knows the
//! file; the [`BlockCache`] keeps what was read, under a budget.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use glam::{DAffine3, DMat3, DVec3};
use rayon::prelude::*;

use super::block_cache::BlockCache;
use super::{AnyArray, Volume};
use crate::with_array;

/// One level of a pyramid. Triples are z, y, x.
#[derive(Debug, Clone, PartialEq)]
pub struct PyramidLevel {
    /// Voxels.
    pub shape: [usize; 3],
    /// Voxels of a block, the unit of reading; blocks at the far faces may be smaller.
    pub block: [usize; 3],
    /// Edge of a voxel, in any unit that all levels share.
    pub scale: [f64; 3],
    /// Centre of voxel (0, 0, 0) in that unit.
    pub offset: [f64; 3],
}

impl PyramidLevel {
    /// Blocks along z, y, x.
    pub fn n_blocks(&self) -> [usize; 3] {
        std::array::from_fn(|a| self.shape[a].div_ceil(self.block[a].max(1)))
    }

    /// Number of voxels.
    pub fn n_voxels(&self) -> u64 {
        self.shape.iter().map(|n| *n as u64).product()
    }

    fn frame(&self) -> DAffine3 {
        let [sz, sy, sx] = self.scale;
        let [oz, oy, ox] = self.offset;
        DAffine3::from_mat3_translation(DMat3::from_diagonal(DVec3::new(sx, sy, sz)), DVec3::new(ox, oy, oz))
    }
}

/// Where blocks come from. Called by several threads at once.
pub trait BlockSource: Send + Sync + std::fmt::Debug {
    /// The voxels `low..low + shape` (z, y, x) of a level, in the type of the file.
    ///
    /// # Errors
    /// A sentence for the user.
    fn read(&self, level: usize, low: [usize; 3], shape: [usize; 3]) -> Result<AnyArray, String>;

    /// Bytes of a value as it is read.
    fn value_bytes(&self) -> u64;
}

/// Names a block of a pyramid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BlockId {
    /// Level, 0 the finest.
    pub level: usize,
    /// Which block along z, y, x.
    pub at: [usize; 3],
}

/// A volume in levels.
#[derive(Debug)]
pub struct Pyramid {
    id: u64,
    levels: Vec<PyramidLevel>,
    working: usize,
    source: Box<dyn BlockSource>,
    cache: Arc<BlockCache>,
}

impl Pyramid {
    /// A pyramid whose blocks are kept in `cache`; level `working` is the one that the program works on.
    ///
    /// `None` without levels, or where a level is empty or its voxels have no size.
    pub fn new(
        levels: Vec<PyramidLevel>,
        working: usize,
        source: Box<dyn BlockSource>,
        cache: Arc<BlockCache>,
    ) -> Option<Self> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let is_sound = |level: &PyramidLevel| {
            !level.shape.contains(&0)
                && !level.block.contains(&0)
                && level.scale.iter().all(|s| s.is_finite() && *s > 0.0)
                && level.offset.iter().all(|o| o.is_finite())
        };
        let id = NEXT.fetch_add(1, Ordering::Relaxed);
        (working < levels.len() && levels.iter().all(is_sound)).then_some(Self {
            id,
            levels,
            working,
            source,
            cache,
        })
    }

    /// Names it among all pyramids of the process.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// The levels, finest first.
    pub fn levels(&self) -> &[PyramidLevel] {
        &self.levels
    }

    /// The level that is held in memory and worked on.
    pub fn working(&self) -> usize {
        self.working
    }

    /// Where blocks are kept.
    pub fn cache(&self) -> &Arc<BlockCache> {
        &self.cache
    }

    /// The map from voxel indices (x, y, z) of a level to those of the working level.
    pub fn working_from_level(&self, level: usize) -> DAffine3 {
        let Some(at) = self.levels.get(level) else { return DAffine3::IDENTITY };
        self.levels[self.working].frame().inverse() * at.frame()
    }

    /// Bytes that blocks of a level take in memory, each as if it were whole.
    pub fn bytes_of(&self, blocks: &[BlockId]) -> u64 {
        let voxels = |block: &BlockId| {
            self.levels.get(block.level).map_or(0, |level| level.block.iter().map(|n| *n as u64).product())
        };
        blocks.iter().map(voxels).sum::<u64>() * self.source.value_bytes()
    }

    /// How many voxels of the finest level lie along the edge of a voxel of a level, at the most.
    pub fn coarseness(&self, level: usize) -> usize {
        let edge = |at: usize| self.levels.get(at).map_or([1.0; 3], |level| level.scale);
        let (fine, coarse) = (edge(0), edge(level));
        (0..3).map(|a| (coarse[a] / fine[a]).round() as usize).max().unwrap_or(1).max(1)
    }

    /// The voxels of a block: first one and number, z, y, x.
    pub fn block_box(&self, block: BlockId) -> ([usize; 3], [usize; 3]) {
        let Some(level) = self.levels.get(block.level) else { return ([0; 3], [0; 3]) };
        let low: [usize; 3] = std::array::from_fn(|a| (block.at[a] * level.block[a]).min(level.shape[a]));
        let dims = std::array::from_fn(|a| level.block[a].min(level.shape[a] - low[a]));
        (low, dims)
    }

    /// The blocks that hold voxels of the box `low..low + dims`, in order z, y, x.
    pub fn blocks_of(&self, level: usize, low: [usize; 3], dims: [usize; 3]) -> Vec<BlockId> {
        let Some(at) = self.levels.get(level) else { return Vec::new() };
        let range = |a: usize| -> Range<usize> {
            let end = (low[a] + dims[a]).min(at.shape[a]);
            if low[a] >= end { 0..0 } else { low[a] / at.block[a]..end.div_ceil(at.block[a]) }
        };
        let mut blocks = Vec::new();
        for z in range(0) {
            for y in range(1) {
                blocks.extend(range(2).map(|x| BlockId { level, at: [z, y, x] }));
            }
        }
        blocks
    }

    /// Reads a block from the file, past the cache.
    ///
    /// # Errors
    /// A sentence for the user, also where the file gave another shape.
    pub fn read(&self, block: BlockId) -> Result<AnyArray, String> {
        let (low, dims) = self.block_box(block);
        let values = self.source.read(block.level, low, dims)?;
        if values.shape() != dims {
            return Err(format!("a block of {dims:?} voxels came as {:?}", values.shape()));
        }
        Ok(values)
    }

    /// Reads voxels `low..low + dims` of a level from the file, past the cache.
    ///
    /// # Errors
    /// A sentence for the user, also where the file gave another shape.
    pub fn read_box(&self, level: usize, low: [usize; 3], dims: [usize; 3]) -> Result<AnyArray, String> {
        let values = self.source.read(level, low, dims)?;
        if values.shape() != dims {
            return Err(format!("a box of {dims:?} voxels came as {:?}", values.shape()));
        }
        Ok(values)
    }

    /// The value of a voxel of a level (z, y, x) where its block is in memory.
    pub fn value(&self, level: usize, voxel: [usize; 3]) -> Option<f32> {
        let at = self.levels.get(level)?;
        let block = BlockId { level, at: std::array::from_fn(|a| voxel[a] / at.block[a]) };
        let values = self.cache.get(self.id, block)?;
        let inside: [usize; 3] = std::array::from_fn(|a| voxel[a] % at.block[a]);
        with_array!(&*values, array => array.get(inside).map(|v| crate::volume::any::Voxel::to_f32(*v)))
    }

    /// Fills `out` with the voxels `low..low + dims` of a level (x fastest): blocks that are in memory as they are, the
    /// rest linearly from the finest coarser level that is in memory, at last the working level. Returns the blocks that
    /// were missing.
    pub fn fill(
        &self,
        level: usize,
        (low, dims): ([usize; 3], [usize; 3]),
        working: &Volume<f32>,
        out: &mut [f32],
    ) -> Vec<BlockId> {
        let blocks = self.blocks_of(level, low, dims);
        let found = self.cache.get_all(self.id, &blocks);
        let is_missing = |(block, values): (&BlockId, &Option<_>)| values.is_none().then_some(*block);
        let missing = blocks.iter().zip(&found).filter_map(is_missing).collect();
        let parts: Vec<Part<'_>> = found
            .into_iter()
            .zip(&blocks)
            .map(|(values, block)| {
                let (at, n) = self.block_box(*block);
                let to: [Range<usize>; 3] = std::array::from_fn(|a| {
                    let (first, end) = (at[a].max(low[a]), (at[a] + n[a]).min(low[a] + dims[a]));
                    first - low[a]..end.max(first) - low[a]
                });
                let from = match values {
                    Some(values) => {
                        From::Block(values, std::array::from_fn(|a| low[a].saturating_sub(at[a])))
                    }
                    None => {
                        let first = std::array::from_fn(|a| low[a] + to[a].start);
                        From::Coarse(self.coarse(level, first, to.clone().map(|r| r.len()), working))
                    }
                };
                Part { to, from }
            })
            .collect();
        let plane = (dims[1] * dims[2]).max(1);
        out.par_chunks_mut(plane).enumerate().for_each(|(z, out)| {
            for part in parts.iter().filter(|part| part.to[0].contains(&z)) {
                match &part.from {
                    From::Block(values, from) => {
                        with_array!(&**values, array => part.copy(&array.view(), *from, z, dims[2], out));
                    }
                    From::Coarse(coarse) => part.blur(coarse, z, dims[2], out),
                }
            }
        });
        missing
    }

    /// The best that is in memory for a box of a level whose own block is not.
    fn coarse<'a>(
        &self,
        level: usize,
        low: [usize; 3],
        dims: [usize; 3],
        working: &'a Volume<f32>,
    ) -> Coarse<'a> {
        for coarser in level + 1..self.working {
            let map = self.working_from_level(coarser).inverse() * self.working_from_level(level);
            let shape = self.levels[coarser].shape;
            let (mut first, mut n) = ([0; 3], [0; 3]);
            for a in 0..3 {
                let at = |i: usize| map.matrix3.col(2 - a)[2 - a] * i as f64 + map.translation[2 - a];
                let last = shape[a] - 1;
                first[a] = (at(low[a]).max(0.0) as usize).min(last);
                n[a] = (at(low[a] + dims[a] - 1).max(0.0).ceil() as usize).min(last) + 1 - first[a];
            }
            let blocks = self.blocks_of(coarser, first, n);
            if self.cache.get_all(self.id, &blocks).iter().all(Option::is_some) {
                let mut values = vec![0.0; n.iter().product()];
                if self.fill(coarser, (first, n), working, &mut values).is_empty() {
                    return Coarse::new(values.into(), n, map, first, (low, dims));
                }
            }
        }
        let map = self.working_from_level(level);
        Coarse::new(working.values().into(), working.shape(), map, [0; 3], (low, dims))
    }
}

/// What a block contributes to a box.
struct Part<'a> {
    /// Voxels of the box that it covers, z, y, x.
    to: [Range<usize>; 3],
    from: From<'a>,
}

/// Where the voxels of a part come from.
enum From<'a> {
    /// The block itself, and the first of its voxels that is taken.
    Block(Arc<AnyArray>, [usize; 3]),
    /// A coarser level.
    Coarse(Coarse<'a>),
}

/// A box of a coarser level, and where the voxels of a finer box lie in it.
struct Coarse<'a> {
    values: Cow<'a, [f32]>,
    shape: [usize; 3],
    lines: [Line; 3],
}

impl<'a> Coarse<'a> {
    /// `values` of `shape` begin at voxel `first` of the level that `map` leads to from the level of the box.
    fn new(
        values: Cow<'a, [f32]>,
        shape: [usize; 3],
        map: DAffine3,
        first: [usize; 3],
        (low, dims): ([usize; 3], [usize; 3]),
    ) -> Self {
        let lines = std::array::from_fn(|a| {
            let xyz = 2 - a;
            let offset = map.translation[xyz] - first[a] as f64;
            Line::new(low[a], dims[a], (map.matrix3.col(xyz)[xyz], offset), shape[a])
        });
        Self { values, shape, lines }
    }
}

impl Part<'_> {
    fn copy<T: crate::volume::any::Voxel>(
        &self,
        array: &ndarray::ArrayView3<'_, T>,
        from: [usize; 3],
        z: usize,
        width: usize,
        out: &mut [f32],
    ) {
        let from_z = z - self.to[0].start + from[0];
        let n = self.to[2].len();
        for (i, y) in self.to[1].clone().enumerate() {
            let row = array.slice(ndarray::s![from_z, from[1] + i, from[2]..from[2] + n]);
            for (out, value) in out[y * width + self.to[2].start..].iter_mut().zip(row) {
                *out = value.to_f32();
            }
        }
    }

    fn blur(&self, coarse: &Coarse<'_>, z: usize, width: usize, out: &mut [f32]) {
        let ([lz, ly, lx], [_, ny, nx]) = (&coarse.lines, coarse.shape);
        let values = &*coarse.values;
        let (z0, z1, tz) = lz.0[z - self.to[0].start];
        for (y, (y0, y1, ty)) in self.to[1].clone().zip(&ly.0) {
            let rows = [z0 * ny + y0, z0 * ny + y1, z1 * ny + y0, z1 * ny + y1].map(|row| row * nx);
            let weights = [(1.0 - tz) * (1.0 - ty), (1.0 - tz) * ty, tz * (1.0 - ty), tz * ty];
            for (x, (x0, x1, tx)) in self.to[2].clone().zip(&lx.0) {
                let mut sum = 0.0;
                for (row, weight) in rows.iter().zip(weights) {
                    sum += weight * ((1.0 - tx) * values[row + x0] + tx * values[row + x1]);
                }
                out[y * width + x] = sum;
            }
        }
    }
}

/// Along one axis: the two coarse voxels beside each voxel of a box, and the weight of the second.
struct Line(Vec<(usize, usize, f32)>);

impl Line {
    fn new(low: usize, n: usize, (scale, offset): (f64, f64), n_coarse: usize) -> Self {
        let last = n_coarse.saturating_sub(1);
        Self(
            (low..low + n)
                .map(|i| {
                    let at = (i as f64 * scale + offset).clamp(0.0, last as f64);
                    let first = at.floor() as usize;
                    (first, (first + 1).min(last), (at - first as f64) as f32)
                })
                .collect(),
        )
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::base::Unit;
    use ndarray::Array3;

    /// Levels of halves of a function of the finest voxel, read with nothing kept.
    #[derive(Debug)]
    pub(crate) struct Computed {
        pub(crate) levels: Vec<PyramidLevel>,
    }

    impl Computed {
        pub(crate) fn new(shape: [usize; 3], n_levels: usize, block: usize) -> Self {
            let levels = (0..n_levels)
                .map(|level| {
                    let factor = f64::from(1u32 << level);
                    PyramidLevel {
                        shape: shape.map(|n| n.div_ceil(1 << level)),
                        block: [block; 3],
                        scale: [0.1 * factor; 3],
                        offset: [0.05 * (factor - 1.0); 3],
                    }
                })
                .collect();
            Self { levels }
        }

        /// The value at a voxel of a level: linear in place, so that every level shows the same.
        pub(crate) fn value(&self, level: usize, voxel: [usize; 3]) -> f32 {
            let at = &self.levels[level];
            let p: [f64; 3] = std::array::from_fn(|a| voxel[a] as f64 * at.scale[a] + at.offset[a]);
            (p[0] + 2.0 * p[1] + 4.0 * p[2]) as f32
        }

        pub(crate) fn array(&self, level: usize, low: [usize; 3], shape: [usize; 3]) -> Array3<f32> {
            Array3::from_shape_fn(shape, |(z, y, x)| self.value(level, [low[0] + z, low[1] + y, low[2] + x]))
        }

        /// The pyramid and its working level.
        pub(crate) fn pyramid(self, working: usize, cache: &Arc<BlockCache>) -> (Arc<Pyramid>, Volume<f32>) {
            let at = self.levels[working].clone();
            let mut volume = Volume::new(self.array(working, [0; 3], at.shape), Some(at.scale), Unit::PerUm);
            volume.origin_um = at.offset;
            let levels = self.levels.clone();
            let pyramid = Pyramid::new(levels, working, Box::new(self), Arc::clone(cache)).unwrap();
            (Arc::new(pyramid), volume)
        }
    }

    impl BlockSource for Computed {
        fn read(&self, level: usize, low: [usize; 3], shape: [usize; 3]) -> Result<AnyArray, String> {
            Ok(AnyArray::F32(self.array(level, low, shape)))
        }

        fn value_bytes(&self) -> u64 {
            4
        }
    }

    #[test]
    fn blocks_in_memory_are_exact_and_the_rest_comes_from_the_working_level() {
        let cache = Arc::new(BlockCache::new(1 << 30));
        let source = Computed::new([50, 40, 70], 3, 16);
        let expected = source.array(0, [10, 3, 20], [12, 30, 40]);
        let (pyramid, working) = source.pyramid(2, &cache);
        let wanted = pyramid.blocks_of(0, [10, 3, 20], [12, 30, 40]);
        assert_eq!(wanted.len(), 2 * 3 * 3);
        let mut out = vec![0.0; 12 * 30 * 40];
        let missing = pyramid.fill(0, ([10, 3, 20], [12, 30, 40]), &working, &mut out);
        assert_eq!(missing, wanted);
        // A linear function survives linear interpolation between the centres of coarse voxels.
        for (found, value) in out.iter().zip(&expected) {
            assert!((found - value).abs() < 1e-4, "{found} {value}");
        }
        for block in &wanted[..5] {
            cache.insert(pyramid.id(), *block, pyramid.read(*block).unwrap());
        }
        out.fill(f32::NAN);
        let missing = pyramid.fill(0, ([10, 3, 20], [12, 30, 40]), &working, &mut out);
        assert_eq!(missing, wanted[5..]);
        let first = pyramid.block_box(wanted[0]);
        for ((z, y, x), value) in expected.indexed_iter() {
            let found = out[(z * 30 + y) * 40 + x];
            let inside = 10 + z < first.0[0] + first.1[0] && 3 + y < 16 && 20 + x < 32;
            let tolerance = if inside { 0.0 } else { 1e-4 };
            assert!((found - value).abs() <= tolerance, "{z} {y} {x}: {found} {value}");
        }
        // With the level in between in memory the rest comes from there; the values are the same line.
        for block in pyramid.blocks_of(1, [0; 3], [25, 20, 35]) {
            cache.insert(pyramid.id(), block, pyramid.read(block).unwrap());
        }
        let mut finer = vec![f32::NAN; out.len()];
        let nothing = working.with_data(Array3::zeros(working.data.dim()), Unit::PerUm);
        assert_eq!(pyramid.fill(0, ([10, 3, 20], [12, 30, 40]), &nothing, &mut finer), wanted[5..]);
        for (found, value) in finer.iter().zip(&expected) {
            assert!((found - value).abs() < 1e-4, "{found} {value}");
        }
        assert_eq!(pyramid.value(0, [10, 3, 20]), Some(expected[[0, 0, 0]]));
        assert_eq!(pyramid.value(0, [49, 39, 69]), None, "not in memory");
    }

    #[test]
    fn levels_lie_on_each_other() {
        let cache = Arc::new(BlockCache::new(1 << 20));
        let (pyramid, _) = Computed::new([64; 3], 3, 16).pyramid(2, &cache);
        // The centre of the four fine voxels 0..4 is the centre of the coarse voxel 0.
        let at = pyramid.working_from_level(0).transform_point3(DVec3::splat(1.5));
        assert!(at.length() < 1e-9, "{at}");
        assert_eq!([0, 1, 2].map(|level| pyramid.coarseness(level)), [1, 2, 4]);
        assert!(Pyramid::new(Vec::new(), 0, Box::new(Computed::new([1; 3], 1, 1)), cache).is_none());
    }
}
