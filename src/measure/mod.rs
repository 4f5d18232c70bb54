//! Measuring: classes and objects become a table of volumes, surfaces, LAC, distances and contacts.
//!
//! An object is a component of one class, connected through any of 26 neighbours, numbered in scan
//! order; or, where a table says of which class each id is, what has one id, in as many pieces as it has. Volumes count voxels. Surfaces are those of the closed mesh of
//! [`crate::kernels::surface`] at σ = 0.8 voxels (spheres of ten voxels radius within 2 %), because
//! voxel faces overstate a sphere's surface by half. A contact is the part of that mesh beyond which
//! the other class lies. Distances run between voxel centres. All sums are f64.

pub mod axes;
pub mod beam;
pub mod dose;
pub mod fsc;
mod instances;
pub mod noise;
mod objects;
pub mod readout;
pub mod review;
pub mod ruler;
pub mod spectrum;

use std::collections::BTreeMap;
use std::f64::consts::PI;

use ndarray::{Array3, ArrayView3};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::base::{Cancelled, Progress, Unit};
use crate::kernels::components::{Components, ComponentsError, Connectivity, components};
use crate::kernels::distance::distance_to;
use crate::kernels::surface::surface;
use crate::volume::regions::class_name;
use crate::volume::{Cell, ClassTable, Column, LabelId, ObjectTable, Table, Volume};
use objects::{Tally, nearest, tally};

pub use instances::{Instance, Instances, InstancesParams, instances};

/// Classes that contacts and distances are told for, one column each.
const MOST_COLUMNS: usize = 1000;

/// Smoothing of surfaces, σ in voxels.
const SURFACE_SIGMA: f64 = 0.8;

/// What is measured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MeasureParams {
    /// One row per object instead of one per class.
    pub instances: bool,
    /// Adds the contact area with every other class, in µm².
    pub contacts: bool,
    /// Adds the distance to the nearest voxel of every other class, in µm.
    pub distances: bool,
    /// Leaves out objects of fewer voxels, 1 to 1 000 000 000.
    pub min_voxels: u64,
}

impl Default for MeasureParams {
    fn default() -> Self {
        Self { instances: false, contacts: false, distances: false, min_voxels: 1 }
    }
}

/// What is measured on.
#[derive(Debug, Clone, Copy)]
pub struct MeasureInput<'a, L = u16> {
    /// Ids of classes or objects, shape (z, y, x); 0 is unlabelled.
    pub labels: ArrayView3<'a, L>,
    /// Voxel size in µm as z, y, x; `None` where unknown.
    pub voxel_um: Option<[f64; 3]>,
    /// Edges of a voxel as ratios, the shortest 1, where only these are known.
    pub ratios: Option<[f64; 3]>,
    /// World position in µm of voxel (0, 0, 0), as z, y, x.
    pub origin_um: [f64; 3],
    /// Values on the same grid, for the LAC columns.
    pub volume: Option<&'a Volume<f32>>,
    /// Names of the classes; ids that it lacks are called "class N".
    pub classes: &'a ClassTable,
    /// Where the ids are those of objects: of which class each is.
    pub objects: Option<&'a ObjectTable>,
}

impl<L: LabelId> MeasureInput<'_, L> {
    /// The class that an id counts for; 0 for an object that the table lacks.
    fn class(&self, id: L) -> u32 {
        self.objects.map_or(id.into(), |table| table.class(id.into()).unwrap_or(0))
    }
}

/// Why nothing was measured.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
#[non_exhaustive]
pub enum MeasureError {
    #[error(
        "the volume has {volume:?} voxels (z, y, x) and the labels {labels:?}: measure labels on the volume that they were made on"
    )]
    Shape { volume: [usize; 3], labels: [usize; 3] },
    #[error(
        "contacts and distances make a column for each of {n} classes, {MOST_COLUMNS} at most: give the table that says of which class each object is (--objects)"
    )]
    TooManyClasses { n: usize },
    #[error("the voxel size {voxel_um:?} µm is not a positive number on each axis")]
    VoxelSize { voxel_um: [f64; 3] },
    #[error(transparent)]
    Components(ComponentsError),
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
}

impl From<ComponentsError> for MeasureError {
    fn from(error: ComponentsError) -> Self {
        match error {
            ComponentsError::Cancelled(cancelled) => Self::Cancelled(cancelled),
            error @ ComponentsError::TooMany { .. } => Self::Components(error),
        }
    }
}

/// Measures every class, or every object with `instances`.
///
/// Classes of the table without voxels get a row of zero voxels. Standard deviations are those of the
/// population. Memory: 4 bytes a voxel for the objects, 8 with distances.
///
/// # Errors
/// [`MeasureError`].
pub fn measure<L: LabelId>(
    progress: &Progress,
    input: &MeasureInput<'_, L>,
    params: &MeasureParams,
) -> Result<Table, MeasureError> {
    let (nz, ny, nx) = input.labels.dim();
    if let Some(volume) = input.volume
        && volume.shape() != [nz, ny, nx]
    {
        return Err(MeasureError::Shape { volume: volume.shape(), labels: [nz, ny, nx] });
    }
    let voxel_um = input.voxel_um.or(input.ratios).unwrap_or([1.0; 3]);
    if !voxel_um.iter().all(|edge| *edge > 0.0 && edge.is_finite()) {
        return Err(MeasureError::VoxelSize { voxel_um });
    }
    let found = components(progress, &input.labels, Connectivity::Corners)?;
    let values = input.volume.map(Volume::values);
    let tallies = tally(progress, &found.map, found.len(), values)?;
    let groups = Groups::new(input, &found, &tallies);
    let kept: Vec<usize> =
        (0..found.len()).filter(|k| groups.sizes[groups.of[*k]] >= params.min_voxels).collect();
    let ids = row_classes(input, &found.values);
    if (params.contacts || params.distances) && ids.len() > MOST_COLUMNS {
        return Err(MeasureError::TooManyClasses { n: ids.len() });
    }
    let shapes = shapes(progress, input, &found, &tallies, &kept, voxel_um)?;
    let distances =
        if params.distances { distances(progress, input, &found, voxel_um)? } else { BTreeMap::new() };

    let pieces = kept.iter().zip(shapes).map(|(k, shape)| {
        let group = groups.of[*k];
        let piece = Object {
            class: groups.classes[group],
            number: groups.numbers[group],
            count: 1,
            tally: tallies[*k].clone(),
            shape,
            distances: distances.iter().map(|(id, least)| (*id, least[*k])).collect(),
        };
        (group, piece)
    });
    let mut objects = joined(pieces, groups.sizes.len());
    let n_left_out = groups.sizes.iter().filter(|n| **n < params.min_voxels).count();
    objects.sort_by_key(|object| (object.class, object.number));
    let rows = if params.instances { objects } else { per_class(&ids, objects) };
    let layout = Layout {
        classes: input.classes,
        others: if params.contacts || params.distances { &ids } else { &[] },
        params,
        voxel_um,
        origin_um: input.origin_um,
        shape: [nz, ny, nx],
        labelled: found.sizes.iter().sum(),
    };
    Ok(Table {
        columns: layout.columns(),
        rows: rows.iter().map(|object| layout.row(object)).collect(),
        notes: notes(input, params, &tallies, &objects_unknown(input, &found.values), n_left_out),
    })
}

/// Ids that get a row or a column: those of the table and those that occur, in order.
fn row_classes<L: LabelId>(input: &MeasureInput<'_, L>, found: &[L]) -> Vec<u32> {
    let known = input.classes.classes.iter().map(|class| u32::from(class.id));
    let mut ids: Vec<u32> = known.chain(found.iter().map(|id| input.class(*id))).collect();
    ids.retain(|id| *id != 0);
    ids.sort_unstable();
    ids.dedup();
    ids
}

/// Objects that the table of objects lacks.
fn objects_unknown<L: LabelId>(input: &MeasureInput<'_, L>, found: &[L]) -> Vec<u32> {
    let Some(table) = input.objects else { return Vec::new() };
    let mut ids: Vec<u32> =
        found.iter().map(|id| -> u32 { (*id).into() }).filter(|id| table.class(*id).is_none()).collect();
    ids.sort_unstable();
    ids.dedup();
    ids
}

/// Which object each connected piece belongs to: each is one, or, where ids are objects, all of one id are.
struct Groups {
    /// Position of its object, by piece.
    of: Vec<usize>,
    /// Class, number and voxels, by object.
    classes: Vec<u32>,
    numbers: Vec<u64>,
    sizes: Vec<u64>,
}

impl Groups {
    fn new<L: LabelId>(input: &MeasureInput<'_, L>, found: &Components<L>, tallies: &[Tally]) -> Self {
        let mut positions: BTreeMap<L, usize> = BTreeMap::new();
        let mut groups = Self { of: Vec::new(), classes: Vec::new(), numbers: Vec::new(), sizes: Vec::new() };
        for (piece, (id, tally)) in found.values.iter().zip(tallies).enumerate() {
            let next = groups.sizes.len();
            let at = if input.objects.is_some() { *positions.entry(*id).or_insert(next) } else { piece };
            if at == next {
                groups.classes.push(input.class(*id));
                let own: u32 = (*id).into();
                groups.numbers.push(if input.objects.is_some() { u64::from(own) } else { piece as u64 + 1 });
                groups.sizes.push(0);
            }
            groups.sizes[at] += tally.n;
            groups.of.push(at);
        }
        groups
    }
}

/// The objects that pieces make up, in the order of their first pieces.
fn joined(pieces: impl Iterator<Item = (usize, Object)>, n: usize) -> Vec<Object> {
    let mut positions = vec![usize::MAX; n];
    let mut objects: Vec<Object> = Vec::new();
    for (group, piece) in pieces {
        match objects.get_mut(positions[group]) {
            Some(object) => object.join(&piece),
            None => {
                positions[group] = objects.len();
                objects.push(piece);
            }
        }
    }
    objects
}

/// What the mesh of an object says.
#[derive(Debug, Clone, Default)]
struct Shape {
    area: f64,
    volume: f64,
    /// Sphericity times mesh volume, so that rows of many objects can be weighted.
    sphericity_volume: f64,
    contacts: BTreeMap<u32, f64>,
}

impl Shape {
    fn join(&mut self, other: &Self) {
        self.area += other.area;
        self.volume += other.volume;
        self.sphericity_volume += other.sphericity_volume;
        for (id, area) in &other.contacts {
            *self.contacts.entry(*id).or_insert(0.0) += area;
        }
    }
}

/// One row to be: an object, or all objects of a class.
struct Object {
    class: u32,
    /// Number of the object; 0 for a whole class.
    number: u64,
    count: u64,
    tally: Tally,
    shape: Shape,
    distances: BTreeMap<u32, f32>,
}

impl Object {
    /// Adds the voxels of another; how many objects that makes is the caller's.
    fn join(&mut self, other: &Self) {
        self.tally.join(&other.tally);
        self.shape.join(&other.shape);
        for (id, distance) in &other.distances {
            let least = self.distances.entry(*id).or_insert(f32::INFINITY);
            *least = least.min(*distance);
        }
    }
}

fn per_class(ids: &[u32], objects: Vec<Object>) -> Vec<Object> {
    let empty = |class| Object {
        class,
        number: 0,
        count: 0,
        tally: Tally::default(),
        shape: Shape::default(),
        distances: BTreeMap::new(),
    };
    let mut classes: BTreeMap<u32, Object> = ids.iter().map(|id| (*id, empty(*id))).collect();
    for object in objects {
        let class = classes.entry(object.class).or_insert_with(|| empty(object.class));
        class.count += 1;
        class.join(&object);
    }
    classes.into_values().collect()
}

/// Meshes of the objects that are kept, for area, sphericity and contacts.
fn shapes<L: LabelId>(
    progress: &Progress,
    input: &MeasureInput<'_, L>,
    found: &Components<L>,
    tallies: &[Tally],
    kept: &[usize],
    voxel_um: [f64; 3],
) -> Result<Vec<Shape>, Cancelled> {
    progress.phase("Measuring surfaces", kept.len() as u64);
    let label_at = |zyx: [isize; 3]| {
        let index = zyx.map(usize::try_from);
        let [Ok(z), Ok(y), Ok(x)] = index else { return 0 };
        input.labels.get([z, y, x]).map_or(0, |id| input.class(*id))
    };
    kept.par_iter()
        .map(|k| {
            let number = *k as u32 + 1;
            let Tally { lo, hi, .. } = tallies[*k];
            let inside = |zyx: [usize; 3]| found.map[zyx] == number;
            let mesh = surface(progress, lo, hi, inside, label_at, SURFACE_SIGMA)?;
            let (area, volume) = (mesh.area(voxel_um), mesh.volume(voxel_um));
            progress.advance(1);
            Ok(Shape {
                area,
                volume,
                sphericity_volume: PI.cbrt() * (6.0 * volume).cbrt().powi(2) / area * volume,
                contacts: mesh.area_by_beyond(voxel_um),
            })
        })
        .collect()
}

/// Of every class that occurs: the distance from each component to it.
fn distances<L: LabelId>(
    progress: &Progress,
    input: &MeasureInput<'_, L>,
    found: &Components<L>,
    voxel_um: [f64; 3],
) -> Result<BTreeMap<u32, Vec<f32>>, Cancelled> {
    let of_piece: Vec<u32> = found.values.iter().map(|id| input.class(*id)).collect();
    let mut ids = of_piece.clone();
    ids.sort_unstable();
    ids.dedup();
    ids.retain(|id| *id != 0);
    let mut all = BTreeMap::new();
    for id in ids {
        let is_class = |piece: u32| piece != 0 && of_piece[piece as usize - 1] == id;
        let field: Array3<f32> = distance_to(progress, &found.map.view(), is_class, voxel_um)?;
        all.insert(id, nearest(progress, &found.map, found.len(), &field.view())?);
    }
    Ok(all)
}

fn notes<L>(
    input: &MeasureInput<'_, L>,
    params: &MeasureParams,
    tallies: &[Tally],
    unknown: &[u32],
    left_out: usize,
) -> Vec<String> {
    let mut notes = Vec::new();
    if input.voxel_um.is_none() {
        notes.push(
            "the voxel size is unknown: volumes, surfaces and lengths are in voxels (of the shortest edge), whatever the column says"
                .to_owned(),
        );
    }
    match input.volume {
        None => notes.push("no volume was given: the LAC columns are empty".to_owned()),
        Some(volume) => {
            if volume.unit != Unit::PerUm {
                notes.push(format!(
                    "the values of the volume are in \"{}\", not in 1/um: so are the LAC columns",
                    volume.unit.ascii()
                ));
            }
            let missing: u64 = tallies.iter().map(|tally| tally.n - tally.n_values).sum();
            if missing > 0 {
                notes.push(format!(
                    "{missing} labelled voxels have no finite value and are left out of the LAC columns"
                ));
            }
        }
    }
    if let Some(first) = unknown.first() {
        notes.push(format!(
            "{} objects are not in the table of objects, the first is {first}: their class is 0",
            unknown.len()
        ));
    }
    if left_out > 0 {
        notes.push(format!("{left_out} objects of fewer than {} voxels are left out", params.min_voxels));
    }
    if params.distances {
        notes.push(
            "distances run from voxel centre to voxel centre: one voxel where classes touch".to_owned(),
        );
    }
    notes
}

/// Where the columns come from and what fills them.
struct Layout<'a> {
    classes: &'a ClassTable,
    /// Classes that get columns of their own.
    others: &'a [u32],
    params: &'a MeasureParams,
    voxel_um: [f64; 3],
    origin_um: [f64; 3],
    shape: [usize; 3],
    /// Labelled voxels in all.
    labelled: u64,
}

/// Columns that every table has: name and unit.
const COLUMNS: [(&str, &str); 18] = [
    ("class", ""),
    ("name", ""),
    ("object", ""),
    ("voxels", ""),
    ("volume_um3", "µm³"),
    ("surface_um2", "µm²"),
    ("sphericity", ""),
    ("lac_mean_per_um", "1/µm"),
    ("lac_sd_per_um", "1/µm"),
    ("centroid_x_um", "µm"),
    ("centroid_y_um", "µm"),
    ("centroid_z_um", "µm"),
    ("n_objects", ""),
    ("lac_min_per_um", "1/µm"),
    ("lac_max_per_um", "1/µm"),
    ("equivalent_diameter_um", "µm"),
    ("fraction_of_labelled", ""),
    ("touches_border", ""),
];

impl Layout<'_> {
    fn columns(&self) -> Vec<Column> {
        let mut columns: Vec<Column> = COLUMNS.iter().map(|(name, unit)| Column::new(*name, *unit)).collect();
        if self.params.contacts {
            columns.push(Column::new("contact_0_unlabelled_um2", "µm²"));
            let named = |id: &u32| Column::new(format!("contact_{id}_{}_um2", self.slug(*id)), "µm²");
            columns.extend(self.others.iter().map(named));
        }
        if self.params.distances {
            let named = |id: &u32| Column::new(format!("distance_{id}_{}_um", self.slug(*id)), "µm");
            columns.extend(self.others.iter().map(named));
        }
        columns
    }

    /// The name of a class with letters and digits kept.
    fn slug(&self, id: u32) -> String {
        let name = class_name(self.classes, id).to_lowercase();
        let words: Vec<&str> = name.split(|c: char| !c.is_alphanumeric()).filter(|w| !w.is_empty()).collect();
        words.join("_")
    }

    fn row(&self, object: &Object) -> Vec<Cell> {
        let Object { tally, shape, .. } = object;
        let volume = tally.n as f64 * self.voxel_um.iter().product::<f64>();
        let center = tally.center();
        let world = |a: usize| Cell::from(self.origin_um[a] + center[a] * self.voxel_um[a]);
        let with_values = |value: f64| (tally.n_values > 0).then_some(value);
        let border = (0..3).any(|a| tally.lo[a] == 0 || tally.hi[a] == self.shape[a]);
        let mut row = vec![
            u64::from(object.class).into(),
            Cell::Text(class_name(self.classes, object.class)),
            object.number.into(),
            tally.n.into(),
            volume.into(),
            shape.area.into(),
            (shape.sphericity_volume / shape.volume).into(),
            with_values(tally.mean).into(),
            tally.sd().into(),
            world(2),
            world(1),
            world(0),
            object.count.into(),
            with_values(tally.min).into(),
            with_values(tally.max).into(),
            (tally.n > 0).then(|| (6.0 * volume / PI).cbrt()).into(),
            (tally.n as f64 / self.labelled as f64).into(),
            (tally.n > 0).then_some(u64::from(border)).into(),
        ];
        let own = |id: u32| id == object.class || tally.n == 0;
        if self.params.contacts {
            for id in std::iter::once(0).chain(self.others.iter().copied()) {
                let area = shape.contacts.get(&id).copied().unwrap_or(0.0);
                row.push(if own(id) { Cell::Empty } else { area.into() });
            }
        }
        if self.params.distances {
            for id in self.others {
                let distance = object.distances.get(id).map(|distance| f64::from(*distance));
                row.push(if own(*id) { Cell::Empty } else { distance.into() });
            }
        }
        row
    }
}

#[cfg(test)]
mod tests;
