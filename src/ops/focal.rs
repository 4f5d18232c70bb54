//! A focal series of one sample: registered, averaged, deconvolved.

use std::sync::Arc;

use ndarray::Zip;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::data::{Data, Inputs, Kind};
use super::op::{Context, Forecast, Input, Op, OpError, Outcome, Output, Policy, Stage, defaults_of, typed};
use super::param::{Param, ParamKind};
use crate::align::{as_seen_at, place_view};
use crate::base::Cancelled;
use crate::prep::{DeconvolveParams, deconvolve};
use crate::volume::TiltSeries;

/// The lens and the distance between the foci.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct FocalParams {
    zone_nm: f64,
    energy_ev: Option<f64>,
    step_um: f64,
    snr: f64,
    sharpen: bool,
}

impl Default for FocalParams {
    fn default() -> Self {
        let DeconvolveParams { zone_nm, energy_ev, .. } = DeconvolveParams::default();
        Self { zone_nm, energy_ev, step_um: 3.0, snr: 100.0, sharpen: true }
    }
}

pub(super) static OP: Op = Op {
    id: "focal",
    label: "Focal series",
    stage: Stage::Align,
    summary: "Combines tilt series taken at two or three foci into one with more depth of field",
    about: "\
Views at the same tilt are registered to that of the first series and averaged, so that everything is in focus in one of them; \
the mean is then sharpened by the mean of the transfer functions seen from the middle of the sample.

Source: Otón and others (2017), extended depth of field for soft X-ray tomography, doi:10.1038/srep45808.",
    inputs: &[
        Input { name: "series", kind: Kind::Series, optional: false, doc: "Absorbance at the first focus" },
        Input { name: "second", kind: Kind::Series, optional: false, doc: "At the second focus, the same tilts" },
        Input { name: "third", kind: Kind::Series, optional: true, doc: "At the third focus" },
    ],
    outputs: &[Output { name: "combined", kind: Kind::Series }],
    params: &[
        super::deconvolve::PARAMS[0],
        super::deconvolve::PARAMS[1],
        Param::new(
            "step_um",
            "Step of focus",
            ParamKind::Float { min: 0.1, max: 100.0 },
            "Distance from one focus to the next",
        )
        .unit("µm"),
        super::deconvolve::PARAMS[3],
        Param::new("sharpen", "Sharpen", ParamKind::Bool, "Deconvolves the mean by the lens"),
    ],
    defaults: defaults_of::<FocalParams>,
    forecast: |inputs, _| {
        let n = inputs.series("series")?.data.len() as u64;
        Ok(Forecast { bytes: 8 * n, seconds: None })
    },
    run,
    policy: Policy::Queue,
};

fn run(context: &Context, inputs: &Inputs, params: &Value) -> Result<Outcome, OpError> {
    let params: FocalParams = typed(params)?;
    let first = inputs.series("series")?;
    let others: Vec<&Arc<TiltSeries>> =
        ["second", "third"].into_iter().filter_map(|slot| inputs.find_series(slot)).collect();
    if others.is_empty() {
        return Err(OpError::MissingInput { slot: "second", kind: Kind::Series });
    }
    for other in &others {
        let same = other.data.dim() == first.data.dim()
            && other.angles_deg.iter().zip(&first.angles_deg).all(|(a, b)| (a - b).abs() < 0.25);
        if !same {
            return Err(OpError::Method(format!(
                "the series of a focal series need the same views: {:?} and {:?} (views, rows, columns), tilts within 0.25°",
                first.data.dim(),
                other.data.dim()
            )));
        }
    }
    let mut data = first.data.clone();
    let mut largest = 0.0f64;
    context.progress.phase("Registering foci", (first.n_views() * others.len()) as u64);
    for other in &others {
        let shifts: Vec<[f64; 2]> = data
            .outer_iter_mut()
            .into_par_iter()
            .zip(other.data.outer_iter())
            .zip(first.data.outer_iter())
            .map(|((mut sum, view), reference)| {
                let found = place_view(&context.progress, view, reference, [0.0; 2])?;
                let moved = as_seen_at(&context.progress, view, found.shift_yx_px, 0.0, 0.0)?;
                Zip::from(&mut sum).and(&moved).for_each(|sum, value| *sum += value);
                context.progress.advance(1);
                Ok(found.shift_yx_px)
            })
            .collect::<Result<_, Cancelled>>()?;
        largest = shifts.iter().map(|[y, x]| y.hypot(*x)).fold(largest, f64::max);
    }
    let n = others.len() + 1;
    data.par_mapv_inplace(|sum| sum / n as f32);
    let mut combined = TiltSeries { data, ..first.as_ref().clone() };
    let mut details = json!({ "foci": n, "largest_shift_px": largest });
    if params.sharpen {
        let lens_params = DeconvolveParams {
            zone_nm: params.zone_nm,
            energy_ev: params.energy_ev,
            defocus_um: 0.0,
            snr: params.snr,
        };
        let lens = lens_params.lens(first.energy_ev).map_err(OpError::method)?;
        let middle = (n as f64 - 1.0) / 2.0;
        let foci: Vec<f64> = (0..n).map(|i| (i as f64 - middle) * params.step_um).collect();
        combined = deconvolve(&context.progress, &combined, &foci, &lens_params).map_err(OpError::method)?;
        details["depth_of_field_um"] = json!(lens.depth_of_field_um() + (n as f64 - 1.0) * params.step_um);
    }
    Ok(Outcome { details, ..Outcome::of("combined", Data::Series(Arc::new(combined))) })
}
