//! AmiraMesh (.am) of Amira and Avizo: uniform lattices of values and of labels with their materials.
//!
//! A head as text says the sides (`define Lattice`), a tree of parameters (bounding box, units, materials) and which
//! fields there are; their values follow behind `@1`, `@2` …, as text, big- or little-endian, packed by zlib (`HxZip`) or
//! in runs (`HxByteRLE`). The bounding box goes from the middle of the first voxel to that of the last. A label is the
//! place of its material in the list, counted from 0, whatever the `Id` beside it says. Columns run fastest.

mod header;
mod materials;
#[cfg(test)]
mod tests;
mod write;

use std::path::Path;

use self::header::Said;
use super::body::{Before, Body};
use super::error::IoError;
use super::format::{ArrayEntry, Format, Header, OpenRequest, Probe, Source, WriteRequest};
use super::lengths::um_per;
use super::sidecar::Sidecar;
use super::walk::{Values, bytes_of_views};
use crate::base::Progress;

/// The format.
pub(crate) struct Amira;

impl Format for Amira {
    fn name(&self) -> &'static str {
        "AmiraMesh"
    }

    fn extensions(&self) -> &'static [&'static str] {
        &["am"]
    }

    fn sniff(&self, probe: &Probe) -> bool {
        let first = probe.head.split(|byte| *byte == b'\n').next().unwrap_or_default();
        let first = String::from_utf8_lossy(first);
        first.starts_with('#')
            && ["AmiraMesh", "Avizo", "HyperSurface"].iter().any(|name| first.contains(name))
    }

    fn has_tree(&self) -> bool {
        true
    }

    fn arrays(&self, path: &Path) -> Result<Vec<ArrayEntry>, IoError> {
        let said = Said::read(path)?;
        let shape = said.shape().map_err(|problem| IoError::content(path, problem))?;
        Ok(said
            .on_lattice()
            .map(|field| ArrayEntry {
                path: field.name.clone(),
                shape: shape.to_vec(),
                dtype: field.type_name.clone(),
                note: String::new(),
            })
            .collect())
    }

    fn open(&self, request: &OpenRequest<'_>) -> Result<Box<dyn Source>, IoError> {
        let path = request.path;
        let content = |problem: String| IoError::content(path, problem);
        let said = Said::read(path)?;
        let (field, guessed) = said.chosen(request.options.dataset.as_deref()).map_err(content)?;
        let at = said.values_at(path, field)?;
        let body = Body {
            files: vec![path.to_owned()],
            before: Before::Skip { at, lines: 0, bytes: 0 },
            packing: said.packing(field).map_err(content)?,
            stored: field.stored().map_err(content)?,
            big_endian: said.big_endian,
            shape: said.shape().map_err(content)?,
            n_together: field.n_together,
            n_times: 1,
            n_apart: 1,
            has_more: true,
        };
        let mut source = body.open(request, "AmiraMesh")?;
        let header = source.header_mut();
        place(&said, header);
        materials::describe(&said, field, header);
        for (key, value) in said.flat() {
            header.metadata.insert(key, value);
        }
        if let Some(others) = guessed {
            header.warnings.push(format!(
                "{} was read, the first field; the file also holds {others} (--dataset reads another)",
                field.name
            ));
            header.guessed.dataset = Some(field.name.clone());
        }
        Ok(source)
    }

    fn bytes_of_streaming(&self, header: &Header) -> Option<u64> {
        bytes_of_views(header)
    }

    fn sidecar(&self, request: &WriteRequest<'_>) -> Sidecar {
        Sidecar::of(request)
    }

    fn write(
        &self,
        path: &Path,
        values: Values<'_>,
        request: &WriteRequest<'_>,
        progress: &Progress,
    ) -> Result<Vec<String>, IoError> {
        write::write(path, values, request, progress)
    }
}

/// Edges and place from the bounding box.
fn place(said: &Said, header: &mut Header) {
    let kind = said.text(&["CoordType"]).unwrap_or("uniform").to_lowercase();
    if kind != "uniform" {
        header.warnings.push(format!(
            "the file has {kind} coordinates, whose planes need not be evenly apart: they were not read, the voxel size is unknown"
        ));
        return;
    }
    let Ok([x0, x1, y0, y1, z0, z1]) = <[f64; 6]>::try_from(said.numbers(&["BoundingBox"])) else {
        header.warnings.push("the file has no bounding box: the voxel size is unknown".to_owned());
        return;
    };
    let [nz, ny, nx] = header.shape;
    let n = [nz + header.missing_planes, ny, nx];
    let spans = [z1 - z0, y1 - y0, x1 - x0];
    let edge =
        |axis: usize| (n[axis] > 1).then(|| spans[axis] / (n[axis] - 1) as f64).filter(|edge| *edge > 0.0);
    // Of a single plane the box says nothing but its place.
    let edges: [Option<f64>; 3] = std::array::from_fn(edge);
    let any = edges[2].or(edges[1]).or(edges[0]);
    let Some(any) = any.filter(|edge| edge.is_finite()) else { return };
    let edges = edges.map(|edge| edge.unwrap_or(any)).map(short);
    let units =
        said.text(&["Units", "Coordinates"]).or(said.text(&["Units", "coordinates"])).unwrap_or_default();
    match um_per(units) {
        Some(um) => {
            header.voxel_um = Some(edges.map(|edge| short(edge * um)));
            header.origin_um = [z0, y0, x0].map(|at| short(at * um));
        }
        None => {
            let shortest = edges.iter().copied().fold(f64::INFINITY, f64::min);
            header.ratios = Some(edges.map(|edge| edge / shortest));
        }
    }
}

/// Without the last digits that a quotient of single precision leaves.
fn short(value: f64) -> f64 {
    format!("{value:.6e}").parse().unwrap_or(value)
}
