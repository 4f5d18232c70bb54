//! What operations share that put volume, labels and objects on another grid, whichever they are given, all at once.

use std::collections::BTreeSet;
use std::sync::Arc;

use ndarray::{Array3, ArrayView3};

use super::data::{Data, Inputs, Kind, LabelData};
use super::grid::{Grid, REGRIDS};
use super::op::{Input, Op, OpError, Output};
use crate::base::{Progress, Unit};
use crate::volume::{LabelId, Labels, ObjectTable, Placement, RegionMap, RegridError, Volume};

/// The slots of what is changed.
pub(super) const VOLUME: Input =
    Input { name: "volume", kind: Kind::Volume, optional: true, doc: "Values, if they are to change" };
/// Labels, by themselves or with the volume that they lie on.
pub(super) const LABELS: Input =
    Input { name: "labels", kind: Kind::Labels, optional: true, doc: "Labels, if they are to change" };
/// Objects.
pub(super) const OBJECTS: Input =
    Input { name: "instances", kind: Kind::Regions, optional: true, doc: "Objects, if they are to change" };

/// The outputs of these slots, under names of their own.
pub(super) const fn outputs(names: [&'static str; 3]) -> [Output; 3] {
    [
        Output { name: names[0], kind: Kind::Volume },
        Output { name: names[1], kind: Kind::Labels },
        Output { name: names[2], kind: Kind::Regions },
    ]
}

/// How arrays come onto another grid.
pub(super) trait Change {
    /// Values there.
    fn values(&self, progress: &Progress, array: &ArrayView3<'_, f32>) -> Result<Array3<f32>, RegridError>;
    /// Ids there; none that was not there before.
    fn ids<T: LabelId>(
        &self,
        progress: &Progress,
        array: &ArrayView3<'_, T>,
    ) -> Result<Array3<T>, RegridError>;
    /// Where the other grid lies.
    fn place(&self, of: Placement) -> Placement;
}

/// Refuses to mix or change values that are ids.
pub(super) fn no_ids(volume: &Volume<f32>, what: &str) -> Result<(), OpError> {
    if volume.unit == Unit::Label {
        return Err(OpError::Method(format!(
            "the values of the volume are ids of labels, and ids are never {what}: give them as labels"
        )));
    }
    Ok(())
}

/// The grid of what is given; all of it lies on one.
pub(super) fn grid_of(inputs: &Inputs) -> Result<(Grid, Placement), OpError> {
    let slots = [VOLUME.name, LABELS.name, OBJECTS.name];
    let first = inputs.iter().find(|(name, _)| slots.contains(name)).map(|(_, data)| data);
    let missing = OpError::MissingInput { slot: VOLUME.name, kind: Kind::Volume };
    let data = inputs.find_volume(VOLUME.name).map(|volume| Data::Volume(Arc::clone(volume)));
    let data = data.or_else(|| first.cloned()).ok_or(missing)?;
    let place = place_of(&data);
    Grid::of(&data).zip(place).ok_or(OpError::MissingInput { slot: VOLUME.name, kind: Kind::Volume })
}

fn place_of(data: &Data) -> Option<Placement> {
    match data {
        Data::Volume(volume) => Some(Placement::of(volume)),
        Data::Labels(data) => Some(label_place(data)),
        Data::Regions(map) => Some(Placement::of(&map.volume)),
        _ => None,
    }
}

fn label_place(data: &LabelData) -> Placement {
    Placement { voxel_um: data.voxel_um, ratios: data.ratios, origin_um: data.origin_um }
}

/// Bytes that a voxel of what is given takes on the other grid, and what an array of ids takes while it is made.
pub(super) fn bytes_per_voxel(inputs: &Inputs) -> (u64, u64) {
    let volume = if inputs.find_volume(VOLUME.name).is_some() { 4 } else { 0 };
    let labels = if inputs.find_labels(LABELS.name).is_some() { 2 } else { 0 };
    let objects = if inputs.find_regions(OBJECTS.name).is_some() { 4 } else { 0 };
    (volume + 2 * labels + objects, labels)
}

/// All that is given on the other grid, under the names of [`outputs`].
pub(super) fn changed(
    progress: &Progress,
    inputs: &Inputs,
    change: &impl Change,
    names: [&'static str; 3],
) -> Result<Vec<(&'static str, Data)>, OpError> {
    let mut data = Vec::new();
    if let Some(volume) = inputs.find_volume(VOLUME.name) {
        let values = change.values(progress, &volume.data.view()).map_err(OpError::method)?;
        let moved = change.place(Placement::of(volume)).volume(values, volume.unit);
        data.push((names[0], Data::Volume(Arc::new(moved))));
    }
    if let Some(labels) = inputs.find_labels(LABELS.name) {
        let ids = change.ids(progress, &labels.labels.to_dense().view()).map_err(OpError::method)?;
        let Placement { voxel_um, ratios, origin_um } = change.place(label_place(labels));
        let (classes, labels) = (labels.classes.clone(), Labels::from_dense(&ids));
        data.push((
            names[1],
            Data::Labels(Arc::new(LabelData { labels, voxel_um, ratios, origin_um, classes })),
        ));
    }
    if let Some(map) = inputs.find_regions(OBJECTS.name) {
        let ids = change.ids(progress, &map.data.view()).map_err(OpError::method)?;
        let objects = map.objects.as_ref().map(|table| left(table, &ids));
        let volume = change.place(Placement::of(&map.volume)).volume(ids, map.unit);
        data.push((names[2], Data::Regions(Arc::new(RegionMap { volume, objects }))));
    }
    Ok(data)
}

/// The table of those objects that are left.
fn left(table: &ObjectTable, ids: &Array3<u32>) -> ObjectTable {
    let values = ids.as_slice().unwrap_or(&[]);
    let ids: BTreeSet<u32> = values.chunk_by(|a, b| a == b).map(|run| run[0]).collect();
    let objects = table.class_of.iter().map(|(id, class)| (*id, *class));
    ObjectTable::new(objects.filter(|(id, _)| ids.contains(id)), &table.classes)
}

impl Op {
    /// Whether results lie on another grid than what it was given, each input giving one: such an operation changes no
    /// layer in place, and gives labels only where it was given some.
    pub fn changes_grid(&self) -> bool {
        REGRIDS.contains(&self.id)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use serde_json::json;

    use super::*;
    use crate::base::MemoryBudget;
    use crate::gpu::DeviceChoice;
    use crate::ops::{Context, find};
    use crate::volume::ClassTable;

    const UM: [f64; 3] = [0.03, 0.02, 0.01];
    const ORIGIN: [f64; 3] = [1.0, -2.0, 0.5];
    const SHAPE: [usize; 3] = [10, 9, 12];
    /// Voxels of the bead: a block of two edges of voxels from here.
    const AT: [usize; 3] = [4, 3, 6];
    /// The middle of the bead in µm.
    pub(in super::super) const BEAD: [f64; 3] = [1.0 + 4.5 * 0.03, -2.0 + 3.5 * 0.02, 0.5 + 6.5 * 0.01];

    fn is_bead(zyx: (usize, usize, usize)) -> bool {
        let zyx: [usize; 3] = zyx.into();
        (0..3).all(|axis| (AT[axis]..AT[axis] + 2).contains(&zyx[axis]))
    }

    pub(in super::super) fn context() -> Context {
        Context { progress: Progress::new(), budget: MemoryBudget::from_gib(1.0), device: DeviceChoice::Cpu }
    }

    pub(in super::super) fn labelled() -> Data {
        let ids = Array3::from_shape_fn(SHAPE, |at| if is_bead(at) { 5u16 } else { 0 });
        let classes = ClassTable::default().with_ids([5]);
        let labels = Labels::from_dense(&ids);
        Data::Labels(Arc::new(LabelData {
            labels,
            voxel_um: Some(UM),
            ratios: None,
            origin_um: ORIGIN,
            classes,
        }))
    }

    /// A volume, labels and objects with one bead.
    pub(in super::super) fn given() -> Inputs {
        let place = Placement { voxel_um: Some(UM), ratios: None, origin_um: ORIGIN };
        let values = Array3::from_shape_fn(SHAPE, |at| if is_bead(at) { 2.0f32 } else { 0.0 });
        let ids = Array3::from_shape_fn(SHAPE, |at| if is_bead(at) { 70_000u32 } else { 0 });
        let classes = ClassTable::default().with_ids([5]);
        let objects = Some(ObjectTable::new([(70_000, 5), (3, 5)], &classes));
        Inputs::default()
            .with("volume", Data::Volume(Arc::new(place.volume(values, Unit::PerUm))))
            .with("labels", labelled())
            .with(
                "instances",
                Data::Regions(Arc::new(RegionMap { volume: place.volume(ids, Unit::Label), objects })),
            )
    }

    /// The middle of what is not 0 in µm.
    pub(in super::super) fn bead_um(data: &Data) -> [f64; 3] {
        fn middle<T: Copy + Into<f64>>(volume: &Volume<T>) -> [f64; 3] {
            let (mut sum, mut at) = (0.0, [0.0; 3]);
            for ((z, y, x), value) in volume.data.indexed_iter() {
                let value: f64 = (*value).into();
                sum += value;
                for (at, i) in at.iter_mut().zip([z, y, x]) {
                    *at += value * i as f64;
                }
            }
            Placement::of(volume).world(at.map(|at| at / sum))
        }
        match data {
            Data::Volume(volume) => middle(volume),
            Data::Labels(data) => middle(&label_place(data).volume(data.labels.to_dense(), Unit::Label)),
            Data::Regions(map) => middle(&map.volume),
            other => panic!("a {}", other.kind().words()),
        }
    }

    #[test]
    fn objects_that_were_cut_off_leave_the_table_and_other_grids_are_refused() {
        let op = find("crop").unwrap();
        let outcome = op.execute(&context(), &given(), &json!({ "z": "2:8" })).unwrap();
        let Some(Data::Regions(map)) = outcome.get("cropped objects") else { panic!("no objects") };
        assert_eq!(map.objects.as_ref().unwrap().class_of, [(70_000, 5)].into());
        let Data::Labels(labels) = labelled() else { panic!("no labels") };
        let moved = LabelData { origin_um: [0.0; 3], ..(*labels).clone() };
        let inputs = given().with("mask", Data::Labels(Arc::new(moved)));
        let said = op.execute(&context(), &inputs, &json!({})).unwrap_err().to_string();
        assert!(said.contains("different grids"), "{said}");
        let none = op.execute(&context(), &Inputs::default(), &json!({})).unwrap_err();
        assert!(matches!(none, OpError::MissingInput { .. }));
    }

    #[test]
    fn ids_that_come_as_values_are_neither_averaged_nor_filtered_nor_reckoned_with() {
        let given = given();
        let ids = Volume { unit: Unit::Label, ..(**given.volume("volume").unwrap()).clone() };
        let inputs = Inputs::default().with("volume", Data::Volume(Arc::new(ids)));
        for (id, params) in [
            ("bin", json!({})),
            ("filter", json!({})),
            ("calculate", json!({ "constant": 2.0 })),
            ("rescale", json!({ "factor": 2.0 })),
        ] {
            let said = find(id).unwrap().execute(&context(), &inputs, &params).unwrap_err().to_string();
            assert!(said.contains("ids of labels"), "{id}: {said}");
        }
        assert!(find("crop").unwrap().execute(&context(), &inputs, &json!({})).is_ok());
        assert!(
            find("rescale").unwrap().execute(&context(), &inputs, &json!({ "to_voxel_um": 0.1 })).is_ok()
        );
    }
}
