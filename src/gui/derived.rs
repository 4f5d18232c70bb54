//! What is computed from the document for showing it, kept by (layer, revision), always rebuildable.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::background::{AT_ONCE, Background};
use crate::project::{Layer, LayerId, Project};
use crate::render::scene::LabelColors;
use crate::volume::histogram::automatic_window;
use crate::volume::marks::codes_of;
use crate::volume::{ClassTable, Histogram, Labels, Mark, Scan, Volume};

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
    /// What asks for a frame when something made beside the window is there.
    pub(crate) ctx: Option<egui::Context>,
    projection: Option<((LayerId, u64, usize), egui::TextureHandle)>,
    /// Which view of the scan is shown while there is no volume.
    pub(crate) projection_index: usize,
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

    /// A view of the scan as a picture, from the darkest to the brightest per cent.
    pub(crate) fn projection(
        &mut self,
        ctx: &egui::Context,
        layer: &Layer,
        scan: &Scan,
        index: usize,
    ) -> egui::TextureHandle {
        let key = (layer.id, layer.revision, index);
        if let Some((have, texture)) = &self.projection
            && *have == key
        {
            return texture.clone();
        }
        let texture =
            ctx.load_texture("projection", projection_image(scan, index), egui::TextureOptions::LINEAR);
        self.projection = Some((key, texture.clone()));
        texture
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

/// A view of the scan in grey.
fn projection_image(scan: &Scan, index: usize) -> egui::ColorImage {
    let [_, rows, cols] = scan.projections.shape();
    let values: Vec<f32> = crate::with_array!(&scan.projections, array => {
        array.index_axis(ndarray::Axis(0), index).iter().map(|v| crate::volume::any::Voxel::to_f32(*v)).collect()
    });
    let mut sorted: Vec<f32> = values.iter().copied().filter(|v| v.is_finite()).step_by(7).collect();
    sorted.sort_by(f32::total_cmp);
    let at =
        |q: f32| sorted.get((q * sorted.len().saturating_sub(1) as f32) as usize).copied().unwrap_or(0.0);
    let (low, high) = (at(0.005), at(0.995));
    let scale = if high > low { 255.0 / (high - low) } else { 0.0 };
    let grey: Vec<u8> = values.iter().map(|v| ((v - low) * scale) as u8).collect();
    egui::ColorImage::from_gray([cols, rows], &grey)
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
