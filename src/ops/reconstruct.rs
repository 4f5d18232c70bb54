//! Tilt series and alignment to a volume in 1/µm.

use std::sync::Arc;

use serde_json::{Value, json};

use super::data::{Data, Inputs, Kind};
use super::op::{Context, Forecast, Input, Op, OpError, Outcome, Output, Policy, Stage, defaults_of, typed};
use super::param::{Choice, Param, ParamKind};
use crate::gpu::{DeviceChoice, Gpu};
use crate::recon::{Method, ReconstructParams, Trust, measure_card, plan, reconstruct_rows_on, used_views};

const fn choice(value: &'static str, label: &'static str) -> Choice {
    Choice { value, label }
}

pub(super) static OP: Op = Op {
    id: "reconstruct",
    label: "Reconstruct",
    stage: Stage::Reconstruct,
    summary: "Reconstructs the volume of linear absorption coefficients from a tilt series",
    about: "\
Filtered back-projection (FBP) is quick; the window on its ramp filter trades noise against sharpness, and the \
sirt-like window damps it as that many sweeps of SIRT would. SIRT is quiet and keeps values positive. CGLS (conjugate \
gradients) does in ten steps what SIRT does in a hundred sweeps, and stops by itself where noise would come in: where a \
sample of rows is fitted to within the noise found in the views, or where views left out are no longer predicted better. \
Total variation is the quietest and keeps edges; its strength is in multiples of the noise found in the views, so \
that 1 fits any dose. All use the same matched pair of projectors. The alignment is applied with one \
interpolation. Where the pixel size is known the result is in 1/µm, otherwise in 1/voxel.

Every result says how far its absorption values can be trusted. At limited tilt those of filtered back-projection are no \
absorption coefficients, and neither are those of short SIRT. There, bound the sample along the beam, by a \
thickness or by a slab as mask (found from the thinnest ice of the field where its size is left empty: give it where the ice \
between the cells is thinner than they are), and use a hundred sweeps of SIRT or more (the default), CGLS or total variation. \
Where all is embedded in ice, its absorption as minimum brings the values of a cell closer still.

Where a cell is deeper than the depth of field, CGLS can project through the lens (`--zone-nm`): what lies out of focus in a \
view is blurred by the transfer function of its distance, and so is found sharp. Energy is that of the scan, else 520 eV. \
The blur is that of absorbance, which holds where what lies out of focus absorbs little.

On a graphics card, where there is one, filtered back-projection and SIRT are made there, with the same footprint: within a \
thousandth of the range of what the processor makes. `--device cpu` gives the same bits everywhere; CGLS and total \
variation are always the processor's. The record of the result names the card.

Sources: ramp filter sampled in real space after Kak and Slaney (1988, chapter 3); SIRT after Gilbert (1972) with \
ordered subsets after Censor and Elfving (2002); CGLS after Hestenes and Stiefel (1952); total variation after Rudin, Osher and \
Fatemi (1992) by FISTA (Beck and Teboulle 2009).",
    inputs: &[
        Input { name: "series", kind: Kind::Series, optional: false, doc: "Absorbance of each view" },
        Input { name: "alignment", kind: Kind::Alignment, optional: true, doc: "Shifts of the views; none where it is missing" },
    ],
    outputs: &[Output { name: "volume", kind: Kind::Volume }],
    params: &[
        Param::new(
            "method",
            "Method",
            ParamKind::Choice(&[
                choice("fbp", "Filtered back-projection"),
                choice("sirt", "SIRT"),
                choice("cgls", "CGLS"),
                choice("tv", "Total variation"),
            ]),
            "Quick filtered back-projection, or an iterative method: quieter, and with a wedge missing nearer to the truth",
        ),
        Param::new(
            "filter",
            "Filter",
            ParamKind::Choice(&[
                choice("ram-lak", "Ramp"),
                choice("shepp-logan", "Shepp-Logan"),
                choice("cosine", "Cosine"),
                choice("hann", "Hann"),
                choice("hamming", "Hamming"),
                choice("butterworth", "Butterworth"),
                choice("sirt-like", "Like SIRT"),
            ]),
            "Window on the ramp filter of FBP: the bare ramp keeps all detail and noise, Hann is smoothest",
        )
        .only_with("method", &["fbp"]),
        Param::new(
            "iterations",
            "Sweeps",
            ParamKind::Int { min: 1, max: 10_000 },
            "Sweeps over all views; for CGLS the most, for the sirt-like filter those it stands for. Left empty: SIRT 20, CGLS up to 50, total variation 12, at limited tilt 40",
        )
        .optional(),
        Param::new(
            "strength",
            "Strength",
            ParamKind::Float { min: 0.01, max: 100.0 },
            "Weight of total variation in multiples of the noise found in the views: less keeps texture, more flattens it",
        )
        .only_with("method", &["tv"]),
        Param::new(
            "mask",
            "Mask",
            ParamKind::Choice(&[
                choice("none", "None"),
                choice("slab", "Slab across the beam"),
                choice("capillary", "Capillary around the axis"),
            ]),
            "Where the sample can be; nothing is found elsewhere",
        )
        .only_with("method", &["sirt", "cgls", "tv"]),
        Param::new(
            "mask_size",
            "Size of the mask",
            ParamKind::Float { min: 0.0, max: 1.0e5 },
            "Thickness of the slab or radius of the capillary (in voxels where the pixel size is unknown); found where left empty",
        )
        .unit("µm")
        .optional()
        .only_with("mask", &["slab", "capillary"]),
        Param::new(
            "thickness",
            "Thickness",
            ParamKind::Int { min: 1, max: 65_536 },
            "Voxels of the result along the beam; as many as columns where left empty",
        )
        .unit("voxels")
        .optional(),
        Param::new(
            "bin",
            "Binning",
            ParamKind::Int { min: 1, max: 16 },
            "Pixels averaged along each side before anything else",
        ),
        Param::new(
            "nonnegative",
            "Keep positive",
            ParamKind::Bool,
            "SIRT and total variation keep every voxel at zero absorption or above",
        )
        .only_with("method", &["sirt", "tv"])
        .advanced(),
        Param::new(
            "minimum",
            "Minimum",
            ParamKind::Float { min: 0.0, max: 100.0 },
            "Least absorption inside the sample, for SIRT and total variation: that of ice where all is embedded in it (in 1/voxel where the pixel size is unknown)",
        )
        .unit("1/µm")
        .optional()
        .only_with("method", &["sirt", "tv"])
        .advanced(),
        Param::new(
            "mask_offset",
            "Middle of the slab",
            ParamKind::Float { min: -1.0e5, max: 1.0e5 },
            "How far along the beam from the rotation axis the middle of a slab of given thickness lies",
        )
        .unit("µm")
        .only_with("mask", &["slab"])
        .advanced(),
        Param::new(
            "weights",
            "Weights",
            ParamKind::Choice(&[choice("equal", "All rays alike"), choice("photons", "By photons")]),
            "What each ray counts in CGLS: by photons is exp(-absorbance), the inverse variance of their noise",
        )
        .only_with("method", &["cgls"])
        .advanced(),
        Param::new(
            "zone_nm",
            "Outermost zone",
            ParamKind::Float { min: 5.0, max: 500.0 },
            "Width of the outermost zone of the objective: CGLS then takes into account that what is out of focus is seen blurred, with all rows in memory at once. Left empty, all is taken to be in focus",
        )
        .unit("nm")
        .optional()
        .only_with("method", &["cgls"])
        .advanced(),
        Param::new(
            "focus_um",
            "Focus",
            ParamKind::Float { min: -100.0, max: 100.0 },
            "How far along the beam from the rotation axis the microscope was focused, away from the viewer at 0°; counts where the outermost zone is given",
        )
        .unit("µm")
        .only_with("method", &["cgls"])
        .advanced(),
        Param::new(
            "cutoff",
            "Cut-off",
            ParamKind::Float { min: 0.05, max: 1.0 },
            "Where the window of FBP ends, as a fraction of the highest frequency",
        )
        .only_with("method", &["fbp"])
        .advanced(),
        Param::new(
            "order",
            "Order",
            ParamKind::Int { min: 1, max: 20 },
            "Steepness of the Butterworth window",
        )
        .only_with("filter", &["butterworth"])
        .advanced(),
        Param::new(
            "subsets",
            "Subsets",
            ParamKind::Int { min: 1, max: 64 },
            "Groups of views after each of which SIRT and total variation update the volume; more converge faster. Left empty: 10 for SIRT, else 5",
        )
        .optional()
        .only_with("method", &["sirt", "tv"])
        .advanced(),
        Param::new(
            "relaxation",
            "Relaxation",
            ParamKind::Float { min: 0.01, max: 1.99 },
            "Step of SIRT; larger is faster but may not settle",
        )
        .only_with("method", &["sirt"])
        .advanced(),
        Param::new(
            "center",
            "Rotation axis",
            ParamKind::Float { min: -1.0e6, max: 1.0e6 },
            "Column of the rotation axis before the shifts of the alignment; the middle where left empty",
        )
        .unit("px")
        .optional()
        .advanced(),
        Param::new(
            "sample",
            "Sample",
            ParamKind::Choice(&[
                choice("auto", "Judge by the edges"),
                choice("inside", "Inside the field"),
                choice("beyond", "Goes on beyond the field"),
            ]),
            "Whether the sample reaches beyond the detector: what lies beyond is then unknown, not empty",
        )
        .advanced(),
        Param::new(
            "half",
            "Views",
            ParamKind::Choice(&[choice("all", "All"), choice("even", "Even"), choice("odd", "Odd")]),
            "All views, or every other one for a resolution estimate",
        )
        .advanced(),
        Param::new(
            "first_row",
            "First row",
            ParamKind::Int { min: 0, max: 1_000_000 },
            "First row of the result, from 0, as in the whole volume; row 0 where left empty",
        )
        .optional()
        .advanced(),
        Param::new(
            "end_row",
            "End row",
            ParamKind::Int { min: 1, max: 1_000_000 },
            "Row after the last of the result; all rows where left empty",
        )
        .optional()
        .advanced(),
    ],
    defaults: defaults_of::<ReconstructParams>,
    forecast,
    run,
    policy: Policy::Queue,
};

fn forecast(inputs: &Inputs, params: &Value) -> Result<Forecast, OpError> {
    let series = inputs.series("series")?;
    let params: ReconstructParams = typed(params)?;
    let n_used = inputs.alignment_or_still("alignment", series).used_indices().len();
    let rows = params.rows(series.n_rows());
    let plan = plan(series.data.dim(), n_used, &series.angles_deg, &params, rows).map_err(OpError::method)?;
    Ok(Forecast { bytes: plan.peak_bytes, seconds: Some(plan.seconds_here(params.method)) })
}

fn run(context: &Context, inputs: &Inputs, params: &Value) -> Result<Outcome, OpError> {
    let series = inputs.series("series")?;
    let params: ReconstructParams = typed(params)?;
    let alignment = inputs.alignment_or_still("alignment", series);
    let rows = params.rows(series.n_rows());
    let mut notes = Vec::new();
    let gpu = if matches!(params.method, Method::Fbp | Method::Sirt) {
        Gpu::to_compute_on(context.device).unwrap_or_else(|error| {
            notes.push(format!("The volume was reconstructed on the processor: {error}"));
            None
        })
    } else {
        if context.device == DeviceChoice::Gpu {
            notes.push("CGLS and total variation compute on the processor".to_owned());
        }
        None
    };
    let (volume, report) = reconstruct_rows_on(
        &context.progress,
        gpu,
        series,
        &alignment,
        &params,
        context.budget,
        rows.clone(),
    )
    .map_err(OpError::method)?;
    notes.extend(report.note.clone());
    // The next forecast is of the card.
    if let Some(gpu) = gpu.filter(|gpu| report.device.is_some() && !gpu.is_software()) {
        measure_card(gpu);
    }
    let mut outcome = Outcome { notes, ..Outcome::of("volume", Data::Volume(Arc::new(volume))) };
    if series.pixel_um.is_none() {
        outcome.notes.push(
            "The pixel size is unknown, so values are in 1/voxel: give it (--pixel-size, or when opening the scan) for 1/µm".to_owned(),
        );
    }
    if report.lac.level == Trust::NotQuantitative && series.pixel_um.is_some() {
        outcome.notes.push(format!("Absorption values are {}", report.lac.text()));
    }
    let used = used_views(series, &alignment, params.half).map_err(OpError::method)?;
    outcome.details = serde_json::to_value(&report).map_err(|error| OpError::Method(error.to_string()))?;
    outcome.details["views_used"] = json!(used.len());
    outcome.details["half"] = json!(params.half);
    outcome.details["rows"] = json!([rows.start, rows.end]);
    Ok(outcome)
}

#[cfg(test)]
mod tests {
    use ndarray::Array3;

    use super::*;
    use crate::base::{MemoryBudget, Progress};
    use crate::volume::TiltSeries;

    #[test]
    fn the_record_names_the_device_and_methods_of_the_processor_say_so() {
        let angles_deg: Vec<f64> = (-6..=6).map(|i| 10.0 * f64::from(i)).collect();
        let data = Array3::from_shape_fn((13, 3, 24), |(_, _, u)| if u.abs_diff(12) < 6 { 0.5 } else { 0.0 });
        let series = TiltSeries { data, angles_deg, pixel_um: Some(0.02), energy_ev: None };
        let inputs = Inputs::default().with("series", Data::Series(Arc::new(series)));
        let run = |method: &str, device| {
            let context = Context { progress: Progress::new(), budget: MemoryBudget::from_gib(2.0), device };
            OP.execute(&context, &inputs, &json!({ "method": method, "iterations": 2 })).unwrap()
        };
        let there = Gpu::to_compute_on(DeviceChoice::Gpu).ok().flatten();
        for method in ["fbp", "sirt", "tv"] {
            let alone = run(method, DeviceChoice::Cpu);
            assert!(alone.details.get("device").is_none(), "{method}");
            let asked = run(method, DeviceChoice::Gpu);
            match there {
                Some(gpu) if method != "tv" => {
                    assert_eq!(asked.details["device"], gpu.info.name, "{method}");
                    assert!(
                        asked.notes.iter().any(|note| note.contains(&gpu.info.name)),
                        "{:?}",
                        asked.notes
                    );
                }
                _ => {
                    assert!(asked.details.get("device").is_none(), "{method}");
                    assert!(asked.notes.iter().any(|note| note.contains("processor")), "{:?}", asked.notes);
                }
            }
        }
    }
}
