//! `NAME.EXT.json` beside a file whose format cannot hold voxel size, unit or classes.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::atomic::write_atomically;
use super::error::IoError;
use super::format::{Header, WriteRequest};
use crate::base::Unit;
use crate::volume::{ClassTable, ObjectTable};

/// What a header says beyond shape and type; also the text that a TIFF carries in its description.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Sidecar {
    /// Version of the layout, 1.
    #[serde(rename = "waterwindow_sidecar")]
    version: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    voxel_um: Option<[f64; 3]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    origin_um: Option<[f64; 3]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    unit: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    energy_ev: Option<f64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    angles_deg: Vec<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    classes: Option<ClassTable>,
    #[serde(skip_serializing_if = "Option::is_none")]
    objects: Option<ObjectTable>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    metadata: BTreeMap<String, String>,
}

impl Sidecar {
    /// Everything that a request says beside the values.
    pub(crate) fn of(request: &WriteRequest<'_>) -> Self {
        Self {
            version: 1,
            voxel_um: request.voxel_um,
            origin_um: request.voxel_um.map(|_| request.origin_um),
            unit: request.unit.map(|unit| unit.ascii().to_owned()),
            energy_ev: request.energy_ev,
            angles_deg: request.angles_deg.clone(),
            classes: request.classes.cloned(),
            objects: request.objects.cloned(),
            metadata: request.metadata.clone(),
        }
    }

    /// Only classes and objects: for formats that hold the rest themselves.
    pub(crate) fn classes_of(request: &WriteRequest<'_>) -> Self {
        Self { classes: request.classes.cloned(), ..Self::objects_of(request) }
    }

    /// Only the table of objects: for formats that hold the rest themselves.
    pub(crate) fn objects_of(request: &WriteRequest<'_>) -> Self {
        Self { version: 1, objects: request.objects.cloned(), ..Self::default() }
    }

    /// The same without the table of objects, which is written elsewhere.
    pub(crate) fn without_objects(self) -> Self {
        Self { objects: None, ..self }
    }

    /// The same without voxel size and place: for formats that hold these, and whose files other programs change.
    pub(crate) fn without_frame(self) -> Self {
        Self { voxel_um: None, origin_um: None, ..self }
    }

    /// The same without classes: for formats that hold all that is said of them.
    pub(crate) fn without_classes(self) -> Self {
        Self { classes: None, ..self }
    }

    /// Leaves out a table of objects that would not be read again, and says so.
    pub(crate) fn drop_what_is_too_long(&mut self) -> Option<String> {
        let n = self.objects.as_ref().map_or(0, |table| table.class_of.len());
        if n <= MOST_OBJECTS {
            return None;
        }
        self.objects = None;
        Some(format!(
            "the classes of {n} objects are not kept, {MOST_OBJECTS} at most are: write them with --table and give that to measure as --objects"
        ))
    }

    /// Whether nothing is said.
    pub(crate) fn is_empty(&self) -> bool {
        *self == Self { version: self.version, ..Self::default() }
    }

    /// Lets a header say what the sidecar says.
    pub(crate) fn apply(self, header: &mut Header) {
        let fine = |v: &[f64; 3]| v.iter().all(|v| v.is_finite());
        if let Some(voxel) = self.voxel_um.filter(fine).filter(|v| v.iter().all(|v| *v > 0.0)) {
            header.voxel_um = Some(voxel);
            header.ratios = None;
            header.origin_um = self.origin_um.filter(fine).unwrap_or_default();
        }
        if let Some(unit) = self.unit.as_deref().and_then(Unit::from_ascii) {
            header.set_unit(unit);
        }
        header.energy_ev = self.energy_ev.filter(|e| e.is_finite()).or(header.energy_ev);
        if self.angles_deg.len() == header.shape[0] {
            header.angles_deg = self.angles_deg;
        }
        let ids = |table: &ClassTable| table.classes.iter().map(|class| class.id).collect::<Vec<_>>();
        if let (Some(own), Some(beside)) = (&header.classes, &self.classes)
            && ids(own) != ids(beside)
        {
            header.warnings.push(
                "the classes of the file and those that this program noted with it have other ids: the noted ones were taken; if another program changed the file, remove the note (NAME.EXT.json beside it)"
                    .to_owned(),
            );
        }
        header.classes = self.classes.or(header.classes.take());
        header.objects = self.objects.or(header.objects.take());
        header.metadata.extend(self.metadata);
    }

    /// As JSON of ASCII characters only; others are escaped.
    pub(crate) fn to_ascii_json(&self) -> String {
        let json = serde_json::to_string(self).unwrap_or_default();
        let mut ascii = String::with_capacity(json.len());
        for c in json.chars() {
            if c.is_ascii() {
                ascii.push(c);
            } else {
                let mut units = [0; 2];
                c.encode_utf16(&mut units).iter().for_each(|unit| ascii.push_str(&format!("\\u{unit:04x}")));
            }
        }
        ascii
    }
}

/// The name of the sidecar of a file.
pub(crate) fn sidecar_path(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".json");
    PathBuf::from(name)
}

/// Largest sidecar that is read.
const MAX_BYTES: u64 = 64 << 20;
/// Most objects whose classes are kept: two numbers and two commas each fit into the largest sidecar.
const MOST_OBJECTS: usize = 2_500_000;

/// The sidecar of a file, if there is one; an unreadable one becomes a warning of the header.
pub(crate) fn apply_beside(path: &Path, header: &mut Header) {
    let name = sidecar_path(path);
    let Ok(meta) = fs::metadata(&name) else { return };
    let parsed = (meta.is_file() && meta.len() <= MAX_BYTES)
        .then(|| fs::read(&name).ok())
        .flatten()
        .and_then(|bytes| serde_json::from_slice::<Sidecar>(&bytes).ok())
        .filter(|sidecar| sidecar.version == 1);
    match parsed {
        Some(sidecar) => sidecar.apply(header),
        None => header.warnings.push(format!("the sidecar {} could not be read", name.display())),
    }
}

/// Writes the sidecar of a file, or removes one that is no longer true.
pub(crate) fn write_beside(path: &Path, sidecar: Option<&Sidecar>) -> Result<(), IoError> {
    let name = sidecar_path(path);
    match sidecar {
        Some(sidecar) => write_atomically(&name, |temporary| {
            fs::write(temporary, sidecar.to_ascii_json()).map_err(|e| IoError::system("write", temporary, e))
        }),
        None if is_own(&name) => fs::remove_file(&name).map_err(|e| IoError::system("remove", &name, e)),
        None => Ok(()),
    }
}

fn is_own(name: &Path) -> bool {
    fs::metadata(name).is_ok_and(|meta| meta.len() <= MAX_BYTES)
        && fs::read(name)
            .ok()
            .and_then(|bytes| serde_json::from_slice::<Sidecar>(&bytes).ok())
            .is_some_and(|sidecar| sidecar.version == 1)
}
