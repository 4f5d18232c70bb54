//! Voxel size and unit of what is open, set right where a file did not say them or said them wrong.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::Project;
use super::edit::Edit;
use super::layer::{Content, Layer, LayerId};
use crate::base::Unit;
use crate::io::{ReadOptions, VoxelSize};

/// What the voxels of a layer are in the world.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Calibration {
    /// Voxel size in µm as z, y, x; of a scan its pixel size.
    pub voxel_um: Option<[f64; 3]>,
    /// Edges of a voxel as ratios where only these are known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ratios: Option<[f64; 3]>,
    /// World position in µm of the centre of voxel (0, 0, 0), as z, y, x.
    pub origin_um: [f64; 3],
    /// What the values mean; `None` for ids.
    pub unit: Option<Unit>,
    /// How the file of the layer is read again, where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read: Option<ReadOptions>,
}

impl Calibration {
    /// That of a layer; `None` where it has no voxels, and for a part of a file whose other levels are not known.
    pub fn of(layer: &Layer) -> Option<Self> {
        let source = layer.source.as_ref();
        let is_part = source.is_some_and(|source| source.part.is_some()) && layer.pyramid.is_none();
        let read = source.map(|source| source.options.read.clone());
        let found = match &layer.content {
            Content::Volume(v) => Self {
                voxel_um: v.voxel_um,
                ratios: v.ratios,
                origin_um: v.origin_um,
                unit: Some(v.unit),
                read,
            },
            Content::Labels(l) => {
                Self { voxel_um: l.voxel_um, ratios: l.ratios, origin_um: l.origin_um, unit: None, read }
            }
            Content::Regions(map) => {
                let v = &map.volume;
                Self { voxel_um: v.voxel_um, ratios: v.ratios, origin_um: v.origin_um, unit: None, read }
            }
            Content::Scan(scan) => Self {
                voxel_um: scan.pixel_um.map(|pixel| [pixel; 3]),
                ratios: None,
                origin_um: [0.0; 3],
                unit: Some(scan.unit),
                read,
            },
            _ => return None,
        };
        (!is_part).then_some(found)
    }

    /// The same with another voxel size; the place of the grid stays the same one in voxels.
    fn sized(mut self, layer: &Layer, size: VoxelSize) -> Self {
        let um = size.um();
        if let Some(old) = self.voxel_um {
            self.origin_um = std::array::from_fn(|axis| self.origin_um[axis] / old[axis] * um[axis]);
        }
        (self.voxel_um, self.ratios) = (Some(um), None);
        let levels = layer.pyramid.as_ref().map(|pyramid| (pyramid.levels(), pyramid.working()));
        let of_finest = levels.and_then(|(levels, working)| {
            let (finest, held) = (levels.first()?.scale, levels.get(working)?.scale);
            VoxelSize::new(std::array::from_fn(|axis| um[axis] * finest[axis] / held[axis])).ok()
        });
        if let Some(read) = &mut self.read {
            read.voxel_um = Some(of_finest.unwrap_or(size));
        }
        self
    }

    fn in_unit(mut self, unit: Unit) -> Self {
        if self.unit.is_some_and(|old| old != unit) {
            self.unit = Some(unit);
            if let Some(read) = &mut self.read {
                read.unit = Some(unit);
            }
        }
        self
    }

    /// Puts it into a layer and gives the one that was there; `None` where the layer has no voxels.
    pub(super) fn swap_into(self, layer: &mut Layer) -> Option<Self> {
        let old = Self::of(layer)?;
        match &mut layer.content {
            Content::Volume(volume) => {
                let volume = Arc::make_mut(volume);
                (volume.voxel_um, volume.ratios, volume.origin_um) =
                    (self.voxel_um, self.ratios, self.origin_um);
                volume.unit = self.unit.unwrap_or(volume.unit);
            }
            Content::Labels(labels) => {
                (labels.voxel_um, labels.ratios, labels.origin_um) =
                    (self.voxel_um, self.ratios, self.origin_um);
            }
            Content::Regions(map) => {
                let volume = &mut Arc::make_mut(map).volume;
                (volume.voxel_um, volume.ratios, volume.origin_um) =
                    (self.voxel_um, self.ratios, self.origin_um);
            }
            Content::Scan(scan) => {
                let scan = Arc::make_mut(scan);
                scan.pixel_um = self.voxel_um.map(|voxel| voxel[2]);
                scan.unit = self.unit.unwrap_or(scan.unit);
            }
            _ => return None,
        }
        if let (Some(source), Some(read)) = (&mut layer.source, self.read) {
            source.options.read = read;
        }
        Some(old)
    }
}

impl Project {
    /// The edits that give a layer another voxel size or unit, and the number of other layers that go along: those on
    /// the same grid get the same size.
    pub fn calibrated(&self, id: LayerId, size: Option<VoxelSize>, unit: Option<Unit>) -> (Vec<Edit>, usize) {
        let Some((layer, own)) = self.layer(id).and_then(|layer| Some((layer, Calibration::of(layer)?)))
        else {
            return (Vec::new(), 0);
        };
        let grid = |layer: &Layer| {
            let calibration = Calibration::of(layer)?;
            let is_scan = matches!(layer.content, Content::Scan(_));
            let place = (calibration.voxel_um, calibration.ratios, calibration.origin_um);
            (!is_scan).then_some((layer.content.shape()?, place))
        };
        let wanted = grid(layer);
        let with_it: Vec<&Layer> = self
            .layers
            .iter()
            .filter(|other| other.id == id || (size.is_some() && wanted.is_some() && grid(other) == wanted))
            .collect();
        let edits: Vec<Edit> = with_it
            .iter()
            .filter_map(|other| {
                let mut new = Calibration::of(other)?;
                if let Some(size) = size {
                    new = new.sized(other, size);
                }
                if let Some(unit) = unit.filter(|_| other.id == id) {
                    new = new.in_unit(unit);
                }
                let is_new = other.id != id || new != own;
                is_new.then(|| Edit::SetCalibration { layer: other.id, calibration: Box::new(new) })
            })
            .collect();
        let n_others = edits.len().saturating_sub(1);
        (edits, n_others)
    }
}

#[cfg(test)]
mod tests {
    use ndarray::Array3;

    use super::*;
    use crate::ops::Provenance;
    use crate::project::LabelLayer;
    use crate::volume::{Labels, Volume};

    fn project() -> Project {
        let mut volume = Volume::new(Array3::<f32>::ones((4, 5, 6)), Some([0.02; 3]), Unit::Arbitrary);
        volume.origin_um = [0.2, 0.0, 0.4];
        let labels = LabelLayer::new(Labels::new([4, 5, 6]), volume.voxel_um, volume.origin_um);
        let other = Volume::new(Array3::<f32>::ones((4, 5, 6)), None, Unit::Arbitrary);
        let mut project = Project::default();
        for (name, content) in [
            ("cell", Content::Volume(Arc::new(volume))),
            ("strokes", Content::Labels(labels)),
            ("other", Content::Volume(Arc::new(other))),
        ] {
            let made = Provenance::new("import", serde_json::Value::Null, Vec::new(), Vec::new());
            let layer = Layer::new(name.to_owned(), content, made);
            project.apply(Edit::AddLayer { index: usize::MAX, layer: Box::new(layer) }).unwrap();
        }
        project
    }

    fn sizes(project: &Project) -> Vec<Option<[f64; 3]>> {
        project.layers.iter().map(|layer| Calibration::of(layer).unwrap().voxel_um).collect()
    }

    #[test]
    fn layers_on_one_grid_get_a_size_together_and_lose_it_together() {
        let mut project = project();
        let before = project.layers.clone();
        let id = project.layers[0].id;
        let (edits, n_others) = project.calibrated(id, Some("10nm".parse().unwrap()), Some(Unit::PerUm));
        assert_eq!(n_others, 1, "the strokes");
        let undo = project.apply(Edit::Batch(edits)).unwrap();
        assert_eq!(sizes(&project), [Some([0.01; 3]), Some([0.01; 3]), None]);
        let now = Calibration::of(&project.layers[0]).unwrap();
        assert_eq!((now.origin_um, now.unit), ([0.1, 0.0, 0.2], Some(Unit::PerUm)));
        assert_eq!(Calibration::of(&project.layers[1]).unwrap().unit, None);
        assert_ne!(project.layers[0].revision, before[0].revision, "what is drawn of it is made anew");
        project.apply(undo).unwrap();
        for (now, before) in project.layers.iter().zip(&before) {
            assert_eq!(Calibration::of(now), Calibration::of(before));
        }
    }

    #[test]
    fn nothing_new_is_no_edit() {
        let project = project();
        let id = project.layers[2].id;
        assert!(project.calibrated(id, None, Some(Unit::Arbitrary)).0.is_empty());
        assert!(project.calibrated(LayerId(99), None, Some(Unit::PerUm)).0.is_empty());
    }
}
