//! What is computed from the document for showing it, kept by (layer, revision), always rebuildable.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ndarray::{Array2, Axis};

use super::background::{AT_ONCE, Background};
use crate::base::Unit;
use crate::measure::dose::Measured;
use crate::project::{Layer, LayerId, Project};
use crate::render::scene::LabelColors;
use crate::volume::any::Voxel;
use crate::volume::histogram::automatic_window;
use crate::volume::marks::codes_of;
use crate::volume::{AnyArray, ClassTable, Histogram, Labels, Mark, Scan, Volume};
use crate::with_array;

/// Bins of a layer's histogram.
const BINS: usize = 512;

/// A volume's histogram and the windows that follow from it.
#[derive(Debug, Clone)]
pub(crate) struct VolumeStats {
    /// Counts over the range where nearly all values lie.
    pub(crate) histogram: Histogram,
    /// What automatic contrast sets.
    pub(crate) window: [f32; 2],
}

/// Transmission below which hardly a photon comes through.
const STARVED: f32 = 0.01;

/// Which pictures of a scan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FrameKind {
    /// The tilt series.
    Views,
    /// One row of all views.
    Sinogram,
    /// The light without a sample.
    Flats,
    /// The camera without light.
    Darks,
}

/// A picture of a scan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FrameKey {
    /// Which pictures.
    pub(crate) kind: FrameKind,
    /// Its number; the row of a sinogram.
    pub(crate) index: usize,
    /// Whether it is divided by the light.
    pub(crate) transmission: bool,
}

/// What a scan says of its light.
#[derive(Debug, Clone)]
pub(crate) struct ScanLight {
    /// Mean dark frame.
    dark: Option<Array2<f32>>,
    /// Mean flat frame without the dark level.
    net: Option<Array2<f32>>,
    /// What the dose is told from.
    pub(crate) measured: Measured,
    /// Light that comes through, 0 to 1.2, of a sample of the pixels of all views.
    pub(crate) transmission: Histogram,
    /// Its mean.
    pub(crate) mean: Option<f64>,
    /// Share of pixels where less than a hundredth comes through.
    pub(crate) starved: f64,
}

/// Counts of each class on the bins of the volume's histogram.
type ClassCurves = BTreeMap<u16, Histogram>;

/// The cache.
#[derive(Default)]
pub(crate) struct Derived {
    stats: BTreeMap<LayerId, Background<u64, VolumeStats>>,
    curves: Background<(LayerId, u64, LayerId, u64), ClassCurves>,
    marks: Background<(LayerId, u64), Labels>,
    coverage: Background<(LayerId, u64), Vec<Option<f32>>>,
    colors: Option<(ClassTable, LabelColors)>,
    keeping: Option<(ClassTable, BTreeSet<u16>, LabelColors)>,
    /// Surfaces of the labels.
    pub(crate) surfaces: super::surfaces::Surfaces,
    /// The montage as it will look.
    pub(crate) montage: super::panels::montage::Preview,
    /// What asks for a frame when something made beside the window is there.
    pub(crate) ctx: Option<egui::Context>,
    light: Background<(LayerId, u64), ScanLight>,
    /// The slice that the form of a reconstruction would give.
    pub(crate) preview: super::preview::Preview,
    projection: Option<((LayerId, u64, FrameKey), egui::TextureHandle)>,
    /// The power of a volume across the rotation axis.
    pub(crate) fourier: super::panels::fourier::Fourier,
    /// What the file of a layer says, as a tree.
    pub(crate) metadata: super::panels::file::Metadata,
    /// Unsaved work of earlier sessions, and when it was looked for.
    pub(crate) unsaved: Option<(std::time::Instant, Vec<crate::session::Recoverable>)>,
    /// Pictures of the demo cells on the welcome page.
    pub(crate) pictures: BTreeMap<&'static str, egui::TextureHandle>,
}

impl Derived {
    /// Forgets what belongs to layers that are gone.
    pub(crate) fn retain(&mut self, project: &Project) {
        self.stats.retain(|id, _| project.layer(*id).is_some());
    }

    /// Histogram and automatic window of a volume layer; `None` until they are there.
    pub(crate) fn stats(&mut self, layer: &Layer) -> Option<&VolumeStats> {
        let volume = Arc::clone(layer.volume()?);
        let at_once = volume.n_voxels() <= AT_ONCE;
        let ctx = self.ctx.as_ref();
        self.stats
            .entry(layer.id)
            .or_default()
            .get(&layer.revision, at_once, ctx, move || volume_stats(&volume))
    }

    /// Histograms of the classes of a label layer on the same grid; `None` where the grids differ, and until they are there.
    pub(crate) fn class_curves(
        &mut self,
        layer: &Layer,
        labels: &Layer,
    ) -> Option<&BTreeMap<u16, Histogram>> {
        let (volume, ids) = (Arc::clone(layer.volume()?), labels.labels()?);
        if volume.shape() != ids.labels.shape() {
            return None;
        }
        let key = (layer.id, layer.revision, labels.id, labels.revision);
        let range = self.stats(layer)?.histogram.clone();
        let at_once = volume.n_voxels() <= AT_ONCE;
        let ids = ids.labels.clone();
        self.curves.get(&key, at_once, self.ctx.as_ref(), move || curves_of(&volume, &ids, &range))
    }

    /// The code of the mark of every labelled voxel; the last ones until they are there.
    pub(crate) fn marks(&mut self, layer: &Layer) -> Option<&Labels> {
        let labels = layer.labels()?;
        let at_once = labels.labels.n_bricks() <= AT_ONCE / crate::volume::labels::BRICK_LEN;
        let (ids, marks, base) = (labels.labels.clone(), labels.marks.clone(), layer.base_mark().code());
        let key = (layer.id, layer.revision);
        self.marks.get(&key, at_once, self.ctx.as_ref(), move || codes_of(&ids, &marks, base))
    }

    /// The part of the labels of each slice z that was painted or accepted; `None` for slices without labels.
    pub(crate) fn coverage(&mut self, layer: &Layer) -> Option<&[Option<f32>]> {
        let labels = layer.labels()?;
        let at_once = labels.labels.n_bricks() <= AT_ONCE / crate::volume::labels::BRICK_LEN;
        let (ids, marks, base) = (labels.labels.clone(), labels.marks.clone(), layer.base_mark().code());
        let key = (layer.id, layer.revision);
        let work = move || coverage_of(&codes_of(&ids, &marks, base));
        self.coverage.get(&key, at_once, self.ctx.as_ref(), work).map(Vec::as_slice)
    }

    /// What a scan says of its light; `None` until it is there.
    pub(crate) fn scan_light(&mut self, layer: &Layer, scan: &Arc<Scan>) -> Option<&ScanLight> {
        let at_once = scan.projections.shape().iter().product::<usize>() <= AT_ONCE;
        let scan = Arc::clone(scan);
        self.light.get(&(layer.id, layer.revision), at_once, self.ctx.as_ref(), move || light_of(&scan))
    }

    /// A picture of the scan in grey, from the darkest to the brightest half per cent.
    pub(crate) fn projection(
        &mut self,
        ctx: &egui::Context,
        layer: &Layer,
        scan: &Arc<Scan>,
        frame: FrameKey,
    ) -> egui::TextureHandle {
        let key = (layer.id, layer.revision, frame);
        if let Some((have, texture)) = &self.projection
            && *have == key
        {
            return texture.clone();
        }
        let light = if frame.transmission { self.scan_light(layer, scan) } else { None };
        let picture = frame_image(scan, frame, light);
        let texture = ctx.load_texture("projection", picture, egui::TextureOptions::LINEAR);
        self.projection = Some((key, texture.clone()));
        texture
    }

    /// The same, with classes and what lies inside them marked as kept whole where the volume is cut.
    pub(crate) fn keeping(&mut self, classes: &ClassTable, kept: &BTreeSet<u16>) -> LabelColors {
        if let Some((table, ids, colors)) = &self.keeping
            && (table, ids) == (classes, kept)
        {
            return colors.clone();
        }
        let ids: Vec<u16> = kept.iter().flat_map(|id| classes.within(*id)).collect();
        let colors = self.colors(classes).keeping(&ids);
        self.keeping = Some((classes.clone(), kept.clone(), colors.clone()));
        colors
    }

    /// Colours of the classes as the renderer takes them.
    pub(crate) fn colors(&mut self, classes: &ClassTable) -> LabelColors {
        if let Some((table, colors)) = &self.colors
            && table == classes
        {
            return colors.clone();
        }
        let colors = LabelColors::from_classes(classes);
        self.colors = Some((classes.clone(), colors.clone()));
        colors
    }
}

/// Counts the values of each class on the bins of `range`.
fn curves_of(volume: &Volume<f32>, labels: &Labels, range: &Histogram) -> ClassCurves {
    let mut curves = ClassCurves::new();
    for index in 0..labels.n_bricks() {
        if matches!(labels.brick(index), crate::volume::labels::Brick::Uniform(0)) {
            continue;
        }
        labels.for_each_in_brick(index, |at, id| {
            if id != 0
                && let Some(value) = volume.data.get(at)
            {
                curves
                    .entry(id)
                    .or_insert_with(|| Histogram::empty(range.min, range.max, range.counts.len()))
                    .add(*value);
            }
        });
    }
    curves
}

/// The part of the labelled voxels of each slice z that a person has painted or accepted, from the codes of their marks.
fn coverage_of(codes: &Labels) -> Vec<Option<f32>> {
    let mut counts = vec![(0u32, 0u32); codes.shape()[0]];
    for at in 0..codes.n_bricks() {
        if matches!(codes.brick(at), crate::volume::labels::Brick::Uniform(0)) {
            continue;
        }
        codes.for_each_in_brick(at, |zyx, code| {
            if let Some((labelled, by_hand)) = counts.get_mut(zyx[0]).filter(|_| code != 0) {
                *labelled += 1;
                *by_hand += u32::from(Mark::from_code(code).is_some_and(Mark::is_by_hand));
            }
        });
    }
    counts.into_iter().map(|(n, seen)| (n > 0).then(|| seen as f32 / n as f32)).collect()
}

/// A picture of the scan in grey.
fn frame_image(scan: &Scan, frame: FrameKey, light: Option<&ScanLight>) -> egui::ColorImage {
    let net = light.and_then(|light| Some((light.dark.as_ref(), light.net.as_ref()?)));
    let through = |value: f32, y: usize, x: usize| match net {
        Some((dark, net)) => (value - dark.map_or(0.0, |dark| dark[[y, x]])) / net[[y, x]].max(1e-6),
        None => value,
    };
    let picture = |array: &AnyArray| -> Array2<f32> {
        with_array!(array, array => array.index_axis(Axis(0), frame.index).mapv(Voxel::to_f32))
    };
    let values: Array2<f32> = match frame.kind {
        FrameKind::Views => {
            let mut view = picture(&scan.projections);
            view.indexed_iter_mut().for_each(|((y, x), value)| *value = through(*value, y, x));
            view
        }
        FrameKind::Flats => scan.flats.as_ref().map(picture).unwrap_or_default(),
        FrameKind::Darks => scan.darks.as_ref().map(picture).unwrap_or_default(),
        FrameKind::Sinogram => with_array!(&scan.projections, array => {
            let mut rows = array.index_axis(Axis(1), frame.index).mapv(Voxel::to_f32);
            rows.indexed_iter_mut().for_each(|((_, x), value)| *value = through(*value, frame.index, x));
            rows
        }),
    };
    let mut sorted: Vec<f32> = values.iter().copied().filter(|v| v.is_finite()).step_by(7).collect();
    sorted.sort_by(f32::total_cmp);
    let at =
        |q: f32| sorted.get((q * sorted.len().saturating_sub(1) as f32) as usize).copied().unwrap_or(0.0);
    let (low, high) = (at(0.005), at(0.995));
    let scale = if high > low { 255.0 / (high - low) } else { 0.0 };
    let grey: Vec<u8> = values.iter().map(|v| ((v - low) * scale) as u8).collect();
    egui::ColorImage::from_gray([values.ncols(), values.nrows()], &grey)
}

/// The mean of some frames.
fn mean_frame(frames: &AnyArray) -> Option<Array2<f32>> {
    with_array!(frames, array => {
        let n = array.len_of(Axis(0));
        let mut sum = Array2::<f64>::zeros((array.len_of(Axis(1)), array.len_of(Axis(2))));
        for frame in array.outer_iter() {
            sum.zip_mut_with(&frame, |sum, value| *sum += Voxel::to_f64(*value));
        }
        (n > 0).then(|| sum.mapv(|sum| (sum / n as f64) as f32))
    })
}

/// What a scan says of its light.
fn light_of(scan: &Scan) -> ScanLight {
    let dark = scan.darks.as_ref().and_then(mean_frame);
    let net =
        scan.flats.as_ref().filter(|_| scan.unit == Unit::Counts).and_then(mean_frame).map(|mut net| {
            if let Some(dark) = dark.as_ref().filter(|dark| dark.dim() == net.dim()) {
                net -= dark;
            }
            net
        });
    let through = |value: f32, y: usize, x: usize| match (scan.unit, &net) {
        (Unit::Counts, Some(net)) => {
            (value - dark.as_ref().map_or(0.0, |dark| dark[[y, x]])) / net[[y, x]].max(1e-6)
        }
        (Unit::Absorbance, _) => (-value).exp(),
        _ => value,
    };
    let can_tell = net.is_some() || matches!(scan.unit, Unit::Transmission | Unit::Absorbance);
    let mut transmission = Histogram::empty(0.0, 1.2, 120);
    let (mut sum, mut n, mut starved) = (0.0, 0u64, 0u64);
    if can_tell {
        let [n_views, n_rows, n_cols] = scan.projections.shape();
        // A few million pixels tell as much as all of them.
        let step = ((n_views * n_rows * n_cols) as f64 / 4e6).sqrt().ceil().max(1.0) as usize;
        with_array!(&scan.projections, array => {
            for view in array.outer_iter() {
                for (y, row) in view.outer_iter().enumerate().step_by(step) {
                    for (x, value) in row.iter().enumerate().step_by(step) {
                        let value = through(Voxel::to_f32(*value), y, x);
                        if value.is_finite() {
                            transmission.add(value.clamp(0.0, 1.2));
                            sum += f64::from(value);
                            starved += u64::from(value < STARVED);
                            n += 1;
                        }
                    }
                }
            }
        });
    }
    let mean = (n > 0).then(|| sum / n as f64);
    // The meter says what the command says.
    let measured = crate::ops::dose::measured(&crate::base::Progress::new(), scan).unwrap_or_default();
    ScanLight { dark, net, measured, transmission, mean, starved: starved as f64 / n.max(1) as f64 }
}

/// Counts a volume: first over its whole range, then finely over where nearly all values lie.
fn volume_stats(volume: &Volume<f32>) -> VolumeStats {
    let values = volume.values();
    let (low, high) = values
        .iter()
        .filter(|v| v.is_finite())
        .fold((f32::INFINITY, f32::NEG_INFINITY), |(lo, hi), v| (lo.min(*v), hi.max(*v)));
    if low > high {
        return VolumeStats { histogram: Histogram::empty(0.0, 1.0, BINS), window: [0.0, 1.0] };
    }
    let whole = Histogram::of(values, low, high, 4096);
    let (a, b) = (whole.quantile(0.0005), whole.quantile(0.9995));
    let margin = ((b - a) * 0.06).max(f32::EPSILON);
    let histogram = Histogram::of(values, (a - margin).max(low), (b + margin).min(high), BINS);
    VolumeStats { histogram, window: automatic_window(values) }
}
