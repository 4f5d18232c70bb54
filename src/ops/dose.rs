//! What a scan costs the sample.

use std::sync::Arc;

use serde_json::{Value, json};

use super::data::{Data, Inputs, Kind};
use super::op::{Context, Forecast, Input, Op, OpError, Outcome, Output, Policy, Stage, defaults_of, typed};
use super::param::{Choice, Param, ParamKind};
use crate::base::{Progress, Unit};
use crate::measure::dose::{Dose, DoseParams, Measured, dose};
use crate::volume::{AnyArray, Scan};

pub(super) static OP: Op = Op {
    id: "dose",
    label: "Dose",
    stage: Stage::Scan,
    summary: "Tells the dose of a scan, what a wished detail needs, and what it stands",
    about: "\
The dose is (µ/ρ) F E: LAC over density, photons per µm² on the sample summed over the views, energy of a photon. Where a \
scan with flats is given, the light is told from its counts, its exposure from its views. With a wished resolution the Rose \
criterion gives the fluence that shows it, which grows with the fourth power of its inverse; the dose that features of that \
size stand is set beside it. That constant, 1e8 Gy per nm, is often quoted but could not be verified: set your own. The share \
of a later electron microscope's budget is told for ice.

Sources: Howells and others (2009), doi:10.1016/j.elspec.2008.10.008; views after Crowther and others (1970), \
doi:10.1098/rspa.1970.0119.",
    inputs: &[Input { name: "scan", kind: Kind::Scan, optional: true, doc: "Counts with flats, for the light" }],
    outputs: &[Output { name: "dose", kind: Kind::Table }],
    params: &[
        Param::new("energy_ev", "Photon energy", ParamKind::Float { min: 100.0, max: 1e4 }, "That of the scan where left empty, else 520")
            .unit("eV")
            .optional(),
        Param::new("fluence", "Fluence a view", ParamKind::Float { min: 0.0, max: 1e30 }, "Photons on the sample in one view; told from the counts of the scan where left empty")
            .unit("photons/µm²")
            .optional(),
        Param::new("views", "Views", ParamKind::Int { min: 1, max: 1_000_000 }, "Those of the scan where left empty, else 1").optional(),
        Param::new("resolution_nm", "Wished detail", ParamKind::Float { min: 0.1, max: 1e6 }, "Size of the detail that is to be seen")
            .unit("nm")
            .optional(),
        Param::new("contrast_per_um", "Its contrast", ParamKind::Float { min: 1e-6, max: 1e3 }, "Difference of its LAC from its surroundings")
            .unit("1/µm"),
        Param::new("thickness_um", "Thickness", ParamKind::Float { min: 1e-3, max: 1e6 }, "Of the sample along the beam: what it absorbs, and the views that are needed")
            .unit("µm")
            .optional(),
        Param::new("absorbed_fraction", "Absorbed share", ParamKind::Float { min: 0.0, max: 1.0 }, "Of the light, by the sample; from thickness and LAC where left empty, else from the scan, else 0.55")
            .optional()
            .advanced(),
        Param::new("lac_per_um", "LAC of the sample", ParamKind::Float { min: 1e-6, max: 1e3 }, "0.1 is ice at 520 eV, 1.36 is protein")
            .unit("1/µm")
            .advanced(),
        Param::new("density_g_per_cm3", "Density", ParamKind::Float { min: 1e-6, max: 30.0 }, "0.94 is ice, 1.35 is protein")
            .unit("g/cm³")
            .advanced(),
        Param::new("efficiency", "Efficiency", ParamKind::Float { min: 1e-6, max: 1.0 }, "Share of the light behind the sample that is counted: zone plate and detector")
            .advanced(),
        Param::new("counts_per_photon", "Counts a photon", ParamKind::Float { min: 1e-6, max: 1e6 }, "Counts of the camera that a photon makes").advanced(),
        Param::new("rose", "Signal to noise", ParamKind::Float { min: 0.1, max: 100.0 }, "At which a detail counts as seen (Rose: 5)").advanced(),
        Param::new("tolerable_gy_per_nm", "Dose a nm stands", ParamKind::Float { min: 1.0, max: 1e15 }, "Dose that a feature stands per nm of its size; often quoted, not verified")
            .unit("Gy/nm")
            .advanced(),
        Param::new(
            "voltage_kv",
            "Electron microscope",
            ParamKind::Choice(&[Choice { value: "300", label: "300 kV" }, Choice { value: "200", label: "200 kV" }]),
            "Where the sample goes afterwards",
        )
        .advanced(),
        Param::new("electron_budget", "Its budget", ParamKind::Float { min: 1e-3, max: 1e6 }, "What that microscope may use").unit("e/Å²").advanced(),
    ],
    defaults: defaults_of::<DoseParams>,
    forecast: |_, _| Ok(Forecast::default()),
    run,
    policy: Policy::Latest,
};

fn run(context: &Context, inputs: &Inputs, params: &Value) -> Result<Outcome, OpError> {
    let params: DoseParams = typed(params)?;
    let measured = match inputs.find_scan("scan") {
        Some(scan) => measured(&context.progress, scan)?,
        None => Measured::default(),
    };
    let found = dose(&measured, &params).map_err(OpError::method)?;
    let (notes, details) = (found.notes.clone(), details(&found));
    Ok(Outcome { notes, details, ..Outcome::of("dose", Data::Table(Arc::new(found.table()))) })
}

fn details(dose: &Dose) -> Value {
    let mut details = json!({
        "dose_mgy": dose.dose_mgy,
        "absorbed_mgy": dose.absorbed_mgy,
        "fluence_photons_per_um2": dose.fluence_photons_per_um2,
        "energy_ev": dose.energy_ev,
        "views": dose.views,
        "absorbed_fraction": dose.absorbed_fraction,
        "electrons_per_a2": dose.electrons_per_a2,
        "electron_budget_share": dose.electron_budget_share,
    });
    if let Some(plan) = &dose.plan {
        details["plan"] = json!({
            "resolution_nm": plan.resolution_nm,
            "needed_photons_per_um2": plan.needed_photons_per_um2,
            "needed_mgy": plan.needed_mgy,
            "tolerable_mgy": plan.tolerable_mgy,
            "views": plan.views,
            "seen_nm": plan.seen_nm,
            "finest_nm": plan.finest_nm,
        });
    }
    details
}

/// What a scan tells of its light: flats without the dark level, and how much of it comes through.
///
/// # Errors
/// [`OpError::Cancelled`].
pub fn measured(progress: &Progress, scan: &Scan) -> Result<Measured, OpError> {
    let [n_views, ..] = scan.projections.shape();
    let mean = |array: &AnyArray| -> Result<f64, OpError> {
        progress.check()?;
        Ok(array.stats().map_or(0.0, |stats| stats.mean))
    };
    let dark = scan.darks.as_ref().map_or(Ok(0.0), mean)?;
    let counts = match (&scan.flats, scan.unit) {
        (Some(flats), Unit::Counts) => Some(mean(flats)? - dark).filter(|counts| *counts > 0.0),
        _ => None,
    };
    let seen = match (scan.unit, counts) {
        (Unit::Counts, Some(flat)) => Some((mean(&scan.projections)? - dark) / flat),
        (Unit::Transmission, _) => Some(mean(&scan.projections)?),
        _ => None,
    };
    Ok(Measured {
        energy_ev: scan.energy_ev,
        views: u32::try_from(n_views).ok(),
        counts,
        pixel_um: scan.pixel_um,
        absorbed_fraction: seen.map(|through| (1.0 - through).clamp(0.0, 1.0)),
    })
}
