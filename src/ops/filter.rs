//! Smoothing and sharpening of a volume.

use std::collections::BTreeMap;
use std::sync::Arc;

use ndarray::Array3;
use serde_json::{Value, json};

use super::data::{Data, Inputs, Kind, LabelData};
use super::op::{Context, Forecast, Input, Op, OpError, Outcome, Output, Policy, Stage, defaults_of, typed};
use super::param::{Choice, Param, ParamKind};
use super::regrid;
use crate::filter::{FilterMethod, FilterParams, filter, held_to_mask};
use crate::volume::Volume;

const fn choice(value: &'static str, label: &'static str) -> Choice {
    Choice { value, label }
}

/// Filters with a Gaussian.
const WITH_SIGMA: &[&str] = &["gaussian", "unsharp", "bilateral"];
/// Filters that go by the noise.
const WITH_NOISE: &[&str] = &["bilateral", "non-local-means", "diffusion"];
/// A class whose mean moves by more than this share is told.
const MOVED: f64 = 0.005;

pub(super) static OP: Op = Op {
    id: "filter",
    label: "Filter",
    stage: Stage::Reconstruct,
    summary: "Smooths or sharpens a volume: Gaussian, median, unsharp, bilateral, non-local means or diffusion",
    about: "\
gaussian smooths by --sigma. median takes the middle value of the cube of 2 × radius + 1 voxels: outliers go, steps stay. unsharp \
adds --amount times what a Gaussian takes away. bilateral averages what is near in place (--sigma) and in value (2 × strength × noise). \
non-local-means averages voxels within --search whose surroundings, cubes of 2 × patch + 1 voxels, look alike but for the noise: \
exp(−max(D − 2σ², 0) / (strength × σ)²), D their mean squared difference. diffusion takes --steps of 1/7 of \
∂u/∂t = div(g ∇u), g = 1 / (1 + (|∇u| / (2 × strength × noise))²). The noise is measured from third differences along x where it \
is not given; that of reconstructions, which neighbours share, is larger than this says: raise --strength. With a mask \
all outside it stays as it was; of labels as the mask the mean of each class before and after is compared, and said where it \
moves by more than 0.5 %. What is NaN stays and counts for nothing. Volumes are mirrored at their faces. Filtered values are for \
eyes and for finding borders; measure LAC on the volume as it was reconstructed.

Sources: Tomasi and Manduchi (1998), doi:10.1109/ICCV.1998.710815; Buades, Coll and Morel (2005), doi:10.1109/CVPR.2005.38; Perona \
and Malik (1990), doi:10.1109/34.56205.",
    inputs: &[
        Input { name: "volume", kind: Kind::Volume, optional: false, doc: "What is filtered" },
        Input { name: "mask", kind: Kind::Labels, optional: true, doc: "Only where this is labelled; the means of its classes are watched" },
    ],
    outputs: &[Output { name: "filtered", kind: Kind::Volume }],
    params: &[
        Param::new(
            "method",
            "Method",
            ParamKind::Choice(&[
                choice("gaussian", "Gaussian"),
                choice("median", "Median"),
                choice("unsharp", "Unsharp mask"),
                choice("bilateral", "Bilateral"),
                choice("non-local-means", "Non-local means"),
                choice("diffusion", "Diffusion"),
            ]),
            "How the volume is filtered",
        ),
        Param::new(
            "sigma",
            "Width",
            ParamKind::Float { min: 0.1, max: 100.0 },
            "Standard deviation of the Gaussian; at most 5 for bilateral",
        )
        .unit("voxels")
        .only_with("method", WITH_SIGMA),
        Param::new(
            "sigma_nm",
            "Width in nm",
            ParamKind::Float { min: 0.0, max: 1e6 },
            "The same in nm, in place of voxels; respects unequal edges",
        )
        .unit("nm")
        .optional()
        .only_with("method", WITH_SIGMA),
        Param::new("radius", "Radius", ParamKind::Int { min: 1, max: 7 }, "Radius of the cube: 1 is 3³ voxels, 2 is 5³")
            .unit("voxels")
            .only_with("method", &["median"]),
        Param::new(
            "amount",
            "Amount",
            ParamKind::Float { min: 0.0, max: 20.0 },
            "How many times what the Gaussian takes away is added",
        )
        .only_with("method", &["unsharp"]),
        Param::new(
            "strength",
            "Strength",
            ParamKind::Float { min: 0.05, max: 20.0 },
            "Differences that are smoothed away, in standard deviations of the noise",
        )
        .only_with("method", WITH_NOISE),
        Param::new(
            "search",
            "Search",
            ParamKind::Int { min: 1, max: 15 },
            "How far voxels that look alike are looked for along each axis; time grows with its cube",
        )
        .unit("voxels")
        .only_with("method", &["non-local-means"]),
        Param::new("steps", "Steps", ParamKind::Int { min: 1, max: 1000 }, "Steps of diffusion: n of them smooth about as a Gaussian of √(2n/7) voxels")
            .only_with("method", &["diffusion"]),
        Param::new(
            "patch",
            "Patch",
            ParamKind::Int { min: 0, max: 5 },
            "Radius of the cubes that are compared: 1 is 3³ voxels",
        )
        .unit("voxels")
        .only_with("method", &["non-local-means"])
        .advanced(),
        Param::new(
            "noise",
            "Noise",
            ParamKind::Float { min: 1e-30, max: 1e30 },
            "Standard deviation of the noise in the unit of the volume; measured where left empty",
        )
        .optional()
        .only_with("method", WITH_NOISE)
        .advanced(),
    ],
    defaults: defaults_of::<FilterParams>,
    forecast: |inputs, params| {
        let params: FilterParams = typed(params)?;
        let volume = inputs.volume("volume")?;
        params.sigma_voxels(volume.voxel_um).map_err(OpError::method)?;
        let mask = if inputs.find_labels("mask").is_some() { 2 * volume.n_voxels() as u64 } else { 0 };
        Ok(Forecast { bytes: params.bytes(volume.shape(), crate::base::parallel::n_cores()) + mask, seconds: None })
    },
    run,
    policy: Policy::Queue,
};

fn run(context: &Context, inputs: &Inputs, params: &Value) -> Result<Outcome, OpError> {
    let params: FilterParams = typed(params)?;
    let volume = inputs.volume("volume")?;
    regrid::no_ids(volume, "filtered")?;
    let mut found =
        filter(&context.progress, &volume.data.view(), volume.voxel_um, &params).map_err(OpError::method)?;
    let mut notes = Vec::new();
    if let Some(noise) = found.noise {
        let how = if params.noise.is_some() { "as given" } else { "measured from third differences along x" };
        notes.push(format!("Noise {noise:.4} {}", volume.unit.shown()).trim_end().to_owned() + ", " + how);
    }
    let n_nan = volume.values().iter().filter(|value| value.is_nan()).count();
    if n_nan > 0 {
        notes.push(format!("{n_nan} voxels are NaN: they stay, and count for nothing beside them"));
    }
    let mut classes = Vec::new();
    if let Some(mask) = inputs.find_labels("mask") {
        let ids = mask.labels.to_dense();
        held_to_mask(&mut found.values, &volume.data.view(), &ids.view());
        classes = means(mask, &ids, volume, &found.values);
        notes.extend(classes.iter().filter_map(|class| class.said(volume.unit.shown())));
    }
    let details = json!({
        "noise": found.noise,
        "sigma_voxels_zyx": with_sigma(params.method).then(|| params.sigma_voxels(volume.voxel_um).ok()),
        "classes": classes.iter().map(|c| json!({ "class": c.id, "name": c.name, "mean_before": c.before, "mean": c.after })).collect::<Vec<_>>(),
    });
    let filtered = volume.with_data(found.values, volume.unit);
    Ok(Outcome { notes, details, ..Outcome::of("filtered", Data::Volume(Arc::new(filtered))) })
}

fn with_sigma(method: FilterMethod) -> bool {
    matches!(method, FilterMethod::Gaussian | FilterMethod::Unsharp | FilterMethod::Bilateral)
}

/// The mean of a class before and after.
struct ClassMean {
    id: u16,
    name: String,
    before: f64,
    after: f64,
}

impl ClassMean {
    /// A sentence where the mean has moved.
    fn said(&self, unit: &str) -> Option<String> {
        let share = (self.after - self.before) / self.before.abs();
        let Self { name, before, after, .. } = self;
        (share.abs() > MOVED).then(|| {
            format!(
                "The mean of {name} has moved by {:+.1} %: {before:.4} to {after:.4} {unit}",
                100.0 * share
            )
            .trim_end()
            .to_owned()
        })
    }
}

fn means(mask: &LabelData, ids: &Array3<u16>, before: &Volume<f32>, after: &Array3<f32>) -> Vec<ClassMean> {
    let mut sums: BTreeMap<u16, (f64, f64, u64)> = BTreeMap::new();
    let values = before.values().iter().zip(after);
    for (id, (before, after)) in ids.iter().zip(values).filter(|(id, (b, _))| **id != 0 && b.is_finite()) {
        let sum = sums.entry(*id).or_default();
        *sum = (sum.0 + f64::from(*before), sum.1 + f64::from(*after), sum.2 + 1);
    }
    let mean = |(id, (before, after, n)): (u16, (f64, f64, u64))| ClassMean {
        id,
        name: mask.classes.name(id),
        before: before / n as f64,
        after: after / n as f64,
    };
    sums.into_iter().map(mean).collect()
}

#[cfg(test)]
mod tests {
    use super::super::regrid::tests::{context, given, labelled};
    use super::*;
    use crate::ops::find;

    #[test]
    fn outside_the_mask_nothing_changes_and_a_class_that_moves_is_named() {
        let inputs = given();
        let volume = inputs.volume("volume").unwrap();
        let inputs =
            Inputs::default().with("volume", Data::Volume(Arc::clone(volume))).with("mask", labelled());
        let outcome = find("filter").unwrap().execute(&context(), &inputs, &json!({ "sigma": 2.0 })).unwrap();
        let Some(Data::Volume(found)) = outcome.get("filtered") else { panic!("nothing was filtered") };
        let Data::Labels(mask) = labelled() else { panic!("no mask") };
        let ids = mask.labels.to_dense();
        for ((at, value), before) in found.data.indexed_iter().zip(&volume.data) {
            assert_eq!(ids[at] == 0, value == before, "{at:?}");
        }
        assert_eq!((found.unit, found.voxel_um), (volume.unit, volume.voxel_um));
        let name = mask.classes.name(5);
        assert!(
            outcome.notes.iter().any(|note| note.contains(&name) && note.contains('%')),
            "{:?}",
            outcome.notes
        );
    }

    #[test]
    fn a_volume_without_noise_and_a_median_of_nothing_are_refused_in_one_sentence() {
        let flat = Volume::new(Array3::from_elem((8, 8, 8), 1.0), None, crate::base::Unit::PerUm);
        let inputs = Inputs::default().with("volume", Data::Volume(Arc::new(flat)));
        let said =
            |params| find("filter").unwrap().execute(&context(), &inputs, &params).unwrap_err().to_string();
        assert!(said(json!({ "method": "diffusion" })).contains("no noise"));
        assert!(said(json!({ "method": "median", "radius": 0 })).contains("radius is 0"));
        assert!(said(json!({ "sigma_nm": 30.0 })).contains("voxel size is unknown"));
    }
}
