//! The slice that a reconstruction would give, made anew whenever its form changes.

use std::sync::Arc;
use std::time::Instant;

use serde_json::{Value, json};

use super::background::Background;
use crate::base::{MemoryBudget, Progress};
use crate::gpu::DeviceChoice;
use crate::ops::op::typed;
use crate::ops::{Context, OpError, chain, find};
use crate::project::LayerId;
use crate::recon::{Method, ReconstructParams, reconstruct_rows};
use crate::volume::{Alignment, Scan, TiltSeries};

/// Columns that a slice is binned down to: filtered back-projection, and the iterative methods, which take longer.
const COLUMNS: [usize; 2] = [1024, 160];

/// What the normalised series rests on.
#[derive(Debug, Clone, PartialEq)]
struct SeriesKey {
    scan: (LayerId, u64),
    normalize: Value,
}

/// What a slice rests on.
#[derive(Debug, Clone, PartialEq)]
struct SliceKey {
    series: SeriesKey,
    alignment: Option<(LayerId, u64)>,
    params: Value,
    row: usize,
}

/// What is wanted.
pub(crate) struct Wanted<'a> {
    /// Layer of the scan and its revision.
    pub(crate) scan_key: (LayerId, u64),
    /// The scan.
    pub(crate) scan: &'a Arc<Scan>,
    /// Parameters of `normalize`.
    pub(crate) normalize: Value,
    /// Layer of the alignment and its revision, and the alignment; none leaves the views where they are.
    pub(crate) alignment: Option<((LayerId, u64), &'a Arc<Alignment>)>,
    /// Parameters of `reconstruct`.
    pub(crate) params: Value,
    /// Row of the scan, unbinned.
    pub(crate) row: usize,
    /// How much memory it may take.
    pub(crate) budget: MemoryBudget,
}

/// A slice in grey.
#[derive(Debug, Clone)]
pub(crate) struct Slice {
    image: Arc<egui::ColorImage>,
    /// Pixels of the scan that became one.
    pub(crate) bin: usize,
    /// Seconds that it took.
    pub(crate) seconds: f32,
}

/// The slice and what it is made from.
#[derive(Default)]
pub(crate) struct Preview {
    series: Background<SeriesKey, Result<Arc<TiltSeries>, String>>,
    slice: Background<SliceKey, Result<Slice, String>>,
    texture: Option<(Arc<egui::ColorImage>, egui::TextureHandle)>,
}

/// What there is to show.
pub(crate) enum Shown {
    /// Nothing yet.
    Coming,
    /// It cannot be made as the form is.
    Problem(String),
    /// The newest slice; another may be on its way.
    Slice(egui::TextureHandle, Slice),
}

impl Preview {
    /// The newest slice for what is wanted; it is made beside the window.
    pub(crate) fn show(&mut self, ctx: &egui::Context, wanted: &Wanted<'_>) -> Shown {
        let series_key = SeriesKey { scan: wanted.scan_key, normalize: wanted.normalize.clone() };
        let (scan, normalize, budget) = (Arc::clone(wanted.scan), wanted.normalize.clone(), wanted.budget);
        let series = self.series.get(&series_key, false, Some(ctx), move || {
            let context = Context { progress: Progress::new(), budget, device: DeviceChoice::Cpu };
            let made = chain::normalize(&context, scan, &normalize);
            made.map(|(series, _)| series).map_err(|error| error.to_string())
        });
        let series = match series {
            None => return Shown::Coming,
            Some(Err(problem)) => return Shown::Problem(problem.clone()),
            Some(Ok(series)) => Arc::clone(series),
        };
        let key = SliceKey {
            series: series_key,
            alignment: wanted.alignment.as_ref().map(|(key, _)| *key),
            params: wanted.params.clone(),
            row: wanted.row,
        };
        let alignment = match &wanted.alignment {
            Some((_, alignment)) => Arc::clone(alignment),
            None => Arc::new(Alignment::identity(&series.angles_deg)),
        };
        let (params, row) = (wanted.params.clone(), wanted.row);
        let made = self.slice.get(&key, false, Some(ctx), move || {
            slice(&series, &alignment, &params, row, budget).map_err(|error| error.to_string())
        });
        match made {
            None => Shown::Coming,
            Some(Err(problem)) => Shown::Problem(problem.clone()),
            Some(Ok(slice)) => {
                // While the next slice is being made the last one stays, so the picture says which it is, not the form.
                let is_new = self.texture.as_ref().is_none_or(|(have, _)| !Arc::ptr_eq(have, &slice.image));
                if is_new {
                    let picture = slice.image.as_ref().clone();
                    let texture = ctx.load_texture("preview", picture, egui::TextureOptions::LINEAR);
                    self.texture = Some((Arc::clone(&slice.image), texture));
                }
                match &self.texture {
                    Some((_, texture)) => Shown::Slice(texture.clone(), slice.clone()),
                    None => Shown::Coming,
                }
            }
        }
    }
}

fn slice(
    series: &TiltSeries,
    alignment: &Alignment,
    params: &Value,
    row: usize,
    budget: MemoryBudget,
) -> Result<Slice, OpError> {
    let began = Instant::now();
    let op = find("reconstruct").ok_or_else(|| OpError::Parameter("no operation reconstruct".to_owned()))?;
    let mut all = op.complete(params)?;
    all["first_row"] = json!(null);
    all["end_row"] = json!(null);
    let mut params: ReconstructParams = typed(&all)?;
    let columns = COLUMNS[usize::from(params.method != Method::Fbp)];
    let asked = params.bin.max(1) as usize;
    let bin = series.n_cols().div_ceil(columns).max(asked).min(16);
    params.bin = u32::try_from(bin).unwrap_or(16);
    params.thickness = params.thickness.map(|thickness| (thickness * asked / bin).max(1));
    let n_rows = series.n_rows() / bin;
    let row = (row / bin).min(n_rows.saturating_sub(1));
    let (volume, _) = reconstruct_rows(&Progress::new(), series, alignment, &params, budget, row..row + 1)
        .map_err(OpError::method)?;
    let (depth, _, width) = volume.data.dim();
    let values = volume.values();
    let [low, high] = crate::volume::histogram::automatic_window(values);
    let scale = if high > low { 255.0 / (high - low) } else { 0.0 };
    let grey: Vec<u8> = values.iter().map(|value| ((value - low) * scale) as u8).collect();
    let image = Arc::new(egui::ColorImage::from_gray([width, depth], &grey));
    Ok(Slice { image, bin, seconds: began.elapsed().as_secs_f32() })
}
