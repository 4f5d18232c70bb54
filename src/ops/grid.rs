//! Whether what an operation is given lies on one grid: nothing is measured or marked in silence at another place.
//!
//! The volume of an operation is the reference. Other volumes, labels and regions must have its shape, and corners within a
//! twentieth of a voxel of its own. Where one of two does not know its voxel size, they are taken voxel by voxel, which is
//! said.

use std::sync::Arc;

use super::data::{Data, Inputs, LabelData};
use super::op::{Context, Op, OpError};
use crate::kernels::resample::{GridFrame, resample_nearest};
use crate::volume::{Labels, RegionMap, Volume};

/// Operations whose inputs lie on grids of their own.
const FREE: [&str; 3] = ["correlate", "stitch", "resample"];
/// Operations that find labels and volume by their places in the world once they are asked to.
const BY_PLACE: [&str; 1] = ["mesh"];
/// Operations that put what they are given on another grid, whichever of volume, labels and objects that is.
pub const REGRIDS: [&str; 4] = ["crop", "bin", "reorient", "rescale"];
/// How far corners may be apart, in voxels.
const TOLERANCE: f64 = 0.05;

/// Where the voxels of an input lie.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Grid {
    /// Shape as z, y, x.
    pub shape: [usize; 3],
    /// Voxel size in µm as z, y, x; `None` where unknown.
    pub voxel_um: Option<[f64; 3]>,
    /// World position of voxel (0, 0, 0) in µm as z, y, x.
    pub origin_um: [f64; 3],
}

impl Grid {
    /// The grid of a volume.
    pub fn of_volume<T>(volume: &Volume<T>) -> Self {
        Self { shape: volume.shape(), voxel_um: volume.voxel_um, origin_um: volume.origin_um }
    }

    /// The grid of labels.
    pub fn of_labels(data: &LabelData) -> Self {
        Self { shape: data.labels.shape(), voxel_um: data.voxel_um, origin_um: data.origin_um }
    }

    /// The grid of an input; `None` of what has none.
    pub fn of(data: &Data) -> Option<Self> {
        match data {
            Data::Volume(volume) => Some(Self::of_volume(volume)),
            Data::Labels(data) => Some(Self::of_labels(data)),
            Data::Regions(map) => Some(Self::of_volume(&map.volume)),
            _ => None,
        }
    }

    /// How two grids go together.
    pub fn fit(&self, other: &Self) -> Fit {
        let same_shape = self.shape == other.shape;
        match (self.voxel_um, other.voxel_um) {
            (Some(a), Some(b)) => {
                let apart = |axis: usize| {
                    let first = other.origin_um[axis] - self.origin_um[axis];
                    let last = first + (self.shape[axis].max(1) - 1) as f64 * (b[axis] - a[axis]);
                    first.abs().max(last.abs()) / a[axis]
                };
                if same_shape && (0..3).all(|axis| apart(axis) <= TOLERANCE) { Fit::Same } else { Fit::Other }
            }
            (None, None) if same_shape => Fit::Same,
            _ if same_shape => Fit::ByVoxels,
            _ => Fit::Other,
        }
    }

    fn frame(&self) -> GridFrame {
        let voxel_um = self.voxel_um.unwrap_or([1.0; 3]);
        let origin_um = if self.voxel_um.is_some() { self.origin_um } else { [0.0; 3] };
        GridFrame { shape: self.shape, voxel_um, origin_um }
    }
}

impl std::fmt::Display for Grid {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let number = |v: f64| format!("{}", (v * 1e6).round() / 1e6);
        let list = |v: [f64; 3]| v.map(number).join(" × ");
        let [z, y, x] = self.shape;
        write!(f, "{z} × {y} × {x} voxels (z, y, x)")?;
        match self.voxel_um {
            None => write!(f, " of unknown size"),
            Some([a, b, c]) => {
                let size = if a == b && b == c { number(a) } else { list([a, b, c]) };
                write!(f, " of {size} µm from ({}) µm", self.origin_um.map(number).join(", "))
            }
        }
    }
}

/// How two grids go together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fit {
    /// Voxel for voxel the same.
    Same,
    /// One does not know its voxel size; the shapes are the same.
    ByVoxels,
    /// Other voxels, or in another place.
    Other,
}

/// The sentence for two grids that differ.
pub fn problem(what: &str, grid: &Grid, reference: &str, of: &Grid) -> String {
    format!(
        "the {what} and the {reference} lie on different grids: {grid}, and {of}; --resample brings labels onto the grid of the volume by nearest id (in the window: Bring onto a grid), or give both on one grid"
    )
}

/// The sentence for two volumes that differ: values are brought onto another grid only by a person's choice.
fn volumes_problem(what: &str, grid: &Grid, reference: &str, of: &Grid) -> String {
    format!(
        "the {what} and the {reference} lie on different grids: {grid}, and {of}; give both on one grid (crop and bin cut and bin them, correlate --apply brings one onto the other)"
    )
}

/// The sentence for two grids of which one does not know its voxel size.
pub fn by_voxels(what: &str, grid: &Grid, reference: &str, of: &Grid) -> String {
    let (knows, lacks, voxel) = match (grid.voxel_um, of.voxel_um) {
        (Some(voxel), _) => (what, reference, voxel),
        (None, voxel) => (reference, what, voxel.unwrap_or([1.0; 3])),
    };
    let [z, y, x] = voxel;
    format!(
        "the voxel size of the {lacks} is unknown: taken voxel for voxel as the {knows}, {z} × {y} × {x} µm"
    )
}

/// The input that others are compared with: the volume, else the first with a grid.
fn reference(inputs: &Inputs) -> Option<(&'static str, Grid)> {
    let grids = || inputs.iter().filter_map(|(name, data)| Some((name, data, Grid::of(data)?)));
    let volume = grids().find(|(_, data, _)| matches!(data, Data::Volume(_)));
    volume.or_else(|| grids().next()).map(|(name, _, grid)| (name, grid))
}

/// Sees to it that all inputs of an operation lie on one grid; gives them back with what there is to say.
///
/// Labels and regions without a voxel size take that of the reference, so that results know it.
pub(super) fn checked(op: &Op, inputs: &Inputs) -> Result<(Inputs, Vec<String>), OpError> {
    let mut notes = Vec::new();
    let Some((of, grid)) = reference(inputs).filter(|_| !FREE.contains(&op.id)) else {
        return Ok((inputs.clone(), notes));
    };
    let mut found = Inputs::default();
    for (name, data) in inputs.iter() {
        let own = Grid::of(data).filter(|_| name != of);
        let data = match own.map(|own| (own, grid.fit(&own))) {
            Some((own, Fit::Other)) if !inputs.goes_by_place(op) => {
                let is_volume = matches!(data, Data::Volume(_));
                let said = if is_volume { volumes_problem } else { problem };
                return Err(OpError::Method(said(name, &own, of, &grid)));
            }
            Some((own, Fit::ByVoxels)) => {
                notes.push(by_voxels(name, &own, of, &grid));
                framed(data, &grid)
            }
            _ => data.clone(),
        };
        found = found.with(name, data);
    }
    Ok((found.going_by_place(inputs.is_by_place()), notes))
}

/// Labels or regions without a voxel size, placed as a grid is.
fn framed(data: &Data, grid: &Grid) -> Data {
    let Some(voxel) = grid.voxel_um else { return data.clone() };
    match data {
        Data::Labels(data) => Data::Labels(Arc::new(LabelData {
            voxel_um: Some(voxel),
            origin_um: grid.origin_um,
            ..(**data).clone()
        })),
        Data::Regions(map) => {
            let volume = Volume { voxel_um: Some(voxel), origin_um: grid.origin_um, ..map.volume.clone() };
            Data::Regions(Arc::new(map.with_volume(volume)))
        }
        other => other.clone(),
    }
}

/// Brings labels and regions that lie on another grid onto that of the volume, each voxel by the id nearest to its centre.
///
/// # Errors
/// Too little memory; cancel; a label volume that lies wholly elsewhere.
pub fn brought_together(
    context: &Context,
    op: &Op,
    inputs: &Inputs,
) -> Result<(Inputs, Vec<String>), OpError> {
    let mut notes = Vec::new();
    let Some((of, grid)) = reference(inputs).filter(|_| !FREE.contains(&op.id)) else {
        return Ok((inputs.clone(), notes));
    };
    if BY_PLACE.contains(&op.id) {
        return Ok((inputs.clone().going_by_place(true), notes));
    }
    let mut found = Inputs::default();
    for (name, data) in inputs.iter() {
        let own = Grid::of(data).filter(|own| name != of && grid.fit(own) == Fit::Other);
        let data = match own {
            Some(own) if !matches!(data, Data::Volume(_)) => {
                notes.push(format!(
                    "the {name} were brought onto the grid of the {of} by nearest id: {own}, onto {grid}"
                ));
                onto(context, data, &grid)?
            }
            _ => data.clone(),
        };
        found = found.with(name, data);
    }
    Ok((found, notes))
}

/// Labels or regions on another grid.
///
/// # Errors
/// Too little memory; cancel; nothing of them lies on the grid.
pub fn onto(context: &Context, data: &Data, grid: &Grid) -> Result<Data, OpError> {
    let n = grid.shape.iter().map(|n| *n as u64).product::<u64>();
    context.budget.admit(8 * n)?;
    let progress = &context.progress;
    let frame = grid.frame();
    let (empty, found) = match data {
        Data::Labels(labels) => {
            let own = Grid::of_labels(labels).frame();
            let ids = resample_nearest(progress, &labels.labels.to_dense().view(), &own, &frame)?;
            let moved = Labels::from_dense(&ids);
            let empty = moved.is_empty() && !labels.labels.is_empty();
            let (voxel_um, origin_um) = (grid.voxel_um, grid.origin_um);
            let (classes, ratios) = (labels.classes.clone(), labels.ratios.filter(|_| voxel_um.is_none()));
            (empty, Data::Labels(Arc::new(LabelData { labels: moved, voxel_um, ratios, origin_um, classes })))
        }
        Data::Regions(map) => {
            let own = Grid::of_volume(&map.volume).frame();
            let ids = resample_nearest(progress, &map.data.view(), &own, &frame)?;
            let empty = ids.iter().all(|id| *id == 0) && map.data.iter().any(|id| *id != 0);
            let volume = Volume { origin_um: grid.origin_um, ..Volume::new(ids, grid.voxel_um, map.unit) };
            (empty, Data::Regions(Arc::new(RegionMap { volume, objects: map.objects.clone() })))
        }
        other => (false, other.clone()),
    };
    if empty {
        let own = Grid::of(data).map_or_else(String::new, |own| own.to_string());
        return Err(OpError::Method(format!(
            "nothing that is labelled lies on the grid: the labels are {own}, the grid is {grid}"
        )));
    }
    Ok(found)
}

impl Inputs {
    /// Whether an operation may take inputs of different grids, found by their places in the world.
    fn goes_by_place(&self, op: &Op) -> bool {
        self.is_by_place() && BY_PLACE.contains(&op.id)
    }
}

#[cfg(test)]
mod tests {
    use ndarray::Array3;
    use serde_json::json;

    use super::*;
    use crate::base::{MemoryBudget, Progress, Unit};
    use crate::gpu::DeviceChoice;
    use crate::ops::find;
    use crate::volume::ClassTable;

    fn context() -> Context {
        Context { progress: Progress::new(), budget: MemoryBudget::from_gib(1.0), device: DeviceChoice::Cpu }
    }

    fn volume(voxel_um: Option<[f64; 3]>, origin_um: [f64; 3]) -> Data {
        let data = Array3::from_shape_fn((8, 9, 10), |(z, y, x)| (z * 100 + y * 10 + x) as f32);
        Data::Volume(Arc::new(Volume { origin_um, ..Volume::new(data, voxel_um, Unit::PerUm) }))
    }

    fn labels(shape: [usize; 3], voxel_um: Option<[f64; 3]>, origin_um: [f64; 3]) -> Data {
        let ids = Array3::from_shape_fn(shape, |(z, y, x)| 1 + u16::from(x + y + z > 9));
        let classes = ClassTable::default().with_ids([1, 2]);
        Data::Labels(Arc::new(LabelData {
            labels: Labels::from_dense(&ids),
            voxel_um,
            ratios: None,
            origin_um,
            classes,
        }))
    }

    fn measured(volume: Data, labels: Data, resample: bool) -> Result<(Vec<f64>, Vec<String>), OpError> {
        let op = find("measure").unwrap();
        let mut inputs = Inputs::default().with("labels", labels).with("volume", volume);
        if resample {
            inputs = brought_together(&context(), op, &inputs)?.0;
        }
        let outcome = op.execute(&context(), &inputs, &json!({}))?;
        let Some(Data::Table(table)) = outcome.get("measurements") else { panic!("no table") };
        let numbers =
            ["volume_um3", "lac_mean_per_um", "centroid_x_um"].map(|name| table.number(0, name).unwrap());
        Ok((numbers.to_vec(), outcome.notes))
    }

    #[test]
    fn small_differences_pass_and_a_voxel_does_not() {
        let um = [0.03, 0.02, 0.01];
        let grid = Grid { shape: [80, 90, 100], voxel_um: Some(um), origin_um: [1.0, 2.0, 3.0] };
        for axis in 0..3 {
            let moved = |voxels: f64| {
                let mut other = grid;
                other.origin_um[axis] += voxels * um[axis];
                grid.fit(&other)
            };
            assert_eq!((moved(0.04), moved(-0.04)), (Fit::Same, Fit::Same));
            assert_eq!((moved(0.06), moved(-1.0)), (Fit::Other, Fit::Other));
            // A size that is a little off counts by how far that takes the last voxel.
            let scaled = |factor: f64| {
                let mut voxel = um;
                voxel[axis] *= factor;
                grid.fit(&Grid { voxel_um: Some(voxel), ..grid })
            };
            assert_eq!((scaled(1.0004), scaled(1.001)), (Fit::Same, Fit::Other));
        }
        let unknown = Grid { voxel_um: None, origin_um: [0.0; 3], ..grid };
        assert_eq!((grid.fit(&unknown), unknown.fit(&unknown)), (Fit::ByVoxels, Fit::Same));
        assert_eq!(grid.fit(&Grid { shape: [80, 90, 99], ..unknown }), Fit::Other);
    }

    #[test]
    fn labels_of_another_grid_are_refused_or_brought_over_on_request() {
        let fine = || volume(Some([0.01; 3]), [0.0; 3]);
        // Binned by two: its voxels have their middle between those of the volume.
        let binned = || labels([4, 5, 5], Some([0.02; 3]), [0.005; 3]);
        let said = measured(fine(), binned(), false).unwrap_err().to_string();
        for part in ["4 × 5 × 5", "0.02 µm from (0.005, 0.005, 0.005)", "8 × 9 × 10", "0.01 µm", "--resample"]
        {
            assert!(said.contains(part), "{part}: {said}");
        }
        let (numbers, _) = measured(fine(), binned(), true).unwrap();
        let expected =
            Array3::from_shape_fn((8, 9, 10), |(z, y, x)| 1 + u16::from(x / 2 + y / 2 + z / 2 > 9));
        let n = expected.iter().filter(|id| **id == 1).count() as f64;
        assert!((numbers[0] - n * 1e-6).abs() < 1e-12, "{numbers:?} {n}");
        // The same shape, moved by one voxel along x, with unequal edges.
        let um = [0.03, 0.02, 0.01];
        let cut = || labels([8, 9, 10], Some(um), [0.0, 0.0, 0.01]);
        assert!(measured(volume(Some(um), [0.0; 3]), cut(), false).is_err());
        let (numbers, _) = measured(volume(Some(um), [0.0; 3]), cut(), true).unwrap();
        let n = Array3::from_shape_fn((8, 9, 10), |(z, y, x)| u16::from(x > 0 && x - 1 + y + z <= 9));
        assert!((numbers[0] / (n.iter().filter(|id| **id == 1).count() as f64 * 6e-6) - 1.0).abs() < 1e-9);
        // Wholly elsewhere.
        let far = labels([8, 9, 10], Some([0.01; 3]), [5.0; 3]);
        assert!(measured(fine(), far, true).unwrap_err().to_string().contains("nothing that is labelled"));
    }

    #[test]
    fn an_unknown_voxel_size_goes_by_voxels_and_is_said() {
        let known = || volume(Some([0.01; 3]), [1.0; 3]);
        let (here, _) = measured(known(), labels([8, 9, 10], Some([0.01; 3]), [1.0; 3]), false).unwrap();
        let (numbers, notes) = measured(known(), labels([8, 9, 10], None, [0.0; 3]), false).unwrap();
        assert_eq!(numbers, here);
        assert!(notes.iter().any(|note| note.contains("of the labels is unknown")), "{notes:?}");
        let (_, notes) =
            measured(volume(None, [0.0; 3]), labels([8, 9, 10], Some([0.01; 3]), [1.0; 3]), false).unwrap();
        assert!(notes.iter().any(|note| note.contains("of the volume is unknown")), "{notes:?}");
        assert!(measured(known(), labels([8, 9, 9], None, [0.0; 3]), false).is_err());
    }

    #[test]
    fn every_operation_with_a_volume_and_labels_refuses_other_grids() {
        let with = |slots: &[&'static str]| {
            let start = Inputs::default().with("volume", volume(Some([0.01; 3]), [0.0; 3]));
            slots.iter().fold(start, |inputs, slot| {
                inputs.with(slot, labels([8, 9, 10], Some([0.01; 3]), [0.01, 0.0, 0.0]))
            })
        };
        for (id, slots) in [
            ("threshold", &["mask"][..]),
            ("watershed", &["markers"]),
            ("surface", &["start"]),
            ("surface", &["membranes"]),
            ("carve", &["scribbles"]),
            ("segment", &["scribbles"]),
            ("supervoxels", &["mask"]),
            ("split", &["labels"]),
            ("measure", &["labels"]),
            ("mesh", &["labels"]),
            ("calibrate", &["labels"]),
        ] {
            let op = find(id).unwrap();
            let said = op.execute(&context(), &with(slots), &json!({})).unwrap_err().to_string();
            assert!(said.contains("different grids"), "{id}: {said}");
        }
        let even = volume(Some([0.01; 3]), [0.0; 3]);
        let odd = volume(Some([0.02; 3]), [0.0; 3]);
        let halves = Inputs::default().with("even", even).with("odd", odd);
        let said = find("fsc").unwrap().execute(&context(), &halves, &json!({})).unwrap_err().to_string();
        assert!(said.contains("different grids"), "{said}");
    }
}
