//! A deterministic synthetic cell as a calibrated LAC volume with its labels.
//!
//! Shapes are drawn in order (ice, cytoplasm, nucleus, vacuoles, mitochondria, droplets), each with
//! partial volume at its border so that a scan has no staircase, and with a band-limited texture of
//! its own. The mean LAC inside every class is then set to the table exactly.

use glam::Vec3;
use ndarray::Array3;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::anatomy::Anatomy;
use super::beads::{self, Bead};
use super::texture::{Octave, mix};
use super::{lymphocyte, yeast};
use crate::base::{Cancelled, Progress, Unit};
use crate::volume::Volume;

/// Edge of the field in µm, whatever the grid: 256 voxels of 40 nm.
pub const FIELD_UM: f64 = 10.24;

/// Radius of the cylinder of ice of a full rotation, as a fraction of the field.
const CYLINDER_RADIUS: f64 = 0.47;

/// Name and mean LAC in 1/µm of one label of the synthetic cell.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CellClass {
    /// Label.
    pub id: u16,
    /// Name as in the class ontology.
    pub name: &'static str,
    /// Mean LAC in 1/µm.
    pub lac: f32,
}

const fn class(id: u16, name: &'static str, lac: f32) -> CellClass {
    CellClass { id, name, lac }
}

/// The classes of every synthetic cell, by id.
pub const CELL_CLASSES: [CellClass; 8] = [
    class(0, "ice", 0.10),
    class(1, "cytoplasm", 0.25),
    class(2, "euchromatin", 0.23),
    class(3, "heterochromatin", 0.35),
    class(4, "nucleolus", 0.33),
    class(5, "mitochondria", 0.36),
    class(6, "lipid droplets", 0.65),
    class(7, "vacuoles", 0.17),
];

const ICE: u16 = 0;
const CYTOPLASM: u16 = 1;
const EUCHROMATIN: u16 = 2;
const HETEROCHROMATIN: u16 = 3;
const NUCLEOLUS: u16 = 4;
const MITOCHONDRIA: u16 = 5;
const LIPID: u16 = 6;
const VACUOLES: u16 = 7;

/// Which cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CellKind {
    /// Budding yeast.
    #[default]
    Yeast,
    /// Lymphocyte.
    Lymphocyte,
}

/// How the sample is held and turned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ScanKind {
    /// A thin cylinder of ice turned through 180°: vacuum beside it in every view.
    #[default]
    Full,
    /// A slab of ice on a flat grid that goes on beyond the field: tilted to ±65°, a missing wedge, no air.
    Grid,
}

/// Which cell to build.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CellParams {
    /// Yeast or lymphocyte.
    pub kind: CellKind,
    /// How it is mounted.
    pub scan: ScanKind,
    /// Edge of the volume in voxels, 32 to 1024; the field stays 10.24 µm.
    pub size: usize,
    /// Number of gold beads of 100 to 250 nm on the cell's surface.
    pub beads: usize,
    /// Every shape and texture follows from it.
    pub seed: u64,
}

impl Default for CellParams {
    fn default() -> Self {
        Self { kind: CellKind::Yeast, scan: ScanKind::Full, size: 256, beads: 0, seed: 0 }
    }
}

/// What is wrong with the parameters of a synthetic cell or its scan.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PhantomError {
    /// The grid is too coarse for organelles or too large to hold.
    #[error("a synthetic cell of {size} voxels: the edge must be between 32 and 1024")]
    Size {
        /// What was asked for.
        size: usize,
    },
    /// A parameter of the scan is out of its range.
    #[error("{name} is {value}, it must be {range}")]
    Parameter {
        /// Name of the parameter.
        name: &'static str,
        /// What was asked for.
        value: f64,
        /// What is allowed, in words.
        range: &'static str,
    },
    /// The owner cancelled.
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
}

/// A synthetic cell: the truth that a scan of it is judged by.
#[derive(Debug, Clone, PartialEq)]
pub struct Cell {
    /// LAC in 1/µm, shape (size, size, size); outside the cylinder of a full rotation it is 0 (vacuum).
    pub lac: Volume<f32>,
    /// Class of every voxel, ids of [`CELL_CLASSES`]; vacuum counts as 0 too.
    pub labels: Volume<u16>,
    /// Voxel size in µm.
    pub voxel_um: f64,
    /// Middle of each gold bead as z, y, x in voxels.
    pub beads_zyx: Vec<[f64; 3]>,
    /// Along z, the LAC in 1/µm of the slab of ice that goes on beyond the field; empty for a cylinder.
    pub slab_lac: Vec<f32>,
    /// What it was built from.
    pub params: CellParams,
}

/// Textures, shapes and scales that drawing a voxel needs.
struct Painter {
    anatomy: Anatomy,
    params: CellParams,
    voxel: f32,
    middle: f32,
    half_slab: f32,
    grain: [Vec<Octave>; CELL_CLASSES.len()],
    reticulum: [Octave; 2],
    beads: Vec<Bead>,
}

/// One row of voxels along x while it is drawn.
struct Row<'a> {
    lac: &'a mut [f32],
    labels: &'a mut [u16],
    y: f32,
    z: f32,
}

/// Builds the cell. The same parameters give the same bits on any number of threads.
///
/// Memory: 6 bytes a voxel. Time: 1 to 3 s for 256³ on two cores.
///
/// # Errors
/// [`PhantomError::Size`] for a size out of range, [`PhantomError::Cancelled`].
pub fn build_cell(progress: &Progress, params: &CellParams) -> Result<Cell, PhantomError> {
    let n = params.size;
    if !(32..=1024).contains(&n) {
        return Err(PhantomError::Size { size: n });
    }
    progress.phase("Growing the cell", 1);
    let painter = Painter::new(params);
    progress.check()?;
    progress.phase("Drawing the cell", n as u64);
    let mut lac = Array3::<f32>::zeros((n, n, n));
    let mut labels = Array3::<u16>::zeros((n, n, n));
    let planes = lac.as_slice_mut().unwrap_or(&mut []).par_chunks_mut(n * n);
    let label_planes = labels.as_slice_mut().unwrap_or(&mut []).par_chunks_mut(n * n);
    planes.zip(label_planes).enumerate().try_for_each(|(z, (lac, labels))| {
        for (y, (lac, labels)) in lac.chunks_mut(n).zip(labels.chunks_mut(n)).enumerate() {
            progress.check()?;
            painter.row(&mut Row { lac, labels, y: painter.um(y), z: painter.um(z) });
        }
        progress.advance(1);
        Ok::<_, Cancelled>(())
    })?;
    set_class_means(progress, &mut lac, &labels, &painter)?;
    painter.draw_beads(&mut lac);
    let voxel_um = FIELD_UM / n as f64;
    let spacing = Some([voxel_um; 3]);
    let slab_lac = match params.scan {
        ScanKind::Full => Vec::new(),
        ScanKind::Grid => (0..n).map(|z| painter.slab_cover(painter.um(z)) * CELL_CLASSES[0].lac).collect(),
    };
    let beads_zyx = painter.beads.iter().map(|bead| painter.index_zyx(bead.center)).collect();
    Ok(Cell {
        lac: Volume::new(lac, spacing, Unit::PerUm),
        labels: Volume::new(labels, spacing, Unit::Label),
        voxel_um,
        beads_zyx,
        slab_lac,
        params: params.clone(),
    })
}

impl Painter {
    fn new(params: &CellParams) -> Self {
        let flat = params.scan == ScanKind::Grid;
        let seed = mix(params.seed, 0x5EED);
        let anatomy = match params.kind {
            CellKind::Yeast => yeast::build(seed, flat),
            CellKind::Lymphocyte => lymphocyte::build(seed, flat),
        };
        let voxel = (FIELD_UM / params.size as f64) as f32;
        let half_slab = anatomy.half_thickness() + 0.3;
        let beads = beads::place(&anatomy, params.beads, seed);
        // Grains finer than three voxels would alias.
        let octave = |stream: u64, amplitude: f32, grain_um: f32| {
            Octave::new(seed, 1000 + stream, amplitude, grain_um.max(3.0 * voxel))
        };
        let grain = [
            vec![octave(1, 0.015, 0.8)],
            vec![octave(2, 0.035, 0.16), octave(3, 0.035, 0.55)],
            vec![octave(4, 0.04, 0.15), octave(5, 0.04, 0.4)],
            vec![octave(6, 0.03, 0.15), octave(7, 0.03, 0.5)],
            vec![octave(8, 0.045, 0.22)],
            vec![octave(9, 0.05, 0.15)],
            vec![octave(10, 0.02, 0.3)],
            vec![octave(11, 0.02, 0.6)],
        ];
        let reticulum = [octave(20, 1.0, 0.7), octave(21, 0.35, 0.3)];
        let middle = (params.size as f32 - 1.0) / 2.0;
        Self { anatomy, params: params.clone(), voxel, middle, half_slab, grain, reticulum, beads }
    }

    /// Position in µm, from the middle of the field, of an index.
    fn um(&self, index: usize) -> f32 {
        (index as f32 - self.middle) * self.voxel
    }

    fn index_zyx(&self, p: Vec3) -> [f64; 3] {
        [p.z, p.y, p.x].map(|v| f64::from(v) / f64::from(self.voxel) + f64::from(self.middle))
    }

    /// Share of a voxel that lies inside a surface at this signed distance.
    fn cover(&self, distance: f32) -> f32 {
        // Ramps over 1.3 voxels: a plane cuts a voxel over 1 to 1.7 of them, depending on its slope.
        (0.5 - distance / (1.3 * self.voxel)).clamp(0.0, 1.0)
    }

    fn slab_cover(&self, z: f32) -> f32 {
        self.cover(z.abs() - self.half_slab)
    }

    /// LAC of a class with its grain at a point.
    fn value(&self, class: u16, p: Vec3) -> f32 {
        let class = usize::from(class);
        CELL_CLASSES[class].lac * (1.0 + self.anatomy.tile.sum(&self.grain[class], p))
    }

    /// A thin darker sheet at a surface: membranes are far below a voxel, optics make them this wide.
    fn membrane(&self, distance: f32, lac: f32) -> f32 {
        let sigma = 0.035f32.max(0.6 * self.voxel);
        lac * (-0.5 * (distance / sigma).powi(2)).exp() * (0.05 / sigma).min(1.0)
    }

    /// Range of x indices within `reach` of `center`, for this row.
    fn span(&self, row: &Row<'_>, low: Vec3, high: Vec3) -> std::ops::Range<usize> {
        let outside = row.y < low.y || row.y > high.y || row.z < low.z || row.z > high.z;
        if outside {
            return 0..0;
        }
        let n = self.params.size as f32;
        let index = |x: f32| (x / self.voxel + self.middle).clamp(0.0, n);
        (index(low.x).floor() as usize)..(index(high.x).ceil() as usize).min(self.params.size)
    }

    /// Mixes a value into a voxel and takes over its label where it covers most of it.
    fn put(row: &mut Row<'_>, x: usize, cover: f32, class: u16, lac: f32) {
        row.lac[x] += (lac - row.lac[x]) * cover;
        if cover >= 0.5 {
            row.labels[x] = class;
        }
    }

    fn row(&self, row: &mut Row<'_>) {
        self.draw_mount(row);
        self.draw_body(row);
        self.draw_nucleus(row);
        for blob in &self.anatomy.vacuoles {
            let reach = Vec3::splat(blob.reach() + 0.2 + 2.0 * self.voxel);
            for x in self.span(row, blob.center - reach, blob.center + reach) {
                let p = Vec3::new(self.um(x), row.y, row.z);
                let distance = blob.distance(&self.anatomy.tile, p);
                if row.labels[x] == CYTOPLASM && distance > 0.0 {
                    row.lac[x] += self.membrane(distance, 0.03);
                }
                let cover = self.cover(distance);
                if cover > 0.0 {
                    Self::put(row, x, cover, VACUOLES, self.value(VACUOLES, p));
                }
            }
        }
        self.draw_mitochondria(row);
        for blob in &self.anatomy.droplets {
            let reach = Vec3::splat(blob.reach() + 2.0 * self.voxel);
            for x in self.span(row, blob.center - reach, blob.center + reach) {
                let p = Vec3::new(self.um(x), row.y, row.z);
                let cover = self.cover(blob.distance(&self.anatomy.tile, p));
                if cover > 0.0 {
                    Self::put(row, x, cover, LIPID, self.value(LIPID, p));
                }
            }
        }
    }

    fn draw_mount(&self, row: &mut Row<'_>) {
        let radius = (CYLINDER_RADIUS * FIELD_UM) as f32;
        for x in 0..row.lac.len() {
            let p = Vec3::new(self.um(x), row.y, row.z);
            let cover = match self.params.scan {
                ScanKind::Full => self.cover(p.x.hypot(p.z) - radius),
                ScanKind::Grid => self.slab_cover(p.z),
            };
            if cover > 0.0 {
                row.lac[x] = cover * self.value(ICE, p);
            }
        }
    }

    fn draw_body(&self, row: &mut Row<'_>) {
        let (mut low, mut high) = (Vec3::INFINITY, Vec3::NEG_INFINITY);
        for blob in &self.anatomy.body {
            let reach = Vec3::splat(blob.reach() + 0.3);
            (low, high) = (low.min(blob.center - reach), high.max(blob.center + reach));
        }
        for x in self.span(row, low, high) {
            let p = Vec3::new(self.um(x), row.y, row.z);
            let distance = self.anatomy.body_distance(p);
            let cover = self.cover(distance);
            if cover > 0.0 {
                // Sheets of reticulum follow the zero lines of a field; less of it right below the membrane.
                let field = self.anatomy.tile.sum(&self.reticulum, p);
                let sheets = (-(field * 5.0).powi(2)).exp() - 0.2;
                let inner = (-distance / 0.25).clamp(0.0, 1.0);
                let mut lac = self.value(CYTOPLASM, p);
                lac *= 1.0 + self.anatomy.reticulum * inner * sheets;
                lac += self.membrane(distance + 0.04, 0.07);
                Self::put(row, x, cover, CYTOPLASM, lac);
            }
        }
    }

    fn draw_nucleus(&self, row: &mut Row<'_>) {
        let nucleus = &self.anatomy.nucleus;
        let reach = Vec3::splat(nucleus.reach() + 0.25);
        for x in self.span(row, nucleus.center - reach, nucleus.center + reach) {
            let p = Vec3::new(self.um(x), row.y, row.z);
            let distance = self.anatomy.nucleus_distance(p);
            if distance > 0.2 {
                continue;
            }
            if row.labels[x] == CYTOPLASM && distance > 0.0 {
                row.lac[x] += self.membrane(distance - 0.05, 0.06);
            }
            let cover = self.cover(distance);
            if cover > 0.0 {
                let (class, lac) = self.nuclear_value(p, distance);
                Self::put(row, x, cover, class, lac);
            }
        }
    }

    /// Class and LAC inside the nucleus, the borders of its parts by partial volume.
    fn nuclear_value(&self, p: Vec3, distance: f32) -> (u16, f32) {
        let anatomy = &self.anatomy;
        let from_nucleolus = anatomy.nucleolus.distance(&anatomy.tile, p);
        let mut class = EUCHROMATIN;
        let mut lac = self.value(EUCHROMATIN, p);
        let excess = self.hetero_excess(p, distance, from_nucleolus);
        // How steep the field is turns its value into a distance from the border.
        let h = self.voxel;
        let slope = |axis: Vec3| self.hetero_excess(p + axis * h, distance, from_nucleolus) - excess;
        if excess > -0.8 {
            let steepness = Vec3::new(slope(Vec3::X), slope(Vec3::Y), slope(Vec3::Z)).length() / h;
            let cover = self.cover(-excess / steepness.max(1.0));
            lac += (self.value(HETEROCHROMATIN, p) - lac) * cover;
            if cover >= 0.5 {
                class = HETEROCHROMATIN;
            }
        }
        let cover = self.cover(from_nucleolus);
        if cover > 0.0 {
            lac += (self.value(NUCLEOLUS, p) - lac) * cover;
            if cover >= 0.5 {
                class = NUCLEOLUS;
            }
        }
        (class, lac)
    }

    /// Positive in heterochromatin: the field over its threshold, which is lower at the envelope and
    /// around the nucleolus.
    fn hetero_excess(&self, p: Vec3, distance: f32, from_nucleolus: f32) -> f32 {
        let chromatin = &self.anatomy.chromatin;
        let rim = chromatin.rim * (-(distance / chromatin.rim_depth_um).powi(2)).exp();
        let collar = 0.9 * (-(from_nucleolus / 0.16).powi(2)).exp();
        self.anatomy.tile.sum(&chromatin.field, p) + rim + collar - chromatin.threshold
    }

    fn draw_mitochondria(&self, row: &mut Row<'_>) {
        let margin = 2.0 * self.voxel;
        for tube in &self.anatomy.mitochondria {
            let spans: Vec<_> = (0..tube.n_segments())
                .map(|segment| {
                    let (low, high) = tube.segment_box(segment, margin);
                    (segment, self.span(row, low, high))
                })
                .filter(|(_, span)| !span.is_empty())
                .collect();
            let start = spans.iter().map(|(_, span)| span.start).min().unwrap_or(0);
            let end = spans.iter().map(|(_, span)| span.end).max().unwrap_or(0);
            for x in start..end {
                let p = Vec3::new(self.um(x), row.y, row.z);
                let distance = spans
                    .iter()
                    .filter(|(_, span)| span.contains(&x))
                    .map(|(segment, _)| tube.segment_distance(*segment, p))
                    .fold(f32::INFINITY, f32::min);
                let cover = self.cover(distance);
                if cover > 0.0 {
                    let skin = self.membrane(distance + 0.03, 0.02);
                    Self::put(row, x, cover, MITOCHONDRIA, self.value(MITOCHONDRIA, p) + skin);
                }
            }
        }
    }

    fn draw_beads(&self, lac: &mut Array3<f32>) {
        for bead in &self.beads {
            let reach = bead.radius + 2.0 * self.voxel;
            let index = |v: f32| (v / self.voxel + self.middle).clamp(0.0, self.params.size as f32 - 1.0);
            let range = |c: f32| (index(c - reach).floor() as usize)..=(index(c + reach).ceil() as usize);
            for z in range(bead.center.z) {
                for y in range(bead.center.y) {
                    for x in range(bead.center.x) {
                        let p = Vec3::new(self.um(x), self.um(y), self.um(z));
                        let cover = self.cover(p.distance(bead.center) - bead.radius);
                        let value = &mut lac[[z, y, x]];
                        *value += (beads::GOLD_LAC - *value) * cover;
                    }
                }
            }
        }
    }
}

/// Sum and count over the cores of every class, one entry a class.
type CoreSums = [(f64, u64); CELL_CLASSES.len()];

/// Shifts every class so that its mean over its core (two voxels off any border) is the table's.
fn set_class_means(
    progress: &Progress,
    lac: &mut Array3<f32>,
    labels: &Array3<u16>,
    painter: &Painter,
) -> Result<(), Cancelled> {
    let n = painter.params.size;
    let values = lac.as_slice().unwrap_or(&[]);
    let ids = labels.as_slice().unwrap_or(&[]);
    progress.phase("Calibrating", n as u64);
    let planes = crate::base::parallel::map_ordered(progress, n, |z| {
        let mut core: CoreSums = [(0.0, 0); CELL_CLASSES.len()];
        let mut whole: CoreSums = core;
        for y in 0..n {
            for x in 0..n {
                let index = (z * n + y) * n + x;
                let id = ids[index];
                let value = f64::from(values[index]);
                if id == ICE && !painter.is_ice(x, z) {
                    continue;
                }
                let add = |sums: &mut CoreSums| {
                    let entry = &mut sums[usize::from(id)];
                    *entry = (entry.0 + value, entry.1 + 1);
                };
                add(&mut whole);
                if is_core(ids, n, [z, y, x]) {
                    add(&mut core);
                }
            }
        }
        (core, whole)
    })?;
    let mut shift = [0.0f32; CELL_CLASSES.len()];
    for (class, shift) in CELL_CLASSES.iter().zip(&mut shift) {
        let total = |pick: fn(&(CoreSums, CoreSums)) -> &CoreSums| {
            planes.iter().fold((0.0, 0u64), |sum, plane| {
                let entry = pick(plane)[usize::from(class.id)];
                (sum.0 + entry.0, sum.1 + entry.1)
            })
        };
        let core = total(|plane| &plane.0);
        let (sum, count) = if core.1 >= 50 { core } else { total(|plane| &plane.1) };
        if count > 0 {
            *shift = class.lac - (sum / count as f64) as f32;
        }
    }
    lac.as_slice_mut().unwrap_or(&mut []).par_chunks_mut(n * n).enumerate().for_each(|(z, plane)| {
        for (i, value) in plane.iter_mut().enumerate() {
            let id = ids[z * n * n + i];
            if id != ICE || painter.is_ice(i % n, z) {
                *value += shift[usize::from(id)];
            }
        }
    });
    Ok(())
}

impl Painter {
    /// Whether a voxel outside the cell is ice through and through: not vacuum, not the border of it.
    fn is_ice(&self, x: usize, z: usize) -> bool {
        let (x, z) = (self.um(x), self.um(z));
        let depth = match self.params.scan {
            ScanKind::Full => (CYLINDER_RADIUS * FIELD_UM) as f32 - x.hypot(z),
            ScanKind::Grid => self.half_slab - z.abs(),
        };
        depth > 2.0 * self.voxel
    }
}

/// Whether all voxels within two steps have the label of this one.
fn is_core(ids: &[u16], n: usize, [z, y, x]: [usize; 3]) -> bool {
    if [z, y, x].iter().any(|&i| i < 2 || i + 2 >= n) {
        return false;
    }
    let index = (z * n + y) * n + x;
    let id = ids[index];
    let strides = [n * n, n, 1];
    let near = strides.iter().all(|&s| {
        ids[index + s] == id && ids[index - s] == id && ids[index + 2 * s] == id && ids[index - 2 * s] == id
    });
    near && [(0, 1), (0, 2), (1, 2)].iter().all(|&(a, b)| {
        let (a, b) = (strides[a], strides[b]);
        ids[index + a + b] == id
            && ids[index + a - b] == id
            && ids[index - a + b] == id
            && ids[index - a - b] == id
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cell(kind: CellKind, scan: ScanKind, size: usize, seed: u64) -> Cell {
        build_cell(&Progress::new(), &CellParams { kind, scan, size, beads: 0, seed }).unwrap()
    }

    #[test]
    fn every_class_is_there_for_every_seed_and_its_core_has_the_mean_of_the_table() {
        let kinds = [CellKind::Yeast, CellKind::Lymphocyte];
        let cases = kinds.into_iter().flat_map(|kind| (0..5).map(move |seed| (kind, seed)));
        for (kind, seed) in cases {
            let scan = if seed == 4 { ScanKind::Grid } else { ScanKind::Full };
            let cell = cell(kind, scan, 80, seed);
            let (ids, n) = (cell.labels.values(), 80);
            for class in CELL_CLASSES {
                let of_class = |i: &usize| ids[*i] == class.id && cell.lac.values()[*i] > 0.08;
                let all: Vec<usize> = (0..n * n * n).filter(of_class).collect();
                assert!(all.len() >= 8, "{kind:?} seed {seed}: {} voxels of {}", all.len(), class.name);
                let core: Vec<usize> = all
                    .iter()
                    .copied()
                    .filter(|&i| is_core(ids, n, [i / (n * n), i / n % n, i % n]))
                    .collect();
                if core.len() < 50 || class.id == ICE {
                    continue;
                }
                let mean =
                    core.iter().map(|&i| f64::from(cell.lac.values()[i])).sum::<f64>() / core.len() as f64;
                let error = mean / f64::from(class.lac) - 1.0;
                assert!(error.abs() < 0.01, "{kind:?} seed {seed} {}: mean {mean}", class.name);
            }
        }
    }

    #[test]
    fn the_same_seed_gives_the_same_bits_on_one_thread_and_another_seed_does_not() {
        let parallel = cell(CellKind::Yeast, ScanKind::Full, 48, 7);
        let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
        let single = pool.install(|| cell(CellKind::Yeast, ScanKind::Full, 48, 7));
        assert_eq!(parallel, single);
        assert_ne!(parallel.labels, cell(CellKind::Yeast, ScanKind::Full, 48, 8).labels);
    }

    #[test]
    fn the_cell_stays_in_the_cylinder_and_vacuum_is_outside() {
        for kind in [CellKind::Yeast, CellKind::Lymphocyte] {
            for seed in 0..4 {
                let cell = cell(kind, ScanKind::Full, 64, seed);
                for ((z, y, x), label) in cell.labels.data.indexed_iter() {
                    let r = (z as f64 - 31.5).hypot(x as f64 - 31.5) / 64.0;
                    let edge = r > 0.455 || !(2..=61).contains(&y);
                    assert!(*label == 0 || !edge, "{kind:?} seed {seed}: class {label} at {z} {y} {x}");
                    assert!(r < 0.49 || cell.lac.data[[z, y, x]] == 0.0, "ice outside the cylinder");
                }
            }
        }
    }

    #[test]
    fn size_out_of_range_is_refused_and_cancel_stops() {
        let progress = Progress::new();
        let small = CellParams { size: 8, ..CellParams::default() };
        assert!(build_cell(&progress, &small).unwrap_err().to_string().contains('8'));
        progress.cancel();
        let params = CellParams { size: 64, ..CellParams::default() };
        assert!(matches!(build_cell(&progress, &params), Err(PhantomError::Cancelled(_))));
    }
}
