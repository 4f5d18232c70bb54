//! The inner loop of both projectors: weighted sums of lane groups, two taps a step.
//!
//! Forward and back projection differ only in where the taps lie; both gather. A block of steps
//! (views when back projecting, lines of the volume when projecting) is worked off for a run of
//! sixteen outputs, whose sums stay in registers while the block is added.

use std::ops::Range;

use pulp::{Simd, WithSimd};

use super::super::lanes::{LANES, Lanes, MARGIN};
use super::geometry::{Prepared, View};

/// Outputs that share the calculation of their taps.
pub(super) const RUN: usize = 16;
/// Steps added while a sum stays in registers.
const BLOCK: usize = 8;
/// Outputs after which the next block of steps follows: what they read stays in the nearest caches meanwhile.
const TILE: usize = 64;
/// Single precision next to this number holds whole numbers only, and its last bits count them.
const WHOLE: f32 = 12_582_912.0;

/// Where one step reads for each output of a run, and with which two weights.
#[derive(Clone, Copy)]
struct Taps {
    at: [u32; RUN],
    weight: [[f32; 2]; RUN],
}

const NO_TAPS: Taps = Taps { at: [0; RUN], weight: [[0.0; 2]; RUN] };

/// Multiples of a position's increment from one output of a run to the next.
pub(super) type Increments = [f32; RUN];

/// A line of taps: positions `0..n` at `first + position · scale` of the source.
#[derive(Clone, Copy)]
struct Source {
    first: i32,
    scale: i32,
    n: i32,
}

/// The hat through which a tap is seen: `max(0, peak - distance · slope)`.
#[derive(Clone, Copy)]
struct Hat {
    peak: f32,
    slope: f32,
}

#[inline(always)]
fn fill(taps: &mut Taps, position: f64, increments: &Increments, source: Source, hat: Hat) {
    // The whole part is kept apart so that single precision is enough for the rest of a run.
    let whole = position.floor();
    let rest = (position - whole) as f32;
    let whole = whole.clamp(-1.0e6, 1.0e6) as i32;
    for k in 0..RUN {
        let t = rest + increments[k];
        // The floor of t: a cast to an integer saturates, which no instruction does for sixteen values at once. At a whole
        // number it may be the one below; the fraction is then 1, and both taps weigh as they should.
        let rounded = (t - 0.5) + WHOLE;
        let fraction = t - (rounded - WHOLE);
        let below = rounded.to_bits() as i32 - WHOLE.to_bits() as i32;
        let index = (whole + below).clamp(-(MARGIN as i32), source.n);
        taps.at[k] = (source.first + index * source.scale) as u32;
        taps.weight[k] =
            [(hat.peak - fraction * hat.slope).max(0.0), (hat.peak - (1.0 - fraction) * hat.slope).max(0.0)];
    }
}

/// Whether no output of a run that starts at `position` reads anything but margin.
#[inline(always)]
fn misses(position: f64, increment: f64, n: usize) -> bool {
    let end = position + increment * (RUN - 1) as f64;
    let (low, high) = if position < end { (position, end) } else { (end, position) };
    // A little wider than the taps reach, because they are placed in single precision.
    high < -1.01 || low > n as f64 + 0.01
}

/// Adds what the taps see to a run of outputs. The second tap of a pair lies `second` groups after the first; where it
/// is the next one (`ADJACENT`) the pair is looked up at once.
#[inline(always)]
fn accumulate<S: Simd, const N: usize, const ADJACENT: bool>(
    simd: S,
    out: &mut [S::f32s],
    source: &[S::f32s],
    taps: &[Taps],
    second: usize,
) {
    for (k, sums) in out.chunks_exact_mut(N).enumerate().take(RUN) {
        let mut near: [S::f32s; N] = std::array::from_fn(|n| sums[n]);
        let mut far: [S::f32s; N] = [simd.splat_f32s(0.0); N];
        for tap in taps {
            let at = tap.at[k] as usize * N;
            let (a, b) = if ADJACENT {
                source[at..at + 2 * N].split_at(N)
            } else {
                (&source[at..at + N], &source[at + second * N..at + second * N + N])
            };
            let [weight_a, weight_b] = tap.weight[k];
            let (weight_a, weight_b) = (simd.splat_f32s(weight_a), simd.splat_f32s(weight_b));
            for n in 0..N {
                near[n] = simd.mul_add_e_f32s(weight_a, a[n], near[n]);
                far[n] = simd.mul_add_e_f32s(weight_b, b[n], far[n]);
            }
        }
        for n in 0..N {
            sums[n] = simd.add_f32s(near[n], far[n]);
        }
    }
}

#[inline(always)]
fn registers<S: Simd>(groups: &[Lanes]) -> &[S::f32s] {
    S::as_simd_f32s(bytemuck::cast_slice(groups)).0
}

#[inline(always)]
fn registers_mut<S: Simd>(groups: &mut [Lanes]) -> &mut [S::f32s] {
    S::as_mut_simd_f32s(bytemuck::cast_slice_mut(groups)).0
}

/// How a voxel sees the detector when back projecting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Footprint {
    /// The exact adjoint of the forward projector.
    Matched,
    /// Linear interpolation of the projection: what filtered back-projection wants.
    Linear,
}

/// Back projects all views into a band of lines of a section.
pub(super) struct BackBand<'a> {
    pub(super) geometry: &'a Prepared,
    pub(super) footprint: Footprint,
    /// Groups of the sinogram, margins included.
    pub(super) sinogram: &'a [Lanes],
    pub(super) sinogram_stride: usize,
    /// First z of the band.
    pub(super) z0: usize,
    /// The band: lines of `out_stride` groups, the first voxel of each at `out_offset`; overwritten.
    pub(super) out: &'a mut [Lanes],
    pub(super) out_stride: usize,
    pub(super) out_offset: usize,
}

impl WithSimd for BackBand<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        match LANES / S::F32_LANES {
            1 => self.run::<S, 1>(simd),
            2 => self.run::<S, 2>(simd),
            4 => self.run::<S, 4>(simd),
            _ => self.run::<S, LANES>(simd),
        }
    }
}

impl BackBand<'_> {
    #[inline(always)]
    fn run<S: Simd, const N: usize>(mut self, simd: S) {
        let geometry = self.geometry;
        let source = registers::<S>(self.sinogram);
        for line in self.out.chunks_exact_mut(self.out_stride) {
            line[self.out_offset..self.out_offset + geometry.width].fill(Lanes::ZERO);
        }
        for tile in (0..geometry.width).step_by(TILE) {
            for first_view in (0..geometry.views.len()).step_by(BLOCK) {
                for x0 in (tile..geometry.width.min(tile + TILE)).step_by(RUN) {
                    self.add_views::<S, N>(simd, source, first_view, x0);
                }
            }
        }
    }

    /// Adds a block of views to a run of voxels in every line of the band.
    #[inline(always)]
    fn add_views<S: Simd, const N: usize>(
        &mut self,
        simd: S,
        source: &[S::f32s],
        first_view: usize,
        x0: usize,
    ) {
        let geometry = self.geometry;
        let n_x = RUN.min(geometry.width - x0);
        let last_view = (first_view + BLOCK).min(geometry.views.len());
        let mut taps = [NO_TAPS; BLOCK];
        for (row, line) in self.out.chunks_exact_mut(self.out_stride).enumerate() {
            let mut n_taps = 0;
            for v in first_view..last_view {
                let view = &geometry.views[v];
                let position = view.column(geometry, self.z0 + row, x0);
                if misses(position, view.cos, geometry.n_cols) {
                    continue;
                }
                let from = Source {
                    first: (v * self.sinogram_stride + MARGIN) as i32,
                    scale: 1,
                    n: geometry.n_cols as i32,
                };
                fill(&mut taps[n_taps], position, &view.cos_steps, from, view.hat(self.footprint));
                n_taps += 1;
            }
            let start = self.out_offset + x0;
            let out = registers_mut::<S>(&mut line[start..start + n_x]);
            accumulate::<S, N, true>(simd, out, source, &taps[..n_taps], 1);
        }
    }
}

impl View {
    #[inline(always)]
    fn hat(&self, footprint: Footprint) -> Hat {
        match footprint {
            Footprint::Matched => Hat { peak: self.length, slope: self.length * self.length },
            Footprint::Linear => Hat { peak: 1.0, slope: 1.0 },
        }
    }
}

/// Projects a section along a few neighbouring views.
pub(super) struct ForwardViews<'a> {
    pub(super) geometry: &'a Prepared,
    /// Groups of the section, margins included, and the position of voxel (0, 0).
    pub(super) section: &'a [Lanes],
    pub(super) section_stride: usize,
    pub(super) section_first: usize,
    pub(super) first_view: usize,
    /// Lines of `out_stride` groups, column 0 at `MARGIN`; overwritten.
    pub(super) out: &'a mut [Lanes],
    pub(super) out_stride: usize,
}

impl WithSimd for ForwardViews<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        match LANES / S::F32_LANES {
            1 => self.run::<S, 1>(simd),
            2 => self.run::<S, 2>(simd),
            4 => self.run::<S, 4>(simd),
            _ => self.run::<S, LANES>(simd),
        }
    }
}

impl ForwardViews<'_> {
    #[inline(always)]
    fn run<S: Simd, const N: usize>(mut self, simd: S) {
        let n_cols = self.geometry.n_cols;
        for line in self.out.chunks_exact_mut(self.out_stride) {
            line[MARGIN..MARGIN + n_cols].fill(Lanes::ZERO);
        }
        // Strips of a few lines stay in the second-level cache while all views of the piece pass.
        for start in (0..self.geometry.depth).step_by(BLOCK) {
            self.strip::<S, N>(simd, true, start, (start + BLOCK).min(self.geometry.depth));
        }
        for start in (0..self.geometry.width).step_by(BLOCK) {
            self.strip::<S, N>(simd, false, start, (start + BLOCK).min(self.geometry.width));
        }
    }

    /// Adds a strip of the section to the views whose rays step along z (or along x), tile by tile of columns, because
    /// neighbouring views read much the same there.
    #[inline(always)]
    fn strip<S: Simd, const N: usize>(&mut self, simd: S, along_z: bool, start: usize, end: usize) {
        let n_cols = self.geometry.n_cols;
        for tile in (0..n_cols).step_by(TILE) {
            for line in 0..self.out.len() / self.out_stride {
                if self.geometry.views[self.first_view + line].along_z != along_z {
                    continue;
                }
                for u0 in (tile..n_cols.min(tile + TILE)).step_by(RUN) {
                    self.add_lines::<S, N>(simd, line, start..end, u0);
                }
            }
        }
    }

    /// Adds a few lines of the section to a run of columns of a view.
    #[inline(always)]
    fn add_lines<S: Simd, const N: usize>(&mut self, simd: S, line: usize, steps: Range<usize>, u0: usize) {
        let geometry = self.geometry;
        let view = &geometry.views[self.first_view + line];
        let source = registers::<S>(self.section);
        let (n, second) =
            if view.along_z { (geometry.width, 1) } else { (geometry.depth, self.section_stride) };
        let hat = Hat { peak: view.length, slope: view.length };
        let n_u = RUN.min(geometry.n_cols - u0);
        let mut taps = [NO_TAPS; BLOCK];
        let mut n_taps = 0;
        for step in steps {
            let position = view.crossing(geometry, u0, step);
            if misses(position, view.per_column, n) {
                continue;
            }
            let first = self.section_first + if view.along_z { step * self.section_stride } else { step };
            let from = Source { first: first as i32, scale: second as i32, n: n as i32 };
            fill(&mut taps[n_taps], position, &view.column_steps, from, hat);
            n_taps += 1;
        }
        let start = line * self.out_stride + MARGIN + u0;
        let (out, taps) = (registers_mut::<S>(&mut self.out[start..start + n_u]), &taps[..n_taps]);
        if view.along_z {
            accumulate::<S, N, true>(simd, out, source, taps, second);
        } else {
            accumulate::<S, N, false>(simd, out, source, taps, second);
        }
    }
}
