//! The outcome of an operation as files of a folder.

use std::path::{Path, PathBuf};

use crate::base::Progress;
use crate::io::{self, IoError, WriteRequest};
use crate::ops::{Data, Outcome};

/// Writes what a step gave as `STEM_SLOT.mrc`, `.json`, `.csv` or `.ply`; what is only for the next step is left out.
///
/// Gives the files and what the formats could not carry.
///
/// # Errors
/// [`IoError`] of the file that could not be written.
pub fn write_outcome(
    progress: &Progress,
    folder: &Path,
    stem: &str,
    outcome: &Outcome,
) -> Result<(Vec<PathBuf>, Vec<String>), IoError> {
    let (mut written, mut losses) = (Vec::new(), Vec::new());
    for (slot, data) in &outcome.data {
        let file = |extension: &str| folder.join(format!("{stem}_{}.{extension}", slot.replace(' ', "_")));
        let mut array = |request: &WriteRequest<'_>| -> Result<PathBuf, IoError> {
            let target = file("mrc");
            losses.extend(io::write_array(&target, request, progress)?);
            Ok(target)
        };
        written.push(match data {
            Data::Volume(volume) => array(&WriteRequest::volume(volume))?,
            Data::Regions(regions) => array(&WriteRequest::regions(regions))?,
            Data::Labels(labels) => {
                let ids = labels.labels.to_dense();
                array(&WriteRequest::labels(&ids, labels.voxel_um, labels.origin_um, Some(&labels.classes)))?
            }
            Data::Alignment(alignment) => {
                io::write_alignment(&file("json"), alignment)?;
                file("json")
            }
            Data::Table(table) => {
                io::write_text(&file("csv"), &table.to_csv())?;
                file("csv")
            }
            Data::Meshes(meshes) => {
                io::write_meshes(&file("ply"), meshes)?;
                file("ply")
            }
            Data::Transform(transform) => {
                io::write_transform(&file("json"), transform)?;
                file("json")
            }
            _ => continue,
        });
    }
    Ok((written, losses))
}
