//! Which voxels a mesh is of: classes, or the objects of a map.

use std::collections::BTreeMap;

use ndarray::{ArrayView3, Axis};
use rayon::prelude::*;

use super::taubin::{inflate, smoothed};
use super::{Frame, Mesh, MeshError, MeshParams};
use crate::base::{Cancelled, Progress};
use crate::kernels::components::{Connectivity, components};
use crate::kernels::surface::surface;
use crate::volume::classes::palette_color;
use crate::volume::{Class, LabelId, RegionMap};

/// A box `lo..hi` (z, y, x) and the voxels of a region in it.
#[derive(Debug, Clone, Copy)]
struct Extent {
    lo: [usize; 3],
    hi: [usize; 3],
    n: u64,
}

impl Extent {
    fn join(&mut self, other: &Self) {
        self.lo = std::array::from_fn(|k| self.lo[k].min(other.lo[k]));
        self.hi = std::array::from_fn(|k| self.hi[k].max(other.hi[k]));
        self.n += other.n;
    }
}

/// The extents of all ids but the default one, run by run.
fn extents<T: LabelId>(
    progress: &Progress,
    map: &ArrayView3<'_, T>,
) -> Result<BTreeMap<T, Extent>, Cancelled> {
    let slices = (0..map.dim().0)
        .into_par_iter()
        .map(|z| {
            progress.check()?;
            let mut found: BTreeMap<T, Extent> = BTreeMap::new();
            for (y, row) in map.index_axis(Axis(0), z).outer_iter().enumerate() {
                let mut x = 0;
                while x < row.len() {
                    let id = row[x];
                    let begin = x;
                    while x < row.len() && row[x] == id {
                        x += 1;
                    }
                    if id != T::default() {
                        let run = Extent { lo: [z, y, begin], hi: [z + 1, y + 1, x], n: (x - begin) as u64 };
                        found.entry(id).and_modify(|known| known.join(&run)).or_insert(run);
                    }
                }
            }
            Ok(found)
        })
        .collect::<Result<Vec<_>, Cancelled>>()?;
    let mut all: BTreeMap<T, Extent> = BTreeMap::new();
    for (id, extent) in slices.into_iter().flatten() {
        all.entry(id).and_modify(|known| known.join(&extent)).or_insert(extent);
    }
    Ok(all)
}

/// Part of the volume that may be missing before a surface is smoothed less.
const TOLERANCE: f64 = 0.01;

/// The surface of one region; progress advances by two and one a round of smoothing.
fn mesh_of(
    progress: &Progress,
    extent: &Extent,
    inside: impl Fn([usize; 3]) -> bool + Sync,
    frame: Frame,
    params: &MeshParams,
    name: &str,
) -> Result<Mesh, MeshError> {
    let surface = surface(progress, extent.lo, extent.hi, inside, |_| 0, params.smoothing_voxels)?;
    progress.advance(2);
    if u32::try_from(surface.vertices.len()).is_err() {
        return Err(MeshError::TooLarge { name: name.to_owned() });
    }
    let mut rounds = params.iterations;
    let mut best: Option<(f64, Vec<[f32; 3]>)> = None;
    loop {
        let quiet = progress.part();
        let reports = if best.is_none() { progress } else { &quiet };
        let mut vertices = smoothed(reports, surface.vertices.clone(), &surface.triangles, rounds)?;
        let missing = inflate(&mut vertices, &surface.triangles, extent.n as f64).abs();
        if best.as_ref().is_none_or(|(least, _)| missing < *least) {
            best = Some((missing, vertices));
        }
        // What is as thin as a voxel loses too much by smoothing: fewer rounds keep it.
        if missing <= TOLERANCE || rounds == 0 {
            break;
        }
        rounds /= 2;
    }
    let mut vertices = best.map(|(_, vertices)| vertices).unwrap_or_default();
    vertices.iter_mut().for_each(|v| *v = frame.place(*v));
    Ok(Mesh {
        name: name.to_owned(),
        vertices,
        triangles: surface.triangles,
        voxel_volume_um3: extent.n as f64 * frame.voxel_um.iter().product::<f64>(),
        ..Mesh::default()
    })
}

/// The meshes of those of `classes` that occur in `labels` (z, y, x), in their order.
///
/// # Errors
/// [`MeshError`].
pub fn mesh_classes(
    progress: &Progress,
    labels: &ArrayView3<'_, u16>,
    classes: &[Class],
    frame: Frame,
    params: &MeshParams,
) -> Result<Vec<Mesh>, MeshError> {
    params.check()?;
    let found = extents(progress, labels)?;
    let mut meshes = Vec::new();
    for class in classes {
        let Some(extent) = found.get(&class.id) else { continue };
        progress.phase(&format!("Mesh of {}", class.name), 2 + u64::from(params.iterations));
        let inside = |[z, y, x]: [usize; 3]| labels[[z, y, x]] == class.id;
        let mesh = mesh_of(progress, extent, inside, frame, params, &class.name)?;
        meshes.push(Mesh { class: class.id, color: class.color, ..mesh });
    }
    Ok(meshes)
}

/// The meshes of the connected objects of `classes` in `labels`, whose voxels meet at faces, edges or corners.
///
/// The number of an object is that of the table of measures. Objects of fewer voxels than `params` allows are left out.
///
/// # Errors
/// [`MeshError`].
pub fn mesh_objects(
    progress: &Progress,
    labels: &ArrayView3<'_, u16>,
    classes: &[Class],
    frame: Frame,
    params: &MeshParams,
) -> Result<Vec<Mesh>, MeshError> {
    params.check()?;
    let found = components(progress, labels, Connectivity::Corners)?;
    mesh_regions(progress, &found.map.view(), labels, classes, frame, params)
}

/// The meshes of the objects of a map (0 outside) on the grid of `labels`, each of the class that its first voxel has.
///
/// Objects without one of `classes` or of fewer voxels than `params` allows are left out. Each has a colour of its own.
///
/// # Errors
/// [`MeshError`].
pub fn mesh_regions(
    progress: &Progress,
    map: &ArrayView3<'_, u32>,
    labels: &ArrayView3<'_, u16>,
    classes: &[Class],
    frame: Frame,
    params: &MeshParams,
) -> Result<Vec<Mesh>, MeshError> {
    params.check()?;
    if map.dim() != labels.dim() {
        let shape = |(z, y, x): (usize, usize, usize)| [z, y, x];
        return Err(MeshError::Shape { found: shape(map.dim()), expected: shape(labels.dim()) });
    }
    let found: Vec<(u32, Extent, &Class)> = extents(progress, map)?
        .into_iter()
        .filter(|(_, extent)| extent.n >= params.min_voxels)
        .filter_map(|(id, extent)| {
            let [z, y, _] = extent.lo;
            // The first slice of the box has a voxel of the object, in one of its rows.
            let class = (y..extent.hi[1])
                .flat_map(|y| (extent.lo[2]..extent.hi[2]).map(move |x| [z, y, x]))
                .find(|at| map[*at] == id)
                .map(|at| labels[at])?;
            Some((id, extent, classes.iter().find(|known| known.id == class)?))
        })
        .collect();
    let objects = found.into_iter().map(|(id, extent, class)| {
        let mesh = Mesh {
            name: format!("{} {id}", class.name),
            class: class.id,
            object: Some(id),
            color: palette_color(id as usize - 1),
            ..Mesh::default()
        };
        (id, extent, mesh)
    });
    each(progress, map, objects.collect(), frame, params)
}

/// The meshes of the objects of a region map by themselves, each of the class that its table gives it; without a table each
/// id is a class of its own, with its name.
///
/// Objects of fewer voxels than `params` allows are left out where there is a table. Each has a colour of its own.
///
/// # Errors
/// [`MeshError`].
pub fn mesh_region_map(
    progress: &Progress,
    map: &RegionMap,
    frame: Frame,
    params: &MeshParams,
) -> Result<Vec<Mesh>, MeshError> {
    params.check()?;
    let ids = map.data.view();
    let objects = extents(progress, &ids)?
        .into_iter()
        .filter(|(_, extent)| map.objects.is_none() || extent.n >= params.min_voxels)
        .map(|(id, extent)| {
            let class = u16::try_from(map.class(id)).unwrap_or(0);
            let name = match &map.objects {
                Some(table) => format!("{} {id}", table.class_name(map.class(id))),
                None => format!("class {id}"),
            };
            let color = palette_color(id as usize - 1);
            (id, extent, Mesh { name, class, object: Some(id), color, ..Mesh::default() })
        })
        .collect();
    each(progress, &ids, objects, frame, params)
}

/// The meshes of some objects of a map, each with the name, class and colour given.
fn each(
    progress: &Progress,
    map: &ArrayView3<'_, u32>,
    objects: Vec<(u32, Extent, Mesh)>,
    frame: Frame,
    params: &MeshParams,
) -> Result<Vec<Mesh>, MeshError> {
    progress.phase("Meshes of objects", objects.len() as u64);
    objects
        .into_par_iter()
        .map(|(id, extent, named)| {
            let inside = |[z, y, x]: [usize; 3]| map[[z, y, x]] == id;
            let mesh = mesh_of(&progress.part(), &extent, inside, frame, params, &named.name)?;
            progress.advance(1);
            Ok(Mesh { class: named.class, object: named.object, color: named.color, ..mesh })
        })
        .collect()
}
