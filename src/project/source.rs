//! Files that layers are read from: they stay where they are and are referenced by path, size, date and hash.

use std::fs::{self, File};
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use serde::{Deserialize, Serialize};

use super::layer::{Content, LabelLayer};
use crate::base::{MemoryBudget, Progress, Unit};
use crate::io::{self, IoError, TiltAxis};
use crate::ops::Data;
use crate::volume::{ClassTable, Labels, Pyramid};

/// Bytes at each end of a file that its checksum covers.
const HASHED_BYTES: u64 = 1 << 20;

/// What a file is to be read as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Raw frames of a tilt series.
    Scan,
    /// A reconstructed volume or another image stack.
    #[default]
    Volume,
    /// Class ids.
    Labels,
    /// A trained classifier.
    Classifier,
}

/// What the user says about a scan where its files do not.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ScanOptions {
    /// A file of angles, or `START:STEP` in degrees.
    pub angles: Option<String>,
    /// Flat-field frames.
    pub flat: Option<PathBuf>,
    /// Dark frames.
    pub dark: Option<PathBuf>,
    /// Pixel size at the sample in µm.
    pub pixel_um: Option<f64>,
    /// What the values are; `None` lets the reader decide.
    pub input: Option<Unit>,
    /// How the tilt axis lies in the pictures.
    pub tilt_axis: TiltAxis,
    /// In which order the views are kept.
    pub order: io::ViewOrder,
    /// Which part of the file is read, where it holds several.
    #[serde(skip_serializing_if = "io::ReadOptions::is_empty")]
    pub read: io::ReadOptions,
}

impl ScanOptions {
    fn for_reader(&self) -> Result<io::ScanOptions, IoError> {
        Ok(io::ScanOptions {
            angles: self.angles.as_deref().map(str::parse).transpose()?,
            flat: self.flat.clone(),
            dark: self.dark.clone(),
            pixel_um: self.pixel_um,
            input: self.input.and_then(|unit| match unit {
                Unit::Counts => Some(io::ScanInput::Counts),
                Unit::Transmission => Some(io::ScanInput::Transmission),
                Unit::Absorbance => Some(io::ScanInput::Absorbance),
                _ => None,
            }),
            tilt_axis: self.tilt_axis,
            order: self.order,
            read: self.read.clone(),
        })
    }
}

/// Which part of a file with levels a layer holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourcePart {
    /// The level, 0 the finest.
    pub level: usize,
    /// First voxel and number of voxels (z, y, x) of what was read of it; `None` for all, and finer levels are shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<([usize; 3], [usize; 3])>,
}

/// A file that a layer was read from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SourceFile {
    /// Where it lies, absolute.
    pub path: PathBuf,
    /// The same from the folder of the project, where both lie in one place that may move together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub relative: Option<PathBuf>,
    /// Length in bytes when it was read; of a folder that of all files in it (0 where that was not noted).
    pub size: u64,
    /// Time of last change when it was read, in seconds since 1970.
    pub modified_secs: u64,
    /// Checksum (CRC-32) of its first and last MiB when it was read; of a folder of names and lengths, and of the small files.
    pub hash: u32,
    /// What it was read as.
    #[serde(default)]
    pub role: Role,
    /// What the user said about it.
    #[serde(default)]
    pub options: ScanOptions,
    /// Which part of it; `None` for all, or for as much as memory allows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part: Option<SourcePart>,
}

/// What was read of a file.
#[derive(Debug)]
pub struct SourceContent {
    /// The content of the new layer.
    pub content: Content,
    /// Classes of a label volume, where the file carries them.
    pub classes: Option<ClassTable>,
    /// What the reader had to assume.
    pub warnings: Vec<String>,
    /// The levels of the file, where the content is one of them.
    pub pyramid: Option<Arc<Pyramid>>,
    /// Which part of the file it is, where it is not all.
    pub part: Option<SourcePart>,
    /// Which of several channels, times, entries or arrays it is, in words.
    pub part_read: Option<String>,
}

impl SourceContent {
    fn whole(content: Content, classes: Option<ClassTable>, warnings: Vec<String>) -> Self {
        Self { content, classes, warnings, pyramid: None, part: None, part_read: None }
    }
}

impl SourceFile {
    /// Notes what a file is now.
    ///
    /// # Errors
    /// The system's error where it cannot be read.
    pub fn of(path: &Path, role: Role, options: ScanOptions) -> std::io::Result<Self> {
        let path = std::path::absolute(path)?;
        let meta = fs::metadata(&path)?;
        let modified_secs = meta
            .modified()
            .ok()
            .and_then(|time| time.duration_since(UNIX_EPOCH).ok())
            .map_or(0, |since| since.as_secs());
        let (size, hash) =
            if meta.is_file() { (meta.len(), hash_of(&path, meta.len())?) } else { of_folder(&path)? };
        Ok(Self { path, relative: None, size, modified_secs, hash, role, options, part: None })
    }

    /// The path as a project in `folder` keeps it.
    pub(super) fn seen_from(&self, folder: &Path) -> Self {
        let base = folder.parent().and_then(|parent| std::path::absolute(parent).ok());
        let relative = base
            .and_then(|base| self.path.strip_prefix(base).ok().map(Path::to_owned))
            .map(|below| Path::new("..").join(below));
        Self { relative, ..self.clone() }
    }

    /// Where the file is for a project in `folder`: beside it if it moved along, else where it was.
    pub(super) fn found_from(mut self, folder: &Path) -> Self {
        let beside = self.relative.as_ref().map(|relative| folder.join(relative));
        if let Some(path) = beside.filter(|path| path.exists())
            && let Ok(path) = path.canonicalize()
        {
            self.path = path;
        }
        self
    }

    /// One sentence where the file is not what it was when it was read.
    pub fn change(&self) -> Option<String> {
        let now = Self::of(&self.path, self.role, ScanOptions::default()).ok()?;
        // Projects of before did not note what was in a folder.
        let is_known = (self.size, self.hash) != (0, 0);
        (is_known && (now.size, now.hash) != (self.size, self.hash)).then(|| {
            format!(
                "{} has changed since it was read ({} bytes then, {} now); results made from it before are as they were",
                self.path.display(),
                self.size,
                now.size
            )
        })
    }

    /// Reads the file.
    ///
    /// # Errors
    /// The sentence of the reader.
    pub fn read(&self, progress: &Progress, budget: MemoryBudget) -> Result<SourceContent, IoError> {
        let path = &self.path;
        let content = match self.role {
            Role::Scan => {
                let scan = io::read_scan(path, &self.options.for_reader()?, progress, budget)?;
                let warnings = scan.warnings.clone();
                SourceContent::whole(Content::Scan(Arc::new(scan)), None, warnings)
            }
            Role::Volume => return self.read_volume(progress, budget),
            Role::Labels => self.read_labels(progress, budget)?,
            Role::Classifier => {
                let (classifier, classes) = io::read_model(path)?;
                let content = Content::Other(Data::Classifier(Arc::new(classifier)));
                SourceContent::whole(content, Some(classes), Vec::new())
            }
        };
        Ok(SourceContent { part_read: self.part_read(), ..content })
    }

    /// Which of several parts was chosen, in words; a file of which nothing was chosen is not opened for it.
    fn part_read(&self) -> Option<String> {
        let read = &self.options.read;
        let header = (!read.is_empty()).then(|| io::read_header_of(&self.path, read).ok()).flatten()?;
        read.part_of(&header)
    }

    fn read_labels(&self, progress: &Progress, budget: MemoryBudget) -> Result<SourceContent, IoError> {
        let loaded = match io::read_ids(&self.path, &self.options.read, None, progress, budget)? {
            io::LoadedIds::Labels(loaded) => loaded,
            io::LoadedIds::Regions(io::LoadedRegions { map, warnings }) => {
                return Ok(SourceContent::whole(Content::Regions(Arc::new(map)), None, warnings));
            }
        };
        let io::LoadedLabels { volume, classes, warnings } = loaded;
        let labels = Labels::from_dense(&volume.data);
        let classes = classes.unwrap_or_default().with_ids(labels.ids());
        let (voxel_um, origin_um) = (volume.voxel_um, volume.origin_um);
        let layer = LabelLayer::new(labels, voxel_um, origin_um);
        let content = Content::Labels(LabelLayer { ratios: volume.ratios, ..layer });
        Ok(SourceContent::whole(content, Some(classes), warnings))
    }

    fn read_volume(&self, progress: &Progress, budget: MemoryBudget) -> Result<SourceContent, IoError> {
        let (path, read) = (&self.path, &self.options.read);
        let header = io::read_header_of(path, read)?;
        let part_read = read.part_of(&header);
        if (self.part.is_some() || io::is_beyond(&header, budget))
            && let Some(levels) =
                io::open_levels(path, read, &header, self.part.map(|part| part.level), budget)?
        {
            return Ok(SourceContent { part_read, ..self.read_level(levels, progress, budget)? });
        }
        let loaded = io::read_array_of(path, read, progress, budget)?;
        let warnings = loaded.header.warnings.clone();
        let mut volume = loaded.into_volume();
        if volume.voxel_um.is_none()
            && let Some(pixel) = self.options.pixel_um
        {
            volume.voxel_um = Some([pixel; 3]);
        }
        let content = Content::Volume(Arc::new(volume));
        Ok(SourceContent { part_read, ..SourceContent::whole(content, None, warnings) })
    }

    /// Reads a level, or a part of one, of a file with levels.
    fn read_level(
        &self,
        mut levels: io::Levels,
        progress: &Progress,
        budget: MemoryBudget,
    ) -> Result<SourceContent, IoError> {
        if levels.header.voxel_um.is_none()
            && let Some(pixel) = self.options.pixel_um
        {
            levels.header.voxel_um = Some([pixel; 3]);
        }
        let level = levels.pyramid.working();
        let region = self.part.and_then(|part| part.region);
        let volume = levels.read(&self.path, level, region, progress, budget)?;
        let mut warnings = levels.header.warnings.clone();
        let coarseness = levels.pyramid.coarseness(level);
        let [z, y, x] = volume.shape();
        if region.is_none() && level > 0 {
            warnings.push(format!(
                "Opened by levels: 1/{coarseness} of the resolution ({z} × {y} × {x}) is in memory, and what is done is done \
                 on it; finer voxels are read as they are shown"
            ));
            if levels.is_picked {
                warnings.push(format!(
                    "the file has no levels of its own: one of {coarseness} voxels along an axis is picked as it is; a pyramid (.zarr) has means, \
                     with less noise"
                ));
            }
        }
        Ok(SourceContent {
            content: Content::Volume(Arc::new(volume)),
            classes: None,
            warnings,
            part: Some(SourcePart { level, region }),
            pyramid: (region.is_none() && level > 0).then(|| levels.into()),
            part_read: None,
        })
    }
}

/// Files of a folder that are looked at: a pyramid may have millions, and its description comes first.
const MOST_FILES: usize = 5000;
/// Files of a folder whose content counts at most, and the longest of them.
const MOST_READ: usize = 64;
const SMALL_FILE: u64 = 1 << 16;

/// Whether an entry of a folder is no part of what was read: labels that were put beside an image, what systems leave.
fn is_aside(name: &str) -> bool {
    name == "labels" || name == "Thumbs.db" || (name.starts_with('.') && !name.starts_with(".z"))
}

/// Length and checksum of what lies in a folder.
fn of_folder(path: &Path) -> std::io::Result<(u64, u32)> {
    let (mut size, mut n, mut n_read, mut hasher) = (0u64, 0, 0, crc32fast::Hasher::new());
    let mut folders = std::collections::VecDeque::from([path.to_owned()]);
    while let Some(folder) = folders.pop_front() {
        let mut entries: Vec<_> = fs::read_dir(&folder)?.filter_map(Result::ok).collect();
        entries.sort_by_key(fs::DirEntry::file_name);
        for entry in entries {
            let is_aside = is_aside(&entry.file_name().to_string_lossy());
            let Some(meta) = entry.metadata().ok().filter(|_| !is_aside) else { continue };
            n += 1;
            if n > MOST_FILES {
                return Ok((size, hasher.finalize()));
            }
            hasher.update(entry.file_name().as_encoded_bytes());
            if meta.is_dir() {
                folders.push_back(entry.path());
            } else if meta.is_file() {
                size = size.saturating_add(meta.len());
                hasher.update(&meta.len().to_le_bytes());
                if meta.len() <= SMALL_FILE && n_read < MOST_READ {
                    n_read += 1;
                    hasher.update(&fs::read(entry.path())?);
                }
            }
        }
    }
    Ok((size, hasher.finalize()))
}

fn hash_of(path: &Path, size: u64) -> std::io::Result<u32> {
    let mut file = File::open(path)?;
    let mut hasher = crc32fast::Hasher::new();
    let mut bytes = Vec::new();
    (&mut file).take(HASHED_BYTES).read_to_end(&mut bytes)?;
    hasher.update(&bytes);
    if size > HASHED_BYTES {
        bytes.clear();
        file.seek(SeekFrom::Start(size.saturating_sub(HASHED_BYTES).max(HASHED_BYTES)))?;
        file.read_to_end(&mut bytes)?;
        hasher.update(&bytes);
    }
    Ok(hasher.finalize())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_whose_files_change_is_known_and_labels_put_beside_are_no_change() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cell.zarr");
        fs::create_dir_all(path.join("0/c/0")).unwrap();
        fs::write(path.join("zarr.json"), "{}").unwrap();
        fs::write(path.join("0/c/0/0"), [1, 2, 3]).unwrap();
        let source = SourceFile::of(&path, Role::Volume, ScanOptions::default()).unwrap();
        assert_eq!((source.size, source.change()), (5, None));
        fs::create_dir_all(path.join("labels/cell")).unwrap();
        fs::write(path.join("labels/cell/zarr.json"), "{}").unwrap();
        assert_eq!(source.change(), None);
        fs::write(path.join("0/c/0/0"), [1, 2, 4]).unwrap();
        assert!(source.change().unwrap().contains("has changed"));
        let of_before = SourceFile { size: 0, hash: 0, ..source };
        assert_eq!(of_before.change(), None, "nothing was noted then");
    }
}
