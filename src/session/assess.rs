//! How good a reconstruction is: its halves, their Fourier shell correlation and noise, in one job.

use std::sync::Arc;

use serde_json::{Value, json};

use super::landing::{Done, Landing};
use super::{Event, Level, Session};
use crate::gpu::DeviceChoice;
use crate::jobs::{JobSpec, Lane, Policy};
use crate::measure::fsc::Curve;
use crate::ops::chain::{self, AlignSource, Chain};
use crate::ops::{self, Context, Data, Inputs, OpError, Outcome};
use crate::project::{Content, Layer, LayerId};
use crate::volume::{Alignment, Scan, Volume};

/// Where the halves come from.
enum Halves {
    /// They are layers.
    There([Arc<Volume<f32>>; 2]),
    /// They are reconstructed as the volume was.
    From(Arc<Scan>, Box<Chain>),
}

/// What was found of a reconstruction beside itself.
#[derive(Default)]
pub(super) struct Beside {
    pub(super) alignment: Option<Arc<Alignment>>,
    pub(super) curve: Option<Curve>,
    pub(super) noise: Option<Arc<Volume<f32>>>,
}

/// What an operation gives in a slot.
fn output(context: &Context, id: &str, inputs: &Inputs, params: &Value) -> Result<(Data, Outcome), OpError> {
    let op = ops::find(id).ok_or_else(|| OpError::Parameter(format!("no operation {id}")))?;
    let mut outcome = op.execute(context, inputs, params)?;
    if outcome.data.is_empty() {
        return Err(OpError::Method(format!("{id} gave nothing")));
    }
    Ok((outcome.data.swap_remove(0).1, outcome))
}

impl Session {
    /// Judges a reconstruction by its halves; those that are not there are reconstructed as the volume was.
    pub(super) fn assess(&mut self, volume: LayerId, params: Value) {
        let Some(layer) = self.project.layer(volume).filter(|layer| layer.volume().is_some()) else {
            return self.say(Level::Error, "choose a reconstruction first");
        };
        let (halves, sources) = match self.half_sets(volume) {
            Some(ids) => {
                let data = |id| self.project.layer(id).and_then(|layer| layer.volume()).map(Arc::clone);
                let (Some(even), Some(odd)) = (data(ids[0]), data(ids[1])) else { return };
                (Halves::There([even, odd]), vec![("even".to_owned(), ids[0]), ("odd".to_owned(), ids[1])])
            }
            None => match self.source_of(layer) {
                Some((id, scan, chain)) => (Halves::From(scan, chain), vec![("scan".to_owned(), id)]),
                None => {
                    return self.say(
                        Level::Warning,
                        "The halves are missing: open the scan that the volume was made from, or both half volumes, named NAME_even and NAME_odd",
                    );
                }
            },
        };
        let name = Some(format!("{} FSC", layer.name));
        let half_params = |half: &str| match &halves {
            Halves::From(_, chain) => {
                let mut params = serde_json::to_value(chain).unwrap_or(Value::Null);
                params["reconstruct"]["half"] = json!(half);
                params
            }
            Halves::There(_) => Value::Null,
        };
        // The volume is named first: it is what curve and noise speak of.
        let made_of = [vec![("volume".to_owned(), volume)], sources].concat();
        let landing = Landing::of(&self.project, "fsc", params.clone(), &made_of, name);
        let inputs = landing.input_names();
        let of_halves = inputs[1..].to_vec();
        let landing = landing
            .on_the_way("even half", "reconstruct", half_params("even"), of_halves.clone())
            .on_the_way("odd half", "reconstruct", half_params("odd"), of_halves)
            .on_the_way("noise", "noise", Value::Null, inputs);
        let budget = self.settings.budget();
        let id = self.jobs.submit(JobSpec {
            label: "Judge".to_owned(),
            key: "judge".to_owned(),
            lane: Lane::Work,
            policy: Policy::Queue,
            work: Box::new(move |progress| {
                let context = Context { progress: progress.clone(), budget, device: DeviceChoice::Auto };
                let mut outcome = judged(&context, halves, &params)?;
                let data = std::mem::take(&mut outcome.data);
                let displays = data.iter().map(|(_, data)| super::landing::display_of(data));
                // They are there to judge by; the reconstruction stays what is seen.
                let displays = displays.map(|mut display| {
                    display.visible = false;
                    display
                });
                let displays = displays.collect();
                outcome.data = data;
                Ok(Done::Layers { landing, outcome, displays })
            }),
        });
        self.events.push(Event::JobChanged(id));
    }

    /// Tilts of the views that a reconstruction was made from, in degrees; `None` where neither its alignment nor its scan
    /// is there.
    pub fn tilts_of(&self, volume: LayerId) -> Option<Vec<f64>> {
        let layer = self.project.layer(volume).filter(|layer| layer.provenance.op == "reconstruct")?;
        if let Some(alignment) = self.beside(layer).alignment {
            return Some(alignment.views.iter().filter(|v| v.used).map(|view| view.angle_deg).collect());
        }
        let name = layer.provenance.inputs.first()?;
        self.project.from_top().find_map(|other| match &other.content {
            Content::Scan(scan) if other.name == *name => Some(scan.angles_deg.clone()),
            _ => None,
        })
    }

    /// The newest alignment, curve and noise map that belong to a reconstruction.
    pub(super) fn beside(&self, layer: &Layer) -> Beside {
        let mut found = Beside::default();
        for other in self.project.from_top() {
            match &other.content {
                Content::Alignment(alignment)
                    if found.alignment.is_none() && other.provenance.inputs == layer.provenance.inputs =>
                {
                    found.alignment = Some(Arc::clone(alignment));
                }
                Content::Other(Data::Table(table))
                    if other.provenance.op == "fsc" && other.judges(&layer.name) =>
                {
                    found.curve = found.curve.or_else(|| Curve::of_table(table));
                }
                Content::Volume(volume)
                    if found.noise.is_none()
                        && other.provenance.op == "noise"
                        && other.judges(&layer.name) =>
                {
                    found.noise = Some(Arc::clone(volume));
                }
                _ => {}
            }
        }
        found
    }

    /// The scan that a reconstruction was made from and how, with the alignment that it had.
    fn source_of(&self, layer: &Layer) -> Option<(LayerId, Arc<Scan>, Box<Chain>)> {
        if layer.provenance.op != "reconstruct" {
            return None;
        }
        let mut chain: Chain = serde_json::from_value(layer.provenance.params.clone()).ok()?;
        let name = layer.provenance.inputs.first()?;
        let (id, scan) = self.project.from_top().find_map(|layer| match &layer.content {
            Content::Scan(scan) if layer.name == *name => Some((layer.id, Arc::clone(scan))),
            _ => None,
        })?;
        if let AlignSource::Find(_) = chain.align {
            let found = self.project.from_top().find_map(|other| match &other.content {
                Content::Alignment(alignment)
                    if other.provenance.inputs == layer.provenance.inputs
                        && alignment.problem(scan.projections.shape()[0]).is_none() =>
                {
                    Some(alignment.as_ref().clone())
                }
                _ => None,
            });
            if let Some(alignment) = found {
                chain.align = AlignSource::Given(alignment);
            }
        }
        Some((id, scan, Box::new(chain)))
    }
}

/// The curve, the noise map, and the halves where they were made for it.
fn judged(context: &Context, halves: Halves, params: &Value) -> Result<Outcome, OpError> {
    let (pair, mut outcome) = match halves {
        Halves::There(pair) => (pair, Outcome::default()),
        Halves::From(scan, chain) => {
            let prepared = chain::prepare(context, scan, &chain)?;
            let (pair, _) = prepared.halves(context, &chain.reconstruct)?;
            let data = ["even half", "odd half"].into_iter().zip(&pair);
            let data = data.map(|(slot, half)| (slot, Data::Volume(Arc::clone(half)))).collect();
            (pair, Outcome { data, ..Outcome::default() })
        }
    };
    let [even, odd] = pair.map(Data::Volume);
    let inputs = Inputs::default().with("even", even).with("odd", odd);
    let (noise, _) = output(context, "noise", &inputs, &Value::Null)?;
    let (curve, said) = output(context, "fsc", &inputs, params)?;
    outcome.data.extend([("noise", noise), ("FSC", curve)]);
    (outcome.notes, outcome.details) = (said.notes, said.details);
    Ok(outcome)
}
