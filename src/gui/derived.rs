//! What is computed from the document for showing it, kept by (layer, revision), always rebuildable.

use std::collections::BTreeMap;

use crate::project::{Layer, LayerId, Project};
use crate::render::scene::LabelColors;
use crate::volume::histogram::automatic_window;
use crate::volume::{ClassTable, Histogram, Scan, Volume};

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
#[derive(Debug, Clone)]
struct ClassCurves {
    key: (LayerId, u64, LayerId, u64),
    curves: BTreeMap<u16, Histogram>,
}

/// The cache.
#[derive(Default)]
pub(crate) struct Derived {
    stats: BTreeMap<(LayerId, u64), VolumeStats>,
    curves: Option<ClassCurves>,
    colors: Option<(ClassTable, LabelColors)>,
    shares: Option<(u64, Vec<(u16, f32)>)>,
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
        self.stats.retain(|(id, revision), _| project.layer(*id).is_some_and(|l| l.revision == *revision));
    }

    /// Histogram and automatic window of a volume layer.
    pub(crate) fn stats(&mut self, layer: &Layer) -> Option<&VolumeStats> {
        let volume = layer.volume()?;
        Some(self.stats.entry((layer.id, layer.revision)).or_insert_with(|| volume_stats(volume)))
    }

    /// Histograms of the classes of a label layer on the same grid; `None` where the grids differ.
    pub(crate) fn class_curves(
        &mut self,
        layer: &Layer,
        labels: &Layer,
    ) -> Option<&BTreeMap<u16, Histogram>> {
        let (volume, ids) = (layer.volume()?, labels.labels()?);
        if volume.shape() != ids.labels.shape() {
            return None;
        }
        let key = (layer.id, layer.revision, labels.id, labels.revision);
        if self.curves.as_ref().is_none_or(|curves| curves.key != key) {
            let range = self.stats(layer)?.histogram.clone();
            let mut curves: BTreeMap<u16, Histogram> = BTreeMap::new();
            let labels = &ids.labels;
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
            self.curves = Some(ClassCurves { key, curves });
        }
        self.curves.as_ref().map(|curves| &curves.curves)
    }

    /// Share of the volume that each class takes in a prediction, in order of id.
    pub(crate) fn shares(&mut self, prediction: &crate::session::Prediction) -> &[(u16, f32)] {
        if self.shares.as_ref().is_none_or(|(revision, _)| *revision != prediction.revision) {
            let mut counts: BTreeMap<u16, u64> = BTreeMap::new();
            let labels = &prediction.labels;
            for index in 0..labels.n_bricks() {
                labels.for_each_in_brick(index, |_, id| *counts.entry(id).or_insert(0) += 1);
            }
            let total = counts.values().sum::<u64>().max(1) as f32;
            let shares = counts.into_iter().map(|(id, n)| (id, n as f32 / total)).collect();
            self.shares = Some((prediction.revision, shares));
        }
        self.shares.as_ref().map_or(&[], |(_, shares)| shares)
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
