//! Label files: ids of classes, or of objects with the table that says which class each is of.

use std::collections::BTreeSet;
use std::path::Path;

use super::array::Dtype;
use super::choice::ReadOptions;
use super::error::IoError;
use super::format::{Header, Loaded, read_array_of};
use crate::base::{MemoryBudget, Progress, Unit};
use crate::volume::{ClassTable, Ids, ObjectTable, RegionMap, Volume};

/// Class ids as read, with what the file says about them.
#[derive(Debug, Clone, PartialEq)]
pub struct LoadedLabels {
    /// The ids, with their frame.
    pub volume: Volume<u16>,
    /// The classes, where the file carries them.
    pub classes: Option<ClassTable>,
    /// What the reader had to assume or repair; shown to the user.
    pub warnings: Vec<String>,
}

/// Object ids as read.
#[derive(Debug, Clone, PartialEq)]
pub struct LoadedRegions {
    /// The ids, with their frame and their table, where the file carries one.
    pub map: RegionMap,
    /// What the reader had to assume or repair; shown to the user.
    pub warnings: Vec<String>,
}

/// What a label file holds.
#[derive(Debug, Clone, PartialEq)]
pub enum LoadedIds {
    /// Ids of classes, none above 65 535.
    Labels(LoadedLabels),
    /// Ids of objects: some are above 65 535, or the file says of which class each is.
    Regions(LoadedRegions),
}

/// Reads a label volume as class ids, with its classes where the file carries them.
///
/// -1, which files with a sign use for what is to be ignored, becomes 0; the warnings say how often.
///
/// # Errors
/// As [`read_array_of`], and where a value is no whole number from 0 to 65 535.
pub fn read_labels(
    path: &Path,
    options: &ReadOptions,
    progress: &Progress,
    budget: MemoryBudget,
) -> Result<LoadedLabels, IoError> {
    let (ids, mut header) = ids_of(path, options, progress, budget)?;
    match ids {
        Ids::Classes(ids) => {
            if let Some(table) = header.objects.take().filter(|table| !table.class_of.is_empty()) {
                let n = table.class_of.len();
                header.warnings.push(format!("{n} objects are taken as classes of their own here"));
            }
            Ok(labels_of(placed(ids, &header), header))
        }
        Ids::Regions(ids) => {
            let most = ids.iter().copied().max().unwrap_or(0);
            let problem = format!(
                "ids up to {most}: this takes ids of classes, from 0 to 65535; ids of objects are taken by measure, mesh, components, clean, split, render and resample"
            );
            Err(IoError::content(path, problem))
        }
    }
}

/// Reads ids of classes or of objects, whichever the file holds; with `objects` they are those of objects.
///
/// # Errors
/// As [`read_array_of`], and where a value is no whole number from 0 to 4 294 967 295.
pub fn read_ids(
    path: &Path,
    options: &ReadOptions,
    objects: Option<ObjectTable>,
    progress: &Progress,
    budget: MemoryBudget,
) -> Result<LoadedIds, IoError> {
    let (ids, mut header) = ids_of(path, options, progress, budget)?;
    let table = objects.or_else(|| header.objects.take());
    let ids = match ids {
        Ids::Classes(ids) if table.is_none() => {
            return Ok(LoadedIds::Labels(labels_of(placed(ids, &header), header)));
        }
        Ids::Classes(ids) => ids.mapv(u32::from),
        Ids::Regions(ids) => ids,
    };
    let table = table.or_else(|| named(header.classes.take(), &ids));
    let map = RegionMap { volume: placed(ids, &header), objects: table };
    Ok(LoadedIds::Regions(LoadedRegions { map, warnings: header.warnings }))
}

fn labels_of(volume: Volume<u16>, header: Header) -> LoadedLabels {
    LoadedLabels { volume, classes: header.classes, warnings: header.warnings }
}

fn placed<T: Clone>(ids: ndarray::Array3<T>, header: &Header) -> Volume<T> {
    let volume = Volume::new(ids, header.voxel_um, Unit::Label);
    Volume { origin_um: header.origin_um, ratios: header.ratios, ..volume }
}

/// A table in which each id is its own class, for the names that a file gives to some.
fn named(classes: Option<ClassTable>, ids: &ndarray::Array3<u32>) -> Option<ObjectTable> {
    let classes = classes.filter(|table| !table.classes.is_empty())?;
    let values = ids.as_slice().unwrap_or(&[]);
    let mut found: BTreeSet<u32> = values.chunk_by(|a, b| a == b).map(|run| run[0]).collect();
    found.remove(&0);
    Some(ObjectTable::new(found.into_iter().map(|id| (id, id)), &classes))
}

/// Largest whole number up to which float32 holds every one.
const EXACT_F32: u32 = 1 << 24;

fn ids_of(
    path: &Path,
    options: &ReadOptions,
    progress: &Progress,
    budget: MemoryBudget,
) -> Result<(Ids, Header), IoError> {
    let Loaded { array, mut header } = read_array_of(path, options, progress, budget)?;
    let (ids, ignored) = array.into_ids().map_err(|problem| IoError::content(path, problem.to_string()))?;
    if ignored > 0 {
        header
            .warnings
            .push(format!("{ignored} voxels are -1, to be ignored: they are read as unlabelled (0)"));
    }
    if let Ids::Regions(ids) = &ids
        && header.dtype == Dtype::F32
        && ids.iter().any(|id| *id > EXACT_F32)
    {
        header
            .warnings
            .push(format!("ids above {EXACT_F32} in float32: those that differ by little may be one"));
    }
    Ok((ids, header))
}

#[cfg(test)]
mod tests {
    use ndarray::Array3;

    use super::*;
    use crate::io::{WriteRequest, write_array};
    use crate::volume::AnyArray;

    fn read(path: &Path) -> Result<LoadedIds, IoError> {
        read_ids(path, &ReadOptions::default(), None, &Progress::new(), MemoryBudget::from_gib(0.1))
    }

    fn written(folder: &Path, name: &str, request: &WriteRequest<'_>) -> std::path::PathBuf {
        let path = folder.join(name);
        write_array(&path, request, &Progress::new()).unwrap();
        path
    }

    #[test]
    fn a_region_map_and_its_table_come_back_from_every_format() {
        let folder = tempfile::tempdir().unwrap();
        let data =
            Array3::from_shape_fn((3, 4, 5), |(z, y, x)| if x > 2 { 70_000 + (z * 4 + y) as u32 } else { 0 });
        let classes = ClassTable::from_names(["nucleus", "lipid droplets"]);
        let objects = ObjectTable::new((70_000..70_012).map(|id| (id, 1 + id % 2)), &classes);
        let mut volume = Volume::new(data, Some([0.03, 0.02, 0.01]), Unit::Label);
        volume.origin_um = [1.0, 2.0, 3.0];
        let map = RegionMap { volume, objects: Some(objects) };
        for name in ["a.npy", "a.tif", "a.mrc", "a.h5", "a.zarr"] {
            let path = written(folder.path(), name, &WriteRequest::regions(&map));
            let LoadedIds::Regions(found) = read(&path).unwrap() else { panic!("{name}: no regions") };
            assert_eq!(found.map.data, map.data, "{name}");
            assert_eq!(found.map.objects, map.objects, "{name}");
            for (a, b) in found.map.voxel_um.unwrap().iter().zip([0.03, 0.02, 0.01]) {
                assert!((a - b).abs() < 1e-6, "{name}");
            }
            // Where only classes are taken, objects are refused with their highest id.
            let options = ReadOptions::default();
            let refused = read_labels(&path, &options, &Progress::new(), MemoryBudget::from_gib(0.1));
            let said = refused.unwrap_err().to_string();
            assert!(said.contains("70011"), "{name}: {said}");
            // A copy keeps the table, in whatever format.
            let copy = folder.path().join(format!("copy_of_{name}.zarr"));
            crate::io::convert(&path, &copy, &options, &Progress::new(), MemoryBudget::from_gib(0.1))
                .unwrap();
            let LoadedIds::Regions(copied) = read(&copy).unwrap() else { panic!("{name}: no regions") };
            assert_eq!(copied.map.objects, map.objects, "{name} as Zarr");
        }
        // Written again without a table: the old one must not lie about the new ids.
        for name in ["a.npy", "a.tif", "a.mrc", "a.h5", "a.zarr"] {
            let path = written(folder.path(), name, &WriteRequest::volume(&map.volume));
            let LoadedIds::Regions(found) = read(&path).unwrap() else { panic!("{name}: no regions") };
            assert_eq!(found.map.objects, None, "{name}");
        }
    }

    #[test]
    fn ids_of_any_type_are_read_and_what_is_ignored_is_counted() {
        let folder = tempfile::tempdir().unwrap();
        let base = Array3::from_shape_vec((1, 1, 4), vec![0i32, 5, -1, 70_000]).unwrap();
        for array in [
            AnyArray::I32(base.clone()),
            AnyArray::F32(base.mapv(|v| v as f32)),
            AnyArray::F64(base.mapv(f64::from)),
        ] {
            let path = written(folder.path(), "a.npy", &WriteRequest::new(&array));
            let LoadedIds::Regions(found) = read(&path).unwrap() else { panic!("no regions") };
            assert_eq!(found.map.data.as_slice().unwrap(), [0, 5, 0, 70_000]);
            assert!(found.warnings[0].starts_with("1 voxels are -1"), "{:?}", found.warnings);
        }
        let small = AnyArray::I16(base.mapv(|v| v.min(300) as i16));
        let path = written(folder.path(), "a.mrc", &WriteRequest::new(&small));
        let LoadedIds::Labels(found) = read(&path).unwrap() else { panic!("no labels") };
        assert_eq!(found.volume.data.as_slice().unwrap(), [0, 5, 0, 300]);
        let rounded = Array3::from_elem((1, 1, 1), 33_554_432.0f32);
        let LoadedIds::Regions(found) =
            read(&written(folder.path(), "b.npy", &WriteRequest::new(&rounded))).unwrap()
        else {
            panic!("no regions")
        };
        assert!(found.warnings[0].contains("16777216"), "{:?}", found.warnings);
        let half = Array3::from_elem((1, 1, 1), 0.5f32);
        let said = read(&written(folder.path(), "c.tif", &WriteRequest::new(&half))).unwrap_err().to_string();
        assert!(said.contains("0.5") && said.contains("(0, 0, 0)"), "{said}");
    }
}
