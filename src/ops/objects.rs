//! Objects as operations give them: a map of ids and a table of which class each is.

use std::sync::Arc;

use ndarray::Array3;

use super::data::{Data, LabelData};
use crate::base::Unit;
use crate::volume::{Cell, Column, Table, Volume};

/// The outputs "instances" and "objects" of labels: `map` has an id per voxel, `objects` id, class and voxels of each.
pub(super) fn outputs(
    labels: &LabelData,
    map: Array3<u32>,
    objects: impl Iterator<Item = (u32, u16, u64)>,
) -> Vec<(&'static str, Data)> {
    let rows = objects.map(|(id, class, voxels)| {
        vec![
            Cell::from(u64::from(id)),
            Cell::from(u64::from(class)),
            Cell::Text(labels.classes.name(class)),
            Cell::from(voxels),
        ]
    });
    let table = Table {
        columns: ["object", "class", "name", "voxels"].map(|name| Column::new(name, "")).into(),
        rows: rows.collect(),
        ..Table::default()
    };
    let mut map = Volume::new(map, labels.voxel_um, Unit::Label);
    (map.origin_um, map.ratios) = (labels.origin_um, labels.ratios);
    vec![("instances", Data::Regions(Arc::new(map))), ("objects", Data::Table(Arc::new(table)))]
}

/// A note where the class that was asked for does not occur.
pub(super) fn missing_class(labels: &LabelData, class: Option<u16>) -> Option<String> {
    let class = class.filter(|class| !labels.labels.ids().contains(class))?;
    Some(format!("No voxel has class {class}"))
}
