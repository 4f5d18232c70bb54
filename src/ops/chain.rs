//! From a raw scan to a volume in one go: normalise, align, reconstruct.
//!
//! The window's button and the command line's `reconstruct` both come through here, so they give
//! the same bits.

use std::ops::Range;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::op::{Context, Forecast, OpError, Outcome};
use super::recipe::bind;
use super::{Data, Inputs, Kind, find};
use crate::base::MemoryBudget;
use crate::recon::{self, Half, Method, Plan, ReconstructParams, used_views};
use crate::volume::{Alignment, Scan, TiltSeries, Volume};

/// Where the alignment of a chain comes from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AlignSource {
    /// Found by the `align` operation with these parameters (those that differ from the defaults).
    Find(Value),
    /// Given, one entry per projection.
    Given(Alignment),
}

/// What the chain does; each value holds the parameters that differ from the defaults.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Chain {
    /// Parameters of `normalize`.
    #[serde(default)]
    pub normalize: Value,
    /// Where the alignment comes from.
    pub align: AlignSource,
    /// Parameters of `reconstruct`.
    #[serde(default)]
    pub reconstruct: Value,
}

impl Default for Chain {
    fn default() -> Self {
        Self { normalize: Value::Null, align: AlignSource::Find(Value::Null), reconstruct: Value::Null }
    }
}

/// What the chain gives.
#[derive(Debug, Clone)]
pub struct ChainOutcome {
    /// The normalised tilt series.
    pub series: Arc<TiltSeries>,
    /// The alignment that was used.
    pub alignment: Arc<Alignment>,
    /// The reconstruction.
    pub volume: Arc<Volume<f32>>,
    /// Sentences for the user, in order of the steps.
    pub notes: Vec<String>,
    /// Numbers of the steps by the name of the operation.
    pub details: Value,
}

/// Runs one operation on the newest data of the kinds that it takes.
fn step(context: &Context, id: &str, pool: &[Data], params: &Value) -> Result<Outcome, OpError> {
    let op = find(id).ok_or_else(|| OpError::Parameter(format!("unknown operation {id}")))?;
    op.execute(context, &bind(op, pool), params)
}

fn output(outcome: &Outcome, kind: Kind) -> Result<Data, OpError> {
    let found = outcome.data.iter().find(|(_, data)| data.kind() == kind);
    found.map(|(_, data)| data.clone()).ok_or_else(|| OpError::Method(format!("gave no {}", kind.words())))
}

/// Normalises a scan; the first step of [`scan_to_volume`].
///
/// # Errors
/// The sentence of the operation.
pub fn normalize(
    context: &Context,
    scan: Arc<Scan>,
    params: &Value,
) -> Result<(Arc<TiltSeries>, Outcome), OpError> {
    let outcome = step(context, "normalize", &[Data::Scan(scan)], params)?;
    match output(&outcome, Kind::Series)? {
        Data::Series(series) => Ok((series, outcome)),
        other => Err(OpError::Method(format!("normalize gave a {}", other.kind().words()))),
    }
}

/// Finds the alignment of a series, from `start` if there is one; the second step of [`scan_to_volume`].
///
/// # Errors
/// The sentence of the operation.
pub fn align(
    context: &Context,
    series: Arc<TiltSeries>,
    start: Option<Arc<Alignment>>,
    params: &Value,
) -> Result<(Arc<Alignment>, Outcome), OpError> {
    let op = find("align").ok_or_else(|| OpError::Parameter("no operation align".to_owned()))?;
    let inputs = Inputs::default().with("series", Data::Series(series));
    let inputs = match start {
        Some(start) => inputs.with("start", Data::Alignment(start)),
        None => inputs,
    };
    let outcome = op.execute(context, &inputs, params)?;
    match output(&outcome, Kind::Alignment)? {
        Data::Alignment(alignment) => Ok((alignment, outcome)),
        other => Err(OpError::Method(format!("align gave a {}", other.kind().words()))),
    }
}

/// A scan that is normalised and aligned: what any number of reconstructions start from.
#[derive(Debug, Clone)]
pub struct Prepared {
    /// The normalised tilt series.
    pub series: Arc<TiltSeries>,
    /// The alignment that is used.
    pub alignment: Arc<Alignment>,
    /// Sentences for the user, in order of the steps.
    pub notes: Vec<String>,
    /// Numbers of the steps by the name of the operation.
    pub details: serde_json::Map<String, Value>,
}

/// Normalises and aligns; the first steps of [`scan_to_volume`].
///
/// # Errors
/// The sentence of the step that failed.
pub fn prepare(context: &Context, scan: Arc<Scan>, chain: &Chain) -> Result<Prepared, OpError> {
    let mut details = serde_json::Map::new();
    let mut notes = Vec::new();
    let (series, normalized) = normalize(context, scan, &chain.normalize)?;
    details.insert("normalize".to_owned(), normalized.details);
    notes.extend(normalized.notes);
    let alignment = match &chain.align {
        AlignSource::Given(alignment) => {
            if let Some(problem) = alignment.problem(series.n_views()) {
                return Err(OpError::Method(problem));
            }
            Arc::new(alignment.clone())
        }
        AlignSource::Find(params) => {
            let (alignment, aligned) = align(context, Arc::clone(&series), None, params)?;
            details.insert("align".to_owned(), aligned.details);
            notes.extend(aligned.notes);
            alignment
        }
    };
    Ok(Prepared { series, alignment, notes, details })
}

/// Rows of a slab are a multiple of this: whole shards of a volume on disk, whole lanes of the projectors.
const SLAB_STEP: usize = 16;

/// Refuses a reconstruction that is over the budget, before hours of aligning: whole, or `by_slabs` one slab of it.
///
/// # Errors
/// [`OpError::Memory`] with the numbers, the sentence of the method where rows or parameters make no sense.
pub fn check_memory(
    scan: &Scan,
    params: &Value,
    by_slabs: bool,
    budget: MemoryBudget,
) -> Result<(), OpError> {
    let op = find("reconstruct").ok_or_else(|| OpError::Parameter("no operation reconstruct".to_owned()))?;
    let params: ReconstructParams = super::op::typed(&op.complete(params)?)?;
    let [n_views, n_rows, n_cols] = scan.projections.shape();
    let mut rows = params.rows(n_rows);
    if by_slabs {
        rows.end = rows.end.min((rows.start / SLAB_STEP + 1) * SLAB_STEP);
    }
    let n_used = if params.half == Half::All { n_views } else { n_views / 2 };
    let plan = recon::plan((n_views, n_rows, n_cols), n_used, &scan.angles_deg, &params, rows);
    Ok(budget.admit(plan.map_err(OpError::method)?.peak_bytes)?)
}

/// What the reconstruction of a scan will take, normalising and aligning not counted.
///
/// # Errors
/// The sentence of the method where rows or parameters make no sense.
pub fn forecast(scan: &Scan, params: &Value) -> Result<Forecast, OpError> {
    let op = find("reconstruct").ok_or_else(|| OpError::Parameter("no operation reconstruct".to_owned()))?;
    let params: ReconstructParams = super::op::typed(&op.complete(params)?)?;
    let [n_views, n_rows, n_cols] = scan.projections.shape();
    let n_used = if params.half == Half::All { n_views } else { n_views / 2 };
    let rows = params.rows(n_rows);
    let plan = recon::plan((n_views, n_rows, n_cols), n_used, &scan.angles_deg, &params, rows);
    let plan = plan.map_err(OpError::method)?;
    Ok(Forecast { bytes: plan.peak_bytes, seconds: Some(plan.seconds_here(params.method)) })
}

/// A kept slab takes at least about this long, so that keeping costs little.
const KEPT_SECS: f64 = 0.5;

impl Prepared {
    fn pool(&self) -> [Data; 2] {
        [Data::Series(Arc::clone(&self.series)), Data::Alignment(Arc::clone(&self.alignment))]
    }

    /// The last step of [`scan_to_volume`]; gives the volume and what the operation said.
    ///
    /// # Errors
    /// The sentence of the operation.
    pub fn reconstruct(
        &self,
        context: &Context,
        params: &Value,
    ) -> Result<(Arc<Volume<f32>>, Outcome), OpError> {
        let outcome = step(context, "reconstruct", &self.pool(), params)?;
        match output(&outcome, Kind::Volume)? {
            Data::Volume(volume) => Ok((volume, outcome)),
            other => Err(OpError::Method(format!("reconstruct gave a {}", other.kind().words()))),
        }
    }

    /// The volumes from the even and from the odd views, with what was said of them.
    ///
    /// # Errors
    /// The sentence of the operation.
    pub fn halves(
        &self,
        context: &Context,
        params: &Value,
    ) -> Result<([Arc<Volume<f32>>; 2], Vec<String>), OpError> {
        let mut notes = Vec::new();
        let mut half = |name: &str| {
            let mut params = params.clone();
            params["half"] = json!(name);
            let (volume, outcome) = self.reconstruct(context, &params)?;
            notes.extend(outcome.notes);
            Ok::<_, OpError>(volume)
        };
        let pair = [half("even")?, half("odd")?];
        Ok((pair, notes))
    }

    /// What the reconstruction will be; nothing is computed.
    ///
    /// # Errors
    /// The sentence of the method.
    pub fn plan(&self, params: &ReconstructParams) -> Result<Plan, OpError> {
        self.plan_rows(params, params.rows(self.series.n_rows()))
    }

    fn plan_rows(&self, params: &ReconstructParams, rows: Range<usize>) -> Result<Plan, OpError> {
        let n_used = used_views(&self.series, &self.alignment, params.half).map_err(OpError::method)?.len();
        recon::plan(self.series.data.dim(), n_used, &self.series.angles_deg, params, rows)
            .map_err(OpError::method)
    }

    /// Cuts the rows that `params` wants into slabs that are worth keeping one by one and fit the budget.
    ///
    /// # Errors
    /// As [`Prepared::slabs`].
    pub fn slabs_to_keep(
        &self,
        budget: MemoryBudget,
        params: &ReconstructParams,
    ) -> Result<Vec<Range<usize>>, OpError> {
        let rows = params.rows(self.series.n_rows());
        // Methods that look at a sample of rows first, or work on a few more, do so once a slab.
        let least = match params.method {
            Method::Fbp | Method::Sirt => SLAB_STEP,
            Method::Cgls | Method::Tv => 6 * SLAB_STEP,
        };
        let mut n = least;
        let rate = recon::updates_per_second();
        while n < rows.len()
            && self.plan_rows(params, rows.start..(rows.start + n).min(rows.end))?.seconds(rate) < KEPT_SECS
        {
            n *= 2;
        }
        let mut kept = Vec::new();
        for slab in self.slabs(budget, params)? {
            let mut start = slab.start;
            while start < slab.end {
                let end = ((start / n + 1) * n).min(slab.end);
                kept.push(start..end);
                start = end;
            }
        }
        Ok(kept)
    }

    /// Cuts the rows that `params` wants into slabs that fit the budget one at a time, as few as may be.
    ///
    /// # Errors
    /// [`OpError::Memory`] where not even the smallest slab fits; the sentence of the method.
    pub fn slabs(
        &self,
        budget: MemoryBudget,
        params: &ReconstructParams,
    ) -> Result<Vec<Range<usize>>, OpError> {
        let rows = params.rows(self.series.n_rows());
        self.plan(params)?;
        let slab = |steps: usize, start: usize| {
            let end = (start / SLAB_STEP + steps) * SLAB_STEP;
            start..end.min(rows.end)
        };
        // The least need of a slab, then as many rows as the rest of the budget holds.
        let first = self.plan_rows(params, slab(1, rows.start))?.peak_bytes;
        budget.admit(first)?;
        let mut steps = 1;
        while slab(steps, rows.start).end < rows.end
            && self.plan_rows(params, slab(2 * steps, rows.start))?.peak_bytes <= budget.bytes
        {
            steps *= 2;
        }
        let mut slabs = Vec::new();
        let mut start = rows.start;
        while start < rows.end {
            let next = slab(steps, start);
            start = next.end;
            slabs.push(next);
        }
        Ok(slabs)
    }
}

/// Normalises, aligns and reconstructs.
///
/// # Errors
/// The sentence of the step that failed.
pub fn scan_to_volume(context: &Context, scan: Arc<Scan>, chain: &Chain) -> Result<ChainOutcome, OpError> {
    let prepared = prepare(context, scan, chain)?;
    let (volume, outcome) = prepared.reconstruct(context, &chain.reconstruct)?;
    let Prepared { series, alignment, mut notes, mut details } = prepared;
    details.insert("reconstruct".to_owned(), outcome.details);
    notes.extend(outcome.notes);
    Ok(ChainOutcome { series, alignment, volume, notes, details: Value::Object(details) })
}
