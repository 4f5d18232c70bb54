//! From a raw scan to a volume in one go: normalise, align, reconstruct.
//!
//! The window's button and the command line's `reconstruct` both come through here, so they give
//! the same bits.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::op::{Context, OpError, Outcome};
use super::recipe::bind;
use super::{Data, Kind, find};
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

/// Finds the alignment of a series; the second step of [`scan_to_volume`].
///
/// # Errors
/// The sentence of the operation.
pub fn align(
    context: &Context,
    series: Arc<TiltSeries>,
    params: &Value,
) -> Result<(Arc<Alignment>, Outcome), OpError> {
    let outcome = step(context, "align", &[Data::Series(series)], params)?;
    match output(&outcome, Kind::Alignment)? {
        Data::Alignment(alignment) => Ok((alignment, outcome)),
        other => Err(OpError::Method(format!("align gave a {}", other.kind().words()))),
    }
}

/// Normalises, aligns and reconstructs.
///
/// # Errors
/// The sentence of the step that failed.
pub fn scan_to_volume(context: &Context, scan: Arc<Scan>, chain: &Chain) -> Result<ChainOutcome, OpError> {
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
            let (alignment, aligned) = align(context, Arc::clone(&series), params)?;
            details.insert("align".to_owned(), aligned.details);
            notes.extend(aligned.notes);
            alignment
        }
    };
    let pool = [Data::Series(Arc::clone(&series)), Data::Alignment(Arc::clone(&alignment))];
    let reconstructed = step(context, "reconstruct", &pool, &chain.reconstruct)?;
    details.insert("reconstruct".to_owned(), reconstructed.details.clone());
    let Data::Volume(volume) = output(&reconstructed, Kind::Volume)? else {
        return Err(OpError::Method("reconstruct gave no volume".to_owned()));
    };
    notes.extend(reconstructed.notes);
    Ok(ChainOutcome { series, alignment, volume, notes, details: Value::Object(details) })
}
