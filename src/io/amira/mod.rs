//! AmiraMesh (.am) of Amira and Avizo: uniform lattices of values and of labels with their materials.
//!
//! A head as text says the sides (`define Lattice`), a tree of parameters (bounding box, units, materials) and which
//! fields there are; their values follow behind `@1`, `@2` …, as text, big- or little-endian, packed by zlib (`HxZip`) or
//! in runs (`HxByteRLE`). The bounding box goes from the middle of the first voxel to that of the last. A label is the
//! place of its material in the list, counted from 0, whatever the `Id` beside it says. Columns run fastest. Values of
//! several bytes are packed in runs byte by byte, as they lie.

mod frame;
mod header;
mod marks;
mod materials;
#[cfg(test)]
mod tests;
mod text;
mod write;

use std::path::Path;

use self::header::{Field, MAX_ENTRIES, Said};
use super::body::{Before, Body};
use super::error::IoError;
use super::format::{ArrayEntry, Format, Header, OpenRequest, Probe, Source, WriteRequest};
use super::sidecar::Sidecar;
use super::walk::Values;
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
        let body = body(&said, path, field, said.shape().map_err(content)?)?;
        let mut source = body.open(request, "AmiraMesh")?;
        let header = source.header_mut();
        frame::place(&said, request, header);
        materials::describe(&said, field, header);
        let (entries, n) = said.flat();
        if n > entries.len() {
            header.warnings.push(format!("of {n} parameters the first {MAX_ENTRIES} are shown"));
        }
        header.metadata.extend(entries);
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
        write::bytes_of_streaming(header)
    }

    fn sidecar(&self, request: &WriteRequest<'_>) -> Sidecar {
        let rest = Sidecar::of(request).without_frame();
        if materials::hold_all(request) { rest.without_classes() } else { rest }
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

/// Where and how the values of a field lie that has so many planes, rows and columns.
fn body(said: &Said, path: &Path, field: &Field, shape: [usize; 3]) -> Result<Body, IoError> {
    let content = |problem: String| IoError::content(path, problem);
    Ok(Body {
        files: vec![path.to_owned()],
        before: Before::Skip { at: said.values_at(path, field)?, lines: 0, bytes: 0 },
        packing: said.packing(field).map_err(content)?,
        stored: field.stored().map_err(content)?,
        big_endian: said.big_endian,
        shape,
        n_together: field.n_together,
        n_times: 1,
        n_apart: 1,
        has_more: true,
    })
}
